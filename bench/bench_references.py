"""What pristine references are worth: query, refdiff, wrong gallery and fusion on the same held-out products.

Renders ``assets/recipes/references.yaml`` (half an hour of work) into --data unless it is there, trains the models and
their stack unless --model holds them, and prints the table. ``--captures`` renders fewer; ``--drawn`` takes
printed boxes that are drawn in seconds, whose damage looks like their print.
"""

import argparse
import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from damageland.evaluate.controls import control_table, describe
from damageland.evaluate.references import control_rows, gather
from damageland.generators.recipe import ASSETS, make_plan, read_plan, shard_count
from damageland.generators.shoot import render_shard
from damageland.sim.batch import run_shards
from damageland.sim.output import claim_output, finish
from damageland.sim.shards import read_captures, shard_path, write_shard
from damageland.train.config import TrainConfig
from damageland.train.fusion import PARTS, Fusion, join
from damageland.train.match import enrol
from damageland.train.pose import find_motion, known_motion, scene_of
from damageland.train.refdiff import true_square
from damageland.train.references import ReferenceBook
from damageland.train.scorers import load_scorer, train_model


def render(folder: Path, captures: int | None, workers: int) -> None:
    plan = read_plan(ASSETS / "recipes" / "references.yaml")
    if captures:
        plan = make_plan(plan.recipe.model_copy(update={"captures": captures}), plan.booth)
    claim_output(folder, plan.lock)
    run_shards(partial(render_shard, plan), shard_count(plan.recipe), folder, workers=workers)
    finish(folder, shard_count(plan.recipe))


def train(data: Path, config: TrainConfig, model: Path) -> None:
    """Train what is not there yet: both models and then the stack."""
    for part in PARTS:
        if not (model / part / "model.json").is_file():
            started = time.process_time()
            train_model(part, [data], config, model / part)
            print(f"{part}: trained in {time.process_time() - started:.0f} s of processor time", flush=True)
    if not (model / "model.json").is_file():
        join(model, lambda: read_captures(data, split="validation"), config)


def alignment(data: Path) -> str:
    """How often the motion found from pictures is the one on record, and how long it takes."""
    book = ReferenceBook.of(read_captures(data, split="test", roles=("reference",)))
    angles, shifts, seconds, blind = [], [], [], 0
    for capture in read_captures(data, split="test", roles=("query", "twin")):
        squares = [true_square(view) for view in capture.views]
        enrolled = enrol(book.find(capture), true_square)
        scene = scene_of(capture, squares)
        if scene is None or not enrolled.clouds:
            blind += 1
            continue
        started = time.process_time()
        found = find_motion(scene, enrolled.clouds[0])
        seconds.append(time.process_time() - started)
        truth = known_motion(capture, enrolled.clouds[0], scene)
        assert truth is not None
        apart = np.linalg.inv(truth.T) @ found.T
        points = enrolled.clouds[0].points
        angles.append(np.degrees(np.arccos(np.clip((np.trace(apart[:3, :3]) - 1) / 2, -1, 1))))
        shifts.append(1000 * np.linalg.norm(points @ apart[:3, :3].T + apart[:3, 3] - points, axis=1).mean())
    near = (np.array(angles) < 5) & (np.array(shifts) < 8)
    return (
        f"motion found within 5 degrees and 8 mm: {near.sum()} of {len(near)}, {blind} without geometry; "
        f"median of these {np.median(np.array(angles)[near]):.1f} degrees, {np.median(np.array(shifts)[near]):.1f} mm; "
        f"{1000 * np.median(seconds):.0f} ms of processor time each"
    )


def draw(folder: Path) -> Path:
    """Printed boxes of ``tests/boxes.py`` as a data set: seconds instead of half an hour, without any realism."""
    sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
    from boxes import box_captures

    sizes = (("train", 24, 2), ("validation", 8, 1), ("test", 20, 1))
    captures = [c for split, products, each in sizes for c in box_captures(split, products, each)]
    folder.mkdir(parents=True)
    write_shard(shard_path(folder, 0), captures)
    return folder


def report(data: Path, model: Path, config: TrainConfig) -> None:
    """Train what is missing, and print everything."""
    train(data, config, model)
    scorer = load_scorer(model)
    rows = control_rows(scorer, data, gather(data, ()), seed=config.seed)
    print(alignment(data))
    print(f"{data.name}: {rows[0].captures} held-out captures, {rows[0].damaged} damaged")
    print(describe(rows))
    if isinstance(scorer, Fusion):
        for name, stack in scorer.card.stacks.items():
            print(name, stack.model_dump())
    (model / "references.json").write_text(json.dumps(control_table(rows), indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("runs/references"))
    parser.add_argument("--model", type=Path, default=None, help="folder of a trained model; trained there if empty")
    parser.add_argument("--drawn", action="store_true", help="printed boxes drawn in seconds instead of renders")
    parser.add_argument("--only-alignment", action="store_true", help="no models: only how well motions are found")
    parser.add_argument("--captures", type=int, default=None)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--locate-steps", type=int, default=250)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--crop-px", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    config = TrainConfig(
        seed=options.seed, steps=options.steps, locate_steps=options.locate_steps, width=options.width,
        crop_px=options.crop_px,
    )  # fmt: skip
    if options.drawn:
        with tempfile.TemporaryDirectory() as folder:
            small = {
                "steps": 140,
                "locate_steps": 40,
                "pairs": 12,
                "unpaired": 0,
                "width": 8,
                "crop_px": 64,
                "frame_px": 64,
                "locate_px": 48,
            }
            report(
                draw(Path(folder) / "drawn"), options.model or Path(folder) / "model", config.model_copy(update=small)
            )
        return
    if not any(options.data.glob("shard-*.tar")):
        render(options.data, options.captures, options.workers)
    if options.only_alignment:
        print(alignment(options.data))
        return
    report(options.data, options.model or options.data / "model", config)


if __name__ == "__main__":
    main()
