"""What is told of the guard is what the model does."""

from random import Random

import pytest
from msgspec.structs import replace

from online_models.champions import Standing
from online_models.guard import falls_back
from online_models.model import kind_of, load_model
from online_models.rule import LOOKS
from online_models.snapshots import pack, unpack
from online_models.validation import Comparison
from tests.unit.test_choosing_models import School, lessons
from tests.unit.test_learner import example

WORSE = Comparison(examples=900, positives=60, difference=-0.05, half_width=0.03)
UNSURE = Comparison(examples=900, positives=60, difference=-0.02, half_width=0.03)


@pytest.fixture(scope="module")
def snapshot():
    """A school in which River knows first looks, and hardly second ones."""
    school = School()
    short = [replace(each, horizon_days=30, skus=("s1", "s2")) for each in lessons(1, 80)]
    school.teach([*short, *lessons(2, 560), *second_looks()])
    return unpack(school.published[-1].payload)


def second_looks():
    chance = Random(3)
    return [example(chance, n, look="day_7", horizon_days=180, arm="none") for n in range(60)]


def of_the_rule(snapshot, champion):
    """The kinds of look that the rule scores, by the model itself."""
    model = load_model(pack(snapshot), champion)
    by_rule = load_model(pack(snapshot), "rule")
    return {kind_of(look) for look in LOOKS if model.linears[look] == by_rule.linears[look]}


@pytest.mark.parametrize("champion", ["anchored", "river"])
@pytest.mark.parametrize("verdict", [WORSE, UNSURE])
@pytest.mark.parametrize("fallen", [{}, {"first": 9}])
def test_the_rule_scores_where_it_is_said_to(snapshot, champion, verdict, fallen):
    """Whether the guard, drift or too few examples keep the champion from scoring."""
    beside = {"first": verdict, "second": UNSURE}
    snapshot = replace(snapshot, guards=beside, verdicts=beside, standing=Standing(fallen_back=fallen))
    told = falls_back(snapshot, champion)
    assert told.keys() == of_the_rule(snapshot, champion)
    if fallen:
        assert told["first"] == "drift"
    elif verdict is WORSE:
        assert told["first"] == "worse"
    assert ("second" in told) == (champion == "river")


def test_the_rule_falls_back_on_nothing(snapshot):
    assert falls_back(snapshot, "rule") == {}


def test_a_cold_start_is_no_champion_yet():
    school = School()
    school.teach(lessons(1, 10))
    school.choose("warm_started")
    cold = unpack(school.published[-1].payload)
    cold = replace(cold, anchored=type(cold.anchored)())
    assert falls_back(cold, "anchored") == {"first": "untaught", "second": "untaught"}
