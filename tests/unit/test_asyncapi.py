"""The AsyncAPI document says what the code does; that it is valid the official parser says (tests/integration/test_node.py)."""

import base64
import json
from typing import Any

import msgspec
import pytest
import yaml as reference

from schemas.codec import TOPIC_EVENTS, Schemas, read_event, write_event
from schemas.definitions import Definitions
from schemas.registry import FileRegistry
from streams.asyncapi import document, yaml
from streams.asyncapi.messages import AVRO, FROM_OUTSIDE, KINDS
from streams.settings import Settings, read
from streams.topics import TOPICS

DOCUMENT = json.loads(json.dumps(document(Settings())))
MESSAGES = DOCUMENT["components"]["messages"]
CHANNELS = DOCUMENT["channels"]
REGISTRY = FileRegistry()


def test_yaml_is_read_as_what_was_meant() -> None:
    """By a reader of YAML 1.1, the pickiest there is."""
    odd = [
        "",
        "no",
        "1.0",
        "1e3",
        "a: b",
        "#/x",
        "- a",
        "ä€",
        "a\nb",
        " a",
        "null",
        "~",
        "*a",
        "{x}",
        "2026-01-01",
        "0x1F",
    ]
    shapes: Any = {"odd": odd, "none": None, "empty": {"list": [], "dict": {}}, "deep": [[1, [2]], {"a": [{}]}]}
    values: list[Any] = [DOCUMENT, shapes]  # Any: JSON
    for value in values:
        assert reference.safe_load(yaml(value)) == value


def test_every_topic_is_a_channel_that_somebody_reads_or_writes() -> None:
    assert [channel["address"] for channel in CHANNELS.values()] == [f"maitred.{topic.name}" for topic in TOPICS]
    used = {operation["channel"]["$ref"].rpartition("/")[2] for operation in DOCUMENT["operations"].values()}
    assert used == set(CHANNELS)


def test_every_event_of_a_topic_is_a_message_of_its_channel() -> None:
    """From outside as JSON too; and nothing is described that lies nowhere."""
    for topic, kinds in TOPIC_EVENTS.items():
        for channel in CHANNELS.values():
            if channel["title"] == topic or channel["title"].endswith(f".{topic}"):
                expected = {kind.__name__ for kind in kinds}
                expected |= {f"{name}Json" for name in expected & FROM_OUTSIDE}
                assert set(channel["messages"]) == expected
    lying = {name for channel in CHANNELS.values() for name in channel["messages"]}
    assert lying == set(MESSAGES)


@pytest.mark.parametrize("name", Definitions().names())
def test_a_message_has_the_schema_the_key_and_an_example(name: str) -> None:
    message = MESSAGES[name]
    assert message["payload"] == {"schemaFormat": AVRO, "schema": json.loads(Definitions().current(name))}
    assert message["bindings"]["kafka"]["key"]["description"]
    assert message["summary"]
    (example,) = message["examples"]
    event = msgspec.convert(with_bytes(name, example["payload"]), KINDS[name])
    written = write_event(event, REGISTRY.schema_id(name))
    assert read_event(topic_of(name), written, (), Schemas(REGISTRY)) == event


@pytest.mark.parametrize("name", sorted(FROM_OUTSIDE))
def test_an_example_in_json_is_read_as_the_event_it_shows(name: str) -> None:
    """As it stands, type and all; and no field of the class is missing in its JSON Schema."""
    (example,) = MESSAGES[f"{name}Json"]["examples"]
    event = read_event(topic_of(name), json.dumps(example["payload"]).encode(), (), Schemas(REGISTRY))
    assert type(event) is KINDS[name], event
    reference_ = MESSAGES[f"{name}Json"]["payload"]["schema"]["$ref"].rpartition("/")[2]
    fields = {field.name for field in msgspec.structs.fields(KINDS[name])}
    assert set(DOCUMENT["components"]["schemas"][reference_]["properties"]) == fields | {"type"}


def test_settings_are_in_it() -> None:
    """A namespace's own document names its topics, brokers and registry."""
    settings = read(
        {
            "namespace": "shop",
            "partitions": 12,
            "kafka": {"bootstrap": "k1:9092, k2:9092", "security": {"security.protocol": "SASL_SSL"}},
            "registry": {"url": "http://registry:8081"},
        },
        {},
    )
    found = document(settings)
    assert [server["host"] for server in found["servers"].values()] == ["k1:9092", "k2:9092"]
    assert {server["protocol"] for server in found["servers"].values()} == {"kafka-secure"}
    assert found["servers"]["kafka1"]["bindings"]["kafka"]["schemaRegistryUrl"] == "http://registry:8081"
    assert found["channels"]["orders"]["bindings"]["kafka"]["partitions"] == 12
    assert found["operations"]["scorerReceivesOrders"]["bindings"]["kafka"]["groupId"]["const"] == "shop.scorer"


def topic_of(name: str) -> str:
    return next(topic for topic, kinds in TOPIC_EVENTS.items() if KINDS[name] in kinds)


def with_bytes(name: str, payload: dict[str, object]) -> dict[str, object]:
    """Bytes stand in base64 in an example."""
    fields = json.loads(Definitions().current(name))["fields"]
    raw = {field["name"] for field in fields if field["type"] == "bytes"}
    return {key: base64.b64decode(str(value)) if key in raw else value for key, value in payload.items()}
