"""Expected value: net spend after the first order within the horizon, from the rank and the value of the first order.

In two parts, as for any amount that is often nothing (Duan, Manning, Morris & Newhouse, JBES 1, 1983): the probability of
spending anything, a logistic of the rank, times what is then spent, a plane through log amounts. From the log amount back to money
leads the ratio of all that was spent to all that the plane says (Duan's smearing, JASA 78, 1983, weighted by amount, so that
sums come true), which no single customer can throw far.

A first look starts at its own rule: about as much again as the first order's value, whoever is ranked how. So it ranks money as that value
does until evidence departs from it, and its sums are of the right size before the shop's prices are known. A second look
starts with rank and value alike, relative to the shop's typical first order. Where the numbers come from: docs/model.md.
"""

from collections.abc import Mapping
from math import exp, log
from typing import Final

from msgspec import Struct, field

from online_models.bayes import Belief, belief, learn_amount, learn_outcome
from online_models.explain import probability

PSEUDO: Final = 50.0  # typical first orders' worth of evidence for the ratio at the start
FIRST_RATIOS: Final[Mapping[str, float]] = {
    "first": 1.2,
    "order": 0.8,
    "return": 0.7,
    "day_7": 1.0,
    "day_14": 0.9,
    "day_30": 0.7,
}
LARGEST_RATIO: Final = 20.0
FARTHEST: Final = 5.0  # log units from the typical


class Value(Struct, array_like=True):
    """What one kind of look has learnt of amounts. Ranks and spends are distances from the usual ones."""

    any: Belief = field(default_factory=lambda: belief((0.5, 0.5), (0.25, 0.05)))  # over 1 and rank
    amount: Belief = field(default_factory=lambda: belief((0.4, 0.5, 0.5), (0.1, 0.02, 0.02)))  # and spend
    spent: float = PSEUDO  # in typical first orders
    foretold: float = PSEUDO

    def learn(self, rank: float, spend: float, typical: float, amount: float) -> None:
        learn_outcome(self.any, (1.0, rank), outcome=amount > 0)
        if amount > 0:
            foretold = exp(self._plane(rank, spend))
            self.foretold += foretold
            self.spent += min(LARGEST_RATIO * foretold, amount / exp(typical))
            learn_amount(self.amount, (1.0, rank, spend), log(amount) - typical)

    def expected(self, rank: float, spend: float, typical: float) -> float:
        """In the units of money that `typical` is the logarithm of."""
        any_at_all = probability(self.any.told((1.0, rank)))
        return any_at_all * self.spent / self.foretold * exp(typical + self._plane(rank, spend))

    def _plane(self, rank: float, spend: float) -> float:
        return max(-FARTHEST, min(FARTHEST, self.amount.told((1.0, rank, spend))))


def value(look: str) -> Value:
    """Before the first outcome."""
    spent = PSEUDO * FIRST_RATIOS[look]
    if look != "first":
        return Value(spent=spent)
    return Value(belief((0.5, 0.0), (0.25, 0.002)), belief((0.4, 0.0, 1.0), (0.1, 0.002, 0.002)), spent)
