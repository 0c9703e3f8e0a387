"""From an event produced to the assignment that follows from it, readable: two commits and a worker in between.

Beside it, in the same run: how long the very same orders take to be read back bare. Needs `make servers`; starts a worker and
a namespace of its own, and removes the topics afterwards.

    python benchmarks/live_latency.py [--rate 500] [--seconds 20]
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from threading import Semaphore, Thread
from typing import Any
from uuid import uuid4

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.codec import Schemas, read_event
from schemas.events import AdvisorChanged, Event, OrderLine, OrderPlaced, PageBrowsed
from schemas.registry import FileRegistry
from streams import topics
from streams.kafka.client import received
from streams.publish import Form, Writer
from streams.settings import Settings, load

REGISTRY = FileRegistry()
ORDERS_IN = 5  # every so many events one is an order, the others are browsing


def variables() -> dict[str, str]:
    return {
        "MAITRED_NAMESPACE": f"bench-{uuid4().hex[:8]}",
        "MAITRED_KAFKA__REPLICATION": "1",
        "MAITRED_WORKER__WEB_PORT": "0",
        "MAITRED_ASSIGNMENT__CONSENT": "not_withdrawn",
        "MAITRED_ASSIGNMENT__CONTROL_SHARE": "0",
        "MAITRED_ASSIGNMENT__EXPECTED_LOOKS": "1",
        **{name: value for name, value in os.environ.items() if name.startswith("MAITRED_")},
    }


class Reader(Thread):
    """Reads a topic as a subscriber does, and notes when it first reads of each customer."""

    def __init__(self, settings: Settings, topic: str, sent: dict[str, float], ready: Semaphore) -> None:
        super().__init__(daemon=True)
        self.settings, self.topic, self.sent, self.ready = settings, topic, sent, ready
        self.took: dict[str, float] = {}
        self.is_over = False

    def run(self) -> None:
        consumer = self._consumer()
        self.ready.release()
        schemas = Schemas(REGISTRY)
        while not self.is_over:
            message = consumer.poll(0.2)
            if message is None or message.error():
                continue
            seen = received(self.topic, message)
            event: Any = read_event(seen.topic, seen.value, seen.headers, schemas)  # Any: the topic's events
            customer = getattr(event, "customer_id", None)
            if customer in self.sent and customer not in self.took:
                self.took[customer] = time.perf_counter() - self.sent[customer]
        consumer.close()

    def _consumer(self) -> Consumer:
        name = self.settings.namespace
        config = {"bootstrap.servers": self.settings.kafka.bootstrap, "group.id": f"{name}.{self.topic}.bench"}
        consumer = Consumer({**config, "isolation.level": "read_committed", "auto.offset.reset": "earliest"})
        partitions = topics.partition_count(self.topic, self.settings.partitions)
        consumer.assign([TopicPartition(f"{name}.{self.topic}", p, 0) for p in range(partitions)])
        consumer.poll(0.5)
        return consumer


def publish(settings: Settings, rate: float, seconds: float, sent: dict[str, float]) -> None:
    write = Writer(REGISTRY, Form(namespace=settings.namespace, partitions=settings.partitions))
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap, "linger.ms": 0})

    def send(topic: str, event: Event) -> None:
        name, partition, key, value, headers, _ = write(topic, event)
        producer.produce(name, value, key, partition, headers=list(headers))
        producer.poll(0)

    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        if (ahead := began + number / rate - time.perf_counter()) > 0:
            time.sleep(ahead)
        customer, now_ms = f"c{number // ORDERS_IN}", time.time_ns() // 1_000_000
        if number % ORDERS_IN == 0:
            sent[customer] = time.perf_counter()
            send("orders", order(customer, now_ms))
        else:
            browsed = PageBrowsed(event_id=f"e{number}", occurred_at_ms=now_ms, customer_id=customer, sku="boot")
            send("browse", browsed)
    producer.flush()


def order(customer: str, now_ms: int) -> OrderPlaced:
    line = OrderLine(sku="boot", quantity=1, unit_price_minor=50_000 + 97 * int(customer[1:]))
    return OrderPlaced(
        order_id=f"o-{customer}",
        customer_id=customer,
        occurred_at_ms=now_ms,
        currency="EUR",
        market="DE",
        lines=(line,),
    )


def hire(settings: Settings, advisors: int) -> None:
    write = Writer(REGISTRY, Form(namespace=settings.namespace, partitions=settings.partitions))
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap})
    for number in range(advisors):
        advisor = AdvisorChanged(
            advisor_id=f"a{number}",
            pool="main",
            occurred_at_ms=time.time_ns() // 1_000_000,
            capacity=500,
            daily_intake=500,
        )
        name, partition, key, value, headers, _ = write("roster", advisor)
        producer.produce(name, value, key, partition, headers=list(headers))
    producer.flush()


def line(name: str, took: Iterable[float]) -> str:
    ranked = sorted(took)
    if not ranked:
        return f"{name:<34} none"
    p50, p90, p99 = (1_000 * ranked[int(len(ranked) * share)] for share in (0.5, 0.9, 0.99))
    return f"{name:<34} n {len(ranked):>6}   p50 {p50:7.1f} ms   p90 {p90:7.1f} ms   p99 {p99:7.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=500, help="events a second")
    parser.add_argument("--seconds", type=float, default=20)
    asked = parser.parse_args()
    environment = variables()
    settings = load(None, environment)
    topics.create(settings)
    hire(settings, 20)
    code = "from streams.cli import main; main()"
    worker = subprocess.Popen([sys.executable, "-c", code, "worker"], env={**os.environ, **environment}, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # fmt: skip
    sent: dict[str, float] = {}
    ready = Semaphore(0)
    readers = [Reader(settings, topic, sent, ready) for topic in ("orders", "scores", "assignments")]
    try:
        for reader in readers:
            reader.start()
            ready.acquire()
        time.sleep(10)  # the worker joins its groups
        publish(settings, asked.rate, asked.seconds, sent)
        time.sleep(3)
    finally:
        for reader in readers:
            reader.is_over = True
            reader.join()
        worker.send_signal(signal.SIGINT)
        worker.wait(30)
        admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap})
        for deleted in admin.delete_topics([f"{settings.namespace}.{topic.name}" for topic in topics.TOPICS]).values():
            deleted.result()
    print(f"{asked.rate:.0f} events/s for {asked.seconds:.0f} s, {len(sent)} orders")
    for name, reader in zip(("bare: order read back", "scored: CustomerScored readable", "assigned: AdvisorAssigned readable"), readers, strict=True):  # fmt: skip
        print(line(name, reader.took.values()))


if __name__ == "__main__":
    main()
