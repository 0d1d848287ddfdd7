"""MVTec AD, LOCO and 3D-AD: a folder per category, in it a folder per split and defect.

``test`` is measured, ``train/good`` is the gallery, ``validation`` is left alone. The name of a defect's folder is kept
as ``defect_names``: it is no kind of ours. Masks mark whatever is not 0, since those of LOCO hold values such as 236 to
255 that ``defects_config.json`` gives names to.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ...sim.capture import Capture
from ...sim.errors import DamagelandError
from ..images import checked_depth
from .entry import Captures, Entry, Files, from_files, missing, pictures_in, read_json, stream, subfolders

LOCO_TYPES = ("logical_anomalies", "structural_anomalies")
LOCO_CONFIG = "defects_config.json"


def is_mvtec_ad(folder: Path) -> bool:
    """Whether a folder is a category of MVTec AD."""
    return bool(pictures_in(folder / "train" / "good")) and bool(subfolders(folder / "test")) and not is_loco(folder)


def is_loco(folder: Path) -> bool:
    """Whether a folder is a category of MVTec LOCO."""
    return any((folder / "test" / name).is_dir() for name in LOCO_TYPES)


def is_mvtec_3d(folder: Path) -> bool:
    """Whether a folder is a category of MVTec 3D-AD."""
    return (folder / "train" / "good" / "xyz").is_dir() or any(
        (kind / "xyz").is_dir() for kind in subfolders(folder / "test")
    )


def read_mvtec_ad(folder: Path) -> Captures:
    """A category of MVTec AD."""
    entries = _gallery(folder, folder / "train" / "good")
    for kind in subfolders(folder / "test"):
        for path in pictures_in(kind):
            mask = folder / "ground_truth" / kind.name / f"{path.stem}_mask.png"
            entries.append(_query(folder, kind.name, Files("query", path), [mask]))
    return stream(folder, entries)


def read_loco(folder: Path) -> Captures:
    """A category of MVTec LOCO; a picture may have several masks, which together mark its damage."""
    names = _loco_values(folder)
    entries = _gallery(folder, folder / "train" / "good")
    for kind in subfolders(folder / "test"):
        for path in pictures_in(kind):
            truth = folder / "ground_truth" / kind.name / path.stem
            masks = pictures_in(truth) or [truth / "000.png"]
            entries.append(_query(folder, kind.name, Files("query", path, values=names), masks))
    return stream(folder, entries)


def read_mvtec_3d(folder: Path) -> Captures:
    """A category of MVTec 3D-AD; depth is the third channel of the points, which are taken to be in metres."""
    entries = [_reference(folder, _with_points(path)) for path in pictures_in(folder / "train" / "good" / "rgb")]
    for kind in subfolders(folder / "test"):
        for path in pictures_in(kind / "rgb"):
            entries.append(_query(folder, kind.name, _with_points(path), [kind / "gt" / f"{path.stem}.png"]))
    return stream(folder, entries)


def _gallery(folder: Path, good: Path) -> list[Entry]:
    return [_reference(folder, Files("query", path)) for path in pictures_in(good)]


def _reference(folder: Path, files: Files) -> Entry:
    label = Capture(
        f"train-good-{files.rgb.stem}", folder.name, "real", (), False, False, role="reference", split="train"
    )
    return from_files(label, files)


def _query(folder: Path, kind: str, files: Files, masks: list[Path]) -> Entry:
    damaged = kind != "good"
    for mask in masks if damaged else []:
        if not mask.is_file():
            raise missing(mask, files.rgb)
    label = Capture(
        f"test-{kind}-{files.rgb.stem}",
        None,  # a category is no product whose pieces depend on one another
        "real",
        (),
        damaged,
        split="test",
        attributes={"category": folder.name, "defect_names": (kind,) if damaged else ()},
    )
    return from_files(label, replace(files, masks=tuple(masks)) if damaged else replace(files, intact=True))


def _loco_values(folder: Path) -> dict[int, str] | None:
    """Names of mask values, None where there is no config."""
    path = next((p for p in (folder / LOCO_CONFIG, folder.parent / LOCO_CONFIG) if p.is_file()), None)
    if path is None:
        return None
    content = read_json(path)
    listed = content.get(folder.name) if isinstance(content, dict) else content
    try:
        return {int(one["pixel_value"]): str(one["defect_name"]) for one in listed or ()}
    except (TypeError, KeyError, ValueError):
        raise DamagelandError(f"{path}: expected a list of objects with defect_name and pixel_value") from None


def _with_points(path: Path) -> Files:
    points = path.parent.parent / "xyz" / f"{path.stem}.tiff"
    if not points.is_file():
        raise missing(points, path)
    return Files("query", path, depth=partial(read_points, points), depth_path=points)


def read_points(path: Path) -> Float[np.ndarray, "h w"]:
    """Depth [m] of an organised cloud, 0 where nothing came back."""
    try:
        import tifffile
    except ImportError:
        raise DamagelandError(
            "tifffile is not installed, and MVTec 3D-AD needs it: pip install 'damageland[export]'"
        ) from None
    try:
        points = tifffile.imread(path)
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise DamagelandError(f"{path} is not a readable TIFF: {error}") from None
    if points.ndim != 3 or points.shape[2] != 3 or points.dtype.kind != "f":
        raise DamagelandError(f"{path} holds {points.dtype} of shape {points.shape}, expected float (h, w, 3) points")
    return checked_depth(path, points[..., 2])
