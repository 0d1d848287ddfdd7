"""Entries of our own: a trivial cue, the tabular columns alone, and any trained model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...sim.errors import DamagelandError
from ...sim.shards import read_captures
from ...sim.store import Source
from ..cues import CUES, measure_cues
from ..metrics import auroc
from .tables import Row, predict_tables, write_twins


def write_own(data: Source, out: Path, models: Sequence[Path] = ()) -> list[Path]:
    """Write our entries as submissions: ``cue`` and ``tables``, and one for each folder of a model."""
    names = [model.resolve().name for model in models]
    taken = sorted({name for name in names if names.count(name) > 1 or name in ("cue", "tables")})
    if taken:
        raise DamagelandError(f"--models: the folders' names {', '.join(taken)} are taken; rename or copy them")
    written = [_write(out / "cue", predict_cue(data)), _write(out / "tables", predict_tables(data))]
    return written + [_write(out / name, predict_model(data, model)) for name, model in zip(names, models, strict=True)]


def _write(folder: Path, rows: Sequence[Row]) -> Path:
    return write_twins(folder / "predictions", rows, tuple(rows[0]))[1]


def predict_cue(data: Source) -> list[Row]:
    """The trivial cue that does best on the train split, in the direction that suits it there."""
    learn = [(measure_cues(c), bool(c.defect)) for c in read_captures(data, split="train", roles=("query", "twin"))]
    shown = np.array([defect for _, defect in learn])
    columns = {cue: np.array([cues[cue] for cues, _ in learn]) for cue in CUES}
    reach = {cue: auroc(values, shown) or 0.5 for cue, values in columns.items()}
    best = max(CUES, key=lambda cue: abs(reach[cue] - 0.5))
    sign = 1.0 if reach[best] >= 0.5 else -1.0
    order = np.sort(sign * columns[best])
    return [
        {"capture_id": c.capture_id, "pred": float(np.searchsorted(order, sign * measure_cues(c)[best]) / len(order))}
        for c in read_captures(data, split="test", roles=("query",))
    ]


def predict_model(data: Source, folder: Path) -> list[Row]:
    """Any model of ours, beside the references of the test split if it wants them."""
    from ...train.references import ReferenceBook
    from ...train.scorers import load_scorer

    scorer = load_scorer(folder)
    book = ReferenceBook.of(read_captures(data, split="test", roles=("reference",)))
    captures = read_captures(data, split="test", roles=("query",))
    found = [(capture.capture_id, scorer(capture, book.find(capture)).score) for capture in captures]
    return [{"capture_id": name, "pred": score} for name, score in found]
