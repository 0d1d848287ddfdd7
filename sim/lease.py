"""Leases: one driver at a time on an object store, which has no locks.

A holder keeps one object, ``.lease-000001``, that says who it is, and writes it anew every few seconds with a counter
one higher. Another driver that meets it watches for ``LEASE_S`` on its own monotonic clock: if the counter moves, the
holder lives, and the newcomer gives up with an error; if not, the newcomer creates the next number, exclusively, and
has the lease. No wall clock is read, so changed clocks change nothing. A holder on this machine whose process is gone
is not waited for.

What this cannot do: a holder that is frozen for longer than ``LEASE_S`` (a suspended laptop, a cut line) and wakes
up learns of its loss with its next beat, and may finish a write in between. That is harmless here, because a shard has
the same bytes whoever writes it, and every write is whole.
"""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import DamagelandError
from .store import File, Store

BEAT_S = 10.0
LEASE_S = 45.0
"""A holder that has not moved for so long is taken for dead."""
PREFIX = ".lease-"


@contextmanager
def lease(store: Store) -> Iterator[None]:
    """Hold a store against other drivers; if it is lost to another meanwhile, the block ends with an error."""
    me = {"owner": secrets.token_hex(8), "host": socket.gethostname(), "pid": os.getpid(), "process": _process_name()}
    mine = _acquire(store, me)
    stop, lost = threading.Event(), threading.Event()
    beat = threading.Thread(target=_keep, args=(store, mine, me, stop, lost), daemon=True)
    beat.start()
    try:
        yield
    finally:
        stop.set()
        beat.join()
        mine.unlink()
    if lost.is_set():
        raise DamagelandError(
            f"{store}: another damageland took over while this one was frozen or cut off. Nothing is lost"
        )


def _acquire(store: Store, me: dict[str, Any]) -> File:
    while True:
        held = _holders(store)
        if held:
            _watch(store, held[-1])
        number = _number(held[-1]) + 1 if held else 1
        mine = store / f"{PREFIX}{number:06d}"
        if not mine.create(json.dumps({**me, "beat": 0})):
            continue  # somebody was quicker: look again
        if _holders(store)[-1] == mine:
            for dead in held:
                dead.unlink()
            return mine
        mine.unlink()  # one that saw a later number was quicker


def _holders(store: Store) -> list[File]:
    return [store / name for name in store.names() if name.startswith(PREFIX)]


def _number(file: File) -> int:
    digits = file.name.removeprefix(PREFIX)
    return int(digits) if digits.isdecimal() else 0


def _watch(store: Store, holder: File) -> None:
    """Return once the holder has gone or is dead; one that lives is an error."""
    first, end = _read(holder), time.monotonic() + LEASE_S
    while first is not None and not _died_here(first) and time.monotonic() < end:
        time.sleep(min(BEAT_S / 4, 1.0))
        now = _read(holder)
        if now is not None and now != first:
            raise DamagelandError(
                f"{store} is being written by another damageland (process {now.get('pid')} on {now.get('host')}): "
                "wait for it or stop it"
            )
        if now is None:
            return


def _read(holder: File) -> dict[str, Any] | None:
    try:
        found = json.loads(holder.read_bytes())
        return found if isinstance(found, dict) else {}
    except ValueError:
        return {}
    except DamagelandError:
        if holder.is_file():
            raise
        return None


def _process_name() -> str:
    """Name a process for good: numbers of processes are used again, and differ between containers."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = Path("/proc/self/ns/pid").readlink()
        return f"{boot} {space} {os.getpid()} {_started(os.getpid())}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process began, in ticks since the machine started; OSError if there is none."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    if fields[0] in "ZX":
        raise ProcessLookupError(pid)
    return fields[19]


def _died_here(holder: dict[str, Any]) -> bool:
    """Whether the holder was a process of this machine and is no more."""
    name, here = str(holder.get("process", "")).rsplit(" ", 2), _process_name().rsplit(" ", 2)
    if len(name) != 3 or name[0] != here[0] or not name[1].isdecimal():
        return False
    try:
        return _started(int(name[1])) != name[2]
    except OSError:
        return True


def _keep(store: Store, mine: File, me: dict[str, Any], stop: threading.Event, lost: threading.Event) -> None:
    count = 0
    while not stop.wait(BEAT_S):
        count += 1
        try:
            if _holders(store)[-1:] != [mine]:
                lost.set()
                return
            mine.write(json.dumps({**me, "beat": count}))
        except DamagelandError:
            continue  # the line may come back before the lease is over
