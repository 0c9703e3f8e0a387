"""The broker without a server: the one inside librdkafka, which listens on loopback, for the demo and a laptop with only Python.

It knows consumer groups and transactions, and lives in the process that opened it. What it lacks: it cannot create topics on
request (so they are made here), keeps the last 5 MB of a partition, forgets the offsets of a transaction and shows records of
aborted ones. `kafka.embedded` in the settings tells our clients.

The Python binding opens such a broker only with topics of four partitions each. So it is opened here through the library's own
functions (`rdkafka_mock.h`), of the very librdkafka that the binding has loaded.
"""

import ctypes
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import cimpl

from schemas.errors import LogUnavailable, SettingsError

PRODUCER = 0  # RD_KAFKA_PRODUCER: the client that librdkafka wants beside a broker; it never connects
REBALANCE_MS = 100  # a new group waits this long for further members; 3 s by default
BREATH_S = 0.001  # between calls: one that comes while the broker's thread puts the last one away waits a second


@contextmanager
def embedded_broker(topics: Mapping[str, int]) -> Iterator[str]:
    """A broker with these topics (name to partitions) while the context lasts; gives its address."""
    library = _library()
    client = _client(library)
    cluster = library.rd_kafka_mock_cluster_new(client, 1)
    try:
        time.sleep(BREATH_S)
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, REBALANCE_MS)
        for name, partitions in topics.items():
            _create(library, cluster, name, partitions)
        yield library.rd_kafka_mock_cluster_bootstraps(cluster).decode()
    finally:
        time.sleep(BREATH_S)
        library.rd_kafka_mock_cluster_destroy(cluster)
        library.rd_kafka_destroy(client)


def _library() -> Any:  # Any: ctypes finds functions by name
    """librdkafka, found through the binding that is linked to it."""
    library: Any = ctypes.CDLL(cimpl.__file__)
    address, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    signatures = {
        "rd_kafka_conf_new": (address, []),
        "rd_kafka_conf_set": (number, [address, text, text, text, ctypes.c_size_t]),
        "rd_kafka_new": (address, [number, address, text, ctypes.c_size_t]),
        "rd_kafka_destroy": (None, [address]),
        "rd_kafka_mock_cluster_new": (address, [address, number]),
        "rd_kafka_mock_cluster_destroy": (None, [address]),
        "rd_kafka_mock_cluster_bootstraps": (text, [address]),
        "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [address, ctypes.c_int32]),
        "rd_kafka_mock_topic_create": (number, [address, text, number, number]),
    }
    for name, (result, arguments) in signatures.items():
        try:
            function = getattr(library, name)
        except AttributeError as error:
            cure = "install confluent-kafka from its wheel, or use a real broker"
            raise SettingsError("kafka.embedded", f"a librdkafka with {name}", "one without", cure) from error
        function.restype, function.argtypes = result, arguments
    return library


def _client(library: Any) -> int:  # Any: as above
    said = ctypes.create_string_buffer(512)
    config = library.rd_kafka_conf_new()
    library.rd_kafka_conf_set(config, b"log_level", b"0", said, len(said))
    client: int | None = library.rd_kafka_new(PRODUCER, config, said, len(said))
    if not client:
        raise LogUnavailable(f"embedded broker: not opened: {said.value.decode()}")
    return client


def _create(library: Any, cluster: int, name: str, partitions: int) -> None:  # Any: as above
    time.sleep(BREATH_S)
    if code := library.rd_kafka_mock_topic_create(cluster, name.encode(), partitions, 1):
        raise LogUnavailable(f"embedded broker: topic {name} not created: librdkafka's error {code}")
