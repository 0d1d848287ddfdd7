"""MVTec 3D-AD: colour, an organised cloud of points and a mask per view, sorted by category, split and damage."""

import io
import json
import re
from contextlib import closing
from typing import Any

import numpy as np
from jaxtyping import Float, UInt16

from ..errors import DamagelandError
from ..lens import PINHOLE, Lens, undistort
from ..shards import DEPTH_UNIT_M, describe_lens
from .folder import TRACE, UNLABELLED
from .source import DataSet, Label, Shot
from .target import Table, Target, need

NAME = "mvtec3d"
NO_DEPTH = "come from a camera without depth"
NOT_IN_TEST = "show damage, which the format knows in `test` only"
COLUMNS = ("file", "capture_id", "camera", "role", "item_identifier", "kinds", "fx", "fy", "cx", "cy",
           "distortion")  # fmt: skip


def export_mvtec3d(data: DataSet, target: Target) -> None:
    """Write ``<category>/<split>/<good|kind|combined>/{rgb,xyz,gt}/<capture>--<camera>``."""
    tifffile = need("tifffile", NAME)
    with closing(Table(target.path("captures.csv"), COLUMNS)) as table:
        for shot in data.shots():
            steps, label = shot.depth_steps(), shot.label
            reason = _unfit(shot, label)
            if reason is not None or steps is None:
                target.left_out[reason or NO_DEPTH] += 1
                continue
            K = shot.view.K
            if K is None:
                raise DamagelandError(
                    f"capture {shot.capture.capture_id}, camera {shot.view.camera}: K is unknown, and without it "
                    f"depth gives no points; format {NAME} needs calibrated cameras"
                )
            stem = f"{category(shot)}/{shot.split}/{label.folder}/{{}}/{shot.name}"
            target.write_png(stem.format("rgb") + ".png", shot.view.rgb)
            tiff = io.BytesIO()
            tifffile.imwrite(
                tiff, point_image(steps, K, shot.view.lens), photometric="minisblack", planarconfig="contig"
            )
            target.write(stem.format("xyz") + ".tiff", tiff.getvalue())
            if shot.split == "test":
                shown = (shot.damage(NAME) > 0) & bool(label.kinds)
                target.write_png(stem.format("gt") + ".png", np.where(shown, 255, 0).astype(np.uint8))
            target.views[shot.split] += 1
            table.add(_row(shot, stem.format("rgb") + ".png", K))


def _row(shot: Shot, file: str, K: Float[np.ndarray, "3 3"]) -> dict[str, Any]:
    capture = shot.capture
    values = (file, capture.capture_id, shot.view.camera, capture.role, capture.item_identifier,
              ",".join(shot.label.kinds), *(float(K[i, j]) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2))),
              json.dumps(lens) if (lens := describe_lens(shot.view.lens)) else "")  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def _unfit(shot: Shot, label: Label) -> str | None:
    if label.folder is None:
        return TRACE if label.trace else UNLABELLED
    return NOT_IN_TEST if label.kinds and shot.split != "test" else None


def category(shot: Shot) -> str:
    """The packaging family, as a name for a folder."""
    attributes = shot.capture.attributes
    return re.sub(r"[^A-Za-z0-9_-]", "_", str(attributes.get("family") or attributes.get("category") or "item"))


def point_image(
    steps: UInt16[np.ndarray, "h w"], K: Float[np.ndarray, "3 3"], lens: Lens = PINHOLE
) -> Float[np.ndarray, "h w 3"]:
    """Points [m] in the camera's frame, float32; zeros where there is no return. The lens's distortion is undone."""
    z = steps * DEPTH_UNIT_M
    rows, columns = np.indices(steps.shape) + 0.5
    y = (rows - K[1, 2]) / K[1, 1]
    x = (columns - K[0, 2] - K[0, 1] * y) / K[0, 0]
    flat = undistort(lens, np.stack([x, y], axis=2).reshape(-1, 2)).reshape(*steps.shape, 2)
    return np.concatenate([flat * z[..., None], z[..., None]], axis=2).astype(np.float32)
