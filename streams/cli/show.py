"""`maitred customer`: what is known of a customer."""

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from streams.cli.talk import (
    NO,
    ConfigOption,
    JsonOption,
    load_settings,
    printable,
    put,
    put_line,
    say,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from features.frozen import Looks
    from features.profile import Profile
    from streams.settings import Settings


def customer_command(
    customer_id: Annotated[str, typer.Argument(metavar="ID", help="The customer, as the shop names them.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is known of a customer: spend, tier, looks with their scores, assignment. Exit 1 if nothing is.

    Of an account that was merged into another it says which.
    """
    settings = load_settings(config)
    account, looks = _known(settings, customer_id)
    if account is None:
        say(f"nothing is known of customer {customer_id}")
        raise typer.Exit(NO)
    if as_json:
        merged = {"customer_id": customer_id, "merged_into": account}
        put(merged if isinstance(account, str) else _facts(account, looks, settings))
        return
    for name, text in _lines(customer_id, account, looks, settings):
        put_line(f"{name:<18} {printable(text)}")


def _lines(
    customer_id: str, account: "Profile | str", looks: "Looks | None", settings: "Settings"
) -> "Iterable[tuple[str, str]]":
    from streams.cli.portrait import portrait

    if isinstance(account, str):
        return [("customer", customer_id), ("merged into", account)]
    return portrait(account, looks, settings)


def _known(settings: "Settings", customer_id: str) -> "tuple[Profile | str | None, Looks | None]":
    """Of an account that was merged into another, that one's id is all there is."""
    from features.frozen import decode_looks
    from features.profile import decode_account
    from features.redis_store import RedisStore
    from schemas.ids import partition_of
    from streams.scoring.working import LOOKS, PROFILE

    home = partition_of(customer_id, settings.partitions)
    store = RedisStore(settings.redis.url, settings.namespace, "scorer")
    seen = store.read({PROFILE + customer_id: home, LOOKS + customer_id: home})
    store.close()
    account, looks = seen[PROFILE + customer_id].value, seen[LOOKS + customer_id].value
    return (decode_account(account) if account else None), (decode_looks(looks) if looks else None)


def _facts(profile: "Profile", looks: "Looks | None", settings: "Settings") -> dict[str, object]:
    from features.profile import GRANTED, UNKNOWN, net_spend, orders_count

    at_ms, tier = profile.last_seen_ms, profile.tier.tier
    consent = {UNKNOWN: "unknown", GRANTED: "granted"}.get(profile.consent, "withdrawn")
    return {
        "customer_id": profile.customer_id,
        "market": profile.market,
        "language": profile.language,
        "consent": consent,
        "first_seen_ms": profile.first_seen_ms,
        "last_seen_ms": at_ms,
        "is_new": profile.is_new,
        "orders": orders_count(profile, at_ms, "lifetime"),
        "net_spend_minor": net_spend(profile, at_ms, "lifetime"),
        "net_spend_365d_minor": net_spend(profile, at_ms, "365d"),
        "currency": settings.money.base,
        "first_purchase": profile.first_purchase and msgspec.structs.asdict(profile.first_purchase),
        "tier": settings.tiers[tier - 1].name if 0 < tier <= len(settings.tiers) else None,
        "vip_at_ms": profile.vip_at_ms or None,
        "treatment": profile.treatment and msgspec.structs.asdict(profile.treatment),
        "pending": [msgspec.structs.asdict(pending) for pending in profile.pending],
        "viewed": profile.viewed,
        "merged": profile.merged,
        "pools": profile.pools,
        "looks": [
            {
                "look": look.look,
                "number": look.number,
                "at_ms": look.at_ms,
                "score": look.score,
                "model_version": look.model_version,
            }
            for look in (looks.looks if looks else ())
        ],
    }
