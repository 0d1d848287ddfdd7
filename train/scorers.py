"""Models behind one interface: a scorer maps a capture and its product's references to a prediction.

The table MODELS says how each is trained; ``load_scorer`` reads the folder of any of them.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ..sim.capture import Capture
from ..sim.errors import DamagelandError
from ..sim.store import Source
from .checkpoint import CARD, Model, load_model
from .config import TrainConfig
from .fusion import load_fusion, train_fusion
from .loop import train as train_query
from .patches import load_patches, make_gallery
from .predict import Prediction, predict
from .refdiff import Refdiff, train_refdiff


@runtime_checkable
class Scorer(Protocol):
    """Any model that is ready to score."""

    @property
    def info(self) -> dict[str, Any]:
        """The content of ``model.json``: thresholds, what it was trained on, and so on."""
        ...

    @property
    def wants_references(self) -> bool:
        """Whether references change what it says."""
        ...

    def __call__(self, capture: Capture, references: Sequence[Capture] = (), *, use_depth: bool = True) -> Prediction:
        """Score one capture beside pristine references of its product, none of which is an answer too."""
        ...


@dataclass(frozen=True)
class Query:
    """The model that looks at the capture alone."""

    model: Model
    wants_references = False

    @property
    def info(self) -> dict[str, Any]:
        """The content of ``model.json``."""
        return self.model.card.model_dump(mode="json")

    def __call__(self, capture: Capture, references: Sequence[Capture] = (), *, use_depth: bool = True) -> Prediction:
        """Score one capture; references are not looked at."""
        return predict(self.model, capture, use_depth=use_depth)


@dataclass(frozen=True)
class ModelKind:
    """A way to score, and how one is made."""

    about: str
    train: Callable[[Sequence[Source], TrainConfig, Path], Path]
    """From rendered folders, settings and the folder of the finished model."""


MODELS: dict[str, ModelKind] = {
    "query": ModelKind("the capture alone", train_query),
    "refdiff": ModelKind("the capture beside pristine references, laid upon it", train_refdiff),
    "gallery": ModelKind("each patch beside the nearest of the references; nothing is trained", make_gallery),
    "fusion": ModelKind("both, joined by a stack that is chosen on recall at the budget", train_fusion),
}

LOADERS: dict[str, Callable[[Path], Scorer]] = {
    "locate-detect": lambda folder: Query(load_model(folder)),
    "locate-compare": lambda folder: Refdiff(load_model(folder)),
    "patches": load_patches,
    "fusion": load_fusion,
}
"""By the architecture that ``model.json`` names."""


def train_model(
    name: str, data: Sequence[Source], config: TrainConfig, out: Path, *, real: Iterable[Capture] = ()
) -> Path:
    """Train a model of the table; return its folder."""
    if name not in MODELS:
        raise DamagelandError(f"--model {name}: expected one of {', '.join(MODELS)}")
    if not data:
        raise DamagelandError("no rendered folder to train on: name at least one that `damageland render --out` wrote")
    captures = list(real)
    if captures and name != "query":
        raise DamagelandError(f"--real is mixed into --model query only so far, not into {name}: leave one of them out")
    return train_query(data, config, out, real=captures) if captures else MODELS[name].train(data, config, out)


def load_scorer(folder: Path) -> Scorer:
    """Read any trained model; every mismatch is one clear error."""
    path = folder / CARD
    if not path.is_file():
        raise DamagelandError(f"{path} is missing: --model takes the folder that `damageland train --out` wrote")
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise DamagelandError(f"{path} is not JSON ({error}): it is damaged, train again") from None
    architecture = content.get("architecture", "locate-detect") if isinstance(content, dict) else None
    if architecture not in LOADERS:
        raise DamagelandError(
            f"{path} names architecture {architecture!r}, expected one of {', '.join(LOADERS)}: use the damageland "
            "that wrote it, or train again"
        )
    return LOADERS[architecture](folder)
