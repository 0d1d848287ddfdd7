"""Trials: proposed by Optuna, each written down before the next; what is written is where a stopped search goes on.

The log is JSON lines and the only state: Optuna's study is rebuilt from it, with a sampler seeded anew for each trial,
so that a search that was killed and started again makes the same trials as one that was not.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...sim.errors import DamagelandError
from ...sim.files import write_atomic
from ...sim.seed import generator_for
from .density import Problem, Range, distances, loss_of, weigh

LOG = "trials.jsonl"
STARTUP = 40
"""Trials at random before the search looks at their results."""
REFUSED = 1e3
"""What Optuna is told of a trial that leaves too few captures."""
LOCAL_FROM = 80
"""From here on every second trial is a step from the best so far, in one or two parameters: Optuna finds the valley."""
STEPS = (0.2, 0.1, 0.05, 0.025)
"""Lengths of these steps, over a parameter's range."""


@dataclass(frozen=True)
class Trial:
    """One set of parameters and what it came to; a refused one has no loss."""

    number: int
    parameters: Mapping[str, float]
    distances: Mapping[str, float | None]
    loss: float | None


def search(problem: Problem, start: Mapping[str, float], out: Path, *, trials: int, seed: int) -> list[Trial]:
    """Make the trials that the log in ``out`` lacks; the first is the recipe as it is."""
    key = fingerprint(problem, start, seed)
    done = read_log(out / LOG, key)
    if not done:
        write_atomic(out / LOG, json.dumps({"search": key, "seed": seed}) + "\n")
    study, optuna = _study(problem, done)
    with (out / LOG).open("a", encoding="utf-8") as file:
        for number in range(len(done), trials):
            near = number >= LOCAL_FROM and number % 2 == 1 and any(trial.loss is not None for trial in done)
            asked = None if number == 0 or near else _propose(study, optuna, problem.ranges, seed, number)
            parameters = dict(start) if asked is None else {k: float(v) for k, v in asked.params.items()}
            if near:
                parameters = _nearby(problem.ranges, best_of(done), generator_for(seed, number, "tune nearby"))
            trial = try_parameters(problem, number, parameters)
            file.write(_line(trial))
            file.flush()
            os.fsync(file.fileno())
            done.append(trial)
            if asked is None:
                study.add_trial(_frozen(optuna, problem.ranges, trial))
            else:
                study.tell(asked, _value(trial))
    return done


def try_parameters(problem: Problem, number: int, parameters: Mapping[str, float]) -> Trial:
    """Weigh the pool and measure."""
    apart = distances(problem, weigh(problem, parameters))
    loss = loss_of(apart)
    told = {name: value if math.isfinite(value) else None for name, value in apart.items()}
    return Trial(number, parameters, told, loss if math.isfinite(loss) else None)


def best_of(trials: Sequence[Trial]) -> Trial:
    """The trial with the least loss; of equals the first."""
    kept = [trial for trial in trials if trial.loss is not None]
    if not kept:
        raise DamagelandError("every trial left too few captures of the pool: render a larger one (--pool-captures)")
    return min(kept, key=lambda trial: (trial.loss, trial.number))


def near_best(trials: Sequence[Trial], name: str, margin: float) -> tuple[float, float]:
    """Range of a parameter among the trials whose loss is at most so much above the best."""
    most = (best_of(trials).loss or 0.0) + margin
    values = [trial.parameters[name] for trial in trials if trial.loss is not None and trial.loss <= most]
    return min(values), max(values)


def fingerprint(problem: Problem, start: Mapping[str, float], seed: int) -> str:
    """Names a search: another pool, other real data or another recipe is another one."""
    digest = hashlib.sha256(json.dumps([dict(start), seed, [vars(one) for one in problem.ranges]]).encode())
    for name in problem.names:
        for values in (problem.real[name], *problem.rendered[name]):
            digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]


def read_log(path: Path, key: str) -> list[Trial]:
    """Trials of a log, none if there is none yet; a last line that was cut short is taken off."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
        write_atomic(path, "".join(lines))
    try:
        head = json.loads(lines[0]) if lines else {}
        rows = [Trial(**json.loads(line)) for line in lines[1:]]
        if [row.number for row in rows] != list(range(len(rows))):
            raise ValueError("trials are missing")
    except (ValueError, TypeError) as error:
        raise DamagelandError(f"{path} is not a log of trials ({error}): name another folder, or delete it") from None
    if head.get("search") != key:
        raise DamagelandError(
            f"{path} belongs to another search (another recipe, pool, seed or other real data): name another folder "
            "for --out, or delete this one"
        )
    return rows


def _line(trial: Trial) -> str:
    return json.dumps(vars(trial), allow_nan=False) + "\n"


def _study(problem: Problem, done: Sequence[Trial]) -> tuple[Any, Any]:
    try:
        import optuna
    except ImportError:
        raise DamagelandError("tuning needs Optuna: pip install 'damageland[studio]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize")
    study.add_trials([_frozen(optuna, problem.ranges, trial) for trial in done])
    return study, optuna


def _frozen(optuna: Any, ranges: Sequence[Range], trial: Trial) -> Any:
    spans = {one.name: optuna.distributions.FloatDistribution(one.low, one.high, log=one.log) for one in ranges}
    return optuna.trial.create_trial(params=dict(trial.parameters), distributions=spans, value=_value(trial))


def _value(trial: Trial) -> float:
    return REFUSED if trial.loss is None else trial.loss


def _propose(study: Any, optuna: Any, ranges: Sequence[Range], seed: int, number: int) -> Any:
    spans = {one.name: optuna.distributions.FloatDistribution(one.low, one.high, log=one.log) for one in ranges}
    # Parameter by parameter: generators' ranges say nothing of each other, and joint densities settled more slowly.
    study.sampler = optuna.samplers.TPESampler(n_startup_trials=STARTUP, seed=(seed * 100_003 + number) % 2**32)
    return study.ask(spans)


def _nearby(ranges: Sequence[Range], best: Trial, rng: np.random.Generator) -> dict[str, float]:
    """The best parameters with one or two of them moved; what would leave its range stays at its edge."""
    found = {one.name: best.parameters[one.name] for one in ranges}
    for k in rng.choice(len(ranges), size=min(int(rng.integers(1, 3)), len(ranges)), replace=False):
        one, step = ranges[int(k)], rng.normal() * STEPS[int(rng.integers(len(STEPS)))]
        low, high, at = (math.log(v) if one.log else v for v in (one.low, one.high, found[one.name]))
        moved = min(max(at + step * (high - low), low), high)
        found[one.name] = float(np.clip(math.exp(moved) if one.log else moved, one.low, one.high))
    return found
