"""The intake: from records as they arrive to the applied sequence of each partition.

It buffers what Kafka gives, merges the sources of a partition by event time (never reordering within a topic), waits a
little for a source that lags, and says how far event time has come: the watermark. It opens nothing and reads no clock;
`shell.py` hands it messages and the time. What it decides here is written into the batch log, so nothing later depends
on how it was decided.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from schemas.events import Event
from schemas.records import Fault, Record, Run
from streams.log import Message

HOUR_MS = 3_600_000
Reader = Callable[[Message], Event | Fault]
IsLagging = Callable[[str, int, int], bool]


class IntakePolicy(Struct, frozen=True):
    """How batches are cut. `follow_clock`: production; without it time follows the records alone, for histories."""

    max_records: int = 2_000
    max_bytes: int = 8_000_000
    lateness_ms: int = 60_000
    max_idle_ms: int = 500
    buffer_records: int = 20_000  # per source and partition; beyond it the source is paused
    follow_clock: bool = True


class _Buffered(NamedTuple):
    order_ms: int  # event time, but never before a predecessor in the same topic
    record: Record


class _Room:
    """What a batch may still hold."""

    def __init__(self, records: int, size: int) -> None:
        self.records, self.bytes = records, size


class _Source:
    """One topic's records of one partition that wait to be applied."""

    def __init__(self, next_offset: int) -> None:
        self.waiting: deque[_Buffered] = deque()
        self.next_offset = next_offset
        self.latest_ms = 0

    def add(self, record: Record) -> None:
        if not isinstance(record.event, Fault):
            self.latest_ms = max(self.latest_ms, record.event.occurred_at_ms)
        self.waiting.append(_Buffered(self.latest_ms, record))
        self.next_offset = record.offset + 1


class _Partition:
    def __init__(self, positions: Mapping[str, int], watermark_ms: int) -> None:
        self.sources = {topic: _Source(offset) for topic, offset in positions.items()}
        self.watermark_ms = watermark_ms
        self.reached_ms = watermark_ms  # event time up to which records were applied
        self.waiting_since_ms: int | None = None


class Intake:
    def __init__(self, sources: Sequence[str], read: Reader, policy: IntakePolicy) -> None:
        self.sources = tuple(sources)
        self.policy = policy
        self._read = read
        self._partitions: dict[int, _Partition] = {}

    # ---- what is assigned ----------------------------------------------------------------------------------------

    def start(self, partition: int, positions: Mapping[str, int], watermark_ms: int) -> None:
        self._partitions[partition] = _Partition(positions, watermark_ms)

    def stop(self, partition: int) -> None:
        self._partitions.pop(partition, None)

    @property
    def partitions(self) -> tuple[int, ...]:
        return tuple(sorted(self._partitions))

    def watermark_ms(self, partition: int) -> int:
        return self._partitions[partition].watermark_ms

    def buffered(self) -> dict[tuple[str, int], int]:
        """How many records of each source wait, for backpressure and metrics."""
        return {
            (topic, number): len(source.waiting)
            for number, partition in self._partitions.items()
            for topic, source in partition.sources.items()
        }

    # ---- records in ----------------------------------------------------------------------------------------------

    def read(self, messages: Iterable[Message]) -> list[Record]:
        """What the messages say; of partitions that are not assigned nothing is read."""
        return [Record(*message, self._read(message)) for message in messages if message.partition in self._partitions]

    def offer(self, records: Iterable[Record]) -> None:
        """Take records in the order of their offsets. Those of partitions not assigned, or seen before, are dropped."""
        for record in records:
            partition = self._partitions.get(record.partition)
            if partition is None:
                continue
            source = partition.sources[record.topic]
            if record.offset >= source.next_offset:
                source.add(record)

    # ---- runs out ------------------------------------------------------------------------------------------------

    def cut(self, now_ms: int, is_lagging: IsLagging) -> dict[int, tuple[Run, ...]]:
        """The next piece of the applied sequence of every partition that has one, the most belated partition first."""
        pieces = {}
        room = _Room(self.policy.max_records, self.policy.max_bytes)
        for number in sorted(self._partitions, key=lambda n: (self._partitions[n].watermark_ms, n)):
            partition = self._partitions[number]
            if self._awaits(partition, self._lagging(number, partition, is_lagging), now_ms):
                continue
            if taken := self._take(number, partition, is_lagging, room):
                lagging = self._lagging(number, partition, is_lagging)
                pieces[number] = self._runs(partition, taken, lagging, now_ms)
        return pieces

    def tick(self, number: int, now_ms: int, is_lagging: IsLagging) -> int | None:
        """The watermark that the clock alone allows, or None while it moves by records only."""
        partition = self._partitions[number]
        if not self.policy.follow_clock or _waiting(partition) or self._lagging(number, partition, is_lagging):
            return None
        reached = now_ms - self.policy.lateness_ms
        return reached if reached > partition.watermark_ms else None

    def advance(self, number: int, watermark_ms: int) -> tuple[Run, ...]:
        """A run without records: time alone moves on."""
        self._partitions[number].watermark_ms = watermark_ms
        return (Run("", (), watermark_ms),)

    def _lagging(self, number: int, partition: _Partition, is_lagging: IsLagging) -> list[_Source]:
        """Sources with nothing at hand although there is more to come."""
        return [
            source
            for topic, source in partition.sources.items()
            if not source.waiting and is_lagging(topic, number, source.next_offset)
        ]

    def _awaits(self, partition: _Partition, lagging: list[_Source], now_ms: int) -> bool:
        """Whether to wait for a lagging source, so that the merge by event time is a true one."""
        if not lagging:
            partition.waiting_since_ms = None
            return False
        if partition.waiting_since_ms is None or now_ms < partition.waiting_since_ms:  # clocks are set back, too
            partition.waiting_since_ms = now_ms
        return now_ms - partition.waiting_since_ms < self.policy.max_idle_ms

    def _take(self, number: int, partition: _Partition, is_lagging: IsLagging, room: _Room) -> list[_Buffered]:
        """Merge by event time. Stop where a source runs dry that has more to come: its next record might be first."""
        heads = {topic: source for topic, source in partition.sources.items() if source.waiting}
        taken: list[_Buffered] = []
        while heads and room.records > 0 and room.bytes > 0:
            topic = next(iter(heads)) if len(heads) == 1 else min(heads, key=lambda t: heads[t].waiting[0].order_ms)
            item = heads[topic].waiting.popleft()
            taken.append(item)
            room.records -= 1
            room.bytes -= len(item.record.value or b"")
            if not heads[topic].waiting:
                source = heads.pop(topic)
                if is_lagging(topic, number, source.next_offset):
                    break
        return taken

    def _runs(
        self, partition: _Partition, taken: list[_Buffered], lagging: list[_Source], now_ms: int
    ) -> tuple[Run, ...]:
        """Runs end where the topic changes or event time enters another hour, so that what falls due fires close by."""
        runs, start = [], 0
        for index in range(1, len(taken) + 1):
            if index < len(taken) and not _breaks(taken[index - 1], taken[index]):
                continue
            partition.reached_ms = max(partition.reached_ms, taken[index - 1].order_ms)
            partition.watermark_ms = self._watermark(partition, lagging, now_ms, all_taken=index == len(taken))
            records = tuple(item.record for item in taken[start:index])
            runs.append(Run(records[0].topic, records, partition.watermark_ms))
            start = index
        return tuple(runs)

    def _watermark(self, partition: _Partition, lagging: list[_Source], now_ms: int, *, all_taken: bool) -> int:
        """It follows the records, the slowest source's while one lags; the clock once all are caught up. Never beyond it."""
        reached = min(partition.reached_ms, now_ms, *(source.latest_ms for source in lagging))
        if self.policy.follow_clock and all_taken and not lagging and not _waiting(partition):
            reached = now_ms
        return max(partition.watermark_ms, reached - self.policy.lateness_ms)


def _waiting(partition: _Partition) -> bool:
    return any(source.waiting for source in partition.sources.values())


def _breaks(before: _Buffered, after: _Buffered) -> bool:
    return before.record.topic != after.record.topic or before.order_ms // HOUR_MS != after.order_ms // HOUR_MS
