"""How long an event takes through two processors on a real Kafka: event, scorer's commit, assigner's commit, readable.

    MAITRED_KAFKA_BOOTSTRAP=127.0.0.1:9092 python benchmarks/latency.py

Beside it the floor: the same event produced and consumed with no transaction, and with one. Both processors are a
`KafkaLog` that passes each batch on; nothing is decided. Events come one at a time, forty a second.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.kafka.client import persist
from streams.kafka.log import KafkaLog, KafkaSettings
from streams.log import OutMessage

BOOTSTRAP = os.environ.get("MAITRED_KAFKA_BOOTSTRAP", "127.0.0.1:9092")
EVENTS, WARM_UP, PACE_S = 600, 100, 0.025


class Stage(threading.Thread):
    """A processor that passes on whatever comes, each batch in one transaction."""

    def __init__(self, settings: KafkaSettings, name: str, source: str, target: str) -> None:
        super().__init__(daemon=True)
        self.log, self.target = KafkaLog(settings, name, [source], "a"), target
        self.partitions: set[int] = set()
        self.is_ready, self.must_stop = threading.Event(), threading.Event()
        self.batches: list[int] = []
        self.log.subscribe(self)

    def assigned(self, partitions) -> None:
        self.partitions = set(partitions)

    def revoked(self, partitions) -> None:
        self.partitions -= set(partitions)

    def run(self) -> None:
        while not self.partitions:
            self.log.poll(1, 20)
        self.log.renew()
        self.log.seek(self.log.committed(self.partitions))
        self.is_ready.set()
        while not self.must_stop.is_set():
            if messages := self.log.poll(2_000, 50):
                outputs = [OutMessage(self.target, m.partition, m.key, m.value) for m in messages]
                offsets = {(m.topic, m.partition): m.offset + 1 for m in messages}
                self.log.commit(outputs, offsets)
                self.batches.append(len(messages))
        self.log.close()


def main() -> None:
    with topics("orders") as settings:
        show("produced, consumed: no transaction", times(settings, "orders"))
    with topics("orders", "scores") as settings, running(Stage(settings, "scorer", "orders", "scores")):
        show("... through one processor's commit", times(settings, "orders", "scores"))
    with (
        topics("orders", "scores", "assignments") as settings,
        running(Stage(settings, "scorer", "orders", "scores")),
        running(Stage(settings, "assigner", "scores", "assignments")) as assigner,
    ):
        show("... through two processors' commits", times(settings, "orders", "assignments"))
        assert len(assigner.batches) > EVENTS / 2


@contextmanager
def topics(*names: str) -> Iterator[KafkaSettings]:
    settings = KafkaSettings(BOOTSTRAP, f"bench-{uuid4().hex[:8]}")
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    wired = [settings.wire(name) for name in names]
    for made in admin.create_topics([NewTopic(name, 4, 1) for name in wired]).values():
        made.result()
    yield settings
    for gone in admin.delete_topics(wired).values():
        gone.result()


@contextmanager
def running(stage: Stage) -> Iterator[Stage]:
    stage.start()
    assert stage.is_ready.wait(30)
    yield stage
    stage.must_stop.set()
    stage.join()


def times(settings: KafkaSettings, source: str, target: str | None = None) -> list[float]:
    """Milliseconds from producing an event to reading, read_committed, what became of it."""
    target = target or source
    config = settings.reading(f"{settings.namespace}.reader", fetch_wait_max_ms=500)
    reader = Consumer({**config, "auto.offset.reset": "latest", "enable.partition.eof": False})
    place = Place(settings.wire(target), 0)
    _, end = persist(lambda left: reader.get_watermark_offsets(place, left), 10_000)
    reader.assign([Place(settings.wire(target), 0, end)])
    writer = Producer({"bootstrap.servers": BOOTSTRAP, "linger.ms": 0, "socket.nagle.disable": True})
    taken = []
    for _ in range(EVENTS + WARM_UP):
        begun = time.perf_counter()
        sent = uuid4().bytes
        writer.produce(settings.wire(source), sent + b"x" * 184, partition=0)
        writer.poll(0)
        message = reader.poll(10)
        assert message is not None
        assert (message.value() or b"")[:16] == sent
        taken.append((time.perf_counter() - begun) * 1e3)
        time.sleep(max(0.0, PACE_S - taken[-1] / 1e3))
    writer.flush(10)
    reader.close()
    return sorted(taken[WARM_UP:])


def show(what: str, taken: list[float]) -> None:
    p50, p90, p99 = (taken[int(len(taken) * share)] for share in (0.5, 0.9, 0.99))
    print(f"{what:40} p50 {p50:6.1f}   p90 {p90:6.1f}   p99 {p99:6.1f} ms")


if __name__ == "__main__":
    main()
