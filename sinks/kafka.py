"""Publishing to Kafka outside of any transaction: for what has no offsets to commit with it, such as event files.

The producer is idempotent, so nothing comes twice or out of order by a retry, and it keeps count: what is not delivered is
told, never dropped. Decisions of the processors don't pass here: they go out in their commit.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as KafkaMessage

from schemas.errors import LogUnavailable

WAIT_S = 0.1


class KafkaPublisher:
    """`config` holds librdkafka's options of the connection. Keep to one thread."""

    def __init__(self, bootstrap: str, config: Mapping[str, Any] | None = None, give_up_ms: int = 120_000) -> None:
        self._producer = Producer(
            {
                "log_level": 3,  # what passes (a coordinator that is loading) is tried again, not told
                **(config or {}),
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 5,
                "delivery.timeout.ms": give_up_ms,
            }
        )
        self._give_up_s = give_up_ms / 1_000
        self._failures: list[str] = []
        self.published = 0
        self.delivered: Counter[str] = Counter()  # topic -> records the brokers have acknowledged

    def publish(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp_ms: int | None = None,
    ) -> None:
        """Hand over a record, waiting while the queue is full. Raises `LogUnavailable` once a record was not delivered."""
        self._raise_failures()
        stamp = timestamp_ms or 0  # 0: the time of producing
        while True:
            try:
                self._producer.produce(
                    topic,
                    value,
                    key,
                    partition,
                    on_delivery=self._reported,
                    timestamp=stamp,
                    headers=list(headers),
                )
                break
            except BufferError:
                self._producer.poll(WAIT_S)
                self._raise_failures()
            except KafkaException as error:
                raise LogUnavailable(f"{topic}[{partition}]: {error.args[0].str()}") from error
        self.published += 1
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait until every record is acknowledged. Raises `LogUnavailable` if one is not."""
        left = self._producer.flush(self._give_up_s)
        self._raise_failures()
        if left:
            raise LogUnavailable(f"{left} of {self.published} records are not acknowledged; check that the brokers run")

    def _reported(self, error: KafkaError | None, message: KafkaMessage) -> None:
        topic = message.topic() or ""
        if error is None:
            self.delivered[topic] += 1
        else:
            self._failures.append(f"{topic}[{message.partition()}]: {error.str()}")

    def _raise_failures(self) -> None:
        if self._failures:
            more = f", and {len(self._failures) - 1} more" if len(self._failures) > 1 else ""
            raise LogUnavailable(
                f"{self._failures[0]}{more}; {self.delivered.total()} of {self.published} records were delivered"
            )
