"""How far a consumer group has come, asked of the brokers themselves: three requests, however many partitions.

What a member of the group believes goes stale just when it matters: while it is paused, stuck or out of the group.
"""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaException
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # exported, but not to type checkers

from schemas.errors import LogUnavailable
from streams.kafka.client import KafkaSettings, cause, explain
from streams.log import TopicPartition


class Standing(NamedTuple):
    """Where a group stands in a partition, and where what is committed there ends."""

    next_offset: int
    end: int


class GroupOffsets:
    """The offsets of one group. Raises `LogUnavailable` when no broker answers within `timeout_s`."""

    def __init__(self, settings: KafkaSettings, group: str, topics: Sequence[str], timeout_s: float = 5.0) -> None:
        self._settings, self._group, self._timeout_s = settings, settings.wire(group), timeout_s
        self._topics = {settings.wire(topic): topic for topic in topics}
        self._admin = AdminClient(settings.config())

    def standings(self, partitions: Collection[int]) -> dict[TopicPartition, Standing]:
        try:
            return self._standings(partitions)
        except LogUnavailable:
            # A client that met a broker that hung may miss the leaders for ever after.
            self._admin = AdminClient(self._settings.config())
            raise

    def _standings(self, partitions: Collection[int]) -> dict[TopicPartition, Standing]:
        places = [Place(wire, partition) for wire in self._topics for partition in sorted(partitions)]
        if not places:
            self._answer(lambda: self._admin.list_topics(timeout=self._timeout_s))
            return {}
        starts = self._bounds(places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]  # as it is
        ends = self._bounds(places, OffsetSpec.latest())  # type: ignore[no-untyped-call]  # as it is
        return {
            place: Standing(committed if committed >= 0 else starts[place], ends[place])
            for place, committed in self._committed(places).items()
        }

    def _bounds(self, places: list[Place], spec: OffsetSpec) -> dict[TopicPartition, int]:
        asked = self._admin.list_offsets(
            dict.fromkeys(places, spec),
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=self._timeout_s,
        )
        return {self._key(place): int(self._result(future).offset) for place, future in asked.items()}

    def _committed(self, places: list[Place]) -> dict[TopicPartition, int]:
        asked = self._admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(self._group, places)], request_timeout=self._timeout_s
        )
        return {self._key(place): place.offset for place in self._result(asked[self._group]).topic_partitions}

    def _result(self, future: "Future[Any]") -> Any:  # Any: what was asked for
        return self._answer(lambda: future.result(self._timeout_s + 1))

    def _answer(self, ask: Callable[[], Any]) -> Any:  # Any: as above
        try:
            return ask()
        except KafkaException as error:
            raise LogUnavailable(f"group {self._group}: {explain(cause(error))}") from error
        except TimeoutError as error:
            raise LogUnavailable(f"group {self._group}: no answer in {self._timeout_s} s") from error

    def _key(self, place: Place) -> TopicPartition:
        return self._topics[place.topic], place.partition
