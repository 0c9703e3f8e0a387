"""What a place with an advisor costs: the score that a look must beat.

    f = places free or coming free until the plan ends / eligible looks expected until then
    threshold = the (1 - f) quantile of the pool's recent eligible looks

A plan covers the planning window and is made anew when half of it has passed, so that no plan ends in a clearance sale. As
places go faster or slower than planned, what is left over what remains moves the price: 12 places for 400 looks in 14 days
make f 0.03; with 6 gone after 3 days it is 6 / 314 = 0.019.

Looks expected are those of the last window. For the part of it that lies before the pool's first look, the configured
expectation stands in. The quantile is taken exactly: of n recent looks, k = floor(f (n + 1)) places in their ranking are for
sale, and a look passes if it is worth one of them. If all looks are alike, each then passes with a probability of at most f,
after 3 looks as after 400. So a young pool with few places lets nobody in until it has seen enough to tell who is good.
"""

from bisect import bisect_left, insort
from struct import Struct as Layout
from typing import Final

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

DAY_MS: Final = 86_400_000
FREE: Final = 0.0  # scores lie above it
CLOSED: Final = 1.0  # and below this


class Prices(Struct, array_like=True):
    """What a pool's price rests on: the value of key `price/<pool>`."""

    recent: bytes = b""  # scores of the last looks, the oldest first, as doubles
    first_ms: int = 0  # the first look
    flow: dict[int, int] = {}  # eligible looks by day, within the planning window
    plan_from_ms: int = 0
    plan_until_ms: int = 0
    plan_looks: float = 0.0


class PricePolicy(Struct, frozen=True, kw_only=True):
    planning_window_days: int = 14
    expected_looks: int = 400  # in a planning window, of a pool that has not seen a whole one yet
    recent_looks: int = 400

    @property
    def window_ms(self) -> int:
        return self.planning_window_days * DAY_MS


_DOUBLE: Final = Layout("<d")
_encoder = Encoder()
_decoder = Decoder(Prices)


class PriceBoard:
    """The price of one pool, at work."""

    def __init__(self, value: bytes | None, policy: PricePolicy) -> None:
        self._prices = Prices() if value is None else _decoder.decode(value)
        self._policy = policy
        self._recent = [score for (score,) in _DOUBLE.iter_unpack(self._prices.recent)]
        self._ranked = sorted(self._recent)

    def plan_until(self, now_ms: int) -> int:
        """The end of the plan that holds now; half way through a new one is made, by a young pool every day."""
        prices, window_ms = self._prices, self._policy.window_ms
        is_young = now_ms - prices.first_ms < window_ms
        if now_ms >= prices.plan_from_ms + (DAY_MS if is_young else window_ms // 2):
            prices.plan_from_ms, prices.plan_until_ms = now_ms, now_ms + window_ms
            prices.plan_looks = self._expected(now_ms)
        return prices.plan_until_ms

    def threshold(self, places: int, now_ms: int) -> float:
        """The score to beat when so many places are left until the plan ends."""
        left_ms = self.plan_until(now_ms) - now_ms
        looks_left = max(1.0, self._prices.plan_looks * left_ms / self._policy.window_ms)
        return self._worth(share_for_sale(places, looks_left), places)

    def _worth(self, share: float, places: int) -> float:
        seen = len(self._ranked)
        for_sale = int(share * (seen + 1))
        if for_sale == 0 and places > 0 and seen == self._policy.recent_looks:
            for_sale = 1  # a full memory can't rank finer: who beats all of it
        if for_sale == 0:
            return CLOSED
        return FREE if for_sale > seen else self._ranked[-for_sale]

    def remember(self, score: float, now_ms: int) -> None:
        """An eligible look, whether it passed or not."""
        prices, day = self._prices, now_ms // DAY_MS
        prices.first_ms = prices.first_ms or now_ms
        prices.flow[day] = prices.flow.get(day, 0) + 1
        for past in [d for d in prices.flow if d < day - self._policy.planning_window_days]:
            del prices.flow[past]
        self._recent.append(score)
        insort(self._ranked, score)
        if len(self._recent) > self._policy.recent_looks:
            oldest = self._recent.pop(0)
            del self._ranked[bisect_left(self._ranked, oldest)]

    def _expected(self, now_ms: int) -> float:
        """Eligible looks to come within a planning window."""
        window_ms, policy = self._policy.window_ms, self._policy
        if not self._prices.first_ms:
            return float(policy.expected_looks)
        oldest_ms = (now_ms // DAY_MS - policy.planning_window_days) * DAY_MS
        watched_ms = max(1, now_ms - max(oldest_ms, self._prices.first_ms))
        seen = sum(n for day, n in self._prices.flow.items() if day * DAY_MS >= oldest_ms)
        if watched_ms >= window_ms:
            return seen * window_ms / watched_ms
        return seen + policy.expected_looks * (window_ms - watched_ms) / window_ms

    def encode(self) -> bytes:
        self._prices.recent = b"".join(map(_DOUBLE.pack, self._recent))
        return _encoder.encode(self._prices)


def share_for_sale(places: int, looks: float) -> float:
    """f, the share of looks that may pass.

    >>> share_for_sale(12, 400), round(share_for_sale(6, 400 * 11 / 14), 3)
    (0.03, 0.019)
    """
    return max(0, places) / looks
