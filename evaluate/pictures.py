"""Small pictures for the report: damage drawn over a photograph, depth as shades, all as JPEG in data URIs."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Shaped, UInt8

from ..sim.capture import Capture, View

SIDE_PX = 260
"""Longer side of a picture in the report."""
DAMAGE_COLOUR = (225, 40, 60)
"""sRGB of damage drawn over a picture."""


@dataclass(frozen=True)
class Sample:
    """A real capture for the report: its most suspicious view, plain and with the predicted mask."""

    camera: str
    rgb: str
    overlay: str
    """Pictures as data URIs."""


@dataclass(frozen=True)
class StripView:
    """One camera's pictures of a rendered capture, as data URIs; None where the camera does not have it."""

    camera: str
    twin: str
    damaged: str
    truth: str | None
    predicted: str | None
    depth: str | None


@dataclass(frozen=True)
class Strip:
    """A rendered capture beside its twin, one row of pictures per camera."""

    capture_id: str
    label: tuple[str | None, ...]
    """Family, renderer, then the generators of the damages."""
    caption: str
    views: tuple[StripView, ...]


def data_uri(rgb: UInt8[np.ndarray, "h w 3"], *, quality: int = 82) -> str:
    """A picture as a JPEG inside a ``data:`` address."""
    ok, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert ok
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def shrink(image: Shaped[np.ndarray, "h w *c"]) -> np.ndarray:
    """Resize so that the longer side is SIDE_PX; never enlarges."""
    h, w = image.shape[:2]
    scale = min(1.0, SIDE_PX / max(h, w))
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    return image if scale == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def overlay(rgb: UInt8[np.ndarray, "h w 3"], mask: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Tint a picture by a mask in [0, 1], with a line where the mask passes one half."""
    share = 0.6 * np.clip(mask, 0, 1)[..., None]
    tinted = (rgb * (1 - share) + np.array(DAMAGE_COLOUR) * share).astype(np.uint8)
    outlines, _ = cv2.findContours((mask >= 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(tinted, outlines, -1, DAMAGE_COLOUR, 1))


def shade_depth(depth: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Depth as colour, near is bright, between the 2nd and 98th percentile; pixels without return are black."""
    seen = depth > 0
    if not seen.any():
        return np.zeros((*depth.shape, 3), np.uint8)
    near, far = np.quantile(depth[seen], [0.02, 0.98])
    level = 1 - np.clip((depth - near) / max(far - near, 1e-6), 0, 1)
    coloured = cv2.applyColorMap((255 * level).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    return np.where(seen[..., None], cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB), 0).astype(np.uint8)


def draw_sample(capture: Capture, view_scores: Mapping[str, float], masks: Mapping[str, np.ndarray]) -> Sample:
    """Draw the view with the highest score (the first, if the model gives none)."""
    view = max(capture.views, key=lambda view: view_scores.get(view.camera, 0.0))
    rgb = shrink(view.rgb)
    return Sample(view.camera, data_uri(rgb), data_uri(_overlay_of(view, masks)) if masks else data_uri(rgb))


def draw_strip(
    query: Capture, twin: Capture, masks: Mapping[str, np.ndarray], *, label: tuple[str | None, ...]
) -> Strip:
    """Draw a damaged capture beside its twin for every camera both have."""
    pristine = {view.camera: view for view in twin.views}
    views = tuple(
        StripView(
            camera=view.camera,
            twin=data_uri(shrink(pristine[view.camera].rgb)),
            damaged=data_uri(shrink(view.rgb)),
            truth=None if view.damage is None else data_uri(_overlay_of(view, {view.camera: view.damage > 0})),
            predicted=data_uri(_overlay_of(view, masks)) if view.camera in masks else None,
            depth=None if view.depth is None else data_uri(shrink(shade_depth(view.depth))),
        )
        for view in query.views
        if view.camera in pristine
    )
    return Strip(query.capture_id, label, _caption(query), views)


def _overlay_of(view: View, masks: Mapping[str, np.ndarray]) -> UInt8[np.ndarray, "h w 3"]:
    rgb = shrink(view.rgb)
    mask = masks.get(view.camera)
    if mask is None:
        return rgb
    size = (rgb.shape[1], rgb.shape[0])
    return overlay(rgb, cv2.resize(np.asarray(mask, np.float32), size, interpolation=cv2.INTER_AREA))


def _caption(capture: Capture) -> str:
    """Product and damages in words, with measures, e.g. ``carton (cycles), crush (minor, depth 4.1 mm)``."""
    parts = [str(capture.attributes.get("category") or capture.item_material or "item")]
    if renderer := capture.provenance.get("renderer"):
        parts[0] += f" ({renderer})"
    for damage in capture.damages:
        measures = [_measure(name, value) for name, value in list(damage.measures.items())[:3]]
        parts.append(f"{damage.generator} ({', '.join([damage.severity, *measures])})")
    return ", ".join(parts)


def _measure(name: str, value: float) -> str:
    """``depth_mm`` and 4.1 as ``depth 4.1 mm``: the unit is the last part of a measure's name."""
    words, _, unit = name.rpartition("_")
    return f"{words.replace('_', ' ')} {value:.3g} {unit.replace('mm2', 'mm²').replace('mm3', 'mm³')}".strip()
