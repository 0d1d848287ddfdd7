"""The report: one HTML file that needs nothing else, for whoever decides and for whoever doubts.

Pictures of real captures go into this file only; it stays with the user.
"""

import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from .conclusions import (
    NOT_MEASURED,
    caveats,
    confirmations,
    count,
    general_caveats,
    interval,
    learned_sentence,
    number,
    p_value,
    rendered_sentence,
    transferred_sentences,
)
from .controls import ControlRow
from .figures import draw_curves, draw_set
from .results import ScoredRow, SetResult
from .tables import HEADINGS, HEADLINE, sections

SAMPLES = 6
"""Pictures in each row of real samples."""

_TEMPLATES = Path(__file__).parent / "templates"
_VERSIONS = ("damageland", "numpy", "scikit-learn", "torch", "opencv-python-headless")


@dataclass(frozen=True)
class Provenance:
    """Where the numbers come from."""

    model: str
    command: str
    seed: int
    seconds: float
    data: str | None
    recipe: str | None
    """Name of the recipe of the rendered data."""
    real: Mapping[str, str]
    """Folder of each real set."""


@dataclass(frozen=True)
class Gallery:
    """A row of sample pictures with a heading."""

    heading: str
    rows: tuple[ScoredRow, ...]


def render_report(
    results: Sequence[SetResult],
    *,
    info: Mapping[str, Any],
    log: Mapping[str, Sequence[str]],
    manifest: Sequence[Mapping[str, Any]] | None,
    provenance: Provenance,
    controls: Sequence[ControlRow] = (),
) -> str:
    """Render the report as HTML; ``info`` is model.json, ``log`` the columns of log.csv, ``manifest`` its rows.

    ``controls`` are what right, wrong and no references make of the held-out rendered captures.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "interval": interval, "p_value": p_value}
    values = {name: told["value"] for name, told in info.get("thresholds", {}).items()}
    return environment.get_template("report.html.j2").render(
        rendered=rendered_sentence(manifest),
        learned=learned_sentence(results, unseen=bool(info)),
        transferred=transferred_sentences(results),
        not_measured=NOT_MEASURED,
        counts=counts_table(manifest or ()),
        strips=[strip for result in results for strip in result.strips],
        curves=[Markup(curve) for curve in draw_curves(log)],
        validation=info.get("validation", {}),
        metrics=HEADLINE,
        headings=HEADINGS,
        sections=sections(results),
        results=results,
        figures={result.name: [Markup(svg) for svg in draw_set(result, values)] for result in results},
        thresholds=info.get("thresholds", {}),
        confirmations={result.name: confirmations(result, info) for result in results},
        galleries={result.name: galleries(result) for result in results if result.origin == "real"},
        caveats={result.name: caveats(result) for result in results},
        general=general_caveats(results, info),
        provenance=provenance_table(info, manifest, provenance),
        controls=controls,
    )


# Tables


def counts_table(manifest: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[str, int]]]:
    """How many captures there are of each role, split, family and so on, the most frequent first."""
    damaged = [row for row in manifest if row["role"] == "query" and row["defect"]]
    tables = {
        "Role": Counter(row["role"] for row in manifest),
        "Split": Counter(row["split"] or "none" for row in manifest),
        "Renderer": Counter(row["renderer"] or "unknown" for row in manifest),
        "Family": Counter(row.get("category") or "unknown" for row in manifest),
        "Kind of damage": _count_parts(row["defect_types"] for row in damaged),
        "Generator": _count_parts(row["generators"] for row in damaged),
        "Severity": Counter(row["severity"] or "unknown" for row in damaged),
    }
    return {
        title: [(str(name), n) for name, n in counter.most_common()] for title, counter in tables.items() if counter
    }


def _count_parts(values: Iterable[str | None]) -> Counter[str]:
    return Counter(part for value in values for part in (value or "").split(",") if part)


def galleries(result: SetResult) -> list[Gallery]:
    """Real samples: most confident hits, worst misses, worst false alarms; rows without a label by score."""
    damaged = sorted(result.rows_of(True), key=lambda row: -row.score)
    intact = sorted(result.rows_of(False), key=lambda row: -row.score)
    unknown = sorted((row for row in result.rows if row.defect is None), key=lambda row: -row.score)
    hits = [row for row in damaged if row.alarm]
    misses = [row for row in reversed(damaged) if not row.alarm]
    false = [row for row in intact if row.alarm]
    shown = [
        Gallery(f"Most confident finds ({len(hits)} of {count(len(damaged), 'damaged capture')} found)", tuple(hits)),
        Gallery(f"Worst misses ({len(misses)} of {len(damaged)} missed)", tuple(misses)),
        Gallery(f"Worst false alarms ({len(false)} of {count(len(intact), 'intact capture')})", tuple(false)),
        Gallery("Intact, no alarm, highest scores", tuple(row for row in intact if not row.alarm)),
        Gallery("Without a label, highest scores", tuple(unknown)),
    ]
    return [Gallery(gallery.heading, gallery.rows[:SAMPLES]) for gallery in shown if gallery.rows]


def provenance_table(
    info: Mapping[str, Any], manifest: Sequence[Mapping[str, Any]] | None, provenance: Provenance
) -> list[tuple[str, str]]:
    """What was run on what, with which versions."""
    learned = info.get("trained_on", {})
    seeds = sorted({str(row["seed"]) for row in manifest or () if row["seed"] is not None})
    table = [
        ("Command", provenance.command),
        ("Written", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("Time taken", f"{provenance.seconds:.0f} s for scoring and measuring"),
        ("Seed of the intervals", str(provenance.seed)),
        ("Model", provenance.model),
        ("Weights (SHA-256)", str(info.get("weights_sha256", ""))),
        ("Trained on", _learned(learned)),
        ("Training seed", str(info.get("config", {}).get("seed", ""))),
        ("Recipe hash", ", ".join(learned.get("recipe_hashes", ()))),
        ("Rendered data", provenance.data or ""),
        ("Recipe", provenance.recipe or ""),
        ("Recipe seed", ", ".join(seeds)),
        *((f"Real set {name}", folder) for name, folder in provenance.real.items()),
        ("Python", platform.python_version()),
        *((name, _version(name)) for name in _VERSIONS),
    ]
    return [(name, value) for name, value in table if value]


def _learned(learned: Mapping[str, Any]) -> str:
    if not learned:
        return ""
    real = len(learned.get("real_capture_ids", ()))
    return (
        f"{count(learned.get('captures', 0), 'rendered capture')} ({count(learned.get('views', 0), 'view')}) of "
        f"{count(len(learned.get('products', ())), 'product')}; {count(real, 'real capture')}"
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
