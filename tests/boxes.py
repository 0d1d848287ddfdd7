"""Printed boxes on a tray, ray-cast in a few lines: captures with depth, calibration, poses and references.

Every product bears dark blots as print; a damaged capture has one blot more. A single picture cannot tell damage from
print, and a reference of the same product can.
"""

from dataclasses import replace

import cv2
import numpy as np
from damageland.sim.capture import Capture, Role, View, pose_rows
from damageland.sim.scene import kind_bit
from damageland.sim.seed import generator_for

SIDE_PX = 64
SIZE_M = np.array([0.13, 0.09, 0.06])
CAMERAS = {"front": (0.0, 40.0, True), "oblique": (130.0, 40.0, True), "top": (20.0, 80.0, False)}
"""Azimuth and elevation [deg], and whether there is depth."""
BLOT_M = 0.012


def box_capture(
    number: int,
    *,
    product: str = "p0",
    blot: bool = False,
    role: Role = "query",
    split: str = "train",
    edition: int = 0,
) -> Capture:
    """One capture; ``number`` draws the pose and the light, ``product`` the print, ``blot`` adds a damage."""
    rng = generator_for(number, 0, "box")
    angle, (x, y) = rng.uniform(0, 2 * np.pi), rng.uniform(-0.02, 0.02, 2)
    T = np.eye(4)
    T[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    T[:3, 3] = x, y, SIZE_M[2] / 2
    at = np.array([*(rng.uniform(-0.3, 0.3, 2) * SIZE_M[:2]), SIZE_M[2] / 2]) if blot else None
    picture = _picture(f"{product}/{edition}")
    views = tuple(_view(name, T, picture, at, generator_for(number, 1, name)) for name in CAMERAS)
    stem = f"{split}-{product}" + (f"-e{edition}" if edition else "")
    name = f"{stem}-{number}-{role}"
    return Capture(
        capture_id=name,
        item_identifier=f"{split}-{product}",
        origin="synthetic",
        views=views,
        defect=blot,
        defect_types=("superficial",) if blot else (),
        role=role,
        split=split,
        group=f"{split}-{product}",
        T_world_item=pose_rows(T),
        attributes={"family": "box", "edition": edition, "lookalikes": "" if blot else "printed_blot"},
        twin_id=name.replace("query", "twin") if blot else None,
        reference_ids=() if role == "reference" else tuple(f"{stem}-{k}-reference" for k in (900, 901)),
    )


def box_captures(split: str, products: int, each: int) -> list[Capture]:
    """Two references of each product, then damaged captures with their twins."""
    start = {"train": 0, "validation": 100, "test": 200}[split]
    names = [f"p{start + k}" for k in range(products)]
    found = [box_capture(k, product=name, role="reference", split=split) for name in names for k in (900, 901)]
    for n, name in enumerate(names * each):
        for role in ("query", "twin"):
            found.append(box_capture(1000 * start + n, product=name, blot=role == "query", role=role, split=split))
    return found


def blind(capture: Capture) -> Capture:
    """The same without depth, calibration, labels and pose: a photograph."""
    plain = {"depth": None, "K": None, "T_world_cam": None, "item": None, "damage": None}
    return replace(capture, views=tuple(replace(view, **plain) for view in capture.views), T_world_item=None)


def _picture(seed: str) -> np.ndarray:
    """Print of the six sides: colours in large patches, and dark blots."""
    rng = np.random.default_rng(list(seed.encode()))
    sides = []
    for _ in range(6):
        coarse = rng.uniform(0.35, 0.95, (4, 4, 3)).astype(np.float32)
        image = cv2.resize(coarse, (96, 96), interpolation=cv2.INTER_CUBIC)
        for _ in range(3):
            column, row = (int(v) for v in rng.integers(12, 84, 2))
            cv2.circle(image, (column, row), 9, (0.1, 0.1, 0.12), -1, cv2.LINE_AA)
        sides.append(np.clip(image, 0, 1))
    return np.stack(sides)


def _view(name: str, T: np.ndarray, picture: np.ndarray, blot: np.ndarray | None, rng: np.random.Generator) -> View:
    azimuth, elevation, has_depth = CAMERAS[name]
    K, pose = _camera(azimuth + rng.uniform(-5, 5), elevation + rng.uniform(-3, 3))
    rows, columns = np.mgrid[0:SIDE_PX, 0:SIDE_PX] + 0.5
    rays = (
        np.stack([(columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1], np.ones_like(rows)], -1) @ pose[:3, :3].T
    )
    eye, turned = (pose[:3, 3] - T[:3, 3]) @ T[:3, :3], rays @ T[:3, :3]
    with np.errstate(divide="ignore", invalid="ignore"):
        near, far = np.sort(np.stack([(s * SIZE_M / 2 - eye) / turned for s in (-1, 1)]), axis=0)
    axis, enter = near.argmax(-1), near.max(-1)
    item = enter < far.min(-1)
    z = np.where(item, enter, -pose[2, 3] / rays[..., 2])
    hit = eye + turned * z[..., None]
    colour, damaged = _paint(hit, axis, item, picture, blot)
    light = np.array([0.75, 0.85, 1.0])[axis] * rng.uniform(0.75, 1.1)
    rgb = np.where(item[..., None], colour * light[..., None], 0.2) + rng.normal(0, 0.01, (*item.shape, 3))
    return View(
        camera=name,
        rgb=np.clip(rgb * 255, 0, 255).astype(np.uint8),
        K=K,
        T_world_cam=pose,
        depth=(z + rng.normal(0, 0.0008, z.shape)).astype(np.float32) if has_depth else None,
        item=item.astype(np.uint8),
        damage=(kind_bit("superficial") * damaged).astype(np.uint8),
    )


def _camera(azimuth: float, elevation: float) -> tuple[np.ndarray, np.ndarray]:
    a, e = np.deg2rad([azimuth, elevation])
    back = np.array([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)])
    right = np.array([np.cos(a), np.sin(a), 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, -np.cross(back, right), -back], axis=1)
    pose[:3, 3] = 0.5 * back
    focal = 1.9 * SIDE_PX
    return np.array([[focal, 0, SIDE_PX / 2], [0, focal, SIDE_PX / 2], [0, 0, 1.0]]), pose


def _paint(hit, axis, item, picture, blot) -> tuple[np.ndarray, np.ndarray]:
    side = 2 * axis + (np.take_along_axis(hit, axis[..., None], -1)[..., 0] > 0)
    share = hit / SIZE_M + 0.5
    u, v = (np.take_along_axis(share, ((axis + k) % 3)[..., None], -1)[..., 0] for k in (1, 2))
    i, j = (np.clip((w * 96).astype(int), 0, 95) for w in (np.nan_to_num(u), np.nan_to_num(v)))
    colour = picture[side, i, j]
    if blot is None:
        return colour, np.zeros_like(item)
    damaged = item & (np.linalg.norm(hit - blot, axis=-1) < BLOT_M)
    return np.where(damaged[..., None], (0.1, 0.1, 0.12), colour), damaged
