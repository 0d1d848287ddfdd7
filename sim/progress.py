"""How far a run is: a bar with its workers on a terminal, a line now and then elsewhere, and a log in JSON lines.

What is shown depends on the clock; it never gets into a data set.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from .engines import Working
from .errors import DamagelandError
from .task import Told

PLAIN_LINE_EVERY_S = 10.0
LOG_LINE_EVERY_S = 10.0
WORKERS_SHOWN = 8


@dataclass
class Status:
    """What is known of a run."""

    shards: int
    shards_done: int
    captures_per_shard: int = 1
    total: int | None = None
    """Captures in all, if the last shard has fewer than the others."""
    shards_made: int = 0
    """Of those done, by this run."""
    working: dict[int, Working] = field(default_factory=dict)
    failed: Counter[str] = field(default_factory=Counter)
    """Shards given up, by cause."""
    retried: Counter[str] = field(default_factory=Counter)
    """Tries that came to nothing and are repeated, by cause."""
    by_worker: Counter[str] = field(default_factory=Counter)
    """Shards made, by worker."""
    started: float = field(default_factory=time.monotonic)

    @property
    def captures(self) -> int:
        """Captures made so far, those of unfinished shards included."""
        begun = sum(min(w.captures, self.captures_per_shard) for w in self.working.values())
        return min(self.shards_done * self.captures_per_shard + begun, self.captures_wanted)

    @property
    def captures_wanted(self) -> int:
        """Captures of the whole data set."""
        return self.shards * self.captures_per_shard if self.total is None else self.total

    @property
    def elapsed_s(self) -> float:
        """Since the run began, whatever happens to the clock on the wall."""
        return time.monotonic() - self.started

    @property
    def captures_made(self) -> int:
        """By this run."""
        return max(0, self.captures - (self.shards_done - self.shards_made) * self.captures_per_shard)

    @property
    def left_s(self) -> float | None:
        """Time left at the present rate, if there is one."""
        if not self.captures_made:
            return None
        return (self.captures_wanted - self.captures) * self.elapsed_s / self.captures_made


@contextmanager
def watch(status: Status, *, progress: bool, log: Path | None) -> Iterator["Watcher"]:
    """Show a run and log it, as wished."""
    console = Console(stderr=True)
    with _log_file(log) as file:
        watcher = Watcher(status, file)
        if progress and console.is_terminal:
            with Live(console=console, refresh_per_second=4, get_renderable=lambda: bar(status)):
                yield watcher
        elif progress:
            watcher.plain = True
            try:
                yield watcher
            finally:
                watcher.say()
        else:
            yield watcher
        watcher.log("end", **watcher.figures())


@contextmanager
def _log_file(log: Path | None) -> Iterator[TextIO | None]:
    if log is None:
        yield None
        return
    try:
        file = log.open("a", encoding="utf-8")
    except OSError as error:
        raise DamagelandError(f"cannot write the log {log}: {error.strerror}") from None
    with file:
        yield file


class Watcher:
    """Is told what happens in a run, and tells the person before the screen and the log."""

    def __init__(self, status: Status, file: TextIO | None):
        self.status, self.file, self.plain = status, file, False
        self.said_at, self.said, self.logged_at = status.started, self._seen(), status.started
        self.log("start", shards=status.shards, shards_done=status.shards_done, captures=status.captures_wanted)

    def made(self, told: Told) -> None:
        """A shard is made."""
        self.status.shards_done += 1
        self.status.shards_made += 1
        self.status.by_worker[told.worker] += 1
        self.status.working.pop(told.k, None)
        self.log("shard made", shard=told.k, worker=told.worker, seconds=round(told.seconds, 3))

    def retried(self, told: Told) -> None:
        """A try came to nothing; there will be another."""
        self.status.retried[told.cause] += 1
        self.log("shard retried", shard=told.k, worker=told.worker, cause=told.cause, trouble=told.trouble)

    def failed(self, told: Told) -> None:
        """A shard is given up."""
        self.status.failed[told.cause] += 1
        self.log("shard failed", shard=told.k, worker=told.worker, cause=told.cause, trouble=told.trouble)
        self.say()

    def tick(self) -> None:
        """Time has passed."""
        now = time.monotonic()
        if now - self.said_at >= PLAIN_LINE_EVERY_S:
            self.say()
        if now - self.logged_at >= LOG_LINE_EVERY_S:
            self.logged_at = now
            self.log("progress", **self.figures())

    def say(self) -> None:
        """Print a plain line, if there is news and nobody sees a bar."""
        self.said_at = time.monotonic()
        if self.plain and self._seen() != self.said:
            self.said = self._seen()
            print(plain_line(self.status), file=sys.stderr, flush=True)

    def _seen(self) -> tuple[int, int]:
        return self.status.captures, self.status.failed.total()

    def figures(self) -> dict[str, Any]:
        """The state of the run in numbers."""
        status = self.status
        return {
            "captures": status.captures,
            "shards_done": status.shards_done,
            "elapsed_s": round(status.elapsed_s, 3),
            "left_s": None if status.left_s is None else round(status.left_s, 1),
            "failed": dict(status.failed),
            "retried": dict(status.retried),
            "working": {str(k): [w.worker, w.captures] for k, w in status.working.items()},
        }

    def log(self, event: str, **details: Any) -> None:
        """Write a line of JSON with both clocks: the monotonic one measures, the other one tells when it was."""
        if self.file is not None:
            times = {"monotonic_s": round(time.monotonic(), 3), "time": datetime.now(UTC).isoformat()}
            self.file.write(json.dumps({"event": event, **times, **details}) + "\n")
            self.file.flush()


# What it looks like


def plain_line(status: Status) -> str:
    """One line for log files."""
    left = "time left unknown" if status.left_s is None else f"{duration(status.left_s)} left"
    return (
        f"{status.captures}/{status.captures_wanted} captures, {rate(status.captures_made, status.elapsed_s)}, {left}, "
        f"{len(status.working)} at work, failed shards {by_cause(status.failed)}, retried {by_cause(status.retried)}"
    )


def bar(status: Status) -> Group:
    """The bar, what failed and why, and who is at work on what."""
    line = Progress(
        TextColumn("rendering"), BarColumn(), TextColumn("{task.completed}/{task.total} captures · {task.fields[more]}")
    )
    left = "" if status.left_s is None else f" · {duration(status.left_s)} left"
    more = f"{rate(status.captures_made, status.elapsed_s)} · {duration(status.elapsed_s)} gone{left}"
    line.add_task("", total=status.captures_wanted, completed=status.captures, more=more)
    table = Table.grid(padding=(0, 2))
    shown = sorted(status.working.items(), key=lambda pair: pair[1].worker)[:WORKERS_SHOWN]
    for k, working in shown:
        table.add_row(f"  {working.worker}", f"shard {k}", f"{working.captures}/{status.captures_per_shard}")
    if len(status.working) > WORKERS_SHOWN:
        table.add_row(f"  and {len(status.working) - WORKERS_SHOWN} more workers")
    if status.failed or status.retried:
        table.add_row("  failed shards", by_cause(status.failed), f"retried {by_cause(status.retried)}")
    return Group(line, table)


def by_cause(counts: Counter[str]) -> str:
    """``3 (2 killed, 1 time limit)``, the commonest first."""
    if not counts:
        return "0"
    return f"{counts.total()} ({', '.join(f'{n} {cause}' for cause, n in counts.most_common())})"


def rate(made: int, elapsed_s: float) -> str:
    """Captures per second, or seconds per capture if they are slow."""
    per_second = made / elapsed_s if elapsed_s > 0 else 0.0
    return f"{per_second:.2f}/s" if per_second >= 1 or per_second == 0 else f"{1 / per_second:.1f} s each"


def duration(seconds: float) -> str:
    """``45 s``, ``3 min 20 s``, ``5 h 10 min``, ``12 d 4 h``."""
    s = round(seconds)
    for big, small, size, part in (("d", "h", 86400, 3600), ("h", "min", 3600, 60), ("min", "s", 60, 1)):
        if s >= size:
            return f"{s // size} {big} {s % size // part} {small}"
    return f"{s} s"


def amount(size_bytes: float) -> str:
    """``640 B``, ``12 kB``, ``3.4 MB``, ``512 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.3g} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.4g} TB"
