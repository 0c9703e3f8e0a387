"""`maitred deliver undelivered`: what a web server would not take; to be tried again, or dropped."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

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
    from sinks.undelivered import Entry
    from streams.settings import Settings

undelivered_app = commands("What a web server would not take.")

NameOption = Annotated[str, typer.Option("--name", help="The sink, as `deliver webhook --name` has it.")]
CustomerOption = Annotated[str | None, typer.Option("--customer", help="All of this customer.")]
PlacesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="PLACE...", help="As listed: assignments[2]@17.", show_default=False)
]
AllOption = Annotated[bool, typer.Option("--all", help="All of the sink.")]


@undelivered_app.command("list", epilog=example("maitred deliver undelivered list --json"))
def list_undelivered(name: NameOption = "webhook", config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show what is kept: its place, the customer, what the server said. Events behind a failed one wait for it."""
    entries = _entries(load_settings(config), name)
    if as_json:
        for entry in entries:
            put(entry)
        return
    rows = [
        (e.where, e.customer, e.type, moment(e.kept_at_ms), e.state, e.attempts, e.failure or "behind the one above")
        for e in entries
    ]
    put_table(("place", "customer", "what", "since", "state", "attempts", "what the server said"), rows)


@undelivered_app.command("retry", epilog=example("maitred deliver undelivered retry 'assignments[2]@17'"))
def retry(
    places: PlacesArgument = None,
    customer: CustomerOption = None,
    everything: AllOption = False,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for what comes of it.")] = 30.0,
    name: NameOption = "webhook",
    config: ConfigOption = None,
) -> None:
    """Have undelivered events tried again, and those behind them; the running `deliver webhook` does it.

    Exit 1 if some are still undelivered when the wait is over.
    """
    from msgspec.structs import replace

    settings = load_settings(config)
    chosen = _chosen(settings, name, places, customer, everything=everything)
    lanes = {entry.parcel.lane for entry in chosen}
    first: dict[tuple[int, str], Entry] = {}
    for entry in _entries(settings, name):
        first.setdefault(entry.parcel.lane, entry)
    _write(settings, name, kept=[replace(first[lane], state="retry") for lane in lanes if lane in first])
    left = _wait_for(settings, name, chosen, wait)
    say(f"{len(chosen) - len(left)} delivered, {len(left)} still undelivered")
    for entry in left:
        say(f"{entry.where}: {entry.failure or 'behind another'}")
    if any(entry.state == "retry" for entry in left):
        say("not tried yet: `maitred deliver webhook` does that, when it runs")
    if left:
        raise typer.Exit(NO)


@undelivered_app.command("drop", epilog=example("maitred deliver undelivered drop 'assignments[2]@17'"))
def drop(
    places: PlacesArgument = None,
    customer: CustomerOption = None,
    everything: AllOption = False,
    name: NameOption = "webhook",
    config: ConfigOption = None,
) -> None:
    """Give up undelivered events for good. What waits behind them is delivered; in Kafka they stay as they were."""
    settings = load_settings(config)
    chosen = _chosen(settings, name, places, customer, everything=everything)
    _write(settings, name, dropped=chosen)
    say(f"{len(chosen)} dropped")


# ---- the entries ---------------------------------------------------------------------------------------------------


def _entries(settings: "Settings", name: str) -> "list[Entry]":
    from streams.deliver import read_entries
    from streams.kafka.client import kafka_config

    return [entry for entry in read_entries(kafka_config(settings), settings.partitions) if entry.sink == name]


def _chosen(
    settings: "Settings", name: str, places: list[str] | None, customer: str | None, *, everything: bool
) -> "list[Entry]":
    if sum((bool(places), customer is not None, everything)) != 1:
        say("error: name places, a --customer, or --all")
        raise typer.Exit(MISUSE)
    found = _entries(settings, name)
    chosen = [e for e in found if everything or e.customer == customer or e.where in (places or ())]
    for place in sorted(set(places or ()) - {entry.where for entry in chosen}):
        say(
            f"error: {place}: nothing undelivered there; `maitred deliver undelivered list --name {name}` lists what is"
        )
        raise typer.Exit(NO)
    return chosen


def _write(
    settings: "Settings", name: str, kept: "list[Entry] | None" = None, dropped: "list[Entry] | None" = None
) -> None:
    from streams.deliver import KafkaUndelivered
    from streams.kafka.client import kafka_config

    undelivered = KafkaUndelivered(kafka_config(settings), name)
    undelivered.keep(kept or [])
    undelivered.forget(dropped or [])
    undelivered.close()


def _wait_for(settings: "Settings", name: str, chosen: "list[Entry]", seconds: float) -> "list[Entry]":
    """What is left of the chosen once all that was asked for is tried, or the time is over."""
    names, lanes = {entry.parcel.id for entry in chosen}, {entry.parcel.lane for entry in chosen}
    deadline = time.monotonic() + seconds
    while True:
        found = [entry for entry in _entries(settings, name) if entry.parcel.lane in lanes]
        is_tried = not any(entry.state == "retry" for entry in found)
        left = [entry for entry in found if entry.parcel.id in names]
        if is_tried or time.monotonic() >= deadline:
            return left
        time.sleep(0.5)
