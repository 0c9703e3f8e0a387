"""Settings that suit a set of events which nobody has chosen settings for: the currency, from when on to decide, what a VIP is.

The amount is chosen on the first 60 % of new customers alone, so that the rest can be reported. They are a beginning, told as
TOML, and meant to be looked at.
"""

from collections import Counter
from collections.abc import Iterator

from features.money import Rates
from streams.replay.checking import DAY_MS, Checked, Purchase, day

BURN_IN_DAYS = 90
COHORT = 0.6  # where so many first orders lie within the burn-in, it is a cohort from its very beginning
CHOSEN_ON = 0.6
ONE_IN = 10  # becomes a VIP
HORIZONS = (180, 90, 60, 30)


def suggested(checked: Checked, rates: Rates) -> Iterator[str]:
    """Lines of TOML, with the reasons as comments; none where nothing is known of customers."""
    firsts = sorted((purchases[0].at_ms, who) for who, purchases in _by_time(checked) if purchases)
    if not firsts or checked.first_ms is None or checked.last_ms is None:
        return
    yield from _money(checked.currencies, rates)
    burnt_ms = checked.first_ms - checked.first_ms % DAY_MS + BURN_IN_DAYS * DAY_MS
    within = sum(at_ms < burnt_ms for at_ms, _ in firsts)
    is_cohort = within >= COHORT * len(firsts)
    horizon = next((days for days in HORIZONS if (checked.last_ms - firsts[0][0]) >= 2 * days * DAY_MS), HORIZONS[-1])
    yield "\n[scoring]"
    if is_cohort:
        yield f"# {within} of {len(firsts)} customers first bought in the first {BURN_IN_DAYS} days: a cohort, all of them new"
    else:
        yield f"# customers of the first {BURN_IN_DAYS} days are mostly not new: they are taken in, and not scored"
        yield f"decide_from = {day(burnt_ms)}"
        firsts = [first for first in firsts if first[0] >= burnt_ms]
    yield f"horizon_days = {horizon}"
    yield f"outcomes_days = {[30, horizon] if horizon > 30 else [30]}"
    if horizon == HORIZONS[-1]:
        yield "look_days = [7, 14]\nlooks_until_days = 29"
    yield from _amount(checked, firsts, horizon)
    if not checked.kinds["ConsentChanged"]:
        yield '\n[assignment]\n# nobody was asked\nconsent = "not_withdrawn"'


def _money(currencies: Counter[str], rates: Rates) -> Iterator[str]:
    """The base currency and rates as they are set, if they serve; else the commonest currency, and rates to be filled in."""
    commonest = min(currencies, key=lambda currency: (-currencies[currency], currency))
    base = rates.base if rates.knows(commonest) and rates.base in currencies else commonest
    yield f'[money]\nbase = "{base}"'
    unknown = [currency for currency in sorted(currencies) if currency != base and not rates.knows(currency)]
    if unknown:
        told = ", ".join(f"{currency} = 1.0" for currency in unknown)
        yield f"rates = {{{told}}}  # what one unit is worth in {base}: correct these, and check again with this file as --config"
    elif len(currencies) > 1:
        yield "# with the rates that are set"


def _amount(checked: Checked, firsts: list[tuple[int, str]], horizon: int) -> Iterator[str]:
    """The net spend after the first order that a tenth of the earlier customers reached."""
    assert checked.last_ms is not None
    reach_ms = horizon * DAY_MS
    chosen_on = [
        (at_ms, who) for at_ms, who in firsts[: int(CHOSEN_ON * len(firsts))] if at_ms + reach_ms <= checked.last_ms
    ]
    outcomes = sorted(
        sum(p.amount_minor for p in checked.purchases[who] if at_ms < p.at_ms <= at_ms + reach_ms)
        for at_ms, who in chosen_on
    )
    if not outcomes or (amount := outcomes[len(outcomes) * (ONE_IN - 1) // ONE_IN]) <= 0:
        yield "# no amount can be told: too few customers came back in time; choose vip_amount_minor"
        return
    yield (
        f"# net spend after the first order, within {horizon} days, that every tenth of the first {len(outcomes)} customers with\n"
        "# a known outcome reached; report on the later ones"
    )
    yield f"vip_amount_minor = {amount}"


def _by_time(checked: Checked) -> Iterator[tuple[str, list[Purchase]]]:
    """The orders of each customer, the first one first; returns are no first purchase."""
    for who, purchases in checked.purchases.items():
        orders = [purchase for purchase in purchases if purchase.is_order]
        yield who, sorted(orders, key=lambda purchase: purchase.at_ms)
