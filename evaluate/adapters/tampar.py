"""TAMPAR: parcels photographed before various backgrounds, some of them damaged, some tampered with.

COCO tables in the root name pictures relative to it; category 1 is a damaged (that is, deformed) box. Polygons outline
*boxes*, not damage: they become silhouettes. What ``tampering_mapping.csv`` lists (tape, labels, writing) is no damage;
such parcels are hard negatives. ``uvmaps/id_XX_uvmap.png`` are the gallery.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...sim.capture import Capture
from ...sim.errors import DamagelandError
from ..folder import read_table
from ..images import inside
from .entry import Captures, Entry, Files, from_files, read_json, stream

DAMAGED = "damaged box"
NAMES = {"normal box", DAMAGED}
SIDES = ("center", "top", "bottom", "left", "right")
_PARCEL = re.compile(r"id_(\d+)")


def tampar_tables(folder: Path) -> list[Path]:
    """COCO tables whose categories are TAMPAR's; other JSON files in the folder are left alone."""
    if not (folder / "uvmaps").is_dir():
        return []
    return [path for path in sorted(folder.glob("*.json")) if set(_categories(read_json(path)).values()) >= NAMES]


def is_tampar(folder: Path) -> bool:
    """Whether a folder is a copy of TAMPAR."""
    return bool(tampar_tables(folder))


def _categories(content: Any) -> dict[int, str]:
    listed = content.get("categories") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        return {}
    return {c["id"]: str(c.get("name")) for c in listed if isinstance(c, dict) and isinstance(c.get("id"), int)}


def _listed(table: Path, content: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    listed = content.get(key)
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise DamagelandError(f"{table}: expected a list of objects under {key!r}")
    return listed


def read_tampar(folder: Path) -> Captures:
    """Test pictures if a table's name says so, else all; then the surfaces of intact parcels as references."""
    tables = tampar_tables(folder)
    tables = [path for path in tables if "test" in path.stem] or tables
    tampered = _tampered(folder / "tampering_mapping.csv")
    entries = [_uvmap(path) for path in sorted((folder / "uvmaps").glob("id_*_uvmap.png"))]
    return stream(folder, [e for path in tables for e in _queries(folder, path, tampered)] + entries)


def _tampered(path: Path) -> dict[int, str]:
    """What was done to each parcel, as words; empty where nothing was, or no table is there."""
    if not path.is_file():
        return {}
    told: dict[int, str] = {}
    for where, row in read_table(path, ("id", *SIDES)):
        if not row["id"].isdecimal():
            raise DamagelandError(f"{where}: id is {row['id']!r}, expected the number of a parcel")
        told[int(row["id"])] = ",".join(dict.fromkeys(row[side] for side in SIDES if row[side]))
    return told


def _queries(folder: Path, table: Path, tampered: Mapping[int, str]) -> list[Entry]:
    content = read_json(table)
    categories, entries = _categories(content), []
    boxes: dict[str, list[Mapping[str, Any]]] = {}
    for annotation in _listed(table, content, "annotations"):
        category = annotation.get("category_id")
        if not isinstance(category, int) or category not in categories:
            raise DamagelandError(f"{table}: annotation {annotation.get('id')!r} is of an unknown category")
        boxes.setdefault(str(annotation.get("image_id")), []).append(annotation)
    for image in _listed(table, content, "images"):
        where = f"{table}, image {image.get('id')!r}"
        path = inside(where, "file_name", folder, str(image.get("file_name", "")))
        found = boxes.get(str(image.get("id")), [])
        if not found:
            continue  # a picture without a box says nothing about damage
        damaged = any(categories[box["category_id"]] == DAMAGED for box in found)
        entries.append(_query(folder, path, damaged, found, tampered))
    return entries


def _query(
    folder: Path, path: Path, damaged: bool, boxes: list[Mapping[str, Any]], tampered: Mapping[int, str]
) -> Entry:
    named = _PARCEL.search(path.stem)
    parcel = int(named[1]) if named else None
    label = Capture(
        path.relative_to(folder).with_suffix("").as_posix().replace("/", "-"),
        None if parcel is None else f"id_{parcel:02d}",
        "real",
        (),
        damaged,
        defect_types=("deformation",) if damaged else (),
        item_material="cardboard",
        split="test",
        session=path.parent.name,
        attributes={"lookalikes": tampered.get(parcel, "") if parcel is not None else ""},
    )
    entry = from_files(label, Files("query", path, intact=not damaged))
    return Entry(label, partial(_outlined, load=entry.load, boxes=boxes, path=path))


def _outlined(label: Capture, *, load: Any, boxes: list[Mapping[str, Any]], path: Path) -> Capture:
    """Draw the polygons as the item."""
    capture = load(label)
    item = np.zeros(capture.views[0].rgb.shape[:2], np.uint8)
    for box in boxes:
        outlines = box.get("segmentation")
        for polygon in outlines if isinstance(outlines, list) else ():
            try:
                points = np.asarray(polygon, dtype=np.float64).reshape(-1)
            except (TypeError, ValueError):
                points = np.zeros(0)
            if len(points) < 6 or len(points) % 2 or not np.isfinite(points).all():
                raise DamagelandError(f"{path}: {polygon!r} outlines nothing; expected x, y of three points at least")
            cv2.fillPoly(item, [np.round(points.reshape(-1, 2)).astype(np.int32)], 1)
    return replace(capture, views=(replace(capture.views[0], item=item),))


def _uvmap(path: Path) -> Entry:
    item = path.stem.removesuffix("_uvmap")
    label = Capture(f"uvmap-{item}", item, "real", (), False, False, item_material="cardboard", role="reference")
    return from_files(label, Files("uvmap", path, intact=True))
