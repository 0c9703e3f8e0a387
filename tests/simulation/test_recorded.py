"""A fold in recorded order finds what production announced: the same looks, tier changes, standings and examples, by their ids."""

from pathlib import Path

import pytest

from features.vector import refer
from schemas.events import AdvisorChanged, CustomerScored, CustomerStanding, ExampleReady, TierChanged
from streams.log import Message
from streams.policies import scoring_policy
from streams.replay.fold import Folded
from streams.replay.moments import LookMoment, OutcomeMoment, StandingMoment, TierMoment
from streams.replay.recorded import fold_recorded
from tests.simulation.fault_free import WorldReads, events
from tests.simulation.plans import maitred_plan, models_by_version
from tests.simulation.shop import REGISTRY
from tests.simulation.world import World

SEEDS = range(20, 32)


def folded(reads: WorldReads, world: World, folder: Path) -> Folded:
    settings = world.plan.settings
    return fold_recorded(reads, settings.namespace, settings.partitions, REGISTRY, scoring_policy(settings), folder)


@pytest.mark.parametrize("seed", SEEDS)
def test_moments_in_recorded_order_are_what_was_announced(seed: int, tmp_path: Path) -> None:
    world = World(seed, maitred_plan(seed))
    world.run()
    moments = list(folded(WorldReads(world), world, tmp_path).moments())
    scores = [*events(world, "scores")]

    looks = {moment.scored.id: moment for moment in moments if isinstance(moment, LookMoment)}
    announced = {event.id: event for event in scores if isinstance(event, CustomerScored)}
    assert looks.keys() == announced.keys()
    models = models_by_version(world.plan.settings.learning.champion, events(world, "snapshots"))
    for name, event in announced.items():
        scored, model = looks[name].scored, models[event.model_version]
        seen = refer(looks[name].vector, looks[name].basket, model.reference)
        assert model.score(event.look, seen).score == event.score  # the features are production's own, to the bit
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
        assert {name.split("/")[0] for name in told - standings} <= {"privacy", "assignments"}


class WithoutRoster(WorldReads):
    def _all(self, topic: str, partition: int) -> list[Message]:
        return [] if topic == "roster" else super()._all(topic, partition)


def test_the_roster_is_counted_and_another_one_is_another_source(tmp_path: Path) -> None:
    """Who finds no `AdvisorChanged` counted assumes a team of their own."""
    world = World(20, maitred_plan(20))
    world.run()
    known = folded(WorldReads(world), world, tmp_path)
    there = sum(isinstance(event, AdvisorChanged) for event in events(world, "roster"))
    assert known.counts["AdvisorChanged"] == there > 0
    without = folded(WithoutRoster(world), world, tmp_path)
    assert "AdvisorChanged" not in without.counts
    assert folded(WorldReads(world), world, tmp_path).fingerprint == known.fingerprint != without.fingerprint
