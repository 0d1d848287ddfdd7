"""Filled bags of film: how they are filled, the fine form of their seals and wrinkles, what is seen inside."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.ndimage import maximum_filter1d
from scipy.spatial import KDTree

from ...sim.scene import Material, Part
from ..atlas import Atlas
from ..inflate import Filling, inflate
from ..materials import Stock, back_and_edge
from ..mesh import Relief, Sheet, make_sheet, mesh_edges, vertex_normals
from ..shapes import Mesh, mesh_uv, solid
from .bag import PANELS, Bag, Cut, facing, film_of, part_layers, place, resample, sew

Ask = Callable[[Bag], Filling]
Form = Callable[[Float[np.ndarray, " n"], Float[np.ndarray, " n"], Float[np.ndarray, " n"]], Float[np.ndarray, " n"]]
"""Height [m] outwards over x, t [m] of the flat bag and side (1 front, -1 back, 0 where they meet and in a gusset)."""
GAP_M = 0.0004
CALM = 60
"""Sweeps that only restore lengths, at the end."""


@dataclass(frozen=True)
class Filled:
    """A filled bag in its item frame."""

    bag: Bag
    vertices: Float[np.ndarray, "v 3"]
    nodes: Float[np.ndarray, "n 3"]
    size_m: Float[np.ndarray, "3"]
    """Of the product, not of this piece of it."""
    shift: Float[np.ndarray, "3"]
    """From where it was filled to the item's frame, subtracted [m]."""


def start_shape(bag: Bag, volume_m3: float, *, standing: bool) -> Float[np.ndarray, "n 3"]:
    """A pillow, or a lens that tapers upwards on an open gusset, of about this volume; the solver does the rest."""
    cut, flat = bag.cut, bag.flat.copy()
    u, v = 2 * flat[:, 0] / cut.width, np.clip(flat[:, 1] / cut.height, 0, 1)
    across = np.clip(1 - u**2, 0, 1)
    depth = volume_m3 / (cut.width * cut.height)
    bulge = depth * across**0.75 * (1 - v**2) if standing else depth * across * 4 * v * (1 - v)
    side = side_of(bag)
    flat[:, 2] = bulge * side
    if bag.gusset.size:
        low, g = bag.gusset.shape[1] // 2, cut.gusset
        r = np.concatenate([bag.t[:low], 2 * g - bag.t[low::-1]]) / g
        deep = np.minimum(depth * np.clip(1 - (2 * bag.x / cut.width) ** 2, 0, 1) ** 0.75, 0.95 * g)
        flat[bag.gusset, 2] = deep[:, None] * (1 - r)[None]
        flat[bag.gusset, 1] = np.sqrt(g**2 - deep**2)[:, None] * (1 - np.abs(1 - r))[None]
    nodes = np.zeros((int(bag.node.max()) + 1, 3))
    nodes[bag.node] = place(flat, cut.height, standing=standing)
    return nodes - np.array([0, 0, nodes[:, 2].min()])


def side_of(bag: Bag) -> Float[np.ndarray, " v"]:
    """1 on the front, -1 on the back, 0 where they meet and on the gusset."""
    side = np.zeros(len(bag.flat))
    np.add.at(side, np.unique(bag.front), 1.0)
    np.add.at(side, np.unique(bag.back), -1.0)
    if bag.gusset.size:
        side[bag.gusset] = 0.0
    return side


def _roughen(
    bag: Bag, nodes: Float[np.ndarray, "n 3"], rng: np.random.Generator, rise: float, wave: float
) -> Float[np.ndarray, "n 3"]:
    """Push the film in and out at random: which wrinkles appear is chance, and this is it."""
    normal = vertex_normals(nodes, bag.node[bag.faces])
    flat = np.zeros_like(nodes)
    flat[bag.node] = bag.flat + np.array([0, 0, 1.0]) * side_of(bag)[:, None] * wave
    total = np.zeros(len(nodes))
    for _ in range(14):
        way = rng.normal(size=3) * np.pi / wave
        total += np.sin(flat @ way + rng.uniform(0, 2 * np.pi)) / np.sqrt(7)
    calm = np.ones(len(nodes))
    calm[bag.node[bag.sealed]] = 0.25  # seals are stiff
    return nodes + rise * (calm * total)[:, None] * normal


def fill_bag(
    cut: Cut,
    spacing: float,
    ask: Ask,
    *,
    standing: bool,
    volume_m3: float,
    bending: float,
    rng: np.random.Generator,
    wrinkle_m: float,
    gap_m: float = GAP_M,
    ask_piece: Ask | None = None,
    sweeps: tuple[int, int, int] = (210, 70, 60),
) -> Filled:
    """Fill the product on a coarse mesh, then this piece of it: wrinkled anew, on the coarse mesh and on the fine one.

    ``ask`` says what acts on a bag of any resolution (``ask_piece``, if this piece's contents lie differently);
    ``volume_m3`` is only where the solver starts; ``gap_m`` parts sealed layers.
    """
    few, some, last = sweeps
    own = ask_piece or ask
    coarse = sew(replace(cut, lines=(), teeth=0.0), 2.2 * spacing)
    film = film_of(coarse, bending=bending, standing=standing)
    product = inflate(start_shape(coarse, volume_m3, standing=standing), film, ask(coarse), sweeps=few)
    size = np.ptp(part_layers(coarse, product, gap_m), axis=0)
    nodes = inflate(_roughen(coarse, product, rng, wrinkle_m, 0.05), film, own(coarse), sweeps=some)
    fine = sew(cut, spacing)
    nodes = _roughen(fine, resample(coarse, nodes, fine), rng, 0.4 * wrinkle_m, 0.02)
    film = film_of(fine, bending=bending, standing=standing)
    nodes = inflate(nodes, film, own(fine), sweeps=last + CALM, calm=CALM)
    vertices = part_layers(fine, nodes, gap_m)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    shift = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    return Filled(fine, vertices - shift, nodes - shift, size, shift)


def opening(bag: Bag, vertices: Float[np.ndarray, "v 3"]) -> Float[np.ndarray, " v"]:
    """Distance [m] of every vertex from what lies upon it in the flat bag; 0 in seals."""
    out = np.full(len(vertices), np.inf)
    one, two = facing(bag).T
    wide = np.linalg.norm(vertices[one] - vertices[two], axis=1)
    np.minimum.at(out, one, wide)
    np.minimum.at(out, two, wide)
    return np.where(bag.sealed | np.isinf(out), 0.0, out)


def flat_relief(filled: Filled, form: Form, seals: Form | None = None) -> Relief:
    """A form over the flat bag (and one of its seals) as a relief of the filled one.

    It is known at all vertices and edges' midpoints. Where two layers are close, it takes at most what is between them.
    """
    bag, edges = filled.bag, mesh_edges(filled.bag.faces)[0]
    side = side_of(bag)
    flat = np.concatenate([bag.flat, bag.flat[edges].mean(axis=1)])
    room = opening(bag, filled.vertices)
    room = np.concatenate([room, room[edges].min(axis=1)])
    side = np.concatenate([side, np.sign(side[edges].sum(axis=1)) * (np.abs(side[edges]).max(axis=1) > 0)])
    points = np.concatenate([filled.vertices, filled.vertices[edges].mean(axis=1)])
    height = np.maximum(form(flat[:, 0], flat[:, 1], side), -0.35 * np.maximum(room - 0.0012, 0.0))
    height *= np.clip(room / 0.002, 0, 1)
    if seals is not None:
        height += seals(flat[:, 0], flat[:, 1], side)
    tree = KDTree(points)

    def relief(at: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        away, near = tree.query(at, k=3)
        share = 1 / (away + 1e-7) ** 2
        return (height[near] * share).sum(axis=1) / share.sum(axis=1)

    return relief


def crimp_form(cut: Cut, *, pitch: float, rise: float, upright: bool = False) -> Form:
    """Ribs pressed into the end seals: both layers move together."""

    def form(x, t, side):
        top, bottom = t - (cut.height - cut.top_seal), cut.bottom_seal - t
        into = np.maximum(top if cut.top_seal else -1.0, bottom if cut.bottom_seal else -1.0)
        wave = np.cos(2 * np.pi * (x if upright else np.where(top > 0, cut.height - t, t)) / pitch)
        return side * rise * wave * (into > 0.25 * pitch)

    return form


def wrinkle_form(cut: Cut, rng: np.random.Generator, *, count: int, rise: float, length: float) -> Form:
    """Small tucks that start at the end seals and run out into the film, on either side for itself."""
    rows = []
    for _ in range(count):
        end, side = rng.choice([-1, 1]), rng.choice([-1.0, 1.0])
        at = rng.uniform(-0.48, 0.48) * cut.width
        rows.append((end, side, at, rng.normal() * 0.35, rng.uniform(0.3, 1) * length, rng.uniform(2.2, 4.5) / 1000,
                     rise * rng.uniform(0.3, 1) * rng.choice([-1, -1, 1])))  # fmt: skip

    def form(x, t, side):
        out = np.zeros(len(x))
        for end, own, at, lean, far, wide, high in rows:
            d = (cut.height - cut.top_seal - t) if end > 0 else (t - cut.bottom_seal)
            near = (side == own) & (d > 0) & (d < 2.5 * far)
            dx = (x[near] - at - lean * d[near]) / (wide * (1 + d[near] / far))
            fade = np.clip(d[near] / 0.003, 0, 1) * np.exp(-((d[near] / far) ** 2))
            out[near] += high * fade * (1 - dx**2) * np.exp(-0.5 * dx**2)
        return out

    return form


def crease_form(cut: Cut, rng: np.random.Generator, *, count: int, rise: float) -> Form:
    """Sharp lines where the film has been bent: ridges and valleys a few centimetres long."""
    rows = []
    for _ in range(count):
        at = rng.uniform(-0.45, 0.45) * cut.width, rng.uniform(0.08, 0.92) * cut.height
        rows.append((rng.choice([-1.0, 1.0]), at, rng.uniform(0, np.pi), rng.uniform(0.008, 0.03),
                     rng.uniform(1.8, 3.2) / 1000, rise * rng.uniform(0.3, 1) * rng.choice([-1, 1])))  # fmt: skip

    def form(x, t, side):
        out = np.zeros(len(x))
        for own, (ax, at), turn, far, wide, high in rows:
            dx, dt = x - ax, t - at
            along, off = dx * np.cos(turn) + dt * np.sin(turn), dt * np.cos(turn) - dx * np.sin(turn)
            near = (side == own) & (np.abs(along) < far)
            bump = np.clip(1 - np.abs(off[near]) / wide, 0, 1) * (1 - (along[near] / far) ** 2)
            out[near] += high * bump
        inside = np.clip((t - cut.bottom_seal) / 0.004, 0, 1) * np.clip((cut.height - cut.top_seal - t) / 0.004, 0, 1)
        return out * inside * np.clip((cut.width / 2 - cut.side_seal - np.abs(x)) / 0.004, 0, 1)

    return form


def add_forms(*forms: Form) -> Form:
    """The sum of several forms."""

    def form(x, t, side):
        return np.sum([f(x, t, side) for f in forms], axis=0)

    return form


def heap(
    filled: Filled,
    material: Material,
    name: str,
    *,
    rng: np.random.Generator,
    full: float,
    clearance: float,
    lumps: float,
) -> Part:
    """What fills the bag up to a share ``full`` of its height: its own inside, kept ``clearance`` away from the wall.

    ``lumps`` is how much unevenness the surface of the heap has, in metres.
    """
    bag, cut = filled.bag, filled.bag.cut
    points = filled.nodes[bag.node]
    columns = np.flatnonzero(np.abs(bag.x) < 0.84 * (cut.width / 2 - cut.side_seal))[::2]
    start = np.full(len(columns), cut.bottom_seal + 0.07 * cut.height)
    if bag.gusset.size:  # what stands in a pouch begins above the gusset, of which the neighbours count, too
        top = maximum_filter1d(points[bag.gusset][..., 2].max(axis=1), 7)[columns] + clearance
        up = np.minimum(points[bag.front], points[bag.back])[columns][..., 2]
        start = np.maximum(start, bag.t[np.argmax(up > top[:, None], axis=1)])
    end = full * (cut.height - cut.top_seal)
    at = start[:, None] + (np.minimum(end, 0.93 * cut.height) - start)[:, None] * np.linspace(0, 1, 24)[None]
    front, back = (_along(points[index[columns]], bag.t, at) for index in (bag.front, bag.back))
    middle, half = (front + back) / 2, (front - back) / 2
    thick = np.linalg.norm(half, axis=-1, keepdims=True)
    room = np.maximum(thick - clearance, 0.0)
    uneven = lumps * rng.random((2, *room.shape))
    shell = [middle + sign * half / np.maximum(thick, 1e-9) * np.maximum(room - u, 0.06 * thick)
             for sign, u in zip((1, -1), uneven, strict=True)]  # fmt: skip
    return solid(_slab(shell[0], shell[1]), name, material)


def _along(
    lines: Float[np.ndarray, "n m 3"], t: Float[np.ndarray, " m"], at: Float[np.ndarray, "n k"]
) -> Float[np.ndarray, "n k 3"]:
    """Points at heights ``at`` of the flat bag, per column."""
    return np.stack(
        [[np.interp(a, t, line[:, k]) for k in range(3)] for a, line in zip(at, lines, strict=True)]
    ).swapaxes(1, 2)


def _slab(front: Float[np.ndarray, "n m 3"], back: Float[np.ndarray, "n m 3"]) -> Mesh:
    """Close two facing grids at their borders."""
    n, m = front.shape[:2]
    one = np.arange(n * m).reshape(n, m)
    two = one + n * m

    def quads(a, b, c, d):
        a, b, c, d = (q.ravel() for q in (a, b, c, d))
        return np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])

    faces = [
        quads(one[:-1, :-1], one[1:, :-1], one[1:, 1:], one[:-1, 1:]),
        quads(two[:-1, :-1], two[:-1, 1:], two[1:, 1:], two[1:, :-1]),
        quads(two[:-1, 0], two[1:, 0], one[1:, 0], one[:-1, 0]),
        quads(one[:-1, -1], one[1:, -1], two[1:, -1], two[:-1, -1]),
        quads(two[0, 1:], two[0, :-1], one[0, :-1], one[0, 1:]),
        quads(one[-1, 1:], one[-1, :-1], two[-1, :-1], two[-1, 1:]),
    ]
    made = np.concatenate(faces)
    u, v = np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, m), indexing="ij")
    place = np.tile(np.stack([u.ravel(), v.ravel()], 1), (2, 1))
    vertices = np.concatenate([front.reshape(-1, 3), back.reshape(-1, 3)])
    return Mesh(vertices, made, place[made], np.zeros(len(made), np.uint8))


def fin_form(cut: Cut, *, width: float = 0.010, rise: float = 0.0005) -> Form:
    """The flap of a tube's lengthwise seal stands above the back."""

    def form(x, t, side):
        step = np.clip((x + 0.0008) / 0.0016, 0, 1) * np.clip((width - x) / 0.0016 + 0.5, 0, 1)
        inside = np.clip((t - cut.bottom_seal) / 0.003, 0, 1) * np.clip((cut.height - cut.top_seal - t) / 0.003, 0, 1)
        return np.where(side < 0, rise * step * inside, 0.0)

    return form


def film_spacing(stock: Stock, cut: Cut, *, most: int = 4600) -> float:
    """Distance of vertices [m]: the stock's, or more where a large bag would have too many."""
    return max(stock.mechanics.spacing_mm / 1000, float(np.sqrt(2 * cut.width * cut.height / most)))


def teabag_volume(width: float, height: float) -> float:
    """What a pillow of two rectangles of film can hold [m³]: Robin's approximation of the paper bag problem."""
    w, h = min(width, height), max(width, height)
    return float(w**3 * (h / (np.pi * w) - 0.142 * (1 - 10 ** (-h / w))))


def as_mesh(filled: Filled) -> Mesh:
    """The wall with its places in the panels."""
    return Mesh(filled.vertices, filled.bag.faces, np.clip(filled.bag.st, 0, 1), filled.bag.panel)


def bag_sheet(name: str, filled: Filled, stock: Stock, atlas: Atlas, print_: Material, relief: Relief) -> Sheet:
    """The wall as a sheet that can be damaged."""
    bag = filled.bag
    return make_sheet(
        name, filled.vertices, bag.faces, mesh_uv(as_mesh(filled), atlas), np.zeros(len(bag.faces), np.uint8),
        (print_, *back_and_edge(stock)), stock.mechanics, thickness_mm=stock.thickness_mm, levels=1,
        crease_deg=stock.crease_deg, relief=relief, panel=bag.panel, panels=PANELS if bag.gusset.size else PANELS[:2],
    )  # fmt: skip
