"""Eyecandies: rendered sweets under six lightings, with depth and a mask per kind of anomaly.

The lightings are views of one capture. Depth is uint16 between a minimum and a maximum that stand beside it; a mask of
each kind tells what is damaged. ``test_public`` is measured, ``train`` is the gallery; ``test_private`` has no masks.
"""

import math
import re
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import yaml
from jaxtyping import Float

from ...sim.capture import Capture
from ...sim.errors import DamagelandError
from ..images import checked_depth, decode, read_marks
from .entry import Captures, Entry, Files, from_files, missing, stream

FOCAL_PX, SIDE_PX = 711.11, 512
KINDS = {"bumps": "deformation", "dents": "deformation", "colors": "superficial", "normals": "superficial"}
_FIRST = re.compile(r"^(\d+)_image_0\.png$")


def is_eyecandies(folder: Path) -> bool:
    """Whether a folder is a category of Eyecandies."""
    return any(_stems(folder / split / "data") for split in ("test_public", "train"))


def read_eyecandies(folder: Path) -> Captures:
    """A category of Eyecandies."""
    entries = [_entry(folder, "train", stem) for stem in _stems(folder / "train" / "data")]
    return stream(folder, entries + [_entry(folder, "test_public", s) for s in _stems(folder / "test_public" / "data")])


def _stems(data: Path) -> list[str]:
    found = [_FIRST.match(path.name) for path in data.glob("*_image_0.png")] if data.is_dir() else []
    return sorted(match[1] for match in found if match)


def _entry(folder: Path, split: str, stem: str) -> Entry:
    start = folder / split / "data"
    masks = {kind: start / f"{stem}_{kind}_mask.png" for kind in KINDS}
    absent = [path for path in (*masks.values(), start / f"{stem}_depth.png") if not path.is_file()]
    if split != "train" and absent:
        raise missing(absent[0], start / f"{stem}_image_0.png")
    shown = {kind: path for kind, path in masks.items() if split != "train" and read_marks(path).any()}
    label = Capture(
        f"{split}-{stem}",
        folder.name if split == "train" else None,
        "real",
        (),
        bool(shown),
        defect_types=tuple(dict.fromkeys(KINDS[kind] for kind in shown)),
        role="reference" if split == "train" else "query",
        split="train" if split == "train" else "test",
        attributes={"category": folder.name, "defect_names": tuple(shown)},
    )
    depth_path = start / f"{stem}_depth.png"
    depth = partial(read_depth, depth_path, start / f"{stem}_info_depth.yaml") if depth_path.is_file() else None
    return from_files(
        label,
        *(
            Files(
                f"light{light}",
                path,
                masks=tuple(shown.values()),
                intact=not shown,
                depth=depth,
                depth_path=depth_path,
                K=np.array([[FOCAL_PX, 0, SIDE_PX / 2], [0, FOCAL_PX, SIDE_PX / 2], [0, 0, 1.0]]),
                K_width=SIDE_PX,
            )
            for light in range(6)
            if (path := start / f"{stem}_image_{light}.png").is_file()
        ),
    )


def read_depth(path: Path, about: Path) -> Float[np.ndarray, "h w"]:
    """Depth [m]: 0 and 65535 stand for the ends of the range that the file beside it tells."""
    if not about.is_file():
        raise missing(about, path)
    try:
        ends = yaml.safe_load(about.read_bytes())["normalization"]
        low, high = float(ends["min"]), float(ends["max"])
    except (yaml.YAMLError, KeyError, TypeError, ValueError):
        raise DamagelandError(f"{about}: expected normalization: {{min: …, max: …}} in metres") from None
    if not (math.isfinite(low) and math.isfinite(high) and 0 <= low < high):
        raise DamagelandError(f"{about}: normalization goes from {low} to {high}, expected metres, the greater last")
    steps = decode(path, cv2.IMREAD_UNCHANGED)
    if steps.dtype != np.uint16 or steps.ndim != 2:
        raise DamagelandError(f"{path} holds {steps.dtype} of shape {steps.shape}, expected uint16 with one channel")
    return checked_depth(path, (steps / 65535 * (high - low) + low).astype(np.float32))
