"""The state that production keeps, by its changelog, against the state that was recomputed."""

from collections.abc import Iterator

from features.store import MemoryStore
from schemas.records import Write
from streams.messages import CHANGELOG, read_change
from streams.verify.cursors import Cursor, Reads
from streams.verify.matching import Difference, Origin

EVER_MS = 2**52


def state_differences(reads: Reads, processor: str, partition: int, store: MemoryStore) -> Iterator[Difference]:
    """Keys whose last value in the changelog is not the one recomputed. What later entries changed can't be told, and is left."""
    topic, entries = f"{processor}.{CHANGELOG}", store.position(partition).entry
    held, later = _last_changes(Cursor(reads, topic, partition), entries)
    values = store.contents(partition)
    due = {key: at_ms for at_ms, key in store.load(partition, (), EVER_MS).due}
    for key in sorted({*held, *values} - later):
        got, expected = held.get(key), Write(key, values[key], due.get(key)) if key in values else None
        if got != expected:
            origin = Origin(processor, partition, entries - 1)
            note = f"{key}: the changelog holds {_told(got)}, recomputed is {_told(expected)}"
            yield Difference("state differs", topic, partition, origin, note=note)


def _last_changes(cursor: Cursor, entries: int) -> tuple[dict[str, Write], set[str]]:
    """What is held of each key as of an entry, and the keys that changed after it."""
    held: dict[str, Write] = {}
    later: set[str] = set()
    while (message := cursor.next()) is not None:
        change = read_change(message)
        entry, write = change.entry, change.write
        if entry >= entries:
            later.add(write.key)
        elif write.value is None:
            held.pop(write.key, None)
        else:
            held[write.key] = write
    return held, later


def _told(write: Write | None) -> str:
    if write is None or write.value is None:
        return "nothing"
    return f"{write.value.hex()}, due {write.due_ms}"
