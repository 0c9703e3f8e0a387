"""`maitred assignments`: what was decided lately and what holds now, read from the topics as any subscriber reads them.

What a person decides is `wishes.py`'s, what was so before Maitred `relations.py`'s.
"""

from typing import Annotated, Any

import typer

from schemas.events import AdvisorAssigned, AssignmentEnded, AssignmentWithheld
from streams.cli.relations import import_command
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
from streams.cli.wishes import add_wishes

TOPIC = "assignments"

assignments_app = commands("The assignments: those decided, those that hold, and a person's part in them.")
add_wishes(assignments_app)
assignments_app.command("import", epilog=example("maitred assignments import relations.csv --dry-run"))(import_command)


@assignments_app.command("current", epilog=example("maitred assignments current --advisor anna --json"))
def current(
    pool: Annotated[str | None, typer.Option("--pool", help="Only this pool.", show_default="all")] = None,
    advisor: Annotated[str | None, typer.Option("--advisor", help="Only this advisor.", show_default="all")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show who is served by whom now."""
    from streams.latest import current_assignments

    settings = load_settings(config)
    found = [
        event
        for event in current_assignments(settings, registry_of(settings))
        if pool in (None, event.pool) and advisor in (None, event.advisor_id)
    ]
    if as_json:
        _show_json(found)
        return
    columns = ("pool", "advisor", "customer", "since", "until", "score", "why")
    put_table(columns, [_standing(event) for event in found])


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


def _standing(event: AdvisorAssigned) -> tuple[object, ...]:
    until, score = moment(event.service_until_ms), f"{event.score:.3f}"
    return (event.pool, event.advisor_id, event.customer_id, moment(event.occurred_at_ms), until, score, event.cause)


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
