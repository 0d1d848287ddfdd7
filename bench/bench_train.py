"""What training and scoring take: ``make bench-train``.

A training step fed from shards against the same step fed from tensors in memory, alternating in one run, so that the
ratio depends little on the machine; and scoring a capture of three views of 256 x 256 pixels on one core. The step is
the detector's own network on whole views: standardised colour and depth in, a mask and a score per view out, AdamW.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterable
from itertools import chain, islice, repeat
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from bench_reading import rendered
from damageland.sim.capture import Capture, View
from damageland.train.checkpoint import Model, TrainedOn
from damageland.train.collate import Batch
from damageland.train.config import TrainConfig
from damageland.train.crops import network_input
from damageland.train.loop import _draft_card
from damageland.train.models import build, mixed_precision
from damageland.train.predict import predict
from damageland.train.steps import Steps
from damageland.train.stream import open_shards
from rich.console import Console
from rich.table import Table

ROUNDS = 5


def step(steps: Steps, batch: Batch) -> None:
    """One training step on whole views."""
    rgb, depth = batch.rgb.flatten(0, 1).float() / 255, batch.depth.flatten(0, 1)[:, None]
    x = network_input(rgb, depth).contiguous(memory_format=torch.channels_last)
    with mixed_precision():
        dense, scores = steps.network(x)
    mask = F.adaptive_max_pool2d((batch.damage.flatten(0, 1)[:, None] > 0).float(), dense.shape[-1])[:, 0]
    target = batch.defect.nan_to_num(0.0).repeat_interleave(batch.rgb.shape[1])
    loss = F.binary_cross_entropy_with_logits(dense.float(), mask)
    steps.take(loss + F.binary_cross_entropy_with_logits(scores.float(), target))


def seconds(steps: Steps, batches: Iterable[Batch], count: int) -> float:
    """Time of a step, over ``count`` of them."""
    start = time.perf_counter()
    for _, batch in zip(range(count), batches, strict=False):
        step(steps, batch)
    return (time.perf_counter() - start) / count


def bench_steps(folder: Path, width: int, batch: int, count: int, workers: int) -> list[tuple[float, float]]:
    """Seconds of a step from shards and from memory, round by round."""
    steps = Steps(build(width, 0)["detect"], TrainConfig(), 10 * ROUNDS * count + 100)
    held = list(islice(open_shards(folder, split=None, batch=batch), 4))
    seconds(steps, chain.from_iterable(repeat(held)), 3)
    found = []
    for _ in range(ROUNDS):
        stream = open_shards(folder, split=None, batch=batch, workers=workers, captures=batch * (count + 2))
        batches = iter(stream)
        step(steps, next(batches))  # loader threads start before the clock does
        read = seconds(steps, batches, count)
        found.append((read, seconds(steps, chain.from_iterable(repeat(held)), count)))
    return found


def bench_scoring(rounds: int) -> float:
    """Milliseconds to score a capture of three RGB-D views of 256 x 256 pixels, by the default network."""
    rng, config = np.random.default_rng(0), TrainConfig()
    nothing = TrainedOn(sources=(), recipe_hashes=(), captures=0, views=0, pairs=0, products=())
    model = Model(build(config.width, 0).eval().requires_grad_(False), _draft_card(config, nothing))  # pyright: ignore[reportArgumentType]
    views = tuple(
        View(camera, rng.integers(0, 256, (256, 256, 3), np.uint8), depth=rng.uniform(0.4, 0.9, (256, 256)))
        for camera in ("front", "oblique", "top")
    )
    capture = Capture("bench", None, "real", views, None)
    predict(model, capture)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        predict(model, capture)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a rendered data set; without it, a small one is rendered")
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = Table("figure", "value", "range")
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.data or rendered(Path(scratch) / "data", 12)
        found = bench_steps(folder, options.width, options.batch, options.steps, options.workers)
    ratios = [held / read for read, held in found]
    read, held = (1000 * statistics.median(times) for times in zip(*found, strict=True))
    table.add_row("step from tensors in memory, ms", f"{held:.0f}", "")
    table.add_row(f"step from shards, {options.workers} loader thread(s), ms", f"{read:.0f}", "")
    table.add_row(
        "ratio (aim: at least 0.9)", f"{statistics.median(ratios):.2f}", f"{min(ratios):.2f}-{max(ratios):.2f}"
    )
    table.add_row("scoring 3 views of 256 px, one core, ms (aim: below 150)", f"{bench_scoring(20):.0f}", "")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
