"""How far renders look from real captures: can a classifier tell them apart, how far are they by MMD, is depth alike?

On pristine captures only, so that how often things are damaged gives nothing away, and without sharing products
between what the classifier learns from and what it is asked. Features are plain numbers of each view, seen through the
same window around the item: colour, sharpness and noise at several scales, clipping. A gap that they do not show may
still be there.

The classifier two-sample test is that of Lopez-Paz and Oquab (ICLR 2017) with AUROC for accuracy; MMD is the unbiased
estimate of Gretton et al. (JMLR 13, 2012) with the median distance for width, and its null by permuting whole groups.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .metrics import Estimate, draw_resamples, estimate

FOLDS, PERMUTATIONS = 5, 400
LEAST_GROUPS = 2 * FOLDS
"""Groups on each side below which nothing is told."""
SCALES = 4
DEPTH_STATISTICS = ("hole_share", "roughness_mm", "step_mm", "edge_px")


@dataclass(frozen=True)
class Side:
    """Pristine captures of one origin."""

    features: Float[np.ndarray, "n d"]
    depth: Float[np.ndarray, "n 4"]
    """DEPTH_STATISTICS of each capture; NaN without depth."""
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Gap:
    """How far one set of renders is from the real one."""

    name: str
    rendered: int
    real: int
    told_apart: Estimate
    """AUROC of the classifier: 0.5 if it cannot tell renders from real captures, 1 if it always can."""
    mmd: float | None
    """Squared MMD, unbiased: may be negative where there is no gap."""
    null: tuple[float, float] | None
    """Where it would lie in 95 of 100 cases if there were none."""
    depth: Mapping[str, tuple[float, float]]
    """Medians of depth statistics, rendered and real."""


def describe(rgb: UInt8[np.ndarray, "v s s 3"]) -> Float[np.ndarray, " d"]:
    """Numbers of a capture's views, averaged: colour, contrast, band energies, noise, clipping."""
    return np.mean([_describe_view(view) for view in rgb], axis=0)


def _describe_view(rgb: UInt8[np.ndarray, "s s 3"]) -> Float[np.ndarray, " d"]:
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).astype(np.float64)
    colour = [*lab.mean((0, 1)), *lab.std((0, 1))]
    grey = lab[..., 0]
    bands, level = [], grey
    for _ in range(SCALES):
        smooth = cv2.GaussianBlur(level, (5, 5), 1.0)
        fine = level - smooth
        bands += [np.log(fine.std() + 0.1), np.log(np.median(np.abs(fine)) + 0.1)]
        level = cv2.resize(smooth, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    blocks = np.abs(np.diff(grey, axis=1)).mean(0)
    grid = blocks[7::8].mean() - blocks.mean()  # JPEG's blocks, where the picture was not scaled
    clipped = [(rgb > 250).mean(), (rgb < 5).mean()]
    return np.array([*colour, *bands, grid, *clipped])


def describe_depth(depth_m: Sequence[Float[np.ndarray, "h w"]]) -> Float[np.ndarray, " 4"]:
    """Share without return, roughness about local planes [mm], usual step [mm], width of edges [px], mean over views.

    Of depth as recorded, in its own pixels: scaling it would smooth its noise and its steps. NaN without any.
    """
    found = [_describe_depth(view) for view in depth_m if (view > 0).any()]
    return np.mean(found, axis=0) if found else np.full(4, np.nan)


def _describe_depth(depth_m: Float[np.ndarray, "h w"]) -> Float[np.ndarray, " 4"]:
    y, x = depth_m.shape[0] // 4, depth_m.shape[1] // 4
    middle = depth_m[y : len(depth_m) - y, x : depth_m.shape[1] - x]
    holes = float((middle <= 0).mean())
    mm = depth_m.astype(np.float64) * 1000
    whole = cv2.erode((depth_m > 0).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)[1:-1, 1:-1]
    bend = np.abs(mm[1:-1, 2:] - 2 * mm[1:-1, 1:-1] + mm[1:-1, :-2])[whole]  # of a plane it is 0
    rough = float(np.median(bend)) / np.sqrt(6) if len(bend) else np.nan
    returns = np.unique(np.round(mm[mm > 0], 2))
    step = float(np.median(np.diff(returns))) if len(returns) > 1 else np.nan
    slope = np.abs(np.diff(mm, axis=1))
    both = (mm[:, 1:] > 0) & (mm[:, :-1] > 0)
    edges = both & (slope > 10)
    width = float(edges.sum() / max(1, (np.diff(edges.astype(int), axis=1, prepend=0) == 1).sum()))
    return np.array([holes, rough, step, width])


def measure_gap(name: str, rendered: Side, real: Side, rng: np.random.Generator) -> Gap:
    """All figures of a set of renders beside the real one; nothing is told of too few groups."""
    features = np.concatenate([rendered.features, real.features])
    is_real = np.arange(len(features)) >= len(rendered.features)
    groups = (*(f"rendered {g}" for g in rendered.groups), *(f"real {g}" for g in real.groups))
    depth = {
        statistic: (_median(rendered.depth[:, i]), _median(real.depth[:, i]))
        for i, statistic in enumerate(DEPTH_STATISTICS)
    }
    counts = (len(rendered.features), len(real.features))
    fewest = min(len(set(side.groups)) for side in (rendered, real))
    if fewest < LEAST_GROUPS:
        why = f"{fewest} independent groups on one side, {LEAST_GROUPS} are needed"
        return Gap(name, *counts, Estimate(None, why=why), None, None, depth)
    mmd, null = mmd_test(features, is_real, groups, rng)
    return Gap(name, *counts, tell_apart(features, is_real, groups, rng), mmd, null, depth)


def _median(values: Float[np.ndarray, " n"]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def tell_apart(
    features: Float[np.ndarray, "n d"], is_real: Bool[np.ndarray, " n"], groups: Sequence[str], rng: np.random.Generator
) -> Estimate:
    """AUROC of a classifier that never saw the groups it is asked about."""
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=int(rng.integers(2**31)))
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000, class_weight="balanced"))
    scores = cross_val_predict(
        classifier, features, is_real, groups=np.asarray(groups), cv=folds, method="decision_function"
    )
    return estimate("AUROC", np.asarray(scores, np.float64), is_real, draw_resamples(groups, rng))


def mmd_test(
    features: Float[np.ndarray, "n d"], is_real: Bool[np.ndarray, " n"], groups: Sequence[str], rng: np.random.Generator
) -> tuple[float, tuple[float, float]]:
    """Squared MMD and the middle 95 % of its values with origins shuffled among groups."""
    scaled = StandardScaler().fit_transform(features)
    apart = pdist(scaled, "sqeuclidean")
    kernel = np.exp(-squareform(apart) / max(float(np.median(apart)), 1e-12))
    names, of_row = np.unique(np.asarray(groups), return_inverse=True)
    origin = np.zeros(len(names), bool)
    origin[of_row] = is_real
    null = [_mmd(kernel, rng.permutation(origin)[of_row]) for _ in range(PERMUTATIONS)]
    low, high = np.nanquantile(null, [0.025, 0.975])
    return _mmd(kernel, is_real), (float(low), float(high))


def _mmd(kernel: Float[np.ndarray, "n n"], is_real: Bool[np.ndarray, " n"]) -> float:
    m, n = int((~is_real).sum()), int(is_real.sum())
    if min(m, n) < 2:
        return float("nan")
    ours, theirs = kernel[np.ix_(~is_real, ~is_real)], kernel[np.ix_(is_real, is_real)]
    within = (ours.sum() - np.trace(ours)) / (m * (m - 1)) + (theirs.sum() - np.trace(theirs)) / (n * (n - 1))
    return float(within - 2 * kernel[np.ix_(~is_real, is_real)].mean())


def gap_sentence(gaps: Sequence[Gap], transfer: Mapping[str, float | None]) -> str:
    """Whether a smaller gap goes with better transfer, over sets of renders; said plainly where that cannot be told."""
    pairs = [(g.told_apart.value, transfer.get(g.name)) for g in gaps]
    told = [(gap, value) for gap, value in pairs if gap is not None and value is not None]
    if len(told) < 4:
        return (
            f"Whether a smaller gap goes with better transfer cannot be told from {len(told)} set(s) of renders with "
            "both figures: it takes four at least."
        )
    order: Any = spearmanr([gap for gap, _ in told], [value for _, value in told])
    rank, p = float(order.statistic), float(order.pvalue)
    if not np.isfinite(rank):
        return "Whether a smaller gap goes with better transfer cannot be told: all figures are the same."
    weak = "weak: the gap does not foretell transfer here" if p > 0.05 or rank > 0 else "a smaller gap transfers better"
    return f"Rank correlation of gap and transfer over {len(told)} sets of renders: {rank:+.2f} (p {p:.3f}), {weak}."
