"""What customers want reaches every pool that may serve them: over imports, merges, chains and circles, whoever hears first."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import ConsentChanged, ErasureRequested
from tests.property.assignment_worlds import DAY_MS
from tests.property.towns import CUSTOMERS, lived, wished

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
    "cause_merged", "rejected", "ErasureRequested",
)  # fmt: skip
