"""Random but possible histories of pools: looks, standings, rosters and reports, with the runs they arrive in."""

from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import Any

from msgspec.structs import replace

from features.store import MemoryStore, Position
from schemas.events import (
    Absence,
    AdvisorAssigned,
    AdvisorChanged,
    AssignmentEnded,
    AssignmentWithheld,
    Brief,
    ContactReported,
    CustomerScored,
    CustomerStanding,
    PoolChanged,
    Reason,
    RelationImported,
)
from schemas.records import Announcement, Batch, Output, Record, Retraction, Run, State
from streams.assignment import AssignmentPolicy, assign, companions, needs

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
START_MS = 20_000 * DAY_MS

POLICY = AssignmentPolicy(
    version="policy",
    control_share=250_000,
    service_days=10,
    rest_days=20,
    waiting_days=4,
    waiting_limit=3,
    planning_window_days=6,
    expected_looks=1,
    expected_weight_days=60,
    recent_looks=12,
    contacts_kept=4,
)
POOLS = ("north", "south")
CUSTOMERS = tuple(f"c{n}" for n in range(30))
STANDINGS = (
    "consent_granted", "consent_withdrawn", "erased", "vip_reached", "wish_manual", "wish_manual", "wish_manual", "wish_never",
    "wish_lifted", "merged", "merged", "merged",
)  # fmt: skip
ADVISORS = ("ada", "bo", "cy")
LANGUAGES = (None, "de", "de-CH", "fr")


def scored(customer_id, at_ms, score, pool="north", **others):
    fields = {
        "id": f"look/{customer_id}/{at_ms}",
        "customer_id": customer_id,
        "pool": pool,
        "market": "DE",
        "occurred_at_ms": at_ms,
        "look": "first",
        "look_number": 1,
        "score": score,
        "base": -2.0,
        "reasons": (Reason(feature="log_first_spend", value=5.0, contribution=0.5),),
        "first_order_minor": 10_000,
        "is_vip": False,
        "consent": "granted",
        "brief": Brief(bought=("sku",), first_order_minor=10_000, last_seen_at_ms=at_ms),
        "model_version": "rule-1@cold",
        "features_version": "f",
        "policy_version": "p",
    }
    return CustomerScored(**{**fields, **others})


def standing(customer_id, at_ms, what, pool="north", **others):
    return CustomerStanding(
        id=f"{what}/{at_ms}", customer_id=customer_id, pool=pool, occurred_at_ms=at_ms, standing=what, **others
    )


def paused(at_ms, pool="north"):
    return PoolChanged(pool=pool, occurred_at_ms=at_ms, status="paused")


def resumed(at_ms, pool="north"):
    return PoolChanged(pool=pool, occurred_at_ms=at_ms, status="assigning")


def relation(customer_id, advisor_id, at_ms, pool="north", **others):
    fields = {"relation_id": f"{customer_id}/{advisor_id}", **others}
    return RelationImported(customer_id=customer_id, advisor_id=advisor_id, pool=pool, occurred_at_ms=at_ms, **fields)


def roster(advisor_id, at_ms, pool="north", **others):
    fields = {"capacity": 3, "daily_intake": 3, **others}
    return AdvisorChanged(advisor_id=advisor_id, pool=pool, occurred_at_ms=at_ms, **fields)


TOPICS: dict[Any, str] = {  # Any: event classes
    CustomerScored: "scores",
    CustomerStanding: "scores",
    AdvisorChanged: "roster",
    ContactReported: "contacts",
    PoolChanged: "roster",
    RelationImported: "contacts",
}


def some_event(chance, at_ms):
    """One event. A contact is completed later, by what is assigned then."""
    pool = chance.choice(POOLS)
    home = pool if chance.random() < 0.95 else chance.choice(POOLS)  # a market was moved to another pool
    customer = f"{home}-{chance.choice(CUSTOMERS)}"
    what = chance.choices(("look", "stand", "roster", "contact", "pool", "relation"), (12, 3, 1, 4, 0.5, 1))[0]
    if what == "look":
        return scored(
            customer,
            at_ms,
            round(chance.random(), 2),
            pool,
            is_vip=chance.random() < 0.1,
            consent=chance.choices(("granted", "unknown", "withdrawn"), (10, 1, 1))[0],
            language=chance.choice(LANGUAGES),
        )
    if what == "stand":
        word = chance.choice(STANDINGS)
        advisor = chance.choice((None, *ADVISORS)) if word == "wish_manual" else None
        others = [f"{pool}-{other}" for other in CUSTOMERS if f"{pool}-{other}" != customer]
        survivor = chance.choice(others) if word == "merged" else None
        return standing(
            customer,
            at_ms,
            word,
            pool,
            advisor_id=advisor,
            language=chance.choice(LANGUAGES),
            into_customer_id=survivor,
        )
    if what == "pool":
        return chance.choice((paused, resumed, resumed))(at_ms, pool)
    if what == "relation":
        until_ms = chance.choice((None, at_ms + chance.randint(-1, 20) * DAY_MS))
        number = f"r{chance.randint(0, 40)}"
        return relation(customer, chance.choice(ADVISORS), at_ms, pool, relation_id=number, service_until_ms=until_ms)
    if what == "roster":
        return roster(
            chance.choice(ADVISORS),
            at_ms,
            pool,
            status=chance.choices(("active", "paused", "left"), (6, 1, 1))[0],
            capacity=chance.randint(0, 4),
            daily_intake=chance.randint(0, 3),
            languages=chance.choice(((), ("de",), ("fr", "en"))),
            absences=tuple(some_absence(chance, at_ms) for _ in range(chance.choice((0, 0, 1, 2)))),
        )
    return ContactReported(
        contact_id=f"k{chance.randint(0, 60)}",
        assignment_id="?",
        customer_id=customer,
        advisor_id=chance.choice(ADVISORS),
        pool=pool,
        occurred_at_ms=at_ms,
        outcome=chance.choices(("contacted", "accepted", "declined", "ended"), (4, 2, 5, 1))[0],
    )


def some_absence(chance, at_ms):
    from_ms = at_ms + chance.randint(-10, 60) * HOUR_MS
    return Absence(from_ms=from_ms, until_ms=from_ms + chance.randint(1, 100) * HOUR_MS)


def history(seed):
    """Runs of records with a watermark after each: events come late or early, and now and then time leaps ahead."""
    chance = Random(seed)
    runs, now_ms, watermark_ms = [], START_MS, START_MS - DAY_MS
    offsets: Counter[str] = Counter()
    for step in range(chance.randint(1, 40)):
        told = [some_event(chance, now_ms - chance.randint(-6, 30) * HOUR_MS) for _ in range(chance.randint(0, 8))]
        if step == 0:
            told = [roster(advisor, now_ms, pool) for advisor in ADVISORS[:2] for pool in POOLS] + told
        by_topic: dict[str, list[Record]] = {}
        for event in told:
            topic = TOPICS[type(event)]
            by_topic.setdefault(topic, []).append(record(topic, offsets[topic], event))
            offsets[topic] += 1
        now_ms += chance.choice((0, 1, 4, 12, 60)) * HOUR_MS
        for topic, records in by_topic.items():
            watermark_ms = max(watermark_ms, now_ms - chance.randint(0, 12) * HOUR_MS)
            runs.append(Run(topic, tuple(records), watermark_ms))
    runs.append(Run("scores", (), now_ms + 40 * DAY_MS))
    return runs


def record(topic, offset, event):
    return Record(topic, 0, offset, event.occurred_at_ms, None, None, (), event)


def concerning(event, active, offset):
    """The event, two times out of three of somebody who is served; a report then fits the assignment."""
    served = sorted(c for c, held in active.items() if held.pool == event.pool)
    if offset % 3 == 0 or not served:
        return event
    held = active[served[offset % len(served)]]
    if isinstance(event, ContactReported):
        return replace(
            event, customer_id=held.customer_id, assignment_id=held.assignment_id, advisor_id=held.advisor_id
        )
    if isinstance(event, RelationImported):
        return replace(event, customer_id=held.customer_id, advisor_id=held.advisor_id) if offset % 3 == 1 else event
    is_survivor = isinstance(event, CustomerStanding) and event.into_customer_id == held.customer_id
    return event if is_survivor else replace(event, customer_id=held.customer_id)


def reported(runs):
    """The runs, with standings and reports that concern who is served by then."""
    world, done = World(), []
    for run in runs:
        records = []
        for item in run.records:
            event = item.event
            if isinstance(event, ContactReported | CustomerStanding | RelationImported):
                event = concerning(event, world.active, item.offset)
            records.append(item._replace(event=event))
            world.give([Run(run.topic, (records[-1],), world.watermark_ms)])
        done.append(run._replace(records=tuple(records)))
        world.give([Run(run.topic, (), run.watermark_ms)])
    return done


Announced = AdvisorAssigned | AssignmentWithheld | AssignmentEnded


def announced(outputs: Iterable[Output]) -> list[Announced]:
    """What stands on the topic `assignments`."""
    return [
        output.event
        for output in outputs
        if isinstance(output, Announcement) and output.topic == "assignments" and isinstance(output.event, Announced)
    ]


class World:
    """The core over a real store, with what a subscriber of the assignments knows."""

    def __init__(self, policy: AssignmentPolicy = POLICY) -> None:
        self.policy = policy
        self.store = MemoryStore()
        self.outputs: list[Output] = []
        self.active: dict[str, AdvisorAssigned] = {}
        self.current: dict[str, AdvisorAssigned] = {}
        self.entry, self.watermark_ms = 0, 0
        self.counts: dict[str, int] = {}

    def give(self, runs) -> list[Announced]:
        """Apply one batch; what it announced."""
        batch = Batch(0, self.entry, tuple(runs))
        wanted = needs(batch, self.policy)
        loaded = self.store.load(0, wanted.keys, wanted.due_by_ms)
        more = self.store.load(0, companions(key for _, key in loaded.due), -1).values
        decision = assign(State({**loaded.values, **more}, {}, loaded.due), batch, self.policy)
        self.store.apply(0, self.entry, Position(self.entry + 1), decision.writes)
        self.entry, self.watermark_ms = self.entry + 1, batch.watermark_ms
        self.outputs += decision.outputs
        for name, count in decision.counts.items():
            self.counts[name] = self.counts.get(name, 0) + count
        self._fold_current(decision.outputs)
        said = announced(decision.outputs)
        for event in said:
            if isinstance(event, AdvisorAssigned):
                self.active[event.customer_id] = event
            elif isinstance(event, AssignmentEnded):
                del self.active[event.customer_id]
        return said

    def _fold_current(self, outputs: Iterable[Output]) -> None:
        """As a tool folds the compacted topic."""
        for output in outputs:
            if isinstance(output, Retraction):
                del self.current[output.key]
            elif isinstance(output, Announcement) and output.topic == "current-assignments":
                assert isinstance(output.event, AdvisorAssigned)
                self.current[output.key] = output.event

    def tell(self, *told, watermark_ms=None) -> list[Announced]:
        """Apply events as one run each, at the watermark that stands or a new one."""
        runs = [
            Run(TOPICS[type(e)], (record(TOPICS[type(e)], self.entry * 1000 + n, e),), self.watermark_ms)
            for n, e in enumerate(told)
        ]
        if watermark_ms is not None or not runs:
            runs.append(Run("scores", (), watermark_ms or self.watermark_ms))
        return self.give(runs)
