"""Is one score better than another on the same rows? DeLong's test for AUROC, and Holm's correction for many questions.

The paired bootstrap (``ranking.paired_difference``) is the first answer, since it holds for any metric. DeLong's test
(DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988) needs no resampling and gives a p-value for AUROC; with groups
of several rows it is Obuchowski's extension to clustered data (Biometrics 53, 1997), which is the same where every
group is one row. Components come from mid-ranks (Sun and Xu, IEEE Signal Processing Letters 21, 2014).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import norm, rankdata

from .estimate import one_class


@dataclass(frozen=True)
class AurocTest:
    """AUROC of one score minus that of another, its standard error, and the two-sided p-value of no difference."""

    difference: float
    error: float
    p: float


def delong(
    ours: Float[np.ndarray, " n"],
    theirs: Float[np.ndarray, " n"],
    positive: Bool[np.ndarray, " n"],
    groups: Sequence[str],
) -> AurocTest | None:
    """Test whether two scores of the same rows have the same AUROC; None where a class comes from one group alone."""
    if one_class(positive):
        return None
    names, cluster = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    difference = _components(ours, positive) - _components(theirs, positive)  # signed: their variance is the test's
    mean = float(difference[positive].mean())
    sums = [_centred_sums(difference, side, cluster, len(names), mean) for side in (positive, ~positive)]
    sizes = [int(side.sum()) for side in (positive, ~positive)]
    counts = [len(np.unique(cluster[side])) for side in (positive, ~positive)]
    if min(counts) < 2:
        return None
    variance = sum(k / (k - 1) * float((s**2).sum()) / n**2 for k, s, n in zip(counts, sums, sizes, strict=True))
    together = len(names) / (len(names) - 1) * float((sums[0] * sums[1]).sum())
    error = math.sqrt(max(0.0, variance + 2 * together / (sizes[0] * sizes[1])))
    if error == 0:
        return AurocTest(mean, 0.0, 1.0 if mean == 0 else 0.0)
    return AurocTest(mean, error, float(2 * norm.sf(abs(mean) / error)))


def _components(scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Per row: share of rows of the other class that it is ranked rightly against, ties counting half."""
    m, n = int(positive.sum()), int((~positive).sum())
    everywhere, among = rankdata(scores), np.zeros(len(scores))
    for side in (positive, ~positive):
        among[side] = rankdata(scores[side])
    below = everywhere - among  # rows of the other class with a lower score
    return np.where(positive, below / n, 1 - below / m)


def _centred_sums(
    components: Float[np.ndarray, " n"], side: Bool[np.ndarray, " n"], cluster: np.ndarray, clusters: int, mean: float
) -> Float[np.ndarray, " g"]:
    """Sum of a class's components per group, less what is expected of so many rows."""
    return np.bincount(cluster[side], components[side] - mean, minlength=clusters)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values of Holm's step-down method (Scandinavian Journal of Statistics 6, 1979), in the given order."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))) if len(p) else p
    adjusted = np.zeros(len(p))
    adjusted[order] = steps
    return adjusted.tolist()
