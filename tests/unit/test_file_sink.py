"""Files of decisions: when one is whole, what it says, and that stopping at any moment loses and doubles nothing."""

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import TOPIC_EVENTS
from schemas.errors import SinkUnavailable
from schemas.events import AdvisorAssigned, Brief, Reason
from sinks.base import Delivery
from sinks.files import FileSink, Rotation, positions
from sinks.parquet import schema_of
from streams.deliver.deliverer import DELIVERABLE
from tests.unit.sink_checks import FIRST, NOON_MS, deliveries, delivery
from tests.unit.test_sinks import rows_of

DAY_MS = 86_400_000


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.glob("*/date=*/*"))


def test_a_file_is_named_by_topic_day_partition_and_offsets(tmp_path: Path) -> None:
    sink = FileSink(tmp_path)
    sink.open([FIRST])
    sink.put([*deliveries(range(5, 9)), delivery(9)._replace(timestamp_ms=NOON_MS + DAY_MS)])
    sink.release()
    sink.close()
    assert names(tmp_path) == [
        "tier-changes/date=2026-10-16/tier-changes-0-00000000000000000005-00000000000000000008.jsonl",
        "tier-changes/date=2026-10-17/tier-changes-0-00000000000000000009-00000000000000000009.jsonl",
    ]


def test_a_file_is_whole_after_some_time_though_nothing_comes(tmp_path: Path) -> None:
    now = [0.0]
    sink = FileSink(tmp_path, "jsonl", Rotation(most_seconds=300), lambda: now[0])
    sink.open([FIRST])
    sink.put(deliveries(range(3)))
    now[0] = 299.0
    assert (sink.settled(), names(tmp_path)) == ({}, [])
    now[0] = 300.0
    assert sink.settled() == {FIRST: 3}
    assert len(names(tmp_path)) == 1
    sink.close()


def test_older_files_may_be_moved_away(tmp_path: Path) -> None:
    sink = FileSink(tmp_path, "jsonl", Rotation(most_bytes=1))
    sink.open([FIRST])
    sink.put(deliveries(range(5)))
    sink.close()
    *older, _newest = sorted(tmp_path.glob("*/date=*/*"))
    for path in older:
        path.unlink()
    assert positions(tmp_path) == {FIRST: 5}


def test_one_process_writes_to_a_folder(tmp_path: Path) -> None:
    """A second is told so; once the first is gone it may."""
    first = FileSink(tmp_path)
    with pytest.raises(SinkUnavailable, match="to be its only writer, got another process"):
        FileSink(tmp_path)
    first.close()
    FileSink(tmp_path).close()


def test_a_full_disk_is_told_with_its_cure(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        (tmp_path / "tier-changes").write_text("in the way, as a full disk would be")
    else:
        (tmp_path / "tier-changes").mkdir(mode=0o500)
    sink = FileSink(tmp_path)
    sink.open([FIRST])
    sink.put(deliveries(range(3)))
    with pytest.raises(
        SinkUnavailable, match=r"expected a folder to write to, got .*; free space or set its permissions"
    ):
        sink.flush()
    sink.close()


def test_parquet_has_the_columns_of_all_events_of_every_topic(tmp_path: Path) -> None:
    for topic in DELIVERABLE:
        fields = {field for event in TOPIC_EVENTS[topic] for field in event.__struct_fields__}
        assert set(schema_of(topic).names) == fields | {"type", "kafka"}
    event = AdvisorAssigned(
        id="i", assignment_id="a", customer_id="c", advisor_id="mara", pool="main", occurred_at_ms=NOON_MS, cause="look",
        arm="treatment", propensity=0.9, experiment="e", score=0.5, threshold=0.1, look="first", look_id="l",
        reasons=(Reason(feature="f", value=1.5, contribution=-0.25),), brief=Brief(bought=("boot",), orders=2),
        recommended_channel="email", contact_by_ms=0, service_until_ms=0, model_version="m", policy_version="p",
    )  # fmt: skip
    sink = FileSink(tmp_path, "parquet")
    sink.open([("assignments", 0)])
    sink.put([Delivery("assignments", 0, 7, NOON_MS, b"c", b"x", (), event)])
    sink.release()
    sink.close()
    (row,) = pq.ParquetFile(next(tmp_path.glob("*/date=*/*"))).read().to_pylist()
    assert row["reasons"] == [{"feature": "f", "value": 1.5, "contribution": -0.25}]
    assert (row["brief"]["bought"], row["brief"]["language"], row["would_be_advisor_id"]) == (["boot"], None, None)
    assert row["kafka"] == {"topic": "assignments", "partition": 0, "offset": 7, "key": "c", "timestamp_ms": NOON_MS}


@settings(max_examples=60)
@given(
    steps=st.lists(st.tuples(st.sampled_from(["put", "time", "flush", "die", "stop"]), st.integers(1, 9)), max_size=30),
    form=st.sampled_from(["jsonl", "parquet"]),
)
def test_stopping_at_any_moment_loses_and_doubles_nothing(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], form: str
) -> None:
    """Whatever comes in between: a rotation by size or time, a flush, a kill, a clean stop."""
    root, now = tmp_path_factory.mktemp("files"), [0.0]

    def opened() -> tuple[FileSink, int]:
        sink = FileSink(root, "parquet" if form == "parquet" else "jsonl", Rotation(most_bytes=2_000), lambda: now[0])
        return sink, sink.open([FIRST]).get(FIRST, 0)

    sink, at = opened()
    for step, count in steps:
        if step == "put":
            sink.put(deliveries(range(at, at + count)))
            at += count
        elif step == "time":
            now[0] += 60.0 * count
            sink.settled()
        elif step == "flush":
            sink.flush()
        else:
            if step == "stop":
                sink.release()
            sink.close()
            (root / ".open" / "half").write_bytes(b"left by who died")
            sink, at = opened()
    sink.release()
    sink.close()
    found = [row["kafka"]["offset"] for path in sorted(root.glob("*/date=*/*")) for row in rows_of(path)]
    assert found == list(range(at))
