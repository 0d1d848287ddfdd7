"""Where a package leaks: at seams, caps, corners and whatever is open already; and what stands where it runs out."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree

from ...sim.scene import SURFACES, Part, transform_part
from ..coarse import coarse_sheet, face_at, weights_at
from ..damage.subject import Subject, site_weight
from ..mesh import Sheet, face_areas, face_normals, mesh_edges, subdivide_sheet, vertex_normals
from ..products.product import Hinge, Product
from .drips import bare_part

SEAM_M = 0.007
"""A face nearer than this to a fold or a joint of panels may leak there."""
HINGE_M = 0.016
LOW_M = 0.02
OPEN_REACH_M = 0.08
"""What is open this near to the mishap is where it leaks."""


@dataclass(frozen=True)
class Leak:
    """A place on a sheet."""

    face: int
    weights: Float[np.ndarray, "3"]

    def point(self, sheet: Sheet, vertices: Float[np.ndarray, "v 3"]) -> Float[np.ndarray, "3"]:
        """Where it is, given the sheet's vertices as they stand."""
        return self.weights @ vertices[sheet.faces[self.face]]


def _seams(sheet: Sheet, middle: Float[np.ndarray, "f 3"]) -> Bool[np.ndarray, " f"]:
    """Faces beside an edge where panels meet or that is folded by more than 35°."""
    edges, face_edge = mesh_edges(sheet.faces)
    order = np.argsort(face_edge.ravel(), kind="stable")
    edge, face = face_edge.ravel()[order], np.repeat(np.arange(len(sheet.faces)), 3)[order]
    pair = np.flatnonzero(edge[1:] == edge[:-1])
    a, b = face[pair], face[pair + 1]
    normal = face_normals(sheet.rest, sheet.faces)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
    bent = np.einsum("ij,ij->i", normal[a], normal[b]) < np.cos(np.radians(35))
    joint = bent | (sheet.panel[a] != sheet.panel[b])
    near = np.zeros(len(sheet.rest), bool)
    near[edges[edge[pair[joint]]].ravel()] = True
    return np.asarray(near[sheet.faces].any(axis=1))


def _to_axis(hinge: Hinge, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """Distance to a hinge's axis between its ends."""
    a, b = np.array(hinge.a, float), np.array(hinge.b, float)
    along = b - a
    share = np.clip((points - a) @ along / max(float(along @ along), 1e-12), 0, 1)
    return np.linalg.norm(points - a - share[:, None] * along, axis=1)


def leak_weights(subject: Subject, sheet: Sheet) -> tuple[Float[np.ndarray, " f"], Float[np.ndarray, " f"]]:
    """How likely each face leaks: by area, at seams and closures, low rather than high; and the same only below."""
    middle = sheet.rest[sheet.faces].mean(axis=1)
    standing = subject.to_world(sheet.vertices)
    height = standing[sheet.faces, 2].mean(axis=1)
    area = face_areas(sheet.rest, sheet.faces) * ~sheet.removed
    at_hinge = np.zeros(len(middle), bool)
    for hinge in subject.product.hinges:
        at_hinge |= _to_axis(hinge, middle) < HINGE_M
    weight = area * (0.05 + _seams(sheet, middle) + 2.0 * at_hinge) * (0.35 + np.exp(-height / LOW_M))
    weight *= site_weight(subject, middle)
    down = face_normals(standing, sheet.faces)[:, 2] < -0.7 * 2 * np.maximum(area, 1e-15)
    below = weight * (down | (height < 0.003))
    return weight, below if below.sum() > 0 else weight


def draw_leak(subject: Subject, sheet: Sheet, rng: np.random.Generator, hidden_share: float) -> tuple[Leak, bool]:
    """Where it leaks, and whether that is hidden; all is drawn in any case."""
    hidden = bool(rng.random() < hidden_share)
    coarse = coarse_sheet(sheet)
    faces = [_draw_face(weight, rng) for weight in leak_weights(subject, coarse)]
    share = rng.dirichlet(np.ones(3))
    opened = _opened(subject, sheet)
    if opened is not None:
        return Leak(opened, share), False
    corners = coarse.rest[coarse.faces[faces[hidden]]]
    face = face_at(sheet, coarse, faces[hidden], share @ corners)
    return Leak(face, share if coarse is sheet else weights_at(sheet.rest[sheet.faces[face]], share @ corners)), hidden


def _draw_face(weight: Float[np.ndarray, " f"], rng: np.random.Generator) -> int:
    share = np.cumsum(weight)
    return int(np.searchsorted(share, rng.random() * share[-1] * (1 - 1e-12), side="right"))


def _opened(subject: Subject, sheet: Sheet) -> int | None:
    """The lowest face that is gone near where the mishap struck; None if it opened nothing."""
    gone: Int[np.ndarray, " g"] = np.flatnonzero(sheet.removed)
    if subject.near is None or len(gone) == 0:
        return None
    middle = sheet.rest[sheet.faces[gone]].mean(axis=1)
    gone = gone[np.linalg.norm(middle - subject.near, axis=1) < OPEN_REACH_M]
    if len(gone) == 0:
        return None
    return int(gone[np.argmin(subject.to_world(sheet.rest)[sheet.faces[gone], 2].mean(axis=1))])


# ---- What stands there --------------------------------------------------------------------------------------------


def near_wall(subject: Subject, sheet: Sheet, trail: Float[np.ndarray, "n 3"] | None, low_m: float) -> Part | None:
    """The outer side of the wall as it is finished (world frame), where it is low or near a trail."""
    standing = subject.to_world(sheet.vertices)
    chosen = standing[sheet.faces, 2].min(axis=1) < low_m
    if trail is not None:
        away, _ = KDTree(trail).query(standing[sheet.faces].mean(axis=1), distance_upper_bound=0.022)
        chosen |= np.isfinite(away)
    chosen &= ~sheet.removed
    if not chosen.any():
        return None
    used, faces = np.unique(sheet.faces[chosen], return_inverse=True)
    piece = replace(
        sheet, vertices=standing[used], rest=sheet.rest[used], faces=faces.reshape(-1, 3), uv=sheet.uv[chosen],
        material=sheet.material[chosen], panel=sheet.panel[chosen], marks=sheet.marks[used],
        removed=sheet.removed[chosen],
    )  # fmt: skip
    for _ in range(sheet.levels):
        piece = subdivide_sheet(piece)
    out = piece.vertices
    if sheet.relief is not None:
        out = out + sheet.relief(piece.rest)[:, None] * vertex_normals(out, piece.faces)
    return bare_part(sheet.name, out, piece.faces)


def standing_parts(subject: Subject, product: Product, main: Part | None, low_m: float) -> list[Part]:
    """All that the tray is blocked by, in the world frame; dust is not."""
    walls = [near_wall(subject, sheet, None, low_m) for sheet in product.sheets[1:]]
    rigid = [
        transform_part(part, subject.T_world_item)
        for part in product.contents
        if (part.surface != SURFACES.index("contents")).any()
    ]
    around = [part for part in subject.around if part.name != "dust"]
    return [part for part in (main, *walls, *rigid, *around) if part is not None]
