"""Where products break: damage on the unfolded package, cell by cell, over how often each cell was seen.

Pixels become points of the item by depth, camera and pose, and points become places on the package laid flat: a box's
six faces about its front, or the unrolled side of a round package with its two ends. A damaged capture's points are
those of its pristine twin, so that what is torn off or pushed in counts where it was. Faces are those of the package as
it stands; views without depth, camera or pose are left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from ..sim.capture import Capture, View
from ..train.pose import is_pinhole, unproject

CELLS = 12
"""Cells along each side of a face."""
ROUND = {"tin", "beverage_can", "glass_jar", "pet_bottle"}
"""Families whose side is unrolled."""
BOX_FACES = ("front", "right", "back", "left", "top", "bottom")
ROUND_FACES = ("side", "top", "bottom")
TURN = 3
"""The unrolled side is so many times as wide as it is tall, in cells."""
SEEN_PX = 2
"""A cell counts as seen or damaged from this many pixels on."""
FACE_CELLS = 3
"""A face counts as damaged from this many of its cells on."""
FACE_SEEN = 0.25
"""A face counts as seen from this share of its cells on: at its edges, noise of depth brings in the neighbours."""
WAITING = 64

Cells = Int[np.ndarray, "f r c"]


@dataclass
class Heat:
    """Counts of captures per face and cell of one family."""

    faces: tuple[str, ...]
    size_mm: np.ndarray
    """Sum of the dimensions x, y, z of the captures, for the drawing's proportions."""
    seen: dict[str, np.ndarray] = field(default_factory=dict)
    damaged: dict[str, np.ndarray] = field(default_factory=dict)
    face_seen: dict[str, int] = field(default_factory=dict)
    face_damaged: dict[str, int] = field(default_factory=dict)
    captures: int = 0
    beside: int = 0
    """Captures with damage that lies beside the package: puddles, what fell out."""


def faces_of(family: str) -> tuple[str, ...]:
    """Names of a family's faces."""
    return ROUND_FACES if family in ROUND else BOX_FACES


def shape_of(face: str) -> tuple[int, int]:
    """Rows and columns of a face's cells."""
    return (CELLS, CELLS * TURN) if face == "side" else (CELLS, CELLS)


def unfold(
    points: Float[np.ndarray, "n 3"], size_m: Float[np.ndarray, "3"], faces: tuple[str, ...]
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, "n 2"]]:
    """Face of each point of the item frame, and its place there: to the right and up, each in [0, 1], from outside."""
    q = points / np.maximum(size_m / 2, 1e-6) - np.array([0.0, 0.0, 1.0])
    x, y, z = q.T
    if faces == ROUND_FACES:
        radius = np.hypot(x, y)
        face = np.where(np.abs(z) > radius, np.where(z > 0, 1, 2), 0)
        turn = np.arctan2(x, -y) / (2 * np.pi) + 0.5  # the front, on -y, is in the middle
        right, up = np.where(face == 0, 2 * turn - 1, x), np.where(face == 0, z, np.where(face == 1, y, -y))
    else:
        axis = np.abs(q).argmax(1)
        high = np.take_along_axis(q, axis[:, None], 1)[:, 0] > 0
        face = np.choose(axis, [np.where(high, 1, 3), np.where(high, 2, 0), np.where(high, 4, 5)])
        right = np.choose(face, [x, y, -x, -y, x, x])
        up = np.choose(face, [z, z, z, z, y, -y])
    return face, np.clip(np.stack([right, up], 1) / 2 + 0.5, 0, 1)


def count_cells(
    face: Int[np.ndarray, " n"], place: Float[np.ndarray, "n 2"], faces: tuple[str, ...]
) -> dict[str, Int[np.ndarray, "r c"]]:
    """How many points lie in each cell of each face; row 0 is the top."""
    counts = {}
    for k, name in enumerate(faces):
        rows, columns = shape_of(name)
        own = place[face == k]
        column = np.minimum((own[:, 0] * columns).astype(int), columns - 1)
        row = np.minimum(((1 - own[:, 1]) * rows).astype(int), rows - 1)
        counts[name] = np.bincount(row * columns + column, minlength=rows * columns).reshape(rows, columns)
    return counts


def heat_maps(
    captures: Iterable[Capture], marks: Mapping[str, Mapping[str, np.ndarray]] | None = None
) -> dict[str, Heat]:
    """Count, by family, where queries are damaged and where they were seen; twins lend their surface.

    ``marks`` are masks of a model by capture and camera, instead of the true ones.
    """
    found: dict[str, Heat] = {}
    for query, surface in _pairs(captures):
        size = _size_m(query.attributes)
        family = str(query.attributes.get("family") or query.attributes.get("category") or "unknown")
        if size is None or surface.T_world_item is None:
            continue
        heat = found.setdefault(family, Heat(faces_of(family), np.zeros(3)))
        masks = None if marks is None else marks.get(query.capture_id, {})
        _add(heat, query, surface, size, masks)
    return dict(sorted(found.items()))


def _size_m(attributes: Mapping[str, Any]) -> np.ndarray | None:
    size = attributes.get("dimensions_mm")
    if not isinstance(size, list | tuple) or len(size) != 3 or min(float(v) for v in size) <= 0:
        return None
    return np.array(size, float) / 1000


def _pairs(captures: Iterable[Capture]) -> Iterator[tuple[Capture, Capture]]:
    """Queries, each with the capture whose surface it has: its twin if it has one, else itself."""
    waiting: dict[str, Capture] = {}
    for capture in captures:
        if capture.role == "twin":
            query = waiting.pop(capture.capture_id, None)
            if query is not None:
                yield query, capture
        elif capture.role == "query" and capture.twin_id is not None:
            waiting[capture.twin_id] = capture
            if len(waiting) > WAITING:
                lost = waiting.pop(next(iter(waiting)))
                yield lost, lost
        elif capture.role == "query":
            yield capture, capture
    yield from ((query, query) for query in waiting.values())


def _add(
    heat: Heat, query: Capture, surface: Capture, size: np.ndarray, masks: Mapping[str, np.ndarray] | None
) -> None:
    views = {view.camera: view for view in surface.views}
    seen, damaged, beside = [], [], 0
    for view in query.views:
        ground = views.get(view.camera)
        mask = _mask(query, view, masks)
        if ground is None or mask is None or ground.depth is None or ground.item is None or not is_pinhole(ground):
            continue
        item = (ground.item > 0) & (ground.depth > 0)
        face, place = unfold(_points(ground, item, surface), size, heat.faces)
        seen.append(count_cells(face, place, heat.faces))
        struck = mask[item]
        damaged.append(count_cells(face[struck], place[struck], heat.faces))
        beside += int((mask & (ground.item == 0)).sum())
    if not seen:
        return
    heat.captures += 1
    heat.size_mm = heat.size_mm + 1000 * size
    heat.beside += beside >= SEEN_PX * FACE_CELLS
    for name in heat.faces:
        struck, looked = (np.sum([one[name] for one in counts], axis=0) >= SEEN_PX for counts in (damaged, seen))
        heat.seen[name] = looked + heat.seen.get(name, np.zeros(looked.shape, int))
        heat.damaged[name] = (struck & looked) + heat.damaged.get(name, np.zeros(looked.shape, int))
        if looked.mean() >= FACE_SEEN:
            heat.face_seen[name] = heat.face_seen.get(name, 0) + 1
            heat.face_damaged[name] = heat.face_damaged.get(name, 0) + int((struck & looked).sum() >= FACE_CELLS)


def _mask(query: Capture, view: View, masks: Mapping[str, np.ndarray] | None) -> Bool[np.ndarray, "h w"] | None:
    if masks is not None:
        return None if view.camera not in masks else np.asarray(masks[view.camera]) > 0.5
    if not query.defect:
        return np.zeros(view.rgb.shape[:2], bool)
    return None if view.damage is None else view.damage > 0


def _points(view: View, item: Bool[np.ndarray, "h w"], capture: Capture) -> Float[np.ndarray, "n 3"]:
    """What a view shows of the item, in the item frame [m]."""
    assert view.depth is not None and view.K is not None and view.T_world_cam is not None
    world = unproject(view.depth, view.K, view.T_world_cam)[item].astype(float)
    T = np.linalg.inv(np.array(capture.T_world_item, float))
    return world @ T[:3, :3].T + T[:3, 3]
