"""A fold in recorded order finds what production announced: the same looks, tier changes, standings and examples, by their ids."""

from pathlib import Path

import pytest

from schemas.events import CustomerScored, CustomerStanding, ExampleReady, TierChanged
from streams.policies import scoring_policy
from streams.replay.fold import Folded
from streams.replay.moments import LookMoment, OutcomeMoment, StandingMoment, TierMoment
from streams.replay.recorded import fold_recorded
from tests.simulation.fault_free import WorldReads, events
from tests.simulation.plans import maitred_plan
from tests.simulation.shop import REGISTRY
from tests.simulation.world import World

SEEDS = range(20, 32)


def folded(world: World, folder: Path) -> Folded:
    settings = world.plan.settings
    reads = WorldReads(world)
    return fold_recorded(reads, settings.namespace, settings.partitions, REGISTRY, scoring_policy(settings), folder)


@pytest.mark.parametrize("seed", SEEDS)
def test_moments_in_recorded_order_are_what_was_announced(seed: int, tmp_path: Path) -> None:
    world = World(seed, maitred_plan(seed))
    world.run()
    moments = list(folded(world, tmp_path).moments())
    scores = [*events(world, "scores")]

    looks = {moment.scored.id: moment for moment in moments if isinstance(moment, LookMoment)}
    announced = {event.id: event for event in scores if isinstance(event, CustomerScored)}
    assert looks.keys() == announced.keys()
    for name, event in announced.items():
        scored = looks[name].scored
        assert (scored.look, scored.customer_id, scored.first_order_minor, scored.consent, scored.brief) == (
            event.look, event.customer_id, event.first_order_minor, event.consent, event.brief,
        )  # fmt: skip

    tiers = sorted((m.change.id, m.change) for m in moments if isinstance(m, TierMoment))
    assert tiers == sorted((e.id, e) for e in events(world, "tier-changes") if isinstance(e, TierChanged))

    examples = {f"{m.cause}/{m.horizon_days}/{n}" for m in moments if isinstance(m, OutcomeMoment) for n, _ in m.looks}
    assert examples == {event.id for event in events(world, "examples") if isinstance(event, ExampleReady)}

    standings = {m.standing.id for m in moments if isinstance(m, StandingMoment)}
    told = {event.id for event in scores if isinstance(event, CustomerStanding)}
    assert standings <= told
    if standings != told:  # pools that assigned somebody are told what the log's assignments made them know
        assert {event.id.split("/")[0] for event in scores if event.id in told - standings} <= {
            "privacy",
            "assignments",
        }
