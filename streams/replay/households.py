"""One household's events through the core, alone: the same decisions as the worker takes, as moments.

A household is a customer, or all accounts that are merged at some time. What one account sends to another is applied at once.
Customers know nothing of each other, so households may be folded in any order, in any process.

Time: before an event at t all happens that is due before t; events of one time are applied in their order; at the end comes
what is due by the last event of the whole log. The model is a stand-in that writes down what it is asked: scores come later.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Final

from msgspec import field
from msgspec.structs import replace

from features.profile import Profile, Visitor, encode, fold_browsing, order_amounts, refund_minor, repetitions
from features.vector import NEUTRAL, Basket, basket_of
from online_models.model import Model, Scored
from schemas.events import (
    CustomerScored,
    CustomerStanding,
    Event,
    EventForwarded,
    ExampleReady,
    ItemsReturned,
    OrderPlaced,
    PageBrowsed,
    ProfileMoved,
    TierChanged,
)
from schemas.ids import caused_by_time, partition_of
from schemas.records import Batch, Fault, Record, State
from streams import engine
from streams.replay.moments import LookMoment, Moment, OutcomeMoment, StandingMoment, TierMoment
from streams.replay.shards import BROWSED, DECODERS, ORDERED, TOPIC_ORDER, LogRow
from streams.replay.spending import Spending, spending
from streams.scoring.accounts import arrived
from streams.scoring.deciding import Deciding
from streams.scoring.due import pass_time
from streams.scoring.looks import Look
from streams.scoring.policy import Policy

UNSCORED: Final = Scored(0.0, 0.0, ())


class Recorder(Model, frozen=True):
    """A model that scores nothing and remembers the vector it was last asked about."""

    asked: list[tuple[float, ...]] = field(default_factory=list)

    def score(self, look: str, vector: "tuple[float, ...]", reasons: int = 5) -> Scored:  # type: ignore[override]  # noqa: ARG002
        self.asked[:] = (vector,)
        return UNSCORED


def recorder() -> Recorder:
    return Recorder(version="", linears={}, reference=NEUTRAL, asked=[])


class Household(Deciding):
    """Folds one household. What the core announces becomes moments, or goes back to the household itself."""

    def __init__(self, policy: Policy, partitions: int, on_moment: Callable[[Moment], None]) -> None:
        """`policy` is `undivided`; ids are those that so many `partitions` would give."""
        self._partitions, self._on_moment, self._recorder = partitions, on_moment, recorder()
        super().__init__(State({}), Batch(0, 0, ()), self._recorder, policy)
        self._at_ms = self._number = 0
        self._last = 0, 0, 0  # topic, partition and offset of the last event
        self._basket = Basket()
        self._browser: Profile | Visitor | None = None
        self._steps: list[PageBrowsed] = []
        self._sent: deque[ProfileMoved | EventForwarded] = deque()
        self._examples: list[ExampleReady] = []
        self._spent: dict[str, list[tuple[int, int]]] = {}
        self._bought: set[str] = set()  # orders and SKUs

    # ---- what is given ---------------------------------------------------------------------------------------------

    def fold(self, rows: Iterable[LogRow]) -> None:
        """Events in their order. Steps of browsing are counted when somebody asks: many at once."""
        working = self.working
        for at_ms, topic, partition, offset, kind, payload, visitor in rows:
            if working.may_be_due(at_ms - 1):
                self.pass_time(at_ms - 1)
            self._last = topic, partition, offset
            event = DECODERS[kind](payload)
            if kind == BROWSED and self._put_by(event):
                continue
            if self._steps:
                self._count_steps()
            if kind == ORDERED and event.visitor_id is not None:
                working.show_visitor(event.visitor_id, visitor)
            self._at_ms = at_ms
            record = Record(TOPIC_ORDER[topic], partition, offset, at_ms, None, None, (), event)
            engine.apply(self, record)
            if self._sent:
                self._apply_sent(record)

    @property
    def where(self) -> str:
        """Where the event stands that was taken last."""
        topic, partition, offset = self._last
        return f"{TOPIC_ORDER[topic]}[{partition}]@{offset}"

    def _put_by(self, event: PageBrowsed) -> bool:
        """Whether this is a step of somebody known already, which only counts; it is kept until somebody asks."""
        who = self.working.browser(event)
        if who is None or (event.currency is not None and not self.policy.rates.knows(event.currency)):
            return False
        if who is not self._browser:
            self._count_steps()
            self._browser = who
        self._steps.append(event)
        return True

    def _count_steps(self) -> None:
        if self._steps:
            assert self._browser is not None
            self.counts["duplicates"] += fold_browsing(self._browser, self._steps, self.policy.rates)
            self._steps, self._browser = [], None

    def end(self, at_ms: int) -> None:
        """What is due by the end of the log. Steps after which nobody asks any more need not be counted."""
        if self.working.may_be_due(at_ms):
            self.pass_time(at_ms)
        if self._steps:
            assert self._browser is not None
            self.counts["duplicates"] += repetitions(self._browser, self._steps)

    def _apply_sent(self, record: Record) -> None:
        """What accounts send each other. Ids of what follows from it name the event that began it."""
        topic = f"{record.topic}/{record.partition}/{record.offset}/privacy"
        for number in count():
            if not self._sent:
                return
            engine.apply(self, Record(topic, 0, number, record.timestamp_ms, None, None, (), self._sent.popleft()))

    def ask(self, at_ms: int, visitor_id: str) -> bytes | None:
        """What is known of a visitor just before an order at that time."""
        if self.working.may_be_due(at_ms - 1):
            self.pass_time(at_ms - 1)
        self._count_steps()
        visitor = self.working.visitor(visitor_id)
        return None if visitor is None else encode(visitor)

    def pass_time(self, until_ms: int) -> None:
        """Whatever is due by then happens, each at its own time."""
        self._count_steps()
        pass_time(self, until_ms)
        self._tell_outcome()

    def spent(self) -> Iterator[Spending]:
        """What the customers who are known now have spent so far."""
        for customer_id, items in self._spent.items():
            profile = self.working.profile(customer_id)
            found = spending(profile, items) if profile else None
            if found:
                yield found

    # ---- what the core says ----------------------------------------------------------------------------------------

    def announce(self, topic: str, key: str, event: Event) -> None:  # noqa: ARG002  # a moment knows where it belongs
        if not isinstance(event, ExampleReady):
            self._tell_outcome()
        match event:
            case CustomerScored():
                vector = self._recorder.asked[0]
                self._on_moment(LookMoment(*self._place(event), event, vector, self._basket))
            case CustomerStanding():
                self._on_moment(StandingMoment(*self._place(event), event))
            case TierChanged():
                self.counts[f"tier {event.tier} {event.change}"] += 1
                self._on_moment(TierMoment(*self._place(event), event))
            case ExampleReady():
                if self._examples and _cause(self._examples[0]) != _cause(event):
                    self._tell_outcome()
                self._examples.append(event)
            case ProfileMoved() | EventForwarded():
                self._sent.append(event)
            case _:
                raise TypeError(f"{type(event).__name__} is no moment of a customer")

    def reject(self, record: Record, fault: Fault) -> None:
        self.counts[f"rejected {fault.error}"] += 1
        super().reject(record, fault)

    def _place(self, event: CustomerScored | CustomerStanding | TierChanged | ExampleReady) -> tuple[int, str, int]:
        """The moment's time, its customer and its number. What time alone causes is told as of when it was due."""
        self._at_ms, self._number = max(self._at_ms, event.occurred_at_ms), self._number + 1
        return self._at_ms, event.customer_id, self._number

    def _tell_outcome(self) -> None:
        """One moment for the examples that a due outcome makes of all looks."""
        if not self._examples:
            return
        first = self._examples[0]
        looks = tuple((int(example.id.rpartition("/")[2]), example.look_id) for example in self._examples)
        self._examples = []
        self._on_moment(
            OutcomeMoment(
                *self._place(first),
                cause=_cause(first),
                market=first.market,
                horizon_days=first.horizon_days,
                first_purchase_at_ms=first.first_purchase_at_ms,
                first_order_minor=first.first_order_minor,
                outcome_minor=first.outcome_minor,
                is_vip=first.is_vip,
                looks=looks,
            )
        )

    # ---- what is noted on the way ----------------------------------------------------------------------------------

    def look(self, record: Record | None, profile: Profile, look: Look) -> None:
        self._basket = basket_of(look.order) if look.order else self._first_basket(profile)
        super().look(record, profile, look)

    def look_with_consent(self, record: Record, profile: Profile, at_ms: int) -> None:
        self._basket = self._first_basket(profile)
        super().look_with_consent(record, profile, at_ms)

    def _first_basket(self, profile: Profile) -> Basket:
        looks = self.working.looks(profile.customer_id)
        return looks.basket(profile.market or "") if looks else Basket()

    def after_money(self, record: Record, profile: Profile) -> None:
        """Reached by each order and return that counts, and when two accounts have become one."""
        event = arrived(record.event) if isinstance(record.event, EventForwarded) else record.event
        spent = self._spent.setdefault(profile.customer_id, [])
        match event:
            case OrderPlaced():
                spent.append((event.occurred_at_ms, order_amounts(event, self.policy.rates).net_minor))
                self._bought.add(event.order_id)
                self._bought.update(line.sku for line in event.lines)
            case ItemsReturned():
                spent.append((event.occurred_at_ms, -refund_minor(event, self.policy.rates)))
                self.counts["unmatched_returns"] += not self._is_matched(event)
            case ProfileMoved():
                spent += self._spent.pop(event.from_customer_id, [])
        super().after_money(record, profile)

    def _is_matched(self, event: ItemsReturned) -> bool:
        """Whether the household bought what comes back: the order it names, or any of its articles."""
        if event.order_id is not None:
            return event.order_id in self._bought
        return any(line.sku in self._bought for line in event.lines)

    def moment(self, profile: Profile, due_ms: int, kind: str) -> str:
        """The id as the customer's own partition would give it."""
        partition = partition_of(profile.customer_id, self._partitions)
        return caused_by_time(partition, f"{profile.customer_id}/{profile.born}", due_ms, kind)


def _cause(example: ExampleReady) -> str:
    return example.id.rsplit("/", 2)[0]


def undivided(policy: Policy) -> Policy:
    """A household has one partition to itself."""
    return replace(policy, partitions=1)
