"""A cold anchored model ranks exactly as the rule, whatever the shop's distributions; any one has a single order."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from features.vector import FEATURES, SECOND_FEATURES
from online_models.anchored import BASKET, Anchored
from online_models.explain import probability
from online_models.rule import LOOKS, Rule

numbers = st.floats(0, 20, width=32)


@st.composite
def shops(draw):
    """A rule that has met some first orders, and vectors to rank. No basket says anything yet."""
    rule = Rule()
    for vector in draw(st.lists(st.lists(numbers, min_size=3, max_size=3), max_size=60)):
        first = [0.0] * len(FEATURES)
        first[:3] = vector
        rule.meet("DE", tuple(first))
    look = draw(st.sampled_from(LOOKS))
    size = len(FEATURES if look == "first" else SECOND_FEATURES)
    some = draw(st.lists(st.lists(numbers, min_size=8, max_size=8), min_size=2, max_size=20))
    vectors = [(seen * size)[:size] for seen in some]
    for vector in vectors:
        vector[BASKET] = 0.0
    return rule, look, vectors


@given(shops())
def test_a_cold_model_scores_and_ranks_as_the_rule(shop) -> None:
    rule, look, vectors = shop
    model, by_rule = Anchored().linear(rule, look), rule.linear(look)
    assert [model.log_odds(vector) for vector in vectors] == [by_rule.log_odds(vector) for vector in vectors]
    assert [model.rank(model.log_odds(v)) for v in vectors] == [by_rule.rank(by_rule.log_odds(v)) for v in vectors]


@given(shops(), st.lists(st.tuples(st.lists(numbers, min_size=8, max_size=8), st.booleans()), max_size=30))
def test_ranks_and_scores_of_one_version_have_one_order(shop, lessons) -> None:
    """Cold or taught, by the rule or anchored: a higher score never has the lower rank, and equals share both."""
    rule, look, vectors = shop
    anchored = Anchored()
    for seen, outcome in lessons:
        lesson = (seen * len(vectors[0]))[: len(vectors[0])]
        anchored.learn(rule, look, lesson, None, outcome=outcome)
    for linear in (rule.linear(look), anchored.linear(rule, look)):
        said = [linear.log_odds(vector) for vector in (*vectors, *vectors)]
        assert said[: len(vectors)] == said[len(vectors) :]
        ordered = sorted((probability(log_odds), linear.rank(log_odds)) for log_odds in said)
        assert all(a[1] <= b[1] for a, b in pairwise(ordered))
