"""What every `Log` must do: one list of checks, run on each implementation.

A check is a function of a `Member`, alone in a group of its own, on topics nobody has written to. Its docstring says
what must hold.
"""

from collections.abc import Callable, Collection, Sequence
from time import monotonic

import pytest

from schemas.errors import CommitUnsettled
from streams.log import Log, Message, OutMessage, TopicPartition

SOURCES = ("orders", "returns")
PATIENCE_S = 30.0
Put = Callable[[str, int, Sequence[bytes]], None]


class Member:
    """What a shell does around a log, without deciding anything. `put` writes to a source, as a shop does."""

    def __init__(self, log: Log, put: Put) -> None:
        self.log, self.put = log, put
        self.partitions: set[int] = set()
        self.must_recover = False
        self.lost: list[set[int]] = []
        log.subscribe(self)

    def assigned(self, partitions: Collection[int]) -> None:
        self.partitions.update(partitions)
        self.must_recover = True

    def revoked(self, partitions: Collection[int]) -> None:
        self.partitions.difference_update(partitions)
        self.lost.append(set(partitions))

    def poll(self, timeout_ms: int = 20) -> Sequence[Message]:
        if self.must_recover:
            self.must_recover = False
            self.log.renew()
            self.log.seek(self.log.committed(self.partitions))
        messages = self.log.poll(500, timeout_ms)
        return () if self.must_recover else messages

    def poll_until(self, done: Callable[[list[Message]], object]) -> list[Message]:
        """Poll until `done` holds for all messages that came."""
        gathered: list[Message] = []
        deadline = monotonic() + PATIENCE_S
        while not done(gathered):
            assert monotonic() < deadline, f"waited {PATIENCE_S} s; {len(gathered)} messages came"
            gathered.extend(self.poll())
        return gathered

    def take(self, count: int) -> list[Message]:
        return self.poll_until(lambda gathered: len(gathered) >= count)

    def rest(self, seconds: float = 0.3) -> list[Message]:
        """All that comes within some time."""
        end = monotonic() + seconds
        return self.poll_until(lambda _: monotonic() > end)

    def everything(self, topic: str, partition: int = 0) -> list[bytes | None]:
        return [message.value for message in self.log.read(topic, partition, 0)]


def out(value: bytes | None, topic: str = "scores", partition: int = 0) -> OutMessage:
    return OutMessage(topic, partition, b"key", value)


def numbers(start: int, end: int) -> list[bytes]:
    return [b"%d" % number for number in range(start, end)]


def offsets_by_place(messages: Sequence[Message]) -> dict[TopicPartition, list[int]]:
    found: dict[TopicPartition, list[int]] = {}
    for message in messages:
        found.setdefault((message.topic, message.partition), []).append(message.offset)
    return found


def check_records_come_in_order_from_the_beginning(member: Member) -> None:
    """Where nothing was committed, reading starts at the first record; each partition comes in order, without gaps."""
    for partition in range(4):
        member.put("orders", partition, numbers(0, 300))
    found = offsets_by_place(member.take(1_200))
    assert found == {("orders", partition): list(range(300)) for partition in range(4)}


def check_a_commit_is_read_back_whole(member: Member) -> None:
    """Key, value, headers and time of a record come back as written; the end of each partition is returned."""
    member.poll()
    messages = [
        OutMessage("scores", 1, b"k", b"v", (("ce_type", b"CustomerScored"), ("empty", b"")), 1_700_000_000_123),
        OutMessage("scores", 1, None, b"", (), 1_700_000_000_124),
        OutMessage("changelog", 2, b"gone", None, (), 1_700_000_000_125),
    ]
    ends = member.log.commit(messages, {})
    read = [*member.log.read("scores", 1, 0), *member.log.read("changelog", 2, 0)]
    assert [(m.topic, m.partition, m.key, m.value, m.headers, m.timestamp_ms) for m in read] == [
        (m.topic, m.partition, m.key, m.value, m.headers, m.timestamp_ms) for m in messages
    ]
    assert ends == {("scores", 1): read[1].offset + 1, ("changelog", 2): read[2].offset + 1}


def check_offsets_are_committed_with_messages(member: Member) -> None:
    """After a commit the consumed offsets stand where it said; other sources stay where they were."""
    before = member.log.committed([0, 3])
    assert before == {(source, partition): 0 for source in SOURCES for partition in (0, 3)}
    member.log.commit([out(b"one")], {("orders", 3): 17})
    assert member.log.committed([0, 3]) == {**before, ("orders", 3): 17}


def check_one_commit_follows_another(member: Member) -> None:
    """Commits add up, each after the one before; `last` is the newest record and `read` starts where it is told."""
    ends = [member.log.commit([out(value)], {("orders", 0): n}) for n, value in enumerate(numbers(0, 20))]
    assert member.everything("scores") == numbers(0, 20)
    last = member.log.last("scores", 0)
    assert last is not None
    assert last.value == b"19"
    assert ends[-1] == {("scores", 0): last.offset + 1}
    assert [m.value for m in member.log.read("scores", 0, ends[14]["scores", 0])] == numbers(15, 20)
    assert list(member.log.read("scores", 0, last.offset + 1)) == []


def check_nothing_committed_is_nothing_read(member: Member) -> None:
    """A partition without records has no last one, and reading it ends at once."""
    assert member.log.last("scores", 0) is None
    assert list(member.log.read("scores", 0, 0)) == []
    assert list(member.log.read("scores", 0, 100)) == []


def check_seeking_drops_what_was_fetched(member: Member) -> None:
    """After a seek the first record of each partition is the one sought, however much had been fetched ahead."""
    for partition in range(4):
        member.put("orders", partition, numbers(0, 2_000))
    member.take(500)
    for start in (0, 1_999, 700, 3, 1_500, 1_499):
        member.log.seek({("orders", partition): start + partition % 2 for partition in range(3)})
        found = offsets_by_place(member.take(min(600, 3 * (1_999 - start))))
        for (topic, partition), offsets in found.items():
            first = start + partition % 2
            assert (topic, offsets) == ("orders", list(range(first, first + len(offsets))))
        assert ("orders", 3) not in found


def check_a_pause_loses_nothing(member: Member) -> None:
    """A paused source gives nothing and goes on where it stopped; a seek ends the pause."""
    member.put("orders", 0, numbers(0, 3_000))
    member.put("orders", 1, numbers(0, 3_000))
    first = member.take(500)
    member.log.pause([("orders", 0)])
    then = offsets_by_place(member.rest())
    assert ("orders", 0) not in then
    member.log.resume([("orders", 0)])
    taken = len(first) + sum(map(len, then.values()))
    found = offsets_by_place([*first, *member.take(6_000 - taken)])
    assert found["orders", 0] == list(range(3_000))
    member.log.pause([("orders", 0)])
    member.log.seek({("orders", 0): 2_990})
    assert offsets_by_place(member.take(10)) == {("orders", 0): list(range(2_990, 3_000))}


def check_lag_is_known(member: Member) -> None:
    """A source lags until all that is known to lie in it was given; what is given and not counted yet is lag too."""
    member.put("orders", 0, numbers(0, 1_000))
    member.take(1_000)
    member.poll_until(lambda _: not member.log.is_lagging("orders", 0, 1_000))
    assert member.log.is_lagging("orders", 0, 999)
    member.poll_until(lambda _: not member.log.is_lagging("returns", 0, 0))
    member.log.seek({("orders", 0): 10})
    assert member.log.is_lagging("orders", 0, 10)


def check_a_failed_commit_leaves_nothing(member: Member) -> None:
    """Of a commit that failed nothing is seen, and nothing more is written before `renew`; afterwards all is well."""
    member.log.commit([out(b"before")], {("orders", 0): 1})
    with pytest.raises(CommitUnsettled):
        member.log.commit([out(b"part"), out(b"x" * 20_000_000)], {("orders", 0): 2})
    with pytest.raises(CommitUnsettled):
        member.log.commit([out(b"too early")], {("orders", 0): 3})
    member.log.renew()
    assert member.log.committed([0])["orders", 0] == 1
    member.log.commit([out(b"after")], {("orders", 0): 4})
    assert member.everything("scores") == [b"before", b"after"]
    assert member.log.committed([0])["orders", 0] == 4


def check_large_commits(member: Member) -> None:
    """A commit may hold many records; their order in a partition is that of the commit."""
    messages = [out(value, partition=n % 2) for n, value in enumerate(numbers(0, 10_000))]
    ends = member.log.commit(messages, {})
    assert member.everything("scores", 0) == numbers(0, 10_000)[::2]
    assert member.everything("scores", 1) == numbers(0, 10_000)[1::2]
    assert set(ends) == {("scores", 0), ("scores", 1)}


def check_a_closed_log_is_silent(member: Member) -> None:
    """Closing gives the partitions back and tells the listener; afterwards nothing comes and nothing is written."""
    member.log.close()
    assert member.lost == [{0, 1, 2, 3}]
    assert not member.partitions
    assert not member.log.poll(10, 10)
    with pytest.raises(CommitUnsettled):
        member.log.commit([out(b"late")], {})


CHECKS = [check for name, check in sorted(globals().items()) if name.startswith("check_")]
