"""One example of each event, as the AsyncAPI document shows it: possible values that tell a little story."""

from typing import Any

import msgspec
from msgspec import inspect

from schemas.events import Event

AT_MS, QUARTER_MS = 1_790_000_000_000, 7_776_000_000
TEXTS = {
    "customer_id": "c-1042", "visitor_id": "v-77f3", "into_customer_id": "c-0007", "from_customer_id": "c-1042",
    "advisor_id": "anna", "would_be_advisor_id": "anna", "pool": "dach", "market": "DE", "language": "de", "languages": "de", "bought": "boot-38", "looked_at": "belt-2", "returned": "scarf-1", "skus": "boot-38",
    "currency": "EUR", "order_id": "o-20981", "return_id": "r-311", "sku": "boot-38", "category": "shoes", "brand": "Elm",
    "channel": "email", "recommended_channel": "email", "sales_channel": "web", "look_id": "orders/2/1841/score/0",
    "assignment_id": "scores/1/977/assignment/0", "experiment": "advisors", "tier": "gold", "model_version": "river-1200",
    "feature": "first_order_value", "kind": "returned", "processor": "scorer", "topic": "orders",
}  # fmt: skip
ONE = {"propensity": 0.9, "score": 0.31, "threshold": 0.24, "base": -2.1}


def example_of(kind: type[Event]) -> dict[str, Any]:  # Any: JSON, or bytes
    """An event of this class as plain values, its `type` left out."""
    data: dict[str, Any] = msgspec.to_builtins(_event(kind), builtin_types=(bytes,))
    data.pop("type", None)
    return data


def _event(kind: type[Any]) -> Any:  # Any: one of the event classes, or a part of one
    shape = inspect.type_info(kind)
    assert isinstance(shape, inspect.StructType)
    return kind(**{field.name: _value(field.name, field.type, kind.__name__) for field in shape.fields})


def _value(name: str, kind: Any, owner: str) -> Any:  # Any: a type as msgspec tells it, and a value of it
    match kind:
        case inspect.UnionType():
            return _value(name, next(part for part in kind.types if not isinstance(part, inspect.NoneType)), owner)
        case inspect.VarTupleType():
            return (_value(name, kind.item_type, owner),)
        case inspect.StructType():
            return _event(kind.cls)
        case inspect.LiteralType():
            return kind.values[0]
        case inspect.IntType():
            return _whole(name, kind)
        case inspect.FloatType():
            return ONE.get(name, 0.5)
        case inspect.BoolType():
            return name in ("granted", "was_free", "is_vip")
        case inspect.BytesType():
            return b"\x81\xa1v\x01"
    return TEXTS.get(name, f"{name.removesuffix('_id')}-1" if name != "id" else f"orders/2/1841/{owner}/0")


def _whole(name: str, kind: inspect.IntType) -> int:
    if name.endswith("_ms") and name != "dwell_ms":
        return AT_MS + QUARTER_MS * name.endswith(("until_ms", "by_ms"))
    return 12_900 if name.endswith("_minor") else max(kind.ge or 1, 2)
