"""The booth: cameras, lights, tray and backdrop, read from YAML, where every number may be a range.

``BoothSpec`` is what the YAML says; ``draw_booth`` turns it into a concrete ``Booth``, without looking at the item or
its damage, so that neither camera nor light can give a damage away.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
from jaxtyping import Float
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from .scene import Material, Part
from .yamlfile import read_yaml


@dataclass(frozen=True)
class DepthSensor:
    """Noise of a depth sensor; see ``sensor.record_depth`` for the formulas and their sources."""

    noise_mm_at_1m: float
    """Standard deviation of axial noise at 1 m; grows with the square of the distance."""
    quantum_mm: float
    grazing_deg: float
    """Surfaces seen at a larger angle to their normal than this return nothing."""
    gloss_loss: float
    """Chance of no return at a metal pixel more than 35° off its normal, 0-1; about a third of it when facing."""
    clear_loss: float = 0.4
    """Chance of no return where a clear wall stands before the opaque surface, 0-1."""
    clear_first: float = 0.1
    """Chance that the clear wall itself is recorded there; else the surface behind it is."""


@dataclass(frozen=True)
class Camera:
    """A concrete camera."""

    name: str
    width: int
    height: int
    K: Float[np.ndarray, "3 3"]
    """Pixels; pixel centres at +0.5."""
    T_world_cam: Float[np.ndarray, "4 4"]
    """OpenCV frame: ``p_world = T_world_cam @ p_cam``."""
    white_balance: tuple[float, float, float]
    exposure_ev: float
    """Added to automatic exposure."""
    noise: float
    """Standard deviation of colour noise, in [0, 1] linear units at mid grey."""
    blur_px: float
    jpeg_quality: int
    depth: DepthSensor | None = None


@dataclass(frozen=True)
class Scale:
    """The scale under the tray."""

    noise_g: float = 0.5
    """Standard deviation of a reading."""
    quantum_g: float = 0.1
    """Smallest step that it shows."""


@dataclass(frozen=True)
class AreaLight:
    """A one-sided rectangular light."""

    T_world_light: Float[np.ndarray, "4 4"]
    """Shines along its local -z; its sides are its local x and y."""
    size_m: tuple[float, float]
    radiance: tuple[float, float, float]
    """Linear RGB, W / (m² sr)."""


@dataclass(frozen=True)
class Booth:
    """A concrete booth: no ranges left."""

    name: str
    cameras: tuple[Camera, ...]
    lights: tuple[AreaLight, ...]
    environment: Float[np.ndarray, "he we 3"]
    """Linear radiance, latitude-longitude: row 0 is straight up; column 0 is azimuth -180°, azimuth grows with the
    column, measured from +x towards +y."""
    parts: tuple[Part, ...]
    """Tray, walls and backdrop, with ``item`` 0."""
    scale: Scale = Scale()


def _range(value: object) -> object:
    return (value, value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _ordered(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"a range is [low, high], but {value[0]} > {value[1]}")
    return value


Range = Annotated[tuple[float, float], BeforeValidator(_range), AfterValidator(_ordered)]
"""A number, or [low, high] to draw from uniformly."""


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DepthSpec(_Spec):
    """A depth sensor; structured light by default."""

    noise_mm_at_1m: Range = (1.5, 1.5)
    quantum_mm: float = Field(default=0.1, ge=0.1, description="step of the recorded depth; files hold 0.1 mm units")
    grazing_deg: Range = (78.0, 82.0)
    gloss_loss: Range = (0.5, 0.9)
    clear_loss: float = Field(default=0.4, ge=0, le=1, description="share of no returns behind a clear wall")
    clear_first: float = Field(default=0.1, ge=0, le=1, description="share of clear walls that are recorded themselves")

    @model_validator(mode="after")
    def _shares(self) -> "DepthSpec":
        if self.clear_loss + self.clear_first > 1:
            raise ValueError(
                f"clear_loss and clear_first are shares of the same pixels: lower one of them, as they sum to "
                f"{self.clear_loss + self.clear_first:g}, which is more than 1"
            )
        return self


class CameraSpec(_Spec):
    """A camera that looks at a point over the tray's centre."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    width: int = Field(default=224, ge=32, le=4096)
    height: int = Field(default=224, ge=32, le=4096)
    hfov_deg: Range
    azimuth_deg: Range = Field(description="where the camera stands; 0 looks along +y, 90 along -x")
    elevation_deg: Range
    distance_mm: Range
    aim_mm: Range = Field(default=(30.0, 60.0), description="height of the point it looks at")
    aim_off_mm: Range = Field(default=(0.0, 0.0), description="sideways offset of that point, both ways")
    roll_deg: Range = (0.0, 0.0)
    white_balance: Range = Field(default=(1.0, 1.0), description="gain drawn for red and for blue, green is 1")
    exposure_ev: Range = Field(default=(0.0, 0.0), description="added to automatic exposure")
    noise: Range = (0.005, 0.005)
    blur_px: Range = (0.4, 0.4)
    jpeg_quality: Range = (92.0, 92.0)
    depth: DepthSpec | None = None


class LightSpec(_Spec):
    """A rectangular light that points at the tray's centre."""

    azimuth_deg: Range
    elevation_deg: Range
    distance_mm: Range
    size_mm: Range
    radiance: Range = Field(description="of the panel, in units in which white paper under the ambient light is near 1")
    tint: Range = Field(default=(1.0, 1.0), description="red over green; blue goes the other way")
    share: float = Field(default=1.0, ge=0, le=1, description="share of captures in which it is lit")


class SurfaceSpec(_Spec):
    """Paint of the tray and the walls."""

    value: Range = Field(default=(0.05, 0.4), description="linear reflectance")
    saturation: Range = (0.0, 0.15)
    roughness: Range = (0.4, 0.9)
    grain: Range = Field(default=(0.0, 0.4), description="contrast of its mottling")


class WallSpec(_Spec):
    """An upright wall or backdrop."""

    azimuth_deg: float = Field(description="on which side: 0 is behind the item as seen from a camera at azimuth 0")
    distance_mm: Range
    share: float = Field(default=1.0, ge=0, le=1)
    surface: SurfaceSpec = SurfaceSpec()


class EnvironmentSpec(_Spec):
    """What else is reflected: dim surroundings with brighter panels (windows, lamps, furniture)."""

    ambient: Range = (0.1, 0.5)
    panels: tuple[int, int] = (3, 9)
    panel_log10: Range = Field(default=(-1.5, 1.0), description="log10 of a panel's radiance")
    panel_tint: float = Field(default=0.2, ge=0, le=1, description="how coloured dim panels are")


class ScaleSpec(_Spec):
    """The scale under the tray."""

    noise_g: Range = Field(default=(0.5, 0.5), description="standard deviation of a reading")
    quantum_g: float = Field(default=0.1, gt=0, description="smallest step that it shows")


class BoothSpec(_Spec):
    """A booth as its YAML file says. Every number may be a range."""

    name: str
    tray_size_mm: float = Field(default=700.0, gt=50, le=5000)
    rim_mm: Range = Field(default=(0.0, 0.0), description="height of the tray's rim; 0 is a table")
    tray: SurfaceSpec = SurfaceSpec()
    walls: tuple[WallSpec, ...] = ()
    lights: tuple[LightSpec, ...] = ()
    environment: EnvironmentSpec = EnvironmentSpec()
    scale: ScaleSpec = ScaleSpec()
    cameras: tuple[CameraSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique_names(self) -> "BoothSpec":
        names = [c.name for c in self.cameras]
        if len(set(names)) < len(names):
            raise ValueError(f"camera names must differ, but are {names}")
        return self


def _draw(value: tuple[float, float], rng: np.random.Generator) -> float:
    return float(rng.uniform(*value))


def look_at(eye: Float[np.ndarray, "3"], target: Float[np.ndarray, "3"], roll: float = 0.0) -> Float[np.ndarray, "4 4"]:
    """``T_world_cam`` in OpenCV axes of a camera at ``eye`` that looks at ``target`` with the world's z up."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, np.array([0.0, 0.0, 1.0]))
    if np.linalg.norm(right) < 1e-6:
        right = np.array([1.0, 0.0, 0.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    T = np.eye(4)
    T[:3, 0], T[:3, 1], T[:3, 2], T[:3, 3] = c * right + s * down, c * down - s * right, forward, eye
    return T


def _around(azimuth: float, elevation: float, distance: float) -> Float[np.ndarray, "3"]:
    """Point at azimuth (0 is -y, 90 is +x) and elevation, degrees and metres."""
    a, e = np.radians(azimuth), np.radians(elevation)
    return distance * np.array([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)])


def _draw_camera(spec: CameraSpec, rng: np.random.Generator) -> Camera:
    aim = np.array([*(_draw(spec.aim_off_mm, rng) * rng.choice([-1, 1]) / 1000 for _ in range(2)), 0.0])
    aim[2] = _draw(spec.aim_mm, rng) / 1000
    eye = aim + _around(
        _draw(spec.azimuth_deg, rng), _draw(spec.elevation_deg, rng), _draw(spec.distance_mm, rng) / 1000
    )
    eye[2] = max(eye[2], 0.015)  # never inside the tray
    focal = spec.width / 2 / np.tan(np.radians(_draw(spec.hfov_deg, rng)) / 2)
    sensor = None
    if spec.depth is not None:
        d = spec.depth
        sensor = DepthSensor(
            _draw(d.noise_mm_at_1m, rng), d.quantum_mm, _draw(d.grazing_deg, rng), _draw(d.gloss_loss, rng),
            d.clear_loss, d.clear_first,
        )  # fmt: skip
    return Camera(
        name=spec.name,
        width=spec.width,
        height=spec.height,
        K=np.array([[focal, 0, spec.width / 2], [0, focal, spec.height / 2], [0, 0, 1]]),
        T_world_cam=look_at(eye, aim, np.radians(_draw(spec.roll_deg, rng))),
        white_balance=(_draw(spec.white_balance, rng), 1.0, _draw(spec.white_balance, rng)),
        exposure_ev=_draw(spec.exposure_ev, rng),
        noise=_draw(spec.noise, rng),
        blur_px=_draw(spec.blur_px, rng),
        jpeg_quality=round(_draw(spec.jpeg_quality, rng)),
        depth=sensor,
    )


def _draw_light(spec: LightSpec, rng: np.random.Generator) -> AreaLight | None:
    at = _around(_draw(spec.azimuth_deg, rng), _draw(spec.elevation_deg, rng), _draw(spec.distance_mm, rng) / 1000)
    facing = look_at(at, np.zeros(3))
    facing[:3, 1:3] *= -1  # a light shines along its -z
    size = (_draw(spec.size_mm, rng) / 1000, _draw(spec.size_mm, rng) / 1000)
    tint, strength = _draw(spec.tint, rng), _draw(spec.radiance, rng)
    lit = rng.random() < spec.share
    return AreaLight(facing, size, (strength * tint, strength, strength / tint)) if lit else None


def _draw_environment(spec: EnvironmentSpec, rng: np.random.Generator) -> Float[np.ndarray, "he we 3"]:
    height, width = 64, 128
    picture = np.ones((height, width, 3)) * _draw(spec.ambient, rng) * (1 + 0.05 * rng.normal(size=3))
    picture[height // 2 :] *= rng.uniform(0.2, 0.8)
    for _ in range(int(rng.integers(spec.panels[0], spec.panels[1] + 1))):
        tall, wide = int(rng.integers(2, 24)), int(rng.integers(3, 32))
        top, left = int(rng.integers(0, height - tall - 12)), int(rng.integers(0, width))
        strength = 10 ** _draw(spec.panel_log10, rng)
        tint = 1 + rng.normal(size=3) * (0.05 if strength > 1 else spec.panel_tint)
        picture[top : top + tall, np.arange(left, left + wide) % width] = strength * np.clip(tint, 0.1, 2)
    blurred = cv2.GaussianBlur(np.concatenate([picture] * 3, axis=1), (0, 0), rng.uniform(0.3, 1.5))
    return np.maximum(blurred[:, width : 2 * width], 0).astype(np.float32)


def _paint(spec: SurfaceSpec, rng: np.random.Generator) -> Material:
    value, saturation = _draw(spec.value, rng), _draw(spec.saturation, rng)
    hue = rng.normal(size=3)
    hue = hue / np.abs(hue).max()
    grain = _draw(spec.grain, rng)
    size = 256
    noise = np.zeros((size, size))
    for cell in (4, 16, 64):
        small = rng.standard_normal((size // cell, size // cell)) * rng.uniform(0.2, 1)
        noise += cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC)
    texture = np.clip(200 * np.exp(0.25 * grain * noise), 0, 255)
    linear = (200 / 255) ** 2.2
    tone = np.clip(value * (1 + saturation * hue) / linear, 0.002, 1.0)
    texture = np.repeat(texture[..., None], 3, 2).astype(np.uint8)
    return Material("paint", (float(tone[0]), float(tone[1]), float(tone[2])), 0.0, _draw(spec.roughness, rng), texture)


def _quad(name: str, corners: Float[np.ndarray, "4 3"], material: Material) -> Part:
    normal = np.cross(corners[1] - corners[0], corners[3] - corners[0])
    normal /= np.linalg.norm(normal)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    return Part(
        name=name,
        vertices=corners,
        faces=faces,
        uv=np.array([[0.0, 0.0], [1, 0], [1, 1], [0, 1]])[faces],
        normals=np.tile(normal, (2, 3, 1)),
        materials=(material,),
        material=np.zeros(2, np.uint8),
        surface=np.zeros(2, np.uint8),
        damage=np.zeros(2, np.uint8),
        item=0,
    )


def _upright(name: str, azimuth: float, distance: float, width: float, height: float, material: Material) -> Part:
    """A wall on the side opposite to a camera at ``azimuth`` (degrees), facing the centre; metres."""
    foot = -_around(azimuth, 0, distance)
    side = np.cross(np.array([0, 0, 1.0]), foot / np.linalg.norm(foot)) * width / 2
    up = np.array([0, 0, height])
    return _quad(name, np.stack([foot + side, foot - side, foot - side + up, foot + side + up]), material)


def draw_booth(spec: BoothSpec, rng: np.random.Generator) -> Booth:
    """Draw a concrete booth."""
    half = spec.tray_size_mm / 2000
    paint = _paint(spec.tray, rng)
    corners = np.array([[-half, -half, 0], [half, -half, 0], [half, half, 0], [-half, half, 0]])
    parts = [_quad("tray", corners, paint)]
    rim = _draw(spec.rim_mm, rng) / 1000
    if rim > 0.001:
        parts += [_upright(f"rim_{a}", a, half, 2 * half, rim, paint) for a in (0, 90, 180, 270)]
    for k, wall in enumerate(spec.walls):
        distance, material = _draw(wall.distance_mm, rng) / 1000, _paint(wall.surface, rng)
        if rng.random() < wall.share:
            parts.append(_upright(f"wall_{k}", wall.azimuth_deg, distance, 3.0, 1.6, material))
    lights = [_draw_light(light, rng) for light in spec.lights]
    return Booth(
        name=spec.name,
        cameras=tuple(_draw_camera(camera, rng) for camera in spec.cameras),
        lights=tuple(light for light in lights if light is not None),
        environment=_draw_environment(spec.environment, rng),
        parts=tuple(parts),
        scale=Scale(_draw(spec.scale.noise_g, rng), spec.scale.quantum_g),
    )


def read_booth(path: Path) -> BoothSpec:
    """Read a booth's YAML."""
    return read_yaml(path, BoothSpec)
