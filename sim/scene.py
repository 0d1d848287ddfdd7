"""What stands in the booth: parts with materials and per-face labels, as plain arrays.

Vertices are metres in the world frame (z up, origin at the centre of the tray's surface). See docs/conventions.md.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, UInt8

Kind = Literal["penetration", "deformation", "actuation", "deconstruction", "spillage", "superficial", "missing_unit"]
KINDS: tuple[Kind, ...] = (
    "penetration",
    "deformation",
    "actuation",
    "deconstruction",
    "spillage",
    "superficial",
    "missing_unit",
)
"""Kaputt's defect types; the position of a kind is its bit in a damage image."""

SURFACES = ("outer", "inner", "edge", "contents", "puddle")
"""Which side of a part a face belongs to; a part image holds ``8 * part number + position in SURFACES``."""


def kind_bit(kind: Kind) -> int:
    """Bit of a kind in damage images and per-face damage labels."""
    return 1 << KINDS.index(kind)


@dataclass(frozen=True)
class Material:
    """A metallic-roughness material with glTF 2.0's meaning of each field."""

    name: str
    base_color: tuple[float, float, float] = (0.8, 0.8, 0.8)
    """Linear RGB; multiplies the texture."""
    metallic: float = 0.0
    roughness: float = 0.5
    base_color_texture: UInt8[np.ndarray, "h w 3"] | None = None
    """sRGB picture; row 0 is v = 1 (the top)."""
    metallic_roughness_texture: UInt8[np.ndarray, "h2 w2 3"] | None = None
    """G is roughness, B is metallic, each times the factor above; R is unused."""
    transmission: float = 0.0
    """Share of light that goes straight through a wall, tinted by the base colour; it bends no ray.

    A wall has two faces, and each passes the square root of this and of the tint.
    """


@dataclass(frozen=True)
class Part:
    """A triangle mesh with labels per face."""

    name: str
    vertices: Float[np.ndarray, "v 3"]
    """Metres."""
    faces: Int[np.ndarray, "f 3"]
    """Counter-clockwise seen from outside."""
    uv: Float[np.ndarray, "f 3 2"]
    """Per corner, in [0, 1], v up."""
    normals: Float[np.ndarray, "f 3 3"]
    """Unit shading normals per corner: both renderers shade with these."""
    materials: tuple[Material, ...]
    material: UInt8[np.ndarray, " f"]
    """Index into ``materials``."""
    surface: UInt8[np.ndarray, " f"]
    """Index into SURFACES."""
    damage: UInt8[np.ndarray, " f"]
    """Bit mask of KINDS: this face is damaged."""
    item: int = 1
    """0 for tray and background, then 1, 2, … per unit."""

    @property
    def triangles(self) -> Float[np.ndarray, "f 3 3"]:
        """Corner positions [m]."""
        return self.vertices[self.faces]


@dataclass(frozen=True)
class Scene:
    """One item as it lies in the booth. The booth's own parts (tray, walls) belong to the booth."""

    parts: tuple[Part, ...]
    gone: tuple[Part, ...] = ()
    """Surfaces the item has lost, where they would be if it still had them: never drawn, only labelled (amodal)."""


def transform_part(part: Part, T_world_part: Float[np.ndarray, "4 4"]) -> Part:
    """Move a part rigidly: ``p_world = T_world_part @ p_part``."""
    R, t = T_world_part[:3, :3], T_world_part[:3, 3]
    return replace(part, vertices=part.vertices @ R.T + t, normals=part.normals @ R.T)
