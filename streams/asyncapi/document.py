"""Puts the document together: servers, channels and operations, from the settings, the topics and the processors.

What the messages look like is `messages.py`'s work. Operations are told from Maitred's side: it receives orders, and
sends assignments.
"""

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from streams.asyncapi.messages import BINDING, messages, messages_on, schemas
from streams.processors import Assigner, Learner, Scorer
from streams.settings import Settings
from streams.topics import TOPICS, Topic

Document = dict[str, Any]  # Any: JSON
RECEIVES: Mapping[str, tuple[str, ...]] = {kind.name: kind.sources for kind in (Scorer, Assigner, Learner)}
SENDS: Mapping[str, tuple[str, ...]] = {
    "scorer": ("scores", "tier-changes", "examples", "privacy"),
    "assigner": ("assignments", "current-assignments"),
    "learner": ("snapshots",),
}
OF_EACH = ("rejected", "{}.batch-log", "{}.changelog")
OF_OTHERS = {"deliver": ("undelivered",), "operator": ("namespace",)}
COMMANDS = "control"
ABOUT = """\
Maitred reads a shop's orders, returns and browse events, scores every first purchase for VIP potential, gives promising
customers a personal advisor, and announces loyalty tier changes.

**Keys and partitions.** Every record has the key that its message names, and lies on the partition that *murmur2* gives
for it: the default of the Java client and of kafkajs; `partitioner=murmur2_random` in librdkafka and kcat. A record on
another partition is sent on, which costs time and order.

**Reading.** All decisions are written in transactions: read with `isolation.level=read_committed` (librdkafka's and
kafkajs's default, not Java's) and every decision comes exactly once.

**Avro.** Confluent wire format: byte 0, the schema id in four bytes, the record. Ids come from the registry, or from
`schemas/history/ids.json` where there is none.
"""


def document(settings: Settings) -> Document:
    """The contract of one namespace."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Maitred",
            "version": version("maitred"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/avro",
        "servers": dict(_servers(settings)),
        "channels": {_id(topic.name): _channel(topic, settings) for topic in TOPICS},
        "operations": dict(_operations(settings)),
        "components": {"messages": messages(), "schemas": schemas()},
    }


def _servers(settings: Settings) -> Iterator[tuple[str, Document]]:
    url = settings.registry.url
    registry = {"schemaRegistryUrl": url, "schemaRegistryVendor": "confluent"} if url != "file" else {}
    is_secure = settings.kafka.security.get("security.protocol", "").endswith("SSL")
    for number, host in enumerate(settings.kafka.bootstrap.split(","), 1):
        yield (
            f"kafka{number}",
            {
                "host": host.strip(),
                "protocol": "kafka-secure" if is_secure else "kafka",
                "description": "A broker to ask first. Read with isolation.level=read_committed.",
                "bindings": {"kafka": {**registry, "bindingVersion": BINDING}},
            },
        )


def _channel(topic: Topic, settings: Settings) -> Document:
    kept = topic.config(settings.kafka.replication)
    numbers = ("retention.ms", "retention.bytes", "delete.retention.ms", "max.message.bytes")
    return {
        "address": f"{settings.namespace}.{topic.name}",
        "title": topic.name,
        "description": f"{topic.holds[0].upper()}{topic.holds[1:]}. Partitioned by murmur2 of the key.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages_on(topic.name)},
        "bindings": {
            "kafka": {
                "topic": f"{settings.namespace}.{topic.name}",
                "partitions": topic.partitions(settings.partitions),
                "replicas": settings.kafka.replication,
                "topicConfiguration": {
                    "cleanup.policy": [kept["cleanup.policy"]],
                    **{option: int(kept[option]) for option in numbers if option in kept},
                },
                "bindingVersion": BINDING,
            }
        },
        "x-partitioner": "murmur2",
        "x-isolation-level": "read_committed",
    }


def _operations(settings: Settings) -> Iterator[tuple[str, Document]]:
    for processor, topics in RECEIVES.items():
        for topic in topics:
            yield f"{processor}Receives{_title(topic)}", _operation("receive", topic, processor, settings)
    yield f"workerReceives{_title(COMMANDS)}", _operation("receive", COMMANDS, "worker", settings)
    for processor, topics in SENDS.items():
        for topic in (*topics, *(name.format(processor) for name in OF_EACH)):
            yield f"{processor}Sends{_title(topic)}", _operation("send", topic, processor, settings)
    for sender, topics in OF_OTHERS.items():
        for topic in topics:
            yield f"{sender}Sends{_title(topic)}", _operation("send", topic, sender, settings)


def _operation(action: str, topic: str, who: str, settings: Settings) -> Document:
    group = {"groupId": {"type": "string", "const": f"{settings.namespace}.{who}"}} if action == "receive" else {}
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{_id(topic)}"},
        "summary": f"The {who} {'reads' if action == 'receive' else 'writes'} {topic}.",
        "messages": [{"$ref": f"#/channels/{_id(topic)}/messages/{name}"} for name in messages_on(topic)],
        "bindings": {"kafka": {**group, "bindingVersion": BINDING}},
    }


def _id(topic: str) -> str:
    """A channel's name in the document.

    >>> _id("tier-changes"), _id("scorer.batch-log")
    ('tierChanges', 'scorerBatchLog')
    """
    return _title(topic)[0].lower() + _title(topic)[1:]


def _title(topic: str) -> str:
    return "".join(word.capitalize() for word in topic.replace(".", "-").split("-"))
