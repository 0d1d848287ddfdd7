"""What references are worth to a model: the same captures beside right, wrong and no references, and its parts alone.

The wrong-gallery control is what tells comparing from guessing: a model that does as well beside another product's
references has not used the right ones.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from ..sim.capture import Capture
from ..sim.seed import generator_for
from ..sim.shards import read_captures
from ..sim.store import Source
from ..train.calibrate import modality_of
from ..train.fusion import Fusion
from ..train.references import ReferenceBook
from ..train.scorers import Scorer
from .adapters.table import RealSet
from .controls import ControlRow
from .metrics import Estimate, draw_resamples, estimate, estimate_rate

PRINTED = "printed"
"""Lookalikes whose name begins so are damage that is printed on the pack: only a reference settles them."""


@dataclass(frozen=True)
class _Score:
    value: float
    alarm: bool
    fit: float = 0.0


def gather(data: Source | None, sets: Iterable[RealSet]) -> ReferenceBook:
    """References of held-out rendered products and of real sets, held in memory: about 1 MB each at 3 x 224 px."""
    rendered = () if data is None else read_captures(data, split="test", roles=("reference",))
    return ReferenceBook.of(chain(rendered, chain.from_iterable(one.read().of(("reference",)) for one in sets)))


def control_rows(scorer: Scorer, data: Source, book: ReferenceBook, *, seed: int = 0) -> list[ControlRow]:
    """Score held-out captures beside right, wrong and no references; a fusion shows its two models besides."""
    asked: list[Capture] = []
    scores: dict[str, list[_Score]] = {}
    for capture in read_captures(data, split="test", roles=("query", "twin")):
        if capture.defect is None:
            continue
        asked.append(replace(capture, views=()))  # labels are enough from here on
        for name, score in _scores_of(scorer, capture, book).items():
            scores.setdefault(name, []).append(score)
    return [_measure(name, asked, found, seed) for name, found in scores.items()]


def _scores_of(scorer: Scorer, capture: Capture, book: ReferenceBook) -> dict[str, _Score]:
    right, wrong, none = (scorer(capture, found) for found in (book.find(capture), book.wrong(capture), ()))
    parts: dict[str, _Score] = {}
    if isinstance(scorer, Fusion):
        limits = {"query": scorer.query.card, "refdiff": scorer.refdiff.model.card}
        for name, card in limits.items():
            value = getattr(right, f"{name}_score")
            parts[name] = _Score(value, value > card.thresholds[modality_of(capture)].value)
        value = getattr(wrong, "refdiff_score")  # noqa: B009  (of a Fused, which Prediction does not tell)
        limit = limits["refdiff"].thresholds[modality_of(capture)].value
        parts["refdiff, wrong gallery"] = _Score(value, value > limit)
    return parts | {
        "model": _of(right),
        "model, wrong gallery": _of(wrong),
        "model, no gallery": _of(none),
    }


def _of(prediction: Any) -> _Score:
    return _Score(prediction.score, prediction.alarm, getattr(prediction, "fit", 0.0))


def _measure(name: str, captures: Sequence[Capture], found: Sequence[_Score], seed: int) -> ControlRow:
    groups = [c.group or c.item_identifier or c.capture_id for c in captures]
    damaged = np.array([bool(c.defect) for c in captures])
    scores, alarms = np.array([s.value for s in found]), np.array([s.alarm for s in found])
    # The draws do not depend on the row, so that rows are compared on the same resamples.
    resamples = draw_resamples(groups, generator_for(seed, 0, "bootstrap references"))
    printed = ~damaged & np.array([PRINTED in str(c.attributes.get("lookalikes", "")) for c in captures])

    def rate(where: np.ndarray) -> Estimate:
        chosen = [g for g, is_in in zip(groups, where, strict=True) if is_in]
        return estimate_rate(
            alarms[where], chosen, draw_resamples(chosen, generator_for(seed, 0, "bootstrap references"))
        )

    return ControlRow(
        name=name,
        captures=len(captures),
        damaged=int(damaged.sum()),
        AUROC=estimate("AUROC", scores, damaged, resamples),
        recall_at_budget=estimate("recall_at_fpr_0.01", scores, damaged, resamples),
        false_alarm_rate=rate(~damaged),
        printed_alarm_rate=rate(printed),
        recall=rate(damaged),
        fit=float(np.median([s.fit for s in found])) if found else 0.0,
    )
