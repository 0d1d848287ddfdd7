"""Scores submissions and ranks them: a file that is wrong is told apart from a model that is bad, and ties are ties.

Two entries tie where the interval of their paired difference holds 0: the bootstrap draws whole products, the same for
all. The best of a tie gives its rank to all of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, Field

from ...sim.errors import DamagelandError
from ...sim.scene import KINDS
from ...sim.seed import generator_for
from ...sim.store import Source
from ...sim.yamlfile import read_yaml
from ..metrics import Estimate, Resamples, draw_resamples, estimate, keep_rows, paired_difference
from ..predictions import Predictions, check_coverage, read_predictions
from .tables import Row, challenge_rows

SUFFIXES = (".csv", ".parquet")
ABOUT = "about.yaml"
TASKS: Mapping[str, tuple[str, ...]] = {
    "damage": ("AP", "AP_major", "AUROC", "recall_at_precision_0.5", "recall_at_fpr_0.01"),
    "kind": ("AP_kinds",),
    "severity": ("AUROC_major",),
}
"""Figures of each task; the first decides the rank."""
FIGURES = tuple(name for names in TASKS.values() for name in names)


class About(BaseModel):
    """What an entry says of itself: ``about.yaml`` beside its predictions."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = Field(default="", max_length=80)
    track: str = Field(default="open", pattern="^(synthetic|k-shot|open)$")
    """``synthetic``: learned from the data set's train split alone; ``k-shot``: and from k real captures; ``open``."""
    uses: tuple[str, ...] = ()
    """Of rgb, depth, references, tables."""
    trained_on: str = Field(default="", max_length=400)
    command: str = Field(default="", max_length=400)
    parameters: int | None = Field(default=None, ge=0)
    seconds_per_capture: float | None = Field(default=None, ge=0)


@dataclass(frozen=True)
class Entry:
    """A submission, measured, or why it cannot be."""

    name: str
    about: About
    figures: Mapping[str, Estimate]
    ranks: Mapping[str, int | None]
    """By task; None where the task was not entered."""
    error: str | None = None


@dataclass(frozen=True)
class Truth:
    """Labels of the test split and the resamples that all entries share."""

    rows: tuple[Row, ...]
    defect: Bool[np.ndarray, " n"]
    major: Bool[np.ndarray, " n"]
    resamples: Resamples


def read_truth(data: Source, *, seed: int = 0) -> Truth:
    """Labels of a rendered data set's test split; no picture is read."""
    rows = tuple(challenge_rows(data)["test"])
    groups = [str(row["group"] or row["item_identifier"]) for row in rows]
    return Truth(
        rows,
        np.array([bool(row["defect"]) for row in rows]),
        np.array([bool(row["major_defect"]) for row in rows]),
        draw_resamples(groups, generator_for(seed, 0, "bootstrap challenge")),
    )


def find_submissions(folder: Path) -> dict[str, Path]:
    """Prediction files by the name of the entry: the folder's own, and ``predictions.*`` of its direct subfolders."""
    if not folder.is_dir():
        raise DamagelandError(f"{folder} is not a folder: name one that holds prediction files (docs/challenge.md)")
    found: dict[str, Path] = {}
    places = [*folder.iterdir(), *folder.glob("*/predictions.*")]
    for path in sorted(p for p in places if p.suffix in SUFFIXES and p.is_file()):
        name = path.stem if path.parent == folder else path.parent.name
        if name in found and {path.with_suffix(""), found[name].with_suffix("")} == {path.with_suffix("")}:
            continue  # the csv twin of a parquet file, or the other way round
        if name in found:
            raise DamagelandError(f"two submissions are named {name!r}: {found[name]} and {path}; rename one")
        found[name] = path
    if not found:
        raise DamagelandError(f"{folder} holds no submission: a .csv or .parquet file, or folders with predictions.csv")
    return found


def rank_all(folders: Sequence[Path], data: Source, *, seed: int = 0) -> list[Entry]:
    """Measure every submission and rank it in each task; what is wrong with one does not stop the others."""
    sent_in: dict[str, Path] = {}
    for folder in folders:
        for name, path in find_submissions(folder).items():
            if name in sent_in:
                raise DamagelandError(f"two submissions are named {name!r}: {sent_in[name]} and {path}; rename one")
            sent_in[name] = path
    truth = read_truth(data, seed=seed)
    read: dict[str, tuple[About, Predictions]] = {}
    entries: list[Entry] = []
    for name, path in sent_in.items():
        try:
            beside = path.parent / ABOUT
            about = read_yaml(beside, About) if path.parent not in folders and beside.is_file() else About()
            predictions = read_predictions(path)
            check_coverage(predictions, [str(row["capture_id"]) for row in truth.rows], str(data))
            read[name] = about, predictions
        except DamagelandError as error:
            entries.append(Entry(name, About(), {}, dict.fromkeys(TASKS), str(error)))
    figures = {name: measure(one, truth) for name, (_, one) in read.items()}
    ranks = {task: _ranks(task, {name: one for name, (_, one) in read.items()}, figures, truth) for task in TASKS}
    valid = [
        Entry(name, about, figures[name], {task: ranks[task].get(name) for task in TASKS})
        for name, (about, _) in read.items()
    ]
    valid.sort(key=lambda entry: (entry.ranks["damage"] or 0, -(entry.figures["AP"].value or 0), entry.name))
    return [*valid, *entries]


def measure(one: Predictions, truth: Truth) -> dict[str, Estimate]:
    """All figures of an entry."""
    pred, everything = _column(one, truth), np.ones(len(truth.rows), bool)
    found = {
        name: _estimate(name, pred, truth.defect, everything, truth) for name in TASKS["damage"] if "major" not in name
    }
    found["AP_major"] = _estimate("AP", pred, truth.defect, truth.major | ~truth.defect, truth)
    found["AP_kinds"] = _kinds(one, truth)
    found["AUROC_major"] = _estimate("AUROC", pred, truth.major, truth.defect, truth)
    return {name: found[name] for name in FIGURES}


def _column(one: Predictions, truth: Truth) -> Float[np.ndarray, " n"]:
    return np.array([one.rows[str(row["capture_id"])].pred for row in truth.rows])


def _estimate(name: str, scores: np.ndarray, positive: np.ndarray, keep: np.ndarray, truth: Truth) -> Estimate:
    return estimate(name, scores[keep], positive[keep], keep_rows(truth.resamples, keep))


def _kind_table(one: Predictions, truth: Truth) -> tuple[Float[np.ndarray, "k n"], Bool[np.ndarray, "k n"]] | None:
    """Scores and truth of the kinds that the test shows; None if the entry lacks any of them."""
    kinds = [str(row["defect_types"] or "").split(",") for row in truth.rows]
    shown = [kind for kind in KINDS if 0 < sum(kind in of for of in kinds) < len(kinds)]
    rows = [one.rows[str(row["capture_id"])].kinds for row in truth.rows]
    if not shown or any(kind not in row for row in rows for kind in shown):
        return None
    scores = np.array([[row[kind] for row in rows] for kind in shown])
    return scores, np.array([[kind in of for of in kinds] for kind in shown])


def _kinds(one: Predictions, truth: Truth) -> Estimate:
    """Mean average precision over the kinds that the test shows, each against all other captures."""
    from ..metrics import resampled, statistic_of, with_interval

    table = _kind_table(one, truth)
    if table is None:
        return Estimate(None, why="a column for each kind that the test shows is needed")
    point, many = statistic_of("AP")
    values = [point(scores, shown) or 0.0 for scores, shown in zip(*table, strict=True)]
    draws = [resampled(many, scores, shown, truth.resamples) for scores, shown in zip(*table, strict=True)]
    return with_interval(float(np.mean(values)), np.mean(draws, axis=0))


def _ranks(
    task: str, read: Mapping[str, Predictions], figures: Mapping[str, Mapping[str, Estimate]], truth: Truth
) -> dict[str, int]:
    """Ranks of the entries of a task; what cannot be told from the best of a tie shares its rank."""
    headline = TASKS[task][0]
    told = [name for name in read if figures[name][headline].value is not None]
    order = sorted(told, key=lambda name: (-(figures[name][headline].value or 0.0), name))
    ranks: dict[str, int] = {}
    leader = ""
    for position, name in enumerate(order, 1):
        if leader and _tied(task, read[leader], read[name], truth):
            ranks[name] = ranks[leader]
        else:
            leader, ranks[name] = name, position
    return ranks


def _tied(task: str, ours: Predictions, theirs: Predictions, truth: Truth) -> bool:
    if task == "kind":
        difference = _kind_difference(ours, theirs, truth)
    else:
        positive, keep = (
            (truth.defect, np.ones(len(truth.rows), bool)) if task == "damage" else (truth.major, truth.defect)
        )
        a, b = (_column(one, truth)[keep] for one in (ours, theirs))
        name = "AP" if task == "damage" else "AUROC"
        difference = paired_difference(name, a, b, positive[keep], keep_rows(truth.resamples, keep))
    return difference.low is None or difference.low <= 0


def _kind_difference(ours: Predictions, theirs: Predictions, truth: Truth) -> Estimate:
    from ..metrics import resampled, statistic_of, with_interval

    tables = [_kind_table(one, truth) for one in (ours, theirs)]
    point, many = statistic_of("AP")
    values, draws = [], []
    for table in tables:
        assert table is not None
        values.append(np.mean([point(s, t) or 0.0 for s, t in zip(*table, strict=True)]))
        draws.append(np.mean([resampled(many, s, t, truth.resamples) for s, t in zip(*table, strict=True)], axis=0))
    return with_interval(float(values[0] - values[1]), draws[0] - draws[1])


def sent(entries: Sequence[Entry]) -> tuple[int, int]:
    """How many entries are valid, and how many are not."""
    wrong = sum(entry.error is not None for entry in entries)
    return len(entries) - wrong, wrong
