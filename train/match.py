"""What a camera would see if the item were as its references are: pristine pictures laid on each view of a query."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
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
THUMB_PX = 40
"""Side of the crops that flat matching compares."""
FLAT_TURNS = 24


@dataclass(frozen=True)
class FlatView:
    """A reference view for matching without depth."""

    view: View
    square: Square
    mask: Bool[np.ndarray, "h w"]


@dataclass(frozen=True)
class FlatBank:
    """Every reference view in every turn, small, as rows of matrices: one product compares a view with all of them."""

    weight: Float32[np.ndarray, "k p"]
    """Where the item is; each row sums to 1."""
    print_: Float32[np.ndarray, "k q"]
    """Prints, weighted, of p pixels and three channels."""
    mean: Float32[np.ndarray, "k 3"]
    spread: Float32[np.ndarray, " k"]
    """Weighted variance of the prints, summed over channels."""

    def correlate(self, thumb: Float32[np.ndarray, "t t 3"]) -> Float32[np.ndarray, " k"]:
        """Correlation of a view's print with each row's."""
        flat = thumb.reshape(-1, 3)
        mean = self.weight @ flat
        spread = self.weight @ (flat**2).sum(1) - (mean**2).sum(1)
        both = self.print_ @ flat.reshape(-1) - (mean * self.mean).sum(1)
        return both / (np.sqrt(np.maximum(spread * self.spread, 0)) + 1e-9)


@dataclass(frozen=True)
class Enrolled:
    """A product's references, made ready once: the pictures, and one cloud of points where depth allows."""

    flat: tuple[FlatView, ...]
    clouds: tuple[Cloud, ...]
    """Dense; of references whose poses are on record in one."""

    @cached_property
    def flat_bank(self) -> FlatBank:
        """Made when first asked for: views with depth need none."""
        weights, prints = [], []
        for reference in self.flat:
            own = _thumb(local_print(reference.view.rgb), reference.square)
            inside = cut(reference.mask.astype(np.float32), reference.square, THUMB_PX)
            for turn in range(FLAT_TURNS):
                middle = (THUMB_PX / 2 - 0.5, THUMB_PX / 2 - 0.5)
                R = cv2.getRotationMatrix2D(middle, turn * 360 / FLAT_TURNS, 1.0)
                prints.append(cv2.warpAffine(own, R, (THUMB_PX, THUMB_PX)).reshape(-1, 3))
                weight = cv2.warpAffine(inside, R, (THUMB_PX, THUMB_PX)).reshape(-1)
                weights.append(weight / max(float(weight.sum()), 1.0))
        k, pixels = len(prints), THUMB_PX**2
        weight = np.array(weights, np.float32).reshape(k, pixels)
        print_ = np.array(prints, np.float32).reshape(k, pixels, 3)
        mean = np.einsum("kp,kpc->kc", weight, print_)
        spread = np.einsum("kp,kpc->k", weight, print_**2) - (mean**2).sum(1)
        return FlatBank(weight, (weight[..., None] * print_).reshape(k, 3 * pixels), mean, spread)


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
    return tuple(match_flat(view, s, enrolled) for view, s in zip(query.views, squares, strict=True))


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


def match_flat(view: View, square: Square, enrolled: Enrolled) -> Match:
    """Take the reference view and the turn whose print correlates best with a view, and lay it over the item."""
    fits = enrolled.flat_bank.correlate(_thumb(local_print(view.rgb), square))
    best = int(fits.argmax()) if len(fits) else 0
    if not len(fits) or fits[best] <= 0:
        return no_match(view)
    number, turn = divmod(best, FLAT_TURNS)
    reference, size = enrolled.flat[number], (view.rgb.shape[1], view.rgb.shape[0])
    scale = square.half / max(reference.square.half, 1.0)
    R = cv2.getRotationMatrix2D((reference.square.cx, reference.square.cy), turn * 360 / FLAT_TURNS, scale)
    R[:, 2] += (square.cx - reference.square.cx, square.cy - reference.square.cy)
    known = cv2.warpAffine(reference.mask.astype(np.uint8), R, size, flags=cv2.INTER_NEAREST) > 0
    rgb = cv2.warpAffine(reference.view.rgb, R, size, flags=cv2.INTER_LINEAR)
    depth = np.zeros(size[::-1], np.float32)
    return Match(np.where(known[..., None], rgb, 0).astype(np.uint8), depth, known, float(fits[best]))


def _thumb(print_: Float32[np.ndarray, "h w 3"], square: Square) -> Float32[np.ndarray, "t t 3"]:
    return cut(print_, Square(square.cx, square.cy, max(square.half, 1.0)), THUMB_PX).astype(np.float32)


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
