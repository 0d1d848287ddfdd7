"""How far a flap opens before it meets something, and where a cap can be put down."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import ConvexHull

from ...sim.rays import Caster, build_caster, occluded
from ...sim.scene import Part
from ..damage.subject import Subject
from ..mesh import Sheet
from ..products.product import Hinge, Product
from .hinge import Frame, Give, hinge_frame, moved_sheets, moving_faces, turned

SWEPT = 260
"""Points of a flap that are followed."""
FLOOR_M = 4e-4
"""A flap stops this far above the tray."""
STRAIGHT = Give()
LIES_M = 2.5e-3
"""A sheet no further above the closed flap than this is what the flap is stuck to; it is left, not met."""


def _bare_part(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> Part:
    f = len(faces)
    none = np.zeros(f, np.uint8)
    return Part("bare", vertices, faces, np.zeros((f, 3, 2)), np.zeros((f, 3, 3)), (), none, none, none)


def obstacles(parts: Sequence[Part]) -> Caster | None:
    """What rays are cast at; None if there is nothing."""
    parts = tuple(part for part in parts if len(part.faces))
    return build_caster(parts) if parts else None


def crosses(scene: Caster | None, before: Float[np.ndarray, "n 3"], after: Float[np.ndarray, "n 3"]) -> bool:
    """Whether any straight way from one place to the next meets something."""
    if scene is None or not len(before):
        return False
    return bool(occluded(scene, before, after - before, np.ones(len(before))).any())


def _stuck_to(sheet: Sheet, frame: Frame) -> bool:
    height = (sheet.vertices - frame.at) @ frame.opening
    return float(height.max()) < LIES_M


def flap_points(product: Product, hinge: Hinge) -> Float[np.ndarray, "n 3"]:
    """Some points of what a hinge moves, item frame."""
    found = [s.vertices[np.unique(s.faces[moving_faces(product, hinge, k)])] for k, s in moved_sheets(product, hinge)]
    found += [part.vertices for part in product.contents if part.name in hinge.moves]
    points = np.concatenate(found)
    return points[:: max(1, len(points) // SWEPT)]


def free_angle(subject: Subject, hinge: Hinge, most_deg: float, *, give: Give = STRAIGHT) -> float:
    """How far [deg] a hinge opens before what it moves meets the tray, something around, or the item itself.

    A flap that lies on something else has no room: 0.
    """
    product = subject.product
    frame = hinge_frame(product, hinge)
    own = [s for s in product.sheets[1:] if s.name not in hinge.moves and not _stuck_to(s, frame)]
    return free_turn(subject, frame, flap_points(product, hinge), most_deg, give=give, own=own)


def free_turn(
    subject: Subject, frame: Frame, points: Float[np.ndarray, "n 3"], most_deg: float, *, give: Give = STRAIGHT,
    own: Sequence[Sheet] = (), step_deg: float = 3.0,
) -> float:  # fmt: skip
    """How far [deg] points (item frame) turn about an axis, followed from step to step; ``own``: sheets in the way."""
    scene = obstacles([*subject.around, *(_bare_part(subject.to_world(s.vertices), s.faces) for s in own)])
    # What is near the axis hardly moves, and may touch what it is joined to.
    points = points[(points - frame.at) @ frame.away > 0.2 * frame.reach]
    before, free = subject.to_world(points), 0.0
    for step in np.arange(step_deg, most_deg + step_deg, step_deg):
        angle = float(min(step, most_deg))
        after = subject.to_world(turned(points, frame, angle, give))
        if after[:, 2].min(initial=1.0) < FLOOR_M or crosses(scene, before, after):
            return free
        before, free = after, angle
    return free


def free_place(
    subject: Subject, outline: Float[np.ndarray, "n 3"], item: Float[np.ndarray, "m 3"], rng: np.random.Generator,
    *, near_m: tuple[float, float] = (0.006, 0.06), tries: int = 40,
) -> Float[np.ndarray, "2"] | None:  # fmt: skip
    """Where on the tray (world x, y) something small lies free, close to an item; None if there is no such place.

    ``outline``: its points in its resting pose, around the origin; ``item``: the item's, both in world axes.
    """
    reach = float(np.linalg.norm(outline[:, :2], axis=1).max())
    hull = item[ConvexHull(item[:, :2]).vertices, :2]
    others = [part.vertices for part in subject.around]
    low = [p[p[:, 2] < float(outline[:, 2].max()) + 0.002, :2] for p in others]
    wide = np.array(subject.tray_m) / 2 - reach - 0.004
    for _ in range(tries):
        turn, out = rng.uniform(0, 2 * np.pi), rng.uniform(*near_m)
        way = np.array([np.cos(turn), np.sin(turn)])
        at = hull.mean(axis=0) + way * (float(((hull - hull.mean(axis=0)) @ way).max()) + reach + out)
        clear = all(len(p) == 0 or np.linalg.norm(p - at, axis=1).min() > reach + 0.002 for p in low)
        if (np.abs(at) < wide).all() and clear and _outside(hull, at, reach + 0.002):
            return at
    return None


def _outside(hull: Float[np.ndarray, "n 2"], at: Float[np.ndarray, "2"], far: float) -> bool:
    """Whether a convex outline keeps a distance from a point."""
    side = np.roll(hull, -1, axis=0) - hull
    t = np.clip(((at - hull) * side).sum(axis=1) / np.maximum((side**2).sum(axis=1), 1e-18), 0, 1)
    return float(np.linalg.norm(hull + t[:, None] * side - at, axis=1).min()) > far
