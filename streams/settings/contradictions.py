"""What the settings must not contradict each other in. Each value for itself has been checked by then."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from streams.settings import keys
from streams.settings.currencies import millionths

OURS = frozenset({
    "bootstrap.servers", "group.id", "transactional.id", "transaction.timeout.ms", "session.timeout.ms",
    "isolation.level", "enable.auto.commit", "enable.auto.offset.store", "enable.idempotence", "auto.offset.reset",
    "partition.assignment.strategy", "fetch.wait.max.ms",
})  # fmt: skip


class Contradiction(NamedTuple):
    key: str
    expected: str
    got: object


def contradictions(settings: keys.Settings) -> Iterator[Contradiction]:
    yield from _kafka(settings.kafka)
    yield from _worker(settings.worker)
    yield from _money(settings.money)
    yield from _scoring(settings.scoring)
    yield from _tiers(settings)


def _kafka(kafka: keys.Kafka) -> Iterator[Contradiction]:
    for option in sorted(OURS & kafka.security.keys()):
        yield Contradiction(
            f"kafka.security.{option}", "an option that Maitred does not set itself", kafka.security[option]
        )


def _worker(worker: keys.Worker) -> Iterator[Contradiction]:
    if len(set(worker.processors)) < len(worker.processors):
        yield Contradiction("worker.processors", "each processor once", list(worker.processors))


def _money(money: keys.Money) -> Iterator[Contradiction]:
    if money.rates.get(money.base, 1) != 1:
        yield Contradiction(
            f"money.rates.{money.base}", "1, or nothing: it is the base currency", money.rates[money.base]
        )
    for currency, worth in millionths(money.base, money.rates).items():
        if worth < 1:
            yield Contradiction(
                f"money.rates.{currency}",
                "a rate of a millionth of a minor unit or more",
                money.rates[currency],
            )


def _scoring(scoring: keys.Scoring) -> Iterator[Contradiction]:
    if not _ascends(scoring.outcomes_days) or scoring.outcomes_days[-1] != scoring.horizon_days:
        yield Contradiction(
            "scoring.outcomes_days",
            f"days that ascend to horizon_days, which is {scoring.horizon_days}",
            list(scoring.outcomes_days),
        )
    if not _ascends(scoring.look_days):
        yield Contradiction("scoring.look_days", "days that ascend", list(scoring.look_days))
    if max((*scoring.look_days, scoring.looks_until_days)) >= scoring.horizon_days:
        yield Contradiction(
            "scoring.horizon_days", "more days than look_days and looks_until_days", scoring.horizon_days
        )


def _tiers(settings: keys.Settings) -> Iterator[Contradiction]:
    names = [tier.name for tier in settings.tiers]
    if len(set(names)) < len(names):
        yield Contradiction("tiers", "tiers of different names", names)
    if not _ascends([tier.qualifying_minor for tier in settings.tiers]):
        yield Contradiction(
            "tiers", "qualifying_minor that ascends", [tier.qualifying_minor for tier in settings.tiers]
        )
    if any(one.orders > other.orders for one, other in pairwise(settings.tiers)):
        yield Contradiction("tiers", "orders that never descend", [tier.orders for tier in settings.tiers])
    vip_tier = settings.scoring.vip_tier
    if vip_tier is not None and vip_tier not in names:
        yield Contradiction("scoring.vip_tier", f"one of the tiers: {', '.join(names)}", vip_tier)
    if vip_tier is not None and settings.scoring.vip_amount_minor is not None:
        yield Contradiction("scoring.vip_tier", "vip_amount_minor or vip_tier, not both", vip_tier)


def _ascends(values: Sequence[int | Fraction]) -> bool:
    return all(one < other for one, other in pairwise(values))
