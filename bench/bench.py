"""Print every speed figure in one run: ``make bench``, or ``python bench/bench.py --json FILE`` to keep them.

Figures are medians over a few runs in one process, one thread for Cycles and one for torch, as one worker of
``damageland render`` and the trainer use them. Machines and their other work differ: compare figures of one run with
each other, and runs by the fixed numpy workload that is timed beside them.
"""

import argparse
import gc
import json
import os
import platform
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from damageland.generators import compose as composing
from damageland.generators import shoot as shooting
from damageland.generators.compose import Composed, compose
from damageland.generators.damage.subject import Subject
from damageland.generators.damage.table import DAMAGES
from damageland.generators.design import Design
from damageland.generators.products.catalogue import FAMILIES
from damageland.generators.recipe import Plan, locate, read_plan, reference_count, unit_count
from damageland.generators.shoot import shoot
from damageland.sim import shards
from damageland.sim.booth import Booth
from damageland.sim.capture import Capture
from damageland.sim.preview import preview_colour
from damageland.sim.scene import Scene
from damageland.sim.seed import generator_for
from damageland.sim.shards import shard_path, write_shard
from damageland.sim.truth import trace_truth
from rich.console import Console
from rich.table import Table

DEMO = Path(__file__).resolve().parents[1] / "assets" / "recipes" / "demo.yaml"
SAMPLES = 16

STAGES: tuple[tuple[ModuleType, str, str], ...] = (
    (composing, "build_product", "product"),
    (composing, "draw_mishap", "damage"),
    (composing, "finish_product", "finish"),
    (composing, "draw_booth", "booth"),
    (shooting, "colour_of", "colour"),
    (shooting, "trace_truth", "truth"),
    (shooting, "record_views", "sensor"),
    (shooting, "label_capture", "labels"),
    (shards, "encode_capture", "encode"),
)
"""(module, function, stage): what is timed inside the pipeline while it makes a capture. None calls another."""


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    group: str
    name: str
    value: float
    unit: str


@contextmanager
def stopwatch() -> Iterator[dict[str, float]]:
    """Time the pipeline's own functions while it runs; yields seconds per stage, filled when they are called."""
    seconds: dict[str, float] = defaultdict(float)

    def timed(function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                seconds[stage] += time.perf_counter() - start

        return call

    kept = [(module, name, getattr(module, name)) for module, name, _ in STAGES]
    try:
        for module, name, stage in STAGES:
            setattr(module, name, timed(getattr(module, name), stage))
        yield seconds
    finally:
        for module, name, function in kept:
            setattr(module, name, function)


def median_seconds(work: Callable[[], object], *, runs: int) -> float:
    """Median seconds of a call, after one call that is not counted."""
    work()
    return statistics.median(_seconds(work) for _ in range(runs))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def numpy_workload() -> None:
    """The same arithmetic everywhere: products of matrices, a sort, and array traffic."""
    rng = generator_for(0, 0, "bench")
    a = rng.random((600, 600))
    for _ in range(3):
        a = a @ a / 300
    np.sort(rng.random(1_000_000))
    np.exp(-(rng.random((1000, 1000)) ** 2)).sum()


def demo_plan(*, photoreal: bool) -> Plan:
    """The demo with every capture damaged (so each has a twin), all photoreal or all preview."""
    plan = read_plan(DEMO)
    changed = {"damaged_share": 1.0, "cycles_share": float(photoreal), "cycles_samples": SAMPLES}
    return replace(plan, recipe=plan.recipe.model_copy(update=changed))


def units_of_each_family(plan: Plan, count: int) -> list[int]:
    """Indices of the first ``count`` damaged units of each family."""
    recipe = plan.recipe
    found: dict[str, list[int]] = {spec.family: [] for spec in recipe.products}
    for index in range(reference_count(recipe), unit_count(recipe)):
        family = locate(recipe, index).spec.family
        if len(found[family]) < count:
            found[family].append(index)
    return [index for pair in zip(*found.values(), strict=True) for index in pair]


def resized(booth: Booth, side: int) -> Booth:
    """The same booth with square pictures of another size."""

    def resize(camera: Any) -> Any:
        scale = np.diag([side / camera.width, side / camera.height, 1.0])
        return replace(camera, width=side, height=side, K=scale @ camera.K)

    return replace(booth, cameras=tuple(resize(camera) for camera in booth.cameras))


# The groups of figures


def bench_photoreal(plan: Plan, indices: list[int]) -> list[Figure]:
    """Seconds per photoreal capture and its twin, three views each, by stage."""
    from damageland.sim.cycles import CyclesTiming, cycles_colour

    rows: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        first = compose(plan, indices[0])
        cycles_colour([first.scene], resized(first.booth, 32), samples=1, seed=0)  # starts Blender
        for index in indices:
            gc.collect()
            with stopwatch() as seconds:
                total = _seconds(lambda index=index: make_capture(plan, index, Path(folder)))
            row = dict(seconds) | {"total": total}
            composed, timings = compose(plan, index), list[CyclesTiming]()
            scenes = [composed.scene, *([composed.twin] if composed.twin else [])]
            around, noise = plan.recipe.cycles_around, plan.recipe.cycles_noise
            cycles_colour(
                scenes, composed.booth, samples=SAMPLES, seed=index, around=around, noise=noise, timings=timings
            )
            row |= {
                "samples": sum(t.samples_s for t in timings),
                "denoise": sum(t.denoise_s for t in timings),
                "build": sum(t.build_s + t.sync_s for t in timings),
                "read": sum(t.read_s for t in timings),
            }
            rows.append(row)
    middle = {name: statistics.median(row.get(name, 0.0) for row in rows) for name in rows[0]}
    rest = middle["colour"] - sum(middle[name] for name in ("samples", "denoise", "build", "read"))
    ours = middle["total"] - middle["colour"]
    stages = ("product", "damage", "finish", "booth", "truth", "sensor", "labels", "encode")
    group = f"photoreal capture + twin, 3 views each, 224 px, {SAMPLES} samples"
    return [
        Figure(group, "whole", middle["total"], "s"),
        Figure(group, "Cycles: samples", middle["samples"], "s"),
        Figure(group, "Cycles: denoise", middle["denoise"], "s"),
        Figure(group, "Cycles: scene building and sync", middle["build"], "s"),
        Figure(group, "Cycles: reading the picture", middle["read"], "s"),
        Figure(group, "Cycles: rest (start of each render, clean-up)", rest, "s"),
        Figure(group, "everything of ours", ours, "s"),
        *(Figure(group, f"ours: {name}", middle[name], "s") for name in stages),
        Figure(group, "ours: rest (tar, disk)", ours - sum(middle[name] for name in stages), "s"),
        Figure(group, "share of ours", 100 * ours / middle["total"], "%"),
        Figure(group, "Cycles per view", middle["colour"] / 6, "s"),
    ]


def make_capture(plan: Plan, index: int, folder: Path) -> list[Capture]:
    """One capture with its twin, as a worker makes it, into a shard of its own."""
    made: list[Capture] = []
    made += shoot(plan, compose(plan, index))
    write_shard(shard_path(folder, index), made)
    return made


def bench_preview_and_truth(composed: Composed) -> list[Figure]:
    """Views per second, scene building (ray tree, textures) included."""
    figures: list[Figure] = []
    cameras = len(composed.booth.cameras)
    for side in (224, 512):
        booth, scenes = resized(composed.booth, side), list[Scene]([composed.scene])

        def preview(booth: Booth = booth, scenes: list[Scene] = scenes) -> object:
            return preview_colour(scenes, booth, samples=4, seed=1)

        def truth(booth: Booth = booth) -> object:
            return trace_truth(composed.scene, booth)

        seconds = median_seconds(preview, runs=3 if side == 224 else 2)
        figures.append(Figure("preview", f"{side} px, 4 samples", cameras / seconds, "views/s"))
        figures.append(Figure("truth", f"{side} px", cameras / median_seconds(truth, runs=5), "views/s"))
    return sorted(figures, key=lambda figure: figure.group)


def bench_solvers() -> list[Figure]:
    """Seconds of one damage at half strength, by generator and family."""
    figures: list[Figure] = []
    for name, kind in DAMAGES.items():
        for family in ("folding_carton", "tin"):
            product_config, build = FAMILIES[family]
            products = [build(f"bench-{k}", product_config(), Design(0, k, family)) for k in range(5)]
            kind.apply(Subject(products[0]), kind.config(), 0.5, generator_for(0, 0, "damage"))  # compiles
            times = [
                _seconds(
                    lambda k=k, p=p: kind.apply(Subject(p), kind.config(), 0.5, generator_for(k, 0, "damage"))  # noqa: B023
                )
                for k, p in enumerate(products)
            ]
            figures.append(Figure("damage solver, strength 0.5", f"{name}, {family}", statistics.median(times), "s"))
    return figures


def bench_learning(captures: list[Capture], *, steps: int = 8) -> list[Figure]:
    """Images per second through the detector's training steps, batches drawn beside it; and scoring of captures."""
    import torch
    from damageland.train.config import TrainConfig
    from damageland.train.data import load_views
    from damageland.train.loop import fit, train_detect
    from damageland.train.models import build
    from damageland.train.predict import load_model, predict
    from damageland.train.steps import TrainingLog

    torch.set_num_threads(1)
    config = TrainConfig(steps=steps, locate_steps=1)
    views, detect = load_views(captures, frame_px=config.frame_px), build(config.width, 0)["detect"]
    images = steps * (2 * config.pairs + config.unpaired)
    seconds = median_seconds(lambda: train_detect(detect, views, config, TrainingLog(Path("unwritten"))), runs=3)
    with tempfile.TemporaryDirectory() as folder:
        tiny = config.model_copy(update={"steps": 1})
        model = load_model(fit(lambda split: captures, tiny, Path(folder), progress=False))
    scoring = median_seconds(lambda: [predict(model, capture) for capture in captures[:4]], runs=3) / 4
    return [
        Figure("learning", f"training, {config.crop_px} px crops", images / seconds, "images/s"),
        Figure("learning", "scoring a capture of 3 views", 1000 * scoring, "ms"),
    ]


# The whole


def ratios(figures: list[Figure]) -> list[Figure]:
    """What does not depend much on the machine."""
    value = {(f.group.split(",")[0].split()[0], f.name): f.value for f in figures}
    preview = 1 / value["preview", "224 px, 4 samples"]
    truth = 1 / value["truth", "224 px"]
    photoreal = value["photoreal", "Cycles per view"]
    return [
        Figure("ratios", "photoreal view / preview view (224 px)", photoreal / preview, "×"),
        Figure("ratios", "photoreal view / truth view (224 px)", photoreal / truth, "×"),
    ]


def machine() -> str:
    """One line: processor, cores, load, versions."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{model}; {os.cpu_count()} cores; load {load}; Python {platform.python_version()}, numpy {np.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    start, before = time.perf_counter(), machine()
    console = Console(width=110 if not os.isatty(1) else None)
    console.print(before, highlight=False)

    fast, photoreal = demo_plan(photoreal=False), demo_plan(photoreal=True)
    chosen = units_of_each_family(fast, 2)
    captures: list[Capture] = []
    figures = [Figure("orientation", "fixed numpy workload", 1000 * median_seconds(numpy_workload, runs=5), "ms")]
    for told, work in (
        ("damage solvers", bench_solvers),
        ("preview and truth", lambda: bench_preview_and_truth(compose(fast, chosen[0]))),
        ("learning: captures", lambda: captures.extend(c for k in chosen for c in shoot(fast, compose(fast, k))) or []),
        ("learning", lambda: bench_learning(captures)),
        ("photoreal", lambda: bench_photoreal(photoreal, chosen[:3])),
    ):
        console.print(f"[{time.perf_counter() - start:4.0f} s] {told} …", highlight=False, markup=False)
        figures += work()
    figures += ratios(figures)

    table = Table("", "", title=f"damageland bench, {time.perf_counter() - start:.0f} s", show_header=False)
    table.add_column(justify="right")
    table.add_column()
    group = ""
    for figure in figures:
        if group and figure.group != group:
            table.add_section()
        table.add_row("" if figure.group == group else figure.group, figure.name, f"{figure.value:.3g}", figure.unit)
        group = figure.group
    console.print(table)
    console.print(f"load at the end {os.getloadavg()[0]:.1f}", highlight=False)
    if arguments.json:
        figure_rows = [vars(figure) for figure in figures]
        text = json.dumps({"machine": before, "figures": figure_rows}, indent=1, ensure_ascii=False)
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
