"""``damageland score``: prediction files of any model against the truth, without the model."""

import shlex
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..sim.capture import Capture, Role
from ..sim.errors import DamagelandError
from ..sim.manifest import manifest_rows
from ..sim.shards import read_captures
from ..sim.store import as_store
from ..train.console import bar
from .adapters.table import find_real_sets
from .conclusions import interval, p_value
from .measure import METRICS, compare_sets
from .predictions import Predictions, check_coverage, read_predictions
from .report import Provenance, render_report
from .results import SetResult
from .run import REPORT, write_results
from .scoring import score_set
from .tables import HEADINGS

ROLES: tuple[Role, ...] = ("query", "twin")
"""What is predicted; references are not."""
MANIFEST = "manifest.parquet"
DRAWS = "predictions"
"""Name of the resamples that all files share, so that their differences are paired."""


@dataclass(frozen=True)
class Truth:
    """Captures to score: a split of a rendered data set, or a set of real captures of any known layout."""

    path: str
    origin: Literal["real", "synthetic"]
    names: tuple[str, ...]
    """What must be predicted."""
    captures: Callable[[], Iterable[Capture]]
    manifest: tuple[Mapping[str, Any], ...] | None = None


def score(
    files: Sequence[Path],
    truth: Path | str,
    *,
    out: Path | None = None,
    format: str | None = None,
    split: str = "test",
    threshold: float | None = None,
    seed: int = 0,
    progress: bool = True,
) -> list[SetResult]:
    """Measure prediction files on the same captures, and against one another; write a report if ``out`` names a folder.

    All files are read and checked against the truth before the first picture is.
    """
    started = time.monotonic()
    if not files:
        raise DamagelandError("no prediction file: name a CSV or parquet table with the columns capture_id,pred")
    if out is not None and out.exists() and not out.is_dir():
        raise DamagelandError(f"{out} is a file: name a folder for the report")
    models = _read_files(files, threshold)
    known = open_truth(truth, format=format, split=split)
    for model in models.values():
        check_coverage(model, known.names, known.path)
    results = []
    for name, model in models.items():
        with bar(name, len(known.names), enabled=progress) as advance:
            captures = known.captures()
            results.append(score_set(name, known.origin, captures, model, seed=seed, draws=DRAWS, on_capture=advance))
    results = compare_sets(results, seed=seed, draws=DRAWS)
    if out is not None:
        real = {Path(truth).resolve().name: str(truth)} if known.origin == "real" else {}
        data = str(truth) if known.origin == "synthetic" else None
        about = Provenance(
            ", ".join(map(str, files)), shlex.join(sys.argv), seed, time.monotonic() - started, data, None, real
        )
        html = render_report(results, info={}, log={}, manifest=known.manifest, provenance=about)
        write_results(out, results, html)
    return results


def _read_files(files: Sequence[Path], threshold: float | None) -> dict[str, Predictions]:
    models: dict[str, Predictions] = {}
    for path in files:
        if path.stem in models:
            raise DamagelandError(f"two prediction files are named {path.stem!r}: {models[path.stem].path} and {path}")
        models[path.stem] = read_predictions(path, threshold)
    return models


def open_truth(path: Path | str, *, format: str | None, split: str) -> Truth:
    """Open what the predictions are about (a URL is a rendered data set); labels are checked, pictures not yet read."""
    if format is None and (as_store(path) / MANIFEST).is_file():
        rows = tuple(manifest_rows(path))
        names = tuple(str(row["capture_id"]) for row in rows if row["split"] == split and row["role"] in ROLES)
        if not names:
            raise DamagelandError(f"{path} holds no captures of split {split!r}: name another with --split")
        return Truth(str(path), "synthetic", names, lambda: read_captures(path, split=split, roles=ROLES), rows)
    sets = find_real_sets(Path(path), format)
    if len(sets) > 1:
        found = ", ".join(str(one.folder / one.name if one.folder.name != one.name else one.folder) for one in sets)
        raise DamagelandError(f"{path} holds {len(sets)} sets ({found}): predictions are about one, so name its folder")
    return Truth(str(path), "real", sets[0].read().names, lambda: sets[0].read().of(ROLES))


def table_of(results: Sequence[SetResult]) -> str:
    """What the command prints: a line per metric, a column per file, then how the files compare."""
    lines = [("", *(result.name for result in results))]
    for metric in METRICS:
        cells = [result.metrics[metric] for result in results]
        if any(cell.value is not None or cell.why for cell in cells):
            told = [interval(cell) if cell.why is None else cell.why for cell in cells]
            lines.append((HEADINGS[metric], *told))
    widths = [max(len(line[column]) for line in lines) for column in range(len(results) + 1)]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    names = {result.name for result in results}
    for result in results:
        text += [
            f"{result.name} less {other.other}: AUROC {interval(other.difference)}, p (DeLong) {p_value(other.p)}, "
            f"after Holm {p_value(other.adjusted)}"
            for other in result.comparisons
            if other.other in names
        ]
    return "\n".join(text)


__all__ = ["REPORT", "Truth", "open_truth", "score", "table_of"]
