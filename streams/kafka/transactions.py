"""The writing half of the Kafka log: one transactional producer, one transaction per commit.

What makes a transaction quick, measured in `benchmarks/commit.py`: the broker finishes a transaction a few milliseconds
after it has answered, and turns the next one away until then; librdkafka asks again after `retry.backoff.ms`, which is
100 by default and starts at 1 here. Records go before offsets, so that the broker takes in both at once.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as KafkaMessage
from confluent_kafka import TopicPartition as Place

from schemas.errors import CommitUnsettled, LogUnavailable
from streams.kafka.client import MOST_BYTES, QUEUE_FULL, KafkaSettings, cause, explain, persist
from streams.log import OutMessage, TopicPartition

ABORT_SECONDS = 5.0
Delivered = Callable[[KafkaError | None, KafkaMessage], None]


class Transactions:
    """At most one transaction at a time. After one that failed nothing is written until `renew` has settled it."""

    def __init__(self, settings: KafkaSettings, transactional_id: str) -> None:
        self._settings, self._id = settings, transactional_id
        self._producer: Producer | None = None
        self._settled = False  # no transaction of ours is open, or can be

    def renew(self) -> None:
        """Fence and settle whatever this transactional id left behind. Nothing to do where all is settled."""
        if self._settled:
            return
        self.close()
        self._producer = producer = Producer(self._config())
        try:
            persist(producer.init_transactions, self._settings.answer_timeout_ms)
        except KafkaException as error:
            raise LogUnavailable(f"producer {self._id}: {explain(cause(error))}") from error
        self._settled = True

    def commit(
        self,
        messages: Sequence[OutMessage],
        offsets: Mapping[TopicPartition, int],
        group: Any,  # Any: librdkafka keeps the group's metadata opaque
    ) -> dict[TopicPartition, int]:
        """Write messages and offsets in one transaction; returns the offset after the last message of each partition."""
        producer = self._producer
        if producer is None or not self._settled:
            raise CommitUnsettled(f"producer {self._id}: the last transaction is not settled: renew first")
        self._settled = False
        try:
            ends = self._transact(producer, messages, offsets, group)
        except KafkaException as error:
            raise CommitUnsettled(f"producer {self._id}: {self._give_up(producer, cause(error))}") from error
        self._settled = True
        return ends

    def close(self) -> None:
        """Let go of the producer without waiting for what it still holds: its own `close` would, and warns of it."""
        if self._producer is not None:
            self._producer.purge(blocking=False)
        self._producer, self._settled = None, False

    def _config(self) -> dict[str, Any]:
        return self._settings.config(
            transactional_id=self._id,
            transaction_timeout_ms=self._settings.transaction_timeout_ms,
            linger_ms=0,
            compression_type="none" if self._settings.is_embedded else "lz4",  # what others read, brokers keep as gzip
            message_max_bytes=MOST_BYTES,
            retry_backoff_ms=1,  # doubles with every attempt, up to a second
        )

    def _transact(
        self,
        producer: Producer,
        messages: Sequence[OutMessage],
        offsets: Mapping[TopicPartition, int],
        group: Any,  # Any: as in `commit`
    ) -> dict[TopicPartition, int]:
        patience_ms = self._settings.transaction_timeout_ms
        places = [Place(self._settings.wire(topic), p, at) for (topic, p), at in offsets.items()]
        producer.begin_transaction()
        ends = self._produce(producer, messages)
        persist(lambda left: producer.send_offsets_to_transaction(places, group, left), patience_ms)
        persist(producer.commit_transaction, patience_ms)
        return ends

    def _produce(self, producer: Producer, messages: Sequence[OutMessage]) -> dict[TopicPartition, int]:
        """Hand all messages to librdkafka. The result fills while it delivers; only the last of a partition reports."""
        ends: dict[TopicPartition, int] = {}
        names = {topic: self._settings.wire(topic) for topic in {message.topic for message in messages}}
        last = {(message.topic, message.partition): number for number, message in enumerate(messages)}
        reporters = {number: _reporter(ends, place) for place, number in last.items()}
        for number, (topic, partition, key, value, headers, timestamp_ms) in enumerate(messages):
            said: list[Any] | None = list(headers) if headers else None  # Any: `produce` takes more, invariantly
            delivered, at_ms = reporters.get(number), timestamp_ms or 0
            try:
                producer.produce(names[topic], value, key, partition, delivered, None, at_ms, said)
            except BufferError:
                self._squeeze_in(producer, names[topic], value, key, partition, delivered, None, at_ms, said)
        return ends

    def _squeeze_in(self, producer: Producer, *record: Any) -> None:  # Any: what `produce` takes
        """Once more, for as long as librdkafka's queue is full, letting it deliver meanwhile."""
        deadline = monotonic() + self._settings.transaction_timeout_ms / 1000
        while True:
            producer.poll(0.01)
            try:
                return producer.produce(*record)
            except BufferError as error:
                if monotonic() > deadline:
                    raise KafkaException(KafkaError(QUEUE_FULL, txn_requires_abort=True)) from error

    def _give_up(self, producer: Producer, error: KafkaError) -> str:
        """Abort where that is all it takes, so that readers need not wait for the broker to do it."""
        if error.fatal():
            return explain(error)
        with suppress(KafkaException):  # then `renew` settles it, or in the end the broker's timeout
            producer.abort_transaction(ABORT_SECONDS)
            return f"aborted: {explain(error)}"
        return explain(error)


def _reporter(ends: dict[TopicPartition, int], place: TopicPartition) -> Delivered:
    def delivered(error: KafkaError | None, message: KafkaMessage) -> None:
        offset = message.offset()
        if error is None and offset is not None:  # an error fails the transaction by itself
            ends[place] = offset + 1

    return delivered
