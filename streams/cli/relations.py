"""`maitred assignments import`: the relations that were there before Maitred, from a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.sending import AtOption, event_time, send_all
from streams.cli.talk import NO, ConfigOption, JsonOption, load_settings, put, put_line, registry_of, say

if TYPE_CHECKING:
    from schemas.events import Event
    from streams.relation_files import Line, Roll
    from streams.settings import Settings

SHOWN = 20  # bad lines that are told one by one


def import_command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV: customer_id, advisor_id, pool, service_until, language.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be published.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Publish nothing if any line is bad.")] = False,
    at: AtOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import existing relations of customers and advisors: they take places, whatever the capacity.

    Bad lines are told with the cure, and the others go on; exit 1 if there were any. The same line is the same relation:
    a file may be imported again. What contradicts the assigner's knowledge: `maitred rejected list --topic contacts`.
    """
    from schemas.records import Fault
    from streams.relation_files import read_relations

    settings = load_settings(config)
    lines = list(read_relations(file, event_time(settings, at), _roll(settings)))
    bad = [line for line in lines if isinstance(line.read, Fault)]
    good: list[Event] = [line.read for line in lines if not isinstance(line.read, Fault)]
    chosen = [] if dry_run or (strict and bad) else good
    if chosen:
        send_all(settings, "contacts", chosen)
    _tell(bad, {"lines": len(lines), "good": len(good), "bad": len(bad), "published": len(chosen)}, as_json=as_json)
    if bad:
        raise typer.Exit(NO)


def _roll(settings: "Settings") -> "Roll":
    from streams.latest import roster
    from streams.relation_files import Roll

    advisors = roster(settings, registry_of(settings)).advisors
    present = {name for name, entry in advisors.items() if entry.status != "left"}
    return Roll({settings.markets.default_pool, *settings.markets.pools.values()}, present)


def _tell(bad: "list[Line]", facts: dict[str, object], *, as_json: bool) -> None:
    for line in bad[:SHOWN]:
        say(f"{line}: {line.read}")
    if len(bad) > SHOWN:
        say(f"... and {len(bad) - SHOWN} more")
    if as_json:
        put(facts)
        return
    for name, value in facts.items():
        put_line(f"{name:<10} {value}")
