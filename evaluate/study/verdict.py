"""What a study's figures allow to say: paired differences, the real-equivalent multiplier, the rule that ends a claim.

The multiplier M(k) = k'/k says how many damaged real captures it takes, without renders, to reach what renders with k
of them reach. k' is read off the line of the real-only row, straight between its columns over the logarithm of k, where
it first gets there. Beyond its ends nothing is read off: it is "more than" or "less than" then, in every resample.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from ..metrics import Estimate, holm
from .beside import BESIDE, NONE, WRONG
from .spec import StudySpec
from .table import HEADINGS, RGB_ONLY, Cell, Figure

LEVEL = 0.05
Cells = Mapping[tuple[str, int], Cell]


@dataclass(frozen=True)
class Difference:
    """The headline figure of one cell less that of another, paired."""

    ours: str
    theirs: str
    k: int
    """Of ours."""
    why: str
    """What it tells."""
    estimate: Estimate
    p: float | None
    """Two-sided, from the paired bootstrap."""
    adjusted: float | None = None
    """After Holm's correction for the questions of its family."""

    @property
    def better(self) -> bool:
        """Whether ours is shown to be better: the interval lies above 0, and so it stays after correction."""
        low = self.estimate.low
        return low is not None and low > 0 and self.adjusted is not None and self.adjusted < LEVEL


def difference(cells: Cells, ours: tuple[str, int], theirs: tuple[str, int], headline: str, why: str) -> Difference:
    """Difference of two cells that share their resamples."""
    a, b = (cells[key].rank(headline) for key in (ours, theirs))
    names = (ours[0], theirs[0], ours[1], why)
    if a.value is None or b.value is None or a.draws is None or b.draws is None:
        return Difference(*names, Estimate(None, why=a.why or b.why), None)
    draws = a.draws - b.draws
    return Difference(*names, Figure(a.value - b.value, draws).estimate, sign_p(draws))


def sign_p(draws: Float[np.ndarray, " b"]) -> float | None:
    """Two-sided p-value of no difference: twice the smaller share of resamples on one side of 0, never 0 itself."""
    usable = draws[np.isfinite(draws)]
    if not len(usable):
        return None
    side = min(int((usable <= 0).sum()), int((usable >= 0).sum()))
    return min(1.0, 2 * (side + 1) / (len(usable) + 1))


def corrected(family: Sequence[Difference]) -> list[Difference]:
    """A family of questions after Holm's correction."""
    told = [one for one in family if one.p is not None]
    adjusted = dict(zip(map(id, told), holm([one.p or 0.0 for one in told]), strict=True))
    return [replace(one, adjusted=adjusted.get(id(one))) for one in family]


def claims(cells: Cells, spec: StudySpec) -> list[Difference]:
    """The questions the study was made for: renders with k real captures against real captures alone, and pasted."""
    rivals = {"real only": "are renders worth anything?", "real and pasted": "would pasted patches have done?"}
    return corrected(
        [
            difference(cells, (spec.claim, k), (rival, k), spec.headline, why)
            for row, k in sorted(cells, key=lambda cell: cell[1])
            if row == spec.claim
            for rival, why in rivals.items()
            if (rival, k) in cells
        ]
    )


def explanations(cells: Cells, spec: StudySpec) -> list[Difference]:
    """What the result rests on: controls, the other way to mix, depth, and each generator."""
    asked: list[tuple[tuple[str, int], tuple[str, int], str]] = []
    other = "fine-tuned" if spec.claim == "mixed" else "mixed"
    for row, k in cells:
        if row == spec.claim:
            asked += [
                ((row, k), ("pristine renders", k), "is it the damage, or only more pictures?"),
                ((row, k), (other, k), "which way to use renders is better?"),
                ((row, k), (row + RGB_ONLY, k), "what is depth worth?"),
                ((row, k), ("renders only", 0), "what do k real captures add?"),
            ]
        if row == "renders only":
            asked.append(((row, k), (row + RGB_ONLY, k), "what is depth worth?"))
        if row == BESIDE:
            asked += [((row, k), (NONE, k), "what are references worth?"),
                      ((row, k), (WRONG, k), "is it the right references?")]  # fmt: skip
        if row.startswith("without "):
            asked.append((("renders only", 0), (row, 0), f"what is {row.removeprefix('without ')} worth?"))
    known = [(a, b, why) for a, b, why in asked if a in cells and b in cells]
    return corrected([difference(cells, a, b, spec.headline, why) for a, b, why in known])


# The multiplier


@dataclass(frozen=True)
class Multiplier:
    """How many damaged real captures each of k was worth beside renders."""

    k: int
    value: float
    low: float
    high: float
    """Infinite where the real-only row never gets there, 0 where it starts above."""
    most: float
    """The largest multiplier that could have been read off: of the largest column of the real-only row."""
    least: float

    @property
    def text(self) -> str:
        """The multiplier with its interval, as it can be stated."""
        return f"{self._told(self.value)} [{self._told(self.low)}, {self._told(self.high)}]"

    def _told(self, value: float) -> str:
        if math.isinf(value):
            return f"> {self.most:.3g}"
        return f"< {self.least:.3g}" if value == 0 else f"{value:.2g}"

    @property
    def shown(self) -> bool:
        """Whether a real capture beside renders is shown to be worth more than one alone."""
        return self.low > 1 or (math.isinf(self.low) and self.most >= 1)


def multipliers(cells: Cells, spec: StudySpec) -> list[Multiplier] | str:
    """The multiplier of every column, or why there is none."""
    curve = sorted(k for row, k in cells if row == "real only")
    ours = sorted(k for row, k in cells if row == spec.claim)
    if len(curve) < 2 or not ours:
        return (
            f"it takes the row 'real only' with two columns at least, and the row '{spec.claim}' with one: there are "
            f"{len(curve)} and {len(ours)}"
        )
    real = [cells["real only", k].rank(spec.headline) for k in curve]
    if any(figure.value is None for figure in real):
        return f"{HEADINGS[spec.headline]} {real[0].why or 'cannot be told on this set'}"
    heights = np.array([[figure.value, *_draws(figure)] for figure in real])
    made = []
    for k in ours:
        figure = cells[spec.claim, k].rank(spec.headline)
        target = np.array([figure.value, *_draws(figure)])
        found = reach(heights, target, np.array(curve, float)) / k
        low, high = np.nanquantile(found[1:], [0.025, 0.975], method="nearest")
        made.append(Multiplier(k, float(found[0]), float(low), float(high), curve[-1] / k, curve[0] / k))
    return made


def _draws(figure: Figure) -> Float[np.ndarray, " b"]:
    assert figure.draws is not None
    return figure.draws


def reach(
    heights: Float[np.ndarray, "c b"], target: Float[np.ndarray, " b"], ks: Float[np.ndarray, " c"]
) -> Float[np.ndarray, " b"]:
    """k at which each curve first reaches its target; 0 where it starts above it, infinite where it never does."""
    found = np.where(target < heights[0], 0.0, np.where(target == heights[0], ks[0], np.inf))
    for i in range(len(ks) - 1):
        low, high = heights[i], heights[i + 1]
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.clip((target - low) / (high - low), 0, 1)
        at = np.exp(np.log(ks[i]) + share * (np.log(ks[i + 1]) - np.log(ks[i])))
        found = np.where(np.isinf(found) & (low < target) & (target <= high), at, found)
    return np.where(np.isfinite(target) & np.isfinite(heights).all(axis=0), found, np.nan)


def multiplier_sentence(found: list[Multiplier] | str, called: str) -> str:
    """The multiplier in a sentence, or why it cannot be shown."""
    if isinstance(found, str):
        return (
            f"A {called}-equivalent multiplier cannot be shown, because {found.replace('real only', f'{called} only')}."
        )
    told = "; ".join(f"at k = {one.k}: {one.text}" for one in found)
    shown = [one for one in found if one.shown]
    if not shown:
        return (
            f"A {called}-equivalent multiplier above 1 cannot be shown, because no interval lies above 1 ({told}; "
            f"where the {called}-only row does not reach, only a bound is stated)."
        )
    best = ", ".join(str(one.k) for one in shown)
    return (
        f"Each damaged {called} capture beside renders is worth more than one alone at k = {best} (multiplier with "
        f"95 % interval {told}; nothing is extrapolated beyond the {called}-only row)."
    )


# The rule


def verdict(found: Sequence[Difference], spec: StudySpec, called: str) -> str:
    """The first sentence of the report: whether renders beat both rivals, said plainly if they do not."""
    told = "; ".join(
        f"k = {one.k} against {one.theirs.replace('real', called)} {signed(one.estimate)}"
        for one in found
        if one.estimate.value is not None
    )
    heading = HEADINGS[spec.headline]
    if not found:
        return f"Not shown: the study holds no arm to hold the row '{spec.claim}' against."
    won = sorted({one.k for one in found if all(other.better for other in found if other.k == one.k)})
    lost = sorted({one.k for one in found} - set(won))
    measured = f"{heading} less that of the rival: {told}" if told else f"{heading} cannot be told on this set"
    both = f"both {called} captures alone and those with pasted patches" if _both(found) else f"{called} captures alone"
    if not won:
        return f"Not shown: renders with k {called} captures do not beat {both} at any k ({measured})."
    if lost:
        return (
            f"Not shown at k = {_list(lost)}: there, renders with {called} captures do not beat {both}; at k = "
            f"{_list(won)} they do ({measured})."
        )
    return f"Shown: renders with k {called} captures beat {both} at k = {_list(won)} ({measured})."


def _both(found: Sequence[Difference]) -> bool:
    return len({one.theirs for one in found}) > 1


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def signed(estimate: Estimate) -> str:
    """A difference with its sign and interval."""
    if estimate.value is None:
        return "–"
    if estimate.low is None:
        return f"{estimate.value:+.3f}"
    return f"{estimate.value:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]"


__all__ = [
    "Difference",
    "Multiplier",
    "claims",
    "difference",
    "explanations",
    "multiplier_sentence",
    "multipliers",
    "reach",
    "signed",
    "verdict",
]
