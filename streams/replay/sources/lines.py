"""JSON lines and Avro as rows, one by one: each is decoded straight into its class.

What does not decode so is read again by `event_files`, which finds out what is wrong and how to mend it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from schemas import events
from schemas.codec import EARLIEST_MS, MAX_RECORD_BYTES, Schemas
from schemas.events import (
    ConsentChanged,
    ErasureRequested,
    Event,
    Incoming,
    ItemsReturned,
    OrderPlaced,
    PageBrowsed,
)
from schemas.records import Fault
from streams.event_files import TOPIC_OF, Place, as_json, avro_records, read_item, type_in_name
from streams.replay.rows import ROWS_AT_ONCE, UNTIMED, LooseRows, timed

_SURE = (
    OrderPlaced,
    ItemsReturned,
    ConsentChanged,
    ErasureRequested,
)  # their types say all there is to ask, but for the time
_MISREAD = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)


def rows_of_lines(path: Path, schemas: Schemas) -> Iterator[Any]:  # Any: pyarrow ships no types
    """The rows of a file of JSON lines, in its order, without places."""
    by_name = type_in_name(path)
    decode = msgspec.json.Decoder(getattr(events, by_name) if by_name else Incoming).decode
    gathered = _Gathered(path)
    with path.open("rb", buffering=1 << 20) as file:
        for number, line in enumerate(file, start=1):
            try:
                event = decode(line)
            except _MISREAD:
                event = None
            if event is not None and len(line) <= MAX_RECORD_BYTES and is_surely_one(event):
                gathered.rows.add(_TOPIC_OF[type(event)], event)
            elif text := line.strip():
                gathered.doubtful(number, read_item(by_name, text, schemas))
            if len(gathered.rows) >= ROWS_AT_ONCE:
                yield gathered.take()
    if len(gathered.rows):
        yield gathered.take()


def rows_of_avro(path: Path, schemas: Schemas) -> Iterator[Any]:  # Any: as above
    """The same of an Avro file."""
    by_name, gathered = type_in_name(path), _Gathered(path)
    for number, (said, data) in enumerate(avro_records(path), start=1):
        name = by_name or said
        event = _converted(data, name)
        if event is not None and is_surely_one(event):
            gathered.rows.add(TOPIC_OF[name], event)
        else:
            gathered.doubtful(number, read_item(name, as_json(data), schemas))
        if len(gathered.rows) >= ROWS_AT_ONCE:
            yield gathered.take()
    if len(gathered.rows):
        yield gathered.take()


def _converted(data: Any, name: str) -> Any:  # Any: whatever the file holds; an event or None
    if name not in TOPIC_OF:
        return None
    try:
        return msgspec.convert(data, getattr(events, name))
    except _MISREAD:
        return None


def is_surely_one(event: Event) -> bool:
    """Whether the event needs no second reading: of most classes the type says all there is to ask."""
    kind = type(event)
    if event.occurred_at_ms < EARLIEST_MS:
        return False
    if kind is PageBrowsed:
        assert isinstance(event, PageBrowsed)
        someone = event.customer_id is not None or event.visitor_id is not None
        return someone and (event.price_minor is None or event.currency is not None)
    return kind in _SURE


class _Gathered:
    """Rows of a file, so far."""

    def __init__(self, path: Path) -> None:
        self._path, self._last_ms = path, 0
        self.rows = LooseRows()

    def doubtful(self, number: int, read: Event | Fault) -> None:
        """What was read again."""
        if isinstance(read, Fault):
            self.rows.add_fault(UNTIMED, str(Place(self._path, number)), read)
        else:
            self.rows.add(_TOPIC_OF[type(read)], read)

    def take(self) -> Any:  # Any: pyarrow ships no types
        batch = timed(self.rows.take(), self._last_ms)
        self._last_ms = batch.column("at_ms")[-1].as_py()
        return batch


_TOPIC_OF = {getattr(events, name): topic for name, topic in TOPIC_OF.items()}
Reader = Callable[[Path, Schemas], Iterator[Any]]  # Any: as above
