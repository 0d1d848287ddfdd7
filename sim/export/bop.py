"""BOP, scene by scene: cameras, poses of the item in millimetres, depth, silhouettes."""

from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float

from ..errors import DamagelandError
from ..lens import PINHOLE
from ..shards import DEPTH_UNIT_M, describe_lens
from .source import SPLITS, DataSet, Shot
from .target import Table, Target

NAME = "bop"
FOLDERS: dict[str, str] = dict(zip(SPLITS, ("train", "val", "test"), strict=True))
SCENE_IMAGES = 1000
"""Pictures per scene, as in BOP's own rendered sets; a scene's JSON stays small, and memory flat."""
COLUMNS = ("folder", "scene_id", "im_id", "obj_id", "capture_id", "camera", "role", "defect", "defect_types")


@dataclass
class Scene:
    """The scene that is being filled in one split."""

    number: int = 0
    images: int = 0
    files: dict[str, dict[str, Any]] = field(default_factory=lambda: {name: {} for name in SCENE_FILES})


SCENE_FILES = ("scene_camera", "scene_gt", "scene_gt_info")


def export_bop(data: DataSet, target: Target) -> None:
    """Write ``<train|val|test>/<scene>/``: ``rgb``, ``depth``, ``mask``, ``mask_visib``, ``damage`` and three JSONs."""
    scenes: dict[str, Scene] = {}
    with closing(Table(target.path("captures.csv"), COLUMNS)) as table:
        for shot in data.shots():
            folder = FOLDERS[shot.split]
            scene = scenes.setdefault(folder, Scene())
            if scene.images == SCENE_IMAGES:
                _close(target, folder, scene)
                scenes[folder] = scene = Scene(scene.number + 1)
            _add(data, target, f"{folder}/{scene.number:06d}", scene, shot)
            table.add(_row(data, folder, scene, shot))
            scene.images += 1
            target.views[shot.split] += 1
    for folder, scene in scenes.items():
        _close(target, folder, scene)
    items = {str(number): name for name, number in data.items.items()}
    target.write_json("dataset_info.json", {"items": items, "model_frame": MODEL_FRAME})


MODEL_FRAME = "z up; the origin is on the ground, in the middle of the item; millimetres"


def _add(data: DataSet, target: Target, folder: str, scene: Scene, shot: Shot) -> None:
    number, files = scene.images, scene.files
    steps, mask = shot.depth_steps(), shot.item(NAME) > 0
    target.write(f"{folder}/rgb/{number:06d}.jpg", shot.jpeg())
    for kind in ("depth", "damage"):
        image = shot.png(kind)
        if image is not None:
            target.write(f"{folder}/{kind}/{number:06d}.png", image)
    files["scene_camera"][str(number)] = describe_camera(shot)
    instances, infos = [], []
    if mask.any():
        silhouette = np.where(mask, 255, 0).astype(np.uint8)
        for kind in ("mask", "mask_visib"):
            target.write_png(f"{folder}/{kind}/{number:06d}_000000.png", silhouette)
        instances.append(describe_pose(data, shot))
        infos.append(describe_silhouette(mask, (steps > 0) & mask if steps is not None else np.zeros_like(mask)))
    files["scene_gt"][str(number)] = instances
    files["scene_gt_info"][str(number)] = infos


def _close(target: Target, folder: str, scene: Scene) -> None:
    for name, value in scene.files.items():
        target.write_json(f"{folder}/{scene.number:06d}/{name}.json", value)


def _row(data: DataSet, folder: str, scene: Scene, shot: Shot) -> dict[str, Any]:
    capture, label = shot.capture, shot.label
    values = (folder, scene.number, scene.images, data.items.get(capture.item_identifier or ""), capture.capture_id,
              shot.view.camera, capture.role, label.defect, ",".join(label.kinds))  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def describe_camera(shot: Shot) -> dict[str, Any]:
    """``cam_K``, the pose of the world in the camera [mm], and millimetres per step of depth.

    A lens with distortion, which the format does not know, is named under a key of ours, in OpenCV's terms.
    """
    K, T_world_cam = shot.view.K, shot.view.T_world_cam
    if K is None or T_world_cam is None:
        raise DamagelandError(
            f"capture {shot.capture.capture_id}, camera {shot.view.camera}: K or T_world_cam is unknown; "
            f"format {NAME} needs calibrated cameras"
        )
    T_cam_world = np.linalg.inv(T_world_cam)
    return {
        "cam_K": to_bop_pixels(K).ravel().tolist(),
        **({} if shot.view.lens == PINHOLE else {"distortion": describe_lens(shot.view.lens)}),
        "depth_scale": round(1000 * DEPTH_UNIT_M, 6),
        "cam_R_w2c": T_cam_world[:3, :3].ravel().tolist(),
        "cam_t_w2c": (1000 * T_cam_world[:3, 3]).tolist(),
    }


def to_bop_pixels(K: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3 3"]:
    """Intrinsics for pixels whose centres have whole numbers, as in BOP (and OpenCV); ours are at +0.5."""
    return K - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0.0]])


def describe_pose(data: DataSet, shot: Shot) -> dict[str, Any]:
    """Object number and pose of the item in the camera [mm]."""
    capture = shot.capture
    if capture.T_world_item is None or shot.view.T_world_cam is None or capture.item_identifier is None:
        raise DamagelandError(
            f"capture {capture.capture_id} does not say how its item lies, which format {NAME} is about: "
            "photographs and data sets of older versions lack it; render the set again"
        )
    T_cam_item = np.linalg.inv(shot.view.T_world_cam) @ np.array(capture.T_world_item)
    return {
        "cam_R_m2c": T_cam_item[:3, :3].ravel().tolist(),
        "cam_t_m2c": (1000 * T_cam_item[:3, 3]).tolist(),
        "obj_id": data.items[capture.item_identifier],
    }


def describe_silhouette(visible: Bool[np.ndarray, "h w"], with_depth: Bool[np.ndarray, "h w"]) -> dict[str, Any]:
    """Boxes and counts. What stands in front of an item is not known, so all of it counts as visible."""
    box = list(cv2.boundingRect(visible.astype(np.uint8)))
    count = int(visible.sum())
    return {
        "bbox_obj": box,
        "bbox_visib": box,
        "px_count_all": count,
        "px_count_valid": int(with_depth.sum()),
        "px_count_visib": count,
        "visib_fract": 1.0,
    }
