"""What Redis says of itself, and where each partition of our state stands in it. Judges nothing."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from features.redis_store import RedisStore
from streams.doctor.gathered import Place, Server, Store
from streams.settings import Settings


def ask_store(settings: Settings, places: Iterable[Place]) -> Store:
    """`places` are processors and partitions."""
    stores: dict[str, RedisStore] = {}

    def store_of(processor: str) -> RedisStore:
        if processor not in stores:
            stores[processor] = RedisStore(settings.redis.url, settings.namespace, processor)
        return stores[processor]

    first = store_of("scorer")
    saves = first.saves()
    servers = tuple(_server(info, saves) for info in first.information())
    ahead_ms = _ahead_ms(first)
    entries = {(processor, p): store_of(processor).position(p).entry for processor, p in places}
    for store in stores.values():
        store.close()
    return Store(servers, entries, ahead_ms)


def _ahead_ms(store: RedisStore) -> int:
    """The server's clock less ours, as of the middle of the way there and back."""
    before = time.time_ns() // 1_000_000
    server_ms = store.now_ms()
    return server_ms - (before + time.time_ns() // 1_000_000) // 2


def _server(info: Mapping[str, Any], saves: str | None) -> Server:  # Any: INFO is a table of texts and numbers
    failed = [name for name in ("aof_last_write_status", "rdb_last_bgsave_status") if info.get(name, "ok") != "ok"]
    return Server(
        version=f"{info.get('server_name', 'redis')} {info.get('valkey_version') or info['redis_version']}",
        policy=info["maxmemory_policy"],
        role=info["role"],
        aof=bool(info["aof_enabled"]),
        saves=saves,
        write_failed=", ".join(failed),
        used_bytes=info["used_memory"],
        limit_bytes=info["maxmemory"],
        machine_bytes=info["total_system_memory"],
        evicted=info["evicted_keys"],
        is_loading=bool(info["loading"]),
        replicas=tuple(_replica(info, number) for number in range(info["connected_slaves"])),
    )


def _replica(info: Mapping[str, Any], number: int) -> tuple[str, str, int]:  # Any: as above
    told = info[f"slave{number}"]
    return f"{told['ip']}:{told['port']}", told["state"], info["master_repl_offset"] - told["offset"]
