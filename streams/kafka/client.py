"""How we speak to Kafka: settings, names on the wire, and what librdkafka's errors mean to us.

Shared by the parts of the Kafka log; `log.py` puts them together.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from operator import methodcaller
from time import monotonic, sleep
from typing import Any, TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Message as KafkaMessage
from msgspec import Struct

from schemas.errors import LogUnavailable, SettingsError
from streams.log import Message
from streams.settings import Settings

ABANDONED_MS = 10_000  # how often the broker looks for transactions past their timeout
Answer = TypeVar("Answer")
Config = dict[str, Any]  # librdkafka takes text, numbers and callbacks alike

# Errors of librdkafka's own, not of a broker, begin with an underscore.
END_OF_PARTITION = KafkaError._PARTITION_EOF  # noqa: SLF001  as said
POLLED_TOO_LATE = KafkaError._MAX_POLL_EXCEEDED  # noqa: SLF001  as said
QUEUE_FULL = KafkaError._QUEUE_FULL  # noqa: SLF001  as said
NO_PARTITION = KafkaError._UNKNOWN_PARTITION  # noqa: SLF001  as said
MOVING = {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE}  # a new leader is being found
COORDINATING = {  # a group's coordinator is being found, or reads what it must know
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}
CONNECTING = {KafkaError._TRANSPORT, KafkaError._RESOLVE}  # noqa: SLF001  as said


MOST_BYTES = 2 << 20  # of a record: what may come in, with room for what a reroute or a rejection adds


class KafkaSettings(Struct, frozen=True):
    """`security` goes to librdkafka as it is: security.protocol, sasl.*, ssl.* and the like."""

    bootstrap: str
    namespace: str = "maitred"
    security: Mapping[str, str] = {}
    fetch_wait_max_ms: int = 20  # also bounds how long the end of a partition goes unnoticed; 10 on the mock broker
    transaction_timeout_ms: int = 10_000  # a killed worker's open transaction hides later records for this long
    session_timeout_ms: int = 10_000  # a killed worker's partitions move on after this long
    max_poll_interval_ms: int = 300_000  # restoring a wiped store happens between two polls
    is_embedded: bool = False  # the broker inside librdkafka, which needs some help
    answer_timeout_ms: int = 15_000  # after this long without an answer Kafka counts as unavailable

    @property
    def unsettled_ms(self) -> int:
        """The longest that somebody's transaction may stay open: its timeout, until the broker looks, until it answers."""
        return self.transaction_timeout_ms + ABANDONED_MS + self.answer_timeout_ms

    def wire(self, topic: str) -> str:
        """The name of a topic, or of a group, at the broker."""
        return f"{self.namespace}.{topic}"

    def config(self, **ours: Any) -> Config:  # Any: as `Config`
        """A librdkafka configuration. Underscores stand for dots; raises `SettingsError` where `security` contradicts it."""
        config: Config = {
            "bootstrap.servers": self.bootstrap,
            "socket.nagle.disable": True,
            "log_level": 2,  # what would be logged as an error comes to `error_cb` as well
            "error_cb": _tell,
            "logger": logging.getLogger("librdkafka"),  # else it writes to stderr in a form of its own
            **{name.replace("_", "."): value for name, value in ours.items()},
        }
        for name in self.security:
            if name in config:
                raise SettingsError(
                    f"kafka.security.{name}", "a setting that Maitred leaves open", name, "leave it out"
                )
        return {**self.security, **config}

    def reading(self, group: str, **ours: Any) -> Config:  # Any: as `Config`
        """The configuration of a consumer that reads what is committed and stores no offsets by itself."""
        return self.config(
            group_id=group,
            isolation_level="read_committed",
            enable_auto_commit=False,
            enable_auto_offset_store=False,
            enable_partition_eof=True,
            auto_offset_reset="error",  # we always say from where; a jump would lose records or repeat them
            fetch_error_backoff_ms=50,
            fetch_queue_backoff_ms=10,
            **ours,
        )


def kafka_config(settings: Settings) -> KafkaSettings:
    kafka = settings.kafka
    return KafkaSettings(
        bootstrap=kafka.bootstrap,
        namespace=settings.namespace,
        security=kafka.security,
        transaction_timeout_ms=kafka.transaction_timeout_ms,
        session_timeout_ms=kafka.session_timeout_ms,
        fetch_wait_max_ms=kafka.fetch_wait_max_ms,
        is_embedded=kafka.embedded,
        answer_timeout_ms=kafka.answer_timeout_ms,
    )


def publishing(security: Mapping[str, str]) -> Config:
    """What a publisher outside of transactions is given: the connection, and records as large as our topics take."""
    return {**security, "message.max.bytes": MOST_BYTES}


def _tell(error: KafkaError) -> None:
    """Log what a client meets by itself, but not each attempt to connect: calls without an answer say that."""
    if error.code() in CONNECTING:
        return
    structlog.get_logger().warning("kafka_client", error=error.name(), text=error.str())


def cause(error: KafkaException) -> KafkaError:
    told: KafkaError = error.args[0]
    return told


def explain(error: KafkaError) -> str:
    """What librdkafka says of an error, with all that decides how to go on."""
    traits = {
        "retriable": error.retriable(),
        "abortable": error.txn_requires_abort(),
        "fatal": error.fatal(),
    }
    said = "".join(f", {name}" for name, holds in traits.items() if holds)
    return f"{error.str()} ({error.name()}{said})"


@contextmanager
def answering(doing: str) -> Iterator[None]:
    """Turn librdkafka's exceptions into `LogUnavailable`."""
    try:
        yield
    except KafkaException as error:
        raise LogUnavailable(f"{doing}: {explain(cause(error))}") from error


def persist(call: Callable[[float], Answer], patience_ms: int, passing: Collection[int] = MOVING) -> Answer:
    """Call until it succeeds, while its errors may pass; it is told how many seconds are left."""
    deadline = monotonic() + patience_ms / 1000
    while True:
        try:
            return call(max(deadline - monotonic(), 0.1))
        except KafkaException as error:
            may_pass = cause(error).retriable() or cause(error).code() in passing
            if not may_pass or monotonic() >= deadline:
                raise
            sleep(0.01)


# For a header name that isn't UTF-8 the binding returns a list with a null pointer in it and leaves an exception behind.
# Called through C, as here, Python notices and raises SystemError; `message.headers()` in a hot function would go on with
# the list and crash. Never ask such a message twice.
headers_of = methodcaller("headers")


def received(topic: str, message: KafkaMessage) -> Message:
    """A consumed record as our `Message`."""
    try:
        headers = headers_of(message) or ()
    except SystemError:
        headers = ()
    return Message(
        topic,
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1],
        message.key(),
        message.value(),
        tuple([(name, value or b"") for name, value in headers]) if headers else (),
    )
