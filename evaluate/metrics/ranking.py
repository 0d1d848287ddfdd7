"""Metrics of how scores rank damaged captures above intact ones.

Definitions are those of the Kaputt benchmark (arXiv 2510.05903) as its challenge computes them with scikit-learn:
AP_any is average precision on ``defect``; AP_major is average precision of major defects against intact captures, minor
defects left out; recall at 50 % precision is the largest recall where precision is at least one half; recall at 1 % FPR
is the largest true-positive rate where the false-positive rate is at most 1 %. Values come from scikit-learn; for the
thousands of resamples the same formulas run on all of them at once, with the number of times that a row was drawn as
its weight.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from jaxtyping import Bool, Float
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from .estimate import Estimate, Resamples, Statistic, Weights, enough_groups, one_class, resampled, with_interval

FPR_BUDGET = 0.01
PRECISION = 0.5
PREVALENCE = 0.001
"""Share of damaged items in a warehouse, for figures that depend on it; it is stated wherever they are."""


def average_precision(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], *, prevalence: float | None = None
) -> float | None:
    """Area under the precision-recall steps, at the rows' share of positives or at a stated one."""
    if one_class(positive):
        return None
    weights = None
    if prevalence is not None:
        weights = np.where(positive, prevalence / positive.sum(), (1 - prevalence) / (~positive).sum())
    return float(average_precision_score(positive, scores, sample_weight=weights))


def auroc(scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> float | None:
    """Chance that a positive scores above a negative, ties counting half; None if a class is absent."""
    return None if one_class(positive) else float(roc_auc_score(positive, scores))


def recall_at_fpr(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], *, budget: float = FPR_BUDGET
) -> float | None:
    """Largest true-positive rate where the false-positive rate is at most ``budget``; None if a class is absent."""
    if one_class(positive):
        return None
    fpr, tpr, _ = roc_curve(positive, scores, drop_intermediate=False)
    return float(tpr[fpr <= budget].max())


def recall_at_precision(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], *, least: float = PRECISION
) -> float | None:
    """Largest recall where precision is at least ``least``; 0 where it never is, None if a class is absent."""
    if one_class(positive):
        return None
    precision, recall, _ = precision_recall_curve(positive, scores)
    return float(recall[precision >= least].max(initial=0.0))


# The same formulas for all resamples at once


def _curve(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], weights: Weights
) -> tuple[Float[np.ndarray, "b t"], Float[np.ndarray, "b t"]]:
    """Weighted true and false positives at each distinct score, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    ranked, truth = weights[:, order], positive[order]
    return np.cumsum(ranked * truth, axis=1)[:, ends], np.cumsum(ranked * ~truth, axis=1)[:, ends]


def average_precision_resampled(
    scores: Float[np.ndarray, " n"],
    positive: Bool[np.ndarray, " n"],
    weights: Weights,
    *,
    prevalence: float | None = None,
) -> Float[np.ndarray, " b"]:
    """``average_precision`` of every resample."""
    tp, fp = _curve(scores, positive, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        odds = 1.0 if prevalence is None else (1 - prevalence) / prevalence * tp[:, -1:] / fp[:, -1:]
        precision = np.nan_to_num(tp / (tp + odds * fp))
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
    scores: Float[np.ndarray, " n"],
    positive: Bool[np.ndarray, " n"],
    weights: Weights,
    *,
    budget: float = FPR_BUDGET,
) -> Float[np.ndarray, " b"]:
    """``recall_at_fpr`` of every resample."""
    tp, fp = _curve(scores, positive, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        tpr, fpr = tp / tp[:, -1:], fp / fp[:, -1:]
    best = np.where(fpr <= budget, tpr, 0).max(axis=1)
    return np.where((tp[:, -1] > 0) & (fp[:, -1] > 0), best, np.nan)


def recall_at_precision_resampled(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], weights: Weights, *, least: float = PRECISION
) -> Float[np.ndarray, " b"]:
    """``recall_at_precision`` of every resample."""
    tp, fp = _curve(scores, positive, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        best = np.where(tp / (tp + fp) >= least, tp / tp[:, -1:], 0).max(axis=1)
    return np.where((tp[:, -1] > 0) & (fp[:, -1] > 0), best, np.nan)


_STATISTICS: dict[str, tuple[Callable[..., float | None], Statistic]] = {
    "AP": (average_precision, average_precision_resampled),
    "AUROC": (auroc, auroc_resampled),
    "recall_at_precision_0.5": (recall_at_precision, recall_at_precision_resampled),
    "recall_at_fpr_0.01": (recall_at_fpr, recall_at_fpr_resampled),
    "recall_at_fpr_0.001": (partial(recall_at_fpr, budget=0.001), partial(recall_at_fpr_resampled, budget=0.001)),
    "AP_at_prevalence_0.001": (
        partial(average_precision, prevalence=PREVALENCE),
        partial(average_precision_resampled, prevalence=PREVALENCE),
    ),
}
_SHARES = {"recall_at_fpr_0.01": 0.01, "recall_at_fpr_0.001": 0.001, "AP_at_prevalence_0.001": PREVALENCE}
"""Shares of intact captures that a metric is about: with fewer than one in each, it says nothing."""


def estimate(
    statistic: str, scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], resamples: Resamples
) -> Estimate:
    """Value and interval of one of the metrics above, on rows with known labels.

    No interval is given when a class comes from a single group: how another group would do is then unknown. Recall at a
    false-positive rate is not stated at all when one false alarm among the independent intact groups already breaks it,
    nor AP at a prevalence when one intact group would stand for more items than there are to a damaged one.
    """
    point, many = _STATISTICS[statistic]
    value = point(scores, positive)
    if value is None:
        return Estimate(None)
    why = unresolved(statistic, positive, resamples)
    if why is not None:
        return Estimate(None, why=why)
    if not enough_groups(positive, resamples.group_of_row):
        return Estimate(value)
    return with_interval(value, resampled(many, scores, positive, resamples))


def statistic_of(name: str) -> tuple[Callable[..., float | None], Statistic]:
    """A metric as a function of (scores, positives), and of many resamples at once."""
    return _STATISTICS[name]


def unresolved(name: str, positive: Bool[np.ndarray, " n"], resamples: Resamples) -> str | None:
    """Why a metric cannot be stated on these rows; None if it can."""
    return _unresolved(_SHARES.get(name), positive, resamples)


def _unresolved(share: float | None, positive: Bool[np.ndarray, " n"], resamples: Resamples) -> str | None:
    if share is None:
        return None
    intact, needed = len(np.unique(resamples.group_of_row[~positive])), math.ceil(1 / share - 1e-9)
    if intact >= needed:
        return None
    return f"cannot be stated: {intact:,} independent intact groups, {100 * share:g} % takes {needed:,} at least"


def paired_difference(
    statistic: str,
    ours: Float[np.ndarray, " n"],
    theirs: Float[np.ndarray, " n"],
    positive: Bool[np.ndarray, " n"],
    resamples: Resamples,
) -> Estimate:
    """A metric of one score minus that of another on the same rows, with the interval on shared resamples."""
    point, many = _STATISTICS[statistic]
    a, b = point(ours, positive), point(theirs, positive)
    if a is None or b is None:
        return Estimate(None)
    if not enough_groups(positive, resamples.group_of_row):
        return Estimate(a - b)
    return with_interval(
        a - b, resampled(many, ours, positive, resamples) - resampled(many, theirs, positive, resamples)
    )
