"""The store on a Redis Cluster of three nodes, started here: the same checks, and slots that move while it works."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
import redis
from redis.crc import key_slot

from features.redis_store import RedisStore
from features.store import Applied, Position
from schemas.errors import StoreUnavailable
from schemas.records import Write
from tests.unit.store_checks import CHECKS, Fresh

pytestmark = pytest.mark.integration

NAMESPACES = count()
SLOTS = 16_384


def free_ports(wanted: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(wanted)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def start(directory: Path, port: int, bus_port: int) -> "subprocess.Popen[bytes]":
    directory.mkdir()
    options = {
        "port": port,
        "cluster-port": bus_port,
        "bind": "127.0.0.1",
        "dir": directory,
        "save": "",
        "logfile": "log",
    }
    options |= {"cluster-enabled": "yes", "cluster-node-timeout": 2000}
    return subprocess.Popen(
        ["redis-server", *(str(part) for name, value in options.items() for part in (f"--{name}", value))]
    )


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if holds():
                return
        except redis.RedisError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list["redis.Redis"]]:
    if shutil.which("redis-server") is None:
        assert os.environ.get("MAITRED_REQUIRE_SERVERS") != "1", "redis-server is not installed"
        pytest.skip("redis-server is not installed")
    directory, ports = tmp_path_factory.mktemp("cluster"), free_ports(6)
    with ExitStack() as stack:
        clients = []
        for port, bus_port in zip(ports[:3], ports[3:], strict=True):
            server = start(directory / str(port), port, bus_port)
            stack.callback(server.wait)
            stack.callback(server.terminate)
            clients.append(stack.enter_context(redis.Redis(port=port, decode_responses=True)))
        for n, client in enumerate(clients):
            until(client.ping)
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", n * SLOTS // 3, (n + 1) * SLOTS // 3 - 1)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", ports[0], ports[3])
        for client in clients:
            until(lambda: client.cluster("info")["cluster_state"] == "ok")  # noqa: B023  used before the next turn
            until(lambda: client.cluster("info")["cluster_known_nodes"] == "3")  # noqa: B023  as above
        yield clients


def cluster_store(nodes: list["redis.Redis"]) -> RedisStore:
    port = nodes[0].connection_pool.connection_kwargs["port"]
    return RedisStore(f"redis+cluster://127.0.0.1:{port}", f"test-{next(NAMESPACES)}", "scorer")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_cluster(check: Callable[[Fresh], None], nodes: list["redis.Redis"]) -> None:
    opened: list[RedisStore] = []

    def fresh() -> RedisStore:
        opened.append(cluster_store(nodes))
        return opened[-1]

    check(fresh)
    for store in opened:
        store.close()


def test_partitions_spread_over_the_nodes(nodes: list["redis.Redis"]) -> None:
    """Twelve partitions lie on all three nodes, and one `read` reaches all of them."""
    store = cluster_store(nodes)
    for partition in range(12):
        store.apply(partition, 0, Position(1), [Write(f"v/{partition}", b"%d" % partition, 50)])
    assert all(node.dbsize() > 0 for node in nodes)
    seen = store.read({f"v/{partition}": partition for partition in range(12)})
    assert [seen[f"v/{partition}"].value for partition in range(12)] == [b"%d" % partition for partition in range(12)]
    assert store.verify_server() == store.verify_server()[:1] * 3  # no append-only file, on each
    store.close()


def test_forgotten_scripts_are_sent_again(nodes: list["redis.Redis"]) -> None:
    """A node that took over, and knows no script, is told them."""
    store = cluster_store(nodes)
    store.apply(0, 0, Position(1), [Write("p/1", b"one", 50)])
    for node in nodes:
        node.script_flush()
    assert store.load(0, ["p/1"], 50).due == ((50, "p/1"),)
    for node in nodes:
        node.script_flush()
    assert store.apply(0, 1, Position(2), []) is Applied.DONE
    store.close()


def move_slot(slot: int, nodes: list["redis.Redis"]) -> None:
    """Moves a slot, keys and all, to the next node, as `redis-cli --cluster reshard` does."""
    ids = [node.cluster("myid") for node in nodes]
    owner = min(slot * 3 // SLOTS, 2)
    source, target = owner, (owner + 1) % 3
    nodes[target].execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
    nodes[source].execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
    keys = nodes[source].cluster("getkeysinslot", slot, 10)
    port = nodes[target].connection_pool.connection_kwargs["port"]
    nodes[source].execute_command("MIGRATE", "127.0.0.1", port, "", 0, 5000, "KEYS", *keys)
    for node in (nodes[target], nodes[source], nodes[3 - source - target]):
        node.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[target])


@pytest.mark.parametrize("call", ["position", "load", "read", "apply"])
def test_a_slot_that_moved_is_found(nodes: list["redis.Redis"], call: str) -> None:
    """When a partition was moved to another node, each call finds it, at the latest when called again."""
    store = cluster_store(nodes)
    store.apply(0, 0, Position(1), [Write("p/1", b"one", 50)])
    move_slot(key_slot(store._state(0).encode()), nodes)
    calls: dict[str, Callable[[], object]] = {
        "position": lambda: store.position(0).entry,
        "load": lambda: store.load(0, ["p/1"], 50).position.entry,
        "read": lambda: store.read({"p/1": 0})["p/1"].entry,
        "apply": lambda: store.apply(0, 1, Position(2), []),
    }
    try:
        answer = calls[call]()
    except StoreUnavailable:  # a transaction is not redirected; the error made the client look where the slot is
        answer = calls[call]()
    assert answer in {1, Applied.DONE}
    assert store.contents(0) == {"p/1": b"one"}
    store.close()
