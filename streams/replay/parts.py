"""Which looks are judged together: by kind of look, by outcome, and by part of the customers.

Everything is judged progressively: a score is what was said at the look, the outcome what was known `horizon_days` after the first
purchase. Only looks whose outcome was known by the end of the log are here.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from streams.replay.bootstrap import Floats, Ints, Population
from streams.replay.results import SCORERS
from streams.replay.run import Run

DAY_MS: Final = 86_400_000
ALL_LOOKS: Final = "all"
LOOKS: Final = ("first", "day_7", "day_14", "day_30", "order", "return")
BY_THE_CALENDAR: Final = ("first", "day_7", "day_14", "day_30")
TESTED_FROM: Final = 0.6  # the last 40 % of customers by first order
CUTS: Final = 11  # of the rolling origin, on first days of months
LOOKING_AHEAD_MS: Final = 60 * DAY_MS
MARKETS_SHOWN: Final = 8
LEAST_LOOKS: Final = 50  # in a market that is shown by itself
COLUMNS: Final = {
    "model": "rank",
    "spend": "by_spend",
    "rule": "rule_score",
    "logistic": "by_logistic",
    "lightgbm": "by_lightgbm",
    "random": "by_random",
}
Truth = npt.NDArray[np.bool_]


class Frame(Struct, frozen=True):
    """The examples of a run at the main horizon, column by column; `places` are those of the population."""

    variant: str
    horizon_days: int
    customers: tuple[str, ...]
    places: Ints
    looks: npt.NDArray[np.str_]
    numbers: Ints
    looked_at_ms: Ints
    first_ms: Ints
    markets: npt.NDArray[np.str_]
    is_vip: Truth
    is_vip_already: Truth
    money: Floats
    money_after: Floats
    said: Floats  # the model's probabilities
    scores: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.customers)


class Cell(NamedTuple):
    """What is judged together. Of the rolling origin there are several sets of rows, whose figures are averaged."""

    look: str
    outcome: str
    part: str
    name: str
    rows: tuple[Ints, ...]

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self[:4]


def frame_of(run: Run, population: Population) -> Frame:
    table = run.examples.filter(pc.equal(run.examples["horizon_days"], run.horizon_days))

    def strings(name: str) -> list[str]:
        return [text or "" for text in table[name].cast(pa.string()).to_pylist()]

    def numbers(name: str) -> Any:  # Any: pyarrow ships no types
        return table[name].to_numpy(zero_copy_only=False)

    customers = strings("customer_id")
    scores: dict[str, Floats] = {scorer: numbers(COLUMNS[scorer]).astype(np.float64) for scorer in SCORERS}
    return Frame(
        variant=run.variant,
        horizon_days=run.horizon_days,
        customers=tuple(customers),
        places=population.places(customers),
        looks=np.array(strings("look"), dtype=np.str_),
        numbers=numbers("look_number").astype(np.int64),
        looked_at_ms=numbers("looked_at_ms").astype(np.int64),
        first_ms=numbers("first_purchase_at_ms").astype(np.int64),
        markets=np.array(strings("market"), dtype=np.str_),
        is_vip=numbers("is_vip").astype(np.bool_),
        is_vip_already=numbers("is_vip_already").astype(np.bool_),
        money=np.maximum(0.0, numbers("outcome_minor").astype(np.float64)),
        money_after=np.maximum(0.0, np.nan_to_num(numbers("money_after_look_minor").astype(np.float64))),
        said=numbers("score").astype(np.float64),
        scores=scores,
    )


def scorers_of(frame: Frame) -> tuple[str, ...]:
    """Those that said something at all; whoever says the same of everybody has not been asked."""
    return tuple(scorer for scorer in SCORERS if _speaks(frame.scores[scorer]))


def _speaks(scores: Floats) -> bool:
    known = scores[np.isfinite(scores)]
    return len(known) > 0 and (len(known) == 1 or bool((known != known[0]).any()))


# ---- outcomes ------------------------------------------------------------------------------------------------------


def truth(frame: Frame, cell: Cell) -> tuple[Truth, Floats]:
    """By row: whether what counts came true, and the money that came."""
    if cell.outcome != "after_look":
        return frame.is_vip, frame.money
    rows = np.flatnonzero(frame.looks == cell.look)
    after = frame.money_after
    bar = np.sort(after[rows])[-max(1, len(rows) // 10)] if len(rows) else 0.0
    return (after > 0) & (after >= bar), after


# ---- parts ---------------------------------------------------------------------------------------------------------


def cells(frame: Frame) -> Iterator[Cell]:
    """All that is judged, in the order in which it is told."""
    if not len(frame):
        return
    last = _last_customers(frame)
    everybody = np.arange(len(frame))
    yield Cell(ALL_LOOKS, "whole", "all", "", (everybody,))
    for look in LOOKS:
        rows = np.flatnonzero(frame.looks == look)
        if not len(rows):
            continue
        for outcome in _outcomes(look):
            judged = rows[~frame.is_vip_already[rows]] if outcome == "not_yet_vip" else rows
            if not len(judged):
                continue
            yield Cell(look, outcome, "all", "", (judged,))
            if len(tested := judged[last[judged]]):
                yield Cell(look, outcome, "last_40", "", (tested,))
            if look in BY_THE_CALENDAR and (origins := _rolling(frame, judged)):
                yield Cell(look, outcome, "rolling_origin", "", origins)
        if look in BY_THE_CALENDAR:
            yield from (Cell(look, "whole", "quarter", name, (r,)) for name, r in quarters(frame.first_ms, rows))
            yield from (Cell(look, "whole", "market", name, (r,)) for name, r in _markets(frame, rows))


def _outcomes(look: str) -> tuple[str, ...]:
    return ("whole", "after_look") if look == "first" else ("whole", "not_yet_vip", "after_look")


def _last_customers(frame: Frame) -> Truth:
    """Rows of the last 40 % of customers by first order."""
    firsts = sorted({(int(ms), customer) for ms, customer in zip(frame.first_ms, frame.customers, strict=True)})
    tested = {customer for _, customer in firsts[int(TESTED_FROM * len(firsts)) :]}
    return np.array([customer in tested for customer in frame.customers], dtype=np.bool_)


def _rolling(frame: Frame, rows: Ints) -> tuple[Ints, ...]:
    """The last eleven first days of a month whose next 60 days are all known, each with their customers."""
    first, last = int(frame.first_ms.min()), int(frame.first_ms.max())
    cuts = [ms for ms in _months(first, last) if ms >= first and ms + LOOKING_AHEAD_MS <= last + DAY_MS]
    if len(cuts) < CUTS:
        return ()
    at = frame.first_ms[rows]
    return tuple(rows[(at >= cut) & (at < cut + LOOKING_AHEAD_MS)] for cut in cuts[-CUTS:])


def _months(first_ms: int, last_ms: int) -> Iterator[int]:
    day = datetime.fromtimestamp(first_ms / 1_000, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while (at_ms := int(day.timestamp()) * 1_000) <= last_ms:
        yield at_ms
        day = day.replace(year=day.year + day.month // 12, month=day.month % 12 + 1)


def quarters(at_ms: Ints, rows: Ints) -> Iterator[tuple[str, Ints]]:
    """Rows by quarter of a time, in order."""
    names = np.array([quarter(int(ms)) for ms in at_ms[rows]], dtype=np.str_)
    for name in sorted(set(names.tolist())):
        yield name, rows[names == name]


def quarter(at_ms: int) -> str:
    """The quarter (UTC) a time lies in.

    >>> quarter(1_290_000_000_000)
    '2010-Q4'
    """
    day = datetime.fromtimestamp(at_ms / 1_000, UTC)
    return f"{day.year}-Q{(day.month + 2) // 3}"


def _markets(frame: Frame, rows: Ints) -> Iterator[tuple[str, Ints]]:
    """The largest markets."""
    names, counts = np.unique(frame.markets[rows], return_counts=True)
    largest: Sequence[tuple[int, str]] = sorted((-int(c), str(n)) for n, c in zip(names, counts, strict=True))
    if len(largest) < 2:
        return
    for count, name in largest[:MARKETS_SHOWN]:
        if -count >= LEAST_LOOKS:
            yield name, rows[frame.markets[rows] == name]
