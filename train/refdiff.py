"""``refdiff``: the model that compares a capture with its product's pristine references."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64, UInt8, UInt16
from torch import Tensor, nn

from ..sim.capture import Capture, View
from ..sim.errors import DamagelandError
from ..sim.seed import generator_for
from ..sim.shards import read_captures
from ..sim.store import Source, as_store
from .augment import Batch, crop, draw_windows, swap_backgrounds, vary_appearance, vary_depth
from .batches import DetectBatch, frames, torch_generator
from .calibrate import calibrate, modality_of
from .checkpoint import Modality, Model, save_model
from .compare import build_compare, pair_input
from .config import TrainConfig
from .console import say, track
from .crops import Square, cut, cut_depth, paste, to_tensor, whole
from .data import DEPTH_UNIT_M, ViewSet, check_view, load_views
from .loop import (
    _draft_card,
    _require_pairs,
    _require_validation,
    _trained_on,
    detect_losses,
    train_locate,
)
from .match import Enrolled, Match, PoseSource, enrol, match_views, no_match
from .models import mixed_precision
from .predict import Prediction, _clip, find_item
from .references import ReferenceBook, by_design
from .steps import Losses, Position, Stage, TrainingLog, run_key, run_stage, threads

REFERENCE_DROPOUT = 0.15
"""Share of training pairs that are shown without a reference, so that a product without a gallery is scored too."""
UNKNOWN_SHARE, UNKNOWN_FACTOR = 0.05, 0.7
"""Another design is taken for one from this factor of the fit downwards that all but this share of validation captures
reach with their own references: few captures say little about the tail."""


@dataclass(frozen=True)
class Compared(Prediction):
    """A prediction that was made beside references."""

    references: int = 0
    """How many there were."""
    fit: float = 0.0
    """How well the best of them explains the pictures, at most 1; see ``match.Match``."""
    known_share: float = 0.0
    """Share of the crops for which a reference tells how the surface should look."""
    design: Literal["known", "unknown", "none"] = "none"
    """unknown: there are references, but they show another design; none: there are no references."""


# Training


@dataclass(frozen=True)
class MatchSet:
    """The matches of a ViewSet's rows, in the same frames."""

    rgb: UInt8[np.ndarray, "n s s 3"]
    depth: UInt16[np.ndarray, "n s s"]
    known: Bool[np.ndarray, "n s s"]


def fit_refdiff(
    source: Callable[[str], Iterable[Capture]],
    config: TrainConfig,
    out: Path,
    *,
    names: tuple[str, ...] = (),
    pose: PoseSource = "estimated",
    progress: bool = True,
) -> Path:
    """Train on captures whose source also yields their references; nothing is written before the data is fit."""
    _require_validation(source)
    book = ReferenceBook.of(source("train"))
    if not len(book):
        raise DamagelandError(
            "the training split has no reference capture: refdiff compares with pristine references, so render with "
            "`gallery: 2` or more in the recipe, or train --model query"
        )
    log = TrainingLog(out / "log.csv")
    with threads(config.threads):
        views, matches = load_pairs(source("train"), book, config, pose=pose, progress=progress)
        _require_pairs(views)
        say(f"{len(views)} views, {len(views.pairs)} pairs, {len(book)} products with references", enabled=progress)
        networks = build_compare(config.width, config.seed)
        position = Position(networks, log, ("locate", "compare"), run_key(config, views))
        position.load(progress=progress)
        train_locate(networks["locate"], views, config, log, position=position, progress=progress)
        train_compare(networks["compare"], views, matches, config, log, position=position, progress=progress)
        networks.eval().requires_grad_(False)
        card = _draft_card(config, _trained_on(views, None, names))
        model = Model(networks, card.model_copy(update={"architecture": "locate-compare"}))
        model = _validated(model, source, pose=pose, progress=progress)
    log.write()
    save_model(model, out)
    position.remove()
    return out


def _validated(model: Model, source: Callable[[str], Iterable[Capture]], *, pose: PoseSource, progress: bool) -> Model:
    """Thresholds, figures and the fit of known designs, from products that training did not see."""
    unseen, scorer = ReferenceBook.of(source("validation")), Refdiff(model, pose=pose)
    fits: dict[Modality, list[float]] = {"rgbd": [], "rgb": []}

    def score(capture: Capture, use_depth: bool) -> float:
        found = scorer(capture, unseen.find(capture), use_depth=use_depth)
        if found.references:
            fits[found.modality].append(found.fit)
        return found.score

    model = calibrate(model, score, source("validation"), progress=progress)
    known_fit = {
        modality: UNKNOWN_FACTOR * float(np.quantile(values, UNKNOWN_SHARE))
        for modality, values in fits.items()
        if values
    }
    return Model(model.networks, model.card.model_copy(update={"known_fit": known_fit}))


def load_pairs(
    captures: Iterable[Capture],
    book: ReferenceBook,
    config: TrainConfig,
    *,
    pose: PoseSource,
    progress: bool,
) -> tuple[ViewSet, MatchSet]:
    """Queries and twins as frames, and beside each the frame that its references make of it."""
    side = config.frame_px
    matches: dict[tuple[str, str], Match] = {}
    enrolled: dict[tuple[str, ...], Enrolled] = {}

    def matched() -> Iterable[Capture]:
        for capture in captures:
            if capture.role == "reference" or capture.defect is None:
                continue
            references = book.find(capture)
            key = tuple(r.capture_id for r in references)
            if key not in enrolled:
                enrolled[key] = enrol(references, _no_finder)
            for view in capture.views:
                check_view(view, f"capture {capture.capture_id}, camera {view.camera}")
            squares = [true_square(view) for view in capture.views]
            for view, match in zip(capture.views, match_views(capture, squares, enrolled[key], pose=pose), strict=True):
                matches[capture.capture_id, view.camera] = _framed(match, side)
            yield capture

    views = load_views(track(matched(), "matching", total=None, enabled=progress), frame_px=side)
    found = [
        matches[views.notes[number].capture_id, camera]
        for number, camera in zip(views.capture, views.cameras, strict=True)
    ]
    shape = (len(found), side, side)
    return views, MatchSet(
        rgb=np.stack([m.rgb for m in found]) if found else np.zeros((*shape, 3), np.uint8),
        depth=np.stack([_steps(m.depth) for m in found]) if found else np.zeros(shape, np.uint16),
        known=np.stack([m.known for m in found]) if found else np.zeros(shape, bool),
    )


def _no_finder(view: View) -> Square:
    raise DamagelandError(f"a rendered reference has no item mask in camera {view.camera}: render it again")


def true_square(view: View) -> Square:
    """Square around the item by its mask; the whole picture where there is none."""
    if view.item is None or not view.item.any():
        return whole(*view.rgb.shape[:2])
    rows, columns = np.nonzero(view.item)
    x0, x1, y0, y1 = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
    return Square((x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, y1 - y0) / 2)


def _framed(match: Match, side: int) -> Match:
    frame = whole(*match.known.shape)
    known = cut(match.known.astype(np.float32), frame, side) > 0.5
    return Match(cut(match.rgb, frame, side), cut_depth(match.depth, frame, side), known, match.fit)


def _steps(depth_m: Float32[np.ndarray, "s s"]) -> UInt16[np.ndarray, "s s"]:
    return np.minimum(np.rint(depth_m / DEPTH_UNIT_M), 65535).astype(np.uint16)


def train_compare(
    compare: nn.Module,
    views: ViewSet,
    matches: MatchSet,
    config: TrainConfig,
    log: TrainingLog,
    *,
    position: Position | None = None,
    progress: bool = False,
) -> None:
    """Teach masks and scores on pairs beside their references, by the losses of the query model."""

    def draw(step: int) -> tuple[DetectBatch, tuple[Tensor, Tensor]]:
        return draw_compare_batch(views, matches, config, generator_for(config.seed, step, "train/compare"))

    def losses(drawn: tuple[DetectBatch, tuple[Tensor, Tensor]]) -> Losses:
        batch, pair = drawn
        with mixed_precision():
            dense, scores = compare(pair)
        score_loss, mask_loss = detect_losses(dense.float(), scores.float(), batch)
        return score_loss + config.mask_weight * mask_loss, score_loss, mask_loss

    stage = Stage("compare", config.steps)
    run_stage(stage, compare, config, draw, losses, log, position=position, progress=progress)


def draw_compare_batch(
    views: ViewSet, matches: MatchSet, config: TrainConfig, rng: np.random.Generator
) -> tuple[DetectBatch, tuple[Tensor, Tensor]]:
    """Pairs and pristine views beside their references; half as many as the query model takes, for two pictures each.

    A view and its reference share their window, never their light.
    """
    draw = torch_generator(rng)
    pairs, unpaired = max(1, config.pairs // 2), config.unpaired // 2
    damaged = rng.choice(views.pairs, pairs)
    rows = np.concatenate([damaged, views.twin[damaged], rng.choice(views.intact, unpaired)])
    group = np.concatenate([np.arange(pairs), np.arange(pairs), pairs + np.arange(unpaired)])
    windows = draw_windows(torch.from_numpy(views.box[rows]), torch.from_numpy(group), draw)
    query = swap_backgrounds(
        crop(frames(views, rows, group), windows, config.crop_px), draw, share=config.background_swap
    )
    query = vary_depth(vary_appearance(query, draw), draw, hidden=config.modality_dropout)
    reference = vary_appearance(crop(_match_frames(matches, rows, group), windows, config.crop_px), draw)
    kept = torch.rand(query.groups, generator=draw) >= REFERENCE_DROPOUT
    known = (reference.item > 0.5) & kept[query.group][:, None, None, None]
    pair = pair_input(query.rgb, query.depth, reference.rgb, reference.depth, known)
    batch = DetectBatch(
        x=pair[0][: len(rows)],
        damage=query.damage,
        seen=query.seen,
        item=query.item,
        masked=torch.ones(len(rows), dtype=torch.bool),
        segment=torch.arange(len(rows)),
        target=torch.from_numpy(views.target[rows]),
        pairs=pairs,
    )
    return batch, (pair[0].contiguous(memory_format=torch.channels_last), pair[1])


def _match_frames(matches: MatchSet, rows: Int64[np.ndarray, " b"], group: Int64[np.ndarray, " b"]) -> Batch:
    known = torch.from_numpy(matches.known[rows])[:, None].float()
    depth = torch.from_numpy(matches.depth[rows].astype(np.float32) * np.float32(DEPTH_UNIT_M))[:, None]
    nothing = torch.zeros_like(known)
    return Batch(to_tensor(matches.rgb[rows]), depth, known, nothing, nothing, torch.from_numpy(group))


# Prediction


class Refdiff:
    """A trained comparing model as a function of a capture and its product's references."""

    wants_references = True

    def __init__(self, model: Model, *, pose: PoseSource = "estimated") -> None:
        self.model = model
        self.pose: PoseSource = pose
        self._enrolled: tuple[tuple[Capture, ...], tuple[Enrolled, ...]] | None = None

    @property
    def info(self) -> dict[str, Any]:
        """The content of ``model.json``."""
        return self.model.card.model_dump(mode="json")

    def __call__(self, capture: Capture, references: Sequence[Capture] = (), *, use_depth: bool = True) -> Compared:
        """Score a capture beside its references; without any, by its own pictures alone."""
        config, card = self.model.card.config, self.model.card
        if not capture.views:
            raise DamagelandError(f"capture {capture.capture_id} has no view: there is nothing to score")
        for view in capture.views:
            check_view(view, f"capture {capture.capture_id}, camera {view.camera}")
        if not use_depth:
            capture = replace(capture, views=tuple(replace(view, depth=None) for view in capture.views))
        squares = [self._find(view) for view in capture.views]
        matches = self._match(capture, squares, references)
        fit, modality = max(match.fit for match in matches), modality_of(capture)
        design = "none" if not references else "known" if fit >= card.known_fit.get(modality, 0.0) else "unknown"
        if design == "unknown":  # differences to another design are no damage: the capture is judged alone
            matches = tuple(no_match(view) for view in capture.views)
        crops = [Square(s.cx, s.cy, s.half * card.crop_zoom) for s in squares]
        dense, logits, shares = compare_crops(
            self.model.networks["compare"], capture.views, crops, matches, config.crop_px
        )
        masks = tuple(
            1 / (1 + np.exp(-paste(logit, crop, *view.rgb.shape[:2], fill=-np.inf)))
            for logit, crop, view in zip(dense, crops, capture.views, strict=True)
        )
        scores = 1 / (1 + np.exp(-logits.astype(np.float64)))
        return Compared(
            capture_id=capture.capture_id,
            score=float(scores.max()),
            modality=modality,
            alarm=float(scores.max()) > card.thresholds[modality].value,
            cameras=tuple(view.camera for view in capture.views),
            view_scores=tuple(scores.tolist()),
            masks=masks,
            boxes=tuple(_clip(s, view) for s, view in zip(squares, capture.views, strict=True)),
            references=len(references),
            fit=fit,
            known_share=float(shares.mean()),
            design=design,
        )

    def _find(self, view: View) -> Square:
        return find_item(self.model.networks["locate"], view.rgb, self.model.card.config.locate_px)

    def _match(self, capture: Capture, squares: Sequence[Square], references: Sequence[Capture]) -> tuple[Match, ...]:
        if not references:
            return tuple(no_match(view) for view in capture.views)
        held = tuple(references)
        if self._enrolled is None or not _same(self._enrolled[0], held):
            self._enrolled = held, tuple(enrol(group, self._find) for group in by_design(held))
        found = (match_views(capture, squares, enrolled, pose=self.pose) for enrolled in self._enrolled[1])
        return max(found, key=lambda matches: max(match.fit for match in matches))


def _same(a: Sequence[Capture], b: Sequence[Capture]) -> bool:
    """Whether two galleries are the very same captures: captures of one product often come one after another."""
    return len(a) == len(b) and all(x is y for x, y in zip(a, b, strict=True))


def compare_crops(
    compare: nn.Module, views: Sequence[View], crops: Sequence[Square], matches: Sequence[Match], side: int
) -> tuple[Float32[np.ndarray, "v s s"], Float[np.ndarray, " v"], Float[np.ndarray, " v"]]:
    """Damage logits per cell and per view, the mean over crop and mirror image, and the share that is known."""
    rgb, reference = (
        to_tensor(np.stack([cut(image, crop, side) for image, crop in zip(images, crops, strict=True)]))
        for images in ([view.rgb for view in views], [match.rgb for match in matches])
    )
    depth, other = torch.zeros(len(views), 1, side, side), torch.zeros(len(views), 1, side, side)
    known = torch.zeros(len(views), 1, side, side, dtype=torch.bool)
    for i, (view, match, window) in enumerate(zip(views, matches, crops, strict=True)):
        if view.depth is not None:
            depth[i, 0] = torch.from_numpy(cut_depth(view.depth, window, side))
        other[i, 0] = torch.from_numpy(cut_depth(match.depth, window, side))
        known[i, 0] = torch.from_numpy(cut(match.known.astype(np.float32), window, side) > 0.5)
    x, there = pair_input(rgb, depth, reference, other, known)
    with torch.inference_mode():
        dense, logits = compare((x, there))
        mirrored, mirrored_logits = compare((x.flip(3), there.flip(3)))
    share = there.mean((1, 2, 3)).numpy()
    return ((dense + mirrored.flip(2)) / 2).numpy(), ((logits + mirrored_logits) / 2).numpy(), share


def train_refdiff(
    data: Sequence[Source], config: TrainConfig, out: Path, *, pose: PoseSource = "estimated", progress: bool = True
) -> Path:
    """Train on rendered folders with galleries; return ``out``, the folder of the finished model."""
    return fit_refdiff(
        lambda split: chain.from_iterable(read_captures(f, split=split) for f in data),
        config,
        out,
        names=tuple(as_store(where).name for where in data),
        pose=pose,
        progress=progress,
    )


__all__ = ["Compared", "Refdiff", "fit_refdiff", "train_refdiff"]
