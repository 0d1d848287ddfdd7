"""Adapter (contract C7) for a plain folder of real captures: a table ``query.csv`` beside the images it names.

Columns are Kaputt's: ``capture_id, item_identifier, item_material, defect, major_defect, defect_types, query_image``,
and optionally ``query_depth`` (uint16 PNG, 0.1 mm per step, 0 = no return), ``damage_mask`` (PNG, 0 = intact),
``group`` (resampling unit of the bootstrap), ``session``, ``split`` and ``lookalikes`` (what could be taken for damage
and is none). An optional ``reference.csv`` with ``item_identifier, reference_image`` adds pristine pictures of
products. Empty fields mean unknown; paths are relative to the folder.

The whole table is checked before the first capture is yielded, the pixels when their capture's turn comes.
"""

import ast
import csv
import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..sim.capture import Capture, Role, View
from ..sim.errors import DamagelandError
from ..sim.scene import KINDS
from .images import as_damage, check_sizes, inside, read_marks, read_rgb, read_steps

QUERY_TABLE = "query.csv"
REFERENCE_TABLE = "reference.csv"
QUERY_COLUMNS = (
    "capture_id",
    "item_identifier",
    "item_material",
    "defect",
    "major_defect",
    "defect_types",
    "query_image",
)
REFERENCE_COLUMNS = ("item_identifier", "reference_image")
CAMERA = "query"
"""Name of the one view of a real capture."""

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class _Row:
    """A checked row of query.csv: labels parsed, files known to exist."""

    capture_id: str
    item_identifier: str | None
    item_material: str | None
    defect: bool | None
    major_defect: bool | None
    defect_types: tuple[str, ...]
    image: Path
    depth: Path | None
    mask: Path | None
    group: str | None
    session: str | None
    split: str | None
    lookalikes: str


@dataclass(frozen=True)
class _Reference:
    """A checked row of reference.csv."""

    capture_id: str
    item_identifier: str
    image: Path


def find_sets(path: Path) -> list[Path]:
    """Return the real sets at a path: itself if it holds query.csv, else those of its direct subfolders that do."""
    if (path / QUERY_TABLE).is_file():
        return [path]
    if not path.is_dir():
        raise DamagelandError(f"{path} is not a folder: name a folder that holds {QUERY_TABLE} and the images it lists")
    sets = sorted(folder for folder in path.iterdir() if (folder / QUERY_TABLE).is_file())
    if not sets:
        raise DamagelandError(
            f"{path} holds no {QUERY_TABLE}, and none of its direct subfolders does: a set of real captures is a "
            f"folder with {QUERY_TABLE} (columns {', '.join(QUERY_COLUMNS)}) and the images it lists"
        )
    return sets


def read_folder(folder: Path, roles: Collection[Role] = ("query", "reference")) -> Iterator[Capture]:
    """Read a folder of real captures: queries in the order of the table, then references; or one of both.

    The tables and the existence of every file are checked at once, before anything is returned; a file that is no
    image, or whose size differs from its picture's, is an error when its capture is reached.
    """
    rows = read_queries(folder)
    taken = {row.capture_id for row in rows}
    references = _read_references(folder, taken) if (folder / REFERENCE_TABLE).is_file() else []
    return _captures(rows, references, roles)


def _captures(rows: list[_Row], references: list[_Reference], roles: Collection[Role]) -> Iterator[Capture]:
    gallery: dict[str, tuple[str, ...]] = {}
    for reference in references:
        gallery[reference.item_identifier] = (*gallery.get(reference.item_identifier, ()), reference.capture_id)
    for row in rows if "query" in roles else ():
        yield Capture(
            capture_id=row.capture_id,
            item_identifier=row.item_identifier,
            origin="real",
            views=(_read_view(row),),
            defect=row.defect,
            major_defect=row.major_defect,
            defect_types=row.defect_types,
            item_material=row.item_material,
            group=row.group,
            session=row.session,
            split=row.split,
            attributes={"lookalikes": row.lookalikes} if row.lookalikes else {},
            reference_ids=gallery.get(row.item_identifier or "", ()),
        )
    for reference in references if "reference" in roles else ():
        yield Capture(
            capture_id=reference.capture_id,
            item_identifier=reference.item_identifier,
            origin="real",
            views=(View(camera=CAMERA, rgb=read_rgb(reference.image)),),
            defect=False,
            major_defect=False,
            role="reference",
        )


# The tables


def read_table(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield ("file, line n", {column: stripped field}) of a CSV table with a header."""
    if not path.is_file():
        raise DamagelandError(f"{path} does not exist: a set of real captures needs it, with columns {columns}")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            header = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = header
            _check_header(path, header, columns)
            for fields in reader:
                where = f"{path}, line {reader.line_num}"
                if None in fields or None in fields.values():
                    count = len(header) + len(fields.get(None) or ()) - list(fields.values()).count(None)
                    raise DamagelandError(f"{where}: {count} fields, but the header names {len(header)} columns")
                yield where, {name: value.strip() for name, value in fields.items()}
    except UnicodeDecodeError as error:
        raise DamagelandError(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8") from None
    except csv.Error as error:
        raise DamagelandError(f"{path} is not a CSV table: {error}") from None


def _check_header(path: Path, header: list[str], columns: tuple[str, ...]) -> None:
    missing = [name for name in columns if name not in header]
    if missing:
        raise DamagelandError(
            f"{path}, line 1: missing column(s) {', '.join(missing)}; found {', '.join(header) or 'nothing'}. "
            "Add them, separated by commas; leave fields empty where a value is unknown"
        )
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DamagelandError(f"{path}, line 1: column(s) named twice: {', '.join(twice)}")


def read_queries(folder: Path) -> list[_Row]:
    """Rows of query.csv, checked."""
    rows: list[_Row] = []
    lines: dict[str, str] = {}
    splits: dict[str, str | None] = {}
    for where, fields in read_table(folder / QUERY_TABLE, QUERY_COLUMNS):
        row = _parse_query(where, folder, fields)
        if row.capture_id in lines:
            raise DamagelandError(
                f"{where}: capture_id {row.capture_id!r} was used before ({lines[row.capture_id]}); ids must be unique"
            )
        lines[row.capture_id] = where.rpartition(", ")[2]
        rows.append(row)
        split = splits.setdefault(row.item_identifier, row.split) if row.item_identifier else row.split
        if split != row.split:
            raise DamagelandError(
                f"{where}: product {row.item_identifier!r} is in split {row.split!r} here and in {split!r} before; a "
                "product belongs to one split, or the test knows what training saw"
            )
    if not rows:
        raise DamagelandError(f"{folder / QUERY_TABLE} has a header but no rows: list at least one capture")
    return rows


def _parse_query(where: str, folder: Path, fields: dict[str, str]) -> _Row:
    if not fields["capture_id"]:
        raise DamagelandError(f"{where}: capture_id is empty: give every row a name of its own")
    defect = parse_boolean(where, "defect", fields["defect"])
    major = parse_boolean(where, "major_defect", fields["major_defect"])
    if major and defect is False:
        raise DamagelandError(f"{where}: major_defect is True but defect is False: a major defect is a defect")
    return _Row(
        capture_id=fields["capture_id"],
        item_identifier=fields["item_identifier"] or None,
        item_material=fields["item_material"] or None,
        defect=defect,
        major_defect=major,
        defect_types=parse_types(where, fields["defect_types"]),
        image=inside(where, "query_image", folder, fields["query_image"]),
        depth=_optional_file(where, "query_depth", folder, fields),
        mask=_optional_file(where, "damage_mask", folder, fields),
        group=fields.get("group") or None,
        session=fields.get("session") or None,
        split=fields.get("split") or None,
        lookalikes=fields.get("lookalikes") or "",
    )


def _read_references(folder: Path, taken: set[str]) -> list[_Reference]:
    path, references = folder / REFERENCE_TABLE, list[_Reference]()
    for number, (where, fields) in enumerate(read_table(path, REFERENCE_COLUMNS)):
        item = fields["item_identifier"]
        if not item:
            raise DamagelandError(f"{where}: item_identifier is empty: a reference must name its product")
        capture_id = f"reference_{number}_{item}"
        if capture_id in taken:
            raise DamagelandError(f"{where}: {QUERY_TABLE} has a capture_id {capture_id!r}, the name of this reference")
        image = inside(where, "reference_image", folder, fields["reference_image"])
        references.append(_Reference(capture_id, item, image))
    return references


def parse_boolean(where: str, column: str, value: str) -> bool | None:
    """A label in a field, None where it is empty."""
    if not value:
        return None
    if value.lower() not in _BOOLEANS:
        raise DamagelandError(f"{where}: {column} is {value!r}, expected True, False, 1, 0, or nothing where unknown")
    return _BOOLEANS[value.lower()]


def parse_types(where: str, value: str) -> tuple[str, ...]:
    """Kinds in a field: separated by commas, or a list literal as some tables of this layout hold."""
    if value.lower() in ("", "null", "none", "nan"):
        return ()
    if value.startswith("["):
        try:
            names = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            names = None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DamagelandError(f"{where}: defect_types is {value!r}, expected names separated by commas")
    else:
        names = value.split(",")
    kinds = tuple(dict.fromkeys(name.strip() for name in names))
    for kind in kinds:
        if kind not in KINDS:
            close = difflib.get_close_matches(kind, KINDS, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            raise DamagelandError(f"{where}: unknown defect type {kind!r}{hint}; known are {', '.join(KINDS)}")
    return kinds


def _optional_file(where: str, column: str, folder: Path, fields: dict[str, str]) -> Path | None:
    return inside(where, column, folder, fields[column]) if fields.get(column) else None


# The images


def _read_view(row: _Row) -> View:
    rgb = read_rgb(row.image)
    depth = None if row.depth is None else read_steps(row.depth)
    damage = None if row.mask is None else as_damage(read_marks(row.mask), row.defect_types)
    others = {path: image for path, image in ((row.depth, depth), (row.mask, damage)) if path and image is not None}
    check_sizes(row.capture_id, row.image, rgb, others)
    if damage is not None and damage.any() and row.defect is False:
        raise DamagelandError(
            f"capture {row.capture_id}: defect is False but {row.mask} marks {np.count_nonzero(damage)} damaged pixels"
        )
    return View(camera=CAMERA, rgb=rgb, depth=depth, damage=damage)
