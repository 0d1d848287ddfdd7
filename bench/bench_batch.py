"""Rates of making, checking and coding data sets, as ratios within one run: part of ``make bench``.

Rates of engines are taken between the first shard of each worker and the last of all, so that starting processes, which
takes the same seconds for three shards as for a million, does not count. Two workers are twice as fast as one only on
two cores that have nothing else to do: the load is printed beside them.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg
from damageland.generators.compose import compose
from damageland.generators.recipe import Plan, read_plan, shard_count
from damageland.generators.shoot import render_shard, shoot
from damageland.sim.batch import make_one, run_shards
from damageland.sim.capture import Capture
from damageland.sim.engines import Engine, LocalEngine
from damageland.sim.output import claim_output, finish, inspect
from damageland.sim.shards import encode_capture, quantise_depth, shard_path, write_shard
from rich.console import Console
from rich.table import Table

DEMO = Path(__file__).resolve().parents[1] / "assets" / "recipes" / "demo.yaml"


@dataclass(frozen=True)
class Line:
    name: str
    value: float
    unit: str


def preview_plan(*, captures: int, shard_size: int) -> Plan:
    """The demo in preview, without galleries."""
    plan = read_plan(DEMO)
    changed = {"cycles_share": 0.0, "captures": captures, "shard_size": shard_size, "gallery": 0, "damaged_share": 0.3}
    return replace(plan, recipe=plan.recipe.model_copy(update=changed))


def seconds_of(work: Callable[[], Any], *, runs: int = 3, clock: Callable[[], float] = time.perf_counter) -> float:
    """Median of a few runs, after one that is not counted; ``process_time`` for what counts per core."""
    work()
    times = []
    for _ in range(runs):
        start = clock()
        work()
        times.append(clock() - start)
    return statistics.median(times)


# Engines


def shards_per_second(plan: Plan, engine: Engine, workers: int) -> float:
    """Rate once every worker has made its first shard."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "run.jsonl"
        make = partial(render_shard, plan)
        run_shards(make, shard_count(plan.recipe), Path(folder) / "out", engine=engine, progress=False, log=log)
        events = [json.loads(line) for line in log.read_text().splitlines()]
    made = [event["monotonic_s"] for event in events if event["event"] == "shard made"]
    return (len(made) - workers) / (made[-1] - made[workers - 1])


def bench_engines(shards: int) -> list[Line]:
    from damageland.sim.raybatch import RayEngine

    plan = preview_plan(captures=2 * shards, shard_size=2)
    local = partial(LocalEngine, time_limit_s=600.0, tasks_per_worker=0)
    one = shards_per_second(plan, local(workers=1), 1)
    two = shards_per_second(plan, local(workers=2), 2)
    ray = shards_per_second(plan, RayEngine(workers=2, tasks_per_worker=0, time_limit_s=600.0), 2)
    return [
        Line("one local worker, preview", 2 * one, "captures/s"),
        Line("two local workers / one (aim 1.8)", two / one, "×"),
        Line("Ray / local, two workers (aim 0.97)", ray / two, "×"),
        Line("load of this machine meanwhile", os.getloadavg()[0], ""),
    ]


# Writing and checking


def bench_writing(plan: Plan, units: int) -> tuple[list[Line], list[Capture]]:
    """Share of encoding and writing in the making of preview captures."""
    captures: list[Capture] = []
    shoot(plan, compose(plan, 0))
    start = time.perf_counter()
    for index in range(units):
        captures += shoot(plan, compose(plan, index))
    rendering = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        writing = seconds_of(lambda: write_shard(shard_path(Path(folder), 0), captures))
        size = shard_path(Path(folder), 0).stat().st_size
    share = 100 * writing / (rendering + writing)
    return [
        Line("encoding and writing, of the time of preview rendering (aim 10)", share, "%"),
        Line("encoding and writing one capture", 1000 * writing / len(captures), "ms"),
        Line("size of one capture", size / len(captures) / 1000, "kB"),
    ], captures


def _copies(k: int, out: Path, *, captures: list[Capture], count: int) -> None:
    numbered = (replace(captures[i % len(captures)], capture_id=f"c{k}-{i}", twin_id=None) for i in range(count))
    write_shard(shard_path(out, k), (replace(c, reference_ids=()) for c in numbered))


def bench_check(captures: list[Capture], *, per_shard: int = 100, shards: int = 6) -> list[Line]:
    """The check without pixels of a set of copies of real captures, all in the page cache."""
    with tempfile.TemporaryDirectory() as folder:
        claim_output(folder, "name: bench\n")
        for k in range(shards):
            make_one(partial(_copies, captures=captures, count=per_shard), k, folder)
        finish(folder, shards)
        seconds = seconds_of(lambda: inspect(folder, pixels=False), clock=time.process_time)
        found = inspect(folder, pixels=False)
        assert not found.problems, found.problems[:3]
        data = shard_path(Path(folder), 0)
        bare = data.stat().st_size / seconds_of(lambda: _hash(data), clock=time.process_time) / 1e6
        megabytes = found.bytes_read / 1e6
        start = time.perf_counter()
        inspect(folder, pixels=True)
        full = time.perf_counter() - start
    return [
        Line("check without pixels, per core (aim 200)", megabytes / seconds, "MB/s"),
        Line("… of the rate of sha256 alone", 100 * megabytes / seconds / bare, "%"),
        Line("check with pixels", megabytes / full, "MB/s"),
        Line("full check: foretold / measured", found.full_seconds / full, "×"),
    ]


def _hash(path: Path) -> str:
    from damageland.sim.files import sha256_of

    return sha256_of(path)


# Codecs


def png(level: int, strategy: int = cv2.IMWRITE_PNG_STRATEGY_DEFAULT) -> Callable[[np.ndarray], bytes]:
    options = [cv2.IMWRITE_PNG_COMPRESSION, level, cv2.IMWRITE_PNG_STRATEGY, strategy]
    return lambda image: cv2.imencode(".png", image, options)[1].tobytes()


def jpeg(quality: int, sampling: str) -> Callable[[np.ndarray], bytes]:
    return lambda image: simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality, "RGB", sampling)


def from_png(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


RLE, FILTERED = cv2.IMWRITE_PNG_STRATEGY_RLE, cv2.IMWRITE_PNG_STRATEGY_FILTERED
CODECS: dict[str, list[tuple[str, Callable[[np.ndarray], bytes], Callable[[bytes], Any]]]] = {
    "colour": [
        ("JPEG 95 4:4:4 (ours)", jpeg(95, "444"), simplejpeg.decode_jpeg),
        ("JPEG 95 4:2:0", jpeg(95, "420"), simplejpeg.decode_jpeg),
        ("PNG level 1", png(1), from_png),
        ("PNG level 6", png(6), from_png),
    ],
    "depth": [
        ("PNG level 1 (ours)", png(1), from_png),
        ("PNG level 1, RLE", png(1, RLE), from_png),
        ("PNG level 1, filtered", png(1, FILTERED), from_png),
        ("PNG level 6", png(6), from_png),
    ],
    "labels": [
        ("PNG level 1 (ours)", png(1), from_png),
        ("PNG level 1, RLE", png(1, RLE), from_png),
        ("PNG level 6", png(6), from_png),
    ],
}


def images_of(captures: list[Capture], sort: str) -> list[np.ndarray]:
    views = [view for capture in captures for view in capture.views]
    if sort == "colour":
        return [view.rgb for view in views]
    if sort == "depth":
        return [quantise_depth(view.depth) for view in views if view.depth is not None]
    return [i for view in views for i in (view.item, view.part, view.damage) if i is not None]


def codec_table(captures: list[Capture]) -> Table:
    table = Table("image", "codec", title="Codecs, one thread, per image")
    for name in ("encode ms", "decode ms", "kB"):
        table.add_column(name, justify="right")
    for sort, codecs in CODECS.items():
        images = images_of(captures, sort)
        for name, encode, decode in codecs:
            data = [encode(image) for image in images]
            coding = seconds_of(lambda e=encode, i=images: [e(image) for image in i]) / len(images)
            decoding = seconds_of(lambda d=decode, x=data: [d(one) for one in x]) / len(images)
            size = sum(map(len, data)) / len(data) / 1000
            table.add_row(sort, name, f"{1000 * coding:.2f}", f"{1000 * decoding:.2f}", f"{size:.1f}")
        table.add_section()
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shards", type=int, default=12, help="shards that each engine makes")
    parser.add_argument("--units", type=int, default=4, help="captures that are rendered for coding and checking")
    parser.add_argument("--skip-engines", action="store_true", help="only writing, checking and codecs")
    arguments = parser.parse_args()
    console = Console(width=110 if not os.isatty(1) else None)
    lines, captures = bench_writing(preview_plan(captures=arguments.units, shard_size=2), arguments.units)
    assert encode_capture(captures[0])
    lines += bench_check(captures)
    if not arguments.skip_engines:
        lines += bench_engines(arguments.shards)
    table = Table("", "", "", title="damageland bench: data sets", show_header=False)
    for line in lines:
        table.add_row(line.name, f"{line.value:.3g}", line.unit)
    console.print(table)
    console.print(codec_table(captures))


if __name__ == "__main__":
    main()
