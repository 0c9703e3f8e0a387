"""The worker: Faust agents on channels of batches, filled by services around each processor's shell.

Faust gives what runs a process: agents, supervision, timers, web, signals. It reads one topic itself, `control`, through
which operators speak to all workers; every other record goes through our own intake and commit (DESIGN 4, 5). Nothing is
decided here.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import faust
import orjson
import structlog

from schemas.errors import LogUnavailable, StoreUnavailable
from streams.assembly import Assembly, Station, assemble
from streams.settings import Settings
from streams.shell import Cut

POLL_MS = 100
RETRY_S = 1.0
Result = TypeVar("Result")
log = structlog.get_logger()


class IntakeService(faust.Service):
    """Keeps one processor's shell polling, and hands its agent the next batches whenever the agent is free.

    While the agent is busy records gather here, so batches grow with the load by themselves.
    """

    def __init__(self, station: Station, channel: Any, **options: Any) -> None:  # Any: faust's channel is untyped
        super().__init__(**options)
        self.station, self.channel = station, channel
        self.is_free = True
        self._polling = ThreadPoolExecutor(1, thread_name_prefix=f"{station.name}-intake")
        self._committing = ThreadPoolExecutor(1, thread_name_prefix=f"{station.name}-commit")

    @faust.Service.task
    async def _take_in(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.should_stop:
            try:
                await loop.run_in_executor(self._polling, self.station.shell.poll, POLL_MS)
            except (LogUnavailable, StoreUnavailable) as error:
                log.warning("waiting_for_server", processor=self.station.name, error=str(error))
                self.station.shell.recover_soon()
                await self.sleep(RETRY_S)
                continue
            if self.is_free and not self.station.is_draining:
                await self._hand_over()

    async def _hand_over(self) -> None:
        self.is_free = False
        cut = await self.committing(self.station.shell.cut)
        if cut is None:
            self.is_free = True
        else:
            await self.channel.put(cut)

    async def work_off(self, cut: Cut | None) -> None:
        """Process a cut, and whatever has gathered meanwhile; then be free again."""
        while cut is not None:
            committed = await self.committing(self.station.shell.process, cut)
            self.station.note(committed)
            cut = None if self.station.is_draining else await self.committing(self.station.shell.cut)
        self.is_free = True

    async def committing(self, step: Callable[..., Result], *arguments: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._committing, step, *arguments)

    async def on_stop(self) -> None:
        """Finish the commit under way, then leave the group, so that others take over at once."""
        await self.committing(self.station.shell.close)
        self._polling.shutdown(wait=False)
        self._committing.shutdown(wait=False)


def build_app(settings: Settings, assembly: Assembly) -> faust.App:
    """The Faust app of a worker: an agent for each processor that runs here, and one for the operators' commands."""
    app = faust.App(
        f"{settings.namespace}.worker.{assembly.instance}",
        broker=[f"kafka://{server}" for server in settings.kafka.bootstrap.split(",")],
        store="memory://",
        topic_disable_leader=True,
        topic_allow_declare=False,
        datadir=Path(settings.worker.data_dir) / assembly.instance,
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
    channel = app.channel(maxsize=1)
    intake = IntakeService(station, channel, loop=app.loop, beacon=app.beacon)

    @app.agent(channel, name=station.name)
    async def process(cuts: AsyncIterator[Cut]) -> None:
        async for cut in cuts:
            await intake.work_off(cut)

    app.service(lambda **_: intake)


def add_control(app: faust.App, namespace: str, stations: Sequence[Station]) -> None:
    """`{"command": "drain"}` ends taking in; `resume` goes on. Unknown commands are logged and passed over."""
    topic = app.topic(f"{namespace}.control", value_type=bytes, value_serializer="raw", internal=False)

    @app.agent(topic, name="control")
    async def control(commands: AsyncIterator[bytes]) -> None:
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
    worker = faust.Worker(app, loglevel="WARNING", quiet=False, override_logging=False)
    worker.execute_from_commandline()
