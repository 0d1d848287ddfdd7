"""Mishaps: as severe as asked for, in causal order, at one place; what fails is drawn anew and counted."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from damageland.generators.compose import compose
from damageland.generators.damage import table
from damageland.generators.damage.outcome import Outcome, SeverityRules, UnsolvedError, judge_severity
from damageland.generators.damage.subject import Subject
from damageland.generators.damage.table import DamageKind, do_damage
from damageland.generators.mishap import AIMS, draw_mishap
from damageland.generators.recipe import ASSETS, Consequence, DamageSpec, Plan, ProductSpec, Recipe, make_plan
from damageland.generators.shoot import shoot
from damageland.sim.booth import read_booth
from damageland.sim.errors import DamagelandError
from families import product
from pydantic import BaseModel, ValidationError


class FakeConfig(BaseModel, frozen=True, extra="forbid"):
    deepest_mm: float = 20.0
    fails: Literal["never", "often", "always"] = "never"


SEEN: list[Subject] = []


def fake_dent(subject: Subject, config: FakeConfig, strength: float, rng: np.random.Generator) -> Outcome:
    """Measures strength times a depth; fails as told; strikes 10 mm off the middle or off where it struck before."""
    SEEN.append(subject)
    if config.fails == "always" or (config.fails == "often" and rng.random() < 0.6):
        raise UnsolvedError("it folded through itself")
    at = (np.zeros(3) if subject.near is None else subject.near) + [0.01, 0, 0]
    attributes = {**subject.product.attributes, "dents": subject.product.attributes.get("dents", 0) + 1}
    measures = {"depth_mm": strength * config.deepest_mm}
    return Outcome(replace(subject.product, attributes=attributes), "deformation", "fake", {}, measures, at)


def never(product: object) -> bool:
    return False


FAKE = DamageKind(FakeConfig, fake_dent, lambda product: True, "deformation")


@pytest.fixture(autouse=True)
def fakes() -> Iterator[None]:
    """A table of three cheap damages, first to last cause; the real one comes back as it was."""
    real = dict(table.DAMAGES)
    table.DAMAGES.clear()
    table.DAMAGES.update({"bump": FAKE, "knock": FAKE, "drip": FAKE, "melt": replace(FAKE, applies=never)})
    SEEN.clear()
    yield
    table.DAMAGES.clear()
    table.DAMAGES.update(real)  # in its order, which is that of causes


def recipe(*damages: DamageSpec, **changes) -> Recipe:
    products = (ProductSpec(family="tin", count=1),)
    return Recipe(**{"name": "t", "captures": 9, "products": products, "damages": damages, **changes})


def bump(**changes) -> DamageSpec:
    return DamageSpec(**{"generator": "bump", "strength": (0.0, 1.0), **changes})


def subject() -> Subject:
    return Subject(product("tin"))


def test_severities_come_as_often_as_asked_for():
    """Of a dent that is major over four fifths of its strengths, measured severities keep to the shares within 5 %."""
    wanted = {"none": 0.2, "minor": 0.5, "major": 0.3}
    chosen = recipe(bump(), severity_shares=wanted)
    found, missed = Counter(), 0
    for index in range(1200):
        mishap = draw_mishap(chosen, subject(), index)
        severity = judge_severity(SeverityRules(), mishap.outcomes[0])
        missed += severity != mishap.asked
        found[severity] += 1
    assert missed < 30, "six solves are nearly always enough"
    assert {name: found[name] / 1200 for name in wanted} == pytest.approx(wanted, abs=0.05)
    plain = Counter(
        judge_severity(SeverityRules(), draw_mishap(recipe(bump()), subject(), k).outcomes[0]) for k in range(600)
    )
    assert plain["major"] / 600 == pytest.approx(0.8, abs=0.05), "without shares, whatever the strengths give"


def test_strengths_of_one_severity_are_spread():
    """Aiming does not heap strengths at a limit: minor dents fill the range from 1 to 4 mm."""
    chosen = recipe(bump(), severity_shares={"minor": 1.0})
    depths = [draw_mishap(chosen, subject(), k).outcomes[0].measures["depth_mm"] for k in range(400)]
    counts, _ = np.histogram(depths, bins=3, range=(1, 4))
    assert counts.min() > 0.6 * 400 / 3


def test_a_severity_out_of_reach_becomes_the_nearest():
    """A dent that is always major stays so, says what was asked, and costs a bounded number of solves."""
    mishap = draw_mishap(recipe(bump(strength=(0.5, 1.0)), severity_shares={"none": 1.0}), subject(), 3)
    assert mishap.asked == "none" and judge_severity(SeverityRules(), mishap.outcomes[0]) == "major"
    assert len(SEEN) <= AIMS


def test_failed_solves_are_drawn_anew_and_counted():
    """A solver that fails in six of ten seeds succeeds in the end; each failure is counted and none is kept."""
    chosen = recipe(bump(config={"fails": "often"}), solver_tries=20)
    mishaps = [draw_mishap(chosen, subject(), k) for k in range(200)]
    assert all(len(m.outcomes) == 1 and not m.rejected for m in mishaps)
    assert sum(m.resampled for m in mishaps) / 200 == pytest.approx(1.5, abs=0.4)
    assert len(SEEN) == 200 + sum(m.resampled for m in mishaps)
    again = [draw_mishap(chosen, subject(), k) for k in range(5)]
    assert [m.outcomes[0].measures for m in again] == [m.outcomes[0].measures for m in mishaps[:5]]


def test_a_damage_that_never_solves_gives_way_to_another():
    """After the stated tries it is given up, named, and the other damage happens."""
    failing = bump(config={"fails": "always"}, weight=1e9)
    mishap = draw_mishap(recipe(failing, DamageSpec(generator="knock"), solver_tries=3), subject(), 0)
    assert mishap.rejected == ("bump",) and mishap.resampled == 3 and len(mishap.outcomes) == 1


def plan(*damages: DamageSpec, **changes) -> Plan:
    changes = {"texture_px": 256, "preview_samples": 1, "damaged_share": 1.0, "gallery": 1} | changes
    return make_plan(recipe(*damages, **changes), read_booth(ASSETS / "booths" / "demo.yaml"))


def test_if_nothing_solves_the_item_stays_whole_and_says_so():
    """A capture without any outcome is pristine, has no twin, and its provenance names what was given up."""
    unit = compose(plan(bump(config={"fails": "always"}), solver_tries=2), 1)
    assert unit.twin is None and unit.outcomes == ()
    small = replace(unit.booth, cameras=tuple(replace(c, width=32, height=32) for c in unit.booth.cameras[:1]))
    capture = shoot(plan(bump()), replace(unit, booth=small))[0]
    assert capture.defect is False and capture.damages == ()
    assert capture.provenance["resampled"] == 2 and capture.provenance["rejected"] == "bump"


def test_consequences_follow_in_order_where_it_struck():
    """Each damage meets the product as the last one left it, near where that struck."""
    steps = (Consequence(generator="knock"), Consequence(generator="melt"), Consequence(generator="drip"))
    with pytest.raises(ValidationError, match="come in this order"):
        bump(then=steps)
    mishap = draw_mishap(recipe(bump(then=(steps[0], steps[2]))), subject(), 0)
    assert [o.product.attributes["dents"] for o in mishap.outcomes] == [1, 2, 3]
    assert [None if s.near is None else round(1000 * s.near[0]) for s in SEEN] == [None, 10, 20]


def test_a_consequence_that_does_not_apply_is_left_out():
    """Chance and applicability decide; what does not happen leaves no trace."""
    assert len(draw_mishap(recipe(bump(then=(Consequence(generator="melt"),))), subject(), 0).outcomes) == 1
    half = recipe(bump(then=(Consequence(generator="drip", chance=0.5),)))
    counts = Counter(len(draw_mishap(half, subject(), k).outcomes) for k in range(300))
    assert counts[2] / 300 == pytest.approx(0.5, abs=0.1)


def test_nothing_that_applies_is_one_clear_error():
    """It names the product, the damages of the recipe, and the way out."""
    with pytest.raises(DamagelandError, match=r"none of the recipe's damages \(melt\) applies to a tin"):
        draw_mishap(recipe(DamageSpec(generator="melt")), subject(), 0)


@pytest.mark.parametrize("strength", [-0.1, 1.5, float("nan")])
def test_strength_outside_its_range_is_refused(strength: float):
    """The message tells the range."""
    with pytest.raises(DamagelandError, match="outside 0"):
        do_damage("bump", subject(), FakeConfig(), strength, np.random.default_rng(0))


def test_a_damage_that_does_not_apply_names_those_that_do():
    """One message: the product, the damage, what would work."""
    with pytest.raises(DamagelandError, match=r"melt does not apply to this tin\. Damages that do: bump, knock, drip"):
        do_damage("melt", subject(), FakeConfig(), 0.5, np.random.default_rng(0))
