"""Where an export is written: a folder that takes its name only when it is whole."""

import csv
import fcntl
import importlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

import cv2
import numpy as np

from ..errors import DamagelandError
from ..files import sync_folder

PARTIAL = ".partial"
"""Suffix of an export in the making; no finished one bears it."""


@dataclass(frozen=True)
class Target:
    """A folder in the making, and what has gone into it."""

    root: Path
    views: Counter[str] = field(default_factory=Counter)
    """Exported views per split."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Views that the format cannot take, by reason."""

    def write(self, name: str, data: bytes | str) -> None:
        """Write one file; a name that is taken is an error."""
        path = self.path(name)
        try:
            with path.open("xb") as file:
                file.write(data.encode() if isinstance(data, str) else data)
        except FileExistsError:
            raise DamagelandError(f"two captures would both be {name}: rename one of them or export fewer") from None

    def write_png(self, name: str, image: np.ndarray) -> None:
        """Write an image without loss: RGB or one channel, 8 or 16 bits."""
        stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
        ok, data = cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        assert ok
        self.write(name, data.tobytes())

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Write plain values as JSON."""
        self.write(name, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")

    def path(self, name: str) -> Path:
        """Where a file goes; its folder is made."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


@contextmanager
def building(out: Path) -> Iterator[Target]:
    """Build a folder beside its name and rename it when the block ends well; a killed export leaves no such name.

    What a killed one left behind is cleared away by the next export to the same folder.
    """
    if re.match(r"[a-z0-9+]+:/", str(out)):
        raise DamagelandError(f"--out {out}: exports go to local folders; copy them on from there")
    out = out.resolve()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DamagelandError(f"{out} is there already: choose a new folder for --out, or delete it")
    partial = out.with_name(out.name + PARTIAL)
    try:
        partial.mkdir(parents=True, exist_ok=True)
        with (partial.parent / f"{partial.name}.lock").open("w") as lock:
            _hold(lock, out)
            try:
                _clear(partial)
                yield Target(partial)
                os.sync()  # one call for a million files; each of them synced by itself would take hours
                partial.rename(out)
                sync_folder(out.parent)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            finally:
                Path(lock.name).unlink(missing_ok=True)
    except OSError as error:
        raise DamagelandError(f"cannot write the export {out}: {error}") from None


def _hold(lock: TextIO, out: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DamagelandError(f"another export to {out} is running: wait for it or stop it") from None


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


class Records:
    """A JSON array that is written as it grows, so that a million records need no memory."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("w+", encoding="utf-8")
        self.count = 0

    def add(self, record: Mapping[str, Any]) -> None:
        """Append one record."""
        self.file.write((",\n" if self.count else "") + json.dumps(record, ensure_ascii=False, allow_nan=False))
        self.count += 1

    def pour(self, into: TextIO) -> None:
        """Copy the array to a file, and forget it."""
        self.file.seek(0)
        into.write("[")
        shutil.copyfileobj(self.file, into)
        into.write("]")
        self.file.close()
        Path(self.file.name).unlink()


class Table:
    """A CSV file that is written row by row."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.columns = columns
        self.file = path.open("x", encoding="utf-8", newline="")
        self.writer = csv.writer(self.file, lineterminator="\n")
        self.writer.writerow(columns)

    def close(self) -> None:
        """No more rows."""
        self.file.close()

    def add(self, row: Mapping[str, Any]) -> None:
        """Append one row; it must have all columns."""
        self.writer.writerow([row[name] for name in self.columns])


def need(module: str, format_name: str) -> ModuleType:
    """Import what only one format needs."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise DamagelandError(
            f"format {format_name} needs {package} ({error}): pip install 'damageland[export]'"
        ) from None
