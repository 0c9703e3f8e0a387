"""What a place with an advisor costs: what a look must be worth.

    f = places free or coming free in the planning window / new customers expected in it
    threshold = the (1 - f) quantile of what the pool's recent customers were worth at their best

The window goes along with time, so no plan ends in a clearance sale. As places go faster or slower than planned, what is left
moves the price: 12 places for 400 customers in 14 days make f 0.03; with 6 left for the 314 of the 11 days that remain, 0.019.
How long a window captures how much is told in docs/capacity.md.

A look is worth its value (`rank_by`: the score, or the expected value), less what waiting for a later, surer look promises
(`followed.py`). So a middling first look leaves its place to the sure one of day 14, and an early look that will hardly be
surpassed is taken at once.

Customers expected are as many as in the last window; until there is one, the configured expectation stands in with the weight
of two days at most. The quantile is taken exactly: of n recent customers, k = floor(f (n + 1)) places in their ranking are for sale,
and a look passes if it is worth more than the last of them. If all are alike, each then passes with a probability of at most
f, after 3 customers as after 400. So a young pool with few places lets nobody in until it has seen enough to tell who is good.
"""

from math import inf
from typing import Final, Literal

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

from schemas.events import CustomerScored
from streams.assignment.followed import KINDS, Followed, Sample

DAY_MS: Final = 86_400_000
FREE: Final = 0.0  # whatever is worth something lies above it
CLOSED: Final = inf


class Prices(Struct, array_like=True):
    """What a pool's price rests on: the value of key `price/<pool>`.

    The fields marked so were of the price before docs/decisions/0013; values that have them are still read.
    """

    recent: bytes = b""  # was
    first_ms: int = 0  # the first look
    flow: dict[int, int] = {}  # new customers by day, within the planning window
    plan_from_ms: int = 0  # was
    plan_until_ms: int = 0  # was
    plan_looks: float = 0.0  # was
    followed: list[Followed] = []
    level: int = 0


class PricePolicy(Struct, frozen=True, kw_only=True):
    planning_window_days: int = 28
    expected_looks: int = 200  # first looks, in a planning window, of a pool that has not seen a whole one yet
    expected_weight_days: int = 2  # how soon what is seen counts for more than what was expected
    recent_looks: int = 400  # customers whose looks are remembered
    rank_by: Literal["probability", "expected_value"] = "probability"
    patience: float = 0.85

    @property
    def window_ms(self) -> int:
        return self.planning_window_days * DAY_MS

    def value_of(self, look: CustomerScored) -> float:
        """What ranks customers: P(VIP), or the money expected of them."""
        return look.score if self.rank_by == "probability" else float(look.expected_value_minor)


_encoder = Encoder()
_decoder = Decoder(Prices)


class PriceBoard:
    """The price of one pool, at work."""

    def __init__(self, value: bytes | None, policy: PricePolicy) -> None:
        self._prices = Prices() if value is None else _decoder.decode(value)
        self._policy = policy
        self._sample = Sample(self._prices.followed, self._prices.level, policy.recent_looks)

    def plan_until(self, now_ms: int) -> int:
        """The end of the planning window: a day's end, so that a day has one window."""
        return now_ms // DAY_MS * DAY_MS + self._policy.window_ms

    def threshold(self, places: int, until_ms: int, now_ms: int) -> float:
        """What a look must be worth more than, when so many places are free or come free until then."""
        expected = max(1.0, self._rate(now_ms) * (until_ms - now_ms))
        return self._worth(share_for_sale(places, expected), places)

    def _worth(self, share: float, places: int) -> float:
        seen = len(self._sample)
        for_sale = int(share * (seen + 1))
        if for_sale == 0 and places > 0 and self._sample.is_full:
            for_sale = 1  # a full memory can't rank finer: who beats all of it
        if for_sale == 0:
            return CLOSED
        return FREE if for_sale > seen else self._sample.best(for_sale)

    def worth(self, look: CustomerScored) -> float:
        """What a look is worth now, seeing what may come of waiting for another."""
        value = self._policy.value_of(look)
        return self._sample.worth(KINDS[look.look], value, self._policy.patience)

    def remember(self, look: CustomerScored, worth: float, now_ms: int) -> None:
        """An eligible look, whether it passed or not, and those of customers who are served: they tell what waiting brings."""
        value = self._policy.value_of(look)
        if (new := self._sample.follow(look.customer_id, KINDS[look.look], value, worth, now_ms)) > 0:
            prices, day = self._prices, now_ms // DAY_MS
            prices.first_ms = prices.first_ms or now_ms
            prices.flow[day] = prices.flow.get(day, 0) + new
            for past in [d for d in prices.flow if d < day - self._policy.planning_window_days]:
                del prices.flow[past]

    def forget(self, customer_id: str) -> None:
        self._sample.forget(customer_id)

    def _rate(self, now_ms: int) -> float:
        """New customers a millisecond: of the last window, and of what was expected beforehand, as if seen in two days."""
        policy = self._policy
        weight_ms = policy.expected_weight_days * DAY_MS
        expected = policy.expected_looks / policy.window_ms
        if not self._prices.first_ms:
            return expected
        oldest_ms = (now_ms // DAY_MS - policy.planning_window_days) * DAY_MS
        watched_ms = max(1, now_ms - max(oldest_ms, self._prices.first_ms))
        seen = sum(n for day, n in self._prices.flow.items() if day * DAY_MS >= oldest_ms)
        weight_ms = min(weight_ms, max(0, policy.window_ms - watched_ms))  # once a window was watched it counts no more
        return (seen + expected * weight_ms) / (watched_ms + weight_ms)

    def encode(self) -> bytes:
        prices = self._prices
        prices.followed, prices.level = self._sample.customers, self._sample.level
        prices.recent, prices.plan_from_ms, prices.plan_until_ms, prices.plan_looks = b"", 0, 0, 0.0
        return _encoder.encode(prices)


def share_for_sale(places: int, customers: float) -> float:
    """f, the share of customers who may pass.

    >>> share_for_sale(12, 400), round(share_for_sale(6, 400 * 11 / 14), 3)
    (0.03, 0.019)
    """
    return max(0, places) / customers
