"""What the scorer's core is told besides records: amounts, markets, horizons, tiers. Built from the settings."""

from collections.abc import Mapping

from msgspec import Struct, field

from features.money import Rates
from streams.scoring.tiers import TierPolicy

DAY_MS = 86_400_000


class Policy(Struct, frozen=True, kw_only=True):
    """Everything configurable that a decision depends on; `version` names it in every output."""

    version: str
    partitions: int
    rates: Rates
    tiers: TierPolicy
    pools: Mapping[str, str] = field(default_factory=dict)  # market -> pool
    default_pool: str = "main"
    outcomes_days: tuple[int, ...] = (30, 180)  # ascending; the last is the horizon
    look_days: tuple[int, ...] = (7, 14, 30)
    looks_until_days: int = 30
    looks_kept: int = 16  # frozen looks of a customer
    asks_consent: bool = True  # a look counts with consent only; else unless it is withdrawn
    vip_amount_minor: int | None = 120_000  # net spend after the first order within the horizon; or:
    vip_tier: int | None = None  # the tier (counted from 1) that makes a VIP
    decide_from_ms: int = 0
    visitor_kept_ms: int = 90 * DAY_MS
    reasons: int = 5

    @property
    def outcomes_ms(self) -> tuple[int, ...]:
        return tuple(days * DAY_MS for days in self.outcomes_days)

    @property
    def horizon_days(self) -> int:
        return self.outcomes_days[-1]

    def pool_of(self, market: str) -> str:
        return self.pools.get(market, self.default_pool)
