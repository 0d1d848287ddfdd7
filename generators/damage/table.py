"""All damages: one file each, one line here, in the order in which one mishap causes them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel

from ...sim.errors import DamagelandError
from ...sim.scene import Kind
from ..products.product import Product
from .crush import CrushConfig, crush, crush_applies
from .hole import HoleConfig, hole, hole_applies
from .outcome import Outcome
from .scuff import ScuffConfig, scuff, scuff_applies
from .subject import Subject


@dataclass(frozen=True)
class DamageKind:
    """A damage generator (contract C5)."""

    config: type[BaseModel]
    apply: Callable[[Subject, Any, float, np.random.Generator], Outcome]
    """``apply(subject, config, strength, rng)``; strength 0 is the identity."""
    applies: Callable[[Product], bool]
    """Whether a product can be damaged so: glass does not dent, film does not crush."""
    kind: Kind
    """What it yields, in Kaputt's words."""


DAMAGES: dict[str, DamageKind] = {
    "crush": DamageKind(CrushConfig, crush, crush_applies, "deformation"),
    "hole": DamageKind(HoleConfig, hole, hole_applies, "penetration"),
    "scuff": DamageKind(ScuffConfig, scuff, scuff_applies, "superficial"),
}


def do_damage(name: str, subject: Subject, config: BaseModel, strength: float, rng: np.random.Generator) -> Outcome:
    """Do one damage, after checking that it can be done.

    Raises:
        DamagelandError: strength outside 0-1, or a damage that does not apply to the product.
        UnsolvedError: the solver came to no acceptable end; another seed may.
    """
    if not 0 <= strength <= 1:
        raise DamagelandError(f"{name}: strength {strength:g} lies outside 0 (nothing) to 1 (the most).")
    product = subject.product
    if not DAMAGES[name].applies(product):
        fit = ", ".join(other for other, damage in DAMAGES.items() if damage.applies(product)) or "none"
        raise DamagelandError(
            f"{product.item_identifier}: {name} does not apply to this {product.family}. Damages that do: {fit}."
        )
    return DAMAGES[name].apply(subject, config, strength, rng)
