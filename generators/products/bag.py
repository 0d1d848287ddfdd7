"""Flat bags and how they are filled: two films sealed at their border, with a gusset below if they are to stand.

A bag is sewn in its flat frame: x to the right, t up along the bag, n towards who looks at its front. Sealed layers are
one sheet while the bag is filled, and are parted by a hair afterwards, so that the finished wall is closed and its
layers never coincide.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from ..inflate import Film, free_folds
from ..mesh import vertex_normals

PANELS = ("front", "back", "gusset")


@dataclass(frozen=True)
class Cut:
    """A bag's pattern [m]."""

    width: float
    height: float
    side_seal: float
    """Width of the seals along the sides; 0 for a tube, whose sides are round."""
    top_seal: float
    bottom_seal: float
    """0 with a gusset, or where the film is folded over."""
    gusset: float = 0.0
    """Half of the film that is folded in below; 0 for none."""
    corner: float = 0.0
    """Radius of the top corners."""
    lines: tuple[tuple[float, float, float], ...] = ()
    """Where rows lie closer, as (from, to, step) up the bag: ribs of a seal, a zip."""
    teeth: float = 0.0
    """Depth of a zigzag cut along both ends."""
    crease: float = 0.2
    """Bending weight of the sides of a tube: 0 leaves a sharp fold."""


@dataclass(frozen=True)
class Bag:
    """A sewn bag: the mesh of its wall and how its layers are merged while it is filled."""

    cut: Cut
    x: Float[np.ndarray, " n"]
    t: Float[np.ndarray, " m"]
    flat: Float[np.ndarray, "v 3"]
    """(x, t, 0) of every vertex of the wall."""
    faces: Int[np.ndarray, "f 3"]
    st: Float[np.ndarray, "f 3 2"]
    """Per corner in the unit square of its panel, seen from outside."""
    panel: UInt8[np.ndarray, " f"]
    front: Int[np.ndarray, "n m"]
    back: Int[np.ndarray, "n m"]
    gusset: Int[np.ndarray, "n k"]
    """Rows from the front's lower edge up to the fold and down to the back's lower edge."""
    node: Int[np.ndarray, " v"]
    """What each vertex is merged into."""
    layer: Float[np.ndarray, " v"]
    """Place among the sealed layers, in gaps from their middle, towards the front."""
    sealed: Bool[np.ndarray, " v"]
    tips: tuple[Int[np.ndarray, " q"], ...] = ()
    """Points of the zigzag at the lower and the upper end."""


def _steps(length: float, spacing: float, lines, marks=()) -> Float[np.ndarray, " n"]:
    """Rows from 0 to ``length`` through ``marks``, closer within ``lines``."""
    stops = {0.0, length, *marks}
    for low, high, _ in lines:
        stops |= {max(low, 0.0), min(high, length)}
    out = [0.0]
    ordered = sorted(stops)
    for low, high in pairwise(ordered):
        if high - low < 1e-6:
            continue
        middle = (low + high) / 2
        step = min([spacing, *(s for a, b, s in lines if a <= middle <= b)])
        out.extend(np.linspace(low, high, max(1, round((high - low) / step)) + 1)[1:].tolist())
    return np.array(out)


def _half_width(cut: Cut, t: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    if cut.corner == 0:
        return np.full(len(t), cut.width / 2)
    into = np.clip(t - (cut.height - cut.corner), 0, cut.corner)
    return cut.width / 2 - cut.corner + np.sqrt(cut.corner**2 - into**2)


def _triangles(index: Int[np.ndarray, "n m"]) -> Int[np.ndarray, "f 3"]:
    """Alternating diagonals; counter-clockwise with the first index to the right and the second up."""
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    i, j = np.indices(a.shape)
    even = (i + j) % 2 == 0
    # At its corners a diagonal from border to border would be in both layers, which are welded there.
    even[0, 0] = even[-1, -1] = True
    even[-1, 0] = even[0, -1] = False
    one = np.where(even[..., None], np.stack([a, b, c], -1), np.stack([a, b, d], -1))
    two = np.where(even[..., None], np.stack([a, c, d], -1), np.stack([b, c, d], -1))
    return np.concatenate([one.reshape(-1, 3), two.reshape(-1, 3)])


def _zigzag(index: Int[np.ndarray, "n m"], low: Int[np.ndarray, " q"], high: Int[np.ndarray, " q"]):
    """As ``_triangles``, with a point between every two columns at both ends."""
    made = []
    for tip, inner, outer in ((high, index[:, -2], index[:, -1]), (low, index[::-1, 1], index[::-1, 0])):
        tip = tip if tip is high else tip[::-1]
        a, b, p, q = inner[:-1], inner[1:], outer[:-1], outer[1:]
        first, second, third = (np.stack(f, 1) for f in ((a, b, tip), (a, tip, p), (b, q, tip)))
        # Points of a tube's sides are in both layers, as the tips are: no edge may join them.
        first[0], second[0] = (a[0], b[0], p[0]), (p[0], b[0], tip[0])
        first[-1], third[-1] = (a[-1], b[-1], q[-1]), (a[-1], q[-1], tip[-1])
        made += [first, second, third]
    return np.concatenate([_triangles(index[:, 1:-1]), *made])


def _ticks(cut: Cut, spacing: float) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " m"]]:
    """Columns and rows of the pattern."""
    half = cut.width / 2
    seal = (cut.side_seal, cut.width - cut.side_seal) if cut.side_seal > 0 else ()
    x = _steps(cut.width, spacing, (), seal) - half
    marks = [cut.height - cut.top_seal, *(v for v in (cut.bottom_seal, cut.gusset) if v > 0)]
    t = _steps(cut.height, spacing, cut.lines, marks)
    if cut.teeth > 0:
        inner = t[(t > 1.6 * cut.teeth) & (t < cut.height - 1.6 * cut.teeth)]
        t = np.concatenate([[cut.teeth], inner, [cut.height - cut.teeth]])
    return x, t


@dataclass(frozen=True)
class _Pieces:
    """The pattern's pieces before they are joined, each with its own vertices."""

    x: Float[np.ndarray, " n"]
    t: Float[np.ndarray, " m"]
    flat: Float[np.ndarray, "v 3"]
    front: Int[np.ndarray, "n m"]
    back: Int[np.ndarray, "n m"]
    gusset: Int[np.ndarray, "n k"]
    rows: Int[np.ndarray, " k"]
    """Row of the front at the same height, per row of the gusset."""
    tips: tuple[Int[np.ndarray, " q"], ...]


def _lay_out(cut: Cut, spacing: float) -> _Pieces:
    x, t = _ticks(cut, spacing)
    n, m = len(x), len(t)
    low = int(np.searchsorted(t, cut.gusset - 1e-9)) if cut.gusset > 0 else 0
    front = np.arange(n * m).reshape(n, m)
    rows = np.concatenate([np.arange(low), np.arange(low, -1, -1)]) if low else np.zeros(0, int)
    gusset = 2 * n * m + np.arange(n * len(rows)).reshape(n, len(rows))
    wide = x[:, None] / (cut.width / 2) * _half_width(cut, t)[None]
    grid = np.stack(np.broadcast_arrays(wide, t[None], 0.0), -1)
    flat = [grid.reshape(-1, 3), grid.reshape(-1, 3), grid[:, rows].reshape(-1, 3)]
    tips = ()
    if cut.teeth > 0:
        between = (x[1:] + x[:-1]) / 2
        tips = tuple(2 * n * m + gusset.size + k * (n - 1) + np.arange(n - 1) for k in range(2))
        flat += [np.stack([between, np.full(n - 1, at), np.zeros(n - 1)], 1) for at in (0.0, cut.height)]
    return _Pieces(x, t, np.concatenate(flat), front, front + n * m, gusset, rows, tips)


def _joined(pieces: _Pieces) -> Int[np.ndarray, " v"]:
    """Which vertex of the wall each vertex of the pattern's pieces is one with."""
    front, back, gusset = pieces.front, pieces.back, pieces.gusset
    same, low = np.arange(len(pieces.flat)), gusset.shape[1] // 2
    side = np.array([0, len(front) - 1])
    same[back[:, -1]] = front[:, -1]
    same[back[side, low:]] = front[side, low:]
    if low:
        same[gusset[side, : low + 1]] = front[side, : low + 1]
        same[gusset[side, low + 1 :]] = back[side, low - 1 :: -1]
        same[gusset[:, 0]], same[gusset[:, -1]] = front[:, 0], back[:, 0]
    else:
        same[back[:, 0]] = front[:, 0]
    return same


def _seals(cut: Cut, x: Float[np.ndarray, " n"], t: Float[np.ndarray, " m"]) -> Bool[np.ndarray, "n m"]:
    """Which points of the pattern are sealed."""
    side = (np.abs(x) > cut.width / 2 - cut.side_seal - 1e-9) & (cut.side_seal > 0)
    ends = (t > cut.height - cut.top_seal - 1e-9) | ((t < cut.bottom_seal + 1e-9) & (cut.bottom_seal > 0))
    return side[:, None] | ends[None]


def _layers(cut: Cut, pieces: _Pieces):
    """Per vertex: the one that it is sealed to, its place among the layers, whether it is sealed."""
    p, low = pieces, pieces.gusset.shape[1] // 2
    node, layer = np.arange(len(p.flat)), np.zeros(len(p.flat))
    sealed = np.zeros(len(p.flat), bool)
    seals = _seals(cut, p.x, p.t)
    deep = seals & (np.arange(len(p.t)) < low)[None]  # four layers, with the gusset's two halves in the middle
    node[p.back[seals]] = p.front[seals]
    layer[p.front[seals]], layer[p.back[seals]] = 0.5, -0.5
    layer[p.front[deep]], layer[p.back[deep]] = 1.5, -1.5
    sealed[p.front[seals]] = sealed[p.back[seals]] = True
    if low:
        folded = seals[:, p.rows]
        node[p.gusset[folded]] = p.front[:, p.rows][folded]
        place = 0.5 * np.sign(low - np.arange(2 * low + 1))
        layer[p.gusset[folded]] = np.broadcast_to(place, folded.shape)[folded]
        sealed[p.gusset[folded]] = True
    for tip in p.tips:
        sealed[tip] = True
    return node, layer, sealed


def sew(cut: Cut, spacing: float) -> Bag:
    """Lay the pattern out and join it."""
    pieces = _lay_out(cut, spacing)
    same = _joined(pieces)
    node, layer, sealed = _layers(cut, pieces)
    count = np.bincount(same, minlength=len(same))
    layer = np.bincount(same, layer, minlength=len(same)) / np.maximum(count, 1)
    np.logical_or.at(sealed, same, sealed)
    joined, wall = np.unique(same, return_inverse=True)
    faces, st, panel = _faces(cut, pieces)
    return Bag(
        cut=cut,
        x=pieces.x,
        t=pieces.t,
        flat=pieces.flat[joined],
        faces=wall[faces],
        st=st,
        panel=panel,
        front=wall[pieces.front],
        back=wall[pieces.back],
        gusset=wall[pieces.gusset],
        node=np.unique(_follow(node, same)[joined], return_inverse=True)[1],
        layer=layer[joined],
        sealed=sealed[joined],
        tips=tuple(wall[tip] for tip in pieces.tips),
    )


def _follow(node: Int[np.ndarray, " v"], same: Int[np.ndarray, " v"]) -> Int[np.ndarray, " v"]:
    """Merge what is joined and what is sealed; each set goes by its lowest member."""
    out = np.minimum(node, same)
    while True:
        low = out.copy()
        for link in (same, node):
            np.minimum.at(low, link, out)
            low = np.minimum(low, low[link])
        if (low == out).all():
            return out
        out = low


def _faces(cut: Cut, pieces: _Pieces):
    """Faces of the pattern's pieces, with their places in the panels' unit squares and their panels."""
    faces, st, panel = [], [], []
    for k, index in enumerate((pieces.front, pieces.back, pieces.gusset)):
        if index.shape[1] == 0:
            continue
        made = _zigzag(index, *pieces.tips) if pieces.tips else _triangles(index)
        place = pieces.flat[:, :2] / np.array([cut.width, cut.height]) + np.array([0.5, 0.0])
        if k == 1:
            place = place * np.array([-1.0, 1.0]) + np.array([1.0, 0.0])
        if k == 2:  # seen from below, with the front's edge on top
            place[index, 1] = np.linspace(1, 0, index.shape[1])[None]
        made = made[:, ::-1] if k else made
        faces.append(made)
        st.append(place[made])
        panel.append(np.full(len(made), k, np.uint8))
    return np.concatenate(faces), np.concatenate(st), np.concatenate(panel)


def film_of(bag: Bag, *, bending: float, standing: bool) -> Film:
    """What the solver needs to know of a bag; seals are stiffer, sides that were folded flat bend like hinges."""
    nodes = bag.node.max() + 1
    flat = np.zeros((nodes, 3))
    flat[bag.node] = bag.flat
    folds = free_folds(bag.faces, bag.node)
    weight = np.full(len(folds), bending)
    hinge = np.zeros((len(bag.flat),), bool)
    low = int(np.searchsorted(bag.t, bag.cut.gusset - 1e-9)) if bag.gusset.size else 0
    hinge[bag.front[[0, -1]]] = True
    if low:
        hinge[bag.front[:, 0]] = hinge[bag.back[:, 0]] = True
    elif bag.cut.bottom_seal == 0:
        hinge[bag.front[:, 0]] = True
    on = np.zeros(nodes, bool)
    on[bag.node[hinge]] = True
    at_rim = on[folds[:, 0]] & on[folds[:, 1]]
    weight[at_rim] = bag.cut.crease * bending if bag.cut.side_seal == 0 else 0.0
    band = np.zeros(nodes, bool)
    band[bag.node[bag.sealed]] = True
    inside = band[folds].all(axis=1)
    weight[inside] = np.minimum(1.0, 2.5 * bending)
    pair = bag.node[facing(bag)]
    pair = pair[pair[:, 0] != pair[:, 1]]
    return Film(
        bag.node[bag.faces], flat, folds, weight, pair, upward=1 if standing else 2, sign=-1.0 if standing else 1.0
    )


def facing(bag: Bag) -> Int[np.ndarray, "p 2"]:
    """Pairs of points that lie upon each other in the flat bag, the one nearer to the front first."""
    low = bag.gusset.shape[1] // 2
    layers = [(bag.front, bag.back)]
    if low:
        fore, rear = bag.gusset[:, :low], bag.gusset[:, :low:-1]
        layers += [(bag.front[:, :low], fore), (fore, rear), (rear, bag.back[:, :low])]
    pairs = np.concatenate([np.stack([one.ravel(), two.ravel()], 1) for one, two in layers])
    return pairs[pairs[:, 0] != pairs[:, 1]]


def place(points: Float[np.ndarray, "*n 3"], height: float, *, standing: bool) -> Float[np.ndarray, "*n 3"]:
    """From the flat frame (x, t, n) to the item's: upright with the front to -y, or on its back with the top to +y."""
    x, t, n = points[..., 0], points[..., 1], points[..., 2]
    return np.stack([x, -n, t] if standing else [x, t - height / 2, n], axis=-1)


def _blend(fine: Float[np.ndarray, " n"], coarse: Float[np.ndarray, " m"]) -> Float[np.ndarray, "n m"]:
    """Matrix of linear interpolation, which extends beyond the ends."""
    at = np.clip(np.searchsorted(coarse, fine, side="right") - 1, 0, len(coarse) - 2)
    share = (fine - coarse[at]) / (coarse[at + 1] - coarse[at])
    out = np.zeros((len(fine), len(coarse)))
    out[np.arange(len(fine)), at] = 1 - share
    out[np.arange(len(fine)), at + 1] += share
    return out


def _fold_ticks(bag: Bag) -> Float[np.ndarray, " k"]:
    low = bag.gusset.shape[1] // 2
    return np.concatenate([bag.t[:low], 2 * bag.cut.gusset - bag.t[low::-1]])


def resample(coarse: Bag, nodes: Float[np.ndarray, "_ 3"], fine: Bag) -> Float[np.ndarray, "_ 3"]:
    """Nodes of a finer bag on the surface of a coarser one of the same pattern."""
    out = np.zeros((len(fine.flat), 3))
    across = _blend(fine.x, coarse.x)
    for k in range(3):
        source, target = ((b.front, b.back, b.gusset)[k] for b in (coarse, fine))
        if source.size == 0:
            continue
        along = _blend(fine.t, coarse.t) if k < 2 else _blend(_fold_ticks(fine), _fold_ticks(coarse))
        out[target] = np.einsum("ia,abk,jb->ijk", across, nodes[coarse.node[source]], along, optimize=True)
    for tip, row, step in zip(fine.tips, (0, -1), (1, -2), strict=False):
        edge, inner = out[fine.front[:, row]], out[fine.front[:, step]]
        reach = fine.cut.teeth / abs(fine.t[row] - fine.t[step])
        outer = edge + reach * (edge - inner)
        out[tip] = (outer[1:] + outer[:-1]) / 2
    start = np.zeros((int(fine.node.max()) + 1, 3))
    start[fine.node] = out
    return start


def part_layers(bag: Bag, nodes: Float[np.ndarray, "n 3"], gap: float) -> Float[np.ndarray, "v 3"]:
    """Vertices of the wall: sealed layers lie a gap apart, and no front is closer than that to its back."""
    out = nodes[bag.node]
    front = bag.faces[bag.panel == 0]
    normal = vertex_normals(nodes, bag.node[front])[bag.node]
    out += gap * bag.layer[:, None] * normal
    own = vertex_normals(out, bag.faces)
    f, b = facing(bag).T
    fold = np.isin(f, bag.gusset) & np.isin(b, bag.gusset)
    way = np.where(fold, -1.0, 1.0)[:, None] * (own[f] - own[b])
    apart = np.linalg.norm(way, axis=1)
    way /= np.maximum(apart, 1e-9)[:, None]
    short = np.clip(gap - np.einsum("ij,ij->i", out[f] - out[b], way), 0, 2 * gap)
    # Where layers do not face each other, as in the middle of an open gusset, nothing is too close.
    short[(bag.sealed[f] & bag.sealed[b]) | (apart < 1.2)] = 0.0
    np.add.at(out, f, 0.5 * short[:, None] * way)
    np.add.at(out, b, -0.5 * short[:, None] * way)
    return out
