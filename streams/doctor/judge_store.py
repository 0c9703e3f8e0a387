"""Judges Redis: what it is set to, how it is off, where our state stands in it, and its clock beside ours."""

from collections.abc import Iterator

from streams.doctor.findings import Finding, Severity, warning
from streams.doctor.gathered import Records, Server, Store

OLDEST = 7
FULL, NEARLY_FULL = 0.95, 0.8
REPLICA_BEHIND_BYTES = 16 << 20
BEHIND_ENTRIES = 100
CLOCK_OFF_MS, CLOCK_WRONG_MS = 2_000, 60_000


# ---- the server ----------------------------------------------------------------------------------------------------


def redis(store: Store) -> Iterator[Finding]:
    for server in store.servers:
        if server.policy != "noeviction":
            cure = "`CONFIG SET maxmemory-policy noeviction`, and in redis.conf: an evicted profile is a customer forgotten"
            yield Finding("redis, maxmemory-policy", "noeviction", server.policy, cure)
        if _major(server) < OLDEST:
            yield Finding("redis", f"Redis {OLDEST} or later, or Valkey", server.version, "upgrade the server")
        if server.role != "master":
            yield Finding(
                "redis", "a primary", f"a {server.role}", "name the primary in redis.url: a replica takes no writes"
            )
        if server.is_loading:
            yield warning("redis", "to be ready", "it is reading its file", "wait; workers do")
        if server.evicted and server.policy == "noeviction":
            cure = "if it was ours: delete the namespace's keys and restart the workers, which restore them from Kafka"
            yield warning("redis, evicted_keys", "0 since its start", str(server.evicted), cure)


def redis_well(store: Store) -> str:
    return f"{', '.join(sorted({server.version for server in store.servers}))}, noeviction"


def _major(server: Server) -> int:
    return int(server.version.rpartition(" ")[2].partition(".")[0])


def persistence(store: Store) -> Iterator[Finding]:
    for server in store.servers:
        if not server.aof and server.saves == "":
            cure = "`appendonly yes`: without it a restart of Redis is a restore of everything from the changelogs"
            yield warning("redis, persistence", "appendonly yes, or save points", "neither", cure)
        if server.write_failed:
            cure = "look into its log: the disk may be full, or not to be written on"
            yield Finding(
                "redis, persistence", "the last write to disk to be well", f"{server.write_failed} failed", cure
            )


def persistence_well(store: Store) -> str:
    def kept(server: Server) -> str:
        return "AOF" if server.aof else "save points" if server.saves else "not told"

    return ", ".join(sorted({kept(server) for server in store.servers}))


def memory(store: Store) -> Iterator[Finding]:
    for server in store.servers:
        limit, name = (
            (server.limit_bytes, "maxmemory") if server.limit_bytes else (server.machine_bytes, "the machine's memory")
        )
        share = server.used_bytes / limit if limit else 0.0
        if share >= NEARLY_FULL:
            cure = "give it more memory, or more nodes: full, it refuses commits until there is room"
            severity: Severity = "error" if share >= FULL else "warning"
            expected, got = f"less than {NEARLY_FULL:.0%} of {name}", f"{share:.0%} of {limit >> 20} MiB"
            yield Finding("redis, memory", expected, got, cure, severity)


def memory_well(store: Store) -> str:
    used = sum(server.used_bytes for server in store.servers)
    limit = sum(server.limit_bytes or server.machine_bytes for server in store.servers)
    return f"{used >> 20} of {limit >> 20} MiB used"


def replicas(store: Store) -> Iterator[Finding]:
    for server in store.servers:
        for address, state, behind in server.replicas:
            if state != "online" or behind > REPLICA_BEHIND_BYTES:
                cure = "see to its network and load: after a failover what it lacks is restored from the changelogs"
                expected = f"online, less than {REPLICA_BEHIND_BYTES >> 20} MiB behind"
                yield warning(f"redis, replica {address}", expected, f"{state}, {behind >> 10} KiB behind", cure)


def replicas_well(store: Store) -> str:
    count = sum(len(server.replicas) for server in store.servers)
    return (
        f"{count} replicas, up to date" if count else "none: Redis fails with its machine, and is restored from Kafka"
    )


# ---- our state in it -----------------------------------------------------------------------------------------------


def positions(store: Store, records: Records) -> Iterator[Finding]:
    """Each partition of the store against the end of its batch log."""
    for (processor, partition), last in sorted(records.entries.items()):
        there, where = last.number + 1 if last else 0, f"store of {processor}[{partition}]"
        entry = store.entries.get((processor, partition), 0)
        if entry > there:
            cure = (
                "Kafka has lost committed data, or another namespace's state lies there: restore Kafka, or `maitred "
                "rebuild` into a new namespace; workers leave this partition alone"
            )
            yield Finding(where, f"at most entry {there}, where the batch log ends", str(entry), cure)
        elif there - entry > BEHIND_ENTRIES:
            cure = "workers catch up from the changelog when they are assigned the partition: start one, or see its log"
            yield warning(where, f"entry {there}, where the batch log ends", str(entry), cure)


def positions_well(store: Store, _records: Records) -> str:
    return f"{sum(1 for entry in store.entries.values() if entry)} of {len(store.entries)} partitions in use, all with their batch logs"


# ---- clocks --------------------------------------------------------------------------------------------------------

NTP = "let NTP (chrony, systemd-timesyncd) set the clocks of all machines"


def clock(store: Store) -> Iterator[Finding]:
    """The clock of Redis against this machine's."""
    if abs(store.ahead_ms) > CLOCK_OFF_MS:
        severity: Severity = "error" if abs(store.ahead_ms) > CLOCK_WRONG_MS else "warning"
        got = f"{abs(store.ahead_ms) / 1_000:.1f} s {'ahead' if store.ahead_ms > 0 else 'behind'}"
        yield Finding("clock of Redis", f"within {CLOCK_OFF_MS // 1_000} s of this machine's", got, NTP, severity)


def clock_well(store: Store) -> str:
    return f"{abs(store.ahead_ms)} ms between this machine and Redis"


def stamps(records: Records, now_ms: int) -> Iterator[Finding]:
    """Times of the newest records against this machine's clock: those who publish have clocks, too."""
    for topic, newest_ms in sorted(records.newest_ms.items()):
        if newest_ms > now_ms + CLOCK_OFF_MS:
            got = f"one {(newest_ms - now_ms) / 1_000:.1f} s ahead"
            yield warning(f"times on {topic}", "records of the past, by this machine's clock", got, NTP)


def stamps_well(_records: Records, _now_ms: int) -> str:
    return "no records of the future"
