"""What time alone leads to: second looks by the calendar, outcomes, tiers that expire, visitors who stay away.

Due items happen in the order (due time, key), each as of its due time, also where a late record makes one due in the past.
"""

from features.profile import Profile, take_pending
from streams.scoring.deciding import Deciding
from streams.scoring.labels import FORGET_LOOKS, OUTCOME, examples
from streams.scoring.looks import Look, wants_second_look
from streams.scoring.working import PROFILE, VISITOR


def pass_time(deciding: Deciding, watermark_ms: int) -> None:
    deciding.working.watermark_ms = max(deciding.working.watermark_ms, watermark_ms)
    catch_up(deciding)


def catch_up(deciding: Deciding) -> None:
    """Whatever is due by the watermark happens now."""
    while (item := deciding.working.pop_due()) is not None:
        due_ms, key = item
        if key.startswith(VISITOR):
            _forget_visitor(deciding, key[len(VISITOR) :], due_ms)
        else:
            _fall_due(deciding, key[len(PROFILE) :], due_ms)


def _fall_due(deciding: Deciding, customer_id: str, due_ms: int) -> None:
    profile = deciding.working.profile(customer_id)
    assert profile is not None  # only live profiles have something due
    kind = take_pending(profile).kind
    if kind.startswith("day_"):
        if wants_second_look(profile, due_ms, deciding.policy):
            deciding.look(None, profile, Look(kind, due_ms))
    elif kind.startswith(OUTCOME):
        _outcome(deciding, profile, int(kind.removeprefix(OUTCOME)), due_ms)
    elif kind == FORGET_LOOKS:
        deciding.working.touch_looks(customer_id, None)
    else:
        profile.tier.reviewed_ms = due_ms
        deciding.review_tier(profile, due_ms, deciding.moment(profile, due_ms, "TierChanged"))
    deciding.working.touch_profile(customer_id, profile)


def _outcome(deciding: Deciding, profile: Profile, horizon_days: int, due_ms: int) -> None:
    """Examples of every frozen look; at the last horizon the looks have served."""
    looks = deciding.working.looks(profile.customer_id)
    if looks is None:
        return
    cause = deciding.moment(profile, due_ms, "ExampleReady")
    for example in examples(profile, looks, horizon_days, due_ms, cause, deciding.policy):
        deciding.announce("examples", profile.customer_id, example)
        deciding.counts["examples"] += 1
    if horizon_days == max(deciding.policy.outcomes_days):
        deciding.working.touch_looks(profile.customer_id, None)


def _forget_visitor(deciding: Deciding, visitor_id: str, due_ms: int) -> None:
    """A visitor who was not seen for long is forgotten; one who was gets another term."""
    visitor = deciding.working.visitor(visitor_id)
    assert visitor is not None
    until_ms = visitor.last_seen_ms + deciding.policy.visitor_kept_ms
    visitor.forget_at_ms = until_ms
    deciding.working.touch_visitor(visitor_id, visitor if until_ms > due_ms else None)
