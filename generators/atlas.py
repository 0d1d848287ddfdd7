"""One texture for all panels of a product: where each panel's picture lies in it, and the way from panel to UV."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import rectpack
from jaxtyping import Float, UInt8

GUTTER_PX = 4
"""Between panels, filled with the panel's own border, so that no renderer's filter bleeds one into the next."""
WRAP = 1 / 24
"""What a picture that goes round a body holds beyond one turn: rows of a loft are staggered by half a sector."""


@dataclass(frozen=True)
class Patch:
    """Where one panel's picture lies, in pixels of the atlas (row 0 on top)."""

    x: int
    y: int
    width: int
    height: int
    turned: bool
    """The picture lies on its side (a quarter turn anticlockwise), to fit."""
    wrap: bool
    """The picture goes round: its columns beyond one turn repeat the first ones."""
    px_per_mm: float

    @property
    def picture_size(self) -> tuple[int, int]:
        """(width, height) [px] that a picture for this patch should have."""
        width, height = (self.height, self.width) if self.turned else (self.width, self.height)
        return (round(width / (1 + WRAP)) if self.wrap else width), height


@dataclass(frozen=True)
class Atlas:
    """A square texture's layout."""

    side_px: int
    patches: tuple[Patch, ...]


def pack_atlas(sizes_mm: Sequence[tuple[float, float]], side_px: int, *, wrap: Sequence[int] = ()) -> Atlas:
    """Lay panels of (width, height) [mm] out in a square of ``side_px``, all at the same, largest possible scale.

    ``wrap`` names the panels (by position) whose picture goes round a body. Packing: rectpack's MaxRects.
    """
    sizes = np.array([(w * (1 + WRAP * (k in wrap)), h) for k, (w, h) in enumerate(sizes_mm)], float)
    scale = 0.98 * side_px / max(np.sqrt(sizes.prod(axis=1).sum()), sizes.min(axis=1).max())
    scale = min(scale, (side_px - 2 * GUTTER_PX) / sizes.max() if len(sizes) == 1 else scale)
    for _ in range(60):
        pixels = np.maximum(np.round(sizes * scale).astype(int), 2)
        packer: Any = rectpack.newPacker(rotation=True)
        packer.add_bin(side_px, side_px)
        for k, (w, h) in enumerate(pixels + 2 * GUTTER_PX):
            packer.add_rect(int(w), int(h), rid=k)
        packer.pack()
        placed = packer.rect_list()
        if len(placed) == len(sizes):
            patches: list[Patch | None] = [None] * len(sizes)
            for _, x, y, w, h, k in placed:
                turned = (w, h) != tuple(int(v) for v in pixels[k] + 2 * GUTTER_PX)
                patches[k] = Patch(
                    x + GUTTER_PX, y + GUTTER_PX, w - 2 * GUTTER_PX, h - 2 * GUTTER_PX, turned, k in wrap, float(scale)
                )
            return Atlas(side_px, tuple(p for p in patches if p is not None))
        scale *= 0.96
    raise ValueError(f"{len(sizes)} panels do not fit in {side_px} px")  # a bug of ours: sizes come from a family


def map_uv(atlas: Atlas, panel: int, st: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
    """UV of points of a panel given in its unit square (s to the right, t up; s may reach 1 + WRAP where it wraps)."""
    patch = atlas.patches[panel]
    s = st[..., 0] / (1 + WRAP) if patch.wrap else st[..., 0]
    t = st[..., 1]
    # Turned by a quarter anticlockwise, the picture's right side is on top and its top on the left.
    across, down = (1 - t, 1 - s) if patch.turned else (s, 1 - t)
    u = (patch.x + across * patch.width) / atlas.side_px
    v = 1 - (patch.y + down * patch.height) / atlas.side_px
    return np.stack([u, v], axis=-1)


def paint_atlas(
    atlas: Atlas, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]], *, ground: int = 128
) -> UInt8[np.ndarray, "s s 3"]:
    """Put one picture per panel into the atlas; each is resized to its patch and its border fills the gutter."""
    out = np.full((atlas.side_px, atlas.side_px, 3), ground, np.uint8)
    for patch, picture in zip(atlas.patches, pictures, strict=True):
        if patch.wrap:
            extra = max(1, round(picture.shape[1] * WRAP))
            picture = np.concatenate([picture, picture[:, :extra]], axis=1)
        if patch.turned:
            picture = cv2.rotate(picture, cv2.ROTATE_90_COUNTERCLOCKWISE)
        if picture.shape[:2] != (patch.height, patch.width):
            shrink = picture.shape[0] > patch.height
            way = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
            picture = cv2.resize(np.ascontiguousarray(picture), (patch.width, patch.height), interpolation=way)
        g = GUTTER_PX
        framed = cv2.copyMakeBorder(picture, g, g, g, g, cv2.BORDER_REPLICATE)
        out[patch.y - g : patch.y + patch.height + g, patch.x - g : patch.x + patch.width + g] = framed
    return out
