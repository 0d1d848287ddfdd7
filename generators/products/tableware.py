"""Pieces of loose sets that are thin walls all over: cups, bowls, plates and stamped cutlery."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, UInt8

from ...sim.scene import SURFACES, Material, Part, transform_part
from ..artwork import fractal_noise
from ..atlas import pack_atlas, paint_atlas
from ..forming import fillet, form_sheet
from ..materials import STOCKS
from ..mesh import Relief, Sheet, finish_sheet, make_sheet
from ..shapes import Mesh, cap, end_ring, join, lathe, mesh_uv, solid
from .product import Hinge, Point
from .units import Order, Unit, bright, lay, linear, metal, plastic


@dataclass(frozen=True)
class Loose:
    """One piece of a loose set in its own frame, standing or lying on z = 0 about the z axis."""

    kind: str
    sheets: tuple[Sheet, ...]
    parts: tuple[Part, ...]
    size_m: Float[np.ndarray, "3"]
    mass_g: float
    hinges: tuple[Hinge, ...] = ()


def as_outer(part: Part) -> Part:
    """The same part, seen from outside rather than inside a package."""
    return replace(part, surface=np.full(len(part.faces), SURFACES.index("outer"), np.uint8))


def from_unit(unit: Unit) -> Loose:
    """A piece that is rigid."""
    return Loose(unit.kind, (), tuple(map(as_outer, unit.parts)), unit.size_m, unit.mass_g)


def move_parts(parts: Sequence[Part], t: Float[np.ndarray, "3"]) -> tuple[Part, ...]:
    """Shift parts [m]."""
    return tuple(replace(p, vertices=p.vertices + t) for p in parts)


def _moved_relief(form: Relief | None, R: Float[np.ndarray, "3 3"], t: Float[np.ndarray, "3"]) -> Relief | None:
    if form is None:
        return None

    def relief(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        return form((points - t) @ R)

    return relief


def _moved(piece: Loose, R: Float[np.ndarray, "3 3"], t: Float[np.ndarray, "3"]) -> Loose:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = R, t

    def to(p: Point) -> Point:
        x, y, z = R @ np.array(p, float) + t
        return float(x), float(y), float(z)

    sheets = tuple(
        replace(s, vertices=s.vertices @ R.T + t, rest=s.rest @ R.T + t, relief=_moved_relief(s.relief, R, t))
        for s in piece.sheets
    )
    parts = tuple(transform_part(p, pose) for p in piece.parts)
    return replace(
        piece, sheets=sheets, parts=parts, hinges=tuple(replace(h, a=to(h.a), b=to(h.b)) for h in piece.hinges)
    )


def move_loose(piece: Loose, R: Float[np.ndarray, "3 3"], t: Float[np.ndarray, "3"], *, item: int) -> Loose:
    """Put a piece at its place under its item number; its names tell it from its like."""
    made = _moved(piece, R, t)
    prefix = "" if item == 1 else f"{piece.kind} {item} "
    sheets = tuple(replace(s, item=item, name=prefix + s.name) for s in made.sheets)
    return replace(made, sheets=sheets, parts=tuple(replace(p, item=item, name=prefix + p.name) for p in made.parts))


def settle(piece: Loose) -> Loose:
    """Centre a piece on the z axis, set it down on z = 0, and measure it as it is drawn."""
    points = np.concatenate([*(finish_sheet(s)[0].vertices for s in piece.sheets), *(p.vertices for p in piece.parts)])
    low, high = points.min(axis=0), points.max(axis=0)
    shift = -np.array([*(low[:2] + high[:2]) / 2, low[2]])
    return replace(_moved(piece, np.eye(3), shift), size_m=high - low)


def shell(
    name: str, mesh: Mesh, stock: str, face: Material, inside: Material, thickness_mm: float, *,
    uv: Float[np.ndarray, "f 3 2"] | None = None, crease_deg: float = 50.0,
) -> Sheet:  # fmt: skip
    """An open wall with its two sides' materials; the edge looks like the inner side."""
    edge = replace(inside, name=f"{name}_edge")
    return make_sheet(
        name, mesh.vertices, mesh.faces, np.clip(mesh.st, 0, 1) if uv is None else uv,
        np.zeros(len(mesh.faces), np.uint8), (face, inside, edge), STOCKS[stock].mechanics,
        thickness_mm=thickness_mm, levels=1, crease_deg=crease_deg,
    )  # fmt: skip


# ---- Vessels --------------------------------------------------------------------------------------------------------


def linear_of(pixel: UInt8[np.ndarray, "3"]) -> tuple[float, float, float]:
    """Linear RGB of an sRGB pixel."""
    r, g, b = (int(v) for v in pixel)
    return linear((r, g, b))


def _glaze(order: Order, width: int, height: int) -> UInt8[np.ndarray, "h w 3"]:
    """Plain, banded or speckled glaze of a cup's outer side, rim on top; sRGB."""
    base = np.array(bright(order.colours)) ** (1 / 2.2) * 255
    pale = order.colours.random() < 0.5
    art = np.empty((height, width, 3), np.float32)
    art[:] = 190 + 0.22 * base if pale else base
    way = int(order.colours.integers(3))
    if way == 0:
        art[: max(2, int(0.05 * height))] = (24, 34, 66)
    elif way == 1:
        for share in (0.2, 0.28, 0.7):
            art[int(share * height) : int((share + 0.04) * height)] = base * 0.6 if pale else 235
    else:
        spots = fractal_noise(order.colours, height, width, cell_px=9.0, octaves=2)
        art[spots > 1.7] *= 0.55
    return np.clip(art, 0, 255).astype(np.uint8)


def _vessel(
    kind: str, order: Order, profile: Sequence[tuple[float, float]], wall_mm: float, mass: float
) -> tuple[Loose, Material]:
    """An open vessel from its profile of (radius, z) [m], foot to rim; and what its handle is made of."""
    points = np.array(profile, float)
    spacing = float(np.clip(points[:, 0].max() / 14, 0.0022, 0.0042))
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.linspace(0, arc[-1], max(6, round(arc[-1] / spacing)) + 1)
    body = lathe(np.stack([np.interp(at, arc, points[:, k]) for k in (0, 1)], 1), spacing, panel=0)
    foot = cap(end_ring(body, top=False), spacing, panel=1, up=False)
    mesh = join([body, foot])
    across = 2000 * float(points[:, 0].max())
    atlas = pack_atlas([(3.14 * across, 1000 * float(arc[-1])), (across, across)], 512, wrap=(0,))
    side = _glaze(order, *atlas.patches[0].picture_size)
    under = np.empty((64, 64, 3), np.uint8)
    under[:] = side[-1, 0]
    gloss = float(order.colours.uniform(0.08, 0.35))
    glaze = Material("glaze", (1.0, 1.0, 1.0), 0.0, gloss, paint_atlas(atlas, [side, under]))
    same = order.colours.random() < 0.3
    inner = plastic("inner glaze", linear_of(side[-1, 0]) if same else (0.78, 0.76, 0.72), gloss)
    sheet = shell("wall", mesh, "hdpe", glaze, inner, wall_mm, uv=mesh_uv(mesh, atlas))
    size = np.array([across / 1000, across / 1000, float(np.ptp(points[:, 1]))])
    grip = plastic("handle", linear_of(side[side.shape[0] // 2, 0]), gloss)
    return Loose(kind, (sheet,), (), size, mass * order.scale**3), grip


def _grip(reach: float, half: float, thick: float, wide: float) -> Mesh:
    """A cup's handle: a half oval in the xz plane that opens towards -x, its ends on x = 0."""
    turns, around = np.linspace(-np.pi / 2, np.pi / 2, 17), np.arange(12) / 12 * 2 * np.pi
    rings = []
    for t in turns:
        out = np.array([np.cos(t) * half, 0, np.sin(t) * reach])
        out /= np.linalg.norm(out)
        middle = np.array([reach * np.cos(t), 0, half * np.sin(t)])
        rings.append(middle + thick * np.cos(around)[:, None] * out + wide * np.sin(around)[:, None] * [0, 1, 0])
    index = np.arange(17 * 12).reshape(17, 12)
    p, q, u, v = index[:-1], np.roll(index, -1, 1)[:-1], np.roll(index, -1, 1)[1:], index[1:]
    sides = [np.stack([p, q, u], -1).reshape(-1, 3), np.stack([p, u, v], -1).reshape(-1, 3)]
    ends = [np.stack([np.full(10, e[0]), e[1:-1], e[2:]], 1) for e in (index[0][::-1], index[-1])]
    faces = np.concatenate([*sides, *ends])
    return Mesh(np.concatenate(rings), faces, np.zeros((len(faces), 3, 2)), np.zeros(len(faces), np.uint8))


def mug(order: Order) -> Loose:
    """A mug with a handle."""
    k = order.scale / 1000
    r, h = order.shape.uniform(36, 43) * k, order.shape.uniform(78, 100) * k
    belly, foot = order.shape.uniform(-0.06, 0.1), 4 * k
    rise = np.linspace(0, 1, 14)
    wide = r * (1 + belly * np.sin(np.pi * rise)) * (0.93 + 0.07 * rise)
    wall = [(float(a), foot + (h - foot) * float(s)) for a, s in zip(wide, rise, strict=True)]
    made, clay = _vessel("mug", order, [(0.75 * r, 0.0), (0.87 * r, 0.6 * k), *wall], 2.6, 260)
    mesh = lay(_grip(0.6 * r, 0.3 * h, 3.3 * k, 6.2 * k), np.eye(3), 0.965 * r, 0, 0.53 * h)
    grip = as_outer(solid(mesh, "handle", clay, crease_deg=60.0))
    return replace(made, parts=(grip,))


def bowl(order: Order) -> Loose:
    """A bowl."""
    k = order.scale / 1000
    r, h = order.shape.uniform(60, 78) * k, order.shape.uniform(45, 62) * k
    wall = [
        (r * (0.45 + 0.55 * float(np.sin(s * np.pi / 2)) ** 0.8), 5 * k + (h - 5 * k) * float(s) ** 1.3)
        for s in np.linspace(0, 1, 14)
    ]
    return _vessel("bowl", order, [(0.4 * r, 0.0), (0.45 * r, 0.0), *wall], 2.4, 310)[0]


def beaker(order: Order) -> Loose:
    """A plain cup, a little conical."""
    k = order.scale / 1000
    r, h = order.shape.uniform(31, 39) * k, order.shape.uniform(75, 110) * k
    low = order.shape.uniform(0.72, 0.95) * r
    return _vessel("beaker", order, [(0.85 * low, 0.0), (0.94 * low, 0.4 * k), (low, 4 * k), (r, h)], 1.8, 90)[0]


def dish(order: Order) -> Loose:
    """A plate."""
    r = order.shape.uniform(70, 88) * order.scale / 1000
    shape = ((0.55, 0), (0.62, 0.008), (0.7, 0.08), (0.76, 0.14), (0.9, 0.19), (1.0, 0.23))
    return _vessel("plate", order, [(a * r, b * r) for a, b in shape], 2.4, 260)[0]


# ---- Cutlery --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Stamped:
    """A piece of cutlery before scaling [mm], its butt at y = 0."""

    long: float
    head: tuple[tuple[float, float, float], ...]
    """(x, y, corner radius) of the right side, from neck to tip."""
    deep: float
    """Of the bowl."""
    mass_g: float
    tines: int = 0


def _slots(s: _Stamped, k: float) -> list[tuple[float, float]]:
    """Left and right border [m] of the gaps between tines."""
    wide = max(p[0] for p in s.head)
    pitch = 2 * wide / max(s.tines, 1)
    return [((-wide + n * pitch - 0.18 * pitch) * k, (-wide + n * pitch + 0.18 * pitch) * k) for n in range(1, s.tines)]


def _outline(s: _Stamped, waist: float, butt: float, k: float) -> tuple[list[tuple[float, float]], list[float]]:
    """Corners and radii [m] all round, with the gaps between tines as notches."""
    right = [(butt * 0.8, 0.0, 4.0), (butt, 0.12 * s.long, 20.0), (waist, 0.45 * s.long, 60.0), *s.head]
    tip, root = s.long * k, 0.8 * s.long * k
    points = [(x * k, y * k) for x, y, _ in right]
    radii = [r * k for *_, r in right]
    for low, high in reversed(_slots(s, k)):
        points += [(high, tip), (high, root), (low, root), (low, tip)]
        radii += [0.8 * k, 0.49 * (high - low), 0.49 * (high - low), 0.8 * k]
    points += [(-x * k, y * k) for x, y, _ in right[::-1]]
    return points, radii + [r * k for *_, r in right[::-1]]


def _cutlery(kind: str, order: Order, s: _Stamped) -> Loose:
    """Stamp and press a piece: a hollow bowl, an arched handle with a rib."""
    k = order.scale / 1000
    waist, butt = order.shape.uniform(2.6, 3.6), order.shape.uniform(7.0, 10.5)
    spacing = 0.0016
    mesh = form_sheet(fillet(*_outline(s, waist, butt, k), spacing), spacing)
    x, y = mesh.vertices[:, 0] / k, mesh.vertices[:, 1] / k
    start, wide = s.head[0][1], max(p[0] for p in s.head)
    along = np.clip((y - start) / (s.long - start), 0, 1)
    cup = s.deep * np.sin(np.pi * along) ** 1.2 * (1 - np.clip(np.abs(x) / wide, 0, 1) ** 2)
    arch = 9.0 * np.sin(np.pi * np.clip(y / (0.86 * s.long), 0, 1)) ** 2
    rib = 0.5 * np.exp(-((x / (0.55 * butt)) ** 2)) * np.clip(5 - 10 * y / s.long, 0, 1)
    points = mesh.vertices * [1, 1, 0] + [0, -s.long * k / 2, 0]
    points[:, 2] = (arch + rib - cup + 0.12 * along**2 * s.deep) * k
    steel = metal("steel", 0.68, 0.3 if order.colours.random() < 0.3 else 0.12)
    sheet = shell("blade", replace(mesh, vertices=points), "tinplate", steel, steel, 1.5, crease_deg=45.0)
    return Loose(kind, (sheet,), (), np.ptp(points, axis=0), s.mass_g * order.scale**3)


def spoon(order: Order) -> Loose:
    """A table spoon."""
    long, w = order.shape.uniform(180, 205), order.shape.uniform(19, 22)
    head = ((4, 0.66 * long, 20), (w, 0.76 * long, 16), (w, 0.9 * long, 16), (8, long, 9))
    return _cutlery("spoon", order, _Stamped(long, head, 9.0, 50))


def teaspoon(order: Order) -> Loose:
    """A tea spoon."""
    long, w = order.shape.uniform(125, 142), order.shape.uniform(13, 15)
    head = ((3.6, 0.64 * long, 14), (w, 0.75 * long, 11), (w, 0.9 * long, 11), (5, long, 6))
    return _cutlery("teaspoon", order, _Stamped(long, head, 6.5, 24))


def fork(order: Order) -> Loose:
    """A fork with three or four tines."""
    long, w = order.shape.uniform(180, 205), order.shape.uniform(11.5, 13.5)
    head = ((4, 0.66 * long, 20), (w, 0.74 * long, 14), (w - 0.6, long, 1.0))
    return _cutlery("fork", order, _Stamped(long, head, 4.0, 45, int(order.shape.integers(3, 5))))


def knife(order: Order) -> Loose:
    """A table knife."""
    long, w = order.shape.uniform(205, 225), order.shape.uniform(8.5, 10.5)
    head = ((6, 0.5 * long, 10), (w, 0.56 * long, 8), (w, 0.9 * long, 30), (2.5, long, 2))
    return _cutlery("knife", order, _Stamped(long, head, 0.4, 70))
