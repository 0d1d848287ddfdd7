"""Severity: what was measured against limits that a recipe may change."""

import pytest
from damageland.generators.damage.outcome import Limits, Outcome, SeverityRules, judge, judge_severity
from damageland.sim.scene import KINDS, Kind
from families import product
from numpy import nextafter
from pydantic import ValidationError

CLASSES = {"outer": "folding_carton", "primary": "tin", "product": "book"}


def judged(rules: SeverityRules, family: str, kind: Kind, measures: dict[str, float]) -> str:
    return judge_severity(rules, Outcome(product(family), kind, "test", {}, measures))


@pytest.mark.parametrize("side", CLASSES)
@pytest.mark.parametrize("kind", KINDS)
def test_severity_changes_at_its_limits(side: str, kind: Kind):
    """Just below a limit is milder than at it; what measures 0 did not happen; every kind has limits."""
    rules, family = SeverityRules(), CLASSES[side]
    assert getattr(rules, side)[kind]
    for limits in getattr(rules, side)[kind]:
        name, low, high = limits.measure, limits.minor_from, limits.major_from
        assert judged(rules, family, kind, {name: 0.0}) == "none"
        if low > 0:
            assert judged(rules, family, kind, {name: nextafter(low, 0)}) == "none"
        if high is None:
            assert judged(rules, family, kind, {name: 1e9}) == "minor"
        elif high > 0:
            assert judged(rules, family, kind, {name: high}) == "major"
            assert high == low or judged(rules, family, kind, {name: nextafter(high, 0)}) in ("minor", "none")


@pytest.mark.parametrize("kind", ["deformation", "penetration", "superficial"])
def test_primary_packaging_has_stricter_limits(kind: Kind):
    """The same dent is worse on what touches the product."""
    rules = SeverityRules()
    outer, primary = rules.outer[kind][0], rules.primary[kind][0]
    assert outer.major_from is not None and primary.major_from is not None
    assert primary.minor_from < outer.minor_from and primary.major_from < outer.major_from


def test_the_worst_measure_counts_and_says_so():
    """Of several measures of a kind the worst decides, and the verdict names it."""
    both = {"area_mm2": 5.0, "length_mm": 31.0}
    verdict = judge(SeverityRules(), Outcome(product("folding_carton"), "penetration", "tear", {}, both))
    assert verdict.severity == "major" and verdict.because == "length_mm 31 >= 30"
    gone = {"units_missing": 0.0, "accessories_missing": 1.0}
    assert judged(SeverityRules(), "tin", "missing_unit", gone) == "minor"


def test_severity_rules_can_be_changed():
    """A recipe's own limits are the ones applied, one or several; the other kinds keep theirs."""
    own = {"deformation": {"measure": "volume_loss_ml", "minor_from": 7, "major_from": 8}}
    rules = SeverityRules.model_validate({"outer": own})
    measures = {"volume_loss_ml": 7.5, "depth_mm": 99.0}
    assert judged(rules, "folding_carton", "deformation", measures) == "minor"
    assert rules.outer["penetration"] == SeverityRules().outer["penetration"]
    assert rules.primary == SeverityRules().primary
    with pytest.raises(ValidationError, match="lies below"):
        Limits(measure="depth_mm", minor_from=3, major_from=2)
