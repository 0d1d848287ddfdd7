"""What to render next: more of the damages on which a model errs, and that real captures ask for.

Damages fall into bins of generator and strength. A bin's weight is its share under the target (the recipe, or one that
was fitted to real captures) times the model's loss on held-out renders of it, over the mean; a part of the plain recipe
stays, so that what is learned is not forgotten. A bin that few captures show is drawn towards the mean loss.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...generators.recipe import DamageSpec, Recipe
from ...sim.capture import Capture
from ...sim.errors import DamagelandError

PRIOR = 10.0
"""A bin's loss counts as if so many captures of the mean loss were among its own."""
CLIP = 1e-3
"""Scores are kept so far from 0 and 1: one sure miss is no infinite loss."""
SMALLEST = 1e-4


@dataclass(frozen=True)
class Bin:
    """Damages of one entry of the target recipe within a range of strengths."""

    entry: int
    generator: str
    low: float
    high: float
    captures: int
    loss: float | None
    """Mean log-loss of the model on them; None if no capture is of this bin."""
    share: float
    """Under the target."""
    weight: float
    """In the next recipe."""


@dataclass(frozen=True)
class Seen:
    """A held-out damaged render and what the model said of it."""

    generator: str
    strength: float
    loss: float


def judged(captures: Iterable[Capture], scores: Mapping[str, float]) -> tuple[list[Seen], int]:
    """Damaged queries with a score, and how many were left out since they are of the training split."""
    found, trained = [], 0
    for capture in captures:
        if capture.capture_id not in scores or not capture.defect or not capture.damages:
            continue
        if capture.split == "train":
            trained += 1
            continue
        first = capture.damages[0]
        pred = min(max(scores[capture.capture_id], CLIP), 1 - CLIP)
        found.append(Seen(first.generator, float(first.parameters.get("strength", np.nan)), float(-np.log(pred))))
    return found, trained


def plan_bins(target: Recipe, seen: Sequence[Seen], *, bins: int = 4, keep: float = 0.3) -> list[Bin]:
    """Weigh every bin of the target recipe; weights sum to 1."""
    if not seen:
        raise DamagelandError(
            "no damaged capture outside the training split has a score: predict the validation or test split"
        )
    mean = float(np.mean([one.loss for one in seen]))
    entries = list(_split(target.damages, bins))
    asked = []
    for _, spec, low, high, share in entries:
        losses = [s.loss for s in seen if s.generator == spec.generator and low <= s.strength <= high]
        shrunk = (sum(losses) + PRIOR * mean) / (len(losses) + PRIOR)
        asked.append((losses, share * shrunk / max(mean, 1e-12)))
    total = sum(value for _, value in asked)
    return [
        Bin(
            entry=entry,
            generator=spec.generator,
            low=low,
            high=high,
            captures=len(losses),
            loss=float(np.mean(losses)) if losses else None,
            share=share,
            weight=keep * share + (1 - keep) * value / total,
        )
        for (entry, spec, low, high, share), (losses, value) in zip(entries, asked, strict=True)
    ]


def _split(damages: Sequence[DamageSpec], bins: int) -> Iterable[tuple[int, DamageSpec, float, float, float]]:
    """Entries cut where bins of equal width meet: number, entry, range and share."""
    total = sum(spec.weight for spec in damages)
    for k, spec in enumerate(damages):
        low, high = spec.strength
        inner = [edge for edge in np.arange(1, bins) / bins if low < edge < high]
        edges = [low, *(float(edge) for edge in inner), high]
        for a, b in itertools.pairwise(edges):
            part = (b - a) / (high - low) if high > low else 1.0
            yield k, spec, a, b, spec.weight / total * part


def next_damages(target: Recipe, bins: Sequence[Bin]) -> list[dict[str, Any]]:
    """Damages of the next recipe, as YAML has them: an entry for each bin."""
    found = []
    for one in bins:
        data = target.damages[one.entry].model_dump(mode="json", exclude_defaults=True)
        strength = [round(one.low, 3), round(one.high, 3)]
        found.append({**data, "strength": strength, "weight": max(round(one.weight, 4), SMALLEST)})
    return found


def table_of(bins: Sequence[Bin]) -> str:
    """Lines for the terminal, the greatest change first."""
    lines = ["generator  strength     captures  log-loss  share  next"]
    for one in sorted(bins, key=lambda b: -b.weight / max(b.share, 1e-9)):
        loss = "–" if one.loss is None else f"{one.loss:.3f}"
        span = f"{one.low:.2f}–{one.high:.2f}"
        lines.append(f"{one.generator:<11}{span:<13}{one.captures:>8}{loss:>10}{one.share:>7.3f}{one.weight:>6.3f}")
    return "\n".join(lines)
