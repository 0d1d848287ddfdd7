"""How fast training reads shards: ``open_shards`` against a loop that decodes the same bytes. Part of ``make bench``.

Ratios of one run, alternating; 1 is as fast as nothing but decoding. Beside loader threads the bare loop runs in as
many processes, each over its share.
"""

import argparse
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
import torch
from damageland.generators.recipe import ASSETS, make_plan, read_plan, shard_count
from damageland.generators.shoot import render_shard
from damageland.sim.batch import run_shards
from damageland.sim.output import claim_output, finish
from damageland.train.stream import open_shards
from rich.console import Console
from rich.table import Table

ROUNDS = 5


def rendered(folder: Path, captures: int) -> Path:
    """A small data set from the demo's recipe: its cameras, its pictures."""
    plan = read_plan(ASSETS / "recipes" / "demo.yaml")
    products = tuple(spec.model_copy(update={"count": 1}) for spec in plan.recipe.products[:3])
    changes = {"captures": captures, "products": products, "gallery": 0, "cycles_share": 0.0, "shard_size": 4}
    plan = make_plan(plan.recipe.model_copy(update=changes), plan.booth)
    claim_output(folder, plan.lock)
    run_shards(partial(render_shard, plan), shard_count(plan.recipe), folder, workers=2, progress=False)
    finish(folder, shard_count(plan.recipe))
    return folder


def decode_all(paths: list[Path]) -> int:
    """Decode every picture of these shards and keep nothing: what no reader can do without."""
    count = 0
    for path in paths:
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                data = b"" if file is None else file.read()
                if member.name.endswith(".jpg"):
                    simplejpeg.decode_jpeg(data, "RGB")
                elif member.name.endswith(".png"):
                    cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
                count += member.name.endswith(".json")
    return count


def bare(paths: list[Path], passes: int, workers: int, pool: ProcessPoolExecutor | None) -> int:
    """Passes of the bare loop, in this process or shared among others."""
    if pool is None:
        return sum(decode_all(paths) for _ in range(passes))
    work = paths * passes
    return sum(pool.map(decode_all, [work[k::workers] for k in range(workers)]))


def stream(folder: Path, passes: int, workers: int) -> int:
    """As many epochs as one: loader threads start once."""
    captures = open_shards(folder, split=None).quotas[0]
    batches = open_shards(folder, split=None, batch=4, workers=workers, captures=captures * passes)
    return sum(len(batch) for batch in batches)


def rate(work: Callable[[], int]) -> float:
    """Captures per second."""
    start = time.perf_counter()
    return work() / (time.perf_counter() - start)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--captures", type=int, default=12)
    parser.add_argument("--passes", type=int, default=60)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    table = Table("loader threads", "bare loop, captures/s", "open_shards, captures/s", "ratio (median)", "range")
    with tempfile.TemporaryDirectory() as scratch:
        folder = rendered(Path(scratch) / "data", options.captures)
        paths = sorted(folder.glob("shard-*.tar"))
        for workers in (0, 1, 2):
            pool = ProcessPoolExecutor(workers) if workers else None
            ratios, rates = [], []
            for _ in range(ROUNDS):
                a = rate(partial(bare, paths, options.passes, workers, pool))
                b = rate(partial(stream, folder, options.passes, workers))
                ratios.append(b / a)
                rates.append((a, b))
            if pool is not None:
                pool.shutdown()
            a, b = (statistics.median(r[k] for r in rates) for k in (0, 1))
            spread = f"{min(ratios):.2f}-{max(ratios):.2f}"
            table.add_row(str(workers), f"{a:.0f}", f"{b:.0f}", f"{statistics.median(ratios):.2f}", spread)
    Console().print(table)


if __name__ == "__main__":
    main()
