"""What shows where a label or a cap is gone: the wall under it with traces of glue, an open mouth with its thread."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import KDTree

from ...sim.scene import Kind, Material, Part
from ..cut import cut_along, refine_faces
from ..mesh import Relief, Sheet, face_areas, face_normals
from ..products.product import Hinge, Product
from ..products.turned import revolve
from ..shapes import Mesh, solid
from .hinge import closed_surface
from .peel import open_neck

MISSING: Kind = "missing_unit"
PAPER_M = 0.00015
"""Thickness of a label with its glue."""
LEAD_M, THREAD_M = 0.0032, 0.0011
"""Of a bottle's thread: rise per turn and depth."""


# ---- Labels ---------------------------------------------------------------------------------------------------------


def label_faces(sheet: Sheet) -> Bool[np.ndarray, " f"]:
    """Faces of a wall that bear a stuck-on label; all False if it has none."""
    names = [material.name for material in sheet.materials[:-2]]
    if "label" not in names or len(names) < 2:
        return np.zeros(len(sheet.faces), bool)
    return sheet.material == names.index("label")


def _noise(points: Float[np.ndarray, "n 3"], rng: np.random.Generator) -> Float[np.ndarray, " n"]:
    """Uneven over some 5-40 mm, with a mean of 0 and a spread of about 1."""
    total = np.zeros(len(points))
    for octave in range(5):
        for _ in range(6):
            wave = rng.normal(size=3)
            wave *= 2 * np.pi / (0.04 * 0.55**octave * np.linalg.norm(wave))
            total += 0.7**octave * np.sin(points @ wave + rng.uniform(0, 2 * np.pi))
    return total / 2.6


Mask = Bool[np.ndarray, " f"]


def _glue_lines(points: Float[np.ndarray, "n 3"], seed: int) -> Float[np.ndarray, " n"]:
    """Positive where glue was rolled on: two upright strips a little apart, ragged and broken here and there."""
    rng = np.random.default_rng(seed)
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    way, half = rng.uniform(0, 2 * np.pi), rng.uniform(0.0015, 0.004, 2)
    off = points - middle
    radius = max(float(np.hypot(off[:, 0], off[:, 1]).max()), 1e-6)
    rough = 0.0011 * _noise(points, rng)
    found = np.full(len(points), -1.0)
    for k, apart in enumerate((0.0, rng.uniform(0.012, 0.03))):
        turn = np.arctan2(off[:, 1], off[:, 0]) - way - apart / radius
        found = np.maximum(found, half[k] - radius * np.abs((turn + np.pi) % (2 * np.pi) - np.pi) + rough)
    return found


def _glued(
    sheet: Sheet, label: Mask, share: float, rng: np.random.Generator
) -> tuple[Sheet, Bool[np.ndarray, " g"], Bool[np.ndarray, " g"], Bool[np.ndarray, " g"]]:
    """Cut a label along the borders of what still sticks and of its strips of glue.

    Returns the sheet, its label, and those of the label's faces where paper sticks, and where there is bare glue.
    """
    seeds = rng.integers(2**31, size=2)
    if share <= 0.002 or not label.any():
        none = np.zeros(len(sheet.faces), bool)
        return sheet, label, none, none
    stays = np.where(label, 1, 0)  # the panel number is free to carry the label through the cuts
    sheet = replace(sheet, panel=(2 * sheet.panel + stays).astype(np.uint8))

    def value(s: Sheet) -> Float[np.ndarray, " v"]:
        return _noise(s.rest, np.random.default_rng(int(seeds[0])))

    corner = value(sheet)[sheet.faces[label]].mean(axis=1)
    area = face_areas(sheet.rest, sheet.faces)[label]
    order = np.argsort(-corner, kind="stable")
    level = float(corner[order[min(int(np.searchsorted(np.cumsum(area[order]), share * area.sum())), len(order) - 1)]])
    for _ in range(2):
        near = np.abs(value(sheet)[sheet.faces].mean(axis=1) - level) < 0.35
        sheet = refine_faces(sheet, near & (sheet.panel % 2 == 1))
    sheet, _ = cut_along(sheet, np.where(_touched(sheet), value(sheet) - level, -1.0), snap=0.03)
    for _ in range(2):
        near = np.abs(_glue_lines(sheet.rest, int(seeds[1]))[sheet.faces]).min(axis=1) < 0.002
        longest = np.linalg.norm(np.diff(sheet.rest[sheet.faces], axis=1), axis=2).max(axis=1)
        sheet = refine_faces(sheet, near & (longest > 0.0015) & (sheet.panel % 2 == 1))
    lines = _glue_lines(sheet.rest, int(seeds[1]))
    sheet, side = cut_along(sheet, np.where(_touched(sheet), lines, -1.0), snap=1e-4)
    label = sheet.panel % 2 == 1
    sticks = label & ((value(sheet) - level)[sheet.faces].mean(axis=1) > 0)
    glue = label & ~sticks & (side[sheet.faces].max(axis=1) > 0)
    return replace(sheet, panel=sheet.panel // 2), label, sticks, glue


def _touched(sheet: Sheet) -> Bool[np.ndarray, " v"]:
    """Vertices of faces whose panel number is odd: the label's, while it is being cut."""
    own = np.zeros(len(sheet.vertices), bool)
    own[sheet.faces[sheet.panel % 2 == 1]] = True
    return own


def _glue_on(wall: Material) -> Material:
    """Dried glue on a wall: yellowish, duller than what it lies on."""
    keep = 0.45 if wall.transmission > 0 else 0.62
    r, g, b = (keep * c + (1 - keep) * y for c, y in zip(wall.base_color, (0.72, 0.62, 0.42), strict=True))
    return replace(
        wall, name="glue", base_color=(r, g, b), metallic=0.4 * wall.metallic, roughness=0.45,
        transmission=0.55 * wall.transmission, base_color_texture=None, metallic_roughness_texture=None,
    )  # fmt: skip


def _torn_paper(sheet: Sheet, faces: Mask, glue: Mask, under: int | None) -> Sheet:
    """Show fibre where a label tore: the print came off with it. ``under`` is the material of the bare wall."""
    fibre = Material("torn label", (0.74, 0.72, 0.67), 0.0, 0.95)
    dried = _glue_on(sheet.materials[under] if under is not None else Material("", (0.9, 0.88, 0.8), 0.0, 0.4, None,
                                                                               transmission=0.9))  # fmt: skip
    material = sheet.material.copy()
    if under is not None:
        material[label_faces(sheet) & ~faces] = under
    outer = len(sheet.materials) - 2
    material[faces], material[glue] = outer, outer + 1
    return replace(sheet, material=material, materials=(*sheet.materials[:-2], fibre, dried, *sheet.materials[-2:]))


def _lowered(relief: Relief | None, low: float, high: float, stuck: Relief) -> Relief:
    """A wall's fine form without its label's thickness."""

    def height(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        form = np.zeros(len(points)) if relief is None else relief(points)
        covered = (points[:, 2] > low - 1e-6) & (points[:, 2] < high + 1e-6)
        return form - PAPER_M * np.where(covered, 1 - stuck(points), 0.0)

    return height


def bare_label(product: Product, glue: float, rng: np.random.Generator) -> Product:
    """Take the label off the first sheet, whose wall goes on under it; a share of it sticks."""
    sheet = product.sheets[0]
    lost = closed_surface(sheet, label_faces(sheet), MISSING)
    names = [material.name for material in sheet.materials[:-2]]
    under = next(k for k in (0, 1) if names[k] != "label")
    cut, _, sticks, dried = _glued(sheet, label_faces(sheet), glue, rng)
    z = sheet.rest[np.unique(sheet.faces[label_faces(sheet)]), 2]
    stuck = np.zeros(len(cut.vertices), bool)
    stuck[cut.faces[sticks]] = True
    places = cut.rest[stuck]

    def paper(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        if not len(places):
            return np.zeros(len(points))
        return np.exp(-((KDTree(places).query(points)[0] / 0.0006) ** 2))

    bare = replace(
        _torn_paper(cut, sticks, dried, under), relief=_lowered(sheet.relief, float(z.min()), float(z.max()), paper)
    )
    return replace(product, sheets=(bare, *product.sheets[1:]), gone=(*product.gone, lost))


def bare_sheet(product: Product, number: int, glue: float, rng: np.random.Generator) -> Product:
    """Take off a label that is a sheet of its own; a share of it sticks."""
    sheet = product.sheets[number]
    every = np.ones(len(sheet.faces), bool)
    lost = closed_surface(sheet, every, MISSING)
    cut, _, sticks, dried = _glued(sheet, every, glue, rng)
    sheets = list(product.sheets)
    left = sticks | dried
    if left.any():
        keep = replace(cut, faces=cut.faces[left], uv=cut.uv[left], material=cut.material[left],
                       panel=cut.panel[left], removed=cut.removed[left])  # fmt: skip
        used, inverse = np.unique(keep.faces, return_inverse=True)
        keep = replace(keep, vertices=keep.vertices[used], rest=keep.rest[used], marks=keep.marks[used],
                       faces=inverse.reshape(-1, 3), base=None)  # fmt: skip
        sheets[number] = _torn_paper(keep, sticks[left], dried[left], None)
    else:
        del sheets[number]
    return replace(product, sheets=tuple(sheets), gone=(*product.gone, lost))


# ---- Mouths ---------------------------------------------------------------------------------------------------------


def _cap_hinge(product: Product, names: tuple[str, ...]) -> Hinge:
    return next(hinge for hinge in product.hinges if set(hinge.moves) == set(names))


def _end_disc(sheet: Sheet, at: Float[np.ndarray, "3"], along: Float[np.ndarray, "3"]) -> Bool[np.ndarray, " f"]:
    """Faces that close a neck: flat, at its end, facing along the cap's axis."""
    normal = face_normals(sheet.rest, sheet.faces)
    flat = normal @ along > 0.95 * np.linalg.norm(normal, axis=1)
    height = ((sheet.rest - at) @ along)[sheet.faces]
    off = sheet.rest - at
    radius = np.linalg.norm(off - (off @ along)[:, None] * along, axis=1)[sheet.faces].max(axis=1)
    near = flat & (radius < 0.04) & (height.min(axis=1) > -0.004)
    return near & (height.min(axis=1) > height[near].max(initial=-1.0) - 0.0004)


def _helix(radius: float, low: float, high: float) -> Mesh:
    """A thread's ridge round z, running out at both ends."""
    turns = max(1.0, (high - low) / LEAD_M - 0.6)
    count = round(40 * turns)
    share = np.linspace(0, 1, count + 1)
    angle = 2 * np.pi * turns * share
    size = THREAD_M * np.clip(np.minimum(share, 1 - share) * turns * 5, 0.02, 1)
    middle = low + 0.3 * LEAD_M + share * (high - low - 0.6 * LEAD_M)
    rows = []
    for out, up in ((-0.3, -0.75), (1.0, -0.2), (1.0, 0.2), (-0.3, 0.75)):
        r = radius + out * size
        rows.append(np.stack([r * np.cos(angle), r * np.sin(angle), middle + up * size], 1))
    points = np.stack(rows, 1)  # along, round the ridge's section
    index = np.arange(points.shape[0] * 4).reshape(-1, 4)
    a, b = index[:-1], index[1:]
    nxt = np.roll(np.arange(4), -1)
    quads = [(a[:, k], a[:, nxt[k]], b[:, nxt[k]], b[:, k]) for k in range(4)]
    faces = np.concatenate([f for p, q, r, s in quads for f in (np.stack([p, r, q], 1), np.stack([p, s, r], 1))])
    ends = np.array([[0, 1, 2], [0, 2, 3]])
    faces = np.concatenate([faces, ends, (index[-1, 0] + ends)[:, ::-1]])
    return Mesh(points.reshape(-1, 3), faces, np.full((len(faces), 3, 2), 0.5), np.zeros(len(faces), np.uint8))


def _upright(along: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """A rotation that takes z to a direction."""
    side = np.cross([0.0, 1.0, 0.0] if abs(along[1]) < 0.9 else [1.0, 0.0, 0.0], along)
    side /= np.linalg.norm(side)
    return np.stack([side, np.cross(along, side), along], axis=1)


def _put(mesh: Mesh, name: str, material: Material, R, at) -> Part:
    moved = replace(mesh, vertices=mesh.vertices @ R.T + at)
    return solid(moved, name, material, surface="outer", crease_deg=40.0)


def _nozzle(radius: float, tall: float) -> Mesh:
    """A tube's nozzle with its orifice, standing on z = 0."""
    mm, r = 0.001, radius
    line = [
        (0.0, tall - 2.5 * mm), (0.38 * r, tall - 2.5 * mm), (0.38 * r, tall - 0.3 * mm), (0.45 * r, tall),
        (r - 1.6 * mm, tall), (r - 1.2 * mm, tall - 0.4 * mm), (r - 1.2 * mm, 0.4 * mm), (r, 0.0), (r, -0.5 * mm),
        (0.0, -0.5 * mm),
    ]  # fmt: skip
    return revolve(np.array(line)[::-1].copy(), 48)


def opened_mouth(taken: Product, product: Product, names: tuple[str, ...]) -> Product:
    """Show what a cap covered: bottles get a hole where their neck was closed, and a thread; tubes a nozzle.

    A jar is open and has its thread already.
    """
    sheet, hinge = product.sheets[0], _cap_hinge(product, names)
    a, b = np.array(hinge.a, float), np.array(hinge.b, float)
    along = (b - a) / np.linalg.norm(b - a)
    disc = _end_disc(sheet, a, along)
    if product.family == "glass_jar" or not disc.any():
        return taken
    rim = sheet.rest[np.unique(sheet.faces[disc])]
    centre = (rim.max(axis=0) + rim.min(axis=0)) / 2
    radius = float(np.linalg.norm(rim - centre, axis=1).max())
    R, top = _upright(along), float(((rim - a) @ along).max())
    centre = a + along * top + (centre - a) - along * float((centre - a) @ along)
    wall = sheet.materials[int(np.bincount(sheet.material[disc]).argmax())]
    if product.family == "tube":
        tall = min(0.009, 0.6 * float(np.linalg.norm(b - a)))
        parts = (
            _put(_nozzle(radius, tall), "nozzle", wall, R, centre),
            _put(_helix(radius - 0.0012, 0.0008, tall - 0.001), "thread", wall, R, centre),
        )
        return replace(taken, contents=(*taken.contents, *parts))
    open_, _ = open_neck(sheet, a, along, MISSING)
    low = -min(0.012, 0.8 * top)
    thread = _put(_helix(_neck_radius(sheet, a, along, top), low, -0.0018), "thread", wall, R, centre)
    return replace(taken, sheets=(open_, *taken.sheets[1:]), contents=(*taken.contents, thread))


def _neck_radius(sheet: Sheet, at: Float[np.ndarray, "3"], along: Float[np.ndarray, "3"], top: float) -> float:
    """Radius of a neck's wall a little below its end."""
    off = sheet.rest - at
    height = off @ along
    radius = np.linalg.norm(off - height[:, None] * along, axis=1)
    band = (height < top - 0.0009) & (height > top - 0.009)
    return float(np.median(radius[band])) if band.any() else float(radius[height > top - 0.002].max())
