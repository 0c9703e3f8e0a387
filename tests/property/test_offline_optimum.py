from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.replay.offline_optimum import DAY_MS, Chance, offline_optimum
from streams.replay.simple_policies import above, everybody, taken_by

chances = st.lists(
    st.builds(
        Chance,
        at_ms=st.integers(0, 9).map(lambda day: day * DAY_MS + 7),
        who=st.sampled_from("abcd"),
        value=st.sampled_from((0.1, 0.2, 0.35, 0.5, 0.9)),
    ),
    max_size=9,
)


def is_possible(taken, places, service_days, intake):
    """Told by its words: each customer once, never more places held than there are, nor more begun in a day than may be."""
    if len({chance.who for chance in taken}) < len(taken):
        return False
    for day in range(10):
        begun = sum(chance.at_ms // DAY_MS == day for chance in taken)
        held = sum(0 <= day - chance.at_ms // DAY_MS < service_days for chance in taken)
        if held > places or begun > (intake or 99):
            return False
    return True


def brute_force(seen, places, service_days, intake):
    """The best of all subsets."""
    subsets = ([c for c, kept in zip(seen, mask, strict=True) if kept] for mask in product((0, 1), repeat=len(seen)))
    possible = (taken for taken in subsets if is_possible(taken, places, service_days, intake))
    return max(sum(chance.value for chance in taken) for taken in possible)


@settings(max_examples=60, deadline=None)
@given(chances, st.integers(1, 3), st.integers(1, 6), st.sampled_from((None, 1, 2)))
def test_the_optimum_is_that_of_all_subsets(seen, places, service_days, intake):
    """Of whole numbers the best; where the solver shares a place, what it gives is above that, and by less than a look."""
    exact = brute_force(seen, places, service_days, intake)
    solved = offline_optimum(seen, places, service_days, intake)
    assert solved.value >= exact - 1e-9
    if all(share > 1 - 1e-6 for _, share in solved.taken):
        taken = [seen[index] for index, _ in solved.taken]
        assert is_possible(taken, places, service_days, intake)
        assert solved.value == pytest.approx(exact)
        assert sum(chance.value for chance in taken) == pytest.approx(exact)
    else:
        assert solved.value < exact + 0.9


@settings(max_examples=60, deadline=None)
@given(chances, st.integers(1, 3), st.integers(1, 6), st.sampled_from((0.0, 0.2, 0.4)))
def test_no_policy_beats_the_optimum(seen, places, service_days, threshold):
    """Nor does one give more places than there are."""
    seen = sorted(seen)
    for wants in (everybody, above(threshold)):
        taken = [seen[index] for index in taken_by(seen, wants, places, service_days)]
        assert is_possible(taken, places, service_days, None)
        assert sum(c.value for c in taken) <= offline_optimum(seen, places, service_days).value + 1e-9


def begun_by_turns(taken, places, service_days, waiting_days):
    """Whether all can begin in time, if each begins as soon as a place is free, whoever was taken first before the others."""
    begun: list[int] = []
    for day in sorted(chance.at_ms // DAY_MS for chance in taken):
        start = day if len(begun) < places else max(day, begun[-places] + service_days)
        if start > day + waiting_days or start > 9:
            return False
        begun.append(start)
    return len({chance.who for chance in taken}) == len(taken)


@settings(max_examples=60, deadline=None)
@given(chances, st.integers(1, 2), st.integers(1, 5), st.integers(1, 3))
def test_whoever_may_wait_is_taken_when_a_place_comes_free(seen, places, service_days, waiting_days):
    """The best of all subsets who can wait for their turn; nobody begins after the last look."""
    last = max((chance.at_ms // DAY_MS for chance in seen), default=0)
    seen = [*seen, Chance(9 * DAY_MS, "last", 0.01)] if last < 9 else seen
    subsets = ([c for c, kept in zip(seen, mask, strict=True) if kept] for mask in product((0, 1), repeat=len(seen)))
    possible = (taken for taken in subsets if begun_by_turns(taken, places, service_days, waiting_days))
    exact = max(sum(chance.value for chance in taken) for taken in possible)
    solved = offline_optimum(seen, places, service_days, None, waiting_days)
    assert solved.value >= exact - 1e-9
    if all(share > 1 - 1e-6 for _, share in solved.taken):
        assert solved.value == pytest.approx(exact)


def test_a_place_is_free_again_after_the_service_period():
    """One place, looks of two days apart: which of them fit depends on how long it is held."""
    seen = [Chance(day * DAY_MS, f"c{day}", 1.0) for day in range(0, 10, 2)]
    assert [offline_optimum(seen, 1, days).value for days in (2, 3, 4, 9)] == pytest.approx([5.0, 3.0, 3.0, 1.0])


def test_without_places_or_looks_there_is_nothing():
    assert offline_optimum([], 3, 90).value == 0.0
    assert offline_optimum([Chance(0, "a", 0.5)], 0, 90).value == 0.0
    assert offline_optimum([Chance(0, "a", 0.0)], 1, 90).taken == ()
