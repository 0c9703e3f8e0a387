"""Two forms of the changelog, on a real Kafka: a record per changed profile in a compacted topic, or one record per batch.

    MAITRED_KAFKA_BOOTSTRAP=127.0.0.1:9092 python benchmarks/changelog.py [--profiles 200000]

Every profile (400 bytes, half of them incompressible) is committed three times, in batches of 500 changes, a transaction
each. Shown for both forms: time per profile in the commit, bytes per profile on the wire, and the time to restore all
profiles from one partition: as it grew, and with each profile once, as after compaction or from a checkpoint.
"""

import argparse
import json
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from uuid import uuid4

import msgspec
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas.records import Write
from streams.kafka.log import KafkaSettings
from streams.kafka.reader import KafkaReader
from streams.kafka.transactions import Transactions
from streams.log import Message, OutMessage
from streams.messages import Wire, read_change

BOOTSTRAP = os.environ.get("MAITRED_KAFKA_BOOTSTRAP", "127.0.0.1:9092")
AT_ONCE, TIMES = 500, 3
SEED = 20261122
WIRE = Wire("/bench", lambda _: 1, lambda _: 0)


class Counting(KafkaSettings, frozen=True):
    """Settings whose producers count the bytes they send."""

    sent: list[int] = msgspec.field(default_factory=list)

    def config(self, **ours):
        def count(statistics: str) -> None:
            self.sent.append(json.loads(statistics)["tx_bytes"])

        return {**super().config(**ours), "statistics.interval.ms": 200, "stats_cb": count}


def by_customer(entry: int, writes: Sequence[Write]) -> list[OutMessage]:
    return [WIRE.change("scorer", 0, entry, write)._replace(topic="by-customer") for write in writes]


def restore_by_customer(messages: Iterator[Message], state: dict[str, bytes]) -> None:
    for message in messages:
        write = read_change(message).write
        if write.value is not None:
            state[write.key] = write.value


def by_batch(entry: int, writes: Sequence[Write]) -> list[OutMessage]:
    return [OutMessage("by-batch", 0, b"%d" % entry, msgspec.msgpack.encode(writes))]


def restore_by_batch(messages: Iterator[Message], state: dict[str, bytes]) -> None:
    decoder = msgspec.msgpack.Decoder(list[Write])
    for message in messages:
        for write in decoder.decode(message.value or b""):
            if write.value is not None:
                state[write.key] = write.value


FORMS = {"by-customer": (by_customer, restore_by_customer), "by-batch": (by_batch, restore_by_batch)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--profiles", type=int, default=200_000)
    count = parser.parse_args().profiles
    changes = [write for time_ in range(TIMES) for write in profiles(count, time_)]
    random.Random(SEED).shuffle(changes)
    once = list({write.key: write for write in changes}.values())
    print(f"{count} profiles, {len(changes)} changes; {AT_ONCE} changes per commit")
    for topic, (write_form, read_form) in FORMS.items():
        commit_us, wire_bytes, grown_s = try_out(topic, changes, write_form, read_form)
        _, _, once_s = try_out(topic, once, write_form, read_form)
        print(
            f"{topic:12} commit {commit_us:5.1f} us a profile, {wire_bytes:4.0f} bytes a change on the wire; "
            f"restore {grown_s:5.1f} s as grown, {once_s:5.1f} s with each profile once"
        )


def profiles(count: int, time_: int) -> Iterator[Write]:
    chance = random.Random(SEED + time_)
    common = bytes(range(200))
    for number in range(count):
        yield Write(f"p/customer-{number:08}", chance.randbytes(200) + common, 1_760_000_000_000 + number)


def try_out(
    topic: str,
    changes: Sequence[Write],
    write_form: Callable[[int, Sequence[Write]], list[OutMessage]],
    read_form: Callable[[Iterator[Message], dict[str, bytes]], None],
) -> tuple[float, float, float]:
    settings = Counting(BOOTSTRAP, f"bench-{uuid4().hex[:8]}")
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    admin.create_topics([NewTopic(settings.wire(topic), 1, 1)])[settings.wire(topic)].result()
    transactions, reader = Transactions(settings, f"{settings.namespace}.writer"), KafkaReader(settings, "bench")
    nobody = Consumer(settings.reading("bench")).consumer_group_metadata()  # no offsets are committed
    transactions.renew()
    begun = time.perf_counter()
    for entry, start in enumerate(range(0, len(changes), AT_ONCE)):
        transactions.commit(write_form(entry, changes[start : start + AT_ONCE]), {}, nobody)
    commit_us = (time.perf_counter() - begun) / len(changes) * 1e6
    time.sleep(0.5)
    transactions.commit([], {}, nobody)  # serves the last statistics
    state: dict[str, bytes] = {}
    begun = time.perf_counter()
    read_form(reader.read(topic, 0, 0), state)
    restored_s = time.perf_counter() - begun
    assert state == {write.key: write.value for write in changes}
    transactions.close()
    reader.close()
    admin.delete_topics([settings.wire(topic)])[settings.wire(topic)].result()
    return commit_us, max(settings.sent) / len(changes), restored_s


if __name__ == "__main__":
    main()
