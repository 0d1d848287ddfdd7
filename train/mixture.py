"""Batches from any mixture of renders and real captures, with as many crops in each: what a fair comparison is made of.

Where damage is to be had without any damaged picture, patches are pasted on sound ones: cut out hard, as CutPaste does
(Li et al., CVPR 2021), or blended in softly and shaded anew, in the spirit of NSA (Schlüter et al., ECCV 2022). Depth
gets a bump there. It is the control that tells whether damage has to be simulated at all.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int64
from torch import Generator, Tensor

from .augment import FAINT_CHANGE, Batch, crop, draw_windows, swap_backgrounds, uniform, vary_appearance, vary_depth
from .batches import MOST_VIEWS, DetectBatch, RealPool, _assemble, _shows, frames, torch_generator
from .config import TrainConfig
from .crops import sample
from .data import ViewSet

BUMP_M = 0.006
"""Largest height of what is pasted into the depth."""


@dataclass(frozen=True)
class Mixture:
    """What the batches of a stage are made of."""

    pairs: ViewSet | None
    """Views whose damaged ones are shown beside their twins; None: real captures alone."""
    rows: Int64[np.ndarray, " p"] | None = None
    """Those of its damaged rows that are used; all if None."""
    pasted: bool = False
    """Whether the pairs are intact views of ``pairs`` with patches pasted on them instead."""
    real: RealPool | None = None
    """Real captures, half of them damaged."""
    real_share: float = 0.5
    """Their share of the crops, where there are pairs besides."""


def crops_per_step(config: TrainConfig) -> int:
    """Crops in a batch, whatever they are."""
    return 2 * config.pairs + config.unpaired


def draw_mixture(mixture: Mixture, config: TrainConfig, rng: np.random.Generator) -> DetectBatch:
    """Draw a batch of ``crops_per_step`` crops."""
    draw, total = torch_generator(rng), crops_per_step(config)
    share = 0.0 if mixture.real is None else 1.0 if mixture.pairs is None else mixture.real_share
    pairs = round((1 - share) * config.pairs)
    unpaired = round((1 - share) * config.unpaired)
    batches, masked, segments, targets = [], [], [], []
    if mixture.pairs is not None:
        batch, target = _draw_pairs(mixture, mixture.pairs, pairs, unpaired, config, rng, draw)
        batches.append(batch)
        masked.append(np.ones(len(target), bool))
        segments.append(np.arange(len(target)))
        targets.append(target)
    if mixture.real is not None:
        rows, segment, target = draw_exactly(mixture.real, total - 2 * pairs - unpaired, rng)
        batches.append(_augment(mixture.real.views, rows, np.arange(len(rows)), config, draw))
        masked.append(mixture.real.views.masked[rows])
        segments.append(segment + sum(map(len, targets)))
        targets.append(target)
    return _assemble(batches, np.concatenate(masked), np.concatenate(segments), np.concatenate(targets), pairs)


def _draw_pairs(
    mixture: Mixture,
    views: ViewSet,
    pairs: int,
    unpaired: int,
    config: TrainConfig,
    rng: np.random.Generator,
    draw: Generator,
) -> tuple[Batch, Float32[np.ndarray, " b"]]:
    """Pairs, then further intact views, and what each view shows."""
    group = np.concatenate([np.arange(pairs), np.arange(pairs), pairs + np.arange(unpaired)])
    others = rng.choice(views.intact, unpaired)
    if mixture.pasted:
        sound = rng.choice(views.intact, pairs)
        batch = _augment(views, np.concatenate([sound, sound, others]), group, config, draw, paste=pairs)
        shown = _shows(batch, slice(0, pairs)) if bool(batch.item.any()) else np.ones(pairs, np.float32)
        return batch, np.concatenate([shown, np.zeros(pairs + unpaired, np.float32)])
    damaged = rng.choice(views.pairs if mixture.rows is None else mixture.rows, pairs)
    rows = np.concatenate([damaged, views.twin[damaged], others])
    return _augment(views, rows, group, config, draw), views.target[rows]


def _augment(
    views: ViewSet,
    rows: Int64[np.ndarray, " b"],
    group: Int64[np.ndarray, " b"],
    config: TrainConfig,
    draw: Generator,
    *,
    paste: int = 0,
) -> Batch:
    batch = frames(views, rows, group)
    batch = crop(batch, draw_windows(torch.from_numpy(views.box[rows]), batch.group, draw), config.crop_px)
    batch = swap_backgrounds(batch, draw, share=config.background_swap)
    if paste:
        batch = paste_patches(batch, paste, draw)
    return vary_depth(vary_appearance(batch, draw), draw, hidden=config.modality_dropout)


def draw_exactly(
    real: RealPool, count: int, rng: np.random.Generator
) -> tuple[Int64[np.ndarray, " b"], Int64[np.ndarray, " b"], Float32[np.ndarray, " s"]]:
    """Rows, segments and targets of real captures, half of them damaged: ``count`` views, not one more.

    A damaged capture comes with its views, since nobody may know which of them shows the damage; where they no longer
    fit, single views of intact captures fill the rest.
    """
    rows: list[np.ndarray] = []
    target: list[float] = []
    left = count
    while left:
        label = len(target) % 2 == 0
        pool = real.damaged if label else real.intact
        views = rng.permutation(pool[int(rng.integers(len(pool)))])[:MOST_VIEWS]
        if len(views) > left:
            label, pool = False, real.intact
            views = rng.permutation(pool[int(rng.integers(len(pool)))])[:left]
        rows.append(views)
        target.append(float(label))
        left -= len(views)
    segment = np.repeat(np.arange(len(rows)), [len(views) for views in rows])
    return np.concatenate(rows), segment, np.array(target, np.float32)


# Pasting


def paste_patches(batch: Batch, count: int, rng: Generator, *, most: int = 2) -> Batch:
    """Paste one or two patches on each of the first ``count`` views: on the item, near the middle if it is unknown."""
    rows = slice(0, count)
    before, depth = batch.rgb[rows], batch.depth[rows]
    rgb = before
    covered = torch.zeros_like(batch.damage[rows])
    for k in range(most):
        struck = torch.ones(count) if k == 0 else (torch.rand(count, generator=rng) < 0.4).float()
        alpha, grid = _draw_patch(batch.item[rows], struck, rng)
        source = before[torch.randperm(count, generator=rng)]
        gain, lift = uniform(count, 0.6, 1.5, rng), uniform(count, -0.15, 0.15, rng)
        patch = (sample(source, grid) * gain[:, None, None, None] + lift[:, None, None, None]).clamp(0, 1)
        rgb = rgb * (1 - alpha) + patch * alpha
        bump_m = uniform(count, -BUMP_M, BUMP_M, rng)[:, None, None, None] * alpha
        depth = torch.where(depth > 0, (depth + bump_m).clamp_min(1e-3), 0.0)
        covered = torch.maximum(covered, (alpha > 0.25).float())
    change = F.avg_pool2d((rgb - before).abs().mean(1, keepdim=True), 5, 1, 2)
    damage, seen, whole, deep = (image.clone() for image in (batch.damage, batch.seen, batch.rgb, batch.depth))
    damage[rows], seen[rows] = covered, covered * (change > FAINT_CHANGE)
    whole[rows], deep[rows] = rgb, depth
    return replace(batch, rgb=whole, depth=deep, damage=damage, seen=seen)


def _draw_patch(
    item: Float[Tensor, "n 1 s s"], struck: Float[Tensor, " n"], rng: Generator
) -> tuple[Float[Tensor, "n 1 s s"], Float[Tensor, "n s s 2"]]:
    """Opacity of a patch, hard at its edge or soft, and where its picture is taken from: elsewhere and turned."""
    n, side = len(item), item.shape[-1]
    axis = (torch.arange(side) + 0.5) / side * 2 - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    likely = torch.where(item.amax((1, 2, 3), keepdim=True) > 0, item, (torch.hypot(x, y) < 0.5).float())
    cell = torch.multinomial(likely.flatten(1) + 1e-6, 1, generator=rng)[:, 0]
    cx, cy = ((c / side * 2 - 1)[:, None, None] for c in (cell % side, cell // side))
    turn, spin = (uniform(n, 0, torch.pi, rng)[:, None, None] for _ in range(2))
    a, b = (torch.exp(uniform(n, low, high, rng))[:, None, None] for low, high in ((-2.6, -0.9), (-3.2, -1.2)))
    along = ((x - cx) * torch.cos(turn) + (y - cy) * torch.sin(turn)) / a
    across = ((y - cy) * torch.cos(turn) - (x - cx) * torch.sin(turn)) / b
    boxed = torch.rand(n, 1, 1, generator=rng) < 0.5
    reach = torch.where(boxed, torch.maximum(along.abs(), across.abs()), torch.hypot(along, across))
    soft = torch.where(torch.rand(n, 1, 1, generator=rng) < 0.5, 0.08, 0.6)
    alpha = ((1 - reach) / soft).clamp(0, 1) * struck[:, None, None]
    known = item.amax((1, 2, 3), keepdim=True) > 0
    alpha = alpha[:, None] * torch.where(known, item, 1.0)
    shift = uniform(2 * n, -0.6, 0.6, rng).view(2, n, 1, 1)
    u = (x - cx) * torch.cos(spin) - (y - cy) * torch.sin(spin) + cx + shift[0]
    v = (x - cx) * torch.sin(spin) + (y - cy) * torch.cos(spin) + cy + shift[1]
    return alpha, torch.stack([u, v], -1)


__all__ = ["Mixture", "crops_per_step", "draw_exactly", "draw_mixture", "paste_patches"]
