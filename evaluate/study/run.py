"""``damageland study``: train every arm that is not there yet, score it, and write the report.

Each arm is a folder with a model, its log and its predictions. ``arm.json`` is written last and says what the arm was
made of, so a study that was killed goes on with the arm it was at, and an arm is made again only if what it depends on
changed.
"""

import hashlib
import json
import shlex
import sys
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...sim.capture import Capture
from ...sim.errors import DamagelandError
from ...sim.files import write_atomic
from ...sim.seed import generator_for
from ...sim.shards import read_captures
from ...train.batches import DetectBatch, RealPool
from ...train.checkpoint import Model, load_model, save_model, versions
from ...train.config import TrainConfig
from ...train.console import say
from ...train.crops import Square
from ...train.data import ViewSet, keep_captures, load_views
from ...train.loop import _draft_card, _require_pairs, _trained_on, detector_losses, train_locate
from ...train.mixture import Mixture, draw_mixture
from ...train.models import build
from ...train.predict import find_item
from ...train.steps import Position, Stage, TrainingLog, run_key, run_stage, threads
from .arms import Arm, Food, Stretch, base_food, data_names, list_arms, steps_of
from .beside import BESIDE, require_references, score_beside, train_beside
from .cards import Rendered
from .distance import gaps
from .reals import Reals, open_reals, subset
from .report import write_report
from .scores import Looks, look_at, predict_arm, score_file, write_scores
from .spec import StudySpec

STUDY = "study.json"
"""What a folder of a study holds first."""
ARM = "arm.json"


@dataclass(frozen=True)
class Bench:
    """What all arms of a seed share."""

    spec: StudySpec
    config: TrainConfig
    views: ViewSet
    """Rendered captures."""
    of: Mapping[str, Sequence[str]]
    """Names of those of each data set."""
    pool: ViewSet
    """The training part of the real set, as windows around the items that the seed's localiser finds."""
    looks: Looks
    """The calibration and test parts, likewise."""
    locate: Path
    """Folder of the seed's localiser."""
    out: Path
    reals: Reals
    fingerprint: str
    progress: bool


def study(spec: StudySpec, out: Path, *, progress: bool = True) -> Path:
    """Train what is missing, measure everything, and return the report."""
    counted = Rendered()
    reals, arms = run_study(spec, out, counted, progress=progress)
    found = gaps(spec, reals, counted, localiser(out, spec.seeds[0]))
    return write_report(spec, reals, arms, counted, found, out, command=shlex.join(sys.argv))


def run_study(spec: StudySpec, out: Path, counted: Rendered, *, progress: bool = True) -> tuple[Reals, list[Arm]]:
    """Train and score what is missing; return the real set and the arms, all of which then lie in ``out``."""
    reals = open_reals(spec)
    views = load_views(rendered(spec, counted), frame_px=spec.config.frame_px)
    _require_pairs(views)
    generators = sorted({g for note in views.notes if note.defect for g in note.generators})
    arms = list_arms(spec, reals, generators)
    if not arms:
        raise DamagelandError(
            f"k: {', '.join(map(str, spec.k))} and rows: {', '.join(spec.rows)} make no arm: add some"
        )
    if any(arm.row == BESIDE for arm in arms):
        require_references(spec, reals)
    claim(out, spec)
    made_of = fingerprint(spec, views, reals)
    for seed in spec.seeds:
        todo = [arm for arm in arms if arm.seed == seed and not is_done(out, arm, arm_key(spec, arm, reals, made_of))]
        if todo:
            with threads(spec.config.threads):
                bench = prepare(spec, seed, views, counted, reals, out, made_of, progress=progress)
                for number, arm in enumerate(todo, 1):
                    say(f"seed {seed}, arm {number} of {len(todo)} to train: {arm.row}, k = {arm.k}", enabled=progress)
                    make_arm(bench, arm)
    return reals, arms


def rendered(spec: StudySpec, counted: Rendered) -> Iterable[Capture]:
    """The train split of the rendered data sets, counted."""
    named = zip(data_names(spec), spec.data, strict=True)
    return chain.from_iterable(counted.passing(name, read_captures(source, split="train")) for name, source in named)


def claim(out: Path, spec: StudySpec) -> None:
    """Make a folder this study's; one that holds something else is left alone."""
    if out.exists() and not out.is_dir():
        raise DamagelandError(f"{out} is a file: name a folder for the study")
    if out.is_dir() and any(out.iterdir()) and not (out / STUDY).is_file():
        raise DamagelandError(f"{out} is no folder of a study (it has no {STUDY}) and is not empty: name another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / STUDY, spec.model_dump_json(indent=1) + "\n")


def fingerprint(spec: StudySpec, views: ViewSet, reals: Reals) -> str:
    """Hash of everything that all arms depend on: pictures, labels, splits, settings, versions."""
    told = spec.model_dump(mode="json", include={"real_masks", "config", "intact_per_damaged"})
    digest = hashlib.sha256(json.dumps([told, versions()], sort_keys=True).encode())
    digest.update(run_key(spec.config, views).encode())
    for row in reals.rows:
        digest.update(repr((row.capture_id, row.part, row.group, row.defect)).encode())
    for capture in reals.captures():
        digest.update(str([zlib.crc32(np.ascontiguousarray(view.rgb).data) for view in capture.views]).encode())
    return digest.hexdigest()


def arm_key(spec: StudySpec, arm: Arm, reals: Reals, made_of: str) -> str:
    """Hash of what an arm depends on."""
    real = sorted(subset(reals, arm.k, spec.intact_per_damaged, arm.seed)) if arm.k else []
    return hashlib.sha256(json.dumps([made_of, repr(arm), real]).encode()).hexdigest()


def is_done(out: Path, arm: Arm, key: str) -> bool:
    """Whether an arm is there, made of what it would be made of now."""
    path = out / "arms" / arm.name / ARM
    if not path.is_file():
        return False
    try:
        return json.loads(path.read_bytes()).get("key") == key
    except (ValueError, AttributeError):
        return False


# What the arms of a seed share


def localiser(out: Path, seed: int) -> Path:
    """Folder of a seed's localiser."""
    return out / "shared" / f"localiser-seed{seed}"


def prepare(
    spec: StudySpec,
    seed: int,
    views: ViewSet,
    counted: Rendered,
    reals: Reals,
    out: Path,
    made_of: str,
    *,
    progress: bool,
) -> Bench:
    """Train a seed's localiser unless it is there, and look at the real set through it."""
    config = spec.config.model_copy(update={"seed": seed})
    folder = localiser(out, seed)

    def learn(networks: torch.nn.ModuleDict, log: TrainingLog, position: Position) -> None:
        train_locate(networks["locate"], views, config, log, position=position, progress=progress)

    locate = shared(folder, made_of, build(config.width, seed), ("locate",), learn, views, config, progress)
    finder = load_model(locate).networks["locate"]

    def focus(view: Any) -> Square:
        return find_item(finder, view.rgb, config.locate_px)

    names = {row.capture_id for row in reals.of("train")}
    pool = load_views((_maskless(c, spec) for c in reals.captures() if c.capture_id in names),
                      frame_px=config.frame_px, focus=focus)  # fmt: skip
    scored = {row.capture_id for row in reals.rows if row.part != "train"}
    looks = look_at(finder, reals.captures(), scored, config, progress=progress)
    return Bench(spec, config, views, counted.of, pool, looks, locate, out, reals, made_of, progress)


def _maskless(capture: Capture, spec: StudySpec) -> Capture:
    """A capture without the mask of its damage, if that may not be learned from."""
    if spec.real_masks:
        return capture
    return replace(capture, views=tuple(replace(view, damage=None) for view in capture.views))


Learn = Callable[[torch.nn.ModuleDict, TrainingLog, Position], None]


def shared(
    folder: Path,
    key: str,
    networks: torch.nn.ModuleDict,
    stages: tuple[str, ...],
    learn: Learn,
    views: ViewSet,
    config: TrainConfig,
    progress: bool,
) -> Path:
    """Train what several arms go on from, unless it is there."""
    path = folder / ARM
    if path.is_file() and json.loads(path.read_bytes()) == {"key": key}:
        return folder
    log = TrainingLog(folder / "log.csv")
    position = Position(networks, log, stages, key)
    position.load(progress=progress)
    learn(networks, log, position)
    save_model(Model(networks.eval(), _draft_card(config, _trained_on(views, None, ()))), folder)
    log.write()
    position.remove()
    write_atomic(path, json.dumps({"key": key}))
    return folder


def pretrained(bench: Bench, name: str) -> Path:
    """The first stretch that arms of a seed share, trained unless it is there."""
    before = Stretch(base_food(name), steps_of(bench.spec)[0])

    def learn(networks: torch.nn.ModuleDict, log: TrainingLog, position: Position) -> None:
        feed(bench, networks, before, _mixture(bench, before.food, None, None), "before", log, position)

    folder = bench.out / "shared" / f"{name}-seed{bench.config.seed}"
    key = hashlib.sha256(f"{bench.fingerprint} {before}".encode()).hexdigest()
    start = load_model(bench.locate).networks.requires_grad_(True)
    return shared(folder, key, start, ("before",), learn, bench.views, bench.config, bench.progress)


# An arm


def make_arm(bench: Bench, arm: Arm) -> None:
    """Train and score an arm, and write ``arm.json`` last."""
    folder, key = bench.out / "arms" / arm.name, arm_key(bench.spec, arm, bench.reals, bench.fingerprint)
    if arm.row == BESIDE:
        train_beside(bench.spec, bench.config, bench.reals, folder, progress=bench.progress)
        for row, scores in score_beside(folder, bench.reals).items():
            write_scores(folder, scores, name=score_file(row))
    else:
        learn_arm(bench, arm, folder, key)
    told = {"key": key, "row": arm.row, "k": arm.k, "seed": arm.seed, "steps": sum(s.steps for s in arm.stretches)}
    write_atomic(folder / ARM, json.dumps(told, indent=1) + "\n")


def learn_arm(bench: Bench, arm: Arm, folder: Path, key: str) -> None:
    """Train an arm, choose its threshold on the calibration part, and score."""
    spec, reals, config = bench.spec, bench.reals, bench.config
    names = subset(reals, arm.k, spec.intact_per_damaged, arm.seed) if arm.k else frozenset()
    start = bench.locate if arm.base is None else pretrained(bench, arm.base)
    networks = load_model(start).networks.requires_grad_(True)
    log = TrainingLog(folder / "log.csv")
    position = Position(networks, log, ("after",), key)
    position.load(progress=bench.progress)
    pool = _pool(bench, arm, names) if arm.k else None
    last = arm.stretches[-1]
    feed(bench, networks, last, _mixture(bench, last.food, pool, arm), "after", log, position)
    networks.eval().requires_grad_(False)
    learned = _trained_on(bench.views, pool, tuple(Path(source).name for source in spec.data))
    scores = predict_arm(networks["detect"], bench.looks)
    card = _draft_card(config, learned).model_copy(
        update={"thresholds": scores.thresholds(reals, config), "validation": scores.figures(reals, config)}
    )
    save_model(Model(networks, card), folder)
    log.write()
    write_scores(folder, scores)
    position.remove()


def _pool(bench: Bench, arm: Arm, names: Collection[str]) -> RealPool:
    """The real captures that an arm learns from."""
    pool = RealPool.of(keep_captures(bench.pool, names))
    if not (pool.damaged and pool.intact):
        raise DamagelandError(
            f"{bench.reals.source}: of those drawn for k = {arm.k}, seed {arm.seed}, {len(pool.damaged)} damaged "
            f"and {len(pool.intact)} intact captures show their item; both are needed: check their item masks"
        )
    return pool


def feed(
    bench: Bench,
    networks: torch.nn.ModuleDict,
    stretch: Stretch,
    mixture: Mixture,
    stage: str,
    log: TrainingLog,
    position: Position,
) -> None:
    """Take the steps of a stretch. The draws of a step are the same for all arms of a seed that eat the same food."""
    config = bench.config

    def draw(step: int) -> DetectBatch:
        return draw_mixture(mixture, config, generator_for(config.seed, step, f"study/{stage}"))

    detect = networks["detect"]
    one = Stage(stage, stretch.steps, config.lr * stretch.lr_share)
    losses = detector_losses(detect, config)
    run_stage(one, detect, config, draw, losses, log, position=position, progress=bench.progress)


def _mixture(bench: Bench, food: Food, pool: RealPool | None, arm: Arm | None) -> Mixture:
    """Batches of a food, without what the arm leaves out."""
    views, share = bench.views, bench.config.real_share
    without = None if arm is None else arm.without
    if arm is not None and arm.only is not None:
        views = keep_captures(views, frozenset(bench.of[arm.only]))
        if not len(views.pairs):
            raise DamagelandError(f"{arm.only}: its train split holds no view that shows damage beside its twin")
    if food in ("real", "real pasted"):
        assert pool is not None
        return Mixture(pool.views if food == "real pasted" else None, pasted=True, real=pool, real_share=share)
    real = pool if food.endswith("and real") else None
    if food.startswith("pristine"):
        return Mixture(views, pasted=True, real=real, real_share=share)
    rows = None
    if without is not None:
        rows = np.array([r for r in views.pairs if without not in views.notes[views.capture[r]].generators], np.int64)
        if not len(rows):
            raise DamagelandError(f"without {without}, no pair of the renders is left: leave its row out of the study")
    return Mixture(views, rows=rows, real=real, real_share=share)


__all__ = ["ARM", "STUDY", "Bench", "claim", "is_done", "run_study", "study"]
