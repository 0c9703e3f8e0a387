"""What a sequel decides, written down: the tables of a `Run`, and the name of it all, `outputs_sha256`."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from struct import Struct as Layout
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.msgpack import Encoder

from schemas.events import (
    AdvisorAssigned,
    AdvisorChanged,
    AssignmentEnded,
    AssignmentWithheld,
    CustomerScored,
    Event,
    SnapshotPublished,
)
from streams.assignment.pools import Pool
from streams.replay.moments import OutcomeMoment, StandingMoment, TierMoment
from streams.replay.parts import quarter
from streams.replay.run import TABLES, Rows, Run
from streams.replay.spending import Spending
from streams.scoring.policy import DAY_MS, Policy


class Taken(NamedTuple):
    """A look as it was scored: what its example tells of it."""

    look_id: str
    look: str
    number: int
    at_ms: int
    market: str
    pool: str
    score: float
    rank: float
    expected_value_minor: int
    rule_score: float
    model_version: str
    is_vip_already: bool


class Digest:
    """A checksum of every decision in its order, topic by topic: which of two topics came first says nothing."""

    def __init__(self) -> None:
        self._encode = Encoder().encode
        self._topics: dict[str, Any] = {}  # Any: hashlib's objects

    def note(self, topic: str, event: Event) -> None:
        said = self._encode(event)
        digest = self._topics.get(topic)
        if digest is None:
            digest = self._topics[topic] = sha256()
        digest.update(len(said).to_bytes(4, "big") + said)

    def hexdigest(self) -> str:
        named = "\n".join(f"{topic} {self._topics[topic].hexdigest()}" for topic in sorted(self._topics))
        return sha256(named.encode()).hexdigest()


class _Week(Struct):
    """What happened in the week under way, in one pool."""

    assigned: int = 0
    withheld: int = 0
    ended: int = 0
    first_purchases: int = 0
    looks: int = 0


class _Reason(Struct):
    looks: int = 0
    contribution: float = 0.0
    size: float = 0.0


class Recording:
    def __init__(self, variant: str, policy: Policy) -> None:
        self.digest = Digest()
        self._variant, self._policy = variant, policy
        self._rows = {name: Rows(schema) for name, schema in TABLES.items()}
        self._assignments: dict[str, list[Any]] = {}  # by id: cells, of which the last two may come later
        self._reasons: dict[tuple[str, str, str], _Reason] = {}  # by look, feature, quarter
        self._weeks: dict[str, _Week] = {}
        self._firsts: dict[str, tuple[int, str]] = {}  # of every customer scored: the first purchase and the market
        self._from_ms: int | None = None

    # ---- looks and what came of them -------------------------------------------------------------------------------------

    def look(self, at_ms: int, event: CustomerScored) -> Taken:
        self.digest.note("scores", event)
        self._from_ms = at_ms if self._from_ms is None else self._from_ms
        taken = Taken(
            event.id,
            event.look,
            event.look_number,
            at_ms,
            event.market,
            event.pool,
            event.score,
            event.rank,
            event.expected_value_minor,
            event.rule_score,
            event.model_version,
            event.is_vip,
        )
        self._rows["looks"].add(
            event.id, at_ms, event.customer_id, event.market, event.pool, event.look, event.look_number, event.score,
            event.expected_value_minor, event.rule_score, event.first_order_minor, event.model_version, event.is_vip,
            event.consent,
        )  # fmt: skip
        period = quarter(at_ms)
        for reason in event.reasons:
            known = self._reasons.setdefault((event.look, reason.feature, period), _Reason())
            known.looks += 1
            known.contribution += reason.contribution
            known.size += abs(reason.contribution)
        week = self._week(event.pool)
        week.looks += 1
        if event.look == "first":
            week.first_purchases += 1
            self._firsts.setdefault(event.customer_id, (at_ms, event.market))
        return taken

    def example(self, moment: OutcomeMoment, taken: Taken, arm: str, spent: Spending | None) -> None:
        until_ms = moment.first_purchase_at_ms + moment.horizon_days * DAY_MS
        if spent is not None:
            after_look = spent.between(taken.at_ms, until_ms)
        else:  # erased meanwhile: what they bought is forgotten, only the outcome is known
            after_look = moment.outcome_minor if taken.look == "first" else 0
        self._rows["examples"].add(
            taken.look_id, moment.customer_id, taken.market, taken.pool, taken.look, taken.number, taken.at_ms,
            moment.first_purchase_at_ms, moment.first_order_minor, moment.horizon_days, moment.at_ms,
            moment.outcome_minor, after_look, moment.is_vip, arm, taken.score, taken.rank, taken.expected_value_minor,
            taken.rule_score, taken.model_version, taken.is_vip_already,
            float(moment.first_order_minor), None, None, None,
        )  # fmt: skip

    def vip(self, moment: StandingMoment, arm: str) -> None:
        if (first := self._firsts.get(moment.customer_id)) is not None:
            days = (moment.at_ms - first[0]) / DAY_MS
            self._rows["vips"].add(moment.customer_id, first[1], first[0], moment.at_ms, days, arm)

    def tier(self, moment: TierMoment) -> None:
        event = moment.change
        self.digest.note("tier-changes", event)
        self._rows["tier_changes"].add(
            moment.at_ms, event.customer_id, event.market, event.change, event.tier, event.qualifying_minor,
            event.missing_minor,
        )  # fmt: skip

    # ---- the model -------------------------------------------------------------------------------------------------------

    def snapshot(self, event: SnapshotPublished) -> None:
        self.digest.note("snapshots", event)
        self._rows["snapshots"].add(
            event.occurred_at_ms, event.version, event.examples_seen, len(event.payload), event.checksum
        )

    # ---- advisors --------------------------------------------------------------------------------------------------------

    def advisor(self, event: AdvisorChanged) -> None:
        self._rows["roster"].add(
            event.occurred_at_ms, event.advisor_id, event.pool, event.status, event.capacity, event.daily_intake
        )

    def decided(self, partition: int, event: AdvisorAssigned | AssignmentWithheld | AssignmentEnded) -> None:
        self.digest.note(f"assignments/{partition}", event)
        week = self._week(event.pool)
        match event:
            case AdvisorAssigned():
                week.assigned += 1
                self._begin(event, event.advisor_id, event.arm, event.cause, is_withheld=False)
            case AssignmentWithheld():
                week.withheld += 1
                self._begin(event, event.would_be_advisor_id, "control", "look", is_withheld=True)
            case AssignmentEnded():
                week.ended += 1
                cells = self._assignments.get(event.assignment_id)
                if cells is not None:
                    cells[-2:] = event.occurred_at_ms, event.reason

    def _begin(
        self,
        event: AdvisorAssigned | AssignmentWithheld,
        advisor: str | None,
        arm: str,
        cause: str,
        *,
        is_withheld: bool,
    ) -> None:
        self._assignments[event.assignment_id] = [
            event.occurred_at_ms, event.customer_id, advisor, event.pool, arm, cause, event.look, event.look_id,
            event.score, event.threshold, is_withheld, event.assignment_id, None, None,
        ]  # fmt: skip

    def week(self, from_ms: int, pools: Iterable[tuple[str, Pool]]) -> None:
        """A week has passed: how full the pools are at its end."""
        for name, pool in pools:
            happened = self._weeks.pop(name, _Week())
            capacity = sum(a.capacity for a in pool.advisors.values() if a.status != "left")
            served = sum(pool.load(advisor) for advisor in pool.ends)
            self._rows["weeks"].add(
                from_ms, name, capacity, served, len(pool.waiting), happened.assigned, happened.withheld, happened.ended,
                happened.first_purchases, happened.looks,
            )  # fmt: skip

    def _week(self, pool: str) -> _Week:
        return self._weeks.setdefault(pool, _Week())

    # ---- the end -----------------------------------------------------------------------------------------------------------

    def run(self, end_ms: int, counts: Mapping[str, int], notes: tuple[str, ...]) -> Run:
        for cells in sorted(self._assignments.values(), key=lambda cells: (cells[0], cells[11])):
            self._rows["assignments"].add(*cells)
        for named, reason in sorted(self._reasons.items()):
            means = reason.contribution / reason.looks, reason.size / reason.looks
            self._rows["reasons"].add(*named, reason.looks, *means)
        return Run(
            variant=self._variant,
            **{name: rows.table() for name, rows in self._rows.items()},
            horizon_days=self._policy.horizon_days,
            from_ms=end_ms if self._from_ms is None else self._from_ms,
            end_ms=end_ms,
            counts=dict(sorted(Counter(counts).items())),
            notes=notes,
            outputs_sha256=self.digest.hexdigest(),
        )


# ---- vectors, as the 32-bit floats that they consist of ------------------------------------------------------------------


def packed(vector: tuple[float, ...]) -> bytes:
    return _layout(len(vector)).pack(*vector)


def unpacked(vector: bytes) -> tuple[float, ...]:
    return _layout(len(vector) // 4).unpack(vector)


@cache
def _layout(count: int) -> Layout:
    return Layout(f"<{count}f")
