"""A small town: the scorers and assigners of all partitions, each hearing what the others tell. Whose turn it is, chance says."""

from collections import Counter, deque
from random import Random

from msgspec.structs import replace

from features.store import MemoryStore, Position
from schemas.events import (
    AdvisorAssigned,
    AdvisorChanged,
    AssignmentEnded,
    AssignmentWished,
    ConsentChanged,
    ContactReported,
    CustomersMerged,
    ErasureRequested,
    Event,
    OrderLine,
    OrderPlaced,
    RelationImported,
)
from schemas.ids import partition_of
from schemas.records import Announcement, Batch, Record, Run, Seen, State
from streams.assignment import AssignmentPolicy
from streams.door import subject_of
from streams.processors import Assigner, Processor, Scorer
from tests.property.assignment_worlds import DAY_MS, HOUR_MS, START_MS
from tests.property.assignment_worlds import POLICY as ASSIGNING
from tests.property.histories import POLICY as SCORING

CUSTOMERS = ("c#0", "c#1", "c#2", "c#3", "c#4")
MARKETS = {"DE": "north", "FR": "south", "IT": "east", "XX": "main"}
POOLS = tuple(MARKETS.values())
ADVISORS = ("ada", "bo")
HEARD = ("privacy", "scores", "assignments")


class Town:
    def __init__(self, partitions: int, assigning: AssignmentPolicy = ASSIGNING) -> None:
        policy = replace(SCORING, partitions=partitions, pools=MARKETS, decide_from_ms=0)
        scorer, assigner = Scorer(policy, "rule-1", lambda: Seen(0, None)), Assigner(assigning, partitions)
        self.processors: tuple[Processor, ...] = (scorer, assigner)
        self.partitions, self.now_ms, self.watermark_ms = partitions, START_MS, 0
        self.stores = {processor.name: MemoryStore() for processor in self.processors}
        self.waiting: dict[tuple[Processor, int], deque[Record]] = {
            (processor, number): deque() for processor in self.processors for number in range(partitions)
        }
        self.entries: Counter[tuple[str, int]] = Counter()
        self.offsets: Counter[tuple[str, int]] = Counter()
        self.counts: Counter[str] = Counter()
        self.served: dict[tuple[str, str], AdvisorAssigned] = {}  # by customer and pool

    def publish(self, topic: str, event: Event) -> None:
        partition = partition_of(subject_of(event) or "", self.partitions)
        record = Record(topic, partition, self.offsets[topic, partition], 0, None, b"", (), event)
        self.offsets[topic, partition] += 1
        for processor in self.processors:
            if topic in processor.sources:
                self.waiting[processor, partition].append(record)

    def step(self, processor: Processor, partition: int) -> None:
        """Apply the next record that waits there."""
        if waiting := self.waiting[processor, partition]:
            record = waiting.popleft()
            self._decide(processor, partition, Run(record.topic, (record,), self.watermark_ms))

    def settle(self, chance: Random) -> None:
        """Apply all that waits, and all that follows from it. Fails where that has no end."""
        for _ in range(10_000):
            busy = [place for place, waiting in self.waiting.items() if waiting]
            if not busy:
                return
            self.step(*chance.choice(busy))
        raise AssertionError("records go round for ever")

    def pass_time(self) -> None:
        self.watermark_ms = self.now_ms
        for processor, partition in self.waiting:
            self._decide(processor, partition, Run("", (), self.watermark_ms))

    def _decide(self, processor: Processor, partition: int, run: Run) -> None:
        store, place = self.stores[processor.name], (processor.name, partition)
        batch = Batch(partition, self.entries[place], (run,))
        needs = processor.needs(batch)
        loaded = store.load(partition, needs.keys, needs.due_by_ms)
        more = store.load(partition, processor.companions(key for _, key in loaded.due), -1).values
        state = State({**loaded.values, **more}, store.read(needs.outside), loaded.due)
        decision = processor.decide(state, batch)
        store.apply(partition, batch.entry, Position(batch.entry + 1), decision.writes)
        self.entries[place] += 1
        self.counts.update(decision.counts)
        for output in decision.outputs:
            if isinstance(output, Announcement) and output.topic in HEARD:
                self._hear(output)

    def _hear(self, output: Announcement) -> None:
        event = output.event
        if isinstance(event, AdvisorAssigned):
            self.served[event.customer_id, event.pool] = event
            self.counts[f"cause_{event.cause}"] += 1
        elif isinstance(event, AssignmentEnded):
            del self.served[event.customer_id, event.pool]
        self.publish(output.topic, event)

    def traces(self) -> list[tuple[str, str]]:
        """Processor and key of whatever still names a customer."""
        return [
            (name, key)
            for name, store in self.stores.items()
            for number in range(self.partitions)
            for key, value in store.contents(number).items()
            if any(who in key or who.encode() in value for who in CUSTOMERS)
        ]


# ---- lives -------------------------------------------------------------------------------------------------------------


def lived(seed: int) -> tuple[Town, Random]:
    """A town in which all that can be told of customers was told, in any pool, with everybody hearing of it sooner or later."""
    chance = Random(seed)
    town = Town(chance.choice((2, 3)))
    for pool in POOLS:
        for advisor in ADVISORS:
            town.publish("roster", entry(advisor, pool, town.now_ms, capacity=6, daily_intake=6))
    town.settle(chance)
    for number in range(chance.randint(3, 40)):
        town.now_ms += chance.choice((0, 1, 1_000, HOUR_MS, 9 * HOUR_MS, DAY_MS))
        town.publish(*something(chance, town, number))
        for _ in range(chance.randint(0, 8)):
            town.step(*chance.choice(list(town.waiting)))
        if chance.random() < 0.3:
            town.settle(chance)
        if chance.random() < 0.15:
            town.pass_time()
    town.settle(chance)
    return town, chance


def entry(advisor, pool, at_ms, **fields):
    return AdvisorChanged(advisor_id=advisor, pool=pool, occurred_at_ms=at_ms, **fields)


def something(chance, town, number):
    at_ms, who, name = town.now_ms, chance.choice(CUSTOMERS), f"n{number}"
    what = chance.choices(("order", "consent", "wish", "merge", "import", "roster", "contact", "erase"), WEIGHTS)[0]
    match what:
        case "order":
            line = OrderLine(sku="a", quantity=1, unit_price_minor=chance.randint(1, 40_000))
            market = chance.choice(tuple(MARKETS))
            return "orders", OrderPlaced(
                order_id=name, occurred_at_ms=at_ms, currency="EUR", market=market, customer_id=who, lines=(line,)
            )
        case "consent":
            return "privacy", ConsentChanged(customer_id=who, occurred_at_ms=at_ms, granted=chance.random() < 0.7)
        case "wish":
            word = chance.choice(("manual", "manual", "manual", "never", "lifted"))
            advisor = chance.choice((None, *ADVISORS))
            return "privacy", wished(who, at_ms, word, wish_id=name, advisor_id=advisor)
        case "merge":
            into = chance.choice([other for other in CUSTOMERS if other != who])
            return "privacy", CustomersMerged(
                merge_id=name, customer_id=who, into_customer_id=into, occurred_at_ms=at_ms
            )
        case "import":
            until_ms = at_ms + chance.randint(1, 30) * DAY_MS
            return "contacts", RelationImported(
                relation_id=name, customer_id=who, advisor_id=chance.choice(ADVISORS), pool=chance.choice(POOLS),
                occurred_at_ms=at_ms, service_until_ms=until_ms,
            )  # fmt: skip
        case "roster":
            fields = {"capacity": chance.randint(1, 6), "daily_intake": chance.randint(1, 6)}
            status = chance.choice(("active", "active", "paused", "left"))
            return "roster", entry(chance.choice(ADVISORS), chance.choice(POOLS), at_ms, status=status, **fields)
        case "contact":
            return "contacts", declined(chance, town, name)
        case _:
            return "privacy", ErasureRequested(customer_id=who, occurred_at_ms=at_ms)


WEIGHTS = (8, 3, 4, 2, 3, 1, 2, 0.6)


def wished(who, at_ms, word="manual", **fields):
    return AssignmentWished(**{"wish_id": "w", "customer_id": who, "occurred_at_ms": at_ms, "wish": word, **fields})


def declined(chance, town, name):
    """A report that fits a service, where there is one."""
    served = [town.served[key] for key in sorted(town.served)]
    held = chance.choice(served) if served else None
    return ContactReported(
        contact_id=name,
        assignment_id=held.assignment_id if held else "?",
        customer_id=held.customer_id if held else CUSTOMERS[0],
        advisor_id=held.advisor_id if held else ADVISORS[0],
        pool=held.pool if held else POOLS[0],
        occurred_at_ms=town.now_ms,
        outcome="declined",
    )
