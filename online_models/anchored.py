"""The anchored model: it ranks by the rule, and departs from it as far as evidence carries.

    rank = rule + basket value + departure x (features - their means)
    log-odds = base + slope x rank

Three things learn, apart from each other, for each kind of look by itself:

- the *basket*: what became of those who first bought the same (`articles.py`); its weight is fixed, it says 0 before it knows;
- the *departure*: a Bayesian logistic regression in one pass, with the rule as its offset and a prior around 0 so tight that it
  takes hundreds of examples to move it (`bayes.py`). At a cold start the rank is the rule's, to the bit;
- *base and slope*: they follow what came true of ranks, so that a score is a probability. They are no part of the rank.

A departure is measured from the mean of what was learnt: it changes who stands above whom, not the height of all ranks.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct, field

from features.vector import FEATURES, SECOND_FEATURES, UNIT_MINOR
from online_models.articles import Articles
from online_models.bayes import Belief, belief, learn_outcome
from online_models.explain import Linear, Term, probability
from online_models.rule import (
    FIRST_WEIGHT,
    LATER,
    LOOKS,
    PRIOR_LOG_ODDS,
    PRIOR_OFFSETS,
    SECOND_SCALE,
    SPEND,
    Rule,
)
from online_models.value import Value, value

ANCHORED: Final = "anchored-1"
BASKET: Final = FEATURES.index("basket_value")
BASKET_WEIGHT: Final = 0.3  # beside 0.8 of log spend
BREADTH: Final = -1  # stands for the feature that the rule takes for breadth

DEPARTING: Final = (SPEND, BREADTH, BASKET)
DEPARTING_LATER: Final = (
    *DEPARTING,
    LATER,
    *(
        SECOND_FEATURES.index(name)
        for name in ("has_ordered_again", "log_later_orders", "log_returns", "log_days_since_last_order")
    ),
)
# How far a weight may depart: looks that an event brings differ most from what the rule was made for.
PRIOR_VARIANCES: Final[Mapping[str, float]] = {
    "first": 0.003,
    "order": 0.1,
    "return": 0.1,
    "day_7": 0.003,
    "day_14": 0.003,
    "day_30": 0.003,
}
BASE_VARIANCE, SLOPE_VARIANCE = 0.25, 0.02
LEAST_BASE_VARIANCE: Final = 1 / (
    5_000 * 0.09
)  # of some thousand examples: from then on the base follows the recent past


class Departure(Struct, array_like=True):
    """What one kind of look has learnt."""

    weights: Belief  # of an intercept of its own and of the features
    calibration: Belief  # of base and slope
    means: list[float]
    value: Value


def departure(look: str) -> Departure:
    """Before the first example."""
    features, base = departing(look), PRIOR_LOG_ODDS + PRIOR_OFFSETS[look]
    variances = (1.0, *(PRIOR_VARIANCES[look] for _ in features))
    return Departure(
        belief((base, *(0.0 for _ in features)), variances),
        belief((base, 1.0), (BASE_VARIANCE, SLOPE_VARIANCE)),
        [0.0 for _ in features],
        value(look),
    )


def departing(look: str) -> tuple[int, ...]:
    return DEPARTING if look == "first" else DEPARTING_LATER


class Anchored(Struct, array_like=True):
    """All looks, with the articles they share."""

    articles: Articles = field(default_factory=Articles)
    looks: dict[str, Departure] = field(default_factory=lambda: {look: departure(look) for look in LOOKS})

    @property
    def is_cold(self) -> bool:
        """Whether it ranks as the rule does."""
        return not self.articles.encoding().skus and not any(look.weights.learned for look in self.looks.values())

    def note(self, rule: Rule, vector: Sequence[float], skus: Sequence[str], outcome_minor: int) -> None:
        """What came of a first purchase within the short horizon."""
        place, breadth = rule.breadth
        self.articles.note(skus, vector[SPEND] - rule.spend.mean, vector[place] - breadth.mean, outcome_minor)

    def told(self, rule: Rule, look: str, vector: Sequence[float]) -> float:
        """What it says now."""
        return probability(self.linear(rule, look).log_odds(vector))

    def learn(
        self,
        rule: Rule,
        look: str,
        vector: Sequence[float],
        outcome_minor: int | None,
        *,
        outcome: bool,
        weight: float = 1.0,
    ) -> None:
        """What came true; the amount only where it is known."""
        known, terms = self.looks[look], anchor(rule, look)
        count = known.weights.learned + 1
        features = [vector[place] for place in _places(rule, look)]
        known.means = [mean + (x - mean) / count for mean, x in zip(known.means, features, strict=True)]
        apart = [x - mean for x, mean in zip(features, known.means, strict=True)]
        by_rule = sum([term.contribution(vector) for term in terms])
        moved = sum([w * x for w, x in zip(known.weights.mean[1:], apart, strict=True)])
        learn_outcome(
            known.calibration, (1.0, by_rule + moved), outcome=outcome, weight=weight, least=LEAST_BASE_VARIANCE
        )
        learn_outcome(known.weights, (1.0, *apart), outcome=outcome, offset=by_rule, weight=weight)
        if outcome_minor is not None:
            typical = rule.spend.mean
            known.value.learn(by_rule + moved, vector[SPEND] - typical, typical, outcome_minor / UNIT_MINOR)

    def forget(self, look: str) -> None:
        """Start this kind of look at the rule again. What scores come true as, and what articles tell, is kept."""
        fresh, held = departure(look), self.looks[look]
        self.looks[look] = Departure(fresh.weights, held.calibration, fresh.means, held.value)

    def linear(self, rule: Rule, look: str) -> Linear:
        """The model of one kind of look, for scoring."""
        known, terms = self.looks[look], anchor(rule, look)
        base, slope = known.calibration.mean
        slope = max(LEAST_SLOPE, slope)
        moved = dict(zip(_places(rule, look), zip(known.weights.mean[1:], known.means, strict=True), strict=True))
        shift = 0.0
        for term in terms:
            if term.index in moved:
                weight, mean = moved[term.index]
                shift += weight * (term.center - mean)
        weighed = [
            Term(term.index, term.center, 1.0, slope * (term.weight + moved.pop(term.index, (0.0, 0.0))[0]))
            for term in terms
        ]
        weighed += [Term(place, mean, 1.0, slope * weight) for place, (weight, mean) in moved.items()]
        return Linear(base + slope * shift, tuple(weighed), slope, rule.origin(look) + shift)


LEAST_SLOPE: Final = 0.05  # a rank never counts backwards


def anchor(rule: Rule, look: str) -> tuple[Term, ...]:
    """The rule's terms, and the basket's."""
    weight = BASKET_WEIGHT if look == "first" else BASKET_WEIGHT * SECOND_SCALE / FIRST_WEIGHT
    return (*rule.terms(look), Term(BASKET, 0.0, 1.0, weight))


def _places(rule: Rule, look: str) -> tuple[int, ...]:
    breadth, _ = rule.breadth
    return tuple(breadth if place == BREADTH else place for place in departing(look))
