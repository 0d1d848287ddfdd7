"""Metrics at a threshold, and of scores read as probabilities."""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import beta
from sklearn.metrics import brier_score_loss

from .estimate import CONFIDENCE, Estimate, Resamples, Statistic, Weights, keep_rows, resampled, with_interval
from .ranking import PREVALENCE

BINS = 15
"""Equally wide bins of the calibration error, as most of the literature takes."""


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
    return with_interval(rate, resampled(_share, np.zeros(len(alarms)), alarms, resamples))


def _share(_scores: np.ndarray, alarmed: Bool[np.ndarray, " n"], weights: Weights) -> Float[np.ndarray, " b"]:
    with np.errstate(invalid="ignore"):
        return (weights @ alarmed) / weights.sum(axis=1)


def alarms_per_find(*, false_alarm_rate: float, recall: float, prevalence: float = PREVALENCE) -> float:
    """False alarms for each damage found when one item in ``1 / prevalence`` is damaged; infinite without recall."""
    return false_alarm_rate * (1 - prevalence) / (recall * prevalence) if recall > 0 else math.inf


def estimate_alarms_per_find(
    alarms: Bool[np.ndarray, " n"], defect: Bool[np.ndarray, " n"], groups: Sequence[str], resamples: Resamples
) -> Estimate:
    """``alarms_per_find`` with its interval; no value where nothing is found, or a class is absent.

    Where no false alarm was seen, the upper end is that of the exact limit of the rate.
    """
    if not defect.any() or defect.all():
        return Estimate(None)
    recall, rate = float(alarms[defect].mean()), float(alarms[~defect].mean())
    if recall == 0:
        return Estimate(None, why="nothing was found at this threshold")
    value = alarms_per_find(false_alarm_rate=rate, recall=recall)
    if rate == 0:
        intact = [group for group, damaged in zip(groups, defect, strict=True) if not damaged]
        high = estimate_rate(alarms[~defect], intact, keep_rows(resamples, ~defect)).high
        return Estimate(value, 0.0, alarms_per_find(false_alarm_rate=high or 0.0, recall=recall))
    none = np.zeros(len(alarms))
    draws = [resampled(_share, none[side], alarms[side], keep_rows(resamples, side)) for side in (~defect, defect)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return with_interval(value, draws[0] * (1 - PREVALENCE) / (draws[1] * PREVALENCE))


# Scores as probabilities


def brier(scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> float | None:
    """Mean squared distance of scores in [0, 1] from the truth; None without rows."""
    return float(brier_score_loss(positive, scores, pos_label=True)) if len(scores) else None


def calibration_error(scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> float | None:
    """Expected calibration error of a binary score: mean gap between score and share of damaged rows, per bin.

    The definition is Naeini, Cooper and Hauskrecht's (AAAI 2015) on the positive class, with bins closed above.
    """
    return float(_calibration_errors(scores, positive, np.ones((1, len(scores))))[0]) if len(scores) else None


def _calibration_errors(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], weights: Weights
) -> Float[np.ndarray, " b"]:
    bins = np.digitize(scores, np.linspace(0, 1, BINS + 1)[1:-1], right=True)
    gaps = np.zeros((len(scores), BINS))
    gaps[np.arange(len(scores)), bins] = scores - positive
    with np.errstate(invalid="ignore"):
        return np.abs(weights @ gaps).sum(axis=1) / weights.sum(axis=1)


def _briers(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], weights: Weights
) -> Float[np.ndarray, " b"]:
    with np.errstate(invalid="ignore"):
        return (weights @ (scores - positive) ** 2) / weights.sum(axis=1)


def estimate_probability(
    statistic: str, scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], resamples: Resamples
) -> Estimate:
    """Value and interval of ``ECE`` or ``Brier``; undefined where a class is absent, as the ranking metrics are."""
    if not positive.any() or positive.all():
        return Estimate(None)
    point, many = _PROBABILITY[statistic]
    if resamples.counts.shape[1] < 2:
        return Estimate(point(scores, positive))
    return with_interval(point(scores, positive), resampled(many, scores, positive, resamples))


_PROBABILITY: dict[str, tuple[partial[float | None], Statistic]] = {
    "ECE": (partial(calibration_error), _calibration_errors),
    "Brier": (partial(brier), _briers),
}
