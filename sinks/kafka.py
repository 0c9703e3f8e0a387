"""Publishing to Kafka outside of any transaction: for what has no offsets to commit with it, such as event files, and for
decisions that are copied to another cluster or under another name.

The producer is idempotent, so nothing comes twice or out of order by a retry, and it keeps count: what is not delivered is
told, never dropped. Decisions of the processors don't pass here: they go out in their commit.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from math import inf
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as KafkaMessage

from schemas.errors import LogUnavailable, SinkUnavailable
from sinks.base import Delivery, Place, Progress

WAIT_S = 0.1
BY_KEY = -1  # the partition is librdkafka's to choose
COPIED_FROM = "maitred_copied_from"


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

    def discard(self) -> None:
        """Forget what is not acknowledged yet; some of it may arrive all the same."""
        self._producer.purge()
        self._producer.flush(WAIT_S)

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


class KafkaSink:
    """Copies records, bytes and headers unchanged, to `<prefix>.<topic>` of another cluster, or of this one.

    Keys are laid on partitions by murmur2, however many there are. After a crash some come twice; each says in a header
    where it was copied from, and its CloudEvents id is the same.
    """

    def __init__(
        self, bootstrap: str, prefix: str, config: Mapping[str, Any] | None = None, give_up_ms: int = 120_000
    ) -> None:
        self._bootstrap, self._prefix = bootstrap, prefix
        self._config, self._give_up_ms = {**(config or {}), "partitioner": "murmur2_random"}, give_up_ms
        self._publisher = self._opened()
        self._progress = Progress()

    def open(self, places: Collection[Place]) -> Mapping[Place, int]:  # noqa: ARG002  the group knows where it stands
        self._let_go()
        return {}

    def room(self) -> int:
        return 5_000

    def put(self, deliveries: Sequence[Delivery]) -> None:
        try:
            for delivery in deliveries:
                self._progress.begin(delivery.place, delivery.offset)
                headers = (*delivery.headers, (COPIED_FROM, delivery.where.encode()))
                self._publisher.publish(
                    f"{self._prefix}.{delivery.topic}", BY_KEY, delivery.key, delivery.value, headers,
                    delivery.timestamp_ms,
                )  # fmt: skip
        except LogUnavailable as error:
            raise self._unavailable(error) from error

    def settled(self) -> Mapping[Place, int]:
        self.flush()
        return self._progress.settled()

    def flush(self, seconds: float = inf) -> bool:  # noqa: ARG002  the publisher's patience has an end of its own
        if not self._progress:
            return True
        try:
            self._publisher.flush()
        except LogUnavailable as error:
            raise self._unavailable(error) from error
        self._progress.finish_all()
        return True

    def release(self) -> Mapping[Place, int]:
        reached = self.settled()
        self._let_go()
        return reached

    def close(self) -> None:
        self._publisher.discard()
        self._progress.clear()

    def _opened(self) -> KafkaPublisher:
        return KafkaPublisher(self._bootstrap, self._config, self._give_up_ms)

    def _let_go(self) -> None:
        if self._progress:  # what an earlier owner may still send must not overtake
            self._publisher.discard()
            self._publisher = self._opened()
        self._progress.clear()

    def _unavailable(self, error: LogUnavailable) -> SinkUnavailable:
        cure = "see that its brokers run and its topics are there, then start again: it goes on where it stood"
        return SinkUnavailable(f"{self._prefix}.* at {self._bootstrap}", "records to be acknowledged", error, cure)
