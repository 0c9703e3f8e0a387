"""The worker: Faust agents on channels of batches, filled by services around each processor's shell.

Faust gives what runs a process: agents, supervision, timers, web, signals. It reads one topic itself, `control`, through
which operators speak to all workers; every other record goes through our own intake and commit (DESIGN 4, 5). Nothing is
decided here.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Timer
from time import monotonic
from typing import Any

import faust
import msgspec
import orjson
import structlog
from faust.types import StreamT
from faust.types.web import Request, Response, View

from schemas.errors import SettingsError
from streams.assembly import Assembly, Station, assemble
from streams.commit import Committed
from streams.post import PROBE_S, Post, end_if_hopeless
from streams.settings import Settings
from streams.shell import Cut
from streams.watching.health import reasons
from streams.watching.logs import configure_logging
from streams.watching.metrics import Metrics
from streams.watching.news import tell_of_the_model
from streams.watching.onlookers import onlookers, tracing
from streams.watching.probe import Probe

SWITCH_S = 0.0005  # threads mostly wait for servers: who gets an answer should not wait 5 ms more for the interpreter
BEAT_S, WATCH_S, READY_S = 1.0, 5.0, 0.2
PATIENCE_S = 20.0  # within which a worker that was told to stop has stopped
log = structlog.get_logger()


def build_app(settings: Settings, assembly: Assembly, metrics: Metrics) -> faust.App:
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
    posts = [
        Post(station, settings.batch.max_wait_ms, noting(metrics), Probe(station, settings))
        for station in assembly.stations
    ]
    for post in posts:
        add_processor(app, post)
    add_control(app, settings.namespace, assembly.stations)
    if settings.worker.web_port:
        add_pages(app, posts, metrics)
    add_watchdog(app, posts)
    add_word_of_readiness(app, posts)
    return app


def noting(metrics: Metrics) -> Callable[[str, Sequence[Committed]], None]:
    """What is done with all that was committed: it is counted, and what is news of the model logged."""

    def note(processor: str, committed: Sequence[Committed]) -> None:
        metrics.note(processor, committed)
        tell_of_the_model(committed)

    return note


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
    async def control(commands: StreamT[bytes | None]) -> None:
        async for command in commands:
            obey(command, stations)


def add_pages(app: faust.App, posts: Sequence[Post], metrics: Metrics) -> None:
    """`/healthz`: it lives. `/readyz`: it does its work, or why not. `/metrics`: all that, in numbers."""
    for post in posts:
        add_probe(app, post)
    beats = [monotonic()]

    @app.timer(interval=BEAT_S)  # type: ignore[untyped-decorator]  # faust's timers are untyped
    async def beat() -> None:
        beats[0] = monotonic()

    @app.page("/healthz")
    async def healthz(view: View, _request: Request) -> Response:
        return view.json({"alive": True, "beat_s": round(monotonic() - beats[0], 3)})

    @app.page("/readyz")
    async def readyz(view: View, _request: Request) -> Response:
        conditions = [post.condition() for post in posts]
        why = reasons(conditions)
        report = {"ready": not why, "reasons": why, "processors": [*map(report_of, posts)]}
        headers = {"Content-Type": "application/json"}
        return view.bytes(msgspec.json.encode(report), status=503 if why else 200, headers=headers)

    @app.page("/metrics")
    async def page(view: View, request: Request) -> Response:
        why = reasons(post.condition() for post in posts)
        readings = [post.reading(why) for post in posts]
        text, content_type = metrics.scrape(readings, why, request.headers.get("Accept", ""))
        return view.bytes(text, headers={"Content-Type": content_type})


def report_of(post: Post) -> dict[str, Any]:  # Any: JSON
    at = post.condition()
    return {
        "processor": at.processor,
        "partitions": at.partitions,
        "lag": sum(post.findings.lag.values()),
        "waiting": at.waiting,
        "stalled_s": round(at.stalled_s, 1),
        "counts": dict(post.station.counts),
    }


def add_watchdog(app: faust.App, posts: Sequence[Post]) -> None:
    """Ends a process whose threads hang, so that whoever watches it starts another."""

    @app.timer(interval=WATCH_S)  # type: ignore[untyped-decorator]  # faust's timers are untyped
    async def watch() -> None:
        end_if_hopeless(posts, os._exit)


def add_word_of_readiness(app: faust.App, posts: Sequence[Post]) -> None:
    """Log, once, that all processors have joined and recovered what they were given."""

    @app.task  # type: ignore[untyped-decorator]  # as its timers
    async def tell_ready() -> None:
        while not app.should_stop:
            if all(post.condition().has_joined for post in posts):
                with suppress(BrokenPipeError):  # nobody reads the log any more: no reason to end
                    log.info("worker_ready", processors=[post.station.name for post in posts])
                return
            await asyncio.sleep(READY_S)


def add_probe(app: faust.App, post: Post) -> None:
    """Ask the servers how we do, again and again."""

    @app.task  # type: ignore[untyped-decorator]  # as its timers
    async def probe() -> None:
        while not app.should_stop:
            await post.ask()
            await asyncio.sleep(PROBE_S)


def obey(command: bytes | None, stations: Sequence[Station]) -> None:
    """None is a record without a value: as unreadable as any other that is no command."""
    said = command or b""
    try:
        word = orjson.loads(said)["command"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        log.warning("control_unreadable", expected='{"command": "drain" | "resume"}', got=said[:80].decode("latin-1"))
        return
    if word not in ("drain", "resume"):
        log.warning("control_unknown", expected="drain or resume", got=str(word)[:80])
    for station in stations:
        station.is_draining = word == "drain" or (station.is_draining and word != "resume")


def run(settings: Settings) -> None:
    """Run a worker until it is told to stop (SIGINT, SIGTERM).

    Raises `SettingsError` where its port is taken.
    """
    configure_logging(settings.logging)
    sys.setswitchinterval(SWITCH_S)
    refuse_taken_port(settings)
    metrics = Metrics(follows_clock=settings.time == "wall")
    with tracing(settings) as traces:
        assembly = assemble(settings, lambda name: onlookers(name, metrics, traces))
        app = build_app(settings, assembly, metrics)
        log.info("worker_started", instance=assembly.instance, processors=[s.name for s in assembly.stations])
        Worker(app, quiet=True, override_logging=False).execute_from_commandline()


def refuse_taken_port(settings: Settings) -> None:
    """Faust would try again and again, and say nothing that helps."""
    host, port = settings.worker.web_host, settings.worker.web_port
    if port == 0:
        return
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(address)
        except OSError as error:
            cure = "stop what listens there (another worker?), set another port, or 0 to serve no health and metrics"
            got = f"{port}: {error.strerror}"
            raise SettingsError("worker.web_port", f"a port that is free on {host}", got, cure) from error


class Worker(faust.Worker):
    """Faust's worker, made to stop whenever it is told to.

    Told to while it starts, Faust may wait for ever for its consumer's thread. So a start under way is finished first, and
    whoever has not ended after `PATIENCE_S`, because a server does not answer, is ended: nothing but a place in the group is lost.
    """

    _has_started = False
    _told_to_stop: signal.Signals | None = None

    def _on_sigint(self) -> None:
        """Faust's own prints first; where nobody reads that any more, it would fail there and never stop."""
        self._schedule_shutdown(signal.SIGINT)

    def _schedule_shutdown(self, told: signal.Signals) -> None:
        if self._told_to_stop is None:
            self._told_to_stop = told
            end_at_last = Timer(PATIENCE_S, end_unfinished)
            end_at_last.daemon = True
            end_at_last.start()
        if self._has_started:
            super()._schedule_shutdown(told)

    def _on_startup_end_spinner(self) -> None:
        """It shows the cursor again, which nothing hid, in whatever file stdout goes to."""
        if self.stdout.isatty():
            super()._on_startup_end_spinner()

    async def on_startup_finished(self) -> None:
        await super().on_startup_finished()
        self._has_started = True
        if self._told_to_stop is not None:
            super()._schedule_shutdown(self._told_to_stop)


def end_unfinished() -> None:
    log.warning("stopped_unfinished", patience_s=PATIENCE_S)
    os._exit(0)
