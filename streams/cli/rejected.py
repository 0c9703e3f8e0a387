"""`maitred rejected`: what could not be used and why, and the way back to its topic once the cause is mended."""

import sys
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from schemas.rejects import INCURABLE, PREFIX, original_headers
from streams.cli.talk import (
    MISUSE,
    NO,
    ConfigOption,
    JsonOption,
    commands,
    example,
    load_settings,
    moment,
    put,
    put_table,
    say,
)

if TYPE_CHECKING:
    from streams.log import Message
    from streams.settings import Settings

TOPIC = "rejected"
RETRIED = "maitred_retried_from"

rejected_app = commands("The records that could not be used, and the way back.")

TopicOption = Annotated[str | None, typer.Option("--topic", help="Only those that came on this topic, such as orders.")]
ErrorOption = Annotated[str | None, typer.Option("--error", help="Only those of this class, such as invalid.")]


class Reject(NamedTuple):
    """A rejected record, with what its headers say."""

    message: "Message"
    said: dict[str, str]

    @property
    def place(self) -> str:
        return f"{self.message.partition}@{self.message.offset}"

    @property
    def mark(self) -> bytes:
        """What the header of its retried copy says."""
        return f"{TOPIC}[{self.message.partition}]@{self.message.offset}".encode()

    @property
    def source(self) -> str:
        return f"{self.said['topic']}[{self.said['partition']}]@{self.said['offset']}"

    @property
    def is_whole(self) -> bool:
        return self.said.get("content") == "whole"


@rejected_app.command("list", epilog=example("maitred rejected list --topic orders --error invalid"))
def list_rejected(
    topic: TopicOption = None,
    error: ErrorOption = None,
    last: Annotated[int, typer.Option("--last", min=1, help="How many of the latest to look at.")] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show rejected records: their place, where they came from, what is wrong with them, and the cure."""
    found = list(_found(load_settings(config), topic, error, last))
    if as_json:
        for reject in found:
            put({"place": reject.place, "rejected_at_ms": reject.message.timestamp_ms, **reject.said})
        return
    rows = [(r.place, moment(r.message.timestamp_ms), r.said["error"], r.said["message"]) for r in found]
    put_table(("place", "when", "class", "what is wrong"), rows)


@rejected_app.command("retry", epilog=example("maitred rejected retry --all --error unknown_schema"))
def retry(
    places: Annotated[
        list[str] | None, typer.Argument(help="Their places, as `rejected list` shows them, such as 0@12.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All that a retry may cure, of what --topic and --error choose.")
    ] = False,
    topic: TopicOption = None,
    error: ErrorOption = None,
    config: ConfigOption = None,
) -> None:
    """Publish rejected records once more, unchanged, on the topic they came from.

    They stay listed. --all leaves out what was retried before, and the classes that come back as they are (invalid,
    undecodable, too_large, conflict, absurd_time); by its place each may be retried. An order or return that had been
    taken after all is known by its id.
    """
    if bool(places) == everything:
        say("error: name places, or choose with --all")
        raise typer.Exit(MISUSE)
    settings = load_settings(config)
    found = list(_found(settings, topic, error, None))
    chosen = _curable(settings, found) if everything else [reject for reject in found if reject.place in (places or ())]
    missing = set(places or ()) - {reject.place for reject in chosen}
    references = [reject for reject in chosen if not reject.is_whole]
    sent = _publish(settings, [reject for reject in chosen if reject.is_whole])
    for place in sorted(missing):
        say(f"error: {place}: no rejected record there")
    for reject in references:
        say(f"error: {reject.place}: only a reference is kept of a record so large; publish {reject.source} anew")
    say(f"{sent} records published once more")
    if missing or references:
        raise typer.Exit(NO)


def _found(settings: "Settings", topic: str | None, error: str | None, last: int | None) -> Iterator[Reject]:
    from streams.kafka.client import kafka_config
    from streams.kafka.tail import Tail
    from streams.topics import partition_count

    tail = Tail(kafka_config(settings), TOPIC, partition_count(TOPIC, settings.partitions))
    for message in tail.all() if last is None else tail.last(last):
        said = {
            name.removeprefix(PREFIX): value.decode("utf-8", "replace")
            for name, value in message.headers
            if name.startswith(PREFIX)
        }
        if not {"topic", "partition", "error", "message"} <= said.keys():
            say(f"{TOPIC}[{message.partition}]@{message.offset}: not written by Maitred, passed over")
        elif topic in (None, said["topic"]) and error in (None, said["error"]):
            yield Reject(message, said)
    tail.close()


def _curable(settings: "Settings", found: list[Reject]) -> list[Reject]:
    """Those whose retry makes sense; says how many were left out, and why."""
    hopeless = Counter(reject.said["error"] for reject in found if reject.said["error"] in INCURABLE)
    hopeful = [reject for reject in found if reject.said["error"] not in INCURABLE]
    retried = _retried(settings, hopeful)
    left = [reject for reject in hopeful if reject.mark not in retried]
    if before := len(hopeful) - len(left):
        say(f"{before} left out: retried before")
    if hopeless:
        classes = ", ".join(f"{error} {count}" for error, count in sorted(hopeless.items()))
        say(f"{hopeless.total()} left out: unchanged they would be rejected again ({classes}); publish them corrected")
    return left


def _retried(settings: "Settings", rejects: list[Reject]) -> set[bytes]:
    """The marks of all copies on the source topics: each lies behind its original."""
    from streams.kafka.client import kafka_config
    from streams.kafka.reader import KafkaReader

    first: dict[tuple[str, int], int] = {}
    for reject in rejects:
        place = reject.said["topic"], int(reject.said["partition"])
        first[place] = min(first.get(place, sys.maxsize), int(reject.said["offset"]) + 1)
    reader = KafkaReader(kafka_config(settings), f"{settings.namespace}.rejected")
    try:
        return {
            value
            for (topic, partition), offset in first.items()
            for message in reader.read(topic, partition, offset)
            for name, value in message.headers
            if name == RETRIED
        }
    finally:
        reader.close()


def _publish(settings: "Settings", rejects: list[Reject]) -> int:
    """A history keeps its times; else the time of a retry is the present, as with anything published."""
    from sinks.kafka import KafkaPublisher
    from streams.kafka.client import kafka_config, publishing

    kafka = kafka_config(settings)
    publisher = KafkaPublisher(kafka.bootstrap, publishing(kafka.security))
    for reject in rejects:
        message = reject.message
        publisher.publish(
            kafka.wire(reject.said["topic"]),
            int(reject.said["partition"]),
            message.key,
            message.value,
            [*(header for header in original_headers(message.headers) if header[0] != RETRIED), (RETRIED, reject.mark)],
            int(reject.said["timestamp_ms"]) if settings.time == "event" else None,
        )
    publisher.flush()
    return len(rejects)
