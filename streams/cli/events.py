"""`maitred events`: event files, looked at before anybody replays or publishes them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.talk import MISUSE, NO, ConfigOption, JsonOption, commands, example, load_settings, put, put_line, say

if TYPE_CHECKING:
    from streams.replay.checking import Checked
    from streams.replay.rows import Unreadable

ProblemsOption = Annotated[
    int, typer.Option("--problems", min=0, help="So many problems are told one by one; the others are counted.")
]

events_app = commands("Look at event files before they are replayed or published.")


@events_app.callback()
def events() -> None:
    """Look at event files before they are replayed or published."""


@events_app.command("check", epilog=example("maitred events check shop/*.parquet --suggest > shop.toml"))
def check_command(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Event files, folders of them, or patterns in quotes.")
    ],
    problems: ProblemsOption = 100,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Print settings that suit the events, to be saved as a settings file.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read event files and tell every problem: file, row, field, what was expected, what came, and the cure.

    After that a summary, and remarks on what is no error and was hardly meant: fields that nobody reads, currencies without a
    rate, ids used twice. Exit 0 if nothing would be rejected, 1 if something would.
    """
    from streams.policies import rates
    from streams.replay.checking import check
    from streams.replay.sources.files import FileSource
    from streams.replay.suggesting import suggested

    settings = load_settings(config)
    told: list[Unreadable] = []

    def tell(fault: "Unreadable") -> None:
        if len(told) < problems:
            told.append(fault)
            say(str(fault))

    known = rates(settings)
    checked = check(FileSource(files, settings.partitions), known, tell)
    if (untold := checked.faults.total() - len(told)) > 0:
        say(f"... and {untold} more")
    for remark in checked.remarks:
        say(f"remark: {remark}")
    if as_json:
        put(
            _facts(checked)
            | {"problems": told, "remarks": checked.remarks, "suggested": list(suggested(checked, known))}
        )
    elif suggest:
        for line in suggested(checked, known):
            put_line(line)
    else:
        _tell(checked)
    if not checked.is_good:
        raise typer.Exit(NO)


@events_app.command("make", epilog=example("maitred events make sales.csv --layout sales.toml --to sales.jsonl"))
def make_command(
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="A table of purchases: CSV or Parquet, a row a line of an order.")
    ],
    layout: Annotated[Path, typer.Option("--layout", metavar="TOML", help="Which column is what.")],
    to: Annotated[
        Path, typer.Option("--to", metavar="FILE", help="The event file to write: a name that ends in .jsonl.")
    ],
    problems: ProblemsOption = 100,
    as_json: JsonOption = False,
) -> None:
    """Make event files of a flat table: orders of the rows that share a number, returns of those below zero.

    Rows that can't be used are told with their column and the cure, and the others go on; exit 1 if there were any.
    """
    import msgspec

    from schemas.records import Fault
    from streams.replay.sources.table import events_of_table, load_layout

    if to.suffix != ".jsonl":
        say(f"error: --to: expected a name that ends in .jsonl, got {to.name}")
        raise typer.Exit(MISUSE)
    bad = 0

    def tell(where: str, fault: Fault) -> None:
        nonlocal bad
        bad += 1
        if bad <= problems:
            say(f"{where}: {fault}")

    events = events_of_table(table, load_layout(layout), tell)
    if bad > problems:
        say(f"... and {bad - problems} more")
    with to.open("wb") as file:
        file.writelines(msgspec.json.encode(event) + b"\n" for event in events)
    facts = {"events": len(events), "unusable_rows": bad, "file": str(to)}
    put(facts) if as_json else put_line("\n".join(f"{name:<14} {value}" for name, value in facts.items()))
    if bad:
        raise typer.Exit(NO)


def _facts(checked: "Checked") -> dict[str, object]:
    from streams.replay.checking import day

    return {
        "files": checked.files,
        "rows": checked.rows,
        "would_be_rejected": checked.faults.total() + checked.conflicts.total(),
        "by_error": dict(checked.faults) | ({"conflict": checked.conflicts.total()} if checked.conflicts else {}),
        "types": {kind: count for kind, count in sorted(checked.kinds.items()) if kind != "Fault"},
        "first_day": None if checked.first_ms is None else day(checked.first_ms),
        "last_day": None if checked.last_ms is None else day(checked.last_ms),
        "customers": len(checked.purchases),
        "guests": checked.guests,
        "repeated": checked.repeated,
        "skus": len(checked.skus),
        "currencies": dict(checked.currencies),
        "markets": dict(checked.markets.most_common(20)),
    }


def _tell(checked: "Checked") -> None:
    for name, value in _facts(checked).items():
        shown = ", ".join(f"{key} {count}" for key, count in value.items()) if isinstance(value, dict) else value
        put_line(f"{name:<18} {shown}")
