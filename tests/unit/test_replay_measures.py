"""Figures against scikit-learn's, ties included, and intervals that hold as often as they say."""

from math import nan

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from streams.replay.bootstrap import Population, interval
from streams.replay.evidence import wilson
from streams.replay.measures import curve, rank


def drawn(seed: int, size: int = 400, *, tied: bool = False):
    chance = np.random.default_rng(seed)
    positive = chance.random(size) < 0.15
    scores = chance.normal(size=size) + positive
    money = np.maximum(0, chance.normal(size=size) + positive)
    return (np.round(scores, 1) if tied else scores), positive, money, chance


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_figures_are_those_of_scikit_learn(seed: int, *, tied: bool) -> None:
    """For the plain sample and for every draw of a bootstrap."""
    scores, positive, money, chance = drawn(seed, tied=tied)
    weights = np.hstack([np.ones((400, 1)), chance.integers(0, 4, (400, 6))]).astype(np.uint8)
    found = rank(scores, positive, money, weights)
    for column in range(7):
        weight = weights[:, column]
        assert found.roc_auc[column] == pytest.approx(roc_auc_score(positive, scores, sample_weight=weight), abs=1e-6)
        expected = average_precision_score(positive, scores, sample_weight=weight)
        assert found.average_precision[column] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("tied", [False, True])
def test_capture_is_what_counting_gives(*, tied: bool) -> None:
    """The share of VIPs in the top tenth; of equals that are cut, the share that is expected in any order."""
    scores, positive, money, chance = drawn(3, tied=tied)
    found = rank(scores, positive, money, np.ones((400, 1), np.uint8))
    counted, value = [], []
    for _ in range(2_000 if tied else 1):
        order = np.lexsort((chance.random(400), -scores))[:40]
        counted.append(positive[order].sum() / positive.sum())
        value.append(money[order].sum() / money.sum())
    assert found.capture_at_10[0] == pytest.approx(np.mean(counted), abs=0.01 if tied else 1e-9)
    assert found.value_at_10[0] == pytest.approx(np.mean(value), abs=0.01 if tied else 1e-9)


def test_the_gini_of_the_money_is_one_for_the_perfect_order_and_minus_one_for_its_reverse() -> None:
    """And none for scores that are all alike."""
    _, positive, money, _ = drawn(4)
    ones = np.ones((400, 1), np.uint8)
    assert rank(money, positive, money, ones).value_gini[0] == pytest.approx(1.0)
    assert rank(-money, positive, money, ones).value_gini[0] == pytest.approx(-1.0)
    assert rank(np.zeros(400), positive, money, ones).value_gini[0] == pytest.approx(0.0)
    assert rank(np.zeros(400), positive, money, ones).roc_auc[0] == pytest.approx(0.5)
    assert rank(np.zeros(400), positive, money, ones).capture_at_10[0] == pytest.approx(0.1)


def test_a_class_that_is_lacking_gives_no_number() -> None:
    """NaN, and no warning."""
    scores, positive, money, _ = drawn(5)
    ones = np.ones((400, 1), np.uint8)
    for alike in (np.zeros_like(positive), np.ones_like(positive)):
        assert np.isnan(rank(scores, alike, money, ones).roc_auc[0])
    assert np.isnan(rank(scores, positive, np.zeros(400), ones).value_gini[0])


def test_gain_ends_with_everything() -> None:
    """And lies above the diagonal for scores that tell something."""
    scores, positive, money, _ = drawn(6)
    share, gain, value = curve(scores, positive, money)
    assert (share[-1], gain[-1], value[-1]) == pytest.approx((1.0, 1.0, 1.0))
    assert (gain >= share - 1e-9).all()
    assert (np.diff(gain) >= 0).all()


def test_intervals_hold_about_as_often_as_they_say() -> None:
    """Of 100 samples of a known AUC (0.76), about 95 intervals hold it; customers with many looks are drawn whole."""
    truth, held = 0.7602, 0
    for seed in range(100):
        scores, positive, money, _ = drawn(seed + 100, 300)
        population = Population([f"c{number}" for number in range(300)], draws=200, seed=seed)
        weights = population.weights(population.places([f"c{number}" for number in range(300)]))
        found = interval(rank(scores, positive, money, weights, with_money=False).roc_auc)
        assert found is not None
        held += found[0] <= truth <= found[1]
    assert 88 <= held <= 100


def test_a_customer_s_looks_are_drawn_together() -> None:
    """As often as the customer."""
    population = Population(["a", "b", "c"], draws=60)
    weights = population.weights(population.places(["a", "a", "b", "c", "b"]))
    assert (weights[0] == weights[1]).all()
    assert (weights[2] == weights[4]).all()
    assert (weights[[0, 2, 3]].sum(axis=0) == 3).all()
    assert (Population(["c", "b", "a"], draws=60).weights(population.places(["a"])) == weights[:1]).all()


def test_an_interval_needs_draws_that_found_something() -> None:
    """Half of them at least."""
    assert interval(np.array([nan, nan, nan, 0.5])) is None
    assert interval(np.array([0.4, 0.5, 0.6, nan])) is not None


def test_wilson_stays_within_0_and_1() -> None:
    """Also where nothing, or everything, came true."""
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0
    assert wilson(0, 0) == (0.0, 1.0)
