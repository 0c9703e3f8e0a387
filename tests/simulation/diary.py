"""A small core that forgets nothing: each customer's state is a hash over everything that ever happened, in order.

Any record applied twice, left out, or out of turn changes every byte that follows, which the real cores, with their sums
and counts, might forgive. It has all that a core may have: due items, reads of other partitions, deletions, reroutes,
rejections, and records it chokes on.
"""

from collections.abc import Iterable
from hashlib import blake2b
from heapq import heapify, heappop, heappush

import msgspec

from schemas.events import Event, OrderPlaced, OutsideRead, PageBrowsed, TierChanged
from schemas.ids import caused_by_record, caused_by_time, partition_of
from schemas.records import Announcement, Batch, Decision, Needs, Output, Record, State, Write
from streams.door import Admitted, admit, subject_of

DAY_MS = 86_400_000
POISON = "poison"
NOTE = "note/"  # kept beside a page, and needed only when the page falls due


class Page(msgspec.Struct, array_like=True):
    """What is kept of one customer or visitor."""

    chain: bytes = b""
    events: int = 0
    due_ms: int | None = None

    def add(self, what: bytes) -> None:
        self.chain = blake2b(self.chain + what, digest_size=8).digest()
        self.events += 1


class Diary:
    name = "scorer"
    sources = ("orders", "browse")

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions

    def prepare(self) -> None:
        pass

    def companions(self, due_keys: Iterable[str]) -> frozenset[str]:
        return frozenset(NOTE + key for key in due_keys)

    def needs(self, batch: Batch) -> Needs:
        homes: dict[str, int] = {}
        for record in batch.records():
            for key in (_subject(record), getattr(record.event, "visitor_id", None)):
                if key is not None:
                    homes[key] = partition_of(key, self.partitions)
        here = frozenset(key for key, home in homes.items() if home == batch.partition)
        outside = {key: home for key, home in homes.items() if home != batch.partition}
        return Needs(here | self.companions(here), outside, batch.watermark_ms)

    def decide(self, state: State, batch: Batch) -> Decision:
        writing = _Writing(state, batch.partition, self.partitions)
        for run in batch.runs:
            for record in run.records:
                writing.apply(record)
            writing.pass_time(run.watermark_ms)
        return Decision(writing.writes(), tuple(writing.outputs), "no-model", "diary", tuple(writing.reads))


def _subject(record: Record) -> str | None:
    return subject_of(record.event) if isinstance(record.event, OrderPlaced | PageBrowsed) else None


class _Writing:
    def __init__(self, state: State, partition: int, partitions: int) -> None:
        self.state, self.partition, self.partitions = state, partition, partitions
        self.pages: dict[str, Page | None] = {}
        self.touched: set[str] = set()
        self.outputs: list[Output] = []
        self.reads: list[OutsideRead] = []
        self.due = list(state.due)
        heapify(self.due)

    def page(self, key: str) -> Page | None:
        if key not in self.pages:
            value = self.state.values.get(key)
            self.pages[key] = None if value is None else msgspec.msgpack.decode(value, type=Page)
        return self.pages[key]

    def apply(self, record: Record) -> None:
        admitted = admit(record, self.partition, self.partitions)
        if not isinstance(admitted, Admitted):
            self.outputs.append(admitted)
        elif (key := _subject(record)) is not None:
            self.turn(record, key, admitted.event)

    def turn(self, record: Record, key: str, event: Event) -> None:
        if isinstance(event, PageBrowsed) and event.kind == "wishlist":
            self.touch(key, None)  # the note stays
            return
        if isinstance(event, PageBrowsed) and event.campaign == POISON:
            raise ValueError(f"cannot digest {event.event_id}")
        page = self.page(key) or Page()
        page.add(b"%s/%d" % (record.topic.encode(), record.offset))
        if isinstance(event, OrderPlaced):
            self.meet(record, event, page)
            self.announce(caused_by_record(record, "TierChanged"), key, event.occurred_at_ms, page)
        page.due_ms = page.due_ms or event.occurred_at_ms + DAY_MS
        self.touch(key, page)

    def meet(self, record: Record, order: OrderPlaced, page: Page) -> None:
        """Copy what the visitor's page says into the customer's."""
        if order.visitor_id is None:
            return
        home = partition_of(order.visitor_id, self.partitions)
        if home == self.partition:
            visitor = self.page(order.visitor_id)
            page.add(visitor.chain if visitor else b"")
        else:
            seen = self.state.outside[order.visitor_id]
            page.add(seen.value or b"")
            self.reads.append(
                OutsideRead(
                    topic=record.topic, offset=record.offset, key=order.visitor_id, partition=home, entry=seen.entry
                )
            )

    def pass_time(self, watermark_ms: int) -> None:
        while self.due and self.due[0][0] <= watermark_ms:
            due_ms, key = heappop(self.due)
            page = self.page(key)
            if page is not None and page.due_ms == due_ms:
                self.fall_due(key, page, due_ms)

    def fall_due(self, key: str, page: Page, due_ms: int) -> None:
        """Some pages are reviewed once more a week later, some are closed."""
        note = self.page(NOTE + key) or Page()
        note.add(page.chain)
        self.touch(NOTE + key, note)
        page.add(b"due/%d" % due_ms + note.chain)
        kind = f"TierChanged/{page.chain.hex()}"  # a page torn out and begun anew may fall due at the same moment
        self.announce(caused_by_time(self.partition, key, due_ms, kind), key, due_ms, page)
        page.due_ms = due_ms + 7 * DAY_MS if page.chain[0] % 2 else None
        self.touch(key, page)

    def announce(self, id: str, key: str, at_ms: int, page: Page) -> None:  # noqa: A002  # the event's own word
        event = TierChanged(
            id=id,
            customer_id=key,
            market=None,
            occurred_at_ms=at_ms,
            change="reached",
            tier=page.chain.hex(),
            qualifying_minor=page.events,
            missing_minor=0,
            policy_version="diary",
        )
        self.outputs.append(Announcement("tier-changes", key, event))

    def touch(self, key: str, page: Page | None) -> None:
        self.pages[key] = page
        self.touched.add(key)
        if page is not None and page.due_ms is not None:
            heappush(self.due, (page.due_ms, key))

    def writes(self) -> tuple[Write, ...]:
        return tuple(self.write(key) for key in sorted(self.touched))

    def write(self, key: str) -> Write:
        page = self.pages[key]
        return Write(key, None) if page is None else Write(key, msgspec.msgpack.encode(page), page.due_ms)
