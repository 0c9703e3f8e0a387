"""`maitred deliver`: decisions to files, web servers and other clusters, each by a process of its own."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from schemas.errors import SettingsError
from streams.cli.talk import (
    NO,
    ConfigOption,
    JsonOption,
    commands,
    example,
    load_settings,
    put,
    put_line,
    registry_of,
    say,
)
from streams.cli.undelivered import undelivered_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sinks.base import Sink
    from sinks.webhook import Tries
    from streams.settings import Settings

deliver_app = commands("Decisions to files, to web servers, to other clusters.")
deliver_app.add_typer(undelivered_app, name="undelivered")

TopicOption = Annotated[
    list[str] | None,
    typer.Option("--topic", help="Only this topic of decisions; may be given several times. [default: deliver.topics]"),
]
OnceOption = Annotated[bool, typer.Option("--once", help="End when all is delivered that is there now.")]


def _name(kind: str) -> str:
    return f"Whose offsets: processes of one name share the work. [default: {kind}]"


@deliver_app.command("files", epilog=example("maitred deliver files --to decisions --format parquet --once"))
def files(
    to: Annotated[Path, typer.Option("--to", help="The folder; one process at a time writes to it.")],
    form: Annotated[
        Literal["jsonl", "parquet"], typer.Option("--format", help="JSON lines, or Parquet with typed columns.")
    ] = "jsonl",
    topic: TopicOption = None,
    once: OnceOption = False,
    name: Annotated[str, typer.Option("--name", help=_name("files"), show_default=False)] = "files",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write decisions to files, by topic and day: each exactly once, whatever is interrupted."""
    from sinks.files import FileSink, Rotation

    def sink(settings: "Settings") -> FileSink:
        files = settings.files
        rotation = Rotation(most_bytes=files.rotate_bytes, most_seconds=files.rotate_seconds)
        return FileSink(to, form, rotation)

    _deliver(_settings(config, topic), sink, name, once=once, as_json=as_json)


@deliver_app.command("webhook", epilog=example("maitred deliver webhook --url https://tool.example/maitred"))
def webhook(
    url: Annotated[str | None, typer.Option("--url", help="Where to post. [default: webhook.url]")] = None,
    topic: TopicOption = None,
    once: OnceOption = False,
    name: Annotated[str, typer.Option("--name", help=_name("webhook"), show_default=False)] = "webhook",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Post each decision to a web server, signed, in order for each customer.

    The secret is in the environment variable MAITRED_WEBHOOK_SECRET; two secrets, with a space between, both sign while one
    follows the other. What the server does not take is kept: `maitred deliver undelivered list`.
    """
    from sinks.post import SECRET_VARIABLE, WebhookPost
    from sinks.webhook import WebhookSink
    from streams.deliver import KafkaUndelivered
    from streams.kafka.client import kafka_config

    settings = _settings(config, topic, {} if url is None else {"MAITRED_WEBHOOK__URL": url})
    secrets = os.environ.get(SECRET_VARIABLE, "").split()
    if not settings.webhook.url:
        raise SettingsError("webhook.url", "where to post", "", "say it with --url, or set it")
    counts: Counter[str] = Counter()

    def post() -> WebhookPost:
        return WebhookPost(settings.webhook.url, secrets, settings.webhook.timeout_ms / 1_000)

    def sink(settings: "Settings") -> WebhookSink:
        post()  # says now what is wrong with url or secret
        made = WebhookSink(name, post, KafkaUndelivered(kafka_config(settings), name), _tries(settings))
        made.counts = counts
        return made

    _deliver(settings, sink, name, once=once, as_json=as_json, told=lambda: dict(counts))


@deliver_app.command("kafka", epilog=example("maitred deliver kafka --bootstrap tools:9092 --prefix tools"))
def kafka(
    bootstrap: Annotated[
        str | None, typer.Option("--bootstrap", help="The other cluster's brokers. [default: copy.bootstrap]")
    ] = None,
    prefix: Annotated[
        str | None, typer.Option("--prefix", help="What goes before the topics' names there. [default: copy.prefix]")
    ] = None,
    topic: TopicOption = None,
    once: OnceOption = False,
    name: Annotated[str, typer.Option("--name", help=_name("kafka"), show_default=False)] = "kafka",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy decisions to another cluster, or to other names, bytes and headers unchanged."""
    from sinks.kafka import KafkaSink
    from streams.kafka.client import publishing

    said = {"MAITRED_COPY__BOOTSTRAP": bootstrap, "MAITRED_COPY__PREFIX": prefix}
    settings = _settings(config, topic, {variable: value for variable, value in said.items() if value is not None})
    copy = settings.copy
    if copy.prefix is None or (copy.prefix == settings.namespace and not copy.bootstrap):
        expected = f"a prefix other than {settings.namespace}, which is the original"
        raise SettingsError("copy.prefix", expected, copy.prefix, "say it with --prefix, or set it")
    target, security = (
        (copy.bootstrap, copy.security) if copy.bootstrap else (settings.kafka.bootstrap, settings.kafka.security)
    )
    connection = publishing(security)
    _deliver(settings, lambda _: KafkaSink(target, copy.prefix or "", connection), name, once=once, as_json=as_json)


@deliver_app.command("secret", epilog=example("maitred deliver secret"))
def secret() -> None:
    """Make a secret for webhooks; the sender and the receiver keep it, nobody else."""
    import base64
    import secrets

    put_line(f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}")


# ---- the same for all -----------------------------------------------------------------------------------------------


def _settings(config: Path | None, topics: list[str] | None, said: dict[str, str] | None = None) -> "Settings":
    import json

    from streams.deliver.deliverer import DELIVERABLE

    for topic in topics or ():
        if topic not in DELIVERABLE:
            raise SettingsError("--topic", f"a topic of decisions: {', '.join(DELIVERABLE)}", topic, "name one of them")
    chosen = {"MAITRED_DELIVER__TOPICS": json.dumps(topics)} if topics else {}
    return load_settings(config, {**(said or {}), **chosen})


def _tries(settings: "Settings") -> "Tries":
    from sinks.courier import Patience
    from sinks.webhook import Tries

    webhook = settings.webhook
    patience = Patience(
        attempts=webhook.attempts,
        first_wait_s=webhook.first_wait_ms / 1_000,
        most_wait_s=webhook.most_wait_ms / 1_000,
        in_flight=webhook.in_flight,
    )
    return Tries(patience=patience, again_s=webhook.again_minutes * 60)


def _deliver(
    settings: "Settings",
    make: "Callable[[Settings], Sink]",
    name: str,
    *,
    once: bool,
    as_json: bool,
    told: Callable[[], dict[str, int]] = dict,
) -> None:
    from streams.cli.topics import refuse_wrong_topics
    from streams.deliver import Deliverer
    from streams.kafka.client import kafka_config
    from streams.watching.logs import configure_logging

    configure_logging(settings.logging)
    refuse_wrong_topics(settings)
    with _asked_to_stop() as should_stop:
        deliverer = Deliverer(
            kafka_config(settings),
            make(settings),
            registry_of(settings),
            name=name,
            topics=settings.deliver.topics,
            start=settings.deliver.start,
            should_stop=should_stop,
        )
        report = deliverer.run(once=once)
    if once and not report.partitions:
        say(f"no partitions: another process of the name {name} has them; stop it, or take another --name")
    facts = {"read": dict(report.read), "unreadable": dict(report.unreadable), **told()}
    if as_json:
        put(facts)
    else:
        say(", ".join(f"{fact} {value}" for fact, value in facts.items() if value) or "nothing to deliver")
    if once and (told().get("failed") or told().get("behind")):
        say(f"not all was delivered: see `maitred deliver undelivered list --name {name}`")
        raise typer.Exit(NO)


@contextmanager
def _asked_to_stop() -> "Iterator[Callable[[], bool]]":
    """Whether SIGINT or SIGTERM has come. A second one ends the process as usual."""
    asked: list[int] = []

    def ask(number: int, _: object) -> None:
        asked.append(number)
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
