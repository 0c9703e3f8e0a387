"""The simulated shop as a source, without files between: the same rows as files of it would give.

Malformed records of the simulator become faults, as they would on the topics. Nobody is advised in it: what the shop does when
somebody is assigned is the live demo's.
"""

import hashlib
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import msgspec

from schemas.codec import Schemas, read_event
from schemas.records import Fault
from schemas.registry import FileRegistry
from streams.replay.places import Places
from streams.replay.rows import ROWS_AT_ONCE, LooseRows, Quality, laid
from streams.simulator import Malformed, Shop, ShopPlan


class SimulatorSource:
    name = "simulator"
    lacks: tuple[str, ...] = ("real customers: what is found here holds for the simulation only",)

    def __init__(self, plan: ShopPlan, partitions: int) -> None:
        self._plan, self._partitions = plan, partitions
        self.quality = Quality()

    def fingerprint(self) -> str:
        plan = msgspec.json.encode(self._plan, order="sorted")
        said = b"\n".join([version("maitred").encode(), str(self._partitions).encode(), plan])
        return hashlib.blake2b(said, digest_size=16).hexdigest()

    def total(self) -> int | None:
        """Nobody knows before they have lived."""
        return None

    def batches(self) -> Iterator[Any]:  # Any: pyarrow ships no types
        self.quality = Quality()
        rows, places, schemas = LooseRows(), Places(self._partitions), Schemas(FileRegistry())
        for item in Shop(self._plan).events():
            if isinstance(item, Malformed):
                _add_read(rows, item, schemas)
            else:
                rows.add(*item)
            if len(rows) >= ROWS_AT_ONCE:
                yield self._noted(laid(rows.take(), places))
        if len(rows):
            yield self._noted(laid(rows.take(), places))

    def _noted(self, batch: Any) -> Any:  # Any: as above
        self.quality.note(batch)
        return batch


def _add_read(rows: LooseRows, item: Malformed, schemas: Schemas) -> None:
    """What the record says: some (a currency nobody knows, an id used twice) are readable, and rejected later."""
    said = read_event(item.topic, item.value, item.headers, schemas, item.at_ms)
    if isinstance(said, Fault):
        rows.add_fault(item.at_ms, f"{item.topic}, {item.key.decode()}", said)
    else:
        rows.add(item.topic, said)
