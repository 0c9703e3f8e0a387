"""What a transaction costs on a real Kafka, and what makes it quick: `KafkaLog` beside librdkafka's defaults.

    MAITRED_KAFKA_BOOTSTRAP=127.0.0.1:9092 python benchmarks/commit.py

Each commit carries records of 300 bytes for three topics and one source offset. "Paced": a commit every 25 ms, as under
light load; otherwise one after the other, where the broker may still be busy with the one before.
"""

import os
import time
from collections.abc import Callable, Sequence
from uuid import uuid4

from confluent_kafka import Producer
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.kafka.log import KafkaLog, KafkaSettings
from streams.log import OutMessage

BOOTSTRAP = os.environ.get("MAITRED_KAFKA_BOOTSTRAP", "127.0.0.1:9092")
TOPICS = ("orders", "scores", "batch-log", "changelog")
ROUNDS = 200
PACE_S = 0.025


class Alone:
    """The only member of a group."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.log = KafkaLog(settings, "scorer", ["orders"], "a")
        self.partitions: set[int] = set()
        self.log.subscribe(self)
        while not self.partitions:
            self.log.poll(1, 20)
        self.log.renew()
        self.log.seek(self.log.committed(self.partitions))

    def assigned(self, partitions) -> None:
        self.partitions = set(partitions)

    def revoked(self, partitions) -> None:
        self.partitions -= set(partitions)


def main() -> None:
    settings = KafkaSettings(BOOTSTRAP, f"bench-{uuid4().hex[:8]}")
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    names = [settings.wire(topic) for topic in TOPICS]
    for made in admin.create_topics([NewTopic(name, 4, 1) for name in names]).values():
        made.result()
    member = Alone(settings)
    print(f"{'':44}{'records':>8}  {'back to back':>22}  {'paced':>22}")
    for count in (1, 100, 2_000):
        messages = [
            OutMessage(TOPICS[1 + n % 3], 0, b"customer-%d" % n, os.urandom(150) + b"x" * 150) for n in range(count)
        ]
        for name, commit in ways(settings, member, messages):
            print(f"{name:44}{count:8}  {measured(commit, 0):>22}  {measured(commit, PACE_S):>22}")
    member.log.close()
    for gone in admin.delete_topics(names).values():
        gone.result()


def ways(settings: KafkaSettings, member: Alone, messages: Sequence[OutMessage]):
    base = {"bootstrap.servers": BOOTSTRAP, "compression.type": "lz4"}
    bare = Producer({**base, "linger.ms": 0})
    yield "no transaction: produce and flush", lambda _: produce(bare, settings, messages)
    yield "KafkaLog", lambda n: member.log.commit(messages, {("orders", 0): n})
    quick = {**base, "linger.ms": 0, "retry.backoff.ms": 1, "socket.nagle.disable": True}
    yield "the same settings, offsets before records", raw(settings, member, messages, quick, offsets_first=True)
    yield "librdkafka's defaults", raw(settings, member, messages, base)


def raw(settings, member, messages, config, *, offsets_first: bool = False) -> Callable[[int], None]:
    producer = Producer({**config, "transactional.id": f"{settings.namespace}.{uuid4().hex}"})
    producer.init_transactions(30)

    def commit(number: int) -> None:
        steps = [
            lambda: hand_over(producer, settings, messages),
            lambda: producer.send_offsets_to_transaction(
                [Place(settings.wire("orders"), 0, number)],
                member.log._membership,  # noqa: SLF001  to compare like with like
            ),
        ]
        producer.begin_transaction()
        for step in reversed(steps) if offsets_first else steps:
            step()
        producer.commit_transaction()

    return commit


def hand_over(producer: Producer, settings: KafkaSettings, messages: Sequence[OutMessage]) -> None:
    for m in messages:
        producer.produce(settings.wire(m.topic), m.value, m.key, m.partition)


def produce(producer: Producer, settings: KafkaSettings, messages: Sequence[OutMessage]) -> None:
    hand_over(producer, settings, messages)
    assert producer.flush(30) == 0


def measured(commit: Callable[[int], object], pace_s: float) -> str:
    times = []
    for number in range(ROUNDS + 20):
        begun = time.perf_counter()
        commit(number)
        times.append(time.perf_counter() - begun)
        time.sleep(max(0.0, pace_s - times[-1]))
    times = sorted(times[20:])
    return f"p50 {times[len(times) // 2] * 1e3:6.1f} p99 {times[int(len(times) * 0.99)] * 1e3:6.1f} ms"


if __name__ == "__main__":
    main()
