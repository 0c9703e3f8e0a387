from itertools import pairwise
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from features.vector import FEATURES_VERSION
from online_models.learner import LearnPolicy, learn
from schemas.events import ExampleReady
from schemas.records import Batch, Run, State
from tests.unit.test_learner import example, records

POLICY = LearnPolicy(snapshot_every=5)


def lessons(seed, count):
    """Examples of all looks, horizons and arms, some of other features."""
    chance = Random(seed)
    told = [
        example(chance, n, features_version=chance.choice((FEATURES_VERSION,) * 9 + ("other",))) for n in range(count)
    ]
    return records(told)


def learnt(pieces):
    """State and outputs after these pieces, one batch each."""
    values: dict[str, bytes] = {}
    outputs: list[Any] = []
    for entry, piece in enumerate(pieces):
        decision = learn(State(dict(values)), Batch(0, entry, (Run("examples", piece, 0),)), POLICY)
        values.update({write.key: write.value or b"" for write in decision.writes})
        outputs += decision.outputs
    return values, outputs


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 60), max_size=12))
def test_any_two_cuts_of_the_examples_give_equal_bytes(seed, cuts):
    """Model, snapshots and their versions do not know of batches."""
    given_records = lessons(seed, 60)
    bounds = [0, *sorted(cuts), 60]
    pieces = [given_records[a:b] for a, b in pairwise(bounds)]
    whole = learnt([given_records])
    assert isinstance(given_records[0].event, ExampleReady)
    assert len(whole[1]) >= 3
    assert learnt(pieces) == whole
