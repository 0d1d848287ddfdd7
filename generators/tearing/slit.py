"""Cut a sheet along a tear's outline: finer triangles near it, vertices on it, the torn line opened."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from ..cut import split_edges, unzip_edges
from ..mesh import Sheet, mesh_edges
from .line import Outline, first_crossing, inside_ring, nearest_on_line, spaced
from .unfold import stretch

ROUNDS = 5
"""Of halving; a triangle that is still too coarse then stays so."""


@dataclass(frozen=True)
class Laid:
    """A sheet with its vertices' places in the plane of an unfolding (NaN beyond reach)."""

    sheet: Sheet
    plane: Float[np.ndarray, "v 2"]
    tolerance: float
    """Largest stretch of a face that counts as laid flat."""
    side: Float[np.ndarray, " v"]
    """Once cut: negative inside the outline, 0 on it, positive outside, NaN far away."""

    @property
    def exact(self) -> Bool[np.ndarray, " f"]:
        """Faces that lie flat without stretch and are still there."""
        return (stretch(self.sheet.rest, self.sheet.faces, self.plane) < self.tolerance) & ~self.sheet.removed


@dataclass(frozen=True)
class TearMesh:
    """A cut sheet."""

    laid: Laid
    inside: Bool[np.ndarray, " f"]
    """Faces of the flap."""
    torn: Bool[np.ndarray, " v"]
    """Vertices on the torn line, those of both lips."""


def _split(laid: Laid, edges: Int[np.ndarray, "e 2"], face_edge: Int[np.ndarray, "f 3"], at: Float[np.ndarray, " e"]):
    some = ~np.isnan(at)
    a, b, t = edges[some, 0], edges[some, 1], at[some][:, None]
    plane = np.concatenate([laid.plane, (1 - t) * laid.plane[a] + t * laid.plane[b]])
    side = np.concatenate([laid.side, (1 - t[:, 0]) * laid.side[a] + t[:, 0] * laid.side[b]])
    return replace(laid, sheet=split_edges(laid.sheet, edges, face_edge, at), plane=plane, side=side)


def lay(sheet: Sheet, plane: Float[np.ndarray, "v 2"], tolerance: float) -> Laid:
    """A sheet that is not cut yet."""
    return Laid(sheet, plane, tolerance, np.full(len(plane), np.nan))


def refine_near(laid: Laid, outline: Outline, *, at_line: float, at_hinge: float, within: float) -> Laid:
    """Halve triangles until their sides are about ``at_line`` [m] at the torn line, and so on."""
    torn, hinge = spaced(outline.torn, 0.5 * at_line), outline.hinge
    low, high = outline.ring.min(axis=0), outline.ring.max(axis=0)
    for _ in range(ROUNDS):
        corner = laid.plane[laid.sheet.faces]
        longest = np.linalg.norm(corner - np.roll(corner, 1, axis=1), axis=2).max(axis=1)
        middle = corner.mean(axis=1)
        reach = longest[:, None]
        near = ((middle > low - reach) & (middle < high + reach)).all(axis=1) & laid.exact
        some = np.flatnonzero(near)
        wanted = np.full(len(some), np.inf)
        wanted[inside_ring(middle[some], outline.ring)] = within
        for line, size in ((hinge, at_hinge), (torn, at_line)):
            close = nearest_on_line(middle[some], line)[0] < 0.6 * longest[some] + 1.5 * size
            wanted[close] = np.minimum(wanted[close], size)
        chosen = some[longest[some] > 1.7 * wanted]  # halving stops between 0.85 and 1.7 of what is wanted
        if len(chosen) == 0:
            break
        edges, face_edge = mesh_edges(laid.sheet.faces)
        at = np.full(len(edges), np.nan)
        at[np.unique(face_edge[chosen])] = 0.5
        laid = _split(laid, edges, face_edge, at)
    return laid


def signed_distance(laid: Laid, outline: Outline, margin: float) -> Float[np.ndarray, " v"]:
    """Distance [m] to the outline of vertices near it, negative inside; NaN elsewhere."""
    value = np.full(len(laid.plane), np.nan)
    used = np.zeros(len(laid.plane), bool)
    used[laid.sheet.faces[laid.exact]] = True
    low, high = outline.ring.min(axis=0) - margin, outline.ring.max(axis=0) + margin
    some = np.flatnonzero(used & ((laid.plane > low) & (laid.plane < high)).all(axis=1))
    ring = np.concatenate([outline.torn, outline.back[1:]])
    distance, _ = nearest_on_line(laid.plane[some], ring)
    value[some] = np.where(inside_ring(laid.plane[some], outline.ring), -distance, distance)
    return value


def cut_outline(laid: Laid, outline: Outline, *, snap: float, hinge: bool) -> Laid:
    """Put vertices where edges cross the outline.

    Vertices nearer than ``snap`` [m] count as on it: no slivers. Without ``hinge`` only the torn line is cut in.
    """
    value = signed_distance(laid, outline, 0.01)
    on = np.abs(value) < snap
    edges, face_edge = mesh_edges(laid.sheet.faces)
    a, b = edges.T
    usable = np.zeros(len(edges), bool)
    usable[face_edge[laid.exact]] = True
    crosses = np.flatnonzero((value[a] * value[b] < 0) & ~on[a] & ~on[b] & usable)
    at = np.full(len(edges), np.nan)
    a, b = a[crosses], b[crosses]
    torn, back = (first_crossing(laid.plane[a], laid.plane[b], line) for line in (outline.torn, outline.back))
    straight = np.abs(value[a]) / (np.abs(value[a]) + np.abs(value[b]))
    place = np.where(np.isnan(torn), np.where(np.isnan(back), straight, back), torn)
    if not hinge:
        place = torn
    at[crosses] = np.where(np.isnan(place), np.nan, np.clip(place, 0.04, 0.96))
    count = len(laid.plane)
    done = _split(replace(laid, side=np.where(on, 0.0, value)), edges, face_edge, at)
    side = done.side.copy()
    side[count:] = 0.0
    return replace(done, side=side)


def open_line(laid: Laid, outline: Outline, *, through: bool) -> TearMesh:
    """Open a sheet that was cut along an outline: both lips of the torn line get vertices of their own.

    Where a tear does not go ``through``, the wall stays whole; the line is only found.
    """
    faces = laid.sheet.faces
    inside = np.zeros(len(faces), bool)
    exact = np.flatnonzero(laid.exact)
    low, high = laid.side[faces[exact]].min(axis=1), laid.side[faces[exact]].max(axis=1)
    unclear = ~(low < 0) & ~(high > 0) | (low < 0) & (high > 0)  # all on the line, or where the hinge is not cut
    inside[exact] = (low < 0) & ~np.isnan(low)
    inside[exact[unclear]] = inside_ring(laid.plane[faces[exact[unclear]]].mean(axis=1), outline.ring)
    edges, face_edge = mesh_edges(faces)
    count, within = (np.bincount(face_edge.ravel(), w, minlength=len(edges)) for w in (None, np.repeat(inside, 3)))
    border = np.flatnonzero((count == 2) & (within == 1))
    middle = laid.plane[edges[border]].mean(axis=1)
    to_torn, where = nearest_on_line(middle, outline.torn)
    to_back, _ = nearest_on_line(middle, outline.back)
    opened = np.zeros(len(edges), bool)
    opened[border[(to_torn < to_back) & (where > 0) & (where < outline.length_m)]] = True
    torn = np.zeros(len(laid.plane), bool)
    torn[edges[opened]] = True
    if not through:
        return TearMesh(laid, inside, torn)
    done = unzip_edges(laid.sheet, opened)
    plane, lips = np.full((len(done.vertices), 2), np.nan), np.zeros(len(done.vertices), bool)
    plane[done.faces.ravel()], lips[done.faces.ravel()] = laid.plane[faces.ravel()], torn[faces.ravel()]
    side = np.full(len(done.vertices), np.nan)
    side[done.faces.ravel()] = laid.side[faces.ravel()]
    return TearMesh(replace(laid, sheet=done, plane=plane, side=side), inside, lips)


def cut_level(laid: Laid, value: Float[np.ndarray, " v"], *, snap: float) -> tuple[Laid, Float[np.ndarray, " w"]]:
    """Put vertices where ``value`` (NaN: not here) changes sign along edges; returns it at all vertices, 0 there."""
    value = np.where(np.abs(value) < snap, 0.0, value)
    edges, face_edge = mesh_edges(laid.sheet.faces)
    a, b = value[edges[:, 0]], value[edges[:, 1]]
    crossing = a * b < 0
    at = np.where(crossing, a / np.where(crossing, a - b, 1.0), np.nan)
    done = _split(laid, edges, face_edge, at)
    return done, np.concatenate([value, np.zeros(int(crossing.sum()))])
