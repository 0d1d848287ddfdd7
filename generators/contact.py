"""Contact sheets: rows of products side by side as on a shelf, to judge by eye what a catalogue draws."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from ..sim.booth import Booth, Camera, draw_booth, look_at, read_booth
from ..sim.preview import preview_colour
from ..sim.scene import Part, Scene, transform_part
from ..sim.seed import generator_for
from ..sim.sensor import meter_exposure, record_colour
from .compose import finish_product
from .design import Design
from .products.catalogue import FAMILIES
from .products.product import Product

STUDIO = Path(__file__).resolve().parents[1] / "assets" / "booths" / "studio.yaml"
GAP = 0.18
"""Between products, as a share of their mean width."""
Picture = UInt8[np.ndarray, "h w 3"]


def draw_products(family: str, count: int, *, seed: int = 0, texture_px: int = 1024) -> list[Product]:
    """Draw the first products of a family in its default ranges."""
    config, build = FAMILIES[family]
    return [build(f"{family}-{k:05d}", config(), Design(seed, k, family, texture_px=texture_px)) for k in range(count)]


def line_up(items: Sequence[Scene]) -> Scene:
    """Put items side by side along x on z = 0, centred."""
    low = [np.min([p.vertices.min(axis=0) for p in item.parts], axis=0) for item in items]
    high = [np.max([p.vertices.max(axis=0) for p in item.parts], axis=0) for item in items]
    widths = [float(b[0] - a[0]) for a, b in zip(low, high, strict=True)]
    gap = GAP * float(np.mean(widths))
    at = -(sum(widths) + gap * (len(items) - 1)) / 2
    parts: list[Part] = []
    for item, a, width in zip(items, low, widths, strict=True):
        T = np.eye(4)
        T[:3, 3] = [at - a[0], 0, -a[2]]
        parts += [transform_part(part, T) for part in item.parts]
        at += width + gap
    return Scene(tuple(parts))


def frame(scene: Scene, width_px: int, *, azimuth_deg: float, elevation_deg: float) -> Camera:
    """A camera that fills its picture with a scene, standing well back."""
    points = np.concatenate([p.vertices for p in scene.parts])
    low, high = points.min(axis=0), points.max(axis=0)
    middle, reach = (low + high) / 2, float(np.linalg.norm(high - low))
    a, e = np.radians(azimuth_deg), np.radians(elevation_deg)
    eye = middle + 2.6 * reach * np.array([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)])
    pose = look_at(eye, middle)
    seen = (points - pose[:3, 3]) @ pose[:3, :3]
    flat = seen[:, :2] / seen[:, 2:]
    left, right = flat.min(axis=0), flat.max(axis=0)
    focal = 0.94 * width_px / float(right[0] - left[0])
    height = int(np.ceil(focal * float(right[1] - left[1]) + 0.06 * width_px))
    centre = np.array([width_px, height]) / 2 - focal * (left + right) / 2
    K = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1.0]])
    return Camera("shelf", width_px, height, K, pose, (1.0, 1.0, 1.0), 0.9, 0.001, 0.0, 95)


def studio(camera: Camera, *, seed: int = 0) -> Booth:
    """The studio's lights and table around one camera."""
    return replace(draw_booth(read_booth(STUDIO), generator_for(seed, 0, "studio")), cameras=(camera,))


def photograph(scene: Scene, camera: Camera, *, samples: int, photoreal: bool) -> Picture:
    """Take one picture in the studio."""
    booth = studio(camera)
    if photoreal:
        from ..sim.cycles import cycles_colour  # Blender is loaded only where it is used

        colour = cycles_colour([scene], booth, samples=samples, seed=0)[0][camera.name]
    else:
        colour = preview_colour([scene], booth, samples=samples, seed=0)[0][camera.name]
    return record_colour(colour, camera, meter_exposure(colour, camera), generator_for(0, 0, "contact noise"))


def shelf_row(products: Sequence[Product], width_px: int, *, samples: int, photoreal: bool) -> Picture:
    """Photograph products side by side; what lies flat is seen from higher up."""
    items = [finish_product(product) for product in products]
    scene = line_up(items)
    extent = np.ptp(np.concatenate([p.vertices for p in scene.parts]), axis=0)
    flat = extent[2] < 0.3 * extent[1]
    camera = frame(scene, width_px, azimuth_deg=-14.0, elevation_deg=48.0 if flat else 16.0)
    return photograph(scene, camera, samples=samples, photoreal=photoreal)


def caption(text: str, width_px: int, *, size: float = 0.5) -> Picture:
    """A strip of text."""
    strip = np.full((26, width_px, 3), 255, np.uint8)
    return cv2.putText(strip, text, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, size, (40, 40, 40), 1, cv2.LINE_AA)  # type: ignore[return-value]


def product_sheet(
    families: Sequence[str],
    *,
    count: int = 5,
    columns: int = 2,
    width_px: int = 640,
    samples: int = 4,
    photoreal: bool = False,
    seed: int = 0,
) -> Picture:
    """Draw a sheet of families, ``count`` products each, in ``columns`` columns of captioned rows."""
    cells = []
    for family in families:
        row = shelf_row(draw_products(family, count, seed=seed), width_px, samples=samples, photoreal=photoreal)
        cells.append(np.concatenate([caption(family.replace("_", " "), width_px), row]))
    piles: list[list[Picture]] = [[] for _ in range(min(columns, len(cells)))]
    for cell in cells:  # the next cell goes on the lowest pile
        min(piles, key=lambda pile: sum(len(c) for c in pile)).append(cell)
    tall = max(sum(len(c) for c in pile) for pile in piles)
    return np.concatenate([pad_below(np.concatenate(pile), tall) for pile in piles], axis=1)


def pad_below(picture: Picture, height: int) -> UInt8[np.ndarray, "tall w 3"]:
    """White below a picture up to a height."""
    return np.concatenate([picture, np.full((height - len(picture), picture.shape[1], 3), 255, np.uint8)])
