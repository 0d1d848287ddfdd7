"""The network that compares a view with its pristine reference, laid upon it, at three scales."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from .crops import CONTRAST_FLOOR, depth_channels, network_input
from .models import CHANNELS, TOP_SHARE, Locate, _convolution, _grow


def pair_input(
    rgb: Float[Tensor, "b 3 h w"],
    depth: Float[Tensor, "b 1 h w"],
    reference: Float[Tensor, "b 3 h w"],
    reference_depth: Float[Tensor, "b 1 h w"],
    known: Bool[Tensor, "b 1 h w"],
) -> tuple[Float[Tensor, "n 6 h w"], Float[Tensor, "b 1 h w"]]:
    """Six channels for queries, then for their references, and where a reference is known.

    A reference was photographed in other light, so each of its colours is brought to the query's mean and spread where
    it is known. Elsewhere, and in depth where either lacks it, it takes the query's own values: no difference there.
    """
    reference = torch.where(known, _relight(reference, rgb, known), rgb)
    both = known & (depth > 0) & (reference_depth > 0)
    query = network_input(rgb, depth)
    mean, deviation = rgb.mean((1, 2, 3), keepdim=True), rgb.std((1, 2, 3), keepdim=True)
    other = (reference - mean) / (deviation + CONTRAST_FLOOR)
    relief = depth_channels(torch.where(both, reference_depth, depth))
    return torch.cat([query, torch.cat([other, relief], 1)]), known.float()


def _relight(reference: Tensor, rgb: Tensor, known: Tensor) -> Tensor:
    weight = known.float()
    total = weight.sum((2, 3), keepdim=True).clamp_min(1)

    def moments(image: Tensor) -> tuple[Tensor, Tensor]:
        mean = (image * weight).sum((2, 3), keepdim=True) / total
        return mean, (((image - mean) ** 2 * weight).sum((2, 3), keepdim=True) / total).sqrt()

    (mean_q, spread_q), (mean_r, spread_r) = moments(rgb), moments(reference)
    gain = ((spread_q + 0.02) / (spread_r + 0.02)).clamp(0.5, 2)
    return (mean_q + (reference - mean_r) * gain).clamp(0, 1)


class Compare(nn.Module):
    """A shared encoder; at each scale the query's features beside their difference to the reference's; a decoder.

    About 0.3 M parameters at width 24. As in ``Detect``, the score of a view is an affine function of the mean of its
    highest damage logits. Without a reference the differences vanish and the query's features decide alone.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        a, b, c = width, 2 * width, 3 * width
        self.stem = _convolution(CHANNELS, a, stride=2)
        self.fine = nn.Sequential(_convolution(a, b, stride=2), _convolution(b, b))
        self.coarse = nn.Sequential(_convolution(b, c, stride=2), _convolution(c, c, dilation=2))
        self.join = nn.ModuleList(
            [_convolution(2 * a + 1, b, stride=2), _convolution(2 * b + 1, b), _convolution(2 * c + 1, b)]
        )
        self.wide = _convolution(b, b, dilation=2)
        self.decode = _convolution(b, b)
        self.head = nn.Conv2d(b, 1, 1)
        self.scale = nn.Parameter(torch.ones(()))
        self.shift = nn.Parameter(torch.zeros(()))

    def forward(
        self, pair: tuple[Float[Tensor, "n 6 h w"], Float[Tensor, "b 1 h w"]]
    ) -> tuple[Float[Tensor, "b h//4 w//4"], Float[Tensor, " b"]]:
        """Damage logits per cell of 4x4 pixels, and a damage logit per view."""
        x, known = pair
        stem = self.stem(x)
        fine = self.fine(stem)
        coarse = self.coarse(fine)
        first, second, third = (
            join(_difference(features, known)) for join, features in zip(self.join, (stem, fine, coarse), strict=True)
        )
        third = third + self.wide(third)
        dense = self.head(self.decode(first + second + _grow(third, second)))[:, 0].float()
        cells = dense.flatten(1)
        top = cells.topk(max(1, round(TOP_SHARE * cells.shape[1])), 1).values.mean(1)
        return dense, self.scale * top + self.shift


def _difference(features: Tensor, known: Tensor) -> Tensor:
    """Features of queries, their absolute difference to the references', and where that means anything."""
    query, reference = features.chunk(2)
    there = adaptive_avg_pool2d(known, (query.shape[2], query.shape[3])).to(query.dtype)
    return torch.cat([query, (query - reference).abs() * there, there], 1)


def build_compare(width: int, seed: int) -> nn.ModuleDict:
    """Make the localiser and the comparing network with weights drawn from a seed, as ``models.build`` does."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        networks = nn.ModuleDict({"locate": Locate(), "compare": Compare(width)})
    return networks.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
