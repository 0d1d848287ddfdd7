"""Files that are whole or absent: every output is written beside its final name, synced to disk, then renamed."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import UInt8

from .errors import DamagelandError

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")
TEMPORARY = ".tmp"
"""Suffix of files in the making; no finished file ever bears it."""


@contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes its name only when the block ends without an error, after its bytes reached the disk."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@runtime_checkable
class Openable(Protocol):
    """A path, or a file of a store."""

    def open(self, mode: str, /) -> Any:
        """Open it."""
        ...


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a whole file atomically; a file that already holds these bytes is left untouched, its date included."""
    data = content.encode() if isinstance(content, str) else content
    if path.is_file() and path.read_bytes() == data:
        return
    with atomic_writer(path) as file:
        file.write(data)


def create_exclusive(path: Path, content: str) -> bool:
    """Write a whole file atomically unless the name is taken; return whether it was free.

    Of several processes that try at once, one wins and the others see the winner's whole file.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    with temporary.open("xb") as file:
        file.write(content.encode())
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if path.exists():
            return False
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def sync_folder(folder: Path) -> None:
    """Make a rename in this folder survive a power cut; file systems that cannot sync a folder are left alone."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_temporaries(folder: Path) -> None:
    """Delete what killed writers left behind."""
    for path in folder.glob(f"*{TEMPORARY}"):
        path.unlink(missing_ok=True)


def sha256_of(path: Openable) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksum_line(digest: str, name: str) -> str:
    """One line as ``sha256sum`` writes it and ``sha256sum -c`` reads it."""
    return f"{digest}  {name}\n"


def parse_checksums(text: str) -> dict[str, str]:
    """Read lines of ``sha256sum`` into {name: digest}; lines that are none are skipped, and so count as missing."""
    parts = (line.split("  ", 1) for line in text.splitlines())
    return {part[1]: part[0] for part in parts if len(part) == 2}


def check_picture_path(path: Path) -> None:
    """Refuse a name that no picture can be written under, before any work is done for it."""
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise DamagelandError(f"{path}: expected a name that ends in {', '.join(PICTURE_SUFFIXES)}.")
    if not path.parent.is_dir():
        raise DamagelandError(f"{path}: there is no folder {path.parent}. Make it first.")


def write_picture(path: Path, rgb: UInt8[np.ndarray, "h w 3"]) -> None:
    """Write an sRGB picture atomically, as PNG or JPEG by its suffix."""
    check_picture_path(path)
    options = [cv2.IMWRITE_JPEG_QUALITY, 88] if path.suffix.lower() != ".png" else [cv2.IMWRITE_PNG_COMPRESSION, 6]
    _, data = cv2.imencode(path.suffix.lower(), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    write_atomic(path, data.tobytes())
