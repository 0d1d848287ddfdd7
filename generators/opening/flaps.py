"""What comes to light when a box is opened: its dust flaps, tuck lip and inner flap, and fibres torn off by glue.

Families build a box as it is seen when closed, of one skin. What lies folded under it is added when it is opened: of
the same board, in the same place as in a real box, and clear of the flap above it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from ...sim.scene import KINDS, Kind, Material
from ..mesh import Sheet, make_sheet
from ..products.product import Hinge, Product
from .hinge import LABEL, Give, hinge_frame, moving_faces, turned

Path = Callable[[Float[np.ndarray, " k"]], Float[np.ndarray, " k"]]
"""Slope [rad] of a flap's cross-section at distances from its axis."""
CLEAR_M = 0.00015
"""Between board and the board that lies on it."""
UNDER_SHARE = 0.86
"""Length of a glued end's inner flap over the depth of the opening."""


@dataclass(frozen=True)
class Unfolding:
    """How the hidden flaps of a box stand when it is open; drawn once per box."""

    spring_deg: tuple[float, float] = (25.0, 30.0)
    """Of the two dust flaps, if nothing holds them down."""
    lip_deg: float = 65.0
    """Angle that the lip keeps to its lid."""
    lip_share: float = 0.45
    """Length of the lip over the depth of the opening."""
    dust_share: float = 0.8
    """Length of the dust flaps over what there is room for."""
    under_share: float = 0.5
    """How far the inner flap of a glued end follows the outer one."""
    slant: float = 0.2
    """Taper of the dust flaps' ends."""
    glue_spots: int = 3
    seed: int = 0
    """Of the torn fibres' outlines."""


@dataclass(frozen=True)
class Leaf:
    """A flap still to be made: its axis, the way it lies when closed, and its outline."""

    name: str
    at: Float[np.ndarray, "3"]
    along: Float[np.ndarray, "3"]
    away: Float[np.ndarray, "3"]
    up: Float[np.ndarray, "3"]
    width: float
    length: float
    slant: tuple[float, float] = (0.0, 0.0)
    """By how much each end is cut back per length."""
    round_m: float = 0.0
    """Radius of its free corners."""
    inset: tuple[float, float] = (0.0008, 0.0008)
    """From both ends of the axis [m]."""


def _rows(length: float, spacing: float, near: float) -> Float[np.ndarray, " k"]:
    first = [0.0, 0.5 * near, near, 1.6 * near]
    rest = np.linspace(1.6 * near, length, max(3, round((length - 1.6 * near) / spacing) + 1))
    return np.concatenate([first[:-1], rest])


def _section(s: Float[np.ndarray, " k"], slope: Path) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Run and rise of a curve of unit speed at distances from its start."""
    way = np.linspace(0, s[-1], 600)
    angle = slope(way)
    step = way[1]
    run, rise = (
        np.concatenate([[0.0], np.cumsum((f(angle[1:]) + f(angle[:-1])) / 2 * step)]) for f in (np.cos, np.sin)
    )
    return np.interp(s, way, run), np.interp(s, way, rise)


def make_leaf(leaf: Leaf, like: Sheet, face: Material, closed: Path, now: Path, kind: Kind, *, near: float) -> Sheet:
    """Cut a flap from a sheet's stock; ``closed`` and ``now`` give its cross-section, ``near`` its bend [m]."""
    spacing = like.mechanics.spacing_mm / 1000
    s = _rows(leaf.length, spacing, near)
    low = leaf.inset[0] + leaf.slant[0] * s
    high = leaf.width - leaf.inset[1] - leaf.slant[1] * s
    if leaf.round_m > 0:
        into = np.clip(s - (leaf.length - leaf.round_m), 0, leaf.round_m)
        cut = leaf.round_m - np.sqrt(leaf.round_m**2 - into**2)
        low, high = low + cut, high - cut
    columns = max(4, round(leaf.width / spacing))
    share = np.linspace(0, 1, columns + 1)
    u = low[None] + share[:, None] * (high - low)[None]
    shapes = []
    for path in (closed, now):
        x, y = _section(s, path)
        shapes.append(leaf.at + u[..., None] * leaf.along + x[None, :, None] * leaf.away + y[None, :, None] * leaf.up)
    n, m = u.shape
    index = np.arange(n * m).reshape(n, m)
    a, b, c, d = (q.ravel() for q in (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    if np.cross(leaf.along, leaf.away) @ leaf.up < 0:
        faces = faces[:, ::-1]
    uv = np.stack([u / leaf.width, np.repeat(s[None] / leaf.length, n, 0)], axis=-1).reshape(-1, 2)
    return _new_sheet(leaf.name, like, face, shapes[0].reshape(-1, 3), shapes[1].reshape(-1, 3), faces, uv, kind)


def _new_sheet(name, like: Sheet, face: Material, rest, vertices, faces, uv, kind: Kind) -> Sheet:
    """A labelled sheet of the same stock whose vertices are not where they were."""
    made = make_sheet(
        name, rest, faces, uv[faces], np.zeros(len(faces), np.uint8), (face, *like.materials[-2:]), like.mechanics,
        thickness_mm=like.thickness_mm, levels=like.levels, crease_deg=like.crease_deg, panels=(name,), item=like.item,
    )  # fmt: skip
    key = np.round(rest / 1e-7).astype(np.int64)  # as make_sheet welds
    _, first = np.unique(key, axis=0, return_index=True)
    marks = made.marks.copy()
    marks[:, KINDS.index(kind)] = LABEL
    return replace(made, vertices=vertices[first], marks=marks)


def board_tone(sheet: Sheet, points: Float[np.ndarray, "n 3"]) -> Material:
    """The outer side's material in the plain colour that it has near some places: what a flap's hidden side shows."""
    material = sheet.materials[int(sheet.material[0])]
    texture = material.base_color_texture
    if texture is None:
        return material
    corners = sheet.rest[sheet.faces].reshape(-1, 3)
    uv = sheet.uv.reshape(-1, 2)
    distance = np.square(corners[:, None] - points[None]).sum(axis=2).min(axis=1)
    near = np.argsort(distance, kind="stable")[:64]
    height, width = texture.shape[:2]
    x = np.clip((uv[near, 0] * width).astype(int), 0, width - 1)
    y = np.clip(((1 - uv[near, 1]) * height).astype(int), 0, height - 1)
    tone = np.median(texture[y, x].astype(np.float64), axis=0) / 255
    linear = np.where(tone <= 0.04045, tone / 12.92, ((tone + 0.055) / 1.055) ** 2.4)
    r, g, b = (float(v) * c for v, c in zip(linear, material.base_color, strict=True))
    return replace(
        material, name=f"{material.name}_plain", base_color=(r, g, b), base_color_texture=None,
        metallic_roughness_texture=None,
    )  # fmt: skip


# ---- Where hidden flaps stand ---------------------------------------------------------------------------------------


def _dipped(angle: float, thick: float) -> Path:
    """A flap that is folded in under another: it dips by more than the board's thickness first, unless it stands up."""
    dip = 1.5 * thick + CLEAR_M
    share = np.clip(1 - np.degrees(angle) / 45.0, 0, 1)

    def slope(s: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        bend = np.clip(1.6 - s / dip, 0, 1) * share
        return angle * (1 - bend) + np.radians(-66.0) * bend

    return slope


def _held_down(slant: float, lid_deg: float) -> float:
    """How far [deg] a dust flap can rise under a lid that is open by an angle; its end is cut back by ``slant``."""
    if lid_deg >= 88:
        return 180.0
    return float(np.degrees(np.arcsin(min(1.0, 0.85 * slant * np.tan(np.radians(lid_deg))))))


def dust_flaps(
    product: Product, hinges: tuple[Hinge, ...], over_deg: tuple[float, float], how: Unfolding, *, kind: Kind
) -> tuple[Sheet, ...]:
    """The two short flaps under a lid or a pair of flaps, sprung up as far as those let them.

    ``over_deg`` is how far open what lies over them is, at the first hinge and at the far side of the opening.
    """
    sheet, frame = product.sheets[0], hinge_frame(product, hinges[0])
    thick, pair = sheet.thickness_mm / 1000, len(hinges) > 1
    depth = frame.reach * len(hinges)
    room = 0.49 * frame.length
    length = min(room, frame.reach) if pair else how.dust_share * min(room, depth)
    slant = (0.0, 0.0) if pair else (how.slant, 0.06 if over_deg[1] >= 180 else how.slant)
    most = min(_held_down(max(cut, 0.02), over) for cut, over in zip(slant, over_deg, strict=True))
    inset = 2.2 * thick if pair else thick + 0.0006
    made = []
    for k, (at, way) in enumerate(((frame.at, 1.0), (frame.at + frame.length * frame.along, -1.0))):
        angle = float(np.radians(min(how.spring_deg[k], most)))
        leaf = Leaf(
            f"dust flap {k + 1}", at, frame.away, way * frame.along, frame.opening, depth, length, slant,
            0.0 if pair else min(0.004, 0.3 * length), (inset, inset),
        )  # fmt: skip
        made.append(
            make_leaf(
                leaf,
                sheet,
                _hidden_face(sheet, at, depth * frame.away),
                _dipped(0.0, thick),
                _dipped(angle, thick),
                kind,
                near=1.6 * thick,
            )
        )
    return tuple(made)


def _hidden_face(sheet: Sheet, at: Float[np.ndarray, "3"], side: Float[np.ndarray, "3"]) -> Material:
    """The outer side of a flap at an edge: bare corrugate, or the print's ground at that edge."""
    if sheet.thickness_mm > 1:
        return sheet.materials[-2]
    return board_tone(sheet, at + np.linspace(0.2, 0.8, 5)[:, None] * side)


def tuck_lip(
    product: Product, hinge: Hinge, angle_deg: float, give: Give, how: Unfolding, *, kind: Kind, wings: bool
) -> tuple[Sheet, ...]:
    """The lip at a lid's free edge, and with ``wings`` the sides of a mailer's lid; they turn with it."""
    sheet, frame = product.sheets[0], hinge_frame(product, hinge)
    thick, depth = sheet.thickness_mm / 1000, frame.reach
    below = float(-((sheet.rest - frame.at) @ frame.opening).min())
    length = min(how.lip_share * depth, 0.022, 0.8 * below) if not wings else 0.72 * below
    end = frame.at + depth * frame.away
    tone = _hidden_face(sheet, end, frame.length * frame.along)
    inside = depth - thick - CLEAR_M
    fold = _lip_fold(angle_deg, inside, length, how.lip_deg)
    turn = min(0.008, 0.45 * length)
    # The lip starts at the lid's very edge, dips round it, and hangs at an angle to the lid.
    leaf = Leaf("tuck lip", end, frame.along, frame.away, frame.opening, frame.length, length, (0.06, 0.06), turn,
                (thick + 0.001, thick + 0.001))  # fmt: skip
    leaves = [(leaf, fold)]
    if wings:
        wing = min(0.6 * below, length)
        for k, (at, way) in enumerate(((frame.at, -1.0), (frame.at + frame.length * frame.along, 1.0))):
            at = at + 0.12 * depth * frame.away
            side = Leaf(f"lid side {k + 1}", at, frame.away, way * frame.along, frame.opening, 0.8 * depth, wing,
                        (0.25, 0.15), 0.3 * wing)  # fmt: skip
            leaves.append((side, max(92.0, 90.0 + 12.0 * np.clip(angle_deg / 60, 0, 1))))
    made = []
    for leaf, angle in leaves:
        closed, now = (_folded_under(np.radians(a), thick) for a in (93.0, angle))
        flap = make_leaf(leaf, sheet, tone, closed, now, kind, near=1.6 * thick)
        made.append(replace(flap, vertices=turned(flap.vertices, frame, angle_deg, give)))
    return tuple(made)


def _folded_under(angle: float, thick: float) -> Path:
    """From an edge round to the inside by an angle, so that what hangs is within the wall's thickness and a hair."""
    start = 1.5 * thick + CLEAR_M

    def slope(s: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        # First back under the lid, then down: the outer side of the lip clears the wall's inner side.
        back = np.clip(1.5 - s / start, 0, 1)
        return -(angle * (1 - back) + np.radians(150.0) * back)

    return slope


def _lip_fold(angle_deg: float, depth: float, length: float, free_deg: float) -> float:
    """Angle between lid and lip: held in by the front wall until its tip is out, then as it relaxes."""
    turn = np.radians(angle_deg)
    held = angle_deg + np.degrees(np.arccos(np.clip(depth * (1 - np.cos(turn)) / length, -0.2, 1.0)))
    out = np.clip((depth * np.sin(min(turn, np.pi / 2)) / length - 1.0) / 0.5, 0, 1)
    return float(max((1 - out) * max(held, 92.0) + out * free_deg, 20.0))


def inner_flap(product: Product, hinge: Hinge, angle_deg: float, how: Unfolding, *, kind: Kind) -> tuple[Sheet, ...]:
    """The broad flap from the other side that a glued end has under its outer one."""
    sheet, frame = product.sheets[0], hinge_frame(product, hinge)
    thick, depth = sheet.thickness_mm / 1000, frame.reach
    length, angle = UNDER_SHARE * depth, float(np.radians(angle_deg))
    at = frame.at + depth * frame.away + frame.length * frame.along
    leaf = Leaf("inner flap", at, -frame.along, -frame.away, frame.opening, frame.length, length, (0.03, 0.03), 0.002,
                (thick + 0.0012, thick + 0.0012))  # fmt: skip
    tone = _hidden_face(sheet, at, -frame.length * frame.along)
    return (make_leaf(leaf, sheet, tone, _dipped(0.0, thick), _dipped(angle, thick), kind, near=1.6 * thick),)


def _under(angle_deg: float, depth: float, length: float) -> float:
    """The largest angle [deg] of a flap from the far side that stays under one that is open by an angle."""
    tries = np.radians(np.arange(0.0, 100.0, 1.0))
    x, z = depth - length * np.cos(tries), length * np.sin(tries)
    lid = np.radians(angle_deg)
    # Signed distance above the lid's plane, which rises from the near side.
    above = z * np.cos(lid) - x * np.sin(lid)
    free = np.flatnonzero(above > -0.0008)
    last = free[free > 0]
    return float(np.degrees(tries[last[0] - 1])) if len(last) else 99.0


# ---- Torn glue ------------------------------------------------------------------------------------------------------


def _blob(rng: np.random.Generator, size: tuple[float, float], rings: int = 4, around: int = 36):
    """A ragged spot: points within its outline [m] and triangles."""
    angle = np.arange(around) / around * 2 * np.pi
    rough = sum(rng.normal() / n * np.cos(n * angle + rng.uniform(0, 6.3)) for n in (2, 3, 5, 8, 13))
    radius = np.maximum(1 + 0.35 * rough, 0.25)
    rim = np.stack([size[0] * np.cos(angle), size[1] * np.sin(angle)], 1) * radius[:, None]
    points = np.concatenate([np.zeros((1, 2)), *(rim * (k + 1) / rings for k in range(rings))])
    first = 1 + np.arange(around)
    faces = [np.stack([np.zeros(around, int), first, np.roll(first, -1)], 1)]
    for k in range(rings - 1):
        a, b = first + k * around, first + (k + 1) * around
        faces += [np.stack([a, b, np.roll(b, -1)], 1), np.stack([a, np.roll(b, -1), np.roll(a, -1)], 1)]
    return points, np.concatenate(faces)


def torn_fibres(
    product: Product, hinge: Hinge, angle_deg: float, give: Give, how: Unfolding, *, kind: Kind
) -> tuple[Sheet, ...]:
    """Spots on a glued flap's inner side where the other board's surface came off with the glue."""
    sheet, frame = product.sheets[0], hinge_frame(product, hinge)
    thick, rng = sheet.thickness_mm / 1000, np.random.default_rng(how.seed)
    points, faces, total = [], [], 0
    for k in range(6 * how.glue_spots):
        size = (frame.length * rng.uniform(0.01, 0.04), frame.reach * rng.uniform(0.012, 0.04))
        spot, made = _blob(rng, (float(min(size[0], 0.008)), float(min(size[1], 0.003))))
        u = frame.length * (k // 6 + 0.5 + rng.normal() * 0.09) / how.glue_spots
        s = frame.reach * np.clip(0.68 + 0.07 * rng.normal(), 0.45, 0.9)
        points.append(spot + np.array([np.clip(u, 0.04 * frame.length, 0.96 * frame.length), s]))
        faces.append(made + total)
        total += len(spot)
    flat = np.concatenate(points)
    deep = thick + 0.00005
    rest = frame.at + flat[:, :1] * frame.along + flat[:, 1:] * frame.away - deep * frame.opening
    turned_faces = np.concatenate(faces)
    normal = np.cross(
        rest[turned_faces[:, 1]] - rest[turned_faces[:, 0]], rest[turned_faces[:, 2]] - rest[turned_faces[:, 0]]
    )
    if (normal @ frame.opening).mean() > 0:
        turned_faces = turned_faces[:, ::-1]
    r, g, b = (0.45 * v + 0.55 * w for v, w in zip(sheet.materials[-2].base_color, (0.82, 0.79, 0.72), strict=True))
    fibre = Material("torn fibres", (r, g, b), 0.0, 0.95)
    uv = (flat - flat.min(axis=0)) / np.ptp(flat, axis=0)
    made = _new_sheet("torn fibres", sheet, fibre, rest, turned(rest, frame, angle_deg, give), turned_faces, uv, kind)
    form, up = sheet.relief, deep * frame.opening
    relief = None if form is None else (lambda p: -form(p + up))
    return (replace(made, thickness_mm=0.03, levels=0, relief=relief, materials=(fibre, fibre, fibre)),)


def open_flaps(
    product: Product, before: Product, hinges: tuple[Hinge, ...], angles: tuple[float, ...], gives: tuple[Give, ...],
    how: Unfolding, *, kind: Kind,
) -> Product:  # fmt: skip
    """Add to an opened box what was hidden under its flaps; ``before`` is the box as it was closed."""
    sheet, hinge = before.sheets[0], hinges[0]
    if not moving_faces(before, hinge).any() or max(angles) <= 0:
        return product
    if hinge.closed_by == "tuck":
        wings = sheet.thickness_mm > 1
        more = tuck_lip(before, hinge, angles[0], gives[0], how, kind=kind, wings=wings)
        more += () if wings else dust_flaps(before, hinges, (angles[0], 180.0), how, kind=kind)
    elif len(hinges) > 1:
        more = dust_flaps(before, hinges, (angles[0], angles[1]), how, kind=kind)
    else:
        under = how.under_share * _under(angles[0], 1.0, UNDER_SHARE)
        more = dust_flaps(before, hinges, (angles[0], under), how, kind=kind)
        more += inner_flap(before, hinge, under, how, kind=kind)
        more += torn_fibres(before, hinge, angles[0], gives[0], how, kind=kind)
    return replace(product, sheets=(*product.sheets, *more))
