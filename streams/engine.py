"""START HERE. The scorer's core: what every record and every due moment leads to.

    needs(batch, policy) -> Needs                           which profiles and visitors must be loaded
    decide(state, batch, model, policy) -> Decision         the new state, and all that is announced

Both are pure: no clock, no chance, nothing opened. Records are applied in the order of the batch; after each run the
watermark moves, and what falls due by then happens in the order (due time, key), with features read as of their due time.
Any two cuts of one applied sequence into batches give equal bytes (tests/property/test_engine_cuts.py).

What an event leads to stands in the room `scoring/`: `shopping.py` (orders, returns, browsing), `privacy.py` (consent, wishes,
erasure), `accounts.py` (two accounts of one customer), `due.py` (what time alone brings). They share `deciding.py`, the batch
being decided, with its state (`working.py`); `looks.py` scores, `labels.py` says what came of it, `tiers.py` who reached which
tier. Which records come in at all: `door.py`. The other two cores have the same shape: `assignment/`, `online_models/learner.py`.
"""

from collections.abc import Iterable

from features.profile import Treatment, meet_pools
from online_models.model import Model
from schemas.events import (
    AdvisorAssigned,
    AssignmentEnded,
    AssignmentWished,
    AssignmentWithheld,
    ConsentChanged,
    CustomersMerged,
    ErasureRequested,
    Event,
    EventForwarded,
    ItemsReturned,
    OrderPlaced,
    PageBrowsed,
    ProfileMoved,
)
from schemas.ids import partition_of
from schemas.records import Batch, Decision, Fault, Needs, Record, Reroute, State
from streams.door import Admitted, admit
from streams.scoring.accounts import arrived, go_on, merged, moved_in
from streams.scoring.deciding import Deciding
from streams.scoring.due import catch_up, pass_time
from streams.scoring.policy import Policy
from streams.scoring.privacy import consented, erased, wished
from streams.scoring.shopping import browsed, browsed_by_visitor, ordered, returned
from streams.scoring.working import LOOKS, PROFILE, VISITOR, WATERMARK

SOURCES = ("orders", "returns", "browse", "privacy", "assignments")


# ---- what a batch needs --------------------------------------------------------------------------------------------


def needs(batch: Batch, policy: Policy) -> Needs:
    """Keys of this partition, and visitors of others that an order names."""
    keys = {WATERMARK}
    outside: dict[str, int] = {}
    for record in batch.records():
        event = record.event
        if isinstance(event, PageBrowsed):
            keys.add(PROFILE + event.customer_id if event.customer_id else VISITOR + (event.visitor_id or ""))
        elif not isinstance(event, Fault) and (customer := customer_of(event)) is not None:
            keys.update((PROFILE + customer, LOOKS + customer))
            if isinstance(event, OrderPlaced | EventForwarded) and event.visitor_id:
                home = partition_of(event.visitor_id, policy.partitions)
                if home == batch.partition:
                    keys.add(VISITOR + event.visitor_id)
                else:
                    outside[VISITOR + event.visitor_id] = home
    return Needs(frozenset(keys), outside, batch.watermark_ms)


def companions(due_keys: Iterable[str]) -> frozenset[str]:
    """A profile that falls due is read together with its frozen looks."""
    return frozenset(LOOKS + key[len(PROFILE) :] for key in due_keys if key.startswith(PROFILE))


def customer_of(event: Event) -> str | None:
    """Whom an event is about; None for guests, and for visitors not known as customers yet."""
    customer: str | None = getattr(event, "customer_id", None)
    return customer


# ---- deciding ------------------------------------------------------------------------------------------------------


def decide(state: State, batch: Batch, model: Model, policy: Policy) -> Decision:
    """Everything that follows from a batch."""
    deciding = Deciding(state, batch, model, policy)
    for run in batch.runs:
        for record in run.records:
            apply(deciding, record)
        pass_time(deciding, run.watermark_ms)
    return deciding.decision()


def apply(deciding: Deciding, record: Record) -> None:
    """One record, and what is due by now. A replay calls it customer by customer (`replay/households.py`)."""
    match admit(record, deciding.partition, deciding.policy.partitions):
        case Admitted(_, event):
            deciding.counts[type(event).__name__] += 1
            _lead_to_its_account(deciding, record, event)
        case other:
            deciding.counts["rerouted" if isinstance(other, Reroute) else "rejected"] += 1
            deciding.outputs.append(other)
    catch_up(deciding)


def _lead_to_its_account(deciding: Deciding, record: Record, event: Event) -> None:
    """What comes under an account that was merged into another goes on to that one; it arrives there as it came."""
    who = customer_of(event)
    if who is None:
        _of_nobody_known(deciding, record, event)
    elif (into := deciding.working.merged_into(who)) is not None:
        go_on(deciding, record, event, who, into)
    elif not isinstance(event, EventForwarded):
        _fold(deciding, record, event, who)
    elif (event_as_it_came := arrived(event)) is not None:
        _fold(deciding, record, event_as_it_came, who)


def _of_nobody_known(deciding: Deciding, record: Record, event: Event) -> None:
    if isinstance(event, PageBrowsed):
        browsed_by_visitor(deciding, record, event)
    else:
        deciding.counts["guests"] += 1


def _fold(deciding: Deciding, record: Record, event: Event, who: str) -> None:
    """What an event leads to, for the customer whose profile it goes to."""
    match event:
        case PageBrowsed():
            browsed(deciding, record, event, who)
        case OrderPlaced():
            ordered(deciding, record, event, who)
        case ItemsReturned():
            returned(deciding, record, event, who)
        case AdvisorAssigned() | AssignmentWithheld():
            _treated(deciding, record, event, who)
        case AssignmentEnded():
            pass  # the scorer asks who was ever treated
        case ConsentChanged():
            consented(deciding, record, event, who)
        case AssignmentWished():
            wished(deciding, record, event, who)
        case ErasureRequested():
            erased(deciding, record, event, who)
        case CustomersMerged():
            merged(deciding, record, event, who)
        case ProfileMoved():
            moved_in(deciding, record, event, who)
        case _:
            raise TypeError(f"{record.where}: {type(event).__name__} does not belong here")


def _treated(deciding: Deciding, record: Record, event: AdvisorAssigned | AssignmentWithheld, who: str) -> None:
    """What the assigner decided comes back: examples carry the arm. An erased customer is not brought back by it.

    Of a customer whose relation was imported it may be all that is known. Every pool that decides is told of consent and
    erasure from then on; one that was not yet, at once of what it can't have known.
    """
    profile = deciding.working.profile(who)
    if profile is None and isinstance(event, AdvisorAssigned) and event.cause == "imported":
        profile = deciding.working.profile_or_new(who, event.occurred_at_ms, record)
    if profile is None:
        return
    was_told = event.pool in deciding.pools_of(profile)
    meet_pools(profile, (event.pool,))
    if not was_told:
        deciding.warn(record, profile, event.occurred_at_ms)
    arm = event.arm if isinstance(event, AdvisorAssigned) else "control"
    if profile.treatment is None or arm != "none":
        profile.treatment = Treatment(arm, event.assignment_id, event.propensity, event.occurred_at_ms)
    deciding.working.touch_profile(who, profile)
