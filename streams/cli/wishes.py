"""`maitred assignments assign`, `never`, `lift` and `hand-over`: a person's decision, which goes before the model's."""

from typing import Annotated, Any
from uuid import uuid4

import typer

from streams.cli.sending import AtOption, event_of, event_time, send
from streams.cli.talk import ConfigOption, JsonOption, example, load_settings, say

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
    _wish(customer, "manual", advisor, wish_id, at, config, as_json=as_json)


def never(
    customer: CustomerArgument,
    wish_id: WishOption = None,
    at: AtOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Never give a customer an advisor; one they have is taken back."""
    _wish(customer, "never", None, wish_id, at, config, as_json=as_json)


def lift(
    customer: CustomerArgument,
    wish_id: WishOption = None,
    at: AtOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a wish back: the model decides again. A service under way goes on."""
    _wish(customer, "lifted", None, wish_id, at, config, as_json=as_json)


def hand_over(
    customer: CustomerArgument,
    to: Annotated[str, typer.Option("--to", metavar="ADVISOR", help="The advisor who goes on.")],
    wish_id: WishOption = None,
    at: AtOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hand a customer over to another advisor, if they have room; else everything stays as it is."""
    _wish(customer, "manual", to, wish_id, at, config, as_json=as_json)


def _wish(
    customer: str, wish: str, advisor: str | None, wish_id: str | None, at: str | None, config: Any, *, as_json: bool
) -> None:  # Any: a path or none, as `ConfigOption`
    settings = load_settings(config)
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
