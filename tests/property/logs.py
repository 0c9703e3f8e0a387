"""Logs as sources give them, for tests of the fold: any events of a small shop, in any order, on some partitions."""

from hashlib import blake2b

from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.events import CustomersMerged, PageBrowsed
from schemas.records import Fault
from streams.replay.moments import row_of
from streams.replay.rows import Quality, Rows, batches_of
from tests.property.histories import CUSTOMERS, DAY_MS, POLICY, START_MS, STRANGERS, browsing, orders, privacy, returns

ACCOUNTS = [*CUSTOMERS, *STRANGERS]
ALONE = replace(POLICY, partitions=1)


@st.composite
def merges(draw, at_ms):
    one, into = draw(st.permutations(ACCOUNTS))[:2]
    return "privacy", CustomersMerged(merge_id="m", customer_id=one, into_customer_id=into, occurred_at_ms=at_ms)


def logs(min_size=5, max_size=60, *, kinds=(*[orders] * 6, *[browsing] * 6, *[returns] * 2, *[privacy] * 2, merges)):
    """Events in order of publishing; some come late, and some at one time."""

    @st.composite
    def build(draw):
        at_ms, events = START_MS, []
        for number in range(draw(st.integers(min_size, max_size))):
            at_ms += draw(st.sampled_from([0, 1, 1_000, 50_000, 7_200_000, DAY_MS, 6 * DAY_MS, 40 * DAY_MS]))
            late_ms = draw(st.sampled_from([0, 0, 0, 30_000, 3 * DAY_MS]))
            topic, event = draw(draw(st.sampled_from(kinds))(at_ms - late_ms))
            if isinstance(event, PageBrowsed) and draw(st.integers(0, 3)):
                event = replace(event, event_id=f"e{number}")  # most are different
            events.append((topic, event))
        return events

    return build()


class ListSource:
    """A list of (topic, event), on so many partitions."""

    name = "list"
    lacks: tuple[str, ...] = ()

    def __init__(self, events, partitions=1, at_once=7, faults=0):
        self.events, self.partitions, self.at_once, self.faults = events, partitions, at_once, faults
        self.quality = Quality()

    def fingerprint(self):
        said = repr((self.events, self.partitions, self.faults)).encode()
        return blake2b(said, digest_size=8).hexdigest()

    def total(self):
        return None

    def batches(self):
        yield from batches_of(self.events, self.partitions, self.at_once)
        rows = Rows()
        for number in range(self.faults):
            fault = Fault("undecodable", "$", "Avro or JSON", "noise", "send it again")
            rows.add_fault(START_MS, "orders", 0, 10_000 + number, f"orders[0]@{10_000 + number}", fault)
        if self.faults:
            yield rows.take()

    def rows(self):
        """All rows, in the order of a replay."""
        found = [row for batch in self.batches() for row in batch.to_pylist()]
        return sorted(found, key=lambda row: (row["at_ms"], row["topic"], row["partition"], row["offset"]))


def moments_hash(folded):
    """Over every moment and all that was spent, in order."""
    digest = blake2b()
    for moment in folded.moments():
        digest.update(repr(row_of(moment)).encode())
    for spending in folded.spend():
        digest.update(repr(spending).encode())
    digest.update(repr(sorted(folded.counts.items())).encode())
    return digest.hexdigest()
