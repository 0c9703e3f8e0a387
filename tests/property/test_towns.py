"""What customers want reaches every pool that may serve them: over imports, merges, chains and circles, whoever hears first."""

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import ConsentChanged, ErasureRequested, OrderLine, OrderPlaced
from streams.assignment import AssignmentPolicy
from tests.property.assignment_worlds import DAY_MS
from tests.property.towns import ADVISORS, CUSTOMERS, MARKETS, POOLS, Town, entry, lived, wished

seeds = st.integers(0, 2**32 - 1)
thorough = settings(max_examples=200, deadline=None)


@thorough
@given(seeds)
def test_consent_withdrawn_ends_every_service_in_whichever_pool_and_no_wish_begins_one(seed):
    """Also of who is served by an imported relation, or as the heir of an account that ended."""
    town, chance = lived(seed)
    for who in CUSTOMERS:
        town.publish("privacy", ConsentChanged(customer_id=who, occurred_at_ms=town.now_ms, granted=False))
        town.settle(chance)
    assert not town.served
    town.now_ms += 5 * DAY_MS
    town.pass_time()
    for who in CUSTOMERS:
        town.publish("privacy", wished(who, town.now_ms))
    town.settle(chance)
    assert not town.served


@thorough
@given(seeds)
def test_an_erased_customer_leaves_nothing_in_any_state(seed):
    """Of the scorers as of the assigners: neither as a key nor within a value."""
    town, chance = lived(seed)
    for who in CUSTOMERS:
        town.publish("privacy", ErasureRequested(customer_id=who, occurred_at_ms=town.now_ms))
        town.settle(chance)
    assert not town.served
    assert town.traces() == []


WILLS = ((), (True,), (False,), (False, True), (True, False), (False, False, True))


@thorough
@given(st.lists(st.sampled_from(WILLS), min_size=len(CUSTOMERS), max_size=len(CUSTOMERS)), seeds)
def test_who_is_served_does_not_depend_on_which_of_a_shops_topics_is_read_first(wills, seed):
    """Where there is room for all, it is whoever has bought and agrees in the end, by one assignment each."""
    chance = Random(seed)
    town = Town(
        chance.choice((1, 2, 3)),
        AssignmentPolicy(version="wide", control_share=0, expected_looks=1, expected_weight_days=14),
    )
    for pool in POOLS:
        town.publish("roster", entry(ADVISORS[0], pool, town.now_ms, capacity=50, daily_intake=50))
    town.settle(chance)
    left = {"orders": orders(chance, town.now_ms), "privacy": consents(wills, town.now_ms)}
    while any(left.values()):
        topic = chance.choice([topic for topic, events in left.items() if events])
        town.publish(topic, left[topic].pop(0))
        if chance.random() < 0.5:
            town.settle(chance)
    town.settle(chance)
    agree = {who for who, will in zip(CUSTOMERS, wills, strict=True) if will[-1:] == (True,)}
    assert {who for who, _ in town.served} == agree
    once = sum(1 for will in wills if will in ((True,), (False, True), (False, False, True)))
    assert once <= town.counts["cause_look"] <= once + wills.count((True, False))


def orders(chance, at_ms):
    """One or two of every customer."""
    lines = (OrderLine(sku="a", quantity=1, unit_price_minor=1_000),)
    return [
        OrderPlaced(
            order_id=f"{who}/{number}", occurred_at_ms=at_ms + number, currency="EUR",
            market=chance.choice(tuple(MARKETS)), customer_id=who, lines=lines,
        )
        for number in range(2) for who in CUSTOMERS if number == 0 or chance.random() < 0.5
    ]  # fmt: skip


def consents(wills, at_ms):
    return [
        ConsentChanged(customer_id=who, occurred_at_ms=at_ms + number, granted=granted)
        for who, will in zip(CUSTOMERS, wills, strict=True)
        for number, granted in enumerate(will)
    ]


def test_towns_are_worth_the_name():
    """What the properties look at does happen: services of every origin, merges, circles, erasures, refusals."""
    seen: Counter[str] = Counter()
    for seed in range(60):
        town, _ = lived(seed)
        seen.update(town.counts)
        seen["served"] += len(town.served)
        seen["traces"] += len(town.traces())
    assert min(seen[name] for name in COUNTED) > 10, seen


COUNTED = (
    "served", "traces", "merges", "forwarded", "AssignmentWithheld", "cause_look", "cause_manual", "cause_imported",
    "cause_merged", "rejected", "ErasureRequested", "looks_told_again",
)  # fmt: skip
