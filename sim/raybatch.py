"""Shards on a Ray cluster: tasks with their own retries, time limits and recycled workers. Ray is an optional extra.

Shard numbers go out, a few words come back: pixels never pass through Ray's object store, workers publish them.
A bounded number of tasks waits in Ray's queue, which is what makes an autoscaler add nodes.
"""

import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .engines import Working
from .errors import DamagelandError
from .task import Task, Told, count_captures_with, try_shard, worker_name

QUEUED_PER_CPU = 2
LEAST_QUEUED = 64
RESOURCE_WAIT_S = 300.0
"""How long a cluster may take to offer a node on which a shard fits: autoscalers need minutes to start one."""
LOOK_EVERY_S = 1.0
OBJECT_STORE_BYTES = 100 * 2**20
"""Of a cluster that is started here; nothing large passes through it."""


_Note = tuple[int, str, int]
"""Attempt at a shard, worker, captures made so far."""


def load_ray() -> Any:
    """Import Ray, or say how to install it."""
    try:
        import ray
    except ImportError:
        raise DamagelandError("--engine ray needs Ray, which is not installed: pip install 'damageland[ray]'") from None
    return ray


class RayEngine:
    """A Ray cluster: one that is running (``address``), or one that is started on this machine."""

    def __init__(
        self,
        *,
        address: str | None = None,
        workers: int | None = None,
        time_limit_s: float = 3600.0,
        tasks_per_worker: int = 4,
        cpus_per_task: float = 1.0,
        gpus_per_task: float = 0.0,
        resource_wait_s: float = RESOURCE_WAIT_S,
    ):
        if cpus_per_task < 0 or gpus_per_task < 0 or (workers is not None and workers < 1):
            raise DamagelandError("workers must be at least 1, CPUs and GPUs per task not below 0")
        self.ray = load_ray()
        self.address, self.workers = address or os.environ.get("RAY_ADDRESS"), workers
        self.time_limit_s, self.tasks_per_worker = time_limit_s, tasks_per_worker
        self.needs = {"CPU": float(cpus_per_task), "GPU": float(gpus_per_task)}
        self.resource_wait_s = resource_wait_s if self.address else 0.0
        self._tries: dict[Any, int] = {}
        self._began: dict[int, float] = {}
        self._overdue: set[int] = set()
        self._notes: dict[int, _Note] = {}
        self._attempts: Counter[int] = Counter()
        self._looked_at, self._unfit_since = 0.0, None
        self._was_open = False

    # Setting up

    def open(self, task: Task) -> None:
        """Join the cluster, or start one, and send it once what is to be made."""
        self._was_open = self.ray.is_initialized()
        if not self._was_open:
            self._connect()
        self._task = self.ray.put(task)
        self._board = self.ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Board).remote()
        self._make = self.ray.remote(
            num_cpus=self.needs["CPU"], num_gpus=self.needs["GPU"], max_calls=self.tasks_per_worker, max_retries=0
        )(_work)
        self._refuse_what_never_fits()

    def _connect(self) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what Ray will do anyway; silences its notice
        quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
        try:
            if self.address and self.address != "local":
                self.ray.init(address=self.address, **quiet)
            else:
                here = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
                with _importable():
                    self.ray.init(address="local", num_cpus=self._cpus_here(), **here, **quiet)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            where = self.address or "this machine"
            raise DamagelandError(
                f"cannot reach or start a Ray cluster at {where}: {error}. Versions of Ray and Python must agree; "
                "`ray status` on its head node shows whether it runs"
            ) from None

    def _cpus_here(self) -> int:
        cpus = os.cpu_count() or 1
        return max(1, round(self.workers * self.needs["CPU"])) if self.workers else cpus

    @property
    def window(self) -> int:
        """Shards handed over at once: enough for an autoscaler to see the need."""
        if self.workers:  # a cluster of our own takes no more at once, and the next one waits in its queue
            return self.workers + (0 if self.address else 2)
        cpus = self.ray.cluster_resources().get("CPU", 1)
        return max(LEAST_QUEUED, round(QUEUED_PER_CPU * cpus / max(self.needs["CPU"], 0.1)))

    # Work

    def submit(self, k: int) -> None:
        """Queue a shard."""
        self._notes.pop(k, None)
        self._began.pop(k, None)
        self._attempts[k] += 1
        self._tries[self._make.remote(self._task, k, self._attempts[k], self._board)] = k

    def poll(self, timeout_s: float) -> list[Told]:
        """Return the shards that ended, killing those that take too long."""
        ready, _ = self.ray.wait(list(self._tries), num_returns=1, timeout=timeout_s)
        if ready:
            ready, _ = self.ray.wait(list(self._tries), num_returns=len(self._tries), timeout=0)
        told = [self._tell(ref) for ref in ready]
        if time.monotonic() - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = time.monotonic()
            self._look()
        return told

    def _look(self) -> None:
        """Read the board, kill what is overdue, and see whether what waits can ever be placed."""
        try:
            notes = self.ray.get(self._board.read.remote(set(self._tries.values())), timeout=5.0)
        except self.ray.exceptions.RayError:  # it is being restarted on another node
            return
        self._notes = {k: note for k, note in notes.items() if note[0] == self._attempts[k]}
        now = time.monotonic()
        for ref, k in self._tries.items():
            if k not in self._notes:
                continue
            if now - self._began.setdefault(k, now) > self.time_limit_s and k not in self._overdue:
                self._overdue.add(k)
                self.ray.cancel(ref, force=True)
        if not self.working():
            self._refuse_what_never_fits()

    def _refuse_what_never_fits(self) -> None:
        """Ray lets tasks wait silently that no node can take; we say so, after a while if nodes may still come."""
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        if any(all(node.get(name, 0.0) >= need for name, need in self.needs.items()) for node in nodes):
            self._unfit_since = None
            return
        now = time.monotonic()
        self._unfit_since = self._unfit_since or now
        if now - self._unfit_since < self.resource_wait_s:
            return
        largest = {name: max((node.get(name, 0.0) for node in nodes), default=0.0) for name in self.needs}
        raise DamagelandError(
            f"no node of the Ray cluster can take a shard: each needs {_amounts(self.needs)}, the most that "
            f"{len(nodes)} node(s) offer is {_amounts(largest)}. Lower --cpus-per-task or --gpus-per-task"
        )

    def _tell(self, ref: Any) -> Told:
        k, errors = self._tries.pop(ref), self.ray.exceptions
        worker, overdue = self._notes.pop(k, (0, "", 0))[1], k in self._overdue
        self._overdue.discard(k)
        self._began.pop(k, None)
        try:
            return self.ray.get(ref)
        except errors.RayTaskError as error:  # it could not be loaded there: what happens inside is caught there
            text = f"a node cannot load the task; install damageland and its inputs on every node. {_last_line(error)}"
            return Told(k, worker, 0.0, text, "not installed", again=False)
        except (errors.TaskCancelledError, errors.WorkerCrashedError) as error:
            if overdue:
                text = f"took longer than the time limit of {self.time_limit_s:g} s and was killed"
                return Told(k, worker, self.time_limit_s, text, "time limit")
            return Told(k, worker, 0.0, f"its worker was killed ({type(error).__name__})", "killed")
        except errors.OutOfMemoryError:
            return Told(k, worker, 0.0, "its worker was killed for want of memory", "out of memory")
        except (errors.NodeDiedError, errors.RaySystemError, errors.ObjectLostError, errors.RayActorError) as error:
            return Told(k, worker, 0.0, f"its node was lost ({type(error).__name__})", "node lost", blameless=True)

    def working(self) -> dict[int, Working]:
        """Return the shards in the making."""
        handed = set(self._tries.values())
        return {k: Working(worker, count) for k, (_, worker, count) in self._notes.items() if k in handed}

    def close(self) -> None:
        """Cancel what is left, and leave the cluster; one that was started here is stopped."""
        if not self.ray.is_initialized():
            return
        for ref in self._tries:
            self.ray.cancel(ref, force=True)
        self._tries.clear()
        if not self._was_open:
            self.ray.shutdown()


def _amounts(resources: dict[str, float]) -> str:
    return ", ".join(f"{amount:g} {name}" for name, amount in resources.items())


def _last_line(error: Exception) -> str:
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)


@contextmanager
def _importable() -> Iterator[None]:
    """Let the workers of a cluster that is started here import what this process can."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


# In the cluster


class _Board:
    """An actor on which workers note what they are at, for the driver's progress and time limits."""

    def __init__(self) -> None:
        self.notes: dict[int, _Note] = {}

    def note(self, k: int, note: "_Note") -> None:
        self.notes[k] = note

    def read(self, wanted: set[int]) -> "dict[int, _Note]":
        self.notes = {k: note for k, note in self.notes.items() if k in wanted}
        return self.notes


def _work(task: Task, k: int, attempt: int, board: Any) -> Told:
    worker, captures, noted = worker_name(), 0, time.monotonic()
    board.note.remote(k, (attempt, worker, 0))

    def count() -> None:
        nonlocal captures, noted
        captures += 1
        if time.monotonic() - noted >= LOOK_EVERY_S:  # nobody looks more often
            noted = time.monotonic()
            board.note.remote(k, (attempt, worker, captures))

    count_captures_with(count)
    try:
        return try_shard(task, k)
    finally:
        count_captures_with(None)
