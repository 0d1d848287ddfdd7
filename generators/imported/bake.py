"""Pictures of imported meshes: repeats unrolled where they can be, else painted anew on the simulated mesh.

Painting anew gives every face a triangle of its own in one texture, and looks each pixel up on the mesh as it came. It
serves what a plain copy of UVs cannot: decimated meshes, pictures that repeat within a face, colours of vertices.
"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.spatial import KDTree

from ...sim.rays import build_caster, cast
from ...sim.scene import Material, Part
from ..mesh import face_normals, vertex_normals
from .meshfile import Surface, to_linear, to_srgb

_EPS = 1e-6
MOST_MATERIALS = 200
_TO_LINEAR = to_linear(np.arange(256) / 255)
_TO_SRGB = np.round(255 * to_srgb(np.arange(4096) / 4095)).astype(np.uint8)
"""Of a linear tone in steps of 1/4095; the darkest steps are coarse, by less than 4 of 255."""


def shrink_pictures(materials: Sequence[Material], most_px: int) -> tuple[Material, ...]:
    """Scale pictures down to a side of ``most_px``; one that several materials share is scaled once."""
    done: dict[int, UInt8[np.ndarray, "h w 3"]] = {}

    def fit(picture: UInt8[np.ndarray, "h w 3"] | None) -> UInt8[np.ndarray, "h2 w2 3"] | None:
        if picture is None or max(picture.shape) <= most_px:
            return picture
        if id(picture) not in done:
            scale = most_px / max(picture.shape)
            size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
            done[id(picture)] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
        return done[id(picture)]

    return tuple(
        replace(
            m,
            base_color_texture=fit(m.base_color_texture),
            metallic_roughness_texture=fit(m.metallic_roughness_texture),
        )
        for m in materials
    )


def unroll(surface: Surface) -> Surface | None:
    """Shift each face's UV by whole tiles into [0, 1]; None if a face needs more than one tile, or has own colours."""
    if surface.colours is not None or len(surface.materials) > MOST_MATERIALS:
        return None
    painted = np.array(
        [m.base_color_texture is not None or m.metallic_roughness_texture is not None for m in surface.materials]
    )
    uv = np.where(painted[surface.material][:, None, None], surface.uv, 0.0)
    tile = np.floor(uv.min(axis=1, keepdims=True) + _EPS)
    moved = uv - tile
    if moved.max(initial=0) > 1 + 1e-4:
        return None
    notes = surface.notes if not tile.any() else tuple(dict.fromkeys((*surface.notes, "repeated_texture_unrolled")))
    return replace(surface, uv=np.clip(moved, 0, 1), notes=notes)


def _cells(count: int, px: int) -> tuple[Float[np.ndarray, "f 3 2"], Int[np.ndarray, "h w"]]:
    """Corners [px] of each face's triangle (two to a square cell), and the face of each pixel (-1: none)."""
    side = int(np.ceil(np.sqrt(np.ceil(count / 2))))
    c = px // side
    face = np.arange(count)
    cell = face // 2
    at = np.stack([cell % side, cell // side], 1)[:, None] * c
    first = np.array([[1.0, 1.0], [c - 3.5, 1.0], [1.0, c - 3.5]])
    corners = at + np.where((face % 2 == 0)[:, None, None], first, c - first)
    y, x = np.mgrid[0:px, 0:px]
    upper = (x % c) + (y % c) + 1 > c
    owner = 2 * ((y // c) * side + x // c) + upper
    owner[(x // c >= side) | (owner >= count)] = -1
    return corners, owner


def _weights(corners: Float[np.ndarray, "n 3 2"], at: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
    """Barycentric weights, extrapolated outside."""
    a, u, v, p = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], at - corners[:, 0]
    assert len(a) == len(p)
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    wu = (p[:, 0] * v[:, 1] - p[:, 1] * v[:, 0]) / area
    wv = (u[:, 0] * p[:, 1] - u[:, 1] * p[:, 0]) / area
    return np.stack([1 - wu - wv, wu, wv], 1)


def _nearest(
    source: Surface, points: Float[np.ndarray, "n 3"], normals: Float[np.ndarray, "n 3"], reach: float
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
    """Face of the source at each point and the weights of its corners: along the normal, else at the nearest vertex."""
    none = np.zeros(len(source.faces), np.uint8)
    part = Part(
        "source", source.vertices, source.faces, source.uv, np.zeros((len(none), 3, 3)), source.materials,
        none, none, none,
    )  # fmt: skip
    hits = cast(build_caster((part,)), points + reach * normals, -normals)
    face, weights = hits.face.copy(), hits.weights.astype(float)
    far = (face < 0) | (hits.distance > 2 * reach)
    if far.any():
        corner_of = np.zeros(len(source.vertices), np.int64)
        corner_of[source.faces.reshape(-1)] = np.arange(source.faces.size)
        used = np.unique(source.faces)
        corner = corner_of[used[KDTree(source.vertices[used]).query(points[far])[1]]]
        face[far], weights[far] = corner // 3, np.eye(3)[corner % 3]
    return face, np.clip(weights, 0, 1)


def _look_up(picture: UInt8[np.ndarray, "h w 3"], uv: Float[np.ndarray, "n 2"]) -> UInt8[np.ndarray, "n 3"]:
    """Bilinear samples of a picture that repeats."""
    height, width = picture.shape[:2]
    x = (np.mod(uv[:, 0], 1) * width - 0.5).astype(np.float32)
    y = ((1 - np.mod(uv[:, 1], 1)) * height - 0.5).astype(np.float32)
    rows = -(-len(x) // 4096)
    pad = rows * 4096 - len(x)
    across, down = (np.pad(q, (0, pad)).reshape(rows, 4096) for q in (x, y))
    out = cv2.remap(np.ascontiguousarray(picture), across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return out.reshape(-1, 3)[: len(x)].astype(np.uint8)


def _shade(
    source: Surface, face: Int[np.ndarray, " n"], weights: Float[np.ndarray, "n 3"]
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Linear base colour, and (0, roughness, metallic), at places on the source."""
    uv = np.einsum("nk,nkc->nc", weights, source.uv[face])
    colour, rough = np.ones((len(face), 3)), np.zeros((len(face), 3))
    for k, m in enumerate(source.materials):
        at = source.material[face] == k
        if not at.any():
            continue
        base, extra = m.base_color_texture, m.metallic_roughness_texture
        colour[at] = m.base_color if base is None else _TO_LINEAR[_look_up(base, uv[at])] * np.array(m.base_color)
        scale = np.array([0.0, m.roughness, m.metallic])
        rough[at] = scale if extra is None else _look_up(extra, uv[at]) / 255 * scale
    if source.colours is not None:
        colour *= np.einsum("nk,nkc->nc", weights, source.colours[face])
    return colour, rough


def paint_anew(
    source: Surface, vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], *, px: int, reach: float
) -> Surface:
    """A mesh near the source with one texture of ``px`` that shows what the source shows there."""
    corners, owner = _cells(len(faces), px)
    y, x = np.nonzero(owner >= 0)
    mine = owner[y, x]
    weights = _weights(corners[mine], np.stack([x + 0.5, y + 0.5], 1))
    # A little beyond the corners, for the filter at a face's border, but not far from it.
    weights = np.clip(weights, -0.3, 1.3)
    weights /= weights.sum(axis=1, keepdims=True)
    normals = vertex_normals(vertices, faces)[faces[mine]].sum(axis=1)
    flat = face_normals(vertices, faces)[mine]
    normals = np.where(np.einsum("ij,ij->i", normals, flat)[:, None] > 0, normals, flat)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    points = np.einsum("nk,nkc->nc", weights, vertices[faces[mine]])
    face, at = _nearest(source, points, normals, reach)
    colour, rough = _shade(source, face, at)
    picture, extra = np.full((px, px, 3), 128, np.uint8), np.zeros((px, px, 3), np.uint8)
    picture[y, x] = _TO_SRGB[np.round(4095 * np.clip(colour, 0, 1)).astype(np.int64)]
    extra[y, x] = np.round(255 * np.clip(rough, 0, 1))
    varied = bool(np.ptp(extra[y, x], axis=0).any())
    tone = extra[y[0], x[0]] / 255
    material = Material(
        "imported", (1.0, 1.0, 1.0), 1.0 if varied else float(tone[2]), 1.0 if varied else float(tone[1]),
        picture, extra if varied else None,
    )  # fmt: skip
    uv = np.stack([corners[..., 0], px - corners[..., 1]], -1) / px
    notes = tuple(dict.fromkeys((*source.notes, "texture_painted_anew")))
    return Surface(vertices, faces, uv, None, np.zeros(len(faces), np.int64), (material,), notes)
