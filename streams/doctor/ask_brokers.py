"""What the brokers say by their admin interface, and to a producer that asks for a transaction. Judges nothing.

Asking leaves one trace: a transactional id of the doctor's own, which Kafka forgets after a week.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, IsolationLevel, KafkaException, Producer
from confluent_kafka import TopicPartition as WirePlace
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported, but not to type checkers
    AdminClient,
    ConfigResource,
    OffsetSpec,
    ResourceType,
)

from streams.doctor.gathered import Cluster, Group, OpenTransaction, Place
from streams.kafka.client import COORDINATING, KafkaSettings, answering, cause, explain, persist


class Brokers:
    """One admin client, as long as the doctor asks."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka, self._wait_s = kafka, kafka.answer_timeout_ms / 1_000
        self._admin = AdminClient(kafka.config())

    def cluster(self) -> Cluster:
        with answering(f"Kafka at {self._kafka.bootstrap}"):
            metadata = self._admin.list_topics(timeout=self._wait_s)
        nodes = sorted(metadata.brokers)
        return Cluster(len(nodes), self._config(nodes[0]) if nodes else {}, self._refused_transaction())

    def _config(self, node: int) -> dict[str, str]:
        if self._kafka.is_embedded:
            return {}
        asked = self._admin.describe_configs([ConfigResource(ResourceType.BROKER, str(node))])
        try:
            (entries,) = [future.result(self._wait_s) for future in asked.values()]
        except KafkaException:  # forbidden to many who may well work
            return {}
        return {name: entry.value for name, entry in entries.items() if entry.value is not None}

    def _refused_transaction(self) -> str:
        """What Kafka says against our transactions; empty if nothing."""
        kafka = self._kafka
        ours = kafka.config(transactional_id=kafka.wire("doctor"), transaction_timeout_ms=kafka.transaction_timeout_ms)
        producer = Producer({**ours, "log_level": 0})  # what it would log is what is returned
        try:
            persist(producer.init_transactions, kafka.answer_timeout_ms)
        except KafkaException as error:
            return explain(cause(error))
        return ""

    def groups(self, sources: Mapping[str, list[Place]]) -> dict[str, Group]:
        """Each processor's group. `sources`: the places each reads, as far as they are there."""
        names = {self._kafka.wire(processor): processor for processor in sources}
        with answering("consumer groups"):
            told = persist(lambda left: self._told(names, left), self._kafka.answer_timeout_ms, COORDINATING)
        ends = self._ends([place for places in sources.values() for place in places], committed_only=True)
        return {processor: self._group(processor, told[processor], sources[processor], ends) for processor in sources}

    def _told(self, names: Mapping[str, str], wait_s: float) -> dict[str, Any]:  # Any: untyped
        asked = self._admin.describe_consumer_groups([*names], request_timeout=wait_s)
        return {names[group]: future.result() for group, future in asked.items()}

    def _group(
        self, processor: str, told: Any, places: list[Place], ends: Mapping[Place, int]
    ) -> Group:  # Any: untyped
        held = tuple((f"{member.host}", len(member.assignment.topic_partitions)) for member in told.members)
        committed = self._committed(processor, places)
        waiting = {place: ends[place] - committed.get(place, 0) for place in places if place in ends}
        return Group(told.state.name, held, {place: count for place, count in waiting.items() if count > 0})

    def _committed(self, processor: str, places: list[Place]) -> dict[Place, int]:
        if not places:
            return {}
        group, wanted = self._kafka.wire(processor), [self._wire(place) for place in places]
        asked = ConsumerGroupTopicPartitions(group, wanted)
        with answering(f"offsets of group {group}"):
            found = persist(lambda left: self._offsets(asked, left), self._kafka.answer_timeout_ms, COORDINATING)
        return {self._ours(place): place.offset for place in found if place.offset >= 0}

    def _offsets(self, asked: ConsumerGroupTopicPartitions, wait_s: float) -> list[WirePlace]:
        (told,) = self._admin.list_consumer_group_offsets([asked], request_timeout=wait_s).values()
        found: list[WirePlace] = told.result().topic_partitions
        return found

    def open_transactions(self, places: list[Place]) -> tuple[OpenTransaction, ...]:
        """The places where readers of committed records wait, and since when."""
        stable = self._ends(places, committed_only=True)
        written = self._ends(places, committed_only=False)
        behind = {place: at for place, at in stable.items() if at < written[place]}
        return tuple(self._begun(behind)) if behind else ()

    def _begun(self, behind: Mapping[Place, int]) -> Iterator[OpenTransaction]:
        config = self._kafka.reading(self._kafka.wire("doctor"))
        consumer = Consumer({**config, "isolation.level": "read_uncommitted"})
        for place, offset in behind.items():
            consumer.assign([self._at(place, offset)])
            record = consumer.poll(self._wait_s)
            if record is not None and record.error() is None:  # else it ended while we asked
                yield OpenTransaction(place, record.offset() or 0, record.timestamp()[1])
        consumer.close()

    def _ends(self, places: list[Place], *, committed_only: bool) -> dict[Place, int]:
        """The offset after the last record, of readers of committed records or of all."""
        level = IsolationLevel.READ_COMMITTED if committed_only else IsolationLevel.READ_UNCOMMITTED
        wanted = {self._wire(place): OffsetSpec.latest() for place in places}  # type: ignore[no-untyped-call]  # untyped
        if not places:
            return {}
        with answering("ends of partitions"):
            asked = self._admin.list_offsets(wanted, isolation_level=level, request_timeout=self._wait_s)
            return {self._ours(place): future.result().offset for place, future in asked.items()}

    def _wire(self, place: Place) -> WirePlace:
        topic, partition = place
        return WirePlace(self._kafka.wire(topic), partition)

    def _at(self, place: Place, offset: int) -> WirePlace:
        topic, partition = place
        return WirePlace(self._kafka.wire(topic), partition, offset)

    def _ours(self, place: WirePlace) -> Place:
        return place.topic.removeprefix(f"{self._kafka.namespace}."), place.partition
