"""The simulated shop: one seed is one shop, in order of time, credible, and every record is what the plan says it is."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from functools import lru_cache
from hashlib import blake2b
from itertools import islice, pairwise
from statistics import mean, median

import msgspec
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from schemas.codec import Schemas, read_event, write_event
from schemas.events import (
    AdvisorAssigned,
    AdvisorChanged,
    AssignmentEnded,
    Brief,
    ConsentChanged,
    ContactReported,
    ErasureRequested,
    ItemsReturned,
    OrderPlaced,
    PageBrowsed,
)
from schemas.records import Fault
from schemas.registry import FileRegistry
from streams.cli import app
from streams.event_files import TOPIC_OF, read_files
from streams.settings import read
from streams.simulator import Malformed, Shop, ShopPlan, shop_settings
from streams.simulator.customer import Life
from streams.simulator.files import FolderError, unfinished, write_files
from streams.simulator.plan import DAY_MS
from streams.simulator.presets import plan_like
from streams.simulator.runs import merged, write_runs
from streams.simulator.trouble import WAYS
from streams.simulator.truth import truth, truths

REGISTRY = FileRegistry()
SCHEMAS = Schemas(REGISTRY)
SMALL = ShopPlan(seed=7, customers=150, days=200)
run = CliRunner().invoke
SIMULATE = (sys.executable, "-c", "from streams.cli import main; main()", "simulate")


@lru_cache(maxsize=2)
def items(plan):
    return list(Shop(plan).events())


def good(plan):
    return [item[1] for item in items(plan) if not isinstance(item, Malformed)]


def at_ms(item):
    return item.at_ms if isinstance(item, Malformed) else item[1].occurred_at_ms


@pytest.fixture(scope="module")
def year():
    """A shop whose marginals are looked at."""
    return good(ShopPlan(seed=3, customers=1_500, days=365, trouble=0.0))


# ---- one seed, one shop --------------------------------------------------------------------------------------------


def told_by_blocks(plan, folder, block, processes=1):
    folder.mkdir()
    runs = write_runs(plan, folder, block=block, processes=processes)
    return [entry.read() for entry in merged(runs, folder)]


def test_blocks_and_processes_change_no_byte(tmp_path):
    """All at once, in blocks, in two processes: the same records in the same order."""
    at_once = [item if isinstance(item, Malformed) else item[1] for item in items(SMALL)]
    assert len(at_once) > 3_000
    assert any(isinstance(item, Malformed) for item in at_once)
    assert told_by_blocks(SMALL, tmp_path / "one", 150) == at_once
    assert told_by_blocks(SMALL, tmp_path / "many", 1) == at_once  # more runs than are merged at once
    assert told_by_blocks(SMALL, tmp_path / "two", 40, processes=2) == at_once


def test_another_seed_is_another_shop():
    assert list(Shop(SMALL).events()) == items(SMALL)
    assert items(SMALL)[:50] != list(islice(Shop(msgspec.structs.replace(SMALL, seed=8)).events(), 50))


def test_a_seed_is_the_same_shop_everywhere():
    """On any machine, with any Python. Who changes this changes everybody's simulated shop: say so."""
    told = blake2b(digest_size=8)
    for item in items(SMALL):
        told.update(msgspec.json.encode(item if isinstance(item, Malformed) else item[1]))
    assert told.hexdigest() == "aab6272515d200d8"


def test_time_never_runs_backwards():
    times = [at_ms(item) for item in items(SMALL)]
    assert times == sorted(times)
    assert SMALL.from_ms <= times[0]
    assert times[-1] < SMALL.until_ms


def test_only_those_are_kept_to_whom_something_will_happen():
    """At any time few of all customers are in memory, and at the end nobody is."""
    shop, most = Shop(ShopPlan(customers=600, days=1_200, browse=False)), 0
    for _ in shop.events():
        most = max(most, shop.alive)
    assert 10 < most < 300
    assert shop.alive < 100  # whose next order lies beyond the end


# ---- records -------------------------------------------------------------------------------------------------------


def test_every_event_is_read_back_as_it_was_written():
    """On its topic, in Avro and in JSON."""
    kinds = Counter[type]()
    for item in items(ShopPlan(seed=7, customers=40, erased=0.5, trouble=0.0)):
        topic, event = item
        avro = write_event(event, REGISTRY.schema_id(type(event).__name__))
        headers = [("ce_type", f"maitred.{type(event).__name__}".encode())]
        assert read_event(topic, avro, headers, SCHEMAS, event.occurred_at_ms) == event
        assert read_event(topic, msgspec.json.encode(event), headers, SCHEMAS, event.occurred_at_ms) == event
        kinds[type(event)] += 1
    assert kinds.keys() == {OrderPlaced, ItemsReturned, PageBrowsed, ConsentChanged, AdvisorChanged, ErasureRequested}


def test_every_malformed_record_is_rejected_as_the_class_it_is_meant_for():
    """By the codec, or by the scorer: money it does not know, and an order whose content is another."""
    plan, classes, rates = ShopPlan(seed=5, customers=300, trouble=0.08), Counter[str](), shop_settings(ShopPlan())
    known, orders = {"EUR", *json.loads(rates["MAITRED_MONEY__RATES"])}, {}
    for item in items(plan):
        if not isinstance(item, Malformed):
            if isinstance(item[1], OrderPlaced):
                orders[item[1].order_id] = item[1]
            continue
        read_back = read_event(item.topic, item.value, item.headers, SCHEMAS, item.at_ms)
        if item.error == "wrong_currency":
            assert isinstance(read_back, OrderPlaced | ItemsReturned)
            assert read_back.customer_id is not None
            assert read_back.currency not in known
        elif item.error == "conflict":
            assert isinstance(read_back, OrderPlaced)
            assert read_back.customer_id is not None
            assert read_back != orders[read_back.order_id]
        else:
            assert isinstance(read_back, Fault)
            assert read_back.error == item.error
        classes[item.error] += 1
    assert classes.keys() == {way.error for way in WAYS}


def test_trouble_is_as_frequent_as_planned():
    """Within five deviations; and half of it is a repetition."""
    share, told = 0.05, items(ShopPlan(seed=5, customers=200, trouble=0.05))
    malformed = sum(isinstance(item, Malformed) for item in told)
    documents = Counter(_id(item[1]) for item in told if not isinstance(item, Malformed) and _id(item[1]))
    repeated, distinct = sum(n - 1 for n in documents.values()), len(documents)
    for found in (malformed, repeated):
        expected = distinct * share / 2
        assert abs(found - expected) < 5 * expected**0.5


def _id(event):
    return getattr(event, "event_id", getattr(event, "return_id", getattr(event, "order_id", None)))


def test_without_trouble_nothing_comes_twice():
    told = items(msgspec.structs.replace(SMALL, trouble=0.0))
    assert not any(isinstance(item, Malformed) for item in told)
    ids = [_id(item[1]) for item in told if _id(item[1])]
    assert len(ids) == len(set(ids)) > 3_000


# ---- a credible shop -----------------------------------------------------------------------------------------------


def share_is(found, expected, of):
    """Within five deviations of a binomial."""
    assert of > 100
    assert abs(found / of - expected) < 5 * (expected * (1 - expected) / of) ** 0.5, (found / of, expected)


def test_rates_are_those_of_the_plan(year):
    plan = ShopPlan(seed=3, customers=1_500)
    orders = [e for e in year if isinstance(e, OrderPlaced)]
    customers: dict[str, OrderPlaced] = {}
    for order in orders:
        if order.customer_id:
            customers.setdefault(order.customer_id, order)
    guests = sum(order.customer_id is None for order in orders)
    consents = [e for e in year if isinstance(e, ConsentChanged)]
    at_checkout = {e.customer_id for e in consents if e.granted and e.customer_id in customers
                   and e.occurred_at_ms == customers[e.customer_id].occurred_at_ms - 20_000}  # fmt: skip
    cancelled = sum(isinstance(e, ItemsReturned) and e.kind == "cancelled" for e in year)
    online = [o for o in customers.values() if o.sales_channel in ("web", "app")]
    weight = sum(market.weight for market in plan.markets)
    share_is(len(at_checkout), plan.consent, len(customers))
    share_is(guests, plan.guests, plan.customers)
    share_is(cancelled, plan.cancelled, len(orders))
    share_is(sum(o.visitor_id is None for o in online), plan.untied, len(online))
    for market in plan.markets:
        share_is(sum(o.market == market.code for o in customers.values()), market.weight / weight, len(customers))


def test_marginals_are_those_of_a_premium_shop(year):
    """The bounds that docs/simulator.md states."""
    made, spent, back = defaultdict(list), 0.0, 0.0
    rates = {market.currency: market.rate for market in ShopPlan().markets} | {"JPY": 0.61}
    values = []
    for event in year:
        if isinstance(event, OrderPlaced) and event.customer_id:
            cents = sum(n.quantity * n.unit_price_minor - n.discount_minor for n in event.lines) * rates[event.currency]
            made[event.customer_id].append(event.occurred_at_ms)
            values.append(cents / 100)
            spent += cents
        elif isinstance(event, ItemsReturned):
            back += sum(line.refund_minor for line in event.lines) * rates[event.currency]
    early = [times for times in made.values() if times[0] < ShopPlan().from_ms + 120 * DAY_MS]
    waits = [(b - a) / DAY_MS for times in early for a, b in pairwise(times)]
    assert 230 < median(values) < 340
    assert 0.5 < mean(len(times) > 1 for times in early) < 0.75
    assert 15 < median(waits) < 45
    assert 0.15 < back / spent < 0.28


def test_what_must_fit_comes_back_more_often(year):
    bought, back = Counter[str | None](), Counter[str | None]()
    for event in year:
        if isinstance(event, OrderPlaced) and event.customer_id:
            bought.update(line.category for line in event.lines)
        elif isinstance(event, ItemsReturned) and event.kind == "returned":
            back.update(line.category for line in event.lines)
    assert back["shoes"] / bought["shoes"] > 2 * back["bags"] / bought["bags"] > 0


def test_seasons_are_seen(year):
    """More in December than in August, more in the evening than at night; without seasons neither."""
    flat = good(ShopPlan(seed=3, customers=1_500, trouble=0.0, seasons=False, browse=False))
    for events, more in ((year, True), (flat, False)):
        hours = Counter(
            e.occurred_at_ms // 3_600_000 % 24 for e in events if isinstance(e, OrderPlaced) and e.market == "GB"
        )
        evening, night = sum(hours[h] for h in (19, 20, 21)), sum(hours[h] for h in (2, 3, 4))
        assert (evening > 5 * night) is more
    months = Counter(_month(e) for e in year if isinstance(e, OrderPlaced))
    assert months[11] > 1.2 * months[7]


def _month(event):
    return (event.occurred_at_ms - ShopPlan().from_ms) * 12 // (366 * DAY_MS)


def test_nobody_is_heard_of_after_an_erasure():
    """But for the last minutes of a visit."""
    gone, late = {}, 0
    for event in good(ShopPlan(seed=2, customers=400, erased=0.5, trouble=0.0)):
        if isinstance(event, ErasureRequested):
            gone[event.customer_id] = event.occurred_at_ms
        elif (since := gone.get(getattr(event, "customer_id", None) or "")) is not None:
            late += event.occurred_at_ms > since + 3_600_000
    assert len(gone) > 50
    assert late == 0


def test_browsing_before_the_first_order_tells_who_will_be_a_vip():
    """Time on pages and the price level looked at rank better than chance, and without signal they do not."""
    assert _browsing_auc(1.0) > 0.54
    assert _browsing_auc(0.0) < 0.54


def _browsing_auc(strength):
    plan = ShopPlan(seed=4, customers=1_500, signal=strength)
    seen = sorted((_time_on_pages(plan, number), truth(plan, number).outcome_minor) for number in range(plan.customers))
    labels = [outcome >= 120_000 for _, outcome in seen]
    wins = sum(rank for rank, is_vip in enumerate(labels, start=1) if is_vip) - sum(labels) * (sum(labels) + 1) / 2
    return wins / (sum(labels) * (len(labels) - sum(labels)))


def _time_on_pages(plan, number):
    """Before the first order."""
    life, dwell_ms = Life(plan, number), 0
    while not life.orders:
        dwell_ms += sum(event.dwell_ms for _, event in life.step() if isinstance(event, PageBrowsed))
    return dwell_ms


# ---- advisors ------------------------------------------------------------------------------------------------------


def assignment(customer_id, at, name="a1", pool="dach"):
    return AdvisorAssigned(
        id=name, assignment_id=name, customer_id=customer_id, advisor_id=f"{pool}-001", pool=pool, occurred_at_ms=at,
        cause="look", arm="treatment", propensity=0.9, experiment="e", score=0.5, threshold=0.1, look="first", look_id="l",
        reasons=(), brief=Brief(), recommended_channel="email", contact_by_ms=at + 10 * DAY_MS,
        service_until_ms=at + 90 * DAY_MS, model_version="m", policy_version="p",
    )  # fmt: skip


def closed_loop(plan, customers, *, ends=False):
    """What happens if these customers are assigned a day after their first order; and when each contact was."""
    shop, told, contacts = Shop(plan), [], {}
    for item in shop.events():
        told.append(item)
        if isinstance(item, Malformed):
            continue
        event = item[1]
        if isinstance(event, ContactReported):
            contacts[event.customer_id] = event
            if ends:
                shop.ended(ending(event, event.occurred_at_ms + 5 * DAY_MS))
        elif isinstance(event, OrderPlaced) and event.customer_id in customers and event.order_id.endswith("-0"):
            shop.assigned(assignment(event.customer_id, event.occurred_at_ms, f"a-{event.customer_id}"))
    return told, contacts


def ending(contact, at):
    return AssignmentEnded(
        id="e", assignment_id=contact.assignment_id, customer_id=contact.customer_id, advisor_id=contact.advisor_id,
        pool=contact.pool, occurred_at_ms=at, reason="service_ended",
    )  # fmt: skip


def of_others(told, customers):
    numbers = {customer[1:] for customer in customers}
    return [item for item in told if not any(number in repr(item) for number in numbers)]


def test_an_assignment_changes_its_customer_after_the_contact_and_nobody_else():
    customers = {f"C{number:08d}" for number in range(10)}
    before, (after, contacts) = items(SMALL), closed_loop(SMALL, customers)
    assert len(contacts) >= 6
    assert of_others(before, customers) == of_others(after, customers)
    changed = 0
    for customer in contacts:
        alone, advised = (
            [item[1] for item in told if not isinstance(item, Malformed) and _about(item[1], customer)]
            for told in (before, after)
        )
        until = contacts[customer].occurred_at_ms
        assert [e for e in alone if e.occurred_at_ms < until] == [e for e in advised if e.occurred_at_ms < until]
        changed += [e for e in alone if e.occurred_at_ms > until] != [e for e in advised if e.occurred_at_ms > until]
    assert changed >= 3


def _about(event, customer):
    return isinstance(event, OrderPlaced | ItemsReturned | PageBrowsed) and customer[1:] in repr(event)


def test_the_same_things_are_bought_only_sooner():
    """With an advisor who only makes customers faster: common random numbers."""
    plan = ShopPlan(seed=11, customers=80, trouble=0.0, dislike=0.0, browse=False, days=700)
    customers = {f"C{number:08d}" for number in range(80)}
    alone, (advised, contacts) = items(plan), closed_loop(plan, customers)
    accepted = {c for c, contact in contacts.items() if contact.outcome != "declined"}
    sooner = later = 0
    times = [
        {i[1].order_id: i[1].occurred_at_ms for i in told if isinstance(i[1], OrderPlaced)} for told in (alone, advised)
    ]
    for order_id, at in times[0].items():
        if f"C{order_id[1:9]}" in accepted and order_id in times[1]:
            sooner += times[1][order_id] < at
            later += times[1][order_id] > at
    assert times[0].keys() <= times[1].keys()
    assert sooner > 50
    assert later == 0


def test_an_advisor_without_effect_changes_nothing():
    plan = msgspec.structs.replace(SMALL, effect=0.0)
    told, contacts = closed_loop(plan, {f"C{number:08d}" for number in range(20)})
    assert len(contacts) > 10
    assert [item for item in told if not (isinstance(item, tuple) and item[0] == "contacts")] == items(plan)


def test_an_effect_ends_with_its_service():
    """Orders far behind the end come with gaps as long as without an advisor."""
    customers = {f"C{number:08d}" for number in range(60)}
    plan = ShopPlan(seed=11, customers=60, trouble=0.0, dislike=0.0, browse=False, days=900, effect=2.0)
    short, whole = (
        sum(isinstance(item[1], OrderPlaced) for item in closed_loop(plan, customers, ends=ends)[0])
        for ends in (True, False)
    )
    alone = sum(isinstance(event, OrderPlaced) for event in good(plan))
    assert alone <= short < whole


def test_contacts_are_made_in_time_declined_or_forgotten():
    plan = ShopPlan(seed=1, customers=800, browse=False, trouble=0.0)
    told, contacts = closed_loop(plan, {f"C{number:08d}" for number in range(800)})
    outcomes = Counter(contact.outcome for contact in contacts.values())
    assigned = sum(isinstance(e, OrderPlaced) and e.order_id.endswith("-0") for e in (item[1] for item in told))
    assert outcomes.keys() == {"accepted", "contacted", "declined"}
    share_is(outcomes["declined"], 0.95 * (0.88 * 0.05 + 0.12 * 0.45), assigned)
    assert 0.85 < len(contacts) / assigned < 0.97


def test_an_assignment_that_ends_before_its_contact_leads_to_none():
    shop, contacts = Shop(SMALL), 0
    for item in shop.events():
        event = None if isinstance(item, Malformed) else item[1]
        contacts += isinstance(event, ContactReported)
        if isinstance(event, OrderPlaced) and event.customer_id and event.order_id.endswith("-0"):
            given = assignment(event.customer_id, event.occurred_at_ms, f"a-{event.customer_id}")
            shop.assigned(given)
            shop.ended(ending(given, event.occurred_at_ms + 1))
    assert contacts == 0


def test_strangers_are_of_no_concern():
    shop = Shop(SMALL)
    for name in ("13085", "C", "C99999999", "Cabc"):
        shop.assigned(assignment(name, SMALL.from_ms))
    assert not any(isinstance(item, tuple) and item[0] == "contacts" for item in shop.events())
    with pytest.raises(KeyError, match="C00000149"):
        shop.truth("C00000150")


# ---- truth and settings --------------------------------------------------------------------------------------------


def test_the_truth_is_what_happens(year):
    """Outcomes without an advisor are the net spend of the events, in the base currency."""
    plan, shop = ShopPlan(seed=3, customers=1_500, trouble=0.0), Shop(ShopPlan(seed=3, customers=1_500, trouble=0.0))
    rates = {m.currency: m.rate * (100 if m.currency == "JPY" else 1) for m in plan.markets}
    first, net = dict[str, int](), Counter[str]()
    for event in year:
        customer = getattr(event, "customer_id", None)
        if isinstance(event, OrderPlaced) and customer and customer not in first:
            first[customer] = event.occurred_at_ms
        elif isinstance(event, OrderPlaced | ItemsReturned) and customer:
            in_time = event.occurred_at_ms <= first[customer] + 180 * DAY_MS
            net[customer] += _net(event) * rates[event.currency] * in_time
    watched = [c for c, at in first.items() if at + 180 * DAY_MS < plan.until_ms][:200]
    assert len(watched) == 200
    for customer in watched:
        assert shop.truth(customer).outcome_minor == pytest.approx(net[customer], abs=30)
        assert shop.truth(customer).first_order_at_ms == first[customer]


def _net(event):
    if isinstance(event, ItemsReturned):
        return -sum(line.refund_minor for line in event.lines)
    return sum(line.quantity * line.unit_price_minor - line.discount_minor for line in event.lines)


def test_about_a_tenth_become_vips_and_advisors_help_most_but_not_all():
    plan = ShopPlan(seed=1, customers=2_000)
    bar, all_truths = int(shop_settings(plan)["MAITRED_SCORING__VIP_AMOUNT_MINOR"]), list(truths(plan))
    assert 0.08 < mean(one.outcome_minor >= bar for one in all_truths) < 0.12
    liking = [one.gain_minor for one in all_truths if not one.dislikes_advice]
    wary = [one.gain_minor for one in all_truths if one.dislikes_advice]
    assert mean(liking) > 0 > mean(wary)
    assert len({round(one.effect.speed, 6) for one in all_truths}) > 1_000


@pytest.mark.parametrize("plan", [ShopPlan(), ShopPlan(customers=1, days=3_650), plan_like("online-retail-ii")])
def test_the_settings_of_a_shop_are_settings(plan):
    """Every market has its pool, every currency its rate, every pool an advisor for each language."""
    settings = read({}, shop_settings(plan))
    roster = [event for _, event in Shop(plan).roster()]
    for market in plan.markets:
        pool = settings.markets.pools[market.code]
        assert market.currency == settings.money.base or settings.money.rates[market.currency] == market.rate
        assert any(market.language in advisor.languages for advisor in roster if advisor.pool == pool)


def test_a_plan_says_what_is_wrong_with_it():
    with pytest.raises(msgspec.ValidationError, match="trouble"):
        ShopPlan(trouble=2.0).checked()


# ---- files and the command -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["jsonl", "parquet", "avro"])
def test_files_are_read_back_as_they_were_written(tmp_path, form):
    """By what `maitred publish` reads them with; shards follow one another. Only JSON lines hold malformed records."""
    runs = write_runs(SMALL, tmp_path, block=40)
    (tmp_path / "out").mkdir()
    tally = write_files(merged(runs, tmp_path), tmp_path / "out", form, shard=500)
    files = sorted((tmp_path / "out").iterdir())
    bad = Counter[str]()
    found = [f.event for f in read_files(files, lambda _, fault: bad.update([fault.error]))]
    told = items(SMALL)
    meant = [item[1] for item in told if not isinstance(item, Malformed)]
    readable = [
        i for i in told if isinstance(i, Malformed) and i.is_json_line and i.error in ("conflict", "wrong_currency")
    ]
    extra = len(readable) if form == "jsonl" else 0
    assert len(files) > 5
    assert Counter(type(e) for e in found).total() == len(meant) + extra == tally.total - bad.total()
    assert bad.total() + tally.left_out + extra == len(told) - len(meant)
    assert [e.occurred_at_ms for e in found] == sorted(e.occurred_at_ms for e in found)
    assert {TOPIC_OF[type(e).__name__] for e in found} == {"orders", "returns", "browse", "privacy", "roster"}
    assert not set(map(msgspec.json.encode, meant)) - set(map(msgspec.json.encode, found))


def _interrupted_in(folder):
    with unfinished(folder) as room:
        (room / "events-00000.jsonl").write_text("{")
        raise KeyboardInterrupt


def test_nothing_half_written_looks_whole(tmp_path):
    """What is interrupted leaves nothing; what is there already is not mixed with."""
    with pytest.raises(KeyboardInterrupt):
        _interrupted_in(tmp_path / "shop")
    assert list((tmp_path / "shop").iterdir()) == []
    (tmp_path / "shop" / "mine.txt").touch()
    with pytest.raises(FolderError, match="empty or new"), unfinished(tmp_path / "shop"):
        pass
    assert [path.name for path in (tmp_path / "shop").iterdir()] == ["mine.txt"]


def test_the_command_writes_the_same_in_two_processes(tmp_path):
    command = ["simulate", "--customers", "120", "--days", "90", "--seed", "3", "--json"]
    one = run(app, [*command, "--to", str(tmp_path / "one"), "--truth", str(tmp_path / "truth.parquet")])
    two = run(app, [*command, "--to", str(tmp_path / "two"), "--processes", "2"])
    assert (one.exit_code, two.exit_code) == (0, 0), one.output + two.output
    files = [(tmp_path / name / "events-00000.jsonl").read_bytes() for name in ("one", "two")]
    assert files[0] == files[1]
    said = json.loads(one.stdout)
    assert said["events"] == len(files[0].splitlines()) == json.loads(two.stdout)["events"] > 1_000
    rows = pq.read_table(tmp_path / "truth.parquet").to_pylist()
    assert [row["customer_id"] for row in rows] == [f"C{number:08d}" for number in range(120)]


@pytest.mark.parametrize("form", ["jsonl", "parquet", "avro"])
def test_equal_seeds_make_equal_bytes(tmp_path, form):
    """In another process as well, where chance orders sets in another way."""
    for chance in ("1", "2"):
        options = ["--customers", "20", "--format", form, "--to", str(tmp_path / chance)]
        subprocess.run(
            [*SIMULATE, *options], env={**os.environ, "PYTHONHASHSEED": chance}, check=True, capture_output=True
        )
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / chance).iterdir()} for chance in ("1", "2"))
    assert one
    assert one == two


def test_a_limit_gives_the_first_events(tmp_path):
    written = []
    for name, more in (("all", []), ("some", ["--limit", "500"])):
        options = ["simulate", "--customers", "60", "--trouble", "0", "--to", str(tmp_path / name), *more]
        assert run(app, options).exit_code == 0
        written.append((tmp_path / name / "events-00000.jsonl").read_bytes().splitlines())
    assert len(written[0]) > 1_000
    assert written[1] == written[0][:500]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "say where to"),
        (["--to", "shop", "--to-topics"], "not both"),
        (["--to-topics", "--format", "parquet"], "avro or jsonl"),
        (["--to", "shop", "--rate", "5"], "--rate goes with --to-topics"),
        (["--truth", "truth.csv"], "truth.csv"),
        (["--truth", "/no/such/folder/truth.jsonl"], "a folder that is there"),
        (["--to", "shop", "--seed", str(1 << 62)], "$.seed"),
        (["--to", "shop", "--from", "1960-01-01"], "$.from_ms"),
    ],
)
def test_nonsense_is_told(options, said):
    result = run(app, ["simulate", *options])
    assert result.exit_code == 2
    assert said in result.stderr


def test_where_nothing_can_be_written_it_says_so(tmp_path):
    (tmp_path / "file").touch()
    result = run(app, ["simulate", "--customers", "5", "--to", str(tmp_path / "file" / "shop")])
    assert result.exit_code == 1
    assert result.stderr == f"error: {tmp_path}/file/shop: expected to write there, got: Not a directory\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_command_leaves_nothing(tmp_path, number):
    """Ctrl-C, SIGTERM or a closed terminal while customers live: it says so, and leaves an empty folder and no process."""
    running = _simulating(tmp_path / "shop")
    if number == signal.SIGINT:  # the terminal tells all of them
        os.killpg(running.pid, number)
    else:
        running.send_signal(number)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130, told
    assert told == f"stopped: nothing is left in {tmp_path / 'shop'}\n".encode()
    assert list((tmp_path / "shop").iterdir()) == []
    while _somebody_is_left(running.pid):  # the interpreter's own helper process ends a moment after its parent
        time.sleep(0.02)


def test_nobody_lives_on_when_the_command_is_killed(tmp_path):
    """Its other processes end as well. What it wrote does not look whole."""
    running = _simulating(tmp_path / "shop")
    running.kill()
    running.communicate(timeout=60)
    while _somebody_is_left(running.pid):
        time.sleep(0.02)
    assert [path.name for path in (tmp_path / "shop").iterdir()] == [".unfinished"]


def _simulating(folder):
    """The command in two processes, both at work, in a group of their own."""
    running = subprocess.Popen(
        [*SIMULATE, "--customers", "60000", "--to", str(folder), "--processes", "2"],
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    room = folder / ".unfinished"
    while running.poll() is None and not (room.is_dir() and any(room.iterdir())):
        time.sleep(0.02)
    return running


def _somebody_is_left(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
