"""The property on which everything rests: how an applied sequence is cut into batches changes nothing, to the byte."""

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from features.profile import encode, fold_browse, new_visitor
from features.store import MemoryStore, Position
from online_models.model import load_model
from schemas.codec import write_event
from schemas.events import OutsideRead, PageBrowsed
from schemas.records import Announcement, Batch, Run, Seen, State
from streams import engine
from tests.property.histories import HERE, OTHER_VISITORS, POLICY, START_MS, histories

MODEL = load_model(None)


def elsewhere(visitor_id):
    """A visitor who was seen on another partition, as of its seventh entry."""
    visitor = new_visitor(visitor_id, START_MS)
    fold_browse(visitor, PageBrowsed(event_id="x", occurred_at_ms=START_MS, visitor_id=visitor_id), POLICY.rates)
    return Seen(7, encode(visitor))


OUTSIDE = {"v/" + visitor: elsewhere(visitor) for visitor in OTHER_VISITORS}


def run(batches):
    """What a worker would do: load, decide, apply. Returns outputs by topic, all reads, and the final state."""
    store, outputs = MemoryStore(), defaultdict(list)
    reads: list[OutsideRead] = []
    for batch in batches:
        needs = engine.needs(batch, POLICY)
        loaded = store.load(HERE, needs.keys, needs.due_by_ms)
        more = store.load(HERE, engine.companions(key for _, key in loaded.due), -1).values
        state = State({**loaded.values, **more}, {key: OUTSIDE[key] for key in needs.outside}, loaded.due)
        decision = engine.decide(state, batch, MODEL, POLICY)
        store.apply(HERE, batch.entry, Position(batch.entry + 1), decision.writes)
        reads.extend(decision.reads)
        for output in decision.outputs:
            as_bytes = write_event(output.event, 1) if isinstance(output, Announcement) else repr(output)
            outputs[getattr(output, "topic", type(output).__name__)].append(as_bytes)
    return outputs, reads, store.contents(HERE), store.load(HERE, (), 1 << 60).due


def cut(runs, places):
    """Cut between any two records; the first piece of a cut run leaves the watermark where it stood."""
    pieces, current, count, before_ms = [], [], 0, 0
    for topic, records, watermark_ms in runs:
        start = 0
        for index in range(len(records)):
            count += 1
            if count in places and index + 1 < len(records):
                current.append(Run(topic, records[start : index + 1], before_ms))
                pieces.append(current)
                current, start = [], index + 1
        current.append(Run(topic, records[start:], watermark_ms))
        before_ms = watermark_ms
        if count in places:
            pieces.append(current)
            current = []
    if current:
        pieces.append(current)
    return [Batch(HERE, entry, tuple(piece)) for entry, piece in enumerate(pieces)]


@given(histories(), st.sets(st.integers(1, 60)))
@settings(max_examples=200, deadline=None)
def test_any_two_cuts_give_equal_bytes(runs, places):
    """One batch, and any other cut of the same sequence, announce the same and leave the same state."""
    in_one = run([Batch(HERE, 0, runs)])
    assert run(cut(runs, places)) == in_one


@given(histories(min_size=20, max_size=40))
@settings(max_examples=50, deadline=None)
def test_one_record_at_a_time_is_a_cut_like_any_other(runs):
    """The finest cut there is."""
    assert run(cut(runs, set(range(100)))) == run([Batch(HERE, 0, runs)])


def test_there_is_something_to_compare():
    """Over many histories all kinds of outputs occur, so equality above says something."""
    seen = set()

    @given(histories(min_size=30, max_size=60))
    @settings(max_examples=60, deadline=None, derandomize=True)
    def collect(runs):
        outputs, _, _, _ = run([Batch(HERE, 0, runs)])
        seen.update(outputs)

    collect()
    assert {"scores", "examples", "tier-changes", "privacy", "Rejection", "Reroute"} <= seen
