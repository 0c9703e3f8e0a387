from itertools import product
from random import Random

import pytest

from online_models.validation import WINDOW, Comparison, Pair, Ring, Told, compare, compare_each


def naive_auc(pairs, which):
    """The share of positive and negative examples that are in the right order; ties count half."""
    positives = [getattr(p, which) for p in pairs if p.outcome]
    negatives = [getattr(p, which) for p in pairs if not p.outcome]
    wins = sum((a > b) + (a == b) / 2 for a, b in product(positives, negatives))
    return wins / len(positives) / len(negatives)


def naive_variance(pairs):
    """DeLong's variance of the difference, by counting pair by pair."""
    positives, negatives = [p for p in pairs if p.outcome], [p for p in pairs if not p.outcome]

    def wins(which, a, b):
        return (getattr(a, which) > getattr(b, which)) + (getattr(a, which) == getattr(b, which)) / 2

    def variance(values):
        mean = sum(values) / len(values)
        return sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values)

    of_positives = [
        sum(wins("river", a, b) - wins("rule", a, b) for b in negatives) / len(negatives) for a in positives
    ]
    of_negatives = [
        sum(wins("river", a, b) - wins("rule", a, b) for a in positives) / len(positives) for b in negatives
    ]
    return variance(of_positives) + variance(of_negatives)


@pytest.mark.parametrize("seed", range(5))
def test_auc_and_interval_are_those_counted_pair_by_pair(seed):
    """Ties included: scores come in tenths."""
    chance = Random(seed)
    pairs = [Pair(chance.randint(0, 9) / 10, chance.randint(0, 9) / 10, chance.random() < 0.2) for _ in range(200)]
    found = compare(pairs)
    assert found.rule_auc == pytest.approx(naive_auc(pairs, "rule"))
    assert found.river_auc == pytest.approx(naive_auc(pairs, "river"))
    assert found.difference == pytest.approx(found.river_auc - found.rule_auc)
    assert found.half_width == pytest.approx(1.96 * naive_variance(pairs) ** 0.5)


def test_equal_predictions_differ_by_nothing():
    """A model compared with itself has no difference and no doubt about it."""
    pairs = [Pair(n / 50, n / 50, n % 3 == 0) for n in range(50)]
    assert (compare(pairs).difference, compare(pairs).half_width) == (0.0, 0.0)


def test_without_both_outcomes_there_is_no_verdict():
    """One positive is not enough to tell a variance by."""
    for positives in (0, 1, 49, 50):
        found = compare([Pair(0.5, 0.5, n < positives) for n in range(50)])
        assert found == Comparison(examples=50, positives=positives)
        assert not found.is_worse


def test_the_ring_keeps_the_last_window():
    """Extending it in pieces or at once gives the same bytes; it never grows beyond its window."""
    told = [Told(n / 4_096, 1 - n / 4_096, 0.5, n % 7 == 0) for n in range(WINDOW + 100)]
    whole, pieces = Ring().extended(told), Ring()
    for each in told:
        pieces = pieces.extended([each])
    assert whole == pieces
    assert whole.told() == told[-WINDOW:]
    assert whole.pairs("anchored") == [Pair(each.rule, each.anchored, each.outcome) for each in told[-WINDOW:]]


def test_models_judged_together_are_judged_as_each_alone() -> None:
    """Beside the rule, to the bit; also where nothing can be told yet."""
    chance = Random(7)
    for count in (3, 400):
        drawn = [[chance.randint(0, 30) / 30 for _ in range(3)] for _ in range(count)]
        told = [Told(rule, river, anchored, n % 9 == 1) for n, (rule, river, anchored) in enumerate(drawn)]
        ring = Ring().extended(told)
        alone = tuple(compare(ring.pairs(model)) for model in ("river", "anchored"))
        assert compare_each(ring, ("river", "anchored")) == alone
        assert (alone[0].river_auc == 0.5) == (count == 3)
