"""A fold, customer by customer, on any shards, finds what the engine finds that is fed the whole log in order.

What one account sends to another is applied at once in a fold, so circles of merges can't come about. What differs besides: the engine names what one account sends to another by the record that carries it, the fold by the
event that began it. Here the engine is given such records under the fold's names, so that all ids can be compared.
"""

from collections import Counter, deque
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from features.store import MemoryStore, Position
from schemas.events import (
    ConsentChanged,
    CustomerScored,
    CustomerStanding,
    EventForwarded,
    ExampleReady,
    OrderLine,
    OrderPlaced,
    ProfileMoved,
    TierChanged,
)
from schemas.records import Announcement, Batch, Record, Rejection, Run, State
from streams import engine
from streams.replay.fold import fold
from streams.replay.households import recorder
from streams.replay.moments import (
    LookMoment,
    OutcomeMoment,
    StandingMoment,
    TierMoment,
    decode_moment,
    encode_moment,
    key,
)
from streams.replay.rows import FAULT, read_payload
from tests.property.histories import CUSTOMERS, DAY_MS, START_MS
from tests.property.logs import ALONE, ListSource, logs, moments_hash


class Engine:
    """One partition, fed record by record; before each, time passes to just before it."""

    def __init__(self, policy):
        self.policy, self.model, self.store, self.entry = policy, recorder(), MemoryStore(), 0
        self.told: list[object] = []
        self.vectors: dict[str, tuple[float, ...]] = {}
        self.counts: Counter[str] = Counter()
        self.sent: deque[object] = deque()

    def feed(self, source):
        rows = [row for row in source.rows() if row["kind"] != FAULT]
        for row in rows:
            self.decide(Run("", (), row["at_ms"] - 1))
            place = row["topic"], row["partition"], row["offset"]
            self.apply(place, row["at_ms"], read_payload(row["kind"], row["payload"]))
            hops = 0
            while self.sent:
                self.apply(("/".join(map(str, place)) + "/privacy", 0, hops), row["at_ms"], self.sent.popleft())
                hops += 1
        self.decide(Run("", (), max((row["at_ms"] for row in source.rows()), default=0)))
        return self

    def apply(self, place, at_ms, event):
        self.decide(Run(place[0], (Record(place[0], place[1], place[2], at_ms, None, b"", (), event),), 0))

    def decide(self, run):
        batch = Batch(0, self.entry, (run,))
        needs = engine.needs(batch, self.policy)
        loaded = self.store.load(0, needs.keys, needs.due_by_ms)
        more = self.store.load(0, engine.companions(key for _, key in loaded.due), -1).values
        decision = engine.decide(State({**loaded.values, **more}, {}, loaded.due), batch, self.model, self.policy)
        self.store.apply(0, self.entry, Position(self.entry + 1), decision.writes)
        self.entry += 1
        self.counts.update(decision.counts)
        for output in decision.outputs:
            if isinstance(output, Rejection):
                self.counts[f"rejected {output.fault.error}"] += 1
                continue
            assert isinstance(output, Announcement)
            if isinstance(output.event, ProfileMoved | EventForwarded):
                self.sent.append(output.event)
            else:
                self.told.append(output.event)


def folded(source, policy, **options):
    with TemporaryDirectory() as folder:
        found = fold(source, Path(folder), policy, **options)
        return found, list(found.moments()), list(found.spend()), moments_hash(found)


def by_kind(told, kind):
    return sorted((event for event in told if isinstance(event, kind)), key=repr)


def examples_of(moments):
    """What an `OutcomeMoment` says of the core's examples."""
    return sorted(
        (f"{m.cause}/{m.horizon_days}/{number}", m.customer_id, m.market, look_id, m.at_ms, m.first_purchase_at_ms,
         m.first_order_minor, m.outcome_minor, m.is_vip)
        for m in moments if isinstance(m, OutcomeMoment) for number, look_id in m.looks
    )  # fmt: skip


TOLD_AGAIN = [  # a look without consent, which comes an hour later
    ("orders", OrderPlaced(order_id="o", occurred_at_ms=START_MS + 2 * DAY_MS, currency="EUR", market="DE", customer_id=CUSTOMERS[0],
                           lines=(OrderLine(sku="a", quantity=1, unit_price_minor=900),))),
    ("privacy", ConsentChanged(customer_id=CUSTOMERS[0], occurred_at_ms=START_MS + 2 * DAY_MS + 3_600_000, granted=True)),
]  # fmt: skip


@given(logs(), st.integers(1, 5))
@example(TOLD_AGAIN, 1)
@settings(max_examples=60, deadline=None)
def test_a_fold_finds_what_the_engine_finds(events, shards):
    """Every look, standing, tier change and example, with their ids; every count."""
    source = ListSource(events, faults=2)
    told = Engine(ALONE).feed(source)
    found, moments, _, _ = folded(source, ALONE, shards=shards)
    assert by_kind([m.scored for m in moments if isinstance(m, LookMoment)], CustomerScored) == by_kind(
        told.told, CustomerScored
    )
    assert by_kind([m.standing for m in moments if isinstance(m, StandingMoment)], CustomerStanding) == by_kind(
        told.told, CustomerStanding
    )
    assert by_kind([m.change for m in moments if isinstance(m, TierMoment)], TierChanged) == by_kind(
        told.told, TierChanged
    )
    assert examples_of(moments) == sorted(
        (e.id, e.customer_id, e.market, e.look_id, e.occurred_at_ms, e.first_purchase_at_ms, e.first_order_minor,
         e.outcome_minor, e.is_vip)
        for e in told.told if isinstance(e, ExampleReady)
    )  # fmt: skip
    for name in (
        "duplicates",
        "merges",
        "forwarded",
        "looks",
        "looks_told_again",
        "examples",
        "tier_changes",
        "circles",
    ):
        assert found.counts.get(name, 0) == told.counts[name], name
    assert found.counts.get("rejected", 0) == told.counts["rejected"] + 2
    assert found.counts["rejected undecodable"] == 2


@given(logs())
@settings(max_examples=25, deadline=None)
def test_an_example_has_the_vectors_of_the_looks_it_names(events):
    """A look's moment carries the very vector that the core froze: examples can be made of moments alone."""
    source = ListSource(events)
    told = Engine(ALONE).feed(source)
    _, moments, _, _ = folded(source, ALONE)
    vectors = {(m.customer_id, m.scored.id): (m.vector, m.basket) for m in moments if isinstance(m, LookMoment)}
    for made in (e for e in told.told if isinstance(e, ExampleReady)):
        vector, basket = vectors[made.customer_id, made.look_id]
        assert vector == made.features
        assert (basket.skus, basket.categories, basket.brands) == (made.skus, made.categories, made.brands)


@given(logs(), st.integers(1, 6), st.integers(2, 4), st.randoms())
@settings(max_examples=30, deadline=None)
def test_neither_shards_nor_the_order_of_reading_show(events, shards, partitions, chance):
    """Equal bytes; and moments are in their total order, ids those of the customer's own partition."""
    policy = replace(ALONE, partitions=partitions)
    source = ListSource(events, partitions)
    _, moments, _, expected = folded(source, policy, shards=1)
    assert [key(m) for m in moments] == sorted(key(m) for m in moments)
    assert len({key(m) for m in moments}) == len(moments)
    batches = list(source.batches())
    chance.shuffle(batches)
    source.batches = lambda: iter(batches)  # type: ignore[method-assign]  # the same rows, read in another order
    assert folded(source, policy, shards=shards)[3] == expected


@given(logs())
@settings(max_examples=30, deadline=None)
def test_spending_is_what_outcomes_are_made_of(events):
    """Of whoever has one account, net spend within the horizon is the core's outcome."""
    source = ListSource(events)
    _, moments, spend, _ = folded(source, ALONE)
    spent = {each.customer_id: each for each in spend if not each.accounts}
    for moment in moments:
        if isinstance(moment, OutcomeMoment) and moment.customer_id in spent:
            known = spent[moment.customer_id]
            if known.first_purchase_at_ms == moment.first_purchase_at_ms:  # else erased in between
                assert known.until(moment.at_ms) == moment.outcome_minor
                assert known.first_order_minor == moment.first_order_minor


@given(logs(max_size=30))
@settings(max_examples=15, deadline=None)
def test_moments_survive_their_encoding(events):
    """Vectors are 32-bit floats: nothing is lost."""
    _, moments, _, _ = folded(ListSource(events), ALONE)
    assert [decode_moment(encode_moment(moment)) for moment in moments] == moments


def test_there_is_something_to_compare():
    """Merges, forwarded events, visitors met, looks told again, examples: all occur."""
    seen: Counter[str] = Counter()

    @given(logs(min_size=30))
    @settings(max_examples=60, deadline=None, derandomize=True)
    def collect(events):
        found, moments, _, _ = folded(ListSource(events), ALONE)
        seen.update(found.counts)
        seen.update(type(moment).__name__ for moment in moments)

    collect()
    for name in ("merges", "forwarded", "duplicates", "examples", "guests", "LookMoment", "OutcomeMoment", "TierMoment",
                 "StandingMoment"):  # fmt: skip
        assert seen[name] > 0, name


def test_a_look_told_again_is_a_moment_of_its_own():
    _, moments, _, _ = folded(ListSource(TOLD_AGAIN), ALONE)
    looks = [moment for moment in moments if isinstance(moment, LookMoment)]
    assert [(m.scored.look, m.scored.look_number, m.scored.consent) for m in looks] == [
        ("first", 1, "unknown"), ("first", 1, "granted"),
    ]  # fmt: skip
