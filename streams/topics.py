"""All topics: what lies on them, how they are kept, and whether Kafka has them so. The admin side of Kafka.

Partition counts are fixed for the life of a namespace: keys would change partition, and profiles their owner.
"""

from collections.abc import Collection, Iterator, Mapping
from time import monotonic, sleep
from typing import Literal, NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported, but not to type checkers
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
    TopicMetadata,
)

from schemas.errors import LogUnavailable
from streams import namespace
from streams.kafka.client import MOST_BYTES, KafkaSettings, answering, cause, explain, kafka_config
from streams.namespace import Made
from streams.settings import Settings

DAY_MS = 86_400_000
FOREVER = -1


class Topic(NamedTuple):
    """`retention_ms` is needed for what `cleanup` is "delete"; FOREVER is what replay and rebuild ask for.

    What `is_for_others` is kept in gzip, which clients in every language read without another package.
    """

    name: str
    holds: str
    is_partitioned: bool = True  # else it has one partition
    cleanup: Literal["delete", "compact"] = "delete"
    retention_ms: int = FOREVER
    is_for_others: bool = False

    def partitions(self, partitions: int) -> int:
        return partitions if self.is_partitioned else 1

    def config(self, replication: int) -> dict[str, str]:
        kept = (
            {
                "min.compaction.lag.ms": str(DAY_MS // 24),
                "delete.retention.ms": str(7 * DAY_MS),
                "max.compaction.lag.ms": str(7 * DAY_MS),
            }
            if self.cleanup == "compact"
            else {"retention.ms": str(self.retention_ms), "retention.bytes": "-1"}
        )
        return {
            "cleanup.policy": self.cleanup,
            "min.insync.replicas": str(in_sync(replication)),
            "unclean.leader.election.enable": "false",
            "message.timestamp.type": "CreateTime",
            "max.message.bytes": str(MOST_BYTES),
            **({"compression.type": "gzip"} if self.is_for_others else {}),
            **kept,
        }


TOPICS: tuple[Topic, ...] = (
    Topic("orders", "orders, by customer"),
    Topic("returns", "returns and cancellations, by customer"),
    Topic("browse", "what was looked at, by customer or visitor"),
    Topic("privacy", "consent, erasure, wishes and merges, by customer"),
    Topic("roster", "advisors, by pool"),
    Topic("contacts", "what advisors report, by pool"),
    Topic("scores", "looks and standings, by pool", is_for_others=True),
    Topic("tier-changes", "tier changes, by customer", is_for_others=True),
    Topic("assignments", "assignments, by customer", is_for_others=True),
    Topic("current-assignments", "who is served by whom, by customer", cleanup="compact", is_for_others=True),
    Topic(
        "examples",
        "looks with their outcomes, the training set, and who is to score",
        is_partitioned=False,
        is_for_others=True,
    ),
    Topic("snapshots", "model versions", is_partitioned=False, is_for_others=True),
    Topic("rejected", "records that can't be used, with what is wrong", retention_ms=90 * DAY_MS, is_for_others=True),
    Topic("undelivered", "decisions that a web server would not take", cleanup="compact"),
    Topic("control", "operators' commands", is_partitioned=False, retention_ms=DAY_MS),
    Topic(namespace.TOPIC, "what the namespace was made with", is_partitioned=False, cleanup="compact"),
    Topic("scorer.batch-log", "what each batch of the scorer was given"),
    Topic("assigner.batch-log", "what each batch of the assigner was given"),
    Topic("learner.batch-log", "what each batch of the learner was given", is_partitioned=False),
    Topic("scorer.changelog", "profiles, looks and visitors", cleanup="compact"),
    Topic("assigner.changelog", "pools and assigned customers", cleanup="compact"),
    Topic("learner.changelog", "the model", is_partitioned=False, cleanup="compact"),
)
_BY_NAME = {topic.name: topic for topic in TOPICS}


def partition_count(topic: str, partitions: int) -> int:
    """The partitions of a topic where `partitions` is the namespace's count.

    >>> partition_count("orders", 12), partition_count("learner.batch-log", 12)
    (12, 1)
    """
    return _BY_NAME[topic].partitions(partitions)


def in_sync(replication: int) -> int:
    """How many copies a write must reach: two, where there are enough to lose one."""
    return 2 if replication >= 3 else 1


# ---- as they should be ---------------------------------------------------------------------------------------------


def create(settings: Settings) -> list[str]:
    """Create what is missing and wait until it can be used; returns the names, as Kafka has them. What is there stays as it is.

    What the namespace is made with is written, too, if it isn't.
    """
    kafka, replication = kafka_config(settings), settings.kafka.replication
    admin = AdminClient(kafka.config())
    present = _present(admin, kafka)
    missing = [topic for topic in TOPICS if kafka.wire(topic.name) not in present]
    new = [
        NewTopic(
            kafka.wire(topic.name),
            topic.partitions(settings.partitions),
            replication,
            config=topic.config(replication),
        )
        for topic in missing
    ]
    for name, future in admin.create_topics(new, operation_timeout=30).items() if new else ():
        try:
            future.result()
        except KafkaException as error:
            told = cause(error)
            cure = f"; kafka.replication is {replication}: a single broker for development needs 1"
            is_replication = told.name() == "INVALID_REPLICATION_FACTOR"
            raise LogUnavailable(f"{name}: not created: {explain(told)}{cure if is_replication else ''}") from error
    _await(admin, kafka, {topic.topic for topic in new})
    namespace.write_made(settings)
    return [topic.topic for topic in new]


def _await(admin: AdminClient, kafka: KafkaSettings, names: Collection[str]) -> None:
    """A broker may know of a new topic a moment later than the controller that made it."""
    deadline = monotonic() + kafka.answer_timeout_ms / 1_000
    while missing := set(names) - _usable(_present(admin, kafka)):
        if monotonic() > deadline:
            raise LogUnavailable(
                f"{min(missing)}: created, and not usable yet; look whether all brokers run, then go on"
            )
        sleep(0.05)


def _usable(present: Mapping[str, TopicMetadata]) -> set[str]:
    return {name for name, topic in present.items() if all(p.leader >= 0 for p in topic.partitions.values())}


def existing(settings: Settings) -> list[str]:
    """The topics of this namespace that are there, as Kafka has them."""
    kafka = kafka_config(settings)
    present = _present(AdminClient(kafka.config()), kafka)
    return [name for name in map(kafka.wire, _BY_NAME) if name in present]


# ---- as they are ---------------------------------------------------------------------------------------------------


class Problem(NamedTuple):
    """What a topic is not. One that `stops` would break a promise; the others only narrow what can be done later.

    `setting` is the one to mend, where the namespace was made with another value of it.
    """

    topic: str
    expected: str
    got: str
    cure: str
    stops: bool = True
    setting: str = ""

    def __str__(self) -> str:
        return f"{self.topic}: expected {self.expected}, got {self.got}; {self.cure}"


class Described(NamedTuple):
    """A topic as Kafka has it. `config` is empty where the broker doesn't tell, as the one embedded in librdkafka."""

    partitions: int
    copies: int
    in_sync: int  # the fewest copies of a partition that are up to date
    config: Mapping[str, str]


def check(settings: Settings) -> list[Problem]:
    """All that is wrong with the topics, or with the settings for them; empty if nothing is."""
    found = described(settings)
    return [*judged(found, settings), *judged_made(made(found, settings), settings)]


def made(found: Mapping[str, Described], settings: Settings) -> Made | None:
    """What the namespace was made with, None if that is not known. What is embedded is made anew each time."""
    if settings.kafka.embedded:
        return namespace.made_with(settings)
    return namespace.read_made(settings) if namespace.TOPIC in found else None


def described(settings: Settings) -> dict[str, Described]:
    """The topics of this namespace that are there, by their names without it."""
    kafka = kafka_config(settings)
    admin = AdminClient(kafka.config())
    present = _present(admin, kafka)
    there = {topic.name: present[kafka.wire(topic.name)] for topic in TOPICS if kafka.wire(topic.name) in present}
    configs = {} if kafka.is_embedded else _configs(admin, [kafka.wire(name) for name in there])  # it never answers
    return {name: _described(metadata, configs.get(kafka.wire(name), {})) for name, metadata in there.items()}


def _described(metadata: TopicMetadata, config: Mapping[str, str]) -> Described:
    partitions = metadata.partitions.values()
    copies = min((len(partition.replicas) for partition in partitions), default=0)
    in_sync_copies = min((len(partition.isrs) for partition in partitions), default=0)
    return Described(len(partitions), copies, in_sync_copies, config)


def judged(found: Mapping[str, Described], settings: Settings) -> list[Problem]:
    """All that is wrong with topics as they were found."""
    problems = []
    for topic in TOPICS:
        name = f"{settings.namespace}.{topic.name}"
        if topic.name not in found:
            if topic.name == namespace.TOPIC:
                continue  # then its record is missing as well, which `judged_made` tells
            problems.append(Problem(name, "a topic", "none", "run `maitred topics create`"))
            continue
        problems += _shape(name, topic, found[topic.name], settings)
        problems += _kept(name, topic, found[topic.name].config, settings.kafka.replication)
    return problems


def judged_made(made: Made | None, settings: Settings) -> Iterator[Problem]:
    """What is set otherwise than the namespace was made with. Partitions are judged by the topics themselves."""
    where = f"{settings.namespace}.{namespace.TOPIC}"
    if made is None:
        expected = "a record of what the namespace was made with"
        yield Problem(where, expected, "none", "run `maitred topics create`", stops=False)
        return
    for setting, right, got in (("time", made.time, settings.time), ("money.base", made.base, settings.money.base)):
        if got != right:
            expected = f"{setting} = {right}, which the namespace was made with"
            cure = "set it back: it is never changed for a namespace; `maitred rebuild` makes a new one"
            yield Problem(where, expected, got, cure, setting=setting)


def _shape(name: str, topic: Topic, found: Described, settings: Settings) -> Iterator[Problem]:
    count, right = found.partitions, topic.partitions(settings.partitions)
    if count != right:
        yield Problem(
            name,
            f"{right} partitions",
            str(count),
            "set `partitions` to what the namespace was made with; to grow, `maitred rebuild` into a new namespace",
        )
    if found.copies < settings.kafka.replication:
        cure = "add copies with kafka-reassign-partitions; for development set kafka.replication = 1"
        yield Problem(name, f"{settings.kafka.replication} copies", str(found.copies), cure, stops=False)


def _kept(name: str, topic: Topic, config: Mapping[str, str], replication: int) -> Iterator[Problem]:
    for option, right in topic.config(replication).items():
        got = config.get(option, right)
        is_right = _length(got) >= _length(right) if option in _AT_LEAST else got == right
        if not is_right:
            stops = option in {"cleanup.policy", "message.timestamp.type"}
            cure = f"set it with kafka-configs: {option}={right}{_WHY.get(option, '')}"
            yield Problem(name, f"{option}={right}", got, cure, stops=stops)


_AT_LEAST = {"retention.ms", "retention.bytes", "min.insync.replicas", "delete.retention.ms"}
_WHY = {
    "retention.ms": " (what has expired can't be replayed or rebuilt)",
    "retention.bytes": " (what has expired can't be replayed or rebuilt)",
    "compression.type": " (not every client reads what the producer writes)",
    "delete.retention.ms": " (a store that was away for longer is restored whole)",
}


def _length(value: str) -> float:
    """Of a time or size; -1 has no end."""
    return float("inf") if value == str(FOREVER) else float(value)


# ---- asking --------------------------------------------------------------------------------------------------------


def _present(admin: AdminClient, kafka: KafkaSettings) -> dict[str, TopicMetadata]:
    with answering(f"topics at {kafka.bootstrap}"):
        return dict(admin.list_topics(timeout=kafka.answer_timeout_ms / 1_000).topics)


def _configs(admin: AdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    """What the brokers say of each topic's options; nothing of those that can't say."""
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    found = {}
    for resource, future in admin.describe_configs(resources).items() if resources else ():
        try:
            entries = future.result()
        except KafkaException:
            continue
        found[resource.name] = {name: entry.value for name, entry in entries.items() if entry.value is not None}
    return found
