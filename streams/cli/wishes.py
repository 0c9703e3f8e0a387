"""`maitred assignments assign`, `never`, `lift` and `hand-over`: a person's decision, which goes before the model's."""

from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from streams.cli.sending import AtOption, event_of, event_time, misuse, send
from streams.cli.talk import ConfigOption, JsonOption, example, load_settings, registry_of, say

if TYPE_CHECKING:
    from streams.settings import Settings

CustomerArgument = Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer, as the shop names them.")]
WishOption = Annotated[
    str | None,
    typer.Option("--wish-id", help="The wish's own id, where a tool has given it one.", show_default="one is made"),
]


def assign(
    customer: CustomerArgument,
    advisor: Annotated[
        str | None, typer.Option("--advisor", help="The only one that will do.", show_default="any")
    ] = None,
    wish_id: WishOption = None,
    at: AtOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a customer an advisor, or the first place that comes free; outside the experiment.

    It goes before price, arm, rest, pause and an earlier "never"; neither before capacity nor against a consent withdrawn.
    """
    settings = load_settings(config)
    if advisor is not None:
        _refuse_unknown_advisor(settings, advisor)
    _wish(settings, customer, "manual", advisor, wish_id, at, as_json=as_json)


def never(
    customer: CustomerArgument,
    wish_id: WishOption = None,
    at: AtOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Never give a customer an advisor; one they have is taken back."""
    _wish(load_settings(config), customer, "never", None, wish_id, at, as_json=as_json)


def lift(
    customer: CustomerArgument,
    wish_id: WishOption = None,
    at: AtOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a wish back: the model decides again. A service under way goes on."""
    _wish(load_settings(config), customer, "lifted", None, wish_id, at, as_json=as_json)


def hand_over(
    customer: CustomerArgument,
    to: Annotated[str, typer.Option("--to", metavar="ADVISOR", help="The advisor who goes on.")],
    wish_id: WishOption = None,
    at: AtOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hand a customer over to another advisor, if they have room; else everything stays as it is."""
    settings = load_settings(config)
    _refuse_unknown_advisor(settings, to)
    _refuse_unserved(settings, customer, to)
    _wish(settings, customer, "manual", to, wish_id, at, as_json=as_json)


def _refuse_unknown_advisor(settings: "Settings", advisor: str) -> None:
    from streams.latest import roster

    if not roster(settings, registry_of(settings)).of(advisor):
        misuse(
            f"expected an advisor of the roster, got {advisor!r}; `maitred roster list` shows them, `maitred roster set` enters one"
        )


def _refuse_unserved(settings: "Settings", customer: str, to: str) -> None:
    from streams.latest import current_assignments

    if all(event.customer_id != customer for event in current_assignments(settings, registry_of(settings))):
        misuse(
            f"expected a customer whom somebody serves, got {customer!r}; `maitred assignments current` shows them, "
            f"`maitred assignments assign {customer} --advisor {to}` serves one who is served by nobody"
        )


def _wish(
    settings: "Settings",
    customer: str,
    wish: str,
    advisor: str | None,
    wish_id: str | None,
    at: str | None,
    *,
    as_json: bool,
) -> None:
    event = event_of(
        "privacy",
        "AssignmentWished",
        {
            "wish_id": wish_id or f"wish-{uuid4().hex[:12]}",
            "customer_id": customer,
            "occurred_at_ms": event_time(settings, at),
            "wish": wish,
            "advisor_id": advisor,
        },
    )
    send(settings, "privacy", event, as_json=as_json)
    say("what came of it: `maitred assignments tail`")


def add_wishes(app: typer.Typer) -> None:
    app.command("assign", epilog=example("maitred assignments assign 13085 --advisor anna"))(assign)
    app.command("never", epilog=example("maitred assignments never 13085"))(never)
    app.command("lift", epilog=example("maitred assignments lift 13085"))(lift)
    app.command("hand-over", epilog=example("maitred assignments hand-over 13085 --to bela"))(hand_over)
