"""A pool at work within a batch: places given, waited for and taken back, and what is announced of it.

Who is to be served is decided in `assigner.py`. What holds here, whatever is asked: nobody has two places, no advisor is given
more customers than their capacity or their daily intake allow, and every place given or taken back is announced. What is a fact
already (`begin`) is taken as it is, even beyond capacity; then there is no place to give until there is room again.
"""

from bisect import insort
from collections.abc import Iterator, Mapping
from typing import Final, Literal

from schemas.events import AdvisorAssigned, AssignmentEnded, AssignmentWithheld, CustomerScored
from schemas.ids import hash64
from schemas.records import Announcement, Retraction, Write
from streams.assignment import notices
from streams.assignment.ledger import Ledger
from streams.assignment.notices import Cause, Ending, Why
from streams.assignment.places import free_advisor, likely_advisor, places_until
from streams.assignment.policy import AssignmentPolicy
from streams.assignment.pools import (
    BY_LOOK,
    BY_WISH,
    DAY_MS,
    MOVED,
    Advisor,
    Candidate,
    Memory,
    Offer,
    decode_offer,
    decode_pool,
    encode,
    renewed,
)
from streams.assignment.services import Service, Services

POOL: Final = "pool/"
ALL, CURRENT = "assignments", "current-assignments"  # topics: what was decided, and what of it holds
NEVER: Final = 1 << 62

RESTS_AFTER = ("service_ended", "declined", "ended_by_advisor")
REOFFERED_AFTER = ("declined", "not_contacted")


class Desk:
    def __init__(self, name: str, values: Mapping[str, bytes], policy: AssignmentPolicy, ledger: Ledger) -> None:
        self.name, self.policy, self.ledger = name, policy, ledger
        self.pool = decode_pool(values.get(POOL + name))
        self.services = Services(name, self.pool.services_due, values)
        self._touched = False
        self._has_opened = False  # a place, while somebody waits, since the pool was filled last
        self._places: dict[tuple[int, int], int] = {}

    def writes(self) -> Iterator[Write]:
        if self._touched:
            yield Write(POOL + self.name, encode(self.pool), self.pool.due_ms())
            yield from self.services.writes()

    # ---- questions -------------------------------------------------------------------------------------------------

    def service_of(self, customer_id: str) -> Service | None:
        """The service of a customer whom the batch names."""
        is_here = self.ledger.memory(customer_id).served_by == self.name
        return self.services[customer_id] if is_here else None

    def is_elsewhere(self, customer_id: str) -> bool:
        """Whether another pool of this partition serves them, or lets them wait: as after a market was moved."""
        return self.ledger.memory(customer_id).held_by not in ("", self.name)

    def queued_otherwise(self, customer_id: str) -> Candidate | None:
        """Who waits for another reason than a look, so that no look sends them away."""
        queued = self.pool.waiting.get(customer_id)
        return queued if queued is not None and queued.rank != BY_LOOK else None

    def withheld_in(self, customer_id: str) -> str:
        """The experiment whose control arm somebody is in who is not served."""
        queued = self.pool.waiting.get(customer_id)
        return queued.withheld_in if queued else self.ledger.memory(customer_id).withheld_in

    def free_advisor(self, cause: Cause, language: str | None, wanted: str | None = None) -> str | None:
        return free_advisor(self.pool, cause.now_ms, language, wanted)

    def places_until(self, until_ms: int, now_ms: int) -> int:
        """Places that can be given until then. By the day, so that it is asked anew only when something changes."""
        day = now_ms // DAY_MS
        if (until_ms, day) not in self._places:
            self._places[until_ms, day] = places_until(self.pool, until_ms, day)
        return self._places[until_ms, day]

    # ---- places ----------------------------------------------------------------------------------------------------

    def place(self, cause: Cause, customer_id: str, candidate: Candidate, why: Why) -> None:
        """A place at once, or a place in the queue."""
        self._touch(cause)
        advisor_id = self._turn_of(cause, candidate)
        if advisor_id is None or self._has_opened:  # whoever waited for what has opened comes before
            self._wait(cause, customer_id, candidate)
        else:
            self._serve(cause, customer_id, candidate, advisor_id, why)

    def _turn_of(self, cause: Cause, candidate: Candidate) -> str | None:
        """The advisor they can have now. A paused pool gives places by a person's wish alone."""
        if self.pool.status == "paused" and candidate.rank != BY_WISH:
            return None
        return self.free_advisor(cause, candidate.language, candidate.wanted)

    def _wait(self, cause: Cause, customer_id: str, candidate: Candidate) -> None:
        self.queue(cause, customer_id, candidate)
        self.ledger.counts["waiting"] += 1
        if not self._has_opened:  # else those whose turn it is are served first
            self._shorten(cause)

    def _shorten(self, cause: Cause) -> None:
        """No more wait than the limit allows; the last in line give up."""
        if len(self.pool.waiting) > self.policy.waiting_limit:
            for customer_id in self.pool.in_order()[self.policy.waiting_limit :]:
                self.drop(cause, customer_id)

    def queue(self, cause: Cause, customer_id: str, candidate: Candidate) -> None:
        """A place in the queue, or another one."""
        self._touch(cause)
        before = self.pool.waiting.get(customer_id) or self.ledger.memory(customer_id)
        candidate.rest_until_ms = max(candidate.rest_until_ms, before.rest_until_ms)
        self.ledger.remember(customer_id, Memory(waits_in=self.name))
        self.pool.waiting[customer_id] = candidate

    def leave(self, cause: Cause, customer_id: str) -> Candidate:
        """Out of the queue. Nobody was told of it, so there is nothing to take back."""
        self._touch(cause)
        candidate = self.pool.waiting.pop(customer_id)
        memory = Memory(withheld_in=candidate.withheld_in, rest_until_ms=candidate.rest_until_ms)
        self.ledger.remember(customer_id, memory)
        return candidate

    def drop(self, cause: Cause, customer_id: str) -> None:
        self.leave(cause, customer_id)
        self.ledger.counts["waited_in_vain"] += 1

    def unqueue(self, cause: Cause, customer_id: str) -> None:
        """A look that once passed doesn't hold any more."""
        queued = self.pool.waiting.get(customer_id)
        if queued is not None and queued.rank == BY_LOOK:
            self.drop(cause, customer_id)

    def _serve(self, cause: Cause, customer_id: str, candidate: Candidate, advisor_id: str, why: Why) -> None:
        service = Service(
            assignment_id=cause.id("assignment"),
            advisor_id=advisor_id,
            contact_by_ms=cause.now_ms + self.policy.contact_within_ms,
            service_until_ms=candidate.service_until_ms or cause.now_ms + self.policy.service_ms,
            language=candidate.language,
            offer=candidate.offer,
            withheld_in=candidate.withheld_in,
        )
        self.begin(cause, customer_id, service, why)
        self.pool.advisors[advisor_id].taken += 1

    def begin(self, cause: Cause, customer_id: str, service: Service, why: Why) -> None:
        """A service from now on, without asking for room."""
        self._touch(cause)
        self.ledger.remember(customer_id, Memory(served_by=self.name))
        self.pool.waiting.pop(customer_id, None)
        self.services.put(customer_id, service)
        insort(self.pool.ends.setdefault(service.advisor_id, []), service.service_until_ms)
        self._announce(notices.assigned(self.name, customer_id, service, why, cause, self.policy))

    def end(self, cause: Cause, customer_id: str, reason: Ending) -> Service:
        """The place comes back. Whoever calls this decides who gets it: see `fill`."""
        self._touch(cause)
        service = self.services.pop(customer_id)
        ends = self.pool.ends[service.advisor_id]
        ends.remove(service.service_until_ms)
        if not ends:
            del self.pool.ends[service.advisor_id]
        rest_until_ms = cause.now_ms + self.policy.rest_ms if reason in RESTS_AFTER else 0
        self.ledger.remember(customer_id, Memory(withheld_in=service.withheld_in, rest_until_ms=rest_until_ms))
        self._announce(notices.ended(self.name, customer_id, service, reason, cause))
        return service

    def fill(self, cause: Cause, why: Why = "waiting") -> None:
        """Give what places are free to those who wait, the first in line first; then the queue is as short as it must be."""
        self._has_opened = False
        for customer_id in self.pool.in_order():
            candidate = self.pool.waiting[customer_id]
            advisor_id = self._turn_of(cause, candidate)
            if advisor_id is not None and candidate.until_ms > cause.now_ms:
                self._serve(cause, customer_id, candidate, advisor_id, _why(candidate, why))
        self._shorten(cause)

    def settle(self, cause: Cause) -> None:
        """Places that opened because time went on (a day began, an absence ended) go to those who waited for them."""
        if self._has_opened:
            self.fill(cause)

    def catch_up(self, cause: Cause) -> None:
        """The same at once, before a question is asked whose answer depends on it."""
        self._touch(cause)
        self.settle(cause)

    # ---- the pool and its roster -----------------------------------------------------------------------------------

    def turn(self, cause: Cause, status: Literal["assigning", "paused"]) -> None:
        """Pause, or go on: then those who wait are served."""
        if status != self.pool.status:
            self._touch(cause)
            self.pool.status = status
            self.fill(cause)

    def enter(self, cause: Cause, advisor_id: str, entry: Advisor) -> None:
        """An entry as it is from now on. Less capacity than customers: nobody has to go, nobody new comes."""
        self._touch(cause)
        entry.roll(cause.day)
        self.pool.advisors[advisor_id] = entry
        if entry.status == "left":
            self._reassign(cause, advisor_id)
        self.fill(cause)

    def _reassign(self, cause: Cause, advisor_id: str) -> None:
        """Customers of an advisor who left go on with others, the most promising first, or wait."""
        services = self.services.of(advisor_id)
        offers = {customer_id: decode_offer(service.offer) for customer_id, service in services.items()}
        for customer_id in sorted(services, key=lambda c: (-offers[c].score, c)):
            self.end(cause, customer_id, "advisor_left")
            self._move(cause, customer_id, services[customer_id], offers[customer_id])

    def _move(self, cause: Cause, customer_id: str, service: Service, offer: Offer) -> None:
        """What is left of a service goes on with another advisor."""
        if service.service_until_ms <= cause.now_ms:
            return
        candidate = Candidate(
            rank=MOVED,
            score=offer.score,
            until_ms=min(cause.now_ms + self.policy.waiting_ms, service.service_until_ms),
            language=service.language,
            offer=service.offer,
            service_until_ms=service.service_until_ms,
            withheld_in=service.withheld_in,
        )
        self.place(cause, customer_id, candidate, "reassigned")

    # ---- reports, relations, and looks at those who are served --------------------------------------------------------

    def is_known(self, contact_id: str) -> bool:
        return hash64(contact_id) in self.pool.contacts

    def knows_relation(self, relation_id: str) -> bool:
        return hash64(relation_id) in self.pool.relations

    def note_relation(self, relation_id: str) -> None:
        self.pool.relations = [*self.pool.relations, hash64(relation_id)][-self.policy.contacts_kept :]

    def hear(self, cause: Cause, contact_id: str, customer_id: str, service: Service) -> None:
        """Contact was made."""
        self._touch(cause)
        self.pool.contacts = [*self.pool.contacts, hash64(contact_id)][-self.policy.contacts_kept :]
        service.contact_by_ms = 0
        self.services.put(customer_id, service)

    def renew(self, cause: Cause, customer_id: str, held: Service | Candidate, look: CustomerScored) -> None:
        """Somebody who is served or waits was looked at again: that is what a next advisor will be told."""
        self._touch(cause)
        held.offer = encode(renewed(decode_offer(held.offer), look))
        if isinstance(held, Service):
            self.services.put(customer_id, held)
        else:
            held.score = self.policy.value_of(look)

    # ---- time ------------------------------------------------------------------------------------------------------

    def pass_time(self, cause: Cause) -> None:
        """Everything that has ended by now, in the order of time, ties by customer; then those who wait."""
        self._touch(cause)
        overdue = False
        for customer_id in self.services.due_by(cause.now_ms):
            over = self.services[customer_id].service_until_ms <= cause.now_ms
            overdue |= not over
            self.end(cause, customer_id, "service_ended" if over else "not_contacted")
        for customer_id in self.pool.in_order():
            if self.pool.waiting[customer_id].until_ms <= cause.now_ms:
                self.drop(cause, customer_id)
        self.fill(cause, "reoffer" if overdue else "waiting")

    def _touch(self, cause: Cause) -> None:
        """Something changes at this time; a new day may begin with it.

        Whoever left is forgotten the day after: until then, coming back gives them no second intake.
        """
        self._touched = True
        self._places.clear()
        if cause.now_ms == self.pool.clock_ms:
            return
        self._has_opened |= min(self.pool.openings(), default=NEVER) <= cause.now_ms
        self.pool.clock_ms = cause.now_ms
        for advisor_id, advisor in list(self.pool.advisors.items()):
            if advisor.status == "left" and advisor.day < cause.day:
                del self.pool.advisors[advisor_id]
            advisor.roll(cause.day)

    # ---- announcements ---------------------------------------------------------------------------------------------

    def withhold(self, cause: Cause, customer_id: str, language: str | None, offer: Offer) -> None:
        """Say that the control arm keeps a place from a customer, with the advisor it would have been."""
        free = None if self.pool.status == "paused" else self.free_advisor(cause, language)
        would_be = free or likely_advisor(self.pool, cause.now_ms, language)
        self._announce(notices.withheld(self.name, customer_id, offer, would_be, free, cause, self.policy))

    def _announce(self, event: AdvisorAssigned | AssignmentWithheld | AssignmentEnded) -> None:
        self.ledger.counts[type(event).__name__] += 1
        self.ledger.outputs.append(Announcement(ALL, event.customer_id, event))
        if isinstance(event, AdvisorAssigned):
            self.ledger.outputs.append(Announcement(CURRENT, event.customer_id, event))
        elif isinstance(event, AssignmentEnded):
            self.ledger.outputs.append(Retraction(CURRENT, event.customer_id, event.id))


def _why(candidate: Candidate, why: Why) -> Why:
    """Somebody in the queue for a reason of their own gets the place for that reason."""
    return ("manual", "reassigned", why)[candidate.rank]
