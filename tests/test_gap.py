"""The gap between renders and real captures, on features and pictures whose difference is known."""

import numpy as np
import pytest
from damageland.evaluate.gap import Gap, Side, describe, describe_depth, gap_sentence, measure_gap, mmd_test
from damageland.evaluate.metrics import Estimate
from scipy.stats import norm


def side(shift: float, seed: int, *, groups: int = 40) -> Side:
    """Two captures of each product, which share most of what they show."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(groups, 5)).repeat(2, 0)
    features = shared + 0.1 * rng.normal(size=shared.shape)
    features[:, 0] += shift
    return Side(features, np.full((len(features), 4), np.nan), tuple(str(k // 2) for k in range(len(features))))


def test_gap_is_found_where_there_is_one() -> None:
    """Shifted features are told apart about as well as theory allows, the same ones are not."""
    near, far = (measure_gap("x", side(0, 0), side(shift, 1), np.random.default_rng(0)) for shift in (0.0, 2.0))
    assert far.told_apart.value == pytest.approx(norm.cdf(2 / np.sqrt(2)), abs=0.06)
    assert near.told_apart.low is not None and near.told_apart.low < 0.5
    assert near.null is not None and far.null is not None and near.mmd is not None and far.mmd is not None
    assert near.null[0] < near.mmd < near.null[1] and far.mmd > far.null[1]
    few = measure_gap("x", side(0, 0, groups=4), side(0, 1), np.random.default_rng(0))
    assert few.told_apart.value is None and "4 independent groups" in str(few.told_apart.why)


def test_mmd_is_unbiased_and_holds_its_level() -> None:
    """Without a gap the estimate is 0 on average, and lies outside its null about as often as said."""
    values, outside = [], 0
    for seed in range(16):
        rng = np.random.default_rng(seed)
        value, (low, high) = mmd_test(rng.normal(size=(30, 3)), np.arange(30) >= 12, list(map(str, range(30))), rng)
        values.append(value)
        outside += not low <= value <= high
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(16)
    assert outside <= 4


def test_descriptions_follow_what_was_changed() -> None:
    """Noise, blur and clipping move the picture's numbers; holes, noise and steps those of depth, by their size."""
    rng = np.random.default_rng(0)
    plain = np.full((1, 64, 64, 3), 120, np.uint8)
    noisy = np.clip(plain + rng.normal(0, 12, plain.shape), 0, 255).astype(np.uint8)
    assert (describe(noisy) != describe(plain)).sum() > 6
    y, x = np.mgrid[0:64, 0:64]
    plane = (0.5 + 0.001 * x + 0.0005 * y)[None]
    holes, rough, _, _ = describe_depth(list(plane))
    assert holes == 0 and rough == pytest.approx(0, abs=1e-6)
    noise = plane + rng.normal(0, 0.002, plane.shape)
    assert describe_depth(list(noise))[1] == pytest.approx(
        2 * norm.ppf(0.75), rel=0.1
    )  # median of a normal's absolute value
    coarse = np.round(plane / 0.005) * 0.005
    assert describe_depth(list(coarse))[2] == pytest.approx(5)
    coarse[rng.random(coarse.shape) < 0.25] = 0
    assert describe_depth(list(coarse))[0] == pytest.approx(0.25, abs=0.05)
    assert np.isnan(describe_depth([np.zeros((8, 8))])).all()


def test_correlation_is_called_weak_where_it_is() -> None:
    """A gap that orders the sets as their transfer does not foretells nothing; of few sets nothing is said."""
    gaps = [Gap(str(k), 9, 9, Estimate(0.5 + k / 20), 0.0, (0.0, 0.0), {}) for k in range(6)]
    assert "transfers better" in gap_sentence(gaps, {str(k): 0.9 - k / 20 for k in range(6)})
    assert "weak" in gap_sentence(gaps, {str(k): 0.5 + (k * 7 % 5) / 20 for k in range(6)})
    assert "cannot be told" in gap_sentence(gaps[:2], {"0": 0.6, "1": 0.5})
