"""From settings to what each core and each shell is told."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time

from features.money import Rates
from online_models.learner import LearnPolicy
from schemas.records import Seen
from streams.assignment import AssignmentPolicy
from streams.intake import IntakePolicy
from streams.processors import Assigner, Learner, Processor, Scorer
from streams.scoring.policy import DAY_MS, Policy
from streams.scoring.tiers import MILLION, Tier, TierPolicy
from streams.settings import Settings, policy_version
from streams.settings.currencies import millionths

HOUR_MS = 3_600_000
VIP_AMOUNT_MINOR = 120_000  # where neither an amount nor a tier is set

Snapshots = Callable[[Settings], Callable[[], Seen]]


def processor_of(name: str, settings: Settings, snapshots: Snapshots) -> Processor:
    """A processor as the settings have it; a scorer takes its models from `snapshots(settings)`."""
    match name:
        case "scorer":
            return Scorer(scoring_policy(settings), settings.learning.champion, snapshots(settings))
        case "assigner":
            return Assigner(assignment_policy(settings), settings.partitions)
        case "learner":
            return Learner(learn_policy(settings))
    raise ValueError(name)


def scoring_policy(settings: Settings) -> Policy:
    scoring = settings.scoring
    tier_names = [tier.name for tier in settings.tiers]
    amount = scoring.vip_amount_minor or (None if scoring.vip_tier else VIP_AMOUNT_MINOR)
    return Policy(
        version=policy_version(settings),
        partitions=settings.partitions,
        rates=rates(settings),
        tiers=tier_policy(settings),
        pools=settings.markets.pools,
        default_pool=settings.markets.default_pool,
        outcomes_days=scoring.outcomes_days,
        look_days=scoring.look_days,
        looks_until_days=scoring.looks_until_days,
        asks_consent=settings.assignment.consent == "granted",
        vip_amount_minor=amount,
        vip_tier=tier_names.index(scoring.vip_tier) + 1 if scoring.vip_tier else None,
        decide_from_ms=_start_of_day_ms(scoring.decide_from) if scoring.decide_from else 0,
        visitor_kept_ms=scoring.visitors_kept_days * DAY_MS,
        reasons=scoring.reasons,
    )


def rates(settings: Settings) -> Rates:
    base = settings.money.base
    return Rates(base, millionths(base, settings.money.rates))


def tier_policy(settings: Settings) -> TierPolicy:
    changes = settings.tier_changes
    return TierPolicy(
        tiers=tuple(Tier(tier.name, tier.qualifying_minor, tier.orders) for tier in settings.tiers),
        near_share=round(changes.near_share * MILLION),
        near_hysteresis=round(changes.near_hysteresis * MILLION),
        cool_down_ms=changes.cool_down_days * DAY_MS,
        at_risk_within_ms=changes.at_risk_within_days * DAY_MS,
    )


def intake_policy(settings: Settings) -> IntakePolicy:
    batch = settings.batch
    return IntakePolicy(
        max_records=batch.max_records,
        max_bytes=batch.max_bytes,
        lateness_ms=batch.allowed_lateness_ms,
        max_idle_ms=batch.max_idle_ms,
        buffer_records=batch.buffer_records,
        follow_clock=settings.time == "wall",
    )


def assignment_policy(settings: Settings) -> AssignmentPolicy:
    terms = settings.assignment
    return AssignmentPolicy(
        version=policy_version(settings),
        consent="opt_in" if terms.consent == "granted" else "opt_out",
        experiment=terms.experiment,
        control_share=round(terms.control_share * MILLION),
        service_days=terms.service_days,
        contact_within_hours=terms.contact_within_hours,
        planning_window_days=terms.planning_window_days,
        channel_otherwise=terms.recommended_channel,
        channel_online=terms.online_channel,
        online_within_minutes=terms.online_within_minutes,
        serve_vips=terms.serve_vips,
        rest_days=terms.rest_days,
        waiting_days=terms.waiting_days,
        waiting_limit=terms.waiting_limit,
        expected_looks=terms.expected_looks,
        recent_looks=terms.recent_looks,
        rank_by=terms.rank_by,
        patience=terms.patience,
    )


def learn_policy(settings: Settings) -> LearnPolicy:
    learning = settings.learning
    return LearnPolicy(
        version=policy_version(settings),
        horizon_days=settings.scoring.outcomes_days[-1],
        reference_days=settings.scoring.outcomes_days[0],
        snapshot_every=learning.snapshot_every,
        labels=learning.labels,
        learn_from_treated=learning.learn_from_treated,
        champion=learning.champion,
        challengers=learning.challengers,
        promotes_by_rule=learning.promotion == "by_rule",
        promote_after=learning.promote_after,
        drift_action=learning.drift_action,
        fall_back_examples=learning.fall_back_examples,
    )


def _start_of_day_ms(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp()) * 1_000
