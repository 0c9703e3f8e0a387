"""Whether a worker does its work, and if not, which processor, which partition and why: values in, reasons out.

`Progress` remembers since when a partition that lags has not moved; `reasons` says all that makes a worker unready. Who asks
the servers, and who serves the answer, is `probe.py` and `worker.py`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from msgspec import Struct

from streams.watching.probe import Findings

STALLED_S = 60.0  # with work at hand and no commit
SILENT_S = 15.0  # without an answer from Kafka or Redis

Kind = Literal["joining", "draining", "silent", "stopped", "lagging", "stalled"]


class Stuck(NamedTuple):
    lag: int
    since_s: float


class Reason(Struct, frozen=True, omit_defaults=True):
    """Why a worker is not ready."""

    processor: str
    kind: Kind
    says: str
    partition: int | None = None


class Condition(Struct, frozen=True, kw_only=True):
    """How a processor does, at one moment."""

    processor: str
    has_joined: bool = True  # its group, and recovered what it was given
    is_draining: bool = False
    partitions: tuple[int, ...] = ()
    stopped: Mapping[int, str] = {}
    lagging: Mapping[int, Stuck] = {}
    waiting: int = 0  # records read and not applied
    stalled_s: float = 0.0
    silent_s: float = 0.0
    trouble: str = ""  # what the last failure said


class Progress:
    """Since when each partition that lags has not moved."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, float]] = {}  # applied, and when that was new
        self._lag: dict[int, int] = {}

    def see(self, findings: Findings, now_s: float) -> None:
        self._lag = {}
        for (_, partition), lag in findings.lag.items():
            self._lag[partition] = self._lag.get(partition, 0) + lag
        before, self._seen = self._seen, {}
        for partition, applied in findings.applied.items():
            was, since_s = before.get(partition, (-1, now_s))
            stands = was == applied and self._lag.get(partition, 0) > 0
            self._seen[partition] = (applied, since_s if stands else now_s)

    def stuck(self, now_s: float) -> dict[int, Stuck]:
        since = {partition: now_s - since_s for partition, (_, since_s) in self._seen.items()}
        return {p: Stuck(self._lag[p], age) for p, age in since.items() if self._lag.get(p) and age >= STALLED_S}


def reasons(conditions: Iterable[Condition]) -> Sequence[Reason]:
    """Everything that makes a worker unready; nothing where it does its work."""
    return [reason for condition in conditions for reason in _of(condition)]


def _of(at: Condition) -> Iterator[Reason]:
    name, trouble = at.processor, f": {at.trouble}" if at.trouble else ""
    if at.is_draining:
        yield Reason(name, "draining", "told to drain by an operator: takes nothing in until `resume`")
        return
    for partition, error in at.stopped.items():
        yield Reason(name, "stopped", error, partition)
    if at.silent_s >= SILENT_S:
        yield Reason(name, "silent", f"no answer for {at.silent_s:.0f} s{trouble}")
    if not at.has_joined:
        yield Reason(name, "joining", f"has no partitions yet: joining its group or recovering{trouble}")
        return
    for partition, (lag, since_s) in at.lagging.items():
        if partition not in at.stopped:
            says = f"{lag} records behind, and nothing was applied for {since_s:.0f} s{trouble}"
            yield Reason(name, "lagging", says, partition)
    if at.stalled_s >= STALLED_S and not at.lagging:
        yield Reason(name, "stalled", f"work at hand and no commit for {at.stalled_s:.0f} s{trouble}")
