"""Every figure of a set of scored rows, each with its interval."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from ..sim.scene import KINDS
from ..sim.seed import generator_for
from .cues import CUES, estimate_cue, orient
from .metrics import (
    PIXEL_METRICS,
    Estimate,
    Resamples,
    delong,
    draw_resamples,
    estimate,
    estimate_alarms_per_find,
    estimate_pixels,
    estimate_probability,
    estimate_rate,
    holm,
    keep_rows,
    paired_difference,
)
from .results import Comparison, KindResult, Part, PartOf, ScoredRow, SetResult

RANKING = (
    "AP_any",
    "AP_major",
    "AUROC",
    "recall_at_precision_0.5",
    "recall_at_fpr_0.01",
    "recall_at_fpr_0.001",
    "AP_at_prevalence_0.001",
)
OPERATING = ("recall", "false_alarm_rate", "hard_negative_fpr", "alarms_per_find_0.001")
PROBABILITY = ("ECE", "Brier")
METRICS = (*RANKING, *OPERATING, *PIXEL_METRICS, *PROBABILITY, *CUES)
"""Keys of each set in metrics.json."""
NO_THRESHOLD = "no threshold came with these scores"


@dataclass(frozen=True)
class Table:
    """Columns of the rows whose label is known, and the resamples they share."""

    scores: Float[np.ndarray, " n"]
    defect: Bool[np.ndarray, " n"]
    major: Bool[np.ndarray, " n"]
    alarms: Bool[np.ndarray, " n"] | None
    groups: tuple[str, ...]
    resamples: Resamples

    def rate(self, keep: Bool[np.ndarray, " n"]) -> Estimate:
        """Share of some rows that raised an alarm."""
        if self.alarms is None:
            return Estimate(None, why=NO_THRESHOLD)
        kept = [group for group, wanted in zip(self.groups, keep, strict=True) if wanted]
        return estimate_rate(self.alarms[keep], kept, keep_rows(self.resamples, keep))

    def rank(self, statistic: str, keep: Bool[np.ndarray, " n"]) -> Estimate:
        """A ranking metric of some rows."""
        return estimate(statistic, self.scores[keep], self.defect[keep], keep_rows(self.resamples, keep))


def measure_set(
    name: str,
    origin: Literal["real", "synthetic"],
    rows: Sequence[ScoredRow],
    *,
    seed: int,
    draws: str | None = None,
) -> SetResult:
    """Every metric of a set, on its rows with known labels, each with its interval.

    Results with the same seed and ``draws`` (the name, without it) share their resamples.
    """
    known = [row for row in rows if row.defect is not None]
    table = _table(draws or name, known, seed)
    metrics = _ranking(table) | _operating(table, known)
    metrics |= estimate_pixels([row.pixels for row in known], table.resamples)
    for statistic in PROBABILITY:
        metrics[statistic] = estimate_probability(statistic, table.scores, table.defect, table.resamples)
    cues = {cue: np.array([row.cues[cue] for row in known], dtype=np.float64) for cue in CUES}
    metrics |= {cue: estimate_cue(values, table.defect, table.resamples) for cue, values in cues.items()}
    best, margin, comparisons = None, Estimate(None), ()
    if metrics["AUROC"].value is not None:
        best = max(CUES, key=lambda cue: metrics[cue].value or 0)
        oriented = {cue: orient(values, table.defect) for cue, values in cues.items()}
        margin = estimate_margin(table.scores, oriented[best], table.defect, table.resamples)
        comparisons = compare(table.scores, oriented, table)
    ordered = {key: metrics[key] for key in METRICS}
    parts = tuple(_parts(table, known))
    kinds = tuple(_kinds(table, known))
    told = SetResult(name, origin, tuple(rows), ordered, best, margin, parts=parts, comparisons=comparisons)
    return replace(told, kinds=kinds)


def _table(name: str, known: Sequence[ScoredRow], seed: int) -> Table:
    groups = tuple(row.group for row in known)
    silent = any(row.alarm is None for row in known)
    return Table(
        scores=np.array([row.score for row in known], dtype=np.float64),
        defect=np.array([bool(row.defect) for row in known], dtype=bool),
        major=np.array([bool(row.major_defect) for row in known], dtype=bool),
        alarms=None if silent else np.array([bool(row.alarm) for row in known], dtype=bool),
        groups=groups,
        resamples=draw_resamples(groups, generator_for(seed, 0, f"bootstrap {name}")),
    )


def _ranking(table: Table) -> dict[str, Estimate]:
    everything = np.ones(len(table.scores), dtype=bool)
    metrics = {name: table.rank(name, everything) for name in RANKING if name not in ("AP_any", "AP_major")}
    return metrics | {
        "AP_any": table.rank("AP", everything),
        "AP_major": table.rank("AP", table.major | ~table.defect),
    }


def _operating(table: Table, known: Sequence[ScoredRow]) -> dict[str, Estimate]:
    lookalike = np.array([row.lookalike for row in known], dtype=bool)
    per_find = Estimate(None, why=NO_THRESHOLD)
    if table.alarms is not None:
        per_find = estimate_alarms_per_find(table.alarms, table.defect, table.groups, table.resamples)
    return {
        "recall": table.rate(table.defect),
        "false_alarm_rate": table.rate(~table.defect),
        "hard_negative_fpr": table.rate(lookalike & ~table.defect),
        "alarms_per_find_0.001": per_find,
    }


def _parts(table: Table, known: Sequence[ScoredRow]) -> list[Part]:
    """The damaged captures by severity, kind and family; whole strata, and the set without each of them."""
    names_of_rows: dict[PartOf, list[tuple[str, ...]]] = {
        "severity": [(row.severity,) if row.severity else () for row in known],
        "kind": [row.kinds for row in known],
        "family": [(row.family,) if row.family else () for row in known],
    }
    parts = []
    for of, names in names_of_rows.items():
        for name in sorted({n for row, damaged in zip(names, table.defect, strict=True) if damaged for n in row}):
            chosen = np.array([name in row for row in names], dtype=bool)
            parts.append(_part(table, of, name, table.defect & chosen, ~table.defect))
    for name in sorted({stratum for row in known for stratum in row.strata}):
        inside = np.array([name in row.strata for row in known], dtype=bool)
        for label, rows in ((name, inside), (f"without {name}", ~inside)):
            parts.append(_part(table, "stratum", label, table.defect & rows, ~table.defect & rows))
    return parts


def _part(
    table: Table,
    of: PartOf,
    name: str,
    damaged: Bool[np.ndarray, " n"],
    intact: Bool[np.ndarray, " n"],
) -> Part:
    groups = len({group for group, chosen in zip(table.groups, damaged, strict=True) if chosen})
    recall, auroc = table.rate(damaged), table.rank("AUROC", damaged | intact)
    return Part(of, name.replace("_", " "), int(damaged.sum()), groups, recall, auroc)


def _kinds(table: Table, known: Sequence[ScoredRow]) -> Iterator[KindResult]:
    """Each kind that every row has a score for; damaged rows that name no kind say nothing about kinds."""
    told = np.array([not row.defect or bool(row.kinds) for row in known], dtype=bool)
    for kind in KINDS:
        if not known or any(kind not in row.kind_scores for row in known):
            continue
        scores = np.array([row.kind_scores[kind] for row in known], dtype=np.float64)[told]
        shown = np.array([kind in row.kinds for row in known], dtype=bool)[told]
        resamples = keep_rows(table.resamples, told)
        ap, auroc = (estimate(metric, scores, shown, resamples) for metric in ("AP", "AUROC"))
        yield KindResult(kind.replace("_", " "), int(shown.sum()), int((~shown).sum()), ap, auroc)


# Comparisons


def compare(
    ours: Float[np.ndarray, " n"], others: dict[str, Float[np.ndarray, " n"]], table: Table
) -> tuple[Comparison, ...]:
    """One score against several others on the same rows: paired bootstrap, DeLong's test, Holm's correction."""
    tests = {name: delong(ours, theirs, table.defect, table.groups) for name, theirs in others.items()}
    told = {name: test.p for name, test in tests.items() if test is not None}
    adjusted = dict(zip(told, holm(list(told.values())), strict=True))
    return tuple(
        Comparison(
            other=name,
            difference=estimate_margin(ours, theirs, table.defect, table.resamples),
            p=told.get(name),
            adjusted=adjusted.get(name),
        )
        for name, theirs in others.items()
    )


def compare_sets(results: Sequence[SetResult], *, seed: int, draws: str) -> list[SetResult]:
    """Add to each result how it compares with the others, which scored the same captures in the same order."""
    if len(results) < 2:
        return list(results)
    compared = []
    for result in results:
        table = _table(draws, result.labelled, seed)
        cues = {cue: np.array([row.cues[cue] for row in result.labelled], dtype=np.float64) for cue in CUES}
        others = {cue: orient(values, table.defect) for cue, values in cues.items()} | {
            other.name: np.array([row.score for row in other.labelled], dtype=np.float64)
            for other in results
            if other is not result
        }
        compared.append(replace(result, comparisons=compare(table.scores, others, table)))
    return compared


def estimate_margin(
    scores: Float[np.ndarray, " n"],
    cue: Float[np.ndarray, " n"],
    positive: Bool[np.ndarray, " n"],
    resamples: Resamples,
) -> Estimate:
    """AUROC of the scores minus AUROC of a cue, with the interval of that difference on shared resamples."""
    return paired_difference("AUROC", scores, cue, positive, resamples)
