"""What the standing of a customer does to their assignment: consent, erasure, VIP status, merging and a person's wishes."""

from schemas.events import Brief, CustomerStanding
from streams.assignment.desk import Desk
from streams.assignment.merging import merge
from streams.assignment.notices import Cause, Ending
from streams.assignment.pools import BY_WISH, Candidate, Memory, Offer, decode_offer, encode, offer_without_look


def stand(cause: Cause, desk: Desk, event: CustomerStanding) -> None:
    customer_id, ledger = event.customer_id, desk.ledger
    match event.standing:
        case "consent_granted":
            ledger.memory(customer_id).withdrawn = False
        case "consent_withdrawn":
            _release(cause, desk, customer_id, "consent_withdrawn")
            ledger.memory(customer_id).withdrawn = True
        case "wish_never":
            _release(cause, desk, customer_id, "never_wished")
            ledger.memory(customer_id).never = True
        case "erased":
            _release(cause, desk, customer_id, "erased")
            if not desk.is_elsewhere(customer_id):  # that pool is told by itself
                ledger.remember(customer_id, Memory())
        case "vip_reached":
            if not desk.policy.serve_vips:  # a service under way goes on to its end
                desk.unqueue(cause, customer_id)
        case "wish_manual":
            _wish(cause, desk, event)
        case "wish_lifted":
            _lift(cause, desk, customer_id)
        case "merged":
            merge(cause, desk, event)


def _release(cause: Cause, desk: Desk, customer_id: str, reason: Ending) -> None:
    """Whoever is served or waits is so no longer; the place goes to the next."""
    if desk.service_of(customer_id) is not None:
        desk.end(cause, customer_id, reason)
        desk.fill(cause)
    elif customer_id in desk.pool.waiting:
        desk.drop(cause, customer_id)


def _wish(cause: Cause, desk: Desk, event: CustomerStanding) -> None:
    """A person wants this customer served, by this advisor or by any: outside the experiment, at the head of the queue.

    It goes before price, arm, rest and an earlier "never", but neither before capacity nor against the customer's own will.
    """
    customer_id, memory = event.customer_id, desk.ledger.memory(event.customer_id)
    service = desk.service_of(customer_id)
    if memory.withdrawn:
        desk.ledger.counts["wishes_without_consent"] += 1
    elif desk.is_elsewhere(customer_id):
        desk.ledger.counts["wishes_unmet"] += 1
    elif service is None:
        queued = desk.pool.waiting.get(customer_id)
        known = decode_offer(queued.offer) if queued else None
        offer = offer_without_look(known, event.brief or Brief(language=event.language))
        _place(cause, desk, event, offer, desk.withheld_in(customer_id))
    elif event.advisor_id in (None, service.advisor_id):
        desk.ledger.counts["wishes_met_already"] += 1
    elif not _has_room(cause, desk, event.advisor_id):
        desk.ledger.counts["wishes_unmet"] += 1
    else:
        desk.end(cause, customer_id, "moved_by_wish")
        offer = offer_without_look(decode_offer(service.offer), event.brief or Brief())
        _place(cause, desk, event, offer, service.withheld_in)
        desk.fill(cause)


def _has_room(cause: Cause, desk: Desk, advisor_id: str | None) -> bool:
    """Whether an advisor can take somebody over, once those who waited for a place that has opened have it."""
    desk.catch_up(cause)
    return desk.free_advisor(cause, None, advisor_id) is not None


def _lift(cause: Cause, desk: Desk, customer_id: str) -> None:
    """Whatever was wished, the model decides again. A service under way goes on."""
    queued = desk.pool.waiting.get(customer_id)
    if queued is not None and queued.rank == BY_WISH:
        desk.leave(cause, customer_id)
    desk.ledger.memory(customer_id).never = False


def _place(cause: Cause, desk: Desk, event: CustomerStanding, offer: Offer, withheld_in: str) -> None:
    candidate = Candidate(
        rank=BY_WISH,
        score=offer.score,
        until_ms=cause.now_ms + desk.policy.waiting_ms,
        language=None if event.advisor_id else event.language,  # who names an advisor has thought of the language
        offer=encode(offer),
        wanted=event.advisor_id,
        withheld_in=withheld_in,
    )
    desk.place(cause, event.customer_id, candidate, "manual")
