"""The learner and who scores: promotion, rollback, drift, as a scorer sees them through snapshots."""

from math import exp
from random import Random

import pytest
from msgspec.msgpack import encode
from msgspec.structs import replace

from features.vector import FEATURES_VERSION
from online_models.anchored import Anchored
from online_models.learner import LearnPolicy, learn, recall
from online_models.model import load_model
from online_models.rule import SPEND
from online_models.snapshots import pack, unpack
from schemas.events import ModelChosen, SnapshotPublished
from schemas.records import Announcement, Batch, Record, Rejection, Run, State
from tests.unit.test_learner import example, vectors

POLICY = LearnPolicy(version="policy", snapshot_every=50, champion="rule", challengers=("river",))


def lessons(seed, count):
    """First looks."""
    chance = Random(seed)
    return [example(chance, n, look="first", horizon_days=180, arm="none") for n in range(count)]


class School:
    """A learner with its state, and what a scorer reads of it."""

    def __init__(self, policy=POLICY):
        self.policy, self.values, self.offset = policy, {}, 0
        self.published, self.rejected = [], []

    def teach(self, events):
        records = tuple(
            Record("examples", 0, self.offset + n, n, None, None, (), each) for n, each in enumerate(events)
        )
        self.offset += len(records)
        decision = learn(State(dict(self.values)), Batch(0, 0, (Run("examples", records, 0),)), self.policy)
        self.values.update({write.key: write.value or b"" for write in decision.writes})
        told = [output.event for output in decision.outputs if isinstance(output, Announcement)]
        self.published += [event for event in told if isinstance(event, SnapshotPublished)]
        self.rejected += [output for output in decision.outputs if isinstance(output, Rejection)]

    def choose(self, choice, **more):
        self.teach([ModelChosen(choice_id="choice", occurred_at_ms=7, choice=choice, **more)])

    def model(self):
        return load_model(self.values.get("snapshot"), self.policy.champion)

    def learned(self):
        return recall(self.values["model"])


def test_a_promoted_model_scores_at_once_and_from_then_on():
    school = School()
    school.teach(lessons(1, 600))
    assert school.model().version.startswith("rule-")
    school.choose("promoted", model="river")
    assert school.model().version == "river-1@600"
    assert (school.published[-1].cause, school.published[-1].champion) == ("promoted", "river")
    school.teach(lessons(2, 50))
    assert school.model().version == "river-1@650"
    assert school.published[-1].champion == "river"
    school.choose("followed")
    assert school.model().version.startswith("rule-")


def test_a_rollback_brings_an_earlier_version_back_to_the_byte():
    """It stays while newer ones are published, and says so; the newest comes back with `followed`."""
    school = School()
    school.teach(lessons(3, 200))
    earlier, payload = school.published[1], school.values["snapshot"]
    school.choose("rolled_back", version=earlier.version, payload=earlier.payload)
    assert school.values["snapshot"] == earlier.payload != payload
    assert school.model().version.endswith(f"@{earlier.version}")
    school.teach(lessons(4, 100))
    assert school.values["snapshot"] == earlier.payload
    assert [event.scoring_version for event in school.published[-3:]] == [earlier.version] * 3
    school.choose("followed")
    assert school.published[-1].scoring_version == ""
    assert school.values["snapshot"] == school.published[-1].payload


def test_a_promotion_ends_a_rollback():
    school = School()
    school.teach(lessons(3, 600))
    earlier = school.published[1]
    school.choose("rolled_back", version=earlier.version, payload=earlier.payload)
    school.choose("promoted", model="river")
    assert school.values["snapshot"] == school.published[-1].payload
    assert school.published[-1].scoring_version == ""


@pytest.mark.parametrize("wrong", ["payload", "version", "features", "stranger", "parts", "model"])
def test_what_can_not_be_chosen_is_set_aside_and_changes_nothing(wrong):
    school = School()
    school.teach(lessons(5, 100))
    event, before = school.published[0], dict(school.values)
    other = pack(replace(unpack(event.payload), features_version="other"))
    match wrong:
        case "payload":
            school.choose("rolled_back", version=event.version, payload=event.payload[:-1] + b"\x00")
        case "version":
            school.choose("rolled_back", version="7", payload=event.payload)
        case "features":
            school.choose("rolled_back", version=event.version, payload=other)
        case "stranger":
            other = pack(replace(unpack(event.payload), challengers=("oracle",)))
            school.choose("rolled_back", version=event.version, payload=other)
        case "parts":
            other = pack(replace(unpack(event.payload), anchored=Anchored(looks={})))
            school.choose("rolled_back", version=event.version, payload=other)
        case _:
            school.choose("promoted", model="oracle")
    [rejection] = school.rejected
    assert rejection.fault.error == "invalid"
    assert school.values == before
    assert len(school.published) == 2


def test_challengers_score_beside_the_champion_and_change_nothing():
    school, alone = School(), School(replace(POLICY, challengers=()))
    for one in (school, alone):
        one.teach(lessons(6, 700))
    vector = vectors(Random(1), "first")
    scored, by_itself = school.model().score("first", vector), alone.model().score("first", vector)
    assert scored._replace(challengers=()) == by_itself
    [challenge] = scored.challengers
    assert challenge.model == "river-1@699"
    school.choose("promoted", model="river")
    promoted = school.model().score("first", vector)
    assert promoted.score == challenge.score
    assert [challenge.model.rpartition("-")[0] for challenge in promoted.challengers] == ["rule"]


def test_a_challenger_that_proves_better_takes_over_by_itself():
    """Where those who buy little become VIPs, River wins; by hand it would have to wait."""
    by_rule = replace(POLICY, promotes_by_rule=True, promote_after=500)
    school, by_hand = School(by_rule), School()
    chance = Random(8)
    examples = [
        replace(e, is_vip=chance.random() < 1 / (1 + exp(3 * (e.features[SPEND] - 5)))) for e in lessons(7, 1_500)
    ]
    for one in (school, by_hand):
        one.teach(examples)
    causes = [event.cause for event in school.published]
    assert causes.count("promoted_by_rule") == 1
    assert school.model().version.startswith("river-1@")
    assert by_hand.model().version.startswith("rule-")
    assert {event.cause for event in by_hand.published} == {"examples"}


def test_drift_is_reported_and_answered_as_configured():
    """The champion's loss jumps when outcomes turn round: told, and with `fall_back` the rule scores for a while."""
    chance = Random(9)
    calm = [replace(e, is_vip=chance.random() < (0.6 if e.features[SPEND] > 6 else 0.02)) for e in lessons(9, 1_000)]
    turned = [replace(e, is_vip=e.features[SPEND] < 5.4) for e in calm[:600]]
    policy = replace(POLICY, champion="river", challengers=("rule",), snapshot_every=70)
    schools = {
        action: School(replace(policy, drift_action=action, fall_back_examples=200))
        for action in ("report", "fall_back", "forget")
    }
    for school in schools.values():
        school.teach(calm)
        assert school.learned().taught == len(calm)
        school.teach(turned)
        told = [drift for event in school.published for drift in event.drift]
        assert "loss" in {drift.series for drift in told}
        assert school.learned().lookout.found
    assert not schools["report"].learned().standing.fallen_back
    fell = [unpack(event.payload).standing.fallen_back for event in schools["fall_back"].published]
    assert {} in fell
    assert any("first" in standing for standing in fell)
    assert "drift" in {event.cause for event in schools["fall_back"].published}
    forgot, knows = schools["forget"].learned(), schools["report"].learned()
    assert forgot.river["first"].learned < knows.river["first"].learned
    assert forgot.anchored.looks["first"].weights.learned < knows.anchored.looks["first"].weights.learned


def test_a_model_of_other_features_keeps_what_an_operator_chose():
    school = School()
    school.teach(lessons(10, 60))
    school.choose("promoted", model="river")
    old = replace(school.learned(), features_version="other")
    again = recall(encode(old))
    assert again.features_version == FEATURES_VERSION
    assert again.standing.promoted == "river"
