"""Fast colour from the same rays as the truth: area lights with soft shadows, ambient occlusion, gloss and metal.

A small stochastic ray tracer on arrays. Each pass shoots one jittered ray per pixel, one shadow ray per light, one
occlusion ray and one reflection ray; passes are averaged. Rays go straight on through clear faces, which tint them.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float, Int

from .booth import Booth, Camera
from .rays import beyond, cast
from .scene import Scene
from .shading import add_lamp, mirror, step_on, surroundings, towards_lamp
from .truth import pixel_rays
from .world import (
    F0,
    LAYERS,
    Surface,
    World,
    build_world,
    light_through,
    mirrored,
    passed,
    sample,
    single,
    surface_at,
    to_unit,
)

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
FAINT = 0.01
"""What carries less than this share of a pixel's light through clear faces is not followed."""
NEARLY_CLEAR = 0.9
"""Faces that pass more of the light than this have too little matt colour for shadows on it to be seen."""
MIRRORED_LAYERS = 4
"""Clear faces that a reflection goes through; a reflection in a reflection goes through none."""
BLURS = (0.0, 1.5, 4.0, 9.0)
"""Blurs of the surroundings [rows of 64], one for each step of gloss: rough metal needs no sharp windows."""


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
        return step_on(self.rng.random(self.dice.count, np.float32), self.dice.pixel, shift)

    def sphere(self) -> Float[np.ndarray, "n 3"]:
        """Draw evenly from the unit sphere."""
        z, turn = 2 * self.uniform() - 1, np.float32(2 * np.pi) * self.uniform()
        across = np.sqrt(1 - z * z)
        return np.stack([across * np.cos(turn), across * np.sin(turn), z], axis=1)


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


def _blurred(environment: Float[np.ndarray, "h w 3"]) -> tuple[Float[np.ndarray, "h w 3"], ...]:
    height, width = environment.shape[:2]
    wide = np.concatenate([environment] * 3, axis=1)
    scale = height / 64
    return tuple(
        environment if blur == 0 else cv2.GaussianBlur(wide, (0, 0), blur * scale)[:, width : 2 * width]
        for blur in BLURS
    )


def _look_up(world: World, direction: Float[np.ndarray, "n 3"], roughness: Float[np.ndarray, " n"]) -> np.ndarray:
    unit = to_unit(direction)
    u = (np.arctan2(unit[:, 1], unit[:, 0]) + np.pi) / (2 * np.pi)
    v = 1 - np.arccos(np.clip(unit[:, 2], -1, 1)) / np.pi
    uv = np.stack([u, v], axis=1)
    level = np.clip(np.round(roughness * 5).astype(int), 0, len(BLURS) - 1)
    out = np.zeros((len(unit), 3), np.float32)
    for k in np.unique(level):
        out[level == k] = sample(world.environment[k], uv[level == k])
    return out


def _lamps(
    world: World, s: Surface, view: Float[np.ndarray, "n 3"], throw: _Throw, *, shadows: bool
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """What the area lights send: irradiance over pi, and gloss before Fresnel (GGX; Walter et al., 2007)."""
    matt, gloss = np.zeros((len(s.at), 3), np.float32), np.zeros((len(s.at), 3), np.float32)
    at, normal, view, roughness = single(s.at), single(s.normal), single(view), single(s.roughness)
    for light in world.lights:
        T, radiance = single(light.T_world_light), np.array(light.radiance, np.float32)
        width, height = (np.float32(side) for side in light.size_m)
        to, form = towards_lamp(at, normal, throw.uniform(), throw.uniform(), T, width, height)
        arrives = np.ones((len(at), 1 if world.see_through is None else 3), np.float32)
        if shadows:
            lit = (form > 1e-6) & (s.clear < NEARLY_CLEAR)
            arrives[lit] = light_through(world, at[lit], to[lit], np.full(int(lit.sum()), 0.999))
        add_lamp(
            matt, gloss, to, form, arrives, normal, view, roughness, radiance, np.float32(SHARP), np.float32(FIREFLY)
        )
    return matt, gloss


def _hemisphere(normal: Float[np.ndarray, "n 3"], throw: _Throw) -> Float[np.ndarray, "n 3"]:
    """Cosine-weighted directions: the normal plus a point of the unit sphere."""
    return to_unit(normal * np.float32(1.0001) + throw.sphere())


def _ambient(world: World, s: Surface, throw: _Throw, *, shadows: bool) -> Float[np.ndarray, "n 3"]:
    """Irradiance over pi from the surroundings, with occlusion."""
    ambient = surroundings(single(s.normal), world.irradiance)
    if shadows:
        way, at = _hemisphere(s.normal, throw), s.clear < NEARLY_CLEAR
        arrives = light_through(world, s.at[at], way[at], np.full(int(at.sum()), 0.5))
        # A blocker sends back some light of its own.
        ambient[at] *= np.float32(0.25) + np.float32(0.75) * arrives
    return ambient


def _reflected_directions(s: Surface, directions, throw: _Throw):
    """One GGX half vector per hit, and the cosine towards it."""
    u, turn = np.float32(LOBE) * throw.uniform(), np.float32(2 * np.pi) * throw.uniform()
    return mirror(single(s.normal), -to_unit(single(directions)), single(s.roughness), u, turn)


@dataclass(frozen=True)
class _Rays:
    """Rays on their way from the camera."""

    origins: Float[np.ndarray, "n 3"]
    directions: Float[np.ndarray, "n 3"]
    dice: _Dice
    gloss_of: Float[np.ndarray, " n"]
    """Roughness of the surface that mirrored them, 0 from the camera."""
    weight: Float[np.ndarray, " n"]
    """Share of the light that clear faces before have let through."""

    def take(self, rays: Int[np.ndarray, " m"]) -> "_Rays":
        """Keep some of the rays."""
        return _Rays(
            self.origins[rays], self.directions[rays], self.dice.take(rays), self.gloss_of[rays], self.weight[rays]
        )


def _shade(world: World, rays: _Rays, depth: int, layers: int = LAYERS) -> Float[np.ndarray, "n 3"]:
    """Radiance along rays; ``depth`` reflections are followed, and up to so many layers of clear faces."""
    color = np.zeros((len(rays.origins), 3), np.float32)
    hits = cast(world.caster, rays.origins, rays.directions)
    miss = hits.part < 0
    color[miss] = _look_up(world, rays.directions[miss], rays.gloss_of[miss])
    hit = np.flatnonzero(~miss)
    if len(hit) == 0:
        return color
    hits, rays = hits.take(hit), rays.take(hit)
    s = surface_at(world, hits, rays.origins, rays.directions)
    view = -to_unit(rays.directions)
    throw = rays.dice.throw(depth)
    matt, gloss = _lamps(world, s, view, throw, shadows=depth == 2)
    base = s.base * (1 - s.metallic)[:, None]
    out = base * (_ambient(world, s, throw, shadows=depth == 2) + matt) * (1 - s.clear)[:, None]
    # A lamp's own light reaches rough surfaces through _lamps: counting it on a hit too would double it.
    out += s.emission * (rays.gloss_of <= SHARP)[:, None]
    _add_mirrored(out, world, s, rays, gloss, throw, depth)
    if s.clear.any():
        cosine = np.einsum("ij,ij->i", view, s.normal)
        tint = passed(s.base, s.clear, s.back, s.roughness, cosine)
        weight = rays.weight * tint.max(axis=1)
        follow = np.flatnonzero(weight > FAINT)
        onward = beyond(world.caster, hits.take(follow), rays.origins[follow], rays.directions[follow])
        on = replace(rays.take(follow), origins=onward, weight=weight[follow])
        # The draws of a reflection's depth serve every layer: what lies behind a clear face looks as it does without.
        seen = (
            _shade(world, on, depth, layers - 1)
            if layers > 0
            else surroundings(single(on.directions), world.irradiance)
        )
        out[follow] += tint[follow] * seen
    color[hit] = out
    return color


def _add_mirrored(
    out: Float[np.ndarray, "n 3"], world: World, s: Surface, rays: _Rays, gloss, throw: _Throw, depth: int
) -> None:
    """Add what surfaces mirror: the lamps' gloss, and one ray each that is followed where it counts."""
    way, cosine = _reflected_directions(s, rays.directions, throw)
    f0 = F0 * (1 - s.metallic)[:, None] + s.base * s.metallic[:, None]
    fresnel = mirrored(f0, s.roughness[:, None], cosine[:, None])
    fresnel = fresnel * np.where(s.back, 1 - s.clear, np.float32(1))[:, None]
    out += fresnel * gloss
    worth = fresnel.max(axis=1) * rays.weight
    followed = worth > (0.02 if depth == 2 else 0.2) if depth > 0 else np.zeros(len(worth), bool)
    follow, rest = np.flatnonzero(followed), np.flatnonzero(~followed)
    if len(follow):
        rough = s.roughness[follow]
        again = _Rays(s.at[follow], way[follow], rays.dice.take(follow), rough, rays.weight[follow])
        bounced = _shade(world, again, depth - 1, MIRRORED_LAYERS * (depth - 1))
        ceiling = np.where(rough > SHARP, ROUGH_FIREFLY, FIREFLY).astype(np.float32)
        out[follow] += fresnel[follow] * np.minimum(bounced, ceiling[:, None])
    out[rest] += fresnel[rest] * surroundings(single(way[rest]), world.irradiance)


def _render_camera(world: World, camera: Camera, samples: int, seed: int) -> Float[np.ndarray, "h w 3"]:
    total = np.zeros((camera.height * camera.width, 3))
    sharp, whole = np.zeros(len(total), np.float32), np.ones(len(total), np.float32)
    for k in range(samples):
        # One ray in each cell of a lattice over the pixel: smoother edges than independent draws.
        shift = np.array([(k + 0.5) / samples, ((k * 0.618034) + 0.5) % 1.0]) - 0.5
        rng = np.random.default_rng([seed, k])
        jitter = shift + (rng.random((camera.height, camera.width, 2)) - 0.5) / samples
        origins, directions = (single(rays) for rays in pixel_rays(camera, offset=jitter))
        dice = _Dice(seed, k, len(total), np.arange(len(total)))
        total += _shade(world, _Rays(origins, directions, dice, sharp, whole), 2)
    return (total / samples).reshape(camera.height, camera.width, 3).astype(np.float32)


def preview_colour(
    scenes: Sequence[Scene], booth: Booth, *, samples: int, seed: int
) -> list[dict[str, Float[np.ndarray, "h w 3"]]]:
    """Linear radiance per camera, for each scene (contract C6). The same seed gives twins the same noise."""
    out = []
    environment = single(booth.environment)
    blurred, irradiance = _blurred(environment), single(_irradiance(environment))
    for scene in scenes:
        world = build_world(scene, booth, blurred, irradiance)
        out.append({c.name: _render_camera(world, c, samples, seed + k) for k, c in enumerate(booth.cameras)})
    return out
