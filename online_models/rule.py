"""The rule: what a shop can write in one line, and what every model must beat.

It ranks a first purchase by its value and its breadth, and a second look by what was spent since besides:

    first look     0.8 log first spend + 0.2 r log breadth
    second looks   log first spend + r/4 log breadth + 2/3 log later net spend

Breadth is the number of different SKUs; of items where hardly any order has two SKUs, so that the name says nothing. r is the
spread of log spend over that of log breadth, so both count in deviations, as 0.8 z + 0.2 z does, and yet a rank stays what it
was when the shop's distribution becomes known: nothing is subtracted, and the weight of spend is fixed.

As log-odds it gets, for each kind of look, a base that follows what came true: so a score means the same at the first purchase and
on day 30, and one threshold serves all looks. The base is no part of the rank. Where the numbers come from: docs/model.md and
`docs/decisions/0005-the-rule-as-log-odds.md`.
"""

from math import log, sqrt
from typing import Final

from msgspec import Struct, field

from features.vector import FEATURES, NEUTRAL, SINCE_FEATURES, Encoding, Reference, Spread
from online_models.explain import Linear, Term, probability

RULE: Final = "rule-2"
LOOKS: Final = ("first", "order", "return", "day_7", "day_14", "day_30")

SPEND: Final = FEATURES.index("log_first_spend")
SKUS: Final = FEATURES.index("log_skus")
ITEMS: Final = FEATURES.index("log_items")
LATER: Final = len(FEATURES) + SINCE_FEATURES.index("log_later_net_spend")

FIRST_WEIGHT: Final = 0.8  # of log spend
BREADTH_WEIGHT: Final = 0.2  # of log breadth, both in deviations
SECOND_SCALE: Final = 0.75
LATER_WEIGHT: Final = SECOND_SCALE * 2 / 3

PRIOR_RATE: Final = 0.10
PRIOR_LOG_ODDS: Final = log(PRIOR_RATE / (1 - PRIOR_RATE))
# How far the base of a kind of look lies below the log-odds of the rate: at a second look without a further order, far.
PRIOR_OFFSETS: Final = {
    "first": -0.2,
    "order": -1.0,
    "return": -0.9,
    "day_7": -0.35,
    "day_14": -0.55,
    "day_30": -1.0,
}
PRIOR_EXAMPLES: Final = 100  # pseudo-count of the prior rate
REMEMBERED: Final = 5_000  # examples after which a base follows the recent past instead of everything
PRIOR_REFERENCES: Final = 20  # pseudo-count of the prior distributions
LEAST_UNIT: Final = 0.25  # a deviation, in log units
MARKETS: Final = 256  # with a distribution of their own; further ones share the shop's
KNOWN: Final = 30  # first purchases before a distribution is told
SEVERAL: Final = 0.02  # where a smaller share of first orders has two SKUs or more, items are counted
TWO_SKUS: Final = log(3) - 1e-6  # log(1 + 2), as 32-bit floats hold it


class Moments(Struct, array_like=True):
    """Count, mean and variance of a stream (Welford); weighted counts are pseudo-counts."""

    count: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def add(self, x: float) -> None:
        self.count += 1
        before = self.mean
        self.mean += (x - before) / self.count
        self.variance += ((x - before) * (x - self.mean) - self.variance) / self.count

    @property
    def deviation(self) -> float:
        return sqrt(max(0.0, self.variance))

    @property
    def unit(self) -> float:
        """The deviation as a unit of z. Where nearly all are alike, who is a little different is not far out."""
        return max(LEAST_UNIT, self.deviation)


class Base(Struct, array_like=True):
    """An intercept fitted in one pass: a Newton step for each example, with the prior as its first precision."""

    log_odds: float
    precision: float = PRIOR_EXAMPLES * PRIOR_RATE * (1 - PRIOR_RATE)

    def follow(self, offset: float, *, outcome: bool) -> None:
        expected = probability(self.log_odds + offset)
        most = REMEMBERED * PRIOR_RATE * (1 - PRIOR_RATE)
        self.precision = min(most, self.precision + expected * (1 - expected))
        self.log_odds += (outcome - expected) / self.precision


class Rule(Struct, array_like=True):
    """What the rule has learnt. A new one knows typical first orders of a shop: around 150 units of money, 6 SKUs."""

    spend: Moments = field(default_factory=lambda: Moments(PRIOR_REFERENCES, 5.0, 1.0))
    skus: Moments = field(default_factory=lambda: Moments(PRIOR_REFERENCES, 2.0, 0.8))
    bases: dict[str, Base] = field(
        default_factory=lambda: {look: Base(PRIOR_LOG_ODDS + PRIOR_OFFSETS[look]) for look in LOOKS}
    )
    markets: dict[str, Moments] = {}
    items: Moments = field(default_factory=lambda: Moments(PRIOR_REFERENCES, 2.3, 0.8))
    several: int = 0  # first orders with more than one SKU

    def meet(self, market: str, vector: tuple[float, ...]) -> None:
        """A first purchase enters the reference distributions."""
        self.spend.add(vector[SPEND])
        self.skus.add(vector[SKUS])
        self.items.add(vector[ITEMS])
        self.several += vector[SKUS] >= TWO_SKUS
        if market in self.markets or len(self.markets) < MARKETS:
            self.markets.setdefault(market, Moments()).add(vector[SPEND])

    @property
    def is_known(self) -> bool:
        """Whether the distributions rest on something."""
        return self.spend.count >= PRIOR_REFERENCES + KNOWN

    @property
    def breadth(self) -> tuple[int, Moments]:
        """The feature that tells how broad an order is, and its distribution."""
        lacks_skus = self.is_known and self.several < SEVERAL * (self.spend.count - PRIOR_REFERENCES)
        return (ITEMS, self.items) if lacks_skus else (SKUS, self.skus)

    def follow(self, look: str, vector: tuple[float, ...], *, outcome: bool) -> float:
        """The score as it was; then the outcome moves the base of this kind of look."""
        log_odds = self.linear(look).log_odds(vector)
        base = self.bases[look]
        base.follow(log_odds - base.log_odds, outcome=outcome)
        return probability(log_odds)

    def linear(self, look: str) -> Linear:
        """The rule as a model for one kind of look."""
        return Linear(self.bases[look].log_odds, self.terms(look), origin=self.origin(look))

    def origin(self, look: str) -> float:
        """The rank of the usual customer: at a cold start the base, and then how far the shop's are from those."""
        return sum([term.weight * term.center for term in self.terms(look)]) + _STANDING[look]

    def terms(self, look: str) -> tuple[Term, ...]:
        place, breadth = self.breadth
        ratio = BREADTH_WEIGHT * self.spend.unit / breadth.unit
        if look == "first":
            return (Term(SPEND, self.spend.mean, 1.0, FIRST_WEIGHT), Term(place, breadth.mean, 1.0, ratio))
        return (
            Term(SPEND, self.spend.mean, 1.0, SECOND_SCALE),
            Term(place, breadth.mean, 1.0, SECOND_SCALE / FIRST_WEIGHT * ratio),
            Term(LATER, 0.0, 1.0, LATER_WEIGHT),
        )

    def reference(self, encoding: Encoding | None = None) -> Reference:
        """What features are placed in; neutral until it rests on something."""
        encoding = encoding or Encoding()
        if not self.is_known:
            return NEUTRAL
        known = [(market, moments) for market, moments in sorted(self.markets.items()) if moments.count >= KNOWN]
        return Reference(_spread(self.spend), {market: _spread(moments) for market, moments in known}, encoding)


# What makes ranks log-odds on a base that never moves, so that looks of different kinds compare.
_COLD: Final = Rule()
_STANDING: Final = {
    look: _COLD.bases[look].log_odds - sum([term.weight * term.center for term in _COLD.terms(look)]) for look in LOOKS
}


def _spread(moments: Moments) -> Spread:
    return Spread(moments.mean, moments.deviation)
