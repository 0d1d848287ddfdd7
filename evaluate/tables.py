"""The scientist's tables: every metric by section, parts of a set, and comparisons, as text cells."""

from collections.abc import Sequence
from dataclasses import dataclass

from .cues import CUES
from .measure import OPERATING, PROBABILITY, RANKING
from .metrics import PIXEL_METRICS, Estimate
from .results import SetResult

HEADLINE = ("AP_any", "AP_major", "AUROC", "recall_at_fpr_0.01", "false_alarm_rate", *CUES)
"""Metrics of the first table."""
HEADINGS = {
    "AP_any": "AP any",
    "AP_major": "AP major",
    "AUROC": "AUROC",
    "recall_at_precision_0.5": "Recall at 50 % precision",
    "recall_at_fpr_0.01": "Recall at 1 % FPR",
    "recall_at_fpr_0.001": "Recall at 0.1 % FPR",
    "AP_at_prevalence_0.001": "AP at 1 in 1,000",
    "recall": "Recall",
    "false_alarm_rate": "False-alarm rate",
    "hard_negative_fpr": "False-alarm rate, lookalikes",
    "alarms_per_find_0.001": "False alarms per find at 1 in 1,000",
    "AUPRO_0.05": "AUPRO up to 5 % FPR",
    "AUPRO_0.3": "AUPRO up to 30 % FPR",
    "pixel_F1": "Pixel F1 at one half",
    "pixel_F1_best": "Pixel F1, best threshold",
    "ECE": "Calibration error",
    "Brier": "Brier score",
    "cue_luminance": "Cue: luminance",
    "cue_border": "Cue: border",
    "cue_edges": "Cue: edges",
}
_SECTIONS = (
    ("Ranking", RANKING, "Captures by their score; thresholds, where there are any, are the best on the set itself."),
    ("At the model's threshold", OPERATING, "The threshold was fixed elsewhere, before the set was seen."),
    (
        "Where the damage is",
        PIXEL_METRICS,
        "Masks against drawn ones. AUPRO: mean share of each damaged region that is marked, up to a share of intact "
        "pixels marked by mistake.",
    ),
    ("As probabilities", PROBABILITY, "Low is good. They depend on the share of damaged captures in the set."),
)


@dataclass(frozen=True)
class Line:
    """One metric of every set."""

    heading: str
    cells: tuple[Estimate, ...]


@dataclass(frozen=True)
class Section:
    """Metrics that belong together."""

    title: str
    note: str
    lines: tuple[Line, ...]
    remarks: tuple[str, ...]
    """Why there are gaps."""


def sections(results: Sequence[SetResult]) -> list[Section]:
    """All metrics but the cues, a line for each that any set could measure."""
    made = []
    for title, names, note in _SECTIONS:
        lines, remarks = [], dict[str, None]()
        for name in names:
            cells = tuple(result.metrics[name] for result in results)
            remarks |= {
                f"{HEADINGS[name]}, {result.name}: {cell.why}.": None
                for result, cell in zip(results, cells, strict=True)
                if cell.why is not None
            }
            if any(cell.value is not None or cell.why for cell in cells):
                lines.append(Line(HEADINGS[name], cells))
        if lines:
            made.append(Section(title, note, tuple(lines), tuple(remarks)))
    return made


PART_COLUMNS = ("set", "of", "part", "damaged", "groups", "recall", "recall_low", "recall_high", "AUROC", "AUROC_low",
                "AUROC_high")  # fmt: skip


def part_rows(results: Sequence[SetResult]) -> list[tuple[str, ...]]:
    """Rows of parts.csv: recall and AUROC of every severity, kind, family and stratum."""
    return [
        (
            result.name,
            part.of,
            part.name,
            str(part.damaged),
            str(part.groups),
            *_fields(part.recall),
            *_fields(part.auroc),
        )
        for result in results
        for part in result.parts
    ]


KIND_COLUMNS = ("set", "kind", "shown", "others", "AP", "AP_low", "AP_high", "AUROC", "AUROC_low", "AUROC_high")


def kind_rows(results: Sequence[SetResult]) -> list[tuple[str, ...]]:
    """Rows of kinds.csv: AP and AUROC of the score of each kind."""
    return [
        (result.name, one.kind, str(one.shown), str(one.others), *_fields(one.ap), *_fields(one.auroc))
        for result in results
        for one in result.kinds
    ]


COMPARISON_COLUMNS = ("set", "against", "AUROC_difference", "low", "high", "p_delong", "p_holm")


def comparison_rows(results: Sequence[SetResult]) -> list[tuple[str, ...]]:
    """Rows of comparisons.csv."""
    return [
        (result.name, other.other, *_fields(other.difference), _field(other.p), _field(other.adjusted))
        for result in results
        for other in result.comparisons
    ]


def _fields(estimate: Estimate) -> tuple[str, str, str]:
    return _field(estimate.value), _field(estimate.low), _field(estimate.high)


def _field(value: float | None) -> str:
    return "" if value is None else repr(value)
