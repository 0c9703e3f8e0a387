"""The assigner's core: who gets an advisor.

    needs(batch, policy) -> Needs
    assign(state, batch, policy) -> Decision

A look goes through four questions, in this order (DESIGN 7):

    rules      may this customer be assigned at all: consent, wishes, language, not served yet, not resting
    price      is the look worth more than the pool's threshold                                   price.py
    arm        is this customer in the experiment's control arm: then it is said, and nobody is assigned
    advisor    who has a place: else the customer waits                                            desk.py

Besides looks there are the standing of a customer (consent, erasure, wishes: `standing.py`; merged accounts: `merging.py`), the
roster, a pool that pauses, reports of contacts, imported relations (`relations.py`), and time: contact overdue, a service at its
end, a wait too long, a new day's intake, an advisor back at work. Pure, like the scorer's core: decisions are taken at the
event's time, but never before the watermark, so that no deadline lies in the past.
"""

from collections.abc import Iterable
from functools import partial
from typing import Final

from msgspec import msgpack

from schemas.events import (
    AdvisorChanged,
    ContactReported,
    CustomerScored,
    CustomerStanding,
    PoolChanged,
    RelationImported,
)
from schemas.ids import caused_by_record, caused_by_time, hash64
from schemas.records import Batch, Decision, Fault, Needs, Record, Rejection, State, Write
from streams.assignment.desk import POOL, REOFFERED_AFTER, Desk
from streams.assignment.ledger import CUSTOMER, Ledger
from streams.assignment.notices import Cause, Ending
from streams.assignment.policy import AssignmentPolicy
from streams.assignment.pools import BY_LOOK, MILLION, Candidate, Offer, encode, entry_of, offer_of
from streams.assignment.price import PriceBoard
from streams.assignment.relations import take_in
from streams.assignment.services import Service, shard_keys
from streams.assignment.standing import stand

__all__ = ["AssignmentPolicy", "assign", "companions", "needs"]

PRICE: Final = "price/"
WATERMARK: Final = "watermark"

PoolEvent = CustomerScored | CustomerStanding | AdvisorChanged | PoolChanged | ContactReported | RelationImported


def needs(batch: Batch, _policy: AssignmentPolicy) -> Needs:
    """The pools and customers that records name; what falls due brings its pool along."""
    keys = {WATERMARK}
    for record in batch.records():
        event = record.event
        if isinstance(event, PoolEvent):
            keys.update((POOL + event.pool, PRICE + event.pool, *shard_keys(event.pool)))
            if not isinstance(event, AdvisorChanged | PoolChanged):
                keys.add(CUSTOMER + event.customer_id)
            if isinstance(event, CustomerStanding) and event.into_customer_id is not None:
                keys.add(CUSTOMER + event.into_customer_id)
    return Needs(frozenset(keys), due_by_ms=batch.watermark_ms)


def companions(due_keys: Iterable[str]) -> frozenset[str]:
    """A pool that falls due is read together with its services."""
    return frozenset(shard for key in due_keys for shard in shard_keys(key.removeprefix(POOL)))


def assign(state: State, batch: Batch, policy: AssignmentPolicy) -> Decision:
    """Everything that follows from a batch."""
    assigner = _Assigner(state, batch.partition, policy)
    for run in batch.runs:
        for record in run.records:
            assigner.apply(record)
        assigner.pass_time(run.watermark_ms)
    return assigner.decision()


def is_control(experiment: str, customer_id: str, share: int) -> bool:
    """Whether the experiment withholds advisors from a customer: always the same answer. `share` is in millionths."""
    return hash64(f"{experiment}/{customer_id}") % MILLION < share


class _Assigner:
    """One batch being decided."""

    def __init__(self, state: State, partition: int, policy: AssignmentPolicy) -> None:
        self.state, self.partition, self.policy = state, partition, policy
        self.ledger = Ledger(state.values)
        self.desks: dict[str, Desk] = {}
        self.boards: dict[str, PriceBoard] = {}
        stood = state.values.get(WATERMARK)
        self.watermark_ms: int = 0 if stood is None else msgpack.decode(stood, type=int)

    # ---- state -----------------------------------------------------------------------------------------------------

    def desk(self, pool: str) -> Desk:
        if pool not in self.desks:
            self.desks[pool] = Desk(pool, self.state.values, self.policy, self.ledger)
        return self.desks[pool]

    def board(self, pool: str) -> PriceBoard:
        if pool not in self.boards:
            self.boards[pool] = PriceBoard(self.state.values.get(PRICE + pool), self.policy)
        return self.boards[pool]

    def _has_board(self, pool: str) -> bool:
        return pool in self.boards or PRICE + pool in self.state.values

    def decision(self) -> Decision:
        writes = [Write(WATERMARK, msgpack.encode(self.watermark_ms)), *self.ledger.writes()]
        for pool, desk in self.desks.items():
            writes += desk.writes()
            if pool in self.boards:
                writes.append(Write(PRICE + pool, self.boards[pool].encode()))
        return Decision(
            writes=tuple(sorted(writes, key=lambda write: write.key)),
            outputs=tuple(self.ledger.outputs),
            policy_version=self.policy.version,
            counts=dict(self.ledger.counts),
        )

    # ---- records ---------------------------------------------------------------------------------------------------

    def apply(self, record: Record) -> None:
        event = record.event
        if not isinstance(event, PoolEvent):
            raise TypeError(f"{record.where}: {type(event).__name__} does not belong here")
        cause, desk = self._scene(record, event)
        match event:
            case CustomerScored():
                self._look(cause, desk, event)
            case CustomerStanding():
                stand(cause, desk, event)
                if event.standing == "erased" and self._has_board(event.pool):
                    self.board(event.pool).forget(event.customer_id)
            case AdvisorChanged():
                self._enroll(cause, desk, event)
            case PoolChanged():
                desk.turn(cause, event.status)
            case ContactReported():
                self._hear(cause, desk, event, record)
            case RelationImported():
                take_in(cause, desk, event, record)
        desk.settle(cause)

    def _scene(self, record: Record, event: PoolEvent) -> tuple[Cause, Desk]:
        """The pool of an event, and the time it is there: the event's, but never before what was decided already."""
        desk = self.desk(event.pool)
        now_ms = max(event.occurred_at_ms, self.watermark_ms, desk.pool.clock_ms)
        return Cause(now_ms, partial(caused_by_record, record)), desk

    # ---- looks: rules, price, arm, advisor ---------------------------------------------------------------------------

    def _look(self, cause: Cause, desk: Desk, look: CustomerScored) -> None:
        held = desk.service_of(look.customer_id) or desk.queued_otherwise(look.customer_id)
        if refusal := self._refusal(cause, desk, look):
            self.ledger.counts[f"refused_{refusal}"] += 1
            desk.unqueue(cause, look.customer_id)
            if refusal == "control":  # their later looks tell what waiting brings, like those of who is served
                self._remember(cause, look)
        elif held is not None:
            desk.renew(cause, look.customer_id, held, look)
            self._remember(cause, look)
        elif (threshold := self._price(cause, desk, look)) >= self._remember(cause, look):
            self.ledger.counts["below_price"] += 1
            desk.unqueue(cause, look.customer_id)
        else:
            offer = offer_of(look, threshold, self.policy.propensity, self.policy.experiment)
            self._enter(cause, desk, look, offer)

    def _refusal(self, cause: Cause, desk: Desk, look: CustomerScored) -> str | None:
        """The rule that keeps a customer from being assigned by this look."""
        memory = self.ledger.memory(look.customer_id)
        if not self.policy.allows(look.consent):
            return "consent"
        if desk.is_elsewhere(look.customer_id):
            return "held_elsewhere"
        if memory.served_by:
            return None
        if look.is_vip and not self.policy.serve_vips:
            return "vip"
        if memory.never:
            return "never"
        if memory.withheld_in == self.policy.experiment:
            return "control"
        if cause.now_ms < memory.rest_until_ms:
            return "rest"
        return None if desk.pool.speaks(look.language) else "language"

    def _price(self, cause: Cause, desk: Desk, look: CustomerScored) -> float:
        """The threshold, as it is before this look."""
        board = self.board(look.pool)
        until_ms = board.plan_until(cause.now_ms)
        return board.threshold(desk.places_until(until_ms, cause.now_ms), until_ms, cause.now_ms)

    def _remember(self, cause: Cause, look: CustomerScored) -> float:
        """What the look is worth; it then enters the pool's recent ones."""
        board = self.board(look.pool)
        worth = board.worth(look)
        board.remember(look, worth, cause.now_ms)
        return worth

    def _enter(self, cause: Cause, desk: Desk, look: CustomerScored, offer: Offer) -> None:
        """An arm, and in the treatment arm an advisor."""
        customer_id = look.customer_id
        if is_control(self.policy.experiment, customer_id, self.policy.control_share):
            desk.unqueue(cause, customer_id)
            self.ledger.memory(customer_id).withheld_in = self.policy.experiment
            desk.withhold(cause, customer_id, look.language, offer)
            return
        candidate = Candidate(
            rank=BY_LOOK,
            score=self.policy.value_of(look),
            until_ms=cause.now_ms + self.policy.waiting_ms,
            language=look.language,
            offer=encode(offer),
            withheld_in=desk.withheld_in(customer_id),
        )
        desk.place(cause, customer_id, candidate, "look")

    # ---- the roster and contacts -------------------------------------------------------------------------------------

    def _enroll(self, cause: Cause, desk: Desk, entry: AdvisorChanged) -> None:
        known = desk.pool.advisors.get(entry.advisor_id)
        if known is not None or entry.status != "left":
            desk.enter(cause, entry.advisor_id, entry_of(entry, known))

    def _hear(self, cause: Cause, desk: Desk, report: ContactReported, record: Record) -> None:
        if desk.is_known(report.contact_id):
            self.ledger.counts["duplicates"] += 1
            return
        service = desk.service_of(report.customer_id)
        if service is None or not _fits(report, service):
            self.ledger.counts["rejected"] += 1
            self.ledger.outputs.append(Rejection(record, _misfit(report, service)))
            return
        desk.hear(cause, report.contact_id, report.customer_id, service)
        ending = ENDINGS.get(report.outcome)
        if ending is not None:
            desk.end(cause, report.customer_id, ending)
            desk.fill(cause, "reoffer" if ending in REOFFERED_AFTER else "waiting")

    # ---- time --------------------------------------------------------------------------------------------------------

    def pass_time(self, watermark_ms: int) -> None:
        """What falls due, in the order of time, ties by pool; each may make something else due."""
        for due_ms, key in self.state.due:
            if due_ms <= watermark_ms:
                self.desk(key.removeprefix(POOL))
        while due := min(self._due(watermark_ms), default=None):
            due_ms, pool = due
            desk = self.desks[pool]
            name = partial(self._name_after_time, POOL + pool, due_ms)
            desk.pass_time(Cause(max(due_ms, desk.pool.clock_ms), name))
        self.watermark_ms = max(self.watermark_ms, watermark_ms)

    def _due(self, watermark_ms: int) -> list[tuple[int, str]]:
        dues = ((desk.pool.due_ms(), pool) for pool, desk in self.desks.items())
        return [(due_ms, pool) for due_ms, pool in dues if due_ms is not None and due_ms <= watermark_ms]

    def _name_after_time(self, key: str, due_ms: int, kind: str, ordinal: int) -> str:
        return caused_by_time(self.partition, key, due_ms, f"{kind}/{ordinal}")


ENDINGS: Final[dict[str, Ending]] = {"declined": "declined", "ended": "ended_by_advisor"}


def _fits(report: ContactReported, service: Service) -> bool:
    return (report.assignment_id, report.advisor_id) == (service.assignment_id, service.advisor_id)


def _misfit(report: ContactReported, service: Service | None) -> Fault:
    """What is wrong with a report that fits no active assignment."""
    if service is not None and report.assignment_id == service.assignment_id:
        cure = "report as the advisor the assignment names; to move a customer, publish AssignmentWished"
        return Fault("unknown_assignment", "advisor_id", service.advisor_id, report.advisor_id, cure)
    expected = f"an active assignment of this customer in pool {report.pool}"
    cure = "report under the assignment_id of the last AdvisorAssigned, before AssignmentEnded"
    return Fault("unknown_assignment", "assignment_id", expected, report.assignment_id, cure)
