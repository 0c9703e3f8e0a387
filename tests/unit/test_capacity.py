"""How much of what places could have captured was captured: on streams made up here, whose best is known."""

from collections import Counter
from random import Random

import pyarrow as pa
import pytest
from msgspec.structs import replace

from schemas.ids import hash64
from streams.assignment import AssignmentPolicy
from streams.replay.capacity import CONFIGURED, SHARES, Came, Scene, capacity_report, rows_of, scene_of
from streams.replay.offline_optimum import Chance
from streams.replay.run import ASSIGNMENTS, EXAMPLES, LOOKS, ROSTER, TABLES, Run, batch_of
from streams.replay.simple_policies import fixed_threshold, lottery, taken_by
from streams.replay.sweep import DAY_MS, Look, assigned_by_maitred

START_MS = 15_000 * DAY_MS
POLICY = AssignmentPolicy(version="p", service_days=30, planning_window_days=14, control_share=0)


def a_look(number, who, at_ms, score, kind="first", pool="main"):
    return Look(f"{who}/{number}", at_ms, who, "DE", pool, kind, number, score, int(score * 1_000), 5_000)


def stream(seed, customers=1_500, a_day=5, *, second_looks=True):
    """Customers at a steady rate, scores skewed; on day 14 each is known better: up for one of five, down for the others."""
    chance, looks = Random(seed), []
    for n in range(customers):
        at_ms = START_MS + int((n + chance.random()) * DAY_MS / a_day)
        score = chance.betavariate(1, 6)
        looks.append(a_look(1, f"c{n}", at_ms, score))
        if second_looks:
            later = min(0.99, score * 3) if chance.random() < 0.2 else score / 2
            looks.append(a_look(2, f"c{n}", at_ms + 14 * DAY_MS, later, "day_14"))
    return sorted(looks, key=lambda look: (look.at_ms, look.customer_id, look.number))


def table(name, rows):
    return pa.Table.from_batches([batch_of(TABLES[name], rows)], schema=TABLES[name])


def a_run(looks, assigned=(), places=10):
    """A run in which these looks were assigned."""
    empty = {name: table(name, []) for name in TABLES}
    by_look = {
        "look_id": lambda look: look.look_id, "at_ms": lambda look: look.at_ms, "customer_id": lambda look: look.customer_id,
        "market": lambda look: look.market, "pool": lambda look: look.pool, "look": lambda look: look.look,
        "look_number": lambda look: look.number, "score": lambda look: look.score,
        "expected_value_minor": lambda look: look.expected_value_minor, "rule_score": lambda look: look.score,
        "first_spend_minor": lambda look: look.first_spend_minor, "model_version": lambda _: "m",
        "is_vip_already": lambda _: False, "consent": lambda look: look.consent,
    }  # fmt: skip
    given = {"withheld": False, "assignment_id": "a", "arm": "treatment", "cause": "look", "threshold": 0.1}
    known = {"horizon_days": 180, "is_vip": True, "money_after_look_minor": 100, "arm": "none"}

    def row(schema, look, more):
        return tuple(more[n] if n in more else by_look[n](look) if n in by_look else None for n in schema.names)

    tables = {
        **empty,
        "looks": table("looks", [row(LOOKS, look, {}) for look in looks]),
        "assignments": table("assignments", [row(ASSIGNMENTS, look, given) for look in assigned]),
        "examples": table("examples", [row(EXAMPLES, look, known) for look in assigned]),
        "roster": table("roster", [(START_MS, "ada", "main", "active", places, places)]),
    }
    assert ROSTER.names == ["at_ms", "advisor_id", "pool", "status", "capacity", "daily_intake"]
    return Run(
        **tables, variant="v", horizon_days=180, from_ms=START_MS, end_ms=looks[-1].at_ms, counts={}, notes=(),
        outputs_sha256="",
    )  # fmt: skip


# ---- the assigner over looks that were scored -----------------------------------------------------------------------------


def test_the_assigner_never_holds_more_places_than_there_are():
    """Nor serves anybody twice."""
    looks = stream(1, 600)
    picks = assigned_by_maitred(looks, "main", 8, POLICY)
    assert len({pick.customer_id for pick in picks}) == len(picks) > 20
    for pick in picks:
        held = sum(0 <= pick.at_ms - other.at_ms < 30 * DAY_MS for other in picks)
        assert held <= 8


def test_the_same_looks_give_the_same_picks():
    looks = stream(2, 400)
    assert assigned_by_maitred(looks, "main", 5, POLICY) == assigned_by_maitred(looks, "main", 5, POLICY)


def test_nobody_is_withheld_in_a_sweep():
    """Even where the configured experiment would keep everybody from it."""
    looks = stream(3, 400)
    experiment = replace(POLICY, control_share=900_000)
    assert assigned_by_maitred(looks, "main", 5, experiment) == assigned_by_maitred(looks, "main", 5, POLICY)


@pytest.mark.parametrize("second_looks", [False, True])
def test_on_a_steady_stream_the_assigner_captures_most_of_the_optimum(second_looks):
    """More than nine tenths at balanced places, and more than any of the simple policies."""
    scene = scene_of("balanced", stream(4), SHARES["balanced"], 30, second_looks=second_looks)
    captured = {row.policy: row.over_optimum or 0.0 for row in rows_of("v", scene, {}, POLICY)}
    assert captured["optimum"] == 1.0
    assert captured["maitred"] > 0.9
    assert captured["maitred"] > max(captured[name] for name in ("first_come", "fixed_threshold", "random"))


def test_patience_keeps_places_for_surer_looks():
    """Where a fifth turns out three times as good on day 14, more places go to looks of that day than without patience."""
    looks = stream(5, 1_000)
    shares = []
    for patience in (0.0, 0.85):
        picks = assigned_by_maitred(looks, "main", 30, replace(POLICY, patience=patience))
        shares.append(sum(pick.look_id.endswith("/2") for pick in picks) / len(picks))
    assert shares[1] > shares[0] + 0.05


def test_the_policy_may_rank_by_expected_value():
    """Then that is what is captured."""
    looks = [look._replace(expected_value_minor=hash64(look.customer_id) % 10_000) for look in stream(6)]
    scene = scene_of("balanced", looks, SHARES["balanced"], 30, second_looks=False)
    by_money = rows_of("v", scene, {}, replace(POLICY, rank_by="expected_value"))
    assert (by_money[0].over_optimum or 0) > 0.85


@pytest.mark.parametrize(("seed", "places"), [(11, 2), (14, 3)])
def test_few_places_are_not_sold_within_days(seed, places):
    """A new customer in two days, a place for the best of twenty: a window of 14 days sells to whoever comes, and gets 0.8."""
    looks = stream(seed, 400, a_day=0.5, second_looks=False)
    scene = Scene("few", second_looks=False, looks={"main": looks}, places={"main": places}, intake={"main": places})
    captured = {
        row.policy: row.over_optimum or 0.0 for row in rows_of("v", scene, {}, AssignmentPolicy(control_share=0))
    }
    assert captured["maitred"] > 0.85


# ---- simple policies --------------------------------------------------------------------------------------------------------


def test_a_fixed_threshold_is_set_by_what_was_seen_at_first():
    """Ten places in a hundred days are one in ten days: the second best of that time is the threshold."""
    chances = [Chance(START_MS + n * DAY_MS, f"c{n}", n / 100) for n in range(100)]
    assert fixed_threshold(chances, 10, 100, 10) == 0.08


def test_a_lottery_draws_as_many_as_there_are_places_for():
    chances = [Chance(START_MS + n * DAY_MS // 10, f"c{n}", 0.5) for n in range(2_000)]
    wants = lottery(chances, 10, 50, seed=1)
    assert sum(wants(n, chance) for n, chance in enumerate(chances)) == pytest.approx(50, abs=20)
    assert len(taken_by(chances, wants, 10, 50)) <= 50


# ---- the report -------------------------------------------------------------------------------------------------------------


def test_places_are_a_share_of_the_customers_of_a_service_period():
    """150 in 30 days: 5 % of them are 7.5; each pool has its own, at least one."""
    scene = scene_of("balanced", [*stream(7), a_look(1, "z", START_MS, 0.5, pool="small")], 0.05, 30, second_looks=True)
    assert scene.places["small"] == 1
    assert scene.places["main"] in (7, 8)


def test_what_came_true_stands_beside_what_was_said():
    """VIPs and money of those taken, as far as they are known."""
    looks = stream(8, 300, second_looks=False)
    scene = scene_of("ample", looks, 0.2, 30, second_looks=False)
    came = {look.look_id: Came(is_vip=True, money_minor=7) for look in looks}
    for row in rows_of("v", scene, came, POLICY):
        assert (row.vips, row.captured_minor) == (row.assigned, 7 * row.assigned)


def test_a_report_has_the_run_itself_and_the_sweep():
    """As configured, the run's own assignments over the optimum of its roster; then three scenarios, with and without second looks."""
    looks = stream(9, 400)
    best = sorted((look for look in looks if look.look == "day_14"), key=lambda look: -look.score)[:3]
    rows = capacity_report(a_run(looks, best, places=4), POLICY)
    assert Counter((row.scenario, row.second_looks) for row in rows) == {
        (CONFIGURED, True): 2,
        **{(scenario, second): 5 for scenario in SHARES for second in (False, True)},
    }
    own = rows[0]
    assert (own.policy, own.places, own.assigned, own.vips, own.captured_minor) == ("maitred", 4, 3, 3, 300)
    assert 0 < (own.over_optimum or 0) < 1


def test_a_run_without_looks_has_an_empty_report():
    """No look, no optimum to be measured by; nothing is divided by it."""
    run = a_run(stream(10, 1))
    nothing = replace(run, looks=table("looks", []))
    assert all(row.over_optimum is None for row in capacity_report(nothing, POLICY))


def test_the_optimum_as_configured_may_take_only_whom_the_assigner_may():
    """Nobody without the consent that is asked for: else what no policy could have had would count as lost."""
    looks = [a_look(1, f"c{n}", START_MS + n * DAY_MS, 0.1 + n / 100) for n in range(20)]
    asked = [look._replace(consent="unknown" if n >= 10 else "granted") for n, look in enumerate(looks)]
    run = a_run(asked, [asked[9]], places=1)
    over = {}
    for consent in ("opt_in", "opt_out"):
        own, _ = capacity_report(run, replace(POLICY, consent=consent), (CONFIGURED,))
        over[consent] = own.over_optimum
    assert over == {"opt_in": 1.0, "opt_out": pytest.approx(0.19 / 0.29, abs=1e-4)}


def test_what_was_captured_has_an_interval_and_a_share_of_the_money():
    """By customers drawn anew; of the optimum itself there is none. Money is that after the looks, where it is known."""
    looks = stream(13, 300, second_looks=False)
    scene = scene_of("balanced", looks, 0.05, 30, second_looks=False)
    came = {look.look_id: Came(is_vip=False, money_minor=int(look.score * 1_000)) for look in looks}
    rows = {row.policy: row for row in rows_of("v", scene, came, POLICY)}
    assert rows["optimum"].ci95 is None
    for row in rows.values():
        assert row.value_over_optimum == pytest.approx(row.over_optimum, abs=0.01)
    ours = rows["maitred"]
    assert ours.ci95 is not None
    assert ours.over_optimum is not None
    assert ours.ci95[0] < ours.over_optimum < ours.ci95[1]
    assert rows == {row.policy: row for row in rows_of("v", scene, came, POLICY)}
