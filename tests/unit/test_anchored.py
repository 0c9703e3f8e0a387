"""The anchored model starts at the rule, departs with evidence, and knows no future."""

from math import log1p
from random import Random

import pytest
from msgspec.msgpack import Decoder, encode
from river.checks import yield_checks

from features.vector import FEATURES, Basket, name_of, refer
from online_models.anchored import ANCHORED, BASKET, Anchored, anchor
from online_models.articles import KEPT, PSEUDO, TOLD_AFTER, Articles
from online_models.bayes import belief, learn_amount, learn_outcome
from online_models.estimators import AnchoredLogistic
from online_models.explain import probability
from online_models.label_policies import HEAD_START_ENDS, Horizons, Lesson, Memory, early, head_start, wait
from online_models.learner import LearnPolicy
from online_models.model import load_model
from online_models.rule import ITEMS, LOOKS, RULE, SKUS, SPEND, Rule
from online_models.snapshots import unpack
from online_models.validation import Comparison
from schemas.codec import MAX_RECORD_BYTES
from tests.unit.test_learner import example, learned_by, records, some, taught, vectors
from tests.unit.test_model import snapshot

HORIZONS = Horizons(30, 180)


@pytest.mark.parametrize("check", list(yield_checks(AnchoredLogistic())), ids=lambda check: check.__name__)
def test_it_passes_rivers_checks(check) -> None:
    """River's own list, as it runs on every estimator of its own."""
    check(AnchoredLogistic())


def test_the_classifier_starts_at_its_anchor_and_departs_with_evidence() -> None:
    """A tight prior needs many examples, a wide one few; both find where the truth lies."""
    chance = Random(3)
    truth = {"a": 2.0, "b": 0.0}
    tight, wide = (AnchoredLogistic({"a": 1.0}, variance=variance) for variance in (0.001, 1.0))
    assert tight.predict_proba_one({"a": 1.0})[True] == probability(1.0)
    departed = {}
    for number in range(1, 5_001):
        x = {"a": chance.gauss(0, 1), "b": chance.gauss(0, 1)}
        y = chance.random() < probability(sum(truth[name] * x[name] for name in x))
        for model in (tight, wide):
            model.learn_one(x, y)
        if number == 100:
            departed = {"tight": tight._belief.mean[1], "wide": wide._belief.mean[1]}  # what is tested
    assert departed["tight"] < 0.1 < departed["wide"]
    assert wide._belief.mean[1:] == pytest.approx([1.0, 0.0], abs=0.15)  # as above
    assert departed["tight"] < tight._belief.mean[1] < wide._belief.mean[1]  # as above


def test_one_pass_of_amounts_is_ridge_regression() -> None:
    """Against the closed form in one dimension: sum xy / (sum xx + 1 / variance)."""
    chance, known, pairs = Random(4), belief((0.0,), (0.5,)), []
    for _ in range(200):
        x = chance.gauss(1, 1)
        pairs.append((x, 3 * x + chance.gauss(0, 1)))
        learn_amount(known, (x,), pairs[-1][1])
    ridge = sum(x * y for x, y in pairs) / (sum(x * x for x, _ in pairs) + 2)
    assert known.mean[0] == pytest.approx(ridge)
    assert known.covariance[0][0] == pytest.approx(1 / (sum(x * x for x, _ in pairs) + 2))


def test_the_variance_that_must_remain_remains() -> None:
    """So a base goes on following, however much it has seen."""
    known = belief((0.0,), (1.0,))
    for _ in range(1_000):
        learn_outcome(known, (1.0,), outcome=False, least=0.1)
    assert known.covariance[0][0] == 0.1


# ---- the model -------------------------------------------------------------------------------------------------------


def test_what_has_learnt_nothing_is_called_the_rule() -> None:
    """A snapshot whose anchored model is cold scores as the rule does, and says so."""
    model = load_model(snapshot_payload())
    assert model.version == "rule-2@1234"
    assert model.linears == model.rule


def snapshot_payload(**others) -> bytes:
    from online_models.snapshots import pack

    return pack(snapshot(**others))


def test_it_departs_where_the_rule_is_wrong_and_says_who_it_is() -> None:
    """Where breadth alone tells who becomes a VIP, broad orders come to rank higher than the rule has them."""
    chance, given = Random(8), []
    for number in range(3_000):
        one = example(chance, number, look="first", horizon_days=180, arm="none")
        vip = one.features[SKUS] > 2.7
        given.append(
            example(chance, number, look="first", horizon_days=180, arm="none", features=one.features, is_vip=vip)
        )
    model = load_model(taught(records(given))[1][-1].event.payload)
    assert model.version.startswith(ANCHORED)
    weight = {term.index: term.weight / model.linears["first"].scale for term in model.linears["first"].terms}
    by_rule = {term.index: term.weight for term in model.rule["first"].terms}
    assert weight[SKUS] > by_rule[SKUS] + 0.2
    assert weight[SPEND] < by_rule[SPEND]


def test_it_falls_back_to_the_rule_where_it_is_worse_beyond_doubt() -> None:
    """The guard is part of the snapshot, by kind of look; challengers are not guarded."""
    values, _ = taught(some(2_000))
    anchored = learned_by(values["model"]).anchored
    worse, even = Comparison(difference=-0.05, half_width=0.02), Comparison()
    payload = snapshot_payload(anchored=anchored, guards={"first": worse, "second": even})
    model = load_model(payload)
    assert model.linears["first"] == model.rule["first"]
    assert model.linears["day_7"] != model.rule["day_7"]
    assert model.version.startswith(ANCHORED)
    model = load_model(snapshot_payload(anchored=anchored, guards={"first": worse, "second": worse}))
    assert model.linears == model.rule
    assert model.version.startswith(RULE)  # nothing but the rule scores, and scores say so


def test_the_guard_is_the_paired_comparison_with_the_rule() -> None:
    """Snapshots carry it, for both kinds of looks."""
    found = unpack(taught(some(2_000))[1][-1].event.payload)
    assert set(found.guards) == {"first", "second"}
    assert found.guards["first"].examples > 100
    assert found.guards["first"].rule_auc == found.verdicts["first"].rule_auc


def test_the_rank_does_not_follow_the_base() -> None:
    """All that changes is how many become VIPs: scores follow, ranks stay where they were, cold or not."""
    chance = Random(5)
    vector = vectors(chance, "first")
    ranks, scores = [], []
    for rate in (0.02, 0.3):
        given = [
            example(Random(n), n, look="first", horizon_days=180, arm="none", is_vip=Random(n).random() < rate)
            for n in range(1_500)
        ]
        scored = load_model(taught(records(given))[1][-1].event.payload, "rule").score("first", vector)
        ranks.append(scored.rank)
        scores.append(scored.score)
    assert ranks[0] == pytest.approx(ranks[1])
    assert ranks[0] == pytest.approx(load_model(None).score("first", vector).rank)
    assert scores[0] < scores[1] / 3


def test_scores_are_probabilities_that_hold() -> None:
    """Over the last thousand of some thousand looks, what was said and what came true agree, in sum and by halves."""
    chance = Random(6)
    given = [example(chance, n, look="first", horizon_days=180, arm="none") for n in range(4_000)]
    values, _ = taught(records(given))
    told = learned_by(values["model"]).rings["first"].told()[-1_000:]
    ordered = sorted(told, key=lambda each: each.anchored)
    for part in (told, ordered[:500], ordered[500:]):
        said, true = (sum(column) / len(part) for column in ([e.anchored for e in part], [e.outcome for e in part]))
        assert said == pytest.approx(true, abs=0.04)


def test_expected_value_has_the_right_size_and_order() -> None:
    """Who spends more at first is expected to spend more later, and sums come true within a quarter."""
    chance, given = Random(7), []
    for number in range(3_000):
        one = example(chance, number, look="first", horizon_days=180, arm="none")
        spent = round(100 * 2.718281828 ** (one.features[SPEND] + chance.gauss(0, 1))) if chance.random() < 0.5 else 0
        given.append(
            example(
                chance, number, look="first", horizon_days=180, arm="none", features=one.features, outcome_minor=spent
            )
        )
    model = load_model(taught(records(given))[1][-1].event.payload)
    scored = [model.score("first", one.features) for one in given]
    assert sum(s.expected_value_minor for s in scored) == pytest.approx(sum(g.outcome_minor for g in given), rel=0.25)
    low, high = (tuple(s if i == SPEND else 0.0 for i in range(len(FEATURES))) for s in (4.5, 6.5))
    assert model.score("first", low).expected_value_minor * 3 < model.score("first", high).expected_value_minor


def test_before_any_outcome_first_looks_are_worth_about_their_first_order() -> None:
    """In the order of its value, whatever else was bought, and whatever the shop's prices: they are not known yet."""
    model, orders = load_model(None), (400, 3_000, 15_000, 90_000)
    worth = []
    for number, minor in enumerate(orders):
        vector = [0.0] * len(FEATURES)
        vector[SPEND], vector[SKUS] = log1p(minor / 100), log1p(9 - 2 * number)
        worth.append(model.score("first", vector).expected_value_minor)
    assert worth == [pytest.approx(1.11 * (minor + 100), rel=0.01) for minor in orders]


# ---- what was bought -------------------------------------------------------------------------------------------------


def test_an_article_says_the_shrunken_mean_residual() -> None:
    """Nothing before fifty outcomes; then the sum of residuals over customers and thirty pseudo-customers."""
    articles, naive = Articles(), Articles()
    for number in range(TOLD_AFTER):
        assert articles.encoding().skus == {}
        articles.note(("good",) if number % 2 else ("bad",), 0.0, 0.0, 20_000 if number % 2 else 0)
    told = articles.encoding().skus
    residuals = []
    for number in range(TOLD_AFTER):
        amount = log1p(200) if number % 2 else 0.0
        residuals.append(amount - naive.expectation.told((1.0, 0.0, 0.0)))
        learn_amount(naive.expectation, (1.0, 0.0, 0.0), amount)
    assert told["good"] == pytest.approx(sum(residuals[1::2]) / (25 + PSEUDO))
    assert told["good"] > 0 > told["bad"]


def test_the_articles_are_bounded_and_the_one_bought_longest_ago_goes() -> None:
    """A catalogue may change as it likes; what is still bought stays."""
    articles = Articles()
    for number in range(KEPT + 100):
        articles.note((f"sku {number}", "classic"), 0.0, 0.0, 1_000)
    assert len(articles.notes) == KEPT
    assert "classic" in articles.notes
    assert "sku 0" not in articles.notes
    assert f"sku {KEPT + 99}" in articles.notes


def test_a_snapshot_fits_in_a_record_however_long_skus_are() -> None:
    """The longest there may be, in letters of four bytes; and they are found again."""
    articles = Articles()
    skus = [f"{number:\U0001f9e5>128}" for number in range(KEPT)]
    for start in range(0, KEPT, 20):
        articles.note(skus[start : start + 20], 0.0, 0.0, 1_000)
    assert len(articles.notes) == KEPT
    assert len(encode(articles)) < MAX_RECORD_BYTES / 2
    assert articles.encoding().value(Basket("DE", (skus[7],))) == articles.encoding().skus[name_of(skus[7])] != 0


def test_a_basket_knows_only_outcomes_that_were_known() -> None:
    """Examples after a snapshot change nothing of what it says: the encoding is part of the snapshot, not of the look."""
    chance = Random(9)
    given = [
        example(chance, n, look="first", horizon_days=30, arm="none", skus=(f"s{n % 7}",), outcome_minor=n % 7 * 1_000)
        for n in range(400)
    ]
    until, whole = taught(records(given[:200]))[1], taught(records(given))[1]
    assert [output.event.payload for output in whole[: len(until)]] == [output.event.payload for output in until]
    early_one, late_one = (load_model(outputs[-1].event.payload).reference for outputs in (until, whole))
    vector, basket = vectors(chance, "first"), Basket("DE", ("s6", "s1"))
    assert refer(vector, basket, early_one)[BASKET] != refer(vector, basket, late_one)[BASKET] != 0


def test_the_treated_say_nothing_of_articles() -> None:
    """What they spent was changed by the service."""
    given = some(100, look="first", horizon_days=30, arm="treatment", skus=("a",))
    assert learned_by(taught(given)[0]["model"]).anchored.articles.outcomes == 0


def test_breadth_is_counted_in_items_where_orders_hold_one_sku_each() -> None:
    """Once that is known; until then, and in other shops, in SKUs."""
    one_each, many = Rule(), Rule()
    assert one_each.breadth[0] == SKUS
    chance = Random(2)
    for _ in range(100):
        vector = list(vectors(chance, "first"))
        vector[SKUS], vector[ITEMS] = log1p(1), log1p(chance.randint(1, 6))
        one_each.meet("US", tuple(vector))
        vector[SKUS] = log1p(chance.randint(1, 9))
        many.meet("US", tuple(vector))
    assert (one_each.breadth[0], many.breadth[0]) == (ITEMS, SKUS)


def test_what_is_learnt_survives_its_bytes() -> None:
    """And goes on bit for bit."""
    given, decoder = some(600), Decoder(Anchored)
    values, _ = taught(given)
    anchored = learned_by(values["model"]).anchored
    again, rule, chance = decoder.decode(encode(anchored)), Rule(), Random(1)
    for look in LOOKS:
        vector = vectors(chance, look)
        for each in (anchored, again):
            each.learn(rule, look, vector, 5_000, outcome=True)
            each.note(rule, vector, ("a", "b"), 5_000)
        assert again.linear(rule, look) == anchored.linear(rule, look)
    assert encode(again) == encode(anchored)


def test_the_anchor_is_the_rule_and_the_basket() -> None:
    for look in LOOKS:
        assert anchor(Rule(), look)[:-1] == Rule().terms(look)
        assert anchor(Rule(), look)[-1].index == BASKET


# ---- label policies --------------------------------------------------------------------------------------------------


def one(**fields):
    return example(Random(1), 1, **{"look": "first", "arm": "none", "horizon_days": 180, "is_vip": False, **fields})


def test_waiting_learns_at_the_main_horizon_only() -> None:
    memory = Memory()
    assert wait(one(is_vip=True), HORIZONS, memory, lambda: 0.1) == Lesson(outcome=True)
    assert wait(one(horizon_days=30), HORIZONS, memory, lambda: 0.1) is None


def test_an_early_positive_is_learnt_once() -> None:
    """As a VIP at the short horizon, and not again; who becomes one later is, with importance weights."""
    memory = Memory()
    assert early(one(horizon_days=30, is_vip=True), HORIZONS, memory, lambda: 0.25) == Lesson(True, 1.25)
    assert early(one(is_vip=True), HORIZONS, memory, lambda: 0.25) is None
    assert early(one(horizon_days=30), HORIZONS, memory, lambda: 0.25) == Lesson(False, 0.9375)
    assert early(one(is_vip=True), HORIZONS, memory, lambda: 0.25) == Lesson(True, 1.25)
    assert early(one(), HORIZONS, memory, lambda: 0.25) is None


def test_a_head_start_ends_with_the_first_outcomes() -> None:
    memory = Memory()
    assert head_start(one(horizon_days=30, outcome_minor=500), HORIZONS, memory, lambda: 0.1) == Lesson(True, 0.25)
    assert head_start(one(horizon_days=30, look="day_7"), HORIZONS, memory, lambda: 0.1) is None
    for _ in range(HEAD_START_ENDS):
        assert head_start(one(), HORIZONS, memory, lambda: 0.1) == Lesson(outcome=False)
    assert head_start(one(horizon_days=30), HORIZONS, memory, lambda: 0.1) is None


@pytest.mark.parametrize("labels", ["early", "head_start"])
def test_other_policies_teach_the_anchored_model_alone(labels) -> None:
    """The rule's base, River and the guard see whole outcomes only."""
    given = some(300, look="first", horizon_days=30, arm="none")
    learned = learned_by(taught(given, policy=LearnPolicy(snapshot_every=50, labels=labels))[0]["model"])
    assert learned.anchored.looks["first"].weights.learned == 300
    assert learned.rule.bases == Rule().bases
    assert not learned.rings["first"].told()
