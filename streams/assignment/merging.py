"""Two accounts of one customer: what the one that ends has here goes over to the one that goes on.

A service goes on with the same advisor for what is left of it, in its arm; a place in the queue is kept; and what keeps the one
account from being assigned keeps the other. Nobody comes to have two services, and neither a person's "never" nor a consent
withdrawn is forgotten. The survivor is looked for on the partition of this pool: what another partition knows of them stays
unknown here (docs/programme.md). What becomes of the profiles is told in docs/decisions/0008-merged-accounts.md.
"""

from msgspec.structs import replace

from schemas.events import CustomerStanding
from streams.assignment.desk import Desk
from streams.assignment.notices import Cause
from streams.assignment.pools import BY_LOOK, Candidate, Memory
from streams.assignment.services import Service


def merge(cause: Cause, desk: Desk, event: CustomerStanding) -> None:
    ended, survivor = event.customer_id, event.into_customer_id
    if survivor is None:
        raise ValueError(f"{event.id}: expected into_customer_id with the standing merged, got null")
    if desk.service_of(ended) is not None:
        _hand_over(cause, desk, desk.end(cause, ended, "merged"), survivor)
    elif ended in desk.pool.waiting:
        _let_wait(cause, desk, desk.leave(cause, ended), survivor)
    elif desk.is_elsewhere(ended):
        return  # that pool is told by itself
    _keep_back(cause, desk, desk.ledger.memory(ended), survivor)
    desk.ledger.remember(ended, Memory())


def _hand_over(cause: Cause, desk: Desk, service: Service, survivor: str) -> None:
    """The survivor's own service and will go before; arm and rest are no reason to part two who know each other."""
    if _may_be_served(desk, survivor) and service.service_until_ms > cause.now_ms:
        kept = service.withheld_in or desk.withheld_in(survivor)
        going_on = replace(service, assignment_id=cause.id("assignment"), withheld_in=kept)
        desk.begin(cause, survivor, going_on, "merged")
    else:
        desk.fill(cause)


def _let_wait(cause: Cause, desk: Desk, candidate: Candidate, survivor: str) -> None:
    """A place by a look only for whom a look could give one; of two places the first in line."""
    held = desk.pool.waiting.get(survivor)
    may_wait = _may_be_served(desk, survivor) and (
        candidate.rank != BY_LOOK or not _is_barred(cause, desk, desk.ledger.memory(survivor))
    )
    if may_wait and (held is None or candidate.line() < held.line()):
        kept = candidate.withheld_in or desk.withheld_in(survivor)
        desk.queue(cause, survivor, replace(candidate, withheld_in=kept))


def _keep_back(cause: Cause, desk: Desk, ended: Memory, survivor: str) -> None:
    """Control arm, rest, "never" and withdrawn consent are the survivor's from now on, who then waits by no look."""
    if ended.is_blank() or desk.ledger.memory(survivor).served_by or desk.is_elsewhere(survivor):
        return
    if _is_barred(cause, desk, ended):
        desk.unqueue(cause, survivor)
    if (held := desk.pool.waiting.get(survivor)) is not None:
        kept = held.withheld_in or ended.withheld_in
        desk.queue(cause, survivor, replace(held, withheld_in=kept, rest_until_ms=ended.rest_until_ms))
        return
    memory = desk.ledger.memory(survivor)
    memory.withheld_in = memory.withheld_in or ended.withheld_in
    memory.rest_until_ms = max(memory.rest_until_ms, ended.rest_until_ms)
    memory.never |= ended.never
    memory.withdrawn |= ended.withdrawn


def _may_be_served(desk: Desk, customer_id: str) -> bool:
    memory = desk.ledger.memory(customer_id)
    return not (memory.served_by or desk.is_elsewhere(customer_id) or memory.never or memory.withdrawn)


def _is_barred(cause: Cause, desk: Desk, memory: Memory) -> bool:
    """Whether no look assigns them."""
    is_control = memory.withheld_in == desk.policy.experiment
    return is_control or memory.never or memory.withdrawn or cause.now_ms < memory.rest_until_ms
