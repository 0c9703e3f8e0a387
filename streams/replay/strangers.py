"""Fields that nobody reads. A field with another name than ours is passed over in silence wherever events are read, so that shops
may send more than we ask for; here it is said aloud, with the name that may have been meant.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from schemas import events
from streams.event_files import TOPIC_OF, avro_records, form_of, opened_parquet, type_in_name

LOOKED_AT = 1_000  # records of a file
Found = Mapping[str, Any]  # Any: a record, whatever it holds


def strangers(path: Path) -> Iterator[str]:
    """What is passed over in a file's first records, each field once."""
    told = set[str]()
    for name, record in islice(_records(path), LOOKED_AT):
        if (kind := type_in_name(path) or name) not in TOPIC_OF:
            continue
        for where, field, known in _unknown(record, getattr(events, kind), ""):
            if (full := f"{where}{field}") not in told:
                told.add(full)
                yield f"the field {full} of {kind} is passed over{_meant(field, known)}"


def _unknown(
    record: Found, event: type[Any], where: str
) -> Iterator[tuple[str, str, list[str]]]:  # Any: an event's class
    """Fields of a record that its class does not know, with those that it does."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(event)}
    for name, value in record.items():
        if name not in fields:
            if name != "type" or where:
                yield where, name, sorted(fields)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            item = msgspec.inspect.type_info(fields[name].type)
            if isinstance(item, msgspec.inspect.VarTupleType) and isinstance(
                item.item_type, msgspec.inspect.StructType
            ):
                yield from _unknown(value[0], item.item_type.cls, f"{where}{name}[].")


def _meant(name: str, known: list[str]) -> str:
    """The field that was perhaps meant: written otherwise, or nearly so."""
    plain = {field.replace("_", ""): field for field in known}
    close = get_close_matches(name.replace("_", "").replace("-", "").lower(), plain, n=1, cutoff=0.75)
    return f": is it {plain[close[0]]}?" if close else ""


def _records(path: Path) -> Iterator[tuple[str, Found]]:
    """The first records of a file as they stand in it, each with the type it says."""
    form = form_of(path)
    if form == ".avro":
        yield from avro_records(path)
    elif form == ".parquet":
        for batch in opened_parquet(path).iter_batches(LOOKED_AT):
            yield from ((str(row.get("type")), row) for row in batch.to_pylist())
    else:
        yield from _objects(path)


def _objects(path: Path) -> Iterator[tuple[str, Found]]:
    with path.open("rb") as file:
        for line in file:
            try:
                record = msgspec.json.decode(line)
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                continue  # told as a fault
            if isinstance(record, dict):
                yield str(record.get("type")), record
