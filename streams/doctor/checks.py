"""All checks in the order in which they are told, and how they are run on what was gathered."""

from collections.abc import Iterator
from typing import NamedTuple

from streams.doctor import judge_brokers, judge_records, judge_rest, judge_store
from streams.doctor.findings import Check, Finding, Verdict
from streams.doctor.gathered import Gathered, Silence

CHECKS = (
    Check("kafka", ("cluster", "settings"), judge_brokers.brokers, judge_brokers.brokers_well),
    Check("topics", ("topics", "settings"), judge_brokers.topics, judge_brokers.topics_well),
    Check("retention", ("topics", "settings"), judge_brokers.retention, judge_brokers.retention_well),
    Check(
        "transactions", ("cluster", "transactions", "settings", "now_ms"),
        judge_brokers.transactions, judge_brokers.transactions_well,
    ),
    Check("groups", ("groups", "settings"), judge_rest.groups, judge_rest.groups_well),
    Check("keys", ("records", "settings"), judge_records.keys, judge_records.keys_well),
    Check("rejected", ("records", "now_ms"), judge_records.rejects, judge_records.rejects_well),
    Check("redis", ("store",), judge_store.redis, judge_store.redis_well),
    Check("persistence", ("store",), judge_store.persistence, judge_store.persistence_well),
    Check("memory", ("store",), judge_store.memory, judge_store.memory_well),
    Check("replicas", ("store",), judge_store.replicas, judge_store.replicas_well),
    Check("positions", ("store", "records"), judge_store.positions, judge_store.positions_well),
    Check("clock", ("store",), judge_store.clock, judge_store.clock_well),
    Check("stamps", ("records", "now_ms"), judge_store.stamps, judge_store.stamps_well),
    Check("time", ("made", "records", "groups", "settings"), judge_records.time_mode, judge_records.time_mode_well),
    Check("registry", ("registry", "settings"), judge_rest.registry, judge_rest.registry_well),
    Check("snapshots", ("records", "settings"), judge_records.snapshots, judge_records.snapshots_well),
    Check("policy", ("records", "groups", "policy_version", "now_ms"), judge_records.policy, judge_records.policy_well),
    Check("settings", ("settings", "cluster", "now_ms"), judge_rest.settings, judge_rest.settings_well),
    Check("disk", ("free_bytes", "settings"), judge_rest.disk, judge_rest.disk_well),
)  # fmt: skip


class Cure(NamedTuple):
    """What is expected of a server that does not answer, or refuses, and what to do; by the part it leaves unknown."""

    silent: str
    forbidden: str


_KAFKA = Cure(
    "check that the brokers run and kafka.bootstrap names them; `kafka.security` where they ask for it",
    "allow the principal Describe, Read and Write on topics, groups and transactional ids of the namespace (prefixed ACLs)",
)
CURES = {
    **dict.fromkeys(("cluster", "topics", "made", "groups", "transactions", "records"), _KAFKA),
    "store": Cure(
        "check that Redis runs and redis.url names it",
        "give redis.url a user who may do everything with the namespace's keys, and INFO",
    ),
    "registry": Cure(
        "check that it runs and registry.url names it; records written with it can't be read meanwhile",
        "let whoever runs the workers read and write subjects",
    ),
}


def examine(gathered: Gathered) -> list[Verdict]:
    """What every check says. A silence is told by the first check that it leaves without an answer."""
    told: set[Silence] = set()
    return [_verdict(check, gathered, told) for check in CHECKS]


def _verdict(check: Check, gathered: Gathered, told: set[Silence]) -> Verdict:
    silences = {part: found for part in check.parts if isinstance(found := getattr(gathered, part), Silence)}
    if silences:
        return _without(check, silences, told)
    parts = [getattr(gathered, part) for part in check.parts]
    if findings := tuple(check.judge(*parts)):
        return Verdict(check.name, "findings", f"{len(findings)} found", findings)
    return Verdict(check.name, "well", check.well(*parts))


def _without(check: Check, silences: dict[str, Silence], told: set[Silence]) -> Verdict:
    fresh = tuple(_of_silence(part, silence) for part, silence in silences.items() if silence not in told)
    told.update(silences.values())
    if fresh:
        return Verdict(check.name, "findings", "no answer", fresh)
    wheres = sorted({silence.where for silence in silences.values()})
    return Verdict(check.name, "skipped", f"not checked: no answer from {', '.join(wheres)}")


def _of_silence(part: str, silence: Silence) -> Finding:
    cure = CURES[part]
    expected = "to be allowed" if silence.is_forbidden else "an answer"
    return Finding(silence.where, expected, silence.said, cure.forbidden if silence.is_forbidden else cure.silent)


def all_findings(verdicts: list[Verdict]) -> Iterator[Finding]:
    return (finding for verdict in verdicts for finding in verdict.findings)
