"""All damages: one file each, one line here, in the order in which one mishap causes them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel

from ...sim.errors import DamagelandError
from ...sim.scene import Kind, Part
from ..mesh import finish_sheet
from ..products.product import Product
from .crush import CrushConfig, crush, crush_applies
from .deconstruct import DeconstructConfig, deconstruct, deconstruct_applies
from .hole import HoleConfig, hole, hole_applies
from .missing import MissingConfig, missing, missing_applies
from .open import OpenConfig, open_applies, open_pack
from .outcome import Outcome, UnsolvedError, moved_mm
from .scuff import ScuffConfig, scuff, scuff_applies
from .spill import SpillConfig, spill, spill_applies
from .subject import Subject
from .tear import TearConfig, tear, tear_applies

NEAR_TRAY_M = 0.008
"""Thicker than any wall: what moves below this height may reach the tray."""
SUNK_MM = 0.25
"""What reaches further into the tray than the sound item did is no solution."""


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
    "tear": DamageKind(TearConfig, tear, tear_applies, "penetration"),
    "hole": DamageKind(HoleConfig, hole, hole_applies, "penetration"),
    "open": DamageKind(OpenConfig, open_pack, open_applies, "actuation"),
    "missing": DamageKind(MissingConfig, missing, missing_applies, "missing_unit"),
    "deconstruct": DamageKind(DeconstructConfig, deconstruct, deconstruct_applies, "deconstruction"),
    "spill": DamageKind(SpillConfig, spill, spill_applies, "spillage"),
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
    outcome = DAMAGES[name].apply(subject, config, strength, rng)
    sunk = _sunk_mm(subject, outcome.product) if strength > 0 else 0.0
    if sunk > SUNK_MM:
        raise UnsolvedError(f"{name} of {product.item_identifier}: reaches {sunk:.1f} mm into the tray.")
    return outcome


def _sunk_mm(subject: Subject, damaged: Product) -> float:
    """How much deeper than the sound item what moved reaches below the tray's surface [mm]."""
    same = {id(part) for part in subject.product.contents}
    parts = [part for part in damaged.contents if id(part) not in same]
    for sheet in damaged.sheets:
        near = _heights(subject, sheet.vertices) < NEAR_TRAY_M
        if ((moved_mm(sheet) > SUNK_MM) & near).any():  # only then is it worth finishing
            parts.append(finish_sheet(sheet)[0])
    low = _lowest(subject, parts)
    if low > -SUNK_MM / 1000:
        return 0.0
    sound = [*(finish_sheet(sheet)[0] for sheet in subject.product.sheets), *subject.product.contents]
    return 1000 * (min(_lowest(subject, sound), 0.0) - low)


def _heights(subject: Subject, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    return points @ subject.up + float(subject.T_world_item[2, 3])


def _lowest(subject: Subject, parts: Sequence[Part]) -> float:
    """Height [m] above the tray of the lowest point of some parts."""
    return min((float(_heights(subject, p.vertices).min()) for p in parts if len(p.vertices)), default=0.0)
