"""What is announced of assignments, and how each announcement is named after what caused it."""

from collections import Counter
from collections.abc import Callable
from typing import Literal, TypedDict

from schemas.events import AdvisorAssigned, AssignmentEnded, AssignmentWithheld, Reason
from streams.assignment.policy import AssignmentPolicy
from streams.assignment.pools import DAY_MS, Offer, decode_offer
from streams.assignment.services import Service

Why = Literal["look", "waiting", "manual", "reoffer", "reassigned", "imported", "merged"]
Ending = Literal[
    "service_ended", "declined", "not_contacted", "ended_by_advisor", "consent_withdrawn", "erased",
    "advisor_left", "never_wished", "moved_by_wish", "merged",
]  # fmt: skip


class Cause:
    """What leads to outputs: a record or a moment. It says what time it is, and names what follows from it."""

    def __init__(self, now_ms: int, name: Callable[[str, int], str]) -> None:
        self.now_ms = now_ms
        self._name = name
        self._named: Counter[str] = Counter()

    @property
    def day(self) -> int:
        return self.now_ms // DAY_MS

    def id(self, kind: str) -> str:
        ordinal = self._named[kind]
        self._named[kind] += 1
        return self._name(kind, ordinal)


class _Drawn(TypedDict):
    """What both arms of the experiment are told alike."""

    propensity: float
    experiment: str
    score: float
    threshold: float
    look: str
    look_id: str
    reasons: tuple[Reason, ...]
    model_version: str
    policy_version: str


def _drawn(offer: Offer, policy: AssignmentPolicy) -> _Drawn:
    return {
        "propensity": offer.propensity,
        "experiment": offer.experiment,
        "score": offer.score,
        "threshold": offer.threshold,
        "look": offer.look,
        "look_id": offer.look_id,
        "reasons": offer.told_reasons(),
        "model_version": offer.model_version,
        "policy_version": policy.version,
    }


def assigned(
    pool: str, customer_id: str, service: Service, why: Why, cause: Cause, policy: AssignmentPolicy
) -> AdvisorAssigned:
    offer = decode_offer(service.offer)
    brief = offer.told_brief()
    return AdvisorAssigned(
        id=cause.id("AdvisorAssigned"),
        assignment_id=service.assignment_id,
        customer_id=customer_id,
        advisor_id=service.advisor_id,
        pool=pool,
        occurred_at_ms=cause.now_ms,
        cause=why,
        arm=offer.arm,
        brief=brief,
        recommended_channel=policy.channel(brief.last_seen_at_ms, cause.now_ms),
        contact_by_ms=service.contact_by_ms,
        service_until_ms=service.service_until_ms,
        **_drawn(offer, policy),
    )


def withheld(
    pool: str,
    customer_id: str,
    offer: Offer,
    would_be: str | None,
    free: str | None,
    cause: Cause,
    policy: AssignmentPolicy,
) -> AssignmentWithheld:
    """The control arm, with the advisor it would have been and whether one was free."""
    return AssignmentWithheld(
        id=cause.id("AssignmentWithheld"),
        assignment_id=cause.id("assignment"),
        customer_id=customer_id,
        pool=pool,
        occurred_at_ms=cause.now_ms,
        would_be_advisor_id=would_be,
        was_free=free is not None,
        **_drawn(offer, policy),
    )


def ended(pool: str, customer_id: str, service: Service, reason: Ending, cause: Cause) -> AssignmentEnded:
    return AssignmentEnded(
        id=cause.id("AssignmentEnded"),
        assignment_id=service.assignment_id,
        customer_id=customer_id,
        advisor_id=service.advisor_id,
        pool=pool,
        occurred_at_ms=cause.now_ms,
        reason=reason,
    )
