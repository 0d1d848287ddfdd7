"""Turning flaps, lids and tabs about their hinges, and taking caps off.

A flap is cut free along its other edges, exactly, and turned about its axis; it stays joined there. It bends over a
short way beside the axis and curls a little: a curve is rolled up without stretch, so that board keeps its lengths.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from ...sim.rays import keep_faces
from ...sim.scene import KINDS, SURFACES, Kind, Part, kind_bit, transform_part
from ..cut import unzip_edges
from ..mesh import Sheet, finish_sheet, mesh_edges
from ..products.product import Hinge, Product

LABEL = 8.0
"""Mark of what has turned: even next to the axis, halved at each subdivision, it stays at least 1."""
ON_AXIS_M = 4e-4
SAMPLES = 400


@dataclass(frozen=True)
class Give:
    """How a flap is bent besides being turned: a score is no ideal axis, and board does not stay flat."""

    radius_mm: float = 0.25
    """Of the bend beside the axis."""
    curl_deg: float = 0.0
    """How much further its free end has turned than its middle; negative bends back towards closed."""
    twist_deg: float = 0.0
    """How much further it has opened at the axis' second end than at its first."""


@dataclass(frozen=True)
class Frame:
    """A hinge's axis and the closed flap's direction from it."""

    at: Float[np.ndarray, "3"]
    along: Float[np.ndarray, "3"]
    """Unit vector of the axis."""
    away: Float[np.ndarray, "3"]
    """Unit vector from the axis into the closed flap."""
    length: float
    reach: float
    """From the axis to the furthest point that turns [m]."""

    @property
    def opening(self) -> Float[np.ndarray, "3"]:
        """Unit vector in which the flap starts to move."""
        return np.cross(self.along, self.away)


def hinge_frame(product: Product, hinge: Hinge) -> Frame:
    """Axis, direction and reach of what a hinge moves, from its pristine place."""
    points = [
        sheet.rest[np.unique(sheet.faces[moving_faces(product, hinge, k)])] for k, sheet in moved_sheets(product, hinge)
    ]
    points += [part.vertices for part in product.contents if part.name in hinge.moves]
    assert points, f"hinge {hinge.name!r} moves nothing"
    at, end = np.array(hinge.a, float), np.array(hinge.b, float)
    length = float(np.linalg.norm(end - at))
    along = (end - at) / length
    off = np.concatenate(points) - at
    off -= (off @ along)[:, None] * along
    away = off.mean(axis=0)
    away /= max(float(np.linalg.norm(away)), 1e-12)
    return Frame(at, along, away, length, float((off @ away).max()))


def moving_faces(product: Product, hinge: Hinge, number: int = 0) -> Bool[np.ndarray, " f"]:
    """Faces of a sheet that a hinge moves: some of the first sheet's panels, or all of a sheet that it names."""
    sheet = product.sheets[number]
    if sheet.name in hinge.moves:
        return np.ones(len(sheet.faces), bool)
    if number:
        return np.zeros(len(sheet.faces), bool)
    return np.isin(sheet.panel, [k for k, name in enumerate(sheet.panels) if name in hinge.moves])


def moved_sheets(product: Product, hinge: Hinge) -> list[tuple[int, Sheet]]:
    """Sheets that a hinge moves, or parts of, with their numbers."""
    return [(k, s) for k, s in enumerate(product.sheets) if moving_faces(product, hinge, k).any()]


def turned(
    points: Float[np.ndarray, "n 3"], frame: Frame, angle_deg: float, give: Give = Give()
) -> Float[np.ndarray, "n 3"]:
    """Where points of a closed flap are when it is open: rolled along an arc beside the axis, then nearly straight."""
    off = points - frame.at
    u, s, h = off @ frame.along, off @ frame.away, off @ frame.opening
    turn = np.radians(angle_deg + give.twist_deg * (u / frame.length - 0.5))
    bend = min(give.radius_mm / 1000 * np.radians(max(angle_deg, 1.0)), 0.4 * frame.reach)
    far = max(float(s.max(initial=0.0)), bend) + 1e-6
    way = np.concatenate([np.linspace(0, bend, SAMPLES // 4), np.linspace(bend, far, SAMPLES)[1:]])
    ramp = np.where(way >= bend, 1.0, way / max(bend, 1e-12))
    # The angle is that of the flap as a whole, so a curl turns its root back and its end further.
    curl = np.radians(give.curl_deg) * (np.clip(way / frame.reach, 0, 1) ** 2 - 0.25) * ramp
    slope = np.radians(angle_deg) * ramp + curl
    step = np.diff(way)
    run = np.concatenate([[0.0], np.cumsum((np.cos(slope[1:]) + np.cos(slope[:-1])) / 2 * step)])
    rise = np.concatenate([[0.0], np.cumsum((np.sin(slope[1:]) + np.sin(slope[:-1])) / 2 * step)])
    x, y, here = (np.interp(s, way, table) for table in (run, rise, slope))
    behind = s < 0  # what reaches over the axis turns as a rigid whole
    here = np.where(behind, np.radians(angle_deg), here)
    x, y = np.where(behind, s * np.cos(here), x), np.where(behind, s * np.sin(here), y)
    x, y = x - h * np.sin(here), y + h * np.cos(here)
    more = (turn - np.radians(angle_deg)) * np.clip(angle_deg / 10, 0, 1)
    x, y = x * np.cos(more) - y * np.sin(more), x * np.sin(more) + y * np.cos(more)
    return frame.at + u[:, None] * frame.along + x[:, None] * frame.away + y[:, None] * frame.opening


def _on_axis(points: Float[np.ndarray, "n 3"], frame: Frame) -> Bool[np.ndarray, " n"]:
    off = points - frame.at
    u = off @ frame.along
    far = np.linalg.norm(off - u[:, None] * frame.along, axis=1)
    return (far < ON_AXIS_M) & (u > -ON_AXIS_M) & (u < frame.length + ON_AXIS_M)


def cut_free(sheet: Sheet, moving: Bool[np.ndarray, " f"], frame: Frame) -> Sheet:
    """Part what turns from the rest of a sheet along every edge but the axis."""
    edges, face_edge = mesh_edges(sheet.faces)
    count = np.bincount(face_edge.ravel(), minlength=len(edges))
    moved = np.bincount(face_edge[moving].ravel(), minlength=len(edges))
    border = (moved > 0) & (moved < count)
    held = _on_axis(sheet.rest, frame)[edges].all(axis=1)
    return unzip_edges(sheet, border & ~held)


def _turn_sheet(
    sheet: Sheet, moving: Bool[np.ndarray, " f"], frame: Frame, angle: float, give: Give, bit: int
) -> Sheet:
    """Turn some of a sheet's faces; a dent at the axis goes with them."""
    if not moving.all():
        sheet = cut_free(sheet, moving, frame)
    mine = np.zeros(len(sheet.vertices), bool)
    mine[sheet.faces[moving]] = True
    others = np.zeros(len(sheet.vertices), bool)
    others[sheet.faces[~moving]] = True
    free = mine & ~others
    off = np.zeros((len(sheet.vertices), 3))
    held = np.flatnonzero(mine & others)
    if len(held):
        u = (sheet.rest - frame.at) @ frame.along
        held = held[np.argsort(u[held], kind="stable")]
        away = sheet.vertices[held] - sheet.rest[held]
        off = np.stack([np.interp(u, u[held], away[:, k]) for k in range(3)], axis=1)
    vertices, marks = sheet.vertices.copy(), sheet.marks.copy()
    vertices[free] = turned(vertices[free] - off[free], frame, angle, give) + off[free]
    marks[free, bit] = np.maximum(marks[free, bit], LABEL)
    return replace(sheet, vertices=vertices, marks=marks)


def closed_surface(sheet: Sheet, moving: Bool[np.ndarray, " f"], kind: Kind) -> Part:
    """Outer side of what has been opened, where it was: the amodal label of the opening."""
    used, inverse = np.unique(sheet.faces[moving], return_inverse=True)
    closed = replace(
        sheet,
        vertices=sheet.rest[used],
        rest=sheet.rest[used],
        marks=np.zeros((len(used), len(KINDS))),
        faces=inverse.reshape(-1, 3),
        uv=sheet.uv[moving],
        material=sheet.material[moving],
        panel=sheet.panel[moving],
        removed=np.zeros(int(moving.sum()), bool),
    )
    part = finish_sheet(closed)[0]
    outer = keep_faces(part, part.surface == SURFACES.index("outer"))
    used, inverse = np.unique(outer.faces, return_inverse=True)
    outer = replace(outer, vertices=outer.vertices[used], faces=inverse.reshape(-1, 3))
    return replace(_label(outer, kind), name=f"{sheet.name} (closed)")


def _label(part: Part, kind: Kind) -> Part:
    return replace(part, damage=part.damage | np.uint8(kind_bit(kind)))


def closed_part(part: Part, kind: Kind) -> Part:
    """A cap or tab where it was, labelled."""
    return replace(
        _label(part, kind),
        name=f"{part.name} (closed)",
        surface=np.full(len(part.faces), SURFACES.index("outer"), np.uint8),
    )


def open_hinge(product: Product, hinge: Hinge, angle_deg: float, *, kind: Kind, give: Give = Give()) -> Product:
    """Turn what a hinge moves by an angle about its axis; it is labelled, and so is where it was closed.

    0 gives the product itself. It does not look at what is in the way: ``free_angle`` does.
    """
    if angle_deg <= 0:
        return product
    frame = hinge_frame(product, hinge)
    sheets, gone = list(product.sheets), []
    for k, sheet in moved_sheets(product, hinge):
        moving = moving_faces(product, hinge, k)
        gone.append(closed_surface(sheet, moving, kind))
        sheets[k] = _turn_sheet(sheet, moving, frame, angle_deg, give, KINDS.index(kind))
    T = rotation_about(frame, angle_deg)
    contents = []
    for part in product.contents:
        if part.name in hinge.moves:
            gone.append(closed_part(part, kind))
            part = _label(transform_part(part, T), kind)
        contents.append(part)
    return replace(product, sheets=tuple(sheets), contents=tuple(contents), gone=(*product.gone, *gone))


def rotation_about(frame: Frame, angle_deg: float) -> Float[np.ndarray, "4 4"]:
    """The rigid turn about a hinge's axis."""
    x, y, z = frame.along
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(angle_deg)
    T = np.eye(4)
    T[:3, :3] = np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * (K @ K)
    T[:3, 3] = frame.at - T[:3, :3] @ frame.at
    return T


def take_off(product: Product, hinge: Hinge, T_item: Float[np.ndarray, "4 4"], *, kind: Kind) -> Product:
    """Move a cap or a film lid by a rigid motion (item frame, ``p_now = T_item @ p_before``), labelled."""
    sheets, gone = list(product.sheets), []
    bit = KINDS.index(kind)
    for k, sheet in enumerate(product.sheets):
        if sheet.name not in hinge.moves:
            continue
        marks = sheet.marks.copy()
        marks[:, bit] = np.maximum(marks[:, bit], LABEL)
        gone.append(closed_surface(sheet, np.ones(len(sheet.faces), bool), kind))
        sheets[k] = replace(sheet, vertices=sheet.vertices @ T_item[:3, :3].T + T_item[:3, 3], marks=marks)
    contents = []
    for part in product.contents:
        if part.name in hinge.moves:
            gone.append(closed_part(part, kind))
            part = _label(transform_part(part, T_item), kind)
        contents.append(part)
    return replace(product, sheets=tuple(sheets), contents=tuple(contents), gone=(*product.gone, *gone))
