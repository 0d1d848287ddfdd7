"""What every damage returns, and how its measures become a severity."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...sim.capture import Severity
from ...sim.errors import DamagelandError
from ...sim.scene import Kind
from ..mesh import Sheet
from ..products.product import Product

SEVERITIES: tuple[Severity, ...] = ("none", "minor", "major")


class UnsolvedError(DamagelandError):
    """A damage whose solver did not come to an acceptable end (torn mesh, self-intersection, still moving).

    It is tried again from another seed, and counted; never kept.
    """


@dataclass(frozen=True)
class Outcome:
    """A damaged product, with what was done to it and what was measured on it."""

    product: Product
    kind: Kind
    generator: str
    parameters: Mapping[str, Any]
    measures: Mapping[str, float]
    """Physical measures, unit in the name: ``depth_mm``, ``area_mm2``, ``volume_ml``; all 0 at strength 0."""
    site: Float[np.ndarray, "3"] | None = None
    """Middle of the damage in the item frame [m], pristine; what follows from it happens near there."""
    set_back: bool = False
    """Whether the solver came to an end that cannot be, and an earlier state of the same damage was taken."""


class Limits(BaseModel):
    """One measure's limits: below the first it is tolerable, from the second on it is major."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measure: str = Field(description="name of the measure, with its unit")
    minor_from: float = Field(ge=0)
    major_from: float | None = Field(ge=0, description="null: this measure alone is never major")

    @model_validator(mode="after")
    def _ordered(self) -> "Limits":
        if self.major_from is not None and self.major_from < self.minor_from:
            raise ValueError(f"major_from ({self.major_from:g}) lies below minor_from ({self.minor_from:g})")
        return self


def _limits(measure: str, minor_from: float, major_from: float | None) -> Limits:
    return Limits(measure=measure, minor_from=minor_from, major_from=major_from)


def _table(
    depth: tuple[float, float], hole: Mapping[str, tuple[float, float | None]], rubbed: tuple[float, float]
) -> dict[Kind, tuple[Limits, ...]]:
    return {
        "deformation": (_limits("depth_mm", *depth),),
        "penetration": tuple(_limits(measure, *limits) for measure, limits in hole.items()),
        "superficial": (_limits("area_mm2", *rubbed),),
        "spillage": (
            _limits("liquid_ml", 0, 5),
            _limits("powder_ml", 0, 20),
            _limits("stain_mm2", 0, 2000),
        ),
        "actuation": (
            _limits("opening_deg", 20, 90),
            _limits("gape_mm", 1, 15),
            _limits("seals_open", 1, None),
            _limits("caps_off", 0, 1),
        ),
        "deconstruction": (_limits("opening_deg", 20, None), _limits("units_out", 0, 1)),
        "missing_unit": (_limits("units_missing", 0, 1), _limits("accessories_missing", 0, None)),
    }


class SeverityRules(BaseModel):
    """Limits per kind, for outer packaging, for primary packaging, and for the bare product.

    A kind may have several measures; the worst one decides. The values are proposals, not yet calibrated with people:
    set your own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    outer: dict[Kind, tuple[Limits, ...]] = Field(
        default=_table((2, 10), {"area_mm2": (3, 100), "length_mm": (5, 30)}, (60, 1500)),
        description="folding cartons, shippers, mailers: what is thrown away",
    )
    primary: dict[Kind, tuple[Limits, ...]] = Field(
        default=_table((1, 4), {"area_mm2": (0, 0), "length_mm": (2, 5)}, (40, 800)),
        description="tins, bottles, pouches: what touches the product",
    )
    product: dict[Kind, tuple[Limits, ...]] = Field(
        default=_table((1, 4), {"area_mm2": (0, 20), "length_mm": (2, 5)}, (20, 400)),
        description="books, loose pieces: the product itself",
    )

    @model_validator(mode="before")
    @classmethod
    def _over_defaults(cls, given: Any) -> Any:
        """A kind that is not named keeps its default limits; a single rule need not be written as a list."""
        if not isinstance(given, Mapping):
            return given

        def filled(name: str, table: Any) -> Any:
            if name not in cls.model_fields or not isinstance(table, Mapping):
                return table
            listed = {kind: rules if isinstance(rules, list | tuple) else (rules,) for kind, rules in table.items()}
            return cls.model_fields[name].default | listed

        return {name: filled(name, table) for name, table in given.items()}


@dataclass(frozen=True)
class Verdict:
    """A severity and the rule that fired."""

    severity: Severity
    because: str
    """For example ``depth_mm 12.3 >= 10``; empty if nothing happened."""


def judge(rules: SeverityRules, outcome: Outcome) -> Verdict:
    """Apply the limits of the outcome's kind: the worst counts, and what measures 0 did not happen."""
    table = getattr(rules, outcome.product.packaging)
    worst = Verdict("none", "")
    for limits in table[outcome.kind]:
        value = outcome.measures.get(limits.measure, 0.0)
        found = _compare(limits, float(value))
        if SEVERITIES.index(found.severity) > SEVERITIES.index(worst.severity) or not worst.because:
            worst = found
    return worst


def _compare(limits: Limits, value: float) -> Verdict:
    if value <= 0:
        return Verdict("none", "")
    if limits.major_from is not None and value >= limits.major_from:
        return Verdict("major", f"{limits.measure} {value:.4g} >= {limits.major_from:g}")
    if value >= limits.minor_from:
        return Verdict("minor", f"{limits.measure} {value:.4g} >= {limits.minor_from:g}")
    return Verdict("none", f"{limits.measure} {value:.4g} < {limits.minor_from:g}")


def judge_severity(rules: SeverityRules, outcome: Outcome) -> Severity:
    """Severity alone."""
    return judge(rules, outcome).severity


def moved_mm(sheet: Sheet) -> Float[np.ndarray, " v"]:
    """How far each vertex is from its pristine place."""
    return 1000 * np.linalg.norm(sheet.vertices - sheet.rest, axis=1)


def marked_faces(sheet: Sheet, kind_index: int) -> Bool[np.ndarray, " f"]:
    """Faces that are labelled with a kind."""
    return sheet.marks[sheet.faces, kind_index].mean(axis=1) >= 1.0
