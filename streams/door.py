"""The door: which records of a batch come in. The rest is set aside or sent on, never lost.

All three processors share it: an unreadable record becomes a `Rejection`, one on the wrong partition a `Reroute`.
"""

from msgspec import Struct

from schemas.events import (
    AdvisorChanged,
    ContactReported,
    CustomerScored,
    CustomerStanding,
    Event,
    ExampleReady,
    ModelChosen,
    PoolChanged,
    RelationImported,
)
from schemas.ids import partition_of
from schemas.records import Fault, Output, Record, Rejection, Reroute
from schemas.rejects import WHOLE_UP_TO_BYTES, is_whole

TOO_LARGE_TO_MOVE = Fault(
    "too_large",
    "$",
    f"at most {WHOLE_UP_TO_BYTES} bytes of key, value and headers on a partition that is not its key's",
    "more",
    "send less with it, and partition by murmur2 of the key",
)
BY_POOL = (CustomerScored, CustomerStanding, AdvisorChanged, PoolChanged, ContactReported, RelationImported)


class Admitted(Struct, frozen=True):
    record: Record
    event: Event


def admit(record: Record, partition: int, partitions: int) -> Admitted | Output:
    """The record with its event, or what becomes of it instead.

    `partitions` is the count of the processor's sources; 1 where everything lies on one partition.
    """
    if isinstance(record.event, Fault):
        return Rejection(record, record.event)
    subject = subject_of(record.event) if partitions > 1 else None
    if subject is not None and (right := partition_of(subject, partitions)) != partition:
        return Reroute(record, right) if is_whole(record) else Rejection(record, TOO_LARGE_TO_MOVE)
    return Admitted(record, record.event)


def subject_of(event: Event) -> str | None:
    """What an event is keyed by: a pool, a customer, a visitor not known yet as one, the model. None: it lies anywhere."""
    if isinstance(event, BY_POOL):
        return event.pool
    if isinstance(event, ExampleReady):
        return None
    if isinstance(event, ModelChosen):
        return "model"
    customer: str | None = getattr(event, "customer_id", None)
    return customer if customer is not None else getattr(event, "visitor_id", None)
