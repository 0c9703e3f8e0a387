"""The topics of a real Kafka as the source of a replay: transactions, stretches by time, and what was aborted."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import msgspec
import pyarrow as pa
import pytest
from confluent_kafka import Producer

from schemas.events import OrderLine, OrderPlaced
from schemas.registry import FileRegistry
from sinks.kafka import KafkaPublisher
from streams.kafka.client import kafka_config, publishing
from streams.kafka.spans import Wanted
from streams.publish import Form, publish
from streams.replay.rows import ROW_SCHEMA, batches_of
from streams.replay.sources.topics import SOURCES, TopicSource
from streams.settings import load
from streams.simulator import Malformed, Shop, ShopPlan
from tests.integration.real_world import own_namespace

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
LINE = OrderLine(sku="boot", quantity=1, unit_price_minor=49_000)


def in_order(batches):
    table = pa.Table.from_batches(list(batches), ROW_SCHEMA).to_pylist()
    return sorted((tuple(row.values()) for row in table), key=lambda row: row[:4])


def said(at_ms):
    return datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat()


def replay(variables, *options):
    code = "from streams.cli import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "replay",
        "--topics",
        "--json",
        "--processes",
        "1",
        "--baselines",
        "none",
        *options,
    ]
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done


def test_a_namespace_is_read_whole_and_by_time_as_it_was_published(tmp_path):
    with own_namespace("replay") as variables:
        settings = load(None, variables)
        plan = ShopPlan(seed=5, customers=60, days=120, trouble=0.0)
        events = [item for item in Shop(plan).events() if not isinstance(item, Malformed)]
        publisher = KafkaPublisher(settings.kafka.bootstrap, publishing({}))
        form = Form(namespace=settings.namespace, partitions=settings.partitions, keep_time=True)
        publish(events, publisher, FileRegistry(), form)
        topics = dict.fromkeys(SOURCES, settings.partitions)
        whole = in_order(batches_of(events, settings.partitions))
        source = TopicSource(kafka_config(settings), FileRegistry(), topics)
        assert in_order(source.batches()) == whole
        assert source.total() == len(whole)
        from_ms, to_ms = whole[300][0], whole[-300][0]
        by_time = TopicSource(kafka_config(settings), FileRegistry(), topics, Wanted(from_ms=from_ms, to_ms=to_ms))
        expected = [row for row in whole if from_ms <= row[0] < to_ms]
        assert 0 < len(expected) < len(whole)
        assert in_order(by_time.batches()) == expected
        told = replay(variables, "--from", said(from_ms), "--until", said(to_ms), "--work", str(tmp_path))
        assert json.loads(told.stdout)["events"] == len(expected)
        assert "what lies before --from is not known" in told.stderr
        nothing = TopicSource(kafka_config(settings), FileRegistry(), topics, Wanted(from_ms=whole[-1][0] + 1))
        assert (in_order(nothing.batches()), nothing.total()) == ([], 0)


def test_only_what_was_committed_is_a_row_and_markers_at_the_end_do_not_keep_it_waiting():
    with own_namespace("replay") as variables:
        settings = load(None, variables)
        producer = Producer({"bootstrap.servers": settings.kafka.bootstrap, "transactional.id": settings.namespace})
        producer.init_transactions()
        for number, end in enumerate(
            (producer.commit_transaction, producer.abort_transaction, producer.commit_transaction)
        ):
            producer.begin_transaction()
            order = OrderPlaced(
                order_id=str(number), occurred_at_ms=1_300_000_000_000, currency="EUR", market="DE", lines=(LINE,)
            )
            producer.produce(f"{settings.namespace}.orders", msgspec.json.encode(order), b"anna", partition=1)
            producer.flush()
            end()
        source = TopicSource(kafka_config(settings), FileRegistry(), {"orders": settings.partitions})
        assert [row[3] for row in in_order(source.batches())] == [0, 4]
        assert source.total() == 6
