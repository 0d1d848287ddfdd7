"""What bottles, cans, jars and tubes share: profiles, banded walls, caps, rings, liquids. Metres, z up."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Int, UInt8

from ...sim.scene import Material, Part
from ..atlas import Atlas, map_uv
from ..mesh import Relief
from ..shapes import Mesh, cap, end_ring, join, lathe, solid

Profile = Float[np.ndarray, "_ 2"]
"""(radius, z) along a wall, from the bottom's middle outwards and up."""
Knot = tuple[float, float, float]
"""(radius, z, fillet): a corner of a profile; a fillet of 0 keeps it sharp, and a row of vertices on it."""

T = TypeVar("T")

FRONT_S = 0.75
"""Where round a body (s, from +x) its front is: the front faces -y."""
SEAM_S = FRONT_S - 0.5
"""Where both ends of what goes round meet: at the back."""


def draw_profile(knots: Sequence[Knot], spacing: float, *, edges: Sequence[float] = ()) -> Profile:
    """Rows of a wall at about ``spacing``: corners rounded, a row on each sharp knot and at each height ``edges``."""
    p = np.array([k[:2] for k in knots], float)
    dense, fixed = [p[0]], [0]
    for i in range(1, len(p) - 1):
        before, after = p[i - 1] - p[i], p[i + 1] - p[i]
        if knots[i][2] == 0:
            fixed.append(len(dense))
            dense.append(p[i])
            continue
        a, b = (p[i] + q * min(knots[i][2] / np.linalg.norm(q), 0.499) for q in (before, after))
        t = np.linspace(0, 1, 9)[:, None]
        dense += list((1 - t) ** 2 * a + 2 * t * (1 - t) * p[i] + t**2 * b)
    dense = np.array([*dense, p[-1]])
    fixed.append(len(dense) - 1)
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(dense, axis=0), axis=1))])
    stops = {float(arc[i]) for i in fixed} | {_arc_at(dense, arc, z) for z in edges}
    marks = np.array(sorted(stops))
    marks = marks[np.concatenate([[True], np.diff(marks) > 1e-6])]
    rows = [np.linspace(a, b, max(1, round((b - a) / spacing)), endpoint=False) for a, b in pairwise(marks)]
    at = np.concatenate([*rows, [arc[-1]]])
    return np.stack([np.interp(at, arc, dense[:, 0]), np.interp(at, arc, dense[:, 1])], 1)


def _arc_at(dense: Profile, arc: Float[np.ndarray, " n"], z: float) -> float:
    """Where the widest stretch of a profile crosses height z."""
    low, high = np.minimum(dense[:-1, 1], dense[1:, 1]), np.maximum(dense[:-1, 1], dense[1:, 1])
    crossing = np.flatnonzero((low <= z) & (z <= high) & (high > low))
    i = int(crossing[np.argmax(dense[crossing, 0])])
    share = (z - dense[i, 1]) / (dense[i + 1, 1] - dense[i, 1])
    return float(arc[i] + share * (arc[i + 1] - arc[i]))


def banded(mesh: Mesh, panel_of_row: Int[np.ndarray, " r"]) -> Mesh:
    """Share a lofted body's rows of faces out among panels; each panel's t runs over its own rows."""
    panel = np.repeat(panel_of_row, len(mesh.faces) // len(panel_of_row)).astype(np.uint8)
    st = mesh.st.copy()
    for k in np.unique(panel):
        t = st[panel == k, :, 1]
        st[panel == k, :, 1] = (t - t.min()) / (t.max() - t.min())
    return Mesh(mesh.vertices, mesh.faces, st, panel)


def dome(profile: Profile) -> Callable[[Float[np.ndarray, " n"]], Float[np.ndarray, " n"]]:
    """Height of an end's disc above its rim, from a profile between its middle and its rim (either way round)."""
    line = profile[np.argsort(profile[:, 0])]
    r, z = line[-1]
    return lambda share: np.interp(share * r, line[:, 0], line[:, 1]) - z


def turned_wall(
    rows: Profile,
    spacing: float,
    panel_of_row: Int[np.ndarray, " r"],
    *,
    ends: tuple[int, int],
    base: Profile | None = None,
    top: Profile | None = None,
) -> Mesh:
    """A closed wall turned from ``rows``; ``ends`` are the panels of its bottom and top discs."""
    body = lathe(rows, spacing, panel=0)
    low = cap(end_ring(body, top=False), spacing, panel=ends[0], up=False, height=None if base is None else dome(base))
    high = cap(end_ring(body, top=True), spacing, panel=ends[1], up=True, height=None if top is None else dome(top))
    return join([banded(body, panel_of_row), low, high])


def sheet_uv(mesh: Mesh, atlas: Atlas) -> Float[np.ndarray, "f 3 2"]:
    """UV per corner: panels with a patch (the first ones) are mapped to it, the others bear no print."""
    uv = np.clip(mesh.st, 0, 1)
    for panel in np.unique(mesh.panel):
        at = mesh.panel == panel
        if panel < len(atlas.patches):
            uv[at] = map_uv(atlas, int(panel), mesh.st[at])
    return uv


def profile_volume(profile: Profile) -> Float[np.ndarray, " n"]:
    """Volume [m³] below each point of a profile that starts at the axis, as sums of cones' stumps."""
    r, z = profile.T
    slices = np.pi / 3 * np.diff(z) * (r[1:] ** 2 + r[1:] * r[:-1] + r[:-1] ** 2)
    return np.concatenate([[0], np.cumsum(slices)])


def solve(measure: Callable[[float], float], target: float, low: float, high: float) -> float:
    """Where a rising measure meets its target, by bisection."""
    for _ in range(26):
        middle = (low + high) / 2
        low, high = (middle, high) if measure(middle) < target else (low, middle)
    return (low + high) / 2


def inset(profile: Profile, by: float) -> Profile:
    """A profile shifted inwards along its normal [m], mitred at its corners."""
    steps = np.diff(profile, axis=0)
    steps = steps[np.linalg.norm(steps, axis=1) > 1e-9]
    kept = np.concatenate([profile[:1], profile[:1] + np.cumsum(steps, axis=0)])
    normal = np.stack([-steps[:, 1], steps[:, 0]], 1) / np.linalg.norm(steps, axis=1, keepdims=True)
    before, after = np.concatenate([normal[:1], normal]), np.concatenate([normal, normal[-1:]])
    mitre = (before + after) / np.maximum(1 + (before * after).sum(axis=1, keepdims=True), 0.5)
    out = kept + by * mitre
    out[:, 0] = np.maximum(out[:, 0], 0)
    return out


def cut_at(profile: Profile, level: float) -> Profile:
    """The part of a profile below ``level``, closed by a flat surface to the axis."""
    above = np.flatnonzero(profile[:, 1] > level)
    last = int(above[above > np.argmax(profile[:, 0] * (profile[:, 1] <= level))][0])
    (r0, z0), (r1, z1) = profile[last - 1], profile[last]
    rim = r0 + (r1 - r0) * (level - z0) / max(z1 - z0, 1e-12)
    return np.concatenate([profile[:last], [[rim, level], [0.75 * rim, level], [0.0, level]]])


def skin(points: Float[np.ndarray, "r c 3"], *, panel: int = 0) -> Mesh:
    """Quads between rows of closed rings (counter-clockwise from above, bottom first), not staggered as lofts are."""
    rows, columns = points.shape[:2]
    ring = np.concatenate([points, points[:, :1]], axis=1)
    s, t = np.meshgrid(np.linspace(0, 1, columns + 1), np.linspace(0, 1, rows))
    st = np.stack([s, t], -1).reshape(-1, 2)
    index = np.arange(rows * (columns + 1)).reshape(rows, columns + 1)
    a, b, c, d = (q.ravel() for q in (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    return Mesh(ring.reshape(-1, 3), faces, st[faces], np.full(len(faces), panel, np.uint8))


def revolve(profile: Profile, columns: int, *, panel: int = 0, ribs: int = 0, rib: Sequence[float] = ()) -> Mesh:
    """A finished (not simulated) body of revolution; ``rib`` [m] per row raises ``ribs`` ribs round it."""
    per = 4
    count = per * ribs if ribs else columns
    angle = np.arange(count) / count * 2 * np.pi
    out = np.zeros(count) if not ribs else np.tile([0.0, 1.0, 1.0, 0.0], ribs)
    r = profile[:, :1] + np.outer(np.asarray(rib) if len(rib) else np.zeros(len(profile)), out)
    points = np.stack([r * np.cos(angle), r * np.sin(angle), np.repeat(profile[:, 1:], count, 1)], -1)
    return skin(points, panel=panel)


def screw_cap(
    radius: float, height: float, z: float, *, ribs: int, rib: float = 0.0004, wall: float = 0.0016,
    edge: float = 0.001, taper: float = 0.0, sink: float = 0.0,
) -> Mesh:  # fmt: skip
    """A hollow cap with ribs round its side, standing on z; ``sink`` is how far its top is dished."""
    inner, top = radius - wall, radius * (1 - taper)
    knots = [
        (0.0, height - 1.2 * wall), (top - wall - 0.0004, height - 1.2 * wall), (inner, 0.0), (radius - 0.0002, 0.0),
        (radius, 0.0004), (radius - 0.25 * taper * radius, 0.3 * height),
        (radius - 0.8 * taper * radius, height - edge - 0.0012), (top, height - edge),
        (top - 0.3 * edge, height - 0.3 * edge), (top - edge, height), (0.8 * top, height), (0.76 * top, height - sink),
        (0.0, height - sink),
    ]  # fmt: skip
    raised = [0, 0, 0, 0, 0, rib, rib, 0, 0, 0, 0, 0, 0]
    raised[4] = rib
    profile = np.array(knots) + np.array([0.0, z])
    return revolve(profile, 96, ribs=ribs, rib=raised)


def band_ring(radius: float, low: float, high: float, *, wall: float = 0.0012) -> Mesh:
    """A hollow ring between two heights: a tamper band."""
    r = radius
    line = [(r - wall, high), (r - wall, low), (r - 0.0002, low), (r, low + 0.0003), (r, high - 0.0003),
            (r - 0.0002, high), (r - wall, high)]  # fmt: skip
    return revolve(np.array(line), 96)


def loop_ring(
    outer: Float[np.ndarray, "n 2"], inner: Float[np.ndarray, "n 2"], z: float, thickness: float, *, bevel: float = 0.25
) -> Mesh:
    """A flat ring between two loops (counter-clockwise), its edges bevelled: a pull ring, a tab."""
    width = np.linalg.norm(outer - inner, axis=1).mean()
    b = min(bevel * thickness / width, 0.4)
    section = [(0, 0.3), (b, 0.0), (1 - b, 0.0), (1, 0.3), (1, 0.7), (1 - b, 1.0), (b, 1.0), (0, 0.7), (0, 0.3)]
    rows = [
        np.concatenate([inner + a * (outer - inner), np.full((len(outer), 1), z + h * thickness)], axis=1)
        for a, h in section
    ]
    return skin(np.stack(rows))


def rounded_loop(
    half_x: float, half_y: float, power: float, count: int = 48, *, centre: tuple[float, float] = (0.0, 0.0)
) -> Float[np.ndarray, "n 2"]:
    """A superellipse, counter-clockwise: 2 is an ellipse, larger is nearer to a rectangle."""
    angle = np.arange(count) / count * 2 * np.pi
    c, s = np.cos(angle), np.sin(angle)
    x = half_x * np.sign(c) * np.abs(c) ** (2 / power)
    y = half_y * np.sign(s) * np.abs(s) ** (2 / power)
    return np.stack([x, y], 1) + np.asarray(centre)


def roundness(rows: Profile, low: float, high: float) -> Relief:
    """The true roundness that flat faces lack, where the wall's height rises along ``rows`` between two heights."""
    line = rows[(rows[:, 1] >= low - 1e-9) & (rows[:, 1] <= high + 1e-9)]

    def height(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        r, z = np.hypot(points[:, 0], points[:, 1]), points[:, 2]
        true = np.interp(z, line[:, 1], line[:, 0])
        on = (z > low) & (z < high) & (np.abs(r - true) < 0.03 * true)
        return np.where(on, true - r, 0.0)

    return height


def face_front(picture: UInt8[np.ndarray, "h w 3"], *, front: float = 0.5) -> UInt8[np.ndarray, "h w 3"]:
    """Turn a picture that goes round so that its front (its middle at the share ``front``) faces -y."""
    return np.roll(picture, round((FRONT_S - front) * picture.shape[1]), axis=1)


def draw_overlap(
    picture: UInt8[np.ndarray, "h w 3"], width_px: int, rng: np.random.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    """A label's overlap at SEAM_S: its end lies over its start, with an edge and a thin shadow, a little off."""
    out = picture.copy()
    width = out.shape[1]
    x = round(SEAM_S * width)
    out[:, x : x + width_px] = np.roll(out[:, x : x + width_px], int(rng.integers(-3, 4)), axis=0)
    end = x + width_px
    out[:, end] = (0.5 * out[:, end] + (112 if rng.random() < 0.5 else 0.4 * out[:, end])).astype(np.uint8)
    for k, tone in enumerate((0.62, 0.8, 0.92)):
        out[:, end + 1 + k] = (out[:, end + 1 + k] * tone).astype(np.uint8)
    return out


def label_on(
    ground: UInt8[np.ndarray, "h w 3"],
    label: UInt8[np.ndarray, "a b 3"],
    centre: tuple[float, float],
    *,
    power: float = 6.0,
) -> UInt8[np.ndarray, "h w 3"]:
    """Stick a label of rounded shape on a picture that goes round; ``centre`` in shares (s to the right, y down)."""
    height, width = ground.shape[:2]
    h, w = label.shape[:2]
    y, x = np.mgrid[0:h, 0:w]
    inside = np.abs(2 * (x + 0.5) / w - 1) ** power + np.abs(2 * (y + 0.5) / h - 1) ** power
    alpha = np.clip((1 - inside) * min(h, w) / 4, 0, 1)[..., None].astype(np.float32)
    rows = np.arange(h) + round(centre[1] * height - h / 2)
    columns = (np.arange(w) + round(centre[0] * width - w / 2)) % width
    kept = (rows >= 0) & (rows < height)
    out = ground.copy()
    patch = out[np.ix_(rows[kept], columns)].astype(np.float32)
    mixed = patch * (1 - alpha[kept]) + label[kept] * alpha[kept]
    out[np.ix_(rows[kept], columns)] = mixed.astype(np.uint8)
    return out


def plastic(name: str, rgb: tuple[float, float, float], roughness: float) -> Material:
    """An opaque moulded plastic; colour is linear RGB."""
    return Material(name, rgb, 0.0, roughness)


def linear(ink: tuple[int, int, int]) -> tuple[float, float, float]:
    """sRGB ink to linear RGB."""
    r, g, b = (((v / 255 + 0.055) / 1.055) ** 2.4 if v > 10 else v / 255 / 12.92 for v in ink)
    return r, g, b


def part(mesh: Mesh, name: str, material: Material, *, surface: str = "outer", crease_deg: float = 40.0) -> Part:
    """A rigid piece or contents of one material."""
    return solid(mesh, name, material, surface=surface, crease_deg=crease_deg)


def by_words(text: str, table: Mapping[str, T], default: T) -> T:
    """The entry whose word comes first in a text: what is inside goes with what the label says."""
    low = text.lower()
    found = [(low.index(word), word) for word in table if word in low]
    return table[min(found)[1]] if found else default
