from math import log

import pytest

from features.vector import FEATURES, FEATURES_VERSION, NEUTRAL, SECOND_FEATURES
from online_models.explain import OTHER, Linear, Term, explain, probability
from online_models.model import COLD_START, Model, load_model
from online_models.pipelines import NAMES, RIVER_VERSION, SPEC, start
from online_models.rule import LATER, LOOKS, SKUS, SPEND, Rule
from online_models.snapshots import Parameters, Snapshot, pack, unpack
from online_models.validation import Comparison
from schemas.errors import BrokenPromise


def vector_of(look, **features):
    """A vector with these features, all others 0."""
    names = FEATURES if look == "first" else SECOND_FEATURES
    vector = [0.0] * len(names)
    for name, value in features.items():
        vector[names.index(name)] = value
    return tuple(vector)


def snapshot(**others):
    fields = {
        "version": "1234",
        "examples_seen": 1_235,
        "spec": SPEC,
        "river_version": RIVER_VERSION,
        "features_version": FEATURES_VERSION,
        "rule": Rule(),
        "river": {kind: start(kind) for kind in NAMES},
        "verdicts": {kind: Comparison() for kind in NAMES},
    }
    return Snapshot(**{**fields, **others})


def learned(kind, **others):
    """Parameters that have seen enough to be trusted."""
    count = len(NAMES[kind])
    fields = {
        "learned": 1_000,
        "means": (1.0,) * count,
        "variances": (4.0,) * count,
        "weights": tuple((n % 5 - 2) / 10 for n in range(count)),
        "intercept": -2.0,
        "bound": 5.0,
    }
    return Parameters(**{**fields, **others})


def test_a_cold_start_says_so_and_ranks_by_the_rule():
    """Before the first snapshot the version is the rule's; more first spend or more SKUs score higher, nothing else counts."""
    model = load_model(None)
    assert model.version == COLD_START == "rule-2@cold"
    assert model.reference == NEUTRAL
    usual = model.score("first", vector_of("first", log_first_spend=5.0, log_skus=2.0))
    assert model.score("first", vector_of("first", log_first_spend=6.0, log_skus=2.0)).score > usual.score
    assert model.score("first", vector_of("first", log_first_spend=5.0, log_skus=3.0)).score > usual.score
    assert model.score("first", vector_of("first", log_first_spend=5.0, log_skus=2.0, is_gift=1.0)).score == usual.score


@pytest.mark.parametrize("look", LOOKS[1:])
def test_a_second_look_ranks_by_first_spend_and_two_thirds_of_later_spend(look):
    """A unit of log first spend is worth one and a half units of log later net spend."""
    model = load_model(None)
    more_first = model.score(look, vector_of(look, log_first_spend=6.0, log_later_net_spend=0.0))
    more_later = model.score(look, vector_of(look, log_first_spend=5.0, log_later_net_spend=1.5))
    assert more_first.score == pytest.approx(more_later.score)


@pytest.mark.parametrize("champion", ["anchored", "rule", "river"])
@pytest.mark.parametrize("look", LOOKS)
def test_base_and_reasons_add_up_to_the_score(champion, look):
    """However short the list: base + contributions are the score's log-odds."""
    model = load_model(pack(snapshot(river={kind: learned(kind) for kind in NAMES})), champion)
    vector = tuple((n * 37 % 11) / 3 for n in range(len(FEATURES if look == "first" else SECOND_FEATURES)))
    for at_most in (0, 1, 5, 1_000):
        scored = model.score(look, vector, at_most)
        told = scored.base + sum(reason.contribution for reason in scored.reasons)
        assert told == pytest.approx(log(scored.score / (1 - scored.score)))
        assert len(scored.reasons) <= at_most + 1


def test_reasons_are_the_largest_first_and_the_rest_together():
    """Names and values are the features' own; features that say nothing are no reasons."""
    linear = Linear(
        -1.0, (Term(0, 0.0, 1.0, 0.5), Term(1, 0.0, 2.0, -4.0), Term(2, 1.0, 1.0, 9.0), Term(3, 0.0, 1.0, 0.1))
    )
    log_odds, reasons = explain(linear, (1.0, 1.0, 1.0, 1.0), ("a", "b", "c", "d"), at_most=1)
    assert [(r.feature, r.value, r.contribution) for r in reasons] == [
        ("b", 1.0, -2.0),
        (OTHER, 0.0, pytest.approx(0.6)),
    ]
    assert log_odds == pytest.approx(-2.4)


def test_a_bounded_term_goes_no_further():
    """A value a hundred deviations out counts as five."""
    assert Term(0, 0.0, 1.0, 2.0, bound=5.0).contribution((100.0,)) == 10.0
    assert Term(0, 0.0, 1.0, 2.0).contribution((100.0,)) == 200.0


def test_scores_stay_within_0_and_1():
    """Also for log-odds that no float could tell from 0 or 1."""
    assert 0 < probability(-1e9) < probability(1e9) < 1


def test_whoever_has_learnt_nothing_is_the_rule():
    """A snapshot brings a calibrated rule and what others have learnt; the configuration says who scores."""
    payload = pack(snapshot(river={kind: learned(kind) for kind in NAMES}))
    assert load_model(payload).version == "rule-2@1234"
    assert load_model(payload).linears == load_model(None).linears
    river = load_model(payload, "river")
    assert river.version == "river-1@1234"
    assert len(river.linears["first"].terms) == len(FEATURES)
    assert len(river.linears["day_7"].terms) == len(SECOND_FEATURES)


def test_river_scores_only_where_it_is_not_worse():
    """A kind of look goes back to the rule where River has learnt little, or the interval of the difference is below zero."""
    worse, better = Comparison(difference=-0.05, half_width=0.02), Comparison(difference=0.05, half_width=0.1)
    model = load_model(
        pack(snapshot(river={kind: learned(kind) for kind in NAMES}, verdicts={"first": worse, "second": better})),
        "river",
    )
    assert model.linears["first"] == model.rule["first"]
    assert len(model.linears["day_7"].terms) == len(SECOND_FEATURES)
    young = load_model(
        pack(snapshot(river={"first": learned("first", learned=499), "second": learned("second")})), "river"
    )
    assert young.linears["first"] == young.rule["first"]


def test_a_model_of_other_features_scores_by_the_rule():
    """After a change of FEATURES, River's parameters fit no vector any more; the rule looks its features up by name."""
    payload = pack(snapshot(features_version="other", river={kind: learned(kind) for kind in NAMES}))
    assert load_model(payload, "river").version == "rule-2@1234"


def test_a_feature_that_never_varied_says_nothing():
    """Without variance there is no scale: no term."""
    variances = (0.0,) + (1.0,) * (len(FEATURES) - 1)
    assert [term.index for term in learned("first", variances=variances).linear().terms] == list(
        range(1, len(FEATURES))
    )


def test_a_snapshot_survives_its_payload():
    """What is packed is unpacked, to the byte."""
    payload = pack(snapshot(river={kind: learned(kind) for kind in NAMES}))
    assert unpack(payload) == snapshot(river={kind: learned(kind) for kind in NAMES})
    assert pack(unpack(payload)) == payload
    assert len(payload) < 15_000


def test_a_damaged_payload_is_refused():
    """One bit is enough: the checksum says so, and what to do."""
    payload = bytearray(pack(snapshot()))
    payload[-100] ^= 1
    with pytest.raises(BrokenPromise, match="checksum"):
        load_model(bytes(payload))


def test_models_are_values():
    """Two loads of one payload are equal."""
    payload = pack(snapshot())
    assert load_model(payload) == load_model(payload)
    assert isinstance(load_model(payload), Model)


def test_the_rules_features_stand_where_their_names_say():
    """Indexes are looked up by name, in the vector of the look."""
    assert FEATURES[SPEND] == "log_first_spend"
    assert FEATURES[SKUS] == "log_skus"
    assert SECOND_FEATURES[LATER] == "log_later_net_spend"
