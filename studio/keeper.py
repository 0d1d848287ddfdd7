"""Worker processes of the page: one keeper per browser, which forks a child for every move.

A move must be able to stop the one before it, in the middle of a compiled solver. Threads cannot do that, and a pool's
worker that is killed takes along what it knew. So the keeper holds products, scenes and warm solvers, runs none that
somebody waits for, and forks: its child inherits all of that at once, does the work, tells, and is killed as soon as a
newer move comes. What the child sends goes through the keeper, message by message, so a killed child tears none.
"""

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Literal

from ..generators.recipe import Plan
from ..sim.engines import describe_exit
from ..sim.errors import DamagelandError
from .stages import Kept, Tell, Twin, draw_cells, look
from .told import Ended, Failed, Told

IDLE_S = 0.4
"""The solvers in use are warmed when nothing was asked for so long."""
PRELOAD = ["damageland.studio.keeper"]


@dataclass(frozen=True)
class Job:
    """What a page asks for."""

    number: int
    """Later ones have higher numbers; only the latest is of interest."""
    plans: tuple[Plan, ...]
    captions: tuple[str, ...] = ()
    kind: Literal["look", "cells"] = "look"


@dataclass(frozen=True)
class _Keep:
    """From a child to its keeper: the twin that it has made."""

    key: str
    twin: Twin


class Keeper:
    """The page's end of a keeper process."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOAD)  # imports are paid once
        here, there = context.Pipe()
        self._process = context.Process(target=_keep, args=(there,), daemon=False)
        self._process.start()
        there.close()
        self._pipe, self._number, self._lock = here, 0, threading.Lock()
        self._hear: Callable[[Told], None] = lambda told: None
        threading.Thread(target=self._listen, daemon=True).start()

    def ask(self, plans: tuple[Plan, ...], hear: Callable[[Told], None], *, captions: tuple[str, ...] = ()) -> None:
        """Ask for a look at one plan, or for a contact sheet of several; whatever was asked before is dropped."""
        with self._lock:
            self._number += 1
            self._hear = hear
            job = Job(self._number, plans, captions, "cells" if captions else "look")
            try:
                self._pipe.send(job)
            except OSError:
                hear(Failed("The worker process is gone. Load the page again; what was chosen is kept."))

    def close(self) -> None:
        """End the process and whatever it is doing."""
        with suppress(OSError):  # it may be gone already
            self._pipe.send(None)
        self._process.join(timeout=2.0)
        self._process.kill()

    def _listen(self) -> None:
        while True:
            try:
                number, told = self._pipe.recv()
            except (EOFError, OSError):
                return
            with self._lock:
                hear = self._hear if number == self._number else None
            if hear is None:
                continue
            try:
                hear(told)
            except Exception:  # a browser that has just gone, say: what follows must still be heard
                traceback.print_exc()


# ---- In the keeper --------------------------------------------------------------------------------------------------


class _Child:
    """A forked worker on one job."""

    def __init__(self, job: Job, kept: Kept):
        context = multiprocessing.get_context("fork")
        self.job = job
        self.pipe, there = context.Pipe(duplex=False)
        self.process = context.Process(target=_work, args=(job, kept, there), daemon=True)
        self.process.start()
        there.close()

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _keep(pipe: Connection) -> None:
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the page's process decides when to end
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(1)  # a forked child has none of its parent's threads
    from .warm import warm

    kept, child = Kept(), None
    cold: list[str] = []
    warmed: set[str] = set()
    try:
        while True:
            ready = wait([pipe, *([child.pipe] if child else [])], IDLE_S if cold and child is None else None)
            if pipe in ready:
                if child is not None:
                    child.kill()
                    child = None
                job = _latest(pipe)
                if job is None:
                    return
                child = _start(job, kept, pipe)
                cold = [name for name in _damages(job) if name not in warmed]
            elif child is not None:
                child = _relay(child, kept, pipe)
            elif cold:
                warmed.add(cold[0])
                warm(cold.pop(0))
    except (EOFError, OSError):  # the page's process is gone
        return
    finally:
        if child is not None:
            child.kill()


def _damages(job: Job) -> list[str]:
    """The solvers that a job uses."""
    recipe = job.plans[0].recipe
    strikes = [strike for spec in recipe.damages for strike in (spec, *spec.then)] if recipe.damaged_share else []
    return [strike.generator for strike in strikes]


def _latest(pipe: Connection) -> Job | None:
    job = pipe.recv()
    while job is not None and pipe.poll():
        job = pipe.recv()
    return job


def _start(job: Job, kept: Kept, pipe: Connection) -> _Child | None:
    """Make what all later moves will use, then fork; a newer move that came meanwhile is seen in between."""
    try:
        for step in (kept.product, kept.sound):
            if pipe.poll():
                return None
            step(job.plans[0])
    except DamagelandError as error:
        pipe.send((job.number, Failed(str(error))))
        return None
    except Exception as error:
        traceback.print_exc()
        pipe.send((job.number, Failed(f"A fault of the studio itself: {type(error).__name__}: {error}")))
        return None
    return _Child(job, kept)


def _relay(child: _Child, kept: Kept, pipe: Connection) -> _Child | None:
    """Pass on one message; None once the child has ended."""
    number = child.job.number
    try:
        said: Any = child.pipe.recv()
    except (EOFError, OSError):
        child.process.join()
        code = child.process.exitcode
        if code:
            pipe.send((number, Failed(f"The solver stopped: {describe_exit(code)}. Try another draw or strength.")))
        child.pipe.close()
        return None
    if isinstance(said, _Keep):
        kept.twins.clear()
        kept.twins[said.key] = said.twin
    else:
        pipe.send((number, said))
    return child


def _work(job: Job, kept: Kept, pipe: Connection) -> None:
    tell: Tell = pipe.send
    try:
        if job.kind == "cells":
            draw_cells(job.plans, job.captions, kept, tell)
        else:
            look(job.plans[0], kept, tell, lambda key, twin: pipe.send(_Keep(key, twin)))
        tell(Ended())
    except DamagelandError as error:
        tell(Failed(str(error)))
    except Exception as error:
        traceback.print_exc()
        tell(Failed(f"A fault of the studio itself: {type(error).__name__}: {error}"))
    pipe.close()
    os._exit(0)  # nothing of the parent's is to be tidied up


def wait_for(heard: list[Told], kind: type, timeout_s: float) -> bool:
    """Wait until something of a kind has been heard; for scripts that drive a keeper without a page."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if any(isinstance(told, (kind, Failed)) for told in heard):
            return True
        time.sleep(0.005)
    return False
