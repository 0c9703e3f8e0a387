"""What the log says of the model: who was put in charge of scoring, and what has changed."""

from collections.abc import Iterable

import structlog

from schemas.events import SnapshotPublished
from schemas.records import Announcement
from streams.commit import Committed

log = structlog.get_logger()


def tell_of_the_model(committed: Iterable[Committed]) -> None:
    """Snapshots that come of so many examples are told by metrics alone."""
    for output in (output for item in committed for output in item.decision.outputs):
        if isinstance(output, Announcement) and isinstance(output.event, SnapshotPublished):
            _tell(output.event)


def _tell(event: SnapshotPublished) -> None:
    for drift in event.drift:
        log.warning(
            "drift",
            looks=drift.kind,
            series=drift.series,
            detector=drift.detector,
            before=round(drift.before, 4),
            after=round(drift.after, 4),
        )
    if event.cause != "examples":
        log.info(
            "model",
            cause=event.cause,
            version=event.version,
            champion=event.champion or "as configured",
            scores=event.scoring_version or event.version,
        )
