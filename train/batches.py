"""Batches drawn from view sets: rows, groups, crops and targets, all draws from one generator."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from .augment import (
    Batch,
    crop,
    draw_wide_windows,
    draw_windows,
    swap_backgrounds,
    vary_appearance,
    vary_depth,
    warp_dents,
)
from .config import TrainConfig
from .crops import network_input, standardise, to_tensor
from .data import DAMAGE_BIT, DEPTH_UNIT_M, ITEM_BIT, SEEN_BIT, ViewSet
from .models import LOCATE_STRIDE

T = TypeVar("T")
LOCATE_BATCH = 24
LOCATE_SWAP = 0.6
"""Share of the localiser's pictures whose background is replaced."""
LEAST_SEEN = 0.01
"""Share of the item that a warped dent must change for the view to count as damaged."""
MOST_VIEWS = 4
"""Views of a real capture used in one batch, at most."""


@dataclass(frozen=True)
class RealPool:
    """Real captures to mix in."""

    views: ViewSet
    damaged: tuple[Int64[np.ndarray, " _"], ...]
    """Rows of each damaged capture."""
    intact: tuple[Int64[np.ndarray, " _"], ...]

    @classmethod
    def of(cls, views: ViewSet) -> "RealPool":
        """Sort captures by their label; a view of a damaged capture without a visible mask still counts for it."""
        rows = {True: [], False: []}
        for number, note in enumerate(views.notes):
            found = np.flatnonzero(views.capture == number)
            if len(found):
                rows[note.defect].append(found)
        return cls(views, tuple(rows[True]), tuple(rows[False]))


@dataclass(frozen=True)
class DetectBatch:
    """Input and truth of one step of the detector."""

    x: Float32[Tensor, "b 6 p p"]
    damage: Float32[Tensor, "b 1 p p"]
    seen: Float32[Tensor, "b 1 p p"]
    """Damaged surface, and the part of it that changes the picture."""
    item: Float32[Tensor, "b 1 p p"]
    """Where the item is; everywhere if nobody knows."""
    masked: Bool[Tensor, " b"]
    """Whether the damage pixels are known."""
    segment: Int64[Tensor, " b"]
    """Which target a view counts for."""
    target: Float32[Tensor, " s"]
    """1 for segments of which some view shows damage, 0 for segments of which none does."""
    pairs: int
    """Row i shows a damage and row pairs + i is the same crop of its twin, for i < pairs."""


def ahead(draw: Callable[[int], T], steps: range) -> Iterator[T]:
    """Yield the batches of some steps in order, drawing each in a second thread while the one before is learned from.

    The draws keep their order, so the thread changes no number.
    """
    if not steps:
        return
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(torch.get_num_threads(),)) as pool:
        future = pool.submit(draw, steps[0])
        for step in steps:
            batch = future.result()
            if step != steps[-1]:
                future = pool.submit(draw, step + 1)
            yield batch


def torch_generator(rng: np.random.Generator) -> torch.Generator:
    """Make a torch generator from the next draw of a numpy generator."""
    return torch.Generator().manual_seed(int(rng.integers(2**63)))


def frames(views: ViewSet, rows: Int64[np.ndarray, " b"], group: Int64[np.ndarray, " b"]) -> Batch:
    """Whole frames of some rows as floats."""
    labels = torch.from_numpy(views.labels[rows])[:, None]
    return Batch(
        rgb=to_tensor(views.rgb[rows]),
        depth=torch.from_numpy(views.depth[rows].astype(np.float32) * np.float32(DEPTH_UNIT_M))[:, None],
        item=((labels & ITEM_BIT) > 0).float(),
        damage=((labels & DAMAGE_BIT) > 0).float(),
        seen=((labels & SEEN_BIT) > 0).float(),
        group=torch.from_numpy(group),
    )


def draw_locate_batch(
    views: ViewSet, config: TrainConfig, rng: np.random.Generator
) -> tuple[Float[Tensor, "b 3 p p"], Float[Tensor, "b q q"]]:
    """Pictures with an item somewhere, and the item's share of each cell."""
    draw = torch_generator(rng)
    rows = rng.integers(len(views), size=LOCATE_BATCH)
    batch = frames(views, rows, np.arange(LOCATE_BATCH))
    windows = draw_wide_windows(torch.from_numpy(views.box[rows]), draw)
    batch = crop(batch, windows, config.locate_px)
    batch = vary_appearance(swap_backgrounds(batch, draw, share=LOCATE_SWAP, pictures=False), draw)
    share = torch.nn.functional.avg_pool2d(batch.item, LOCATE_STRIDE)[:, 0]
    return standardise(batch.rgb).contiguous(memory_format=torch.channels_last), share


def draw_detect_batch(
    views: ViewSet, config: TrainConfig, rng: np.random.Generator, *, real: RealPool | None = None
) -> DetectBatch:
    """Pairs, further pristine views and, if given, real captures, all augmented as a camera might have seen them."""
    draw = torch_generator(rng)
    keep = 1 - config.real_share if real is not None else 1.0
    rendered, unpaired = max(1, round(config.pairs * keep)), round(config.unpaired * keep)
    damaged = rng.choice(views.pairs, rendered)
    sound = rng.choice(views.intact, round(config.warped * keep))
    pairs = rendered + len(sound)
    rows = np.concatenate([damaged, sound, views.twin[damaged], sound, rng.choice(views.intact, unpaired)])
    group = np.concatenate([np.arange(pairs), np.arange(pairs), pairs + np.arange(unpaired)])
    batch = _augmented(views, rows, group, config, draw, warped=slice(rendered, pairs))
    masked = np.ones(len(rows), bool)
    segment, target = np.arange(len(rows)), views.target[rows]
    target[rendered:pairs] = _shows(batch, slice(rendered, pairs))
    if real is None:
        return _assemble([batch], masked, segment, target, pairs)
    captures = max(2, round(config.real_share * (2 * config.pairs + config.unpaired)))
    real_rows, real_segment, real_target = _draw_real(real, captures, rng)
    real_batch = _augmented(real.views, real_rows, np.arange(len(real_rows)), config, draw)
    return _assemble(
        [batch, real_batch],
        np.concatenate([masked, real.views.masked[real_rows]]),
        np.concatenate([segment, len(rows) + real_segment]),
        np.concatenate([target, real_target]),
        pairs,
    )


def _shows(batch: Batch, rows: slice) -> Float32[np.ndarray, " w"]:
    """1 where a warped view shows its dent, 0 where nobody could tell."""
    return (batch.seen[rows].mean((1, 2, 3)) > LEAST_SEEN * batch.item[rows].mean((1, 2, 3))).float().numpy()


def _augmented(
    views: ViewSet,
    rows: np.ndarray,
    group: np.ndarray,
    config: TrainConfig,
    draw: torch.Generator,
    *,
    warped: slice = slice(0, 0),
) -> Batch:
    batch = frames(views, rows, group)
    windows = draw_windows(torch.from_numpy(views.box[rows]), batch.group, draw)
    batch = crop(batch, windows, config.crop_px)
    batch = swap_backgrounds(batch, draw, share=config.background_swap)
    if warped.stop > warped.start:
        batch = warp_dents(batch, warped, draw)
    return vary_depth(vary_appearance(batch, draw), draw, hidden=config.modality_dropout)


def _draw_real(
    real: RealPool, captures: int, rng: np.random.Generator
) -> tuple[Int64[np.ndarray, " b"], Int64[np.ndarray, " b"], Float32[np.ndarray, " s"]]:
    """Rows, segments and targets of real captures, half of them damaged; about ``captures`` views in all."""
    rows: list[np.ndarray] = []
    target: list[float] = []
    while sum(map(len, rows)) < captures:
        label = len(target) % 2 == 0
        pool = real.damaged if label else real.intact
        views = pool[int(rng.integers(len(pool)))]
        rows.append(rng.permutation(views)[:MOST_VIEWS] if len(views) > MOST_VIEWS else views)
        target.append(float(label))
    segment = np.repeat(np.arange(len(rows)), [len(views) for views in rows])
    return np.concatenate(rows), segment, np.array(target, np.float32)


def _assemble(
    batches: list[Batch], masked: np.ndarray, segment: np.ndarray, target: np.ndarray, pairs: int
) -> DetectBatch:
    x = torch.cat([network_input(batch.rgb, batch.depth) for batch in batches])
    item = torch.cat([batch.item for batch in batches])
    return DetectBatch(
        x=x.contiguous(memory_format=torch.channels_last),
        damage=torch.cat([batch.damage for batch in batches]),
        seen=torch.cat([batch.seen for batch in batches]),
        item=torch.where(item.amax((1, 2, 3), keepdim=True) > 0, item, 1.0),
        masked=torch.from_numpy(masked),
        segment=torch.from_numpy(segment),
        target=torch.from_numpy(target.astype(np.float32)),
        pairs=pairs,
    )
