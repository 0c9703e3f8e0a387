"""What batches need before they can be decided, of all their partitions in as few round trips as the store can."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from features.store import Asked, Loaded, Position, Store
from schemas.errors import BrokenPromise, StoreUnavailable
from schemas.records import Batch, Needs, Seen, State
from streams.processors import Processor

NOTHING_DUE = -1
Values = Mapping[str, bytes]


class Ready(Struct, frozen=True):
    """A batch, the state it is decided on, and where the store stands."""

    batch: Batch
    state: State
    position: Position


class Loader:
    def __init__(self, processor: Processor, store: Store) -> None:
        self._processor, self._store = processor, store

    def load(self, batches: Sequence[Batch]) -> list[Ready]:
        """Raises `StoreUnavailable` where the store does not stand where a batch begins."""
        needs = [self._processor.needs(batch) for batch in batches]
        loaded = self._ask([Asked(b.partition, n.keys, n.due_by_ms) for b, n in zip(batches, needs, strict=True)])
        for batch, found in zip(batches, loaded, strict=True):
            if found.position.entry != batch.entry:
                stands = f"the store stands at entry {found.position.entry}, expected {batch.entry}"
                raise StoreUnavailable(f"{self._processor.name}[{batch.partition}]: {stands}")
        companions, outside = self._companions(batches, needs, loaded), self._outside(needs)
        return [
            Ready(batch, _state(found, companions.get(batch.partition, {}), need, outside), found.position)
            for batch, need, found in zip(batches, needs, loaded, strict=True)
        ]

    def _companions(
        self, batches: Sequence[Batch], needs: Sequence[Needs], loaded: Sequence[Loaded]
    ) -> dict[int, Values]:
        """By partition what must come along with keys that turned out to be due."""
        positions = {batch.partition: found.position for batch, found in zip(batches, loaded, strict=True)}
        asked = [
            Asked(batch.partition, keys, NOTHING_DUE)
            for batch, need, found in zip(batches, needs, loaded, strict=True)
            if (keys := self._processor.companions(key for _, key in found.due) - need.keys)
        ]
        more = {one.partition: found for one, found in zip(asked, self._ask(asked), strict=True)}
        for partition, found in more.items():
            if found.position != positions[partition]:
                raise StoreUnavailable(f"{self._processor.name}[{partition}]: the store was set back meanwhile")
        return {partition: found.values for partition, found in more.items()}

    def _outside(self, needs: Sequence[Needs]) -> Mapping[str, Seen]:
        wanted = {key: partition for need in needs for key, partition in need.outside.items()}
        return self._store.read(wanted) if wanted else {}

    def _ask(self, asked: Sequence[Asked]) -> list[Loaded]:
        try:
            return self._store.load_each(asked) if asked else []
        except BrokenPromise:  # of one of them: the others need not stand still for it
            return [self._ask_alone(one) for one in asked]

    def _ask_alone(self, asked: Asked) -> Loaded:
        try:
            return self._store.load(*asked)
        except BrokenPromise as error:
            error.partition = asked.partition
            raise


def _state(found: Loaded, companions: Values, need: Needs, outside: Mapping[str, Seen]) -> State:
    return State({**found.values, **companions}, {key: outside[key] for key in need.outside}, found.due)
