"""Pictures put onto a product's wall wherever it is: stickers, handwriting, tape, prints that look like damage.

A decal is painted into the wall's textures through its UV map, so it adds no geometry and both renderers show it alike.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from ..sim.scene import Material
from .mesh import Sheet, boundary_half_edges, face_areas, face_normals, mesh_edges, vertex_normals

CLEAR = 0.5
"""Materials that let more light through than this carry no print: a texture only tints them."""
GUTTER_PX = 2
"""Texels painted beyond the border of each triangle, so that no filter shows a seam. Charts lie further apart."""
INK_ROUGHNESS = 0.5
"""Of print on bare metal, if the decal does not say."""
NOT_PRINTED = ("seal", "crimp", "fin", "neck", "thread", "valve", "zip", "end", "ends")
"""Panels whose name has one of these words get no decals: seams, and the sunk ends of tins and cans."""
SEEN = 0.05
"""Share of the covered texels that must change clearly for a decal to be seen."""
SMOOTH = 0.6
"""Least cosine between the normal at a spot and those around it."""


@dataclass(frozen=True)
class Decal:
    """A flat picture of a stated size."""

    picture: UInt8[np.ndarray, "h w 4"]
    """sRGB and opacity, row 0 on top; not premultiplied."""
    width_mm: float
    roughness: float | None = None
    """Of what is stuck or printed on; None leaves the wall's own gloss."""

    @property
    def size_m(self) -> tuple[float, float]:
        """(width, height)."""
        height, width = self.picture.shape[:2]
        return self.width_mm / 1000, self.width_mm / 1000 * height / width


def printable_faces(sheet: Sheet) -> Bool[np.ndarray, " f"]:
    """Faces whose material shows a texture: not clear film, not bare plastic."""
    outer = len(sheet.materials) - 2  # the last two are the inner side and the cut edge
    good = [k < outer and m.base_color_texture is not None and m.transmission < CLEAR
            for k, m in enumerate(sheet.materials)]  # fmt: skip
    names = [not any(word in name.split("_") or word in name.split() for word in NOT_PRINTED) for name in sheet.panels]
    return np.array(good)[sheet.material] & np.array(names)[sheet.panel] & ~sheet.removed


def draw_spot(sheet: Sheet, rng: np.random.Generator, radius_m: float) -> Float[np.ndarray, "3"] | None:
    """Draw a place by area around which the wall is smooth, printed and has no border; None if there is none."""
    printed = printable_faces(sheet)
    weight = face_areas(sheet.rest, sheet.faces) * printed
    if weight.sum() <= 0:
        return None
    middle = sheet.rest[sheet.faces].mean(axis=1)
    normal = face_normals(sheet.rest, sheet.faces)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
    half_edges, _ = boundary_half_edges(sheet.faces[printed])
    border = sheet.rest[np.unique(half_edges)]
    total = np.cumsum(weight)
    for _ in range(40):
        face = int(np.searchsorted(total, rng.random() * total[-1], side="right"))
        offset = middle - middle[face]
        facing = normal @ normal[face]
        # What lies behind (the other side of a flat pack) is near too, but no neighbour.
        near = (np.einsum("ij,ij->i", offset, offset) < radius_m**2) & (facing > -0.3)
        free = len(border) == 0 or float(np.square(border - middle[face]).sum(axis=1).min()) > radius_m**2
        if free and printed[near].all() and float(facing[near].min(initial=1.0)) > SMOOTH:
            return middle[face]
    return None


# ---- Unrolling the wall around a spot -------------------------------------------------------------------------------


def _turned(v: Float[np.ndarray, "n 3"], a: Float[np.ndarray, "n 3"], b: Float[np.ndarray, "n 3"]):
    """Apply to ``v`` the shortest rotation that takes unit vector ``a`` to ``b``."""
    w = np.cross(a, b)
    first = np.cross(w, v)
    return v + first + np.cross(w, first) / (1.001 + np.einsum("ij,ij->i", a, b))[:, None]


def _unit(v: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-30)


def _axis(normal: Float[np.ndarray, "3"], turn_rad: float) -> Float[np.ndarray, "3"]:
    """The picture's way right, at turn 0 with its top up (or to +y where the wall is level); turns anticlockwise."""
    up = np.array([0.0, 1.0, 0.0]) if abs(normal[2]) > 0.9 else np.array([0.0, 0.0, 1.0])
    right = _unit(np.cross(up, normal))
    return np.cos(turn_rad) * right + np.sin(turn_rad) * np.cross(normal, right)


def _step(
    points: Float[np.ndarray, "v 3"], normals: Float[np.ndarray, "v 3"], axes: Float[np.ndarray, "v 3"],
    parent: Int[np.ndarray, " n"], child: Int[np.ndarray, " n"],
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 3"]]:  # fmt: skip
    """From vertices to their children: the way in the unrolled plane, and the axis carried along."""
    d, np_, nc = points[child] - points[parent], normals[parent], normals[child]
    # At a fold the vertex normal lies between the two sides: measure in the side that the edge lies in.
    flatter = np.abs(np.einsum("ij,ij->i", d, np_)) <= np.abs(np.einsum("ij,ij->i", d, nc))
    plane = np.where(flatter[:, None], np_, nc)
    t = _turned(axes[parent], np_, plane)
    way = np.stack([np.einsum("ij,ij->i", d, t), np.einsum("ij,ij->i", d, np.cross(plane, t))], axis=1)
    way *= (np.linalg.norm(d, axis=1) / np.maximum(np.linalg.norm(way, axis=1), 1e-12))[:, None]
    carried = _turned(axes[parent], np_, nc)
    carried -= np.einsum("ij,ij->i", carried, nc)[:, None] * nc
    return way, _unit(carried)


def _spread(
    points: Float[np.ndarray, "v 3"], normals: Float[np.ndarray, "v 3"], flat: Float[np.ndarray, "v 2"],
    axes: Float[np.ndarray, "v 3"], parent: Int[np.ndarray, " v"], reached: Bool[np.ndarray, " v"], root: int,
) -> Bool[np.ndarray, " v"]:  # fmt: skip
    """Fill in places (``flat``) and axes from the root outwards, one generation at a time; tells which are known."""
    known = np.zeros(len(points), bool)
    known[root] = True
    left = np.flatnonzero(reached & ~known)
    while len(left):
        ready = known[parent[left]]
        child = left[ready]
        step, axes[child] = _step(points, normals, axes, parent[child], child)
        flat[child] = flat[parent[child]] + step
        known[child] = True
        left = left[~ready]
    return known


def unroll(
    sheet: Sheet, at: Float[np.ndarray, "3"], turn_rad: float, reach_m: float
) -> tuple[Int[np.ndarray, " k"], Float[np.ndarray, "k 3 2"]]:
    """Faces around a spot, and their corners [m] in a plane: x to the picture's right, y to its top.

    The discrete exponential map of Schmidt, Grimm and Wyvill (2006) on the pristine wall: true to size on flat and
    rolled walls and across folds, near enough on domes.
    """
    printed = np.flatnonzero(printable_faces(sheet))
    middle = sheet.rest[sheet.faces[printed]].mean(axis=1)
    distance = np.linalg.norm(middle - at, axis=1)
    start = int(printed[np.argmin(distance)])
    near = printed[distance < 1.15 * reach_m + 0.012]
    used, packed = np.unique(sheet.faces[near], return_inverse=True)
    faces, points = packed.reshape(-1, 3), sheet.rest[used]
    normals = vertex_normals(points, faces)
    edges, _ = mesh_edges(faces)
    length = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    n = len(points)
    graph = coo_array((np.maximum(length, 1e-9), (edges[:, 0], edges[:, 1])), shape=(n, n)).tocsr()
    first = np.searchsorted(used, sheet.faces[start])
    root = int(first[np.argmin(np.linalg.norm(points[first] - at, axis=1))])
    way, parent = dijkstra(graph, directed=False, indices=root, return_predecessors=True, limit=1.25 * reach_m + 0.012)

    normal = _unit(face_normals(sheet.rest, sheet.faces[start][None]))[0]
    axis = _axis(normal, turn_rad)
    offset = points[root] - at
    flat, axes = np.full((n, 2), np.nan), np.zeros((n, 3))
    flat[root] = [offset @ axis, offset @ np.cross(normal, axis)]
    axes[root] = _turned(axis[None], normal[None], normals[root][None])[0]
    known = _spread(points, normals, flat, axes, parent, np.isfinite(way), root)
    corners = flat[faces]
    keep = known[faces].all(axis=1)
    # Beyond the far side of a narrow body the map folds over: leave those faces alone.
    with np.errstate(invalid="ignore"):
        a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        ratio = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / np.maximum(2 * face_areas(points, faces), 1e-15)
        keep &= (ratio > 0.5) & (ratio < 2.0)
    return near[keep], corners[keep]


# ---- Painting -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Texels:
    """Texels that a decal covers, and where each lies in the decal's picture."""

    x: Int[np.ndarray, " n"]
    y: Int[np.ndarray, " n"]
    place: Float[np.ndarray, "n 2"]
    """Share of the picture's width (to the right) and height (down)."""


def _triangle_maps(texel: Float[np.ndarray, "k 3 2"], place: Float[np.ndarray, "k 3 2"]) -> Float[np.ndarray, "k 3 2"]:
    """Per triangle M with ``place = [x, y, 1] @ M``; degenerate triangles point outside the picture."""
    corners = np.concatenate([texel, np.ones((len(texel), 3, 1))], axis=2)
    size = np.abs(np.linalg.det(corners))
    corners[size < 1e-6] = np.eye(3)
    maps = np.linalg.solve(corners, place)
    maps[size < 1e-6] = np.array([[0.0, 0], [0, 0], [-9, -9]])
    return maps


def _texels(uv: Float[np.ndarray, "k 3 2"], place: Float[np.ndarray, "k 3 2"], shape: tuple[int, int]) -> _Texels:
    """Rasterise triangles, grown a little, into a texture of (height, width)."""
    height, width = shape
    texel = np.stack([uv[..., 0] * width - 0.5, (1 - uv[..., 1]) * height - 0.5], axis=-1)
    grow = GUTTER_PX + 1
    low = np.maximum(np.floor(texel.min(axis=(0, 1))).astype(int) - grow, 0)
    high = np.minimum(np.ceil(texel.max(axis=(0, 1))).astype(int) + grow + 1, [width, height])
    number = np.zeros((max(high[1] - low[1], 1), max(high[0] - low[0], 1)), np.int32)
    fixed = np.round((texel - low) * 16).astype(np.int32)
    for k, triangle in enumerate(fixed):  # borders first: what truly lies inside a triangle is painted over them
        cv2.polylines(number, [triangle], True, k + 1, 2 * GUTTER_PX + 1, shift=4)
    for k, triangle in enumerate(fixed):
        cv2.fillConvexPoly(number, triangle, k + 1, shift=4)
    y, x = np.nonzero(number)
    which = number[y, x] - 1
    x, y = x + low[0], y + low[1]
    maps = _triangle_maps(texel, place)[which]
    at = x[:, None] * maps[:, 0] + y[:, None] * maps[:, 1] + maps[:, 2]
    inside = ((at > -0.02) & (at < 1.02)).all(axis=1)
    return _Texels(x[inside], y[inside], at[inside])


def _look_up(picture: Float[np.ndarray, "h w 4"], texels: _Texels) -> Float[np.ndarray, "n 4"]:
    """Bilinear, premultiplied, clear outside the picture."""
    height, width = picture.shape[:2]
    row = 8192  # OpenCV's maps are pictures themselves, of less than 32768 a side
    count = len(texels.x)
    rows = max(-(-count // row), 1)
    at = np.full((rows * row, 2), -9.0, np.float32)
    at[:count] = texels.place * [width, height] - 0.5
    at = at.reshape(rows, row, 2)
    out = cv2.remap(picture, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(0, 0, 0, 0))  # pyright: ignore
    return out.reshape(-1, 4)[:count]


def _to_linear(srgb: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _to_srgb(linear: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _prepare(decal: Decal, base_color: tuple[float, float, float], px_across: float) -> Float[np.ndarray, "h w 4"]:
    """Premultiplied, no finer than the texture, and in colours that look right after the factor ``base_color``."""
    picture = decal.picture.astype(np.float32)
    table = _to_linear(np.arange(256) / 255.0)
    if min(base_color) < 0.999:
        luts = [255 * _to_srgb(table / max(c, 1e-3)) for c in base_color]
        for k, lut in enumerate(luts):
            picture[..., k] = lut.astype(np.float32)[decal.picture[..., k]]
    picture[..., :3] *= picture[..., 3:] / 255
    height, width = picture.shape[:2]
    if px_across < 0.8 * width:
        size = (max(2, round(px_across)), max(2, round(px_across * height / width)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return picture


def _lift(materials: tuple[Material, ...], group: list[int]) -> tuple[Material, ...]:
    """Move a dark colour factor into the texture, or nothing bright could be painted on it; nothing else changes."""
    most = max(max(materials[k].base_color) for k in group)
    if most > 0.85:
        return materials
    old = materials[group[0]].base_color_texture
    assert old is not None
    table = np.round(255 * _to_srgb(_to_linear(np.arange(256) / 255.0) * most)).astype(np.uint8)
    texture, out = cv2.LUT(old, table), list(materials)
    for k in group:
        r, g, b = (c / most for c in materials[k].base_color)
        out[k] = replace(materials[k], base_color=(r, g, b), base_color_texture=texture)
    return tuple(out)


def _with_gloss(materials: tuple[Material, ...], painted: set[int]) -> tuple[Material, ...]:
    """Give painted materials a metallic-roughness texture of their own with room for rough paint; looks stay.

    Their roughness moves into the texture, so those that differ in it can no longer share one.
    """
    fresh: dict[tuple[int, float], np.ndarray] = {}
    out = list(materials)
    for k in sorted(painted):
        m = materials[k]
        old, key = m.metallic_roughness_texture, (id(m.metallic_roughness_texture), m.roughness)
        if key not in fresh:
            table = np.clip(np.round(np.arange(256) * m.roughness), 0, 255).astype(np.uint8)
            if old is None:
                assert m.base_color_texture is not None
                half = tuple(max(side // 2, 1) for side in m.base_color_texture.shape[:2])  # gloss needs no fine print
                fresh[key] = cv2.merge([np.full(half, level, np.uint8) for level in (255, table[255], 255)])
            else:
                fresh[key] = old.copy()
                fresh[key][..., 1] = table[old[..., 1]]
        out[k] = replace(m, roughness=1.0, metallic_roughness_texture=fresh[key])
    return tuple(out)


def _repeats(
    sheet: Sheet, group: list[int], reached: Int[np.ndarray, " k"], texels: _Texels, shape: tuple[int, int]
) -> bool:
    """Whether other faces show the same texels: a tiled texture would repeat the decal."""
    height, width = shape
    covered = np.zeros(shape, bool)
    covered[texels.y, texels.x] = True
    others = ~sheet.removed & np.isin(sheet.material, group)
    others[reached] = False
    middle = sheet.uv[others].mean(axis=1)
    x = np.clip((middle[:, 0] * width).astype(int), 0, width - 1)
    y = np.clip(((1 - middle[:, 1]) * height).astype(int), 0, height - 1)
    return int(covered[y, x].sum()) > 4 + 0.1 * len(reached)


def apply_decal(
    sheet: Sheet, decal: Decal, at: Float[np.ndarray, "3"], *, turn_rad: float, least_change: int = 0
) -> Sheet:
    """Paint a decal with its middle at a spot of the pristine wall; turned anticlockwise seen from outside.

    A wall that shows no texture there (clear, bare, tiled), or on which hardly any texel changes by ``least_change``
    (of 255: black ink on black), comes back as it is: the same object.
    """
    if not printable_faces(sheet).any():
        return sheet
    width, height = decal.size_m
    reached, corners = unroll(sheet, at, turn_rad, 0.5 * float(np.hypot(width, height)))
    place = np.stack([corners[..., 0] / width + 0.5, 0.5 - corners[..., 1] / height], axis=-1)
    touched = (place.max(axis=1) > -0.02).all(axis=1) & (place.min(axis=1) < 1.02).all(axis=1)
    reached, place = reached[touched], place[touched]
    if len(reached) == 0:
        return sheet
    main = sheet.materials[int(np.bincount(sheet.material[reached]).argmax())]
    group = [k for k, m in enumerate(sheet.materials) if m.base_color_texture is main.base_color_texture]
    mine = np.isin(sheet.material[reached], group)
    return _paint(sheet, decal, group, reached[mine], place[mine], least_change)


def _paint(
    sheet: Sheet, decal: Decal, group: list[int], reached: Int[np.ndarray, " k"], place: Float[np.ndarray, "k 3 2"],
    least_change: int,
) -> Sheet:  # fmt: skip
    """Paint triangles of materials (``group``) that share one texture."""
    materials = _lift(sheet.materials, group)
    texture = materials[group[0]].base_color_texture
    assert texture is not None
    uv, shape = sheet.uv[reached], (texture.shape[0], texture.shape[1])
    areas_uv = 0.5 * np.abs(np.linalg.det(np.concatenate([uv, np.ones((len(uv), 3, 1))], axis=2)))
    density = np.sqrt(areas_uv.sum() * shape[0] * shape[1] / face_areas(sheet.rest, sheet.faces[reached]).sum())
    keys = sheet.material[reached].astype(int) * 256 + sheet.panel[reached]
    pieces = [(int(key) // 256, _texels(uv[keys == key], place[keys == key], shape)) for key in np.unique(keys)]
    if any(_repeats(sheet, group, reached, texels, shape) for _, texels in pieces):
        return sheet
    metal = any(materials[k].metallic > 0 for k, _ in pieces)
    roughness = INK_ROUGHNESS if decal.roughness is None and metal else decal.roughness
    texture = texture.copy()
    layers, changes = [], []
    for k, texels in pieces:
        picture = _prepare(decal, materials[k].base_color, float(density) * decal.size_m[0])
        layer = _look_up(picture, texels)
        old = texture[texels.y, texels.x]
        change = layer[:, :3] - layer[:, 3:] / 255 * old
        texture[texels.y, texels.x] = np.clip(np.round(old + change), 0, 255).astype(np.uint8)
        layers.append((k, texels, layer[:, 3:] / 255))
        changes.append(np.abs(change).max(axis=1)[layer[:, 3] > 4])
    change = np.concatenate(changes)
    if (change >= least_change).sum() < SEEN * len(change):
        return sheet
    materials = tuple(replace(m, base_color_texture=texture) if k in group else m for k, m in enumerate(materials))
    if roughness is not None:
        materials = _paint_gloss(_with_gloss(materials, {k for k, _ in pieces}), layers, roughness, shape)
    return replace(sheet, materials=materials)


def _paint_gloss(materials: tuple[Material, ...], layers, roughness: float, shape: tuple[int, int]):
    """Set the gloss under a decal, and that paper and ink are no metal; in place, in textures made for it."""
    for k, texels, alpha in layers:
        gloss = materials[k].metallic_roughness_texture
        x, y = texels.x, texels.y
        if gloss.shape[:2] != shape:  # another size of texture: the nearest texel will do for gloss
            x, y = x * gloss.shape[1] // shape[1], y * gloss.shape[0] // shape[0]
        old = gloss[y, x, 1:]
        gloss[y, x, 1:] = np.round((1 - alpha) * old + alpha * np.array([255 * roughness, 0.0])).astype(np.uint8)
    return materials
