"""The worker: Faust agents on channels of batches, filled by services around each processor's shell.

Faust gives what runs a process: agents, supervision, timers, web, signals. It reads one topic itself, `control`, through
which operators speak to all workers; every other record goes through our own intake and commit (DESIGN 4, 5). Nothing is
decided here.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import faust
import orjson
import structlog
from faust.types import StreamT
from faust.types.web import Request, Response, View

from schemas.errors import MaitredError
from streams.assembly import Assembly, Station, assemble
from streams.settings import Settings
from streams.settings.keys import Logging
from streams.shell import Cut

RETRY_S = 1.0
SWITCH_S = 0.0005  # threads mostly wait for servers: who gets an answer should not wait 5 ms more for the interpreter
WATCH_S, STALLED_S, HOPELESS_S = 5.0, 60.0, 600.0
Result = TypeVar("Result")
log = structlog.get_logger()


class Post:
    """A station with its two threads, shared by the service that takes records in and the agent that commits."""

    def __init__(self, station: Station, poll_ms: int) -> None:
        self.station = station
        self.is_free = True
        self.is_closing = False
        self._poll_ms = poll_ms
        self._moved_s = monotonic()
        self._polling = ThreadPoolExecutor(1, thread_name_prefix=f"{station.name}-intake")
        self._committing = ThreadPoolExecutor(1, thread_name_prefix=f"{station.name}-commit")

    async def poll(self) -> None:
        """Take in what there is; while a server does not answer (Kafka, Redis, the registry), wait and try again."""
        shell = self.station.shell
        if self.is_closing:
            await asyncio.sleep(RETRY_S)
            return
        try:
            await asyncio.get_running_loop().run_in_executor(self._polling, shell.poll, self._poll_ms)
        except MaitredError as error:
            if not self.is_closing:
                log.warning("waiting_for_server", processor=self.station.name, error=str(error))
            shell.recover_soon()
            await asyncio.sleep(RETRY_S)

    async def next_cut(self) -> Cut | None:
        """What has gathered, taken by whoever asks; until `work_off` has done with it nobody else gets any."""
        if not self.is_free or self._takes_no_more:
            return None
        self.is_free, cut = False, None
        try:
            cut = await self._on_commit_thread(self.station.shell.cut)
        finally:
            self.is_free = cut is None
        return cut

    @property
    def _takes_no_more(self) -> bool:
        return self.station.is_draining or self.is_closing

    async def work_off(self, cut: Cut) -> None:
        """Commit a cut, and then what has gathered meanwhile, until there is nothing."""
        try:
            await self._on_commit_thread(self._commit_all, cut)
        finally:
            self.is_free = True

    def _commit_all(self, first: Cut) -> None:
        """All on the commit thread: each way through the event loop would cost as much as deciding."""
        shell, cut = self.station.shell, first
        while True:
            try:
                committed = shell.process(cut)
            except BaseException:
                shell.recover_soon()  # what was cut and not committed must come again
                raise
            self.station.note(committed)
            if committed:
                self._moved_s = monotonic()
            following = None if self._takes_no_more else shell.cut()
            if following is None:
                return
            cut = following

    def stalled_s(self) -> float:
        """For how long there has been something to commit, and no commit."""
        shell = self.station.shell
        if not shell.failures and not any(shell.intake.buffered().values()):
            self._moved_s = monotonic()
        return monotonic() - self._moved_s

    async def close(self) -> None:
        """Finish the commit and the poll under way, then leave the group, so that others take over at once.

        The group is left on the polling thread: its client must not be closed while it is polled or made to seek.
        """
        self.is_closing = True
        await self._on_commit_thread(lambda: None)
        await asyncio.get_running_loop().run_in_executor(self._polling, self.station.shell.close)
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
    posts = [Post(station, settings.batch.max_wait_ms) for station in assembly.stations]
    for post in posts:
        add_processor(app, post)
    add_control(app, settings.namespace, assembly.stations)
    add_watchdog(app, posts)
    return app


def add_processor(app: faust.App, post: Post) -> None:
    """A service that polls, an agent that commits, and a channel between them that holds one batch.

    While the agent is busy records gather in the shell, so batches grow with the load by themselves.
    """
    channel = app.channel(maxsize=1)

    @app.agent(channel, name=post.station.name)
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


def add_watchdog(app: faust.App, posts: Sequence[Post]) -> None:
    """`/ready` is red while a processor has records and commits none; after a longer while the process ends."""

    @app.page("/ready")
    async def ready(view: View, _request: Request) -> Response:
        report = {post.station.name: report_of(post) for post in posts}
        is_well = all(entry["stalled_s"] < STALLED_S and not entry["stopped"] for entry in report.values())
        return view.json({"ready": is_well, "processors": report}, status=200 if is_well else 503)

    @app.timer(interval=WATCH_S)  # type: ignore[untyped-decorator]  # faust's timers are untyped
    async def watch() -> None:
        for post in posts:
            if post.stalled_s() > HOPELESS_S:
                log.error("no_progress", processor=post.station.name, stalled_s=round(post.stalled_s()))
                os._exit(70)  # threads hang in a call that does not return: an orderly end would wait for them


def report_of(post: Post) -> dict[str, Any]:  # Any: JSON
    shell = post.station.shell
    return {
        "partitions": shell.assigned_partitions,
        "stopped": {str(partition): str(error) for partition, error in shell.stopped.items()},
        "waiting": sum(shell.intake.buffered().values()),
        "stalled_s": round(post.stalled_s(), 1),
        **post.station.counts,
    }


def obey(command: bytes, stations: Sequence[Station]) -> None:
    try:
        word = orjson.loads(command)["command"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        log.warning(
            "control_unreadable", expected='{"command": "drain" | "resume"}', got=command[:80].decode("latin-1")
        )
        return
    if word not in ("drain", "resume"):
        log.warning("control_unknown", expected="drain or resume", got=str(word)[:80])
    for station in stations:
        station.is_draining = word == "drain" or (station.is_draining and word != "resume")


def run(settings: Settings) -> None:
    """Run a worker until it is told to stop (SIGINT, SIGTERM)."""
    configure_logging(settings.logging)
    sys.setswitchinterval(SWITCH_S)
    assembly = assemble(settings)
    app = build_app(settings, assembly)
    log.info("worker_started", instance=assembly.instance, processors=[s.name for s in assembly.stations])
    Worker(app, loglevel="WARNING", quiet=True).execute_from_commandline()


class Worker(faust.Worker):
    def _on_sigint(self) -> None:
        """Faust's own prints first; where nobody reads that any more, it would fail there and never stop."""
        self._schedule_shutdown(signal.SIGINT)


def configure_logging(logging: Logging) -> None:
    """Events as JSON lines or columns, to stderr: stdout is for data."""
    renderer = structlog.processors.JSONRenderer() if logging.format == "json" else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
