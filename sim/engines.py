"""Engines: where shards are made. One takes shard numbers and tells how each try went; the driver decides the rest.

``LocalEngine`` uses processes of this machine; ``raybatch.RayEngine`` a cluster.
"""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for_sentinel
from typing import Any, Protocol, runtime_checkable

from pebble import ProcessExpired, ProcessPool

from .errors import DamagelandError
from .task import Task, Told, count_captures_with, try_shard, worker_name

BROKEN_IN_A_ROW = 3
"""So many pools that break before any worker has worked: there is no point in going on."""


@dataclass(frozen=True)
class Working:
    """A shard in the making."""

    worker: str
    captures: int
    """Made so far."""


@runtime_checkable
class Engine(Protocol):
    """Where shards are made."""

    @property
    def window(self) -> int:
        """So many shards are handed over at once, at most."""
        ...

    def open(self, task: Task) -> None:
        """Get ready."""
        ...

    def submit(self, k: int) -> None:
        """Hand over a shard."""
        ...

    def poll(self, timeout_s: float) -> list[Told]:
        """Wait a while for shards to end; return those that did."""
        ...

    def working(self) -> dict[int, Working]:
        """Return the shards in the making."""
        ...

    def close(self) -> None:
        """Stop all workers, at once."""
        ...


class LocalEngine:
    """Worker processes of this machine, recycled, because long-lived Blender sessions grow."""

    def __init__(self, *, workers: int, time_limit_s: float, tasks_per_worker: int):
        if workers < 1:
            raise DamagelandError(f"{workers} workers: expected at least 1")
        self.workers, self.time_limit_s, self.tasks_per_worker = workers, time_limit_s, tasks_per_worker
        self.window = workers + 2  # a worker that is done finds the next shard waiting
        self._context = multiprocessing.get_context("spawn")  # fork would copy Blender's and torch's threads half
        self._counts = self._context.RawArray("q", self.window)
        self._owners = self._context.RawArray("q", self.window)
        self._free = list(range(self.window))
        self._tries: dict[Future[Any], tuple[int, int]] = {}
        self._task: Task | None = None
        self._pool: ProcessPool | None = None
        self._broken = 0

    def open(self, task: Task) -> None:
        """Take note of what is to be made; processes start with the first shard."""
        if task.store.scheme == "memory":
            raise DamagelandError(
                f"{task.store} lies in one process's memory, which workers cannot reach: use a folder"
            )
        self._task = task

    def submit(self, k: int) -> None:
        """Hand a shard to the pool."""
        if self._pool is None:
            self._pool = ProcessPool(
                max_workers=self.workers,
                max_tasks=self.tasks_per_worker,
                initializer=_start_worker,
                initargs=(self._counts, self._owners),
                context=self._context,
            )
        slot = self._free.pop()
        self._counts[slot] = self._owners[slot] = 0
        try:
            future = self._pool.schedule(_work, args=(self._task, k, slot), timeout=self.time_limit_s)
        except RuntimeError:  # the pool broke since
            future = Future()
            future.set_exception(BrokenProcessPool())
        self._tries[future] = k, slot

    def poll(self, timeout_s: float) -> list[Told]:
        """Return the shards that ended; a pool that gave up is replaced by a fresh one."""
        done, _ = wait(self._tries, timeout=timeout_s, return_when=FIRST_COMPLETED)
        told = [self._tell(future) for future in done]
        if not any(t.blameless for t in told):
            self._broken = self._broken if not told else 0
            return told
        # Idle workers died, while they were starting, say: nobody's fault, but no endless loop either.
        self._broken += 1
        if self._broken > BROKEN_IN_A_ROW:
            raise DamagelandError(
                "the worker processes die before they start: is damageland still where it was, is there memory left?"
            )
        self.close()
        return told + [self._tell(future) for future in wait(self._tries, timeout=10.0).done]

    def _tell(self, future: Future[Any]) -> Told:
        k, slot = self._tries.pop(future)
        self._free.append(slot)
        worker = worker_name(self._owners[slot])
        try:
            return future.result()
        except (BrokenProcessPool, CancelledError):
            return Told(k, worker, 0.0, "the worker processes die before they start", "no worker", blameless=True)
        except TimeoutError:
            text = f"took longer than the time limit of {self.time_limit_s:g} s and was killed"
            return Told(k, worker, self.time_limit_s, text, "time limit")
        except ProcessExpired as error:
            return Told(k, worker, 0.0, describe_exit(error.exitcode), "killed")
        except Exception as error:  # a function that cannot be pickled, say: trying again would not help
            text = f"{type(error).__name__}: {error}"
            return Told(k, worker, 0.0, text, type(error).__name__, again=False)

    def working(self) -> dict[int, Working]:
        """Return the shards in the making."""
        return {
            k: Working(worker_name(self._owners[slot]), self._counts[slot])
            for k, slot in self._tries.values()
            if self._owners[slot]
        }

    def close(self) -> None:
        """Stop all processes."""
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()
            self._pool = None


def describe_exit(exitcode: int) -> str:
    """Say what ended a process."""
    if exitcode is not None and exitcode < 0:
        hint = ", perhaps for want of memory" if -exitcode == signal.SIGKILL else ""
        return f"its worker was killed by {signal.Signals(-exitcode).name}{hint}"
    return f"its worker ended with code {exitcode}"


# In the worker

_counts: Any = None
_owners: Any = None


def _start_worker(counts: Any, owners: Any) -> None:
    """Set a worker up: it dies at once when told to, and when its driver is gone."""
    global _counts, _owners
    _counts, _owners = counts, owners
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a handler in Python would wait for a running render to end
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_die_with, args=(parent.sentinel,), daemon=True).start()


def _die_with(sentinel: int) -> None:
    wait_for_sentinel([sentinel])
    os._exit(1)


def _work(task: Task, k: int, slot: int) -> Told:
    def count() -> None:
        _counts[slot] += 1

    _owners[slot] = os.getpid()
    count_captures_with(count)
    return try_shard(task, k)
