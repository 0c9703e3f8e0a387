"""Progressive validation: River against the rule, on predictions made before their outcomes were known.

A ring of the last examples keeps both predictions and what came of it. `compare` tells log loss and AUC of each, and the
difference of the AUCs with a 95 % interval: paired, by DeLong, DeLong & Clarke-Pearson (Biometrics 44, 1988), with the
midranks of Sun & Xu (IEEE SPL 21, 2014).
"""

from collections.abc import Sequence
from math import log, sqrt
from struct import Struct as Layout
from typing import Final, NamedTuple

from msgspec import Struct

WINDOW: Final = 2_000
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


def compare(pairs: Sequence[Pair]) -> Comparison:
    positives = sum(pair.outcome for pair in pairs)
    if not 1 < positives < len(pairs) - 1:
        return Comparison(examples=len(pairs), positives=positives)
    outcomes = [pair.outcome for pair in pairs]
    rule, river = [pair.rule for pair in pairs], [pair.river for pair in pairs]
    rule_auc, rule_placed = _placements(rule, outcomes)
    river_auc, river_placed = _placements(river, outcomes)
    return Comparison(
        examples=len(pairs),
        positives=positives,
        rule_log_loss=_log_loss(rule, outcomes),
        river_log_loss=_log_loss(river, outcomes),
        rule_auc=rule_auc,
        river_auc=river_auc,
        difference=river_auc - rule_auc,
        half_width=1.96 * sqrt(_variance_of_difference(rule_placed, river_placed, outcomes)),
    )


def _log_loss(predicted: Sequence[float], outcomes: Sequence[bool]) -> float:
    """Mean of -log of the probability given to what happened; float32 may have rounded it to 0 or 1."""
    given = (p if outcome else 1 - p for p, outcome in zip(predicted, outcomes, strict=True))
    return sum(-log(max(p, 1e-9)) for p in given) / len(outcomes)


def _placements(scores: Sequence[float], outcomes: Sequence[bool]) -> tuple[float, list[float]]:
    """The AUC, and for every example the share of the other class that it is placed rightly against."""
    overall = _midranks(scores)
    within = {
        kind: iter(_midranks([s for s, o in zip(scores, outcomes, strict=True) if o is kind])) for kind in (True, False)
    }
    positives = sum(outcomes)
    negatives = len(outcomes) - positives
    placed = [
        (rank - next(within[True])) / negatives if outcome else 1 - (rank - next(within[False])) / positives
        for rank, outcome in zip(overall, outcomes, strict=True)
    ]
    auc = sum(place for place, outcome in zip(placed, outcomes, strict=True) if outcome) / positives
    return auc, placed


def _midranks(scores: Sequence[float]) -> list[float]:
    """Ranks from 1; equals share the middle of theirs.

    >>> _midranks([0.3, 0.1, 0.3])
    [2.5, 1.0, 2.5]
    """
    order = sorted(range(len(scores)), key=scores.__getitem__)
    ranks = [0.0] * len(scores)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and scores[order[end]] == scores[order[start]]:
            end += 1
        for index in order[start:end]:
            ranks[index] = (start + 1 + end) / 2
        start = end
    return ranks


def _variance_of_difference(one: list[float], other: list[float], outcomes: Sequence[bool]) -> float:
    """Variance of a difference of AUCs: of the placements' differences, within each class."""
    total = 0.0
    for kind in (True, False):
        apart = [a - b for a, b, outcome in zip(one, other, outcomes, strict=True) if outcome is kind]
        mean = sum(apart) / len(apart)
        total += sum((d - mean) ** 2 for d in apart) / (len(apart) - 1) / len(apart)
    return total
