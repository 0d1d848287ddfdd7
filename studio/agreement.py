"""How far raters agree: kappa of what they say of each photograph, and overlap of what they draw."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..sim.errors import DamagelandError
from .annotate import SEVERITIES, raters, read_mask, verdicts


@dataclass(frozen=True)
class Agreement:
    """Of the raters of one folder."""

    raters: tuple[str, ...]
    pairs: Mapping[tuple[str, str], tuple[int, float, float]]
    """Captures of both, Cohen's kappa of the severity (none, minor, major), mean overlap (IoU) of masks that are not
    both empty; NaN where there is nothing to tell from."""
    fleiss: float
    """Fleiss' kappa of the severity over the captures that all rated; NaN if there are none."""
    common: int
    """How many those are."""


def agree(folder: Path) -> Agreement:
    """Compare all raters of a folder."""
    names = raters(folder)
    if len(names) < 2:
        raise DamagelandError(f"{folder}: {len(names)} rater(s) have drawn; agreement takes two at least.")
    said = {name: verdicts(folder, name) for name in names}
    pairs = {(a, b): _pair(folder, said, a, b) for a, b in itertools.combinations(names, 2)}
    common = sorted(set.intersection(*(set(each) for each in said.values())))
    counts = np.array([[sum(said[n][key] == s for n in names) for s in SEVERITIES] for key in common], float)
    return Agreement(names, pairs, fleiss_kappa(counts.reshape(-1, len(SEVERITIES))), len(common))


def _pair(folder: Path, said: Mapping[str, Mapping[str, str]], a: str, b: str) -> tuple[int, float, float]:
    both = sorted(set(said[a]) & set(said[b]))
    overlaps = [overlap for key in both if not np.isnan(overlap := _overlap(folder, a, b, key))]
    kappa = cohen_kappa([said[a][key] for key in both], [said[b][key] for key in both])
    return len(both), kappa, float(np.mean(overlaps)) if overlaps else float("nan")


def _overlap(folder: Path, a: str, b: str, key: str) -> float:
    one, other = (read_mask(folder, name, key) > 0 for name in (a, b))
    if one.shape != other.shape:
        raise DamagelandError(f"{key}: {a} drew on {one.shape}, {b} on {other.shape} pixels: not the same photograph.")
    union = int((one | other).sum())
    return float((one & other).sum() / union) if union else float("nan")


def cohen_kappa(one: Sequence[str], other: Sequence[str]) -> float:
    """Cohen's kappa of two raters; NaN without captures, or if only one answer was ever given."""
    from sklearn.metrics import cohen_kappa_score

    if not one or len({*one, *other}) < 2:
        return float("nan")
    return float(cohen_kappa_score(one, other))


def fleiss_kappa(counts: Float[np.ndarray, "n k"]) -> float:
    """Fleiss' kappa of n subjects and k answers, each rated by as many (Psychological Bulletin 76, 1971)."""
    if not len(counts):
        return float("nan")
    each = counts.sum(axis=1)[0]
    agreed = (np.square(counts).sum(axis=1) - each) / (each * (each - 1))
    chance = float(np.square(counts.sum(axis=0) / counts.sum()).sum())
    return float((agreed.mean() - chance) / (1 - chance)) if chance < 1 else float("nan")


def agreement_text(found: Agreement) -> str:
    """As Markdown."""
    lines = ["| raters | captures of both | Cohen's kappa | overlap of masks |", "|---|---|---|---|"]
    for (a, b), (count, kappa, overlap) in found.pairs.items():
        lines.append(f"| {a}, {b} | {count} | {_number(kappa)} | {_number(overlap)} |")
    return "\n".join([*lines, "", f"Fleiss' kappa of all, over {found.common} captures: {_number(found.fleiss)}."])


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}"
