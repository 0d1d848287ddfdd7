"""A value with its interval, and the bootstrap that gives it, resampled by group.

Photographs taken together, or renders of one product, are not independent: a resample draws whole groups with
replacement. The draws are made once per set, so that every metric and every difference is paired.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

CONFIDENCE = 0.95
RESAMPLES = 2000
MIN_RESAMPLES = 100
"""Fewer usable resamples than this give no interval."""

_BLOCK = 2_000_000  # weights held at once, so that memory stays at some tens of MB whatever the number of rows

Weights = Float[np.ndarray, "b n"]
Statistic = Callable[[Float[np.ndarray, " n"], Bool[np.ndarray, " n"], Weights], Float[np.ndarray, " b"]]
"""(scores, positives, weights of each resample) to one value per resample, NaN where undefined."""


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; None where it is undefined (a class is absent, or too few groups carry it)."""

    value: float | None
    low: float | None = None
    high: float | None = None
    skipped: int = 0
    """Resamples left out because they lost a class. The rest are resamples given that both classes were drawn."""
    why: str | None = field(default=None, compare=False)
    """Why there is no value, where it takes more than a dash to say."""


@dataclass(frozen=True)
class Resamples:
    """Bootstrap draws of whole groups, made once per set so that every metric and every difference is paired."""

    counts: Int[np.ndarray, "b g"]
    """How often each group was drawn."""
    group_of_row: Int[np.ndarray, " n"]


def draw_resamples(groups: Sequence[str], rng: np.random.Generator, *, count: int = RESAMPLES) -> Resamples:
    """Draw as many groups as there are, with replacement, ``count`` times."""
    names, rows = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    if not len(names):
        return Resamples(np.zeros((count, 0), np.int64), np.zeros(0, np.int64))
    share = np.full(len(names), 1 / len(names))
    return Resamples(rng.multinomial(len(names), share, size=count).astype(np.int64), rows.reshape(-1).astype(np.int64))


def keep_rows(resamples: Resamples, keep: Bool[np.ndarray, " n"]) -> Resamples:
    """The same draws for some of the rows only."""
    return Resamples(resamples.counts, resamples.group_of_row[keep])


def resampled(
    statistic: Statistic, scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], resamples: Resamples
) -> Float[np.ndarray, " b"]:
    """Value of a statistic in every resample, NaN where the resample lost a class."""
    step = max(1, _BLOCK // max(len(scores), 1))
    blocks = [
        statistic(scores, positive, block[:, resamples.group_of_row].astype(np.float64))
        for block in (resamples.counts[i : i + step] for i in range(0, len(resamples.counts), step))
    ]
    return np.concatenate(blocks)


def with_interval(value: float | None, draws: Float[np.ndarray, " b"], *, confidence: float = CONFIDENCE) -> Estimate:
    """Attach the percentile interval of bootstrap draws to a value; draws that are NaN are skipped and counted."""
    usable = draws[np.isfinite(draws)]
    skipped = len(draws) - len(usable)
    if value is None or len(usable) < MIN_RESAMPLES:
        return Estimate(value, skipped=skipped)
    tail = (1 - confidence) / 2
    low, high = np.quantile(usable, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), skipped)


def one_class(positive: Bool[np.ndarray, " n"]) -> bool:
    """Whether positives or negatives are absent."""
    return bool(positive.all() or not positive.any())


def enough_groups(positive: Bool[np.ndarray, " n"], group_of_row: Int[np.ndarray, " n"]) -> bool:
    """Whether each class comes from two groups at least: of one group nobody knows how another would do."""
    return all(len(np.unique(group_of_row[side])) >= 2 for side in (positive, ~positive))
