"""Rows a second of every source of a replay, in one process, by CPU time: what a fold is fed with.

python benchmarks/replay_sources.py [--customers 20000] [--data ../shared/data]
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from confluent_kafka.admin import AdminClient

from schemas.registry import FileRegistry
from sinks.kafka import KafkaPublisher
from streams import topics
from streams.datasets import DATASETS
from streams.datasets.dataset import DatasetError
from streams.embedded import embedded_broker
from streams.kafka.client import KafkaSettings, kafka_config
from streams.publish import Form, publish
from streams.replay.sources.files import FileSource
from streams.replay.sources.named import NamedSource
from streams.replay.sources.simulator import SimulatorSource
from streams.replay.sources.topics import SOURCES, TopicSource
from streams.settings import read
from streams.simulator import Malformed, Shop, ShopPlan
from streams.simulator.files import write_files
from streams.simulator.runs import entry_of

PARTITIONS, ON_TOPICS = 12, 30_000  # the embedded broker keeps the last 5 MB of a partition


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--customers", type=int, default=5_000)
    options.add_argument("--data", type=Path)
    options.add_argument("--kafka", help="a real broker; else the embedded one, and few events")
    chosen = options.parse_args()
    plan = ShopPlan(customers=chosen.customers, trouble=0.0)
    print(f"{'source':<26}{'rows':>10}{'rows/s':>12}{'of the thread':>16}{'MB of rows':>12}")
    with TemporaryDirectory() as folder:
        events = [item for item in Shop(plan).events() if not isinstance(item, Malformed)]
        for form in ("parquet", "jsonl", "avro"):
            (Path(folder) / form).mkdir()
            write_files([entry_of(event) for _, event in events], Path(folder) / form, form)
            measure(f"files, {form}", FileSource([Path(folder) / form], PARTITIONS))
    measure("simulator", SimulatorSource(plan, PARTITIONS))
    for encoding in ("avro", "json"):
        on_topics(events, encoding, chosen.kafka)
    for name in DATASETS:
        try:
            measure(name, NamedSource(name, chosen.data, PARTITIONS))
        except DatasetError as error:
            print(f"{name:<26}{error}")


def on_topics(events, encoding, address) -> None:
    if address is None:
        with embedded_broker({f"shop.{topic}": PARTITIONS for topic in SOURCES}) as embedded:
            kafka = KafkaSettings(embedded, "shop", fetch_wait_max_ms=10, is_embedded=True)
            read_topics(events[:ON_TOPICS], encoding, kafka)
        return
    own = {"MAITRED_NAMESPACE": f"bench-{uuid4().hex[:8]}", "MAITRED_KAFKA__BOOTSTRAP": address}
    settings = read({}, {**own, "MAITRED_KAFKA__REPLICATION": "1", "MAITRED_PARTITIONS": str(PARTITIONS)})
    topics.create(settings)
    try:
        read_topics(events, encoding, kafka_config(settings))
    finally:
        admin = AdminClient({"bootstrap.servers": address})
        for deleted in admin.delete_topics(topics.existing(settings)).values():
            deleted.result()


def read_topics(events, encoding, kafka) -> None:
    form = Form(namespace=kafka.namespace, partitions=PARTITIONS, encoding=encoding, keep_time=True)
    publish(events, KafkaPublisher(kafka.bootstrap), FileRegistry(), form)
    source = TopicSource(kafka, FileRegistry(), dict.fromkeys(SOURCES, PARTITIONS))
    measure(f"topics, {encoding}{' (embedded)' if kafka.is_embedded else ''}", source)


def measure(name, source) -> None:
    began, own, size, rows = time.process_time(), time.thread_time(), 0, 0
    for batch in source.batches():
        rows, size = rows + len(batch), size + batch.nbytes
    cpu, own = time.process_time() - began, time.thread_time() - own
    print(f"{name:<26}{rows:>10,}{rows / cpu:>12,.0f}{rows / own:>16,.0f}{size / 1e6:>12.1f}", flush=True)


if __name__ == "__main__":
    main()
