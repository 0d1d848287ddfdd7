"""A sheet of a booth: from outside, with the fields of view of its cameras, and what each camera records."""

from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ..sim.booth import Booth, BoothSpec, check_cameras, draw_booth, look_at
from ..sim.camera import Camera, depth_camera, project, unproject
from ..sim.depth import record_depth
from ..sim.preview import preview_colour
from ..sim.scene import Part, Scene
from ..sim.seed import generator_for
from ..sim.sensor import meter_exposure, record_colour
from ..sim.truth import Truth, trace_truth
from .contact import Picture, caption, draw_products
from .damage.outcome import SeverityRules
from .damage.subject import Subject
from .damagesheet import placed
from .mishap import aim

COLOURS = ((214, 39, 40), (31, 119, 180), (44, 160, 44), (148, 103, 189), (255, 127, 14), (23, 190, 207))
"""One for each camera, in turn."""
LAMP = (250, 190, 40)
FRUSTUM = 0.3
"""Length of a drawn field of view, as a share of the camera's way to the tray."""
OUTSIDE = np.radians([-38.0, 32.0])
"""Azimuth and elevation from which the booth is seen."""


def booth_sheet(spec: BoothSpec, *, width_px: int = 640, samples: int = 4, seed: int = 0) -> Picture:
    """Draw a booth and its cameras' records of a crushed carton."""
    booth = draw_booth(spec, generator_for(seed, 0, "booth"))
    scene = _crushed_carton(seed)
    check_cameras(booth, scene)
    pictures = preview_colour([scene], booth, samples=samples, seed=seed)[0]
    truth = trace_truth(scene, booth)
    rows = [caption(f"{booth.name}: {len(booth.cameras)} cameras, {len(booth.lights)} lamps", width_px)]
    rows.append(_outside(booth, scene, width_px, samples, seed))
    for k, camera in enumerate(booth.cameras):
        rows.append(_camera_row(camera, k, pictures[camera.name], truth[camera.name], width_px, seed))
    return np.concatenate(rows)


def _crushed_carton(seed: int) -> Scene:
    product = draw_products("folding_carton", 1, seed=seed)[0]
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]]
    asked = (0.3, 1.0)
    struck = aim(
        "crush", Subject(product, turn), {}, asked, "major", rules=SeverityRules(), seed=(seed, 0, "booth sheet")
    )
    return placed(struck.product, turn)


def _outside(booth: Booth, scene: Scene, width_px: int, samples: int, seed: int) -> Picture:
    """The booth from outside; walls between us and the tray are left out."""
    a, e = OUTSIDE
    way = np.array([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)])
    shown = tuple(p for p in booth.parts if not (p.name.startswith("wall") and p.vertices.mean(axis=0) @ way > 0))
    camera = _frame(booth, shown, way, width_px)
    around = replace(booth, cameras=(camera,), parts=shown)
    colour = preview_colour([scene], around, samples=samples, seed=seed)[0][camera.name]
    picture = record_colour(colour, camera, meter_exposure(colour, camera), generator_for(seed, 0, "outside"))
    for light in booth.lights:
        x, y = light.size_m[0] / 2, light.size_m[1] / 2
        corners = np.array([[-x, -y, 0], [x, -y, 0], [x, y, 0], [-x, y, 0]])
        _outline(picture, camera, corners @ light.T_world_light[:3, :3].T + light.T_world_light[:3, 3], LAMP)
    for k, shot in enumerate(booth.cameras):
        if depth_camera(shot) is not shot:
            _frustum(picture, camera, depth_camera(shot), (120, 120, 120), 1)
        _frustum(picture, camera, shot, COLOURS[k % len(COLOURS)], 2)
        at = project(camera, shot.T_world_cam[None, :3, 3])[0][0]
        where = (int(at[0]) + 6, int(at[1]) - 6)
        ink = COLOURS[k % len(COLOURS)]
        cv2.putText(picture, shot.name, where, cv2.FONT_HERSHEY_SIMPLEX, 0.5, ink, 1, cv2.LINE_AA)
    return picture


def _frame(booth: Booth, parts: tuple[Part, ...], way: Float[np.ndarray, "3"], width_px: int) -> Camera:
    """A camera far off that has all cameras, lamps and the tray in its picture."""
    tray = next(part for part in parts if part.name == "tray").vertices
    reach = max(float(np.linalg.norm(camera.T_world_cam[:3, 3])) for camera in booth.cameras)
    half = min(float(np.abs(tray).max()), 1.3 * reach)
    points = [np.clip(tray, -half, half), *(camera.T_world_cam[None, :3, 3] for camera in booth.cameras)]
    points += [light.T_world_light[None, :3, 3] for light in booth.lights if _near(light.T_world_light, 2 * reach)]
    cloud = np.concatenate(points)
    middle = (cloud.min(axis=0) + cloud.max(axis=0)) / 2
    size = float(np.linalg.norm(np.ptp(cloud, axis=0)))
    pose = look_at(middle + 3 * size * way, middle)
    local = (cloud - pose[:3, 3]) @ pose[:3, :3]
    flat = local[:, :2] / local[:, 2:]
    low, high = flat.min(axis=0), flat.max(axis=0)
    focal = 0.84 * width_px / float(high[0] - low[0])
    height = int(focal * float(high[1] - low[1]) + 0.16 * width_px)
    centre = np.array([width_px, height]) / 2 - focal * (low + high) / 2
    K = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1.0]])
    return Camera("outside", width_px, height, K, pose, (1.0, 1.0, 1.0), 0.7, 0.001, 0.0, 95)


def _near(T: Float[np.ndarray, "4 4"], reach: float) -> bool:
    return bool(np.linalg.norm(T[:3, 3]) < reach)


def _outline(picture: Picture, camera: Camera, corners: Float[np.ndarray, "n 3"], ink: tuple[int, int, int]) -> None:
    uv, z = project(camera, corners)
    if (z > 0).all():
        cv2.polylines(picture, [np.round(uv).astype(np.int32)], True, ink, 1, cv2.LINE_AA)


def _frustum(picture: Picture, camera: Camera, shown: Camera, ink: tuple[int, int, int], thick: int) -> None:
    """The field of view through the lens: edges of the picture at some distance, and lines to its corners."""
    w, h = float(shown.width), float(shown.height)
    side = np.linspace(0, 1, 9)[:-1]
    edge = np.concatenate([
        np.stack([side * w, 0 * side], 1), np.stack([w + 0 * side, side * h], 1),
        np.stack([w - side * w, h + 0 * side], 1), np.stack([0 * side, h - side * h], 1),
    ])  # fmt: skip
    T = shown.T_world_cam
    far = FRUSTUM * float(np.linalg.norm(T[:3, 3])) * unproject(shown, edge)
    uv, _ = project(camera, np.concatenate([T[None, :3, 3], far @ T[:3, :3].T + T[:3, 3]]))
    uv = np.round(uv).astype(np.int32)
    cv2.polylines(picture, [uv[1:]], True, ink, thick, cv2.LINE_AA)
    for corner in (1, 9, 17, 25):
        cv2.line(picture, uv[0].tolist(), uv[corner].tolist(), ink, thick, cv2.LINE_AA)


def _camera_row(
    camera: Camera, k: int, radiance: Float[np.ndarray, "h w 3"], truth: Truth, width_px: int, seed: int
) -> Picture:
    """Colour, depth and labels of one camera side by side, under its name."""
    rgb = record_colour(radiance, camera, meter_exposure(radiance, camera), generator_for(seed, k, "booth colour"))
    cells = [rgb]
    if camera.depth is not None:
        cells.append(tint_depth(record_depth(truth, camera, generator_for(seed, k, "booth depth"))))
    else:
        cells.append(np.full_like(rgb, 245))
    cells.append(tint_labels(rgb, truth.item, truth.damage))
    edge = width_px // 3
    size = (edge, round(edge * camera.height / camera.width))
    row = np.concatenate([cv2.resize(cell, size, interpolation=cv2.INTER_AREA) for cell in cells], axis=1)
    spare = np.full((len(row), width_px - row.shape[1], 3), 255, np.uint8)
    kind = f", depth by {camera.depth.kind.replace('_', ' ')}" if camera.depth is not None else ", no depth"
    lens = "" if camera.lens.model == "pinhole" else f", {camera.lens.model.replace('_', '-')}"
    name = caption(f"{camera.name}: {camera.width} x {camera.height}{lens}{kind}", width_px, size=0.42)
    name[:, :4] = COLOURS[k % len(COLOURS)]
    return np.concatenate([name, np.concatenate([row, spare], axis=1)])


def tint_depth(depth: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Near is warm, far is cold, no return is black."""
    there = depth > 0
    if not there.any():
        return np.zeros((*depth.shape, 3), np.uint8)
    low, high = np.quantile(depth[there], [0.01, 0.99])
    share = np.clip((high - depth) / max(float(high - low), 1e-6), 0, 1)
    tinted = cv2.cvtColor(cv2.applyColorMap((255 * share).astype(np.uint8), cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    return np.where(there[..., None], tinted, 0).astype(np.uint8)


def tint_labels(
    rgb: UInt8[np.ndarray, "h w 3"], item: UInt8[np.ndarray, "h w"], damage: UInt8[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture in grey, the item in blue, damage in red."""
    grey = np.repeat(rgb.mean(axis=2, keepdims=True) * 0.6 + 80, 3, axis=2)
    for mask, ink in ((item > 0, (60, 110, 220)), (damage > 0, (225, 40, 40))):
        grey[mask] = 0.45 * grey[mask] + 0.55 * np.array(ink)
    return grey.astype(np.uint8)
