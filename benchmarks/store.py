"""What the store costs: time per key of load and apply, and bytes per profile, for one hash per partition beside one key per profile.

    python benchmarks/store.py                                   # Valkey, embedded
    python benchmarks/store.py --url redis://127.0.0.1:6379/15   # and that server: give it a quiet one

Both layouts hold the same profiles (400 bytes on average), have the same index of what is due and commit by one script;
they differ in where a value lies. Each batch is loaded, then applied, by both in turn; medians over `--repeat` batches,
with the 10th and 90th percentile. One profile in ten gets another due time, as in a stream of mostly browse events.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles

import redis

from features.redis_store import RedisStore
from features.store import Applied, Loaded, Position
from schemas.records import Write
from streams.embedded import embedded_store

SEED = 20261122
NAMESPACE = f"bench-{time.time_ns()}"
PARTITIONS = 12
NEXT_YEAR_MS = 1_827_000_000_000
BATCHES = (200, 1000, 4000)

APPLY = """#!lua
if tonumber(redis.call('GET', KEYS[1]) or '0') ~= tonumber(ARGV[1]) then return 'already' end
local puts = tonumber(ARGV[2])
for at = 3, 2 + puts, 1000 do redis.call('MSET', unpack(ARGV, at, math.min(at + 999, 2 + puts))) end
for at = 3 + puts, #ARGV, 1000 do redis.call('ZADD', KEYS[2], unpack(ARGV, at, math.min(at + 999, #ARGV))) end
return 'done'
"""
LOAD = """#!lua flags=no-writes
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'WITHSCORES')
"""


class KeyPerProfile:
    """The plain layout, as the baseline: one string key per profile, under the hash tag of its partition."""

    def __init__(self, url: str) -> None:
        self.client = redis.Redis.from_url(url, protocol=2)
        self.load_sha, self.apply_sha = self.client.script_load(LOAD), self.client.script_load(APPLY)

    def name(self, partition: int, key: str) -> str:
        return f"{{{NAMESPACE}:plain:{partition}}}:{key}"

    def load(self, partition: int, keys: Iterable[str], due_by_ms: int) -> Loaded:
        wanted = [*keys]
        with self.client.pipeline(transaction=True) as together:
            together.mget(self.name(partition, "@position"), *(self.name(partition, key) for key in wanted))
            together.evalsha(self.load_sha, 1, self.name(partition, "@due"), due_by_ms)
            (at, *values), _ = together.execute()
        return Loaded(Position(int(at)), dict(zip(wanted, values, strict=True)), ())

    def apply(self, partition: int, before: int, after: Position, writes: Sequence[Write]) -> Applied:
        put: list[str | bytes | int] = [self.name(partition, "@position"), after.entry]
        due: list[str | bytes | int] = []
        for key, value, due_ms in writes:
            put += self.name(partition, key), value
            due += due_ms, key
        keys = self.name(partition, "@position"), self.name(partition, "@due")
        return Applied(self.client.evalsha(self.apply_sha, 2, *keys, before, len(put), *put, *due).decode())

    def clear(self, partition: int) -> None:
        for some in batched(list(self.client.scan_iter(self.name(partition, "*"), count=5000)), 5000):
            self.client.unlink(*some)

    def close(self) -> None:
        self.client.close()


Layout = RedisStore | KeyPerProfile


def batched(items: Sequence, size: int) -> Iterator[Sequence]:
    return (items[at : at + size] for at in range(0, len(items), size))


def profiles(count: int, chance: random.Random) -> Mapping[int, Sequence[Write]]:
    """Profiles of 300 to 500 random bytes, each with something due, in partitions."""
    held = {partition: [] for partition in range(PARTITIONS)}
    for n in range(count):
        value, due_ms = chance.randbytes(chance.randint(300, 500)), NEXT_YEAR_MS + chance.randrange(10**9)
        held[n % PARTITIONS].append(Write(f"p/c-{n:08d}", value, due_ms))
    return held


def fill(store: Layout, held: Mapping[int, Sequence[Write]]) -> None:
    for partition, writes in held.items():
        for entry, some in enumerate(batched(writes, 2000)):
            assert store.apply(partition, entry, Position(entry + 1), some) is Applied.DONE


def bytes_per_profile(store: Layout, client: "redis.Redis", held: Mapping[int, Sequence[Write]]) -> float:
    """How much more memory the server uses once the profiles are in it, by its own account, for each."""
    before = used_memory(client)
    fill(store, held)
    return (used_memory(client) - before) / sum(map(len, held.values()))


def used_memory(client: "redis.Redis") -> int:
    """What the server uses once what was removed is freed, which it does in the background."""
    while client.info("memory")["lazyfree_pending_objects"]:
        time.sleep(0.05)
    time.sleep(0.5)
    return client.info("memory")["used_memory"]


def times(
    stores: Mapping[str, Layout], writes: Sequence[Write], size: int, repeat: int
) -> dict[tuple[str, str], list[float]]:
    """Microseconds per key of each call, for each layout."""
    chance, taken = random.Random(SEED + size), {}
    entries = {name: restock(store, writes) for name, store in stores.items()}
    for turn in range(repeat):
        batch = [changed(write, chance) for write in chance.sample(writes, size)]
        for name, store in stores.items():
            for call, seconds in load_and_apply(store, entries[name] + turn, batch):
                taken.setdefault((call, name), []).append(seconds / size * 1e6)
    return taken


def load_and_apply(store: Layout, entry: int, batch: Sequence[Write]) -> Iterator[tuple[str, float]]:
    started = time.perf_counter()
    loaded = store.load(PARTITIONS, [write.key for write in batch], 0)
    yield "load", time.perf_counter() - started
    assert (loaded.position.entry, len(loaded.values)) == (entry, len(batch))
    started = time.perf_counter()
    answer = store.apply(PARTITIONS, entry, Position(entry + 1), batch)
    yield "apply", time.perf_counter() - started
    assert answer is Applied.DONE


def restock(store: Layout, writes: Sequence[Write]) -> int:
    """The entry at which the partition used for timing stands once it is filled anew."""
    store.clear(PARTITIONS)
    fill(store, {PARTITIONS: writes})
    return -(-len(writes) // 2000)


def changed(write: Write, chance: random.Random) -> Write:
    due_ms = NEXT_YEAR_MS + chance.randrange(10**9) if chance.random() < 0.1 else write.due_ms
    return Write(write.key, chance.randbytes(400), due_ms)


def measure(url: str, count: int, repeat: int) -> None:
    client = redis.Redis.from_url(url)
    info = client.info("server")
    product = f"{info.get('server_name', 'redis')} {info.get('valkey_version', info['redis_version'])}"
    hashes, plain = RedisStore(url, NAMESPACE, "hashes"), KeyPerProfile(url)
    stores: dict[str, Layout] = {"one hash per partition": hashes, "one key per profile": plain}

    held = profiles(count, random.Random(SEED))
    content = sum(len(write.key) + len(write.value) for some in held.values() for write in some) / count
    print(
        f"\n{product}: {count} profiles in {PARTITIONS} partitions, {content:.0f} bytes of key and value each, seed {SEED}"
    )
    for name, store in stores.items():
        used = bytes_per_profile(store, client, held)
        print(f"  {name:24} {used:6.0f} bytes a profile, {used - content:4.0f} over content (the due index in it)")
        started = time.perf_counter()
        store.clear(0)
        print(f"  {'':24} {(time.perf_counter() - started) * 1000:6.1f} ms to clear one partition")
        for partition in range(1, PARTITIONS):
            store.clear(partition)

    print(f"  µs per key, median (10th..90th percentile) of {repeat} batches among 20000 profiles")
    writes = profiles(20_000 * PARTITIONS, random.Random(SEED))[0]
    for size in BATCHES:
        for (call, name), taken in sorted(times(stores, writes, size, repeat).items()):
            tenths = quantiles(taken, n=10)
            print(f"  {size:5} {call:5} {name:24} {median(taken):5.2f}  ({tenths[0]:.2f}..{tenths[-1]:.2f})")
    for store in stores.values():
        store.clear(PARTITIONS)
        store.close()
    client.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--url", action="append", default=[], help="a Redis server, measured too")
    options.add_argument("--profiles", type=int, default=100_000)
    options.add_argument("--repeat", type=int, default=40)
    chosen = options.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="maitred-") as directory,
        embedded_store(Path(directory)) as embedded,
    ):
        for url in (embedded, *chosen.url):
            measure(url, chosen.profiles, chosen.repeat)


if __name__ == "__main__":
    main()
