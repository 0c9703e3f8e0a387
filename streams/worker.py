"""The worker: Faust agents on channels of batches, filled by services around each processor's shell.

Faust gives what runs a process: agents, supervision, timers, web, signals. It reads one topic itself, `control`, through
which operators speak to all workers; every other record goes through our own intake and commit (DESIGN 4, 5). Nothing is
decided here.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import faust
import orjson
import structlog
from faust.types import StreamT

from schemas.errors import LogUnavailable, StoreUnavailable
from streams.assembly import Assembly, Station, assemble
from streams.settings import Settings
from streams.shell import Cut

POLL_MS = 100
RETRY_S = 1.0
Result = TypeVar("Result")
log = structlog.get_logger()


class Post:
    """A station with its two threads, shared by the service that takes records in and the agent that commits."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.is_free = True
        self._polling = ThreadPoolExecutor(1, thread_name_prefix=f"{station.name}-intake")
        self._committing = ThreadPoolExecutor(1, thread_name_prefix=f"{station.name}-commit")

    async def poll(self) -> None:
        """Take in what there is; while a server does not answer, wait and try again."""
        shell = self.station.shell
        try:
            await asyncio.get_running_loop().run_in_executor(self._polling, shell.poll, POLL_MS)
        except (LogUnavailable, StoreUnavailable) as error:
            log.warning("waiting_for_server", processor=self.station.name, error=str(error))
            shell.recover_soon()
            await asyncio.sleep(RETRY_S)

    async def next_cut(self) -> Cut | None:
        """What has gathered, taken by whoever asks; until `work_off` has done with it nobody else gets any."""
        if not self.is_free or self.station.is_draining:
            return None
        self.is_free = False
        cut = await self._on_commit_thread(self.station.shell.cut)
        self.is_free = cut is None
        return cut

    async def work_off(self, first: Cut) -> None:
        """Commit a cut, and then what has gathered meanwhile, until there is nothing."""
        cut: Cut | None = first
        while cut is not None:
            self.station.note(await self._on_commit_thread(self.station.shell.process, cut))
            cut = None if self.station.is_draining else await self._on_commit_thread(self.station.shell.cut)
        self.is_free = True

    async def close(self) -> None:
        """Finish the commit under way, then leave the group, so that others take over at once."""
        await self._on_commit_thread(self.station.shell.close)
        self._polling.shutdown(wait=False)
        self._committing.shutdown(wait=False)

    async def _on_commit_thread(self, step: Callable[..., Result], *arguments: Any) -> Result:  # Any: the step's own
        return await asyncio.get_running_loop().run_in_executor(self._committing, step, *arguments)


def build_app(settings: Settings, assembly: Assembly) -> faust.App:
    """The Faust app of a worker: an agent for each processor that runs here, and one for the operators' commands."""
    data_dir = Path(settings.worker.data_dir) / assembly.instance
    data_dir.mkdir(parents=True, exist_ok=True)
    app = faust.App(
        f"{settings.namespace}.worker.{assembly.instance}",
        broker=[f"kafka://{server}" for server in settings.kafka.bootstrap.split(",")],
        store="memory://",
        topic_disable_leader=True,
        topic_allow_declare=False,
        datadir=data_dir,
        web_enabled=settings.worker.web_port > 0,
        web_host=settings.worker.web_host,
        web_port=settings.worker.web_port or 6066,
        web_in_thread=False,
        worker_redirect_stdouts=False,
        broker_commit_every=1,
    )
    for station in assembly.stations:
        add_processor(app, station)
    add_control(app, settings.namespace, assembly.stations)
    return app


def add_processor(app: faust.App, station: Station) -> None:
    """A service that polls, an agent that commits, and a channel between them that holds one batch.

    While the agent is busy records gather in the shell, so batches grow with the load by themselves.
    """
    post, channel = Post(station), app.channel(maxsize=1)

    @app.agent(channel, name=station.name)
    async def commit(cuts: StreamT[Cut]) -> None:
        async for cut in cuts:
            await post.work_off(cut)

    @app.service
    class Intake(faust.Service):
        @faust.Service.task
        async def take_in(self) -> None:
            while not self.should_stop:
                await post.poll()
                if (cut := await post.next_cut()) is not None:
                    await channel.put(cut)  # type: ignore[arg-type]  # faust's channels carry any value

        async def on_stop(self) -> None:
            await post.close()


def add_control(app: faust.App, namespace: str, stations: Sequence[Station]) -> None:
    """`{"command": "drain"}` ends taking in; `resume` goes on. Unknown commands are logged and passed over."""
    topic = app.topic(f"{namespace}.control", value_type=bytes, value_serializer="raw")

    @app.agent(topic, name="control")
    async def control(commands: StreamT[bytes]) -> None:
        async for command in commands:
            obey(command, stations)


def obey(command: bytes, stations: Sequence[Station]) -> None:
    try:
        word = orjson.loads(command)["command"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        log.warning("control_unreadable", expected='{"command": "drain" | "resume"}', got=command[:80].decode("latin-1"))
        return
    if word not in ("drain", "resume"):
        log.warning("control_unknown", expected="drain or resume", got=str(word)[:80])
    for station in stations:
        station.is_draining = word == "drain" or (station.is_draining and word != "resume")


def run(settings: Settings) -> None:
    """Run a worker until it is told to stop (SIGINT, SIGTERM)."""
    assembly = assemble(settings)
    app = build_app(settings, assembly)
    worker = faust.Worker(app, loglevel="INFO", quiet=False)
    worker.execute_from_commandline()
