"""What counting costs beside what it counts: a batch of 2,000 browse events, and one of 2,000 first purchases.

python benchmarks/metrics.py
"""

from collections.abc import Callable
from time import perf_counter

from msgspec.structs import replace

from online_models.model import load_model
from schemas.events import Event, OrderLine, OrderPlaced, PageBrowsed
from schemas.records import Batch, Record, Run, State
from streams import engine
from streams.commit import Committed
from streams.policies import scoring_policy
from streams.settings import Settings
from streams.watching.metrics import STEPS, Metrics

AT_MS, SIZE, TIMES = 1_792_108_800_000, 2_000, 50


def browse(number: int) -> Event:
    return PageBrowsed(event_id=f"e{number}", customer_id=f"c{number}", occurred_at_ms=AT_MS + number)


def order(number: int) -> Event:
    line = OrderLine(sku="boot-38", quantity=1, unit_price_minor=49_000)
    return OrderPlaced(
        order_id=f"o{number}", customer_id=f"c{number}", occurred_at_ms=AT_MS + number, currency="EUR", market="DE", lines=(line,)
    )  # fmt: skip


def quickest_ms(step: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        begun = perf_counter()
        step()
        taken.append(perf_counter() - begun)
    return min(taken) * 1_000


def main() -> None:
    policy, model, metrics = replace(scoring_policy(Settings()), partitions=1), load_model(None), Metrics()
    print("batch of 2,000        decide, ms   count, ms   share")
    for name, topic, event in (("browse events", "browse", browse), ("first purchases", "orders", order)):
        records = (Record(topic, 0, n, AT_MS + n, f"c{n}".encode(), b"", (), event(n)) for n in range(SIZE))
        batch = Batch(0, 0, (Run(topic, tuple(records), AT_MS),))
        committed = [Committed(batch, engine.decide(State({}), batch, model, policy))]
        decide = quickest_ms(lambda b=batch: engine.decide(State({}), b, model, policy), 5)
        count = quickest_ms(lambda c=committed: metrics.note("scorer", c), TIMES)
        print(f"{name:20}  {decide:10.1f}  {count:10.2f}  {count / (decide + count):6.1%}")

    def watch() -> None:
        with metrics.watch("scorer").commit({}):
            for step in STEPS:
                with metrics.watch("scorer").step(step):
                    pass

    print(f"timing a commit and its steps: {quickest_ms(watch, TIMES) * 1_000:.0f} us")


if __name__ == "__main__":
    main()
