"""Promotions, rollbacks and drift do not know of batches: any two cuts of what the learner reads give equal bytes."""

from itertools import pairwise
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from online_models.learner import LearnPolicy, learn
from online_models.snapshots import pack, unpack
from schemas.events import ModelChosen, SnapshotPublished
from schemas.records import Batch, Record, Run, State
from tests.unit.test_learner import example

POLICY = LearnPolicy(
    snapshot_every=23,
    champion="river",
    challengers=("rule",),
    promotes_by_rule=True,
    promote_after=100,
    drift_action="fall_back",
    fall_back_examples=60,
)
COUNT = 260


def earlier():
    told = learnt([lessons(Random(0), 40, {})])[1]
    return next(output.event for output in told if isinstance(output.event, SnapshotPublished))


def lessons(chance, count, choices):
    """First looks whose outcomes turn round half-way, with choices in between."""
    records = []
    for n in range(count):
        event: Any = choices.get(n)
        if event is None:
            event = example(chance, n, look=chance.choice(("first", "first", "day_7")), horizon_days=180, arm="none")
            event = replace(event, is_vip=(event.features[0] > 5.6) != (n > count // 2))
        records.append(Record("examples", 0, n, n, None, None, (), event))
    return tuple(records)


def learnt(pieces, policy=POLICY):
    values: dict[str, bytes] = {}
    outputs: list[Any] = []
    for entry, piece in enumerate(pieces):
        decision = learn(State(dict(values)), Batch(0, entry, (Run("examples", piece, 0),)), policy)
        values.update({write.key: write.value or b"" for write in decision.writes})
        outputs += decision.outputs
    return values, outputs


def choice(kind, payload):
    more: dict[str, Any] = {"promoted": {"model": "rule"}, "rolled_back": payload}.get(kind, {})
    if kind == "wrong":
        kind, more = "promoted", {"model": "oracle"}
    return ModelChosen(choice_id="c", occurred_at_ms=1, choice=kind, **more)


PAYLOAD = earlier()
ROLLED_BACK = {"version": PAYLOAD.version, "payload": PAYLOAD.payload}
KINDS = ("promoted", "rolled_back", "followed", "warm_started", "wrong")


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32),
    st.dictionaries(st.integers(0, COUNT - 1), st.sampled_from(KINDS), min_size=1, max_size=5),
    st.lists(st.integers(0, COUNT), max_size=12),
)
def test_any_two_cuts_of_examples_and_choices_give_equal_bytes(seed, chosen, cuts):
    """State, snapshots, the payload that scores, and what is set aside."""
    choices = {at: choice(kind, ROLLED_BACK) for at, kind in chosen.items()}
    records = lessons(Random(seed), COUNT, choices)
    whole = learnt([records])
    assert len(whole[1]) >= COUNT // POLICY.snapshot_every
    assert learnt([records[a:b] for a, b in pairwise([0, *sorted(cuts), COUNT])]) == whole


def test_there_is_something_to_compare():
    """In such a sequence the learner promotes, falls back, finds drift and is held: else the property says little."""
    records = lessons(Random(1), 900, {500: choice("rolled_back", ROLLED_BACK)})
    _, outputs = learnt([records])
    published = [output.event for output in outputs]
    assert any(event.drift for event in published)
    assert any(unpack(event.payload).standing.fallen_back for event in published)
    assert {"examples", "rolled_back"} <= {event.cause for event in published}
    assert published[-1].scoring_version == PAYLOAD.version
    assert pack(unpack(published[0].payload)) == published[0].payload
