"""How large the demo's shop is and how fast its time runs: a year in a minute, or in the whole demo where that is shorter."""

from collections.abc import Mapping
from time import time
from typing import NamedTuple

from streams.simulator import ShopPlan, shop_settings

DAY_MS = 86_400_000
YEAR_DAYS = 365
YEAR_S = 60.0  # in which a year passes
SEASON_S = 600.0  # `--forever` plays one shop so long, then the next
CUSTOMERS_A_SECOND = 33  # new ones; each makes some thirty events
TROUBLE = 0.002  # of the events
CONTACT_HOURS, UNDER_WAY_S = 48, 0.5
NAMESPACE, PARTITIONS = "demo", 2


class DemoPlan(NamedTuple):
    seconds: float = 60.0
    seed: int = 1

    @property
    def days(self) -> int:
        """Of the shop's time: whole years."""
        return YEAR_DAYS * max(1, round(self.seconds / YEAR_S))

    @property
    def speed(self) -> float:
        return self.days * DAY_MS / 1000 / self.seconds

    @property
    def from_ms(self) -> int:
        """It ends today: no event lies in the future."""
        return (int(time()) // 86_400 - self.days) * DAY_MS

    @property
    def shop(self) -> ShopPlan:
        customers = max(1, round(CUSTOMERS_A_SECOND * self.seconds))
        return ShopPlan(seed=self.seed, customers=customers, from_ms=self.from_ms, days=self.days, trouble=TROUBLE)

    @property
    def contact_within_hours(self) -> int:
        """While a decision is on its way to an advisor, hours and days of the shop's time pass."""
        return CONTACT_HOURS + round(UNDER_WAY_S * self.speed / 3_600)


def variables(plan: DemoPlan, directory: str, servers: Mapping[str, str]) -> dict[str, str]:
    """The settings of the demo's worker: what suits the shop, where the servers are, and what suits a year in a minute."""
    return {
        **shop_settings(plan.shop),
        **servers,
        "MAITRED_TIME": "event",
        "MAITRED_WORKER__WEB_PORT": "0",
        "MAITRED_WORKER__DATA_DIR": f"{directory}/worker",
        "MAITRED_LEARNING__CHAMPION": "river",
        "MAITRED_LEARNING__SNAPSHOT_EVERY": "50",
        "MAITRED_BATCH__MAX_IDLE_MS": "100",
        "MAITRED_BATCH__MAX_WAIT_MS": "20",
        "MAITRED_ASSIGNMENT__CONTACT_WITHIN_HOURS": str(plan.contact_within_hours),
    }
