"""What the Redis store makes of a server that is gone, slow, full, new, or not what it should be."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from redis.crc import key_slot

from features.redis_store import RedisStore, _verify
from features.store import NOWHERE, Applied, Position
from schemas.errors import BrokenPromise, SettingsError, StoreUnavailable
from schemas.records import Write
from streams.embedded import embedded_store

SOME = [Write("p/1", b"one", 50), Write("p/2", b"two")]


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with embedded_store(tmp_path) as address:
        yield address


@pytest.fixture
def store(url: str) -> Iterator[RedisStore]:
    opened = RedisStore(url, "test", "scorer")
    yield opened
    opened.close()


@pytest.fixture
def server(url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(url) as client:
        yield client


@contextmanager
def relay(url: str, directory: Path) -> Iterator[tuple[str, threading.Event]]:
    """A way to the server that swallows one reply, and hangs up, once the event is set."""
    swallow, path = threading.Event(), directory / "relay.sock"

    def pump(source: socket.socket, target: socket.socket, *, replies: bool) -> None:
        while data := source.recv(65536):
            if replies and swallow.is_set():
                swallow.clear()
                break
            target.sendall(data)
        for end in (source, target):
            end.shutdown(socket.SHUT_RDWR)

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            with near, socket.socket(socket.AF_UNIX) as far, ThreadPoolExecutor(2) as pumps:
                far.connect(url.removeprefix("unix://"))
                pumps.submit(pump, near, far, replies=False)
                pumps.submit(pump, far, near, replies=True)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"unix://{path}", swallow
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_lost_reply_is_settled_by_the_second_call(url: str, tmp_path: Path) -> None:
    """When the reply to an apply is lost, the same apply again is answered ALREADY, and it was applied once."""
    with relay(url, tmp_path) as (through, swallow):
        store = RedisStore(through, "test", "scorer")
        assert store.apply(0, 0, Position(1), []) is Applied.DONE
        swallow.set()
        with pytest.raises(StoreUnavailable):
            store.apply(0, 1, Position(2), SOME)
        assert not swallow.is_set()
        assert store.apply(0, 1, Position(2), SOME) is Applied.ALREADY
        assert store.contents(0) == {"p/1": b"one", "p/2": b"two"}
        store.close()


def test_a_late_reply_is_not_taken_for_the_next_one(store: RedisStore, url: str, server: "redis.Redis") -> None:
    """After a timeout the next call gets its own answer, not the one that came too late."""
    store.apply(0, 0, Position(1), SOME)
    hasty = RedisStore(url, "test", "scorer", timeout_s=0.2)
    assert hasty.position(0) == Position(1)
    server.client_pause(500)
    with pytest.raises(StoreUnavailable) as raised:
        hasty.load(0, ["p/1"], 0)
    assert isinstance(raised.value.__cause__, redis.TimeoutError)
    time.sleep(0.5)
    assert hasty.load(0, ["p/2"], 0).values == {"p/2": b"two"}
    hasty.close()


def test_a_server_that_came_back_is_used_again(tmp_path: Path) -> None:
    """While the server is away calls raise StoreUnavailable; a new server, which knows no script, just works."""
    with embedded_store(tmp_path) as url:
        store = RedisStore(url, "test", "scorer")
        assert store.apply(0, 0, Position(1), SOME) is Applied.DONE
    for call in (
        lambda: store.position(0),
        lambda: store.load(0, [], 0),
        lambda: store.apply(0, 1, Position(2), []),
    ):
        with pytest.raises(StoreUnavailable) as raised:
            call()
        assert isinstance(raised.value.__cause__, redis.ConnectionError)
    with embedded_store(tmp_path) as again:
        assert again == url
        assert store.load(0, ["p/1"], 100) == (NOWHERE, {}, ())
        assert store.apply(0, 0, Position(1), SOME) is Applied.DONE
    store.close()


def test_forgotten_scripts_are_sent_again(store: RedisStore, server: "redis.Redis") -> None:
    """A server told to forget its scripts is told them again."""
    store.apply(0, 0, Position(1), SOME)
    server.script_flush()
    assert store.load(0, (), 50).due == ((50, "p/1"),)
    server.script_flush()
    assert store.apply(0, 1, Position(2), []) is Applied.DONE


@pytest.mark.parametrize(
    "trouble", [("maxmemory", "1"), ("min-replicas-to-write", "1")], ids=["out of memory", "too few replicas"]
)
def test_a_refused_batch_leaves_nothing_behind(
    store: RedisStore, server: "redis.Redis", trouble: tuple[str, str]
) -> None:
    """A server that may not write says so before the first write; reading goes on, and so does writing afterwards."""
    store.apply(0, 0, Position(1), SOME)
    server.config_set(*trouble)
    with pytest.raises(StoreUnavailable):
        store.apply(0, 1, Position(2), [Write("p/3", b"x" * 1000, 60)])
    assert store.load(0, ["p/1", "p/3"], 100) == (Position(1), {"p/1": b"one"}, ((50, "p/1"),))
    server.config_set(trouble[0], "0")
    assert store.apply(0, 1, Position(2), []) is Applied.DONE


def test_a_replica_is_not_written_to(store: RedisStore, server: "redis.Redis") -> None:
    """In a failover the old primary refuses: that passes, so it is StoreUnavailable."""
    server.replicaof("127.0.0.1", 1)
    with pytest.raises(StoreUnavailable):
        store.apply(0, 0, Position(1), SOME)


def test_foreign_data_under_our_names_is_a_stop(store: RedisStore, server: "redis.Redis") -> None:
    """A due key of the wrong type is found before the first write, and is no passing trouble."""
    server.set("{test:scorer:0}:due", "foreign")
    with pytest.raises(BrokenPromise):
        store.apply(0, 0, Position(1), SOME)
    assert store.position(0) == NOWHERE
    assert store.contents(0) == {}


def test_the_position_is_no_key(store: RedisStore) -> None:
    """A write to the name under which the position is kept is refused."""
    with pytest.raises(BrokenPromise):
        store.apply(0, 0, Position(1), [Write("@position", b"9 9 9")])


def test_a_partition_is_two_keys_in_one_slot(store: RedisStore, url: str, server: "redis.Redis") -> None:
    """Whatever is in a partition lies under one hash tag, and another processor's partition under another."""
    learner = RedisStore(url, "test", "learner")
    store.apply(0, 0, Position(1, 2, 3), SOME)
    learner.apply(0, 0, Position(1), [Write("model", b"m")])
    keys = sorted(key for key in server.scan_iter() if isinstance(key, bytes))
    assert keys == [b"{test:learner:0}:state", b"{test:scorer:0}:due", b"{test:scorer:0}:state"]
    assert key_slot(keys[1]) == key_slot(keys[2])
    assert server.hget("{test:scorer:0}:state", "@position") == b"1 2 3"
    assert learner.contents(0) == {"model": b"m"}
    learner.close()


def test_threads_share_one_connection(store: RedisStore, server: "redis.Redis") -> None:
    """Threads that share a store wait for their turn, and each gets its own answer."""
    writes = [Write(f"p/{n}", str(n).encode()) for n in range(400)]
    store.apply(0, 0, Position(1), writes)
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(lambda write: store.load(0, [write.key], 0).values, writes)
        assert list(answers) == [{write.key: write.value} for write in writes]
    assert server.info("clients")["connected_clients"] == 2


def test_a_server_that_would_evict_is_refused(store: RedisStore, server: "redis.Redis") -> None:
    """A store may not forget customers to make room; the error names the cure."""
    server.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(SettingsError) as raised:
        store.verify_server()
    assert (raised.value.expected, raised.value.got) == ("noeviction", "allkeys-lru")
    assert "CONFIG SET maxmemory-policy noeviction" in raised.value.cure


def test_a_server_that_forgets_at_restart_is_warned_of(store: RedisStore, server: "redis.Redis") -> None:
    """Without an append-only file there is a warning, with one there is none."""
    assert ["appendonly" in warning for warning in store.verify_server()] == [True]
    server.config_set("appendonly", "yes")
    assert store.verify_server() == ()
    server.config_set("appendonly", "no")  # else it finishes the file before it ends


def test_an_old_server_is_refused() -> None:
    """Redis 6 has no script flags."""
    with pytest.raises(SettingsError):
        list(_verify({"redis_version": "6.2.14", "maxmemory_policy": "noeviction", "aof_enabled": 1}, "here"))


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
def test_a_password_is_not_told(scheme: str) -> None:
    """An address in an error message comes without its password."""
    with pytest.raises(StoreUnavailable) as raised:
        RedisStore(f"{scheme}://maitred:secret@127.0.0.1:1/0?password=secret", "test", "scorer").position(0)
    assert "127.0.0.1:1" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_the_embedded_server_ends_with_its_context(tmp_path: Path) -> None:
    """A long path, or one with spaces, is no trouble; afterwards nobody answers."""
    deep = tmp_path / "a directory with spaces" / ("long" * 30)
    with embedded_store(deep) as url, redis.Redis.from_url(url) as client:
        process = client.info("server")["process_id"]
        assert client.config_get("dir") == {"dir": str(deep)}
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert not Path(url.removeprefix("unix://")).exists()
