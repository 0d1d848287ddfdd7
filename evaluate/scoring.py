"""Scoring the captures of a set, one in memory at a time, and keeping what the report shows."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from ..sim.capture import Capture, Severity
from ..sim.errors import DamagelandError
from .cues import measure_cues
from .measure import measure_set
from .metrics import PixelTally, add_tallies, tally
from .pictures import Sample, Strip, draw_sample, draw_strip
from .results import Prediction, ScoredRow, Scorer, SetResult

WAITING = 32
"""Captures held in memory until their twin comes by: pairs are written close together."""
STRIPS = 6
"""Rendered captures whose pictures the report shows, each of another family, renderer or damage."""


def score_set(
    name: str,
    origin: Literal["real", "synthetic"],
    captures: Iterable[Capture],
    scorer: Scorer,
    *,
    seed: int,
    draws: str | None = None,
    trained_on: Collection[str] = (),
    on_capture: Callable[[], None] = lambda: None,
) -> SetResult:
    """Score the queries and twins of a set, measure, and keep small pictures; references are not scored.

    ``draws`` names the resamples, which results can share. ``trained_on`` names captures and products that the model
    has learned from; rows of them are counted.
    """
    known = 0
    rows: list[ScoredRow] = []
    strips: list[Strip] = []
    seen: _Seen = {}
    for capture in captures:
        if capture.role == "reference":
            continue
        prediction = scorer(capture)
        rows.append(_row(capture, prediction, draw=origin == "real"))
        if origin == "synthetic":
            _collect_strip(capture, prediction, strips, seen)
        known += (capture.capture_id if origin == "real" else capture.item_identifier) in trained_on
        on_capture()
    return replace(measure_set(name, origin, rows, seed=seed, draws=draws), strips=tuple(strips), trained_on=known)


def worst_severity(capture: Capture) -> Severity | None:
    """Severity of a capture's worst damage; by its flags where damages are not told, None if those do not say."""
    order: tuple[Severity, ...] = ("major", "minor", "none")
    seen = {damage.severity for damage in capture.damages}
    worst: Severity | None = next((severity for severity in order if severity in seen), None)
    if worst is None and capture.defect and capture.major_defect is not None:
        return "major" if capture.major_defect else "minor"
    return worst


def _row(capture: Capture, prediction: Prediction, *, draw: bool) -> ScoredRow:
    score = float(prediction.score)
    if not 0 <= score <= 1:
        raise DamagelandError(
            f"capture {capture.capture_id}: the model's score is {score}, expected a number in [0, 1]"
        )
    return ScoredRow(
        capture_id=capture.capture_id,
        score=score,
        alarm=None if prediction.alarm is None else bool(prediction.alarm),
        modality=prediction.modality,
        defect=capture.defect,
        major_defect=capture.major_defect,
        severity=worst_severity(capture),
        kinds=capture.defect_types or tuple(capture.attributes.get("defect_names", ())),
        family=capture.attributes.get("category"),
        group=capture.group or capture.item_identifier or capture.capture_id,
        session=capture.session,
        cues=measure_cues(capture),
        sample=_sample(capture, prediction) if draw else None,
        lookalike=bool(capture.attributes.get("lookalikes")),
        strata=tuple(capture.attributes.get("strata", ())),
        pixels=_tally(capture, _masks(prediction)),
        kind_scores=dict(getattr(prediction, "kind_scores", {})),
    )


def _tally(capture: Capture, masks: Mapping[str, np.ndarray]) -> PixelTally | None:
    """Masks against the truth; a mark on an intact capture, such as a tolerable dent, is no damage."""
    tallies = []
    for view in capture.views:
        score = masks.get(view.camera)
        if score is None or capture.defect is None or (capture.defect and view.damage is None):
            return None
        if score.shape != view.rgb.shape[:2]:
            raise DamagelandError(
                f"capture {capture.capture_id}, camera {view.camera}: the model's mask has shape {score.shape}, "
                f"expected that of the picture, {view.rgb.shape[:2]}"
            )
        truth = np.zeros(score.shape, bool) if view.damage is None or not capture.defect else view.damage > 0
        tallies.append(tally(score, truth))
    return add_tallies(tallies) if tallies else None


def _sample(capture: Capture, prediction: Prediction) -> Sample:
    scores = dict(zip(prediction.cameras, prediction.view_scores, strict=True))
    return draw_sample(capture, scores, _masks(prediction))


def _masks(prediction: Prediction) -> dict[str, np.ndarray]:
    return dict(zip(prediction.cameras, prediction.masks, strict=True))


_Seen = dict[str, tuple[Capture, Mapping[str, np.ndarray]]]


def _collect_strip(capture: Capture, prediction: Prediction, strips: list[Strip], seen: _Seen) -> None:
    """Pair damaged queries with their twins, whichever comes first, until enough differing strips are drawn."""
    if len(strips) >= STRIPS:
        return
    seen[capture.capture_id] = (capture, _masks(prediction))
    for query, masks in [(c, masks) for c, masks in seen.values() if c.defect and c.twin_id in seen]:
        renderer = query.provenance.get("renderer")
        label = (query.attributes.get("category"), renderer, *sorted(damage.generator for damage in query.damages))
        if len(strips) < STRIPS and all(strip.label != label for strip in strips):
            strips.append(draw_strip(query, seen[query.twin_id or ""][0], masks, label=label))
        del seen[query.twin_id or ""], seen[query.capture_id]
    while len(seen) > WAITING:
        del seen[next(iter(seen))]
