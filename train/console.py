"""Progress on the terminal: a bar with time left where there is one, a plain line now and then elsewhere."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")
SILENCE_S = 10.0
"""Longest time without a line where there is no terminal."""


class Advance(Protocol):
    """Tell the progress display that a step is done."""

    def __call__(self, note: str = "") -> None:
        """``note`` is shown beside the bar, e.g. the loss."""
        ...


@contextmanager
def bar(label: str, total: int | None, *, enabled: bool) -> Iterator[Advance]:
    """Show progress over ``total`` steps on standard error while the block runs."""
    console = Console(stderr=True)
    if not enabled:
        yield lambda note="": None
    elif console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, TextColumn("{task.fields[note]}"), console=console) as progress:
            task = progress.add_task(label, total=total, note="")
            yield lambda note="": progress.update(task, advance=1, note=note)
    else:
        yield _Lines(label, total)


class _Lines:
    """Plain lines for logs: one per SILENCE_S, and one at the end."""

    def __init__(self, label: str, total: int | None) -> None:
        self.label, self.total, self.done = label, total, 0
        self.started = self.spoken = time.monotonic()

    def __call__(self, note: str = "") -> None:
        self.done += 1
        now = time.monotonic()
        if now - self.spoken >= SILENCE_S or self.done == self.total:
            self.spoken = now
            of = "" if self.total is None else f"/{self.total}"
            left = "" if self.total is None else f", {(now - self.started) * (self.total / self.done - 1):.0f} s left"
            Console(stderr=True, highlight=False).print(f"{self.label} {self.done}{of}{left} {note}", soft_wrap=True)


def say(text: str, *, enabled: bool) -> None:
    """Print one line on standard error."""
    if enabled:
        Console(stderr=True, highlight=False).print(text, soft_wrap=True)


def track(items: Iterable[T], label: str, *, total: int | None, enabled: bool) -> Iterator[T]:
    """Pass items through, with progress."""
    with bar(label, total, enabled=enabled) as advance:
        for item in items:
            yield item
            advance()
