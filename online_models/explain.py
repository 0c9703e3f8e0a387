"""Why a score is what it is: exact contributions of a linear model, in log-odds.

A `Linear` is a model as data: log-odds = intercept + sum of weight x z, z being a feature's distance from its center in
units of its scale. So every term is one feature's exact part, and what is left out of a short list can be summed up
under `OTHER`: the list and the base still add up to the score.
"""

from collections.abc import Sequence
from math import exp
from typing import Final

from msgspec import Struct

from schemas.events import Reason

OTHER: Final = "other"
FARTHEST: Final = 30.0  # log-odds; beyond it a score could no longer be told from 0 or 1


class Term(Struct, frozen=True, array_like=True):
    index: int  # of the feature in its vector
    center: float
    scale: float
    weight: float
    bound: float = 0.0  # z is held within +- this; 0: as it comes

    def contribution(self, vector: Sequence[float]) -> float:
        z = (vector[self.index] - self.center) / self.scale
        if self.bound:
            z = max(-self.bound, min(self.bound, z))
        return self.weight * z


class Linear(Struct, frozen=True, array_like=True):
    """A model of one kind of look. Its rank leaves out what follows the base rate: it is comparable between versions."""

    intercept: float
    terms: tuple[Term, ...]
    scale: float = 1.0  # of the log-odds, in units of the rank
    origin: float = 0.0  # the rank of whom the intercept alone speaks

    def log_odds(self, vector: Sequence[float]) -> float:
        return self.intercept + sum(term.contribution(vector) for term in self.terms)

    def rank(self, log_odds: float) -> float:
        return self.origin + (log_odds - self.intercept) / self.scale


def probability(log_odds: float) -> float:
    """Log-odds as a probability, never quite 0 or 1.

    >>> probability(0.0)
    0.5
    """
    return 1.0 / (1.0 + exp(-max(-FARTHEST, min(FARTHEST, log_odds))))


def explain(
    linear: Linear, vector: Sequence[float], names: Sequence[str], at_most: int
) -> tuple[float, tuple[Reason, ...]]:
    """The log-odds and at most `at_most` reasons, the largest first, with what remains under `OTHER` behind them.

    Features that contribute nothing are no reasons. Equal contributions stand in the order of the vector.
    """
    parts = [(term.contribution(vector), term.index) for term in linear.terms]
    telling = sorted((part for part in parts if part[0] != 0.0), key=lambda part: -abs(part[0]))
    reasons = [
        Reason(feature=names[index], value=vector[index], contribution=contribution)
        for contribution, index in telling[:at_most]
    ]
    if rest := telling[at_most:]:
        remainder = sum(contribution for contribution, _ in rest)
        reasons.append(Reason(feature=OTHER, value=0.0, contribution=remainder))
    return linear.intercept + sum(contribution for contribution, _ in parts), tuple(reasons)
