"""Where the schedule fixes interleaving, reads and snapshots, faults leave no trace at all."""

from typing import Any

import pytest

from tests.simulation.plans import maitred_plan
from tests.simulation.rounds import CALM, STORMY, RoundsWorld
from tests.simulation.test_crashes import seeds
from tests.simulation.verdict import findings


def everything(world: RoundsWorld) -> dict[Any, Any]:  # Any: by topic and partition, and by processor and partition
    """All topics as subscribers read them, to the last offset, and what the stores hold."""
    topics = {place: [*log.committed()] for place, log in world.broker.logs.items()}
    stores = {
        (role.name, p): (world.shared.memory(role.name).position(p).entry, world.shared.memory(role.name).contents(p))
        for role in world.plan.roles
        for p in range(role.partitions)
    }
    return topics | stores


@pytest.mark.parametrize("seed", seeds(25))
def test_faults_leave_no_trace(seed: int) -> None:
    """Every byte on every topic and in every store is that of the run without faults."""
    calm, stormy = (RoundsWorld(seed, maitred_plan(seed), rates) for rates in (CALM, STORMY))
    calm.run()
    stormy.run()
    assert sum(stormy.perils.struck.values()) + stormy.lost > 0, "nothing went wrong"
    assert calm.perils.struck == {}
    assert not findings(stormy)
    expected, got = everything(calm), everything(stormy)
    differing = [place for place in expected if expected[place] != got[place]]
    assert not differing, f"replay with: MAITRED_SEED={seed} pytest tests/simulation -k no_trace"
