"""Galleries that are added to and never changed, and the stack that joins two scores."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from boxes import box_capture
from damageland.sim.errors import DamagelandError
from damageland.train.fusion import fit_stack, recall_at
from damageland.train.gallery import Gallery, add_references, book_of, read_version
from damageland.train.match import fit_between


def reference(number: int, *, product: str = "p0", edition: int = 0):
    return box_capture(number, product=product, role="reference", edition=edition)


def test_versions_can_all_be_read_again(tmp_path: Path) -> None:
    """Each addition is a version that keeps what was there; the same capture twice is no addition."""
    gallery = Gallery(tmp_path)
    first, _ = add_references(gallery, [reference(900), reference(901)])
    second, _ = add_references(gallery, [reference(900, edition=1)])
    again, refused = add_references(gallery, [reference(901), reference(900, edition=1)])
    assert first is not None and second is not None
    assert (again, refused) == (None, [])
    assert [read_version(gallery, n).entries for n in (1, 2)] == [first.entries, second.entries]
    assert second.entries[:2] == first.entries
    assert [len(book_of(gallery, n).by_product["train-p0"]) for n in (1, 2)] == [2, 3]
    found = book_of(gallery).by_product["train-p0"][0]
    assert found.capture_id == reference(900).capture_id
    assert np.abs(found.views[0].rgb.astype(int) - reference(900).views[0].rgb).mean() < 4  # JPEG


def test_outliers_and_damaged_captures_stay_out(tmp_path: Path) -> None:
    """Another design, damage and captures without a product are refused with a reason, unless a person confirms."""
    gallery, judge = Gallery(tmp_path), partial(fit_between, pose="recorded")
    add_references(gallery, [reference(900), reference(901), reference(902)], judge)
    stranger = replace(reference(903, edition=1), attributes={"edition": 0})
    late = [reference(904), stranger, box_capture(905, blot=True), replace(reference(906), item_identifier=None)]
    version, refused = add_references(gallery, late, judge)
    assert version is not None and len(version.entries) == 4
    assert [r.capture_id for r in refused] == [c.capture_id for c in late[1:]]
    for answer, told in zip(refused, ("another design", "damaged", "names no product"), strict=True):
        assert told in answer.reason
    confirmed, none = add_references(gallery, [stranger], judge, confirmed=True)
    assert confirmed is not None and not none


def test_a_changed_past_is_noticed(tmp_path: Path) -> None:
    """An edited version, an edited object and a missing one are told apart, and nothing is read from them."""
    gallery = Gallery(tmp_path)
    with pytest.raises(DamagelandError, match="is no gallery"):
        read_version(gallery)
    add_references(gallery, [reference(900)])
    add_references(gallery, [reference(901)])
    with pytest.raises(DamagelandError, match="no version 3"):
        read_version(gallery, 3)
    path = gallery.path_of(1)
    before, content = path.read_text(), json.loads(path.read_text())
    content["entries"][0]["valid_from"] = "2026-01-01"
    path.write_text(json.dumps(content))
    with pytest.raises(DamagelandError, match="does not follow 000001"):
        read_version(gallery)
    path.write_text(before)
    target = tmp_path / "objects" / f"{read_version(gallery).entries[0].sha256}.tar"
    data = target.read_bytes()
    target.write_bytes(data[:-1] + b"x")
    with pytest.raises(DamagelandError, match="not what its name says"):
        book_of(gallery)
    target.unlink()
    with pytest.raises(DamagelandError, match="is missing although the gallery lists"):
        book_of(gallery)


# The stack


def two_scores(rng: np.random.Generator, *, second: float) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Two noisy scores of 400 captures of 40 products; the second tells ``second`` times as much as the first."""
    damaged = rng.random(400) < 0.5
    logits = np.stack([1.5 * damaged, 1.5 * second * damaged], axis=1) + rng.normal(0, 1, (400, 2)) - 0.7
    return 1 / (1 + np.exp(-logits)), damaged, [f"p{k % 40}" for k in range(400)]


def test_stack_beats_both_scores_where_they_differ_in_their_errors() -> None:
    """Two scores with independent errors are joined, and find more at the budget than either."""
    scores, damaged, products = two_scores(np.random.default_rng(0), second=1.2)
    stack, held_out = fit_stack(scores, damaged, products, fpr=0.05)
    assert stack.chosen == "both"
    assert recall_at(held_out, damaged, 0.05) > max(recall_at(scores[:, k], damaged, 0.05) for k in (0, 1)) + 0.05
    assert np.corrcoef(stack.join(scores), held_out)[0, 1] > 0.99
    assert min(stack.weights) > 0


def test_stack_leaves_out_a_score_that_tells_nothing() -> None:
    """Beside a second score of noise, the first alone is chosen: what adds nothing at the budget is left out."""
    scores, damaged, products = two_scores(np.random.default_rng(1), second=0.0)
    scores[:, 1] = np.random.default_rng(2).random(400)
    stack, _ = fit_stack(scores, damaged, products, fpr=0.05)
    assert stack.recall_at_budget["query"] > 2 * stack.recall_at_budget["refdiff"]
    assert stack.chosen != "refdiff"


def test_held_out_scores_never_saw_their_product() -> None:
    """Labels that only the product tells are not learned: folds share no product."""
    rng = np.random.default_rng(3)
    products = [f"p{k // 10}" for k in range(200)]
    damaged = np.repeat(rng.permutation(np.arange(20) % 2 == 0), 10)
    scores = np.repeat(rng.random((20, 2)), 10, axis=0)  # equal within a product
    _, held_out = fit_stack(scores, damaged, products, fpr=0.05)
    assert recall_at(held_out, damaged, 0.05) < 0.6
