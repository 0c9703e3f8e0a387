"""What a history teaches, before anything is scored."""

from functools import cache
from random import Random

from msgspec.structs import replace

from online_models.learner import LearnPolicy, learn
from schemas.events import OrderLine, OrderPlaced
from schemas.records import Batch, Record, Run, State
from streams.policies import scoring_policy
from streams.settings import Settings
from streams.warm_start import Lessons, Past, Plan, examples, full_stop

DAY_MS = 86_400_000
START_MS = 1_300_000_000_000 // DAY_MS * DAY_MS
PLAN = Plan(
    scoring=scoring_policy(Settings()),
    learning=LearnPolicy(snapshot_every=40, champion="river"),
    champion="rule",
    burn_in_days=30,
)


def order(customer, number, day, amount_minor=10_000, hour=9, **more):
    line = OrderLine(sku=f"s{number % 5}", quantity=1, unit_price_minor=amount_minor)
    at_ms = START_MS + day * DAY_MS + hour * 3_600_000
    event = OrderPlaced(
        order_id=f"o{number}", customer_id=customer, occurred_at_ms=at_ms, currency="EUR", market="DE", lines=(line,), **more
    )  # fmt: skip
    return Past(at_ms, "orders", event)


def history(days, a_day=1):
    """A new customer every day; every third comes back a month later, with much."""
    chance, orders = Random(1), []
    for day in range(days):
        for n in range(a_day):
            number = day * a_day + n
            orders.append(order(f"c{number}", number, day, chance.randrange(2_000, 30_000), n))
            if number % 3 == 0:
                orders.append(order(f"c{number}", 10_000 + number, day + 31, 130_000, n))
    return sorted((past for past in orders if past.at_ms < START_MS + days * DAY_MS), key=lambda past: past.at_ms)


@cache
def of_260_days():
    return taught(history(260))


def taught(past, plan=PLAN):
    lessons = Lessons()
    return list(examples(past, plan, lessons)), lessons


def test_examples_come_in_the_order_in_which_outcomes_were_known():
    """None is known before its horizon is over, and none that history does not reach."""
    found, lessons = of_260_days()
    assert len(found) == lessons.examples > 100
    assert [e.occurred_at_ms for e in found] == sorted(e.occurred_at_ms for e in found)
    assert all(e.occurred_at_ms == e.first_purchase_at_ms + e.horizon_days * DAY_MS for e in found)
    assert {e.horizon_days for e in found} == {30, 180}
    assert max(e.occurred_at_ms for e in found) <= lessons.last_ms
    assert lessons.positives == sum(e.is_vip for e in found) > 0
    assert len({e.id for e in found}) == len(found)


def test_who_bought_first_in_the_burn_in_teaches_nothing():
    """They may be old customers of a shop whose topic is young."""
    found, lessons = of_260_days()
    assert lessons.burnt_in_ms == lessons.first_ms + 30 * DAY_MS
    assert min(e.first_purchase_at_ms for e in found) >= lessons.burnt_in_ms
    assert lessons.not_new == 30


def test_who_is_an_old_customer_by_the_shops_own_word_teaches_nothing():
    past = [order("a", 1, 40, customer_since_ms=START_MS - 400 * DAY_MS), order("b", 2, 40), order("c", 3, 300)]
    found, _ = taught([order("z", 0, 0), *past])
    assert {e.customer_id for e in found} == {"b"}


def test_nothing_is_learnt_that_was_known_only_later():
    """A history that goes on beyond the day from which the worker decides teaches as if it ended there."""
    whole, until = history(260), START_MS + 230 * DAY_MS
    cut = [past for past in whole if past.at_ms < until]
    assert taught(whole, replace(PLAN, until_ms=until)) == taught(cut)
    assert len(taught(cut)[0]) < len(of_260_days()[0])


def test_each_look_sees_the_model_as_it_was_by_then():
    """The first are scored at the cold start, later ones by what earlier ones taught."""
    found, _ = taught(history(300))
    versions = list(dict.fromkeys(e.model_version for e in sorted(found, key=lambda e: e.first_purchase_at_ms)))
    assert versions[0].endswith("@cold")
    numbers = [int(version.rpartition("@")[2]) for version in versions[1:]]
    assert len(numbers) > 2
    assert numbers == sorted(numbers)


def test_other_topics_and_an_empty_history_teach_nothing():
    assert taught([]) == ([], Lessons())
    past = [Past(START_MS, "roster", order("a", 1, 0).event)]
    assert taught(past)[0] == []


def test_the_same_history_gives_the_same_examples():
    assert taught(history(215)) == taught(history(215))


def test_behind_the_last_example_stands_a_word_of_our_own():
    lessons = Lessons(examples=3, last_ms=17)
    assert (full_stop(lessons).choice, full_stop(lessons).occurred_at_ms) == ("warm_started", 17)


def test_the_versions_that_examples_name_are_those_the_learner_will_publish():
    """It learns them from the topic, from the first offset on, and comes to the same models."""
    found, _ = of_260_days()
    records = tuple(Record("examples", 0, n, n, None, None, (), each) for n, each in enumerate(found))
    decision = learn(State({}), Batch(0, 0, (Run("examples", records, 0),)), PLAN.learning)
    published = {output.event.version for output in decision.outputs}  # type: ignore[union-attr]  # all are snapshots
    named = {each.model_version.rpartition("@")[2] for each in found} - {"cold"}
    assert named
    assert named <= published
