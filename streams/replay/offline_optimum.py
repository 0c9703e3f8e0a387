"""Who would have been assigned, had all scores been known: the most that any policy could have captured with the same places.

A customer is taken at most once, at one of her looks, and is worth what that look said. A place is then held for the service
period: from that day on or, where she may wait, from a later one. There are so many places, and so many may be taken on in a
day. That is a maximum-weight packing of intervals of one length, with a choice among each customer's intervals. As a linear
program, by the day:

    maximise    sum of value(l) x(l)                                x(l): the share of look l that is taken, 0 to 1
    so that     sum of x(l) over the looks of a customer <= 1
                held(d)  = held(d-1) + begun(d) - begun(d - service days)       0 <= held(d) <= places
                queue(d) = queue(d-1) + taken(d) - begun(d)                     taken(d): sum of x(l) over the looks of day d
                0 <= queue(d) <= taken in the last `waiting_days`               0 <= begun(d) <= daily intake

Without the first constraint its matrix is a network's, and the solution whole numbers; with it nearly always. Where it is not,
the optimum given is an upper bound, and so is counting by whole days (a place taken at noon is free from midnight after the
last day). So what a policy captured over it is not flattered, if it gives places as this may: with `waiting_days` 0, at the look.
Scipy's HiGHS solves it.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import coo_array

DAY_MS = 86_400_000
NOUGHT = 1e-9  # of a solver

Entries = list[tuple[int, int, float]]  # row, column, coefficient


class Chance(NamedTuple):
    """A look at which a customer could be taken."""

    at_ms: int
    who: str
    value: float


class Optimum(NamedTuple):
    value: float
    taken: tuple[tuple[int, float], ...]  # which chances, and what share of them: 1 but in rare cases


def offline_optimum(
    chances: Sequence[Chance],
    places: int,
    service_days: int,
    daily_intake: int | None = None,
    waiting_days: int = 0,
) -> Optimum:
    """The optimum over these looks. Chances worth nothing are left out."""
    from scipy.optimize import linprog  # noqa: PLC0415  # slow to import

    kept = [index for index, chance in enumerate(chances) if chance.value > 0]
    if not kept or places <= 0:
        return Optimum(0.0, ())
    first_day = min(chances[index].at_ms for index in kept) // DAY_MS
    days = [chances[index].at_ms // DAY_MS - first_day for index in kept]
    numbers: dict[str, int] = {}
    customers = [numbers.setdefault(chances[index].who, len(numbers)) for index in kept]
    count, span = len(kept), max(days) + 1
    begun, held, queue = (range(count + n * span, count + (n + 1) * span) for n in range(3))
    width = count + 3 * span
    equal = [*_holding(begun, held, service_days), *_queueing(days, begun, queue, span)]
    less: Entries = [(customer, look, 1.0) for look, customer in enumerate(customers)]
    less += _waiting(days, queue, waiting_days, len(numbers))
    solved = linprog(
        np.concatenate([[-chances[index].value for index in kept], np.zeros(3 * span)]),
        A_ub=_matrix(less, (len(numbers) + span, width)),
        b_ub=[1.0] * len(numbers) + [0.0] * span,
        A_eq=_matrix(equal, (2 * span, width)),
        b_eq=np.zeros(2 * span),
        bounds=[(0.0, 1.0)] * count
        + [(0.0, daily_intake)] * span
        + [(0.0, float(places))] * span
        + [(0.0, None)] * (span - 1)
        + [(0.0, 0.0)],  # in the end nobody is left waiting
        method="highs",
    )
    if not solved.success:
        raise ArithmeticError(f"the offline optimum of {count} looks was not found: {solved.message}")
    shares = solved.x[:count]
    taken = tuple((kept[n], float(shares[n])) for n in range(count) if shares[n] > NOUGHT)
    return Optimum(-float(solved.fun), taken)


def _holding(begun: range, held: range, service_days: int) -> Entries:
    """held(d) - held(d-1) - begun(d) + begun(d - service days) = 0, a row a day."""
    span = len(held)
    entries = [(day, held[day], 1.0) for day in range(span)] + [(day, begun[day], -1.0) for day in range(span)]
    entries += [(day, held[day - 1], -1.0) for day in range(1, span)]
    return entries + [(day, begun[day - service_days], 1.0) for day in range(service_days, span)]


def _queueing(days: Sequence[int], begun: range, queue: range, span: int) -> Entries:
    """queue(d) - queue(d-1) - taken(d) + begun(d) = 0, in the rows that follow."""
    entries = [(span + day, queue[day], 1.0) for day in range(span)]
    entries += [(span + day, queue[day - 1], -1.0) for day in range(1, span)]
    entries += [(span + day, begun[day], 1.0) for day in range(span)]
    return entries + [(span + day, look, -1.0) for look, day in enumerate(days)]


def _waiting(days: Sequence[int], queue: range, waiting_days: int, first_row: int) -> Entries:
    """queue(d) - taken(d) - ... - taken(d - waiting days + 1) <= 0: nobody waits longer; all are as good, so the first goes first."""
    entries = [(first_row + day, column, 1.0) for day, column in enumerate(queue)]
    return entries + [
        (first_row + day + later, look, -1.0)
        for look, day in enumerate(days)
        for later in range(min(waiting_days, len(queue) - day))
    ]


def _matrix(entries: Iterable[tuple[int, int, float]], shape: tuple[int, int]) -> "coo_array":
    from scipy.sparse import coo_array  # noqa: PLC0415  # as above

    rows, columns, coefficients = zip(*entries, strict=True)
    return coo_array((coefficients, (rows, columns)), shape=shape)
