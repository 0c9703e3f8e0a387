"""What a subscriber knows of the programme, from the topics alone: counts, the latest of everything, how full the pools are.

It is told what was read and when, and opens nothing. `glance` gives all that a view shows, as values.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import Any, Generic, NamedTuple, TypeVar

from msgspec import Struct

from online_models.snapshots import unpack
from online_models.validation import Comparison
from schemas.events import (
    AdvisorAssigned,
    AdvisorChanged,
    AssignmentEnded,
    AssignmentWithheld,
    BatchCommitted,
    CustomerScored,
    ExampleReady,
    SnapshotPublished,
    TierChanged,
)

SHOP_TOPICS = frozenset({"orders", "returns", "browse", "privacy"})  # what the scorer reads of a shop's
CHANGED_MIND = 0.10  # a second look that moved the score by this much
CONTROL = "control"
MOMENT_S = 0.5  # more than two new lines a second nobody reads
KEPT = 60  # of the latest of everything
Item = TypeVar("Item")


class Mind(NamedTuple):
    """A second look, and what was thought before it."""

    before: float
    look: CustomerScored


class Reject(NamedTuple):
    """A record that could not be used: where it was meant to go, the class of its error, and what is wrong."""

    topic: str
    error: str
    field: str
    expected: str
    got: str


class Advisor(NamedTuple):
    advisor_id: str
    serving: int
    capacity: int


class Pool(NamedTuple):
    name: str
    advisors: tuple[Advisor, ...]
    control: int  # customers who were withheld

    @property
    def serving(self) -> int:
        return sum(advisor.serving for advisor in self.advisors)

    @property
    def capacity(self) -> int:
        return sum(advisor.capacity for advisor in self.advisors)


class Share(NamedTuple):
    """How many became VIP, of those whose outcome is known."""

    vips: int
    known: int


class Moments(Generic[Item]):
    """Of each moment the item that tells most, so that a person can follow: the latest moment first."""

    def __init__(self, weight: Callable[[Item], float], span_s: float = MOMENT_S) -> None:
        self._weight, self._span_s = weight, span_s
        self._kept = deque[Item](maxlen=KEPT)
        self._began_s = -span_s

    def take(self, item: Item, at_s: float) -> None:
        if at_s - self._began_s >= self._span_s:
            self._kept.appendleft(item)
            self._began_s = at_s
        elif self._weight(item) > self._weight(self._kept[0]):
            self._kept[0] = item

    def seen(self, at_s: float) -> tuple[Item, ...]:
        """Of the moments that are over."""
        is_over = at_s - self._began_s >= self._span_s
        return tuple(self._kept)[0 if is_over else 1 :]


class Glance(Struct, frozen=True, kw_only=True):
    """All there is to see at a moment; the latest comes first, and of each moment what tells most."""

    counts: Mapping[str, int]
    firsts: tuple[CustomerScored, ...]
    minds: tuple[Mind, ...]
    fates: Mapping[str, str]  # customer -> the advisor, or CONTROL, of those above
    pools: tuple[Pool, ...]
    tiers: tuple[TierChanged, ...]
    rejects: tuple[Reject, ...]
    outcomes: Mapping[str, Share]  # by arm, of first purchases
    verdicts: Mapping[str, Comparison]  # River against the rule, by kind of look
    model_version: str
    p50_ms: float | None
    p99_ms: float | None


class Observer:
    """`take` may be called on one thread, `ordered` and `glance` on others."""

    def __init__(self, horizon_days: int) -> None:
        self.applied = 0  # records of the shop that the scorer has committed
        self._committed: set[str] = set()  # processors that have committed something
        self._horizon_days = horizon_days
        self._lock = Lock()
        self._counts: Counter[str] = Counter()
        self._firsts = Moments[CustomerScored](lambda look: look.score)
        self._minds = Moments[Mind](lambda mind: abs(mind.look.score - mind.before))
        self._tiers = Moments[TierChanged](lambda change: change.qualifying_minor)
        self._rejects = Moments[Reject](lambda _: 0.0)
        self._looks: dict[str, CustomerScored] = {}  # customer -> the last look
        self._roster: dict[str, AdvisorChanged] = {}
        self._served: dict[str, str] = {}  # customer -> advisor
        self._withheld: dict[str, str] = {}  # customer -> pool
        self._outcomes: dict[str, Share] = {}
        self._verdicts: Mapping[str, Comparison] = {}
        self._model_version = ""
        self._ordered_s: dict[str, float] = {}  # customer -> when the first order was handed over
        self._waited_ms: list[float] = []

    # ---- what happens ----------------------------------------------------------------------------------------------

    def ordered(self, customer_id: str, at_s: float) -> None:
        """A customer's first order was handed to the producer."""
        self._ordered_s[customer_id] = at_s

    def take(self, event: Any, at_s: float) -> None:  # Any: an event of any topic, or a `Reject`
        """Something was read from a topic."""
        with self._lock:
            match event:
                case BatchCommitted():
                    self._apply(event)
                case CustomerScored():
                    self._score(event, at_s)
                case AdvisorChanged():
                    self._roster[event.advisor_id] = event
                case AdvisorAssigned() | AssignmentEnded() | AssignmentWithheld():
                    self._assign(event)
                case TierChanged():
                    self._counts["tier_changes"] += 1
                    self._counts[f"tier_{event.change}"] += 1
                    self._tiers.take(event, at_s)
                case ExampleReady():
                    self._learn(event)
                case SnapshotPublished():
                    self._counts["snapshots"] += 1
                    self._verdicts = unpack(event.payload).verdicts
                case Reject():
                    self._counts["rejected"] += 1
                    self._counts[f"rejected_{event.error}"] += 1
                    self._rejects.take(event, at_s)

    def _apply(self, entry: BatchCommitted) -> None:
        self._committed.add(entry.processor)
        if entry.processor == "scorer":
            runs = (run for run in entry.sequence if run.topic in SHOP_TOPICS)
            self.applied += sum(run.to_offset - run.from_offset + 1 for run in runs)

    def _score(self, look: CustomerScored, at_s: float) -> None:
        self._model_version = look.model_version
        before = self._looks.get(look.customer_id)
        self._looks[look.customer_id] = look
        if before is not None and (before.look, before.look_number) == (look.look, look.look_number):
            return  # told again, now that there is consent
        self._counts["scores"] += 1
        if look.look == "first":
            self._first(look, at_s)
            return
        self._counts["second_looks"] += 1
        if before is not None and abs(look.score - before.score) >= CHANGED_MIND:
            self._counts["minds_changed"] += 1
            self._minds.take(Mind(before.score, look), at_s)

    def _first(self, look: CustomerScored, at_s: float) -> None:
        self._counts["first_purchases"] += 1
        self._firsts.take(look, at_s)
        if (ordered_s := self._ordered_s.pop(look.customer_id, None)) is not None:
            self._waited_ms.append((at_s - ordered_s) * 1000)

    def _assign(self, event: AdvisorAssigned | AssignmentEnded | AssignmentWithheld) -> None:
        match event:
            case AdvisorAssigned():
                self._counts["assignments"] += 1
                self._served[event.customer_id] = event.advisor_id
            case AssignmentEnded():
                self._counts["assignments_ended"] += 1
                self._counts[f"ended_{event.reason}"] += 1
                self._served.pop(event.customer_id, None)
            case AssignmentWithheld():
                self._counts["control"] += 1
                self._withheld[event.customer_id] = event.pool

    def _learn(self, example: ExampleReady) -> None:
        self._counts["examples"] += 1
        if example.horizon_days == self._horizon_days:
            self._counts["examples_learnt"] += example.arm != "treatment"  # a customer whom we changed teaches nothing
            if example.look == "first":
                so_far = self._outcomes.get(example.arm, Share(0, 0))
                self._outcomes[example.arm] = Share(so_far.vips + example.is_vip, so_far.known + 1)

    @property
    def is_attended(self) -> bool:
        """Whether scorer and assigner are at work."""
        return {"scorer", "assigner"} <= self._committed

    # ---- what there is to see --------------------------------------------------------------------------------------

    def glance(self, at_s: float) -> Glance:
        with self._lock:
            firsts, minds = self._firsts.seen(at_s), self._minds.seen(at_s)
            shown = {look.customer_id for look in (*firsts, *(mind.look for mind in minds))}
            return Glance(
                counts=dict(self._counts),
                firsts=firsts,
                minds=minds,
                fates={customer: fate for customer in shown if (fate := self._fate(customer))},
                pools=tuple(self._pools()),
                tiers=self._tiers.seen(at_s),
                rejects=self._rejects.seen(at_s),
                outcomes=dict(self._outcomes),
                verdicts=self._verdicts,
                model_version=self._model_version,
                p50_ms=percentile(self._waited_ms, 0.50),
                p99_ms=percentile(self._waited_ms, 0.99),
            )

    def _fate(self, customer_id: str) -> str:
        return self._served.get(customer_id) or (CONTROL if customer_id in self._withheld else "")

    def _pools(self) -> Iterable[Pool]:
        serving, control = Counter(self._served.values()), Counter(self._withheld.values())
        pools: dict[str, list[Advisor]] = {pool: [] for pool in control}
        for advisor in self._roster.values():
            if advisor.status != "left":
                entry = Advisor(advisor.advisor_id, serving[advisor.advisor_id], advisor.capacity)
                pools.setdefault(advisor.pool, []).append(entry)
        return (Pool(name, tuple(sorted(advisors)), control[name]) for name, advisors in sorted(pools.items()))


def percentile(values: list[float], share: float) -> float | None:
    """The smallest value that so large a share does not exceed (nearest rank).

    >>> percentile([30.0, 10.0, 20.0], 0.5), percentile([], 0.5)
    (20.0, None)
    """
    if not values:
        return None
    ranked = sorted(values)
    return ranked[max(0, -int(-share * len(ranked) // 1) - 1)]
