"""Fast colour from the same rays as the truth: area lights with soft shadows, ambient occlusion, gloss and metal.

A small stochastic ray tracer on arrays. Each pass shoots one jittered ray per pixel, one shadow ray per light, one
occlusion ray and one reflection ray; passes are averaged.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float, Int

from .booth import AreaLight, Booth, Camera
from .rays import Caster, Hits, build_caster, cast, occluded
from .scene import Material, Part, Scene
from .truth import pixel_rays

FIREFLY = 10.0
"""Radiance at which a reflected sample is clipped."""
ROUGH_FIREFLY = 1.5
"""The same on rough surfaces: a lamp mirrored by a tin onto the tray is a caustic, which few rays cannot draw."""
IRRATIONAL = tuple(math.sqrt(n) % 1 for n in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53)) * 4
"""Strides of the draws from pass to pass: two per lamp, then two for occlusion and two for gloss."""
SHARP = 0.2
"""Surfaces rougher than this get the lamps' gloss by sampling the lamps, smoother ones by hitting them."""
LOBE = 0.8
"""Share of the gloss lobe that is sampled; what its long tail would add is noise, not picture."""
BLURS = (0.0, 1.5, 4.0, 9.0)
"""Blurs of the surroundings [rows of 64], one for each step of gloss: rough metal needs no sharp windows."""


@dataclass(frozen=True)
class _Surface:
    """Shading inputs at n hits."""

    at: Float[np.ndarray, "n 3"]
    normal: Float[np.ndarray, "n 3"]
    base: Float[np.ndarray, "n 3"]
    metallic: Float[np.ndarray, " n"]
    roughness: Float[np.ndarray, " n"]
    emission: Float[np.ndarray, "n 3"]


@dataclass(frozen=True)
class _World:
    caster: Caster
    lights: tuple[AreaLight, ...]
    environment: tuple[Float[np.ndarray, "he we 3"], ...]
    """One picture per blur of BLURS."""
    irradiance: Float[np.ndarray, "9 3"]
    normals: Float[np.ndarray, "f 3 3"]
    uv: Float[np.ndarray, "f 3 2"]
    material: np.ndarray
    """Index of each face into ``materials``."""
    materials: tuple[Material, ...]
    textures: tuple[Float[np.ndarray, "_ _ 3"] | None, ...]
    emission: Float[np.ndarray, "m 3"]


@dataclass(frozen=True)
class _Dice:
    """Random numbers that belong to pixels: a twin draws the same ones, whichever other rays hit or are followed.

    From pass to pass each number steps on by an irrational share of one (Kronecker's sequence, shifted at random in
    each pixel), so that few passes spread evenly over lamps and gloss lobes.
    """

    seed: int
    step: int
    """Which pass."""
    count: int
    """Pixels of the picture."""
    pixel: Int[np.ndarray, " n"]
    """Of each ray."""

    def throw(self, depth: int) -> "_Throw":
        """Begin the draws of one level of reflection."""
        return _Throw(np.random.default_rng([self.seed, 1 + depth]), self, iter(IRRATIONAL))

    def take(self, rays: Int[np.ndarray, " m"]) -> "_Dice":
        """Keep some of the rays."""
        return replace(self, pixel=self.pixel[rays])


@dataclass(frozen=True)
class _Throw:
    rng: np.random.Generator
    dice: _Dice
    strides: Iterator[float]

    def uniform(self) -> Float[np.ndarray, " n"]:
        """Draw evenly from [0, 1)."""
        shift = np.float32(self.dice.step * next(self.strides) % 1.0)
        return (self.rng.random(self.dice.count, np.float32)[self.dice.pixel] + shift) % np.float32(1)

    def sphere(self) -> Float[np.ndarray, "n 3"]:
        """Draw evenly from the unit sphere."""
        z, turn = 2 * self.uniform() - 1, np.float32(2 * np.pi) * self.uniform()
        across = np.sqrt(1 - z * z)
        return np.stack([across * np.cos(turn), across * np.sin(turn), z], axis=1)


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


def _sh(direction: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 9"]:
    """Real spherical harmonics to degree 2."""
    x, y, z = direction.T
    return np.stack(
        [
            np.full(len(x), 0.282095, x.dtype), 0.488603 * y, 0.488603 * z, 0.488603 * x,
            1.092548 * x * y, 1.092548 * y * z,
            0.315392 * (3 * z * z - 1), 1.092548 * x * z, 0.546274 * (x * x - y * y),
        ],
        axis=1,
    )  # fmt: skip


def _irradiance(environment: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "9 3"]:
    """Harmonics of irradiance over pi (Ramamoorthi and Hanrahan, 2001)."""
    height, width = environment.shape[:2]
    theta = (np.arange(height) + 0.5) / height * np.pi
    phi = (np.arange(width) + 0.5) / width * 2 * np.pi - np.pi
    t, p = np.meshgrid(theta, phi, indexing="ij")
    direction = np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], -1).reshape(-1, 3)
    solid = (np.sin(t) * np.pi / height * 2 * np.pi / width).reshape(-1, 1)
    moments = _sh(direction).T @ (solid * environment.reshape(-1, 3))
    return moments * np.array([1.0] + [2 / 3] * 3 + [1 / 4] * 5)[:, None]


def _linear(texture: np.ndarray) -> Float[np.ndarray, "h w 3"]:
    table = (np.arange(256) / 255.0).astype(np.float32)
    table = np.where(table <= 0.04045, table / 12.92, ((table + 0.055) / 1.055) ** 2.4).astype(np.float32)
    return table[texture]


def _single(array: np.ndarray) -> np.ndarray:
    """Shading is done in single precision: half the memory to move."""
    return np.ascontiguousarray(array, dtype=np.float32)


def _unit(vectors: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return vectors / np.maximum(length, np.float32(1e-12))[:, None]


def _build_world(scene: Scene, booth: Booth) -> _World:
    lamps = tuple(_light_part(light) for light in booth.lights)
    parts = (*scene.parts, *booth.parts, *lamps)
    materials, material, emission = [], [], []
    for k, part in enumerate(parts):
        material.append(part.material.astype(int) + len(materials))
        materials += part.materials
        lamp = k - (len(parts) - len(lamps))
        emission += [booth.lights[lamp].radiance if lamp >= 0 else (0.0, 0.0, 0.0)] * len(part.materials)
    cache: dict[int, np.ndarray] = {}
    textures = []
    for m in materials:
        t = m.base_color_texture
        if t is not None and id(t) not in cache:
            cache[id(t)] = _linear(t)
        textures.append(None if t is None else cache[id(t)])
    environment = _single(booth.environment)
    return _World(
        caster=build_caster(parts),
        lights=booth.lights,
        environment=_blurred(environment),
        irradiance=_single(_irradiance(environment)),
        normals=_single(np.concatenate([p.normals for p in parts])),
        uv=_single(np.concatenate([p.uv for p in parts])),
        material=np.concatenate(material),
        materials=tuple(materials),
        textures=tuple(textures),
        emission=np.array(emission, np.float32),
    )


def _sample(picture: np.ndarray, uv: Float[np.ndarray, "n 2"]) -> np.ndarray:
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


def _surface(world: _World, hits: Hits, origins, directions) -> _Surface:
    """Shading inputs where rays hit; rays that miss must have been left out."""
    face = world.caster.first_face[hits.part] + hits.face
    normal = _unit(np.einsum("nkc,nk->nc", world.normals[face], hits.weights))
    behind = np.einsum("ij,ij->i", normal, directions) > 0
    normal *= np.where(behind, np.float32(-1), np.float32(1))[:, None]
    uv = np.einsum("nkc,nk->nc", world.uv[face], hits.weights)
    index = world.material[face]
    n = len(face)
    base, metallic, roughness = (np.zeros(shape, np.float32) for shape in ((n, 3), n, n))
    for k in np.unique(index):
        m, at = world.materials[k], index == k
        texture = world.textures[k]
        base[at] = np.array(m.base_color, np.float32) * (1.0 if texture is None else _sample(texture, uv[at]))
        rough_metal = m.metallic_roughness_texture
        factors = np.ones((1, 3), np.float32) if rough_metal is None else _sample(rough_metal, uv[at]) / np.float32(255)
        roughness[at], metallic[at] = m.roughness * factors[:, 1], m.metallic * factors[:, 2]
    at = origins + hits.distance[:, None] * directions
    return _Surface(
        at + 2e-5 * normal,
        normal,
        np.clip(base, 0, 1),
        metallic,
        np.clip(roughness, 0.03, 1),
        np.where(behind[:, None], np.float32(0), world.emission[index]),  # a lamp's back is dark
    )


def _blurred(environment: Float[np.ndarray, "h w 3"]) -> tuple[Float[np.ndarray, "h w 3"], ...]:
    height, width = environment.shape[:2]
    wide = np.concatenate([environment] * 3, axis=1)
    scale = height / 64
    return tuple(
        environment if blur == 0 else cv2.GaussianBlur(wide, (0, 0), blur * scale)[:, width : 2 * width]
        for blur in BLURS
    )


def _look_up(world: _World, direction: Float[np.ndarray, "n 3"], roughness: Float[np.ndarray, " n"]) -> np.ndarray:
    unit = _unit(direction)
    u = (np.arctan2(unit[:, 1], unit[:, 0]) + np.pi) / (2 * np.pi)
    v = 1 - np.arccos(np.clip(unit[:, 2], -1, 1)) / np.pi
    uv = np.stack([u, v], axis=1)
    level = np.clip(np.round(roughness * 5).astype(int), 0, len(BLURS) - 1)
    out = np.zeros((len(unit), 3), np.float32)
    for k in np.unique(level):
        out[level == k] = _sample(world.environment[k], uv[level == k])
    return out


def _lamps(
    world: _World, s: _Surface, view: Float[np.ndarray, "n 3"], throw: _Throw, *, shadows: bool
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """What the area lights send: irradiance over pi, and gloss before Fresnel (GGX; Walter et al., 2007)."""
    matt, gloss = np.zeros((len(s.at), 3), np.float32), np.zeros((len(s.at), 3), np.float32)
    alpha2 = s.roughness**4
    for light in world.lights:
        T, radiance = _single(light.T_world_light), np.array(light.radiance, np.float32)
        a, b = ((throw.uniform() - np.float32(0.5)) * np.float32(side) for side in light.size_m)
        to = T[:3, 3] + a[:, None] * T[:3, 0] + b[:, None] * T[:3, 1] - s.at
        squared = np.einsum("ij,ij->i", to, to)
        unit = to / np.sqrt(squared)[:, None]
        facing = np.clip(np.einsum("ij,ij->i", unit, s.normal), 0, None)
        form = facing * np.clip(unit @ T[:3, 2], 0, None) * light.size_m[0] * light.size_m[1] / squared
        if shadows:
            lit = form > 1e-6
            blocked = occluded(world.caster, s.at[lit], to[lit], np.full(int(lit.sum()), 0.999))
            form[np.flatnonzero(lit)[blocked]] = 0
        matt += form[:, None] * (radiance / np.float32(np.pi))
        half = _unit(unit + view)
        spread = np.clip(np.einsum("ij,ij->i", half, s.normal), 0, 1) ** 2 * (alpha2 - 1) + 1
        peak = alpha2 / (np.pi * spread**2)
        shine = np.where(s.roughness > SHARP, form * peak / (4 * np.maximum(facing, 0.1)), np.float32(0))
        gloss += np.minimum(shine[:, None] * radiance, FIREFLY)
    return matt, gloss


def _hemisphere(normal: Float[np.ndarray, "n 3"], throw: _Throw) -> Float[np.ndarray, "n 3"]:
    """Cosine-weighted directions: the normal plus a point of the unit sphere."""
    return _unit(normal * np.float32(1.0001) + throw.sphere())


def _ambient(world: _World, s: _Surface, throw: _Throw, *, shadows: bool) -> Float[np.ndarray, "n 3"]:
    """Irradiance over pi from the surroundings, with occlusion."""
    ambient = np.maximum(_sh(s.normal) @ world.irradiance, np.float32(0))
    if shadows:
        blocked = occluded(world.caster, s.at, _hemisphere(s.normal, throw), np.full(len(s.at), 0.5))
        ambient = (
            ambient * np.where(blocked, np.float32(0.25), np.float32(1))[:, None]
        )  # a blocker sends back some light of its own
    return ambient


def _reflected_directions(s: _Surface, directions, throw: _Throw):
    """One GGX half vector per hit (Walter et al., 2007), and the cosine towards it."""
    view = -_unit(directions)
    alpha = s.roughness**2
    u, phi = np.float32(LOBE) * throw.uniform(), np.float32(2 * np.pi) * throw.uniform()
    tangent = alpha * np.sqrt(u / np.maximum(1 - u, 1e-6))
    helper = np.where(np.abs(s.normal[:, 2:]) < 0.9, _single(np.eye(3)[2:]), _single(np.eye(3)[:1]))
    x = _unit(np.cross(helper, s.normal))
    y = np.cross(s.normal, x)
    half = _unit(s.normal + tangent[:, None] * (np.cos(phi)[:, None] * x + np.sin(phi)[:, None] * y))
    cosine = np.clip(np.einsum("ij,ij->i", view, half), 0, 1)
    out = 2 * cosine[:, None] * half - view
    below = np.einsum("ij,ij->i", out, s.normal)
    return out - np.where(below < 0, 2 * below, 0)[:, None] * s.normal, cosine


def _shade(
    world: _World, hits: Hits, origins, directions, dice: _Dice, depth: int, gloss_of: np.ndarray
) -> Float[np.ndarray, "n 3"]:
    """Radiance along rays; ``depth`` reflections are followed. ``gloss_of`` is the roughness the rays come from."""
    color = np.zeros((len(origins), 3), np.float32)
    miss = hits.part < 0
    color[miss] = _look_up(world, directions[miss], gloss_of[miss])
    hit = np.flatnonzero(~miss)
    if len(hit) == 0:
        return color
    sub = Hits(hits.distance[hit], hits.part[hit], hits.face[hit], hits.weights[hit])
    s = _surface(world, sub, origins[hit], directions[hit])
    view = -_unit(directions[hit])
    first = depth == 2
    dice = dice.take(hit)
    throw = dice.throw(depth)
    matt, gloss = _lamps(world, s, view, throw, shadows=first)
    out = s.base * (1 - s.metallic)[:, None] * (_ambient(world, s, throw, shadows=first) + matt)
    # A lamp's own light reaches rough surfaces through _lamps: counting it on a hit too would double it.
    out += s.emission * (gloss_of[hit] <= SHARP)[:, None]
    way, cosine = _reflected_directions(s, directions[hit], throw)
    f0 = 0.04 * (1 - s.metallic)[:, None] + s.base * s.metallic[:, None]
    fresnel = f0 + (np.maximum(1 - s.roughness[:, None], f0) - f0) * ((1 - cosine) ** 5)[:, None]
    out += fresnel * gloss
    followed = fresnel.max(axis=1) > (0.02 if first else 0.2) if depth > 0 else np.zeros(len(hit), bool)
    follow, rest = np.flatnonzero(followed), np.flatnonzero(~followed)
    if len(follow):
        again = cast(world.caster, s.at[follow], way[follow])
        bounced = _shade(world, again, s.at[follow], way[follow], dice.take(follow), depth - 1, s.roughness[follow])
        ceiling = np.where(s.roughness[follow] > SHARP, ROUGH_FIREFLY, FIREFLY).astype(np.float32)
        out[follow] += fresnel[follow] * np.minimum(bounced, ceiling[:, None])
    out[rest] += fresnel[rest] * np.maximum(_sh(way[rest]) @ world.irradiance, 0)
    color[hit] = out
    return color


def _render_camera(world: _World, camera: Camera, samples: int, seed: int) -> Float[np.ndarray, "h w 3"]:
    total = np.zeros((camera.height * camera.width, 3))
    sharp = np.zeros(len(total), np.float32)
    for k in range(samples):
        # One ray in each cell of a lattice over the pixel: smoother edges than independent draws.
        shift = np.array([(k + 0.5) / samples, ((k * 0.618034) + 0.5) % 1.0]) - 0.5
        rng = np.random.default_rng([seed, k])
        jitter = shift + (rng.random((camera.height, camera.width, 2)) - 0.5) / samples
        origins, directions = (_single(rays) for rays in pixel_rays(camera, offset=jitter))
        dice = _Dice(seed, k, len(total), np.arange(len(total)))
        total += _shade(world, cast(world.caster, origins, directions), origins, directions, dice, 2, sharp)
    return (total / samples).reshape(camera.height, camera.width, 3).astype(np.float32)


def preview_colour(
    scenes: Sequence[Scene], booth: Booth, *, samples: int, seed: int
) -> list[dict[str, Float[np.ndarray, "h w 3"]]]:
    """Linear radiance per camera, for each scene (contract C6). The same seed gives twins the same noise."""
    out = []
    for scene in scenes:
        world = _build_world(scene, booth)
        out.append({c.name: _render_camera(world, c, samples, seed + k) for k, c in enumerate(booth.cameras)})
    return out
