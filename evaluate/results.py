"""What an evaluation deals in: predictions of any model, scored rows, and what was measured on a set of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from ..sim.capture import Capture
from .metrics import Estimate, PixelTally
from .pictures import Sample, Strip


@runtime_checkable
class Prediction(Protocol):
    """What a model says about one capture."""

    @property
    def capture_id(self) -> str:
        """Name of the capture."""
        ...

    @property
    def score(self) -> float:
        """Damage score in [0, 1]."""
        ...

    @property
    def alarm(self) -> bool | None:
        """Whether the score lies above the threshold that the model was given elsewhere; None if there is none."""
        ...

    @property
    def modality(self) -> str:
        """Which of the model's thresholds applied, e.g. ``rgb`` or ``rgbd``."""
        ...

    @property
    def cameras(self) -> Sequence[str]:
        """Names of the views, in the order of the two that follow."""
        ...

    @property
    def view_scores(self) -> Sequence[float]:
        """Damage score of each view."""
        ...

    @property
    def masks(self) -> Sequence[np.ndarray]:
        """Damage score per pixel of each view in [0, 1], float32 (h, w)."""
        ...


Scorer = Callable[[Capture], Prediction]
"""Any model, as a function of one capture."""


@dataclass(frozen=True)
class ScoredRow:
    """One capture after the model has seen it."""

    capture_id: str
    score: float
    alarm: bool | None
    """None where scores came without a threshold."""
    modality: str
    defect: bool | None
    major_defect: bool | None
    severity: str | None
    kinds: tuple[str, ...]
    family: str | None
    group: str
    session: str | None
    cues: Mapping[str, float]
    sample: Sample | None = None
    """Picture of its most suspicious view, for real captures."""
    lookalike: bool = False
    """Whether it shows something that could be taken for damage and is none."""
    strata: tuple[str, ...] = ()
    """Parts of the set that are told apart, such as small crops."""
    pixels: PixelTally | None = None
    """Its masks against the truth, where both are known."""
    kind_scores: Mapping[str, float] = field(default_factory=dict)
    """Score of each kind of damage, from a model that tells kinds apart."""


PartOf = Literal["severity", "kind", "family", "stratum"]


@dataclass(frozen=True)
class Part:
    """Damaged captures of one severity, kind, family or stratum, against all intact ones of the set."""

    of: PartOf
    name: str
    damaged: int
    groups: int
    recall: Estimate
    """Share that raised an alarm at the threshold."""
    auroc: Estimate


@dataclass(frozen=True)
class KindResult:
    """How well the score of one kind finds captures with it among all others whose kinds are known."""

    kind: str
    shown: int
    others: int
    ap: Estimate
    auroc: Estimate


@dataclass(frozen=True)
class Comparison:
    """AUROC of the detector minus that of something else on the same rows."""

    other: str
    difference: Estimate
    """By the bootstrap over groups."""
    p: float | None
    """Two-sided p-value of DeLong's test, for clustered rows."""
    adjusted: float | None
    """The same after Holm's correction for all comparisons of the set."""


@dataclass(frozen=True)
class SetResult:
    """Rows of one set and what was measured on them."""

    name: str
    origin: Literal["real", "synthetic"]
    rows: tuple[ScoredRow, ...]
    metrics: Mapping[str, Estimate]
    best_cue: str | None
    margin: Estimate
    """AUROC of the model minus that of the best cue, paired: both on the same resamples."""
    parts: tuple[Part, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    kinds: tuple[KindResult, ...] = ()
    strips: tuple[Strip, ...] = ()
    notes: tuple[str, ...] = ()
    """What the set's files tell about it."""
    trained_on: int = 0
    """Rows that the model was trained on: real captures by name, rendered ones by product. Should be 0."""

    @property
    def recall(self) -> Estimate:
        """Share of damaged captures that raise an alarm at the model's own threshold."""
        return self.metrics["recall"]

    @property
    def labelled(self) -> tuple[ScoredRow, ...]:
        """Rows whose ``defect`` is known."""
        return tuple(row for row in self.rows if row.defect is not None)

    def rows_of(self, defect: bool) -> tuple[ScoredRow, ...]:
        """Rows that are damaged, or intact."""
        return tuple(row for row in self.rows if row.defect is defect)

    def groups_of(self, defect: bool) -> int:
        """Number of independent groups that carry a class."""
        return len({row.group for row in self.rows_of(defect)})
