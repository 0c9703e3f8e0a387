"""What is simulated: the diary alone, or the three real processors together."""

from random import Random

from streams.settings import Settings
from tests.simulation.diary import Diary
from tests.simulation.world import Plan, Role


def diary_plan(seed: int) -> Plan:
    rng = Random(seed)
    partitions = rng.choice((1, 2, 3))
    role = Role("scorer", Diary.sources, partitions, lambda _: Diary(partitions))
    return Plan(Settings(partitions=partitions), (role,), Diary.sources, rng.choice((30, 60, 100)))
