"""Real-IAD: pieces seen by five cameras, in ``realiad_<size>/<category>``, split by ``realiad_jsons``.

A capture is a piece with its views; it is damaged if any view shows an anomaly. The largest pictures that are there are
taken, and the tables of the plain protocol (``realiad_jsons/realiad_jsons``, not ``_sv`` or ``_fuiad``).
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...sim.capture import Capture
from ...sim.errors import DamagelandError
from ..images import inside
from .entry import Captures, Entry, Files, from_files, read_json, refuse_shared, stream

SIZES = ("realiad_1024", "realiad_512", "realiad_256")
TABLES = ("realiad_jsons/realiad_jsons", "realiad_jsons")
NORMAL = "OK"
_CAMERA = re.compile(r"_C(\d+)_")


def realiad_categories(root: Path) -> dict[str, Path]:
    """Categories that have both pictures and a table, with their tables."""
    for tables in TABLES:
        found = {
            path.stem: path
            for path in sorted((root / tables).glob("*.json"))
            if any((root / size / path.stem).is_dir() for size in SIZES)
        }
        if found:
            return found
    return {}


def read_realiad(root: Path, category: str) -> Captures:
    """A category of Real-IAD."""
    table = realiad_categories(root)[category]
    content = read_json(table)
    pictures = next(root / size for size in SIZES if (root / size / category).is_dir())
    pieces: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for split in ("train", "test"):
        rows = content.get(split) if isinstance(content, dict) else None
        if not isinstance(rows, list):
            raise DamagelandError(f"{table}: expected a list under {split!r}")
        for number, row in enumerate(rows):
            if not isinstance(row, dict) or not isinstance(row.get("image_path"), str) or "anomaly_class" not in row:
                raise DamagelandError(f"{table}, {split}[{number}]: expected image_path, mask_path and anomaly_class")
            piece = Path(row["image_path"]).parent.as_posix().removeprefix(f"{category}/")
            pieces.setdefault((piece, split), []).append(row)
    refuse_shared(table, "piece", list(pieces))
    return stream(table, [_piece(table, pictures, category, *key, rows) for key, rows in pieces.items()])


def _piece(
    table: Path, pictures: Path, category: str, piece: str, split: str, rows: Sequence[Mapping[str, Any]]
) -> Entry:
    kinds = tuple(dict.fromkeys(str(row["anomaly_class"]) for row in rows if row["anomaly_class"] != NORMAL))
    label = Capture(
        piece.replace("/", "-"),
        category if split == "train" else None,
        "real",
        (),
        bool(kinds),
        role="reference" if split == "train" else "query",
        split=split,
        attributes={"category": category, "defect_names": kinds},
    )
    views = [_files(f"{table}, {piece}", pictures, category, number, row) for number, row in enumerate(rows)]
    return from_files(label, *sorted(views, key=lambda view: view.camera))


def _files(where: str, pictures: Path, category: str, number: int, row: Mapping[str, Any]) -> Files:
    def found(column: str) -> Path:
        value = str(row.get(column) or "")
        within = value if value.startswith(f"{category}/") else f"{category}/{value}"
        return inside(where, column, pictures, within)

    rgb = found("image_path")
    named = _CAMERA.search(rgb.name)
    damaged = row["anomaly_class"] != NORMAL
    return Files(
        f"C{named[1]}" if named else f"view{number}",
        rgb,
        masks=(found("mask_path"),) if damaged else (),
        intact=not damaged,
    )
