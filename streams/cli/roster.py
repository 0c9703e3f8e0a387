"""`maitred roster`: who advises in which pool, for how many, and when they are away. Each change is a whole new entry."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer

from streams.cli.sending import AtOption, event_of, event_time, misuse, send, time_of
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
)

if TYPE_CHECKING:
    from schemas.events import AdvisorChanged
    from streams.settings import Settings

roster_app = commands("The roster: advisors, their capacity and their holidays.")

AdvisorArgument = Annotated[str, typer.Argument(metavar="ADVISOR", help="The advisor, as your tools name them.")]
PoolOption = Annotated[str | None, typer.Option("--pool", help="Their pool.", show_default="the one they are in")]


@roster_app.command("list", epilog=example("maitred roster list --json"))
def list_roster(
    pool: Annotated[str | None, typer.Option("--pool", help="Only this pool.", show_default="all")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the last entry of each advisor who has not left."""
    settings = load_settings(config)
    entries = [entry for entry in _present(settings) if pool in (None, entry.pool)]
    if as_json:
        for entry in entries:
            put(entry)
        return
    columns = ("pool", "advisor", "status", "capacity", "daily intake", "languages", "away")
    put_table(columns, [_row(entry) for entry in entries])


@roster_app.command("set", epilog=example("maitred roster set anna --pool main --capacity 25 --daily-intake 5"))
def set_entry(
    advisor: AdvisorArgument,
    pool: PoolOption = None,
    capacity: Annotated[int | None, typer.Option("--capacity", min=0, help="Customers at a time.")] = None,
    daily_intake: Annotated[int | None, typer.Option("--daily-intake", min=0, help="New customers a day, UTC.")] = None,
    language: Annotated[
        list[str] | None,
        typer.Option("--language", help="A language they speak, such as de; may be given several times. `any`: all."),
    ] = None,
    status: Annotated[
        Literal["active", "paused"] | None, typer.Option("--status", help="Paused: keeps customers, gets none.")
    ] = None,
    at: AtOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enter an advisor, or change what is said of them; what is not given stays as it is."""
    settings = load_settings(config)
    entry = _entry_or_new(settings, advisor, pool, capacity, daily_intake)
    changes = {"capacity": capacity, "daily_intake": daily_intake, "status": status}
    entry |= {name: value for name, value in changes.items() if value is not None}
    if language:
        entry["languages"] = [] if language == ["any"] else language
    _send(settings, entry, at, as_json=as_json)


@roster_app.command("leave", epilog=example("maitred roster leave anna"))
def leave(
    advisor: AdvisorArgument,
    pool: PoolOption = None,
    at: AtOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that an advisor has left: their customers go to others, or wait for one."""
    settings = load_settings(config)
    _send(settings, _entry(settings, advisor, pool) | {"status": "left"}, at, as_json=as_json)


@roster_app.command("absent", epilog=example("maitred roster absent anna --from 2026-12-24 --back 2027-01-02"))
def absent(
    advisor: AdvisorArgument,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="The first moment of the absence, UTC.")
    ] = None,
    back: Annotated[str | None, typer.Option("--back", metavar="TIME", help="The moment they are back, UTC.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Forget all absences instead.")] = False,
    pool: PoolOption = None,
    at: AtOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add an absence: no new customers in that time, those they have stay. Absences that are over are left out."""
    settings = load_settings(config)
    times = [time for time in (from_, back) if time is not None]
    if len(times) != (0 if clear else 2):
        misuse("say --from and --back, or --clear")
    entry, now_ms = _entry(settings, advisor, pool), event_time(settings, at)
    kept = [] if clear else [absence for absence in entry["absences"] if absence["until_ms"] > now_ms]
    if from_ is not None and back is not None:
        kept.append({"from_ms": time_of("--from", from_), "until_ms": time_of("--back", back)})
    _send(settings, entry | {"absences": kept}, at, as_json=as_json)


# ---- entries -------------------------------------------------------------------------------------------------------


def _present(settings: "Settings") -> "list[AdvisorChanged]":
    from streams.latest import roster

    entries = roster(settings, registry_of(settings)).advisors
    return [entries[name] for name in sorted(entries) if entries[name].status != "left"]


def _entry(settings: "Settings", advisor: str, pool: str | None) -> dict[str, Any]:  # Any: a field of an entry
    """What is said of an advisor now, as fields."""
    found = [e for e in _present(settings) if e.advisor_id == advisor and pool in (None, e.pool)]
    if len(found) > 1:
        misuse(f"{advisor} is in the pools {', '.join(entry.pool for entry in found)}: say which with --pool")
    if not found:
        where = "the roster" if pool is None else f"pool {pool}"
        misuse(
            f"expected an advisor of {where}, got {advisor!r}; `maitred roster list` shows them, `maitred roster set` with --pool enters one"
        )
    fields: dict[str, Any] = msgspec.to_builtins(found[0])
    return fields


def _entry_or_new(
    settings: "Settings", advisor: str, pool: str | None, capacity: int | None, daily_intake: int | None
) -> dict[str, Any]:  # Any: as in `_entry`
    if pool is None or any((e.advisor_id, e.pool) == (advisor, pool) for e in _present(settings)):
        return _entry(settings, advisor, pool)
    if elsewhere := [entry.pool for entry in _present(settings) if entry.advisor_id == advisor]:
        misuse(f"{advisor} is in pool {elsewhere[0]}, and an advisor has one: `maitred roster leave {advisor}` first")
    if capacity is None or daily_intake is None:
        misuse(f"{advisor} is new in pool {pool}: say --capacity and --daily-intake")
    return {"advisor_id": advisor, "pool": pool}


def _send(settings: "Settings", entry: dict[str, Any], at: str | None, *, as_json: bool) -> None:  # Any: as in `_entry`
    event = event_of("roster", "AdvisorChanged", entry | {"occurred_at_ms": event_time(settings, at)})
    send(settings, "roster", event, as_json=as_json)


def _row(entry: "AdvisorChanged") -> tuple[object, ...]:
    away = ", ".join(f"{moment(a.from_ms)} to {moment(a.until_ms)}" for a in entry.absences)
    languages = " ".join(entry.languages) or "any"
    return (entry.pool, entry.advisor_id, entry.status, entry.capacity, entry.daily_intake, languages, away or "-")
