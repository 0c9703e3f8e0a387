import pytest

from online_models.champions import Standing, fall_back, obey, pass_example, promote, proved_better, refuse
from online_models.validation import Comparison
from schemas.events import ModelChosen

MODELS = ("rule", "river")


def chosen(choice, **more):
    return ModelChosen(choice_id="choice", occurred_at_ms=1, choice=choice, **more)


def verdict(difference, half_width, examples=1_000):
    return Comparison(examples=examples, positives=100, difference=difference, half_width=half_width)


def test_a_choice_counts_until_the_next_one():
    """Promotion ends a hold, following ends both, a warm start neither."""
    promoted = obey(Standing(), chosen("promoted", model="river"))
    assert promoted == Standing(promoted="river")
    held = obey(promoted, chosen("rolled_back", version="41", payload=b"x"))
    assert held == Standing(promoted="river", held="41")
    assert obey(held, chosen("warm_started")) == held
    assert obey(held, chosen("promoted", model="rule")) == Standing(promoted="rule")
    assert obey(held, chosen("followed")) == Standing()


def test_the_champion_is_the_configured_one_unless_another_was_promoted():
    assert Standing().champion("anchored") == "anchored"
    assert Standing(promoted="rule").champion("anchored") == "rule"


def test_whoever_had_to_make_room_scores_beside_the_new_champion():
    """So that one sees whether the promotion was right."""
    assert Standing().beside("anchored", ("river",)) == ("river",)
    assert Standing().beside("river", ("river",)) == ()
    assert Standing(promoted="river").beside("anchored", ("river",)) == ("anchored",)
    assert Standing(promoted="rule").beside("anchored", ("river",)) == ("river", "anchored")


@pytest.mark.parametrize(
    ("choice", "field"),
    [
        (chosen("promoted", model="oracle"), "model"),
        (chosen("promoted"), "model"),
        (chosen("rolled_back", version="41"), "payload"),
        (chosen("rolled_back", payload=b"x"), "payload"),
    ],
)
def test_what_can_not_be_followed_is_refused(choice, field):
    fault = refuse(choice, MODELS)
    assert fault is not None
    assert (fault.error, fault.field) == ("invalid", field)


@pytest.mark.parametrize("choice", [chosen("promoted", model="rule"), chosen("followed"), chosen("warm_started")])
def test_what_can_be_followed_is_not(choice):
    assert refuse(choice, MODELS) is None


def test_a_challenger_is_promoted_when_it_is_better_beyond_doubt_and_nowhere_worse():
    """On first looks over enough examples; on second ones doubt is enough."""
    better, unsure, worse = verdict(0.05, 0.04), verdict(0.03, 0.04), verdict(-0.05, 0.04)
    assert proved_better({"river": {"first": better, "second": unsure}}, 1_000) == "river"
    assert proved_better({"river": {"first": better, "second": verdict(-0.03, 0.04)}}, 1_000) == "river"
    assert proved_better({"river": {"first": better, "second": worse}}, 1_000) is None
    assert proved_better({"river": {"first": unsure, "second": better}}, 1_000) is None
    assert proved_better({"river": {"first": verdict(0.05, 0.04, 999)}}, 1_000) is None
    assert proved_better({"river": {"second": better}}, 1_000) is None
    assert proved_better({"a": {"first": unsure}, "b": {"first": better}}, 1_000) == "b"
    assert proved_better({}, 1_000) is None


def test_a_promotion_by_rule_leaves_what_an_operator_holds():
    assert promote(Standing(held="41", fallen_back={"first": 3}), "river") == Standing(promoted="river", held="41")


def test_falling_back_ends_after_so_many_examples_of_its_kind():
    standing = fall_back(Standing(), "first", 2)
    assert pass_example(standing, "second") == standing
    once = pass_example(standing, "first")
    assert once.fallen_back == {"first": 1}
    assert pass_example(once, "first") == Standing()
    assert pass_example(Standing(), "first") == Standing()
