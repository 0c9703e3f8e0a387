"""The assigner over looks that were scored already, with as many places as one likes: its own core, a roster of one, and all
contacts made in time.

Only what a price needs is told of a look: no reasons, no brief. Nobody is drawn into a control arm, and no place comes back
before the service period is over: so places are the only thing that policies differ in.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from schemas.events import AdvisorAssigned, AdvisorChanged, Brief, CustomerScored
from streams.assignment import AssignmentPolicy
from streams.processors import Assigner
from streams.replay.cores import Assigning, Decided

HOURS_OF_A_DAY: Final = 24
DAY_MS: Final = 86_400_000
NEVER: Final = 0  # contacts are reported


class Look(NamedTuple):
    """A look as it was scored."""

    look_id: str
    at_ms: int
    customer_id: str
    market: str
    pool: str
    look: str
    number: int
    score: float
    expected_value_minor: int
    first_spend_minor: int
    consent: str = "granted"  # as the shop had it; in the sweep everybody's is


class Pick(NamedTuple):
    """Who was taken, at which look: the last one before the place was given, where she waited."""

    at_ms: int
    customer_id: str
    look_id: str


def assigned_by_maitred(looks: Sequence[Look], pool: str, places: int, policy: AssignmentPolicy) -> list[Pick]:
    """Whom the assigner takes from the looks of one pool, in order of time."""
    picks: list[Pick] = []

    def hear(_partition: int, decided: Decided) -> None:
        if isinstance(decided, AdvisorAssigned):
            picks.append(Pick(decided.occurred_at_ms, decided.customer_id, decided.look_id))

    if not looks:
        return picks
    terms = replace(
        policy, control_share=0, consent="opt_out", contact_within_hours=(policy.service_days + 1) * HOURS_OF_A_DAY
    )
    assigning = Assigning(Assigner(terms, 1), NEVER, hear)
    assigning.add("roster", looks[0].at_ms, pool, _everybody(pool, places, looks[0].at_ms))
    for look in looks:
        assigning.add("scores", look.at_ms, pool, _scored(look))
    assigning.decide_before(looks[-1].at_ms + 1)
    return picks


def _everybody(pool: str, places: int, at_ms: int) -> AdvisorChanged:
    return AdvisorChanged(advisor_id="all", pool=pool, occurred_at_ms=at_ms, capacity=places, daily_intake=places)


def _scored(look: Look) -> CustomerScored:
    return CustomerScored(
        id=look.look_id,
        customer_id=look.customer_id,
        pool=look.pool,
        market=look.market,
        occurred_at_ms=look.at_ms,
        look=look.look,  # type: ignore[arg-type]  # as the core named it
        look_number=look.number,
        score=look.score,
        base=0.0,
        reasons=(),
        first_order_minor=look.first_spend_minor,
        is_vip=False,
        consent="granted",
        brief=Brief(),
        model_version="",
        features_version="",
        policy_version="",
        expected_value_minor=look.expected_value_minor,
    )
