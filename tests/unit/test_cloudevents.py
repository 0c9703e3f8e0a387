"""The cloudevents package reads every event we send: headers in Kafka (binary mode), bodies of webhooks (structured mode)."""

import json
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.base import Format

from schemas.codec import TOPIC_EVENTS, cloud_event_headers, event_id, write_event
from schemas.events import Event, Outgoing
from schemas.registry import FileRegistry
from sinks.base import Delivery
from sinks.webhook import body_of
from streams.asyncapi.examples import AT_MS, example_of

PLACES = [(topic, kind) for topic, kinds in TOPIC_EVENTS.items() for kind in kinds]
SENT = [(topic, kind) for topic, kind in PLACES if kind in get_args(Outgoing)]
REGISTRY = FileRegistry()


class AsItIs(Format):
    """Avro stays bytes: what they mean is for a reader of Avro."""

    def read_data(self, data: Any, content_type: str | None) -> Any:  # Any: as the package has it
        return data

    def get_content_type(self) -> str:
        return "application/avro"

    def read(self, *args: Any) -> Any:
        raise NotImplementedError

    def write(self, *args: Any) -> Any:
        raise NotImplementedError

    def write_data(self, *args: Any) -> Any:
        raise NotImplementedError


def delivered(topic: str, kind: type[Event]) -> Delivery:
    event = msgspec.convert(example_of(kind), kind)
    value = write_event(event, REGISTRY.schema_id(kind.__name__))
    headers = tuple(cloud_event_headers(event, "/maitred/scorer", topic))
    return Delivery(topic, 2, 1841, AT_MS, b"c-1042", value, headers, event)


@pytest.mark.parametrize(("topic", "kind"), PLACES)
def test_binary_mode(topic: str, kind: type[Event]) -> None:
    """Of every type on every topic: id, source, type and time are what we meant, and the data are the record's bytes."""
    record = delivered(topic, kind)
    assert record.event is not None
    read = from_binary(KafkaMessage(dict(record.headers), record.key, record.value or b""), AsItIs())
    assert read.get_id() == event_id(record.event)
    assert read.get_source() == f"/maitred/scorer/{topic}"
    assert read.get_type() == f"maitred.{kind.__name__}"
    assert read.get_time() == datetime.fromtimestamp(record.event.occurred_at_ms / 1_000, UTC)
    assert read.get_datacontenttype() == "application/avro"
    assert read.get_data() == record.value


@pytest.mark.parametrize(("topic", "kind"), SENT)
def test_structured_mode(topic: str, kind: type[Event]) -> None:
    """Of every type we send, as webhooks carry it: the same id and type, the customer as subject, the fields as data."""
    record = delivered(topic, kind)
    message = HTTPMessage({"content-type": "application/cloudevents+json"}, body_of(record).encode())
    read = from_structured_event(message)
    assert (read.get_id(), read.get_type()) == (record.id, f"maitred.{kind.__name__}")
    assert read.get_subject() == record.customer
    assert read.get_extension("partitionkey") == "c-1042"
    assert read.get_data() == json.loads(msgspec.json.encode(record.event))


def test_nothing_we_send_is_left_out() -> None:
    assert {kind for _, kind in SENT} == set(get_args(Outgoing))
