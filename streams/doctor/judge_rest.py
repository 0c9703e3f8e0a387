"""Judges consumer groups, the registry, the disk, and what settings can't contradict but servers can."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from streams.doctor.findings import Finding, warning
from streams.doctor.gathered import Cluster, Group
from streams.settings import Settings

MUCH_WAITS = 10_000
LITTLE_DISK_BYTES = 1 << 30


# ---- consumer groups -----------------------------------------------------------------------------------------------


def groups(groups: Mapping[str, Group], settings: Settings) -> Iterator[Finding]:
    for processor, group in groups.items():
        where, behind = f"group {settings.namespace}.{processor}", waiting(group)
        if not group.held and behind:
            yield Finding(where, "a worker", f"none, and {behind} records wait", _start(processor))
        elif group.held and behind > MUCH_WAITS:
            (topic, partition), most = max(group.waiting.items(), key=lambda item: item[1])
            got = f"{behind}, most in {topic}[{partition}]: {most}"
            cure = "start more workers, up to one per partition"
            yield warning(where, f"at most {MUCH_WAITS} records to wait", got, cure)
        if "REBALANC" in group.state.upper():
            cure = "look again in a minute; if it stays so, a worker starts and ends again: see its log"
            yield warning(where, "a stable group", group.state.lower(), cure)
        counts = [count for _, count in group.held]
        if (idle := counts.count(0)) and sum(counts) > 1:  # of one partition, as the learner's, all but one stand by
            cure = "fewer workers do: there are no more partitions to share"
            yield warning(
                where, "something to do for every worker", f"{idle} of {len(group.held)} without a partition", cure
            )


def waiting(group: Group) -> int:
    """Records that wait; the mark that ends a transaction may be behind the last of each place, and is none."""
    return sum(count for count in group.waiting.values() if count > 1)


def groups_well(groups: Mapping[str, Group], _settings: Settings) -> str:
    return "; ".join(
        f"{processor}: {len(group.held) or 'no'} worker{'' if len(group.held) == 1 else 's'}, "
        f"{waiting(group) or 'nothing'} waits"
        for processor, group in groups.items()
    )


def _start(processor: str) -> str:
    return f"start one: `maitred worker --processor {processor}`"


# ---- the rest ------------------------------------------------------------------------------------------------------


def registry(registry: tuple[str, ...], settings: Settings) -> Iterator[Finding]:
    for problem in registry:
        what, _, cure = problem.partition(";")
        yield Finding(
            f"registry {settings.registry.url}", "to know our schemas, FULL_TRANSITIVE", what,
            cure.strip() or "run `maitred schemas register`",
        )  # fmt: skip


def registry_well(_problems: tuple[str, ...], settings: Settings) -> str:
    built_in = settings.registry.url == "file"
    return "built in" if built_in else f"{settings.registry.url} knows our schemas, FULL_TRANSITIVE"


def disk(free_bytes: int, settings: Settings) -> Iterator[Finding]:
    if free_bytes < LITTLE_DISK_BYTES:
        cure = "make room, or set worker.data_dir elsewhere; Kafka's and Redis's disks can't be seen from here"
        yield warning(f"disk of {settings.worker.data_dir}", "1 GiB free", f"{free_bytes >> 20} MiB", cure)


def disk_well(free_bytes: int, _settings: Settings) -> str:
    return f"{free_bytes >> 30} GiB free here; Kafka's and Redis's disks can't be seen from here"


def settings(settings: Settings, cluster: Cluster, now_ms: int) -> Iterator[Finding]:
    """What the brokers, or this day, make impossible or odd."""
    session, limits = settings.kafka.session_timeout_ms, cluster.config
    low = int(limits.get("group.min.session.timeout.ms", 0))
    high = int(limits.get("group.max.session.timeout.ms", session))
    if not low <= session <= high:
        cure = "set kafka.session_timeout_ms within it: no worker could join its group"
        yield Finding("kafka.session_timeout_ms", f"{low} to {high}, as the brokers allow", str(session), cure)
    most = int(limits.get("transaction.max.timeout.ms", settings.kafka.transaction_timeout_ms))
    if settings.kafka.transaction_timeout_ms > most:
        got, cure = str(settings.kafka.transaction_timeout_ms), "lower it, or raise transaction.max.timeout.ms"
        yield Finding("kafka.transaction_timeout_ms", f"at most {most}, as the brokers allow", got, cure)
    start = settings.scoring.decide_from
    if start is not None and start > datetime.fromtimestamp(now_ms / 1_000, UTC).date():
        cure = "nothing is announced until then; set an earlier day if that is not meant"
        yield warning("scoring.decide_from", "a day that has come", start.isoformat(), cure)


def settings_well(settings: Settings, _cluster: Cluster, _now_ms: int) -> str:
    return f"namespace {settings.namespace}, no contradictions"
