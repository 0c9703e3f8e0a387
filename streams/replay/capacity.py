"""How much of what the places could have captured was captured: the assigner and simpler policies over the offline optimum.

    capacity_report(run, policy) -> rows for `Results.capacity`

`as_configured` is the run itself: its roster, its rules, its control arm. Then a sweep over the same looks: places for 1 %
(scarce), 5 % (balanced) and 20 % (ample) of the new customers of a service period, each pool its own, with and without second
looks. The measure is told in docs/capacity.md: the value that a look said (the score, or the expected value: `rank_by`) of
everybody who was taken, over that of the offline optimum (`offline_optimum.py`). Beside it stands what came true: VIPs, and
the money spent after the look at which somebody was taken, also over the optimum's: that optimum knew all scores, not what came,
so more than 1 may be reached. The interval draws customers anew, not decisions: how far the figure hangs on a few of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from streams.assignment import AssignmentPolicy, is_control
from streams.replay.bootstrap import Floats, Population, interval
from streams.replay.offline_optimum import Chance, offline_optimum
from streams.replay.results import Capacity
from streams.replay.run import Run
from streams.replay.simple_policies import above, everybody, fixed_threshold, lottery, taken_by
from streams.replay.sweep import DAY_MS, Look, assigned_by_maitred

SHARES: Final[Mapping[str, float]] = {"scarce": 0.01, "balanced": 0.05, "ample": 0.20}
WATCHED_DAYS: Final = 30  # before a fixed threshold is set
LOT_SEED: Final = 1
CONFIGURED: Final = "as_configured"
Shares = dict[str, float]  # of looks, what share of them is taken: 1 but in rare cases of the optimum
SCENARIOS: Final = (CONFIGURED, *SHARES)


class Came(NamedTuple):
    """What came of a look."""

    is_vip: bool
    money_minor: int


class Scene(NamedTuple):
    """One scenario: the looks of each pool, its places, and how many may be taken on in a day."""

    name: str
    second_looks: bool
    looks: Mapping[str, Sequence[Look]]
    places: Mapping[str, int]
    intake: Mapping[str, int]


def capacity_report(run: Run, policy: AssignmentPolicy, scenarios: Sequence[str] = SCENARIOS) -> tuple[Capacity, ...]:
    """Of a run: the assigner as configured over its own roster, then the sweep of scarce, balanced and ample places."""
    looks, came = looks_of(run, policy), outcomes_of(run)
    rows: list[Capacity] = []
    for name in scenarios:
        if name == CONFIGURED:
            rows += _as_configured(run, looks, came, policy)
            continue
        for second_looks in (False, True):
            scene = scene_of(name, looks, SHARES[name], policy.service_days, second_looks=second_looks)
            rows += rows_of(run.variant, scene, came, policy)
    return tuple(rows)


# ---- what is read off a run --------------------------------------------------------------------------------------------


def looks_of(run: Run, policy: AssignmentPolicy) -> list[Look]:
    """Looks that the assigner may act upon, in order of time."""
    table = run.looks
    columns = [table.column(name).to_pylist() for name in (
        "look_id", "at_ms", "customer_id", "market", "pool", "look", "look_number", "score", "expected_value_minor",
        "first_spend_minor", "consent",
    )]  # fmt: skip
    vip = table.column("is_vip_already").to_pylist()
    rows = zip(*columns, strict=True)
    return [Look(*row) for row, is_vip in zip(rows, vip, strict=True) if policy.serve_vips or not is_vip]


def outcomes_of(run: Run) -> dict[str, Came]:
    table = run.examples
    names = "look_id", "horizon_days", "is_vip", "money_after_look_minor"
    rows = zip(*(table.column(name).to_pylist() for name in names), strict=True)
    return {look: Came(is_vip, money) for look, days, is_vip, money in rows if days == run.horizon_days}


def scene_of(name: str, looks: Sequence[Look], share: float, service_days: int, *, second_looks: bool) -> Scene:
    """Places for a share of the new customers of a service period, in each pool; at least one."""
    by_pool: dict[str, list[Look]] = {}
    for look in looks:
        if second_looks or look.look == "first":
            by_pool.setdefault(look.pool, []).append(look)
    places = {pool: max(1, round(share * _customers_in(service_days, seen))) for pool, seen in by_pool.items()}
    return Scene(name, second_looks, by_pool, places, places)


def _customers_in(days: int, looks: Sequence[Look]) -> float:
    """New customers of so many days, on average; of a log that is shorter all of them."""
    span_days = max(days, (looks[-1].at_ms - looks[0].at_ms) / DAY_MS)
    return len({look.customer_id for look in looks}) * days / span_days


# ---- policies ----------------------------------------------------------------------------------------------------------


def rows_of(variant: str, scene: Scene, came: Mapping[str, Came], policy: AssignmentPolicy) -> list[Capacity]:
    """A row a policy, the optimum last."""
    picked: dict[str, Shares] = {}
    looks = {look.look_id: look for seen in scene.looks.values() for look in seen}
    for pool, seen in sorted(scene.looks.items()):
        places = scene.places[pool]
        chances = chances_of(seen, policy)
        given = assigned_by_maitred(seen, pool, places, policy)
        picked.setdefault("maitred", {}).update((pick.look_id, 1.0) for pick in given)
        threshold = fixed_threshold(chances, places, policy.service_days, WATCHED_DAYS)
        simple = {
            "first_come": everybody,
            "fixed_threshold": above(threshold),
            "random": lottery(chances, places, policy.service_days, LOT_SEED),
        }
        for name, wants in simple.items():
            taken = taken_by(chances, wants, places, policy.service_days)
            picked.setdefault(name, {}).update((seen[index].look_id, 1.0) for index in taken)
    return _rows(variant, scene, picked, looks, came, policy)


def _as_configured(
    run: Run, looks: Sequence[Look], came: Mapping[str, Came], policy: AssignmentPolicy
) -> list[Capacity]:
    """The run's own assignments by a look, over the optimum of whom it could have assigned, with the roster's places.

    That leaves out the control arm, and looks without the consent that is asked for.
    """
    places, intake = _roster(run)
    free = [
        look
        for look in looks
        if policy.allows(look.consent) and not is_control(policy.experiment, look.customer_id, policy.control_share)
    ]
    by_pool: dict[str, list[Look]] = {}
    for look in free:
        by_pool.setdefault(look.pool, []).append(look)
    scene = Scene(CONFIGURED, True, by_pool, places, intake)  # a field
    table = run.assignments
    rows = zip(table.column("look_id").to_pylist(), table.column("withheld").to_pylist(), strict=True)
    by_id = {look.look_id: look for look in free}
    given = {look_id: 1.0 for look_id, withheld in rows if not withheld and look_id in by_id}
    return _rows(run.variant, scene, {"maitred": given}, by_id, came, policy)


def _roster(run: Run) -> tuple[dict[str, int], dict[str, int]]:
    """Places and daily intake of each pool, by the most that each advisor ever had: it flatters the optimum, not us."""
    most: dict[tuple[str, str], tuple[int, int]] = {}
    names = "pool", "advisor_id", "capacity", "daily_intake"
    for pool, advisor, capacity, intake in zip(*(run.roster.column(n).to_pylist() for n in names), strict=True):
        held = most.get((pool, advisor), (0, 0))
        most[pool, advisor] = max(held[0], capacity), max(held[1], intake)
    places: dict[str, int] = {}
    intakes: dict[str, int] = {}
    for (pool, _), (capacity, intake) in most.items():
        places[pool] = places.get(pool, 0) + capacity
        intakes[pool] = intakes.get(pool, 0) + intake
    return places, intakes


def _optimum(scene: Scene, policy: AssignmentPolicy) -> Shares:
    """Which looks the optimum takes."""
    picked: Shares = {}
    for pool, seen in sorted(scene.looks.items()):
        intake = scene.intake.get(pool, 0)
        places = scene.places.get(pool, 0)
        solved = offline_optimum(
            chances_of(seen, policy), places, policy.service_days, intake if intake < places else None
        )
        picked.update((seen[index].look_id, share) for index, share in solved.taken)
    return picked


def chances_of(looks: Iterable[Look], policy: AssignmentPolicy) -> list[Chance]:
    return [Chance(look.at_ms, look.customer_id, _value(look, policy)) for look in looks]


def _value(look: Look, policy: AssignmentPolicy) -> float:
    return look.score if policy.rank_by == "probability" else float(look.expected_value_minor)


def _rows(
    variant: str, scene: Scene, picked: Mapping[str, Shares], looks: Mapping[str, Look], came: Mapping[str, Came],
    policy: AssignmentPolicy,
) -> list[Capacity]:  # fmt: skip
    """A row a policy, and one of the optimum."""
    optimum = _optimum(scene, policy)
    by_policy = {**picked, "optimum": optimum}
    population = Population(looks[look_id].customer_id for shares in by_policy.values() for look_id in shares)
    best = _said(optimum, looks, policy, population)
    best_money = _money(optimum, came)
    rows = []
    for name, shares in by_policy.items():
        whole = [look_id for look_id, share in shares.items() if share > 1 / 2]
        known = [came[look_id] for look_id in whole if look_id in came]
        over = _said(shares, looks, policy, population)
        over = np.divide(over, best, out=np.full(len(best), np.nan), where=best > 0)
        captured = None if name == "optimum" else interval(over[1:])
        rows.append(Capacity(
            variant=variant,
            scenario=scene.name,
            policy=name,
            second_looks=scene.second_looks,
            places=sum(scene.places.get(pool, 0) for pool in scene.looks),
            assigned=len(whole),
            captured_minor=sum(each.money_minor for each in known),
            vips=sum(each.is_vip for each in known),
            over_optimum=round(float(over[0]), 4) if best[0] > 0 else None,
            value_over_optimum=round(_money(shares, came) / best_money, 4) if best_money > 0 else None,
            ci95=(round(captured[0], 4), round(captured[1], 4)) if captured else None,
        ))  # fmt: skip
    return rows


def _said(shares: Shares, looks: Mapping[str, Look], policy: AssignmentPolicy, population: Population) -> Floats:
    """What the taken looks said, summed up: of everybody, then of each draw of customers."""
    values = np.array([share * _value(looks[look_id], policy) for look_id, share in shares.items()], np.float64)
    drawn = population.weights(population.places([looks[look_id].customer_id for look_id in shares]))
    return np.concatenate([[values.sum()], values @ drawn.astype(np.float64)])


def _money(shares: Shares, came: Mapping[str, Came]) -> float:
    """What was spent after the taken looks, as far as it is known."""
    return sum(share * came[look_id].money_minor for look_id, share in shares.items() if look_id in came)
