"""Judges the brokers, the topics and the transactions, by what was gathered of them."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from streams.doctor.findings import Finding, Severity, warning
from streams.doctor.gathered import Cluster, OpenTransaction
from streams.kafka.client import ABANDONED_MS
from streams.settings import Settings
from streams.topics import DAY_MS, FOREVER, TOPICS, Described, Problem, judged

LATE_MS = 5_000  # after a transaction's time is up, before it counts as hanging
RETENTION = "retention.ms="


# ---- brokers -------------------------------------------------------------------------------------------------------


def brokers(cluster: Cluster, settings: Settings) -> Iterator[Finding]:
    version, copies = kafka_version(cluster), settings.kafka.replication
    if version.startswith(("0.", "1.", "2.", "3.")):
        cure = "upgrade the brokers: what Maitred promises was tried on 4.x"
        yield warning("brokers", "Kafka 4 or later", version, cure)
    if cluster.brokers < copies:
        cure = "start more brokers; for development set kafka.replication = 1"
        yield Finding("brokers", f"{copies} or more, for kafka.replication = {copies}", str(cluster.brokers), cure)
    if cluster.config.get("log.cleaner.enable") == "false":
        cure = "set it on the brokers: the changelogs would grow for ever"
        yield Finding("brokers, log.cleaner.enable", "true", "false", cure)
    if copies < 3 and not _is_development(settings):
        cure = "3 outside development: one lost disk would lose decisions"
        yield warning("kafka.replication", "3", str(copies), cure)


def _is_development(settings: Settings) -> bool:
    """Brokers on this very machine hold nothing that three copies would save."""
    hosts = (server.rpartition(":")[0] for server in settings.kafka.bootstrap.split(","))
    return settings.kafka.embedded or all(host in ("127.0.0.1", "localhost", "[::1]") for host in hosts)


def kafka_version(cluster: Cluster) -> str:
    """As far as its settings tell: until 4.0 a broker had one that named its version.

    >>> kafka_version(Cluster(1, {"inter.broker.protocol.version": "3.9-IV0"}))
    '3.9'
    """
    if not cluster.config:
        return "unknown"
    return cluster.config.get("inter.broker.protocol.version", "4 or later").partition("-")[0]


def brokers_well(cluster: Cluster, settings: Settings) -> str:
    return f"{cluster.brokers} at {settings.kafka.bootstrap}, Kafka {kafka_version(cluster)}"


# ---- topics --------------------------------------------------------------------------------------------------------


def topics(topics: Mapping[str, Described], settings: Settings) -> Iterator[Finding]:
    """What a worker checks at its start, but for how long topics are kept; and copies that are not up to date."""
    yield from together(_finding(problem) for problem in judged(topics, settings) if not _is_retention(problem))
    for name, found in topics.items():
        if found.in_sync < found.copies:
            cure = "see to the broker that lags or is down; below min.insync.replicas nothing can be committed"
            yield warning(f"{settings.namespace}.{name}", f"{found.copies} copies up to date", str(found.in_sync), cure)
    if any(not found.config for found in topics.values()) and not settings.kafka.embedded:
        cure = "allow DescribeConfigs on topics of the namespace to whoever runs the doctor"
        yield warning("topics", "their settings to be told", "nothing", cure)


def topics_well(topics: Mapping[str, Described], settings: Settings) -> str:
    return f"{len(topics)}, co-partitioned with {settings.partitions} partitions"


def retention(topics: Mapping[str, Described], settings: Settings) -> Iterator[Finding]:
    return together(_kept(topics, settings))


def _kept(topics: Mapping[str, Described], settings: Settings) -> Iterator[Finding]:
    """An error where the horizon does not fit in: outcomes of customers who are waiting could not be rebuilt."""
    horizon_ms = settings.scoring.horizon_days * DAY_MS
    for problem in filter(_is_retention, judged(topics, settings)):
        kept_ms, wanted_ms = int(problem.got), int(problem.expected.removeprefix(RETENTION))
        expected = f"retention.ms={wanted_ms}"
        if wanted_ms == FOREVER and kept_ms < horizon_ms:
            got = f"{kept_ms}, which is {kept_ms / DAY_MS:.3g} days, less than the horizon of {horizon_ms // DAY_MS}"
            yield Finding(problem.topic, expected, got, problem.cure)
        else:
            yield warning(problem.topic, expected, problem.got, problem.cure)


def retention_well(topics: Mapping[str, Described], _settings: Settings) -> str:
    kept = sum(1 for topic in TOPICS if topic.name in topics and topic.retention_ms == FOREVER)
    return f"{kept} topics are kept for good, whole or compacted: everything can be replayed"


def together(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Findings that differ only in where as one.

    >>> [finding.where for finding in together(Finding(name, "a topic", "none", "make it") for name in "abcd")]
    ['a, b and 2 more']
    """
    alike: dict[Finding, list[str]] = {}
    for finding in findings:
        alike.setdefault(replace(finding, where=""), []).append(finding.where)
    for finding, wheres in alike.items():
        more = f" and {len(wheres) - 2} more" if len(wheres) > 2 else ""
        yield replace(finding, where=", ".join(wheres[:2]) + more)


def _is_retention(problem: Problem) -> bool:
    return problem.expected.startswith(RETENTION)


def _finding(problem: Problem) -> Finding:
    severity: Severity = "error" if problem.stops else "warning"
    return Finding(problem.topic, problem.expected, problem.got, problem.cure, severity)


# ---- transactions --------------------------------------------------------------------------------------------------


def transactions(
    cluster: Cluster, transactions: tuple[OpenTransaction, ...], settings: Settings, now_ms: int
) -> Iterator[Finding]:
    """Whether they are possible, and none hangs: its readers would wait for ever."""
    if cluster.refused_transaction:
        cure = (
            "allow Write and Describe on transactional ids of the namespace; the brokers' transaction.max.timeout.ms "
            f"must reach kafka.transaction_timeout_ms = {settings.kafka.transaction_timeout_ms}"
        )
        yield Finding("transactions", "to be possible", cluster.refused_transaction, cure)
    patience_ms = settings.kafka.transaction_timeout_ms + ABANDONED_MS + LATE_MS
    for place, offset, since_ms in transactions:
        if now_ms - since_ms > patience_ms:
            topic, partition = place
            cure = (
                "its time is up and the broker has not ended it: find whose it is with `kafka-transactions.sh "
                f"find-hanging`, end it with `kafka-transactions.sh abort --topic {settings.namespace}.{topic} "
                f"--partition {partition} --start-offset {offset}`"
            )
            got = f"one open for {(now_ms - since_ms) // 1_000} s at offset {offset}"
            yield Finding(f"{topic}[{partition}]", f"transactions to end within {patience_ms // 1_000} s", got, cure)


def transactions_well(_cluster: Cluster, open_now: tuple[OpenTransaction, ...], _settings: Settings, _now: int) -> str:
    return f"possible; {len(open_now)} open at this moment, none for too long"
