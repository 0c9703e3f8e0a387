"""What the demo's observer knows follows from what it read, and from nothing else."""

import pytest

from features.vector import SECOND_FEATURES
from schemas.events import Brief, Reason
from streams.demo.observer import CONTROL, Mind, Moments, Observer, Share, percentile
from streams.demo.words import PHRASES, told_look, told_reasons
from tests.unit.demo_scenes import (
    LEARNT,
    REASONS,
    REJECT,
    assigned,
    busy_observer,
    committed,
    ended,
    example,
    hired,
    scored,
    snapshot,
    withheld,
)


@pytest.fixture
def observer() -> Observer:
    return Observer(horizon_days=180)


def test_looks_are_counted_by_kind(observer: Observer) -> None:
    """Scores are first and second looks together."""
    for event in (scored("a", 0.1), scored("b", 0.2), scored("a", 0.15, "day_7")):
        observer.take(event, 1.0)
    counts = observer.glance(9.0).counts
    assert (counts["scores"], counts["first_purchases"], counts["second_looks"]) == (3, 2, 1)


def test_a_look_told_again_is_no_other_first_purchase(observer: Observer) -> None:
    """Nor a second look: consent came after it."""
    for look in (scored("a", 0.1, consent="unknown"), scored("a", 0.3)):
        observer.take(look, 1.0)
    counts = observer.glance(9.0).counts
    assert counts == {"scores": 1, "first_purchases": 1}


def test_a_mind_is_changed_by_ten_points(observer: Observer) -> None:
    """Against the look before, not against the first."""
    looks = [scored("a", 0.10), scored("a", 0.19, "day_7"), scored("a", 0.30, "order"), scored("a", 0.15, "return")]
    for at_s, look in enumerate(looks):
        observer.take(look, float(at_s))
    assert observer.glance(9.0).minds == (Mind(0.30, looks[3]), Mind(0.19, looks[2]))


def test_decisions_are_timed_from_order_to_score_read(observer: Observer) -> None:
    """Of first purchases alone, and only where the moment of the order is known."""
    for number in range(1, 101):
        observer.ordered(f"c{number}", 10.0)
        observer.take(scored(f"c{number}", 0.1), 10.0 + number / 1000)
    observer.take(scored("c1", 0.1, "day_7"), 99.0)
    observer.take(scored("nobody timed", 0.1), 99.0)
    glance = observer.glance(99.0)
    assert [glance.p50_ms, glance.p99_ms] == pytest.approx([50.0, 99.0])


def test_percentiles_are_values_that_were_seen() -> None:
    assert [percentile([4.0, 1.0, 3.0, 2.0], share) for share in (0.01, 0.5, 0.75, 0.99)] == [1.0, 2.0, 3.0, 4.0]


def test_places_are_taken_and_come_free(observer: Observer) -> None:
    """An advisor who left is no longer shown; whoever is served says so, and so does the control group."""
    hires = (hired("dach-001"), hired("dach-002", capacity=5), hired("n-1", "north", status="left"))
    looks = (scored("a", 0.5), scored("b", 0.5), scored("c", 0.5))
    for number, event in enumerate([*hires, *looks, assigned("a"), assigned("b"), ended("b"), withheld("c")]):
        observer.take(event, float(number))
    glance = observer.glance(20.0)
    (dach,) = glance.pools
    assert (dach.serving, dach.capacity, dach.control) == (1, 17, 1)
    assert glance.fates == {"a": "dach-001", "c": CONTROL}


def test_outcomes_are_those_of_first_looks_at_the_horizon(observer: Observer) -> None:
    for told in (
        example("control", is_vip=True),
        example("control", is_vip=False),
        example("control", is_vip=True, look="day_7"),
        example("control", is_vip=True, horizon_days=30),
    ):
        observer.take(told, 1.0)
    glance = observer.glance(9.0)
    assert glance.outcomes == {"control": Share(1, 2)}
    assert (glance.counts["examples"], glance.counts["examples_learnt"]) == (4, 3)


def test_the_last_snapshot_judges(observer: Observer) -> None:
    observer.take(snapshot(second=LEARNT), 1.0)
    assert observer.glance(9.0).verdicts == {"second": LEARNT}


def test_the_worker_is_at_work_once_it_commits(observer: Observer) -> None:
    """Both who decide about customers; of the shop's records those count that were applied."""
    observer.take(committed("scorer", ("orders", 3, 5), ("assignments", 0, 9), ("browse", 0, 0)), 1.0)
    assert (observer.is_attended, observer.applied) == (False, 4)
    observer.take(committed("assigner", ("scores", 0, 0)), 1.0)
    assert (observer.is_attended, observer.applied) == (True, 4)


def test_of_each_moment_the_most_telling_is_kept() -> None:
    """A moment that is not over yet is not shown: its line would still change."""
    moments = Moments[int](weight=float, span_s=1.0)
    for at_s, item in ((0.0, 3), (0.5, 7), (0.9, 5), (1.0, 1), (1.5, 2)):
        moments.take(item, at_s)
    assert moments.seen(1.9) == (7,)
    assert moments.seen(2.0) == (2, 7)


def test_rejects_are_kept_with_their_reason(observer: Observer) -> None:
    observer.take(REJECT, 1.0)
    assert observer.glance(9.0).rejects == (REJECT,)
    assert observer.glance(9.0).counts["rejected_invalid"] == 1


def test_a_busy_year_leaves_something_of_everything() -> None:
    glance = busy_observer().glance(100.0)
    assert all(
        (glance.firsts, glance.minds, glance.pools, glance.tiers, glance.rejects, glance.outcomes, glance.verdicts)
    )


# ---- words -------------------------------------------------------------------------------------------------------------


def test_every_feature_has_words() -> None:
    """A reason is never told as the name of a variable."""
    for feature in SECOND_FEATURES:
        words = PHRASES[feature](0.7, "EUR")
        assert words
        assert "_" not in words


def test_reasons_with_the_same_words_are_one() -> None:
    """The largest first, the rest together left out."""
    assert told_reasons(REASONS, "EUR") == [("↑", "order value"), ("↓", "2 articles")]
    spent = Reason(feature="log_later_net_spend", value=6.8034, contribution=-0.1)
    assert told_reasons((spent,), "EUR") == [("↓", "spent € 899 since")]


def test_a_quiet_customer_is_said_to_be_quiet() -> None:
    assert told_look(scored("a", 0.1, "day_14")) == "14 days, no order"
    assert told_look(scored("a", 0.1, "day_14", brief=Brief(orders=2))) == "14 days on"
