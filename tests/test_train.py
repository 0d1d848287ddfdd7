"""Training on tiny made-up captures: grey discs, some with a dark dent, seen by two cameras."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from damageland.sim.capture import Capture, Role, View
from damageland.sim.errors import DamagelandError
from damageland.sim.scene import kind_bit
from damageland.sim.seed import generator_for
from damageland.sim.shards import shard_path, write_shard
from damageland.train import steps
from damageland.train.augment import swap_backgrounds, vary_appearance, vary_depth
from damageland.train.batches import DetectBatch, RealPool, draw_detect_batch, frames, torch_generator
from damageland.train.checkpoint import load_model, weight_bytes
from damageland.train.config import TrainConfig
from damageland.train.crops import Square, cut, depth_channels, paste
from damageland.train.data import load_views
from damageland.train.loop import detect_losses, fit, train
from damageland.train.models import Locate, build
from damageland.train.predict import find_item, predict, predict_many
from damageland.train.threshold import choose_threshold
from sklearn.metrics import roc_auc_score

TINY = TrainConfig(
    seed=3, steps=140, locate_steps=80, pairs=6, unpaired=2, frame_px=64, crop_px=48, locate_px=48, width=8, threads=1
)
SHORT = TINY.model_copy(update={"steps": 3, "locate_steps": 3})
DENT_M = 0.008


def disc_view(rng: np.random.Generator, camera: str, *, dent: bool, size: tuple[int, int] = (64, 72)) -> View:
    """A disc of random place and shade with printed dots on it; a dent is a dark patch that lies deeper."""
    h, w = size
    rows, columns = np.mgrid[0:h, 0:w] + 0.5
    x, y, r = rng.uniform(0.4, 0.6) * w, rng.uniform(0.4, 0.6) * h, rng.uniform(0.25, 0.38) * h
    item = (rows - y) ** 2 + (columns - x) ** 2 < r**2
    shade = np.where(item, rng.uniform(140, 220), rng.uniform(20, 90)) + rng.normal(0, 3, (h, w))
    angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.6) * r
    a, b = x + distance * np.cos(angle), y + distance * np.sin(angle)
    dented = item & ((rows - b) ** 2 + (columns - a) ** 2 < (0.35 * r) ** 2) & dent
    depth = np.where(item, 0.7, 0.9) + np.where(dented, DENT_M, 0)
    return View(
        camera=camera,
        rgb=np.repeat(np.clip(np.where(dented, shade - 70, shade), 0, 255).astype(np.uint8)[..., None], 3, 2),
        depth=depth.astype(np.float32),
        item=item.astype(np.uint8),
        damage=(kind_bit("deformation") * dented).astype(np.uint8),
    )


def disc(index: int, *, dent: bool, split: str = "train", role: Role = "query", **changes: object) -> Capture:
    """A capture; same index means same scene, so that the dent alone tells a query from its twin."""
    views = tuple(disc_view(generator_for(index, c, "disc"), camera, dent=dent) for c, camera in enumerate(("a", "b")))
    capture = Capture(
        capture_id=f"{split}-{index}-{role}",
        item_identifier=f"{split}-product",
        origin="synthetic",
        views=views,
        defect=dent,
        role=role,
        split=split,
        twin_id=f"{split}-{index}-twin" if dent else None,
        provenance={"recipe_hash": "abc"},
    )
    return replace(capture, **changes)


def discs(split: str) -> Iterator[Capture]:
    """Damaged discs and their twins; the splits share no scene."""
    start = {"train": 0, "validation": 1000, "test": 2000}[split]
    for index in range(start, start + 24):
        yield disc(index, dent=True, split=split)
        yield disc(index, dent=False, split=split, role="twin")


def auroc(scores: Iterable[float], captures: Iterable[Capture]) -> float:
    return float(roc_auc_score([capture.defect for capture in captures], list(scores)))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(discs, TINY, tmp_path_factory.mktemp("model") / "m", progress=False)


def test_learns_to_tell_dents_on_unseen_discs(trained: Path) -> None:
    """The loss falls, and damaged and intact discs of another split are told apart with depth and without."""
    lines = [line.split(",") for line in (trained / "log.csv").read_text().splitlines()]
    losses = [float(line[2]) for line in lines if line[0] == "detect"]
    assert np.mean(losses[-4:]) < 0.6 * np.mean(losses[:4])
    model, captures = load_model(trained), list(discs("test"))
    for use_depth in (True, False):
        assert auroc((p.score for p in predict_many(model, captures, use_depth=use_depth)), captures) > 0.9


def test_mask_marks_the_dent(trained: Path) -> None:
    """Mask scores are higher on the dent than on the rest of the item, at the view's own size."""
    model = load_model(trained)
    rank = []
    for capture in list(discs("test"))[:20]:
        prediction = predict(model, capture)
        for view, mask in zip(capture.views, prediction.masks, strict=True):
            assert mask.shape == view.rgb.shape[:2]
            assert mask.min() >= 0 and mask.max() <= 1
            if view.damage is not None and view.damage.any():
                assert view.item is not None
                rank.append(roc_auc_score((view.damage > 0)[view.item > 0], mask[view.item > 0]))
    assert np.mean(rank) > 0.85


def test_finds_the_item(trained: Path) -> None:
    """The square around the item overlaps the true one well."""
    model, overlaps = load_model(trained), []
    for capture in list(discs("test"))[:20]:
        for view, (x0, y0, x1, y1) in zip(capture.views, predict(model, capture).boxes, strict=True):
            assert view.item is not None
            rows, columns = np.nonzero(view.item)
            u0, v0, u1, v1 = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            common = max(0, min(x1, u1) - max(x0, u0)) * max(0, min(y1, v1) - max(y0, v0))
            overlaps.append(common / ((x1 - x0) * (y1 - y0) + (u1 - u0) * (v1 - v0) - common))
    assert np.mean(overlaps) > 0.7


def test_card_says_what_it_was_trained_on(trained: Path) -> None:
    """The card names data, threshold and validation scores, and cannot certify 1 % on 24 pristine captures."""
    card = load_model(trained).card
    assert card.trained_on.recipe_hashes == ("abc",)
    assert card.trained_on.captures == 48
    assert card.validation["rgbd"].pristine == card.validation["rgbd"].damaged == 24
    assert not card.thresholds["rgb"].certified
    assert card.thresholds["rgb"].exceedances == 0


def test_round_trip_gives_identical_scores(trained: Path, tmp_path: Path) -> None:
    """A copied checkpoint scores to the last bit as the first, and predicting twice gives the same."""
    for name in ("model.safetensors", "model.json"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    captures = list(discs("test"))[:4]
    first, second = ([p.score for p in predict_many(load_model(f), captures)] for f in (trained, tmp_path))
    assert first == second


def test_any_picture_size_and_no_depth(trained: Path) -> None:
    """Photographs of any shape without depth or labels are scored, and the modality says so."""
    model = load_model(trained)
    for size in ((200, 90), (31, 64), (1, 1)):
        view = replace(disc_view(generator_for(1, 1, "any"), "phone", dent=False, size=size), depth=None, item=None)
        prediction = predict(model, disc(1, dent=False, views=(view,), origin="real"))
        assert prediction.modality == "rgb"
        assert 0 <= prediction.score <= 1
        assert prediction.masks[0].shape == size
    assert predict(model, disc(1, dent=False)).modality == "rgbd"


def test_capture_score_is_its_most_damaged_view(trained: Path) -> None:
    """One view that shows a damage is enough."""
    model = load_model(trained)
    whole, dented = disc(2001, dent=False), disc(2001, dent=True)
    both = predict(model, replace(dented, views=(whole.views[0], dented.views[1])))
    assert both.score == max(both.view_scores)
    assert both.view_scores[0] == pytest.approx(predict(model, whole).view_scores[0], abs=1e-6)


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    """A seed repeats a run to the byte, and another seed does not; torch's global generator is left alone."""
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    runs = [fit(discs, SHORT, tmp_path / name, progress=False) for name in "ab"]
    other = fit(discs, SHORT.model_copy(update={"seed": 4}), tmp_path / "c", progress=False)
    a, b, c = ((run / "model.safetensors").read_bytes() for run in (*runs, other))
    assert a == b != c
    assert (runs[0] / "model.json").read_bytes() == (runs[1] / "model.json").read_bytes()
    assert torch.equal(state, torch.random.get_rng_state())


def test_trains_on_shards_and_real_captures(tmp_path: Path) -> None:
    """Rendered shards on disk and unmasked real captures train together; the card names the real ones."""
    write_shard(shard_path(tmp_path, 0), [c for split in ("train", "validation") for c in discs(split)])
    plain = {"origin": "real", "split": None, "twin_id": None}
    real = [
        replace(disc(3000 + i, dent=i % 2 == 0, split="real"), **plain)  # pyright: ignore[reportArgumentType]
        for i in range(6)
    ]
    real = [replace(c, views=tuple(replace(v, item=None, damage=None, depth=None) for v in c.views)) for c in real]
    out = train([tmp_path], SHORT.model_copy(update={"real_from": 0.0}), tmp_path / "m", real=real, progress=False)
    assert load_model(out).card.trained_on.real_capture_ids == tuple(sorted(c.capture_id for c in real))
    with pytest.raises(DamagelandError, match="3 damaged, 0 intact; both are needed"):
        train([tmp_path], SHORT, tmp_path / "n", real=[c for c in real if c.defect], progress=False)


def test_real_damage_counts_per_capture() -> None:
    """Without a mask, the views of a real capture share one target, and take no part in the mask loss."""
    views = load_views(discs("train"), frame_px=64)
    bare = [replace(c, views=tuple(replace(v, item=None, damage=None) for v in c.views)) for c in discs("test")]
    pool = RealPool.of(load_views(bare, frame_px=64, focus=lambda view: Square(36.0, 32.0, 25.0)))
    batch = draw_detect_batch(views, TINY, np.random.default_rng(0), real=pool)
    synthetic = int(batch.masked.sum()) - int((batch.target[batch.segment] == 0)[batch.masked].sum())
    assert synthetic == round(TINY.pairs / 2)  # masked damaged views are the rendered ones alone
    sizes = torch.bincount(batch.segment)
    assert sizes.max() == 2
    assert (batch.target[sizes == 2] == 1).sum() == (sizes == 2).sum() / 2


def test_a_pair_differs_by_its_damage_alone() -> None:
    """After every augmentation a damaged view and its twin still agree away from the damage."""
    views = load_views([disc(5, dent=True), disc(5, dent=False, role="twin")], frame_px=64)
    rows = np.array([views.pairs[0], views.twin[views.pairs[0]]])
    start = frames(views, rows, np.zeros(2, np.int64))
    away = torch.nn.functional.max_pool2d(start.damage[:1], 15, 1, 7)[0] == 0
    for seed in range(8):
        rng = torch_generator(np.random.default_rng(seed))
        batch = vary_depth(vary_appearance(swap_backgrounds(start, rng, share=0.5), rng), rng, hidden=0.3)
        # Contrast turns about the picture's mean, which the dent itself shifts a little.
        assert ((batch.rgb[0] - batch.rgb[1]).abs() * away).max() < 0.08
        assert torch.equal(batch.depth[0] * away, batch.depth[1] * away)


def test_mask_loss_leaves_out_damage_that_cannot_be_seen() -> None:
    """Cells of damaged surface that looks as before may say anything; cells that show damage or none may not."""
    image = torch.zeros(1, 1, 8, 8)
    damage, seen = image.clone(), image.clone()
    damage[..., :4, :], seen[..., :4, :4] = 1, 1
    one = torch.ones(1, dtype=torch.int64)
    item = torch.ones(1, 1, 8, 8)
    batch = DetectBatch(torch.zeros(1, 6, 8, 8), damage, seen, item, one > 0, 0 * one, torch.ones(1), 0)
    dense = torch.zeros(1, 2, 2, requires_grad=True)
    detect_losses(dense, torch.zeros(1), batch)[1].backward()
    assert dense.grad is not None
    assert torch.sign(dense.grad[0]).tolist() == [[-1, 0], [1, 1]]


def test_what_lies_beside_the_item_counts_little() -> None:
    """An intact cell on the item pulls its logit down much harder than the cells beside it."""
    nothing, item = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    item[..., :4, :4] = 1
    known = torch.ones(1, dtype=torch.bool)
    batch = DetectBatch(
        torch.zeros(1, 6, 8, 8), nothing, nothing, item, known, torch.zeros(1, dtype=torch.int64), torch.zeros(1), 0
    )
    dense = torch.zeros(1, 2, 2, requires_grad=True)
    detect_losses(dense, torch.zeros(1), batch)[1].backward()
    assert dense.grad is not None
    on, beside = dense.grad[0, 0, 0], dense.grad[0].flatten()[1:]
    assert bool((beside > 0).all())
    assert bool((on > 10 * beside).all())


def test_unseen_damage_is_no_positive() -> None:
    """A view of a damaged item that does not show the damage is neither positive nor negative."""
    hidden = disc(7, dent=True)
    plain = disc_view(generator_for(7, 1, "disc"), "b", dent=False)
    views = load_views([replace(hidden, views=(hidden.views[0], plain)), disc(7, dent=False, role="twin")], frame_px=64)
    assert views.target[0] == 1
    assert np.isnan(views.target[1])
    assert views.target[2:].tolist() == [0, 0]
    assert views.pairs.tolist() == [0]
    assert views.twin[0] == 2


def test_paste_undoes_cut() -> None:
    """A smooth map that is cut out and pasted back stays where it was, also over the edge of the picture."""
    image = np.add.outer(np.arange(40.0), np.arange(60.0)).astype(np.float32)
    for square in (Square(30.0, 20.0, 12.0), Square(4.0, 36.0, 12.0)):
        back = paste(cut(image, square, 48), square, 40, 60, fill=np.nan)
        known = np.isfinite(back)
        assert known.any()
        assert np.abs(back - image)[known].max() < 1.5


def test_depth_channels_see_a_dent_at_any_distance() -> None:
    """Relief does not depend on distance, and no depth gives zeros."""
    depth = torch.full((2, 1, 48, 48), 0.5)
    depth[:, :, 20:26, 20:26] += DENT_M
    depth[1] += 0.4
    near, far = depth_channels(depth)
    assert torch.allclose(near, far, atol=1e-4)
    assert near[1, 23, 23] > 0.5
    assert near[1, 5, 5].abs() < 1e-3
    assert not depth_channels(torch.zeros(1, 1, 48, 48)).any()


@pytest.mark.parametrize(("n", "certified", "exceedances"), [(298, False, 2), (299, True, 0), (473, True, 1)])
def test_threshold_is_certified_from_299_negatives(n: int, certified: bool, exceedances: int) -> None:
    """The classical counts for 1 % at 95 %: 299 pristine captures allow no exceedance, 473 allow one."""
    threshold = choose_threshold(np.random.default_rng(0).random(n), fpr=0.01, delta=0.05)
    assert (threshold.certified, threshold.exceedances) == (certified, exceedances)
    assert threshold.negatives_needed == 299


def test_threshold_keeps_its_promise() -> None:
    """Of many certified thresholds on uniform scores, at most a share of delta breaks the budget."""
    rng = np.random.default_rng(1)
    broken = [1 - choose_threshold(rng.random(120), fpr=0.05, delta=0.1).value > 0.05 for _ in range(800)]
    assert 0.03 < np.mean(broken) < 0.13


def test_initial_weights_come_from_the_seed() -> None:
    """Equal seeds give equal weights."""
    assert weight_bytes(build(8, 1)) == weight_bytes(build(8, 1)) != weight_bytes(build(8, 2))


def with_image(capture: Capture, name: str, image: np.ndarray | None) -> Capture:
    """Put an image into every view past the check of shapes, as an untyped caller might."""
    views = tuple(replace(view) for view in capture.views)
    for view in views:
        object.__setattr__(view, name, image)
    return replace(capture, views=views)


def only(*captures: Capture) -> list[Capture]:
    return list(captures)


BAD_DATA = {
    "no item": ([], "shows no item"),
    "no damaged": (only(disc(0, dent=False)), "no damaged capture among 1"),
    "no twin": (only(disc(0, dent=True)), "has its pristine twin"),
    "unseen": (
        only(disc(0, dent=True, views=disc(0, dent=False).views), disc(0, dent=False, role="twin")),
        "shows its damage",
    ),
    "no mask": (only(with_image(disc(0, dent=True), "item", None)), "no item mask"),
    "NaN": (only(with_image(disc(0, dent=True), "depth", np.full((64, 72), np.nan))), "depth holds NaN"),
    "size": (only(with_image(disc(0, dent=True), "item", np.ones((9, 7), np.uint8))), "rgb is 72x64 but item is 7x9"),
    "duplicate": (only(disc(0, dent=True), disc(0, dent=True)), "comes twice"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_training_data_is_one_clear_error(case: str, tmp_path: Path) -> None:
    """Data that cannot be trained on is refused before anything is written."""
    captures, message = BAD_DATA[case]
    with pytest.raises(DamagelandError, match=message):
        fit(lambda split: captures if split == "train" else discs(split), SHORT, tmp_path / "m", progress=False)
    assert not (tmp_path / "m").exists()


def test_missing_splits_and_shards(tmp_path: Path) -> None:
    """No validation split, no shards and no folder are named."""
    with pytest.raises(DamagelandError, match="validation split"):
        fit(lambda split: discs(split) if split == "train" else [], SHORT, tmp_path / "m", progress=False)
    with pytest.raises(DamagelandError, match="holds no shard"):
        train([tmp_path], SHORT, tmp_path / "m", progress=False)
    with pytest.raises(DamagelandError, match="no rendered folder"):
        train([], SHORT, tmp_path / "m", progress=False)


def test_broken_checkpoints(trained: Path, tmp_path: Path) -> None:
    """Every way a checkpoint can be wrong is told apart."""
    weights, card = (trained / "model.safetensors").read_bytes(), json.loads((trained / "model.json").read_text())

    def check(message: str, *, data: bytes = weights, content: str = json.dumps(card)) -> None:
        (tmp_path / "model.safetensors").write_bytes(data)
        (tmp_path / "model.json").write_text(content)
        with pytest.raises(DamagelandError, match=message):
            load_model(tmp_path)

    with pytest.raises(DamagelandError, match=r"model\.safetensors is missing"):
        load_model(tmp_path)
    check("is not the file that", data=weights + b" ")
    check("is not JSON", content="{")
    check("format_version 9", content=json.dumps(card | {"format_version": 9}))
    check("colour: Extra inputs", content=json.dumps(card | {"colour": 1}))
    check("pooling", content=json.dumps(card | {"pooling": "mean"}))
    check("does not fit architecture", content=json.dumps(card | {"config": card["config"] | {"width": 16}}))


def test_localiser_without_a_find_takes_the_whole_picture() -> None:
    """An empty heat map falls back to the whole picture."""
    locate = Locate()
    with torch.no_grad():
        locate.head.weight.zero_()
        assert locate.head.bias is not None
        locate.head.bias.fill_(-9)
    assert find_item(locate, np.zeros((40, 60, 3), np.uint8), 48) == Square(30.0, 20.0, 30.0)


def test_killed_training_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run killed in either stage and started again gives the same bytes of weights and log; the position is gone."""
    short = SHORT.model_copy(update={"steps": 5, "locate_steps": 4})
    monkeypatch.setattr(steps, "SAVE_EVERY", 2)
    fit(discs, short, tmp_path / "whole", progress=False)
    taken, take = 0, steps.Steps.take

    def dying(self: steps.Steps, loss: torch.Tensor) -> None:
        nonlocal taken
        taken += 1
        if taken in (4, 10):  # in the locating stage, then in the detecting one
            raise KeyboardInterrupt
        take(self, loss)

    monkeypatch.setattr(steps.Steps, "take", dying)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fit(discs, short, tmp_path / "killed", progress=False)
        assert (tmp_path / "killed" / steps.POSITION).is_file()
    fit(discs, short, tmp_path / "killed", progress=False)
    for name in ("model.safetensors", "model.json", "log.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()
    assert not (tmp_path / "killed" / steps.POSITION).exists()
    assert taken < 2 * 9 + 2  # it went on instead of beginning again
    (tmp_path / "killed" / steps.POSITION).write_bytes(b"torn")
    assert fit(discs, short, tmp_path / "killed", progress=False).is_dir()
