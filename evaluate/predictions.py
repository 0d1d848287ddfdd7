"""Prediction files (contract C8): scores of any model of anybody, as a table ``capture_id,pred`` in CSV or parquet.

``pred`` lies in [0, 1], higher means more likely damaged. Columns named as kinds of damage (``deformation`` …) hold a
score for that kind, likewise. Columns ``mask`` (for captures of one view) or ``mask.<camera>`` name PNG images beside
the table, as large as the picture: 0 is surely intact, the type's largest value surely damaged. Other columns are left
alone. A capture without a row, a row without a capture, a row that comes twice and a score outside [0, 1] are refused:
a file that is wrong is told apart from a model that is bad.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..sim.capture import Capture
from ..sim.errors import DamagelandError
from ..sim.scene import KINDS
from .adapters.kaputt import read_parquet
from .folder import read_table
from .images import decode, inside

COLUMNS = ("capture_id", "pred")
NAMED = 5
"""Captures that an error names before it only counts."""


@dataclass(frozen=True)
class Row:
    """A checked row: masks are files by camera, or by the empty name for the one view there is."""

    where: str
    pred: float
    masks: Mapping[str, Path]
    kinds: Mapping[str, float]


@dataclass(frozen=True)
class Scored:
    """What a prediction file says about one capture, in the form in which models speak."""

    capture_id: str
    score: float
    alarm: bool | None
    cameras: tuple[str, ...]
    view_scores: tuple[float, ...]
    masks: tuple[np.ndarray, ...]
    kind_scores: Mapping[str, float]
    modality: str = "file"


@dataclass(frozen=True)
class Predictions:
    """A prediction file, and the threshold that came with it, if one did."""

    path: Path
    rows: Mapping[str, Row]
    threshold: float | None

    def __call__(self, capture: Capture) -> Scored:
        """The prediction for a capture."""
        row = self.rows[capture.capture_id]
        masks = _masks(row, capture)
        return Scored(
            capture.capture_id,
            row.pred,
            None if self.threshold is None else row.pred > self.threshold,
            tuple(view.camera for view in capture.views) if masks else (),
            (row.pred,) * len(masks),
            masks,
            row.kinds,
        )


def read_predictions(path: Path, threshold: float | None = None) -> Predictions:
    """Read a table and check every row of it."""
    rows: dict[str, Row] = {}
    for where, fields in _table(path):
        name = str(fields["capture_id"] if fields["capture_id"] is not None else "")
        if not name:
            raise DamagelandError(f"{where}: capture_id is empty")
        if name in rows:
            before = rows[name].where.rpartition(", ")[2]
            raise DamagelandError(f"{where}: capture_id {name!r} was predicted before ({before}); one row for each")
        masks = {
            column.removeprefix("mask").removeprefix("."): inside(where, column, path.parent, str(value or ""))
            for column, value in fields.items()
            if column == "mask" or column.startswith("mask.")
        }
        kinds = {kind: _score(where, fields[kind], kind) for kind in KINDS if kind in fields}
        rows[name] = Row(where, _score(where, fields["pred"]), masks, kinds)
    if not rows:
        raise DamagelandError(f"{path} has no rows: one for each capture is expected")
    return Predictions(path, rows, threshold)


def _table(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if path.suffix.lower() != ".parquet":
        if path.suffix.lower() != ".csv":
            raise DamagelandError(f"{path}: expected a prediction file that ends in .csv or .parquet")
        yield from read_table(path, COLUMNS)
        return
    for number, fields in enumerate(read_parquet(path, COLUMNS)):
        yield f"{path}, row {number}", fields


def _score(where: str, value: Any, column: str = "pred") -> float:
    try:
        score = float(value)
    except (TypeError, ValueError):
        score = math.nan
    if not 0 <= score <= 1:
        raise DamagelandError(f"{where}: {column} is {value!r}, expected a number in [0, 1]")
    return score


def check_coverage(predictions: Predictions, captures: Sequence[str], truth: str) -> None:
    """Refuse captures without a row, and rows without a capture."""
    missing = [name for name in captures if name not in predictions.rows]
    if missing:
        raise DamagelandError(
            f"{predictions.path}: {len(missing):,} of {len(captures):,} captures of {truth} have no row: "
            f"{_named(missing)}. Give each a score; 0 is one"
        )
    strange = sorted(set(predictions.rows) - set(captures))
    if strange:
        raise DamagelandError(
            f"{predictions.path}: {len(strange):,} rows name no capture of {truth} that is scored: {_named(strange)}. "
            "Leave them out, or check whether the file belongs to another set or split"
        )


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")


def _masks(row: Row, capture: Capture) -> tuple[np.ndarray, ...]:
    if not row.masks:
        return ()
    cameras = [view.camera for view in capture.views]
    wanted = [""] if set(row.masks) == {""} and len(cameras) == 1 else cameras
    absent = [camera for camera in wanted if camera not in row.masks]
    if absent:
        columns = ", ".join(f"mask.{camera}" for camera in cameras)
        raise DamagelandError(
            f"{row.where}: capture {capture.capture_id} has the views {', '.join(cameras)}: {columns} are expected"
        )
    return tuple(_mask(row.masks[camera]) for camera in wanted)


def _mask(path: Path) -> np.ndarray:
    image = decode(path, -1)
    if image.ndim != 2 or image.dtype.kind != "u":
        raise DamagelandError(
            f"{path} holds {image.dtype} of shape {image.shape}, expected grey levels of 8 or 16 bits"
        )
    return (image / np.iinfo(image.dtype).max).astype(np.float32)
