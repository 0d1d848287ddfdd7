"""Augmentation on batches: windows around the item, appearance, background, and holes in the depth.

Views of one *group* (a damaged view and its twin) share every draw, so that nothing but the damage tells them apart.
"""

from dataclasses import dataclass, replace

import kornia.augmentation as K
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Generator, Tensor

from .crops import Windows, sample, sample_depth

ZOOM = (1.02, 1.5)
"""Side of the crop over the item's larger side, in training."""
SHIFT = 0.07
"""Shift of the crop's centre, in units of the item's larger side."""
TURN_RAD = 0.2


@dataclass(frozen=True)
class Batch:
    """Frames, or crops of frames, as floats."""

    rgb: Float[Tensor, "b 3 h w"]
    """sRGB in [0, 1]."""
    depth: Float[Tensor, "b 1 h w"]
    """Metres; 0 = no return."""
    item: Float[Tensor, "b 1 h w"]
    damage: Float[Tensor, "b 1 h w"]
    seen: Float[Tensor, "b 1 h w"]
    """Shares of a pixel in [0, 1]; ``seen`` is damage that changes the picture."""
    group: Int64[Tensor, " b"]
    """Numbers 0, 1, … without gaps; equal for views that share their draws."""

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return int(self.group.max()) + 1


def uniform(n: int, low: float, high: float, rng: Generator) -> Float[Tensor, " n"]:
    """Draw n numbers evenly from [low, high)."""
    return low + (high - low) * torch.rand(n, generator=rng)


def union_boxes(box: Float[Tensor, "b 4"], group: Int64[Tensor, " b"]) -> Float[Tensor, "g 4"]:
    """Smallest boxes (left, top, right, bottom) that hold all boxes of a group."""
    index = group[:, None].expand(-1, 2)
    empty = torch.zeros(int(group.max()) + 1, 2)
    low = empty.scatter_reduce(0, index, box[:, :2], "amin", include_self=False)
    high = empty.scatter_reduce(0, index, box[:, 2:], "amax", include_self=False)
    return torch.cat([low, high], 1)


def draw_windows(
    box: Float[Tensor, "b 4"],
    group: Int64[Tensor, " b"],
    rng: Generator,
    *,
    zoom: tuple[float, float] = ZOOM,
    shift: float = SHIFT,
    turn_rad: float = TURN_RAD,
) -> Windows:
    """Draw a window around the item for each view: size, shift, turn and mirror, one draw per group."""
    union = union_boxes(box, group)
    n = len(union)
    side = (union[:, 2:] - union[:, :2]).amax(1)
    half = side / 2 * uniform(n, *zoom, rng)
    offset = (torch.rand(n, 2, generator=rng) * 2 - 1) * shift * side[:, None]
    angle = uniform(n, -turn_rad, turn_rad, rng)
    mirror = torch.where(torch.rand(n, generator=rng) < 0.5, -1.0, 1.0)
    centre = (union[:, :2] + union[:, 2:]) / 2 + offset
    return Windows(centre[group], half[group], angle[group], mirror[group])


def crop(frames: Batch, windows: Windows, out: int) -> Batch:
    """Cut the windows from frames, all images alike."""
    grid = windows.grid(out)
    rgb, item, damage, seen = sample(torch.cat([frames.rgb, frames.item, frames.damage, frames.seen], 1), grid).split(
        (3, 1, 1, 1), 1
    )
    return Batch(rgb, sample_depth(frames.depth, grid), item, damage, seen, frames.group)


APPEARANCE = (
    K.RandomGaussianBlur((7, 7), (0.3, 1.6), p=0.4),
    K.RandomGamma((0.55, 1.8), p=0.8),
    K.ColorJitter(brightness=(0.6, 1.5), contrast=(0.5, 1.6), saturation=(0.5, 1.6), p=0.8),
    K.RandomPlanckianJitter(p=0.4),
    K.RandomRGBShift(0.06, 0.06, 0.06, p=0.4),
    K.RandomLinearIllumination((0.05, 0.3), p=0.3),
    K.RandomGrayscale(p=0.15),
    K.RandomGaussianNoise(std=0.03, p=0.4),
)
"""What cameras and lights do to the same item. The order matters little: the network sees standardised crops. Colour
is mostly kept: rust is told by it."""


def vary_appearance(batch: Batch, rng: Generator) -> Batch:
    """Apply APPEARANCE, one draw per group."""
    rgb = batch.rgb
    # kornia draws from torch's global generator only: it is borrowed, seeded from ours, and given back as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=rng)))
        for step in APPEARANCE:
            drawn = step.forward_parameters(torch.Size((batch.groups, *rgb.shape[1:])))
            rgb = step(rgb, params=_spread(drawn, batch.group, rgb)).clamp(0, 1)
    return replace(batch, rgb=rgb)


def _spread(drawn: dict[str, Tensor], group: Tensor, like: Tensor) -> dict[str, Tensor]:
    """Turn parameters drawn per group into parameters per view."""
    groups = int(group.max()) + 1
    whole_batch = ("order", "forward_input_shape")
    spread = {
        name: value[group] if name not in whole_batch and value.ndim and len(value) == groups else value
        for name, value in drawn.items()
    }
    return spread | {"forward_input_shape": torch.tensor(like.shape)}


def swap_backgrounds(batch: Batch, rng: Generator, *, share: float, pictures: bool = True) -> Batch:
    """Replace what lies behind the item in a share of the groups, by another view's picture or by random fields.

    ``pictures=False`` uses random fields only: for the localiser, to which another item in the background is no
    background. Depth stays as it is: a depth camera sees the shape of the table, not its picture.
    """
    n = batch.groups
    swap = torch.rand(n, generator=rng) < share
    chosen = torch.nonzero(swap)[:, 0]
    background = torch.zeros(n, *batch.rgb.shape[1:])
    if len(chosen):
        fields = random_fields(len(chosen), batch.rgb.shape[-1], rng)
        if pictures:
            borrowed = batch.rgb[torch.randint(len(batch.rgb), (len(chosen),), generator=rng)]
            fields = torch.where((torch.rand(len(chosen), generator=rng) < 0.5)[:, None, None, None], borrowed, fields)
        background[chosen] = fields
    keep = torch.maximum(batch.item, batch.damage)  # damage can lie beside the item: spills, lost pieces
    known = batch.item.amax((1, 2, 3)) > 0  # a real photograph has no item mask: its background stays
    keep = torch.where((swap[batch.group] & known)[:, None, None, None], keep, 1.0)
    rgb = batch.rgb * keep + background[batch.group] * (1 - keep)
    return replace(batch, rgb=rgb)


def random_fields(n: int, side: int, rng: Generator) -> Float[Tensor, "n 3 side side"]:
    """Draw n backgrounds: smooth colour fields with a table edge and grain, from almost black to white."""
    level = torch.rand(n, 1, 1, 1, generator=rng) ** 1.5
    tint = 1 + 0.3 * (torch.rand(n, 3, 1, 1, generator=rng) - 0.5)
    low = F.interpolate(torch.randn(n, 3, 4, 4, generator=rng), (side, side), mode="bicubic", align_corners=False)
    high = F.interpolate(torch.randn(n, 1, 16, 16, generator=rng), (side, side), mode="bilinear", align_corners=False)
    row = torch.arange(side)[None, None, :, None] / side
    column = torch.arange(side)[None, None, None, :] / side
    edge, slope = torch.rand(n, 1, 1, 1, generator=rng), 0.6 * (torch.rand(n, 1, 1, 1, generator=rng) - 0.5)
    step = torch.sigmoid((row + slope * (column - 0.5) - edge) * side / 2) - 0.5
    strength = torch.rand(n, 3, 1, 1, generator=rng)
    grain = 0.02 * torch.randn(n, 3, side, side, generator=rng)
    field = (
        level * tint
        + 0.08 * strength[:, :1] * low
        + 0.06 * strength[:, 1:2] ** 2 * high
        + 0.8 * (strength[:, 2:] - 0.5) * step
    )
    return (random_shapes(field, rng) + grain).clamp(0, 1)


def random_shapes(
    pictures: Float[Tensor, "n 3 side side"], rng: Generator, *, count: int = 3, share: float = 0.6
) -> Float[Tensor, "n 3 side side"]:
    """Paint up to ``count`` flat ellipses and rectangles of any colour: furniture, which is not the item either."""
    n, side = len(pictures), pictures.shape[-1]
    y, x = torch.meshgrid(torch.arange(side) / side, torch.arange(side) / side, indexing="ij")
    for _ in range(count):
        centre = uniform(n * 2, -0.2, 1.2, rng).view(2, n, 1, 1)
        angle = uniform(n, 0.0, torch.pi, rng)[:, None, None]
        u = (x - centre[0]) * torch.cos(angle) + (y - centre[1]) * torch.sin(angle)
        v = (y - centre[1]) * torch.cos(angle) - (x - centre[0]) * torch.sin(angle)
        size = torch.exp(uniform(n * 2, -3.0, -0.4, rng)).view(2, n, 1, 1)
        power = torch.where(torch.rand(n, 1, 1, generator=rng) < 0.5, 2.0, 16.0)
        inside = ((u / size[0]).abs() ** power + (v / size[1]).abs() ** power < 1) & (
            torch.rand(n, 1, 1, generator=rng) < share
        )
        colour = torch.rand(n, 3, 1, 1, generator=rng)
        pictures = torch.where(inside[:, None], colour * (0.6 + 0.4 * pictures / 0.5).clamp(0, 1.3), pictures)
    return pictures


FAINT_CHANGE = 0.04
"""Smoothed change of a warped picture, in [0, 1], from which a pixel counts as seen: as on rendered pairs."""


def warp_dents(batch: Batch, rows: slice, rng: Generator, *, most: int = 2) -> Batch:
    """Make dents of sound views in the picture alone: what is mirrored and embossed there shifts, and is shaded anew.

    Each is a diamond or an ellipse about a crease, somewhere on the item; at its edge the outline gives way, too. They
    are no match for rendered dents, but no two are alike, and they cost nothing.
    """
    before, item = batch.rgb[rows], batch.item[rows]
    rgb = before
    for k in range(most):
        struck = torch.ones(len(rgb)) if k == 0 else (torch.rand(len(rgb), generator=rng) < 0.4).float()
        rgb = _warp_dent(rgb, item, struck[:, None, None, None], rng)
    change = F.avg_pool2d((rgb - before).abs().mean(1, keepdim=True), 5, 1, 2)
    damage, seen = batch.damage.clone(), batch.seen.clone()
    damage[rows] = (change > FAINT_CHANGE / 4).float()
    seen[rows] = (change > FAINT_CHANGE).float()
    whole = batch.rgb.clone()
    whole[rows] = rgb
    return replace(batch, rgb=whole, damage=damage, seen=seen)


def _warp_dent(
    rgb: Float[Tensor, "n 3 s s"], item: Float[Tensor, "n 1 s s"], struck: Float[Tensor, "n 1 1 1"], rng: Generator
) -> Float[Tensor, "n 3 s s"]:
    """One dent per picture; lengths are in units of half of the picture's side."""
    n, side = len(rgb), rgb.shape[-1]
    cell = torch.multinomial(item.flatten(1) + 1e-6, 1, generator=rng)[:, 0]
    centre = torch.stack([cell % side, cell // side], 1)[:, :, None, None] / side * 2 - 1
    axis = (torch.arange(side) + 0.5) / side * 2 - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    turn = uniform(n, 0, torch.pi, rng)[:, None, None]
    a, b = (uniform(n, low, high, rng)[:, None, None] for low, high in ((0.12, 0.5), (0.06, 0.28)))
    along = ((x - centre[:, 0]) * torch.cos(turn) + (y - centre[:, 1]) * torch.sin(turn)) / a
    across = ((y - centre[:, 1]) * torch.cos(turn) - (x - centre[:, 0]) * torch.sin(turn)) / b
    facets = (torch.rand(n, 1, 1, generator=rng) < 0.6).float()
    reach = facets * (along.abs() + across.abs()) + (1 - facets) * torch.hypot(along, across)
    hat = (1 - reach).clamp_min(0) ** uniform(n, 0.6, 1.5, rng)[:, None, None] * struck[:, 0]
    push = uniform(n, 0.03, 0.14, rng)[:, None, None] * hat
    heading = uniform(n, 0, 2 * torch.pi, rng)[:, None, None]
    pinched = torch.rand(n, 1, 1, generator=rng) < 0.5
    to_crease = torch.tanh(4 * across)
    dx = torch.where(pinched, -torch.sin(turn) * to_crease, torch.cos(heading)) * push
    dy = torch.where(pinched, torch.cos(turn) * to_crease, torch.sin(heading)) * push
    warped = sample(rgb, torch.stack([x + dx, y + dy], -1))
    tilt, shade, glint = (0.45 * torch.randn(n, 1, 1, generator=rng) for _ in range(3))
    gain = torch.exp(hat.sqrt() * (tilt * to_crease + 0.5 * shade))
    line = 0.5 * glint * torch.exp(-((across / 0.15) ** 2)) * hat
    return (warped * gain[:, None] + line[:, None] * item).clamp(0, 1)


def vary_depth(batch: Batch, rng: Generator, *, hidden: float) -> Batch:
    """Hide the depth of a share of the groups altogether; punch holes into the rest and add a little noise."""
    n, side = batch.groups, batch.depth.shape[-1]
    seen = (torch.rand(n, generator=rng) >= hidden).float()[:, None, None, None]
    blotches = F.interpolate(torch.randn(n, 1, 12, 12, generator=rng), (side, side), mode="bilinear")
    level = uniform(n, 1.0, 4.0, rng)[:, None, None, None]
    kept = seen * (blotches < level)
    noise_m = 0.0008 * torch.rand(n, 1, 1, 1, generator=rng) * torch.randn(n, 1, side, side, generator=rng)
    group = batch.group
    depth = torch.where((batch.depth > 0) & (kept[group] > 0), batch.depth + noise_m[group], 0.0).clamp_min(0)
    return replace(batch, depth=depth)


def draw_wide_windows(box: Float[Tensor, "b 4"], rng: Generator) -> Windows:
    """Draw windows for the localiser: the item fills a fifth of the window to all of it, anywhere in it."""
    n = len(box)
    side = (box[:, 2:] - box[:, :2]).amax(1)
    half = side / 2 * torch.exp(uniform(n, 0.05, 1.6, rng))
    reach = (half - 0.4 * side).clamp_min(0)
    offset = (torch.rand(n, 2, generator=rng) * 2 - 1) * reach[:, None]
    mirror = torch.where(torch.rand(n, generator=rng) < 0.5, -1.0, 1.0)
    return Windows((box[:, :2] + box[:, 2:]) / 2 + offset, half, uniform(n, -TURN_RAD, TURN_RAD, rng), mirror)
