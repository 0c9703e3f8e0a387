"""The store in Redis or Valkey: a `Store` (see `store.py`) whose partitions outlive the worker. Only this file imports redis.

A partition is one hash, with a field per key and one, `@position`, for where it stands, and one sorted set of what is
due. Both keys carry the partition as hash tag, so on Redis Cluster they lie on one node and one script can commit
them (`docs/decisions/0003-one-hash-per-partition.md`). What the values mean, and when to call what, is left to others.

**A lost reply.** A call that fails is not repeated here: it raises `StoreUnavailable`, and the caller does not know
whether an `apply` arrived. It may simply apply the same batch again. The entry number makes that safe: if the first
call arrived, the second is answered `ALREADY`, which is the truth. The caller therefore treats `ALREADY` for its own
batch as success, and so does not care whether a driver or a proxy in between sent a command twice.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha1
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.connection import BlockingConnectionPool
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError,  # noqa: A004  redis names its own so; it is not a subclass of Python's
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004  as above
    TryAgainError,
)
from redis.retry import Retry

from features.store import NOWHERE, Applied, Asked, Loaded, Move, Position, seen
from schemas.errors import BrokenPromise, SettingsError, StoreUnavailable
from schemas.records import Seen, Write

POSITION = "@position"  # a field of the hash, beside the keys; no key may have this name
OLDEST = 7  # the first major version with script flags

_PASSING = (
    ConnectionError, TimeoutError, OutOfMemoryError, ReadOnlyError, ClusterDownError, RedisClusterException,
    TryAgainError, AskError,
)  # fmt: skip
_PASSING_CODES = frozenset({"MISCONF", "NOREPLICAS", "BUSY", "UNKILLABLE"})  # those redis-py has no class for


Item = TypeVar("Item")


class _Script(NamedTuple):
    text: str
    sha: str


def _script(name: str) -> _Script:
    text = Path(__file__).with_name(name).read_text()
    return _Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


COMMIT, DUE = _script("commit.lua"), _script("due.lua")


class RedisStore:
    """The state of one processor in Redis 7+, Valkey, or (`redis+cluster://`, `rediss+cluster://`) a cluster of them.

    It holds one connection; threads that share an instance wait for their turn (on a cluster: one per node and thread).
    No call blocks longer than about `timeout_s` without an answer.
    """

    def __init__(self, url: str, namespace: str, processor: str, *, timeout_s: float = 5.0) -> None:
        self._prefix = f"{namespace}:{processor}"
        self._where = _without_password(url)
        with self._answering():
            self._client = _connect(url, timeout_s)

    def position(self, partition: int) -> Position:
        with self._answering():
            at: Any = self._client.hget(self._state(partition), POSITION)  # redis-py: or decoded
        return _decode(at)

    def load(self, partition: int, keys: Iterable[str], due_by_ms: int) -> Loaded:
        return self.load_each([Asked(partition, keys, due_by_ms)])[0]

    def load_each(self, asked: Sequence[Asked]) -> list[Loaded]:
        listed = [Asked(partition, [*keys], due_by_ms) for partition, keys, due_by_ms in asked]
        with self._answering():
            answers = [answer for some in self._together(listed) for answer in self._look(some)]
        return [_loaded(one, *pair) for one, *pair in zip(listed, answers[::2], answers[1::2], strict=True)]

    def _look(self, asked: Sequence[Asked]) -> list[Any]:  # what redis-py parsed
        """One transaction. Values asked for by name don't pass through Lua, which would double their price."""

        def ask(script: str, name: str) -> list[Any]:
            with self._client.pipeline(transaction=True) as together:
                for partition, wanted, due_by_ms in asked:
                    keys = self._state(partition), self._due(partition)
                    together.hmget(keys[0], [POSITION, *wanted])
                    together.execute_command(script, name, 2, *keys, due_by_ms)
                return _answered(together.execute(raise_on_error=False))

        try:
            return ask("EVALSHA", DUE.sha)
        except NoScriptError:
            return ask("EVAL", DUE.text)

    def _together(self, items: Sequence[Item]) -> Iterable[Sequence[Item]]:
        """What may be sent at once: all of it, but on a cluster, where partitions lie on different nodes, each alone."""
        return [[item] for item in items] if isinstance(self._client, RedisCluster) else [items]

    def read(self, keys: Mapping[str, int]) -> dict[str, Seen]:
        held_by: dict[int, list[str]] = {}
        for key, partition in keys.items():
            held_by.setdefault(partition, []).append(key)
        with self._answering(), self._client.pipeline(transaction=False) as together:
            for partition, wanted in held_by.items():
                together.hmget(self._state(partition), [POSITION, *wanted])
            answers = together.execute()
        return {
            key: seen(_decode(at), value)
            for wanted, (at, *values) in zip(held_by.values(), answers, strict=True)
            for key, value in zip(wanted, values, strict=True)
        }

    def apply(self, partition: int, before: int, after: Position, writes: Sequence[Write]) -> Applied:
        return self.apply_each([Move(partition, before, after, writes)])[0]

    def apply_each(self, moves: Sequence[Move]) -> list[Applied]:
        with self._answering():
            return [Applied(answer.decode()) for some in self._together(moves) for answer in self._move(some)]

    def _move(self, moves: Sequence[Move]) -> list[Any]:  # as `_look`
        """No transaction: each script is one. A partition that has moved when the script must be sent anew says ALREADY."""

        def tell(script: str, name: str) -> list[Any]:
            with self._client.pipeline(transaction=False) as together:
                for partition, before, after, writes in moves:
                    keys = self._state(partition), self._due(partition)
                    together.execute_command(script, name, 2, *keys, *_arguments(before, after, writes))
                return _answered(together.execute(raise_on_error=False))

        try:
            return tell("EVALSHA", COMMIT.sha)
        except NoScriptError:  # a new server, or one that was told to forget
            return tell("EVAL", COMMIT.text)

    def clear(self, partition: int) -> None:
        with self._answering():
            self._client.unlink(self._state(partition), self._due(partition))

    def close(self) -> None:
        self._client.close()

    def keys(self, partition: int) -> Iterator[str]:
        """The keys of a partition, for tools. While it is being written a key may come twice, or not yet."""
        return (key for key, _ in self._items(partition))

    def contents(self, partition: int) -> dict[str, bytes]:
        """All values of a partition, for comparisons."""
        return dict(self._items(partition))

    def _items(self, partition: int) -> Iterator[tuple[str, bytes]]:
        with self._answering():
            for field, value in self._client.hscan_iter(self._state(partition), count=1000):
                if (key := field.decode()) != POSITION:
                    yield key, value

    def verify_server(self) -> tuple[str, ...]:
        """What is worth a warning in the server's set-up.

        Raises `SettingsError` if it is too old, or would evict: a profile would vanish and nothing would tell.
        """
        with self._answering():
            return tuple(warning for info in self._servers() for warning in _verify(info, self._where))

    def information(self) -> list[dict[str, Any]]:  # INFO is a table of texts and numbers
        """What each server says of itself in INFO."""
        with self._answering():
            return self._servers()

    def saves(self) -> str | None:
        """When the server writes its memory to disk, as its `save` setting has it; None where it does not tell."""
        try:
            with self._answering():
                told: Any = self._client.config_get("save") if isinstance(self._client, Redis) else {}  # as `position`
        except BrokenPromise:  # a managed server keeps CONFIG to itself
            return None
        save: str | None = told.get("save")
        return save

    def now_ms(self) -> int:
        """The server's clock; on a cluster that of the node of partition 0."""
        with self._answering():
            text = "local now = redis.call('TIME'); return now[1] * 1000 + math.floor(now[2] / 1000)"
            return int(self._client.eval(text, 1, self._state(0)))

    def _servers(self) -> list[dict[str, Any]]:  # as `information`
        if isinstance(self._client, RedisCluster):
            return [*self._client.info(target_nodes=RedisCluster.PRIMARIES).values()]
        return [self._client.info()]

    def _state(self, partition: int) -> str:
        return f"{{{self._prefix}:{partition}}}:state"

    def _due(self, partition: int) -> str:
        return f"{{{self._prefix}:{partition}}}:due"

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Turns what passes (no answer, no memory, a failover) into `StoreUnavailable`, what doesn't into a stop."""
        try:
            yield
        except (RedisError, RedisClusterException) as error:
            if _passes(error):
                raise StoreUnavailable(
                    f"store {self._where}: expected an answer, got {type(error).__name__}: {error}; nothing is lost: check that the server runs, "
                    "is reachable and has memory left"
                ) from error
            raise BrokenPromise(f"store {self._where}: refused a command as wrong: {error}") from error


def _connect(url: str, timeout_s: float) -> "Redis | RedisCluster":
    once = Retry(NoBackoff(), 0)
    if "+cluster://" in url:
        return RedisCluster.from_url(
            url.replace("+cluster://", "://"),
            retry=once,
            protocol=2,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
        )
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=1,
        timeout=timeout_s,
        retry=once,
        protocol=2,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
    )
    return Redis.from_pool(pool)


def _loaded(asked: Asked, told: Sequence[Any], fallen_due: Sequence[Any]) -> Loaded:  # Any: what redis-py parsed
    (at, *values), (scored, due_values) = told, fallen_due
    due = tuple((int(float(ms)), key.decode()) for key, ms in zip(scored[::2], scored[1::2], strict=True))
    found = dict(zip(asked.keys, values, strict=True))
    found |= {key: value for (_, key), value in zip(due, due_values, strict=True)}
    return Loaded(_decode(at), {key: value for key, value in found.items() if value is not None}, due)


def _answered(answers: list[Any]) -> list[Any]:  # Any: as above
    """A pipeline's answers; of errors the first is raised as the server said it, for redis-py would put words before it."""
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


def _arguments(before: int, after: Position, writes: Sequence[Write]) -> list[str | bytes | int]:
    """The arguments of commit.lua. Of several writes to one key the last counts."""
    latest = {write.key: write for write in writes}
    if POSITION in latest:
        raise BrokenPromise(f"a write to {POSITION}: that name is the store's own; keys look like `p/<customer_id>`")
    put: list[str | bytes | int] = [POSITION, _encode(after)]
    removed: list[str | bytes | int] = []
    due: list[str | bytes | int] = []
    undue: list[str | bytes | int] = []
    for key, value, due_ms in latest.values():
        if value is None:
            removed.append(key)
        else:
            put += key, value
        if value is None or due_ms is None:
            undue.append(key)
        else:
            due += due_ms, key
    return [before, len(put), len(removed), len(due), len(undue), *put, *removed, *due, *undue]


def _encode(position: Position) -> str:
    """Three numbers and two spaces: about 25 bytes, and `redis-cli hget ... @position` can be read."""
    return f"{position.entry} {position.changelog_offset} {position.committed_ms}"


def _decode(position: bytes | None) -> Position:
    return NOWHERE if position is None else Position(*map(int, position.split()))


def _passes(error: Exception) -> bool:
    code = str(error).split(" ", 1)[0] if isinstance(error, ResponseError) else ""
    return isinstance(error, _PASSING) or code in _PASSING_CODES


def _verify(info: Mapping[str, Any], where: str) -> Iterator[str]:  # INFO is a table of texts and numbers
    version, policy = str(info["redis_version"]), info["maxmemory_policy"]
    if int(version.partition(".")[0]) < OLDEST:
        raise SettingsError(f"store {where}", f"Redis {OLDEST} or newer, or Valkey", version, "upgrade the server")
    if policy != "noeviction":
        cure = "`CONFIG SET maxmemory-policy noeviction`, and in redis.conf: an evicted profile is a customer forgotten"
        raise SettingsError(f"store {where}, maxmemory-policy", "noeviction", policy, cure)
    if not info["aof_enabled"]:
        yield (
            f"store {where}: appendonly is off: after a restart it may be restored from the changelog, entry by entry; "
            "`appendonly yes` makes that rare and short"
        )


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
