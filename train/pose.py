"""How a reference lies in another capture: clouds of coloured points, and the rigid motion that lays one on a view.

Cameras of a booth are calibrated, so what a reference showed becomes points in the world. An item rests on the tray:
its motion from one capture to another is a choice of the side it lies on, a turn about the vertical and a shift. These
are tried, the likely ones refined, and the one taken under which the points agree with the query's depth and print.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import no_type_check

import cv2
import numba
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64, UInt8

from ..sim.capture import Capture, View
from ..sim.lens import PINHOLE
from .crops import Square

FLOOR_M = 0.008
"""Points lower than this above the tray may be the tray."""
TALL_M = 0.6
HEAP_CELL_M = 0.008
"""Things further apart than this, seen from above, are not one."""
FIT_M, COARSE_FIT_M = 0.007, 0.018
"""A point fits a depth image where it lies this near to its surface; at first guess, where it lies this near."""
POINTS, FEW_POINTS = 1500, 600
"""Points of a cloud that a motion is judged by; at first guess, these are enough."""
PRINT_WINDOW = 21
"""Side [px] of the window whose mean and contrast are taken out of the brightness before prints are compared."""
CHROMA = 20.0
"""Weight of differences in hue, which turn and shade do not change, beside contrasts of brightness."""
TURNS = 24
REFINED, FINISHED = 12, 4
"""Candidates that are brought nearer, and of these, those that are refined to the end."""
COARSE_STEPS = ((0.25, 0.020), (0.12, 0.008))
STEPS = ((0.10, 0.006), (0.05, 0.003), (0.02, 0.0015), (0.01, 0.0007))
"""Steps that bring candidates nearer and that refine them: turn [rad] and shift [m]."""

Transform = Float64[np.ndarray, "4 4"]


@dataclass(frozen=True)
class Cloud:
    """What the depth cameras of one capture saw of an item."""

    points: Float32[np.ndarray, "n 3"]
    """World of that capture, metres."""
    rgb: UInt8[np.ndarray, "n 3"]
    print_: Float32[np.ndarray, "n 3"]
    """Hue, and brightness against its surroundings; see ``local_print``."""
    T_world_item: Transform | None = None

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class Motion:
    """A rigid motion from the world of a reference to that of a query, and how well it explains the query."""

    T: Transform
    fit: float
    """Share of the points that lie on the query's surface, times the correlation of their prints; 1 is perfect."""


def local_print(rgb: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    """What is printed, whatever the light: two shares of colour, and brightness over its local mean and contrast."""
    smooth = cv2.GaussianBlur(rgb.astype(np.float32) / 255, (0, 0), 1.2)
    grey = smooth.mean(2)
    window = (PRINT_WINDOW, PRINT_WINDOW)
    mean = cv2.blur(grey, window)
    deviation = np.sqrt(np.maximum(cv2.blur(grey**2, window) - mean**2, 0))
    hue = CHROMA * (smooth[..., :2] / (smooth.sum(2, keepdims=True) + 0.1) - 1 / 3)
    return np.dstack([hue, (grey - mean) / (deviation + 0.03)])


def has_geometry(view: View) -> bool:
    """Whether a view says where its pixels lie in the world."""
    return view.depth is not None and is_pinhole(view)


def is_pinhole(view: View) -> bool:
    """Whether a view is calibrated and its lens bends nothing; others are matched as flat pictures."""
    return view.K is not None and view.T_world_cam is not None and view.lens == PINHOLE


def unproject(
    depth: Float[np.ndarray, "h w"], K: Float[np.ndarray, "3 3"], T_world_cam: Float[np.ndarray, "4 4"]
) -> Float32[np.ndarray, "h w 3"]:
    """World point [m] of every pixel; where depth is 0, the camera's own place."""
    h, w = depth.shape
    rows, columns = np.mgrid[0:h, 0:w].astype(np.float32) + np.float32(0.5)
    rays = np.stack([(columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1], np.ones_like(rows)], axis=-1)
    return ((rays * depth[..., None]) @ T_world_cam[:3, :3].T + T_world_cam[:3, 3]).astype(np.float32)


def project(
    points: Float[np.ndarray, "n 3"], view: View
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Column, row and depth [m] of world points in a view; columns and rows may lie outside it."""
    assert view.K is not None and view.T_world_cam is not None
    local = (points - view.T_world_cam[:3, 3]) @ view.T_world_cam[:3, :3]
    z = np.maximum(local[:, 2], 1e-6)
    column = np.floor(local[:, 0] / z * view.K[0, 0] + view.K[0, 2])
    row = np.floor(local[:, 1] / z * view.K[1, 1] + view.K[1, 2])
    limit = 1e6
    return np.clip(column, -limit, limit).astype(int), np.clip(row, -limit, limit).astype(int), local[:, 2]


def item_pixels(view: View, points: Float32[np.ndarray, "h w 3"], square: Square | None) -> np.ndarray:
    """Pixels that show the item: by its mask, else what stands on the tray within the square around it."""
    assert view.depth is not None
    returned = view.depth > 0
    if view.item is not None and square is None:
        return returned & (view.item > 0)
    raised = returned & (points[..., 2] > FLOOR_M) & (points[..., 2] < TALL_M)
    if square is None:
        return raised
    near = np.zeros_like(raised)
    x, y = max(0, round(square.cx - square.half)), max(0, round(square.cy - square.half))
    near[y : round(square.cy + square.half), x : round(square.cx + square.half)] = True
    return _largest(raised & near)


def _largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of a mask, specks and threads taken off: noise of the tray would widen the item."""
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, regions, boxes, _ = cv2.connectedComponentsWithStats(opened)
    return mask & (opened > 0) if count < 2 else regions == 1 + int(np.argmax(boxes[1:, cv2.CC_STAT_AREA]))


def cloud_of(capture: Capture, squares: Sequence[Square] | None = None, *, grow: int = 1) -> Cloud | None:
    """Join what the depth views of a capture show of its item; None without calibrated depth.

    ``squares`` say where the item was found in each view; without them the item masks are taken. ``grow`` enlarges the
    pictures first, so that the points lie densely enough to be drawn into a nearer camera.
    """
    points, colours, prints = [], [], []
    for number, view in enumerate(capture.views):
        if not has_geometry(view):
            continue
        assert view.depth is not None and view.K is not None and view.T_world_cam is not None
        world = unproject(view.depth, view.K, view.T_world_cam)
        shown = item_pixels(view, world, None if squares is None else squares[number])
        shown &= ~_edge(view.depth)
        near, size = cv2.INTER_NEAREST, (view.rgb.shape[1] * grow, view.rgb.shape[0] * grow)
        if grow > 1:
            K = view.K * np.array([[grow], [grow], [1.0]])
            depth = cv2.resize(view.depth, size, interpolation=cv2.INTER_LINEAR)
            world = unproject(depth, K, view.T_world_cam)
            shown = cv2.resize(shown.astype(np.uint8), size, interpolation=near) > 0
        rgb = view.rgb if grow == 1 else cv2.resize(view.rgb, size, interpolation=cv2.INTER_LINEAR)
        print_ = local_print(view.rgb)
        print_ = print_ if grow == 1 else cv2.resize(print_, size, interpolation=cv2.INTER_LINEAR)
        points.append(world[shown])
        colours.append(rgb[shown])
        prints.append(print_[shown])
    if not points or sum(map(len, points)) < 50:
        return None
    pose = None if capture.T_world_item is None else np.array(capture.T_world_item, np.float64)
    joined = np.concatenate(points)
    kept = np.ones(len(joined), bool) if squares is None else _main_heap(joined)
    return Cloud(joined[kept], np.concatenate(colours)[kept], np.concatenate(prints)[kept], pose)


def _main_heap(points: Float32[np.ndarray, "n 3"]) -> Bool[np.ndarray, " n"]:
    """Points of the largest group as seen from above: the tray's rim and other things stand apart from the item."""
    cells = np.floor((points[:, :2] - points[:, :2].min(0)) / HEAP_CELL_M).astype(int)
    counts = np.zeros(cells.max(0) + 1, np.float32)
    np.add.at(counts, (cells[:, 0], cells[:, 1]), 1)
    _, groups = cv2.connectedComponents((counts > 0).astype(np.uint8), connectivity=4)
    of_point = groups[cells[:, 0], cells[:, 1]]
    return of_point == np.bincount(of_point).argmax()


def _edge(depth: Float[np.ndarray, "h w"]) -> np.ndarray:
    """Pixels at a jump in depth, where a pixel may mix two surfaces."""
    filled = depth.astype(np.float32)
    window = np.ones((3, 3), np.uint8)
    return cv2.dilate(filled, window) - cv2.erode(filled, window) > 0.02


def fuse(clouds: Sequence[Cloud]) -> list[Cloud]:
    """Join the clouds of one product whose poses are on record, in the first one's world; others stay alone."""
    posed = [cloud for cloud in clouds if cloud.T_world_item is not None]
    if len(posed) < 2:
        return list(clouds)
    first = posed[0]
    moved = []
    for cloud in posed:
        assert first.T_world_item is not None and cloud.T_world_item is not None
        T = first.T_world_item @ np.linalg.inv(cloud.T_world_item)
        moved.append((cloud.points @ T[:3, :3].T + T[:3, 3]).astype(np.float32))
    rgb, print_ = (np.concatenate([getattr(cloud, name) for cloud in posed]) for name in ("rgb", "print_"))
    joined = Cloud(np.concatenate(moved), rgb, print_, first.T_world_item)
    return [joined, *(cloud for cloud in clouds if cloud.T_world_item is None)]


def thin(cloud: Cloud, count: int = POINTS) -> Cloud:
    """Take every so-manieth point, about ``count`` in all."""
    step = max(1, len(cloud) // count)
    return Cloud(cloud.points[::step], cloud.rgb[::step], cloud.print_[::step], cloud.T_world_item)


# Judging and finding a motion


@dataclass(frozen=True)
class Scene:
    """A query as it is compared with: its depth views with their prints, and its own cloud."""

    views: tuple[View, ...]
    prints: tuple[Float32[np.ndarray, "h w 3"], ...]
    cloud: Cloud


def scene_of(capture: Capture, squares: Sequence[Square]) -> Scene | None:
    """Make a query ready for ``find_motion``; None without calibrated depth."""
    cloud = cloud_of(capture, squares)
    if cloud is None:
        return None
    views = tuple(view for view in capture.views if has_geometry(view))
    return Scene(views, tuple(local_print(view.rgb) for view in views), thin(cloud))


def fit_of(scene: Scene, cloud: Cloud, T: Transform) -> float:
    """How well a moved cloud explains a query; see ``fits_of``."""
    return float(fits_of(scene, cloud, T[None], FIT_M)[0])


def fits_of(scene: Scene, cloud: Cloud, T: Float64[np.ndarray, "k 4 4"], within_m: float) -> Float64[np.ndarray, " k"]:
    """How well a cloud explains a query under each of some motions: points on its surface, by how their prints agree.

    A point behind the query's surface is hidden and says nothing; one that floats before it speaks against the motion.
    """
    sums = np.zeros((len(T), 11))
    for view, print_ in zip(scene.views, scene.prints, strict=True):
        assert view.depth is not None and view.K is not None and view.T_world_cam is not None
        to_camera = np.linalg.inv(view.T_world_cam) @ T
        _gather(
            cloud.points, cloud.print_, to_camera, view.K.astype(np.float64), view.depth.astype(np.float32), print_,
            within_m, sums,
        )  # fmt: skip
    fitting, floating = sums[:, 0], sums[:, 1]
    count = np.maximum(fitting, 1)
    a, b = sums[:, 2:5], sums[:, 5:8]
    aa, bb, ab = sums[:, 8:].T
    spread = (aa - (a * a).sum(1) / count) * (bb - (b * b).sum(1) / count)
    correlation = (ab - (a * b).sum(1) / count) / (np.sqrt(np.maximum(spread, 0)) + 1e-9)
    share = np.maximum(0.0, fitting - 0.5 * floating) / (len(cloud) * len(scene.views))
    return np.where(fitting < 30, 0.0, np.maximum(0.02, correlation) * share)


@numba.njit(cache=True)
@no_type_check  # numba compiles it as it is: no checks may be wrapped around it in tests
def _gather(points, print_, to_camera, K, depth, seen, within_m, sums):  # pragma: no cover
    """Add up, per motion: points that fit, points that float, and the moments of their prints in both pictures."""
    h, w = depth.shape
    for k in range(len(to_camera)):
        M = to_camera[k]
        for n in range(len(points)):
            x, y, z = points[n, 0], points[n, 1], points[n, 2]
            depth_here = M[2, 0] * x + M[2, 1] * y + M[2, 2] * z + M[2, 3]
            if depth_here <= 1e-6:
                continue
            u = (M[0, 0] * x + M[0, 1] * y + M[0, 2] * z + M[0, 3]) / depth_here * K[0, 0] + K[0, 2]
            v = (M[1, 0] * x + M[1, 1] * y + M[1, 2] * z + M[1, 3]) / depth_here * K[1, 1] + K[1, 2]
            if u < 0 or v < 0 or u >= w or v >= h:
                continue
            row, column = int(v), int(u)
            surface = depth[row, column]
            if surface <= 0:
                continue
            gap = surface - depth_here
            if gap > within_m:
                sums[k, 1] += 1
            elif gap > -within_m:
                sums[k, 0] += 1
                for c in range(3):
                    a, b = seen[row, column, c], print_[n, c]
                    sums[k, 2 + c] += a
                    sums[k, 5 + c] += b
                    sums[k, 8] += a * a
                    sums[k, 9] += b * b
                    sums[k, 10] += a * b


def known_motion(query: Capture, cloud: Cloud, scene: Scene | None) -> Motion | None:
    """The motion between two poses that are on record; None unless both are."""
    if query.T_world_item is None or cloud.T_world_item is None:
        return None
    T = np.array(query.T_world_item, np.float64) @ np.linalg.inv(cloud.T_world_item)
    return Motion(T, 1.0 if scene is None else fit_of(scene, thin(cloud), T))


def find_motion(scene: Scene, cloud: Cloud) -> Motion:
    """Find the motion that lays a reference's cloud on a query, by trying sides, turns and shifts."""
    small, few = thin(cloud), thin(cloud, FEW_POINTS)
    tried = _candidates(scene.cloud, small)
    first = fits_of(scene, few, tried, COARSE_FIT_M)
    nearer = [_refine(scene, few, tried[i], COARSE_STEPS, COARSE_FIT_M) for i in np.argsort(-first)[:REFINED]]
    nearer.sort(key=lambda motion: -motion.fit)
    finished = (_refine(scene, small, motion.T, STEPS, FIT_M) for motion in nearer[:FINISHED])
    return max(finished, key=lambda motion: motion.fit)


def _refine(scene: Scene, cloud: Cloud, T: Transform, steps: Sequence[tuple[float, float]], within_m: float) -> Motion:
    """Turn and shift while that fits better, by ever smaller steps; also out of the tray's plane: items lean."""
    fit = float(fits_of(scene, cloud, T[None], within_m)[0])
    for turn, shift in steps:
        while True:
            centre = (cloud.points @ T[:3, :3].T + T[:3, 3]).mean(0)
            amounts = (sign * (turn if axis < 3 else shift) for axis, sign in _NUDGES)
            tried = np.stack([_nudge(centre, axis, a) @ T for (axis, _), a in zip(_NUDGES, amounts, strict=True)])
            fits = fits_of(scene, cloud, tried, within_m)
            best = int(fits.argmax())
            if fits[best] <= fit * 1.005 + 1e-6:
                break
            T, fit = tried[best], float(fits[best])
    return Motion(T, fit)


_NUDGES = tuple(product(range(6), (-1, 1)))


def _nudge(centre: np.ndarray, axis: int, amount: float) -> Transform:
    T = np.eye(4)
    if axis < 3:
        vector = np.zeros(3)
        vector[axis] = amount
        T[:3, :3] = cv2.Rodrigues(vector)[0]
        T[:3, 3] = centre - T[:3, :3] @ centre
    else:
        T[axis - 3, 3] = amount
    return T


def _candidates(query: Cloud, reference: Cloud) -> Float64[np.ndarray, "k 4 4"]:
    """Motions worth trying: each side down, by turns that bring rectangles together and by even turns besides."""
    angle_q, centre_q = _footprint(query.points)
    angle_r, centre_r = _footprint(reference.points)
    upright = _turn(-angle_r)
    base = (reference.points - np.array([*centre_r, 0.0], np.float32)) @ upright.T.astype(np.float32)
    motions = []
    for side in _SIDES:
        turns = angle_q + np.arange(4) * np.pi / 2
        if side is _SIDES[0]:
            turns = np.concatenate([turns, np.arange(TURNS) * 2 * np.pi / TURNS])
        for turn in turns:
            rotation = _turn(float(turn)) @ side
            moved = base @ rotation.T.astype(np.float32)
            T = np.eye(4)
            T[:3, :3] = rotation @ upright
            shift = np.array([*(centre_q - _footprint(moved)[1]), _lift(query.points, moved)])
            T[:3, 3] = shift - T[:3, :3] @ np.array([*centre_r, 0.0])
            motions.append(T)
    return np.stack(motions)


def _lift(query: np.ndarray, moved: np.ndarray) -> float:
    """Bring the tops to one height: the underside of an item is not seen."""
    return float(np.percentile(query[:, 2], 98) - np.percentile(moved[:, 2], 98))


def _footprint(points: np.ndarray) -> tuple[float, np.ndarray]:
    """Angle [rad] and centre [m] of the smallest rectangle around points seen from above."""
    centre, _, angle = cv2.minAreaRect(np.ascontiguousarray(points[:, :2], np.float32))
    return float(np.deg2rad(angle)), np.array(centre)


def _turn(angle: float) -> Float64[np.ndarray, "3 3"]:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def _sides() -> tuple[np.ndarray, ...]:
    """The 24 turns of a cube less turns about the vertical: one for each side that may lie down, as it is first."""
    found: dict[tuple[float, ...], np.ndarray] = {}
    for order, signs in product(permutations(range(3)), product((1.0, -1.0), repeat=3)):
        rotation = np.eye(3)[list(order)] * np.array(signs)[:, None]
        if np.linalg.det(rotation) > 0:
            found.setdefault(tuple(rotation[2]), rotation)
    first = tuple(np.eye(3)[2])
    found[first] = np.eye(3)
    return (found.pop(first), *found.values())


_SIDES = _sides()
