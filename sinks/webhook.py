"""Decisions to a web server: each as one signed POST of a CloudEvent in JSON, one after the other for a customer.

At least once: what was posted and not yet noted when the process died is posted again, under the same `webhook-id`. What the
server does not take is kept as undelivered, and the customer's later events behind it, in their order; it is tried again when
its failure may have passed, or when somebody asks for it. The others go on.

Posting is `post.py`'s work, attempts and order `courier.py`'s; where undelivered events are kept is behind `Undelivered`.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from math import inf

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from sinks.base import Delivery, Place, Progress
from sinks.courier import Courier, Outcome, Patience, Post
from sinks.undelivered import Entry, Lane, Parcel, Undelivered, parcel_of


class Tries(Struct, frozen=True, kw_only=True):
    """`again_s`: what failed for a reason that may pass is tried again after so long. `look_s`: how often it is asked what is
    due, and whether somebody has changed an entry. `room`: records that may be under way.
    """

    patience: Patience = Patience()
    again_s: float = 3_600.0
    look_s: float = 2.0
    room: int = 5_000


class WebhookSink:
    """`post` makes what posts, each time the sink is opened. `clock` tells seconds since the epoch."""

    def __init__(
        self,
        name: str,
        post: Callable[[], Post],
        undelivered: Undelivered,
        tries: Tries = Tries(),  # noqa: B008  frozen
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name, self._post, self._undelivered, self._tries, self._clock = name, post, undelivered, tries, clock
        self._courier: Courier | None = None
        self._progress = Progress()
        self._kept: dict[Lane, dict[str, Entry]] = {}  # by parcel id; the first is what holds up the others
        self._retrying: set[Lane] = set()  # lanes whose entries are with the courier
        self._carried: Counter[Lane] = Counter()  # parcels that are with the courier
        self._heard: dict[str, Entry | None] = {}  # changes by others, for lanes that are with the courier just now
        self._sequence = 0
        self._looked_s = 0.0
        self.counts: Counter[str] = Counter()

    # ---- as a sink -------------------------------------------------------------------------------------------------

    def open(self, places: Collection[Place]) -> Mapping[Place, int]:
        self._let_go()
        self._courier = Courier(self._post(), self._tries.patience)
        by_lane: defaultdict[Lane, list[Entry]] = defaultdict(list)
        for entry in self._undelivered.open({partition for _, partition in places}):
            by_lane[entry.parcel.lane].append(entry)
            self._sequence = max(self._sequence, entry.sequence)
        for lane, entries in by_lane.items():
            self._kept[lane] = {e.parcel.id: e for e in sorted(entries, key=lambda entry: entry.sequence)}
        return {}

    def room(self) -> int:
        return max(0, self._tries.room - len(self._progress))

    def put(self, deliveries: Sequence[Delivery]) -> None:
        behind = []
        for delivery in deliveries:
            self._progress.begin(delivery.place, delivery.offset)
            self._sequence += 1
            parcel = parcel_of(delivery, body_of(delivery), self._sequence)
            kept = self._kept.get(parcel.lane, {})
            if parcel.id in kept:  # kept just before the process died
                self._progress.finish(parcel.place, parcel.offset)
            elif kept and parcel.lane not in self._retrying:
                behind.append(Outcome(parcel, 0, None))
            else:
                self._send([parcel])
        self._note(behind)

    def settled(self) -> Mapping[Place, int]:
        if self._courier is None:
            return {}
        self._note_carried(self._courier)
        if self._clock() - self._looked_s >= self._tries.look_s:
            self._looked_s = self._clock()
            self._hear(self._courier)
            self._retry(self._courier)
        return self._progress.settled()

    def flush(self, seconds: float = inf) -> bool:
        deadline = time.monotonic() + seconds
        self.settled()
        while self._progress and self._courier is not None and time.monotonic() < deadline:
            self._courier.wait(0.1)
            self.settled()
        return not self._progress

    def release(self) -> Mapping[Place, int]:
        if self._courier is None:
            return {}
        self._courier.stop()
        self._note_carried(self._courier)
        self._courier, reached = None, self._progress.settled()
        self._let_go()
        return reached

    def close(self) -> None:
        self._let_go()
        self._undelivered.close()

    def _let_go(self) -> None:
        if self._courier is not None:
            self._courier.stop()
        self._courier = None
        self._progress.clear()
        self._kept.clear()
        self._retrying.clear()
        self._carried.clear()
        self._heard.clear()

    # ---- what becomes of parcels -----------------------------------------------------------------------------------

    def _send(self, parcels: Sequence[Parcel]) -> None:
        assert self._courier is not None
        self._carried.update(parcel.lane for parcel in parcels)
        self._courier.send(parcels)

    def _note_carried(self, courier: Courier) -> None:
        outcomes = courier.outcomes()
        self._carried.subtract(outcome.parcel.lane for outcome in outcomes)
        self._carried = +self._carried
        self._note(outcomes)

    def _note(self, outcomes: Sequence[Outcome]) -> None:
        """Only once what was not delivered is safely kept do offsets move past it."""
        delivered, kept = [], []
        for outcome in outcomes:
            parcel = outcome.parcel
            entry = self._kept.get(parcel.lane, {}).get(parcel.id)
            if outcome.is_delivered:
                delivered += [entry] if entry else []
            elif outcome.failure is not None or entry is None:
                kept.append(self._entry(outcome, entry))
            self.counts["delivered" if outcome.is_delivered else "failed" if outcome.failure else "behind"] += 1
        if kept:
            self._undelivered.keep(kept)
        if delivered:
            self._undelivered.forget(delivered)
        for entry in delivered:
            self._remove(entry.parcel)
        for entry in kept:
            self._place(entry)
        for outcome in outcomes:
            self._progress.finish(outcome.parcel.place, outcome.parcel.offset)

    def _entry(self, outcome: Outcome, known: Entry | None) -> Entry:
        now_ms, failure = int(self._clock() * 1_000), outcome.failure
        parcel = outcome.parcel
        entry = known or Entry(sink=self._name, state="behind", kept_at_ms=now_ms, **parcel._asdict())
        if failure is None:
            return entry
        return replace(
            entry,
            state="failed",
            failure=failure.said,
            may_pass=failure.may_pass,
            attempts=entry.attempts + outcome.attempts,
            tried_at_ms=now_ms,
        )

    def _place(self, entry: Entry) -> None:
        """Into its lane, where it belongs by its sequence."""
        parcel = entry.parcel
        lane = {**self._kept.get(parcel.lane, {}), parcel.id: entry}
        self._kept[parcel.lane] = dict(sorted(lane.items(), key=lambda item: item[1].sequence))
        if entry.state == "failed":
            self._retrying.discard(parcel.lane)

    def _remove(self, parcel: Parcel) -> None:
        lane = self._kept.get(parcel.lane, {})
        lane.pop(parcel.id, None)
        if not lane:
            self._kept.pop(parcel.lane, None)
            self._retrying.discard(parcel.lane)

    # ---- another try -----------------------------------------------------------------------------------------------

    def _hear(self, courier: Courier) -> None:
        """Of what people have changed: an entry to be tried again, or dropped. A lane under way is left alone until it rests."""
        self._heard.update(self._undelivered.changes())
        known = {name: entry for lane in self._kept.values() for name, entry in lane.items()} if self._heard else {}
        for name, entry in list(self._heard.items()):
            lane = known[name].parcel.lane if name in known else None
            if lane is not None and self._carried[lane]:
                continue
            del self._heard[name]
            if lane is not None and entry is not None:
                self._kept[lane][name] = entry
            elif lane is not None:
                self._undelivered.forget([known[name]])
                self._remove(known[name].parcel)
                if lane not in self._kept:
                    courier.unblock(lane)

    def _retry(self, courier: Courier) -> None:
        for lane, entries in self._kept.items():
            if not self._carried[lane] and self._is_due(next(iter(entries.values()))):
                self._retrying.add(lane)
                courier.unblock(lane)
                self._send([entry.parcel for entry in entries.values()])

    def _is_due(self, first: Entry) -> bool:
        """The first of a lane that waits behind nothing has had what it waited for delivered or dropped."""
        if first.state != "failed":
            return True
        return first.may_pass and self._clock() * 1_000 - first.tried_at_ms >= self._tries.again_s * 1_000


def body_of(delivery: Delivery) -> str:
    """The CloudEvent in structured JSON mode."""
    event = {**delivery.attributes, "datacontenttype": "application/json", "data": _data(delivery)}
    return msgspec.json.encode(event).decode()


def _data(delivery: Delivery) -> object:
    """The event with its own fields; of a tombstone, the key that it ends."""
    return delivery.event if delivery.event is not None else {"type": delivery.type, "key": delivery.key_text}
