"""What an output folder promises, and how it is kept: claims, locks, checksums and the check of a finished set.

A shard is done when its tar exists and agrees with the checksum in ``shard-000000.tar.sha256``, which is written after
the tar has taken its name. So a driver killed at any moment loses unfinished shards only, and a damaged tar is never
trusted. ``checksums`` covers the finished folder; both are in the format of ``sha256sum -c``.
"""

import difflib
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from .capture import Capture, View
from .datacard import CARD_FILES, write_card
from .errors import DamagelandError
from .files import TEMPORARY, checksum_line, create_exclusive, parse_checksums, sha256_of, write_atomic
from .manifest import Row, csv_agrees, manifest_rows, manifest_table, read_manifest, write_manifest
from .scene import KINDS, SURFACES
from .shards import read_shard, shard_path, shard_paths

LOCK_FILE = "recipe.lock.yaml"
CHECKSUMS = "checksums"
DERIVED_FILES = ("manifest.parquet", "manifest.csv", *CARD_FILES)


def claim_output(out: Path, lock_text: str) -> None:
    """Make the folder this recipe's, by writing ``recipe.lock.yaml``; another recipe's or a foreign folder is an error.

    The same recipe may claim a folder again, to resume.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        others = [p.name for p in out.iterdir() if p.name not in (LOCK_FILE, ".lock") and p.suffix != TEMPORARY]
        lock = out / LOCK_FILE
        if not lock.exists() and others:
            raise DamagelandError(
                f"{out} holds {sorted(others)[0]!r} but no {LOCK_FILE}: it is not an output of damageland; "
                "choose an empty or new folder"
            )
        if create_exclusive(lock, lock_text):
            return
        held = lock.read_text()
    except OSError as error:
        raise DamagelandError(f"cannot write to the output folder {out}: {error}") from None
    if held != lock_text:
        raise DamagelandError(
            f"{out} holds the run of another recipe; choose another folder, or delete it. The recipes differ in:\n"
            + _short_diff(held, lock_text)
        )


def _short_diff(held: str, wanted: str, *, limit: int = 20) -> str:
    lines = difflib.unified_diff(held.splitlines(), wanted.splitlines(), "in the folder", "wanted", lineterm="", n=0)
    shown = list(lines)
    more = [f"… and {len(shown) - limit} more lines"] if len(shown) > limit else []
    return "\n".join(shown[:limit] + more)


@contextmanager
def output_lock(out: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the folder against other drivers; single-shard jobs share it. The system frees it when a process dies."""
    with (out / ".lock").open("a") as file:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DamagelandError(f"{out} is being written by another damageland: wait for it or stop it") from None
        yield


def sidecar_path(shard: Path) -> Path:
    """Where a shard's checksum is recorded."""
    return shard.with_name(shard.name + ".sha256")


def record_shard(shard: Path) -> None:
    """Record the checksum of a finished shard: from now on it counts as done."""
    write_atomic(sidecar_path(shard), checksum_line(sha256_of(shard), shard.name))


def shard_is_done(shard: Path) -> bool:
    """Whether the tar is there and has the recorded checksum."""
    sidecar = sidecar_path(shard)
    if not (shard.is_file() and sidecar.is_file()):
        return False
    return parse_checksums(sidecar.read_text(errors="replace")).get(shard.name) == sha256_of(shard)


def pending_shards(out: Path, count: int) -> list[int]:
    """Numbers of the shards that are missing or damaged; reads every tar to be sure."""
    return [k for k in range(count) if not shard_is_done(shard_path(out, k))]


def finish(out: Path, count: int) -> None:
    """Derive manifest, data card and checksums from the shards; a folder that is finished and sound is left untouched.

    Nothing written depends on the clock, so the same shards give the same bytes.
    """
    with output_lock(out):
        expected = [shard_path(out, k).name for k in range(count)]
        found = [path.name for path in shard_paths(out)]
        if found != expected:
            odd = sorted(set(found) ^ set(expected))
            raise DamagelandError(f"{out} should hold {count} shards, but {odd} are missing or too many")
        names = [*expected, *DERIVED_FILES] + [LOCK_FILE] * (out / LOCK_FILE).exists()
        if (out / CHECKSUMS).is_file() and not verify_checksums(out, required=names):
            return
        damaged = pending_shards(out, count)
        if damaged:
            raise DamagelandError(f"{out}: shards {damaged} are unfinished or damaged: run the same command again")
        rows = manifest_rows(out)
        write_manifest(out, rows)
        write_card(out, rows)
        write_atomic(out / CHECKSUMS, "".join(checksum_line(sha256_of(out / name), name) for name in sorted(names)))


def verify_checksums(out: Path, *, required: list[str] | None = None) -> list[str]:
    """Problems of the files that ``checksums`` covers: missing, changed, or (of those required) not covered."""
    path = out / CHECKSUMS
    if not path.is_file():
        return [f"{path} is missing: the run did not finish; run the same command again"]
    recorded = parse_checksums(path.read_text(errors="replace"))
    problems = [f"{path} does not cover {name}" for name in required or [] if name not in recorded]
    for name, digest in recorded.items():
        if Path(name).name != name:
            problems.append(f"{path} names {name!r}, which is not a file of this folder")
        elif not (out / name).is_file():
            problems.append(f"{out / name} is missing")
        elif sha256_of(out / name) != digest:
            problems.append(f"{out / name} has changed since it was written (checksum differs)")
    return problems


# The check of a finished set


def check(out: Path) -> list[str]:
    """All problems of a finished output folder, in words; empty if it keeps every promise of contract C3."""
    paths = shard_paths(out)
    problems = [f"{out} lacks {shard_path(out, k).name}" for k in range(len(paths)) if not shard_path(out, k).is_file()]
    problems += verify_checksums(out, required=[path.name for path in paths])
    captures = 0
    for path in paths:
        try:
            for capture in read_shard(path):
                captures += 1
                problems += [f"{path.name}: capture {capture.capture_id}: {text}" for text in check_capture(capture)]
        except DamagelandError as error:
            problems.append(str(error))
    try:
        rows, recorded = manifest_table(manifest_rows(out)).to_pylist(), read_manifest(out)
        problems += _check_manifest(out, rows, recorded) + _check_links(rows)
    except DamagelandError as error:
        problems.append(str(error))
    return problems + [f"{out} holds no captures"] * (captures == 0)


def check_capture(capture: Capture) -> list[str]:
    """Problems of one capture's labels and images."""
    problems = [text for view in capture.views for text in _check_view(view)]
    if not capture.views:
        problems.append("has no views")
    labelled = [view.damage for view in capture.views if view.damage is not None]
    if capture.origin != "synthetic" or not labelled:
        return problems
    bits = int(np.bitwise_or.reduce([np.bitwise_or.reduce(image, axis=None) for image in labelled]))
    shown = {kind for i, kind in enumerate(KINDS) if bits >> i & 1}
    if capture.defect and not set(capture.defect_types) <= shown:
        problems.append(f"is labelled {capture.defect_types}, but its damage images show {sorted(shown)}")
    if capture.role != "query" and (shown or capture.defect):
        problems.append(f"is a pristine {capture.role}, but shows damage {sorted(shown)}")
    return problems


def _check_view(view: View) -> list[str]:
    problems = []
    for name in ("depth", "item", "part", "damage"):
        image = getattr(view, name)
        if image is not None and image.shape != view.rgb.shape[:2]:
            problems.append(f"{name} of camera {view.camera} has shape {image.shape}, rgb {view.rgb.shape[:2]}")
    if view.damage is not None and view.damage.max(initial=0) >= 1 << len(KINDS):
        problems.append(f"damage of camera {view.camera} has bits beyond the {len(KINDS)} kinds")
    if view.part is not None and (view.part % 8).max(initial=0) >= len(SURFACES):
        problems.append(f"part of camera {view.camera} names a surface beyond {SURFACES}")
    if view.rgb.size and view.rgb.min() == view.rgb.max():
        problems.append(f"rgb of camera {view.camera} is one flat colour")
    return problems


def _check_manifest(out: Path, rows: list[Row], recorded: list[Row]) -> list[str]:
    problems = []
    if len(rows) != len(recorded):
        problems.append(f"manifest.parquet has {len(recorded)} rows, the shards hold {len(rows)} captures")
    for row, other in zip(rows, recorded, strict=False):
        wrong = [name for name, value in other.items() if row.get(name) != value]
        if wrong:
            problems.append(f"manifest.parquet disagrees with capture {row['capture_id']} in {wrong}")
    return problems if csv_agrees(out) else [*problems, "manifest.csv and manifest.parquet have different rows"]


def _check_links(rows: list[Row]) -> list[str]:
    items = {row["capture_id"]: row["item_identifier"] for row in rows}
    problems = []
    for row in rows:
        links = [row["twin_id"]] * bool(row["twin_id"]) + [link for link in row["reference_ids"].split(",") if link]
        for link in links:
            if link not in items:
                problems.append(f"capture {row['capture_id']} links to {link}, which is not in this set")
            elif items[link] != row["item_identifier"]:
                problems.append(f"capture {row['capture_id']} links to {link}, which shows another product")
    return problems
