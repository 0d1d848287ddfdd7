"""The transfer card of a tuned recipe: what moved, by how much, on which data, and what is not known."""

import importlib.metadata
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from ...evaluate.figures import svg_of
from ...evaluate.metrics import Estimate, draw_resamples, with_interval
from ...sim.files import write_atomic
from ...sim.seed import generator_for
from .density import Problem, distance_draws, part_of, weigh
from .measures import Observation, unit_of, values_of
from .search import Trial, near_best

CARD, PAGE = "transfer-card.json", "report.html"
DRAWS = 1000
TEMPLATES = Path(__file__).resolve().parents[1] / "templates"
SHARED = Path(__file__).resolve().parents[2] / "evaluate" / "templates"


@dataclass(frozen=True)
class Halves:
    """Real observations to fit to, and others, of other groups, to look at afterwards; none if groups are few."""

    fit: tuple[Observation, ...]
    held_out: tuple[Observation, ...]


def split_groups(real: Sequence[Observation], *, share: float = 0.3, fewest: int = 8, seed: int = 0) -> Halves:
    """Hold groups out, whole: a product is in one half."""
    groups = sorted({one.group for one in real})
    if len(groups) < fewest:
        return Halves(tuple(real), ())
    order = generator_for(seed, 0, "tune held out").permutation(len(groups))
    out = {groups[k] for k in order[: round(share * len(groups))]}
    return Halves(tuple(o for o in real if o.group not in out), tuple(o for o in real if o.group in out))


def loss_on(
    problem: Problem, real: Sequence[Observation], parameters: Sequence[Mapping[str, float]], *, seed: int = 0
) -> list[Estimate]:
    """Loss of sets of parameters against some real observations, with an interval by resampling their groups.

    All sets share the draws; if there are two, a third value is the first less the second.
    """
    weights = [weigh(problem, one) for one in parameters]
    groups = [one.group for one in real]
    draws = draw_resamples(groups, generator_for(seed, 0, "bootstrap tune"), count=DRAWS)
    counts = np.vstack([np.ones(len(real)), draws.counts[:, draws.group_of_row]]).astype(float)
    losses = np.stack([_losses(problem, real, counts, each) for each in weights], 1)
    if len(weights) == 2:
        losses = np.column_stack([losses, losses[:, 0] - losses[:, 1]])
    if len(set(groups)) < 2:
        return [Estimate(float(value)) for value in losses[0]]
    return [with_interval(float(column[0]), column[1:]) for column in losses.T]


def _losses(
    problem: Problem, real: Sequence[Observation], counts: Float[np.ndarray, "b k"], weights: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " b"]:
    """Loss in every draw, over the measures that it has."""
    parts: dict[str, list[np.ndarray]] = {}
    for name in problem.names:
        ours, where = values_of(real, name)
        values, owner = problem.rendered[name]
        if len(ours):
            drawn = distance_draws(ours, counts[:, where], values, weights[owner]) / problem.scale[name]
            parts.setdefault(part_of(name), []).append(drawn)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a draw without any view of a kind has no mean there
        means = [np.nanmean(np.stack(found), axis=0) for found in parts.values()]
        return np.nanmean(np.stack(means), axis=0) if means else np.full(len(counts), np.nan)


def make_card(
    problem: Problem, halves: Halves, trials: Sequence[Trial], best: Trial, about: Mapping[str, Any], *, seed: int
) -> dict[str, Any]:
    """Everything that the card says."""
    before = trials[0]
    pairs = {"fitted to": halves.fit, **({"held out": halves.held_out} if halves.held_out else {})}
    names = ("before", "after", "gain")
    told = {
        name: dict(zip(names, loss_on(problem, real, (before.parameters, best.parameters), seed=seed), strict=True))
        for name, real in pairs.items()
    }
    after = told["fitted to"]["after"]
    margin = ((after.high or 0.0) - (after.low or 0.0)) / 4  # about one deviation of the loss over draws
    return {
        **about,
        "damageland": importlib.metadata.version("damageland"),
        "trials": len(trials),
        "refused_trials": sum(trial.loss is None for trial in trials),
        "best_trial": best.number,
        "real_views": {name: len(real) for name, real in pairs.items()},
        "real_groups": {name: len({one.group for one in real}) for name, real in pairs.items()},
        "pool_captures": len(problem.pool.generator),
        "loss": {name: {k: vars(v) | {"skipped": v.skipped} for k, v in row.items()} for name, row in told.items()},
        "distances": {
            name: {"before": before.distances[name], "after": best.distances[name], "unit": unit_of(name)}
            for name in problem.names
        },
        "not_searched": sorted(set(problem.fixed) - {one.name for one in problem.ranges}),
        "parameters": {
            one.name: {
                "before": before.parameters[one.name],
                "after": best.parameters[one.name],
                "as_good": near_best(trials, one.name, margin),
            }
            for one in problem.ranges
        },
    }


def write_card(out: Path, problem: Problem, card: Mapping[str, Any], trials: Sequence[Trial], best: Trial) -> None:
    """Write the card as JSON and as a page."""
    loader = ChoiceLoader([FileSystemLoader(TEMPLATES), FileSystemLoader(SHARED)])
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["interval"] = _interval
    before, after = (weigh(problem, trial.parameters) for trial in (trials[0], best))
    figures = [Markup(svg_of(draw_measure(problem, name, before, after))) for name in problem.names if _wide(name)]
    page = environment.get_template("transfer-card.html.j2").render(
        card=card, figures=figures, search=Markup(svg_of(draw_search(trials)))
    )
    write_atomic(out / CARD, json.dumps(card, indent=1, allow_nan=False) + "\n")
    write_atomic(out / PAGE, page)


def _wide(name: str) -> bool:
    return not name.startswith(("major", "kind "))


def _interval(told: Mapping[str, Any]) -> str:
    if told["value"] is None or told["low"] is None:
        return "–" if told["value"] is None else f"{told['value']:.3f}"
    return f"{told['value']:.3f} [{told['low']:.3f}, {told['high']:.3f}]"


def draw_measure(problem: Problem, name: str, before: np.ndarray, after: np.ndarray) -> Figure:
    """Real, rendered before and rendered after, as shares per bin."""
    values, owner = problem.rendered[name]
    real = problem.real[name]
    bins = np.histogram_bin_edges(np.concatenate([values, real]), 16)
    with matplotlib.rc_context({"font.size": 8, "legend.frameon": False}):
        figure = Figure(figsize=(3.3, 2.2), layout="constrained")
        axes = figure.add_subplot()
        axes.hist(real, bins.tolist(), weights=np.full(len(real), 1 / len(real)), color="#8888", label="real")
        for weights, colour, label in ((before, "#3b82c4", "before"), (after, "#e0693e", "after")):
            share = weights[owner] / max(float(weights[owner].sum()), 1e-12)
            axes.hist(values, bins.tolist(), weights=share, histtype="step", color=colour, lw=1.5, label=label)
        axes.set_title(name)
        axes.set_xlabel(unit_of(name), fontsize=7)
        axes.legend()
    return figure


def draw_search(trials: Sequence[Trial]) -> Figure:
    """Loss of each trial, and the best so far."""
    kept = [(trial.number, trial.loss) for trial in trials if trial.loss is not None]
    numbers, losses = np.array(kept).T
    with matplotlib.rc_context({"font.size": 8}):
        figure = Figure(figsize=(3.3, 2.2), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(numbers, losses, ".", ms=3, color="#8888")
        axes.plot(numbers, np.minimum.accumulate(losses), color="#e0693e")
        axes.set_xlabel("trial")
        axes.set_title("loss")
    return figure
