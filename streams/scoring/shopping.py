"""What customers do: browse, buy, send back. Each is counted once, and may lead to a look, a tier, a VIP.

`who` is the customer whose profile it goes to. It need not be the event's: after a merge it is the account that goes on.
"""

from features.profile import (
    WITHDRAWN,
    Profile,
    Visitor,
    absorb,
    browse_seen,
    decode_visitor,
    fold_browse,
    fold_order,
    fold_return,
    recognise,
    visitor_is_linked,
)
from schemas.events import ItemsReturned, OrderPlaced, OutsideRead, PageBrowsed
from schemas.ids import partition_of
from schemas.records import Fault, Record
from streams.scoring.deciding import Deciding
from streams.scoring.labels import schedule_outcomes
from streams.scoring.looks import Look, schedule_looks, wants_second_look
from streams.scoring.working import VISITOR


def browsed(deciding: Deciding, record: Record, event: PageBrowsed, who: str) -> None:
    if event.currency is not None and not _converts(deciding, record, event.currency):
        return
    profile = deciding.working.profile_or_new(who, event.occurred_at_ms, record)
    if not _is_repeated(deciding, profile, event):
        fold_browse(profile, event, deciding.policy.rates)
        deciding.working.touch_profile(who, profile)


def browsed_by_visitor(deciding: Deciding, record: Record, event: PageBrowsed) -> None:
    if event.visitor_id is None or (event.currency is not None and not _converts(deciding, record, event.currency)):
        return
    at_ms, policy = event.occurred_at_ms, deciding.policy
    visitor = deciding.working.visitor_or_new(event.visitor_id, at_ms)
    if not _is_repeated(deciding, visitor, event):
        fold_browse(visitor, event, policy.rates)
        visitor.forget_at_ms = visitor.forget_at_ms or at_ms + policy.visitor_kept_ms
        deciding.working.touch_visitor(event.visitor_id, visitor)


def ordered(deciding: Deciding, record: Record, order: OrderPlaced, who: str) -> None:
    if not _converts(deciding, record, order.currency):
        return
    profile, policy = deciding.working.profile_or_new(who, order.occurred_at_ms, record), deciding.policy
    if not _is_new(deciding, record, profile, order):
        return
    _meet_visitor(deciding, record, order, profile)
    is_first = profile.first_purchase is None
    fold_order(profile, order, policy.rates, policy.outcomes_ms)
    if is_first:
        _first_purchase(deciding, record, order, profile)
    elif wants_second_look(profile, order.occurred_at_ms, policy):
        deciding.look(record, profile, Look("order", order.occurred_at_ms))
    deciding.after_money(record, profile)


def _first_purchase(deciding: Deciding, record: Record, order: OrderPlaced, profile: Profile) -> None:
    """A customer is met: market and pool are fixed for good, and the first look is taken."""
    at_ms, policy = order.occurred_at_ms, deciding.policy
    profile.is_new = profile.is_new and at_ms >= policy.decide_from_ms
    if not profile.is_new:
        deciding.counts["not_new"] += 1
    else:
        deciding.look(record, profile, Look("first", at_ms, order))
        schedule_looks(profile, policy)
        schedule_outcomes(profile, policy)
    if profile.consent == WITHDRAWN:
        deciding.stand_by_consent(record, profile, at_ms)
    if profile.wish:
        deciding.stand_by_wish(record, profile, at_ms)


def returned(deciding: Deciding, record: Record, event: ItemsReturned, who: str) -> None:
    if not _converts(deciding, record, event.currency):
        return
    profile, policy = deciding.working.profile_or_new(who, event.occurred_at_ms, record), deciding.policy
    if not _is_new(deciding, record, profile, event):
        return
    fold_return(profile, event, policy.rates, policy.outcomes_ms)
    if wants_second_look(profile, event.occurred_at_ms, policy):
        deciding.look(record, profile, Look("return", event.occurred_at_ms))
    deciding.after_money(record, profile)


# ---- shared steps --------------------------------------------------------------------------------------------------


def _converts(deciding: Deciding, record: Record, currency: str) -> bool:
    """Whether amounts in this currency can be counted."""
    rates = deciding.policy.rates
    if not rates.knows(currency):
        known, cure = ", ".join(rates.known), "add its rate to [money.rates], then retry"
        deciding.reject(record, Fault("wrong_currency", "currency", f"one of {known}", currency, cure))
    return rates.knows(currency)


def _is_new(deciding: Deciding, record: Record, profile: Profile, event: OrderPlaced | ItemsReturned) -> bool:
    """Neither a repetition nor another document under a known id."""
    field, document_id = (
        ("order_id", event.order_id) if isinstance(event, OrderPlaced) else ("return_id", event.return_id)
    )
    known = recognise(profile, document_id, event)
    if known == "conflict":
        cure = f"give every document its own {field}; send corrections as returns or new orders"
        deciding.reject(record, Fault("conflict", field, "the content sent before under this id", document_id, cure))
    deciding.counts["duplicates"] += known == "duplicate"
    return known == "new"


def _is_repeated(deciding: Deciding, who: Profile | Visitor, event: PageBrowsed) -> bool:
    repeated = browse_seen(who, event.event_id)
    deciding.counts["duplicates"] += repeated
    return repeated


def _meet_visitor(deciding: Deciding, record: Record, order: OrderPlaced, profile: Profile) -> None:
    """What the browser of this order looked at before is the customer's from now on, once for each visitor."""
    if order.visitor_id is None or visitor_is_linked(profile, order.visitor_id):
        return
    visitor = _visitor(deciding, record, order.visitor_id)
    if visitor is not None:
        absorb(profile, visitor)


def _visitor(deciding: Deciding, record: Record, visitor_id: str) -> Visitor | None:
    """A visitor of this partition, or of another one as of when it was read, which the batch log then names."""
    home = partition_of(visitor_id, deciding.policy.partitions)
    if home == deciding.partition:
        return deciding.working.visitor(visitor_id)
    key = VISITOR + visitor_id
    seen = deciding.working.outside()[key]
    read = OutsideRead(topic=record.topic, offset=record.offset, key=key, partition=home, entry=seen.entry)
    deciding.reads.append(read)
    return decode_visitor(seen.value) if seen.value is not None else None
