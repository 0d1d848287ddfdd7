"""Choices spread evenly over all their combinations, so that every split gets its share of every kind and severity.

Independent draws would leave a split of thirty captures without a spill now and then. These numbers come from an
additive recurrence with irrational steps (R. Richtmyer 1951, "The evaluation of definite integrals"): each is uniform,
any run of them covers all pairs of choices evenly, and unit k has the same numbers however many units there are.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ..sim.seed import generator_for


class Spread(NamedTuple):
    """Numbers in [0, 1) that choose what a unit shows."""

    family: float
    product: float
    damaged: float
    damage: float
    severity: float


STEPS = tuple(prime**0.5 % 1 for prime in (3, 7, 23, 31, 37))
"""Of all fives of primes below 40 those whose pairs cover boards of 4 x 4 and 8 x 8 fields most evenly."""


def spread_of(seed: int, index: int) -> Spread:
    """Numbers of unit ``index``."""
    starts = generator_for(seed, 0, "spread").random(len(STEPS))
    return Spread(*(float((start + index * step) % 1) for start, step in zip(starts, STEPS, strict=True)))


def pick(weights: Sequence[float], point: float) -> int:
    """Index of the weight on which a point in [0, 1) falls when the weights lie end to end."""
    rest = point * sum(weights)
    for k, weight in enumerate(weights):
        rest -= weight
        if rest < 0:
            return k
    return max(k for k, weight in enumerate(weights) if weight > 0)  # rounding at the very end
