"""What pristine references are worth: query, refdiff, wrong gallery and fusion on the same held-out products.

Renders ``assets/recipes/references.yaml`` (half an hour of work) into --data unless it is there, trains the models and
their stack unless --model holds them, and prints the table. ``--captures`` renders fewer.
"""

import argparse
import json
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
from damageland.sim.shards import read_captures
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("runs/references"))
    parser.add_argument("--model", type=Path, default=None, help="folder of a trained model; trained there if empty")
    parser.add_argument("--captures", type=int, default=None)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--locate-steps", type=int, default=250)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--crop-px", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if not any(options.data.glob("shard-*.tar")):
        render(options.data, options.captures, options.workers)
    model = options.model or options.data / "model"
    config = TrainConfig(
        seed=options.seed, steps=options.steps, locate_steps=options.locate_steps, width=options.width,
        crop_px=options.crop_px,
    )  # fmt: skip
    train(options.data, config, model)
    scorer = load_scorer(model)
    rows = control_rows(scorer, options.data, gather(options.data, ()), seed=options.seed)
    print(alignment(options.data))
    print(f"{options.data}: {rows[0].captures} held-out captures, {rows[0].damaged} damaged")
    print(describe(rows))
    if isinstance(scorer, Fusion):
        print({name: stack.model_dump() for name, stack in scorer.card.stacks.items()})
    (model / "references.json").write_text(json.dumps(control_table(rows), indent=1) + "\n")


if __name__ == "__main__":
    main()
