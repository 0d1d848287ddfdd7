"""Figures of every row and column, from the arms' prediction files: means over seeds with paired intervals.

A resample draws whole groups of captures and whole seeds, the same ones for every arm, so that every difference is
paired and an interval holds both what other captures and what other first weights and subsets would have given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from ...sim.seed import generator_for
from ...train.config import TrainConfig
from ...train.threshold import Threshold
from ..metrics import (
    PREVALENCE,
    Estimate,
    Resamples,
    brier,
    calibration_error,
    draw_resamples,
    estimate_rate,
    resampled,
    statistic_of,
    unresolved,
    with_interval,
)
from .arms import Arm
from .beside import BESIDE, NONE, WRONG
from .reals import RealRow, Reals
from .scores import MODALITIES, read_scores, score_file
from .spec import StudySpec

RANKING = ("AUROC", "AP", "AP_at_prevalence_0.001", "recall_at_fpr_0.01", "recall_at_fpr_0.001")
RATES = ("recall", "recall_major", "recall_minor", "false_alarm_rate", "hard_negative_fpr")
FIGURES = (*RANKING, *RATES, "worst_kind_recall", "alarms_per_find_0.001", "ECE", "Brier")
HEADINGS = {
    "AUROC": "AUROC",
    "AP": "AP any",
    "AP_at_prevalence_0.001": "AP at 1 in 1,000",
    "recall_at_fpr_0.01": "Recall at 1 % FPR",
    "recall_at_fpr_0.001": "Recall at 0.1 % FPR",
    "recall": "Recall",
    "recall_major": "Recall, major",
    "recall_minor": "Recall, minor",
    "false_alarm_rate": "False-alarm rate",
    "hard_negative_fpr": "False-alarm rate, lookalikes",
    "worst_kind_recall": "Recall of the worst kind",
    "alarms_per_find_0.001": "False alarms per find at 1 in 1,000",
    "ECE": "Calibration error",
    "Brier": "Brier score",
}
RGB_ONLY = ", colour alone"
"""Added to the name of a row whose arms are scored without depth."""


@dataclass(frozen=True)
class Figure:
    """A figure of a cell and what it was in every resample; None where it cannot be told."""

    value: float | None
    draws: Float[np.ndarray, " b"] | None = None
    why: str | None = None

    @property
    def estimate(self) -> Estimate:
        """With its interval."""
        if self.value is None or self.draws is None:
            return Estimate(self.value, why=self.why)
        return with_interval(self.value, self.draws)


@dataclass(frozen=True)
class Draws:
    """Test captures, and the resamples that all cells share."""

    rows: tuple[RealRow, ...]
    resamples: Resamples
    seeds: Int[np.ndarray, "b s"]
    """Which seeds each resample takes."""

    @cached_property
    def damaged(self) -> Bool[np.ndarray, " n"]:
        """Truth."""
        return np.array([row.defect for row in self.rows])

    @cached_property
    def weights(self) -> Float[np.ndarray, "b n"]:
        """How often each resample drew each capture."""
        return self.resamples.counts[:, self.resamples.group_of_row].astype(np.float64)

    def where(self, name: str) -> Bool[np.ndarray, " n"]:
        """Captures that a rate is about."""
        if name in ("recall_major", "recall_minor"):
            severity = name.removeprefix("recall_")
            return self.damaged & np.array([row.severity == severity for row in self.rows])
        if name == "hard_negative_fpr":
            return ~self.damaged & np.array([row.lookalike for row in self.rows])
        return self.damaged if name == "recall" else ~self.damaged


def draw(reals: Reals, spec: StudySpec) -> Draws:
    """Draw the resamples of a study."""
    rows = reals.of("test")
    resamples = draw_resamples([row.group for row in rows], generator_for(spec.split_seed, 0, "bootstrap study"))
    rng, count = generator_for(spec.split_seed, 0, "bootstrap seeds"), len(spec.seeds)
    return Draws(rows, resamples, rng.integers(count, size=(len(resamples.counts), count)))


@dataclass(frozen=True)
class Cell:
    """A row and column of the table: the same arm trained from every seed."""

    row: str
    k: int
    scores: Float[np.ndarray, "s n"]
    thresholds: tuple[Threshold, ...]
    draws: Draws

    @property
    def alarms(self) -> Bool[np.ndarray, "s n"]:
        """Scores above the threshold of their seed."""
        return self.scores > np.array([[limit.value] for limit in self.thresholds])

    def _mean(self, points: Sequence[float | None], draws: Float[np.ndarray, "s b"]) -> Figure:
        if any(point is None for point in points):
            return Figure(None)
        picked = draws[self.draws.seeds.T, np.arange(draws.shape[1])]
        return Figure(float(np.mean(np.array(points, float))), picked.mean(axis=0))

    @cached_property
    def figures(self) -> Mapping[str, Figure]:
        """All figures of the cell."""
        found = {name: self.rank(name) for name in RANKING} | {name: self.rate(name) for name in RATES}
        found["worst_kind_recall"] = self._worst_kind()
        found["alarms_per_find_0.001"] = _per_find(found["false_alarm_rate"], found["recall"])
        for name, of in (("ECE", calibration_error), ("Brier", brier)):
            found[name] = Figure(float(np.mean([of(scores, self.draws.damaged) or 0.0 for scores in self.scores])))
        return found

    def rank(self, name: str) -> Figure:
        """A ranking figure."""
        why = unresolved(name, self.draws.damaged, self.draws.resamples)
        if why is not None:
            return Figure(None, why=why)
        point, many = statistic_of(name)
        draws = [resampled(many, scores, self.draws.damaged, self.draws.resamples) for scores in self.scores]
        return self._mean([point(scores, self.draws.damaged) for scores in self.scores], np.array(draws))

    def rate(self, name: str, where: Bool[np.ndarray, " n"] | None = None) -> Figure:
        """Share of some captures that raise an alarm at their seed's threshold."""
        where = self.draws.where(name) if where is None else where
        if not where.any():
            return Figure(None)
        alarms, weights = self.alarms[:, where].astype(np.float64), self.draws.weights[:, where]
        with np.errstate(invalid="ignore"):
            draws = (alarms @ weights.T) / weights.sum(axis=1)
        return self._mean(alarms.mean(axis=1).tolist(), draws)

    def rate_estimate(self, name: str, where: Bool[np.ndarray, " n"] | None = None) -> Estimate:
        """A rate with its interval: the exact one where no capture, or every one, alarms at any seed."""
        where = self.draws.where(name) if where is None else where
        figure = self.rate(name, where)
        if figure.value not in (0.0, 1.0):
            return figure.estimate
        groups = [row.group for row, wanted in zip(self.draws.rows, where, strict=True) if wanted]
        return estimate_rate(self.alarms[0, where], groups, self.draws.resamples)

    def _worst_kind(self) -> Figure:
        kinds = sorted({kind for row in self.draws.rows if row.defect for kind in row.kinds})
        found = [self.rate("recall", self.of_kind(kind)) for kind in kinds]
        told = [figure for figure in found if figure.value is not None]
        return min(told, key=lambda figure: figure.value or 0.0) if told else Figure(None)

    def of_kind(self, kind: str) -> Bool[np.ndarray, " n"]:
        """Damaged captures that show a kind."""
        return self.draws.damaged & np.array([kind in row.kinds for row in self.draws.rows])


def _per_find(rate: Figure, recall: Figure) -> Figure:
    """False alarms for each find where one item in 1,000 is damaged."""
    if rate.value is None or recall.value is None or rate.draws is None or recall.draws is None:
        return Figure(None)
    if recall.value == 0:
        return Figure(None, why="nothing was found at this threshold")
    odds = (1 - PREVALENCE) / PREVALENCE
    with np.errstate(invalid="ignore", divide="ignore"):
        return Figure(odds * rate.value / recall.value, odds * rate.draws / recall.draws)


def read_cells(spec: StudySpec, reals: Reals, arms: Sequence[Arm], out: Path) -> dict[tuple[str, int], Cell]:
    """Every cell by row and k; the claim and its floor also with colour alone, if the set gives any depth."""
    draws, cells = draw(reals, spec), {}
    names = [row.capture_id for row in draws.rows]
    for arm in arms:
        if arm.seed != spec.seeds[0]:
            continue
        folders = [out / "arms" / other.name for other in arms if (other.row, other.k) == (arm.row, arm.k)]
        for row in (BESIDE, NONE, WRONG) if arm.row == BESIDE else (arm.row,):
            scores = [read_scores(folder, name=score_file(row)) for folder in folders]
            deep = any((s.values["rgbd"] != s.values["rgb"]).any() for s in scores)
            for modality in MODALITIES if deep and row in (spec.claim, "renders only") else MODALITIES[:1]:
                name = row + (RGB_ONLY if modality == "rgb" else "")
                limits = tuple(s.thresholds(reals, _config(spec, i))[modality] for i, s in enumerate(scores))
                cells[name, arm.k] = Cell(name, arm.k, np.array([s.of(names, modality) for s in scores]), limits, draws)
    return cells


def _config(spec: StudySpec, index: int) -> TrainConfig:
    return spec.config.model_copy(update={"seed": spec.seeds[index]})
