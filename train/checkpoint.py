"""A trained model as a folder of two files: ``model.safetensors`` (weights) and ``model.json`` (everything else)."""

import hashlib
import json
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from torch import nn

from ..sim.errors import DamagelandError
from ..sim.files import sha256_of, write_atomic
from .compare import build_compare
from .config import TrainConfig
from .models import build
from .threshold import Threshold

FORMAT_VERSION = 1
NETWORKS = {"locate-detect": build, "locate-compare": build_compare}
"""Networks by the name of their architecture, as functions of width and seed."""
WEIGHTS, CARD = "model.safetensors", "model.json"
Modality = Literal["rgbd", "rgb"]


class TrainedOn(BaseModel):
    """What the weights were learned from, so that nobody measures on it by mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    sources: tuple[str, ...]
    """Names of the rendered folders."""
    recipe_hashes: tuple[str, ...]
    captures: int
    """Rendered captures in the training split."""
    views: int
    pairs: int
    """Views that show a damage and have a pristine twin."""
    products: tuple[str, ...]
    """Item identifiers of the training split."""
    real_capture_ids: tuple[str, ...] = ()


class Scores(BaseModel):
    """How well the finished model tells damaged from pristine on rendered captures of unseen products."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    damaged: int
    pristine: int
    auroc: float | None
    average_precision: float | None
    """None where the validation split lacks damaged captures."""
    recall_at_threshold: float | None


class ModelCard(BaseModel):
    """The content of ``model.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format_version: Literal[1] = FORMAT_VERSION
    architecture: Literal["locate-detect", "locate-compare"] = "locate-detect"
    weights_sha256: str
    """Of model.safetensors, so that two halves of different runs are not taken for one model."""
    config: TrainConfig
    normalisation: Literal["crop: (x - mean) / (std + 0.05); depth: tanh(d / 0.1 m), tanh(relief / 0.005 m), valid"] = (
        "crop: (x - mean) / (std + 0.05); depth: tanh(d / 0.1 m), tanh(relief / 0.005 m), valid"
    )
    crop_zoom: float
    """Side of the crop over the size of the item found."""
    pooling: Literal["max"] = "max"
    """A capture's logit is the greatest of its views' logits: one view that shows a damage is enough."""
    thresholds: dict[Modality, Threshold]
    """rgbd for captures with any depth, rgb for captures without."""
    validation: dict[Modality, Scores]
    known_fit: dict[Modality, float] = {}
    """Of a comparing model: fit below which references show another design; see ``refdiff``."""
    trained_on: TrainedOn
    versions: dict[str, str]


@dataclass(frozen=True)
class Model:
    """A trained model, ready to predict."""

    networks: nn.ModuleDict
    """``locate``, and ``detect`` or ``compare``, in evaluation mode."""
    card: ModelCard


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    return {"python": platform.python_version()} | {
        name: version(name) for name in ("damageland", "torch", "kornia", "numpy", "opencv-python-headless")
    }


def weight_bytes(networks: nn.ModuleDict) -> bytes:
    """Weights as the bytes of a safetensors file."""
    return safetensors.torch.save({name: value.contiguous() for name, value in networks.state_dict().items()})


def save_model(model: Model, folder: Path) -> None:
    """Write both files, each whole or not at all, the card last: it names the hash of the weights it belongs to."""
    data = weight_bytes(model.networks)
    card = model.card.model_copy(update={"weights_sha256": hashlib.sha256(data).hexdigest()})
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / WEIGHTS, data)
    write_atomic(folder / CARD, card.model_dump_json(indent=1) + "\n")


def load_model(folder: Path) -> Model:
    """Read a model that ``damageland train`` wrote; every mismatch is one clear error."""
    weights, card_path = folder / WEIGHTS, folder / CARD
    for path in (weights, card_path):
        if not path.is_file():
            raise DamagelandError(f"{path} is missing: --model takes the folder that `damageland train --out` wrote")
    card = _read_card(card_path)
    if sha256_of(weights) != card.weights_sha256:
        raise DamagelandError(f"{weights} is not the file that {card_path} describes: copy both files of one run")
    try:
        tensors = safetensors.torch.load_file(weights)
    except (SafetensorError, OSError) as error:
        raise DamagelandError(f"{weights} is not a readable safetensors file ({error}): train again") from None
    networks = NETWORKS[card.architecture](card.config.width, card.config.seed)
    expected = {name: value.shape for name, value in networks.state_dict().items()}
    found = {name: value.shape for name, value in tensors.items()}
    if expected != found:
        wrong = sorted(name for name in expected | found if expected.get(name) != found.get(name))
        raise DamagelandError(f"{weights} does not fit architecture {card.architecture!r}: {', '.join(wrong[:5])}")
    if not all(torch.isfinite(value).all() for value in tensors.values()):
        raise DamagelandError(f"{weights} holds weights that are not finite: train again with a smaller lr")
    networks.load_state_dict(tensors)
    return Model(networks.eval().requires_grad_(False), card)  # pyright: ignore[reportArgumentType]


def _read_card(path: Path) -> ModelCard:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise DamagelandError(f"{path} is not JSON ({error}): it is damaged, train again") from None
    found = content.get("format_version") if isinstance(content, dict) else None
    if found != FORMAT_VERSION:
        raise DamagelandError(
            f"{path} has format_version {found!r}, but this damageland reads {FORMAT_VERSION}: "
            "use the damageland that wrote it, or train again"
        )
    try:
        return ModelCard.model_validate(content)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise DamagelandError(f"{path} does not describe a model: {wrong}") from None
