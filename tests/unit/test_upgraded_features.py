"""Looks that an earlier release froze, over other features: they teach as what they are, and nothing is built on them."""

import pytest
from msgspec.structs import replace

from features.frozen import Looks, decode_looks, encode_looks
from features.store import Position
from features.vector import FEATURES_VERSION
from schemas.events import CustomerScored, ExampleReady
from schemas.ids import partition_of
from schemas.records import Write
from tests.property.histories import DAY_MS
from tests.property.many_accounts import Scorers
from tests.unit.test_accounts import DAY, OLD, consent, order

EARLIER = "0ld0ld00"


@pytest.fixture
def upgraded():
    """A first look taken under the earlier release, which knew two features less."""
    scorers = Scorers()
    scorers.tell("orders", order())
    partition, key = partition_of(OLD, 2), f"l/{OLD}"
    looks = decode_looks(scorers.store.load(partition, frozenset((key,)), -1).values[key])
    earlier = [replace(look, vector=look.vector[:-2]) for look in looks.looks]
    write = Write(key, encode_looks(replace(looks, looks=earlier, features_version=EARLIER)))
    scorers.store.apply(partition, scorers.entries[partition], Position(scorers.entries[partition] + 1), [write])
    scorers.entries[partition] += 1
    return scorers


def test_no_second_look_is_taken_over_places_that_have_moved(upgraded):
    """Neither at an order, nor on the days, nor when consent comes."""
    before = upgraded.heard(CustomerScored)
    upgraded.tell("privacy", consent(granted=True))
    upgraded.tell("orders", order(day=3))
    upgraded.pass_time(DAY + 31 * DAY_MS)
    assert upgraded.heard(CustomerScored) == before
    assert upgraded.counts["looks_of_other_features"] == 4  # the order, and days 7, 14, 30


def test_its_example_says_which_features_it_has(upgraded):
    """So the learner leaves it out instead of taking one feature for another."""
    upgraded.pass_time(DAY + 31 * DAY_MS)
    (example,) = upgraded.heard(ExampleReady)
    assert (example.look, example.features_version) == ("first", EARLIER)


def test_who_comes_after_the_upgrade_is_looked_at_again(upgraded):
    upgraded.tell("orders", order("new"))
    upgraded.pass_time(DAY + 31 * DAY_MS)
    assert {look.look for look in upgraded.heard(CustomerScored, "new")} == {"first", "day_7", "day_14", "day_30"}
    assert {e.features_version for e in upgraded.heard(ExampleReady, "new")} == {FEATURES_VERSION}


def test_the_version_is_kept_with_the_looks():
    looks = Looks("c", features_version=EARLIER)
    assert decode_looks(encode_looks(looks)) == looks
    assert not looks.is_current
