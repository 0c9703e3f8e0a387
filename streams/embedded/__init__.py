"""Kafka and Redis without a server to start: a broker and a store that last as long as a context.

    with embedded_servers(directory) as servers:
        settings = load(None, {**os.environ, **servers.environment})

Both keep everything in memory, so nothing outlives them. What each is: `broker.py`, `store.py`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from streams.embedded.broker import embedded_broker
from streams.embedded.store import embedded_store
from streams.topics import TOPICS

__all__ = ["Servers", "embedded_broker", "embedded_servers", "embedded_store"]


class Servers(Struct, frozen=True):
    """Where they listen, as the settings name it."""

    environment: Mapping[str, str]


@contextmanager
def embedded_servers(directory: Path, namespace: str = "maitred", partitions: int = 4) -> Iterator[Servers]:
    """A broker with all topics of a namespace, and a store. What they have to say is written to `directory`."""
    topics = {f"{namespace}.{topic.name}": topic.partitions(partitions) for topic in TOPICS}
    with embedded_store(directory) as url, embedded_broker(topics) as address:
        yield Servers(
            {
                "MAITRED_NAMESPACE": namespace,
                "MAITRED_PARTITIONS": str(partitions),
                "MAITRED_KAFKA__BOOTSTRAP": address,
                "MAITRED_KAFKA__EMBEDDED": "true",
                "MAITRED_KAFKA__REPLICATION": "1",
                "MAITRED_KAFKA__FETCH_WAIT_MAX_MS": "10",
                "MAITRED_REDIS__URL": url,
            }
        )
