"""What customers spent since their first purchase, purchase by purchase: for money after a look, and for days to VIP."""

from bisect import bisect_right
from itertools import accumulate
from operator import itemgetter

import msgspec
from msgspec import Struct

from features.profile import Profile

DAY_MS = 86_400_000


class Spending(Struct, frozen=True, array_like=True):
    """A customer's orders (net) and returns (negative) after the first order, by event time; amounts in base minor units.

    `accounts` are those that were merged into this one: what was spent under them is in it.
    """

    customer_id: str
    market: str
    first_purchase_at_ms: int
    first_order_minor: int
    at_ms: tuple[int, ...] = ()  # ascending
    net_minor: tuple[int, ...] = ()
    accounts: tuple[str, ...] = ()

    def between(self, after_ms: int, until_ms: int) -> int:
        """Net spend later than one moment, up to and including another."""
        return sum(self.net_minor[bisect_right(self.at_ms, after_ms) : bisect_right(self.at_ms, until_ms)])

    def until(self, until_ms: int) -> int:
        """Net spend after the first order, up to and including a moment: an outcome."""
        return sum(self.net_minor[: bisect_right(self.at_ms, until_ms)])

    def daily(self) -> tuple[tuple[int, int], ...]:
        """(whole days since the first purchase, net spend of that day) of every day with any."""
        days = [(at_ms - self.first_purchase_at_ms) // DAY_MS for at_ms in self.at_ms]
        sums: dict[int, int] = {}
        for day, net_minor in zip(days, self.net_minor, strict=True):
            sums[day] = sums.get(day, 0) + net_minor
        return tuple(sums.items())

    def reached_at_ms(self, amount_minor: int) -> int | None:
        """When net spend after the first order first came to an amount."""
        totals = list(accumulate(self.net_minor))
        return next((at_ms for at_ms, total in zip(self.at_ms, totals, strict=True) if total >= amount_minor), None)


encode_spending = msgspec.msgpack.Encoder().encode
decode_spending = msgspec.msgpack.Decoder(Spending).decode


def spending(profile: Profile, spent: list[tuple[int, int]]) -> Spending | None:
    """Of (at_ms, net_minor) of all orders and returns. What came before the first purchase is left out."""
    first = profile.first_purchase
    if first is None or profile.market is None:
        return None
    later = sorted((item for item in spent if item[0] >= first.at_ms), key=itemgetter(0))
    if (
        bought_first := (first.at_ms, first.net_minor)
    ) in later:  # in recorded order it may be on its way from another account
        later.remove(bought_first)
    return Spending(
        profile.customer_id,
        profile.market,
        first.at_ms,
        first.net_minor,
        tuple(at_ms for at_ms, _ in later),
        tuple(net_minor for _, net_minor in later),
        tuple(profile.merged),
    )
