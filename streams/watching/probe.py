"""What can only be asked of the servers: how far each processor is behind, how full the pools are, what the model is worth.

Asked every few seconds on a thread of its own, so that neither commits nor a scrape wait for it. It reads what is committed,
with clients of its own, and changes nothing; whether the answers are good ones, `health.py` says.
"""

from collections.abc import Mapping

from msgspec import Struct

from features.store import Store
from online_models.learner import MODEL, SNAPSHOT, Learned, recall
from online_models.snapshots import Snapshot, unpack
from schemas.ids import partition_of
from streams.assembly import LEARNER_PARTITION, Station, store_of
from streams.assignment.pools import Pool, decode_pool
from streams.kafka.client import kafka_config
from streams.kafka.offsets import GroupOffsets, Standing
from streams.kafka.reader import KafkaReader
from streams.log import TopicPartition
from streams.settings import Settings


class PoolFill(Struct, frozen=True):
    capacity: int  # of the advisors who are active
    taken: int
    free: int
    waiting: int  # customers
    is_paused: bool = False


class Findings(Struct, frozen=True):
    """Of one processor, at one moment."""

    lag: Mapping[TopicPartition, int] = {}  # committed records not applied yet
    applied: Mapping[int, int] = {}  # by partition: the sum of its offsets, which grows with every record
    pools: Mapping[str, PoolFill] = {}
    snapshot: Snapshot | None = None  # the one that scores
    snapshot_at_ms: int = 0  # when the last one was published
    champion: str = "rule"  # as configured
    is_held: bool = False  # the last one published is not the one that scores


class Probe:
    """Asks for one station. Raises `LogUnavailable` or `StoreUnavailable` where a server does not answer."""

    def __init__(self, station: Station, settings: Settings) -> None:
        self._station, self._partitions = station, settings.partitions
        kafka = kafka_config(settings)
        self._offsets = GroupOffsets(kafka, station.name, station.shell.intake.sources)
        self._reader = KafkaReader(kafka, kafka.wire(f"{station.name}.probe"))
        self._store: Store = store_of(station.name, settings)
        self._pools = {settings.markets.default_pool, *settings.markets.pools.values()}
        self._published = ("", 0)
        self._learning = settings.learning

    def ask(self) -> Findings:
        shell = self._station.shell
        held = {*shell.assigned_partitions, *shell.stopped}
        self._store.position(min(held, default=0))  # whether it answers
        standings = self._offsets.standings(held)
        is_learner = self._station.name == "learner" and LEARNER_PARTITION in held
        snapshot, learned = self._model() if is_learner else (None, None)
        return Findings(
            lag=lag_of(standings, self._station.drained()),
            applied={p: sum(s.next_offset for (_, at), s in standings.items() if at == p) for p in held},
            pools=self._fills(held) if self._station.name == "assigner" else {},
            snapshot=snapshot,
            snapshot_at_ms=self._published_at_ms(f"{snapshot.version}/{learned.taught}") if snapshot and learned else 0,
            champion=self._learning.champion,
            is_held=bool(self._learning.pin or (learned and learned.standing.held)),
        )

    def _fills(self, held: set[int]) -> dict[str, PoolFill]:
        keys = {f"pool/{pool}": partition_of(pool, self._partitions) for pool in sorted(self._pools)}
        seen = self._store.read({key: partition for key, partition in keys.items() if partition in held})
        return {key.removeprefix("pool/"): fill_of(decode_pool(value)) for key, (_, value) in seen.items()}

    def _model(self) -> tuple[Snapshot | None, Learned]:
        seen = self._store.read({SNAPSHOT: LEARNER_PARTITION, MODEL: LEARNER_PARTITION})
        payload = seen[SNAPSHOT].value
        return unpack(payload) if payload is not None else None, recall(seen[MODEL].value)

    def _published_at_ms(self, learnt: str) -> int:
        """By the broker's time, looked up when something was learnt: it must be told after a restart, too."""
        if self._published[0] != learnt:
            last = self._reader.last("snapshots", partition_of(MODEL, 1))
            self._published = (learnt, last.timestamp_ms if last else 0)
        return self._published[1]

    def close(self) -> None:
        self._reader.close()
        self._store.close()


def lag_of(
    standings: Mapping[TopicPartition, Standing], drained: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Records that wait. What transactions leave behind the last record (their markers) is none.

    >>> lag_of({("orders", 0): Standing(10, 15), ("scores", 0): Standing(4, 5)}, {("scores", 0): 5})
    {('orders', 0): 5, ('scores', 0): 0}
    """
    return {place: max(0, end - max(at, drained.get(place, 0))) for place, (at, end) in standings.items()}


def fill_of(pool: Pool) -> PoolFill:
    active = {name: advisor for name, advisor in pool.advisors.items() if advisor.status == "active"}
    here = {name: advisor for name, advisor in active.items() if not advisor.is_away(pool.clock_ms)}
    return PoolFill(
        capacity=sum(advisor.capacity for advisor in active.values()),
        taken=sum(map(pool.load, pool.advisors)),
        free=sum(max(0, advisor.capacity - pool.load(name)) for name, advisor in here.items()),
        waiting=len(pool.waiting),
        is_paused=pool.status == "paused",
    )
