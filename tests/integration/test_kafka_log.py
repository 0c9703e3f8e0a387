"""`KafkaLog` on a real Kafka, at MAITRED_KAFKA__BOOTSTRAP: transactions, fencing, rebalances and crashes, in earnest."""

import os
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from time import monotonic, sleep

import pytest
from aiokafka.record.default_records import (  # type: ignore[import-untyped] # ships no py.typed
    DefaultRecordBatchBuilder,
)
from aiokafka.record.util import calc_crc32c  # type: ignore[import-untyped] # as above
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.errors import CommitUnsettled, LogUnavailable
from streams.kafka.log import KafkaSettings
from streams.kafka.reader import KafkaReader
from streams.log import Message
from tests.unit.kafka_members import PARTITIONS, RUN, create_topics, fresh_settings, join, member_of
from tests.unit.log_checks import CHECKS, SOURCES, Member, numbers, out

pytestmark = pytest.mark.integration

BOOTSTRAP = os.environ.get("MAITRED_KAFKA__BOOTSTRAP", "127.0.0.1:9092")
Open = Callable[..., Member]


@pytest.fixture(scope="module")
def kafka() -> Iterator[AdminClient]:
    """Kafka, which is left without our topics again."""
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP, "log_level": 0})
    try:
        admin.list_topics(timeout=5)
    except KafkaException as error:
        if os.environ.get("MAITRED_REQUIRE_SERVERS") == "1":
            raise
        pytest.skip(f"no Kafka at {BOOTSTRAP}: {error}; `make servers` starts one")
    yield admin
    ours = [t for t in admin.list_topics(timeout=5).topics if t.startswith(RUN)]
    for deleted in admin.delete_topics(ours).values() if ours else ():
        deleted.result()


@pytest.fixture
def settings(kafka: AdminClient) -> KafkaSettings:
    """A namespace of its own, with topics."""
    settings = fresh_settings(BOOTSTRAP, session_timeout_ms=6_000, max_poll_interval_ms=6_000)
    create_topics(settings)
    return settings


@pytest.fixture
def open_member(settings: KafkaSettings) -> Iterator[Open]:
    members = []

    def one_more(instance: str = "a", settings: KafkaSettings = settings) -> Member:
        members.append(member_of(settings, instance))
        return members[-1]

    yield one_more
    for member in members:
        member.log.close()


@pytest.fixture
def member(open_member: Open) -> Member:
    alone = open_member()
    join([alone])
    return alone


@pytest.fixture
def reader(settings: KafkaSettings) -> Iterator[KafkaReader]:
    reader = KafkaReader(settings, settings.wire("reader"))
    yield reader
    reader.close()


def transaction(settings: KafkaSettings, transactional_id: str = "other", timeout_ms: int = 10_000) -> Producer:
    """A producer in a transaction of its own."""
    producer = Producer({
        "bootstrap.servers": BOOTSTRAP,
        "transactional.id": f"{settings.namespace}.{transactional_id}",
        "transaction.timeout.ms": timeout_ms,
        "retry.backoff.ms": 1,
    })  # fmt: skip
    producer.init_transactions(10)
    producer.begin_transaction()
    return producer


def give(member: Member, partition: int = 0, topic: str = "scores") -> list[bytes | None]:
    return member.everything(topic, partition)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_contract(check: Callable[[Member], None], member: Member) -> None:
    check(member)


# ---- transactions --------------------------------------------------------------------------------------------------


def test_open_transactions_are_waited_for(member: Member, settings: KafkaSettings) -> None:
    """Looking something up answers when the transactions open by then have ended, and shows each as a whole."""
    producer = transaction(settings)
    producer.produce(settings.wire("scores"), b"one", partition=0)
    producer.produce(settings.wire("orders"), b"two", partition=3)
    producer.flush(10)
    with ThreadPoolExecutor(1) as pool:
        last = pool.submit(member.log.last, "scores", 0)
        assert not member.rest(1)
        assert not last.done()
        producer.commit_transaction(10)
        assert [message.value for message in member.take(1)] == [b"two"]
        found = last.result(10)
    assert found is not None
    assert (found.value, give(member)) == (b"one", [b"one"])


def test_the_last_record_is_found_behind_aborted_ones_and_markers(member: Member, settings: KafkaSettings) -> None:
    """`last` and `read` see past what was aborted, however much it is; sources do likewise."""
    for value in numbers(0, 3):
        member.log.commit([out(value)], {})
    producer = transaction(settings)
    for size in (1, 1, 1, 100, 3_000, 1):
        for number in range(size):
            producer.produce(settings.wire("scores"), b"aborted %d" % number, partition=0)
            producer.produce(settings.wire("orders"), b"aborted %d" % number, partition=0)
        producer.flush(10)
        producer.abort_transaction(10)
        producer.begin_transaction()
    last = member.log.last("scores", 0)
    assert last is not None
    assert last.value == b"2"
    assert give(member) == numbers(0, 3)
    assert list(member.log.read("scores", 0, last.offset + 1)) == []
    member.put("orders", 0, [b"real"])
    assert [message.value for message in member.take(1)] == [b"real"]
    member.poll_until(lambda _: not member.log.is_lagging("orders", 0, 1_000_000))


def test_more_records_than_the_client_queues(member: Member) -> None:
    """A commit larger than librdkafka's queue of 100,000 records is written all the same."""
    member.log.commit([out(b"x", partition=n % 4) for n in range(120_000)], {})
    assert sum(len(give(member, partition)) for partition in range(4)) == 120_000


def test_an_unfinished_commit_of_a_former_life_is_settled(
    open_member: Open, member: Member, settings: KafkaSettings
) -> None:
    """A worker that comes back under its name ends the transaction it had open when it was killed, and fences it."""
    killed = transaction(settings, "scorer.b", timeout_ms=60_000)
    killed.produce(settings.wire("scores"), b"half", partition=0)
    killed.flush(10)
    again = open_member("b")
    begun = monotonic()
    again.log.renew()
    member.log.commit([out(b"whole")], {("orders", 0): 1})
    assert give(member) == [b"whole"]
    assert monotonic() - begun < 5
    with pytest.raises(KafkaException):
        killed.commit_transaction(10)


def test_a_twin_is_fenced(open_member: Open, member: Member) -> None:
    """Of two producers of one name only the newer one writes; the older one learns of it, and may take over again."""
    twin = open_member("a")
    twin.log.renew()
    with pytest.raises(CommitUnsettled, match="fatal"):
        member.log.commit([out(b"zombie")], {("orders", 0): 9})
    assert give(member) == []
    assert member.log.committed([0])["orders", 0] == 0
    member.log.renew()
    member.log.commit([out(b"alive")], {("orders", 0): 1})
    assert give(member) == [b"alive"]


# ---- the group -----------------------------------------------------------------------------------------------------


def test_who_lost_its_partitions_cannot_commit(open_member: Open, member: Member) -> None:
    """A worker thrown out of the group writes nothing more, with offsets or without: time moving on is fenced too."""
    successor = open_member("b")
    successor.poll_until(lambda _: successor.partitions == set(range(PARTITIONS)))  # `member` does not poll
    assert member.partitions == set(range(PARTITIONS))
    for offsets in ({("orders", 0): 5}, {}):
        with pytest.raises(CommitUnsettled):
            member.log.commit([out(b"zombie")], offsets)
        member.log.renew()
    successor.poll()
    successor.log.commit([out(b"rightful")], {("orders", 0): 1})
    assert give(successor) == [b"rightful"]
    assert successor.log.committed([0])["orders", 0] == 1
    member.poll_until(lambda _: member.lost)
    assert member.lost == [set(range(PARTITIONS))]


@pytest.mark.parametrize("ends_well", [True, False])
def test_offsets_wait_for_open_transactions(member: Member, settings: KafkaSettings, *, ends_well: bool) -> None:
    """`committed` answers only when the transactions of former owners have ended: committed, or given up by Kafka."""
    former = transaction(settings, timeout_ms=30_000 if ends_well else 2_000)
    offsets = [TopicPartition(settings.wire("orders"), 0, 7)]
    former.send_offsets_to_transaction(offsets, member.log._membership)  # type: ignore[attr-defined] # KafkaLog's own
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(member.log.committed, [0])
        sleep(1)
        assert not answer.done()
        if ends_well:
            former.commit_transaction(10)
        assert answer.result(30)["orders", 0] == (7 if ends_well else 0)


def test_partitions_change_hands_with_nothing_lost_or_repeated(open_member: Open, reader: KafkaReader) -> None:
    """Workers come and go while records flow; each record leads to one output, in order."""
    members: list[Member] = []
    for number, shares in enumerate([{(0, 1, 2, 3)}, {(0, 1), (2, 3)}, {(0, 1), (2,), (3,)}, {(0, 1), (2, 3)}]):
        if number == 3:
            members.pop(1).log.close()
        else:
            members.append(open_member(f"worker-{number}"))
        for partition in range(PARTITIONS):
            members[0].put("orders", partition, numbers(number * 1_000, number * 1_000 + 1_000))
        take_turns(members, lambda: {tuple(sorted(m.partitions)) for m in members} == shares)  # noqa: B023  called at once
    take_turns(members, lambda: copied_records(reader) >= PARTITIONS * 4_000)
    assert everything_copied(reader) == [numbers(0, 4_000)] * PARTITIONS


def copy(messages: Sequence[Message], member: Member) -> None:
    """Commit a copy of each record, with the offsets."""
    if messages:
        copies = [out(message.value, partition=message.partition) for message in messages]
        member.log.commit(copies, {(m.topic, m.partition): m.offset + 1 for m in messages})


def take_turns(members: list[Member], done: Callable[[], bool]) -> None:
    """Let members copy, one after the other."""
    deadline = monotonic() + 60
    while not done():
        assert monotonic() < deadline
        for member in members:
            copy(member.poll(), member)


def everything_copied(reader: KafkaReader) -> list[list[bytes | None]]:
    return [[message.value for message in reader.read("scores", p, 0)] for p in range(PARTITIONS)]


def copy_forever(settings: KafkaSettings, instance: str) -> None:
    """A worker process, until it is killed."""
    member = member_of(settings, instance)
    while True:
        try:
            copy(member.poll(), member)
        except LogUnavailable:
            member.must_recover = True


def test_killed_workers_leave_every_record_done_once(
    member: Member, reader: KafkaReader, settings: KafkaSettings
) -> None:
    """Workers are killed amid their commits; whoever comes after them does what is left, and nothing twice."""
    member.log.close()
    for partition in range(PARTITIONS):
        member.put("orders", partition, numbers(0, 20_000))
    for target in (15_000, 30_000, 45_000, 80_000):
        with worker(settings):
            wait_until(lambda: copied_records(reader) >= target)  # noqa: B023  called before the next target
    assert everything_copied(reader) == [numbers(0, 20_000)] * PARTITIONS


@contextmanager
def worker(settings: KafkaSettings) -> Iterator[None]:
    """A worker process of its own, killed at the end."""
    process = get_context("spawn").Process(target=copy_forever, args=(settings, "b"))
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()
        process.close()


def copied_records(reader: KafkaReader) -> int:
    """How far the copies go. The last one tells: they are in order."""
    lasts = [reader.last("scores", partition) for partition in range(PARTITIONS)]
    return sum(int(last.value or b"") + 1 for last in lasts if last)


def wait_until(done: Callable[[], bool]) -> None:
    deadline = monotonic() + 60
    while not done():
        assert monotonic() < deadline
        sleep(0.02)


# ---- what is wrong is said -----------------------------------------------------------------------------------------


def test_uneven_sources_are_refused(kafka: AdminClient) -> None:
    """Sources with different partition counts are named with their counts; nobody is told of an assignment."""
    settings = fresh_settings(BOOTSTRAP)
    create_topics(settings, {"orders": 4, "returns": 3})
    member = member_of(settings)
    with pytest.raises(LogUnavailable) as caught:
        member.take(1)
    assert f"{settings.wire('orders')} 4, {settings.wire('returns')} 3" in str(caught.value)
    assert not member.partitions
    member.log.close()


def test_missing_sources_are_named(kafka: AdminClient) -> None:
    """A source that does not exist is reported by its name."""
    settings = fresh_settings(BOOTSTRAP)
    create_topics(settings, {"orders": 4})
    member = member_of(settings)
    with pytest.raises(LogUnavailable, match=settings.wire("returns")):
        member.take(1)
    member.log.close()


def test_records_that_kafka_no_longer_has_are_not_skipped(
    kafka: AdminClient, member: Member, settings: KafkaSettings
) -> None:
    """Reading from a deleted offset, or from beyond the end, is refused; what is kept can be looked up."""
    member.put("orders", 0, numbers(0, 10))
    place = TopicPartition(settings.wire("orders"), 0, 6)
    for deleted in kafka.delete_records([place]).values():
        deleted.result()
    for start in (3, 100):
        member.log.seek({("orders", 0): start})
        with pytest.raises(LogUnavailable, match="orders"):
            member.take(1)
    assert member.everything("orders") == numbers(6, 10)
    assert member.log.committed([0])["orders", 0] == 6
    last = member.log.last("orders", 0)
    assert last is not None
    assert last.value == b"9"


def test_a_header_name_that_is_no_text_stops_nothing(member: Member, settings: KafkaSettings) -> None:
    """A record with a header name that is not UTF-8 comes without headers; what follows it comes whole."""
    send_raw(settings.wire("orders"), batch_with_header(b"\xff\xfe\xfd"))
    send_raw(settings.wire("orders"), batch_with_header(b"fine"))
    assert [message.headers for message in member.take(2)] == [(), (("fine", b"x"),)]


def batch_with_header(name: bytes) -> bytes:
    """A record batch with a header whose name no client would let us write."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 10_000)
    builder.append(0, 1_700_000_000_000, b"key", b"value", [("Q" * len(name), b"x")])
    batch = bytearray(bytes(builder.build()).replace(b"Q" * len(name), name))
    struct.pack_into(">I", batch, 17, calc_crc32c(bytes(batch[21:])))
    return bytes(batch)


def send_raw(topic: str, batch: bytes) -> None:
    """A produce request, version 7, to partition 0."""
    name = struct.pack(">h", len(topic)) + topic.encode()
    request = struct.pack(">hhihh", 0, 7, 1, -1, -1) + struct.pack(">hii", -1, 5_000, 1) + name
    request += struct.pack(">iii", 1, 0, len(batch)) + batch
    host, port = BOOTSTRAP.split(",")[0].rsplit(":", 1)
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        assert connection.recv(4)


def test_settings_reach_kafka(member: Member, settings: KafkaSettings) -> None:
    """Groups and topics carry the namespace on the wire, so that several Maitreds can share a Kafka."""
    member.log.commit([], {("orders", 0): 3})
    asked = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": f"{settings.namespace}.scorer"})
    place = TopicPartition(f"{settings.namespace}.orders", 0)
    assert asked.committed([place], 10)[0].offset == 3
    asked.close()
    assert set(SOURCES) <= {"orders", "returns"}
