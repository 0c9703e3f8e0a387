"""The simulated Kafka keeps the contract that the real one is held to, and does what Kafka does behind it."""

from collections.abc import Callable, Sequence
from random import Random
from time import time_ns

import pytest

from schemas.errors import CommitUnsettled, LogUnavailable
from streams.log import OutMessage
from tests.simulation.broker import TRANSACTION_TIMEOUT_MS, Broker
from tests.simulation.simulated_log import SimulatedLog
from tests.unit.kafka_members import PARTITIONS, TOPICS
from tests.unit.log_checks import CHECKS, SOURCES, Member


class Place:
    """A broker with a clock of its own, and members of one group."""

    def __init__(self) -> None:
        self.now_ms = time_ns() // 1_000_000
        self.broker = Broker(dict.fromkeys(TOPICS, PARTITIONS), lambda: self.now_ms)

    def member(self, name: str = "a", transactional_id: str = "") -> Member:
        group = self.broker.group("scorer", PARTITIONS)
        log = SimulatedLog(
            self.broker, group, SOURCES, name, transactional_id or name, lambda: self.now_ms, lambda _: False, Random(0)
        )
        return Member(log, self.put)

    def put(self, topic: str, partition: int, values: Sequence[bytes]) -> None:
        for value in values:
            self.broker.publish(topic, partition, None, value)

    def joined(self, *names: str) -> list[Member]:
        members = [self.member(name) for name in names]
        for _ in range(3):
            for member in members:
                member.poll()
        return members

    def deliver(self) -> None:
        for marker in self.broker.on_their_way():
            self.broker.deliver(*marker)


def out(value: bytes, topic: str = "scores", partition: int = 0) -> OutMessage:
    return OutMessage(topic, partition, b"key", value)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_contract(check: Callable[[Member], None]) -> None:
    (member,) = Place().joined("a")
    check(member)


def test_a_transaction_becomes_visible_place_by_place() -> None:
    """Decided is not yet visible; each partition learns of it by its own marker, which takes an offset."""
    place = Place()
    (member,) = place.joined("a")
    ends = member.log.commit([out(b"1"), out(b"2", "batch-log")], {("orders", 0): 1})
    scores, batch_log = place.broker.logs["scores", 0], place.broker.logs["batch-log", 0]
    assert ends == {("scores", 0): 1, ("batch-log", 0): 1}
    assert [*scores.committed()] == [*batch_log.committed()] == []
    markers = {spot: transaction for transaction, spot in place.broker.on_their_way()}
    place.broker.deliver(markers["scores", 0], ("scores", 0))
    assert [m.value for m in scores.committed()] == [b"1"]
    assert [*batch_log.committed()] == []
    assert (scores.end, batch_log.end) == (2, 1)


def test_an_open_transaction_hides_what_follows() -> None:
    """Nothing after an undecided record is read, whoever wrote it, until its transaction is aborted for its age."""
    place = Place()
    crashed, other = place.joined("a", "b")
    epoch = place.broker.init("a")
    place.broker.begin("a", epoch)
    place.broker.write("a", epoch, out(b"open"), 0)
    other.log.commit([out(b"later")], {})
    place.deliver()
    scores = place.broker.logs["scores", 0]
    assert [*scores.committed()] == []
    with pytest.raises(LogUnavailable):
        other.log.last("scores", 0)
    place.now_ms += TRANSACTION_TIMEOUT_MS
    place.broker.expire()
    assert [m.value for m in scores.committed()] == [b"later"]
    with pytest.raises(CommitUnsettled):
        crashed.log.commit([out(b"zombie")], {})


def test_a_new_generation_fences_the_old() -> None:
    """Who has lost its partitions commits no offsets any more, and leaves nothing visible."""
    place = Place()
    zombie, heir = place.joined("a", "b")
    place.broker.groups["scorer"].leave("a.1")
    for _ in range(2):
        heir.poll()
    assert heir.partitions == {0, 1, 2, 3}
    with pytest.raises(CommitUnsettled):
        zombie.log.commit([out(b"late")], {("orders", 0): 9})
    zombie.log.renew()
    assert heir.log.committed([0])["orders", 0] == 0
    assert [*place.broker.logs["scores", 0].committed()] == []
    zombie.poll()
    assert zombie.lost[-1] == {0, 1}


def test_committed_waits_for_offsets_under_way() -> None:
    """Offsets in an undecided transaction are not passed over; those of a decided one count."""
    place = Place()
    (member,) = place.joined("a")
    epoch, group = place.broker.init("x"), place.broker.groups["scorer"]
    place.broker.begin("x", epoch)
    place.broker.write_offsets("x", epoch, group, {("orders", 0): 5})
    with pytest.raises(LogUnavailable):
        member.log.committed([0])
    place.broker.end("x", epoch, commit=True)
    assert member.log.committed([0])["orders", 0] == 5


def test_init_settles_what_was_left() -> None:
    """A new epoch of a producer aborts what was open, completes what was decided, and fences the old epoch."""
    place = Place()
    (member,) = place.joined("a")
    member.log.commit([out(b"decided")], {})
    epoch = place.broker.init("b")
    place.broker.begin("b", epoch)
    place.broker.write("b", epoch, out(b"open"), 0)
    place.broker.init("a")
    place.broker.init("b")
    assert [m.value for m in place.broker.logs["scores", 0].committed()] == [b"decided"]
    with pytest.raises(CommitUnsettled):
        place.broker.end("b", epoch, commit=True)


def test_compaction_keeps_the_last_of_each_key() -> None:
    """Older values of a key go, offsets stay; a deletion goes once it is a week old."""
    place = Place()
    log = place.broker.logs["changelog", 0]
    for key, value in ((b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"b", None), (b"c", b"4")):
        place.broker.publish("changelog", 0, key, value)
    log.compact(place.now_ms, untouched=1)
    assert [(m.offset, m.key, m.value) for m in log.committed()] == [(2, b"a", b"3"), (3, b"b", None), (4, b"c", b"4")]
    log.compact(place.now_ms + 8 * 86_400_000, untouched=1)
    assert [m.offset for m in log.committed()] == [2, 4]
