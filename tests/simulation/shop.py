"""A shop's history drawn from a seed: orders, returns, browsing, privacy, roster; late, repeated, misplaced, malformed.

Contacts are reported by `report_contact`, once there are assignments to speak of.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from random import Random
from typing import Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from schemas.codec import write_event
from schemas.events import (
    Absence,
    AdvisorAssigned,
    AdvisorChanged,
    AssignmentWished,
    ConsentChanged,
    ContactReported,
    CustomersMerged,
    ErasureRequested,
    Event,
    ItemsReturned,
    ModelChosen,
    OrderLine,
    OrderPlaced,
    PageBrowsed,
    PoolChanged,
    RelationImported,
    ReturnLine,
    SnapshotPublished,
)
from schemas.ids import partition_of
from schemas.registry import FileRegistry
from streams.door import subject_of
from streams.log import Headers
from tests.simulation.diary import POISON

START_MS = 1_600_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class RememberingRegistry(FileRegistry):
    """Thousands of workers start in a simulation; the files are read once."""

    schema_id = cache(FileRegistry.schema_id)
    writer_schema = cache(FileRegistry.writer_schema)


REGISTRY = RememberingRegistry()
SCHEMA_IDS = {
    event.__name__: REGISTRY.schema_id(event.__name__)
    for event in (
        OrderPlaced, ItemsReturned, PageBrowsed, ConsentChanged, ErasureRequested, AssignmentWished, CustomersMerged,
        AdvisorChanged, PoolChanged, ContactReported, RelationImported, ModelChosen,
    )
}  # fmt: skip
MARKETS, POOLS = ("DE", "FR"), {"DE": "north", "FR": "south"}
MALFORMED: tuple[bytes | None, ...] = (
    None, b"", b"\x00\x01", b"\x00\x00\x00\xff\xff...", b"{", b"[]", b'{"order_id": 1}', b"\xff\xfe", b"\x00" * 40,
)  # fmt: skip

Status = Literal["active", "paused", "left"]


class Publication(NamedTuple):
    at_ms: int  # when it reaches Kafka, which may be late
    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Shop:
    """Publishes at its own pace. `partitions` is each topic's count; a large shop has many customers and short pauses."""

    def __init__(
        self,
        rng: Random,
        partitions: dict[str, int],
        topics: tuple[str, ...],
        records: int,
        customers: int | None = None,
        pauses: float = 1.0,
    ) -> None:
        self.rng, self.partitions, self.topics, self.pauses = rng, partitions, topics, pauses
        self.customers = [f"c{n}" for n in range(customers or rng.randint(2, 9))]
        self.visitors = [f"v{n}" for n in range(rng.randint(1, 6))]
        self.orders: list[OrderPlaced] = []
        self.publications = sorted(self._history(records), key=lambda p: p.at_ms)

    # ---- a history -------------------------------------------------------------------------------------------------

    def _history(self, records: int) -> Iterator[Publication]:
        now_ms = START_MS
        if "roster" in self.topics:
            for number in range(self.rng.randint(1, 4)):
                yield self._publication("roster", self._advisor(f"a{number}", now_ms, "active"), now_ms)
        for number in range(records):
            now_ms += int(self.pauses * self.rng.expovariate(1 / (self.rng.choice((0.001, 0.05, 1, 2)) * DAY_MS)))
            topic = self.rng.choices(self.topics, [_WEIGHTS[topic] for topic in self.topics])[0]
            yield from self._published(topic, self._event(topic, number, now_ms), now_ms)

    def _published(self, topic: str, event: Event, now_ms: int) -> Iterator[Publication]:
        """An event arrives at once, or late; sometimes twice, on the wrong partition, or as rubbish."""
        rng = self.rng
        late_ms = rng.choice((0, 0, 0, 1, 30_000, HOUR_MS, 2 * DAY_MS)) if rng.random() < 0.3 else 0
        publication = self._publication(topic, event, now_ms + late_ms)
        if rng.random() < 0.04:
            publication = publication._replace(partition=rng.randrange(self.partitions[topic]))
        if rng.random() < 0.03:
            publication = publication._replace(value=rng.choice(MALFORMED))
        yield publication
        if rng.random() < 0.06:
            yield publication._replace(at_ms=publication.at_ms + rng.choice((0, 5, DAY_MS)))

    def _publication(self, topic: str, event: Event, at_ms: int) -> Publication:
        subject = subject_of(event) or "guest"
        partition = partition_of(subject, self.partitions[topic])
        name = type(event).__name__
        if self.rng.random() < 0.5:
            return Publication(at_ms, topic, partition, subject.encode(), write_event(event, SCHEMA_IDS[name]))
        headers = (("ce_type", f"maitred.{name}".encode()),)
        return Publication(at_ms, topic, partition, subject.encode(), msgspec.json.encode(event), headers)

    # ---- events ----------------------------------------------------------------------------------------------------

    def _event(self, topic: str, number: int, now_ms: int) -> Event:
        at_ms = now_ms - self.rng.choice((0, 0, 0, 0, 1, 60_000, 3 * HOUR_MS))  # clocks and queues of the shop
        match topic:
            case "orders":
                return self._order(number, at_ms)
            case "returns":
                return self._return(number, at_ms)
            case "browse":
                return self._browse(number, at_ms)
            case "privacy":
                return self._privacy(number, at_ms)
            case _ if self.rng.random() < 0.2:
                pool = self.rng.choice(tuple(POOLS.values()))
                return PoolChanged(pool=pool, occurred_at_ms=at_ms, status=self.rng.choice(("paused", "assigning")))
            case _:
                status: Status = self.rng.choice(("active", "active", "active", "paused", "left"))
                return self._advisor(f"a{self.rng.randrange(5)}", at_ms, status)

    def _order(self, number: int, at_ms: int) -> OrderPlaced:
        rng = self.rng
        used = bool(self.orders) and rng.random() < 0.05  # an id with other content
        order = OrderPlaced(
            order_id=rng.choice(self.orders).order_id if used else f"o{number}",
            occurred_at_ms=at_ms,
            currency="XXX" if rng.random() < 0.03 else rng.choice(("EUR", "USD")),
            market=rng.choice(MARKETS),
            lines=tuple(
                OrderLine(
                    sku=f"s{rng.randrange(9)}", quantity=rng.randint(1, 3), unit_price_minor=rng.randrange(90_000)
                )
                for _ in range(rng.randint(1, 4))
            ),
            customer_id=rng.choice(self.customers) if rng.random() < 0.95 else None,
            visitor_id=rng.choice(self.visitors) if rng.random() < 0.6 else None,
            language=rng.choice((None, "de", "fr")),
            is_gift=rng.random() < 0.1,
            customer_since_ms=at_ms - 400 * DAY_MS if rng.random() < 0.05 else None,
        )
        self.orders.append(order)
        return order

    def _return(self, number: int, at_ms: int) -> ItemsReturned:
        rng = self.rng
        of = rng.choice(self.orders) if self.orders else None
        return ItemsReturned(
            return_id=f"r{number}",
            occurred_at_ms=at_ms,
            currency="EUR",
            lines=(ReturnLine(sku=f"s{rng.randrange(9)}", quantity=1, refund_minor=rng.randrange(30_000)),),
            kind=rng.choice(("returned", "cancelled")),
            customer_id=(of and of.customer_id) or rng.choice(self.customers),
            order_id=of.order_id if of else None,
        )

    def _browse(self, number: int, at_ms: int) -> PageBrowsed:
        rng = self.rng
        known, priced = rng.random() < 0.5, rng.random() < 0.5
        return PageBrowsed(
            event_id=f"b{number}",
            occurred_at_ms=at_ms,
            kind=rng.choice(("view", "view", "view", "search", "add_to_cart", "wishlist")),
            customer_id=rng.choice(self.customers) if known else None,
            visitor_id=rng.choice(self.visitors) if not known or rng.random() < 0.3 else None,
            sku=f"s{rng.randrange(9)}",
            price_minor=rng.randrange(90_000) if priced else None,
            currency="EUR" if priced else None,
            dwell_ms=rng.randrange(100_000),
            campaign=POISON if rng.random() < 0.03 else rng.choice((None, "spring")),
        )

    def _privacy(self, number: int, at_ms: int) -> Event:
        rng, customer = self.rng, self.rng.choice(self.customers)
        match rng.choice(("consent", "consent", "erasure", "wish", "wish", "merge")):
            case "consent":
                return ConsentChanged(customer_id=customer, occurred_at_ms=at_ms, granted=rng.random() < 0.6)
            case "erasure":
                return ErasureRequested(customer_id=customer, occurred_at_ms=at_ms)
            case "merge":
                into = rng.choice(self.customers)  # perhaps itself, by mistake
                return CustomersMerged(
                    merge_id=f"m{number}", customer_id=customer, into_customer_id=into, occurred_at_ms=at_ms
                )
        wish: Literal["manual", "never", "lifted"] = rng.choice(("manual", "manual", "never", "lifted"))
        advisor = rng.choice((None, "a1")) if wish == "manual" else None
        return AssignmentWished(
            wish_id=f"w{number}", customer_id=customer, occurred_at_ms=at_ms, wish=wish, advisor_id=advisor
        )

    def _advisor(self, advisor: str, at_ms: int, status: Status) -> AdvisorChanged:
        rng = self.rng
        return AdvisorChanged(
            advisor_id=advisor,
            pool=rng.choice(tuple(POOLS.values())),
            occurred_at_ms=at_ms,
            status=status,
            capacity=rng.choice((0, 1, 2, 5)),
            daily_intake=rng.randrange(1, 4),
            languages=rng.choice(((), ("de",), ("de", "fr"))),
            absences=()
            if rng.random() < 0.7
            else (Absence(from_ms=at_ms, until_ms=at_ms + rng.choice((1, 5)) * DAY_MS),),
        )

    def report_contact(self, some: Sequence[AdvisorAssigned], number: int, now_ms: int) -> Publication:
        """What an advisor says of one of these assignments; or they have known somebody for long."""
        assigned = self.rng.choice(some)
        if self.rng.random() < 0.15:
            return self._publication("contacts", self._relation(number, now_ms), now_ms)
        event = ContactReported(
            contact_id=f"k{number}",
            assignment_id=assigned.assignment_id,
            customer_id=assigned.customer_id,
            advisor_id=assigned.advisor_id,
            pool=assigned.pool,
            occurred_at_ms=now_ms,
            outcome=self.rng.choice(("contacted", "contacted", "accepted", "declined", "ended")),
        )
        return self._publication("contacts", event, now_ms)

    def _relation(self, number: int, at_ms: int) -> RelationImported:
        rng = self.rng
        return RelationImported(
            relation_id=f"r{rng.randrange(number + 1)}",
            customer_id=rng.choice(self.customers),
            advisor_id=f"a{rng.randrange(5)}",
            pool=rng.choice(tuple(POOLS.values())),
            occurred_at_ms=at_ms,
            service_until_ms=rng.choice((None, at_ms + rng.choice((0, 1, 9)) * DAY_MS)),
            language=rng.choice((None, "de")),
        )


class Operator:
    """Has a word on who scores, now and then: by chance of its own, which disturbs no shop's history."""

    def __init__(self, rng: Random) -> None:
        self.rng, self._choices = rng, 0

    def choose(self, published: Callable[[], Sequence[SnapshotPublished]], at_ms: int) -> Iterator[Publication]:
        """Perhaps a choice among what was published. Some can't be followed, some come twice."""
        if self.rng.random() < 0.3:
            self._choices += 1
            event = self._choice(published()[-10:], at_ms)
            publication = Publication(at_ms, "examples", 0, b"model", write_event(event, SCHEMA_IDS["ModelChosen"]))
            yield from [publication] * self.rng.choice((1, 1, 1, 1, 2))

    def _choice(self, published: Sequence[SnapshotPublished], at_ms: int) -> ModelChosen:
        event = ModelChosen(choice_id=f"x{self._choices}", occurred_at_ms=at_ms, choice="followed")
        match self.rng.choice(("promoted", "promoted", "rolled_back", "rolled_back", "followed")):
            case "promoted":
                model = self.rng.choice(("anchored", "river", "rule", "rule", "no such model"))
                return replace(event, choice="promoted", model=model)
            case "rolled_back" if published:
                old = self.rng.choice(published)
                payload = old.payload if self.rng.random() < 0.9 else old.payload[:-1]
                return replace(event, choice="rolled_back", version=old.version, payload=payload)
        return event


_WEIGHTS = {"orders": 5, "browse": 6, "returns": 2, "privacy": 2, "roster": 1, "contacts": 0}
