"""What models trained on renders alone are worth on photographs: a row per seed, beside trivial cues (``make tins``).

Prints, for every set of photographs, AUROC of all, minor and major damage against intact captures, with intervals by
bootstrap over groups, and the share of intact captures that raise an alarm at the model's own threshold.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from damageland.evaluate.cues import CUES, measure_cues, orient
from damageland.evaluate.folder import find_sets, read_folder
from damageland.evaluate.metrics import Estimate, draw_resamples, estimate, estimate_rate, keep_rows
from damageland.sim.seed import generator_for
from damageland.train.checkpoint import load_model
from damageland.train.predict import predict
from jaxtyping import Bool, Float
from rich.console import Console
from rich.table import Table

SEVERITIES = ("all", "minor", "major")


@dataclass(frozen=True)
class Truth:
    """Labels of a set of photographs; rows without a label are left out."""

    damaged: Bool[np.ndarray, " n"]
    major: Bool[np.ndarray, " n"]
    groups: tuple[str, ...]

    def against(self, severity: str) -> Bool[np.ndarray, " n"]:
        """Rows of the intact captures and of one severity."""
        wanted = {"all": self.damaged, "minor": self.damaged & ~self.major, "major": self.major}[severity]
        return ~self.damaged | wanted


def score_photographs(
    models: Mapping[str, Path], folder: Path
) -> tuple[Truth, dict[str, Float[np.ndarray, " n"]], dict[str, Bool[np.ndarray, " n"]]]:
    """Truth, scores and alarms of one set: of each model, of their mean, and of trivial cues (no alarms)."""
    loaded = {name: load_model(path) for name, path in models.items()}
    captures = [capture for capture in read_folder(folder) if capture.defect is not None]
    found = [{name: predict(model, capture) for name, model in loaded.items()} for capture in captures]
    truth = Truth(
        np.array([bool(capture.defect) for capture in captures]),
        np.array([bool(capture.major_defect) for capture in captures]),
        tuple(capture.group or capture.capture_id for capture in captures),
    )
    scores = {name: np.array([row[name].score for row in found]) for name in models}
    logits = [np.log(score / (1 - score)) for score in (np.clip(s, 1e-9, 1 - 1e-9) for s in scores.values())]
    if len(models) > 1:
        scores["mean logit of all"] = np.mean(logits, axis=0)
    cues = [measure_cues(capture) for capture in captures]
    scores |= {name: orient(np.array([row[name] for row in cues]), truth.damaged) for name in CUES}
    return truth, scores, {name: np.array([row[name].alarm for row in found]) for name in models}


def table_of(
    name: str, truth: Truth, scores: Mapping[str, np.ndarray], alarms: Mapping[str, np.ndarray], seed: int
) -> Table:
    """One row per model and cue."""
    resamples = draw_resamples(truth.groups, generator_for(seed, 0, f"bootstrap {name}"))
    intact = ~truth.damaged
    minor = truth.damaged & ~truth.major
    counts = f"{intact.sum()} intact, {minor.sum()} minor, {truth.major.sum()} major; {len(set(truth.groups))} groups"
    table = Table(title=f"{name}: {counts}")
    for column in ("score", *(f"AUROC {severity}" for severity in SEVERITIES), "false alarms", "recall"):
        table.add_column(column, justify="left" if column == "score" else "right")
    for row, values in scores.items():
        cells = [row]
        for severity in SEVERITIES:
            keep = truth.against(severity)
            cells.append(told(estimate("AUROC", values[keep], truth.damaged[keep], keep_rows(resamples, keep))))
        for keep in (intact, truth.damaged):
            rate = Estimate(None)
            if row in alarms:
                groups = [group for group, kept in zip(truth.groups, keep, strict=True) if kept]
                rate = estimate_rate(alarms[row][keep], groups, keep_rows(resamples, keep))
            cells.append(told(rate))
        table.add_row(*cells)
    return table


def told(value: Estimate) -> str:
    """A value with its interval; a dash where there is none."""
    if value.value is None:
        return "–"
    return f"{value.value:.3f}" + ("" if value.low is None else f" [{value.low:.2f}, {value.high:.2f}]")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one table per set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="+", help="folders that `damageland train` wrote, one per seed")
    parser.add_argument("--real", type=Path, required=True, help="folder of photographs, or a folder of such folders")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    given = parser.parse_args(arguments)
    models = {path.name: path for path in given.models}
    for folder in find_sets(given.real):
        truth, scores, alarms = score_photographs(models, folder)
        Console(width=140).print(table_of(folder.name, truth, scores, alarms, given.seed))


if __name__ == "__main__":
    main()
