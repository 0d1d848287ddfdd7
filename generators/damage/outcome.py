"""What every damage returns, and how its measures become a severity."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, Field

from ...sim.capture import Severity
from ...sim.scene import Kind
from ..mesh import Sheet
from ..products.product import Product


@dataclass(frozen=True)
class Outcome:
    """A damaged product, with what was done to it and what was measured on it."""

    product: Product
    kind: Kind
    generator: str
    parameters: Mapping[str, Any]
    measures: Mapping[str, float]


class Limits(BaseModel):
    """One measure's limits: below the first it is tolerable, from the second on it is major."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measure: str = Field(description="name of the measure, with its unit")
    minor_from: float = Field(ge=0)
    major_from: float = Field(ge=0)


class SeverityRules(BaseModel):
    """Limits per kind, for outer packaging and for primary packaging (which holds the product itself)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outer: dict[str, Limits] = Field(
        default={
            "deformation": Limits(measure="depth_mm", minor_from=2, major_from=10),
            "penetration": Limits(measure="area_mm2", minor_from=3, major_from=100),
            "superficial": Limits(measure="area_mm2", minor_from=60, major_from=1500),
        },
        description="folding cartons and shippers",
    )
    primary: dict[str, Limits] = Field(
        default={
            "deformation": Limits(measure="depth_mm", minor_from=1, major_from=4),
            "penetration": Limits(measure="area_mm2", minor_from=0, major_from=0),
            "superficial": Limits(measure="area_mm2", minor_from=40, major_from=800),
        },
        description="tins, bottles, pouches: what touches the product",
    )


def judge_severity(rules: SeverityRules, outcome: Outcome) -> Severity:
    """Apply the rule of the outcome's kind to what was measured; what measures 0 did not happen."""
    table = rules.primary if outcome.product.packaging == "primary" else rules.outer
    limits = table[outcome.kind]
    value = outcome.measures[limits.measure]
    if value <= 0:
        return "none"
    if value >= limits.major_from:
        return "major"
    return "minor" if value >= limits.minor_from else "none"


def moved_mm(sheet: Sheet) -> Float[np.ndarray, " v"]:
    """How far each vertex is from its pristine place."""
    return 1000 * np.linalg.norm(sheet.vertices - sheet.rest, axis=1)


def marked_faces(sheet: Sheet, kind_index: int) -> Bool[np.ndarray, " f"]:
    """Faces that are labelled with a kind."""
    return sheet.marks[sheet.faces, kind_index].mean(axis=1) >= 1.0
