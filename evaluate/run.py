"""``damageland evaluate``: score real and held-out rendered captures, measure, and write the report.

Writes ``metrics.json`` (``{set: {metric: {"value", "low", "high"}}}``, null where undefined), ``predictions/<set>.csv``
(contract C8) and ``report.html``. Everything is computed before the first file is written.
"""

import csv
import io
import json
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from ..sim.errors import DamagelandError
from ..sim.files import write_atomic
from ..sim.manifest import manifest_rows
from ..sim.output import LOCK_FILE
from ..sim.shards import read_captures
from ..sim.store import File, Source, as_store
from ..train.console import bar, say
from .adapters.table import RealSet, find_real_sets
from .conclusions import interval
from .controls import ControlRow, control_table, describe
from .measure import METRICS
from .report import Provenance, render_report
from .results import Scorer, SetResult
from .scoring import score_set
from .tables import COMPARISON_COLUMNS, KIND_COLUMNS, PART_COLUMNS, comparison_rows, kind_rows, part_rows

SYNTHETIC_TEST = "synthetic_test"
"""Name of the set of held-out rendered captures."""
REPORT = "report.html"
CONTROLS = "references.json"
"""What right, wrong and no references make of the held-out rendered captures, for a model that compares."""


def evaluate(
    model: Path,
    *,
    real: Sequence[Path],
    data: Source | None,
    out: Path,
    format: str | None = None,
    progress: bool = True,
    seed: int = 0,
) -> Path:
    """Evaluate a trained model on folders of real captures and on the test split of rendered ones; return the report.

    Each path in ``real`` is a set of any known layout (``format`` names one) or a folder of sets. ``data`` is a
    rendered data set (folder or URL); its test split holds products that training never saw. At least one of both must
    be given.
    """
    from ..train.identify import Finder  # torch loads slowly: not before it is needed
    from ..train.scorers import load_scorer
    from .references import control_rows, gather

    scorer = load_scorer(model)
    sets = name_sets(real, format).values() if scorer.wants_references else ()
    book = gather(data if scorer.wants_references else None, sets)
    controls = control_rows(scorer, data, book, seed=seed) if scorer.wants_references and data is not None else []
    find = Finder(book, seed=seed)
    report = evaluate_scorer(
        lambda capture: scorer(capture, find(capture)),
        scorer.info,
        real=real,
        data=data,
        out=out,
        format=format,
        log=_read_log(model / "log.csv"),
        model_name=str(model),
        progress=progress,
        seed=seed,
        controls=controls,
    )
    if controls:
        write_atomic(out / CONTROLS, json.dumps(control_table(controls), indent=1, allow_nan=False) + "\n")
        say(describe(controls), enabled=progress)
    return report


def evaluate_scorer(
    scorer: Scorer,
    info: Mapping[str, Any],
    *,
    real: Sequence[Path],
    data: Source | None,
    out: Path,
    format: str | None = None,
    log: Mapping[str, Sequence[str]] | None = None,
    model_name: str = "",
    progress: bool = True,
    seed: int = 0,
    controls: Sequence[ControlRow] = (),
) -> Path:
    """Evaluate any model given as a function; ``info`` is what model.json would say of it (thresholds, trained_on)."""
    started = time.monotonic()
    sets = name_sets(real, format)
    if not sets and data is None:
        raise DamagelandError(
            "nothing to evaluate on: give at least one folder of real captures, or a rendered data set"
        )
    if out.exists() and not out.is_dir():
        raise DamagelandError(f"{out} is a file: name a folder for the report")
    for one in sets.values():
        one.read()  # every table is checked before the first picture is scored
    manifest = None if data is None else manifest_rows(data)
    results = list(_score_all(scorer, info, sets, data, manifest, seed=seed, progress=progress))
    provenance = Provenance(
        model=model_name,
        command=shlex.join(sys.argv),
        seed=seed,
        seconds=time.monotonic() - started,
        data=None if data is None else str(data),
        recipe=None if data is None else _recipe_name(as_store(data) / LOCK_FILE),
        real={name: f"{one.folder} ({one.format})" for name, one in sets.items()},
    )
    html = render_report(results, info=info, log=log or {}, manifest=manifest, provenance=provenance, controls=controls)
    write_results(out, results, html)
    for result in results:
        say(_summary(result), enabled=progress)
    return out / REPORT


def name_sets(real: Sequence[Path], format: str | None = None) -> dict[str, RealSet]:
    """Sets by the name of their folder; two of one name could not be told apart in metrics.json."""
    sets: dict[str, RealSet] = {}
    for one in (one for path in real for one in find_real_sets(path, format)):
        name = one.name
        if name in sets:
            where = f"{sets[name].folder} and {one.folder}"
            raise DamagelandError(f"two real sets are named {name!r}: {where}; rename one folder")
        if name == SYNTHETIC_TEST:
            raise DamagelandError(f"{one.folder}: the name {name!r} belongs to held-out rendered captures; rename it")
        sets[name] = one
    return sets


def _score_all(
    scorer: Scorer,
    info: Mapping[str, Any],
    sets: Mapping[str, RealSet],
    data: Source | None,
    manifest: Sequence[Mapping[str, Any]] | None,
    *,
    seed: int,
    progress: bool,
) -> Iterator[SetResult]:
    learned = info.get("trained_on", {})
    trained_on = {*learned.get("real_capture_ids", ()), *learned.get("products", ())}
    if data is not None and manifest is not None:
        total = sum(row["split"] == "test" and row["role"] != "reference" for row in manifest)
        with bar(SYNTHETIC_TEST, total, enabled=progress) as advance:
            test = read_captures(data, split="test", roles=("query", "twin"))
            yield score_set(
                SYNTHETIC_TEST, "synthetic", test, scorer, seed=seed, trained_on=trained_on, on_capture=advance
            )
    for name, one in sets.items():
        with bar(name, None, enabled=progress) as advance:
            captures = one.read().of(("query", "twin"))
            result = score_set(name, "real", captures, scorer, seed=seed, trained_on=trained_on, on_capture=advance)
            yield replace(result, notes=tuple(one.audit()))


def _summary(result: SetResult) -> str:
    told = [f"{name} {interval(result.metrics[name])}" for name in ("AUROC", "AP_any", "false_alarm_rate")]
    return f"{result.name}: {', '.join(told)}"


# Files


def metrics_table(results: Sequence[SetResult]) -> dict[str, dict[str, dict[str, float | None]]]:
    """Content of metrics.json."""
    return {
        result.name: {
            name: {key: getattr(result.metrics[name], key) for key in ("value", "low", "high")} for name in METRICS
        }
        for result in results
    }


def write_results(out: Path, results: Sequence[SetResult], html: str) -> None:
    """Write every output of an evaluation; the report comes last."""
    (out / "predictions").mkdir(parents=True, exist_ok=True)
    for result in results:
        rows = [(row.capture_id, repr(row.score)) for row in result.rows]
        write_atomic(out / "predictions" / f"{result.name}.csv", _csv([("capture_id", "pred"), *rows]))
    for name, columns, lines in (
        ("parts.csv", PART_COLUMNS, part_rows(results)),
        ("comparisons.csv", COMPARISON_COLUMNS, comparison_rows(results)),
        ("kinds.csv", KIND_COLUMNS, kind_rows(results)),
    ):
        write_atomic(out / name, _csv([columns, *lines]))
    write_atomic(out / "metrics.json", json.dumps(metrics_table(results), indent=1, allow_nan=False) + "\n")
    write_atomic(out / REPORT, html)


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _recipe_name(path: File) -> str | None:
    """Name in recipe.lock.yaml, None where there is none: it adorns the report and decides nothing."""
    try:
        recipe = yaml.safe_load(path.read_bytes())
    except (DamagelandError, yaml.YAMLError):
        return None
    recipe = recipe.get("recipe", recipe) if isinstance(recipe, dict) else None
    return str(recipe["name"]) if isinstance(recipe, dict) and "name" in recipe else None


def _read_log(path: Path) -> dict[str, list[str]]:
    """Columns of a model's log.csv as text; empty if there is none, since a report is worth having without curves."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [str(row[name] or "") for row in rows] for name in (rows[0] if rows else {})}
