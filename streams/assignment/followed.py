"""A sample of a pool's recent customers, followed through their looks: what a place must be worth is read off them.

For each followed customer it is known what each look said and what the best of their looks was worth. Two questions are asked
of it. *What is it worth to take this customer now, instead of at a later look?* That is the price at which both are worth the
same (Whittle 1988: the index of a restless arm; here of one that is looked at a few more times, then gone), with later looks
as they were for the followed customers whose look of the same kind said about the same. And: *at this price, what share of
customers would pass at some look?* Counting customers, not looks, so that who is looked at five times counts once.

Everybody is followed until `recent` are. Then whoever came first goes, once they are old enough to have had all their looks;
while nobody is, those are let go whose id hashes to an odd place at the next level, and only the others' likes are followed
from then on: so the sample spans a month at least, in a pool of any size, and is the same on every run.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from operator import attrgetter
from struct import Struct as Layout
from typing import Final

from msgspec import Struct

from schemas.ids import hash64

DAY_MS: Final = 86_400_000
LOOKED_AT_MS: Final = 31 * DAY_MS  # customers are looked at for 30 days (DESIGN 6)
SPARSE_MS: Final = 4 * LOOKED_AT_MS  # a sample that reaches back so far may be taken from more customers
NEIGHBOURS: Final = 30  # followed looks that a look is compared with
KINDS: Final = {"first": 0, "order": 1, "return": 1, "day_7": 2, "day_14": 3, "day_30": 4}
LAST: Final = 4  # no look follows on day 30
MOST_LOOKS: Final = 16  # of a customer
MOST_LEVEL: Final = 40
WHOLE: Final = 1 << 64  # above all hashes

_LOOK: Final = Layout("<Bf")  # kind, value


class Followed(Struct, array_like=True):
    """A customer of the sample."""

    who: int  # hash of the id
    first_ms: int
    worth: float = 0.0  # of their best look
    looks: bytes = b""  # in order


# What a look said, the customer's hash (so that equals stand in no order that matters), the best that any later look said.
Later = tuple[float, int, float]


class Sample:
    """The followed customers of a pool, at work: in the order in which they came, of every 2^level-th customer."""

    def __init__(self, customers: list[Followed], level: int, recent: int) -> None:
        self.customers, self.level, self._recent = customers, level, recent
        self._by_hash = {customer.who: customer for customer in customers}
        self._ranked = sorted(customer.worth for customer in customers)
        self._later: dict[int, list[Later]] | None = (
            None  # by kind; of the first `_grown` customers: they had all their looks
        )
        self._grown = 0

    def __len__(self) -> int:
        return len(self._ranked)

    @property
    def is_full(self) -> bool:
        return len(self._ranked) >= (self._recent // 2 if self.level else self._recent)

    def best(self, rank: int) -> float:
        """What the customer of this rank was worth; 1 is the best."""
        return self._ranked[-rank]

    def worth(self, kind: int, value: float, patience: float) -> float:
        """The price at which it is as good to take a customer at this look as to wait for a later one; never above `value`."""
        if kind == LAST or not patience or len(later := self._later_looks()[kind]) < NEIGHBOURS:
            return value
        alike = _single(value)
        at = (bisect_left(later, (alike, 0, 0.0)) + bisect_left(later, (alike, WHOLE, 0.0))) // 2
        low = max(0, min(at - NEIGHBOURS // 2, len(later) - NEIGHBOURS))
        best = sorted((best for _, _, best in later[low : low + NEIGHBOURS]), reverse=True)
        return _indifferent(value, best, patience)

    # ---- following -------------------------------------------------------------------------------------------------

    def follow(self, customer_id: str, kind: int, value: float, worth: float, now_ms: int) -> int:
        """A look. How many customers it stands for, if it is the first of a followed one; else 0."""
        who = hash64(customer_id)
        customer = self._by_hash.get(who)
        stands_for = 0
        if customer is None:
            if who % (1 << self.level):
                return 0
            stands_for = 1 << self.level
            customer = self._add(who, now_ms)
        if worth > customer.worth:
            del self._ranked[bisect_left(self._ranked, customer.worth)]
            insort(self._ranked, worth)
            customer.worth = worth
        if len(customer.looks) < MOST_LOOKS * _LOOK.size:
            customer.looks += _LOOK.pack(kind, value)
            if self._has_grown(customer):
                self._later = None
        return stands_for

    def forget(self, customer_id: str) -> None:
        if (customer := self._by_hash.get(hash64(customer_id))) is not None:
            self._drop(customer)

    def _add(self, who: int, now_ms: int) -> Followed:
        now_ms = max(now_ms, self.customers[-1].first_ms) if self.customers else now_ms
        self._make_room(now_ms)
        customer = Followed(who, now_ms)
        self.customers.append(customer)
        self._by_hash[who] = customer
        insort(self._ranked, customer.worth)
        return customer

    def _make_room(self, now_ms: int) -> None:
        while len(self.customers) >= self._recent:
            age_ms = now_ms - self.customers[0].first_ms
            if age_ms < LOOKED_AT_MS and self.level < MOST_LEVEL:
                self.level += 1
                for customer in [each for each in self.customers if each.who % (1 << self.level)]:
                    self._drop(customer)
            else:
                self.level -= age_ms > SPARSE_MS and self.level > 0
                self._drop(self.customers[0])

    def _drop(self, customer: Followed) -> None:
        if self._later is not None and self._has_grown(customer):
            for kind, later in _later_looks(customer):
                looks = self._later[kind]
                del looks[bisect_left(looks, later)]
            self._grown -= 1
        self.customers.remove(customer)
        del self._by_hash[customer.who]
        del self._ranked[bisect_left(self._ranked, customer.worth)]

    # ---- later looks -----------------------------------------------------------------------------------------------

    def _has_grown(self, customer: Followed) -> bool:
        """Whether the looks of a customer are counted among those that all later ones are known of."""
        return self._grown > 0 and customer.first_ms <= self.customers[self._grown - 1].first_ms

    def _later_looks(self) -> dict[int, list[Later]]:
        """In order of what they said, by kind: looks of all customers who have had theirs by the time of the newest."""
        grown_ms = self.customers[-1].first_ms - LOOKED_AT_MS if self.customers else 0
        if self._later is None:
            self._later = {kind: [] for kind in KINDS.values()}
            self._grown = bisect_right(self.customers, grown_ms, key=attrgetter("first_ms"))
            for customer in self.customers[: self._grown]:
                for kind, later in _later_looks(customer):
                    self._later[kind].append(later)
            for looks in self._later.values():
                looks.sort()
        while self._grown < len(self.customers) and self.customers[self._grown].first_ms <= grown_ms:
            for kind, later in _later_looks(self.customers[self._grown]):
                insort(self._later[kind], later)
            self._grown += 1
        return self._later


def _later_looks(customer: Followed) -> list[tuple[int, Later]]:
    best, who, found = 0.0, customer.who, []
    for kind, value in reversed(list(_LOOK.iter_unpack(customer.looks))):
        found.append((kind, (value, who, best)))
        best = max(best, value)
    return found


def _single(value: float) -> float:
    """A value as it is kept of a look."""
    single: float = _LOOK.unpack(_LOOK.pack(0, value))[1]
    return single


def _indifferent(value: float, later: Sequence[float], patience: float) -> float:
    """The price p that solves  value - p = patience * mean(max(0, later - p));  `later` from the best down.

    >>> _indifferent(0.5, [0.4, 0.3], 1.0), round(_indifferent(0.5, [0.8, 0.1], 1.0), 3), round(_indifferent(0.5, [0.8, 0.1], 0.5), 3)
    (0.5, 0.2, 0.4)
    """
    price, gained = value, 0.0
    for count, best in enumerate(later, start=1):
        if best <= price:
            break
        gained += best
        share = patience * count / len(later)
        if share >= 1 or (price := (value - patience * gained / len(later)) / (1 - share)) <= 0:
            return value * 1e-6  # it is better to wait, whatever a place costs; a free place is taken nevertheless
    return price
