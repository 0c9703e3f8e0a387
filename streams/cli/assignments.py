"""`maitred assignments`: what was decided lately, read from the topic as any subscriber reads it."""

from typing import Annotated, Any

import typer

from schemas.events import AdvisorAssigned, AssignmentEnded, AssignmentWithheld
from streams.cli.talk import (
    ConfigOption,
    JsonOption,
    commands,
    example,
    load_settings,
    moment,
    put,
    put_table,
    registry_of,
    say,
)

TOPIC = "assignments"

assignments_app = commands("The assignments that were decided.")


@assignments_app.callback()
def assignments() -> None:
    """The assignments that were decided."""


@assignments_app.command("tail", epilog=example("maitred assignments tail --last 5 --follow --json"))
def tail(
    last: Annotated[int, typer.Option("--last", min=0, help="How many of the latest to show.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with those that come, until interrupted.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the latest assignments; what was withheld for the control group and what ended are among them."""
    from schemas.codec import Schemas, read_event
    from streams.kafka.client import kafka_config
    from streams.kafka.tail import Tail
    from streams.topics import partition_count

    settings = load_settings(config)
    schemas = Schemas(registry_of(settings))
    topic = Tail(kafka_config(settings), TOPIC, partition_count(TOPIC, settings.partitions))
    show = _show_json if as_json else _show
    show([read_event(TOPIC, m.value, m.headers, schemas, m.timestamp_ms) for m in topic.last(last)])
    for message in topic.follow() if follow else ():
        show([read_event(TOPIC, message.value, message.headers, schemas, message.timestamp_ms)])


def _show_json(events: list[Any]) -> None:  # Any: events, or faults that say why there is none
    for event in events:
        put(event)


def _show(events: list[Any]) -> None:  # Any: as above
    columns = ("when", "what", "customer", "advisor", "pool", "score", "why")
    put_table(columns, [row for event in events if (row := _row(event)) is not None])


def _row(event: Any) -> tuple[object, ...] | None:  # Any: as above
    what: tuple[str, ...]
    match event:
        case AdvisorAssigned():
            what = ("assigned", event.customer_id, event.advisor_id, event.pool, f"{event.score:.3f}", event.cause)
        case AssignmentWithheld():
            advisor = event.would_be_advisor_id or "-"
            what = ("withheld", event.customer_id, f"({advisor})", event.pool, f"{event.score:.3f}", "control")
        case AssignmentEnded():
            what = ("ended", event.customer_id, event.advisor_id, event.pool, "", event.reason)
        case _:
            say(f"not an assignment: {event}")
            return None
    return (moment(event.occurred_at_ms), *what)
