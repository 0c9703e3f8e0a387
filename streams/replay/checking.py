"""What a set of event files holds, and what is wrong with it: told before anybody replays or publishes it.

Faults are rows that would be rejected. Remarks are about what is no fault and was hardly meant: every order a guest's, an id used
for two orders, fields that nobody reads, amounts that look like euros where cents are asked for.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct, field

from features.money import Rates
from schemas.events import ItemsReturned, OrderPlaced
from streams.replay.lacking import lacking
from streams.replay.rows import FAULT, Unreadable, payload_decoder, read_fault
from streams.replay.sources.files import FileSource
from streams.replay.strangers import strangers
from streams.settings.currencies import decimals

DAY_MS = 86_400_000
_BOUGHT = ("OrderPlaced", "ItemsReturned")


class Purchase(Struct, frozen=True):
    """Money of an order, or given back (below zero), in base minor units; of a currency without a rate in its own."""

    at_ms: int
    amount_minor: int
    is_order: bool


class Checked(Struct):
    """What was found. `purchases` are by customer, in the order of the files; guests have none."""

    files: int
    rows: int = 0
    faults: Counter[str] = field(default_factory=Counter)  # by class of error
    kinds: Counter[str] = field(default_factory=Counter)
    first_ms: int | None = None
    last_ms: int | None = None
    guests: int = 0
    currencies: Counter[str] = field(default_factory=Counter)
    markets: Counter[str] = field(default_factory=Counter)
    skus: set[str] = field(default_factory=set)
    repeated: int = 0
    conflicts: Counter[str] = field(default_factory=Counter)  # ids used for different orders or returns
    whole_amounts: int = 0  # lines that cost less than one unit of a currency that has smaller ones
    lines: int = 0
    purchases: dict[str, list[Purchase]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing would be rejected."""
        return not self.faults and not self.conflicts


def check(source: FileSource, rates: Rates, on_fault: Callable[[Unreadable], object]) -> Checked:
    """Read everything. `on_fault` is told each row that can't be used; `rates` say which currencies are known."""
    checked, seen = Checked(len(source.paths)), dict[tuple[str, str], bytes]()
    for batch in source.batches():
        _note_batch(checked, batch)
        for kind, payload in _chosen(batch, (*_BOUGHT, FAULT)):
            if kind == FAULT:
                fault = read_fault(payload)
                checked.faults[fault.error] += 1
                on_fault(fault)
            else:
                content = blake2b(payload, digest_size=8).digest()
                _note(checked, payload_decoder(kind)(payload), content, seen, rates)
    checked.remarks += _remarks(checked, rates)
    for path in source.paths:
        checked.remarks += [f"{path.name}: {remark}" for remark in strangers(path)]
    return checked


def _chosen(batch: Any, kinds: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:  # Any: pyarrow ships no types
    of_them = batch.filter(pc.is_in(batch.column("kind"), pa.array(kinds)))
    yield from zip(of_them.column("kind").to_pylist(), of_them.column("payload").to_pylist(), strict=True)


def _note_batch(checked: Checked, batch: Any) -> None:  # Any: as above
    checked.rows += len(batch)
    for counted in pc.value_counts(batch.column("kind")).to_pylist():
        checked.kinds[counted["values"]] += counted["counts"]
    good = batch.filter(pc.not_equal(batch.column("kind"), FAULT)).column("at_ms")
    if len(good):
        first, last = pc.min_max(good).as_py().values()
        checked.first_ms = first if checked.first_ms is None else min(first, checked.first_ms)
        checked.last_ms = last if checked.last_ms is None else max(last, checked.last_ms)


def _note(
    checked: Checked,
    event: OrderPlaced | ItemsReturned,
    content: bytes,
    seen: dict[tuple[str, str], bytes],
    rates: Rates,
) -> None:
    checked.currencies[event.currency] += 1
    checked.skus.update(line.sku for line in event.lines)
    checked.lines += len(event.lines)
    if isinstance(event, OrderPlaced):
        document = event.order_id
        amount = sum(line.quantity * line.unit_price_minor - line.discount_minor for line in event.lines)
        checked.markets[event.market] += 1
        checked.whole_amounts += sum(0 < line.unit_price_minor < 10 ** decimals(event.currency) for line in event.lines)
    else:
        document, amount = event.return_id, -sum(line.refund_minor for line in event.lines)
    if event.customer_id is None:
        checked.guests += 1
        return
    key = (event.customer_id, f"{type(event).__name__} {document}")
    if (known := seen.get(key)) is not None:
        if known == content:
            checked.repeated += 1
        else:
            checked.conflicts[f"{key[1]} of {key[0]}"] += 1
    else:
        seen[key] = content
        in_base = rates.to_base(amount, event.currency) if rates.knows(event.currency) else amount
        purchase = Purchase(event.occurred_at_ms, in_base, isinstance(event, OrderPlaced))
        checked.purchases.setdefault(event.customer_id, []).append(purchase)


# ---- remarks -------------------------------------------------------------------------------------------------------


def _remarks(checked: Checked, rates: Rates) -> Iterator[str]:
    orders = checked.kinds["OrderPlaced"]
    if not orders:
        yield "no OrderPlaced at all: without orders there is nobody to look at"
        return
    if not checked.purchases:
        yield "no order names a customer, so all are guests' orders and nobody is scored: is the field called customer_id?"
    for currency, count in sorted(checked.currencies.items()):
        if not rates.knows(currency):
            cure = f'set money.base = "{currency}", or its rate in [money.rates]'
            yield f"{count} orders and returns are in {currency}, which the settings do not know: they will be rejected; {cure}"
    for name, count in sorted(checked.conflicts.items())[:20]:
        yield f"{name}: {count} more with other content: they will be rejected; give every document an id of its own"
    if checked.whole_amounts * 2 > checked.lines:
        yield "more than half of the lines cost less than one unit: if that is not so, mind that 4.90 EUR is 490"
    if len(checked.skus) == 1:
        yield f"every line is of one sku, {min(checked.skus)}: what was bought can't be told apart, so nothing is learnt from it"
    if (
        checked.first_ms is not None
        and checked.last_ms is not None
        and (checked.last_ms - checked.first_ms) < 60 * DAY_MS
    ):
        yield "less than 60 days: hardly any outcome comes to be known; set scoring.horizon_days and outcomes_days shorter"
    yield from lacking(checked.kinds)


def day(at_ms: int) -> str:
    """A day, for people.

    >>> day(1_300_000_000_000)
    '2011-03-13'
    """
    return datetime.fromtimestamp(at_ms / 1_000, UTC).date().isoformat()
