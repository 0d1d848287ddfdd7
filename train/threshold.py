"""Decision thresholds that keep a budget of false alarms, chosen by order statistic on pristine captures.

The rule is the Neyman-Pearson umbrella (Tong, Feng and Li, Science Advances 4(2), 2018): with n independent pristine
scores from a continuous distribution, the k-th smallest as threshold has a false-alarm rate above ``fpr`` with
probability P(Binomial(n, 1 - fpr) >= k). The smallest k for which this stays within ``delta`` is taken.
"""

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict
from scipy.stats import binom

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
    """Pristine captures the threshold was chosen on."""
    negatives_needed: int
    """Fewest pristine captures that allow a certificate."""
    exceedances: int
    """How many of them raise an alarm at this threshold."""
    certified: bool
    """Whether the budget holds with probability 1 - delta, for captures drawn as the pristine ones were."""

    @property
    def statement(self) -> str:
        """One sentence for reports."""
        budget = f"a false-alarm rate of at most {self.fpr_budget:.3g}"
        if self.certified:
            return (
                f"Threshold {self.value:.6f} keeps {budget} with probability {1 - self.delta:.3g} on captures like the "
                f"{self.negatives} pristine ones it was chosen on."
            )
        return (
            f"Cannot certify {budget}: that takes {self.negatives_needed} pristine captures and there are "
            f"{self.negatives}; threshold {self.value:.6f} is their empirical quantile."
        )


def choose_threshold(scores: Float[np.ndarray, " n"], *, fpr: float, delta: float) -> Threshold:
    """Choose the threshold from the scores of n pristine captures; falls back to their quantile if n is too small."""
    n = len(scores)
    if n == 0:
        raise DamagelandError("no pristine capture to choose a threshold on: render twins or references for validation")
    ordered = np.sort(scores)
    risk = binom.sf(np.arange(n), n, 1 - fpr)  # risk[k - 1] = P(Binomial >= k): falls as k grows
    safe = np.flatnonzero(risk <= delta)
    rank = int(safe[0]) if len(safe) else int(np.ceil((1 - fpr) * n)) - 1
    value = float(ordered[rank])
    return Threshold(
        value=value,
        fpr_budget=fpr,
        delta=delta,
        negatives=n,
        negatives_needed=int(np.ceil(np.log(delta) / np.log1p(-fpr))),
        exceedances=int((scores > value).sum()),
        certified=bool(len(safe)),
    )
