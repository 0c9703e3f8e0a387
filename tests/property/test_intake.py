"""The intake's promises, whatever arrives when: nothing lost, nothing out of order, time that never falls, bounded waits."""

from collections import defaultdict
from itertools import accumulate

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from schemas.events import PageBrowsed
from schemas.records import Fault, Record, Run
from streams.intake import HOUR_MS, Intake, IntakePolicy
from streams.log import Message

TOPICS = ("orders", "returns", "browse")
START_MS = 1_700_000_000_000
FAULT = Fault("undecodable", "value", "an event", "rubbish", "none")
Place = tuple[str, int]

times = st.one_of(st.integers(0, 5_000), st.integers(0, 50 * HOUR_MS), st.just(-1))  # after START_MS; -1: a fault
histories = st.dictionaries(
    st.tuples(st.sampled_from(TOPICS), st.integers(0, 1)), st.lists(times, max_size=12), max_size=6
)
policies = st.builds(
    IntakePolicy,
    max_records=st.integers(1, 20),
    max_bytes=st.integers(1, 60),
    lateness_ms=st.sampled_from([0, 1_000, HOUR_MS]),
    max_idle_ms=st.sampled_from([0, 10, 500]),
    follow_clock=st.booleans(),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("offer"), st.integers(0, 5), st.integers(1, 5)),  # source, records
        st.tuples(st.just("cut"), st.integers(0, 2_000), st.just(0)),  # after so many ms
        st.tuples(st.just("set back"), st.integers(0, 5_000), st.just(0)),
    ),
    max_size=40,
)


class World:
    """Partitions in which more lies than was offered yet; a clock; and all that came out."""

    def __init__(self, history: dict[Place, list[int]], policy: IntakePolicy) -> None:
        self.policy = policy
        self.left = {
            (topic, p): [record(topic, p, n, at) for n, at in enumerate(history.get((topic, p), []))]
            for topic in TOPICS
            for p in (0, 1)
        }
        self.all = {place: list(records) for place, records in self.left.items()}
        self.intake = Intake(TOPICS, lambda _: FAULT, policy)
        for p in (0, 1):
            self.intake.start(p, dict.fromkeys(TOPICS, 0), 0)
        self.now_ms = START_MS + 100 * HOUR_MS
        self.runs: dict[int, list[Run]] = defaultdict(list)

    def offer(self, source: int, count: int) -> None:
        place = [*self.left][source % len(self.left)]
        taken, self.left[place] = self.left[place][:count], self.left[place][count:]
        self.intake.offer(taken)

    def offer_everything(self) -> None:
        for source in range(len(self.left)):
            self.offer(source, 1_000)

    def is_lagging(self, topic: str, partition: int, next_offset: int) -> bool:
        return any(record.offset >= next_offset for record in self.all[topic, partition])

    def cut(self) -> dict[int, tuple[Run, ...]]:
        pieces = self.intake.cut(self.now_ms, self.is_lagging)
        for partition, runs in pieces.items():
            self.runs[partition] += runs
        return pieces

    def drain(self) -> None:
        self.offer_everything()
        while self.cut():
            self.now_ms += 1

    def play(self, steps: list[tuple[str, int, int]]) -> None:
        for act, number, count in steps:
            if act == "offer":
                self.offer(number, count)
            else:
                self.now_ms += number if act == "cut" else -number
                self.cut()

    def applied(self, partition: int) -> list[Record]:
        return [record for run in self.runs[partition] for record in run.records]


def record(topic: str, partition: int, number: int, at_ms: int) -> Record:
    """Every third offset is one of a marker's, so offsets have gaps."""
    event = FAULT if at_ms < 0 else PageBrowsed(event_id="b", occurred_at_ms=START_MS + at_ms)
    offset = number + number // 2
    return Record(*Message(topic, partition, offset, START_MS, None, b"12345"), event)


worlds = st.builds(World, histories, policies)


@given(worlds, steps)
def test_every_record_comes_out_once_and_in_order(world: World, steps: list[tuple[str, int, int]]) -> None:
    """What is offered is applied, all of it, once, and within a topic in the log's order."""
    world.play(steps)
    world.drain()
    for (topic, partition), records in world.all.items():
        assert [r for r in world.applied(partition) if r.topic == topic] == records


@given(worlds, steps)
def test_what_was_offered_before_is_dropped(world: World, steps: list[tuple[str, int, int]]) -> None:
    """Redelivery changes nothing; neither do records of partitions that are not assigned."""
    world.play(steps)
    world.drain()
    before = {p: list(runs) for p, runs in world.runs.items()}
    for records in world.all.values():
        world.intake.offer(records)
        world.intake.offer(r._replace(partition=7) for r in records)
    world.drain()
    assert world.runs == before


@given(worlds, steps)
def test_the_watermark_never_falls(world: World, steps: list[tuple[str, int, int]]) -> None:
    """From run to run it stands or rises, whatever the records and the clock do, and never passes the latest clock."""
    latest_ms = world.now_ms
    for step in steps:
        world.play([step])
        latest_ms = max(latest_ms, world.now_ms)
    world.drain()
    for runs in world.runs.values():
        marks = [run.watermark_ms for run in runs]
        assert marks == sorted(marks)
        assert all(mark <= max(latest_ms, world.now_ms) - world.policy.lateness_ms for mark in marks)


@given(worlds, steps)
def test_time_alone_only_rises(world: World, steps: list[tuple[str, int, int]]) -> None:
    """A tick is offered when all is applied and time follows the clock, and only forwards."""
    world.play(steps)
    world.drain()
    for partition in (0, 1):
        before = world.intake.watermark_ms(partition)
        reached = world.intake.tick(partition, world.now_ms, world.is_lagging)
        expected = world.now_ms - world.policy.lateness_ms
        assert reached == (expected if world.policy.follow_clock and expected > before else None)
        if reached is not None:
            assert world.intake.advance(partition, reached) == (Run("", (), reached),)
            assert world.intake.watermark_ms(partition) == reached


@given(worlds)
def test_all_at_hand_is_merged_by_event_time(world: World) -> None:
    """With every source at hand the applied sequence is that of event time; a record never overtakes its predecessor."""
    expected = {p: merged({place: r for place, r in world.all.items() if place[1] == p}) for p in (0, 1)}
    world.drain()
    for partition in (0, 1):
        assert [order for order, _ in with_order(world.applied(partition))] == expected[partition]


def with_order(records: list[Record]) -> list[tuple[int, Record]]:
    """Each record with the event time its topic has reached by then."""
    reached: dict[str, int] = defaultdict(int)
    found = []
    for r in records:
        if not isinstance(r.event, Fault):
            reached[r.topic] = max(reached[r.topic], r.event.occurred_at_ms)
        found.append((reached[r.topic], r))
    return found


def merged(sources: dict[Place, list[Record]]) -> list[int]:
    orders = (
        accumulate((0 if isinstance(r.event, Fault) else r.event.occurred_at_ms for r in records), max)
        for records in sources.values()
    )
    return sorted(order for source in orders for order in source)


@given(histories, policies, st.integers(1, 20), st.integers(1, 60))
def test_how_it_is_cut_changes_no_order(
    history: dict[Place, list[int]], policy: IntakePolicy, max_records: int, max_bytes: int
) -> None:
    """Large batches and small ones apply the same sequence, with the same watermark at the end."""
    one = World(history, policy)
    other = World(history, IntakePolicy(max_records, max_bytes, policy.lateness_ms, follow_clock=policy.follow_clock))
    one.drain()
    other.now_ms = one.now_ms
    other.drain()
    for partition in (0, 1):
        assert one.applied(partition) == other.applied(partition)
        if not policy.follow_clock:
            assert one.intake.watermark_ms(partition) == other.intake.watermark_ms(partition)


@given(worlds, steps)
def test_a_cut_is_bounded(world: World, steps: list[tuple[str, int, int]]) -> None:
    """No more records than allowed, no more bytes than allowed and one record, over all partitions together."""
    for step in steps:
        world.play([step])
        pieces = world.cut()
        sizes = [len(r.value or b"") for runs in pieces.values() for run in runs for r in run.records]
        assert len(sizes) <= world.policy.max_records
        assert sum(sizes[:-1]) < world.policy.max_bytes or not sizes


@given(worlds, steps)
def test_a_run_is_of_one_topic_and_one_hour(world: World, steps: list[tuple[str, int, int]]) -> None:
    """So what falls due fires between records that are close to it in time."""
    world.play(steps)
    world.drain()
    for runs in world.runs.values():
        orders = iter(with_order([r for run in runs for r in run.records]))
        for run in runs:
            assert run.records
            assert {r.topic for r in run.records} == {run.topic}
            assert len({next(orders)[0] // HOUR_MS for _ in run.records}) == 1


@given(worlds, st.integers(0, 5_000))
def test_waiting_ends(world: World, set_back_ms: int) -> None:
    """For a source that lags a partition waits max_idle_ms and no longer, even if the clock is set back meanwhile."""
    topics = [topic for topic in TOPICS if world.left[topic, 0]]
    assume(len(topics) > 1)
    world.offer([*world.left].index((topics[0], 0)), 1_000)  # of the others nothing comes
    first = world.cut()
    assert 0 not in first or world.policy.max_idle_ms == 0
    world.now_ms -= set_back_ms
    assert first or 0 not in world.cut()
    world.now_ms += world.policy.max_idle_ms
    assert 0 in first or 0 in world.cut()


@given(worlds)
def test_a_lagging_source_holds_time_back(world: World) -> None:
    """Who goes on without a source passes no moment of which that source has not told."""
    world.offer([*world.left].index(("orders", 0)), 1_000)
    world.offer([*world.left].index(("returns", 0)), 1_000)
    world.cut()
    world.now_ms += 1_000
    while world.cut():
        pass
    if world.left["browse", 0]:
        assert world.intake.watermark_ms(0) == 0


@given(histories, policies)
@settings(max_examples=50)
def test_it_goes_on_where_it_is_told(history: dict[Place, list[int]], policy: IntakePolicy) -> None:
    """After a restart at some positions the records before them are not applied again, and time goes on from there."""
    world = World(history, policy)
    middle = {t: len(world.all[t, 0]) // 2 for t in TOPICS}
    positions = {t: world.all[t, 0][n].offset if n < len(world.all[t, 0]) else 0 for t, n in middle.items()}
    world.intake.start(0, positions, START_MS)
    world.drain()
    for topic in TOPICS:
        expected = [r for r in world.all[topic, 0] if r.offset >= positions[topic]]
        assert [r for r in world.applied(0) if r.topic == topic] == expected
    assert all(run.watermark_ms >= START_MS for run in world.runs[0])
