"""Rows of the table that shows what references are worth; ``references.py`` measures them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .metrics import Estimate


@dataclass(frozen=True)
class ControlRow:
    """One way to score the same captures."""

    name: str
    captures: int
    damaged: int
    AUROC: Estimate
    recall_at_budget: Estimate
    """At 1 % false alarms on these very captures."""
    false_alarm_rate: Estimate
    """At the model's own threshold, on pristine captures."""
    printed_alarm_rate: Estimate
    """The same, on pristine captures of products with damage printed on them."""
    recall: Estimate
    """At the model's own threshold."""
    fit: float
    """Median fit of the references; 0 without."""


def control_table(rows: Iterable[ControlRow]) -> dict[str, Any]:
    """Content of ``references.json``: by row, its figures with their intervals."""
    return {row.name: {name: value for name, value in asdict(row).items() if name != "name"} for row in rows}


def describe(rows: Sequence[ControlRow]) -> str:
    """The table as lines of text."""

    def told(value: Estimate) -> str:
        if value.value is None:
            return "-"
        return f"{value.value:.3f}" + ("" if value.low is None else f" [{value.low:.2f}, {value.high:.2f}]")

    columns: Mapping[str, Callable[[ControlRow], str]] = {
        "": lambda row: row.name,
        "AUROC": lambda row: told(row.AUROC),
        "R@1%FPR": lambda row: told(row.recall_at_budget),
        "recall": lambda row: told(row.recall),
        "false alarms": lambda row: told(row.false_alarm_rate),
        "on prints": lambda row: told(row.printed_alarm_rate),
        "fit": lambda row: f"{row.fit:.2f}",
    }
    cells = [list(columns), *([draw(row) for draw in columns.values()] for row in rows)]
    widths = [max(len(line[k]) for line in cells) for k in range(len(columns))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)
