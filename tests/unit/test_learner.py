from random import Random
from typing import Any

import pytest
from msgspec.msgpack import decode, encode

from features.vector import FEATURES, FEATURES_VERSION, SECOND_FEATURES
from online_models.learner import Learned, LearnPolicy, Progress, learn, may_teach, needs
from online_models.model import load_model
from online_models.pipelines import NAMES, RIVER_VERSION, SPEC, resume, start
from online_models.rule import LATER, LOOKS, SKUS, SPEND, Rule
from online_models.snapshots import checksum_of, unpack
from online_models.validation import WINDOW
from schemas.events import ExampleReady, SnapshotPublished
from schemas.ids import caused_by_record
from schemas.records import Batch, Needs, Record, Rejection, Run, State

POLICY = LearnPolicy(version="policy", snapshot_every=50)


def vectors(chance, look):
    """A plausible vector: money in logs, counts that are often zero, shares."""
    names = FEATURES if look == "first" else SECOND_FEATURES
    vector = [chance.gauss(0, 1) if n % 3 else float(chance.random() < 0.05) for n in range(len(names))]
    vector[SPEND], vector[SKUS] = chance.gauss(5.5, 0.8), chance.gauss(2.0, 0.7)
    if look != "first":
        vector[LATER] = chance.gauss(5, 1) if chance.random() < 0.2 else 0.0
    return tuple(vector)


def example(chance, number, **others):
    look = others.pop("look", None) or chance.choice(LOOKS)
    vector = vectors(chance, look)
    later = vector[LATER] if look != "first" else 0.0
    rule = 1 / (1 + 2.718281828 ** (2.4 - (vector[SPEND] - 5.5) - 0.5 * later))
    fields = {
        "id": f"example/{number}",
        "customer_id": f"c{number}",
        "market": chance.choice(("DE", "FR")),
        "look": look,
        "look_id": f"look/{number}",
        "looked_at_ms": number,
        "occurred_at_ms": number + 1,
        "first_purchase_at_ms": number,
        "horizon_days": chance.choice((30, 180, 180)),
        "features": vector,
        "features_version": FEATURES_VERSION,
        "first_order_minor": 1,
        "outcome_minor": 1,
        "is_vip": chance.random() < rule,
        "score": 0.1,
        "model_version": "rule-1@cold",
        "arm": chance.choice(("none", "none", "control", "treatment")),
        "assignment_id": None,
        "propensity": None,
    }
    return ExampleReady(**{**fields, **others})


def records(examples, first_offset=0):
    return tuple(Record("examples", 0, first_offset + n, n, None, None, (), each) for n, each in enumerate(examples))


def taught(given, size=None, policy=POLICY):
    """The state and the outputs after examples, in batches of this size."""
    values: dict[str, bytes] = {}
    outputs: list[Any] = []
    size = size or max(1, len(given))
    for start_at in range(0, len(given), size):
        batch = Batch(0, start_at, (Run("examples", given[start_at : start_at + size], 0),))
        assert needs(batch) == Needs(frozenset({"model"}))
        decision = learn(State(dict(values)), batch, policy)
        values.update({write.key: write.value or b"" for write in decision.writes})
        outputs += decision.outputs
    return values, outputs


def learned_by(value):
    return decode(value, type=Learned)


def some(count, seed=1, **others):
    chance = Random(seed)
    return records([example(chance, n, **others) for n in range(count)])


def test_parameters_put_into_a_new_pipeline_go_on_bit_for_bit():
    """500 examples in one go, or exported and restored after 250: equal parameters and equal predictions."""
    for kind, look in (("first", "first"), ("second", "day_7")):
        chance = Random(3)
        given = [(vectors(chance, look), chance.random() < 0.2) for _ in range(500)]
        whole, half = resume(kind, start(kind)), resume(kind, start(kind))
        predicted = []
        for n, (vector, outcome) in enumerate(given):
            if n == 250:
                half = resume(kind, half.parameters())
            predicted.append((whole.predict(vector), half.predict(vector)))
            whole.learn(vector, outcome=outcome)
            half.learn(vector, outcome=outcome)
        assert all(a == b for a, b in predicted)
        assert len(set(predicted)) > 400
        assert whole.parameters() == half.parameters()
        assert whole.parameters().learned == 500


def test_exported_parameters_score_as_river_does():
    """The linear model made of the parameters predicts what the pipeline predicts."""
    chance = Random(4)
    pipeline = resume("first", start("first"))
    for _ in range(300):
        pipeline.learn(vectors(chance, "first"), outcome=chance.random() < 0.2)
    linear = pipeline.parameters().linear()
    for _ in range(20):
        vector = vectors(chance, "first")
        assert 1 / (1 + 2.718281828459045 ** -linear.log_odds(vector)) == pytest.approx(pipeline.predict(vector))


def test_a_pipeline_starts_at_the_rule():
    """Before it has learnt anything, River's weights are the rule's and its base is the prior rate."""
    parameters = start("first")
    assert {FEATURES[n]: w for n, w in enumerate(parameters.weights) if w} == {"log_first_spend": 0.8, "log_skus": 0.2}
    assert resume("first", parameters).predict((1.0,) * len(FEATURES)) == pytest.approx(0.1)


def test_examples_are_predicted_before_they_are_learnt():
    """The first prediction of both is made by who knows nothing: the prior rate, moved by the cold rule alone."""
    (given,) = some(1, look="first", horizon_days=180, arm="none", is_vip=True)
    values, _ = taught((given,))
    learned = learned_by(values["model"])
    (pair,) = learned.rings["first"].pairs()
    (told,) = learned.rings["first"].told()
    assert pair.rule == pytest.approx(load_model(None).score("first", given.event.features).score)
    assert told.anchored == pair.rule
    assert pair.river == pytest.approx(0.1)
    assert pair.outcome


def test_a_snapshot_is_cut_every_so_many_examples_that_taught_something():
    """It is named by the offset of the last of them, and is what the store's `snapshot` holds."""
    given = some(400)
    values, outputs = taught(given)
    snapshots = [output.event for output in outputs]
    assert len(snapshots) == learned_by(values["model"]).taught // 50 > 3
    assert all(output.topic == "snapshots" and output.key == "model" for output in outputs)
    last = snapshots[-1]
    assert isinstance(last, SnapshotPublished)
    assert values["snapshot"] == last.payload
    assert last.id == caused_by_record(given[int(last.version)], "SnapshotPublished")
    assert (last.spec, last.river_version, last.features_version) == (SPEC, RIVER_VERSION, FEATURES_VERSION)
    assert (last.checksum, last.examples_seen) == (checksum_of(last.payload), int(last.version) + 1)
    assert unpack(last.payload).version == last.version
    assert load_model(last.payload).version == f"anchored-1@{last.version}"


@pytest.mark.parametrize("labels", ["wait", "early"])
def test_what_may_not_teach_brings_no_snapshot_nearer(labels):
    """A replay counts on it; and how far the learner has come is read without the rest of what it knows."""
    policy = LearnPolicy(version="policy", snapshot_every=50, labels=labels)
    given = some(300)
    silent = [each for each in given if not may_teach(each.event, policy)]
    values, outputs = taught(silent, policy=policy)
    assert (labels == "wait") == bool(silent)
    assert outputs == []
    assert not silent or learned_by(values["model"]).taught == 0
    values, _ = taught(given, policy=policy)
    learned, progress = learned_by(values["model"]), decode(values["model"], type=Progress)
    assert (progress.seen, progress.taught) == (learned.seen, learned.taught) != (0, 0)


def test_the_treated_teach_nothing_by_default():
    """Their labels were changed by the service; a policy may include them."""
    given = some(60, horizon_days=180, arm="treatment")
    assert learned_by(taught(given)[0]["model"]).taught == 0
    both = LearnPolicy(learn_from_treated=True)
    assert learned_by(taught(given, policy=both)[0]["model"]).taught == 60


def test_first_looks_at_the_short_horizon_make_the_reference():
    """Mean and deviation of log first spend, in the shop and by market; they teach nothing else."""
    given = some(300, look="first", horizon_days=30)
    values, outputs = taught(given)
    learned = learned_by(values["model"])
    assert learned.rule.bases == Rule().bases
    reference = load_model(outputs[-1].event.payload).reference
    assert reference.shop.mean == pytest.approx(5.5, abs=0.15)
    assert set(reference.markets) == {"DE", "FR"}
    assert reference.markets["DE"].deviation == pytest.approx(0.8, abs=0.15)


def test_the_base_follows_what_comes_true_and_the_ranking_stays():
    """Where 30 % become VIPs instead of 10 %, the rule's scores come to say so."""
    chance = Random(5)
    given = records(
        [
            example(chance, n, look="day_7", horizon_days=180, arm="none", is_vip=chance.random() < 0.3)
            for n in range(1_500)
        ]
    )
    model = load_model(taught(given)[1][-1].event.payload, "rule")
    mean = sum(model.score("day_7", each.event.features).score for each in given) / len(given)
    assert mean == pytest.approx(0.3, abs=0.03)
    cold = load_model(None)
    ranked = sorted(given, key=lambda each: cold.score("day_7", each.event.features).score)
    scores = [model.score("day_7", each.event.features).score for each in ranked]
    assert scores == sorted(scores)


def test_examples_of_other_features_are_passed_over():
    """They are seen and counted; no vector is read by positions it doesn't have."""
    given = some(3, features_version="other", horizon_days=180, arm="none")
    decision = learn(State({}), Batch(0, 0, (Run("examples", given, 0),)), POLICY)
    assert decision.counts == {"examples_of_other_features": 3}
    assert learned_by(decision.writes[0].value).seen == 3


@pytest.mark.parametrize("horizon_days", [30, 180])
@pytest.mark.parametrize("features", [(1.0,), (0.0,) * (len(FEATURES) + 1), (float("nan"),) * len(FEATURES)])
def test_a_malformed_example_is_set_aside_and_teaches_nothing(features, horizon_days):
    """It names our features and does not hold them: the learner goes on with the next."""
    bad = example(Random(3), 7, look="first", horizon_days=horizon_days, arm="none", features=features)
    given = [record.event for record in some(300)]
    values, outputs = taught(records([*given, bad]))
    known, without = (learned_by(each["model"]) for each in (values, taught(records(given))[0]))
    [rejection] = [output for output in outputs if isinstance(output, Rejection)]
    assert (rejection.record.offset, rejection.fault.field) == (300, "features")
    assert (known.anchored, known.river, known.rule) == (without.anchored, without.river, without.rule)


def test_new_features_make_river_start_again_and_leave_the_rule():
    """What the rule knows is known by name, so it outlives a change of FEATURES."""
    values, _ = taught(some(200))
    before = learned_by(values["model"])
    before.features_version = "older"
    empty = Batch(0, 1, (Run("examples", (), 0),))
    (write,) = learn(State({"model": encode(before)}), empty, POLICY).writes
    after = learned_by(write.value)
    assert after.rule == before.rule
    assert after.river == {kind: start(kind) for kind in NAMES}
    assert (after.seen, after.features_version) == (before.seen, FEATURES_VERSION)


def test_the_state_is_bounded():
    """Rings keep their window, whatever comes: the model fits in 70 kB."""
    values, _ = taught(some(5_000), size=500)
    rings = learned_by(values["model"]).rings
    assert len(rings["second"].pairs()) == WINDOW
    assert len(values["model"]) < 70_000
