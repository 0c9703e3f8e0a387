"""`maitred verify` in simulated worlds: what crashed and recovered is equal; whatever is altered afterwards is found."""

from collections.abc import Callable, Iterator
from functools import cache

import pytest
from msgspec.structs import replace

from streams.log import Message
from streams.settings import Settings
from streams.verify.given import CannotVerify
from streams.verify.matching import Difference
from streams.verify.telling import told
from streams.verify.verifying import Verdict, verify
from tests.simulation.fault_free import WorldReads
from tests.simulation.parts import read
from tests.simulation.plans import maitred_plan
from tests.simulation.shop import REGISTRY
from tests.simulation.world import World

SEEDS = range(12)
Alter = Callable[[list[Message]], list[Message]]


@cache
def world_of(seed: int) -> World:
    world = World(seed, maitred_plan(seed))
    world.run()
    return world


class Altered(WorldReads):
    """A world's topics, one of them with something done to it. `first` is the first offset that is kept there."""

    def __init__(self, world: World, place: tuple[str, int], alter: Alter, first: int = 0) -> None:
        super().__init__(world)
        self._read[place] = alter(self._all(*place))
        self._place, self._first = place, first

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        first, end = super().bounds(topic, partition)
        return (self._first if (topic, partition) == self._place else first), end


def verified(reads: WorldReads, settings: Settings, most: int = 1) -> Verdict:
    return verify(reads, [settings], REGISTRY, most=most)


def busiest(world: World, topic: str) -> tuple[str, int]:
    """The partition of a topic that holds most."""
    places = [place for place in world.broker.logs if place[0] == topic]
    return max(places, key=lambda place: len([*world.broker.logs[place].committed()]))


def eventful(topic: str) -> Iterator[World]:
    """Worlds with at least three records on one partition of a topic, besides an operator's."""
    for seed in SEEDS:
        world = world_of(seed)
        messages = world.broker.logs[busiest(world, topic)].committed()
        if len([message for message in messages if not by_operators(message)]) >= 3:
            yield world


def by_operators(message: Message) -> bool:
    return message.topic == "examples" and "ce_source" not in dict(message.headers)


def of_ours(alter: Alter) -> Alter:
    """Does it to what was decided, and leaves an operator's records as they are."""

    def altered(messages: list[Message]) -> list[Message]:
        left = [message for message in messages if by_operators(message)]
        ours = alter([message for message in messages if not by_operators(message)])
        return sorted([*ours, *left], key=lambda message: message.offset)

    return altered


def first_difference(topic: str, alter: Alter) -> Difference:
    world = next(eventful(topic))
    place = busiest(world, topic)
    verdict = verified(Altered(world, place, of_ours(alter)), world.plan.settings)
    assert len(verdict.differences) == 1
    return verdict.differences[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_decided_is_equal_whatever_crashed(seed: int) -> None:
    world = world_of(seed)
    verdict = verified(WorldReads(world), world.plan.settings)
    assert not [told(difference, read) for difference in verdict.differences]
    applied = sum(len([*log.committed()]) for (topic, _), log in world.broker.logs.items() if topic == "orders")
    assert verdict.records["scorer"] >= applied
    assert verdict.entries.total() == verdict.outputs["scorer.batch-log"] + sum(
        verdict.outputs[f"{name}.batch-log"] for name in ("assigner", "learner")
    )


# ---- what is found ---------------------------------------------------------------------------------------------------


def without_the_second(messages: list[Message]) -> list[Message]:
    return [messages[0], *messages[2:]]


def with_another_value(messages: list[Message]) -> list[Message]:
    """The last byte of the second record is another one."""
    value = messages[1].value or b"\0"
    return [messages[0], messages[1]._replace(value=value[:-1] + bytes([value[-1] ^ 1])), *messages[2:]]


def with_another_header(messages: list[Message]) -> list[Message]:
    return [messages[0]._replace(headers=(*messages[0].headers, ("added", b"later"))), *messages[1:]]


def with_one_more(messages: list[Message]) -> list[Message]:
    last = messages[-1]
    headers = tuple((name, b"forged" if name == "ce_id" else value) for name, value in last.headers)
    return [*messages, last._replace(offset=last.offset + 1, headers=headers)]


def with_one_twice(messages: list[Message]) -> list[Message]:
    return [*messages, messages[-1]._replace(offset=messages[-1].offset + 1)]


TOPICS = ("scores", "tier-changes", "examples", "assignments", "snapshots")


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize(
    ("alter", "kind"),
    [
        (with_another_value, "differs"),
        (with_another_header, "differs"),
        (without_the_second, "lacking"),
        (with_one_more, "too much"),
        (with_one_twice, "too much"),
    ],
)
def test_what_was_altered_is_found(topic: str, alter: Alter, kind: str) -> None:
    """On topics that others decide from, the deciding anew may notice first that nothing fits together any more."""
    try:
        difference = first_difference(topic, alter)
    except CannotVerify:
        assert topic in ("scores", "examples", "assignments", "snapshots")
        return
    assert difference.kind == kind or difference.topic != topic
    assert told(difference, read)


def test_a_difference_shows_both_sides_field_by_field() -> None:
    difference = first_difference("tier-changes", with_another_header)
    text = told(difference, read)
    assert "tier-changes[" in text
    assert "header added: found later" in text
    assert "recomputed None" in text


def test_two_outputs_that_changed_places_are_out_of_order() -> None:
    def swapped(messages: list[Message]) -> list[Message]:
        one, other, *rest = messages
        return [other._replace(offset=one.offset), one._replace(offset=other.offset), *rest]

    world = next(world for world in eventful("tier-changes") if world.plan.settings.partitions == 1)
    verdict = verified(Altered(world, busiest(world, "tier-changes"), swapped), world.plan.settings)
    assert [difference.kind for difference in verdict.differences] == ["out of order"]


def test_a_state_that_is_another_is_found() -> None:
    def altered(messages: list[Message]) -> list[Message]:
        place = max(i for i, m in enumerate(messages) if m.value is not None and (m.key or b"").startswith(b"p/"))
        value = messages[place].value or b""
        return [*messages[:place], messages[place]._replace(value=value + b"\0"), *messages[place + 1 :]]

    difference = first_difference("scorer.changelog", altered)
    assert (difference.kind, difference.topic) == ("state differs", "scorer.changelog")


# ---- what can't be told ----------------------------------------------------------------------------------------------


def test_settings_of_another_time_are_asked_for_and_found() -> None:
    world = world_of(0)
    now = replace(world.plan.settings, scoring=replace(world.plan.settings.scoring, reasons=1))
    with pytest.raises(CannotVerify, match="name the settings of then, too: --settings FILE"):
        verified(WorldReads(world), now)
    then = replace(world.plan.settings, partitions=world.plan.settings.partitions + 1)  # a file that leaves them out
    assert verify(WorldReads(world), [now, then], REGISTRY).is_equal


def test_sources_that_were_not_kept_are_named() -> None:
    world = next(eventful("orders"))
    place = busiest(world, "orders")
    first = [*world.broker.logs[place].committed()][1].offset
    reads = Altered(world, place, lambda messages: messages[1:], first)
    with pytest.raises(
        CannotVerify, match=rf"orders\[{place[1]}\]: expected its records from .* keep sources for ever"
    ):
        verified(reads, world.plan.settings)


def test_an_entry_that_is_missing_is_named() -> None:
    world = next(eventful("scorer.batch-log"))
    place = busiest(world, "scorer.batch-log")
    with pytest.raises(CannotVerify, match="expected entry 1, got 2"):
        verified(Altered(world, place, without_the_second), world.plan.settings)


def test_outputs_out_of_retention_are_no_difference() -> None:
    world = next(eventful("tier-changes"))
    place = busiest(world, "tier-changes")
    first = [*world.broker.logs[place].committed()][1].offset
    verdict = verified(Altered(world, place, lambda messages: messages[1:], first), world.plan.settings)
    assert verdict.is_equal
    assert verdict.no_longer_kept["tier-changes"] == 1
