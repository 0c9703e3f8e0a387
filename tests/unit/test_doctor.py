"""The checks as functions of what was gathered: each wrong state written down, with what the doctor says of it."""

import zlib
from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from schemas.ids import partition_of
from streams.doctor.checks import CHECKS, CURES, examine
from streams.doctor.findings import Finding
from streams.doctor.gathered import (
    Cluster,
    Entry,
    Gathered,
    Group,
    Learning,
    OpenTransaction,
    Records,
    Rejected,
    Sample,
    Server,
    Silence,
    Store,
)
from streams.namespace import Made, made_with
from streams.settings import Settings, policy_version, read
from streams.topics import DAY_MS, TOPICS, Described

NOW_MS = 1_790_000_000_000
SETTINGS = read({"kafka": {"replication": 1}}, {})
TOPICS_AS_THEY_SHOULD_BE = {
    topic.name: Described(topic.partitions(SETTINGS.partitions), 1, 1, topic.config(1)) for topic in TOPICS
}
ENTRY = Entry(9, NOW_MS - 1_000, NOW_MS - 61_000, policy_version(SETTINGS), has_ticked=True)
SERVER = Server("redis 7.0.15", "noeviction", aof=True, saves="", used_bytes=1 << 20, machine_bytes=1 << 30)
KEYS = [f"customer-{number}" for number in range(60)]
WELL = Gathered(
    settings=SETTINGS,
    policy_version=policy_version(SETTINGS),
    now_ms=NOW_MS,
    free_bytes=1 << 40,
    cluster=Cluster(1, {"group.min.session.timeout.ms": "6000", "transaction.max.timeout.ms": "900000"}),
    topics=TOPICS_AS_THEY_SHOULD_BE,
    made=made_with(SETTINGS),
    groups={name: Group("STABLE", (("/10.0.0.1", 4),)) for name in ("scorer", "assigner", "learner")},
    transactions=(OpenTransaction(("scores", 1), 17, NOW_MS - 50),),
    records=Records(entries={("scorer", 0): ENTRY}, newest_ms={"orders": NOW_MS - 5}),
    store=Store((SERVER,), {("scorer", 0): 10, ("scorer", 1): 0}, 3),
    registry=(),
)


def with_(part: str, **changes: object) -> Gathered:
    """All well, but for some fields of one part."""
    return replace(WELL, **{part: replace(getattr(WELL, part), **changes)})


def server(**changes: object) -> Gathered:
    return with_("store", servers=(replace(SERVER, **changes),))


def topic(name: str, **changes: object) -> Gathered:
    found = TOPICS_AS_THEY_SHOULD_BE[name]
    config = {
        **found.config,
        **{key.replace("_", "."): value for key, value in changes.items() if key not in found._fields},
    }
    shape = {key: value for key, value in changes.items() if key in found._fields}
    changed = found._replace(config=config, **shape)  # type: ignore[arg-type]  # a test's table
    return replace(WELL, topics={**TOPICS_AS_THEY_SHOULD_BE, name: changed})


def settings(**variables: str) -> Gathered:
    changed = read({"kafka": {"replication": 1}}, {f"MAITRED_{key.upper()}": value for key, value in variables.items()})
    return replace(WELL, settings=changed)


def entry(**changes: object) -> Records:
    return Records(entries={("scorer", 0): ENTRY._replace(**changes)})  # type: ignore[arg-type]  # as above


def samples(lie_at: Mapping[str, int], keys: Mapping[str, str | None] | None = None) -> Gathered:
    """Orders of customers on partitions, keyed by the customer or as `keys` has it."""
    found = tuple(Sample(("orders", at), (keys or {}).get(who, who), who) for who, at in lie_at.items())
    return replace(WELL, records=Records(samples=found))


def findings(gathered: Gathered) -> dict[str, tuple[Finding, ...]]:
    return {verdict.check: verdict.findings for verdict in examine(gathered) if verdict.findings}


def test_a_system_that_is_well_has_no_findings_and_a_line_for_every_check() -> None:
    """Also one on which nothing has happened yet."""
    fresh = replace(
        WELL, records=Records(), groups={"scorer": Group("EMPTY")}, transactions=(), store=Store((SERVER,), {}, 0)
    )
    for gathered in (WELL, fresh):
        verdicts = examine(gathered)
        assert [verdict.check for verdict in verdicts] == [check.name for check in CHECKS]
        assert {verdict.status for verdict in verdicts} == {"well"}, findings(gathered)
        assert all(verdict.said for verdict in verdicts)


CRC32 = {key: zlib.crc32(key.encode()) % 4 for key in KEYS}
ROUND_ROBIN = {key: number % 4 for number, key in enumerate(KEYS)}
ORDER_IDS: dict[str, str | None] = {key: f"order-of-{key}" for key in KEYS}
BY_ORDER = {key: partition_of(f"order-of-{key}", 4) for key in KEYS}
LAG = {("orders", 0): 20_000}

WRONG = [
    # what is wrong; the check that says so; severity; words of what it got; words of the cure
    (with_("cluster", config={"inter.broker.protocol.version": "3.9-IV0"}), "kafka", "warning", "3.9", "upgrade"),
    (settings(kafka__replication="3"), "kafka", "error", "1", "more brokers"),
    (settings(kafka__bootstrap="kafka.shop:9092"), "kafka", "warning", "1", "outside development"),
    (with_("cluster", config={"log.cleaner.enable": "false"}), "kafka", "error", "false", "grow for ever"),
    (replace(WELL, topics={}), "topics", "error", "none", "maitred topics create"),
    (topic("returns", partitions=3), "topics", "error", "3", "rebuild"),
    (topic("scorer.changelog", cleanup_policy="delete"), "topics", "error", "delete", "cleanup.policy=compact"),
    (topic("orders", copies=3), "topics", "warning", "1", "see to the broker"),
    (topic("orders", unclean_leader_election_enable="true"), "topics", "warning", "true", "kafka-configs"),
    (topic("orders", retention_ms=str(7 * DAY_MS)), "retention", "error", "7 days, less than the horizon", "replayed"),
    (topic("orders", retention_ms=str(400 * DAY_MS)), "retention", "warning", str(400 * DAY_MS), "replayed"),
    (topic("rejected", retention_ms=str(DAY_MS)), "retention", "warning", str(DAY_MS), "retention.ms"),
    (with_("cluster", refused_transaction="TRANSACTIONAL_ID_AUTHORIZATION_FAILED"), "transactions", "error", "AUTHOR",
     "allow Write"),
    (replace(WELL, transactions=(OpenTransaction(("scores", 1), 17, NOW_MS - 60_000),)), "transactions", "error",
     "60 s at offset 17", "kafka-transactions.sh abort --topic maitred.scores --partition 1 --start-offset 17"),
    (replace(WELL, groups={"scorer": Group("EMPTY", (), {("orders", 0): 5})}), "groups", "error", "none, and 5", "start"),
    (replace(WELL, groups={"scorer": Group("STABLE", (("/h", 4),), LAG)}), "groups", "warning", "20000", "more workers"),
    (replace(WELL, groups={"scorer": Group("PREPARING_REBALANCING", (("/h", 4),))}), "groups", "warning", "preparing",
     "see its log"),
    (replace(WELL, groups={"scorer": Group("STABLE", (("/h", 4), ("/i", 0)))}), "groups", "warning", "1 of 2", "fewer"),
    (samples(CRC32), "keys", "warning", "CRC32", "partitioner=murmur2_random"),
    (samples(ROUND_ROBIN, dict.fromkeys(KEYS)), "keys", "warning", "no key", "customer id as key"),
    (samples(BY_ORDER, ORDER_IDS), "keys", "warning", "something else", "customer id"),
    (samples(ROUND_ROBIN), "keys", "warning", "elsewhere", "Java's default partitioner"),
    (replace(WELL, records=Records(rejected=(Rejected("orders", "invalid", NOW_MS - 9),) * 3)), "rejected", "note",
     "3 as invalid", "maitred rejected list --topic orders --error invalid` says what is wrong with each; correct it"),
    (replace(WELL, records=Records(rejected=(Rejected("orders", "wrong_currency", NOW_MS - 9),))), "rejected", "note",
     "1 as wrong_currency", "`maitred rejected retry` takes it back"),
    (
        replace(WELL, records=Records(rejected=(Rejected("scores", "core", NOW_MS - 9),))),
        "rejected", "error", "1 as core", "report it",
    ),
    (server(policy="allkeys-lru"), "redis", "error", "allkeys-lru", "CONFIG SET maxmemory-policy noeviction"),
    (server(version="redis 6.2.14"), "redis", "error", "6.2.14", "upgrade"),
    (server(role="slave"), "redis", "error", "slave", "primary"),
    (server(is_loading=True), "redis", "warning", "reading", "wait"),
    (server(evicted=5), "redis", "warning", "5", "restore"),
    (server(aof=False), "persistence", "warning", "neither", "appendonly yes"),
    (server(write_failed="aof_last_write_status"), "persistence", "error", "aof_last_write_status", "disk"),
    (server(limit_bytes=100, used_bytes=85), "memory", "warning", "85%", "more memory"),
    (server(limit_bytes=100, used_bytes=99), "memory", "error", "99%", "more memory"),
    (server(replicas=(("10.0.0.2:6379", "wait_bgsave", 0),)), "replicas", "warning", "wait_bgsave", "network"),
    (server(replicas=(("10.0.0.2:6379", "online", 1 << 30),)), "replicas", "warning", "behind", "network"),
    (with_("store", entries={("scorer", 0): 11}), "positions", "error", "11", "Kafka has lost"),
    (replace(WELL, records=entry(number=500)), "positions", "warning", "10", "catch up"),
    (with_("store", ahead_ms=-3_000), "clock", "warning", "3.0 s behind", "NTP"),
    (with_("store", ahead_ms=90_000), "clock", "error", "90.0 s ahead", "NTP"),
    (with_("records", newest_ms={"orders": NOW_MS + 9_000}), "stamps", "warning", "9.0 s ahead", "NTP"),
    (settings(time="event"), "time", "error", "event", "maitred rebuild"),
    (replace(WELL, made=Made("wall", 4, "JPY")), "time", "error", "EUR", "maitred rebuild"),
    (replace(WELL, made=None), "time", "warning", "none", "maitred topics create"),
    (replace(settings(time="event"), made=None), "time", "error", '"event"', "maitred rebuild"),
    (replace(WELL, made=None, records=entry(has_ticked=False, watermark_ms=NOW_MS - 30 * DAY_MS)), "time", "error", '"wall"', "rebuild"),
    (replace(WELL, registry=("maitred.OrderPlaced: not compatible with version 2; keep what it has",)), "registry",
     "error", "not compatible", "keep what it has"),
    (with_("records", learning=Learning(NOW_MS, 400)), "snapshots", "warning", "400 examples", "learner"),
    (replace(WELL, records=entry(policy_version="deadbeef")), "policy", "warning", "deadbeef", "restart"),
    (settings(kafka__session_timeout_ms="5000"), "settings", "error", "5000", "no worker could join"),
    (with_("cluster", config={"transaction.max.timeout.ms": "5000"}), "settings", "error", "10000", "transaction.max"),
    (settings(scoring__decide_from="2099-01-01"), "settings", "warning", "2099-01-01", "nothing is announced"),
    (replace(WELL, free_bytes=1 << 20), "disk", "warning", "1 MiB", "make room"),
]  # fmt: skip


@pytest.mark.parametrize(("gathered", "check", "severity", "got", "cure"), WRONG)
def test_each_wrong_state_is_named_by_its_check_with_the_cure(gathered, check, severity, got, cure) -> None:
    found = findings(gathered)
    assert check in found, found
    (finding, *_) = found[check]
    assert finding.severity == severity, finding
    assert got in finding.got, finding
    assert cure in finding.cure, finding
    assert finding.where
    assert finding.expected


def test_every_check_has_a_wrong_state_here() -> None:
    assert {check for _, check, *_ in WRONG} == {check.name for check in CHECKS}


@pytest.mark.parametrize("gathered", [
    samples({key: partition_of(key, 4) for key in KEYS}),
    replace(WELL, records=Records(samples=(Sample(("orders", 0), None, None),))),  # a guest's
    replace(WELL, records=Records(samples=(Sample(("orders", partition_of("a", 4)), "a", "a", came_from=9),))),
    replace(WELL, records=Records(rejected=(Rejected("orders", "invalid", NOW_MS - 2 * DAY_MS),))),
    replace(WELL, groups={"scorer": Group("EMPTY", (), {("assignments", 0): 1})}),  # the mark of a transaction
    replace(WELL, groups={"learner": Group("STABLE", (("/h", 1), ("/i", 0)))}),  # one learns, the other stands by
    replace(settings(time="event"), made=Made("event", 4, "EUR"), records=entry(has_ticked=False, watermark_ms=NOW_MS - 30 * DAY_MS)),
    replace(  # a backfill under way
        WELL, records=entry(has_ticked=False, watermark_ms=NOW_MS - 30 * DAY_MS),
        groups={"scorer": Group("STABLE", (("/h", 4),), {("orders", 0): 900})},
    ),
    server(aof=False, saves="3600 1"),
    server(aof=False, saves=None),  # CONFIG is kept from us
    settings(kafka__bootstrap="kafka.shop:9092", kafka__embedded="true"),
])  # fmt: skip
def test_what_only_looks_wrong_is_left_alone(gathered) -> None:
    assert findings(gathered) == {}


@pytest.mark.parametrize("part", sorted(CURES))
@pytest.mark.parametrize("is_forbidden", [True, False])
def test_a_silent_server_is_one_finding_and_the_rest_goes_on(part: str, is_forbidden: bool) -> None:  # noqa: FBT001
    """Told once, however many checks it leaves without an answer."""
    gathered = replace(WELL, **{part: Silence("the server", "no route to host", is_forbidden)})
    verdicts = examine(gathered)
    (finding,) = [finding for verdict in verdicts for finding in verdict.findings]
    assert finding.expected == ("to be allowed" if is_forbidden else "an answer")
    assert finding.got == "no route to host"
    assert finding.cure == (CURES[part].forbidden if is_forbidden else CURES[part].silent)
    assert sum(verdict.status == "well" for verdict in verdicts) >= len(CHECKS) - 8
    assert all("the server" in verdict.said for verdict in verdicts if verdict.status == "skipped")


def test_no_check_needs_settings_other_than_those_given() -> None:
    """The parts a check names are all there is to it."""
    assert {part for check in CHECKS for part in check.parts} <= set(Gathered.__struct_fields__)
    assert isinstance(WELL.settings, Settings)
