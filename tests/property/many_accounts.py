"""A small world of scorers, one per partition, that hear each other on `privacy`: for tests of accounts that are merged.

Each partition applies its records in order; which partition is next is the test's choice.
"""

from collections import Counter, deque

from msgspec.structs import replace

from features.merging import MERGED_KEPT
from features.profile import Profile, decode_account
from features.store import MemoryStore, Position
from online_models.model import load_model
from schemas.events import CustomerScored, CustomerStanding, EventForwarded, ExampleReady, ProfileMoved, TierChanged
from schemas.ids import partition_of
from schemas.records import Announcement, Batch, Record, Rejection, Run, State
from streams import engine
from streams.door import subject_of
from tests.property.histories import POLICY

MODEL = load_model(None)
HEARD = (CustomerScored, CustomerStanding, ExampleReady, TierChanged)


class Scorers:
    def __init__(self, partitions=2, policy=POLICY):
        self.policy = replace(policy, partitions=partitions)
        self.store = MemoryStore()
        self.waiting: list[deque[Record]] = [deque() for _ in range(partitions)]
        self.entries = [0] * partitions
        self.offsets: Counter[tuple[str, int]] = Counter()
        self.counts: Counter[str] = Counter()
        self.told, self.rejected, self.sent = [], [], []

    # ---- records ---------------------------------------------------------------------------------------------------

    def publish(self, topic, event):
        partition = partition_of(subject_of(event), len(self.waiting))
        offset = self.offsets[topic, partition]
        self.offsets[topic, partition] += 1
        self.waiting[partition].append(Record(topic, partition, offset, 0, None, b"", (), event))

    def step(self, partition):
        """Apply the next record that waits there; says whether there was one."""
        if not self.waiting[partition]:
            return False
        record = self.waiting[partition].popleft()
        self._decide(partition, Run(record.topic, (record,), 0))
        return True

    def settle(self, at_most=10_000):
        """Apply all that waits, and all that follows from it. Fails where that has no end."""
        for _ in range(at_most):
            if not any(self.step(partition) for partition in range(len(self.waiting))):
                return
        raise AssertionError("records go round for ever")

    def tell(self, topic, *events):
        for event in events:
            self.publish(topic, event)
            self.settle()

    def pass_time(self, watermark_ms):
        for partition in range(len(self.waiting)):
            self._decide(partition, Run("", (), watermark_ms))
        self.settle()

    def _decide(self, partition, run):
        batch = Batch(partition, self.entries[partition], (run,))
        needs = engine.needs(batch, self.policy)
        loaded = self.store.load(partition, needs.keys, needs.due_by_ms)
        more = self.store.load(partition, engine.companions(key for _, key in loaded.due), -1).values
        state = State({**loaded.values, **more}, self.store.read(needs.outside), loaded.due)
        decision = engine.decide(state, batch, MODEL, self.policy)
        self.store.apply(partition, batch.entry, Position(batch.entry + 1), decision.writes)
        self.entries[partition] += 1
        self.counts.update(decision.counts)
        for output in decision.outputs:
            self._hear(output)

    def _hear(self, output):
        if isinstance(output, Rejection):
            self.rejected.append(output)
        elif isinstance(output, Announcement) and output.topic == "privacy":
            assert isinstance(output.event, ProfileMoved | EventForwarded)
            assert output.key == output.event.customer_id
            self.sent.append(output.event)
            self.publish("privacy", output.event)
        elif isinstance(output, Announcement):
            assert isinstance(output.event, HEARD)
            self.told.append(output.event)

    # ---- what is known ---------------------------------------------------------------------------------------------

    def account(self, customer_id):
        """A profile, the account it was merged into, or None."""
        contents = self.store.contents(partition_of(customer_id, len(self.waiting)))
        value = contents.get("p/" + customer_id)
        return None if value is None else decode_account(value)

    def profile(self, customer_id):
        account = self.account(customer_id)
        assert isinstance(account, Profile)
        assert len(account.merged) <= MERGED_KEPT
        return account

    def has_looks(self, customer_id):
        return "l/" + customer_id in self.store.contents(partition_of(customer_id, len(self.waiting)))

    def heard(self, kind, customer_id=None):
        return [e for e in self.told if isinstance(e, kind) and customer_id in (None, e.customer_id)]

    def standings(self, customer_id):
        return [event.standing for event in self.heard(CustomerStanding, customer_id)]
