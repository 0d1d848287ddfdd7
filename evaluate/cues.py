"""Trivial cues: three numbers per capture that know nothing about damage.

A detector that does not beat them on the same rows may have learned the light, the camera or the backdrop. Their
direction (does a dark picture mean damage, or a bright one?) is chosen on the very rows they are tested on, which
favours the cue: a detector has to beat the better of both directions.
"""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from ..sim.capture import Capture
from .metrics import Estimate, Resamples, auroc, estimate

BORDER = 0.1
"""Width of the frame that ``border`` averages, as a share of the picture's sides."""
EDGE_SIDE_PX = 256
"""The longer side of the picture in which edges are counted, so that resolution does not decide."""
EDGE_STEP = 32.0
"""A pixel is an edge where luminance climbs by more than this many levels of 255 per pixel."""


def _luminance(rgb: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
    """Luma of ITU-R BT.601, 0-255."""
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)


def cue_luminance(rgb: UInt8[np.ndarray, "h w 3"]) -> float:
    """Mean luminance of the whole picture, 0-255."""
    return float(_luminance(rgb).mean())


def cue_border(rgb: UInt8[np.ndarray, "h w 3"]) -> float:
    """Mean luminance of the outer tenth of the picture, where the background is, 0-255."""
    h, w = rgb.shape[:2]
    frame = np.ones((h, w), bool)
    dy, dx = max(1, round(BORDER * h)), max(1, round(BORDER * w))
    frame[dy : h - dy, dx : w - dx] = False
    return float(_luminance(rgb)[frame].mean())


def cue_edges(rgb: UInt8[np.ndarray, "h w 3"]) -> float:
    """Share of pixels on an edge (Sobel's gradient, per pixel, above EDGE_STEP) at a fixed resolution, 0-1."""
    h, w = rgb.shape[:2]
    scale = EDGE_SIDE_PX / max(h, w)
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    small = cv2.resize(_luminance(rgb), size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    dx, dy = (
        cv2.Sobel(small, cv2.CV_32F, i, 1 - i) / 8 for i in (1, 0)
    )  # 8: the kernel's weights add up to a step of 1
    return float((np.hypot(dx, dy) > EDGE_STEP).mean())


CUES: Mapping[str, Callable[[UInt8[np.ndarray, "h w 3"]], float]] = {
    "cue_luminance": cue_luminance,
    "cue_border": cue_border,
    "cue_edges": cue_edges,
}


def measure_cues(capture: Capture) -> dict[str, float]:
    """Every cue of a capture, the mean over its views."""
    return {name: float(np.mean([cue(view.rgb) for view in capture.views])) for name, cue in CUES.items()}


def orient(cue: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Turn a cue round where its AUROC is below one half on these rows."""
    value = auroc(cue, positive)
    return -cue if value is not None and value < 0.5 else cue


def estimate_cue(cue: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], resamples: Resamples) -> Estimate:
    """AUROC of a cue in the direction that suits these rows, at least 0.5; the resamples keep that direction."""
    return estimate("AUROC", orient(cue, positive), positive, resamples)
