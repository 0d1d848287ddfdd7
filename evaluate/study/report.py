"""The report of a study, and its tables as files."""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ...sim.files import write_atomic
from ...train.checkpoint import versions
from ...train.mixture import crops_per_step
from ...train.models import Detect
from ..conclusions import count, interval, number, p_value
from ..gap import Gap
from ..metrics import Estimate
from .arms import Arm
from .cards import Card, Rendered, card_table, cards
from .distance import foretold
from .figures import draw_curves, draw_differences
from .reals import Reals
from .samples import Shelf, worst
from .spec import StudySpec
from .table import FIGURES, HEADINGS, RATES, Cell, read_cells
from .verdict import Cells, Difference, claims, explanations, multiplier_sentence, multipliers, signed, verdict

REPORT = "report.html"
_TEMPLATES = Path(__file__).parents[1] / "templates"


def write_report(
    spec: StudySpec,
    reals: Reals,
    arms: Sequence[Arm],
    counted: Rendered,
    gaps: Sequence[Gap],
    out: Path,
    *,
    command: str = "",
) -> Path:
    """Measure everything from the arms' prediction files, and write ``report.html``, ``results.json`` and tables."""
    cells = read_cells(spec, reals, arms, out)
    asked, explained = claims(cells, spec), explanations(cells, spec)
    found = multipliers(cells, spec)
    told = cards(cells, explained, counted, spec)
    lead = [
        verdict(asked, spec, reals.called),
        multiplier_sentence(found, reals.called),
        _measured_on(spec, reals, counted),
    ]
    foretells = foretold(gaps, cells, spec.headline)
    shelves = worst(spec, reals, arms, cells, out)
    html = _render(spec, reals, arms, counted, cells, asked, explained, told, gaps, foretells, shelves, lead, command)
    results = {
        "verdict": lead[0],
        "multiplier": lead[1],
        "pretend_real": reals.pretend,
        "gap": {gap.name: _gap(gap) for gap in gaps} | {"transfer": foretells},
        "cells": {f"{row}, k = {k}": _figures(cell) for (row, k), cell in cells.items()},
    }
    write_atomic(out / "results.json", json.dumps(results, indent=1, allow_nan=False) + "\n")
    write_atomic(out / "differences.csv", _differences(asked, explained))
    (out / "cards").mkdir(exist_ok=True)
    for card in told:
        write_atomic(out / "cards" / f"{card.generator}.json", json.dumps(card_table(card), indent=1) + "\n")
    write_atomic(out / REPORT, html)
    return out / REPORT


def estimates(cell: Cell) -> dict[str, Estimate]:
    """Every figure of a cell with its interval."""
    return {name: cell.rate_estimate(name) if name in RATES else cell.figures[name].estimate for name in FIGURES}


def as_called(text: str, called: str) -> str:
    """A row or a question, with captures of a set that stands in for a real one called what they are."""
    return re.sub(r"\breal\b", called, text)


def _figures(cell: Cell) -> dict[str, Any]:
    return {
        name: {"value": one.value, "low": _finite(one.low), "high": _finite(one.high)}
        for name, one in estimates(cell).items()
    }


def _gap(gap: Gap) -> dict[str, Any]:
    one = gap.told_apart
    return {
        "rendered": gap.rendered,
        "real": gap.real,
        "told_apart": {"value": one.value, "low": one.low, "high": one.high},
        "mmd": gap.mmd,
        "mmd_null": gap.null,
        "depth": {name: [None if v != v else v for v in pair] for name, pair in gap.depth.items()},  # NaN is no JSON
    }


def _finite(value: float | None) -> float | None:
    return None if value is None or abs(value) == float("inf") else value


DIFFERENCE_COLUMNS = ("family", "ours", "theirs", "k", "difference", "low", "high", "p", "p_holm", "question")


def _differences(asked: Sequence[Difference], explained: Sequence[Difference]) -> str:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(DIFFERENCE_COLUMNS)
    for family, ones in (("claim", asked), ("explanation", explained)):
        for one in ones:
            numbers = (one.estimate.value, one.estimate.low, one.estimate.high, one.p, one.adjusted)
            told = ("" if value is None else repr(value) for value in numbers)
            lines.writerow((family, one.ours, one.theirs, str(one.k), *told, one.why))
    return text.getvalue()


def _measured_on(spec: StudySpec, reals: Reals, counted: Rendered) -> str:
    damaged, intact = reals.of("test", True), reals.of("test", False)
    groups = len({row.group for row in (*damaged, *intact)})
    pool = count(len(reals.of("train", True)), f"damaged {reals.called} capture")
    return (
        f"Learned from {count(counted.captures, 'rendered capture')} and up to {pool}; measured on {len(damaged)} "
        f"damaged and {len(intact)} intact {reals.called} captures of {count(groups, 'group')} that no arm learned "
        f"from, with {count(len(spec.seeds), 'seed')}. Every arm took {spec.config.steps:,} steps of "
        f"{crops_per_step(spec.config)} crops."
    )


def _compute(spec: StudySpec, arms: Sequence[Arm]) -> list[tuple[str, str, str, str]]:
    """Row, what it was fed, steps, crops: the same number for every arm, and counted here from what was done."""
    per_step = crops_per_step(spec.config)
    lines = {}
    for arm in arms:
        fed = ", then ".join(f"{s.steps:,} steps on {s.food}" for s in arm.stretches)
        steps = sum(s.steps for s in arm.stretches)
        lines[arm.row] = (arm.row, fed, f"{steps:,}", f"{steps * per_step:,}")
    return list(lines.values())


def _limits(spec: StudySpec, reals: Reals, cells: Cells) -> list[str]:
    """What has to be known to read the figures."""
    limit = next(iter(cells.values())).thresholds[0]
    sentences = [
        "Thresholds come from intact captures of the calibration part, for each arm and seed its own. "
        + limit.statement.replace(f"Threshold {limit.value:.6f}", "The threshold").replace(
            f"threshold {limit.value:.6f}", "the threshold"
        ),
        "The localiser, which finds the item and knows nothing of damage, learned from renders and is the same for all "
        f"arms of a seed: rows without renders have that from them, which favours these rows. Its "
        f"{spec.config.locate_steps:,} steps are not counted in the compute.",
        f"With each damaged {reals.called} capture comes {spec.intact_per_damaged:g} intact one. A larger k holds the "
        "captures of a smaller one of its seed.",
        "Intervals are 95 % percentile bootstraps that draw whole groups and whole seeds, the same for every arm; "
        f"{count(len(spec.seeds), 'seed')} say{'s' if len(spec.seeds) == 1 else ''} little about other seeds. "
        "p-values are two-sided, of the same draws, corrected after Holm in each of the two families of questions.",
    ]
    if reals.pretend:
        sentences.insert(
            0,
            "Pretend real: the set this was measured on was rendered, in another booth, and stands in for photographs. "
            "What is said here holds for the change of booth alone, and says nothing about real photographs.",
        )
    shared = [kind for kind in ("product", "session", "group") if kind not in spec.split.links]
    if shared:
        sentences.append(
            f"Captures of one {' or '.join(shared)} may lie in several parts (`split.links`), so the test may know "
            "what training saw."
        )
    masks = "were learned from where there were any" if spec.real_masks else "were not learned from"
    sentences.append(f"Masks of damage on {reals.called} captures {masks}.")
    return sentences


def _environment(called: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"number": number, "interval": interval, "p_value": p_value, "signed": signed}
    environment.filters["called"] = lambda text: as_called(text, called)
    return environment


def _render(
    spec: StudySpec,
    reals: Reals,
    arms: Sequence[Arm],
    counted: Rendered,
    cells: Cells,
    asked: Sequence[Difference],
    explained: Sequence[Difference],
    told: Sequence[Card],
    gaps: Sequence[Gap],
    foretells: str,
    shelves: Sequence[Shelf],
    lead: Sequence[str],
    command: str,
) -> str:
    parameters = sum(p.numel() for p in Detect(spec.config.width).parameters())
    return (
        _environment(reals.called)
        .get_template("study.html.j2")
        .render(
            spec=spec,
            reals=reals,
            lead=lead,
            pictures=[
                Markup(draw_curves(cells, spec, reals.called)),  # our own figures, not anybody's text
                Markup(draw_differences(asked, spec, reals.called)),
            ],
            rows=list(dict.fromkeys(row for row, _ in cells)),
            ks=sorted({k for _, k in cells}),
            cells={key: cell.rank(spec.headline).estimate for key, cell in cells.items()},
            figures=FIGURES,
            headings=HEADINGS,
            everything={key: estimates(cell) for key, cell in cells.items()},
            asked=asked,
            explained=explained,
            compute=_compute(spec, arms),
            parameters=f"{parameters:,}",
            cards=told,
            gaps=gaps,
            foretells=foretells,
            shelves=shelves,
            limits=_limits(spec, reals, cells),
            provenance=_provenance(spec, reals, counted, command),
        )
    )


def _provenance(spec: StudySpec, reals: Reals, counted: Rendered, command: str) -> Mapping[str, str]:
    parts = {part: len(reals.of(part)) for part in ("train", "calibration", "test")}
    return {
        "Command": command,
        "Renders": f"{', '.join(spec.data)} (damageland {', '.join(sorted(counted.versions))}; recipes "
        f"{', '.join(sorted(counted.recipes))})",
        f"{reals.called.capitalize()} set": f"{reals.source}: "
        + ", ".join(f"{n} captures in {part}" for part, n in parts.items()),
        "Settings": json.dumps(spec.model_dump(mode="json", exclude={"data", "real"})),
        "Versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
    }
