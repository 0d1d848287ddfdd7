"""Scores and masks of captures, rendered or real, with or without depth, of any size."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn

from ..sim.capture import Capture, View
from ..sim.errors import DamagelandError
from .checkpoint import Modality, Model, load_model
from .console import track
from .crops import Square, cut, cut_depth, network_input, paste, standardise, to_tensor, whole
from .data import check_view

__all__ = ["CROP_ZOOM", "Prediction", "find_item", "load_model", "predict", "predict_many"]

CROP_ZOOM = 1.22
"""Side of the crop over the size of the item found: the middle of what training shows."""
SECOND_LOOK = 1.6
"""Side of the window, over the size of the item found, in which it is located a second time."""
SMALLEST = 0.15
"""A second look that finds an item smaller than this share of its window is not trusted."""


@dataclass(frozen=True)
class Prediction:
    """What a model says about one capture."""

    capture_id: str
    score: float
    """Damage score in [0, 1]; comparable between captures, not a calibrated probability."""
    modality: Modality
    """rgbd if any view gave depth, else rgb: which of the model's thresholds applies."""
    alarm: bool
    """Whether the score is above the model's threshold for this modality."""
    cameras: tuple[str, ...]
    view_scores: tuple[float, ...]
    """Per view, in [0, 1]."""
    masks: tuple[Float32[np.ndarray, "_ _"], ...]
    """Per view, at its own size: damage score of each pixel in [0, 1]; 0 outside the crop."""
    boxes: tuple[tuple[float, float, float, float], ...]
    """Per view: left, top, right, bottom [px] of the square around the item that was found, cut to the picture."""


def predict(model: Model, capture: Capture, *, use_depth: bool = True) -> Prediction:
    """Score one capture and mark its damage; ``use_depth=False`` ignores depth even where there is some."""
    if not capture.views:
        raise DamagelandError(f"capture {capture.capture_id} has no view: there is nothing to score")
    for view in capture.views:
        check_view(view, f"capture {capture.capture_id}, camera {view.camera}")
    config = model.card.config
    squares = [find_item(model.networks["locate"], view.rgb, config.locate_px) for view in capture.views]
    crops = [Square(s.cx, s.cy, s.half * model.card.crop_zoom) for s in squares]
    dense, logits = _detect(model, capture.views, crops, use_depth=use_depth)
    masks = tuple(
        1 / (1 + np.exp(-paste(logit, crop, *view.rgb.shape[:2], fill=-np.inf)))
        for logit, crop, view in zip(dense, crops, capture.views, strict=True)
    )
    has_depth = use_depth and any(view.depth is not None and view.depth.any() for view in capture.views)
    modality: Modality = "rgbd" if has_depth else "rgb"
    scores = 1 / (1 + np.exp(-logits.astype(np.float64)))
    score = float(scores.max())
    return Prediction(
        capture_id=capture.capture_id,
        score=score,
        modality=modality,
        alarm=score > model.card.thresholds[modality].value,
        cameras=tuple(view.camera for view in capture.views),
        view_scores=tuple(scores.tolist()),
        masks=masks,
        boxes=tuple(_clip(s, view) for s, view in zip(squares, capture.views, strict=True)),
    )


def predict_many(
    model: Model,
    captures: Iterable[Capture],
    *,
    use_depth: bool = True,
    progress: bool = False,
    total: int | None = None,
) -> Iterator[Prediction]:
    """Predict capture by capture, in order, holding one in memory; ``total`` lets the progress bar tell time left."""
    for capture in track(captures, "scoring", total=total, enabled=progress):
        yield predict(model, capture, use_depth=use_depth)


def find_item(locate: nn.Module, rgb: UInt8[np.ndarray, "h w 3"], locate_px: int) -> Square:
    """Find the square around the item; looks twice, the second time near the first find. Whole picture if in doubt."""
    frame = whole(*rgb.shape[:2])
    first = _look(locate, rgb, frame, locate_px)
    if first is None:
        return frame
    window = Square(first.cx, first.cy, first.half * SECOND_LOOK)
    second = _look(locate, rgb, window, locate_px)
    return second if second is not None and second.half > SMALLEST * window.half else first


def _look(locate: nn.Module, rgb: UInt8[np.ndarray, "h w 3"], window: Square, side: int) -> Square | None:
    """Square around the strongest connected find in a window, or None."""
    with torch.inference_mode():
        logits = locate(standardise(to_tensor(cut(rgb, window, side)[None])))[0]
        heat = torch.sigmoid(logits.float()).numpy()
    count, regions, boxes, _ = cv2.connectedComponentsWithStats((heat > 0.5).astype(np.uint8))
    if count < 2:
        return None
    best = 1 + int(np.argmax([heat[regions == i].sum() for i in range(1, count)]))
    x, y, w, h = (float(v) for v in boxes[best][:4])
    cell = 2 * window.half / len(heat)
    corner_x, corner_y = window.cx - window.half, window.cy - window.half
    return Square(corner_x + (x + w / 2) * cell, corner_y + (y + h / 2) * cell, max(w, h) / 2 * cell)


def _detect(
    model: Model, views: tuple[View, ...], crops: list[Square], *, use_depth: bool
) -> tuple[Float32[np.ndarray, "v s s"], Float[np.ndarray, " v"]]:
    """Damage logits per cell and per view, each the mean over the crop and its mirror image."""
    side = model.card.config.crop_px
    rgb = to_tensor(np.stack([cut(view.rgb, crop, side) for view, crop in zip(views, crops, strict=True)]))
    depth = torch.zeros(len(views), 1, side, side)
    for i, (view, crop) in enumerate(zip(views, crops, strict=True)):
        if use_depth and view.depth is not None:
            depth[i, 0] = torch.from_numpy(cut_depth(view.depth, crop, side))
    return score_crops(model.networks["detect"], network_input(rgb, depth))


def score_crops(
    detect: nn.Module, x: Float[Tensor, "v 6 h w"]
) -> tuple[Float32[np.ndarray, "v s s"], Float[np.ndarray, " v"]]:
    """Run the detector on crops and their mirror images and average the logits."""
    with torch.inference_mode():
        dense, logits = detect(x)
        mirrored, mirrored_logits = detect(x.flip(3))
    return ((dense + mirrored.flip(2)) / 2).numpy(), ((logits + mirrored_logits) / 2).numpy()


def _clip(square: Square, view: View) -> tuple[float, float, float, float]:
    height, width = view.rgb.shape[:2]
    low_x, high_x = np.clip([square.cx - square.half, square.cx + square.half], 0, width)
    low_y, high_y = np.clip([square.cy - square.half, square.cy + square.half], 0, height)
    return float(low_x), float(low_y), float(high_x), float(high_y)
