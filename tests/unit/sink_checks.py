"""What every `Sink` must do: one list of checks, run on each implementation.

A check is a function of a `Place to deliver to`: it opens sinks onto it, one after the other as a process that is started
again would, and asks what has arrived there. Its docstring says what must hold.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import pytest

from schemas.errors import MaitredError, SettingsError, SinkUnavailable
from schemas.events import Event, TierChanged
from sinks.base import Delivery, Place, Sink

FIRST = ("tier-changes", 0)
OTHER = ("tier-changes", 1)
NOON_MS = 1_792_108_800_000


class Target(Protocol):
    """Where a sink delivers to, for a test."""

    def sink(self) -> Sink:
        """A sink onto it, as a process that starts makes one."""
        ...

    def abandon(self, sink: Sink) -> None:
        """What is left of a sink whose process was killed: nothing is finished, nothing is handed over."""
        ...

    def arrived(self) -> list[tuple[str, int, int, str]]:
        """What has arrived, in its order within a customer: topic, partition, offset, id."""
        ...

    def unusable(self) -> Callable[[], object]:
        """Something that fails because a person must mend it."""
        ...


def event_of(place: Place, offset: int, customer: str) -> Event:
    return TierChanged(
        id=f"orders/{place[1]}/{offset}/TierChanged/0", customer_id=customer, market="DE", occurred_at_ms=NOON_MS + offset,
        change="reached", tier="gold", qualifying_minor=150_000, missing_minor=0, policy_version="p",
    )  # fmt: skip


def delivery(offset: int, place: Place = FIRST, customer: str | None = None, *, is_over: bool = False) -> Delivery:
    customer = customer if customer is not None else f"c{offset % 5}"
    event = None if is_over else event_of(place, offset, customer)
    value = None if is_over else b"\0\0\0\0\1some bytes"
    headers = () if event is None else (("ce_id", event.id.encode()), ("ce_source", b"/maitred/tier-changes"))  # type: ignore[union-attr]  # of this type
    return Delivery(*place, offset, NOON_MS + offset, customer.encode(), value, headers, event)


def deliveries(offsets: Sequence[int], place: Place = FIRST) -> list[Delivery]:
    return [delivery(offset, place) for offset in offsets]


def opened(target: Target, places: Sequence[Place] = (FIRST,)) -> tuple[Sink, Mapping[Place, int]]:
    sink = target.sink()
    return sink, sink.open(places)


def arrived_offsets(target: Target, place: Place = FIRST) -> list[int]:
    return [offset for topic, partition, offset, _ in target.arrived() if (topic, partition) == place]


def check_what_is_put_arrives_once_it_is_flushed(target: Target) -> None:
    """Every record, with the id of its event, and the sink says that all of them are delivered."""
    sink, _ = opened(target)
    sent = deliveries(range(0, 40, 2))  # what lies between is no record: markers of transactions
    sink.put(sent)
    assert sink.flush()
    assert sorted(target.arrived()) == [(*d.place, d.offset, d.id) for d in sent]
    assert sink.settled() == {FIRST: 39}
    sink.close()


def check_records_of_a_customer_keep_their_order(target: Target) -> None:
    """However many are under way at once."""
    sink, _ = opened(target, [FIRST, OTHER])
    for start in range(0, 60, 20):
        sink.put(deliveries(range(start, start + 20)) + deliveries(range(start, start + 20), OTHER))
    sink.flush()
    sink.close()
    for place in (FIRST, OTHER):
        found = arrived_offsets(target, place)
        assert len(found) == 60
        for customer in range(5):
            mine = [offset for offset in found if offset % 5 == customer]
            assert mine == sorted(mine)
            assert len(mine) == 12


def check_nothing_is_lost_when_a_process_is_killed(target: Target) -> None:
    """Who is started next goes on from where the sink, or else the offsets noted, stood; what comes twice has its id."""
    noted: dict[Place, int] = {}
    for _ in range(6):
        sink, known = opened(target)
        start = known.get(FIRST, noted.get(FIRST, 0))
        sink.put(deliveries(range(start, min(start + 9, 30))))
        noted.update(sink.settled())
        sink.put(deliveries(range(min(start + 9, 30), min(start + 12, 30))))
        target.abandon(sink)
    sink, known = opened(target)
    sink.put(deliveries(range(known.get(FIRST, noted.get(FIRST, 0)), 30)))
    sink.flush()
    sink.close()
    arrived = target.arrived()
    assert {offset for _, _, offset, _ in arrived} == set(range(30))
    assert all(name == delivery(offset).id for _, _, offset, name in arrived)


def check_settled_never_runs_ahead(target: Target) -> None:
    """What the sink says is delivered has arrived, at any moment."""
    sink, _ = opened(target)
    for start in range(0, 50, 10):
        sink.put(deliveries(range(start, start + 10)))
        reached = sink.settled().get(FIRST, 0)
        assert set(range(reached)) <= set(arrived_offsets(target))
    sink.close()


def check_releasing_finishes_and_says_how_far(target: Target) -> None:
    """What is left after a release is nobody's: the next owner goes on from what it said, and has everything."""
    sink, _ = opened(target, [FIRST, OTHER])
    sink.put(deliveries(range(10)) + deliveries(range(3), OTHER))
    reached = dict(sink.release())
    assert sink.settled() == {}
    known = sink.open([OTHER])
    sink.put(deliveries(range(known.get(OTHER, reached.get(OTHER, 0)), 6), OTHER))
    sink.flush()
    assert set(sink.settled()) == {OTHER}
    sink.close()
    assert set(range(reached.get(FIRST, 0))) <= set(arrived_offsets(target))
    assert set(arrived_offsets(target, OTHER)) == set(range(6))


def check_a_tombstone_arrives_as_one(target: Target) -> None:
    """A record without a value says that what its key names is over: it has a place, and its place is its id."""
    sink, _ = opened(target)
    sink.put([delivery(0, customer="c"), delivery(1, customer="c", is_over=True)])
    sink.flush()
    sink.close()
    assert [name for *_, name in target.arrived()] == [delivery(0).id, "tier-changes[0]@1"]


def check_any_name_is_delivered(target: Target) -> None:
    """Customers have names of all kinds, and keys need not even be text."""
    sink, _ = opened(target)
    names = ["Jürgen 東京 🥂", 'a"b\\c\n', "", "x" * 128, "a/b"]
    sent = [delivery(offset, customer=name) for offset, name in enumerate(names)]
    sent.append(delivery(len(names), is_over=True)._replace(key=b"\xff\xfe"))
    sink.put(sent)
    sink.flush()
    sink.close()
    assert sorted(arrived_offsets(target)) == list(range(len(sent)))


def check_an_idle_sink_is_settled(target: Target) -> None:
    """With nothing put, flushing and releasing return, nothing is claimed, and there is room."""
    sink, _ = opened(target)
    sink.flush()
    assert sink.room() > 0
    assert all(at == 0 for at in sink.settled().values())
    sink.release()
    sink.close()
    assert target.arrived() == []


def check_an_error_says_what_to_do(target: Target) -> None:
    """Expected, got, where, and the cure."""
    fails = target.unusable()
    with pytest.raises(MaitredError) as raised:
        fails()
    error = raised.value
    assert isinstance(error, SinkUnavailable | SettingsError)
    assert all(
        (error.expected, error.got, error.cure, error.where if isinstance(error, SinkUnavailable) else error.key)
    )


CHECKS: tuple[Callable[[Target], None], ...] = tuple(
    check for name, check in sorted(globals().items()) if name.startswith("check_")
)
