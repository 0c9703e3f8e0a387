"""What a processor was given, as its batch log tells: the records of an entry, and what it read of other partitions."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from schemas.errors import MaitredError
from schemas.events import BatchCommitted, SequenceRun
from schemas.records import Batch, Record, Run, Seen
from streams.log import Message
from streams.reading import EventReader
from streams.setting_aside import exclude, undigested
from streams.verify.cursors import Cursor, Reads

Wanted = Mapping[int, frozenset[str]]  # by partition: keys that other partitions read


class CannotVerify(MaitredError):
    """What production decided can't be recomputed: something that it was given is not there any more."""


class Given:
    """Gives the batch of each entry, from the source topics. Entries of a partition must come in their order."""

    def __init__(self, reads: Reads, read: EventReader) -> None:
        self._reads, self._read = reads, read
        self._cursors: dict[tuple[str, int], Cursor] = {}
        self.passed_over: list[Message] = []  # records of the sources that lie in no applied range

    def batch(self, entry: BatchCommitted) -> Batch:
        """Raises `CannotVerify` where its records are not there any more."""
        runs = (Run(run.topic, tuple(self._records(run, entry)), run.watermark_ms) for run in entry.sequence)
        faults = {(e.topic, e.offset): undigested(e.error) for e in entry.excluded}
        return exclude(Batch(entry.partition, entry.entry, tuple(runs)), faults)

    def _records(self, run: SequenceRun, entry: BatchCommitted) -> Iterator[Record]:
        if run.to_offset < run.from_offset:
            return
        cursor = self._cursor(run, entry)
        if cursor.at > run.from_offset:
            raise CannotVerify(
                f"{entry.id}: expected to apply {run.topic} from {run.from_offset}, but entries before applied it up to "
                f"{cursor.at - 1}; were offsets reset?"
            )
        self.passed_over += cursor.up_to(run.from_offset - 1)
        for message in cursor.up_to(run.to_offset):
            yield Record(*message, self._read(message))

    def _cursor(self, run: SequenceRun, entry: BatchCommitted) -> Cursor:
        place = run.topic, entry.partition
        if place not in self._cursors:
            first, _ = self._reads.bounds(*place)
            if first > run.from_offset:
                raise CannotVerify(
                    f"{run.topic}[{entry.partition}]: expected its records from {run.from_offset} on, the first that is kept "
                    f"is {first}; what was decided of the others can't be recomputed: keep sources for ever "
                    "(retention.ms=-1; `maitred doctor` tells)"
                )
            self._cursors[place] = Cursor(self._reads, *place)
        return self._cursors[place]


class Past:
    """Values of a partition that others read, as of each entry. Of all other keys nothing is kept."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._values: dict[tuple[int, str], list[tuple[int, bytes | None]]] = defaultdict(list)

    def wants(self, partition: int, key: str) -> bool:
        return key in self._wanted.get(partition, ())

    def remember(self, partition: int, entries: int, key: str, value: bytes | None) -> None:
        """The value of a key once so many entries are applied."""
        self._values[partition, key].append((entries, value))

    def outside(self, entry: BatchCommitted) -> dict[str, Seen]:
        """What an entry read of other partitions."""
        return {read.key: Seen(read.entry, self._as_of(read.partition, read.key, read.entry)) for read in entry.reads}

    def _as_of(self, partition: int, key: str, entries: int) -> bytes | None:
        values = [value for at, value in self._values[partition, key] if at <= entries]
        return values[-1] if values else None
