"""All versions the model has had, as the topic `snapshots` tells them, and which one scores."""

from collections.abc import Iterator

from schemas.codec import Schemas, read_event
from schemas.errors import SettingsError
from schemas.events import SnapshotPublished
from schemas.registry import Registry
from streams.kafka.client import kafka_config
from streams.kafka.reader import KafkaReader
from streams.settings import Settings

SNAPSHOTS = "snapshots"


def published(settings: Settings, registry: Registry) -> Iterator[SnapshotPublished]:
    """Every version that is kept, the oldest first."""
    schemas, reader = Schemas(registry), KafkaReader(kafka_config(settings), f"{settings.namespace}.versions")
    try:
        for message in reader.read(SNAPSHOTS, 0, 0):
            event = read_event(SNAPSHOTS, message.value, message.headers, schemas, message.timestamp_ms)
            if isinstance(event, SnapshotPublished):
                yield event
    finally:
        reader.close()


def newest(settings: Settings, registry: Registry) -> SnapshotPublished | None:
    found = None
    for found in published(settings, registry):  # noqa: B007  # the last one is what is asked for
        pass
    return found


def version(settings: Settings, registry: Registry, wanted: str) -> SnapshotPublished | None:
    return next((event for event in published(settings, registry) if event.version == wanted), None)


def scoring_version(last: SnapshotPublished | None) -> str | None:
    """The version that scores, by the last one published. None: nothing has been, the cold start scores."""
    return None if last is None else last.scoring_version or last.version


def pinned(settings: Settings, registry: Registry) -> bytes:
    """The payload of the version that the settings pin."""
    pin = settings.learning.pin
    found = version(settings, registry, pin)
    if found is None:
        raise SettingsError(
            "learning.pin", "a version that is kept on the topic snapshots", pin, "`maitred model list` names them"
        )
    return found.payload
