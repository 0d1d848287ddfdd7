"""The manifest: one row per capture, the same rows as parquet and as csv, Kaputt's columns first.

Columns that hold lists (``defect_types``, ``reference_ids``, ``generators``, ``cameras``) are comma-separated strings,
so that csv and parquet say the same. Attributes and measures of the captures at hand become columns of their own.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, get_args

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from .capture import Severity
from .errors import DamagelandError
from .shards import header_of, read_members, shard_paths
from .store import File, Source, as_store

pc: Any = pyarrow.compute  # which makes its functions at run time: no type checker knows them
Row = dict[str, Any]

CHUNK_ROWS = 1024
"""Rows that are dictionaries at a time."""

FIRST_COLUMNS: dict[str, pa.DataType] = {
    "capture_id": pa.string(),
    "item_identifier": pa.string(),
    "item_material": pa.string(),
    "defect": pa.bool_(),
    "major_defect": pa.bool_(),
    "defect_types": pa.string(),
    "query_image": pa.string(),
    "role": pa.string(),
    "split": pa.string(),
    "group": pa.string(),
    "session": pa.string(),
    "origin": pa.string(),
    "twin_id": pa.string(),
    "reference_ids": pa.string(),
    "cameras": pa.string(),
    "severity": pa.string(),
    "tolerable": pa.bool_(),
    "generators": pa.string(),
    "visible_fraction_max": pa.float64(),
}
LAST_COLUMNS: dict[str, pa.DataType] = {
    "renderer": pa.string(),
    "seed": pa.int64(),
    "index": pa.int64(),
    "resampled": pa.int64(),
    "rejected": pa.string(),
    "set_back": pa.int64(),
    "shard": pa.string(),
    "offset": pa.int64(),
    "bytes": pa.int64(),
}
COLUMN_HELP = {
    "capture_id": "unique name of the capture",
    "item_identifier": "the product",
    "item_material": "main packaging material",
    "defect": "true if a damage is there that some camera sees",
    "major_defect": "true if such a damage is major",
    "defect_types": "kinds of damage, comma-separated",
    "query_image": "shard and member of the first camera's picture",
    "role": "query, twin (the same scene undamaged) or reference (another pristine capture of the product)",
    "split": "train, validation or test; fixed per product",
    "group": "captures that belong together: resample these, not rows",
    "session": "photographs taken together",
    "origin": "synthetic or real",
    "twin_id": "capture_id of the twin",
    "reference_ids": "capture_ids of the references, comma-separated",
    "cameras": "names of the cameras, comma-separated",
    "severity": "worst severity among the damages: none, minor or major",
    "tolerable": "true if every damage is tolerable",
    "generators": "what made the damages, comma-separated",
    "visible_fraction_max": "largest share of a damaged surface that one camera sees",
    "renderer": "what made the colour",
    "seed": "seed of the recipe",
    "index": "index of the sample in the recipe",
    "resampled": "damage solves of this scene that failed and were drawn anew",
    "rejected": "damages that were given up because their solver kept failing, comma-separated",
    "set_back": "damages whose solver came to an end that cannot be: the last possible state was kept instead",
    "shard": "file that holds the capture",
    "offset": "first byte of the capture in its shard",
    "bytes": "how many bytes of the shard are the capture's: itself a tar but for the end",
}


def column_help(table: pa.Table) -> list[tuple[str, str]]:
    """Every column of a manifest with its meaning: the fixed ones, then attributes and measures by name."""
    extra = sorted(set(table.column_names) - set(COLUMN_HELP))
    generators = set(split_list(table, "generators"))
    measured = {name for name in extra if any(name.startswith(f"{generator}_") for generator in generators)}
    meaning = {name: "measured on the damage" if name in measured else "attribute of the item" for name in extra}
    return list((COLUMN_HELP | meaning).items())


def split_list(table: pa.Table, name: str) -> list[str]:
    """All entries of a column of comma-separated lists, row after row."""
    return [entry for text in table[name].to_pylist() for entry in text.split(",") if entry]


def capture_row(header: Mapping[str, Any], shard: str, span: tuple[int, int] | None = None) -> Row:
    """Row of one capture from its JSON (``describe_capture``), the name of its shard, and its (offset, bytes) there."""
    damages, views, provenance = header["damages"], header["views"], header["provenance"]
    image = next((s for s in views[0]["images"] if s.startswith("rgb.")), "rgb.jpg") if views else None
    seen = [fraction for damage in damages for fraction in damage["visible_fraction"].values()]
    row: Row = {name: header.get(name) for name in FIRST_COLUMNS}
    row |= {
        "defect_types": ",".join(header["defect_types"]),
        "query_image": f"{shard}/{header['capture_id']}.{views[0]['camera']}.{image}" if views else None,
        "reference_ids": ",".join(header["reference_ids"]),
        "cameras": ",".join(view["camera"] for view in views),
        "severity": _worst([damage["severity"] for damage in damages], header["defect"]),
        "tolerable": all(damage["tolerable"] for damage in damages) if damages else None,
        "generators": ",".join(sorted({damage["generator"] for damage in damages})),
        "visible_fraction_max": max(seen, default=None),
    }
    flat = flatten_attributes(header["attributes"]) | flatten_measures(damages)
    clash = sorted(set(flat) & (set(FIRST_COLUMNS) | set(LAST_COLUMNS)))
    if clash:
        raise DamagelandError(
            f"capture {header['capture_id']}: attributes {clash} have the names of manifest columns: rename them"
        )
    offset, size = span or (None, None)
    place = {"shard": shard, "offset": offset, "bytes": size}
    return row | flat | {name: provenance.get(name) for name in LAST_COLUMNS if name not in place} | place


def _worst(severities: Sequence[str], defect: bool | None) -> str | None:
    if severities:
        return max(severities, key=get_args(Severity).index)
    return "none" if defect is False else None


def flatten_attributes(attributes: Mapping[str, Any]) -> Row:
    """Scalars as they are, triples as three columns ``_x``, ``_y``, ``_z``, anything else as JSON text."""
    row: Row = {}
    for name, value in sorted(attributes.items()):
        if isinstance(value, list | tuple) and len(value) == 3:
            row |= {f"{name}_{axis}": element for axis, element in zip("xyz", value, strict=True)}
        elif isinstance(value, list | tuple | Mapping):
            row[name] = json.dumps(value, sort_keys=True)
        else:
            row[name] = value
    return row


def flatten_measures(damages: Iterable[Mapping[str, Any]]) -> Row:
    """Columns ``<generator>_<measure>``; of several damages by the same generator the largest, each is in the JSON."""
    row: Row = {}
    for damage in damages:
        for name, value in sorted(damage["measures"].items()):
            column = f"{damage['generator']}_{name}"
            row[column] = max(float(value), row.get(column, float(value)))
    return row


def manifest_rows(source: Source) -> list[Row]:
    """Rows of all captures of a data set's shards, in order; a capture_id that comes twice is an error."""
    rows = [
        capture_row(header_of(path, sample), path.name, sample.span)
        for path in shard_paths(source)
        for sample in read_members(path, headers_only=True)
    ]
    refuse_duplicates(source, manifest_table(rows))
    return rows


def rows_of(table: pa.Table) -> Iterator[Row]:
    """Rows of a manifest, a few of them in memory."""
    for part in table.to_batches(CHUNK_ROWS):
        yield from part.to_pylist()


def refuse_duplicates(source: Source, table: pa.Table) -> None:
    """Raise an error if a capture_id comes twice."""
    counts = pc.value_counts(table["capture_id"])
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        name = twice[0]["values"].as_py()
        shards = table.filter(pc.equal(table["capture_id"], name))["shard"].to_pylist()
        raise DamagelandError(f"{source}: capture_id {name} is in both {shards[0]} and {shards[1]}; ids must be unique")


def manifest_table(rows: Iterable[Row]) -> pa.Table:
    """Rows as a table with typed, nullable columns: the fixed ones, attributes and measures by name, provenance.

    Takes rows as they come, and keeps them as Arrow does: a million need no million dictionaries.
    """
    rows, parts = iter(rows), list[dict[str, pa.Array]]()
    while part := list(islice(rows, CHUNK_ROWS)):
        parts.append(_columns(part))
    middle = sorted({name for part in parts for name in part} - set(FIRST_COLUMNS) - set(LAST_COLUMNS))
    types = FIRST_COLUMNS | {name: _common_type([p[name].type for p in parts if name in p]) for name in middle}
    columns = {
        name: pa.chunked_array([_as_type(p.get(name), kind, len(p["capture_id"])) for p in parts], kind)
        for name, kind in (types | LAST_COLUMNS).items()
    }
    return pa.table(columns).combine_chunks()


def _columns(rows: Sequence[Row]) -> dict[str, pa.Array]:
    """Some rows as columns: the fixed ones and those that these rows have."""
    fixed = FIRST_COLUMNS | LAST_COLUMNS
    columns = {}
    for name in [*fixed, *sorted({name for row in rows for name in row} - set(fixed))]:
        values = [row.get(name) for row in rows]
        kind = fixed.get(name) or _common_type([_TYPES.get(type(v), pa.string()) for v in values if v is not None])
        try:
            columns[name] = pa.array([str(v) if kind == pa.string() and v is not None else v for v in values], kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise DamagelandError(f"manifest column {name!r} cannot hold its values as {kind}: {error}") from None
    return columns


_TYPES = {bool: pa.bool_(), int: pa.int64(), float: pa.float64()}


def _common_type(kinds: Iterable[pa.DataType]) -> pa.DataType:
    """Type of a column whose values have these types; null where there is no value yet."""
    found = {kind for kind in kinds if kind != pa.null()}
    if not found:
        return pa.null()
    if len(found) == 1:
        return found.pop()
    return pa.float64() if found == {pa.int64(), pa.float64()} else pa.string()


def _as_type(values: pa.Array | None, kind: pa.DataType, length: int) -> pa.Array:
    if values is None:
        return pa.nulls(length, kind)
    if kind == pa.string() and values.type not in (pa.string(), pa.null()):
        return pa.array([None if value is None else str(value) for value in values.to_pylist()], kind)
    return values.cast(kind)


def write_manifest(source: Source, table: pa.Table) -> None:
    """Write ``manifest.parquet`` and ``manifest.csv`` with the same rows and columns.

    In the csv, nothing between two commas is null and ``""`` is the empty string.
    """
    store = as_store(source)
    parquet, csv = pa.BufferOutputStream(), pa.BufferOutputStream()
    pyarrow.parquet.write_table(table, parquet, compression="zstd")
    pyarrow.csv.write_csv(table, csv)
    (store / "manifest.parquet").write(parquet.getvalue().to_pybytes())
    (store / "manifest.csv").write(csv.getvalue().to_pybytes())


def read_manifest(source: Source) -> list[Row]:
    """Rows of ``manifest.parquet``, in the order of the shards."""
    return read_table(as_store(source) / "manifest.parquet").to_pylist()


def csv_agrees(source: Source) -> bool:
    """Whether ``manifest.csv`` holds exactly the rows and columns of ``manifest.parquet``."""
    table = read_table(as_store(source) / "manifest.parquet")
    csv = as_store(source) / "manifest.csv"
    convert = pyarrow.csv.ConvertOptions(
        column_types=table.schema, strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""]
    )
    try:
        read = pyarrow.csv.read_csv(
            pa.BufferReader(csv.read_bytes()),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=convert,
        )
    except (OSError, pa.ArrowException) as error:
        raise DamagelandError(f"{csv} cannot be read: {error}") from None
    return read.column_names == table.column_names and read.equals(table)


def read_table(path: File) -> pa.Table:
    """Read a parquet file whole."""
    try:
        return pyarrow.parquet.read_table(pa.BufferReader(path.read_bytes()))
    except (OSError, DamagelandError, pa.ArrowException) as error:
        raise DamagelandError(
            f"{path} cannot be read: {error}; `damageland render` writes it beside the shards"
        ) from None
