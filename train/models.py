"""The two networks: one finds the item in a picture, one finds damage on the item.

Both use BatchNorm. GroupNorm would keep the statistics of rendered batches away from real photographs, but learned more
slowly here: after 250 steps on the same 147 pairs, BatchNorm ranked 79 % of these training pairs rightly and GroupNorm
71 % (one seed, no held-out data). BatchNorm also trained 321 pictures per second and core channels-last, GroupNorm 183
channels-last and 272 channels-first.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

CHANNELS = 6
"""Colour, coarse depth, fine depth, depth validity; see ``crops.network_input``."""
LOCATE_STRIDE = 4
DETECT_STRIDE = 4
"""Pixels of the input per logit of the output."""
TOP_SHARE = 0.0234
"""Share of the damage logits whose mean becomes the score: 6 of 16x16, 24 of 32x32."""


def _convolution(inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def _grow(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)


class Locate(nn.Module):
    """Tiny encoder with a head over three scales; about 0.1 M parameters at most."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_convolution(3, 16, stride=2), _convolution(16, 32, stride=2), _convolution(32, 32))
        self.middle = nn.Sequential(_convolution(32, 48, stride=2), _convolution(48, 48))
        self.deep = nn.Sequential(_convolution(48, 64, stride=2), _convolution(64, 64))
        self.head = nn.Conv2d(32 + 48 + 64, 1, 1)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b h//4 w//4"]:
        """Logits that a cell of 4x4 pixels shows the item."""
        fine = self.stem(x)
        middle = self.middle(fine)
        deep = self.deep(middle)
        return self.head(torch.cat([fine, _grow(middle, fine), _grow(deep, fine)], 1))[:, 0]


class Detect(nn.Module):
    """Encoder with a wide view (dilation) and a small decoder; 0.35 M parameters at width 24.

    The score of a view is an affine function of the mean of its highest damage logits, so a picture is called damaged
    because of a place in it, and the mask loss teaches the score.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        a, b, c = width, 2 * width, 4 * width
        self.stem = _convolution(CHANNELS, a, stride=2)
        self.fine = nn.Sequential(_convolution(a, b, stride=2), _convolution(b, b))
        self.coarse = nn.Sequential(_convolution(b, c, stride=2), _convolution(c, c))
        self.wide = nn.Sequential(_convolution(c, c, dilation=2), _convolution(c, c, dilation=4))
        self.lateral = nn.Conv2d(c, b, 1)
        self.decode = _convolution(b, b)
        self.head = nn.Conv2d(b, 1, 1)
        self.scale = nn.Parameter(torch.ones(()))
        self.shift = nn.Parameter(torch.zeros(()))

    def forward(self, x: Float[Tensor, "b 6 h w"]) -> tuple[Float[Tensor, "b h//4 w//4"], Float[Tensor, " b"]]:
        """Damage logits per cell of 4x4 pixels, and a damage logit per view."""
        fine = self.fine(self.stem(x))
        coarse = self.coarse(fine)
        coarse = coarse + self.wide(coarse)
        dense = self.head(self.decode(fine + _grow(self.lateral(coarse), fine)))[:, 0].float()
        cells = dense.flatten(1)
        top = cells.topk(max(1, round(TOP_SHARE * cells.shape[1])), 1).values.mean(1)
        return dense, self.scale * top + self.shift


def build(width: int, seed: int) -> nn.ModuleDict:
    """Make both networks with weights drawn from a seed.

    torch draws initial weights from its global generator only: it is borrowed here and given back as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        networks = nn.ModuleDict({"locate": Locate(), "detect": Detect(width)})
    return networks.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def mixed_precision() -> torch.autocast:
    """Half-width arithmetic where this processor has it in hardware (2-3 times faster), else none."""
    return torch.autocast("cpu", torch.bfloat16, enabled=torch.cpu._is_avx512_bf16_supported())
