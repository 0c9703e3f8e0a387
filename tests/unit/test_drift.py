from random import Random

import pytest
from msgspec.msgpack import decode, encode

from features.vector import FEATURES
from online_models.drift import EVERY, KEPT, LOSS, LOSS_OVER_RULE, OUTCOME, RECENT, Lookout, Series, has_worsened
from schemas.events import Drift

SPEND = FEATURES.index("log_first_spend")


def seen(lookout, chance, count, *, loss=0.1, kind="first", rate=0.1):
    """So many outcomes: the champion puts `loss` too little on what happens, the rule does not."""
    found = []
    for n in range(count):
        outcome = chance.random() < rate
        by_champion = (0.9 - loss if outcome else 0.1 + loss) + chance.uniform(-0.02, 0.02)
        found += lookout.see_outcome(kind, by_champion, 0.9 if outcome else 0.1, n, outcome=outcome)
    return found


def test_nothing_is_found_where_nothing_changes():
    """Ten thousand outcomes of one kind; a false alarm would be told to people."""
    lookout = Lookout()
    assert seen(lookout, Random(1), 10_000) == []
    assert lookout.count == {}


def test_a_champion_that_grows_worse_is_found_soon():
    """By its loss, and by what it loses beyond the rule; the means tell how much."""
    lookout, chance = Lookout(), Random(2)
    assert seen(lookout, chance, 1_000, loss=0.05) == []
    found = seen(lookout, chance, 600, loss=0.4)
    assert {drift.series for drift in found} == {LOSS, LOSS_OVER_RULE}
    assert all(drift.after > drift.before + 0.2 for drift in found)
    assert all(drift.kind == "first" for drift in found)


@pytest.mark.parametrize(
    ("series", "before", "after", "worse"),
    [
        (LOSS, 0.3, 0.4, True),
        (LOSS, 0.4, 0.3, False),
        (LOSS_OVER_RULE, -0.02, 0.04, True),
        (LOSS_OVER_RULE, -0.09, -0.04, False),
        (OUTCOME, 0.1, 0.3, False),
    ],
)
def test_only_a_champion_that_grows_worse_has_to_answer(series, before, after, worse):
    """One that loses less than before, or still less than the rule, does not give way to the rule."""
    drift = Drift(kind="first", series=series, detector="", before=before, after=after, occurred_at_ms=1)
    assert has_worsened(drift) is worse


def test_outcomes_that_become_more_frequent_are_found():
    lookout, chance = Lookout(), Random(3)
    assert seen(lookout, chance, 1_000, rate=0.05) == []
    assert OUTCOME in {drift.series for drift in seen(lookout, chance, 400, rate=0.5)}


def test_a_feature_that_changes_is_found():
    """Prices double: log spend grows by 0.7."""
    lookout, chance = Lookout(), Random(4)
    vector = [0.0] * len(FEATURES)

    def orders(mean, count):
        found: list[Drift] = []
        for n in range(count):
            vector[SPEND] = chance.gauss(mean, 0.8)
            found += lookout.see_first_order(vector, n)
        return found

    assert orders(5.0, 2_000) == []
    [drift] = orders(5.7, 400)
    assert (drift.kind, drift.series, drift.detector) == ("first", "log_first_spend", "ADWIN")
    assert 4.9 < drift.before < 5.4 < drift.after


def test_what_was_found_is_told_once_and_remembered_for_a_while():
    lookout, chance = Lookout(), Random(5)
    for n in range(40):
        seen(lookout, chance, 300, loss=0.05 if n % 2 else 0.6)
    told = lookout.tell()
    assert len(told) > RECENT
    assert lookout.tell() == ()
    assert lookout.found == told[-RECENT:]
    assert sum(lookout.count.values()) == len(told)


def test_the_state_goes_on_where_it_was_taken_out():
    """At any point, also while values wait to be looked at."""
    one, chance = Lookout(), Random(6)
    other, same = Lookout(), Random(6)
    for count, loss in ((EVERY * 9 + 17, 0.05), (EVERY * 9 + 1, 0.5), (7, 0.5), (EVERY * 4, 0.05)):
        found = seen(one, chance, count, loss=loss)
        other = decode(encode(other), type=Lookout)
        assert seen(other, same, count, loss=loss) == found
    assert encode(one) == encode(other)
    assert one.count


def test_a_series_stays_small():
    series, chance = Series(), Random(7)
    for _ in range(10 * KEPT):
        series.add(chance.random(), "ADWIN")
    assert len(series.seen) <= KEPT * 4
    assert len(series.waiting) < EVERY * 4


def test_another_model_starts_anew():
    """What the one before lost is no measure of it; features and outcomes go on."""
    lookout, chance = Lookout(), Random(8)
    seen(lookout, chance, 1_000, loss=0.05)
    lookout.forget_the_model()
    assert set(lookout.series) == {"first/outcome"}
    assert {drift.series for drift in seen(lookout, chance, 400, loss=0.4)} <= {OUTCOME}
