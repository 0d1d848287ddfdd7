"""What happens to an item: one damage of the recipe, as severe as asked for, and what follows from it.

A damage whose solver fails is tried again from another seed, then another damage takes its place; both are counted.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..sim.capture import Severity
from ..sim.errors import DamagelandError
from ..sim.seed import generator_for
from ..sim.yamlfile import parse_mapping
from .damage.outcome import SEVERITIES, Outcome, SeverityRules, UnsolvedError, judge_severity
from .damage.subject import Subject
from .damage.table import DAMAGES, do_damage
from .held import held_or
from .recipe import Consequence, DamageSpec, Recipe
from .spread import pick, spread_of

AIMS = 6
"""Solves that are spent on the severity that is asked for."""


@dataclass(frozen=True)
class Mishap:
    """Damages of one item in the order in which they came about; none if every solver failed."""

    outcomes: tuple[Outcome, ...]
    asked: Severity | None = None
    """Severity that the recipe wanted of the first damage; it may be out of reach (a hole in a tin is never minor)."""
    resampled: int = 0
    """Solves that failed and were drawn anew."""
    rejected: tuple[str, ...] = ()
    """Damages that were given up."""

    @property
    def set_back(self) -> int:
        """Damages that are less than their solver came to, since no item could lie like that."""
        return sum(outcome.set_back for outcome in self.outcomes)


def aim(
    name: str,
    subject: Subject,
    config: dict,
    strength: tuple[float, float],
    asked: Severity | None,
    *,
    rules: SeverityRules,
    seed: tuple[int, int, str],
) -> Outcome:
    """Do a damage with a strength drawn from a range, drawn again within it until it measures as severe as asked.

    All solves share one seed, so that the place stays and the strength alone changes; measures rise with strength,
    hence each miss halves, in the mean, what is left of the range. The nearest severity is kept if none fits.

    Raises:
        UnsolvedError: the solver failed at one of the strengths.
    """
    low, high = strength
    draws = generator_for(seed[0], seed[1], f"{seed[2]} strength")
    model = parse_mapping(config, DAMAGES[name].config, name)
    best: tuple[int, Outcome] | None = None
    for attempt in range(AIMS):
        share = draws.uniform(0, 1) if attempt == 0 else draws.uniform(0.25, 0.75)  # later ones are sure to narrow it
        tried = float(low + share * (high - low))
        outcome = do_damage(name, subject, model, tried, generator_for(*seed))
        if asked is None:
            return outcome
        miss = SEVERITIES.index(judge_severity(rules, outcome)) - SEVERITIES.index(asked)
        if best is None or abs(miss) <= abs(best[0]):  # of equals the later: nearer to what was asked
            best = miss, outcome
        if miss == 0 or high - low < 1e-3:
            break
        low, high = (low, tried) if miss > 0 else (tried, high)
    assert best is not None
    return best[1]


def _order(recipe: Recipe, subject: Subject, point: float, rng: np.random.Generator) -> Iterator[DamageSpec]:
    """The recipe's damages that apply, in an order drawn by weight: the one that ``point`` picks is meant to happen."""
    product = subject.product
    specs = [spec for spec in recipe.damages if DAMAGES[spec.generator].applies(product)]
    if not specs:
        names = ", ".join(spec.generator for spec in recipe.damages)
        raise DamagelandError(
            f"{product.item_identifier}: none of the recipe's damages ({names}) applies to a {product.family}. "
            "Add one that does under damages: (docs/recipes.md has the table), or leave the family out."
        )
    while specs:
        yield specs.pop(pick([spec.weight for spec in specs], point))
        point = float(rng.random())


def _follow(
    recipe: Recipe, subject: Subject, first: Outcome, then: tuple[Consequence, ...], index: int
) -> tuple[tuple[Outcome, ...], int]:
    """What a damage leads to, near where it struck, and how many solves failed on the way."""
    outcomes, failed, rng = [first], 0, generator_for(recipe.seed, index, "consequences")
    for k, step in enumerate(then):
        happens = rng.random() < step.chance
        last = outcomes[-1]
        if not happens or not DAMAGES[step.generator].applies(last.product):
            continue
        here = replace(subject, product=last.product, near=subject.near if last.site is None else last.site)
        for attempt in range(recipe.solver_tries):
            try:
                seed = recipe.seed, index, f"consequence {k} {attempt}"
                made = aim(
                    step.generator, here, step.config, step.strength, None, rules=recipe.severity, seed=seed
                )  # fmt: skip
                outcomes.append(made)
                break
            except UnsolvedError:
                failed += 1
    return tuple(outcomes), failed


def draw_mishap(recipe: Recipe, subject: Subject, index: int) -> Mishap:
    """Draw what happens to an item among the recipe's damages that apply to it, and do it."""
    index = held_or(recipe.held.damage, index)
    rng = generator_for(recipe.seed, index, "damage")
    spread, shares = spread_of(recipe.seed, index), recipe.severity_shares
    asked = SEVERITIES[pick([shares.get(s, 0.0) for s in SEVERITIES], spread.severity)] if shares else None
    resampled, rejected = 0, []
    for spec in _order(recipe, subject, spread.damage, rng):
        for attempt in range(recipe.solver_tries):
            try:
                seed = recipe.seed, index, f"damage {spec.generator} {attempt}"
                first = aim(
                    spec.generator, subject, spec.config, spec.strength, asked, rules=recipe.severity, seed=seed
                )  # fmt: skip
            except UnsolvedError:
                resampled += 1
                continue
            outcomes, failed = _follow(recipe, subject, first, spec.then, index)
            return Mishap(outcomes, asked, resampled + failed, tuple(rejected))
        rejected.append(spec.generator)
    return Mishap((), asked, resampled, tuple(rejected))
