"""The models a namespace has had, by the version that entries of the batch log name: `<champion>@<snapshot>`."""

from functools import lru_cache

from online_models.model import Model, load_model
from schemas.events import SnapshotPublished
from streams.reading import EventReader
from streams.verify.cursors import Cursor, Reads
from streams.verify.given import CannotVerify

SNAPSHOTS = "snapshots"


class Models:
    """Finds a model by its version. Only where each snapshot lies is kept, and the last few of them."""

    def __init__(self, reads: Reads, read: EventReader) -> None:
        self._reads, self._read = reads, read
        self._cursor = Cursor(reads, SNAPSHOTS, 0)
        self._offsets: dict[str, int] = {}
        self._payload = lru_cache(maxsize=4)(self._fetched)

    def of(self, version: str, champion: str) -> Model:
        """Raises `CannotVerify` where no snapshot on the topic gives this version with that champion."""
        snapshot = version.rpartition("@")[2]
        payload = None if snapshot == "cold" else self._payload(snapshot)
        model = load_model(payload, champion)
        if model.version != version:
            raise CannotVerify(
                f"model: expected {version}, as the batch log names it; snapshot {snapshot} with champion {champion} is "
                f"{model.version}; verify with the settings and the release that decided"
            )
        return model

    def _fetched(self, snapshot: str) -> bytes:
        while snapshot not in self._offsets and (message := self._cursor.next()) is not None:
            event = self._read(message)
            if isinstance(event, SnapshotPublished):
                self._offsets[event.version] = message.offset
        if snapshot not in self._offsets:
            raise CannotVerify(
                f"{SNAPSHOTS}: expected snapshot {snapshot}, which the batch log names, got none; was the topic cut? "
                "Keep snapshots for ever (`maitred doctor`), or restore them"
            )
        message = next(self._reads.read(SNAPSHOTS, 0, self._offsets[snapshot]))
        event = self._read(message)
        assert isinstance(event, SnapshotPublished)
        return event.payload
