"""A real photograph beside the rendered one: both pictures, and histograms of their luminance and depth."""

import io

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ..sim.errors import DamagelandError
from ..sim.shards import DEPTH_UNIT_M

MOST_BYTES, MOST_PIXELS = 64_000_000, 100_000_000
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
BINS = 48


def read_photo(name: str, data: bytes) -> UInt8[np.ndarray, "h w 3"]:
    """A photograph from the bytes of its file."""
    picture = _decode(name, data, cv2.IMREAD_COLOR)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]


def read_depth(name: str, data: bytes) -> Float[np.ndarray, "h w"]:
    """Depth [mm] from the bytes of a PNG in steps of 0.1 mm; 0 is no return."""
    picture = _decode(name, data, cv2.IMREAD_UNCHANGED)
    if picture.dtype != np.uint16 or picture.ndim != 2:
        raise DamagelandError(
            f"{name}: depth is {picture.dtype} with {picture.ndim} axes; expected a PNG of one channel with 16 bits, "
            "0.1 mm per step, 0 = no return."
        )
    return 1000.0 * DEPTH_UNIT_M * picture.astype(np.float64)


def _decode(name: str, data: bytes, flags: int) -> np.ndarray:
    if not data or len(data) > MOST_BYTES:
        raise DamagelandError(f"{name}: {len(data)} bytes; expected a picture of 1 to {MOST_BYTES} bytes.")
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        picture = None
    if picture is None or picture.shape[0] * picture.shape[1] > MOST_PIXELS:
        raise DamagelandError(f"{name}: cannot be read as a picture. Expected a JPEG or PNG that is whole.")
    return picture


def luminance_of(rgb: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, " n"]:
    """Luminance of all pixels, 0 to 255, as the picture has it."""
    return (rgb.reshape(-1, 3) @ LUMINANCE).astype(np.float64)


def histograms(
    ours: UInt8[np.ndarray, "h w 3"],
    theirs: UInt8[np.ndarray, "h2 w2 3"] | None,
    our_depth_mm: Float[np.ndarray, "h3 w3"] | None,
    their_depth_mm: Float[np.ndarray, "h4 w4"] | None,
) -> UInt8[np.ndarray, "h5 w5 3"]:
    """Luminance of both on the left, depth of both on the right, as shares of the pixels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 2.4), dpi=80, layout="constrained")
    axes = figure.subplots(1, 2)
    _draw(axes[0], "luminance", luminance_of(ours), None if theirs is None else luminance_of(theirs), (0.0, 255.0))
    depths = [d[d > 0] if d is not None else None for d in (our_depth_mm, their_depth_mm)]
    there = np.concatenate([d for d in depths if d is not None] or [np.zeros(0)])
    ends = (float(there.min()), float(there.max()) + 1e-6) if len(there) else (0.0, 1.0)
    _draw(axes[1], "depth [mm]", depths[0], depths[1], ends)
    axes[0].legend(loc="upper right", fontsize=7)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    return read_photo("histograms", drawn.getvalue())


def _draw(axis, title: str, ours: np.ndarray | None, theirs: np.ndarray | None, ends: tuple[float, float]) -> None:
    for values, name, ink in ((ours, "rendered", "#1f77b4"), (theirs, "real", "#d62728")):
        if values is not None and len(values):
            share = np.full(len(values), 1 / len(values))
            axis.hist(values, bins=BINS, range=ends, weights=share, histtype="step", color=ink, label=name)
    axis.set_title(title, fontsize=8)
    axis.tick_params(labelsize=6)
