"""Decision thresholds that keep a budget of false alarms: chosen on pristine captures, confirmed on others.

Choosing is the Neyman-Pearson umbrella (Tong, Feng and Li, Science Advances 4(2), 2018): with n independent pristine
scores, the k-th smallest as threshold has a false-alarm rate above ``fpr`` with probability at most
P(Binomial(n, 1 - fpr) >= k). The smallest k for which this stays within ``delta`` is taken. Confirming is the one-sided
exact bound of Clopper and Pearson (Biometrika 26, 1934) on pristine captures that had no part in the choice.

Captures of one product are not independent, and views of one capture still less: a group gives one score, that of a
capture drawn from it. Both promises hold for captures like those they rest on, and end where light, cameras or products
change.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict
from scipy.stats import binom, binomtest

from ..sim.errors import DamagelandError


class Threshold(BaseModel):
    """A score above which a capture counts as damaged, and what can be said about its false alarms."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    value: float
    """A capture raises an alarm if its score is greater than this (not equal)."""
    fpr_budget: float
    """Share of pristine captures that may raise an alarm."""
    delta: float
    """Accepted probability that the budget is broken."""
    negatives: int
    """Independent pristine captures, one of each group."""
    negatives_needed: int
    """Fewest independent pristine captures that allow a certificate."""
    exceedances: int
    """How many of the independent captures raise an alarm at this threshold."""
    certified: bool
    """Whether the budget holds with probability 1 - delta, for captures drawn as the pristine ones were."""
    captures: int | None = None
    """All pristine captures that there were; None in models written before groups were told apart."""

    @property
    def statement(self) -> str:
        """One sentence for reports."""
        budget = f"a false-alarm rate of at most {self.fpr_budget:.3g}"
        drawn = f" drawn from {self.captures:,}" if self.captures not in (None, self.negatives) else ""
        drawn = " (pieces of one product not told apart)" if self.captures is None else drawn
        if self.certified:
            return (
                f"Threshold {self.value:.6f} keeps {budget} with probability {1 - self.delta:.3g} on captures like the "
                f"{self.negatives:,} independent pristine ones{drawn} it was chosen on."
            )
        return (
            f"Cannot certify {budget}: that takes {self.negatives_needed:,} independent pristine captures and there "
            f"are {self.negatives:,}{drawn}; threshold {self.value:.6f} is an empirical quantile and promises nothing."
        )


def choose_threshold(
    scores: Float[np.ndarray, " n"],
    *,
    fpr: float,
    delta: float,
    groups: Sequence[str] | None = None,
    rng: np.random.Generator | None = None,
) -> Threshold:
    """Choose the threshold from the scores of n pristine captures; falls back to their quantile if n is too small.

    With ``groups``, one capture of each is drawn by ``rng``; the fallback, which certifies nothing, looks at all.
    """
    if len(scores) == 0:
        raise DamagelandError("no pristine capture to choose a threshold on: render twins or references for validation")
    alone = scores if groups is None else scores[draw_one_each(groups, rng)]
    n = len(alone)
    rank = certified_rank(n, fpr=fpr, delta=delta)
    value = float(np.sort(scores)[int(np.ceil((1 - fpr) * len(scores))) - 1] if rank is None else np.sort(alone)[rank])
    return Threshold(
        value=value,
        fpr_budget=fpr,
        delta=delta,
        negatives=n,
        negatives_needed=negatives_needed(fpr=fpr, delta=delta),
        exceedances=int((alone > value).sum()),
        certified=rank is not None,
        captures=len(scores),
    )


def draw_one_each(groups: Sequence[str], rng: np.random.Generator | None) -> np.ndarray:
    """Draw a row of each group; the result does not depend on the order of the groups' names in the rows."""
    assert rng is not None, "groups need a generator to draw from"
    order = rng.permutation(len(groups))
    _, first = np.unique(np.asarray(groups, dtype=str)[order], return_index=True)
    return order[first]


def certified_rank(n: int, *, fpr: float, delta: float) -> int | None:
    """Index in ascending order of the score that may serve as threshold; None if n is too small for any."""
    risk = binom.sf(np.arange(n), n, 1 - fpr)  # risk[k - 1] = P(Binomial >= k): falls as k grows
    safe = np.flatnonzero(risk <= delta)
    return int(safe[0]) if len(safe) else None


def negatives_needed(*, fpr: float, delta: float) -> int:
    """Fewest independent negatives that can certify a budget, if none of them raises an alarm."""
    return int(np.ceil(np.log(delta) / np.log1p(-fpr)))


def upper_bound(alarms: int, trials: int, *, delta: float = 0.05) -> float:
    """One-sided Clopper-Pearson bound: a rate above it gives so few alarms with probability delta at most."""
    return float(binomtest(alarms, trials, alternative="less").proportion_ci(1 - delta, "exact").high)


class Confirmation(BaseModel):
    """What pristine captures that had no part in the choice say about a threshold's budget."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    fpr_budget: float
    delta: float
    groups: int
    """Independent groups of pristine captures."""
    alarmed: int
    """Groups of which any capture raised an alarm: no fewer than the alarms of one capture of each would be."""
    bound: float
    """The share of groups with an alarm is above it with probability delta at most."""
    needed: int
    """Groups that would confirm the budget with as many alarms as there were."""

    @property
    def confirmed(self) -> bool:
        """Whether the bound lies within the budget."""
        return self.bound <= self.fpr_budget

    @property
    def statement(self) -> str:
        """One sentence for reports."""
        seen = f"{self.alarmed:,} of {self.groups:,} independent pristine groups raised an alarm"
        limit = f"so the rate is at most {self.bound:.4f} with probability {1 - self.delta:.3g}"
        if self.confirmed:
            return f"Confirmed: {seen}, {limit}, within the budget of {self.fpr_budget:.3g}."
        if self.alarmed / self.groups > self.fpr_budget:
            return f"Not confirmed: {seen}, more than the budget of {self.fpr_budget:.3g}; {limit}."
        return (
            f"Cannot confirm a budget of {self.fpr_budget:.3g}: {seen}, {limit}; {self.needed:,} groups with as many "
            "alarms would do."
        )


def confirm(alarms: Sequence[bool], groups: Sequence[str], *, fpr: float, delta: float) -> Confirmation | None:
    """Hold the alarms of pristine captures against a budget, counting groups; None without any."""
    if not groups:
        return None
    raised = {group for group, alarm in zip(groups, alarms, strict=True) if alarm}
    alarmed, total = len(raised), len(set(groups))
    return Confirmation(
        fpr_budget=fpr,
        delta=delta,
        groups=total,
        alarmed=alarmed,
        bound=upper_bound(alarmed, total, delta=delta),
        needed=_confirming(alarmed, fpr=fpr, delta=delta),
    )


def _confirming(alarmed: int, *, fpr: float, delta: float) -> int:
    """Smallest number of groups that confirms a budget with so many alarms: P(Binomial(n, fpr) <= alarmed) <= delta."""
    low, high = alarmed, negatives_needed(fpr=fpr, delta=delta)
    while binom.cdf(alarmed, high, fpr) > delta:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if binom.cdf(alarmed, middle, fpr) > delta else (low, middle)
    return high
