"""A pool's state: its roster, how full it is, and who waits. What is done with it: `desk.py`.

All of a pool that time or a leaving advisor may concern lies in the pool's keys, because a batch must name what it loads before it
is decided: a place that comes free at midnight goes to somebody whom no record of the batch names
(`docs/decisions/0004-assigner-state.md`). A customer's own key, `customer/<customer_id>`, holds what outlasts all that, `Memory`;
while somebody waits or is served, the pool keeps it for them.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

from msgspec import Struct, field
from msgspec.msgpack import Decoder, Encoder
from msgspec.structs import asdict, replace

from schemas.events import AdvisorChanged, Brief, CustomerScored, Reason
from streams.assignment.services import NOTHING, SHARDS

DAY_MS: Final = 86_400_000
MILLION: Final = 1_000_000

BY_WISH, MOVED, BY_LOOK = 0, 1, 2  # the order of waiting: a person's decision, a customer whose advisor left, the model


class Memory(Struct, array_like=True):
    """What is remembered of a customer. Of one who is served or waits that alone: the pool knows the rest."""

    served_by: str = ""  # the pool
    withheld_in: str = ""  # the experiment whose control arm they are in
    rest_until_ms: int = 0  # no look assigns them before
    never: bool = False  # a person's decision
    withdrawn: bool = False  # consent
    waits_in: str = ""  # the pool

    @property
    def held_by(self) -> str:
        """The pool that serves them, or in which they wait."""
        return self.served_by or self.waits_in

    def is_blank(self) -> bool:
        return self == Memory()


class Advisor(Struct, array_like=True):
    status: Literal["active", "paused", "left"]
    capacity: int
    daily_intake: int
    languages: tuple[str, ...] = ()  # none: any
    day: int = 0  # UTC day that `taken` belongs to
    taken: int = 0  # new customers on that day
    absences: tuple[tuple[int, int], ...] = ()  # from, until before; in order, apart from each other

    def speaks(self, language: str | None) -> bool:
        """By the primary subtag: who speaks de serves de-CH."""
        return not self.languages or not language or _primary(language) in map(_primary, self.languages)

    def intake_left(self, day: int) -> int:
        return self.daily_intake - (self.taken if self.day >= day else 0)

    def is_away(self, at_ms: int) -> bool:
        return bool(self.absences) and any(from_ms <= at_ms < until_ms for from_ms, until_ms in self.absences)

    def days_at_work(self, first: int, last: int) -> Sequence[int]:
        """The UTC days, of these, on which somebody could be taken in: all but those of which nothing is left."""
        days = range(first, last + 1)
        return [day for day in days if not self._is_away_all(day)] if self.absences else days

    def _is_away_all(self, day: int) -> bool:
        return any(f <= day * DAY_MS and (day + 1) * DAY_MS <= u for f, u in self.absences)

    def openings(self, clock_ms: int) -> Iterator[int]:
        """When somebody could be taken in again, after this time: tomorrow, if today's intake is used up; back at work."""
        if 0 < self.daily_intake <= self.taken:
            yield (self.day + 1) * DAY_MS
        yield from (until_ms for _, until_ms in self.absences if until_ms > clock_ms)

    def roll(self, day: int) -> None:
        """A new day begins with nobody taken; days never run backwards."""
        if day > self.day:
            self.day, self.taken = day, 0


class KeptBrief(Brief, frozen=True, array_like=True):
    """A `Brief` without its field names."""


class Offer(Struct, frozen=True, array_like=True):
    """Why a customer is to be served and what their advisor is told. It stays with them, for the advisor after this one."""

    score: float
    threshold: float
    arm: Literal["treatment", "none"]
    propensity: float
    experiment: str
    look: str
    look_id: str
    model_version: str
    reasons: tuple[tuple[str, float, float], ...]
    brief: KeptBrief

    def told_reasons(self) -> tuple[Reason, ...]:
        return tuple(Reason(feature=f, value=v, contribution=c) for f, v, c in self.reasons)

    def told_brief(self) -> Brief:
        return Brief(**asdict(self.brief))


class Candidate(Struct, array_like=True):
    """Somebody who is to be served: at once, or when a place comes free."""

    rank: int
    score: float
    until_ms: int  # waits no longer
    language: str | None
    offer: bytes
    wanted: str | None = None  # the only advisor that will do
    service_until_ms: int = 0  # of a service that goes on with another advisor; 0: a new one
    withheld_in: str = ""
    rest_until_ms: int = 0  # should they wait in vain: a wish goes before rest, but does not end it

    def line(self) -> tuple[int, float]:
        """The smallest is the first in line."""
        return self.rank, -self.score


class Pool(Struct, array_like=True):
    """The value of key `pool/<pool>`: all but the services themselves, which lie beside it."""

    advisors: dict[str, Advisor] = {}
    ends: dict[str, list[int]] = {}  # when each advisor's services end, in order
    waiting: dict[str, Candidate] = {}  # by customer
    contacts: list[int] = []  # hashes of the last reports
    services_due: list[int] = field(default_factory=lambda: [NOTHING] * SHARDS)  # by shard
    clock_ms: int = 0  # when something last changed: a pool's time never runs backwards, whatever comes late
    status: Literal["assigning", "paused"] = "assigning"
    relations: list[int] = []  # hashes of the last imported relations

    def load(self, advisor_id: str) -> int:
        return len(self.ends.get(advisor_id, ()))

    def in_order(self) -> list[str]:
        """Who waits, the first in line first."""
        return sorted(self.waiting, key=lambda c: (self.waiting[c].line(), c))

    def speaks(self, language: str | None) -> bool:
        return any(a.speaks(language) for a in self.advisors.values() if a.status != "left")

    def due_ms(self) -> int | None:
        """When time will first change something: a service or a wait ends, contact is overdue, or somebody could take more."""
        times = [due_ms for due_ms in self.services_due if due_ms != NOTHING]
        times += [candidate.until_ms for candidate in self.waiting.values()]
        return min((*times, *self.openings()), default=None)

    def openings(self) -> list[int]:
        """When advisors can take in more, if anybody waits for it."""
        if not self.waiting:
            return []
        return [at_ms for advisor in self.advisors.values() for at_ms in advisor.openings(self.clock_ms)]


_encoder = Encoder()
_pools, _memories, _offers = Decoder(Pool), Decoder(Memory), Decoder(Offer)


def encode(value: Pool | Memory | Offer) -> bytes:
    return _encoder.encode(value)


def decode_pool(value: bytes | None) -> Pool:
    return Pool() if value is None else _pools.decode(value)


def decode_memory(value: bytes | None) -> Memory:
    return Memory() if value is None else _memories.decode(value)


def decode_offer(value: bytes) -> Offer:
    return _offers.decode(value)


def entry_of(event: AdvisorChanged, before: Advisor | None) -> Advisor:
    """A roster entry as the event has it; what was taken in today goes on counting, also for who left and came back."""
    day, taken = (before.day, before.taken) if before else (0, 0)
    absences = joined((absence.from_ms, absence.until_ms) for absence in event.absences)
    return Advisor(event.status, event.capacity, event.daily_intake, event.languages, day, taken, absences)


def joined(absences: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The same times in order, those that touch as one.

    >>> joined([(30, 40), (0, 10), (5, 20), (20, 25)])
    ((0, 25), (30, 40))
    """
    apart: list[tuple[int, int]] = []
    for from_ms, until_ms in sorted(absences):
        if apart and from_ms <= apart[-1][1]:
            from_ms, before_ms = apart.pop()  # noqa: PLW2901  # it goes on
            until_ms = max(until_ms, before_ms)  # noqa: PLW2901  # as above
        apart.append((from_ms, until_ms))
    return tuple(apart)


def offer_of(look: CustomerScored, threshold: float, propensity: float, experiment: str) -> Offer:
    return Offer(
        score=look.score,
        threshold=threshold,
        arm="treatment",
        propensity=propensity,
        experiment=experiment,
        look=look.look,
        look_id=look.id,
        model_version=look.model_version,
        reasons=tuple((r.feature, r.value, r.contribution) for r in look.reasons),
        brief=KeptBrief(**asdict(look.brief)),
    )


def offer_without_look(known: Offer | None, brief: Brief) -> Offer:
    """An offer that the model has no part in, outside the experiment, with what is known of the customer."""
    if known is not None:
        return replace(known, arm="none", propensity=1.0)
    return Offer(0.0, 0.0, "none", 1.0, "", "", "", "", (), KeptBrief(**asdict(brief)))


def renewed(offer: Offer, look: CustomerScored) -> Offer:
    """The offer as a later look tells it; what decided it stays."""
    now = offer_of(look, offer.threshold, offer.propensity, offer.experiment)
    return replace(now, arm=offer.arm)


def _primary(language: str) -> str:
    return language.split("-", maxsplit=1)[0].lower()
