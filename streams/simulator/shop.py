"""The shop at work: all lives at once, in order of time, and what the assigner decides changes them.

A few are alive at a time: a customer is made when their time comes and given up when nothing more will come of them.
What happens is the same, to the byte, as when the customers are made block by block (`runs.py`), unless somebody is
advised.
"""

from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import NamedTuple

from schemas.events import AdvisorAssigned, AdvisorChanged, AssignmentEnded, Incoming
from streams.simulator.advisors import Contact, contact, roster
from streams.simulator.customer import Life, number_of
from streams.simulator.nature import Effect, begins_ms, nature
from streams.simulator.plan import ShopPlan
from streams.simulator.telling import Teller, slot, staff
from streams.simulator.trouble import Malformed
from streams.simulator.truth import Truth, truth

Item = tuple[str, Incoming] | Malformed


class _Turn(NamedTuple):
    """Somebody to whom something happens at this time, if nothing has moved it."""

    at_ms: int
    origin: int


class _Change(NamedTuple):
    """An advisor gets in touch with a customer, or an assignment ends."""

    at_ms: int
    order: int  # in which it was heard of
    number: int  # the customer's
    assignment_id: str
    contact: Contact | None  # None: it ends


class Shop:
    """`assigned` and `ended` may be called at any time, from any thread; `events` takes them in before it goes on."""

    def __init__(self, plan: ShopPlan) -> None:
        self.plan = plan
        self.now_ms = plan.from_ms  # the time that the events have reached
        self._news: deque[AdvisorAssigned | AssignmentEnded] = deque()
        self._rows = staff(plan)
        self._first_report = len(self._rows)
        self._alive: dict[int, Teller] = {}  # by origin
        self._customers: dict[int, Teller] = {}  # those of them who are customers, by number
        self._turns: list[_Turn] = []
        self._changes: list[_Change] = []
        self._heard = 0  # changes, so far
        self._awaited: set[str] = set()  # assignments whose contact is yet to come
        self._served: dict[int, str] = {}  # the assignment whose effect is at work, by customer
        self._number = 0  # of the next slot
        self._begins_ms = begins_ms(plan, 0) if plan.customers else plan.until_ms

    @property
    def alive(self) -> int:
        """How many customers, visitors, guests and bots something will yet happen to."""
        return len(self._alive)

    # ---- what the world reads ----------------------------------------------------------------------------------------

    def roster(self) -> list[tuple[str, AdvisorChanged]]:
        """The advisors at the beginning. `events` has them too."""
        return [("roster", event) for event in roster(self.plan)]

    def events(self) -> Iterator[Item]:
        """Everything that happens, in order of time. It ends with the plan."""
        while self._advance():
            at_ms, _, _, topic, what = heappop(self._rows)
            self.now_ms = max(self.now_ms, at_ms)
            yield what if isinstance(what, Malformed) else (topic, what)

    def truth(self, customer_id: str) -> Truth:
        """What nobody can know of a customer. Raises `KeyError` for one who is not ours."""
        number = number_of(customer_id)
        if number is None or number >= self.plan.customers:
            raise KeyError(f"{customer_id}: expected C00000000 to C{self.plan.customers - 1:08d}")
        return truth(self.plan, number)

    # ---- what the assigner decides ------------------------------------------------------------------------------------

    def assigned(self, event: AdvisorAssigned) -> None:
        """An advisor gets to know of a customer: unless they overlook it, they will be in touch."""
        self._news.append(event)

    def ended(self, event: AssignmentEnded) -> None:
        """A service is over, and its effect with it."""
        self._news.append(event)

    # ---- time --------------------------------------------------------------------------------------------------------

    def _advance(self) -> bool:
        """Let all happen that comes before the next row; whether there is one."""
        while True:
            while self._news:
                self._hear(self._news.popleft())
            due_ms = self._rows[0][0] if self._rows else self.plan.until_ms
            turn_ms = self._turns[0].at_ms if self._turns else self.plan.until_ms
            change_ms = self._changes[0].at_ms if self._changes else self.plan.until_ms
            if (next_ms := min(self._begins_ms, turn_ms, change_ms)) > due_ms or next_ms >= self.plan.until_ms:
                return bool(self._rows)
            if self._begins_ms == next_ms:
                self._begin()
            elif change_ms == next_ms:
                self._change(heappop(self._changes))
            else:
                self._happen(heappop(self._turns))

    def _begin(self) -> None:
        """The next customer's time has come, and that of those who come along."""
        number = self._number
        for teller in slot(self.plan, number):
            self._alive[teller.origin] = teller
            if isinstance(teller.source, Life):
                self._customers[number] = teller
            self._expect(teller)
        self._number += 1
        more = self._number < self.plan.customers
        self._begins_ms = begins_ms(self.plan, self._number) if more else self.plan.until_ms

    def _happen(self, turn: _Turn) -> None:
        teller = self._alive.get(turn.origin)
        if teller is None or teller.next_ms != turn.at_ms:
            return  # it was moved, and has another turn
        for row in teller.tell():
            heappush(self._rows, row)
        self._expect(teller)

    def _expect(self, teller: Teller) -> None:
        """Their next turn; whoever has none is given up."""
        if (at_ms := teller.next_ms) is not None:
            heappush(self._turns, _Turn(at_ms, teller.origin))
            return
        del self._alive[teller.origin]
        if isinstance(teller.source, Life):
            del self._customers[teller.source.number]

    # ---- advisors ----------------------------------------------------------------------------------------------------

    def _hear(self, news: AdvisorAssigned | AssignmentEnded) -> None:
        number = number_of(news.customer_id)
        if number is None or number >= self.plan.customers:
            return
        at_ms = max(news.occurred_at_ms, self.now_ms)
        if isinstance(news, AssignmentEnded):
            self._plan_change(at_ms, number, news.assignment_id, None)
            return
        made = contact(self.plan, nature(self.plan, number), number, news, at_ms)
        if made is not None:
            self._awaited.add(news.assignment_id)
            self._plan_change(made.event.occurred_at_ms, number, news.assignment_id, made)

    def _plan_change(self, at_ms: int, number: int, assignment_id: str, made: Contact | None) -> None:
        self._heard += 1
        heappush(self._changes, _Change(at_ms, self._heard, number, assignment_id, made))

    def _change(self, change: _Change) -> None:
        """A contact is made if the assignment still stands then; an effect ends with the service that brought it."""
        if change.contact is None:
            self._awaited.discard(change.assignment_id)
            if self._served.get(change.number) == change.assignment_id:
                del self._served[change.number]
                self._advise(change, Effect())
        elif change.assignment_id in self._awaited:
            self._awaited.discard(change.assignment_id)
            heappush(self._rows, (change.at_ms, 0, self._first_report + change.order, "contacts", change.contact.event))
            if change.contact.effect is not None:
                self._served[change.number] = change.assignment_id
                self._advise(change, change.contact.effect)

    def _advise(self, change: _Change, effect: Effect) -> None:
        """Who was given up already has nothing left that an advisor could change."""
        teller = self._customers.get(change.number)
        if teller is None or not isinstance(teller.source, Life):
            return
        before_ms = teller.next_ms
        teller.source.advise(change.at_ms, effect)
        if teller.next_ms != before_ms:
            self._expect(teller)
