"""How commands publish what an operator decides: one event, at the right time, and told where it went."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import msgspec
import typer

from streams.cli.talk import MISUSE, put, put_line, registry_of, say

if TYPE_CHECKING:
    from schemas.events import Event
    from streams.settings import Settings

AtOption = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help='When it happens, UTC: 2026-12-24 or 2026-12-24T18:00. Needed with time = "event". [default: now]',
        show_default=False,
    ),
]


def misuse(text: str) -> NoReturn:
    say(f"error: {text}")
    raise typer.Exit(MISUSE)


def time_of(option: str, text: str) -> int:
    """A time that was typed, in milliseconds; a day is its first moment."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        misuse(f"{option}: expected a time such as 2026-12-24 or 2026-12-24T18:00, got {text!r}")
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000)


def event_time(settings: "Settings", at: str | None) -> int:
    """When what is told happens. A history must not learn of today: its time would jump there."""
    from schemas.codec import LATEST_AHEAD_MS

    now_ms = time.time_ns() // 1_000_000
    if at is not None:
        at_ms = time_of("--at", at)
        if settings.time == "wall" and at_ms > now_ms + LATEST_AHEAD_MS:
            misuse(f"--at: expected a time no more than a day ahead, got {at!r}; it would be set aside: say it then")
        return at_ms
    if settings.time == "event":
        misuse('with time = "event" say when it happens, in the time of the history: --at 2011-03-01')
    return now_ms


def event_of(topic: str, name: str, fields: dict[str, Any]) -> "Event":  # Any: a field of any event
    """An event read as it would be read from the topic, so that nothing is published that would be rejected."""
    from schemas.codec import Schemas, read_event
    from schemas.records import Fault
    from schemas.registry import FileRegistry

    read = read_event(topic, msgspec.json.encode(fields), [("ce_type", name.encode())], Schemas(FileRegistry()))
    if isinstance(read, Fault):
        misuse(str(read))
    return read


def send(settings: "Settings", topic: str, event: "Event", *, as_json: bool) -> None:
    """Publish an event; what was sent, and to which partition, goes to stdout."""
    from schemas.ids import partition_of
    from streams.publish import key_of
    from streams.topics import partition_count

    send_all(settings, topic, [event])
    partition = partition_of(key_of(event), partition_count(topic, settings.partitions))
    if as_json:
        put({"topic": f"{settings.namespace}.{topic}", "partition": partition, "event": event})
        return
    told = {
        name: value
        for name, value in msgspec.to_builtins(event).items()
        if value not in (None, (), []) and name != "payload"
    }
    said = " ".join(
        f"{name}={_readable(value)}" for name, value in told.items() if name not in ("type", "occurred_at_ms")
    )
    put_line(f"{settings.namespace}.{topic}[{partition}]\t{type(event).__name__}\t{said}")


def send_all(settings: "Settings", topic: str, events: "list[Event]") -> None:
    """Publish events of one topic; returns once all are acknowledged."""
    from sinks.kafka import KafkaPublisher
    from streams.cli.topics import refuse_wrong_topics
    from streams.kafka.client import publishing
    from streams.publish import Form, publish

    refuse_wrong_topics(settings)
    publisher = KafkaPublisher(settings.kafka.bootstrap, publishing(settings.kafka.security))
    form = Form(namespace=settings.namespace, partitions=settings.partitions, keep_time=settings.time == "event")
    publish(((topic, event) for event in events), publisher, registry_of(settings), form)


def _readable(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
