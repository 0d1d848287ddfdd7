"""Cameras and depth sensors as concrete things, and where a point of the world falls in their pictures."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from .errors import DamagelandError
from .lens import PINHOLE, Lens, distort, undistort

SensorKind = Literal["structured_light", "active_stereo", "time_of_flight"]


@dataclass(frozen=True)
class DepthView:
    """Where a depth sensor looks from, and how, when it does not look through the colour camera's own lens."""

    width: int
    height: int
    K: Float[np.ndarray, "3 3"]
    T_cam_depth: Float[np.ndarray, "4 4"]
    """``p_cam = T_cam_depth @ p_depth``; cam is the colour camera."""
    lens: Lens = PINHOLE


@dataclass(frozen=True)
class DepthSensor:
    """Flaws of a depth sensor; see ``depth.record_depth`` for the formulas and their sources."""

    noise_mm_at_1m: float
    """Standard deviation of axial noise at 1 m."""
    quantum_mm: float
    grazing_deg: float
    """Surfaces seen at a larger angle to their normal than this return nothing."""
    gloss_loss: float
    """Chance of no return at a metal pixel more than 35° off its normal, 0-1; about a third of it when facing."""
    clear_loss: float = 0.4
    """Chance of no return where a clear wall stands before the opaque surface, 0-1."""
    clear_first: float = 0.1
    """Chance that the clear wall itself is recorded there; else the surface behind it is."""
    kind: SensorKind = "structured_light"
    floor_mm: float = 0.0
    """Axial noise that is there at any distance."""
    fixed_share: float = 0.0
    """Share of the axial noise's variance that stays the same in all captures of this camera."""
    lateral_px: float = 0.0
    """Standard deviation of lateral noise at depth edges, seen straight on [pixels of the sensor]."""
    edge_px: float = 1.0
    """Half width of the band along depth edges in which returns are lost."""
    edge_loss: float = 0.5
    """Chance of no return in that band, 0-1."""
    flying: float = 0.0
    """Chance that a pixel beside a depth edge mixes near and far, 0-1."""
    dark_signal: float = 0.0
    """Signal at which half of the returns are lost: reflectance times cosine over distance squared [1/m²]."""
    shine_loss: float = 0.0
    """Chance of no return at a mirror-smooth pixel that is no metal, 0-1; none from roughness 0.3 on."""
    multipath: float = 0.0
    """Time of flight: how much of the light of one bounce is recorded, 0 (none) to 1 (all)."""
    disparity_px: float = 0.0
    """Smallest step of disparity; 0 is none. Needs a baseline."""
    baseline_m: float = 0.0
    """From the sensor to its projector or second camera, along its x; what only one of them sees is lost."""
    near_m: float = 0.0
    far_m: float = float("inf")
    view: DepthView | None = None
    """None: depth is seen through the colour camera's own lens."""


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
    """Added to the exposure."""
    noise: float
    """Standard deviation of colour noise, in [0, 1] linear units at mid grey; unused with ``full_well_e``."""
    blur_px: float
    jpeg_quality: int
    depth: DepthSensor | None = None
    lens: Lens = PINHOLE
    vignetting: float = 0.0
    """Share of the light that the corners lose."""
    gain: float | None = None
    """Fixed exposure: linear value of radiance 1; None is automatic."""
    full_well_e: float | None = None
    """Electrons at which a pixel is white; with it, noise is that of photons and of reading."""
    read_e: float = 0.0
    """Standard deviation of a reading [electrons]."""


def depth_camera(camera: Camera) -> Camera:
    """The place of a camera's depth sensor, as a camera: its pixels, its rays."""
    view = camera.depth.view if camera.depth is not None else None
    if view is None:
        return camera
    pose = camera.T_world_cam @ view.T_cam_depth
    return replace(camera, width=view.width, height=view.height, K=view.K, T_world_cam=pose, lens=view.lens)


def pixel_rays(
    camera: Camera, *, offset: Float[np.ndarray, "h w 2"] | None = None
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Origin and direction of one ray per pixel, rows first; directions have z = 1 in the camera frame.

    Hence the distance of a hit is its z-depth. ``offset`` moves rays off the pixel centre, in pixels. The lens bends
    them here, so that truth and colour are distorted alike.
    """
    uv = np.empty((camera.height, camera.width, 2))
    uv[..., 0], uv[..., 1] = np.arange(camera.width) + 0.5, np.arange(camera.height)[:, None] + 0.5
    if offset is not None:
        uv += offset
    local = unproject(camera, uv.reshape(-1, 2))
    R, t = camera.T_world_cam[:3, :3], camera.T_world_cam[:3, 3]
    return np.broadcast_to(t, local.shape), local @ R.T


def unproject(camera: Camera, uv: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
    """Directions in the camera's frame, with z = 1, of points of its picture."""
    out = np.ones((len(uv), 3))
    out[:, :2] = undistort(camera.lens, (uv - camera.K[:2, 2]) / np.diag(camera.K)[:2])
    return out


def project(
    camera: Camera, points: Float[np.ndarray, "n 3"]
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n"]]:
    """Pixels and z-depth [m] of points of the world; pixels of what lies behind the camera are not numbers."""
    local = (points - camera.T_world_cam[:3, 3]) @ camera.T_world_cam[:3, :3]
    z = local[:, 2]
    flat = np.full((len(points), 2), np.nan)
    ahead = z > 1e-9
    flat[ahead] = distort(camera.lens, local[ahead, :2] / z[ahead, None])
    return flat * np.diag(camera.K)[:2] + camera.K[:2, 2], z


def pixel_spread(camera: Camera) -> Float[np.ndarray, "h w"]:
    """Area that each pixel covers on the plane z = 1: 1 / (fx fy) without distortion, else by finite differences."""
    shape = (camera.height, camera.width)
    if camera.lens.model == "pinhole":
        return np.full(shape, 1 / (camera.K[0, 0] * camera.K[1, 1]))
    v, u = np.mgrid[0 : camera.height + 1, 0 : camera.width + 1].astype(np.float64)
    corner = unproject(camera, np.stack([u, v], axis=-1).reshape(-1, 2))[:, :2].reshape(*u.shape, 2)
    a, b = corner[1:, 1:] - corner[:-1, :-1], corner[1:, :-1] - corner[:-1, 1:]  # diagonals of each pixel
    return np.abs(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]) / 2


MOST_PIXELS = 4096 * 4096
OVERSAMPLED = 1.15
"""Finer pixels of the undistorted picture than its densest part needs: interpolation blurs it less."""


@dataclass(frozen=True)
class Straightened:
    """A pinhole camera that sees all that a lens shows, and where each pixel of the lens lies in its picture."""

    camera: Camera
    u: Float[np.ndarray, "h w"]
    """In OpenCV's pixels, whose centres are whole numbers."""
    v: Float[np.ndarray, "h w"]


def straighten(camera: Camera) -> Straightened:
    """For renderers that know pinholes only: take this camera's picture, and ``cv2.remap`` it.

    Done so, and not with a renderer's own lenses, because it holds for tangential terms too, and the rays are to the
    last digit those of the truth.
    """
    corners = np.stack(np.meshgrid(np.arange(camera.width + 1.0), np.arange(camera.height + 1.0)), axis=-1)
    edge = unproject(camera, corners.reshape(-1, 2))[:, :2]
    finest = float(np.sqrt(pixel_spread(camera).min()))
    pitch = finest / OVERSAMPLED
    low, high = edge.min(axis=0) - 2 * pitch, edge.max(axis=0) + 2 * pitch
    if np.prod((high - low) / pitch) > MOST_PIXELS:
        raise DamagelandError(
            f"camera {camera.name}: its lens is so wide that the picture without distortion would have more than "
            f"{MOST_PIXELS // 10**6} million pixels: take a narrower field of view, or the preview renderer"
        )
    width, height = (int(n) for n in np.ceil((high - low) / pitch))
    K = np.array([[1 / pitch, 0, -low[0] / pitch], [0, 1 / pitch, -low[1] / pitch], [0, 0, 1]])
    plain = replace(camera, width=width, height=height, K=K, lens=PINHOLE)
    v, u = np.mgrid[0 : camera.height, 0 : camera.width] + 0.5
    xy = unproject(camera, np.stack([u, v], axis=-1).reshape(-1, 2))[:, :2]
    at = (xy - low) / pitch - 0.5
    return Straightened(plain, at[:, 0].reshape(u.shape), at[:, 1].reshape(u.shape))


def check_lens(camera: Camera) -> None:
    """Refuse a lens that folds its picture, or looks too far aside: some pixel would have no ray."""
    u, v = (np.linspace(0, side, 33) for side in (camera.width, camera.height))
    uv = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2)
    lost = np.isnan(unproject(camera, uv)[:, 0])
    if lost.any():
        at = uv[np.flatnonzero(lost)[np.linalg.norm(uv[lost] - camera.K[:2, 2], axis=1).argmin()]]
        numbers = ", ".join(f"{value:g}" for value in camera.lens.coefficients)
        raise DamagelandError(
            f"camera {camera.name}: distortion {camera.lens.model} [{numbers}] gives pixel ({at[0]:.0f}, {at[1]:.0f}) "
            "no ray: there it folds the picture, or looks more than 85° aside. Take smaller coefficients, or a "
            "narrower field of view"
        )


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
