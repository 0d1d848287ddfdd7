"""Scoring a set of captures, and the nouns that hold what came out: rows, metrics, pictures for the report."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from ..sim.capture import Capture
from ..sim.errors import DamagelandError
from ..sim.seed import generator_for
from .cues import CUES, estimate_cue, measure_cues, orient
from .metrics import (
    Estimate,
    Resamples,
    auroc,
    auroc_resampled,
    draw_resamples,
    estimate,
    estimate_rate,
    keep_rows,
    resampled,
    with_interval,
)
from .pictures import Sample, Strip, draw_sample, draw_strip

METRICS = ("AP_any", "AP_major", "AUROC", "recall_at_fpr_0.01", "false_alarm_rate", *CUES)
"""Keys of each set in metrics.json."""
WAITING = 32
"""Captures held in memory until their twin comes by: pairs are written close together."""
STRIPS = 6
"""Rendered captures whose pictures the report shows, each of another family, renderer or damage."""


@runtime_checkable
class Prediction(Protocol):
    """What a model says about one capture."""

    @property
    def capture_id(self) -> str:
        """Name of the capture."""
        ...

    @property
    def score(self) -> float:
        """Damage score in [0, 1]."""
        ...

    @property
    def alarm(self) -> bool:
        """Whether the score lies above the threshold that the model was given elsewhere."""
        ...

    @property
    def modality(self) -> str:
        """Which of the model's thresholds applied, e.g. ``rgb`` or ``rgbd``."""
        ...

    @property
    def cameras(self) -> Sequence[str]:
        """Names of the views, in the order of the two that follow."""
        ...

    @property
    def view_scores(self) -> Sequence[float]:
        """Damage score of each view."""
        ...

    @property
    def masks(self) -> Sequence[np.ndarray]:
        """Damage score per pixel of each view in [0, 1], float32 (h, w)."""
        ...


Scorer = Callable[[Capture], Prediction]
"""Any model, as a function of one capture."""


@dataclass(frozen=True)
class ScoredRow:
    """One capture after the model has seen it."""

    capture_id: str
    score: float
    alarm: bool
    modality: str
    defect: bool | None
    major_defect: bool | None
    severity: str | None
    kinds: tuple[str, ...]
    family: str | None
    group: str
    session: str | None
    cues: Mapping[str, float]
    sample: Sample | None = None
    """Picture of its most suspicious view, for real captures."""


@dataclass(frozen=True)
class SetResult:
    """Rows of one set and what was measured on them."""

    name: str
    origin: Literal["real", "synthetic"]
    rows: tuple[ScoredRow, ...]
    metrics: Mapping[str, Estimate]
    best_cue: str | None
    margin: Estimate
    """AUROC of the model minus that of the best cue, paired: both on the same resamples."""
    recall: Estimate
    """Share of damaged captures that raise an alarm at the model's own threshold."""
    strips: tuple[Strip, ...] = ()
    trained_on: int = 0
    """Rows that the model was trained on: real captures by name, rendered ones by product. Should be 0."""

    @property
    def labelled(self) -> tuple[ScoredRow, ...]:
        """Rows whose ``defect`` is known."""
        return tuple(row for row in self.rows if row.defect is not None)

    def rows_of(self, defect: bool) -> tuple[ScoredRow, ...]:
        """Rows that are damaged, or intact."""
        return tuple(row for row in self.rows if row.defect is defect)

    def groups_of(self, defect: bool) -> int:
        """Number of independent groups that carry a class."""
        return len({row.group for row in self.rows_of(defect)})


def score_set(
    name: str,
    origin: Literal["real", "synthetic"],
    captures: Iterable[Capture],
    scorer: Scorer,
    *,
    seed: int,
    trained_on: Collection[str] = (),
    on_capture: Callable[[], None] = lambda: None,
) -> SetResult:
    """Score the queries and twins of a set, measure, and keep small pictures; references are not scored.

    ``trained_on`` names captures and products that the model has learned from; rows of them are counted.
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
    return replace(measure_set(name, origin, rows, seed=seed), strips=tuple(strips), trained_on=known)


def _row(capture: Capture, prediction: Prediction, *, draw: bool) -> ScoredRow:
    score = float(prediction.score)
    if not 0 <= score <= 1:
        raise DamagelandError(
            f"capture {capture.capture_id}: the model's score is {score}, expected a number in [0, 1]"
        )
    severities = {damage.severity for damage in capture.damages}
    worst = next((severity for severity in ("major", "minor", "none") if severity in severities), None)
    if worst is None and capture.defect:
        worst = {True: "major", False: "minor", None: None}[capture.major_defect]
    return ScoredRow(
        capture_id=capture.capture_id,
        score=score,
        alarm=bool(prediction.alarm),
        modality=prediction.modality,
        defect=capture.defect,
        major_defect=capture.major_defect,
        severity=worst,
        kinds=capture.defect_types,
        family=capture.attributes.get("category"),
        group=capture.group or capture.item_identifier or capture.capture_id,
        session=capture.session,
        cues=measure_cues(capture),
        sample=_sample(capture, prediction) if draw else None,
    )


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


# Measuring


def measure_set(
    name: str,
    origin: Literal["real", "synthetic"],
    rows: Sequence[ScoredRow],
    *,
    seed: int,
) -> SetResult:
    """Every metric of a set, on its rows with known labels, each with its interval."""
    known = [row for row in rows if row.defect is not None]
    groups = [row.group for row in known]
    resamples = draw_resamples(groups, generator_for(seed, 0, f"bootstrap {name}"))
    scores = np.array([row.score for row in known], dtype=np.float64)
    defect = np.array([bool(row.defect) for row in known], dtype=bool)
    major = np.array([bool(row.major_defect) for row in known], dtype=bool)
    majors = major | ~defect
    alarms = np.array([row.alarm for row in known], dtype=bool)
    metrics = {
        "AP_any": estimate("AP", scores, defect, resamples),
        "AP_major": estimate("AP", scores[majors], defect[majors], keep_rows(resamples, majors)),
        "AUROC": estimate("AUROC", scores, defect, resamples),
        "recall_at_fpr_0.01": estimate("recall_at_fpr_0.01", scores, defect, resamples),
        "false_alarm_rate": _rate(alarms, ~defect, groups, resamples),
    }
    cues = {cue: np.array([row.cues[cue] for row in known], dtype=np.float64) for cue in CUES}
    metrics |= {cue: estimate_cue(values, defect, resamples) for cue, values in cues.items()}
    best = max(CUES, key=lambda cue: metrics[cue].value or 0) if metrics["AUROC"].value is not None else None
    margin = Estimate(None) if best is None else estimate_margin(scores, orient(cues[best], defect), defect, resamples)
    recall = _rate(alarms, defect, groups, resamples)
    return SetResult(name, origin, tuple(rows), metrics, best, margin, recall)


def _rate(
    alarms: Bool[np.ndarray, " n"], keep: Bool[np.ndarray, " n"], groups: Sequence[str], resamples: Resamples
) -> Estimate:
    kept = [group for group, wanted in zip(groups, keep, strict=True) if wanted]
    return estimate_rate(alarms[keep], kept, keep_rows(resamples, keep))


def estimate_margin(
    scores: Float[np.ndarray, " n"],
    cue: Float[np.ndarray, " n"],
    positive: Bool[np.ndarray, " n"],
    resamples: Resamples,
) -> Estimate:
    """AUROC of the scores minus AUROC of a cue, with the interval of that difference on shared resamples."""
    ours, theirs = auroc(scores, positive), auroc(cue, positive)
    if ours is None or theirs is None or estimate("AUROC", scores, positive, resamples).low is None:
        return Estimate(None if ours is None or theirs is None else ours - theirs)
    draws = [resampled(auroc_resampled, values, positive, resamples) for values in (scores, cue)]
    return with_interval(ours - theirs, draws[0] - draws[1])
