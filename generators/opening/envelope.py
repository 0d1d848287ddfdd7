"""Mailers: the flap at the back peeled off and bent back, the mouth under it, and the strip of glue.

A closed mailer is one wall with its flap only seen at the back. When it is opened, the flap is that part of the wall's
film, and the back wall that it was stuck to comes to light under it.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from ...sim.scene import KINDS, Kind
from ..cut import cut_along
from ..damage.subject import Subject
from ..mesh import Sheet, vertex_normals
from ..products.product import Hinge, Product
from .hinge import LABEL, Frame, Give, closed_surface, turned
from .mouth import Mouth, Pattern, facing_way, flat_pattern, gape
from .sweep import crosses, obstacles

MOUTH_M = 0.004
"""The back wall ends this far below the fold of the flap."""
LIE_M = 0.0016
GLUE_M = (0.005, 0.02)
"""Where the strip of glue lies, from the flap's free edge."""


def _at_height(sheet: Sheet, t: float) -> Sheet:
    """Insert a row at a height of the flat film, across front and back."""
    pattern = flat_pattern(sheet)
    return cut_along(sheet, np.where(pattern.side == 2, -1.0, pattern.t - t), snap=2.5e-4)[0]


def _piece(sheet: Sheet, faces: Bool[np.ndarray, " f"], name: str) -> Sheet:
    used, inverse = np.unique(sheet.faces[faces], return_inverse=True)
    return replace(
        sheet, name=name, vertices=sheet.vertices[used], rest=sheet.rest[used], marks=sheet.marks[used],
        faces=inverse.reshape(-1, 3), uv=sheet.uv[faces], material=sheet.material[faces], panel=sheet.panel[faces],
        removed=sheet.removed[faces], base=None,
    )  # fmt: skip


def flap_length(sheet: Sheet, hinge: Hinge) -> float:
    """Length [m] of the flap: its free edge is where the family has put the hinge."""
    pattern = flat_pattern(sheet)
    return float(np.clip(pattern.height / 2 - hinge.a[1], 0.015, 0.35 * pattern.height))


def flap_frame(sheet: Sheet) -> Frame:
    """The fold at the mailer's upper end, about which its flap turns away from the back."""
    pattern = flat_pattern(sheet)
    outward = -facing_way(sheet, pattern, 0.05)
    top = np.flatnonzero((pattern.t > pattern.height - 4e-4) & (np.abs(pattern.x) < 0.46 * pattern.width))
    top = top[np.argsort(pattern.x[top], kind="stable")]
    ends = sheet.rest[top[[0, -1]]]
    along = ends[1] - ends[0]
    length = float(np.linalg.norm(along))
    along /= length
    down = sheet.rest[pattern.t < 0.2 * pattern.height].mean(axis=0) - ends.mean(axis=0)
    away = down - (down @ along) * along - (down @ outward) * outward
    away /= np.linalg.norm(away)
    if np.cross(along, away) @ outward < 0:
        return Frame(ends[1], -along, away, length, 0.05)
    return Frame(ends[0], along, away, length, 0.05)


def open_envelope(
    product: Product, hinge: Hinge, angle_deg: float, give: Give, mouth_gape_m: float,
    *, up: Float[np.ndarray, "3"], floor_m: float, limit_m: float, kind: Kind,
) -> tuple[Product, dict[str, float]]:  # fmt: skip
    """Peel a mailer's flap and bend it back; the back wall gapes a little at the mouth under it."""
    sheet = product.sheets[0]
    height = flat_pattern(sheet).height
    edge = height - flap_length(sheet, hinge)
    for t in (edge, height - MOUTH_M):
        sheet = _at_height(sheet, t)
    pattern, back = flat_pattern(sheet), sheet.panel == sheet.panels.index("back")
    middle = pattern.t[sheet.faces].mean(axis=1)
    flap_faces = back & (middle > edge)
    flap = _piece(sheet, flap_faces, f"{sheet.name} flap")
    frame = replace(flap_frame(sheet), reach=height - edge)
    gone = closed_surface(sheet, flap_faces, kind)
    wall = _piece(sheet, ~(back & (middle > height - MOUTH_M)), sheet.name)
    wall, measures = gape(
        wall, Mouth(0.0, 0.44 * pattern.width, mouth_gape_m, 0.06, front_share=0.0), top_m=height - MOUTH_M,
        up=up, floor_m=floor_m, limit_m=limit_m, kind=kind,
    )  # fmt: skip
    fold = _fold_line(pattern, sheet)
    lift = up * (LIE_M if angle_deg > 120 else 0.0)  # what lies on the tray lies on its own bubbles and creases
    opened = _turn_flap(flap, fold, frame, angle_deg, give, lift, kind)
    glue = _turn_flap(_glue_strip(flap, height - edge), fold, frame, angle_deg, give, lift, kind)
    sheets = (wall, *product.sheets[1:], opened, glue)
    return replace(product, sheets=sheets, gone=(*product.gone, gone)), measures


Fold = Callable[[Float[np.ndarray, " n"]], Float[np.ndarray, "n 3"]]
"""Where the fold runs, by x of the flat film."""


def _fold_line(pattern: Pattern, sheet: Sheet) -> Fold:
    top = np.flatnonzero((pattern.t > pattern.height - 4e-4) & (pattern.side == 0))
    top = top[np.argsort(pattern.x[top], kind="stable")]
    return lambda x: np.stack([np.interp(x, pattern.x[top], sheet.vertices[top, k]) for k in range(3)], axis=1)


def _turn_flap(
    flap: Sheet, fold: Fold, frame: Frame, angle_deg: float, give: Give, raised: Float[np.ndarray, "3"], kind: Kind
) -> Sheet:
    """Roll the flap back about its fold. Peeled off what it lay on, film is flat: it keeps the pattern's lengths."""
    x, down = _own_pattern(flap)
    root = fold(x)
    flat = root + down[:, None] * frame.away
    base = flap.vertices + np.clip(angle_deg / 25.0, 0, 1) * (flat - flap.vertices)
    off = root - frame.at
    lift = off - (off @ frame.along)[:, None] * frame.along
    vertices = turned(base - lift, frame, angle_deg, give) + lift + np.clip(down / 0.005, 0, 1)[:, None] * raised
    marks = flap.marks.copy()
    marks[:, KINDS.index(kind)] = LABEL
    return replace(flap, vertices=vertices, marks=marks)


def _own_pattern(flap: Sheet) -> tuple[Float[np.ndarray, " v"], Float[np.ndarray, " v"]]:
    """Of a piece of the back: x in the flat film and the distance below its upper end, from texture coordinates."""
    corner, uv = flap.faces.ravel(), flap.uv.reshape(-1, 2)
    places = flap.rest[flap.faces]
    step = np.linalg.norm(flap.uv[:, 1] - flap.uv[:, 0], axis=1)
    scale = float(np.median(np.linalg.norm(places[:, 1] - places[:, 0], axis=1) / np.maximum(step, 1e-12)))
    x, down = np.zeros(len(flap.rest)), np.zeros(len(flap.rest))
    x[corner] = -(uv[:, 0] - (uv[:, 0].min() + uv[:, 0].max()) / 2) * scale
    down[corner] = (uv[:, 1].max() - uv[:, 1]) * scale
    return x, down


def _glue_strip(flap: Sheet, length: float) -> Sheet:
    """The strip of glue on the flap's inner side: glossy, a hair proud of it."""
    for at in GLUE_M:
        _, down = _own_pattern(flap)
        flap = cut_along(flap, length - at - down, snap=2e-4)[0]
    _, down = _own_pattern(flap)
    from_edge = length - down[flap.faces].mean(axis=1)
    deep = (flap.thickness_mm / 1000 + 3e-5) * vertex_normals(flap.rest, flap.faces)
    under = replace(flap, vertices=flap.vertices - deep, rest=flap.rest - deep)
    strip = _piece(under, (from_edge > GLUE_M[0]) & (from_edge < GLUE_M[1]), "glue strip")
    inside = flap.materials[-2]
    r, g, b = (0.7 * v + 0.2 for v in inside.base_color)
    glue = replace(inside, name="glue", base_color=(r, g, b), metallic=0.0, roughness=0.12, base_color_texture=None)
    return replace(
        strip, materials=(glue, glue, glue), material=np.zeros(len(strip.faces), np.uint8), thickness_mm=0.02,
        relief=None,
    )  # fmt: skip


def folded_out(subject: Subject, hinge: Hinge) -> float | None:
    """Angle [deg] at which the flap under a mailer on its back is folded out level; None if it meets something."""
    frame, points = envelope_points(subject.product, hinge)
    a, o = float(frame.away @ subject.up), float(frame.opening @ subject.up)
    angles = np.radians(np.arange(120.0, 240.0, 1.0))
    level = np.flatnonzero(np.cos(angles) * a + np.sin(angles) * o > np.sin(np.radians(3.5)))
    if len(level) == 0:
        return None
    angle = float(angles[level[0]])
    way = np.cos(angle) * frame.away + np.sin(angle) * frame.opening
    fold = frame.at + ((points - frame.at) @ frame.along)[:, None] * frame.along + 0.001 * subject.up
    out = subject.to_world(fold + frame.reach * way)
    return None if crosses(obstacles(subject.around), subject.to_world(fold), out) else float(np.degrees(angle))


def envelope_points(product: Product, hinge: Hinge) -> tuple[Frame, Float[np.ndarray, "n 3"]]:
    """The flap's fold and its points where it is closed, to see where it can go."""
    sheet = product.sheets[0]
    pattern, long = flat_pattern(sheet), flap_length(sheet, hinge)
    mine = (pattern.side == -1) & (pattern.t > pattern.height - long)
    return replace(flap_frame(sheet), reach=long), sheet.rest[mine]
