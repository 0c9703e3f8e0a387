"""Consent that comes after the look: a shop's checkout publishes both at once, on two topics, and either may be read first."""

import pytest
from msgspec import msgpack
from msgspec.structs import replace

from features.frozen import FrozenLook, Looks, decode_looks, encode_looks
from features.profile import GRANTED, WITHDRAWN
from schemas.events import CustomerScored, CustomerStanding, ExampleReady
from tests.property.histories import DAY_MS, POLICY
from tests.property.many_accounts import Scorers
from tests.unit.test_accounts import DAY, KEPT, OLD, consent, merge, order, wish


@pytest.fixture
def scorers():
    return Scorers()


def told(scorers, who=OLD):
    """Number and consent of each look, as the assigner hears of them."""
    return [(look.look_number, look.consent) for look in scorers.heard(CustomerScored, who)]


def test_a_look_that_found_no_consent_is_told_again_when_it_comes(scorers):
    """The same look with the same score and reasons, caused by the consent, after the assigner has heard of that."""
    scorers.tell("orders", order())
    scorers.tell("privacy", consent(granted=True))
    (before, after), standing = scorers.heard(CustomerScored), scorers.heard(CustomerStanding)[0]
    at_ms = consent(granted=True).occurred_at_ms
    assert replace(after, id=before.id, occurred_at_ms=before.occurred_at_ms, consent="unknown") == before
    assert (after.id, after.occurred_at_ms, after.consent) == ("privacy/0/0/CustomerScored/0", at_ms, "granted")
    assert scorers.told.index(standing) < scorers.told.index(after)
    assert (scorers.counts["looks"], scorers.counts["looks_told_again"]) == (1, 1)


def test_consent_from_before_the_order_that_is_read_after_it_makes_no_look_in_the_past(scorers):
    """The shop wrote it first, the worker had it last."""
    scorers.tell("orders", order(day=2))
    scorers.tell("privacy", consent(granted=True, day=1))
    assert {look.occurred_at_ms for look in scorers.heard(CustomerScored)} == {order(day=2).occurred_at_ms}


def test_consent_first_makes_one_look_and_consent_again_no_other(scorers):
    scorers.tell("privacy", consent(granted=True))
    scorers.tell("orders", order(day=2))
    scorers.tell("privacy", consent(granted=True, day=3))
    assert told(scorers) == [(1, "granted")]


def test_a_look_counts_once(scorers):
    """Who withdraws a consent that the look found, and grants it again, waits for the next look."""
    scorers.tell("orders", order())
    scorers.tell("privacy", *(consent(granted, day=day) for day, granted in enumerate((True, False, True), start=1)))
    assert told(scorers) == [(1, "unknown"), (1, "granted")]


def test_consent_refused_before_the_look_and_granted_after_it_is_a_consent_that_comes(scorers):
    scorers.tell("privacy", consent(granted=False, day=0))
    scorers.tell("orders", order())
    scorers.tell("privacy", consent(granted=True))
    assert told(scorers) == [(1, "withdrawn"), (1, "granted")]


def test_of_several_looks_the_last_is_told_again(scorers):
    scorers.tell("orders", order(), order(day=2, minor=1_000))
    scorers.tell("privacy", consent(granted=True, day=3))
    assert told(scorers) == [(1, "unknown"), (2, "unknown"), (2, "granted")]


@pytest.mark.parametrize(("day", "number_of_looks"), [(29, 4), (31, 4)])
def test_consent_counts_for_the_last_look_as_long_as_the_customer_is_new(scorers, day, number_of_looks):
    """30 days, as second looks are taken. Later there is no look to wait for any more."""
    scorers.tell("orders", order())
    scorers.pass_time(DAY + day * DAY_MS)
    looks = len(told(scorers))
    scorers.tell("privacy", consent(granted=True, day=day))
    assert len(told(scorers)) - looks == (1 if day < 30 else 0)
    scorers.pass_time(DAY + 40 * DAY_MS)
    assert scorers.counts["looks"] == number_of_looks


def test_who_was_no_new_customer_has_no_look_to_tell(scorers):
    scorers.tell("orders", order(customer_since_ms=DAY - 400 * DAY_MS))
    scorers.tell("privacy", consent(granted=True))
    assert told(scorers) == []


@pytest.mark.parametrize(("first", "looks"), [(None, ["unknown"]), (False, ["withdrawn", "granted"])])
def test_where_consent_is_not_asked_for_only_a_look_that_found_it_withdrawn_is_told_again(first, looks):
    """The others have counted already."""
    scorers = Scorers(policy=replace(POLICY, asks_consent=False))
    if first is not None:
        scorers.tell("privacy", consent(first, day=0))
    scorers.tell("orders", order())
    scorers.tell("privacy", consent(granted=True))
    assert [consent for _, consent in told(scorers)] == looks


def test_the_example_follows_from_the_look_that_counted(scorers):
    """One example for each look, with the id that an assignment names."""
    scorers.tell("orders", order())
    scorers.tell("privacy", consent(granted=True))
    last = scorers.heard(CustomerScored)[-1]
    scorers.pass_time(DAY + 31 * DAY_MS)
    assert [example.look_id for example in scorers.heard(ExampleReady) if example.look == "first"] == [last.id]


def test_consent_that_a_merge_brings_counts_too(scorers):
    """After everything that forbids: a "never" of the other account is heard first."""
    scorers.tell("orders", order(KEPT), order(OLD, day=1))
    scorers.tell("privacy", consent(granted=True, day=2), wish("never", day=2))
    heard = len(scorers.told)
    scorers.tell("privacy", merge())
    assert told(scorers, KEPT) == [(1, "unknown"), (1, "granted")]
    to_assigner = [event for event in scorers.told[heard:] if isinstance(event, CustomerScored | CustomerStanding)]
    assert [getattr(event, "standing", "look") for event in to_assigner if event.customer_id == KEPT] == [
        "consent_granted",
        "wish_never",
        "look",
    ]


def test_looks_kept_from_before_consent_was_written_down_with_them_are_not_told_again():
    """Whether they counted is not known."""
    looks = Looks("c", looks=[FrozenLook("first", 1, 5, 0.5, "m", (1.0,), "id")], consent=WITHDRAWN)
    old = msgpack.encode(msgpack.decode(encode_looks(looks))[:6])
    assert decode_looks(encode_looks(looks)).consent == WITHDRAWN
    assert decode_looks(old) == replace(looks, consent=GRANTED)
