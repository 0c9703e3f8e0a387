"""What a check says: one line when all is well, else what is wrong, each with its cure."""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from msgspec import Struct

Severity = Literal["error", "warning", "note"]


class Finding(Struct, frozen=True):
    """An error breaks a promise or stops work; a warning narrows what can be done, or will become an error.

    A note tells what happened, and may be mended already: it makes no exit code.
    """

    where: str
    expected: str
    got: str
    cure: str
    severity: Severity = "error"

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, got {self.got}; {self.cure}"


class Check(NamedTuple):
    """`judge` and `well` take the parts of `Gathered` that are named; without one of them there is nothing to judge."""

    name: str
    parts: tuple[str, ...]
    judge: Callable[..., Iterator[Finding]]
    well: Callable[..., str]


class Verdict(Struct, frozen=True):
    """What came of a check. It is `skipped` where a server was silent, which is told once, by that server's check."""

    check: str
    status: Literal["well", "findings", "skipped"]
    said: str = ""
    findings: tuple[Finding, ...] = ()


def warning(where: str, expected: str, got: str, cure: str) -> Finding:
    return Finding(where, expected, got, cure, "warning")
