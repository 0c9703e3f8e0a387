"""Our exceptions.

MaitredError
├── SettingsError          a setting is missing, unknown or impossible
├── SchemaError            a schema is unknown, or breaks compatibility
│   └── RegistryUnavailable
├── StoreUnavailable       the store does not answer
├── LogUnavailable         Kafka does not answer
│   └── CommitUnsettled    a transaction's outcome is not known, or it was aborted or fenced
├── SinkUnavailable        a sink can't take what it is given, and a person must mend it
├── WorkerEnded            the worker that the demo started ended by itself
├── BrokenPromise          a guarantee of ours does not hold: stop before an offset moves
│   ├── StoreAhead         the store has seen more entries than the batch log holds
│   └── SequenceBroken     entries or offsets do not follow one another
└── Undigestible           the core could not decide a record
"""

from collections.abc import Sequence


class MaitredError(Exception):
    """The root of all errors raised on purpose."""


class SettingsError(MaitredError):
    """What is wrong with a setting. `others` are further problems found in the same reading."""

    def __init__(self, key: str, expected: str, got: object, cure: str, others: Sequence["SettingsError"] = ()) -> None:
        lines = [f"{key}: expected {expected}, got {got!r}; {cure}", *map(str, others)]
        super().__init__("\n".join(lines))
        self.key, self.expected, self.got, self.cure, self.others = key, expected, got, cure, tuple(others)

    @property
    def problems(self) -> tuple["SettingsError", ...]:
        """All problems, each on its own."""
        return (SettingsError(self.key, self.expected, self.got, self.cure), *self.others)


class SchemaError(MaitredError):
    pass


class RegistryUnavailable(SchemaError):
    pass


class StoreUnavailable(MaitredError):
    pass


class LogUnavailable(MaitredError):
    pass


class CommitUnsettled(LogUnavailable):
    """Settle it by recovery: a new producer, then the end of the batch log tells what happened."""


class SinkUnavailable(MaitredError):
    """Nothing is lost: what is not delivered comes again, once the cause is mended and the process started anew."""

    def __init__(self, where: str, expected: str, got: object, cure: str) -> None:
        super().__init__(f"{where}: expected {expected}, got {got}; {cure}")
        self.where, self.expected, self.got, self.cure = where, expected, got, cure


class WorkerEnded(MaitredError):
    """`last_words` is the end of its log."""

    def __init__(self, text: str, last_words: str) -> None:
        super().__init__(f"{text}\n{last_words}")
        self.last_words = last_words


class BrokenPromise(MaitredError):
    partition: int | None = None  # that must stop; None: all that were about to be committed


class StoreAhead(BrokenPromise):
    def __init__(self, processor: str, partition: int, store_entry: int, log_entries: int) -> None:
        super().__init__(
            f"{processor}[{partition}]: the store stands at entry {store_entry}, the batch log ends at {log_entries}: "
            "Kafka has lost committed data. This partition is paused; restore Kafka, or `maitred rebuild` into a new "
            "namespace"
        )
        self.processor, self.partition = processor, partition
        self.store_entry, self.log_entries = store_entry, log_entries


class SequenceBroken(BrokenPromise):
    pass


class Undigestible(MaitredError):
    """A record made the core fail. `topic` and `offset` name it, the cause is chained."""

    def __init__(self, topic: str, offset: int, error: str) -> None:
        super().__init__(f"{topic}@{offset}: {error}")
        self.topic, self.offset, self.error = topic, offset, error
