"""Seeded chance. Every moment of a life draws from a generator of its own, so that no moment can disturb another.

A moment is named by what it is (`Moment`), whose it is and which one in a row. The same life with and without an
advisor therefore buys the same things, only at other times: common random numbers. Only `random()` and the seeding of
Python's generator are used, whose bits are guaranteed; the distributions made of it stand here.
"""

from collections.abc import Callable
from enum import IntEnum
from math import cos, exp, log, pi, sqrt
from random import Random

Draw = Callable[[], float]  # in [0, 1)


class Moment(IntEnum):
    """What is drawn for. The numbers are part of every seed: never change one."""

    NATURE = 0
    ORDER = 1
    WAIT = 2
    SESSION = 3
    RETURN = 4
    PRIVACY = 5
    CONTACT = 6
    COMPANY = 7
    TROUBLE = 8
    ROSTER = 9
    ARRIVAL = 10


def draws(seed: int, moment: Moment, owner: int, number: int = 0) -> Draw:
    """The generator of one moment; `number` below 2**20, `owner` below 2**48."""
    return Random((((seed << 48) + owner) << 24) + (number << 4) + moment).random  # noqa: S311  # a simulation, no secret


def exponential(draw: Draw) -> float:
    """With mean 1."""
    return -log(1.0 - draw())


def normal(draw: Draw) -> float:
    """With mean 0 and deviation 1 (Box and Muller)."""
    radius = sqrt(2.0 * exponential(draw))
    return radius * cos(2.0 * pi * draw())


def gamma(draw: Draw, shape: float) -> float:
    """With this shape and scale 1 (Marsaglia and Tsang 2000; below shape 1 boosted by a power of a uniform)."""
    if shape < 1.0:
        boost: float = (1.0 - draw()) ** (1.0 / shape)
        return gamma(draw, shape + 1.0) * boost
    d = shape - 1.0 / 3.0
    c = 1.0 / sqrt(9.0 * d)
    while True:
        x = normal(draw)
        v = (1.0 + c * x) ** 3
        if v > 0.0 and log(1.0 - draw()) < 0.5 * x * x + d - d * v + d * log(v):
            return d * v


def beta(draw: Draw, a: float, b: float) -> float:
    one, other = gamma(draw, a), gamma(draw, b)
    return one / (one + other) if one + other > 0.0 else a / (a + b)


def count(draw: Draw, mean: float) -> int:
    """A geometric count from 0 with this mean: many are small, some are large."""
    if mean <= 0.0:
        return 0
    return int(exponential(draw) / log(1.0 + 1.0 / mean))


def logistic(x: float) -> float:
    return 1.0 / (1.0 + exp(-x))
