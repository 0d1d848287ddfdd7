"""Checks that configs of several families share: ranges that rise and lie in bounds, shares of named choices."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import AfterValidator

Key = TypeVar("Key", bound=int | str)


@dataclass(frozen=True)
class Within:
    """Checks a range; who makes a control of it finds the bounds here."""

    low: float
    high: float

    def __call__(self, value: tuple[float, float]) -> tuple[float, float]:
        """Return the range if it rises within the bounds."""
        if not self.low <= value[0] <= value[1] <= self.high:
            raise ValueError(f"{value[0]:g} to {value[1]:g}: give a rising range within {self.low:g} to {self.high:g}")
        return value


def within(low: float, high: float) -> AfterValidator:
    """A range (smallest, largest) that rises and lies in [low, high]."""
    return AfterValidator(Within(low, high))


Headspace = Annotated[tuple[float, float], within(0, 0.5)]
"""Air above the goods, as a share of the inside."""


def sizes(low: float, high: float) -> AfterValidator:
    """Shares of sizes [ml] between two limits."""
    return shares(lambda ml: low <= float(ml) <= high, f"{low:g} to {high:g} ml")


def shares(allowed: Callable[[Any], bool] = lambda _: True, wanted: str = "") -> AfterValidator:
    """Shares of choices, at least one above 0; they need not add up to 1. ``wanted`` says which keys are allowed."""

    def check(value: dict[Key, float]) -> dict[Key, float]:
        odd = [key for key in value if not allowed(key)]
        if odd:
            raise ValueError(f"{odd[0]!r} is unknown or impossible: give {wanted}")
        if not all(share >= 0 for share in value.values()) or sum(value.values()) <= 0:
            raise ValueError("give at least one choice a share above 0, and none a share below 0")
        return value

    return AfterValidator(check)


def choose(rng: np.random.Generator, table: dict[Key, float]) -> Key:
    """Draw one of the choices by its share."""
    weight = np.array(list(table.values()), float)
    return list(table)[int(rng.choice(len(weight), p=weight / weight.sum()))]
