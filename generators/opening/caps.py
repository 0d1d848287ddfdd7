"""Caps: loose on their thread, flipped open, or off and lying on the tray."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from ...sim.scene import SURFACES, Kind, Material, Part, kind_bit
from ..damage.subject import Subject
from ..mesh import corner_normals
from ..products.product import Hinge, Product
from ..rest import mass_centre, stable_poses
from .hinge import Frame, closed_part, rotation_about, take_off
from .peel import open_neck
from .sweep import crosses, free_place, obstacles


@dataclass(frozen=True)
class Loosening:
    """How a cap sits when it has been turned; drawn once."""

    lift_mm: float
    tilt_deg: float
    way_rad: float
    """Where it tilts to."""
    pitch_mm: float = 3.0
    """Of the thread: how far a whole turn lifts it."""


def axis_of(hinge: Hinge) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
    """Where a cap's axis starts, and its unit vector outwards."""
    a, b = np.array(hinge.a, float), np.array(hinge.b, float)
    return a, (b - a) / np.linalg.norm(b - a)


def _aside(along: Float[np.ndarray, "3"], angle: float) -> Float[np.ndarray, "3"]:
    u = np.cross(along, np.eye(3)[int(np.argmin(np.abs(along)))])
    u /= np.linalg.norm(u)
    return np.cos(angle) * u + np.sin(angle) * np.cross(along, u)


def cap_points(product: Product, hinge: Hinge) -> Float[np.ndarray, "n 3"]:
    """All points of a cap."""
    found = [part.vertices for part in product.contents if part.name in hinge.moves]
    found += [sheet.vertices for sheet in product.sheets if sheet.name in hinge.moves]
    return np.concatenate(found)


def loosened(hinge: Hinge, how: Loosening, share: float) -> Float[np.ndarray, "4 4"]:
    """The rigid motion of a cap that has been turned and lifted; it tilts about where it still touches."""
    at, along = axis_of(hinge)
    lift = share * how.lift_mm / 1000
    turn = 360 * share * how.lift_mm / how.pitch_mm if hinge.closed_by == "screw" else 0.0
    spin = rotation_about(Frame(at, along, along, 1.0, 1.0), turn)
    lean = rotation_about(Frame(at, _aside(along, how.way_rad), along, 1.0, 1.0), share * how.tilt_deg)
    up = np.eye(4)
    up[:3, 3] = lift * along
    return up @ lean @ spin


def has_room(subject: Subject, hinge: Hinge, away_m: float) -> bool:
    """Whether a cap can be moved along its axis without meeting the tray or something around."""
    _, along = axis_of(hinge)
    points = cap_points(subject.product, hinge)
    points = points[:: max(1, len(points) // 200)]
    before, after = subject.to_world(points), subject.to_world(points + away_m * along)
    return float(after[:, 2].min()) > 2e-4 and not crosses(obstacles(subject.around), before, after)


def resting_place(
    subject: Subject, hinge: Hinge, item: Float[np.ndarray, "n 3"], rng: np.random.Generator
) -> Float[np.ndarray, "4 4"] | None:
    """A rigid motion (item frame) that puts a cap beside the item on the tray; None if there is no free place.

    ``item``: what is drawn of the item without its cap, in the world.
    """
    points = subject.to_world(cap_points(subject.product, hinge))
    centre = mass_centre(points)
    poses = stable_poses(points, centre)
    share = np.array([weight for _, weight in poses])
    R = poses[int(rng.choice(len(poses), p=share / share.sum()))][0]
    turn = rng.uniform(0, 2 * np.pi)
    c, s = np.cos(turn), np.sin(turn)
    R = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]) @ R
    lying = (points - centre) @ R.T
    middle = (lying.max(axis=0) + lying.min(axis=0)) / 2
    lying = lying - np.array([middle[0], middle[1], lying[:, 2].min()])
    at = free_place(subject, lying, item, rng)
    if at is None:
        return None
    shift = np.array([*at, 0.0]) + lying[0] - points[0] @ R.T
    world = np.eye(4)
    world[:3, :3], world[:3, 3] = R, shift
    T = subject.T_world_item
    inverse = np.eye(4)
    inverse[:3, :3], inverse[:3, 3] = T[:3, :3].T, -T[:3, :3].T @ T[:3, 3]
    return inverse @ world @ T


def cap_off(product: Product, hinge: Hinge, T_item: Float[np.ndarray, "4 4"], *, kind: Kind) -> tuple[Product, float]:
    """Move a cap away and open the neck under it; returns the product and the mouth's radius [m]."""
    moved = take_off(product, hinge, T_item, kind=kind)
    at, along = axis_of(hinge)
    sheet, radius = open_neck(moved.sheets[0], at, along, kind)
    return replace(moved, sheets=(sheet, *moved.sheets[1:])), radius


# ---- Flip caps ------------------------------------------------------------------------------------------------------


def flip_groove(part: Part, hinge: Hinge) -> float | None:
    """Height [m] along the axis of the groove at which a snap cap's lid parts from its base; None without one."""
    at, along = axis_of(hinge)
    off = part.vertices - at
    height = off @ along
    radius = np.linalg.norm(off - height[:, None] * along, axis=1)
    level, inverse = np.unique(np.round(height, 6), return_inverse=True)
    wide = np.zeros(len(level))
    np.maximum.at(wide, inverse.reshape(-1), radius)
    for k in range(1, len(level) - 2):
        if level[k + 1] - level[k] < 1e-3 and wide[k - 1] - wide[k] > 2e-4 and wide[k + 2] - wide[k + 1] > 2e-4:
            return float((level[k] + level[k + 1]) / 2)
    return None


def _disc(rim: Float[np.ndarray, "n 3"], inner: Float[np.ndarray, "m 3"] | None) -> Float[np.ndarray, "f 3 3"]:
    """Triangles from a ring to its middle, or to a second ring with as many points."""
    nxt = np.roll(rim, -1, axis=0)
    if inner is None:
        middle = np.broadcast_to(rim.mean(axis=0), rim.shape)
        return np.stack([rim, nxt, middle], 1)
    more = np.roll(inner, -1, axis=0)
    return np.concatenate([np.stack([rim, nxt, more], 1), np.stack([rim, more, inner], 1)])


def _ring(middle, u, v, radius: float, height: float, along, count: int = 48) -> Float[np.ndarray, "n 3"]:
    angle = np.arange(count) / count * 2 * np.pi
    return middle + radius * (np.cos(angle)[:, None] * u + np.sin(angle)[:, None] * v) + height * along


def _solid_of(
    name: str, like: Part, corners: Float[np.ndarray, "f 3 3"], materials, which: Int[np.ndarray, " f"]
) -> Part:
    key = np.round(corners.reshape(-1, 3) / 1e-7).astype(np.int64)
    _, first, inverse = np.unique(key, axis=0, return_index=True, return_inverse=True)
    faces = inverse.reshape(-1, 3)
    vertices = corners.reshape(-1, 3)[first]
    return Part(
        name, vertices, faces, np.full((len(faces), 3, 2), 0.5), corner_normals(vertices, faces, crease_deg=35.0),
        materials, which.astype(np.uint8), np.full(len(faces), SURFACES.index("outer"), np.uint8),
        np.zeros(len(faces), np.uint8), like.item,
    )  # fmt: skip


def split_flip(part: Part, hinge: Hinge, groove: float, back_rad: float, neck_m: float) -> tuple[Part, Part, Frame]:
    """Part a snap cap into its base, with a deck and an orifice, and its lid, with a plug; and the lid's hinge.

    ``neck_m`` is how far along the axis the bottle's neck reaches.
    """
    at, along = axis_of(hinge)
    corners = part.vertices[part.faces]
    height = (corners - at) @ along
    upper = height.min(axis=1) > groove
    radius = np.linalg.norm(corners - at - height[..., None] * along, axis=2)
    wide, top = float(radius[upper].max()), float(height.max())
    # The thread's inner side would stand above the deck: what is drawn is the shell, with a deck and a plug of its own.
    inner = (radius.max(axis=1) < wide - 0.002) & (height.max(axis=1) < top - 0.001) & (height.max(axis=1) > groove)
    shell, upper = ~inner & ~upper, upper & ~inner
    v = _aside(along, back_rad)
    u = np.cross(v, along)
    level = float(height[upper].min())
    rim = float(radius[upper][np.abs(height[upper] - level) < 1e-6].max())
    hole = 0.17 * wide
    deep, low = max(level + 0.003, top - 0.0022), level + 1e-4
    # The deck lies over the bottle's neck, which may reach above the groove.
    flat = float(np.clip(neck_m + 0.0006, level, deep - 0.0018))

    def ring(r: float, h: float) -> Float[np.ndarray, "n 3"]:
        return _ring(at, u, v, r, h, along)

    line = [(rim, level), (rim - 0.0022, level), (rim - 0.0024, flat), (1.6 * hole, flat), (1.5 * hole, flat + 0.0012),
            (hole, flat + 0.0012), (0.9 * hole, level - 0.003)]  # fmt: skip
    deck = np.concatenate([_disc(ring(*one), ring(*two)) for one, two in pairwise(line)])
    orifice = _disc(ring(0.9 * hole, flat + 0.0004), None)
    line = [(rim, low), (rim - 0.0014, low), (rim - 0.0017, deep), (1.0 * hole, deep), (0.95 * hole, flat + 0.0015)]
    under = [_disc(ring(*one), ring(*two)) for one, two in pairwise(line)]
    under = np.concatenate([*under, _disc(ring(0.95 * hole, flat + 0.0015), None)])[:, ::-1]
    dark = Material("orifice", (0.01, 0.01, 0.01), 0.0, 0.9)
    own = part.material.astype(np.int64)
    lower = _solid_of(
        part.name, part, np.concatenate([corners[shell], deck, orifice]), (*part.materials, dark),
        np.concatenate([own[shell], np.zeros(len(deck), int), np.full(len(orifice), len(part.materials))]),
    )  # fmt: skip
    lid = _solid_of(
        f"{part.name} lid", part, np.concatenate([corners[upper], under]), part.materials,
        np.concatenate([own[upper], np.zeros(len(under), int)]),
    )  # fmt: skip
    back = at + groove * along + wide * v
    turn = u if np.cross(u, -v) @ along > 0 else -u  # the lid opens outwards
    return lower, lid, Frame(back - 0.004 * turn, turn, -v, 0.008, 2 * wide)


def _neck_top(product: Product, hinge: Hinge) -> float:
    at, along = axis_of(hinge)
    off = product.sheets[0].rest - at
    height = off @ along
    near = np.linalg.norm(off - height[:, None] * along, axis=1) < 0.02
    return float(height[near].max(initial=0.0))


def flip_lid(product: Product, hinge: Hinge, back_rad: float) -> tuple[Frame, Float[np.ndarray, "n 3"]]:
    """A flip cap's own hinge, and some points of its lid."""
    for part in product.contents:
        groove = flip_groove(part, hinge) if part.name in hinge.moves else None
        if groove is not None:
            _, lid, frame = split_flip(part, hinge, groove, back_rad, _neck_top(product, hinge))
            return frame, lid.vertices[:: max(1, len(lid.vertices) // 200)]
    raise AssertionError(f"{hinge.name} is no flip cap")


def flip_open(product: Product, hinge: Hinge, angle_deg: float, back_rad: float, *, kind: Kind) -> Product:
    """Turn the lid of a flip cap; its base and the bottle stay."""
    bit, contents, gone = np.uint8(kind_bit(kind)), [], []
    for part in product.contents:
        groove = flip_groove(part, hinge) if part.name in hinge.moves else None
        if groove is None:
            contents.append(part)
            continue
        lower, lid, frame = split_flip(part, hinge, groove, back_rad, _neck_top(product, hinge))
        gone.append(closed_part(lid, kind))
        T = rotation_about(frame, angle_deg)
        lid = replace(
            lid, vertices=lid.vertices @ T[:3, :3].T + T[:3, 3], normals=lid.normals @ T[:3, :3].T,
            damage=lid.damage | bit,
        )  # fmt: skip
        contents += [lower, lid]
    return replace(product, contents=tuple(contents), gone=(*product.gone, *gone))
