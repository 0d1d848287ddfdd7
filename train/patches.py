"""``gallery``: no training; how far each patch of a capture is from the nearest one of its product's references.

The measure is PatchCore's and AnomalyDINO's, without their sampling: galleries are small. Patches are described by a
backbone: a plain one of ours, which needs no weights, or any vision transformer or convolutional network of timm from a
local file of weights.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from ..sim.capture import Capture, View
from ..sim.errors import DamagelandError
from ..sim.files import sha256_of, write_atomic
from ..sim.shards import read_captures
from ..sim.store import Source, as_store
from .calibrate import figures_of, group_of, modality_of, threshold_of
from .checkpoint import CARD, Modality, Scores, TrainedOn, versions
from .config import TrainConfig
from .console import say, track
from .crops import Square, cut, paste, to_tensor, whole
from .data import check_view
from .pose import Cloud, cloud_of, is_pinhole, project
from .predict import Prediction
from .references import ReferenceBook
from .threshold import Threshold, choose_threshold

PLAIN = "plain"
MARGIN = 1.15
"""Side of the crop over the item's."""
TOP_SHARE = 0.02
"""Share of the patches whose mean distance is a view's score."""
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of colours that the usual backbones were trained with."""

Backbone = Callable[[Float[Tensor, "b 3 h w"]], Float[Tensor, "b c i j"]]
"""Pictures in [0, 1] to descriptors of patches."""


class PatchCard(BaseModel):
    """The content of ``model.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format_version: Literal[1] = 1
    architecture: Literal["patches"] = "patches"
    backbone: str
    """plain, or timm's name of a network."""
    backbone_file: str | None
    """Its local file of weights."""
    weights_sha256: str
    """Of that file; empty for plain."""
    scale: float
    """Distance that scores 0.5: the median of pristine captures' scores."""
    config: TrainConfig
    thresholds: dict[Modality, Threshold]
    validation: dict[Modality, Scores]
    trained_on: TrainedOn
    versions: dict[str, str]


def plain(pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c i j"]:
    """Colour, contrast and eight directions of edges, averaged over patches of 8 pixels with their neighbours."""
    grey = pictures.mean(1, keepdim=True)
    dx, dy = (F.pad(grey.diff(dim=d), pad) for d, pad in ((3, (0, 1, 0, 0)), (2, (0, 0, 0, 1))))
    strength, angle = torch.hypot(dx, dy), torch.atan2(dy, dx)
    around = torch.arange(8) * (torch.pi / 4)
    edges = strength * F.relu(torch.cos(angle - around[:, None, None]) - 0.7) * 12
    local = F.avg_pool2d(grey**2, 5, 1, 2) - F.avg_pool2d(grey, 5, 1, 2) ** 2
    dense = torch.cat([pictures * 2, local.clamp_min(0).sqrt() * 4, edges], 1)
    patches = F.avg_pool2d(dense, 8)
    return torch.cat([patches, F.avg_pool2d(patches, 3, 1, 1)], 1)


def timm_backbone(name: str, weights: Path) -> Backbone:
    """A network of timm with weights from a local safetensors file; the extra is loaded only here."""
    try:
        import timm  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise DamagelandError(f"backbone {name} needs timm: pip install timm, or use the backbone {PLAIN!r}") from None
    if not weights.is_file():
        raise DamagelandError(f"{weights} is missing: give a local safetensors file of timm's {name} (none is loaded)")
    try:
        network = timm.create_model(name, pretrained=False, num_classes=0)
        network.load_state_dict(safetensors.torch.load_file(weights), strict=False)
    except (RuntimeError, OSError, ValueError, safetensors.SafetensorError) as error:
        raise DamagelandError(f"{weights} does not fit timm's {name} ({error})") from None
    network.eval().requires_grad_(False)
    mean, deviation = (torch.tensor(values)[:, None, None] for values in IMAGENET)
    side = int(network.default_cfg["input_size"][-1])

    def describe(pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c i j"]:
        sized = F.interpolate(pictures, (side, side), mode="bilinear", antialias=True)
        found = network.forward_features((sized - mean) / deviation)
        if found.ndim == 3:  # tokens: those before the patches stand for the whole
            patches = found[:, network.num_prefix_tokens :]
            cells = round(patches.shape[1] ** 0.5)
            found = patches.transpose(1, 2).unflatten(2, (cells, cells))
        return found

    return describe


def load_backbone(name: str, weights: Path | None) -> Backbone:
    """``plain``, or a network of timm."""
    if name == PLAIN:
        return plain
    if weights is None:
        raise DamagelandError(f"backbone {name!r} needs its weights: name a local safetensors file beside it")
    return timm_backbone(name, weights)


class Patches:
    """Nearest patches as a function of a capture and its references."""

    wants_references = True

    def __init__(self, card: PatchCard, backbone: Backbone) -> None:
        self.card, self.backbone = card, backbone

    @property
    def info(self) -> dict[str, Any]:
        """The content of ``model.json``."""
        return self.card.model_dump(mode="json")

    def __call__(self, capture: Capture, references: Sequence[Capture] = (), *, use_depth: bool = True) -> Prediction:
        """Score a capture by its strangest patches; without references nothing is strange, and the score is 0."""
        if not capture.views:
            raise DamagelandError(f"capture {capture.capture_id} has no view: there is nothing to score")
        for view in capture.views:
            check_view(view, f"capture {capture.capture_id}, camera {view.camera}")
        side, modality = self.card.config.crop_px, modality_of(capture, use_depth=use_depth)
        memory = [d for c in references for d, _, _ in describe(self.backbone, c, side)]
        bank = torch.cat(memory, 1) if memory else None
        masks, scores, boxes = [], [], []
        plain_views = tuple(replace(v, item=None, depth=v.depth if use_depth else None) for v in capture.views)
        described = describe(self.backbone, replace(capture, views=plain_views), side)
        for view, (descriptors, inside, square) in zip(capture.views, described, strict=True):
            far = torch.zeros(inside.shape) if bank is None else _nearest(descriptors, bank) * inside
            top = far.flatten().topk(max(1, round(TOP_SHARE * far.numel()))).values.mean()
            scores.append(_squash(float(top), self.card.scale))
            masks.append(_mask(far.numpy(), square, view, self.card.scale))
            h, w = view.rgb.shape[:2]
            left, top_px = square.cx - square.half, square.cy - square.half
            right, bottom = square.cx + square.half, square.cy + square.half
            boxes.append((max(0.0, left), max(0.0, top_px), min(float(w), right), min(float(h), bottom)))
        score = max(scores)
        return Prediction(
            capture_id=capture.capture_id,
            score=score,
            modality=modality,
            alarm=score > self.card.thresholds[modality].value,
            cameras=tuple(view.camera for view in capture.views),
            view_scores=tuple(scores),
            masks=tuple(masks),
            boxes=tuple(boxes),
        )


def describe(backbone: Backbone, capture: Capture, side: int) -> list[tuple[Tensor, Tensor, Square]]:
    """Per view: descriptors (c, n), which of the n patches show the item, and the square they are cut from."""
    everywhere = [whole(*view.rgb.shape[:2]) for view in capture.views]
    cloud = cloud_of(capture, everywhere)
    return [_describe_view(backbone, view, _item_of(view, cloud), side) for view in capture.views]


def _describe_view(
    backbone: Backbone, view: View, mask: Bool[np.ndarray, "h w"], side: int
) -> tuple[Tensor, Tensor, Square]:
    rows, columns = np.nonzero(mask)
    x0, x1, y0, y1 = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
    square = Square((x0 + x1) / 2, (y0 + y1) / 2, MARGIN * max(x1 - x0, y1 - y0) / 2)
    with torch.inference_mode():
        found = backbone(to_tensor(cut(view.rgb, square, side)[None]))[0]
    share = torch.from_numpy(cut(mask.astype(np.float32), square, side))[None, None]
    inside = F.adaptive_avg_pool2d(share, (found.shape[1], found.shape[2]))[0, 0] > 0.5
    return found.flatten(1), inside.flatten(), square


def _item_of(view: View, cloud: Cloud | None) -> Bool[np.ndarray, "h w"]:
    """The item by its mask, else by what the depth cameras saw standing on the tray, else the whole picture."""
    height, width = view.rgb.shape[:2]
    mask = np.ones((height, width), bool)
    if view.item is not None:
        mask = view.item > 0
    elif cloud is not None and is_pinhole(view):
        column, row, z = project(cloud.points, view)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (z > 0)
        dots = np.zeros((height, width), np.uint8)
        dots[row[inside], column[inside]] = 1
        mask = cv2.morphologyEx(dots, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)) > 0
    return mask if mask.any() else np.ones(view.rgb.shape[:2], bool)


def _nearest(descriptors: Float[Tensor, "c n"], bank: Float[Tensor, "c m"]) -> Float[Tensor, " n"]:
    """Distance of each descriptor to the nearest in the bank."""
    return torch.cdist(descriptors.T, bank.T).min(1).values


def _squash(distance: float, scale: float) -> float:
    """A distance as a score in [0, 1)."""
    return distance / (distance + scale)


def _mask(far: Float32[np.ndarray, " n"], square: Square, view: View, scale: float) -> Float32[np.ndarray, "h w"]:
    cells = round(len(far) ** 0.5)
    scores = (far / (far + scale)).reshape(cells, cells).astype(np.float32)
    return paste(cv2.resize(scores, (4 * cells, 4 * cells)), square, *view.rgb.shape[:2], fill=0.0)


# Making one


@dataclass(frozen=True)
class _Scored:
    damaged: bool
    group: str
    scores: dict[Modality, float]


def make_gallery(
    data: Sequence[Source],
    config: TrainConfig,
    out: Path,
    *,
    backbone: str = PLAIN,
    weights: Path | None = None,
    progress: bool = True,
) -> Path:
    """Choose scale and thresholds on the validation split; nothing is trained."""
    source: Callable[[], Iterable[Capture]] = lambda: chain.from_iterable(  # noqa: E731
        read_captures(f, split="validation") for f in data
    )
    book = ReferenceBook.of(source())
    card = _draft(config, data, backbone, weights)
    scorer = Patches(card, load_backbone(backbone, weights))
    rows: list[_Scored] = []
    for capture in track(source(), "gallery", total=None, enabled=progress):
        references = book.find(capture)
        if capture.role != "reference" and capture.defect is not None and references:
            scores = {m: scorer(capture, references, use_depth=m == "rgbd").score for m in ("rgbd", "rgb")}
            rows.append(_Scored(capture.defect, group_of(capture), scores))  # pyright: ignore[reportArgumentType]
    damaged = np.array([row.damaged for row in rows], bool)
    if not (~damaged).any():
        raise DamagelandError(
            "the validation split has no pristine capture with references, so no threshold can be chosen: render with "
            "`gallery: 2` or more in the recipe"
        )
    card = _calibrated(card, rows, damaged)
    for modality, measured in card.validation.items():
        if measured.auroc is not None:
            say(f"validation {modality}: AUROC {measured.auroc:.3f}", enabled=progress)
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / CARD, card.model_dump_json(indent=1) + "\n")
    return out


def _draft(config: TrainConfig, data: Sequence[Source], backbone: str, weights: Path | None) -> PatchCard:
    never = choose_threshold(np.ones(1), fpr=config.fpr_budget, delta=config.delta)
    nothing = TrainedOn(
        sources=tuple(as_store(where).name for where in data),
        recipe_hashes=(),
        captures=0,
        views=0,
        pairs=0,
        products=(),
    )
    return PatchCard(
        backbone=backbone,
        backbone_file=None if weights is None else str(weights),
        weights_sha256="" if weights is None or not weights.is_file() else sha256_of(weights),
        scale=1.0,
        config=config,
        thresholds={"rgbd": never, "rgb": never},
        validation={},
        trained_on=nothing,
        versions=versions(),
    )


def _calibrated(card: PatchCard, rows: Sequence[_Scored], damaged: np.ndarray) -> PatchCard:
    """Bring the median pristine capture to a score of a half, and choose the thresholds."""
    scores = {m: np.array([row.scores[m] for row in rows]) for m in ("rgbd", "rgb")}
    distances = {m: values / np.maximum(1 - values, 1e-9) for m, values in scores.items()}
    scale = float(np.median(distances["rgbd"][~damaged]))
    squashed = {m: values / (values + scale) for m, values in distances.items()}
    groups = [row.group for row in rows]
    thresholds = {m: threshold_of(values, damaged, groups, card.config) for m, values in squashed.items()}
    measured = {m: figures_of(damaged, values, thresholds[m].value) for m, values in squashed.items()}
    return card.model_copy(update={"scale": scale, "thresholds": thresholds, "validation": measured})


def load_patches(folder: Path) -> Patches:
    """Read a folder that ``make_gallery`` wrote."""
    path = folder / CARD
    try:
        card = PatchCard.model_validate(json.loads(path.read_bytes()))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise DamagelandError(f"{path} does not describe a gallery model: {wrong}") from None
    weights = None if card.backbone_file is None else Path(card.backbone_file)
    if weights is not None and weights.is_file() and sha256_of(weights) != card.weights_sha256:
        raise DamagelandError(
            f"{weights} is not the file that {path} was made with: restore it, or make the model again"
        )
    return Patches(card, load_backbone(card.backbone, weights))
