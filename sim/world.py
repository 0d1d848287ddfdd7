"""A scene made ready for shading: materials and textures where rays hit, and the light that clear faces let through.

Clear walls are thin: light goes straight on, as through film and bottles, and nothing works as a lens. A wall is two
faces, its outer and its inner side, so each face passes the square root of what its material passes.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from .booth import AreaLight, Booth
from .rays import Caster, Hits, build_caster, occluded, split_clear, walk
from .scene import Material, Part, Scene
from .shading import unit

LAYERS = 10
"""Clear faces that a ray goes through: the walls of a bottle and of the drink in it, and of what stands before it."""
F0 = 0.04
"""Share of light that a dielectric mirrors when seen straight on."""


@dataclass(frozen=True)
class Surface:
    """Shading inputs at n hits."""

    at: Float[np.ndarray, "n 3"]
    normal: Float[np.ndarray, "n 3"]
    base: Float[np.ndarray, "n 3"]
    metallic: Float[np.ndarray, " n"]
    roughness: Float[np.ndarray, " n"]
    emission: Float[np.ndarray, "n 3"]
    clear: Float[np.ndarray, " n"]
    """Share of the light not mirrored that goes through this face."""
    back: Bool[np.ndarray, " n"]
    """Seen from inside the wall: the gloss of a clear wall is on the side where light comes in."""


@dataclass(frozen=True)
class Paints:
    """Materials and textures of parts, joined face by face."""

    uv: Float[np.ndarray, "f 3 2"]
    material: Int[np.ndarray, " f"]
    """Index of each face into ``materials``."""
    materials: tuple[Material, ...]
    textures: tuple[Float[np.ndarray, "_ _ 3"] | None, ...]


def build_paints(parts: tuple[Part, ...]) -> Paints:
    """Join the materials of parts; each texture is made linear once."""
    materials, material = [], []
    for part in parts:
        material.append(part.material.astype(int) + len(materials))
        materials += part.materials
    cache: dict[int, np.ndarray] = {}
    textures = []
    for m in materials:
        t = m.base_color_texture
        if t is not None and id(t) not in cache:
            cache[id(t)] = _linear(t)
        textures.append(None if t is None else cache[id(t)])
    uv = single(np.concatenate([p.uv for p in parts]))
    return Paints(uv, np.concatenate(material), tuple(materials), tuple(textures))


def paint_at(
    paints: Paints, face: Int[np.ndarray, " n"], weights: Float[np.ndarray, "n 3"]
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Base colour, metallic and roughness of joined faces at barycentric weights."""
    return _paint(paints, face, weights)[:3]


@dataclass(frozen=True)
class World:
    """What rays can meet, joined face by face."""

    paints: Paints
    caster: Caster
    opaque: Caster
    """Without clear faces: what blocks light altogether."""
    see_through: Caster | None
    """The clear faces only; None where there are none."""
    see_through_face: Int[np.ndarray, " c"]
    """Number of each of these in the joined mesh."""
    lights: tuple[AreaLight, ...]
    environment: tuple[Float[np.ndarray, "he we 3"], ...]
    """One picture for each of the renderer's blurs."""
    irradiance: Float[np.ndarray, "9 3"]
    normals: Float[np.ndarray, "f 3 3"]
    emission: Float[np.ndarray, "m 3"]


def _light_part(light: AreaLight) -> Part:
    x, y = light.size_m[0] / 2, light.size_m[1] / 2
    local = np.array([[-x, -y, 0], [x, -y, 0], [x, y, 0], [-x, y, 0.0]])
    faces = np.array([[0, 2, 1], [0, 3, 2]])
    normal = -light.T_world_light[:3, 2]
    return Part(
        "light", local @ light.T_world_light[:3, :3].T + light.T_world_light[:3, 3], faces, np.zeros((2, 3, 2)),
        np.tile(normal, (2, 3, 1)), (Material("light"),), np.zeros(2, np.uint8), np.zeros(2, np.uint8),
        np.zeros(2, np.uint8), 0,
    )  # fmt: skip


def _linear(texture: np.ndarray) -> Float[np.ndarray, "h w 3"]:
    table = (np.arange(256) / 255.0).astype(np.float32)
    table = np.where(table <= 0.04045, table / 12.92, ((table + 0.055) / 1.055) ** 2.4).astype(np.float32)
    return table[texture]


def single(array: np.ndarray) -> np.ndarray:
    """Shading is done in single precision: half the memory to move."""
    return np.ascontiguousarray(array, dtype=np.float32)


def to_unit(vectors: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Vectors of length 1."""
    return unit(np.ascontiguousarray(vectors))


def build_world(
    scene: Scene,
    booth: Booth,
    environment: tuple[Float[np.ndarray, "he we 3"], ...],
    irradiance: Float[np.ndarray, "9 3"],
) -> World:
    """Join the scene, the booth and its lamps."""
    lamps = tuple(_light_part(light) for light in booth.lights)
    parts = (*scene.parts, *booth.parts, *lamps)
    emission = []
    for k, part in enumerate(parts):
        lamp = k - (len(parts) - len(lamps))
        emission += [booth.lights[lamp].radiance if lamp >= 0 else (0.0, 0.0, 0.0)] * len(part.materials)
    paints = build_paints(parts)
    caster, split = build_caster(parts), split_clear(parts)
    return World(
        paints=paints,
        caster=caster,
        opaque=caster if split is None else split[0],
        see_through=None if split is None else split[1],
        see_through_face=np.flatnonzero(np.array([m.transmission > 0 for m in paints.materials])[paints.material]),
        lights=booth.lights,
        environment=environment,
        irradiance=irradiance,
        normals=single(np.concatenate([p.normals for p in parts])),
        emission=np.array(emission, np.float32),
    )


def sample(picture: np.ndarray, uv: Float[np.ndarray, "n 2"]) -> np.ndarray:
    """Bilinear texture lookup; v is up."""
    height, width = picture.shape[:2]
    x = (uv[:, 0] * width - 0.5).astype(np.float32)
    y = ((1 - uv[:, 1]) * height - 0.5).astype(np.float32)
    rows = 16384  # OpenCV's remap takes maps of less than 32768 a side
    out = [
        cv2.remap(
            picture, x[k : k + rows][:, None], y[k : k + rows][:, None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
        )
        for k in range(0, len(x), rows)
    ]
    return np.concatenate(out).reshape(len(x), -1) if out else np.zeros((0, 3))


def _paint(
    paints: Paints, face: Int[np.ndarray, " n"], weights: Float[np.ndarray, "n 3"]
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, " n"], Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Base colour, metallic, roughness and clear share of joined faces at barycentric weights."""
    uv = np.einsum("nkc,nk->nc", paints.uv[face], weights)
    index = paints.material[face]
    n = len(face)
    base, metallic, roughness, clear = (np.zeros(shape, np.float32) for shape in ((n, 3), n, n, n))
    for k in np.unique(index):
        m, at = paints.materials[k], index == k
        texture = paints.textures[k]
        base[at] = np.array(m.base_color, np.float32) * (1.0 if texture is None else sample(texture, uv[at]))
        rough_metal = m.metallic_roughness_texture
        factors = np.ones((1, 3), np.float32) if rough_metal is None else sample(rough_metal, uv[at]) / np.float32(255)
        roughness[at], metallic[at] = m.roughness * factors[:, 1], m.metallic * factors[:, 2]
        clear[at] = np.sqrt(m.transmission)
    return np.clip(base, 0, 1), metallic, np.clip(roughness, 0.03, 1), clear * (1 - metallic)


def surface_at(
    world: World, hits: Hits, origins: Float[np.ndarray, "n 3"], directions: Float[np.ndarray, "n 3"]
) -> Surface:
    """Shading inputs where rays hit; rays that miss must have been left out."""
    face = world.caster.joined(hits)
    normal = to_unit(np.einsum("nkc,nk->nc", world.normals[face], hits.weights))
    behind = np.einsum("ij,ij->i", normal, directions) > 0
    normal *= np.where(behind, np.float32(-1), np.float32(1))[:, None]
    base, metallic, roughness, clear = _paint(world.paints, face, hits.weights)
    at = origins + hits.distance[:, None] * directions
    emission = world.emission[world.paints.material[face]]
    # Which side of a wall this is follows from the face, as in Cycles; shading normals mislead at silhouettes.
    flat = world.caster.normals[face] if world.see_through is not None else None
    return Surface(
        at + 2e-5 * normal,
        normal,
        base,
        metallic,
        roughness,
        np.where(behind[:, None], np.float32(0), emission),  # a lamp's back is dark
        clear,
        behind if flat is None else np.einsum("ij,ij->i", flat, directions) > 0,
    )


def mirrored(f0: np.ndarray | np.float32, roughness: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    """Schlick's Fresnel share; rough surfaces brighten less towards grazing."""
    return f0 + (np.maximum(1 - roughness, f0) - f0) * (1 - cosine) ** 5


def passed(base: Float[np.ndarray, "n 3"], clear, back, roughness, cosine) -> Float[np.ndarray, "n 3"]:
    """Tint of the light that goes straight through one face; ``cosine`` is of the ray to the normal."""
    lost = np.where(back, np.float32(0), mirrored(np.float32(F0), roughness, np.clip(cosine, 0, 1)))
    return (clear * (1 - lost))[:, None] * np.sqrt(base)


def light_through(
    world: World,
    origins: Float[np.ndarray, "n 3"],
    directions: Float[np.ndarray, "n 3"],
    reach: Float[np.ndarray, " n"],
) -> Float[np.ndarray, "n c"]:
    """Share of light that gets past what lies within reach: 0 or 1, or a tint [n, 3] where there are clear faces."""
    free = ~occluded(world.opaque, origins, directions, reach)
    if world.see_through is None:
        return free.astype(np.float32)[:, None]
    share = np.repeat(free.astype(np.float32)[:, None], 3, axis=1)
    open_ = np.flatnonzero(free)
    way = directions[open_]
    for rays, hits in walk(world.see_through, origins[open_], way, reach[open_], layers=LAYERS):
        at = world.see_through.joined(hits)
        base, _, roughness, clear = _paint(world.paints, world.see_through_face[at], hits.weights)
        cosine = np.einsum("ij,ij->i", single(world.see_through.normals[at]), to_unit(way[rays]))
        share[open_[rays]] *= passed(base, clear, cosine > 0, roughness, np.abs(cosine))
    return share
