"""Training: first the localiser, then the detector on pairs, then thresholds on unseen rendered products."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor, nn

from ..sim.capture import Capture, View
from ..sim.errors import DamagelandError
from ..sim.seed import generator_for
from ..sim.shards import read_captures
from ..sim.store import Source, as_store
from .batches import DetectBatch, RealPool, draw_detect_batch, draw_locate_batch
from .checkpoint import Modality, Model, ModelCard, Scores, TrainedOn, load_model, save_model, versions
from .config import TrainConfig
from .console import bar, say
from .crops import Square
from .data import ViewSet, load_views
from .models import build, mixed_precision
from .predict import CROP_ZOOM, find_item, predict
from .steps import Losses, Position, Stage, TrainingLog, run_key, run_stage, threads
from .threshold import Threshold, choose_threshold

CaptureSource = Callable[[str], Iterable[Capture]]
"""Rendered captures of a split: ``train`` or ``validation``."""

BESIDE = 0.08
"""Weight of intact cells beside the item in the mask loss; those on it have the rest of one half."""


def train(
    data: Sequence[Source], config: TrainConfig, out: Path, *, real: Iterable[Capture] = (), progress: bool = True
) -> Path:
    """Train on rendered folders or URLs, and on real captures if given; return ``out``, the finished model's folder."""
    if not data:
        raise DamagelandError("no rendered folder to train on: name at least one that `damageland render --out` wrote")
    source: CaptureSource = lambda split: chain.from_iterable(read_captures(f, split=split) for f in data)  # noqa: E731
    return fit(source, config, out, real=real, progress=progress, names=tuple(as_store(where).name for where in data))


def fit(
    source: CaptureSource,
    config: TrainConfig,
    out: Path,
    *,
    real: Iterable[Capture] = (),
    progress: bool = True,
    names: tuple[str, ...] = (),
) -> Path:
    """Train on captures from anywhere; nothing is written before the data is known to be fit for training."""
    _require_validation(source)
    views = load_views(source("train"), frame_px=config.frame_px)
    _require_pairs(views)
    say(f"{len(views)} views, {len(views.pairs)} pairs, {views.megabytes:.0f} MB", enabled=progress)
    log, captures = TrainingLog(out / "log.csv"), list(real)
    with threads(config.threads):
        networks = build(config.width, config.seed)
        key = run_key(config, views, more=" ".join(capture.capture_id for capture in captures))
        position = Position(networks, log, ("locate", "detect"), key)
        position.load(progress=progress)
        train_locate(networks["locate"], views, config, log, position=position, progress=progress)
        pool = _real_pool(networks["locate"], captures, config)
        train_detect(networks["detect"], views, config, log, real=pool, position=position, progress=progress)
        networks.eval().requires_grad_(False)
        trained_on = _trained_on(views, pool, names)
        card = _draft_card(config, trained_on)
        model = _calibrate(Model(networks, card), source, progress=progress)
    log.write()
    save_model(model, out)
    position.remove()
    return out


# The two stages


def train_locate(
    locate: nn.Module,
    views: ViewSet,
    config: TrainConfig,
    log: TrainingLog,
    *,
    position: Position | None = None,
    progress: bool = False,
) -> None:
    """Teach the localiser where items are, at many sizes and before many backgrounds."""

    def losses(batch: tuple[Tensor, Tensor]) -> Losses:
        pictures, share = batch
        with mixed_precision():
            logits = locate(pictures)
        loss = F.binary_cross_entropy_with_logits(logits.float(), share)
        return loss, None, loss

    def draw(step: int) -> tuple[Tensor, Tensor]:
        return draw_locate_batch(views, config, generator_for(config.seed, step, "train/locate"))

    stage = Stage("locate", config.locate_steps)
    run_stage(stage, locate, config, draw, losses, log, position=position, progress=progress)


def train_detect(
    detect: nn.Module,
    views: ViewSet,
    config: TrainConfig,
    log: TrainingLog,
    *,
    real: RealPool | None = None,
    position: Position | None = None,
    progress: bool = False,
) -> None:
    """Teach the detector masks and scores on pairs, mixing real views in after ``real_from`` of the steps."""
    alone = round(config.real_from * config.steps) if real is not None else config.steps

    def draw(step: int) -> DetectBatch:
        rng = generator_for(config.seed, step, "train/detect")
        return draw_detect_batch(views, config, rng, real=real if step >= alone else None)

    stage = Stage("detect", config.steps)
    losses = detector_losses(detect, config)
    run_stage(stage, detect, config, draw, losses, log, position=position, progress=progress)


def detector_losses(detect: nn.Module, config: TrainConfig) -> Callable[[DetectBatch], Losses]:
    """Losses of a detector's batches."""

    def losses(batch: DetectBatch) -> Losses:
        with mixed_precision():
            dense, scores = detect(batch.x)
        score_loss, mask_loss = detect_losses(dense.float(), scores.float(), batch)
        return score_loss + config.mask_weight * mask_loss, score_loss, mask_loss

    return losses


def detect_losses(dense: Tensor, scores: Tensor, batch: DetectBatch) -> tuple[Tensor, Tensor]:
    """Score loss over views and mask loss over cells; both compare each pair besides.

    Scores: a segment's highest view against its target, and a damaged view against its twin. Cells: damage that is seen
    against what is intact, each with half of the weight, and the same cell of the twin. What lies beside the item gets
    little of it, or the network learns for long to tell items from tables. A cell whose surface is
    damaged but looks as before is left out: nobody could mark it, and calling it intact would be wrong too.
    """
    highest = torch.full_like(batch.target, -torch.inf).scatter_reduce(0, batch.segment, scores, "amax")
    score_loss = F.binary_cross_entropy_with_logits(highest, batch.target)
    p, cells = batch.pairs, dense.shape[-1]
    score_loss = score_loss + F.softplus(scores[p : 2 * p] - scores[:p]).sum() / max(1, p)
    seen, damage = (F.adaptive_max_pool2d(image, cells)[:, 0] > 0.5 for image in (batch.seen, batch.damage))
    known = batch.masked[:, None, None]
    on_item = F.adaptive_max_pool2d(batch.item, cells)[:, 0] > 0.5
    marked, intact = seen & known, ~damage & known
    mask_loss = 0.5 * _mean(F.softplus(-dense), marked)
    mask_loss = mask_loss + (0.5 - BESIDE) * _mean(F.softplus(dense), intact & on_item)
    mask_loss = mask_loss + BESIDE * _mean(F.softplus(dense), intact & ~on_item)
    return score_loss, mask_loss + _mean(F.softplus(dense[p : 2 * p] - dense[:p]), marked[:p])


def _mean(values: Tensor, where: Tensor) -> Tensor:
    return (values * where).sum() / where.sum().clamp_min(1)


# Data in, card out


def _require_validation(source: CaptureSource) -> None:
    if not any(capture.defect is False for capture in source("validation")):
        raise DamagelandError(
            "no pristine capture in the validation split, so no threshold can be chosen: render more products "
            "(the split is a hash of the product) with twins or a gallery"
        )


def _require_pairs(views: ViewSet) -> None:
    mend = "check the recipe, or render more captures"
    if not len(views):
        raise DamagelandError(f"the training split shows no item: {mend}")
    if not any(note.defect for note in views.notes):
        raise DamagelandError(f"the training split has no damaged capture among {len(views.notes)}: {mend}")
    if not (views.target == 1).any():
        raise DamagelandError(f"no view of the training split shows its damage: {mend}")
    if not len(views.pairs):
        raise DamagelandError("no damaged capture of the training split has its pristine twin: render with twins")


def _real_pool(locate: nn.Module, real: Iterable[Capture], config: TrainConfig) -> RealPool | None:
    """Real captures as windows around the item that the fresh localiser finds; None if there are none."""
    locate.eval()

    def focus(view: View) -> Square:
        return find_item(locate, view.rgb, config.locate_px)

    views = load_views(real, frame_px=config.frame_px, focus=focus)
    if not len(views):
        return None
    pool = RealPool.of(views)
    if not (len(pool.damaged) and len(pool.intact)):
        raise DamagelandError(
            f"real captures to train on: {len(pool.damaged)} damaged, {len(pool.intact)} intact; both are needed, "
            "or the model learns to tell real from rendered"
        )
    return pool


def _trained_on(views: ViewSet, pool: RealPool | None, names: tuple[str, ...]) -> TrainedOn:
    return TrainedOn(
        sources=names,
        recipe_hashes=tuple(sorted({note.recipe for note in views.notes if note.recipe})),
        captures=len(views.notes),
        views=len(views),
        pairs=len(views.pairs),
        products=tuple(sorted({note.item_identifier for note in views.notes if note.item_identifier})),
        real_capture_ids=() if pool is None else tuple(sorted(note.capture_id for note in pool.views.notes)),
    )


def _draft_card(config: TrainConfig, trained_on: TrainedOn) -> ModelCard:
    """A card to predict with until ``_calibrate`` has chosen the thresholds; no score lies above 1."""
    never = Threshold(
        value=1,
        fpr_budget=config.fpr_budget,
        delta=config.delta,
        negatives=0,
        negatives_needed=0,
        exceedances=0,
        certified=False,
    )
    return ModelCard(
        weights_sha256="",
        config=config,
        crop_zoom=CROP_ZOOM,
        thresholds={"rgbd": never, "rgb": never},
        validation={},
        trained_on=trained_on,
        versions=versions(),
    )


def _calibrate(model: Model, source: CaptureSource, *, progress: bool) -> Model:
    """Choose a threshold with and without depth, and measure, on the validation split through ``predict`` itself."""
    scores: dict[Modality, list[float]] = {"rgbd": [], "rgb": []}
    damaged: list[bool] = []
    groups: list[str] = []
    with bar("validate", None, enabled=progress) as advance:
        for capture in source("validation"):
            if capture.defect is None:
                continue
            damaged.append(capture.defect)
            groups.append(capture.group or capture.item_identifier or capture.capture_id)
            scores["rgbd"].append(predict(model, capture).score)
            scores["rgb"].append(predict(model, capture, use_depth=False).score)
            advance()
    config, truth = model.card.config, np.array(damaged)
    thresholds = {
        modality: choose_threshold(
            np.array(values)[~truth],
            fpr=config.fpr_budget,
            delta=config.delta,
            groups=np.array(groups)[~truth].tolist(),
            rng=generator_for(config.seed, 0, "train/threshold"),
        )
        for modality, values in scores.items()
    }
    validation = {m: _measure(truth, np.array(values), thresholds[m].value) for m, values in scores.items()}
    for modality, measured in validation.items():
        if measured.auroc is not None:
            say(
                f"validation {modality}: AUROC {measured.auroc:.3f}, AP {measured.average_precision:.3f}",
                enabled=progress,
            )
    say(thresholds["rgbd"].statement, enabled=progress)
    return Model(model.networks, model.card.model_copy(update={"thresholds": thresholds, "validation": validation}))


def _measure(damaged: np.ndarray, scores: np.ndarray, threshold: float) -> Scores:
    both = bool(damaged.any() and not damaged.all())
    return Scores(
        damaged=int(damaged.sum()),
        pristine=int((~damaged).sum()),
        auroc=float(roc_auc_score(damaged, scores)) if both else None,
        average_precision=float(average_precision_score(damaged, scores)) if both else None,
        recall_at_threshold=float((scores[damaged] > threshold).mean()) if both else None,
    )


__all__ = ["CaptureSource", "TrainConfig", "detect_losses", "fit", "load_model", "train"]
