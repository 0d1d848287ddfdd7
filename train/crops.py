"""Square windows of pictures: cut from whole views with numpy, or from batches of equal frames with torch.

A window may reach over the edge of the picture; the edge pixels are repeated there. Pixel positions are continuous with
pixel centres at +0.5, as everywhere in damageland.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

COARSE_M = 0.1
"""Depth differences [m] to the middle of the crop that map to tanh(1): the shape of the item as a whole."""
FINE_M = 0.005
"""Depth differences [m] to the local mean that map to tanh(1): dents, flaps and holes."""
FINE_WINDOW = 15
"""Side of the window of the local mean [pixels of the crop]."""
CONTRAST_FLOOR = 0.05
"""Added to the standard deviation of a picture in [0, 1], so that flat pictures are not blown up to noise."""


@dataclass(frozen=True)
class Square:
    """A square window of a picture, in pixels."""

    cx: float
    cy: float
    half: float
    """Half of the side."""

    @property
    def corner(self) -> tuple[int, int]:
        """Left and top edge, rounded to whole pixels."""
        return round(self.cx - self.half), round(self.cy - self.half)

    @property
    def side(self) -> int:
        """Side in whole pixels, at least 1."""
        return max(1, round(2 * self.half))


def whole(height: int, width: int) -> Square:
    """Smallest square that holds a whole picture."""
    return Square(width / 2, height / 2, max(height, width) / 2)


def cut(image: np.ndarray, square: Square, out: int, *, nearest: bool = False) -> np.ndarray:
    """Cut a square from a picture [h, w] or [h, w, c] and scale it to ``out`` pixels; averages where it shrinks."""
    (x, y), k = square.corner, square.side
    rows = np.clip(np.arange(y, y + k), 0, image.shape[0] - 1)
    columns = np.clip(np.arange(x, x + k), 0, image.shape[1] - 1)
    window = image[rows[:, None], columns[None, :]]
    shrinking = cv2.INTER_AREA if k > out else cv2.INTER_LINEAR
    return cv2.resize(window, (out, out), interpolation=cv2.INTER_NEAREST if nearest else shrinking)


def cut_depth(depth: Float[np.ndarray, "h w"], square: Square, out: int) -> Float32[np.ndarray, "out out"]:
    """Cut a square from a depth image [m]; means run over returns only, and 0 stands for no return as before."""
    returned = (depth > 0).astype(np.float32)
    total = cut(depth.astype(np.float32) * returned, square, out)
    share = cut(returned, square, out)
    return np.where(share > 0.5, total / np.maximum(share, 1e-6), 0).astype(np.float32)


def paste(
    patch: Float32[np.ndarray, "s s"], square: Square, height: int, width: int, *, fill: float
) -> Float32[np.ndarray, "height width"]:
    """Undo ``cut``: scale a square map back to its place in a picture, with ``fill`` elsewhere."""
    (x, y), k = square.corner, square.side
    canvas = np.full((height, width), fill, np.float32)
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + k, width), min(y + k, height)
    if x1 > x0 and y1 > y0:
        scaled = cv2.resize(patch, (k, k), interpolation=cv2.INTER_LINEAR)
        canvas[y0:y1, x0:x1] = scaled[y0 - y : y1 - y, x0 - x : x1 - x]
    return canvas


@dataclass(frozen=True)
class Windows:
    """One square window per frame of a batch, in units of the frame's side, maybe turned and mirrored."""

    centre: Float[Tensor, "b 2"]
    """x and y."""
    half: Float[Tensor, " b"]
    angle: Float[Tensor, " b"]
    """Radians."""
    mirror: Float[Tensor, " b"]
    """1 or -1; -1 mirrors left and right."""

    def grid(self, out: int) -> Float[Tensor, "b out out 2"]:
        """Sampling positions for ``torch.nn.functional.grid_sample``."""
        c, s = torch.cos(self.angle), torch.sin(self.angle)
        side, centre = 2 * self.half, 2 * self.centre - 1
        top = torch.stack([side * self.mirror * c, -side * s, centre[:, 0]], 1)
        bottom = torch.stack([side * self.mirror * s, side * c, centre[:, 1]], 1)
        return F.affine_grid(torch.stack([top, bottom], 1), [len(c), 1, out, out], align_corners=False)


def sample(frames: Float[Tensor, "b c h w"], grid: Float[Tensor, "b out out 2"]) -> Float[Tensor, "b c out out"]:
    """Sample frames at the positions of a grid, bilinearly, edge pixels repeated."""
    return F.grid_sample(frames, grid, mode="bilinear", padding_mode="border", align_corners=False)


def sample_depth(depth: Float[Tensor, "b 1 h w"], grid: Float[Tensor, "b out out 2"]) -> Float[Tensor, "b 1 out out"]:
    """Sample depth [m] with means over returns only; 0 stands for no return."""
    both = sample(torch.cat([depth, (depth > 0).float()], 1), grid)
    return torch.where(both[:, 1:] > 0.5, both[:, :1] / both[:, 1:].clamp_min(1e-6), 0.0)


def standardise(rgb: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Zero mean and about unit deviation per picture over all three channels: exposure is no evidence of damage."""
    mean, deviation = rgb.mean((1, 2, 3), keepdim=True), rgb.std((1, 2, 3), keepdim=True)
    return (rgb - mean) / (deviation + CONTRAST_FLOOR)


def depth_channels(depth: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Turn depth [m] (0 = no return) into three channels in [-1, 1]: coarse shape, fine relief, and where there is any.

    Coarse is the difference to the median of the middle of the crop; fine is the difference to the mean of the returns
    in a small window, which shows a dent of a few millimetres on an item of any size at any distance.
    """
    valid = (depth > 0).float()
    h, w = depth.shape[-2:]
    middle = depth[..., h // 4 : h - h // 4, w // 4 : w - w // 4].flatten(1)
    median = middle.masked_fill(middle <= 0, torch.nan).nanmedian(1).values.nan_to_num(0.0)[:, None, None, None]
    relative = (depth - median).clamp(-2 * COARSE_M, 2 * COARSE_M) * valid
    local = torch.cat([relative, valid], 1)
    for window, pad in (((FINE_WINDOW, 1), (FINE_WINDOW // 2, 0)), ((1, FINE_WINDOW), (0, FINE_WINDOW // 2))):
        local = F.avg_pool2d(local, window, 1, pad)  # beyond the border nothing returns; by rows, then by columns: fast
    fine = relative - local[:, :1] / local[:, 1:].clamp_min(1e-3)
    return torch.cat([torch.tanh(relative / COARSE_M), torch.tanh(fine / FINE_M), torch.ones_like(valid)], 1) * valid


def network_input(rgb: Float[Tensor, "b 3 h w"], depth: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 6 h w"]:
    """Six channels for the detector: standardised colour, then the depth channels (all zero without depth)."""
    relief = depth_channels(depth) if bool((depth > 0).any()) else torch.zeros_like(rgb)
    return torch.cat([standardise(rgb), relief], 1)


def to_tensor(pictures: UInt8[np.ndarray, "b h w 3"]) -> Float[Tensor, "b 3 h w"]:
    """Turn sRGB pictures into channels-first floats in [0, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous().float() / 255
