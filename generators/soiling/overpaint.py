"""Paint that spoils a wall: from a picture laid over the unrolled wall to texels, a spoilt area and labels.

The picture is drawn in millimetres, whatever the mesh and the texture; texels look it up through their place in the
unrolled plane, so nothing breaks at UV seams. Faces that it touches get materials of their own: all the others keep
theirs to the byte.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import no_type_check

import cv2
import numba as nb
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from ...sim.scene import KINDS, Material
from ..cut import split_edges
from ..mesh import Base, Sheet, base_of, face_areas, mesh_edges
from .flatten import Patch
from .layers import Layer, Sketch

SUPERFICIAL = KINDS.index("superficial")
GUTTER_PX = 2.0
"""Texels painted beyond the border of each chart, so that no filter shows a seam."""
ROOM_MM = 15.0
"""Most room around a label in which vertices may be asked how far from it they are."""
PLAIN_PX_PER_MM = 5.0
"""Of the texture that a touched face without one gets."""
LABEL_MM = 0.75
"""Faces at a label's border are no longer than about this when finished."""
REFINEMENTS = 3


@dataclass(frozen=True)
class Stroke:
    """A damage on its piece of wall."""

    patch: Patch
    sketch: Sketch
    layer: Layer


# ---- Texels ---------------------------------------------------------------------------------------------------------


@nb.njit(cache=True)
@no_type_check
def _paint(texel, at, size, taken, layer, busy, picture, factor, gloss, aim, spoilt, depth, gutter):
    """Paint triangles: texels inside them first, then those of the gutter. Returns the newly spoilt area [m²].

    ``texel`` and ``at`` are corners in the texture and in the canvas [px]; ``layer`` holds times (3), plus (3), dull,
    bare, spoilt and inside. Where nothing changes nothing is written.
    """
    height, width = taken.shape
    rows, columns = busy.shape
    across, down = gloss.shape[1], gloss.shape[0]
    found, area = np.zeros(10), 0.0
    for turn in range(2):
        for k in range(len(texel)):
            ax, ay = texel[k, 0, 0], texel[k, 0, 1]
            bx, by, cx, cy = texel[k, 1, 0] - ax, texel[k, 1, 1] - ay, texel[k, 2, 0] - ax, texel[k, 2, 1] - ay
            det = bx * cy - by * cx
            if abs(det) < 1e-6:
                continue
            # Least barycentric coordinates that are still within the gutter of each side.
            e0, e1, e2 = 1e-6, 1e-6, 1e-6
            if turn == 1:
                e0 = gutter * np.sqrt((cx - bx) ** 2 + (cy - by) ** 2) / abs(det)
                e1 = gutter * np.sqrt(cx * cx + cy * cy) / abs(det)
                e2 = gutter * np.sqrt(bx * bx + by * by) / abs(det)
            x0 = max(int(np.floor(min(0.0, bx, cx) + ax - turn * gutter)), 0)
            x1 = min(int(np.ceil(max(0.0, bx, cx) + ax + turn * gutter)), width - 1)
            y0 = max(int(np.floor(min(0.0, by, cy) + ay - turn * gutter)), 0)
            y1 = min(int(np.ceil(max(0.0, by, cy) + ay + turn * gutter)), height - 1)
            for y in range(y0, y1 + 1):
                for x in range(x0, x1 + 1):
                    if taken[y, x] != 0:
                        continue
                    dx, dy = x - ax, y - ay
                    v = (dx * cy - dy * cx) / det
                    w = (bx * dy - by * dx) / det
                    u = 1.0 - v - w
                    if u < -e0 or v < -e1 or w < -e2:
                        continue
                    taken[y, x] = 1
                    px = u * at[k, 0, 0] + v * at[k, 1, 0] + w * at[k, 2, 0]
                    py = u * at[k, 0, 1] + v * at[k, 1, 1] + w * at[k, 2, 1]
                    if px < 0.0 or py < 0.0 or px >= columns - 1 or py >= rows - 1:
                        continue
                    i, j = int(py), int(px)
                    if busy[i, j] == 0:
                        continue
                    fy, fx = py - i, px - j
                    for c in range(9 if busy[i, j] == 1 else 0, 10):
                        top = (1 - fx) * layer[i, j, c] + fx * layer[i, j + 1, c]
                        low = (1 - fx) * layer[i + 1, j, c] + fx * layer[i + 1, j + 1, c]
                        found[c] = (1 - fy) * top + fy * low
                    depth[y, x] = max(depth[y, x], found[9])
                    if busy[i, j] == 1:
                        continue
                    if turn == 0 and found[8] > spoilt[y, x]:
                        area += (found[8] - spoilt[y, x]) * size[k]
                        spoilt[y, x] = found[8]
                    if found[6] + found[7] + 3 - found[0] - found[1] - found[2] < 1e-3:
                        continue
                    for c in range(3):
                        new = picture[y, x, c] * found[c] + found[3 + c] / factor[c]
                        picture[y, x, c] = np.uint8(min(max(new + 0.5, 0.0), 255.0))
                    # A coarser gloss texture is written once per texel of its own.
                    gy, gx = y * down // height, x * across // width
                    if (gy * height + down - 1) // down == y and (gx * width + across - 1) // across == x:
                        for c in range(2):
                            old = float(gloss[gy, gx, 1 + c])
                            new = old + found[6 + c] * (aim[c] - old)
                            gloss[gy, gx, 1 + c] = np.uint8(min(max(new + 0.5, 0.0), 255.0))
    return area


def _packed(layer: Layer, inside_mm: Float[np.ndarray, "h w"], share: float) -> tuple[np.ndarray, np.ndarray]:
    """A layer as the kernel reads it, no finer than the texels; where it paints (2), where a label is near (1)."""
    extra = np.dstack([layer.dull, layer.bare, layer.spoilt, inside_mm]).astype(np.float32)
    parts = [layer.times.astype(np.float32), layer.plus.astype(np.float32), extra]
    if share < 0.8:
        height, width = layer.spoilt.shape
        size = (max(2, round(width * share)), max(2, round(height * share)))
        parts = [cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in parts]
    whole = np.concatenate(parts, axis=2)
    some = (whole[..., 0] < 0.9998) | (whole[..., 2] < 0.9998) | (whole[..., 6] > 5e-4) | (whole[..., 8] > 0)
    busy = np.maximum(2 * some.astype(np.uint8), whole[..., 9] > 0)
    return whole, cv2.dilate(busy, np.ones((3, 3), np.uint8))


# ---- Materials ------------------------------------------------------------------------------------------------------


@dataclass
class _Coat:
    """Textures of a touched material while they are painted."""

    material: Material
    picture: UInt8[np.ndarray, "h w 3"]
    gloss: UInt8[np.ndarray, "h2 w2 3"]
    spoilt: Float[np.ndarray, "h w"]
    inside_mm: Float[np.ndarray, "h w"]
    """How far inside the label each texel is, plus ROOM_MM: 0 (not touched) is outside."""
    faces: list[Int[np.ndarray, " k"]] = field(default_factory=list)


def _coat(material: Material, shape: tuple[int, int]) -> _Coat:
    """Copies to paint on. Roughness gets room upwards; what it was stays exactly so where there was no texture."""
    picture = material.base_color_texture
    picture = np.full((*shape, 3), 255, np.uint8) if picture is None else picture.copy()
    old = material.metallic_roughness_texture
    if old is None:
        level = int(np.clip(np.ceil(255 * material.roughness), 1, 255))
        half = (max(picture.shape[0] // 2, 1), max(picture.shape[1] // 2, 1))  # gloss needs no fine print
        gloss = cv2.merge([np.full(half, v, np.uint8) for v in (255, level, 255)])
        roughness = min(255 * material.roughness / level, 1.0)
    else:
        table = np.clip(np.round(np.arange(256) * material.roughness), 0, 255).astype(np.uint8)
        gloss, roughness = old.copy(), 1.0
        gloss[..., 1] = cv2.LUT(np.ascontiguousarray(old[..., 1]), table)
    material = replace(material, roughness=roughness)
    still = np.zeros(picture.shape[:2], np.float32)
    return _Coat(material, picture, gloss, still, still.copy())


def _finished(coat: _Coat) -> Material:
    return replace(coat.material, base_color_texture=coat.picture, metallic_roughness_texture=coat.gloss)


def _make_room(coat: _Coat, layer: Layer) -> None:
    """Metal bared under paint needs a metalness texture that can go up; it starts at nothing."""
    if coat.material.metallic < 0.05 and layer.metallic > 0:
        coat.gloss[..., 2] = 0
        coat.material = replace(coat.material, metallic=1.0)


def _paint_coat(coat: _Coat, uv, place_mm, areas_m2, stroke: Stroke, inside_mm) -> float:
    """Paint a stroke on faces of one material; returns the newly spoilt area [m²]."""
    if areas_m2.sum() <= 0:  # slivers alone
        return 0.0
    height, width = coat.picture.shape[:2]
    layer, canvas = stroke.layer, stroke.patch.canvas
    _make_room(coat, layer)
    texel = np.stack([uv[..., 0] * width - 0.5, (1 - uv[..., 1]) * height - 0.5], axis=-1)
    edges = texel[:, 1:] - texel[:, :1]
    covered = 0.5 * np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0])
    share = float(np.sqrt(covered.sum() / (1e6 * areas_m2.sum()))) / canvas.px_per_mm
    packed, busy = _packed(layer, inside_mm, share)
    px = np.array(busy.shape[::-1]) / (2 * np.array(canvas.half_mm))
    at = (place_mm * np.array([1, -1]) + np.array(canvas.half_mm)) * px - 0.5
    factor = np.maximum(np.array(coat.material.base_color), 0.05) ** (1 / 2.2)
    aim = 255 * np.array(
        [layer.roughness / coat.material.roughness, layer.metallic / max(coat.material.metallic, 0.05)]
    )
    return _paint(
        texel, at, areas_m2 / np.maximum(covered, 1e-9), np.zeros((height, width), np.uint8), packed, busy,
        coat.picture, factor, coat.gloss, np.minimum(aim, 255.0), coat.spoilt, coat.inside_mm, GUTTER_PX,
    )  # fmt: skip


# ---- Labels ---------------------------------------------------------------------------------------------------------


def _inside_mm(stroke: Stroke, room_mm: float) -> Float[np.ndarray, "h w"]:
    """How far inside its label each point of the canvas is, plus ROOM_MM; 0 where it is ``room_mm`` outside."""
    spoilt = (stroke.layer.spoilt > 0.5).astype(np.uint8)
    ppm, sketch = stroke.patch.canvas.px_per_mm, stroke.sketch
    beyond = cv2.distanceTransform(1 - spoilt, cv2.DIST_L2, 3) / ppm
    closed = (beyond < sketch.close_mm).astype(np.uint8)
    depth = cv2.distanceTransform(closed, cv2.DIST_L2, 3) / ppm
    out = cv2.distanceTransform(1 - closed, cv2.DIST_L2, 3) / ppm
    inside = ROOM_MM + depth - out - sketch.close_mm + sketch.margin_mm
    return np.where(inside > ROOM_MM - room_mm, inside, 0).astype(np.float32)


def _room_mm(sheet: Sheet, faces: Int[np.ndarray, " k"]) -> float:
    """No point of a triangle is further from its nearest corner than its longest side over the root of 3."""
    a, b, c = (sheet.rest[sheet.faces[faces, k]] for k in range(3))
    longest2 = max(float(np.square(p - q).sum(axis=1).max(initial=0)) for p, q in ((a, b), (b, c), (c, a)))
    return float(min(1000 * np.sqrt(longest2 / 3) + 0.5, ROOM_MM - 0.5))


def _within_reach(patch: Patch, layer: Layer, inside_mm: Float[np.ndarray, "h w"]) -> Bool[np.ndarray, " k"]:
    """Faces over whose bounding box anything is painted or may be labelled."""
    busy = (inside_mm > 0) | (layer.dull > 5e-4) | (layer.times[..., 0] < 0.9995) | (layer.times[..., 2] < 0.9995)
    height, width = busy.shape
    total = cv2.integral(busy.astype(np.uint8))
    canvas = patch.canvas
    px = (patch.corners_mm * np.array([1, -1]) + np.array(canvas.half_mm)) * canvas.px_per_mm
    x, y = px[..., 0], px[..., 1]
    x0, x1 = (
        np.minimum(np.minimum(x[:, 0], x[:, 1]), x[:, 2]) - 2,
        np.maximum(np.maximum(x[:, 0], x[:, 1]), x[:, 2]) + 3,
    )
    y0, y1 = (
        np.minimum(np.minimum(y[:, 0], y[:, 1]), y[:, 2]) - 2,
        np.maximum(np.maximum(y[:, 0], y[:, 1]), y[:, 2]) + 3,
    )
    x0, x1 = (np.clip(v, 0, width).astype(int) for v in (x0, x1))
    y0, y1 = (np.clip(v, 0, height).astype(int) for v in (y0, y1))
    return total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0] > 0


def _corner_depth(sheet: Sheet, depths: dict[int, np.ndarray]) -> Float[np.ndarray, " v"]:
    """How far inside the label each vertex is [mm]: of its corners the one that is furthest inside."""
    best = np.full(len(sheet.rest), -ROOM_MM)
    for slot, image in depths.items():
        height, width = image.shape
        mine = sheet.material == slot
        uv = sheet.uv[mine].reshape(-1, 2)
        x = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
        y = np.clip(((1 - uv[:, 1]) * height).astype(int), 0, height - 1)
        np.maximum.at(best, sheet.faces[mine].ravel(), image[y, x].astype(float) - ROOM_MM)
    return best


def _refine(sheet: Sheet, depths: dict[int, np.ndarray]) -> Sheet:
    """Split faces at the labels' borders until they are short enough."""
    limit = 1.7 * 2.0**sheet.levels * LABEL_MM
    for _ in range(REFINEMENTS):
        depth = _corner_depth(sheet, depths)
        a, b, c = (sheet.rest[sheet.faces[:, k]] for k in range(3))
        ab, bc, ca = (np.einsum("ij,ij->i", d, d) for d in (b - a, c - b, a - c))
        longest = 1000 * np.sqrt(np.maximum(np.maximum(ab, bc), ca))
        da, db, dc = (np.abs(depth[sheet.faces[:, k]]) for k in range(3))
        near = np.minimum(np.minimum(da, db), dc) < 0.6 * longest
        chosen = near & np.isin(sheet.material, list(depths)) & (longest > limit)
        if not chosen.any():
            break
        edges, face_edge = mesh_edges(sheet.faces)
        at = np.full(len(edges), np.nan)
        at[np.unique(face_edge[chosen])] = 0.5
        sheet = split_edges(sheet, edges, face_edge, at)
    return sheet


def _label(sheet: Sheet, depths: dict[int, np.ndarray]) -> Sheet:
    """Refine the mesh at the labels' borders and mark what is inside."""
    touched = np.zeros(len(sheet.rest), bool)
    touched[sheet.faces[np.isin(sheet.material, list(depths))]] = True
    near = np.asarray(touched[sheet.faces].any(axis=1))  # these and no others can get a new vertex
    sheet = replace(sheet, base=base_of(sheet) or Base(sheet, ()))  # of all faces, not of these
    kept, local = _faces_of(sheet, ~near), _refine(_faces_of(sheet, near), depths)
    refined = len(local.rest) > len(sheet.rest)
    local = local if refined else sheet
    depth = _corner_depth(local, depths)
    marks = local.marks.copy()
    # A face is labelled if any corner is: the label would reach half a face too far.
    inside = np.where(depth > -ROOM_MM, np.clip(1 + (depth - 0.35 * LABEL_MM) / 2, 0, 3), 0.0)
    marks[:, SUPERFICIAL] = np.maximum(marks[:, SUPERFICIAL], inside)
    if not refined:
        return replace(sheet, marks=marks)
    both = {name: np.concatenate([getattr(kept, name), getattr(local, name)]) for name in _PER_FACE}
    return replace(local, marks=marks, **both)


_PER_FACE = ("faces", "uv", "material", "panel", "removed")


def _faces_of(sheet: Sheet, chosen: Bool[np.ndarray, " f"]) -> Sheet:
    return replace(sheet, **{name: getattr(sheet, name)[chosen] for name in _PER_FACE})


# ---- All of it ------------------------------------------------------------------------------------------------------


def spoil_sheet(sheet: Sheet, strokes: Sequence[Stroke]) -> tuple[Sheet, float]:
    """Paint, label and measure; the spoilt area is in mm², what is spoilt twice counts once."""
    areas, coats, area_m2 = face_areas(sheet.rest, sheet.faces), {}, 0.0
    uv = sheet.uv.copy()
    plain: Bool[np.ndarray, " f"] = np.zeros(len(sheet.faces), bool)
    for number, stroke in enumerate(strokes):
        if not (stroke.layer.spoilt > 0.5).any():
            continue
        inside = _inside_mm(stroke, _room_mm(sheet, stroke.patch.faces))
        near = _within_reach(stroke.patch, stroke.layer, inside)
        patch = replace(stroke.patch, faces=stroke.patch.faces[near], corners_mm=stroke.patch.corners_mm[near])
        for k in np.unique(sheet.material[patch.faces]):
            mine = sheet.material[patch.faces] == k
            material = sheet.materials[int(k)]
            key = (int(k), -1)
            if material.base_color_texture is None:  # bare: the picture itself becomes its texture
                mine &= ~plain[patch.faces]
                key = (int(k), number)
            faces, place = patch.faces[mine], patch.corners_mm[mine]
            if len(faces) == 0:
                continue
            if material.base_color_texture is None:
                half = np.array(patch.canvas.half_mm) + 12.0
                shape = tuple(int(v) for v in np.ceil(2 * half * PLAIN_PX_PER_MM)[::-1])
                fits = (np.abs(place) < half).all(axis=(1, 2))
                faces, place = faces[fits], place[fits]
                uv[faces] = place / (2 * half) + 0.5
                plain[faces] = True
                coat = coats[key] = _coat(material, (shape[0], shape[1]))
            else:
                coat = coats.setdefault(key, None) or _coat(material, (0, 0))
                coats[key] = coat
            area_m2 += _paint_coat(coat, uv[faces], place, areas[faces], stroke, inside)
            coat.faces.append(faces)
    return _dressed(replace(sheet, uv=uv), coats), 1e6 * area_m2


def _dressed(sheet: Sheet, coats: dict[tuple[int, int], _Coat]) -> Sheet:
    """Touched faces get their painted materials, put in before the inner side's and the edge's."""
    if not coats:
        return sheet
    last = len(sheet.materials) - 2
    material = np.where(sheet.material >= last, sheet.material + len(coats), sheet.material).astype(np.uint8)
    depths = {}
    for n, key in enumerate(sorted(coats)):
        for faces in coats[key].faces:
            material[faces] = last + n
        depths[last + n] = coats[key].inside_mm
    painted = tuple(_finished(coats[key]) for key in sorted(coats))
    materials = (*sheet.materials[:last], *painted, *sheet.materials[last:])
    return _label(replace(sheet, material=material, materials=materials), depths)
