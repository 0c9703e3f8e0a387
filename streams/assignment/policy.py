"""What the assigner's core is told besides records: the terms of service, the experiment, the price's window."""

from typing import Literal

from streams.assignment.price import PricePolicy

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MINUTE_MS = 60_000


class AssignmentPolicy(PricePolicy, frozen=True, kw_only=True):
    """Everything configurable that an assignment depends on; `version` names it in every output."""

    version: str = ""
    consent: Literal["opt_in", "opt_out"] = "opt_in"  # opt_in: granted is asked for; opt_out: not withdrawn is enough
    serve_vips: bool = False  # whether looks at customers who are VIP already may be assigned

    experiment: str = "advisors"
    control_share: int = 100_000  # of those who passed rules and price, in millionths

    service_days: int = 90
    contact_within_hours: int = 48
    rest_days: int = 90  # after a service ended or was declined, before another
    waiting_days: int = 7
    waiting_limit: int = 50
    contacts_kept: int = 256  # contact ids remembered by a pool

    channel_online: str = "chat"  # recommended where the customer was seen a moment ago
    channel_otherwise: str = "email"
    online_within_minutes: int = 15

    @property
    def service_ms(self) -> int:
        return self.service_days * DAY_MS

    @property
    def contact_within_ms(self) -> int:
        return self.contact_within_hours * HOUR_MS

    @property
    def rest_ms(self) -> int:
        return self.rest_days * DAY_MS

    @property
    def waiting_ms(self) -> int:
        return self.waiting_days * DAY_MS

    @property
    def propensity(self) -> float:
        """Of treatment, for whoever passed rules and price."""
        return 1 - self.control_share / 1_000_000

    def allows(self, consent: str) -> bool:
        """Whether this consent is enough to be assigned."""
        return consent == "granted" or (self.consent == "opt_out" and consent == "unknown")

    def channel(self, last_seen_at_ms: int, now_ms: int) -> str:
        just_seen = now_ms - last_seen_at_ms <= self.online_within_minutes * MINUTE_MS
        return self.channel_online if just_seen else self.channel_otherwise
