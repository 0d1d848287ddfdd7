"""Metrics of a damage score, each with a percentile bootstrap interval resampled by group.

Photographs taken together, or renders of one product, are not independent: a resample draws whole groups with
replacement. Definitions are those of the Kaputt benchmark (arXiv 2510.05903) as its challenge computes them with
scikit-learn: AP_any is average precision on ``defect``; AP_major is average precision of major defects against intact
captures, minor defects left out; recall at 1 % FPR is the largest true-positive rate where the false-positive rate is
at most 1 %. Values come from scikit-learn; for the thousands of resamples the same formulas run on all of them at once,
with the number of times that a row was drawn as its weight.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import beta
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

CONFIDENCE = 0.95
RESAMPLES = 2000
FPR_BUDGET = 0.01
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


# Values, and the same formulas for all resamples at once


def average_precision(scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> float | None:
    """Area under the precision-recall steps; None without positives or without negatives."""
    return None if _one_class(positive) else float(average_precision_score(positive, scores))


def auroc(scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> float | None:
    """Chance that a positive scores above a negative, ties counting half; None if a class is absent."""
    return None if _one_class(positive) else float(roc_auc_score(positive, scores))


def recall_at_fpr(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], *, budget: float = FPR_BUDGET
) -> float | None:
    """Largest true-positive rate where the false-positive rate is at most ``budget``; None if a class is absent."""
    if _one_class(positive):
        return None
    fpr, tpr, _ = roc_curve(positive, scores, drop_intermediate=False)
    return float(tpr[fpr <= budget].max())


def _one_class(positive: Bool[np.ndarray, " n"]) -> bool:
    return bool(positive.all() or not positive.any())


def _curve(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], weights: Weights
) -> tuple[Float[np.ndarray, "b t"], Float[np.ndarray, "b t"]]:
    """Weighted true and false positives at each distinct score, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    ranked, truth = weights[:, order], positive[order]
    return np.cumsum(ranked * truth, axis=1)[:, ends], np.cumsum(ranked * ~truth, axis=1)[:, ends]


def average_precision_resampled(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], weights: Weights
) -> Float[np.ndarray, " b"]:
    """``average_precision`` of every resample."""
    tp, fp = _curve(scores, positive, weights)
    with np.errstate(invalid="ignore"):
        precision = np.nan_to_num(tp / (tp + fp))
        value = (np.diff(tp, axis=1, prepend=0) * precision).sum(axis=1) / tp[:, -1]
    return np.where(fp[:, -1] > 0, value, np.nan)


def auroc_resampled(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], weights: Weights
) -> Float[np.ndarray, " b"]:
    """``auroc`` of every resample, by the trapezoidal rule."""
    tp, fp = _curve(scores, positive, weights)
    middle = tp - np.diff(tp, axis=1, prepend=0) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return (np.diff(fp, axis=1, prepend=0) * middle).sum(axis=1) / (tp[:, -1] * fp[:, -1])


def recall_at_fpr_resampled(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], weights: Weights
) -> Float[np.ndarray, " b"]:
    """``recall_at_fpr`` of every resample at 1 % FPR."""
    tp, fp = _curve(scores, positive, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        tpr, fpr = tp / tp[:, -1:], fp / fp[:, -1:]
    best = np.where(fpr <= FPR_BUDGET, tpr, 0).max(axis=1)
    return np.where((tp[:, -1] > 0) & (fp[:, -1] > 0), best, np.nan)


# Intervals


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


def estimate(
    statistic: str,
    scores: Float[np.ndarray, " n"],
    positive: Bool[np.ndarray, " n"],
    resamples: Resamples,
) -> Estimate:
    """Value and interval of ``AP``, ``AUROC`` or ``recall_at_fpr_0.01`` on rows with known labels.

    No interval is given when a class comes from a single group: how another group would do is then unknown.
    """
    point, many = _STATISTICS[statistic]
    value = point(scores, positive)
    if value is None or not _enough_groups(positive, resamples.group_of_row):
        return Estimate(value)
    return with_interval(value, resampled(many, scores, positive, resamples))


_STATISTICS: dict[str, tuple[Callable[..., float | None], Statistic]] = {
    "AP": (average_precision, average_precision_resampled),
    "AUROC": (auroc, auroc_resampled),
    "recall_at_fpr_0.01": (recall_at_fpr, recall_at_fpr_resampled),
}


def _enough_groups(positive: Bool[np.ndarray, " n"], group_of_row: Int[np.ndarray, " n"]) -> bool:
    return all(len(np.unique(group_of_row[side])) >= 2 for side in (positive, ~positive))


def estimate_rate(alarms: Bool[np.ndarray, " n"], groups: Sequence[str], resamples: Resamples) -> Estimate:
    """Share of rows that raised an alarm, with its interval; None without rows.

    When no row alarms, or every row does, resampling sees no spread at all. The interval is then the exact binomial one
    (Clopper-Pearson, Biometrika 1934) with one trial per group.
    """
    if len(alarms) == 0:
        return Estimate(None)
    rate = float(alarms.mean())
    count = len(set(groups))
    if rate in (0.0, 1.0):
        tail = (1 - CONFIDENCE) / 2
        low = 0.0 if rate == 0 else float(beta.ppf(tail, count, 1))
        high = 1.0 if rate == 1 else float(beta.ppf(1 - tail, 1, count))
        return Estimate(rate, low, high)
    if count < 2:
        return Estimate(rate)

    def share(_scores: np.ndarray, alarmed: Bool[np.ndarray, " n"], weights: Weights) -> Float[np.ndarray, " b"]:
        with np.errstate(invalid="ignore"):
            return (weights * alarmed).sum(axis=1) / weights.sum(axis=1)

    return with_interval(rate, resampled(share, np.zeros(len(alarms)), alarms, resamples))


def alarms_per_find(*, false_alarm_rate: float, recall: float, prevalence: float = 0.001) -> float:
    """False alarms for each damage found when one item in ``1 / prevalence`` is damaged; infinite without recall."""
    return false_alarm_rate * (1 - prevalence) / (recall * prevalence) if recall > 0 else math.inf
