"""What every engine does with a shard, in whatever process: make it, publish it, and tell in few words how it went."""

import fcntl
import importlib.metadata
import os
import shutil
import socket
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from .check import check_shard
from .errors import DamagelandError, StorageError
from .output import record_shard
from .shards import shard_name, shard_path
from .store import NO_SPACE, Store, as_file

MakeShard = Callable[[int, Path], None]
"""``make_shard(k, out)`` writes ``shard_path(out, k)`` in a local folder, whole or not at all.

It must be picklable: a ``functools.partial`` of a top-level function."""

SCRATCH = "damageland-shard-"

_count: Callable[[], None] | None = None  # in a worker: where finished captures are counted


@dataclass(frozen=True)
class Task:
    """All that a worker needs to make any shard of a run."""

    make_shard: MakeShard
    store: Store
    version: str
    """Of the driver's damageland: another one's bytes might differ."""


@dataclass(frozen=True)
class Told:
    """How one try at a shard went: small, since it travels."""

    k: int
    worker: str
    """Host and process."""
    seconds: float
    trouble: str = ""
    """Empty if the shard is made and recorded."""
    cause: str = ""
    """The trouble in a word or two, to count by."""
    again: bool = True
    """Whether it is worth another try."""
    fatal: bool = False
    """Whether every other shard would fare the same: a full disk, missing rights."""
    blameless: bool = False
    """Whether the shard had no part in it: its node was taken away, its pool broke."""


def worker_name(pid: int = 0) -> str:
    """Host and process of a worker; without a number, of this one."""
    return f"{socket.gethostname()}:{pid or os.getpid()}"


def capture_done() -> None:
    """Tell the driver's progress that one more capture of this worker's shard is made; elsewhere does nothing."""
    if _count is not None:
        _count()


def count_captures_with(count: Callable[[], None] | None) -> None:
    """Say what ``capture_done`` calls in this process."""
    global _count
    _count = count


def own_version() -> str:
    """Version of damageland, and of what else decides the bytes of a shard."""
    names = ("damageland", "numpy", "numba", "opencv-python-headless", "simplejpeg")
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


def try_shard(task: Task, k: int) -> Told:
    """Make a shard and tell how it went, in text, because not every exception can be sent."""
    start = time.monotonic()
    told = Told(k, worker_name(), 0.0)
    try:
        if task.version != own_version():
            raise StorageError(
                f"{socket.gethostname()} has {own_version()}, the driver {task.version}: shards could differ. "
                "Install the same versions on every node",
                final=True,
            )
        make_and_record(task.make_shard, k, task.store)
    except StorageError as error:
        told = replace(told, trouble=str(error), cause="storage", again=not error.final, fatal=error.final)
    except DamagelandError as error:  # the user's mistake stays one, however often it is tried
        told = replace(told, trouble=str(error), cause="mistake", again=False)
    except Exception as error:
        told = replace(told, trouble=_describe(error), cause=type(error).__name__)
    return replace(told, seconds=time.monotonic() - start)


def _describe(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} (in {frame.name}, {Path(frame.filename).name}:{frame.lineno})"


def make_and_record(make_shard: MakeShard, k: int, store: Store) -> None:
    """Make shard k and record its checksum; elsewhere than in a local folder it is made in a scratch folder first."""
    if store.local is not None:
        if not (store.local / ".lock").exists():
            raise StorageError(f"{socket.gethostname()} does not see {store}: use a shared folder or a URL", final=True)
        path, digest = _make(make_shard, k, store.local)
        record_shard(path, digest)
        return
    with scratch_folder() as folder:
        path, digest = _make(make_shard, k, folder)
        file = store / path.name
        file.publish(path)
        record_shard(file, digest)


def _make(make_shard: MakeShard, k: int, folder: Path) -> tuple[Path, str]:
    """Make a shard in a local folder, and see that it is sound; return its path and checksum."""
    try:
        make_shard(k, folder)
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        raise StorageError(
            f"no room for shard {k} in {folder} ({os.strerror(error.errno)}): free some space and run the same command "
            "again; what is finished is kept",
            final=True,
        ) from None
    path = shard_path(folder, k)
    if not path.is_file():
        raise DamagelandError(f"shard {k}: {shard_name(k)} was not written")
    report = check_shard(as_file(path), pixels=False)  # reads it once, as its checksum needs anyway
    if report.problems:
        path.unlink()
        raise DamagelandError(f"shard {k} is not sound, so it is not kept: {'; '.join(report.problems[:3])}")
    return path, report.digest


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a folder on a local disk for a shard in the making; those of killed processes are removed on the way.

    A folder's owner holds a lock on the file beside it, which the system frees when the process dies.
    """
    root = Path(tempfile.gettempdir())
    _sweep(root)
    with tempfile.NamedTemporaryFile(prefix=SCRATCH, suffix=".held", dir=root) as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        folder = Path(held.name).with_suffix("")
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _sweep(root: Path) -> None:
    for path in root.glob(f"{SCRATCH}*.held"):
        try:
            with path.open("rb") as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.with_suffix("").is_dir():  # before that its owner may not have come to lock it yet
                    shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                    path.unlink(missing_ok=True)
        except OSError:  # held, or another user's, or gone
            continue
