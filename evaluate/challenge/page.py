"""The leaderboard as one HTML page, and as tables."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ...sim.files import write_atomic
from ...sim.store import Source
from ..conclusions import number
from .board import FIGURES, TASKS, Entry, sent
from .tables import write_twins

PAGE = "leaderboard.html"
HEADINGS = {
    "AP": "AP any",
    "AP_major": "AP major",
    "AUROC": "AUROC",
    "recall_at_precision_0.5": "Recall at 50 % precision",
    "recall_at_fpr_0.01": "Recall at 1 % FPR",
    "AP_kinds": "AP, mean over kinds",
    "AUROC_major": "AUROC, major against minor",
}


def write_board(entries: Sequence[Entry], data: Source, out: Path) -> Path:
    """Write ``leaderboard.html``, ``.parquet`` and ``.csv``."""
    rows = [_row(entry) for entry in entries]
    write_twins(out / "leaderboard", rows, tuple(rows[0]))
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parents[1] / "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["number"] = number
    valid, wrong = sent(entries)
    html = environment.get_template("leaderboard.html.j2").render(
        entries=entries, tasks=TASKS, headings=HEADINGS, data=str(data), valid=valid, wrong=wrong
    )
    write_atomic(out / PAGE, html)
    return out / PAGE


def _row(entry: Entry) -> dict[str, str | float | int | None]:
    row: dict[str, str | float | int | None] = {"name": entry.name, "track": entry.about.track}
    row |= {f"rank_{task}": entry.ranks[task] for task in TASKS}
    for name in FIGURES:
        one = entry.figures.get(name)
        row |= {f"{name}{end}": None if one is None else value for end, value in _ends(one)}
    return row | {"error": entry.error}


def _ends(one: object) -> list[tuple[str, float | None]]:
    return [(end, getattr(one, key, None)) for end, key in (("", "value"), ("_low", "low"), ("_high", "high"))]
