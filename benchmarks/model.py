"""What learning an example and scoring a look cost, in CPU time, with a shop's worth of articles: python benchmarks/model.py

Learning is told for the anchored model alone, and for the whole learner (rule, River, anchored, drift), in batches of 200.
"""

from random import Random
from time import process_time

from features.vector import FEATURES, FEATURES_VERSION, SECOND_FEATURES, Basket, refer
from online_models.anchored import Anchored
from online_models.learner import LearnPolicy, learn
from online_models.model import load_model
from online_models.rule import Rule
from schemas.events import ExampleReady
from schemas.records import Batch, Record, Run, State

EXAMPLES, SKUS_SOLD, ROUNDS = 6_000, 5_000, 10_000


def vector_of(chance, look):
    return tuple(chance.gauss(1, 1) for _ in (FEATURES if look == "first" else SECOND_FEATURES))


def example(chance, number):
    look = chance.choice(("first", "first", "day_7", "day_30", "order"))
    return ExampleReady(
        id=f"{number}", customer_id=f"c{number}", market="DE", look=look, look_id="", looked_at_ms=0, occurred_at_ms=0,
        first_purchase_at_ms=0, horizon_days=chance.choice((30, 180)), features=vector_of(chance, look),
        features_version=FEATURES_VERSION, first_order_minor=0, outcome_minor=chance.choice((0, 5_000)),
        is_vip=chance.random() < 0.1, score=0.1, model_version="", arm="none", assignment_id=None, propensity=None,
        skus=tuple(f"sku-{chance.randrange(SKUS_SOLD):05}" for _ in range(20)),
    )  # fmt: skip


def main():
    chance = Random(1)
    print("anchored model alone: look | us to learn an example")
    for look in ("first", "day_30"):
        model, rule = Anchored(), Rule()
        vectors = [vector_of(chance, look) for _ in range(1_000)]
        began = process_time()
        for number in range(ROUNDS):
            model.learn(rule, look, vectors[number % 1_000], 5_000, outcome=number % 10 == 0)
        print(f"  {look:>6} | {(process_time() - began) / ROUNDS * 1e6:6.0f}")
    began = process_time()
    for number in range(ROUNDS):
        model.note(
            rule, vectors[number % 1_000], tuple(f"sku-{(number * 20 + n) % SKUS_SOLD}" for n in range(20)), 5_000
        )
    print(f"  basket of 20 | {(process_time() - began) / ROUNDS * 1e6:6.0f}")

    records = [Record("examples", 0, n, 0, None, None, (), example(chance, n)) for n in range(EXAMPLES)]
    values: dict[str, bytes] = {}
    began = process_time()
    for start in range(0, EXAMPLES, 200):
        batch = Batch(0, start, (Run("examples", tuple(records[start : start + 200]), 0),))
        values.update({w.key: w.value or b"" for w in learn(State(values), batch, LearnPolicy()).writes})
    spent = (process_time() - began) / EXAMPLES * 1e6
    print(
        f"the whole learner: {spent:.0f} us an example; bytes of model {len(values['model']):,}, of snapshot {len(values['snapshot']):,}"
    )

    began = process_time()
    for _ in range(20):
        load_model(values["snapshot"])
    print(f"loading a snapshot: {(process_time() - began) / 20 * 1e3:.1f} ms")
    print("scoring: champion | us for a first look, for day 30 | us to refer a vector to the snapshot")
    basket = Basket("DE", tuple(f"sku-{n:05}" for n in range(20)))
    for champion in ("rule", "anchored", "river"):
        model = load_model(values["snapshot"], champion)
        timed = []
        for look in ("first", "day_30"):
            vector = vector_of(chance, look)
            began = process_time()
            for _ in range(ROUNDS):
                model.score(look, vector)
            timed.append((process_time() - began) / ROUNDS * 1e6)
        began = process_time()
        for _ in range(ROUNDS):
            refer(vector, basket, model.reference)
        timed.append((process_time() - began) / ROUNDS * 1e6)
        print(f"  {champion:>8} | {timed[0]:6.1f} {timed[1]:6.1f} | {timed[2]:6.1f}   ({model.version})")


if __name__ == "__main__":
    main()
