"""What the assigner's and the learner's cores cost, and scoring. Run it: it prints tables.

Pools are filled by looks that all pass; then looks come that mostly don't. The cores alone are timed, with their state in memory.
"""

from random import Random
from time import perf_counter

from msgspec.structs import replace

from features.store import Position
from features.vector import FEATURES, FEATURES_VERSION, SECOND_FEATURES
from online_models.learner import LearnPolicy, learn
from online_models.model import load_model
from schemas.events import Brief, ContactReported, ExampleReady, Reason
from schemas.records import Batch, Record, Run, State
from streams.assignment import AssignmentPolicy, assign, companions, needs
from tests.property.assignment_worlds import DAY_MS, START_MS, World, record, roster, scored

FULL = AssignmentPolicy(version="0123456789ab", control_share=0, expected_looks=1, expected_weight_days=14)
USUAL = replace(FULL, control_share=100_000, expected_looks=400)


def look(chance, number, at_ms, score):
    skus = tuple(f"SKU-{chance.randint(10_000, 99_999)}" for _ in range(8))
    brief = Brief(
        bought=skus[:5], looked_at=skus[5:], first_order_minor=12_345, orders=2, last_seen_at_ms=at_ms, language="de"
    )
    reasons = tuple(
        Reason(feature=f"log_feature_{n}", value=chance.random() * 5, contribution=chance.random()) for n in range(6)
    )
    return scored(
        f"customer-{number:06}", at_ms, score, id=f"orders/3/{number}/CustomerScored/0", brief=brief, reasons=reasons,
        language="de",
    )  # fmt: skip


def full_pool(advisors, capacity, chance):
    """A world whose pool is nearly full, taken in over most of a service period; and the time at which that is so."""
    world, number, at_ms = World(FULL), 0, START_MS
    names = [f"advisor-{n:03}" for n in range(advisors)]
    world.tell(*(roster(n, at_ms, capacity=capacity, daily_intake=1_000, languages=("de",)) for n in names))
    while len(world.active) < 0.98 * advisors * capacity:
        number, at_ms = number + 1, at_ms + 85 * DAY_MS // (advisors * capacity)
        for got in world.tell(look(chance, number, at_ms, chance.random())):
            world.tell(
                ContactReported(
                    contact_id=f"k{number}", assignment_id=got.assignment_id, customer_id=got.customer_id,
                    advisor_id=got.advisor_id, pool=got.pool, occurred_at_ms=at_ms, outcome="contacted",
                )
            )  # fmt: skip
    world.policy = USUAL
    return world, number, at_ms


def time_assigning(world, number, at_ms, size, chance):
    """Milliseconds for a batch of so many looks."""
    spent, rounds = 0.0, max(3, 1_000 // size)
    for _ in range(rounds):
        number, at_ms = number + size, at_ms + size * 30_000
        looks = [look(chance, number + n, at_ms + n * 30_000, chance.random() * 0.3) for n in range(size)]
        records = tuple(record("scores", number + n, each) for n, each in enumerate(looks))
        batch = Batch(0, world.entry, (Run("scores", records, at_ms),))
        wanted = needs(batch, USUAL)
        loaded = world.store.load(0, wanted.keys, wanted.due_by_ms)
        more = world.store.load(0, companions(key for _, key in loaded.due), -1).values
        state = State({**loaded.values, **more}, {}, loaded.due)
        began = perf_counter()
        decision = assign(state, batch, USUAL)
        spent += perf_counter() - began
        world.store.apply(0, world.entry, Position(world.entry + 1), decision.writes)
        world.entry += 1
    return spent / rounds * 1e3


def print_assigning():
    print("assigner: served | bytes of pool, of services | ms for 1, 25, 400 looks")
    for advisors, capacity in ((12, 40), (50, 100)):
        chance = Random(1)
        world, number, at_ms = full_pool(advisors, capacity, chance)
        values = world.store.contents(0)
        services = sum(len(value) for key, value in values.items() if key.startswith("served/"))
        timed = [time_assigning(world, number * n, at_ms, size, chance) for n, size in ((2, 1), (4, 25), (8, 400))]
        print(
            f"  {advisors * capacity:>6} | {len(values['pool/north']):>7,} {services:>10,} |",
            " ".join(f"{ms:8.2f}" for ms in timed),
        )


def example(chance, number):
    name = chance.choice(("first", "day_7", "order"))
    names = FEATURES if name == "first" else SECOND_FEATURES
    return ExampleReady(
        id=f"{number}", customer_id=f"c{number}", market="DE", look=name, look_id="", looked_at_ms=0, occurred_at_ms=0,
        first_purchase_at_ms=0, horizon_days=180, features=tuple(chance.gauss(1, 1) for _ in names),
        features_version=FEATURES_VERSION, first_order_minor=0, outcome_minor=0, is_vip=chance.random() < 0.1,
        score=0.1, model_version="", arm="none", assignment_id=None, propensity=None,
    )  # fmt: skip


def print_learning():
    chance = Random(2)
    records = [Record("examples", 0, n, 0, None, None, (), example(chance, n)) for n in range(6_000)]
    print("learner: examples in a batch | us for an example | bytes of model, of snapshot")
    for size in (1, 25, 200, 2_000):
        values: dict[str, bytes] = {}
        began = perf_counter()
        for start in range(0, len(records), size):
            batch = Batch(0, start, (Run("examples", tuple(records[start : start + size]), 0),))
            values.update({w.key: w.value or b"" for w in learn(State(values), batch, LearnPolicy()).writes})
        spent = (perf_counter() - began) / len(records) * 1e6
        print(f"  {size:>6} | {spent:6.0f} | {len(values['model']):,} {len(values['snapshot']):,}")
    return values["snapshot"]


def print_scoring(payload):
    print("scoring: champion | us for a first look, for a second look")
    chance = Random(3)
    for champion in ("rule", "river"):
        model = replace(load_model(payload, champion))
        timed = []
        for name, names in (("first", FEATURES), ("day_7", SECOND_FEATURES)):
            vector = tuple(chance.gauss(1, 1) for _ in names)
            began = perf_counter()
            for _ in range(5_000):
                model.score(name, vector)
            timed.append((perf_counter() - began) / 5_000 * 1e6)
        print(f"  {champion:>6} | {timed[0]:6.1f} {timed[1]:6.1f}   ({model.version})")


if __name__ == "__main__":
    print_assigning()
    print_scoring(print_learning())
