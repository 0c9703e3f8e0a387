"""From the steps of lives to rows that can be put into one order, and what goes wrong on the way."""

from math import log1p
from typing import Protocol

from schemas.events import Incoming
from streams.simulator.advisors import changes, roster
from streams.simulator.chance import Moment, draws, exponential
from streams.simulator.company import MOST, company
from streams.simulator.customer import Life, Said
from streams.simulator.nature import begins_ms
from streams.simulator.plan import ShopPlan
from streams.simulator.trouble import TWICE, Malformed, malformed

# When, whose, which in a row, topic, what. The first three are unique.
Row = tuple[int, int, int, str, Incoming | Malformed]


class Source(Protocol):
    """A life, or a companion's."""

    @property
    def next_ms(self) -> int | None: ...

    def step(self) -> list[Said]: ...


class Teller:
    """Tells what happens to somebody. `origin` is theirs alone."""

    __slots__ = ("_number", "_plan", "_troubles", "_until_trouble", "origin", "source")

    def __init__(self, plan: ShopPlan, origin: int, source: Source) -> None:
        self._plan, self.origin, self.source = plan, origin, source
        self._number, self._troubles, self._until_trouble = 0, 0, -1
        if plan.trouble > 0.0:
            self._await_trouble()

    @property
    def next_ms(self) -> int | None:
        """When there is more to tell; None if there never will be, within the plan."""
        at_ms = self.source.next_ms
        return at_ms if at_ms is not None and at_ms < self._plan.until_ms else None

    def tell(self) -> list[Row]:
        """What happens next, in order of time."""
        rows: list[Row] = []
        until_ms = self._plan.until_ms
        for topic, event in self.source.step():
            if event.occurred_at_ms < until_ms:
                self._add(rows, topic, event)
                if self._until_trouble >= 0 and topic != "privacy":
                    self._go_wrong(rows, topic, event)
        return rows

    def _add(self, rows: list[Row], topic: str, what: Incoming | Malformed) -> None:
        self._number += 1
        at_ms = what.at_ms if isinstance(what, Malformed) else what.occurred_at_ms
        rows.append((at_ms, self.origin, self._number, topic, what))

    def _go_wrong(self, rows: list[Row], topic: str, event: Incoming) -> None:
        if self._until_trouble > 0:
            self._until_trouble -= 1
            return
        draw = draws(self._plan.seed, Moment.TROUBLE, self.origin, 2 * self._troubles)
        self._add(rows, topic, event if draw() < TWICE else malformed(topic, event, draw))
        self._await_trouble()

    def _await_trouble(self) -> None:
        """How many events go well before the next that does not."""
        self._troubles += 1
        draw = draws(self._plan.seed, Moment.TROUBLE, self.origin, 2 * self._troubles - 1)
        share = self._plan.trouble
        self._until_trouble = int(exponential(draw) / -log1p(-share)) if share < 1.0 else 0


def staff(plan: ShopPlan) -> list[Row]:
    """The roster at the beginning, and what becomes of it: origin 0, in order."""
    events = [*roster(plan), *changes(plan)]
    return [
        (event.occurred_at_ms, 0, number, "roster", event)
        for number, event in enumerate(events)
        if event.occurred_at_ms < plan.until_ms
    ]


def slot(plan: ShopPlan, number: int) -> list[Teller]:
    """A customer, and whoever comes along. Origins grow with the number of the slot."""
    sources: list[Source] = [Life(plan, number), *company(plan, number, begins_ms(plan, number))]
    first = (number + 1) * (MOST + 1)
    return [Teller(plan, first + place, source) for place, source in enumerate(sources)]
