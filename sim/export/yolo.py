"""YOLO segmentation: a text file of polygons per picture, and ``data.yaml``."""

import cv2
import numpy as np
import yaml
from jaxtyping import Bool, Float

from ..scene import KINDS, kind_bit
from .source import SPLITS, DataSet, Shot
from .target import Target

NAME = "yolo"
FOLDERS: dict[str, str] = dict(zip(SPLITS, ("train", "val", "test"), strict=True))


def export_yolo(data: DataSet, target: Target) -> None:
    """Write ``images/<split>``, ``labels/<split>`` and ``data.yaml``."""
    for shot in data.shots():
        folder = FOLDERS[shot.split]
        target.write(f"labels/{folder}/{shot.name}.txt", "".join(f"{line}\n" for line in label_lines(shot)))
        target.write(f"images/{folder}/{shot.name}.jpg", shot.jpeg())
        target.views[shot.split] += 1
    for folder in FOLDERS.values():
        (target.path(f"images/{folder}")).mkdir(exist_ok=True)
    # Without a key `path`, readers take the folders to lie beside the file.
    paths = {folder: f"images/{folder}" for folder in FOLDERS.values()}
    names = {"names": dict(enumerate(KINDS))}
    target.write("data.yaml", yaml.safe_dump(paths | names, sort_keys=False))


def label_lines(shot: Shot) -> list[str]:
    """``class x y x y …`` per piece of damage; none for a kind of which every damage of the capture is tolerable."""
    damage = shot.damage(NAME)
    lines = []
    for number, kind in enumerate(KINDS):
        found = [d for d in shot.capture.damages if d.kind == kind]
        if not (found and all(d.tolerable for d in found)):
            for polygon in trace_polygons((damage & kind_bit(kind)) > 0):
                scaled = polygon / np.array(shot.size)
                lines.append(" ".join([str(number), *(f"{value:.6f}" for value in scaled.ravel())]))
    return lines


def trace_polygons(mask: Bool[np.ndarray, "h w"]) -> list[Float[np.ndarray, "n 2"]]:
    """One polygon [pixels] through the centres of the outermost pixels of each connected piece.

    Filling one, its outline included, gives the piece back; a hole is joined to the outline by a slit.
    """
    contours, hierarchy = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    polygons = []
    for number, contour in enumerate(contours):
        if hierarchy[0][number][3] < 0:
            outline = contour[:, 0].astype(np.float64)
            for hole in (k for k, entry in enumerate(hierarchy[0]) if entry[3] == number):
                outline = _join(outline, contours[hole][:, 0].astype(np.float64))
            while len(outline) < 3:  # a piece of one or two pixels still needs three corners, within it
                outline = np.concatenate([outline, outline[-1:] + 0.2])
            polygons.append(outline + 0.5)
    return polygons


def _join(outline: Float[np.ndarray, "n 2"], hole: Float[np.ndarray, "m 2"]) -> Float[np.ndarray, "k 2"]:
    """Walk the outline, go over to the hole where it is nearest, walk around it, and come back."""
    apart = np.linalg.norm(outline[:, None] - hole[None], axis=2)
    start, entry = np.unravel_index(int(apart.argmin()), apart.shape)
    around = np.roll(hole, -int(entry), axis=0)
    return np.concatenate([outline[: start + 1], around, around[:1], outline[start:]])
