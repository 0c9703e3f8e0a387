"""How large a typical profile and its frozen looks are, and what a browse event costs. Run it: it prints a table.

Typical: a year of a customer, in a dozen visits: 150 browse events, 6 orders, 1 return; looks at the first purchase, at
days 7, 14 and 30, and at one further order. Customers are drawn from one seed.
"""

from bisect import insort
from collections import Counter
from collections.abc import Callable
from random import Random
from statistics import quantiles
from time import perf_counter_ns
from typing import Literal

from features.frozen import FrozenLook, Looks, decode_looks, encode_looks, new_looks
from features.money import Rates
from features.profile import (
    Pending,
    Profile,
    TierStanding,
    Visitor,
    absorb,
    browse_seen,
    decode_profile,
    encode,
    fold_browse,
    fold_order,
    fold_return,
    new_profile,
    new_visitor,
    recognise,
)
from features.vector import FEATURES_VERSION, first_vector, since_vector
from schemas.events import ItemsReturned, OrderLine, OrderPlaced, PageBrowsed, ReturnLine
from schemas.ids import caused_by_time

SEED = 20_260
CUSTOMERS = 500
MINUTE_MS, DAY_MS = 60_000, 86_400_000
BEGIN_MS = 1_735_689_600_000  # 2025-01-01
HORIZONS_MS = (30 * DAY_MS, 180 * DAY_MS)
RATES = Rates("EUR", {"GBP": 1_170_000})
VISITS, BROWSED, ORDERED = 12, 150, 6
PROFILE_LIMIT, LOOKS_LIMIT = 400, 800


def history(chance: Random, number: int) -> list[OrderPlaced | ItemsReturned | PageBrowsed]:
    """A year of one customer, in order of time."""
    customer, visitor = f"c-{number:06}", f"v-{chance.getrandbits(48):012x}"
    days = sorted(chance.sample(range(365), VISITS))
    ordering = {days[0], *chance.sample(days[1:], ORDERED - 1)}
    steps = Counter(chance.choices(days, [chance.gammavariate(4, 1) for _ in days], k=BROWSED))
    events: list[OrderPlaced | ItemsReturned | PageBrowsed] = []
    for day in days:
        at_ms = BEGIN_MS + day * DAY_MS + chance.randrange(8 * 60, 22 * 60) * MINUTE_MS
        for step in range(steps[day]):
            at_ms += int(chance.expovariate(1 / 45_000)) + 1_000
            known = {"visitor_id": visitor} if day == days[0] else {"customer_id": customer}
            events.append(browsed(chance, f"{number}-{day}-{step}", at_ms, known))
        if day in ordering:
            events.append(ordered(chance, f"{number}-{day}", at_ms + 30_000, customer, visitor))
    order = events[[isinstance(event, OrderPlaced) for event in events].index(True)]
    assert isinstance(order, OrderPlaced)
    insort(events, returned(order, order.occurred_at_ms + 9 * DAY_MS), key=lambda event: event.occurred_at_ms)
    return events


def browsed(chance: Random, event_id: str, at_ms: int, known: dict[str, str]) -> PageBrowsed:
    kinds: list[Literal["view", "search", "add_to_cart", "wishlist"]] = ["view", "search", "add_to_cart", "wishlist"]
    kind = chance.choices(kinds, [80, 10, 7, 3])[0]
    return PageBrowsed(
        event_id=event_id,
        occurred_at_ms=at_ms,
        kind=kind,
        sku=None if kind == "search" else f"SKU{chance.randrange(40_000):05}",
        price_minor=int(chance.lognormvariate(9.7, 0.8)) if kind == "view" else None,
        currency="EUR",
        dwell_ms=int(chance.expovariate(1 / 40_000)) % 600_000,
        campaign="spring" if chance.random() < 0.05 else None,
        **known,
    )


def ordered(chance: Random, order_id: str, at_ms: int, customer: str, visitor: str) -> OrderPlaced:
    lines = tuple(
        OrderLine(
            sku=f"SKU{chance.randrange(40_000):05}",
            quantity=chance.choice([1, 1, 1, 2]),
            unit_price_minor=int(chance.lognormvariate(9.7, 0.8)),
            discount_minor=chance.choice([0, 0, 0, 990]),
            category=chance.choice(["Coats", "Shoes", "Bags", "Knitwear"]),
            brand=chance.choice(["Aster", "Birch", None]),
        )
        for _ in range(chance.choice([1, 1, 2, 2, 3, 5]))
    )
    return OrderPlaced(
        order_id=order_id,
        occurred_at_ms=at_ms,
        currency="EUR",
        market="DE",
        lines=lines,
        customer_id=customer,
        visitor_id=visitor,
        language="de",
        payment_method="card",
    )


def returned(order: OrderPlaced, at_ms: int) -> ItemsReturned:
    line = order.lines[0]
    return ItemsReturned(
        return_id=f"R{order.order_id}",
        occurred_at_ms=at_ms,
        currency="EUR",
        lines=(ReturnLine(sku=line.sku, quantity=1, refund_minor=line.unit_price_minor),),
        customer_id=order.customer_id,
    )


class Year:
    """A customer's year, folded as the engine folds it, with the looks that were taken."""

    def __init__(self, events: list[OrderPlaced | ItemsReturned | PageBrowsed]) -> None:
        self.visitor: Visitor = new_visitor("v", events[0].occurred_at_ms)
        self.profile: Profile | None = None
        self.looks: Looks | None = None
        self.due: list[int] = []
        for event in events:
            self.look_again(event.occurred_at_ms)
            self.apply(event)
        self.finish(events[-1].occurred_at_ms)

    def apply(self, event: OrderPlaced | ItemsReturned | PageBrowsed) -> None:
        match event:
            case PageBrowsed():
                who = self.profile or self.visitor
                if not browse_seen(who, event.event_id):
                    fold_browse(who, event, RATES)
            case OrderPlaced():
                self.order(event)
            case ItemsReturned():
                assert self.profile
                assert recognise(self.profile, event.return_id, event) == "new"
                fold_return(self.profile, event, RATES, HORIZONS_MS)

    def order(self, order: OrderPlaced) -> None:
        if self.profile is None:
            self.profile = new_profile(order.customer_id or "", order.occurred_at_ms)
            self.visitor.visitor_id = order.visitor_id or ""
            absorb(self.profile, self.visitor)
            self.looks = new_looks(self.profile.customer_id, order)
            self.due = [order.occurred_at_ms + days * DAY_MS for days in (7, 14, 30)]
        assert recognise(self.profile, order.order_id, order) == "new"
        fold_order(self.profile, order, RATES, HORIZONS_MS)
        assert self.looks
        if not self.looks.looks:
            self.freeze(
                "first", order.occurred_at_ms, first_vector(self.profile, order, RATES), "orders/3/18411/look/0"
            )

    def look_again(self, now_ms: int) -> None:
        while self.due and self.due[0] <= now_ms:
            assert self.profile
            assert self.looks
            due_ms = self.due.pop(0)
            kind = f"day_{(due_ms - self.looks.looks[0].at_ms) // DAY_MS}"
            cause = caused_by_time(3, f"p/{self.profile.customer_id}", due_ms, kind)
            self.freeze(kind, due_ms, self.second_vector(due_ms), cause)

    def second_vector(self, at_ms: int) -> tuple[float, ...]:
        assert self.profile
        assert self.looks
        return self.looks.looks[0].vector + since_vector(self.profile, at_ms)

    def freeze(self, look: str, at_ms: int, vector: tuple[float, ...], look_id: str) -> None:
        assert self.profile
        assert self.looks
        self.profile.looks += 1
        score = 0.1 + self.profile.looks / 7
        self.looks.looks.append(FrozenLook(look, self.profile.looks, at_ms, score, "rule-1@0", vector, look_id))

    def finish(self, at_ms: int) -> None:
        """A fifth look at an order, and what the engine notes of tiers."""
        assert self.profile
        self.look_again(at_ms + 31 * DAY_MS)
        self.freeze("order", at_ms, self.second_vector(at_ms), "orders/3/19733/look/0")
        self.profile.consent = 1
        self.profile.tier = TierStanding(1, 2, 0, at_ms + 14 * DAY_MS)
        self.profile.pending = [Pending(at_ms + 200 * DAY_MS, "tier")]


def row(name: str, sizes: list[int], limit: int) -> str:
    cuts = quantiles(sizes, n=10)
    over = sum(size >= limit for size in sizes) / len(sizes)
    return f"{name:<16} p50 {cuts[4]:>6.0f}   p90 {cuts[8]:>6.0f}   max {max(sizes):>5}   (limit {limit}; {over:.1%} reach it)"


def best_us(measured: Callable[[], int], times: int = 7) -> float:
    """Microseconds per item, of the best run: the others measure the machine's other guests."""
    runs = []
    for _ in range(times):
        begun = perf_counter_ns()
        items = measured()
        runs.append((perf_counter_ns() - begun) / items / 1_000)
    return min(runs)


def timings(histories: list[list[OrderPlaced | ItemsReturned | PageBrowsed]], packed: list[bytes]) -> str:
    """What a browse event costs: the whole profile decoded, the event recognised and folded, the profile encoded."""
    years = [[event for event in events if isinstance(event, PageBrowsed)] for events in histories]
    profiles = [decode_profile(one) for one in packed]

    def fold() -> int:
        for steps in years:
            profile = new_profile("c", steps[0].occurred_at_ms)
            for event in steps:
                if not browse_seen(profile, event.event_id):
                    fold_browse(profile, event, RATES)
        return sum(len(steps) for steps in years)

    def decode() -> int:
        for one in packed:
            decode_profile(one)
        return len(packed)

    def encode_all() -> int:
        for profile in profiles:
            encode(profile)
        return len(profiles)

    return (
        f"browse event     decode {best_us(decode):.2f} us, fold {best_us(fold):.2f} us on average over a year, "
        f"encode {best_us(encode_all):.2f} us"
    )


def main() -> None:
    chance = Random(SEED)
    histories = [history(chance, number) for number in range(CUSTOMERS)]
    years = [Year(events) for events in histories]
    packed = [encode(year.profile) for year in years]
    looks = [encode_looks(year.looks) for year in years if year.looks]
    assert all(decode_looks(one) == year.looks for one, year in zip(looks, years, strict=True))
    print(f"{CUSTOMERS} typical customers, seed {SEED}, features {FEATURES_VERSION}, bytes:")
    print(row("profile", [len(one) for one in packed], PROFILE_LIMIT))
    print(row("frozen looks", [len(one) for one in looks], LOOKS_LIMIT))
    print(timings(histories[:100], packed[:100]))


if __name__ == "__main__":
    main()
