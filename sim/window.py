"""Where in a picture the items are: photoreal samples are spent there, and the even tray around it gets by with few.

A window belongs to a camera and to all scenes that it is to show, so that an item and its twin have the same one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from .camera import Camera, project
from .scene import Part, Scene

MARGIN_PX = 12
"""Around what is seen in it: its outline and the darkest of its shadow."""
FADE_PX = 8
"""A window fades into the picture around it over this width, so that no line is left where the noise changes."""
MOST = 0.6
"""A window that takes more of the picture than this share is not worth a second pass."""
SCATTERED = 0.5
"""What is no item and alone takes more than this share lies all over the tray, as dust does: no window is for it."""


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels; right and bottom are the first outside."""

    left: int
    top: int
    right: int
    bottom: int


def window_of(scenes: Sequence[Scene], camera: Camera) -> Window | None:
    """Where a pinhole camera sees what stands on the tray in any scene; None if that is nothing, or most of it all."""
    seen = [box for scene in scenes for part in scene.parts if len(box := _box(part, camera))]
    if not seen:
        return None
    low, high = np.min(seen, axis=0)[:2], np.max(seen, axis=0)[2:]
    size = np.array([camera.width, camera.height])
    left, top = (int(n) for n in np.clip(np.floor(low) - MARGIN_PX, 0, size))
    right, bottom = (int(n) for n in np.clip(np.ceil(high) + MARGIN_PX, 0, size))
    if right <= left or bottom <= top or (right - left) * (bottom - top) > MOST * camera.width * camera.height:
        return None
    return Window(left, top, right, bottom)


def _box(part: Part, camera: Camera) -> Sequence[float]:
    """Left, top, right and bottom of a part's vertices [pixels]; empty if it does not count."""
    if not len(part.faces):
        return ()
    uv = project(camera, part.vertices[np.unique(part.faces)])[0]
    size = np.array([camera.width, camera.height])
    if np.isnan(uv).any():  # behind the camera too: it may be anywhere
        low, high = np.zeros(2), size.astype(float)
    else:
        low, high = np.clip(uv.min(axis=0), 0, size), np.clip(uv.max(axis=0), 0, size)
    share = np.prod(high - low) / np.prod(size)
    if share == 0 or (part.item == 0 and share > SCATTERED):
        return ()
    return (*low.tolist(), *high.tolist())


def paste(
    around: Float32[np.ndarray, "h w 3"], inside: Float32[np.ndarray, "h2 w2 3"], window: Window
) -> Float32[np.ndarray, "h w 3"]:
    """Lay a window's picture over the whole one, faded in from its sides but for those of the picture itself."""
    height, width = around.shape[:2]
    down = _ramp(window.top, window.bottom, height)
    across = _ramp(window.left, window.right, width)
    weight = np.minimum(down[:, None], across)[..., None]
    out = around.copy()
    part = out[window.top : window.bottom, window.left : window.right]
    part += weight * (inside - part)
    return out


def _ramp(start: int, stop: int, size: int) -> Float32[np.ndarray, " n"]:
    at = np.arange(start, stop) + 0.5
    before = (at - start) / FADE_PX if start > 0 else np.ones(len(at))
    after = (stop - at) / FADE_PX if stop < size else np.ones(len(at))
    return np.clip(np.minimum(before, after), 0, 1).astype(np.float32)
