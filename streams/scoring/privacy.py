"""What people want, customers and those who serve them: consent, wishes, erasure."""

from features.profile import GRANTED, WITHDRAWN
from schemas.events import AssignmentWished, ConsentChanged, ErasureRequested
from schemas.records import Record
from streams.scoring.accounts import drop_notes
from streams.scoring.deciding import Deciding


def consented(deciding: Deciding, record: Record, event: ConsentChanged, who: str) -> None:
    profile = deciding.working.profile_or_new(who, event.occurred_at_ms, record)
    profile.consent = GRANTED if event.granted else WITHDRAWN
    deciding.stand_by_consent(record, profile, event.occurred_at_ms)
    deciding.look_with_consent(record, profile, event.occurred_at_ms)
    deciding.working.touch_profile(who, profile)


def wished(deciding: Deciding, record: Record, event: AssignmentWished, who: str) -> None:
    """A person's decision before which the model's stands back, until it is lifted."""
    profile = deciding.working.profile_or_new(who, event.occurred_at_ms, record)
    is_lifted = event.wish == "lifted"
    profile.wish, profile.wish_advisor = ("", None) if is_lifted else (event.wish, event.advisor_id)
    deciding.stand_by_wish(record, profile, event.occurred_at_ms)
    deciding.working.touch_profile(who, profile)


def erased(deciding: Deciding, record: Record, event: ErasureRequested, who: str) -> None:
    """Nothing is kept of a customer, nor of the accounts that were merged into theirs."""
    profile = deciding.working.profile(who)
    if profile is None:
        return
    deciding.stand(record, profile, event.occurred_at_ms, "erased")
    deciding.working.touch_profile(who, None)
    deciding.working.touch_looks(who, None)
    drop_notes(deciding, record, profile, event)
