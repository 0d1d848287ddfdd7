"""Shards as torch batches of multi-view RGB-D with masks: shuffled, mixed by weight, split over ranks, resumable.

Which captures come in which order is a function of (seed, epoch) and the manifests alone. So a position is two numbers,
the same on every rank and for any number of loader threads, and a run that was killed goes on with the very next batch.
Captures are found by the byte ranges in the manifest: any order costs one read per capture, locally or on a URL.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from ..sim.errors import DamagelandError
from ..sim.manifest import Row, read_table
from ..sim.seed import generator_for
from ..sim.store import Source, as_store
from .collate import Batch, Captures, Pool, make_pool

D = TypeVar("D")
AHEAD = 2
"""Batches that each loader thread is ahead of the one asked for."""


@dataclass(frozen=True)
class Mix:
    """A data set and how often its captures are drawn, relative to the others of a stream."""

    source: Source
    weight: float


def open_shards(
    *sources: Source | Mix,
    batch: int = 8,
    split: str | None = "train",
    roles: Sequence[str] | None = None,
    cameras: Sequence[str] | None = None,
    size_px: tuple[int, int] | None = None,
    shuffle: bool = True,
    seed: int = 0,
    rank: int | None = None,
    ranks: int | None = None,
    workers: int = 0,
    drop_last: bool = False,
    captures: int | None = None,
    keep: Callable[[Row], bool] | None = None,
    pin_memory: bool = False,
) -> "ShardStream":
    """Open finished data sets as a stream of batches.

    Args:
        sources: folders or URLs that ``damageland render`` wrote; as ``Mix`` with a weight. Without weights each epoch
            has every capture once; with them each epoch has the sources' shares, each going through its own captures
            again and again, every one once before any comes again.
        batch: captures per batch and rank.
        split: train, validation, test, or None for all.
        roles: some of query, twin, reference; None for all.
        cameras: views to take, in this order; None for those of the first source's manifest.
        size_px: (height, width) to which every view is brought; K with it. None: views must be of one size.
        shuffle: a new order every epoch; without it, the order of the manifest.
        rank, ranks: this process's share; None asks ``RANK`` and ``WORLD_SIZE``, which torchrun sets.
        workers: loader threads; the batches are the same for any number.
        drop_last: leave out what does not fill a batch on every rank, so that all ranks take equally many steps.
        captures: length of an epoch over all ranks; None for as many as there are.
        keep: which rows of the manifest to take.

    Raises:
        DamagelandError: a source is unfinished or has nothing of what was asked for.
    """
    if not sources:
        raise DamagelandError("open_shards needs at least one folder or URL that `damageland render --out` wrote")
    if batch < 1 or workers < 0:
        raise DamagelandError(f"open_shards needs batch >= 1 and workers >= 0, got {batch} and {workers}")
    weighted = [s for s in sources if isinstance(s, Mix)]
    if weighted and (len(weighted) < len(sources) or min(mix.weight for mix in weighted) <= 0):
        raise DamagelandError("give every source a weight above 0, as Mix(source, weight), or none of them")
    pools = tuple(
        _read_pool(s.source if isinstance(s, Mix) else s, split=split, roles=roles, keep=keep) for s in sources
    )
    total = captures or sum(len(pool) for pool in pools)
    weights = [mix.weight for mix in weighted] or [len(pool) for pool in pools]
    rank, ranks = _share(rank, ranks)
    chosen = tuple(cameras) if cameras else tuple(pools[0].rows["cameras"][0].as_py().split(","))
    return ShardStream(
        data=Captures(pools, chosen, size_px),
        quotas=_quotas(weights, total),
        batch=batch, shuffle=shuffle, seed=seed, rank=rank, ranks=ranks, workers=workers, drop_last=drop_last,
        pin_memory=pin_memory,
    )  # fmt: skip


class ShardStream:
    """Endless epochs of batches; iterating goes on from the position and ends with the epoch."""

    def __init__(
        self, *, data: "Captures", quotas: Sequence[int], batch: int, shuffle: bool, seed: int, rank: int, ranks: int,
        workers: int, drop_last: bool, pin_memory: bool,
    ):  # fmt: skip
        self.data, self.quotas, self.batch = data, tuple(quotas), batch
        self.shuffle, self.seed, self.rank, self.ranks = shuffle, seed, rank, ranks
        self.workers, self.drop_last, self.pin_memory = workers, drop_last, pin_memory
        self.epoch, self.position = 0, 0
        if not len(self):
            raise DamagelandError(
                f"{sum(self.quotas)} captures do not fill one batch of {batch} on each of {ranks} ranks: lower batch, "
                "or leave drop_last out"
            )

    def __len__(self) -> int:
        """Batches of an epoch on this rank."""
        mine = self._captures_of_rank()
        return mine // self.batch if self.drop_last else -(-mine // self.batch)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the rest of this epoch; the next iteration is the next epoch."""
        epoch = self.epoch
        for batch in _ahead(self._load, self._batches(epoch, self.position), self.workers):
            self.position += 1  # before the batch is handed out: a state taken while it is used points beyond it
            yield batch
        self.epoch, self.position = epoch + 1, 0

    def _load(self, drawn: list[tuple[int, int]]) -> Batch:
        batch = self.data.collate([self.data[at] for at in drawn])
        return batch.pin_memory() if self.pin_memory else batch

    def rows(self, batch: Batch) -> list[Row]:
        """Look up what the manifest says of a batch's captures: attributes, measures, links."""
        drawn = zip(batch.source.tolist(), batch.row.tolist(), strict=True)
        return [self.data.pools[s].rows.slice(k, 1).to_pylist()[0] for s, k in drawn]

    def state_dict(self) -> dict[str, int]:
        """Position: epochs done and batches of this one handed out."""
        return {"epoch": self.epoch, "position": self.position, "captures": sum(self.quotas), "seed": self.seed}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from a position; of another seed or other captures it is an error, for the order would differ."""
        own = self.state_dict()
        for name in ("seed", "captures"):
            if state.get(name) != own[name]:
                raise DamagelandError(
                    f"the saved position was taken with {name} {state.get(name)}, but this stream has {own[name]}: "
                    "open the same sources with the same options, or start anew"
                )
        if not 0 <= state["position"] <= len(self):
            raise DamagelandError(f"the saved position {state['position']} lies beyond an epoch of {len(self)} batches")
        self.epoch, self.position = int(state["epoch"]), int(state["position"])

    def _captures_of_rank(self) -> int:
        total = sum(self.quotas)
        return total // self.ranks if self.drop_last else len(range(self.rank, total, self.ranks))

    def _batches(self, epoch: int, start: int) -> Iterator[list[tuple[int, int]]]:
        """Yield the batches of an epoch on this rank, as (source, capture) each."""
        mine = self._order(epoch)[self.rank :: self.ranks][: self._captures_of_rank()]
        for k in range(start, len(self)):
            yield [(int(s), int(row)) for s, row in mine[k * self.batch : (k + 1) * self.batch]]

    def _order(self, epoch: int) -> Int64[np.ndarray, "n 2"]:
        """(source, capture) of an epoch over all ranks: each source in its own order, interleaved evenly."""
        drawn = [
            np.stack([np.full(quota, s), self._draws(s, epoch * quota, quota)], axis=1)
            for s, quota in enumerate(self.quotas)
        ]
        when = np.concatenate([(np.arange(quota) + 0.5) / max(quota, 1) for quota in self.quotas])
        return np.concatenate(drawn)[np.argsort(when, kind="stable")]

    def _draws(self, s: int, start: int, count: int) -> Int64[np.ndarray, " n"]:
        """Draws ``start … start + count`` of a source, which goes through its captures again and again."""
        size = len(self.data.pools[s])
        passes = []
        for number in range(start // size, -(-(start + count) // size)):
            order = np.arange(size)
            passes.append(
                generator_for(self.seed, number, f"shuffle {s}").permutation(order) if self.shuffle else order
            )
        drawn = np.concatenate([np.empty(0, np.int64), *passes])
        return drawn[start % size : start % size + count]


def _ahead(load: Callable[[D], Batch], todo: Iterable[D], threads: int) -> Iterator[Batch]:
    """Load batches in order, some of them ahead of being asked for.

    In threads, since decoders let go of the interpreter. Processes would hand 2 MB per capture over through shared
    memory, whose pages cost half as much as decoding.
    """
    if not threads:
        yield from map(load, todo)
        return
    todo, waiting = iter(todo), deque[Future[Batch]]()
    with ThreadPoolExecutor(threads, thread_name_prefix="load") as pool:
        try:
            waiting.extend(pool.submit(load, drawn) for drawn in islice(todo, AHEAD * threads))
            while waiting:
                batch = waiting.popleft().result()
                waiting.extend(pool.submit(load, drawn) for drawn in islice(todo, 1))
                yield batch
        finally:
            pool.shutdown(cancel_futures=True)


# Sources


def _read_pool(
    source: Source, *, split: str | None, roles: Sequence[str] | None, keep: Callable[[Row], bool] | None
) -> Pool:
    store = as_store(source)
    table = read_table(store / "manifest.parquet")
    if "offset" not in table.column_names:
        raise DamagelandError(
            f"{store}: manifest.parquet says not where captures lie in their shards: an older damageland wrote it; "
            "render the recipe again into a new folder"
        )
    chosen = np.ones(table.num_rows, bool)
    for name, values in (("split", None if split is None else [split]), ("role", roles)):
        if values is not None:
            chosen &= np.isin(table[name].to_numpy(zero_copy_only=False), list(values))
    if keep is not None:
        chosen &= [keep(row) for part in table.to_batches(1024) for row in part.to_pylist()]
    if not chosen.any():
        asked = {"split": split, "roles": roles} | ({"keep": "a filter of yours"} if keep else {})
        there = sorted({f"{row['split']}/{row['role']}" for row in table.select(["split", "role"]).to_pylist()})
        raise DamagelandError(f"{store}: no capture of {asked}; it holds {', '.join(there) or 'none'}")
    return make_pool(store, table.filter(pa.array(chosen)))


def _share(rank: int | None, ranks: int | None) -> tuple[int, int]:
    rank = int(os.environ.get("RANK", "0")) if rank is None else rank
    ranks = int(os.environ.get("WORLD_SIZE", "1")) if ranks is None else ranks
    if not 0 <= rank < ranks:
        raise DamagelandError(f"rank {rank} of {ranks} ranks: expected 0 <= rank < ranks")
    return rank, ranks


def _quotas(weights: Sequence[float], total: int) -> list[int]:
    """Captures of each source per epoch, by largest remainders."""
    exact = np.array(weights, dtype=np.float64) / sum(weights) * total
    quotas = np.floor(exact).astype(int)
    for k in np.argsort(quotas - exact, kind="stable")[: total - int(quotas.sum())]:
        quotas[k] += 1
    return [int(quota) for quota in quotas]
