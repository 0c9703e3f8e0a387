"""Real servers and real worker processes, in the form in which the simulation's judge reads a world (`verdict.findings`)."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import redis
from confluent_kafka.admin import AdminClient

from features.redis_store import RedisStore
from streams import topics
from streams.kafka.client import kafka_config
from streams.kafka.reader import KafkaReader
from streams.log import Message
from streams.settings import Settings, load
from tests.simulation.parts import read_entry
from tests.simulation.plans import SHOP_TOPICS, maitred_roles


def servers() -> dict[str, str]:
    """Where the servers are, from the environment or where `make servers` starts them."""
    return {
        "MAITRED_KAFKA__BOOTSTRAP": os.environ.get("MAITRED_KAFKA__BOOTSTRAP", "127.0.0.1:9092"),
        "MAITRED_REDIS__URL": os.environ.get("MAITRED_REDIS__URL", "redis://127.0.0.1:6379/0"),
    }


@contextmanager
def own_namespace(kind: str, **own: str) -> Iterator[dict[str, str]]:
    """The variables of a namespace of its own on the real servers, with topics; nothing of it is left afterwards."""
    variables = {
        **servers(),
        "MAITRED_NAMESPACE": f"{kind}-{uuid4().hex[:8]}",
        "MAITRED_KAFKA__REPLICATION": "1",
        "MAITRED_WORKER__WEB_PORT": "0",
        **own,
    }
    settings = load(None, variables)
    topics.create(settings)
    yield variables
    empty_redis(settings)
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap})
    for deleted in admin.delete_topics([f"{settings.namespace}.{topic.name}" for topic in topics.TOPICS]).values():
        deleted.result()


class Processes:
    """Worker processes of one namespace."""

    def __init__(self, variables: Mapping[str, str], log_path: Path) -> None:
        self._variables, self._log_path = dict(variables), log_path
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        with self._log_path.open("ab") as log:
            code = "from streams.cli import main; main()"
            command = [sys.executable, "-c", code, "worker"]
            self.running.append(
                subprocess.Popen(command, env={**os.environ, **self._variables}, stdout=log, stderr=log)
            )

    def kill(self, index: int) -> None:
        """As a power cut would: no chance to say goodbye."""
        process = self.running.pop(index)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop_all(self) -> None:
        for process in self.running:
            process.send_signal(signal.SIGINT)
        for process in self.running:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()


class RealLog:
    """A partition, read as a subscriber reads it, once."""

    def __init__(self, settings: Settings, topic: str, partition: int) -> None:
        reader = KafkaReader(kafka_config(settings), f"{settings.namespace}.judge")
        self._messages = list(reader.read(topic, partition, 0))
        reader.close()

    def committed(self) -> Iterator[Message]:
        return iter(self._messages)


class RealState:
    """A processor's Redis, as the judge asks for it."""

    def __init__(self, settings: Settings, processor: str) -> None:
        self._store = RedisStore(settings.redis.url, settings.namespace, processor)
        self.position, self.load = self._store.position, self._store.load

    def contents(self, partition: int) -> dict[str, bytes]:
        return dict(self._store.contents(partition))


class RealWorld:
    """What the judge reads: topics, stores, and how each processor is made."""

    workers: tuple[()] = ()
    is_at_rest = True

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.settings = settings = load(None, variables)
        counts = {topic.name: topic.partitions(settings.partitions) for topic in topics.TOPICS}
        roles = maitred_roles(settings)
        self.plan = SimpleNamespace(roles=roles, topics=counts, shop_topics=SHOP_TOPICS)
        logs = {(t, p): RealLog(settings, t, p) for t, n in counts.items() if t != "control" for p in range(n)}
        self.broker = SimpleNamespace(logs=logs, groups={})
        names = [role.name for role in roles]
        self.shared = SimpleNamespace(memories=names, memory=lambda name: RealState(settings, name))


def empty_redis(settings: Settings) -> int:
    """Lose everything of the namespace, as a wiped server would; returns how many keys there were."""
    server = redis.Redis.from_url(settings.redis.url)
    keys = list(server.scan_iter(match=f"{{{settings.namespace}:*"))
    return int(server.delete(*keys)) if keys else 0


def lag(settings: Settings) -> int:
    """Records of all sources that are not applied yet: those after the last committed offset, told by the batch logs."""
    reader = KafkaReader(kafka_config(settings), f"{settings.namespace}.lag")
    behind = 0
    for role in maitred_roles(settings):
        for partition in range(role.partitions):
            applied = _applied(reader, role.name, partition)
            for topic in role.sources:
                last = reader.last(topic, partition)
                behind += max(0, last.offset - applied.get(topic, -1)) if last else 0
    reader.close()
    return behind


def _applied(reader: KafkaReader, processor: str, partition: int) -> dict[str, int]:
    applied: dict[str, int] = {}
    for message in reader.read(f"{processor}.batch-log", partition, 0):
        for run in read_entry(message).sequence:
            if run.topic:
                applied[run.topic] = run.to_offset
    return applied
