"""Pictures, depth and masks of real sets from files, and names in tables that may not lead out of their folder."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from ..sim.errors import DamagelandError
from ..sim.scene import KINDS, kind_bit
from ..sim.shards import DEPTH_UNIT_M

ALL_KINDS = (1 << len(KINDS)) - 1


def inside(where: str, column: str, folder: Path, value: str) -> Path:
    """Path of a file that a table names, which must exist and lie inside the folder, links resolved."""
    if not value:
        raise DamagelandError(f"{where}: {column} is empty: name the image, relative to {folder}")
    try:
        path = (folder / value).resolve()
        within, exists = path.is_relative_to(folder.resolve()), path.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        raise DamagelandError(f"{where}: {column} {value!r} is not a usable path: {error}") from None
    if not within or Path(value).is_absolute():
        raise DamagelandError(f"{where}: {column} {value!r} leads out of {folder}: use a path inside, relative to it")
    if not exists:
        raise DamagelandError(f"{where}: {column} {value!r} does not exist in {folder}")
    return folder / value


def decode(path: Path, flags: int) -> np.ndarray:
    """Pixels of an image file as OpenCV reads them."""
    try:
        image = cv2.imdecode(np.fromfile(path, np.uint8), flags)
    except (OSError, cv2.error) as error:
        raise DamagelandError(f"{path} cannot be read as an image: {error}") from None
    if image is None:
        raise DamagelandError(f"{path} is not a readable image (damaged, cut short, or of an unknown format)")
    return image


def read_rgb(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Read a picture as sRGB, upright as its EXIF orientation says."""
    return cv2.cvtColor(decode(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def read_steps(path: Path, unit_m: float = DEPTH_UNIT_M) -> Float[np.ndarray, "h w"]:
    """Read a uint16 depth image of so many metres per step, 0 = no return."""
    steps = decode(path, cv2.IMREAD_UNCHANGED)
    if steps.dtype != np.uint16 or steps.ndim != 2:
        raise DamagelandError(
            f"{path} holds {steps.dtype} pixels of shape {steps.shape}, expected a uint16 PNG with one "
            f"channel, {1000 * unit_m:.6g} mm per step"
        )
    return (steps * unit_m).astype(np.float32)


def checked_depth(path: Path, depth: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Refuse depth that is no number or negative: 0 is the one way to say that nothing came back."""
    bad = ~np.isfinite(depth) | (depth < 0)
    if bad.any():
        raise DamagelandError(
            f"{path} holds {np.count_nonzero(bad):,} depths that are NaN, infinite or negative: write 0 where there is "
            "no return, metres elsewhere"
        )
    return depth.astype(np.float32)


def read_marks(path: Path, names: Mapping[int, str] | None = None) -> Bool[np.ndarray, "h w"]:
    """Where a mask is not 0, whatever its values: class indices look black, and some sets count down from 255.

    ``names`` are those of all values that are allowed.
    """
    mask = decode(path, cv2.IMREAD_UNCHANGED)
    unknown = [] if names is None else sorted({int(v) for v in np.unique(mask)} - {0, *names})
    if unknown:
        raise DamagelandError(
            f"{path} holds the values {unknown}, expected 0 and those that have names: {dict(names or {})}"
        )
    if mask.ndim == 3:
        mask = mask[..., : 3 if mask.shape[2] == 4 else mask.shape[2]].any(axis=2)  # an alpha channel marks nothing
    return mask != 0


def as_damage(marks: Bool[np.ndarray, "h w"], kinds: tuple[str, ...]) -> UInt8[np.ndarray, "h w"]:
    """A damage image: each marked pixel bears the bits of all the capture's kinds, every bit if none is named.

    One mask cannot say which kind is where.
    """
    bits = sum(kind_bit(kind) for kind in KINDS if kind in kinds) or ALL_KINDS
    return np.where(marks, bits, 0).astype(np.uint8)


def size_of(image: np.ndarray) -> str:
    """``640x480``: width, then height."""
    return f"{image.shape[1]}x{image.shape[0]}"


def check_sizes(capture_id: str, picture: Path, rgb: np.ndarray, others: dict[Path, np.ndarray]) -> None:
    """Refuse depth or masks that are not aligned to their picture."""
    for path, image in others.items():
        if image.shape[:2] != rgb.shape[:2]:
            raise DamagelandError(
                f"capture {capture_id}: {picture} is {size_of(rgb)} but {path} is {size_of(image)}; "
                "both must be aligned to the pixel, so register and resize one to the other"
            )
