"""Every sink passes one list of checks: in memory, another Kafka, files of both kinds, a web server."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow.parquet as pq
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from sinks.base import Delivery, MemorySink, Sink
from sinks.courier import Patience
from sinks.files import FileSink, Format, Rotation
from sinks.kafka import COPIED_FROM, KafkaSink
from sinks.post import WebhookPost
from sinks.undelivered import Entry, MemoryUndelivered
from sinks.webhook import Tries, WebhookSink
from tests.unit.sink_checks import CHECKS, Target, check_an_error_says_what_to_do
from tests.unit.web_server import Server, web_server

SECRET = "whsec_" + "c2VjcmV0IGZvciB0ZXN0cywgMzIgYnl0ZXMgbG9uZyEhIQ=="
Arrived = list[tuple[str, int, int, str]]
each_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
Check = Callable[[Target], None]


class InMemory:
    def __init__(self) -> None:
        self.received: list[Delivery] = []

    def sink(self) -> Sink:
        return MemorySink(self.received)

    def abandon(self, sink: Sink) -> None:
        pass

    def arrived(self) -> Arrived:
        return [(d.topic, d.partition, d.offset, d.id) for d in self.received]

    def unusable(self) -> Callable[[], object]:
        raise NotImplementedError("nothing in memory fails because a person must mend it")


class InFiles:
    def __init__(self, root: Path, form: Format) -> None:
        self.root, self.form = root, form

    def sink(self) -> Sink:
        return FileSink(self.root, self.form, Rotation(most_bytes=1_500))

    def abandon(self, sink: Sink) -> None:
        sink.close()
        (self.root / ".open" / f"tier-changes-0.{self.form}").write_bytes(b'{"type": "TierCh')

    def arrived(self) -> Arrived:
        rows = [row for path in sorted(self.root.glob("*/date=*/*")) for row in rows_of(path)]
        found = [
            (row["kafka"]["topic"], row["kafka"]["partition"], row["kafka"]["offset"], row.get("id") or where(row))
            for row in rows
        ]
        assert len(found) == len(set(found)), "a record is in the files twice"
        return found

    def unusable(self) -> Callable[[], object]:
        occupied = self.root / "file"
        occupied.write_text("no folder")
        return lambda: FileSink(occupied / "decisions")


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = pq.ParquetFile(path).read().to_pylist()
        return rows
    return [json.loads(line) for line in path.read_text().splitlines()]


def where(row: dict[str, Any]) -> str:
    kafka = row["kafka"]
    assert row["type"] == "Tombstone"
    return f"{kafka['topic']}[{kafka['partition']}]@{kafka['offset']}"


class AtAnotherKafka:
    def __init__(self, bootstrap: str) -> None:
        self.bootstrap, self.prefix = bootstrap, f"copy-{uuid4().hex[:8]}"

    def sink(self) -> Sink:
        return KafkaSink(self.bootstrap, self.prefix)

    def abandon(self, sink: Sink) -> None:
        assert isinstance(sink, KafkaSink)
        sink._publisher.discard()

    def arrived(self) -> Arrived:
        found = []
        for message in records(self.bootstrap, f"{self.prefix}.tier-changes"):
            headers: dict[str, bytes] = dict(message.headers())
            source = headers[COPIED_FROM].decode()
            place, _, offset = source.rpartition("@")
            topic, _, partition = place.removesuffix("]").rpartition("[")
            found.append((topic, int(partition), int(offset), headers.get("ce_id", headers[COPIED_FROM]).decode()))
        return found

    def unusable(self) -> Callable[[], object]:
        sink = KafkaSink("127.0.0.1:1", "nowhere", {"log_level": 0}, give_up_ms=200)
        sink._progress.begin(("tier-changes", 0), 0)
        sink._publisher.publish("nowhere.tier-changes", 0, b"k", b"v")
        return sink.flush


def records(bootstrap: str, topic: str, partitions: int = 4) -> list[Any]:
    options = {"group.id": "t", "fetch.wait.max.ms": 10, "allow.auto.create.topics": True}
    consumer = Consumer({"bootstrap.servers": bootstrap, **options})
    consumer.list_topics(topic, timeout=10)  # makes it, if nothing was sent
    found: list[Any] = []
    for partition in range(partitions):
        low, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
        consumer.assign([TopicPartition(topic, partition, low)])
        count = len(found) + end - low
        while len(found) < count:
            found += [m for m in consumer.consume(1000, 0.05) if not m.error()]
    consumer.close()
    return found


class AtAWebServer:
    def __init__(self, server: Server) -> None:
        self.server, self.entries = server, dict[str, Entry]()

    def sink(self) -> Sink:
        tries = Tries(patience=Patience(first_wait_s=0.01, most_wait_s=0.05), look_s=0.01)
        undelivered = MemoryUndelivered(self.entries)
        return WebhookSink("webhook", lambda: WebhookPost(self.server.url, [SECRET], 5.0), undelivered, tries)

    def abandon(self, sink: Sink) -> None:
        assert isinstance(sink, WebhookSink)
        assert sink._courier
        sink._courier.stop()

    def arrived(self) -> Arrived:
        found = []
        for posted in self.server.accepted:
            topic, partition, offset = posted.id.split("/")
            found.append((topic, int(partition), int(offset), str(posted.event["id"])))
        return found

    def unusable(self) -> Callable[[], object]:
        return lambda: WebhookPost(self.server.url, ["my secret"])


@pytest.mark.parametrize("check", [check for check in CHECKS if check is not check_an_error_says_what_to_do])
def test_memory(check: Check) -> None:
    check(InMemory())


@each_check
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_files(check: Check, form: Format, tmp_path: Path) -> None:
    check(InFiles(tmp_path, form))


@each_check
def test_another_kafka(check: Check, broker: str) -> None:
    check(AtAnotherKafka(broker))


@each_check
def test_web_server(check: Check) -> None:
    with web_server() as server:
        check(AtAWebServer(server))


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """The broker inside librdkafka: it lives as long as this producer."""
    host = Producer({"test.mock.num.brokers": 1, "log_level": 2})
    metadata = host.list_topics(timeout=10)
    yield ",".join(f"{b.host}:{b.port}" for b in metadata.brokers.values())
    del host
