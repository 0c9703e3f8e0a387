"""Decisions as Kafka records."""

from schemas.events import AssignmentEnded
from schemas.ids import partition_of
from schemas.records import Announcement, Retraction
from streams.messages import Wire

WIRE = Wire("/maitred/assigner", lambda _: 12, lambda _: 7)


def test_a_retraction_is_a_tombstone_where_the_announcement_was_that_names_what_ended_it():
    """Same topic, partition and key; no value; two tombstones of one key are told apart by their cause."""
    event = AssignmentEnded(
        id="e1",
        assignment_id="a1",
        customer_id="c1",
        advisor_id="ann",
        pool="main",
        occurred_at_ms=1,
        reason="declined",
    )
    announced = WIRE.output(Announcement("current-assignments", "c1", event))
    retracted = WIRE.output(Retraction("current-assignments", "c1", "e1"))
    assert retracted[:3] == announced[:3] == ("current-assignments", partition_of("c1", 12), b"c1")
    assert retracted.value is None
    assert retracted.headers == (("maitred_retracted_by", b"e1"),)
