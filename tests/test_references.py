"""Models that look at pristine references: boxes whose print looks like the damage, and galleries that settle it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from boxes import blind, box_capture, box_captures
from damageland.evaluate.run import evaluate
from damageland.sim.capture import Capture
from damageland.sim.errors import DamagelandError
from damageland.sim.shards import shard_path, write_shard
from damageland.train.checkpoint import TrainedOn
from damageland.train.config import TrainConfig
from damageland.train.crops import Square
from damageland.train.match import enrol, match_views
from damageland.train.patches import PatchCard, Patches, load_backbone, plain
from damageland.train.pose import cloud_of, find_motion, known_motion, scene_of
from damageland.train.refdiff import Refdiff, fit_refdiff
from damageland.train.references import ReferenceBook
from damageland.train.scorers import load_scorer, train_model
from damageland.train.threshold import Threshold
from sklearn.metrics import roc_auc_score

TINY = TrainConfig(
    seed=1, steps=120, locate_steps=40, pairs=12, unpaired=0, frame_px=64, crop_px=64, locate_px=48, width=8, threads=1,
    modality_dropout=0.2, background_swap=0.2,
)  # fmt: skip
LIMIT = Threshold(
    value=1, fpr_budget=0.01, delta=0.05, negatives=0, negatives_needed=0, exceedances=0, certified=False
)  # fmt: skip
PATCHES = PatchCard(
    backbone="plain", backbone_file=None, weights_sha256="", scale=1.0, config=TINY, versions={}, validation={},
    thresholds={"rgbd": LIMIT, "rgb": LIMIT},
    trained_on=TrainedOn(sources=(), recipe_hashes=(), captures=0, views=0, pairs=0, products=()),
)  # fmt: skip
SHORT = TINY.model_copy(update={"steps": 2, "locate_steps": 2})


def squares(capture: Capture) -> list[Square]:
    """True squares around the item."""
    found = []
    for view in capture.views:
        assert view.item is not None
        rows, columns = np.nonzero(view.item)
        half = max(np.ptp(rows), np.ptp(columns)) / 2 + 1
        found.append(Square((columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2, half))
    return found


def references(product: str, *, edition: int = 0) -> list[Capture]:
    return [box_capture(k, product=product, role="reference", edition=edition) for k in (900, 901)]


def no_finder(view: object) -> Square:
    raise AssertionError("views with an item mask need no finder")


@pytest.fixture(scope="module")
def data() -> dict[str, list[Capture]]:
    return {
        "train": box_captures("train", 12, 2),
        "validation": box_captures("validation", 3, 1),
        "test": box_captures("test", 16, 1),
    }


@pytest.fixture(scope="module")
def trained(data: dict[str, list[Capture]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refdiff") / "m"
    return fit_refdiff(lambda split: data[split], TINY, folder, pose="recorded", progress=False)


def scores(scorer: Refdiff, captures: Sequence[Capture], pick: str) -> list[float]:
    """Scores with right, wrong or no references."""
    book = ReferenceBook.of(captures)
    asked = [c for c in captures if c.role != "reference"]
    found = {"right": book.find, "wrong": book.wrong, "none": lambda capture: ()}[pick]
    return [scorer(c, found(c)).score for c in asked]


# Matching


def test_motion_of_a_box_is_found_from_pictures() -> None:
    """Turn and shift between captures come out within 3 degrees and 4 mm, by a print that breaks the symmetry."""
    enrolled = enrol(references("p0"), no_finder)
    for number in (3, 4):
        query = box_capture(number, blot=True)
        scene = scene_of(query, squares(query))
        assert scene is not None
        (cloud,) = enrolled.clouds
        truth, found = known_motion(query, cloud, scene), find_motion(scene, cloud)
        assert truth is not None
        apart = np.linalg.inv(truth.T) @ found.T
        moved = cloud.points @ apart[:3, :3].T + apart[:3, 3] - cloud.points
        assert np.arccos((np.trace(apart[:3, :3]) - 1) / 2) < np.deg2rad(3)
        assert np.linalg.norm(moved, axis=1).mean() < 0.004


def test_matches_look_like_the_pristine_query() -> None:
    """Where references are known, they show the twin's picture; another product's differ and fit worse."""
    query, twin = box_capture(3, blot=True), box_capture(3, blot=False)
    for product, pose in (("p0", "estimated"), ("p0", "recorded")):
        matches = match_views(query, squares(query), enrol(references(product), no_finder), pose=pose)
        wrong = match_views(query, squares(query), enrol(references("p7"), no_finder), pose=pose)
        assert matches[0].fit > 2 * wrong[0].fit
        for view, match, other in zip(twin.views, matches, wrong, strict=True):
            assert view.item is not None
            assert (match.known & (view.item > 0)).sum() > 0.35 * (view.item > 0).sum()
            shown = [m.known & (view.item > 0) for m in (match, other)]
            alike, unlike = (
                np.corrcoef(m.rgb[where].ravel(), view.rgb[where].ravel())[0, 1]
                for m, where in zip((match, other), shown, strict=True)
            )
            assert alike > max(0.6, unlike + 0.2)


def test_depth_of_a_match_is_the_camera_s_depth() -> None:
    """Drawn points lie as deep as the query's own surface, also in no camera that saw them before."""
    query = box_capture(5)
    for view, match in zip(
        query.views,
        match_views(query, squares(query), enrol(references("p0"), no_finder), pose="recorded"),
        strict=True,
    ):
        if view.depth is not None:
            assert view.item is not None
            both = match.known & (view.item > 0)
            assert np.median(np.abs(match.depth - view.depth)[both]) < 0.003


def test_without_depth_the_most_similar_view_is_turned_and_laid_over() -> None:
    """A photograph of the top takes the top of a reference, turned until the prints agree."""
    query = box_capture(6)
    top = replace(blind(query), views=(blind(query).views[2],))
    around = squares(query)[2:]
    (match,) = match_views(top, around, enrol(references("p0"), no_finder))
    (wrong,) = match_views(top, around, enrol(references("p7"), no_finder))
    assert match.fit > 0.5 > wrong.fit
    assert match.known.any() and not match.depth.any()


# refdiff


def test_references_settle_what_is_print(trained: Path, data: dict[str, list[Capture]]) -> None:
    """Blots are told from printed blots beside references; with another product's references that is lost.

    This is the standing control: a model that does as well beside wrong references did not use the right ones.
    """
    scorer = Refdiff(load_scorer(trained).model, pose="recorded")  # pyright: ignore[reportAttributeAccessIssue]
    truth = [c.defect for c in data["test"] if c.role != "reference"]
    right, wrong, none = (
        float(roc_auc_score(truth, scores(scorer, data["test"], pick))) for pick in ("right", "wrong", "none")
    )
    assert right > 0.85
    assert wrong < right - 0.08
    assert none < right - 0.05


def test_anything_is_scored(trained: Path) -> None:
    """Photographs without depth, references without masks and no references at all give scores, the same twice."""
    scorer = load_scorer(trained)
    query, gallery = box_capture(7, product="p200", blot=True), references("p200")
    for capture, shown in ((query, gallery), (blind(query), [blind(r) for r in gallery]), (blind(query), [])):
        first = scorer(capture, shown)
        assert 0 <= first.score <= 1
        assert first.score == scorer(capture, shown).score
        assert first.modality == ("rgbd" if capture is query else "rgb")
        assert [mask.shape for mask in first.masks] == [view.rgb.shape[:2] for view in capture.views]
    assert cloud_of(blind(query)) is None


def test_a_new_design_is_told_from_damage(trained: Path) -> None:
    """Beside an old design's references alone a new one is unknown and judged alone; with its own it is compared."""
    scorer = Refdiff(load_scorer(trained).model, pose="recorded")  # pyright: ignore[reportAttributeAccessIssue]
    query, old, new = (box_capture(7, product="p200", edition=1), references("p200"), references("p200", edition=1))
    stale, fresh = scorer(query, old), scorer(query, [*old, *new])
    assert (stale.design, fresh.design, scorer(query).design) == ("unknown", "known", "none")
    assert stale.score == scorer(query).score
    assert fresh.score == scorer(query, new).score
    assert scorer(box_capture(8, product="p200", blot=True), old).design == "known"


def test_wrong_references_are_of_another_product_of_the_family() -> None:
    """The control never hands out a product's own references, and nothing where there is no other product."""
    book = ReferenceBook.of(box_captures("test", 3, 1))
    for name, own in book.by_product.items():
        assert {c.item_identifier for c in book.wrong(own[0])} - {name}
        assert name not in {c.item_identifier for c in book.wrong(own[0])}
        assert book.find(replace(own[0], role="query", reference_ids=(own[1].capture_id,))) == (own[1],)
    assert ReferenceBook.of(references("p0")).wrong(box_capture(1)) == ()


# gallery


def test_nearest_patches_need_the_right_gallery() -> None:
    """Without any training, captures are stranger beside another product's references than beside their own."""
    scorer, queries = Patches(PATCHES, plain), [box_capture(n, product=f"p{n}", blot=True) for n in range(6)]
    right, wrong = (
        np.mean([scorer(query, references(f"p{n + shift}")).score for n, query in enumerate(queries)])
        for shift in (0, 1)
    )
    assert right < 0.9 * wrong
    assert scorer(queries[0]).score == 0.0
    masks = scorer(queries[0], references("p0")).masks
    assert [mask.shape for mask in masks] == [view.rgb.shape[:2] for view in queries[0].views]


def test_backbones_are_local_files(tmp_path: Path) -> None:
    """A network without its weights, with a missing file or without timm is one clear error; nothing is fetched."""
    with pytest.raises(DamagelandError, match="needs its weights"):
        load_backbone("vit_small_patch14_dinov2", None)
    with pytest.raises(DamagelandError, match=r"needs timm|is missing"):
        load_backbone("vit_small_patch14_dinov2", tmp_path / "none.safetensors")


# Interface


def test_mistakes_are_told(data: dict[str, list[Capture]], tmp_path: Path) -> None:
    """Data without galleries, unknown models and folders of another program are one clear error each."""
    bare = [c for c in data["train"] if c.role != "reference"]
    with pytest.raises(DamagelandError, match="gallery: 2"):
        fit_refdiff(lambda split: bare if split == "train" else data[split], SHORT, tmp_path / "m", progress=False)
    assert not (tmp_path / "m").exists()
    with pytest.raises(DamagelandError, match="--model best: expected one of query, refdiff, gallery, fusion"):
        train_model("best", [tmp_path], SHORT, tmp_path / "m")
    with pytest.raises(DamagelandError, match="--real is mixed into --model query only"):
        train_model("refdiff", [tmp_path], SHORT, tmp_path / "m", real=[blind(box_capture(1))])
    for content, told in ((None, "is missing"), ("{", "is not JSON"), (json.dumps({"architecture": "x"}), "'x'")):
        if content is not None:
            (tmp_path / "model.json").write_text(content)
        with pytest.raises(DamagelandError, match=told):
            load_scorer(tmp_path)


def test_evaluate_shows_what_references_are_worth(tmp_path: Path) -> None:
    """Every model of the table trains from shards and is found by its folder; evaluate measures all controls."""
    some = [c for split, n in (("train", 3), ("validation", 2), ("test", 2)) for c in box_captures(split, n, 1)]
    data = tmp_path / "data"
    data.mkdir()
    write_shard(shard_path(data, 0), some)
    folder = train_model("fusion", [data], SHORT, tmp_path / "m")
    scorers = [load_scorer(f) for f in (folder / "query", folder / "refdiff")]
    scorers.append(load_scorer(train_model("gallery", [data], SHORT, tmp_path / "g")))
    assert [scorer.wants_references for scorer in scorers] == [False, True, True]
    assert all(set(scorer.info["thresholds"]) == {"rgb", "rgbd"} for scorer in scorers)
    report = evaluate(folder, real=(), data=data, out=tmp_path / "out", progress=False)
    assert "What references are worth" in report.read_text()
    rows = json.loads((report.parent / "references.json").read_text())
    assert list(rows) == [
        "query", "refdiff", "refdiff, wrong gallery", "model", "model, wrong gallery", "model, no gallery",
    ]  # fmt: skip
    assert len({row["captures"] for row in rows.values()}) == 1
    assert all(0 <= row["AUROC"]["value"] <= 1 for row in rows.values())
    assert rows["query"]["printed_alarm_rate"]["value"] is not None
    for name in ("AUROC", "false_alarm_rate", "recall"):  # where no reference helps, the query model decides
        assert rows["model, no gallery"][name] == rows["query"][name]
    (folder / "query" / "model.json").write_text("{}")
    with pytest.raises(DamagelandError, match="its two models are not those"):
        load_scorer(folder)
