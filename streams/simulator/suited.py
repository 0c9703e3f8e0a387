"""Settings of Maitred that suit a simulated shop, as environment variables: its markets, its money, and who is a VIP
there.
"""

import msgspec

from streams.simulator.plan import ShopPlan

VIP_ORDERS = 2.86  # net spend after the first order that makes a VIP, in mean order values


def shop_settings(plan: ShopPlan) -> dict[str, str]:
    """`MAITRED_` variables. About every tenth customer becomes a VIP within the horizon."""
    looks = plan.customers / plan.days * 28 * plan.consent  # first ones in a planning window, over all pools
    pools = {market.pool for market in plan.markets}
    mean = int(plan.spend_mean_minor)
    tiers = [
        {"name": "silver", "qualifying_minor": 2 * mean},
        {"name": "gold", "qualifying_minor": 6 * mean},
        {"name": "platinum", "qualifying_minor": 16 * mean, "orders": 4},
    ]
    values: dict[str, object] = {
        "MONEY__BASE": "EUR",
        "MONEY__RATES": {market.currency: market.rate for market in plan.markets if market.currency != "EUR"},
        "MARKETS__POOLS": {market.code: market.pool for market in plan.markets},
        "MARKETS__DEFAULT_POOL": plan.markets[0].pool,
        "SCORING__VIP_AMOUNT_MINOR": round(VIP_ORDERS * plan.spend_mean_minor, -3),
        "TIERS": tiers,
        "ASSIGNMENT__CONSENT": "granted",
        "ASSIGNMENT__EXPECTED_LOOKS": max(1, min(10_000_000, round(looks / len(pools)))),
    }
    return {f"MAITRED_{name}": _as_text(value) for name, value in values.items()}


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    return msgspec.json.encode(int(value) if isinstance(value, float) else value).decode()
