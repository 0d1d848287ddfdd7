"""All damages: one file each, one line here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel

from ..products.product import Product
from .crush import CrushConfig, crush, crush_applies
from .hole import HoleConfig, hole, hole_applies
from .outcome import Outcome
from .scuff import ScuffConfig, scuff, scuff_applies


@dataclass(frozen=True)
class DamageKind:
    """A damage generator (contract C5)."""

    config: type[BaseModel]
    apply: Callable[[Product, Any, float, np.random.Generator], Outcome]
    """``apply(product, config, strength, rng)``."""
    applies: Callable[[Product], bool]
    """Whether a product can be damaged so: glass does not dent, film does not crush."""


DAMAGES: dict[str, DamageKind] = {
    "crush": DamageKind(CrushConfig, crush, crush_applies),
    "hole": DamageKind(HoleConfig, hole, hole_applies),
    "scuff": DamageKind(ScuffConfig, scuff, scuff_applies),
}
