"""Starts and stops a real Kafka, a real Redis and, if asked for, a real schema registry on loopback, without containers.

    python docker/servers.py up       # start what is not running, return when all answer
    python docker/servers.py status   # exit 0 when all answer, 1 when not
    python docker/servers.py down     # stop exactly the processes that `up` started; --wipe deletes their data

Kafka runs from Maven Central's jars (docker/kafka-pom.xml) on Java 17 or later, in KRaft mode; Redis is the
system's redis-server; the registry is Apicurio's (docker/registry-pom.xml), which speaks Confluent's REST API under
/apis/ccompat/v7. Jars, data and logs live under .servers/, one folder per port, so several sets can run side by side.
Settings by environment: KAFKA_PORT (9092), REDIS_PORT (6379), REGISTRY_PORT (none: no registry), NODES (1 or 3
brokers; broker n listens on KAFKA_PORT + 2(n-1), its controller one above), KAFKA_HEAP (768m).

These are servers for development and tests: with one node nothing is replicated. docs/operating.md tells what
production asks of Kafka and Redis.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import dataclasses
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

HERE = Path(__file__).resolve().parent
STATE = HERE.parent / ".servers"
POM = HERE / "kafka-pom.xml"
REGISTRY_POM = HERE / "registry-pom.xml"
REGISTRY_API = "/apis/ccompat/v7"
HOST = "127.0.0.1"
START_SECONDS = 90
STOP_SECONDS = 10
JAVA_NEEDED = 17


class ServerError(Exception):
    """What went wrong and what to do about it, in words for the terminal."""


def main() -> int:
    args = parse_arguments()
    try:
        settings = Settings.from_environment(os.environ)
        servers = [*kafka_nodes(settings), redis_server(settings), *registry_server(settings)]
        if args.command == "status":
            return status(servers)
        with one_at_a_time():
            if args.command == "up":
                up(settings, servers)
            else:
                down(settings, wipe=args.wipe)
    except ServerError as error:
        print(f"servers: {error}", file=sys.stderr)
        return 1
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A real Kafka, a real Redis and a real schema registry on loopback.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start what is not running, return when all answer")
    commands.add_parser("status", help="exit 0 when all answer, 1 when not")
    stop = commands.add_parser("down", help="stop what `up` started")
    stop.add_argument("--wipe", action="store_true", help="delete the data as well")
    return parser.parse_args()


# ------------------------------------------------------------------------------------------ settings


@dataclasses.dataclass(frozen=True)
class Settings:
    kafka_port: int
    redis_port: int
    nodes: int
    heap: str
    registry_port: int | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read and check the settings; raises ServerError naming the variable at fault."""
        nodes = _number(environment, "NODES", 1)
        if nodes not in (1, 3):
            raise ServerError(f"NODES must be 1 or 3, got {nodes}")
        heap = environment.get("KAFKA_HEAP", "768m")
        if not re.fullmatch(r"\d+[mg]", heap):
            raise ServerError(f"KAFKA_HEAP must look like 768m or 2g, got {heap!r}")
        registry_port = _number(environment, "REGISTRY_PORT", 0) if environment.get("REGISTRY_PORT") else None
        kafka_port, redis_port = _number(environment, "KAFKA_PORT", 9092), _number(environment, "REDIS_PORT", 6379)
        return cls(kafka_port, redis_port, nodes, heap, registry_port)

    @property
    def kafka_home(self) -> Path:
        return STATE / f"kafka-{self.kafka_port}"

    @property
    def redis_home(self) -> Path:
        return STATE / f"redis-{self.redis_port}"

    @property
    def registry_home(self) -> Path:
        return STATE / f"registry-{self.registry_port}"

    @property
    def bootstrap(self) -> str:
        return ",".join(f"{HOST}:{self.broker_port(node)}" for node in self.node_ids)

    @property
    def node_ids(self) -> range:
        return range(1, self.nodes + 1)

    def broker_port(self, node: int) -> int:
        return self.kafka_port + 2 * (node - 1)


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ServerError(f"{name} must be a number from 1 to 65535, got {text!r}")
    return int(text)


# ------------------------------------------------------------------------------------------- servers


@dataclasses.dataclass(frozen=True)
class Server:
    """One process: where it lives, how it is started, and how to ask whether it serves."""

    name: str
    home: Path
    ports: tuple[int, ...]
    command: Callable[[], list[str]]
    answers: Callable[[], bool]

    @property
    def log(self) -> Path:
        return self.home / "log"

    @property
    def pid_file(self) -> Path:
        return self.home / "pid"


def kafka_nodes(settings: Settings) -> list[Server]:
    return [
        Server(
            name=f"Kafka {kafka_version()} node {node}",
            home=settings.kafka_home / f"node-{node}",
            ports=(settings.broker_port(node), settings.broker_port(node) + 1),
            command=lambda node=node: kafka_command(settings, node),  # type: ignore[misc] # mypy: default of a lambda
            answers=lambda: kafka_answers(settings),
        )
        for node in settings.node_ids
    ]


def redis_server(settings: Settings) -> Server:
    return Server(
        name="Redis",
        home=settings.redis_home,
        ports=(settings.redis_port,),
        command=lambda: redis_command(settings),
        answers=lambda: redis_answers(settings.redis_port),
    )


def registry_server(settings: Settings) -> list[Server]:
    """The registry where one is asked for: a list, so that none adds nothing."""
    port, home = settings.registry_port, settings.registry_home
    if port is None:
        return []
    return [
        Server(
            name=f"Registry {registry_version()}",
            home=home,
            ports=(port,),
            command=lambda: registry_command(port, home),
            answers=lambda: registry_answers(port),
        )
    ]


def up(settings: Settings, servers: list[Server]) -> None:
    """Start what is not running and wait until everything answers; stop again what failed to."""
    begun = time.monotonic()
    need("redis-server", package="redis-server")
    prepare_kafka(settings)
    if settings.registry_port is not None:
        prepare_registry()
    started: list[Server] = []
    try:
        for server in servers:
            if running_pid(server.home) is None:
                start(server)
                started.append(server)
        for server in servers:
            wait_for(server)
    except BaseException:
        stop(server.home for server in started)
        raise
    for server in servers:
        print(f"{server.name} answers on {HOST}:{server.ports[0]}")
    print(f"{len(started)} started, all ready after {time.monotonic() - begun:.1f} s; logs under .servers/")


def status(servers: list[Server]) -> int:
    """Print one line per server; 0 when every one runs and answers."""
    healthy = True
    for server in servers:
        pid = running_pid(server.home)
        serves = pid is not None and server.answers()
        word = "not running" if pid is None else f"pid {pid}, " + ("answers" if serves else "does not answer")
        print(f"{server.name} on {HOST}:{server.ports[0]}: {word}")
        healthy = healthy and serves
    return 0 if healthy else 1


def down(settings: Settings, *, wipe: bool) -> None:
    """Stop every process recorded for these ports, whatever NODES says now."""
    for home in stop([*sorted(settings.kafka_home.glob("node-*")), settings.redis_home, settings.registry_home]):
        print(f"stopped {home.relative_to(STATE)}")
    if wipe:
        for home in (settings.kafka_home, settings.redis_home, settings.registry_home):
            shutil.rmtree(home, ignore_errors=True)


# ----------------------------------------------------------------------------------------- processes


def start(server: Server) -> None:
    for port in server.ports:
        if taken(port):
            raise ServerError(
                f"port {port} for {server.name} is taken by a process we did not start; "
                "stop it, or choose KAFKA_PORT / REDIS_PORT / REGISTRY_PORT"
            )
    server.home.mkdir(parents=True, exist_ok=True)
    command = server.command()
    with server.log.open("ab") as log:
        process = subprocess.Popen(
            command, cwd=server.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    server.pid_file.write_text(f"{process.pid} {birth(process.pid)}\n")


def wait_for(server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not server.answers():
        if running_pid(server.home) is None:
            raise ServerError(f"{server.name} ended while starting; the end of {server.log}:\n{tail(server.log)}")
        if time.monotonic() > deadline:
            raise ServerError(
                f"{server.name} did not answer within {START_SECONDS} s; the end of {server.log}:\n{tail(server.log)}"
            )
        time.sleep(0.1)


def stop(homes: Iterable[Path]) -> list[Path]:
    """Stop the processes recorded in `homes`, all at once and first by asking; return where there was one."""
    pids = {home: pid for home in homes if (pid := running_pid(home)) is not None}
    for pid in pids.values():
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for home, pid in pids.items():
        while running_pid(home) is not None and time.monotonic() < deadline:
            time.sleep(0.05)
        if running_pid(home) is not None:  # Kafka waits for a quorum that its peers, stopping too, no longer form
            os.kill(pid, signal.SIGKILL)
        (home / "pid").unlink()
    return list(pids)


def running_pid(home: Path) -> int | None:
    """Return the pid recorded in `home` while that very process lives (a pid alone may have been given away)."""
    try:
        pid_text, recorded_birth = (home / "pid").read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    pid = int(pid_text)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # our own child that ended would stay a zombie, with its pid and birth
    return pid if birth(pid) == recorded_birth else None


def birth(pid: int) -> str:
    """Return what tells this process from a later one with the same pid; "" when there is none."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        # /proc/<pid>/stat: "pid (name) state ppid ...", the name may hold blanks; field 22 is the start time.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    if Path("/proc/self").exists():
        return ""
    asked = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return re.sub(r"\W+", "-", asked.stdout.strip())


def taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def tail(log: Path, lines: int = 20) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold .servers/lock, so that two callers don't start the same server twice."""
    STATE.mkdir(exist_ok=True)
    with (STATE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def need(program: str, *, package: str) -> str:
    """Return the path of `program`; as root on a Debian system install `package` when it is missing."""
    if not shutil.which(program):
        install(program, package)
    found = shutil.which(program)
    if not found:
        raise ServerError(f"{program} is still missing after installing {package}")
    return found


def install(program: str, package: str) -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ServerError(f"{program} is missing: install it (on Debian and Ubuntu: apt-get install {package})")
    print(f"installing {package}", file=sys.stderr)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", package]):
        command = ["apt-get", *step]
        made = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if made.returncode:
            raise ServerError(f"`{' '.join(command)}` failed, {program} is needed:\n{made.stderr.strip()}")


# --------------------------------------------------------------------------------------------- Kafka


def kafka_version() -> str:
    return pom_version(POM, "kafka.version")


def pom_version(pom: Path, name: str) -> str:
    version = ET.parse(pom).findtext(f".//{{*}}{name}")  # noqa: S314 - our own file
    if not version:
        raise ServerError(f"no {name} in {pom}")
    return version


def jars() -> Path:
    return STATE / f"kafka-jars-{kafka_version()}"


def prepare_kafka(settings: Settings) -> None:
    """Fetch the jars once, and format the storage of a new cluster once."""
    java = need("java", package="default-jre-headless")
    banner = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', banner)
    if not version or int(version[1]) < JAVA_NEEDED:
        raise ServerError(f"Kafka {kafka_version()} needs Java {JAVA_NEEDED} or later, {java} is {banner.strip()}")
    fetch(f"the jars of Kafka {kafka_version()}", POM, "copy-dependencies", jars())
    formatted = sorted(settings.kafka_home.glob("node-*/data/meta.properties"))
    if formatted and len(formatted) != settings.nodes:
        raise ServerError(
            f"the cluster on port {settings.kafka_port} has {len(formatted)} nodes, NODES is {settings.nodes}; "
            "`python docker/servers.py down --wipe` makes room for another"
        )
    if not formatted:
        format_storage(settings)


def fetch(what: str, pom: Path, goal: str, folder: Path) -> None:
    """Have Maven's dependency plugin put what `pom` names into `folder`, once."""
    if folder.exists():
        return
    need("mvn", package="maven")
    print(f"fetching {what}", file=sys.stderr)
    partial = folder.with_name(folder.name + ".part")
    command = ["mvn", "--quiet", "--batch-mode", "-Dstyle.color=never", "--file", str(pom)]
    command += [f"dependency:{goal}", "-DincludeScope=runtime", f"-DoutputDirectory={partial}"]
    command += [f"-DmarkersDirectory={STATE / 'maven-markers'}", "-DoverWriteReleases=true"]
    said = ""
    for pause in (0, 3, 10):  # a repository may be busy for a moment
        time.sleep(pause)
        shutil.rmtree(partial, ignore_errors=True)
        fetched = subprocess.run(command, capture_output=True, text=True, check=False)
        if fetched.returncode == 0:
            partial.rename(folder)
            return
        said = fetched.stdout[-2000:] + fetched.stderr[-2000:]
    raise ServerError(f"Maven could not fetch {what}:\n{said}")


def format_storage(settings: Settings) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    for node in settings.node_ids:
        home = settings.kafka_home / f"node-{node}"
        home.mkdir(parents=True, exist_ok=True)
        config = write_kafka_config(settings, node)
        command = [*java_command("128m"), "kafka.tools.StorageTool", "format"]
        command += [f"--cluster-id={cluster}", "--config", str(config), "--ignore-formatted"]
        made = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
        if made.returncode:
            raise ServerError(f"formatting Kafka's storage failed:\n{made.stdout}{made.stderr}")


def kafka_command(settings: Settings, node: int) -> list[str]:
    return [*java_command(settings.heap), "kafka.Kafka", str(write_kafka_config(settings, node))]


def java_command(heap: str) -> list[str]:
    flags = [f"-Xmx{heap}", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:+ExitOnOutOfMemoryError"]
    return ["java", *flags, "-Djava.awt.headless=true", "-Dlog4j2.level=INFO", "-cp", f"{jars()}/*"]


def write_kafka_config(settings: Settings, node: int) -> Path:
    path = settings.kafka_home / f"node-{node}" / "server.properties"
    config = kafka_config(settings, node, data=path.parent / "data")
    path.write_text("".join(f"{key}={value}\n" for key, value in config.items()))
    return path


def kafka_config(settings: Settings, node: int, *, data: Path) -> dict[str, str | int]:
    """Return the settings of one broker that is its own controller, replicated as far as the nodes allow."""
    broker, controller = settings.broker_port(node), settings.broker_port(node) + 1
    voters = ",".join(f"{n}@{HOST}:{settings.broker_port(n) + 1}" for n in settings.node_ids)
    in_sync = 2 if settings.nodes > 1 else 1
    return {
        "process.roles": "broker,controller",
        "node.id": node,
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{HOST}:{broker},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{broker}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data),
        # Topics are made by `maitred topics create`, never by a misspelt name.
        "auto.create.topics.enable": "false",
        "unclean.leader.election.enable": "false",
        "default.replication.factor": settings.nodes,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": settings.nodes,
        "transaction.state.log.replication.factor": settings.nodes,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": settings.nodes,
        "share.coordinator.state.topic.min.isr": in_sync,
        # Small and quick, for a laptop and for tests.
        "group.initial.rebalance.delay.ms": 0,
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.num.partitions": 8,
        "log.cleaner.dedupe.buffer.size": 32 * 1024 * 1024,
        "num.network.threads": 2,
        "num.io.threads": 4,
    }


def kafka_answers(settings: Settings) -> bool:
    """True when every node is in the cluster's metadata, which a broker is once it may serve."""
    admin = AdminClient({"bootstrap.servers": settings.bootstrap, "log_level": 0, "socket.timeout.ms": 2000})
    try:
        return len(admin.list_topics(timeout=2).brokers) == settings.nodes
    except KafkaException:
        return False


# --------------------------------------------------------------------------------------------- Redis


def redis_command(settings: Settings) -> list[str]:
    options = {
        "bind": HOST,
        "port": str(settings.redis_port),
        "dir": str(settings.redis_home),
        "daemonize": "no",
        # Profiles must not be evicted, and a restart should find them: what a worker checks at its start.
        "maxmemory-policy": "noeviction",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
    }
    return ["redis-server", *(part for key, value in options.items() for part in (f"--{key}", value))]


def redis_answers(port: int) -> bool:
    """True on +PONG; while Redis reads its file it answers -LOADING."""
    try:
        with socket.create_connection((HOST, port), timeout=2) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


# ------------------------------------------------------------------------------------------ registry


def registry_version() -> str:
    return pom_version(REGISTRY_POM, "registry.version")


def registry_jars() -> Path:
    return STATE / f"registry-jars-{registry_version()}"


def prepare_registry() -> None:
    fetch(f"Apicurio Registry {registry_version()}", REGISTRY_POM, "unpack-dependencies", registry_jars())


def registry_command(port: int, home: Path) -> list[str]:
    """One process that keeps its schemas in a file: a restart finds them with their ids."""
    options = {
        "quarkus.http.host": HOST,
        "quarkus.http.port": port,
        "quarkus.datasource.jdbc.url": f"jdbc:h2:file:{home / 'data' / 'registry'}",
        "quarkus.datasource.jdbc.initial-size": 2,
        "quarkus.datasource.jdbc.min-size": 2,
    }
    flags = ["-Xmx256m", "-XX:TieredStopAtLevel=1", *(f"-D{key}={value}" for key, value in options.items())]
    return ["java", *flags, "-jar", str(registry_jars() / f"apicurio-registry-app-{registry_version()}-runner.jar")]


def registry_answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}{REGISTRY_API}/subjects", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
