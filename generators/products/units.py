"""Units of sets: what they are, and the forms and materials they are made from.

A unit lies as it would in a pack: its lowest point on z = 0, its middle on the z axis, its length along y.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float

from ...sim.scene import SURFACES, Material, Part, transform_part
from ..artwork import Artwork, Ink
from ..atlas import Atlas
from ..shapes import Mesh, cap, end_ring, join, lathe, loft, move, solid

LIE = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""Lays what was turned about z along y."""
Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Unit:
    """One piece of a set, in its own frame."""

    kind: str
    parts: tuple[Part, ...]
    size_m: Float[np.ndarray, "3"]
    mass_g: float


@dataclass(frozen=True)
class Piece:
    """What becomes one part of a unit."""

    name: str
    mesh: Mesh
    material: Material
    atlas: Atlas | None = None
    crease_deg: float = 38.0


@dataclass(frozen=True)
class Order:
    """What a unit is drawn from."""

    shape: np.random.Generator
    colours: np.random.Generator
    artwork: Artwork
    scale: float = 1.0


def turn(axis: int, degrees: float) -> Float[np.ndarray, "3 3"]:
    """Rotate about a coordinate axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out = np.eye(3)
    out[i, i], out[i, j], out[j, i], out[j, j] = c, -s, s, c
    return out


def lay(mesh: Mesh, R: Float[np.ndarray, "3 3"], *at: float) -> Mesh:
    """Turn, then put at a place [m]."""
    return move(mesh, R, np.array(at if at else (0.0, 0.0, 0.0)))


def make_unit(kind: str, pieces: Sequence[Piece], mass_g: float) -> Unit:
    """Finish a unit's parts and set them down on z = 0, centred."""
    points = np.concatenate([p.mesh.vertices for p in pieces])
    low, high = points.min(axis=0), points.max(axis=0)
    shift = -np.array([*(low[:2] + high[:2]) / 2, low[2]])
    parts = tuple(
        solid(lay(p.mesh, np.eye(3), *shift), p.name, p.material, atlas=p.atlas, crease_deg=p.crease_deg)
        for p in pieces
    )
    return Unit(kind, parts, high - low, float(mass_g))


def place_unit(
    unit: Unit, R: Float[np.ndarray, "3 3"], t: Float[np.ndarray, "3"], *, item: int, surface: str = "contents"
) -> tuple[Part, ...]:
    """Move a unit's parts to their place and give them their item number."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = R, t
    label = SURFACES.index(surface)
    return tuple(
        replace(
            transform_part(part, pose), name=f"{unit.kind} {item} {part.name}", item=item,
            surface=np.full(len(part.faces), label, np.uint8),
        )
        for part in unit.parts
    )  # fmt: skip


def linear(ink: Ink) -> Rgb:
    """Linear RGB of an sRGB ink."""
    c = np.array(ink) / 255
    r, g, b = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return float(r), float(g), float(b)


def plastic(name: str, colour: Rgb, roughness: float = 0.3) -> Material:
    """Solid-coloured plastic."""
    return Material(name, colour, 0.0, roughness)


def metal(name: str, tone: float = 0.7, roughness: float = 0.2, tint: Rgb = (1.0, 0.99, 0.97)) -> Material:
    """Bare or plated metal."""
    r, g, b = (tone * t for t in tint)
    return Material(name, (r, g, b), 1.0, roughness)


def bright(rng: np.random.Generator) -> Rgb:
    """A strong plastic colour, as toys have."""
    pixel = np.array([[[int(rng.integers(180)), int(rng.uniform(190, 255)), int(rng.uniform(150, 250))]]], np.uint8)
    r, g, b = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0]
    return linear((int(r), int(g), int(b)))


def turned(profile: Sequence[tuple[float, float]], sectors: int = 28) -> Mesh:
    """A solid of revolution about z from (radius, z) [m], bottom first, closed with flat ends."""
    section = np.maximum(np.array(profile, float), [1e-5, -1e9])
    body = lathe(section, 1.0, panel=0, sectors=sectors)
    spacing = 0.6 * float(section[:, 0].max())
    ends = [cap(end_ring(body, top=up), spacing, panel=0, up=up) for up in (False, True)]
    return join([body, *ends])


def tube(rows: Float[np.ndarray, "k 5"], sectors: int = 20, *, power: float = 2.0) -> Mesh:
    """A limb along y: each row is (y, x, z, half width, half height) [m]; ``power`` over 2 squares the section."""

    def ring(row: int, angle: Float[np.ndarray, " m"]) -> Float[np.ndarray, "m 3"]:
        y, x, z, a, b = rows[row]
        c, s = np.cos(angle), np.sin(angle)
        r = (np.abs(c) ** power + np.abs(s) ** power) ** (-1 / power)
        return np.stack([x + a * r * c, np.full(len(angle), y), z - b * r * s], 1)

    body = loft(ring, np.arange(len(rows), dtype=float), sectors, panel=0)
    ends = []
    for row in (0, len(rows) - 1):
        points = body.vertices[row * (sectors + 1) : (row + 1) * (sectors + 1) - 1]
        fan = np.stack([np.full(sectors, sectors), np.arange(sectors), (np.arange(sectors) + 1) % sectors], 1)
        fan = fan if row else fan[:, ::-1]
        st = np.full((sectors, 3, 2), 0.5)
        ends.append(Mesh(np.concatenate([points, points.mean(0)[None]]), fan, st, np.zeros(sectors, np.uint8)))
    return join([body, *ends])


def ball(radius: float, rings: int = 9, sectors: int = 20) -> Mesh:
    """A sphere about the origin."""
    turns = np.linspace(-np.pi / 2, np.pi / 2, rings + 2)
    return turned([(radius * np.cos(a), radius * np.sin(a)) for a in turns[1:-1]], sectors)
