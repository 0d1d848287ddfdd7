"""Shard tasks over local processes: killed, crashed and hanging workers cost a retry of one shard, never the run.

``run_shards`` is handed the function that makes a shard; what is done and what is not is read from the folder (see
``output``), so a run may be stopped at any moment and started again.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait as wait_for_sentinel
from pathlib import Path
from typing import Any

from pebble import ProcessExpired, ProcessPool
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from .errors import DamagelandError
from .files import remove_temporaries
from .output import output_lock, pending_shards, record_shard, shard_is_done
from .shards import shard_path

MakeShard = Callable[[int, Path], None]
"""``make_shard(k, out)`` writes ``shard_path(out, k)``, whole or not at all.

It must be picklable: a ``functools.partial`` of a top-level function."""

RETRIES = 2
"""How often a shard whose worker was killed, crashed or hung is tried again."""
POLL_S = 0.25
PLAIN_LINE_EVERY_S = 10.0

_slots: Any = None  # in a worker: captures made so far, one shared number per shard
_current: int = 0  # in a worker: the shard in the making


def capture_done() -> None:
    """Tell the driver's progress bar that one more capture of this worker's shard is made; elsewhere does nothing."""
    if _slots is not None:
        _slots[_current] += 1


def make_one(make_shard: MakeShard, k: int, out: Path) -> bool:
    """Make shard k in this process unless it is done; return whether it was made. For job arrays: one job per shard."""
    out.mkdir(parents=True, exist_ok=True)
    with output_lock(out, shared=True):
        if shard_is_done(shard_path(out, k)):
            return False
        _make_and_record(make_shard, k, out)
    return True


def _make_and_record(make_shard: MakeShard, k: int, out: Path) -> None:
    path = shard_path(out, k)
    make_shard(k, out)
    if not path.is_file():
        raise DamagelandError(f"shard {k}: {path.name} was not written")
    record_shard(path)


def run_shards(
    make_shard: MakeShard,
    count: int,
    out: Path,
    *,
    workers: int = 1,
    progress: bool = True,
    time_limit_s: float = 3600.0,
    tasks_per_worker: int = 4,
    captures_per_shard: int = 1,
) -> int:
    """Make the shards 0 … count - 1 that are missing or damaged; return how many were made.

    Workers are recycled after ``tasks_per_worker`` shards (0: never), because long-lived Blender sessions grow. A shard
    that takes longer than ``time_limit_s`` is killed. Shards that keep failing are named in one error at the end; all
    others are kept.
    """
    if workers < 1 or count < 1:
        raise DamagelandError(f"run_shards needs at least one worker and one shard, got {workers} and {count}")
    out.mkdir(parents=True, exist_ok=True)
    with output_lock(out):
        remove_temporaries(out)
        todo = pending_shards(out, count)
        if not todo:
            return 0
        run = _Run(make_shard, out, count, workers, time_limit_s, tasks_per_worker)
        try:
            with _report(count * captures_per_shard, (count - len(todo)) * captures_per_shard, progress) as report:
                failures = run.all(todo, lambda: report(run.captures(captures_per_shard), len(run.failed)))
        finally:
            remove_temporaries(out)
    if failures:
        causes = "\n".join(f"  shard {k}: {cause}" for k, cause in sorted(failures.items()))
        raise DamagelandError(
            f"{len(failures)} of {count} shards failed; the others are kept in {out}. "
            f"Run the same command again to try only these:\n{causes}"
        )
    return len(todo)


class _Run:
    """The state of one call of ``run_shards``: what is made, what failed, how often."""

    def __init__(
        self, make_shard: MakeShard, out: Path, count: int, workers: int, time_limit_s: float, tasks_per_worker: int
    ):
        self.make_shard, self.out, self.count = make_shard, out, count
        self.workers, self.time_limit_s, self.tasks_per_worker = workers, time_limit_s, tasks_per_worker
        self.context = multiprocessing.get_context("spawn")  # fork would copy Blender's and torch's threads half
        self.slots = self.context.RawArray("q", count)
        self.open: set[int] = set()
        self.failed: dict[int, str] = {}

    def captures(self, per_shard: int) -> int:
        """Captures made so far, those of unfinished shards included."""
        finished = self.count - len(self.open) - len(self.failed)
        return finished * per_shard + sum(min(self.slots[k], per_shard) for k in self.open)

    def all(self, todo: Sequence[int], tick: Callable[[], None]) -> dict[int, str]:
        """Make all of these, in rounds: each round is a fresh pool over what the last one left."""
        self.open = set(todo)
        attempts: Counter[int] = Counter()
        broken = 0
        while self.open:
            troubles = self._round(sorted(self.open), tick)
            if not troubles:
                break
            # A pool whose idle workers died (while they were starting, say) gives up: nobody's fault, but no loop.
            own = {k: text for k, text in troubles.items() if text is not None}
            broken = 0 if own else broken + 1
            attempts.update(list(own))
            for k, text in troubles.items():
                if text is None and broken > RETRIES:
                    self.failed[k] = "the worker processes die before they start"
                elif text is not None and attempts[k] > RETRIES:
                    self.failed[k] = f"{text} ({attempts[k]} attempts)"
            self.open -= set(self.failed)
        return self.failed

    def _round(self, todo: list[int], tick: Callable[[], None]) -> dict[int, str | None]:
        """One try of each; returns those to be tried again with the cause, None where the pool was to blame."""
        troubles: dict[int, str | None] = {}
        pool = ProcessPool(
            max_workers=min(self.workers, len(todo)),
            max_tasks=self.tasks_per_worker,
            initializer=_start_worker,
            initargs=(self.slots,),
            context=self.context,
        )
        try:
            futures: dict[Future[Any], int] = {
                pool.schedule(_work, args=(self.make_shard, k, self.out), timeout=self.time_limit_s): k for k in todo
            }
            running = set(futures)
            while running:
                done, running = wait(running, timeout=POLL_S, return_when=FIRST_COMPLETED)
                for future in done:
                    self._settle(futures[future], future, troubles)
                tick()
        finally:
            pool.stop()
            pool.join()
        return troubles

    def _settle(self, k: int, future: Future[Any], troubles: dict[int, str | None]) -> None:
        try:
            mistake, crash = future.result()
        except (BrokenProcessPool, CancelledError):
            troubles[k] = None
        except TimeoutError:
            troubles[k] = f"took longer than the time limit of {self.time_limit_s:g} s and was killed"
        except ProcessExpired as error:
            troubles[k] = _describe_exit(error.exitcode)
        except Exception as error:  # a function that cannot be pickled, say: trying again would not help
            self.failed[k] = f"{type(error).__name__}: {error}"
            self.open.discard(k)
        else:
            if mistake is not None:  # the user's mistake stays one, however often it is tried
                self.failed[k] = mistake
            elif crash is not None:
                troubles[k] = crash
                return
            self.open.discard(k)


def _describe_exit(exitcode: int) -> str:
    if exitcode is not None and exitcode < 0:
        hint = ", perhaps for want of memory" if -exitcode == signal.SIGKILL else ""
        return f"its worker was killed by {signal.Signals(-exitcode).name}{hint}"
    return f"its worker ended with code {exitcode}"


# In the worker


def _start_worker(slots: Any) -> None:
    """Set a worker up: it dies at once when told to, and when its driver is gone."""
    global _slots
    _slots = slots
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a handler in Python would wait for a running render to end
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_die_with, args=(parent.sentinel,), daemon=True).start()


def _die_with(sentinel: int) -> None:
    wait_for_sentinel([sentinel])
    os._exit(1)


def _work(make_shard: MakeShard, k: int, out: Path) -> tuple[str | None, str | None]:
    """Make a shard; return (the user's mistake, crash), as text, because not every exception can be sent."""
    global _current
    _current = k
    if _slots is not None:
        _slots[k] = 0
    try:
        _make_and_record(make_shard, k, out)
    except DamagelandError as error:
        return str(error), None
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return None, f"{type(error).__name__}: {error} (in {frame.name}, {Path(frame.filename).name}:{frame.lineno})"
    return None, None


# Progress


_Report = Callable[[int, int], None]  # (captures made so far, shards failed)


@contextmanager
def _report(total: int, already: int, progress: bool) -> Iterator[_Report]:
    """How far the run is: a bar on a terminal, a line now and then elsewhere, nothing if not wanted."""
    console = Console(stderr=True)
    if not progress:
        yield lambda captures, failures: None
    elif not console.is_terminal:
        with _plain_report(total, already) as report:
            yield report
    else:
        columns = (
            TextColumn("rendering"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} captures · {task.fields[rate]} · failed {task.fields[failures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        start = time.monotonic()
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("", total=total, completed=already, rate="–", failures=0)

            def update(captures: int, failures: int) -> None:
                rate = _rate(captures - already, time.monotonic() - start)
                bar.update(task, completed=captures, rate=rate, failures=failures)

            yield update


@contextmanager
def _plain_report(total: int, already: int) -> Iterator[_Report]:
    """Lines for log files: when a shard fails, every few seconds otherwise, and how it ended."""
    start = time.monotonic()
    printed_at, printed, latest = start, (already, 0), (already, 0)

    def show() -> None:
        nonlocal printed_at, printed
        printed_at, printed = time.monotonic(), latest
        captures, failures = latest
        made, elapsed = captures - already, printed_at - start
        left = f"{(total - captures) * elapsed / made:.0f} s left" if made > 0 else "time left unknown"
        print(f"{captures}/{total} captures, {_rate(made, elapsed)}, {left}, failed shards {failures}", file=sys.stderr)

    def report(captures: int, failures: int) -> None:
        nonlocal latest
        latest = (captures, failures)
        due = time.monotonic() - printed_at >= PLAIN_LINE_EVERY_S
        if latest != printed and (due or failures != printed[1]):
            show()

    try:
        yield report
    finally:
        if latest != printed:
            show()


def _rate(made: int, elapsed_s: float) -> str:
    per_second = made / elapsed_s if elapsed_s > 0 else 0.0
    return f"{per_second:.2f}/s" if per_second >= 1 or per_second == 0 else f"{1 / per_second:.1f} s each"
