"""How well masks mark damage: per-region overlap (AUPRO) and pixel F1, with intervals resampled by group.

AUPRO is that of MVTec AD (Bergmann et al., IJCV 129, 2021): the mean share of each connected damaged region that is
marked, against the share of intact pixels that are marked, integrated up to a limit and divided by it. Masks of
thousands of captures do not fit into memory, so each is counted into bins of the logit of its score as it comes: 1/32
of a logit is 3 % of the odds, finer than any two thresholds that anybody would tell apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from scipy.special import logit

from .estimate import Estimate, Resamples, with_interval

STEPS_PER_LOGIT, LARGEST_LOGIT = 32, 16
BINS = 2 * STEPS_PER_LOGIT * LARGEST_LOGIT + 1
HALF = STEPS_PER_LOGIT * LARGEST_LOGIT
"""The bin that starts at a score of one half."""


@dataclass(frozen=True)
class PixelTally:
    """Pixels of one capture (or of many together) by score."""

    intact: Float32[np.ndarray, "k"]
    """Intact pixels in each bin."""
    damaged: Float32[np.ndarray, "k"]
    """Damaged pixels in each bin."""
    overlap: Float32[np.ndarray, "k"]
    """Share of a region in each bin, summed over regions."""
    regions: int
    """Connected damaged regions, 8 neighbours."""


def tally(score: Float[np.ndarray, "h w"], damage: Bool[np.ndarray, "h w"]) -> PixelTally:
    """Count a mask against the truth."""
    bins = _bins(score)
    regions, labels = cv2.connectedComponents(damage.astype(np.uint8), connectivity=8)
    sizes = np.bincount(labels.reshape(-1), minlength=regions)
    share = 1 / sizes[np.asarray(labels)[damage].astype(np.int64)]
    return PixelTally(
        np.bincount(bins[~damage], minlength=BINS).astype(np.float32),
        np.bincount(bins[damage], minlength=BINS).astype(np.float32),
        np.bincount(bins[damage], share, minlength=BINS).astype(np.float32),
        regions - 1,
    )


def _bins(score: Float[np.ndarray, "h w"]) -> Int[np.ndarray, "h w"]:
    with np.errstate(divide="ignore"):
        odds = np.clip(logit(score.astype(np.float64)), -LARGEST_LOGIT, LARGEST_LOGIT)
    return np.floor(odds * STEPS_PER_LOGIT).astype(np.int64) + HALF


def add_tallies(tallies: Sequence[PixelTally]) -> PixelTally:
    """All views of a capture, or all captures of a set, as one."""
    return PixelTally(
        np.sum([t.intact for t in tallies], axis=0),
        np.sum([t.damaged for t in tallies], axis=0),
        np.sum([t.overlap for t in tallies], axis=0),
        sum(t.regions for t in tallies),
    )


# Values of many resamples at once: each row of the arrays is one


@dataclass(frozen=True)
class _Counts:
    """Tallies of resamples, from the highest score down."""

    intact: Float[np.ndarray, "b k"]
    damaged: Float[np.ndarray, "b k"]
    overlap: Float[np.ndarray, "b k"]
    regions: Float[np.ndarray, " b"]


def _aupro(counts: _Counts, limit: float) -> Float[np.ndarray, " b"]:
    with np.errstate(invalid="ignore", divide="ignore"):
        fpr = np.cumsum(counts.intact, axis=1) / counts.intact.sum(axis=1, keepdims=True)
        pro = np.cumsum(counts.overlap, axis=1) / counts.regions[:, None]
    zero = np.zeros((len(fpr), 1))
    fpr, pro = np.hstack([zero, fpr]), np.hstack([zero, pro])
    left, right = np.minimum(fpr[:, :-1], limit), np.minimum(fpr[:, 1:], limit)
    step = np.diff(fpr, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(step > 0, np.diff(pro, axis=1) / step, 0)
    middle = pro[:, :-1] + slope * ((left + right) / 2 - fpr[:, :-1])  # on the line between two thresholds
    return ((right - left) * middle).sum(axis=1) / limit


def _f1(counts: _Counts, *, best: bool) -> Float[np.ndarray, " b"]:
    """2 TP / (2 TP + FP + FN) at a score of one half, or at the best threshold of all."""
    tp, fp = np.cumsum(counts.damaged, axis=1), np.cumsum(counts.intact, axis=1)
    total = tp[:, -1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = np.where(total > 0, 2 * tp / (tp + fp + total), np.nan)
    return f1.max(axis=1) if best else f1[:, BINS - 1 - HALF]


_METRICS = {
    "AUPRO_0.05": lambda counts: _aupro(counts, 0.05),
    "AUPRO_0.3": lambda counts: _aupro(counts, 0.3),
    "pixel_F1": lambda counts: _f1(counts, best=False),
    "pixel_F1_best": lambda counts: _f1(counts, best=True),
}
PIXEL_METRICS = tuple(_METRICS)


def estimate_pixels(tallies: Sequence[PixelTally | None], resamples: Resamples) -> dict[str, Estimate]:
    """Every metric of masks with its interval; None for rows whose truth is unknown. Undefined without any region."""
    known = [(t, g) for t, g in zip(tallies, resamples.group_of_row.tolist(), strict=True) if t is not None]
    if not any(t.regions for t, _ in known):
        return {name: Estimate(None) for name in _METRICS}
    of_groups = _by_group(known, resamples.counts.shape[1])
    whole = _weigh(np.ones((1, resamples.counts.shape[1])), of_groups)
    values = {name: float(metric(whole)[0]) for name, metric in _METRICS.items()}
    if np.count_nonzero(of_groups.regions) < 2:  # of one group nobody knows how another would do
        return {name: Estimate(value) for name, value in values.items()}
    draws = _weigh(resamples.counts.astype(np.float64), of_groups)
    return {name: with_interval(value, _METRICS[name](draws)) for name, value in values.items()}


def _by_group(known: Sequence[tuple[PixelTally, int]], groups: int) -> _Counts:
    counts = _Counts(*np.zeros((3, groups, BINS)), np.zeros(groups))  # pyright: ignore[reportCallIssue]
    for one, group in known:
        counts.intact[group] += one.intact[::-1]
        counts.damaged[group] += one.damaged[::-1]
        counts.overlap[group] += one.overlap[::-1]
        counts.regions[group] += one.regions
    return counts


def _weigh(weights: Float[np.ndarray, "b g"], counts: _Counts) -> _Counts:
    return _Counts(
        weights @ counts.intact, weights @ counts.damaged, weights @ counts.overlap, weights @ counts.regions
    )
