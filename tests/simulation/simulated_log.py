"""The `Log` of one processor in one worker of the simulated world. Every call may fail, stall, or be the last."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from random import Random

from schemas.errors import CommitUnsettled, LogUnavailable
from streams.log import Clock, Listener, Message, OutMessage, TopicPartition
from tests.simulation.broker import Broker
from tests.simulation.group import Group
from tests.simulation.perils import Strike

MAX_BYTES = 1 << 20


class SimulatedLog:
    def __init__(
        self, broker: Broker, group: Group, sources: Sequence[str], name: str, transactional_id: str,
        clock: Clock, strike: Strike, rng: Random,
    ) -> None:  # fmt: skip
        self.broker, self.group, self.sources = broker, group, tuple(sources)
        self.name, self.transactional_id, self.clock = name, transactional_id, clock
        self._strike, self._rng = strike, rng
        self._listener: Listener
        self._epoch = 0
        self._is_closed = False
        self._lives = 0  # in the group: each time it joins anew it is another member
        self._generation = -1
        self._owned: frozenset[int] = frozenset()
        self._is_settled = False  # no transaction of ours is open
        self._positions: dict[TopicPartition, int] = {}  # of the next record to be given
        self._held: dict[TopicPartition, int] = {}  # committed, as far as this member knows
        self._known: dict[TopicPartition, int] = {}  # up to where records are known to lie
        self._paused: set[TopicPartition] = set()

    @property
    def member(self) -> str:
        return f"{self.name}.{self._lives}"

    def subscribe(self, listener: Listener) -> None:
        self._listener = listener

    # ---- reading ---------------------------------------------------------------------------------------------------

    def poll(self, max_records: int, timeout_ms: int) -> Sequence[Message]:
        if self._is_closed:
            return ()
        self._ask("poll")
        self._serve_group()
        sources = [tp for tp in self._positions if tp not in self._paused]
        self._rng.shuffle(sources)
        polled: list[Message] = []
        for source in sources:
            polled += self._fetch(source, min(max_records - len(polled), self._rng.choice((0, 1, 3, 10, 1_000))))
        return polled

    def _fetch(self, source: TopicPartition, at_most: int) -> list[Message]:
        log = self.broker.logs[source]
        self._known[source] = log.last_stable
        found: list[Message] = []
        for message in log.committed(self._positions[source]):
            if len(found) >= at_most:
                return found
            found.append(message)
            self._positions[source] = message.offset + 1
        self._positions[source] = max(self._positions[source], log.last_stable)  # beyond the markers
        return found

    def is_lagging(self, topic: str, partition: int, next_offset: int) -> bool:
        """As `KafkaLog`: also while nothing is known yet."""
        known = self._known.get((topic, partition))
        log = self.broker.logs[topic, partition]
        return known is None or next(log.committed(next_offset, min(known, log.last_stable)), None) is not None

    def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read on from these positions; what is not named rests. Pauses are over."""
        self._ask("seek")
        self._positions, self._held = dict(positions), dict(positions)
        self._known.clear()
        self._paused.clear()

    def pause(self, sources: Collection[TopicPartition]) -> None:
        self._paused.update(sources)

    def resume(self, sources: Collection[TopicPartition]) -> None:
        self._paused.difference_update(sources)

    # ---- the group -------------------------------------------------------------------------------------------------

    def _serve_group(self) -> None:
        if self.member not in self.group.members:
            self._let_go()
            self._lives += 1
            self.group.join(self.member)
        elif self.group.awaits(self.member):
            self._let_go()
            self.group.join(self.member)
        if not self.group.is_rebalancing and self._generation != self.group.generation:
            self._generation = self.group.generation
            self._owned = self.group.members[self.member]
            self._listener.assigned(self._owned)

    def _let_go(self) -> None:
        owned, self._owned = self._owned, frozenset()
        if owned:
            self._listener.revoked(owned)
        self._positions.clear()
        self._held.clear()

    def close(self) -> None:
        self._is_closed, self._is_settled = True, False
        self._let_go()
        self.group.leave(self.member)

    # ---- writing ---------------------------------------------------------------------------------------------------

    def renew(self) -> None:
        if not self._is_settled:
            self._ask("renew")
            self._epoch = self.broker.init(self.transactional_id)
            self._is_settled = True

    def commit(
        self, messages: Sequence[OutMessage], offsets: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        if not self._is_settled or not self._owned:
            raise CommitUnsettled("no partitions, or the last transaction is not settled: renew first")
        self._is_settled = False
        ends = self._transact(messages, {**self._held_back(messages, offsets), **offsets})
        self._is_settled = True
        return ends

    def _held_back(
        self, messages: Sequence[OutMessage], offsets: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """As in `KafkaLog`: an offset, unchanged, for each partition written to that consumed nothing."""
        missing = {message.partition for message in messages} - {partition for _, partition in offsets}
        return {tp: at for tp, at in self._held.items() if tp[1] in missing and tp[0] == self.sources[0]}

    def _transact(
        self, messages: Sequence[OutMessage], offsets: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        self._ask_to_commit("begin")
        self.broker.begin(self.transactional_id, self._epoch)
        self._ask_to_commit("offsets")
        self._write_offsets(offsets)
        ends = {}
        for message in messages:
            self._ask_to_commit("write")
            ends[message.topic, message.partition] = self._write(message) + 1
        self._ask_to_commit("end")
        self.broker.end(self.transactional_id, self._epoch, commit=True)
        self._held.update(offsets)
        self._ask_to_commit("ended")
        return ends

    def _write(self, message: OutMessage) -> int:
        if len(message.value or b"") > MAX_BYTES:
            raise CommitUnsettled(f"{message.topic}: {len(message.value or b'')} bytes are too many")
        return self.broker.write(self.transactional_id, self._epoch, message, self.clock())

    def _write_offsets(self, offsets: Mapping[TopicPartition, int]) -> None:
        if not offsets:
            return  # nothing that the broker could check
        if not self._is_member():
            raise CommitUnsettled(f"{self.member}: generation {self._generation} is over, now {self.group.generation}")
        self.broker.write_offsets(self.transactional_id, self._epoch, self.group, offsets)

    def _is_member(self) -> bool:
        return self.group.accepts(self.member, self._generation)

    # ---- looking things up -----------------------------------------------------------------------------------------

    def committed(self, partitions: Collection[int]) -> dict[TopicPartition, int]:
        self._ask("committed")
        if not self.broker.await_stable(self.group):
            raise LogUnavailable("offsets: a transaction is still open")
        sources = dict.fromkeys(self.sources)
        return {tp: offset for p in partitions for tp, offset in self.group.committed(sources, p).items()}

    def last(self, topic: str, partition: int) -> Message | None:
        self._ask("last")
        self._await_stable((topic, partition))
        return max(self.broker.logs[topic, partition].committed(), key=lambda m: m.offset, default=None)

    def read(self, topic: str, partition: int, from_offset: int) -> Iterator[Message]:
        self._ask("read")
        self._await_stable((topic, partition))
        for message in [*self.broker.logs[topic, partition].committed(from_offset)]:
            self._ask("reading")
            yield message

    def _await_stable(self, place: TopicPartition) -> None:
        if not self.broker.await_stable(place):
            raise LogUnavailable(f"{place}: a transaction is still open")

    # ---- what goes wrong -------------------------------------------------------------------------------------------

    def _ask(self, where: str) -> None:
        if self._is_closed or self._strike(f"log.{where}"):
            raise LogUnavailable(f"{where}: no answer")

    def _ask_to_commit(self, where: str) -> None:
        if self._strike(f"commit.{where}"):
            raise CommitUnsettled(f"{where}: no answer")
