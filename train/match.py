"""What a camera would see if the item were as its references are: pristine pictures laid on each view of a query."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from ..sim.capture import Capture, View
from .crops import Square, cut, whole
from .pose import (
    Cloud,
    Motion,
    Scene,
    cloud_of,
    find_motion,
    fuse,
    is_pinhole,
    known_motion,
    local_print,
    project,
    scene_of,
)

PoseSource = Literal["estimated", "recorded"]
"""Where the motion between reference and query comes from: the pictures alone, or ``T_world_item`` of both."""
Finder = Callable[[View], Square]
"""Finds the square around the item in a view."""

SEE_THROUGH_M = 0.012
"""Points this far behind their neighbours belong to a far side that shows between the points of the near one."""
THUMB_PX = 48
"""Side of the crops that flat matching compares."""
FLAT_TURNS = 24


@dataclass(frozen=True)
class FlatView:
    """A reference view for matching without depth."""

    view: View
    square: Square
    mask: Bool[np.ndarray, "h w"]


@dataclass(frozen=True)
class Enrolled:
    """A product's references, made ready once: the pictures, and one cloud of points where depth allows."""

    flat: tuple[FlatView, ...]
    clouds: tuple[Cloud, ...]
    """Dense; of references whose poses are on record in one."""


@dataclass(frozen=True)
class Match:
    """A query's view as its pristine references have it."""

    rgb: UInt8[np.ndarray, "h w 3"]
    depth: Float32[np.ndarray, "h w"]
    """Metres; 0 where no reference tells."""
    known: Bool[np.ndarray, "h w"]
    """Where the references show the surface that this camera sees."""
    fit: float
    """How well the print agrees, at most 1; low for another design, and for a side no reference shows."""


def no_match(view: View) -> Match:
    """A match that knows nothing."""
    h, w = view.rgb.shape[:2]
    return Match(np.zeros((h, w, 3), np.uint8), np.zeros((h, w), np.float32), np.zeros((h, w), bool), 0.0)


def enrol(references: Sequence[Capture], find: Finder) -> Enrolled:
    """Make references ready; ``find`` is asked where a view has no item mask."""
    flat: list[FlatView] = []
    clouds: list[Cloud] = []
    for capture in references:
        squares = [_square_of(view, find) for view in capture.views]
        masked = all(view.item is not None for view in capture.views)
        flat += [
            FlatView(view, square, _mask_of(view, square)) for view, square in zip(capture.views, squares, strict=True)
        ]
        cloud = cloud_of(capture, None if masked else squares, grow=2)
        if cloud is not None:
            clouds.append(cloud)
    return Enrolled(tuple(flat), tuple(fuse(clouds)))


def _square_of(view: View, find: Finder) -> Square:
    if view.item is None or not view.item.any():
        return find(view)
    rows, columns = np.nonzero(view.item)
    x0, x1, y0, y1 = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
    return Square((x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, y1 - y0) / 2)


def _mask_of(view: View, square: Square) -> Bool[np.ndarray, "h w"]:
    if view.item is not None and view.item.any():
        return view.item > 0
    rows, columns = np.mgrid[0 : view.rgb.shape[0], 0 : view.rgb.shape[1]] + 0.5
    return np.hypot(columns - square.cx, rows - square.cy) < square.half


def match_views(
    query: Capture, squares: Sequence[Square], enrolled: Enrolled, *, pose: PoseSource = "estimated"
) -> tuple[Match, ...]:
    """Lay a product's references on every view of a query, in which ``squares`` say where the item was found.

    With calibrated depth on both sides the references' points are moved as the item was and drawn into each camera;
    otherwise each view takes the picture of a reference that is most like it, turned and scaled.
    """
    scene = scene_of(query, squares)
    if scene is not None and enrolled.clouds:
        moved = [(cloud, _motion(query, cloud, scene, pose)) for cloud in enrolled.clouds]
        cloud, motion = max(moved, key=lambda each: each[1].fit)
        if all(map(is_pinhole, query.views)):
            return tuple(draw_cloud(cloud, motion, view) for view in query.views)
    return tuple(match_flat(view, s, enrolled.flat) for view, s in zip(query.views, squares, strict=True))


def _motion(query: Capture, cloud: Cloud, scene: Scene, pose: PoseSource) -> Motion:
    recorded = known_motion(query, cloud, scene) if pose == "recorded" else None
    return recorded or find_motion(scene, cloud)


def draw_cloud(cloud: Cloud, motion: Motion, view: View) -> Match:
    """Draw moved points into a camera, the nearest first, and close small gaps between them."""
    h, w = view.rgb.shape[:2]
    T = motion.T.astype(np.float32)
    column, row, z = project(cloud.points @ T[:3, :3].T + T[:3, 3], view)
    inside = np.flatnonzero((column >= 0) & (column < w) & (row >= 0) & (row < h) & (z > 0))
    order = inside[np.argsort(-z[inside], kind="stable")]  # the nearest is written last
    depth = np.zeros((h, w), np.float32)
    rgb = np.zeros((h, w, 3), np.float32)
    depth[row[order], column[order]] = z[order]
    rgb[row[order], column[order]] = cloud.rgb[order]
    nearest = cv2.erode(np.where(depth > 0, depth, np.inf).astype(np.float32), np.ones((5, 5), np.uint8))
    known = (depth > 0) & (depth < nearest + SEE_THROUGH_M)
    weight = cv2.blur(known.astype(np.float32), (3, 3))
    gaps = ~known & (weight > 0.4)
    for image in (depth, rgb):
        kept = known if image.ndim == 2 else known[..., None]
        mean = cv2.blur(image * kept, (3, 3)) / np.maximum(weight if image.ndim == 2 else weight[..., None], 1e-6)
        image[gaps] = mean[gaps]
    known |= gaps
    depth[~known], rgb[~known] = 0, 0
    return Match(np.rint(rgb).astype(np.uint8), depth, known, motion.fit)


def match_flat(view: View, square: Square, references: Sequence[FlatView]) -> Match:
    """Take the reference view and the turn whose print correlates best with a view, and lay it over the item."""
    best = (-1.0, 0, 0.0)
    wanted = _thumb(local_print(view.rgb), square)
    for number, reference in enumerate(references):
        own = _thumb(local_print(reference.view.rgb), reference.square)
        inside = cut(reference.mask.astype(np.float32), reference.square, THUMB_PX)
        for turn in np.arange(FLAT_TURNS) * 360.0 / FLAT_TURNS:
            R = cv2.getRotationMatrix2D((THUMB_PX / 2 - 0.5, THUMB_PX / 2 - 0.5), turn, 1.0)
            turned = cv2.warpAffine(own, R, (THUMB_PX, THUMB_PX))
            weight = cv2.warpAffine(inside, R, (THUMB_PX, THUMB_PX))
            best = max(best, (_correlation(wanted, turned, weight), number, float(turn)))
    if best[0] <= 0:
        return no_match(view)
    fit, number, turn = best
    reference = references[number]
    R = cv2.getRotationMatrix2D((reference.square.cx, reference.square.cy), turn, square.half / reference.square.half)
    R[:, 2] += (square.cx - reference.square.cx, square.cy - reference.square.cy)
    size = (view.rgb.shape[1], view.rgb.shape[0])
    known = cv2.warpAffine(reference.mask.astype(np.uint8), R, size, flags=cv2.INTER_NEAREST) > 0
    rgb = cv2.warpAffine(reference.view.rgb, R, size, flags=cv2.INTER_LINEAR)
    return Match(np.where(known[..., None], rgb, 0).astype(np.uint8), np.zeros(size[::-1], np.float32), known, fit)


def _thumb(print_: Float32[np.ndarray, "h w 3"], square: Square) -> Float32[np.ndarray, "t t 3"]:
    return cut(print_, Square(square.cx, square.cy, max(square.half, 1.0)), THUMB_PX).astype(np.float32)


def _correlation(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> float:
    w = weight[..., None] / max(float(weight.sum()), 1.0)
    a, b = a - (a * w).sum((0, 1)), b - (b * w).sum((0, 1))
    return float((w * a * b).sum() / (np.sqrt((w * a * a).sum() * (w * b * b).sum()) + 1e-9))


def fit_between(
    query: Capture,
    references: Sequence[Capture],
    *,
    find: Finder | None = None,
    pose: PoseSource = "estimated",
) -> float:
    """How well references explain a capture, at most 1; ``find`` is asked where a view has no item mask."""
    seek = find or (lambda view: whole(*view.rgb.shape[:2]))
    squares = [_square_of(view, seek) for view in query.views]
    return max(match.fit for match in match_views(query, squares, enrol(references, seek), pose=pose))
