"""Progressive validation: River against the rule, on predictions made before their outcomes were known.

A ring of the last examples keeps both predictions and what came of it. `compare` tells log loss and AUC of each, and the
difference of the AUCs with a 95 % interval: paired, by DeLong, DeLong & Clarke-Pearson (Biometrics 44, 1988), with the
midranks of Sun & Xu (IEEE SPL 21, 2014), counted in one sort.
"""

from collections.abc import Sequence
from math import log, sqrt
from struct import Struct as Layout
from typing import Final, NamedTuple

from msgspec import Struct

WINDOW: Final = 2_000
LEAST_GIVEN: Final = 1e-9  # as a probability
_TOLD: Final = Layout("<fffB")


class Told(NamedTuple):
    """What each model had said of an example, and what came of it."""

    rule: float
    river: float
    anchored: float
    outcome: bool


class Pair(NamedTuple):
    """Two of these predictions: of the rule, or whatever stands in its place, and of a model beside it."""

    rule: float
    river: float
    outcome: bool


class Ring(Struct, array_like=True):
    """The last `WINDOW` predictions of one kind of look, packed."""

    packed: bytes = b""

    def extended(self, told: Sequence[Told]) -> "Ring":
        added = b"".join(_TOLD.pack(*each) for each in told)
        return Ring((self.packed + added)[-WINDOW * _TOLD.size :])

    def told(self) -> list[Told]:
        return [
            Told(rule, river, anchored, bool(outcome))
            for rule, river, anchored, outcome in _TOLD.iter_unpack(self.packed)
        ]

    def pairs(self, one: str = "river", other: str = "rule") -> list[Pair]:
        """Predictions of two models; the first in the place of River, the second in that of the rule."""
        return [Pair(getattr(each, other), getattr(each, one), each.outcome) for each in self.told()]


class Comparison(Struct, frozen=True, kw_only=True):
    """AUCs are 0.5 and the interval is endless where one of the outcomes is lacking."""

    examples: int = 0
    positives: int = 0
    rule_log_loss: float = 0.0
    river_log_loss: float = 0.0
    rule_auc: float = 0.5
    river_auc: float = 0.5
    difference: float = 0.0  # AUC of River less AUC of the rule
    half_width: float = 1.0  # of its 95 % interval

    @property
    def is_worse(self) -> bool:
        """Whether River is worse than the rule beyond doubt."""
        return self.difference + self.half_width < 0


class _Judged(NamedTuple):
    """One model's predictions, seen from what came of them."""

    log_loss: float
    auc: float
    placed: list[float]  # of every example the share of the other class that it is placed rightly against


def compare(pairs: Sequence[Pair]) -> Comparison:
    outcomes = [pair.outcome for pair in pairs]
    if not _tells(outcomes):
        return Comparison(examples=len(outcomes), positives=sum(outcomes))
    rule, river = _judged([pair.rule for pair in pairs], outcomes), _judged([pair.river for pair in pairs], outcomes)
    return _compared(rule, river, outcomes)


def compare_each(ring: Ring, models: Sequence[str]) -> tuple[Comparison, ...]:
    """Each of these models beside the rule, which is judged but once: what `compare` says of `ring.pairs(model)`."""
    told = ring.told()
    outcomes = [each.outcome for each in told]
    if not _tells(outcomes):
        return tuple(Comparison(examples=len(outcomes), positives=sum(outcomes)) for _ in models)
    rule = _judged([each.rule for each in told], outcomes)
    return tuple(
        _compared(rule, _judged([getattr(each, model) for each in told], outcomes), outcomes) for model in models
    )


def _tells(outcomes: Sequence[bool]) -> bool:
    return 1 < sum(outcomes) < len(outcomes) - 1


def _compared(rule: _Judged, river: _Judged, outcomes: Sequence[bool]) -> Comparison:
    return Comparison(
        examples=len(outcomes),
        positives=sum(outcomes),
        rule_log_loss=rule.log_loss,
        river_log_loss=river.log_loss,
        rule_auc=rule.auc,
        river_auc=river.auc,
        difference=river.auc - rule.auc,
        half_width=1.96 * sqrt(_variance_of_difference(rule.placed, river.placed, outcomes)),
    )


def _judged(scores: Sequence[float], outcomes: Sequence[bool]) -> _Judged:
    placed = _placements(scores, outcomes)
    auc = sum([place for place, outcome in zip(placed, outcomes, strict=True) if outcome]) / sum(outcomes)
    return _Judged(_log_loss(scores, outcomes), auc, placed)


def _log_loss(predicted: Sequence[float], outcomes: Sequence[bool]) -> float:
    """Mean of -log of the probability given to what happened; float32 may have rounded it to 0 or 1."""
    given = [p if outcome else 1 - p for p, outcome in zip(predicted, outcomes, strict=True)]
    return sum([-log(max(LEAST_GIVEN, p)) for p in given]) / len(outcomes)


def _placements(scores: Sequence[float], outcomes: Sequence[bool]) -> list[float]:
    """For every example the share of the other class that it is placed rightly against; equals count half.

    An example's midrank among all less its midrank within its class is the number of the others below it: so one sort,
    and counts of both classes up to each group of equals, are enough.

    >>> _placements([0.3, 0.1, 0.3], [True, False, False])
    [0.75, 1.0, 0.5]
    """
    positives = sum(outcomes)
    negatives = len(outcomes) - positives
    order = sorted(range(len(scores)), key=scores.__getitem__)
    placed = [0.0] * len(scores)
    start = positives_below = 0
    while start < len(order):
        end, score, positives_here = start, scores[order[start]], 0
        while end < len(order) and scores[order[end]] == score:
            positives_here += outcomes[order[end]]
            end += 1
        of_negatives = (start - positives_below) + (end - start - positives_here) / 2
        of_positives = positives_below + positives_here / 2
        for index in order[start:end]:
            placed[index] = of_negatives / negatives if outcomes[index] else 1 - of_positives / positives
        start, positives_below = end, positives_below + positives_here
    return placed


def _variance_of_difference(one: list[float], other: list[float], outcomes: Sequence[bool]) -> float:
    """Variance of a difference of AUCs: of the placements' differences, within each class."""
    total = 0.0
    for kind in (True, False):
        apart = [a - b for a, b, outcome in zip(one, other, outcomes, strict=True) if outcome is kind]
        mean = sum(apart) / len(apart)
        total += sum([(d - mean) ** 2 for d in apart]) / (len(apart) - 1) / len(apart)
    return total
