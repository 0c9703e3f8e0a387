"""What a namespace was made with: one record on its topic `namespace`, which `maitred topics create` writes once.

With another `time` or base currency all that follows would be decided wrongly, for good. So workers ask here before they start.
"""

from typing import Literal

import msgspec
from msgspec import Struct

from schemas.errors import SettingsError
from sinks.kafka import KafkaPublisher
from streams.kafka.client import KafkaSettings, kafka_config, publishing
from streams.kafka.reader import KafkaReader
from streams.settings import Settings

TOPIC = "namespace"
KEY = b"made"


class Made(Struct, frozen=True):
    """The settings that are never changed for a namespace."""

    time: Literal["wall", "event"]
    partitions: int
    base: str  # the currency in which amounts are kept


def made_with(settings: Settings) -> Made:
    """What a namespace made now, with these settings, would be made with."""
    return Made(settings.time, settings.partitions, settings.money.base)


def read_made(settings: Settings) -> Made | None:
    """What the namespace was made with, None where that was never written. Its topic must be there."""
    kafka = kafka_config(settings)
    reader = KafkaReader(kafka, kafka.wire(TOPIC))
    try:
        message = reader.last(TOPIC, 0)
    finally:
        reader.close()
    return None if message is None or message.value is None else _decoded(message.value, kafka)


def _decoded(value: bytes, kafka: KafkaSettings) -> Made:
    try:
        return msgspec.json.decode(value, type=Made)
    except msgspec.DecodeError as error:
        expected, cure = "the record that `maitred topics create` writes", "look who else writes there"
        raise SettingsError(kafka.wire(TOPIC), expected, str(error), cure) from error


def write_made(settings: Settings) -> None:
    """Write what the namespace is made with, if nobody has. Its topic must be there."""
    if read_made(settings) is not None:
        return
    kafka = kafka_config(settings)
    publisher = KafkaPublisher(kafka.bootstrap, publishing(kafka.security), kafka.answer_timeout_ms)
    publisher.publish(kafka.wire(TOPIC), 0, KEY, msgspec.json.encode(made_with(settings)))
    publisher.flush()
