"""A pool at work within a batch: places given, waited for and taken back, and what is announced of it.

Who is to be served is decided in `assignment.py`. What holds here, whatever is asked: nobody has two places, no advisor has
more customers than their capacity or takes in more than their daily intake, and every place given or taken back is announced.
"""

from bisect import bisect_right, insort
from collections.abc import Iterator, Mapping
from typing import Final

from schemas.events import AdvisorAssigned, AssignmentEnded, AssignmentWithheld, CustomerScored
from schemas.ids import hash64
from schemas.records import Announcement, Write
from streams.assignment import notices
from streams.assignment.ledger import Ledger
from streams.assignment.notices import Cause, Ending, Why
from streams.assignment.policy import AssignmentPolicy
from streams.assignment.pools import (
    BY_LOOK,
    DAY_MS,
    MILLION,
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

RESTS_AFTER = ("service_ended", "declined", "ended_by_advisor")
REOFFERED_AFTER = ("declined", "not_contacted")


class Desk:
    def __init__(self, name: str, values: Mapping[str, bytes], policy: AssignmentPolicy, ledger: Ledger) -> None:
        self.name, self.policy, self.ledger = name, policy, ledger
        self.pool = decode_pool(values.get(POOL + name))
        self.services = Services(name, self.pool.services_due, values)
        self._touched = False
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

    def queued_otherwise(self, customer_id: str) -> Candidate | None:
        """Who waits for another reason than a look, so that no look sends them away."""
        queued = self.pool.waiting.get(customer_id)
        return queued if queued is not None and queued.rank != BY_LOOK else None

    def withheld_in(self, customer_id: str) -> str:
        """The experiment whose control arm somebody is in who is not served."""
        queued = self.pool.waiting.get(customer_id)
        return queued.withheld_in if queued else self.ledger.memory(customer_id).withheld_in

    def free_advisor(self, language: str | None, day: int, wanted: str | None = None) -> str | None:
        """The advisor to give a customer to: eligible, least loaded for their capacity, ties by id."""
        return min(
            (
                (self._fill(advisor_id, advisor), advisor_id)
                for advisor_id, advisor in self.pool.advisors.items()
                if self._is_free(advisor_id, advisor, day) and advisor.speaks(language) and wanted in (None, advisor_id)
            ),
            default=(0, None),
        )[1]

    def likely_advisor(self, language: str | None) -> str | None:
        """The advisor whose turn it would be if nobody were full."""
        active = [
            (self._fill(advisor_id, advisor), advisor_id)
            for advisor_id, advisor in self.pool.advisors.items()
            if advisor.status == "active" and advisor.speaks(language)
        ]
        return min(active)[1] if active else None

    def _is_free(self, advisor_id: str, advisor: Advisor, day: int) -> bool:
        has_room = self.pool.load(advisor_id) < advisor.capacity and advisor.intake_left(day) > 0
        return advisor.status == "active" and has_room

    def _fill(self, advisor_id: str, advisor: Advisor) -> int:
        return self.pool.load(advisor_id) * MILLION // max(1, advisor.capacity)

    def places_until(self, until_ms: int, now_ms: int) -> int:
        """Places free now or coming free by then, as far as daily intakes allow, less those that are waited for."""
        day, last_day = now_ms // DAY_MS, (until_ms - 1) // DAY_MS
        if (until_ms, day) not in self._places:
            places = sum(
                self._places_with(advisor_id, advisor, until_ms, day, last_day)
                for advisor_id, advisor in self.pool.advisors.items()
                if advisor.status == "active"
            )
            self._places[until_ms, day] = max(0, places - len(self.pool.waiting))
        return self._places[until_ms, day]

    def _places_with(self, advisor_id: str, advisor: Advisor, until_ms: int, day: int, last_day: int) -> int:
        ending = bisect_right(self.pool.ends.get(advisor_id, ()), until_ms)
        room = advisor.capacity - self.pool.load(advisor_id) + ending
        intake = advisor.intake_left(day) + advisor.daily_intake * max(0, last_day - day)
        return max(0, min(room, intake))

    # ---- places ----------------------------------------------------------------------------------------------------

    def place(self, cause: Cause, customer_id: str, candidate: Candidate, why: Why) -> None:
        """A place at once, or a place in the queue."""
        advisor_id = self.free_advisor(candidate.language, cause.day, candidate.wanted)
        if advisor_id is None:
            self._wait(cause, customer_id, candidate)
        else:
            self._serve(cause, customer_id, candidate, advisor_id, why)

    def _wait(self, cause: Cause, customer_id: str, candidate: Candidate) -> None:
        self._touch(cause)
        self.ledger.remember(customer_id, Memory())
        self.pool.waiting[customer_id] = candidate
        self.ledger.counts["waiting"] += 1
        if len(self.pool.waiting) > self.policy.waiting_limit:
            self.drop(cause, self.pool.in_order()[-1])

    def drop(self, cause: Cause, customer_id: str) -> None:
        """Out of the queue. Nobody was told of it, so there is nothing to take back."""
        self._touch(cause)
        candidate = self.pool.waiting.pop(customer_id)
        self.ledger.remember(customer_id, Memory(withheld_in=candidate.withheld_in))
        self.ledger.counts["waited_in_vain"] += 1

    def unqueue(self, cause: Cause, customer_id: str) -> None:
        """A look that once passed doesn't hold any more."""
        queued = self.pool.waiting.get(customer_id)
        if queued is not None and queued.rank == BY_LOOK:
            self.drop(cause, customer_id)

    def _serve(self, cause: Cause, customer_id: str, candidate: Candidate, advisor_id: str, why: Why) -> None:
        self._touch(cause)
        self.ledger.remember(customer_id, Memory(served_by=self.name))
        self.pool.waiting.pop(customer_id, None)
        self.pool.advisors[advisor_id].taken += 1
        service = Service(
            assignment_id=cause.id("assignment"),
            advisor_id=advisor_id,
            contact_by_ms=cause.now_ms + self.policy.contact_within_ms,
            service_until_ms=candidate.service_until_ms or cause.now_ms + self.policy.service_ms,
            language=candidate.language,
            offer=candidate.offer,
            withheld_in=candidate.withheld_in,
        )
        self.services.put(customer_id, service)
        insort(self.pool.ends.setdefault(advisor_id, []), service.service_until_ms)
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
        """Give what places are free to those who wait, the first in line first."""
        for customer_id in self.pool.in_order():
            candidate = self.pool.waiting[customer_id]
            advisor_id = self.free_advisor(candidate.language, cause.day, candidate.wanted)
            if advisor_id is not None and candidate.until_ms > cause.now_ms:
                self._serve(cause, customer_id, candidate, advisor_id, _why(candidate, why))

    # ---- the roster ------------------------------------------------------------------------------------------------

    def enter(self, cause: Cause, advisor_id: str, entry: Advisor) -> None:
        """An entry as it is from now on. Less capacity than customers: nobody has to go, nobody new comes."""
        self.pool.advisors[advisor_id] = entry
        self._touch(cause)
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

    # ---- reports and looks at those who are served ------------------------------------------------------------------

    def is_known(self, contact_id: str) -> bool:
        return hash64(contact_id) in self.pool.contacts

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
            held.score = look.score

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
        self.pool.clock_ms = cause.now_ms
        for advisor_id, advisor in list(self.pool.advisors.items()):
            if advisor.status == "left" and advisor.day < cause.day:
                del self.pool.advisors[advisor_id]
            advisor.roll(cause.day)

    # ---- announcements ---------------------------------------------------------------------------------------------

    def withhold(self, cause: Cause, customer_id: str, language: str | None, offer: Offer) -> None:
        """Say that the control arm keeps a place from a customer, with the advisor it would have been."""
        free = self.free_advisor(language, cause.day)
        would_be = free or self.likely_advisor(language)
        self._announce(notices.withheld(self.name, customer_id, offer, would_be, free, cause, self.policy))

    def _announce(self, event: AdvisorAssigned | AssignmentWithheld | AssignmentEnded) -> None:
        self.ledger.counts[type(event).__name__] += 1
        self.ledger.outputs.append(Announcement("assignments", event.customer_id, event))


def _why(candidate: Candidate, why: Why) -> Why:
    """Somebody in the queue for a reason of their own gets the place for that reason."""
    return ("manual", "reassigned", why)[candidate.rank]
