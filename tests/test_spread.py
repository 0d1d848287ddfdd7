"""Choices are spread over their combinations: splits, families, kinds and severities."""

from collections import Counter

import numpy as np
import pytest
from damageland.generators.recipe import ASSETS, is_damaged, locate, read_plan, reference_count, split_of
from damageland.generators.spread import STEPS, pick, spread_of

PLAN = read_plan(ASSETS / "recipes" / "demo.yaml")
UNITS = 600


def cells(seed: int) -> Counter:
    """How often each split meets each damage and severity among the first units of the demo's recipe."""
    recipe = PLAN.recipe.model_copy(update={"seed": seed, "captures": UNITS})
    counts: Counter = Counter()
    for index in range(reference_count(recipe), reference_count(recipe) + UNITS):
        unit, drawn = locate(recipe, index), spread_of(seed, index)
        kind, severity = pick((4, 1, 1.5), drawn.damage), pick((1, 4, 5), drawn.severity)
        counts[split_of(recipe, unit.identifier(recipe)), kind, severity] += 1
    return counts


def test_every_split_has_its_share_of_every_kind_and_severity():
    """Counts of split x kind x severity stay nearer to their shares than independent draws would bring them."""
    shares, misses = {"test": 0.15, "validation": 0.12, "train": 0.73}, []
    for seed in range(6):
        counts = cells(seed)
        for split, share in shares.items():
            for kind, of_kind in enumerate((4 / 6.5, 1 / 6.5, 1.5 / 6.5)):
                for severity, of_severity in enumerate((0.1, 0.4, 0.5)):
                    expected = UNITS * share * of_kind * of_severity
                    misses.append((counts[split, kind, severity] - expected) ** 2 / expected)
    assert np.mean(misses) < 0.6  # 1 for independent draws
    assert all(cells(seed)[split, kind, 2] > 0 for seed in range(6) for split in shares for kind in range(3))


@pytest.mark.parametrize("seed", [0, 7])
def test_each_choice_is_uniform_and_pairs_are_even(seed: int):
    """Marginals deviate from uniform by less than 1 %, and any two choices fill an 8 x 8 board evenly."""
    points = np.array([spread_of(seed, k) for k in range(4096)])
    assert points.shape[1] == len(STEPS)
    for column in points.T:
        assert np.abs(np.sort(column) - (np.arange(4096) + 0.5) / 4096).max() < 0.01
    for a in range(len(STEPS)):
        for b in range(a):
            board = np.histogram2d(points[:, a], points[:, b], bins=8, range=((0, 1), (0, 1)))[0]
            assert board.min() > 0.8 * 64 and board.max() < 1.2 * 64  # independent draws leave 40 to 90


def test_numbers_belong_to_the_unit_alone():
    """Unit k has the same numbers whatever came before, other seeds have others, and very late units are fine."""
    assert spread_of(3, 10**8) == spread_of(3, 10**8)
    assert spread_of(3, 5) != spread_of(4, 5)
    assert all(0 <= value < 1 for value in spread_of(3, 10**8))


def test_as_many_are_damaged_as_asked_and_no_reference():
    """Any run of units has the recipe's share of damaged ones to within two; galleries have none."""
    recipe = PLAN.recipe.model_copy(update={"damaged_share": 0.3})
    first = reference_count(recipe)
    assert not any(is_damaged(recipe, index) for index in range(first))
    for start in (first, first + 57, first + 1000):
        assert sum(is_damaged(recipe, start + k) for k in range(100)) == pytest.approx(30, abs=2)


def test_pick_follows_the_weights():
    """A point falls on the weight it lies on; nothing is ever picked that weighs nothing."""
    assert [pick((1, 0, 3), p) for p in (0.0, 0.2499, 0.25, 0.9999999999999999)] == [0, 0, 2, 2]
    assert pick((0, 1, 0), 1 - 1e-16) == 1
