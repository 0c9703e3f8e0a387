"""Plans for kinds of shops."""

from typing import Any

from streams.simulator.plan import Like, Market, ShopPlan

_BRITISH = (
    Market(code="United Kingdom", pool="uk", currency="GBP", language="en", weight=92, rate=1.17, offset_hours=0),
    Market(code="Germany", pool="abroad", currency="GBP", language="de", weight=4, rate=1.17, offset_hours=1),
    Market(code="France", pool="abroad", currency="GBP", language="fr", weight=4, rate=1.17, offset_hours=1),
)

PRESETS: dict[Like, dict[str, Any]] = {  # Any: fields of a plan
    "premium": {},
    "online-retail-ii": {
        "markets": _BRITISH,
        "rate_shape": 1.05,
        "rate_mean": 1 / 98,
        "dropout_a": 0.45,
        "dropout_b": 3.0,
        "spend_mean_minor": 49_000,
        "spend_shape": 2.0,
        "spend_spread": 2.8,
        "returns": 0.04,
        "cancelled": 0.012,
        "browse": False,
        "guests": 0.5,
        "effect": 0.0,
    },
}


def plan_like(like: Like, **fields: Any) -> ShopPlan:  # Any: fields of a plan
    """The plan of such a shop; `fields` go before what the kind of shop says."""
    return ShopPlan(**{**PRESETS[like], **fields}).checked()
