"""Tars as streams: members in order, from a disk or a network, and nothing that a shard does not hold.

Blocks are walked here, because Python's reader takes a broken header for the end of the file, and because it is slow.
"""

import io
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import DamagelandError
from .store import File, as_file

_ZEROS = bytes(tarfile.BLOCKSIZE)
_MEMBER = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+")


def read_tar(path: File | Path, *, headers_only: bool = False, digest: Any = None) -> Iterator[tuple[str, bytes, int]]:
    """Read (name, data, where the member ends) of an uncompressed tar, from front to back.

    With ``headers_only`` what is no JSON is skipped, and its data empty. ``digest`` is a hash of hashlib that is fed
    the whole file on the way. A truncated, damaged or hostile tar is an error, never fewer members.
    """
    file = as_file(path)
    try:
        with file.open() as stream:
            size = stream.seek(0, io.SEEK_END)
            stream.seek(0)
            yield from _walk(file, stream, size, headers_only, digest)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise DamagelandError(f"{file} is not a whole tar ({error}): delete it and render it again") from None


def _walk(
    file: File, stream: io.BufferedReader, size: int, headers_only: bool, digest: Any
) -> Iterator[tuple[str, bytes, int]]:
    at = 0

    def take(count: int, what: str) -> bytes:
        nonlocal at
        if at + count > size:  # asked before reading, since a false size could ask for more memory than there is
            raise DamagelandError(f"{file} is truncated or damaged at byte {at} ({what}): render it again")
        data = stream.read(count)
        at += count
        if digest is not None:
            digest.update(data)
        return data

    while (block := take(tarfile.BLOCKSIZE, "a header is missing")) != _ZEROS:
        name, count, kind = parse_block(block)
        padded = -(-count // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        if kind in (tarfile.XHDTYPE, tarfile.XGLTYPE):  # dates and the like, from other writers
            _refuse_renaming(file, take(padded, "a header ends early"))
            continue
        if kind not in tarfile.REGULAR_TYPES or kind == tarfile.GNUTYPE_SPARSE or not _MEMBER.fullmatch(name):
            raise DamagelandError(
                f"{file}: refused member {name!r}: a shard holds plain files, no folders, links or '..'"
            )
        if headers_only and not name.endswith(".json"):
            stream.seek(padded, io.SEEK_CUR)
            at += padded
            yield name, b"", at
        else:
            data = take(padded, f"{name} ends early")[:count]
            yield name, data, at
    start = at - tarfile.BLOCKSIZE
    rest = take(max(size - at, tarfile.BLOCKSIZE), "its end is missing")
    if any(rest):
        raise DamagelandError(f"{file} is truncated or damaged at byte {start}: delete it and render it again")


def parse_block(block: bytes) -> tuple[str, int, bytes]:
    """Name, size and type in a header block of a tar; ValueError if its checksum or its numbers are wrong.

    Only ustar's own fields: no prefix for long names, which no member of ours has, and so no way to smuggle one in.
    """
    found = sum(block) - sum(block[148:156]) + 8 * ord(" ")
    if int(block[148:156].rstrip(b" \0") or b"0", 8) != found:
        raise ValueError("bad checksum")
    if block[257:262] == b"ustar" and block[345] != 0 and block[257:265] != b"ustar  \0":
        raise ValueError("a name too long for a shard")
    size = int(block[124:136].strip(b" \0") or b"0", 8)
    if size < 0:
        raise ValueError("a size below 0")
    return block[:100].partition(b"\0")[0].decode("utf-8", "surrogateescape"), size, block[156:157]


def _refuse_renaming(file: File, extended: bytes) -> None:
    """Extended headers may change a member's name, size or kind: those are refused, others say nothing of interest."""
    if re.search(rb"\d+ (path|linkpath|size|GNU\.sparse[^=]*)=", extended):
        raise DamagelandError(f"{file}: refused an extended header that renames or resizes a member")
