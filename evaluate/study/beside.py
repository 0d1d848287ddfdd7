"""The arm that compares with references: trained on renders, scored beside right, no and another product's references.

What another product's references do not take away was not gained from references.
"""

from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path

import numpy as np

from ...sim.capture import Capture
from ...sim.errors import DamagelandError
from ...sim.shards import read_captures
from ...train.checkpoint import Modality
from ...train.config import TrainConfig
from ...train.refdiff import fit_refdiff
from ...train.references import ReferenceBook
from ...train.scorers import load_scorer
from .reals import Reals
from .scores import MODALITIES, ArmScores
from .spec import StudySpec

BESIDE = "references"
"""The row; its controls bear a word more."""
NONE, WRONG = f"{BESIDE}, none", f"{BESIDE}, wrong"


def require_references(spec: StudySpec, reals: Reals) -> None:
    """Refuse the row where either set lacks references."""
    for source, references in ((spec.data[0], rendered_references(spec)), (reals.source, reals.references())):
        if next(iter(references), None) is None:
            raise DamagelandError(
                f"rows: {BESIDE}, but {source} holds no pristine references: render with `gallery: 2`, add "
                "reference.csv to real captures (docs/real-captures.md), or leave the row out"
            )


def rendered_references(spec: StudySpec) -> Iterable[Capture]:
    """References among the renders."""
    return chain.from_iterable(read_captures(s, split="train", roles=("reference",)) for s in spec.data)


def train_beside(spec: StudySpec, config: TrainConfig, reals: Reals, folder: Path, *, progress: bool) -> None:
    """Train on renders beside their references; thresholds come from the calibration part beside its own."""
    names = {row.capture_id for row in reals.of("calibration")}

    def source(split: str) -> Iterable[Capture]:
        if split == "train":
            return chain.from_iterable(read_captures(place, split="train") for place in spec.data)
        return chain((c for c in reals.captures() if c.capture_id in names), reals.references())

    fit_refdiff(source, config, folder, progress=progress)


def score_beside(folder: Path, reals: Reals) -> dict[str, ArmScores]:
    """Scores of the calibration and test parts, by row."""
    scorer, book = load_scorer(folder), ReferenceBook.of(reals.references())
    wanted = {row.capture_id for row in reals.rows if row.part != "train"}
    captures = [capture for capture in reals.captures() if capture.capture_id in wanted]
    find: dict[str, Callable[[Capture], tuple[Capture, ...]]] = {
        BESIDE: book.find, NONE: lambda capture: (), WRONG: book.wrong
    }  # fmt: skip
    scores: dict[str, ArmScores] = {}
    for row, of in find.items():
        values: dict[Modality, list[float]] = {"rgbd": [], "rgb": []}
        for modality in MODALITIES:
            values[modality] = [scorer(c, of(c), use_depth=modality == "rgbd").score for c in captures]
        names = tuple(capture.capture_id for capture in captures)
        scores[row] = ArmScores(names, {m: np.array(v) for m, v in values.items()})
    return scores
