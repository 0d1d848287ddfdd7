"""The leak bench finds a leak that is planted, and none where there is none."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import scenes
from damageland.generators.recipe import DamageSpec
from sklearn.metrics import roc_auc_score

BENCH = Path(__file__).resolve().parents[1] / "bench" / "bench_leaks.py"


@pytest.fixture(scope="module")
def leaks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_leaks", BENCH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_leaks"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pairs(leaks: ModuleType) -> list:
    plan = scenes.tiny_plan(size=96, captures=4, damages=(DamageSpec(generator="hole", strength=(0.3, 0.7)),))
    made = [leaks.make_pair(plan, number) for number in range(4)]
    return [leaks.Pair(str(k), composed, *captures) for k, (composed, captures) in enumerate(made) if composed.twin]


def test_crops_lie_on_the_item_away_from_damage(leaks: ModuleType, pairs: list):
    """No damaged pixel within the margin of a crop, in either picture; most of it shows the item."""
    count = 0
    for pair in pairs:
        for damaged, twin in zip(pair.damaged.views, pair.twin.views, strict=True):
            spoilt = cv2.dilate((damaged.damage > 0).astype(np.uint8), np.ones((2 * leaks.MARGIN + 1,) * 2, np.uint8))
            for top, left in leaks.places(damaged, twin, np.random.default_rng(0)):
                window = slice(top, top + leaks.CROP), slice(left, left + leaks.CROP)
                assert not spoilt[window].any() and (damaged.item[window] > 0).mean() >= leaks.COVERED
                count += 1
    assert count >= 4


def test_undamaged_crops_equal_their_twins(leaks: ModuleType, pairs: list):
    """Far from a hole the two pictures are the same but for the light that the hole no longer sends there."""
    crops = np.concatenate([leaks.crops_of(pair, number) for number, pair in enumerate(pairs)])
    apart = np.abs(crops[:, 0, :3] - crops[:, 1, :3])
    assert np.median(apart) < 0.004 and apart.mean() < 0.01


def blobs(count: int, planted: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    images = rng.normal(0, 0.1, (count, 5, 32, 32)).astype(np.float32)
    labels, groups = np.tile([1, 0], count // 2), np.repeat(np.arange(count // 8), 8)
    images[labels == 1, 0, ::2] += planted
    return images, labels, groups


def test_a_planted_leak_is_found(leaks: ModuleType):
    """Faint stripes on every damaged crop are learnt on other products; without them the network has a coin."""
    images, labels, groups = blobs(96, 0.2)
    assert roc_auc_score(labels, leaks.crop_scores(images, labels, groups)) > 0.9
    images, labels, groups = blobs(96, 0.0)
    assert abs(roc_auc_score(labels, leaks.crop_scores(images, labels, groups)) - 0.5) < 0.2


def test_a_leaking_column_is_found(leaks: ModuleType):
    """A column that goes with the label gives it away; an even one does not."""
    rng = np.random.default_rng(1)
    labels, groups = np.tile([1, 0], 300), np.repeat(np.arange(60), 10)
    told, even = labels + rng.normal(0, 0.5, 600), rng.normal(size=600)
    assert roc_auc_score(labels, leaks.boosted(told[:, None], labels, groups)) > 0.85
    assert abs(roc_auc_score(labels, leaks.boosted(even[:, None], labels, groups)) - 0.5) < 0.08


def test_the_bench_goes_on_where_it_was(leaks: ModuleType, tmp_path: Path):
    """Units of an earlier call are read back as they were made, not made again; other code makes its own."""
    plan = scenes.tiny_plan(size=64, captures=4, damages=(DamageSpec(generator="scuff", strength=(0.3, 0.7)),))
    assert leaks.make_units(plan, 2, tmp_path, -1.0) == []
    first = leaks.make_units(plan, 2, tmp_path, np.inf)
    again = leaks.make_units(plan, 2, tmp_path, -1.0)
    assert len(first) == len(again) == 2 and len(list(tmp_path.rglob("*.npz"))) == 2
    for a, b in zip(first, again, strict=True):
        assert a.about == b.about and set(a.sizes) == set(b.sizes)
        np.testing.assert_array_equal(a.crops, b.crops)
        np.testing.assert_array_equal(a.mesh, b.mesh)
