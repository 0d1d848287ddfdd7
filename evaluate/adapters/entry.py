"""What all adapters share: a capture's labels first, its pictures when its turn comes, and checks over a whole set."""

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...sim.capture import Capture, Role, View
from ...sim.errors import DamagelandError
from ..images import as_damage, check_sizes, read_marks, read_rgb

ROLES: tuple[Role, ...] = ("query", "twin", "reference")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp")


@dataclass(frozen=True)
class Entry:
    """A capture without its views, and how to get them."""

    label: Capture
    load: Callable[[Capture], Capture]
    """The label with its views, read when the capture's turn comes."""


@dataclass(frozen=True)
class Files:
    """Files of one view; None where the source has none."""

    camera: str
    rgb: Path
    masks: tuple[Path, ...] = ()
    """Where any of them is not 0, there is damage."""
    values: Mapping[int, str] | None = None
    """Names of all values that the masks may hold; None if they are free."""
    intact: bool = False
    """Whether the whole view is known to show no damage, so that no mask is needed."""
    depth: Callable[[], np.ndarray] | None = None
    depth_path: Path | None = None
    K: np.ndarray | None = None
    """Intrinsics of a picture that is ``K_width`` wide."""
    K_width: int | None = None
    item: Path | None = None
    """Silhouette of the item."""


def from_files(label: Capture, *files: Files) -> Entry:
    """An entry whose views are read from files."""
    return Entry(label, partial(_load, files=files))


def _load(label: Capture, *, files: Sequence[Files]) -> Capture:
    return replace(label, views=tuple(_view(label, file) for file in files))


def _view(label: Capture, files: Files) -> View:
    rgb = read_rgb(files.rgb)
    others: dict[Path, np.ndarray] = {}
    depth = damage = item = None
    if files.depth is not None and files.depth_path is not None:
        others[files.depth_path] = depth = files.depth()
    if files.masks:
        marks = {path: read_marks(path, files.values) for path in files.masks}
        check_sizes(label.capture_id, files.rgb, rgb, marks)
        damage = as_damage(np.any(list(marks.values()), axis=0), label.defect_types)
    elif files.intact:
        damage = np.zeros(rgb.shape[:2], np.uint8)
    if files.item is not None:
        others[files.item] = item = read_marks(files.item).astype(np.uint8)
    check_sizes(label.capture_id, files.rgb, rgb, others)
    K = files.K
    if K is not None and files.K_width is not None:
        K = np.diag([rgb.shape[1] / files.K_width, rgb.shape[1] / files.K_width, 1.0]) @ K
    return View(camera=files.camera, rgb=rgb, K=K, depth=depth, damage=damage, item=item)


# Whole sets


@dataclass(frozen=True)
class Captures:
    """A set whose labels are checked; pictures are read as captures are asked for, queries first."""

    names: tuple[str, ...]
    """Of the queries."""
    of: Callable[[Collection[Role]], Iterator[Capture]]
    """Captures of some roles; the others' pictures are left unread."""

    def __iter__(self) -> Iterator[Capture]:
        return self.of(ROLES)


def stream(where: Path, entries: Sequence[Entry]) -> Captures:
    """Check the labels of a set, then yield its captures, queries first; pictures are read as they are asked for."""
    names: set[str] = set()
    for entry in entries:
        if entry.label.capture_id in names:
            raise DamagelandError(f"{where}: two captures are named {entry.label.capture_id!r}; names must be unique")
        names.add(entry.label.capture_id)
    labels = [entry.label for entry in entries if entry.label.role == "query"]
    if not labels:
        raise DamagelandError(f"{where} holds no pictures to measure on")
    require_intact(where, [label.defect for label in labels])
    ordered = sorted(entries, key=lambda entry: entry.label.role == "reference")

    def of(roles: Collection[Role]) -> Iterator[Capture]:
        return (entry.load(entry.label) for entry in ordered if entry.label.role in roles)

    return Captures(tuple(label.capture_id for label in labels), of)


def require_intact(where: Path, defects: Sequence[bool | None]) -> None:
    """Refuse a set whose labels are all damaged."""
    known = [defect for defect in defects if defect is not None]
    if known and all(known):
        raise DamagelandError(
            f"{where}: all {len(known)} labelled captures are damaged; without intact ones neither false alarms nor "
            "any ranking can be measured, so add some, or the part of the set that holds them"
        )


def refuse_shared(where: Path, of: str, pairs: Sequence[tuple[str, str]]) -> None:
    """Refuse a set of (thing, split) in which a thing is in two splits."""
    splits: dict[str, str] = {}
    for thing, split in pairs:
        if splits.setdefault(thing, split) != split:
            raise DamagelandError(
                f"{where}: {of} {thing!r} is in both {splits[thing]} and {split}: what training may see must not be "
                "tested on, so the split is unfit; mend the tables"
            )


def pictures_in(folder: Path) -> list[Path]:
    """Pictures directly in a folder, by name; none if it is not there."""
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in PICTURES and not path.name.startswith(".")
    )


def subfolders(folder: Path) -> list[Path]:
    """Folders directly in a folder, by name; none if it is not there."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def read_json(path: Path) -> Any:
    """Content of a JSON file; NaN, which some sets write, comes as None."""
    try:
        return json.loads(path.read_bytes(), parse_constant=lambda _: None)
    except (OSError, ValueError, RecursionError) as error:
        raise DamagelandError(f"{path} is not readable JSON: {error}") from None


def missing(path: Path, needed_by: Path | str) -> DamagelandError:
    """The error of a file that is not there."""
    return DamagelandError(f"{path} does not exist, and {needed_by} needs it: the copy of the set is incomplete")


def is_nan(value: Any) -> bool:
    """Whether a cell of a table is empty in one of the ways that tables have."""
    return value is None or (isinstance(value, float) and math.isnan(value))
