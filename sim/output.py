"""What an output folder promises, and how it is kept: claims, locks, checksums and the check of a finished set.

A shard is done when its tar exists and agrees with the checksum in ``shard-000000.tar.sha256``, which is written after
the tar has taken its name. So a driver killed at any moment loses unfinished shards only, and a damaged tar is never
trusted. ``checksums`` covers the finished folder; both are in the format of ``sha256sum -c``.
"""

import fcntl
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import yaml

from .check import ShardReport, check_links, check_manifest, check_shard
from .datacard import CARD_FILES, write_card
from .errors import DamagelandError
from .files import checksum_line, parse_checksums
from .lease import PREFIX as LEASES
from .lease import lease
from .manifest import Row, capture_row, manifest_table, read_table, refuse_duplicates, write_manifest
from .shards import header_of, read_members, shard_name, shard_paths
from .store import File, Source, Store, as_file, as_store

TIMED_SHARDS = 3
"""Shards in which a check without pixels times the decoding of a few captures."""
LOCK_FILE = "recipe.lock.yaml"
LOCK_FORMAT = 1
"""Version of the output folder, in the lock; a folder of a newer one is refused."""
CHECKSUMS = "checksums"
DERIVED_FILES = ("manifest.parquet", "manifest.csv", *CARD_FILES)
VERIFYING_THREADS = 4
"""Hashing lets go of the interpreter, and object stores answer several requests at once."""
READ_AHEAD_SHARDS = 32
T = TypeVar("T")


# Claims and locks


def claim_output(out: Source, lock_text: str) -> None:
    """Make the folder this recipe's, by writing ``recipe.lock.yaml``; another recipe's or a foreign folder is an error.

    The same recipe may claim a folder again, to resume.
    """
    store = as_store(out)
    store.make()
    names = store.names()
    others = [name for name in names if name not in (LOCK_FILE, ".lock") and not name.startswith(LEASES)]
    lock = store / LOCK_FILE
    if LOCK_FILE not in names and others:
        raise DamagelandError(
            f"{store} holds {others[0]!r} but no {LOCK_FILE}: it is not an output of damageland; "
            "choose an empty or new folder"
        )
    if LOCK_FILE not in names and lock.create(lock_text):
        return
    held = lock.read_text()
    if held == lock_text:
        return
    before, now = _mapping(held), _mapping(lock_text)
    _refuse_newer(store, before)
    raise DamagelandError(
        f"{store} holds the run of another recipe, or of this one before it was edited; choose another folder, undo "
        f"the edit, or delete the folder. What differs:\n{_changes(before, now)}"
    )


def _mapping(text: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        found = None
    return found if isinstance(found, dict) else {"recipe.lock.yaml": text[:80]}


def _refuse_newer(store: Store, lock: Mapping[str, Any]) -> None:
    known = lock.get("format", LOCK_FORMAT)
    if isinstance(known, int) and known > LOCK_FORMAT:
        raise DamagelandError(
            f"{store} was written by a newer damageland (format {known}, this one knows {LOCK_FORMAT}): "
            "update damageland, or choose another folder"
        )


def _changes(held: Mapping[str, Any], wanted: Mapping[str, Any], *, limit: int = 20) -> str:
    before, now = dict(_leaves(held)), dict(_leaves(wanted))
    lines = []
    # What has another value says more than what is there on one side only.
    for key in sorted(before.keys() | now.keys(), key=lambda key: ((key in before) != (key in now), key)):
        old, new = before.get(key, "nothing"), now.get(key, "nothing")
        if old != new:
            lines.append(f"  {key}: {old} in the folder, {new} now")
    more = [f"  … and {len(lines) - limit} more"] if len(lines) > limit else []
    return "\n".join(lines[:limit] + more)


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict | list) and value:
        for name, element in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(element, f"{key}.{name}" if key else str(name))
    else:
        yield key, repr(value)


@contextmanager
def output_lock(out: Source, *, shared: bool = False) -> Iterator[None]:
    """Hold an output against other drivers; single-shard jobs share it.

    On a local folder the system frees the lock when a process dies. On an object store a driver holds a lease, and
    single-shard jobs need none: whoever writes a shard, its bytes are the same.
    """
    store = as_store(out)
    folder = store.local
    if folder is None:
        with nullcontext() if shared else lease(store):
            yield
        return
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DamagelandError(f"{out} is being written by another damageland: wait for it or stop it") from None
        yield


# Which shards are done


def sidecar_name(shard: str) -> str:
    """Name of the file that records a shard's checksum."""
    return f"{shard}.sha256"


def record_shard(shard: File | Path, digest: str | None = None) -> None:
    """Record the checksum of a finished shard: from now on it counts as done."""
    file = as_file(shard)
    (file.store / sidecar_name(file.name)).write(checksum_line(digest or file.sha256(), file.name))


def recorded_digest(file: File) -> str | None:
    """Checksum recorded beside a shard, or None."""
    sidecar = file.store / sidecar_name(file.name)
    return parse_checksums(sidecar.read_text()).get(file.name) if sidecar.is_file() else None


def shard_is_done(shard: File | Path, *, trust: bool = False) -> bool:
    """Whether the tar is there and has the recorded checksum; with ``trust`` it is not read, only looked for."""
    file = as_file(shard)
    if not file.is_file():
        return False
    recorded = recorded_digest(file)
    return recorded is not None and (trust or recorded == file.sha256())


def pending_shards(out: Source, count: int, *, trust: bool = False) -> list[int]:
    """Numbers of the shards that are missing or damaged; reads every tar to be sure, unless told to trust them."""
    store = as_store(out)
    names = set(store.names())

    def is_done(k: int) -> bool:
        name = shard_name(k)
        if name not in names or sidecar_name(name) not in names:
            return False
        return trust or shard_is_done(store / name)

    with ThreadPoolExecutor(VERIFYING_THREADS) as threads:
        return [k for k, done in enumerate(threads.map(is_done, range(count))) if not done]


# The end of a run


def finish(out: Source, count: int) -> None:
    """Derive manifest, data card and checksums from the shards; a folder that is finished and sound is left untouched.

    Nothing written depends on the clock, so the same shards give the same bytes.
    """
    store = as_store(out)
    with output_lock(store):
        expected = [shard_name(k) for k in range(count)]
        found = [file.name for file in shard_paths(store)]
        if found != expected:
            odd = sorted(set(found) ^ set(expected))
            raise DamagelandError(f"{store} should hold {count} shards, but {odd} are missing or too many")
        names = [*expected, *DERIVED_FILES] + [LOCK_FILE] * (store / LOCK_FILE).is_file()
        if (store / CHECKSUMS).is_file() and not verify_checksums(store, required=names):
            return
        digests: dict[str, str] = {}
        table = manifest_table(_rows(store, expected, digests))
        damaged = [name for name, digest in digests.items() if not digest]
        if damaged:
            raise DamagelandError(f"{store}: shards {damaged} are unfinished or damaged: run the same command again")
        refuse_duplicates(store, table)
        write_manifest(store, table)
        write_card(store, table)
        lines = [checksum_line(digests.get(name) or (store / name).sha256(), name) for name in sorted(names)]
        (store / CHECKSUMS).write("".join(lines))


def _rows(store: Store, names: Sequence[str], digests: dict[str, str]) -> Iterator[Row]:
    """Read every shard once: yield its manifest rows, and note its checksum, empty unless it is the recorded one."""
    for name, (rows, digest) in zip(names, _each(store, _rows_and_digest, names), strict=True):
        digests[name] = digest
        yield from rows


def _rows_and_digest(file: File) -> tuple[list[Row], str]:
    """Rows of one shard and its checksum, which is empty if it is not the recorded one."""
    digest = hashlib.sha256()
    try:
        rows = [capture_row(header_of(file, m), file.name, m.span) for m in read_members(file, digest=digest)]
    except DamagelandError:
        if shard_is_done(file):  # then it was made so, and making it again will not help
            raise
        return [], ""
    return rows, digest.hexdigest() if recorded_digest(file) == digest.hexdigest() else ""


def _each(store: Store, work: Callable[[File], T], names: Sequence[str]) -> Iterator[T]:
    """Do something with each file, in order; on a network with several at once, since waiting costs more than work."""
    files = [store / name for name in names]
    if store.local is not None:
        yield from map(work, files)
        return
    with ThreadPoolExecutor(VERIFYING_THREADS) as threads:
        for start in range(0, len(files), READ_AHEAD_SHARDS):  # results of a million shards do not pile up
            yield from threads.map(work, files[start : start + READ_AHEAD_SHARDS])


def verify_checksums(out: Source, *, required: Sequence[str] = (), known: Mapping[str, str] | None = None) -> list[str]:
    """Problems of the files that ``checksums`` covers: missing, changed, or (of those required) not covered.

    ``known`` are checksums of files that have been read already.
    """
    store = as_store(out)
    path = store / CHECKSUMS
    if not path.is_file():
        return [f"{path} is missing: the run did not finish; run the same command again"]
    recorded = parse_checksums(path.read_text())
    present = set(store.names())
    problems = [f"{path} does not cover {name}" for name in required if name not in recorded]
    for name, digest in recorded.items():
        if name in (".", "..") or Path(name).name != name:
            problems.append(f"{path} names {name!r}, which is not a file of this folder")
        elif name not in present:
            problems.append(f"{(store / name).url} is missing")
        elif ((known or {}).get(name) or (store / name).sha256()) != digest:
            problems.append(f"{(store / name).url} has changed since it was written (checksum differs)")
    return problems


# The check of a finished set


@dataclass(frozen=True)
class Inspection:
    """What the check of a data set found."""

    problems: tuple[str, ...]
    """In words; none if it keeps every promise."""
    bad_shards: tuple[str, ...]
    """Those that `damageland render` makes again."""
    captures: int
    shards: int
    bytes_read: int
    seconds: float
    full_seconds: float
    """How long the check takes with pixels: measured, or foretold from a few captures."""


def check(out: Source, *, pixels: bool = True) -> list[str]:
    """All problems of a finished output folder, in words; empty if it keeps every promise."""
    return list(inspect(out, pixels=pixels).problems)


def inspect(
    out: Source, *, pixels: bool = True, tell: Callable[[int, int], None] = lambda done, total: None
) -> Inspection:
    """Check a finished data set: checksums, counts, sizes, value ranges, manifest, links, and with pixels every image.

    ``tell`` is called after each shard with the number of shards done and in all.
    """
    start = time.perf_counter()
    store = as_store(out)
    paths = shard_paths(store)
    if (store / LOCK_FILE).is_file():
        _refuse_newer(store, _mapping((store / LOCK_FILE).read_text()))
    names = {path.name for path in paths}
    problems = [f"{store} lacks {shard_name(k)}" for k in range(len(paths)) if shard_name(k) not in names]
    digests, bad, decode_s = dict[str, str](), list[str](), list[float]()
    timed = {path.name for path in paths[:TIMED_SHARDS]}

    def look(file: File) -> tuple[ShardReport, str | None]:
        return check_shard(file, pixels=pixels, time_pixels=file.name in timed), recorded_digest(file)

    def rows() -> Iterator[Row]:
        looks = _each(store, look, [path.name for path in paths])
        for i, (path, (report, recorded)) in enumerate(zip(paths, looks, strict=True)):
            digests[path.name] = report.digest
            if report.digest == "" or recorded != report.digest:
                bad.append(path.name)
                how = "is damaged" if recorded else "has no checksum beside it"
                problems.append(f"{path.name} {how}: run `damageland render` again to make it anew")
            yield from report.rows
            problems.extend(report.problems)
            decode_s.extend([report.decode_s] * (report.decode_s > 0))
            tell(i + 1, len(paths))

    table = manifest_table(rows())
    problems += verify_checksums(store, required=[path.name for path in paths], known=digests)
    problems += _check_tables(store, table) + [f"{store} holds no captures"] * (not table.num_rows)
    seconds = time.perf_counter() - start
    per_capture = sum(decode_s) / len(decode_s) if decode_s else 0.0
    full = seconds if pixels else seconds + per_capture * table.num_rows
    size = sum(size for name, size in store.sizes().items() if name in names)
    return Inspection(tuple(problems), tuple(bad), table.num_rows, len(paths), size, seconds, full)


def _check_tables(store: Store, given: pa.Table) -> list[str]:
    try:
        refuse_duplicates(store, given)
        return check_manifest(store, given, read_table(store / "manifest.parquet")) + check_links(given)
    except DamagelandError as error:
        return [str(error)]
