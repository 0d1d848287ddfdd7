"""Pictures of a study: the worst misses and the worst false alarms of one arm, with masks and depth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...sim.capture import Capture
from ...train.checkpoint import Model, load_model
from ...train.predict import predict
from ..pictures import _overlay_of, data_uri, shade_depth, shrink
from .arms import Arm
from .reals import Reals
from .spec import StudySpec
from .verdict import Cells

EACH = 4
"""Pictures in a row."""


@dataclass(frozen=True)
class Shot:
    """A test capture's most suspicious view, as data URIs; None where the set does not have it."""

    caption: str
    rgb: str
    predicted: str
    truth: str | None
    depth: str | None


@dataclass(frozen=True)
class Shelf:
    """A row of pictures."""

    heading: str
    shots: tuple[Shot, ...]


def worst(spec: StudySpec, reals: Reals, arms: Sequence[Arm], cells: Cells, out: Path) -> list[Shelf]:
    """The row of the claim at its largest k, as the first seed trained it; nothing if the study has no such arm."""
    ours = [arm for arm in arms if arm.row == spec.claim and arm.seed == spec.seeds[0]]
    if not ours:
        return []
    arm = max(ours, key=lambda one: one.k)
    cell = cells[arm.row, arm.k]
    scores, limit, damaged = cell.scores[0], cell.thresholds[0].value, cell.draws.damaged
    model = load_model(out / "arms" / arm.name)
    order = np.argsort(scores, kind="stable")
    chosen = {
        "Worst misses": [i for i in order if damaged[i] and scores[i] <= limit][:EACH],
        "Worst false alarms": [i for i in order[::-1] if not damaged[i] and scores[i] > limit][:EACH],
        "Intact, no alarm, highest scores": [i for i in order[::-1] if not damaged[i] and scores[i] <= limit][:EACH],
    }
    names = {cell.draws.rows[i].capture_id for rows in chosen.values() for i in rows}
    captures = {c.capture_id: c for c in reals.captures() if c.capture_id in names}
    shelves = []
    for heading, rows in chosen.items():
        found = [captures[cell.draws.rows[i].capture_id] for i in rows]
        shots = tuple(_shot(model, capture, float(scores[i])) for i, capture in zip(rows, found, strict=True))
        shelves.append(Shelf(f"{heading} of '{arm.row}', k = {arm.k}, seed {arm.seed}", shots))
    return [shelf for shelf in shelves if shelf.shots]


def _shot(model: Model, capture: Capture, score: float) -> Shot:
    prediction = predict(model, capture)
    masks = dict(zip(prediction.cameras, prediction.masks, strict=True))
    suspicious = dict(zip(prediction.cameras, prediction.view_scores, strict=True))
    view = max(capture.views, key=lambda one: suspicious[one.camera])
    marked = view.damage is not None and capture.defect
    truth = {view.camera: view.damage > 0} if marked and view.damage is not None else None
    told = ", ".join(kind.replace("_", " ") for kind in capture.defect_types) or (
        "damaged" if capture.defect else "intact"
    )
    return Shot(
        caption=f"{score:.3f} · {told} · {capture.capture_id}",
        rgb=data_uri(shrink(view.rgb)),
        predicted=data_uri(_overlay_of(view, masks)),
        truth=None if truth is None else data_uri(_overlay_of(view, truth)),
        depth=None if view.depth is None else data_uri(shrink(shade_depth(view.depth))),
    )
