"""Kaputt 1 and 2: tables of queries and references, and folders of pictures, crops and silhouettes.

Tables lie in ``datasets/`` or in the root; what they name lies under the root (as the challenge has it) or under
``query-image/`` and so on (as downloads unpack). Kinds are separated by commas, or a list literal. ``query_mask`` is
the *silhouette of the item*: it becomes ``item``, never damage, and no masks of damage exist. A capture whose crop is
less than 200 pixels wide or high is in the stratum ``small crop``, since some labels depend on that; results are told
with and without.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
from PIL import Image, UnidentifiedImageError

from ...sim.capture import Capture
from ...sim.errors import DamagelandError
from ...sim.files import sha256_of
from ..folder import parse_types
from ..images import inside
from .entry import Captures, Entry, Files, from_files, is_nan, refuse_shared, stream

SPLITS = ("test", "validation", "train", "sample")
SMALL_PX = 200
SMALL = "small crop"
REQUIRED = ("capture_id", "item_identifier", "query_image")
Row = Mapping[str, Any]


def kaputt_tables(root: Path) -> dict[str, Path]:
    """Tables of queries by split, in the order of ``SPLITS``."""
    folders = (root / "datasets", root, root / "sample-data")
    found = {}
    for split in SPLITS:
        for path in (folder / f"query-{split}.parquet" for folder in folders):
            if path.is_file():
                found.setdefault(split, path)
    return found


def is_kaputt(folder: Path) -> bool:
    """Whether a folder is a copy of Kaputt."""
    return bool(kaputt_tables(folder))


def read_kaputt(root: Path) -> Captures:
    """The test split, or the first that has labels; references of its items are the gallery."""
    tables = {split: (path, read_parquet(path, REQUIRED)) for split, path in kaputt_tables(root).items()}
    shared = [(str(row["item_identifier"]), split) for split, (_, rows) in tables.items() for row in rows]
    refuse_shared(root, "item", [pair for pair in shared if pair[1] != "sample"])
    split, (path, rows) = _measured(tables)
    items = {str(row["item_identifier"]) for row in rows}
    gallery = [_reference(row, split) for row in _reference_rows(root, path, split, items)]
    by_item: dict[str, tuple[str, ...]] = {}
    for reference in gallery:
        item = reference.label.item_identifier or ""
        by_item[item] = (*by_item.get(item, ()), reference.label.capture_id)
    queries = [_query(root, f"{path}, row {n}", row, split, by_item) for n, row in enumerate(rows)]
    return stream(path, [*queries, *gallery])


def _measured(tables: Mapping[str, tuple[Path, list[Row]]]) -> tuple[str, tuple[Path, list[Row]]]:
    for split, (path, rows) in tables.items():
        if split != "train" and any(not is_nan(row.get("defect")) for row in rows):
            return split, (path, rows)
    return next(iter(tables.items()))


def read_parquet(path: Path, required: tuple[str, ...]) -> list[Row]:
    """Rows of a table that must have these columns."""
    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DamagelandError(f"{path} is not a readable parquet table: {error}") from None
    absent = [name for name in required if name not in table.column_names]
    if absent:
        raise DamagelandError(f"{path}: missing column(s) {', '.join(absent)}; found {', '.join(table.column_names)}")
    return table.to_pylist()


def _query(root: Path, where: str, row: Row, split: str, gallery: Mapping[str, tuple[str, ...]]) -> Entry:
    item = str(row["item_identifier"])
    defect, major = (_boolean(where, name, row.get(name)) for name in ("defect", "major_defect"))
    label = Capture(
        str(row["capture_id"]),
        item,
        "real",
        (),
        defect,
        major,
        _kinds(where, row.get("defect_types")),
        None if is_nan(row.get("item_material")) else str(row["item_material"]),
        split=split,
        group=item,
        reference_ids=gallery.get(item, ()),
        attributes={"category": row.get("item_material")},
    )
    image, crop, mask = (_file(root, where, f"query_{part}", row) for part in ("image", "crop", "mask"))
    rgb = image or crop
    if rgb is None:
        raise DamagelandError(f"{where}: query_image is empty, so there is nothing to look at")
    entry = from_files(label, Files("query", rgb, item=mask if image is not None else None))
    return entry if crop is None else Entry(label, lambda label: _with_stratum(entry.load(label), crop))


def _with_stratum(capture: Capture, crop: Path) -> Capture:
    try:
        with Image.open(crop) as picture:  # reads the header alone
            small = min(picture.size) < SMALL_PX
    except (OSError, UnidentifiedImageError) as error:
        raise DamagelandError(f"{crop} is not a readable image: {error}") from None
    return replace(capture, attributes={**capture.attributes, "strata": (SMALL,)}) if small else capture


@dataclass(frozen=True)
class _Reference:
    """A row of a reference table whose item is measured."""

    number: int
    item: str
    image: Path
    silhouette: Path | None


def _reference_rows(root: Path, queries: Path, split: str, items: set[str]) -> list[_Reference]:
    path = queries.parent / f"reference-{split}.parquet"
    rows = read_parquet(path, ()) if path.is_file() else []
    key = next((name for name in ("item_identifier", "index") if rows and name in rows[0]), None)
    if rows and (key is None or "reference_image" not in rows[0]):
        raise DamagelandError(f"{path}: expected the columns item_identifier (or index) and reference_image")
    found = []
    for number, row in enumerate(rows):
        where, item = f"{path}, row {number}", str(row[key or ""])
        image = _file(root, where, "reference_image", row)
        if item in items and image is not None:
            found.append(_Reference(number, item, image, _file(root, where, "reference_mask", row)))
    return found


def _reference(row: _Reference, split: str) -> Entry:
    name = f"reference-{row.number}-{row.item}"
    label = Capture(name, row.item, "real", (), False, False, role="reference", split=split)
    return from_files(label, Files("query", row.image, item=row.silhouette))


def _file(root: Path, where: str, column: str, row: Row) -> Path | None:
    """A file by either root: ``root/<value>``, or ``root/query-image/<value>``."""
    value = row.get(column)
    if is_nan(value) or not str(value):
        return None
    under = root / column.replace("_", "-")
    if not (root / str(value)).is_file() and (under / str(value)).is_file():
        return inside(where, column, under, str(value))
    try:
        return inside(where, column, root, str(value))
    except DamagelandError as error:
        raise DamagelandError(f"{error}, nor in {under.name}/ in it") from None


def _boolean(where: str, column: str, value: Any) -> bool | None:
    if is_nan(value):
        return None
    if value not in (True, False):
        raise DamagelandError(f"{where}: {column} is {value!r}, expected true, false or null")
    return bool(value)


def _kinds(where: str, value: Any) -> tuple[str, ...]:
    if is_nan(value):
        return ()
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return parse_types(where, text.strip())


def audit_kaputt(root: Path) -> list[str]:
    """What is wrong with the gallery of the split that is measured, as far as files can tell."""
    tables = {split: (path, read_parquet(path, REQUIRED)) for split, path in kaputt_tables(root).items()}
    split, (path, rows) = _measured(tables)
    items = {str(row["item_identifier"]) for row in rows}
    gallery = _reference_rows(root, path, split, items)
    lonely = len(items - {reference.item for reference in gallery})
    said = [f"The gallery has {len(gallery):,} references of {len(items):,} items; {lonely:,} items have none."]
    pictures = [_file(root, f"{path}, row {n}", "query_image", row) for n, row in enumerate(rows) if row.get("defect")]
    same = _same_files({picture for picture in pictures if picture}, [reference.image for reference in gallery])
    if same:
        said.append(
            f"{same:,} references are byte for byte pictures of damaged queries: the gallery is not pristine, and a "
            "method that compares with it is misled there."
        )
    return said


def _same_files(damaged: set[Path], gallery: list[Path]) -> int:
    """How many files of a gallery equal a damaged one; only those of equal length are read."""
    by_size: dict[int, set[Path]] = {}
    for path in damaged:
        by_size.setdefault(path.stat().st_size, set()).add(path)
    return sum(
        sha256_of(path) in {sha256_of(other) for other in by_size.get(path.stat().st_size, ())} for path in gallery
    )
