"""A customer's life: visits, orders, what comes back and what they agree to, until they are lost or forgotten.

A life is a few things to come (`_Coming`), the earliest first; `step` lets the next one happen and returns the events
of it. What happens at a step depends on (plan, number) and on the advisor at that time, on nothing else: not on other
customers, and not on how many steps others took.
"""

from heapq import heappop, heappush
from typing import NamedTuple

from schemas.events import ConsentChanged, ErasureRequested, Incoming, OrderPlaced
from streams.simulator.browsing import Browser, session
from streams.simulator.chance import Moment, count, draws, exponential
from streams.simulator.nature import Effect, Nature, clock_of, first_visit_ms, nature, wait_ms
from streams.simulator.plan import DAY_MS, ShopPlan
from streams.simulator.trading import order, parting_ms, returned

ORDER, SESSION, PARTING, CONSENT, WITHDRAWAL, ERASURE = range(6)
MOST_ORDERS, MOST_SESSIONS = 4_000, 20
DELIBERATION_DAYS = 6.0  # how long before an order its sessions lie, on average
PRIVACY_DAYS, MINUTE_MS = 365, 60_000

Said = tuple[str, Incoming]  # topic and event


class _Coming(NamedTuple):
    at_ms: int
    kind: int
    number: int  # of the order it belongs to
    part: int = 0


def customer_id_of(number: int) -> str:
    return f"C{number:08d}"


def number_of(customer_id: str) -> int | None:
    """The number of one of our customers; None for anybody else."""
    return int(customer_id[1:]) if customer_id[:1] == "C" and customer_id[1:].isdigit() else None


class Life:
    """`browse` False leaves browsing out, and changes nothing else."""

    __slots__ = ("_clock", "_coming", "_effect", "_lost", "_orders", "_placed", "_plan", "browse", "nature", "number")

    def __init__(self, plan: ShopPlan, number: int, *, browse: bool | None = None) -> None:
        self._plan, self.number = plan, number
        self.browse = plan.browse if browse is None else browse
        self.nature: Nature = nature(plan, number)
        self._clock = clock_of(plan, self.nature.market)
        self._effect = Effect()
        self._coming: list[_Coming] = []
        self._placed: dict[int, OrderPlaced] = {}  # orders that may come back
        self._lost = False
        self._orders = 0
        self._plan_order(0, first_visit_ms(plan, self.nature.market, number))

    @property
    def next_ms(self) -> int | None:
        """When something happens next; None when the life is over."""
        return self._coming[0].at_ms if self._coming else None

    @property
    def orders(self) -> int:
        return self._orders

    # ---- advisors --------------------------------------------------------------------------------------------------

    def advise(self, at_ms: int, effect: Effect) -> None:
        """From now on an advisor has this effect; `Effect()` ends it. What was to come comes sooner, or later."""
        faster = effect.speed / self._effect.speed
        self._effect = effect
        if faster == 1.0:
            return
        coming, self._coming = self._coming, []
        for item in coming:
            moved = item.kind in (ORDER, SESSION) and item.number > 0
            heappush(self._coming, item._replace(at_ms=self._sooner(at_ms, item.at_ms, faster)) if moved else item)

    def _sooner(self, now_ms: int, at_ms: int, faster: float) -> int:
        now, then = self._clock.adjusted(now_ms), self._clock.adjusted(at_ms)
        return max(now_ms, self._clock.moment(now + (then - now) / faster)) if then > now else at_ms

    # ---- what happens ----------------------------------------------------------------------------------------------

    def step(self) -> list[Said]:
        """The events of what happens next, none of them earlier than `next_ms` was."""
        at_ms, kind, number, part = heappop(self._coming)
        if kind == SESSION:
            return self._browse(at_ms, number, part)
        if kind == ORDER:
            return self._order(at_ms, number)
        if kind == PARTING:
            return self._part(at_ms, number, cancelled=part == 1)
        return self._decide(at_ms, kind)

    def _browse(self, at_ms: int, number: int, part: int) -> list[Said]:
        if not self.browse:
            return []
        draw = draws(self._plan.seed, Moment.SESSION, self.number, (number << 6) + part)
        is_elsewhere = (number > 0 or part > 0) and draw() < 0.25  # the first order is placed where most was looked at
        device = f"V{self.number:08d}{'b' if is_elsewhere else 'a'}"
        logged_in = number > 0 and draw() < 0.75
        browser = Browser(customer_id_of(self.number) if logged_in else None, device)
        line_minor = min(self.nature.spend_minor, self._plan.line_minor * 0.5 + 0.5 * self.nature.spend_minor)
        name = f"B{self.number:08d}-{number}.{part}"
        return [("browse", event) for event in session(self.nature, line_minor, browser, name, at_ms, draw)]

    def _order(self, at_ms: int, number: int) -> list[Said]:
        """The visit that ends in an order, and all that follows from it."""
        plan, customer_id = self._plan, customer_id_of(self.number)
        draw = draws(plan.seed, Moment.ORDER, self.number, number)
        looks = self._browse(at_ms, number, 0)
        at_ms += int((3 + 6 * exponential(draw)) * MINUTE_MS)
        said = [look for look in looks if look[1].occurred_at_ms < at_ms - MINUTE_MS]
        tied = draw() >= plan.untied
        visitor_id = f"V{self.number:08d}a" if tied and plan.browse else None
        if number == 0:
            said += self._agree(at_ms)
        order_id, spend = f"O{self.number:08d}-{number}", self._effect.spend
        placed = order(plan, self.nature, order_id, customer_id, visitor_id, at_ms, spend, draw)
        said.append(("orders", placed))
        self._orders += 1
        self._expect_parting(placed, number)
        self._expect_next(at_ms, number)
        return said

    def _expect_parting(self, placed: OrderPlaced, number: int) -> None:
        self._placed[number] = placed
        after_ms, cancelled = parting_ms(self._plan, draws(self._plan.seed, Moment.RETURN, self.number, 2 * number))
        heappush(self._coming, _Coming(placed.occurred_at_ms + after_ms, PARTING, number, int(cancelled)))

    def _expect_next(self, at_ms: int, number: int) -> None:
        """Lost, or the next order after a while."""
        wait, chance = wait_ms(self._plan, self.number, number, DAY_MS / self.nature.rate)
        if chance < self.nature.dropout or number + 1 >= MOST_ORDERS:
            self._lost = True
            self._linger(at_ms, number + 1)
        else:
            self._plan_order(number + 1, self._clock.later(at_ms, wait / self._effect.speed), after_ms=at_ms)

    def _plan_order(self, number: int, at_ms: int, after_ms: int | None = None) -> None:
        """An order and the sessions before it. The first of all waits for its sessions, since the first visit begins a life."""
        draw = draws(self._plan.seed, Moment.SESSION, self.number, (number << 6) + 63)
        shown = max(-2.5, min(2.5, self.nature.shown))
        sessions = min(MOST_SESSIONS, count(draw, self._plan.sessions * 2.0 ** (0.6 * shown)))
        waits = sorted((exponential(draw) * DELIBERATION_DAYS * DAY_MS for _ in range(sessions)), reverse=True)
        if after_ms is None:  # the first order: the sessions lie where it was waited for
            begin = self._clock.adjusted(at_ms)
            lead = waits[0] if waits else 0.0
            at_ms = self._clock.moment(begin + lead)
        reached = self._clock.adjusted(at_ms)
        for part, wait in enumerate(waits, start=1):
            when_ms = self._clock.moment(reached - wait)
            if after_ms is None or when_ms > after_ms + 3_600_000:
                heappush(self._coming, _Coming(when_ms, SESSION, number, part))
        heappush(self._coming, _Coming(at_ms, ORDER, number))

    def _linger(self, at_ms: int, number: int) -> None:
        """Who is lost still looks around for a while: nobody can tell that they are."""
        draw = draws(self._plan.seed, Moment.SESSION, self.number, (number << 6) + 62)
        for part in range(1, 1 + min(MOST_SESSIONS, count(draw, self._plan.sessions * 0.6))):
            wait = (0.2 + exponential(draw)) * 2 * DELIBERATION_DAYS * DAY_MS
            heappush(self._coming, _Coming(self._clock.later(at_ms, wait), SESSION, number, part))

    def _part(self, at_ms: int, number: int, *, cancelled: bool) -> list[Said]:
        placed = self._placed.pop(number)
        draw = draws(self._plan.seed, Moment.RETURN, self.number, 2 * number + 1)
        back = returned(
            self._plan, self.nature, placed, f"R{self.number:08d}-{number}", at_ms, self._effect.returns, number, draw,
            cancelled=cancelled,
        )  # fmt: skip
        return [("returns", back)] if back else []

    # ---- what they agree to ------------------------------------------------------------------------------------------

    def _agree(self, at_ms: int) -> list[Said]:
        """At the first order: consent or not, and what will be thought of it later."""
        plan = self._plan
        draw = draws(plan.seed, Moment.PRIVACY, self.number)
        grants, later, withdraws, forgets = draw() < plan.consent, draw() < 0.5, draw(), draw()
        if not grants and later:
            heappush(self._coming, _Coming(at_ms + int((1 + 40 * exponential(draw)) * DAY_MS), CONSENT, 0))
        if grants and withdraws < plan.withdrawn:
            heappush(self._coming, _Coming(at_ms + int(draw() * PRIVACY_DAYS * DAY_MS) + 60_000, WITHDRAWAL, 0))
        if forgets < plan.erased:
            heappush(self._coming, _Coming(at_ms + int(draw() * PRIVACY_DAYS * DAY_MS) + 60_000, ERASURE, 0))
        granted = ConsentChanged(customer_id=customer_id_of(self.number), occurred_at_ms=at_ms - 20_000, granted=True)
        return [("privacy", granted)] if grants else []

    def _decide(self, at_ms: int, kind: int) -> list[Said]:
        customer_id = customer_id_of(self.number)
        if kind == ERASURE:
            self._coming.clear()
            self._placed.clear()
            self._lost = True
            return [("privacy", ErasureRequested(customer_id=customer_id, occurred_at_ms=at_ms))]
        if kind == CONSENT and self._lost:
            return []
        return [("privacy", ConsentChanged(customer_id=customer_id, occurred_at_ms=at_ms, granted=kind == CONSENT))]
