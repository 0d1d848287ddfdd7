"""The domain gap of a study: pristine renders of each data set beside intact real captures, and what it foretells."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ...sim.capture import Capture
from ...sim.seed import generator_for
from ...sim.shards import read_captures
from ...train.checkpoint import load_model
from ...train.steps import threads
from ..gap import Gap, Side, describe, describe_depth, gap_sentence, measure_gap
from .arms import data_names
from .cards import Rendered
from .reals import Reals
from .scores import look
from .spec import StudySpec
from .verdict import Cells

MOST = 200
"""Captures looked at on each side."""


def gaps(spec: StudySpec, reals: Reals, counted: Rendered, locate: Path) -> list[Gap]:
    """The gap of every rendered data set; the test part of the real set is left out of it."""
    finder = load_model(locate).networks["locate"]

    def side(captures: Iterable[Capture], names: Sequence[str], group: dict[str, str]) -> Side:
        wanted, seen, looks, depth = frozenset(evenly(names)), [], [], []
        for capture in captures:
            if capture.capture_id in wanted:
                seen.append(group.get(capture.capture_id, capture.capture_id))
                looks.append(describe(look(finder, capture, spec.config).rgb))
                depth.append(describe_depth([v.depth for v in capture.views if v.depth is not None]))
        return Side(np.stack(looks), np.stack(depth), tuple(seen))

    intact = [row for row in reals.rows if row.part != "test" and not row.defect]
    with threads(spec.config.threads):
        theirs = side(reals.captures(), [row.capture_id for row in intact], {r.capture_id: r.group for r in intact})
        found = []
        for name, source in zip(data_names(spec), spec.data, strict=True):
            pristine = [capture for capture in counted.of.get(name, ()) if capture in counted.pristine]
            if pristine:
                ours = side(read_captures(source, split="train"), pristine, counted.product)
                rng = generator_for(spec.split_seed, len(found), "study/gap")
                found.append(measure_gap(name, ours, theirs, rng))
    return found


def evenly(names: Sequence[str]) -> list[str]:
    """At most MOST of the names, spread evenly."""
    if len(names) <= MOST:
        return list(names)
    return [names[int(i)] for i in np.linspace(0, len(names) - 1, MOST).round()]


def foretold(found: Sequence[Gap], cells: Cells, headline: str) -> str:
    """Whether the gap goes with transfer over the rendered data sets."""
    transfer = {row.removeprefix("renders of "): cell.rank(headline).value for (row, _), cell in cells.items()}
    return gap_sentence(found, transfer)
