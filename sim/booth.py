"""The booth: cameras, lights, tray and backdrop, read from YAML, where every number may be a range.

``BoothSpec`` is what the YAML says; ``draw_booth`` turns it into a concrete ``Booth``, without looking at the item or
its damage, so that neither camera nor light can give a damage away.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from jaxtyping import Float
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation as Rotate

from .blackbody import blackbody
from .boothspec import (
    BoothSpec,
    CameraSpec,
    DepthSpec,
    DepthViewSpec,
    EnvironmentSpec,
    LightSpec,
    PoseSpec,
    Range,
    Rotation,
    SurfaceSpec,
)
from .camera import Camera, DepthSensor, DepthView, check_lens, depth_camera, look_at
from .errors import DamagelandError
from .lens import COEFFICIENTS, PINHOLE, Lens
from .scene import Material, Part, Scene
from .yamlfile import read_yaml

__all__ = [
    "AreaLight", "Booth", "BoothSpec", "Camera", "CameraSpec", "DepthSensor", "DepthSpec", "LightSpec", "Range",
    "Scale", "check_cameras", "draw_booth", "look_at", "read_booth",
]  # fmt: skip

Pose: TypeAlias = Float[np.ndarray, "4 4"]
TRIALS = 8
"""Draws of the cameras that are tried when a booth is read, so that a lens that cannot be is told before any work."""


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


def _draw(value: tuple[float, float], rng: np.random.Generator) -> float:
    return float(rng.uniform(*value))


def _value(value: tuple[float, float], rng: np.random.Generator) -> float:
    """Like ``_draw``, but a plain number takes nothing from the generator: booths without the key stay as they were."""
    return value[0] if value[0] == value[1] else _draw(value, rng)


def _around(azimuth: float, elevation: float, distance: float) -> Float[np.ndarray, "3"]:
    """Point at azimuth (0 is -y, 90 is +x) and elevation, degrees and metres."""
    a, e = np.radians(azimuth), np.radians(elevation)
    return distance * np.array([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)])


def _draw_depth(spec: DepthSpec, rng: np.random.Generator) -> DepthSensor:
    sensor = DepthSensor(
        _draw(spec.noise_mm_at_1m, rng), 0.1, _draw(spec.grazing_deg, rng), _draw(spec.gloss_loss, rng),
        spec.clear_loss, spec.clear_first,
    )  # fmt: skip
    return replace(
        sensor,
        kind=spec.kind,
        floor_mm=_value(spec.floor_mm, rng),
        fixed_share=_value(spec.fixed_share, rng),
        lateral_px=_value(spec.lateral_px, rng),
        edge_px=_value(spec.edge_px, rng),
        edge_loss=_value(spec.edge_loss, rng),
        flying=_value(spec.flying, rng),
        dark_signal=_value(spec.dark_signal, rng),
        shine_loss=_value(spec.shine_loss, rng),
        multipath=_value(spec.multipath, rng),
        quantum_mm=_value(spec.quantum_mm, rng),
        disparity_px=_value(spec.disparity_px, rng),
        baseline_m=_value(spec.baseline_mm, rng) / 1000,
        near_m=spec.near_mm / 1000,
        far_m=spec.far_mm / 1000,
        view=None if spec.view is None else _draw_view(spec.view, rng),
    )


def _draw_view(spec: DepthViewSpec, rng: np.random.Generator) -> DepthView:
    T = _wobbled(_rigid(spec.rotation, spec.translation_mm, rng), spec.wobble_deg, rng)
    K, lens = _draw_lens(spec, rng)
    return DepthView(spec.width, spec.height, K, T, lens)


def _rigid(rotation: Rotation, translation_mm: tuple[Range, Range, Range], rng: np.random.Generator) -> Pose:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotation, [_value(length, rng) / 1000 for length in translation_mm]
    return T


def _draw_lens(spec: CameraSpec | DepthViewSpec, rng: np.random.Generator) -> tuple[Float[np.ndarray, "3 3"], Lens]:
    """Intrinsics and lens. A fisheye shows equal angles at equal widths, hence another focal length for its field."""
    lens = PINHOLE
    if spec.distortion is not None:
        names = COEFFICIENTS[spec.distortion.model]
        lens = Lens(spec.distortion.model, tuple(_value(getattr(spec.distortion, name), rng) for name in names))
    if spec.hfov_deg is not None:
        half = np.radians(_draw(spec.hfov_deg, rng)) / 2
        fx = spec.width / 2 / (half if lens.model == "fisheye" else np.tan(half))
    else:
        assert spec.fx is not None
        fx = _value(spec.fx, rng)
    fy = fx if spec.fy is None else _value(spec.fy, rng)
    cx = spec.width / 2 if spec.cx is None else _value(spec.cx, rng)
    cy = spec.height / 2 if spec.cy is None else _value(spec.cy, rng)
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), lens


def _draw_pose(spec: CameraSpec, rng: np.random.Generator) -> Pose:
    if spec.T_world_cam is not None:
        return _draw_calibrated_pose(spec.T_world_cam, rng)
    assert spec.azimuth_deg is not None and spec.elevation_deg is not None and spec.distance_mm is not None
    aim = np.array([*(_draw(spec.aim_off_mm, rng) * rng.choice([-1, 1]) / 1000 for _ in range(2)), 0.0])
    aim[2] = _draw(spec.aim_mm, rng) / 1000
    eye = aim + _around(
        _draw(spec.azimuth_deg, rng), _draw(spec.elevation_deg, rng), _draw(spec.distance_mm, rng) / 1000
    )
    eye[2] = max(eye[2], 0.015)  # never inside the tray
    return look_at(eye, aim)


def _draw_calibrated_pose(spec: PoseSpec, rng: np.random.Generator) -> Pose:
    return _wobbled(_rigid(spec.rotation, spec.translation_mm, rng), spec.wobble_deg, rng)


def _wobbled(T: Pose, wobble_deg: Range, rng: np.random.Generator) -> Pose:
    """Turn a pose by so much about an axis drawn at random."""
    if wobble_deg[1] > 0:
        axis = rng.normal(size=3)
        turn = np.radians(_draw(wobble_deg, rng)) * axis / np.linalg.norm(axis)
        T[:3, :3] = T[:3, :3] @ Rotate.from_rotvec(turn).as_matrix()
    return T


def _draw_white_balance(spec: CameraSpec, rng: np.random.Generator) -> tuple[float, float, float]:
    red, blue = _draw(spec.white_balance, rng), _draw(spec.white_balance, rng)
    if spec.white_balance_red is not None:
        red *= _value(spec.white_balance_red, rng)
    if spec.white_balance_blue is not None:
        blue *= _value(spec.white_balance_blue, rng)
    if spec.white_balance_k is not None:
        grey = blackbody(_value(spec.white_balance_k, rng))
        red, blue = red * grey[1] / grey[0], blue * grey[1] / grey[2]
    return float(red), 1.0, float(blue)


def _draw_camera(spec: CameraSpec, rng: np.random.Generator) -> Camera:
    pose = _draw_pose(spec, rng)
    K, lens = _draw_lens(spec, rng)
    sensor = None if spec.depth is None else _draw_depth(spec.depth, rng)
    if spec.T_world_cam is None:
        pose[:3, :3] = pose[:3, :3] @ Rotate.from_euler("z", _draw(spec.roll_deg, rng), degrees=True).as_matrix()
    camera = Camera(
        name=spec.name,
        width=spec.width,
        height=spec.height,
        K=K,
        T_world_cam=pose,
        white_balance=_draw_white_balance(spec, rng),
        exposure_ev=_draw(spec.exposure_ev, rng),
        noise=_draw(spec.noise, rng),
        blur_px=_draw(spec.blur_px, rng),
        jpeg_quality=round(_draw(spec.jpeg_quality, rng)),
        depth=sensor,
        lens=lens,
        vignetting=_value(spec.vignetting, rng),
        gain=None if spec.gain is None else _value(spec.gain, rng),
        full_well_e=None if spec.full_well_e is None else _value(spec.full_well_e, rng),
        read_e=_value(spec.read_e, rng),
    )
    for looking in (camera, depth_camera(camera)):
        check_lens(looking)
    return camera


def _draw_light(spec: LightSpec, rng: np.random.Generator) -> AreaLight | None:
    at = _around(_draw(spec.azimuth_deg, rng), _draw(spec.elevation_deg, rng), _draw(spec.distance_mm, rng) / 1000)
    facing = look_at(at, np.zeros(3))
    facing[:3, 1:3] *= -1  # a light shines along its -z
    size = (_draw(spec.size_mm, rng) / 1000, _draw(spec.size_mm, rng) / 1000)
    tint, strength = _draw(spec.tint, rng), _draw(spec.radiance, rng)
    lit = rng.random() < spec.share
    if spec.flicker[1] > 0:
        strength *= max(0.0, 1 + _value(spec.flicker, rng) * float(rng.normal()))
    rgb = np.array([tint, 1.0, 1 / tint])
    if spec.temperature_k is not None:
        rgb *= blackbody(_value(spec.temperature_k, rng))
    red, green, blue = (strength * rgb).tolist()
    return AreaLight(facing, size, (red, green, blue)) if lit else None


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
            width, height = _value(wall.width_mm, rng) / 1000, _value(wall.height_mm, rng) / 1000
            parts.append(_upright(f"wall_{k}", wall.azimuth_deg, distance, width, height, material))
    lights = [_draw_light(light, rng) for light in spec.lights]
    return Booth(
        name=spec.name,
        cameras=tuple(_draw_camera(camera, rng) for camera in spec.cameras),
        lights=tuple(light for light in lights if light is not None),
        environment=_draw_environment(spec.environment, rng),
        parts=tuple(parts),
        scale=Scale(_draw(spec.scale.noise_g, rng), spec.scale.quantum_g),
    )


def check_cameras(booth: Booth, item: Scene) -> None:
    """Refuse a camera that stands inside the item: all that it would show is cardboard from within."""
    points = np.concatenate([part.vertices for part in item.parts])
    low, high = points.min(axis=0), points.max(axis=0)
    for camera in booth.cameras:
        for what, looking in (("", camera), ("the depth sensor of ", depth_camera(camera))):
            eye = looking.T_world_cam[:3, 3]
            if (eye < low).any() or (eye > high).any() or not _in_hull(eye, points):
                continue
            x, y, z = (1000 * eye).round().tolist()
            width, depth, height = (1000 * (high - low)).round().tolist()
            raise DamagelandError(
                f"booth {booth.name}: {what}camera {camera.name} stands at ({x:g}, {y:g}, {z:g}) mm, inside the item, "
                f"which is {width:g} x {depth:g} x {height:g} mm as it lies: raise its distance_mm, or move T_world_cam"
            )


def _in_hull(eye: Float[np.ndarray, "3"], points: Float[np.ndarray, "n 3"]) -> bool:
    planes = ConvexHull(points, qhull_options="QJ").equations
    return bool((planes[:, :3] @ eye + planes[:, 3] < 0).all())


def read_booth(path: Path) -> BoothSpec:
    """Read a booth's YAML, and see that its cameras can be drawn."""
    spec = read_yaml(path, BoothSpec)
    try:
        for k in range(TRIALS):
            rng = np.random.default_rng(k)
            for camera in spec.cameras:
                _draw_camera(camera, rng)
    except DamagelandError as error:
        raise DamagelandError(f"{path}: {error}") from None
    return spec
