"""A consumer group: members, generations, the partitions of each member, and the offsets that were committed.

Rebalances are eager: a new generation begins when every member has let go of what it had and joined again. Who does not
in time is evicted, which the world decides. Partition *p* of all sources is one unit, as the range assignor gives it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from streams.log import TopicPartition

if TYPE_CHECKING:
    from tests.simulation.broker import Transaction


class Group:
    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.generation = 0
        self.members: dict[str, frozenset[int]] = {}  # -> what the current generation assigned to them
        self.joined: dict[str, None] = {}  # who takes part in the next generation
        self.is_rebalancing = False
        self.offsets: dict[TopicPartition, int] = {}
        self.pending: dict[Transaction, None] = {}  # whose offsets are written and not settled

    # ---- members ---------------------------------------------------------------------------------------------------

    def join(self, member: str) -> None:
        self.members.setdefault(member, frozenset())
        self.is_rebalancing = True
        self.joined[member] = None
        self._begin_generation()

    def leave(self, member: str) -> None:
        """A member goes, or is evicted because nothing was heard of it."""
        if self.members.pop(member, None) is None:
            return
        self.joined.pop(member, None)
        self.is_rebalancing = True
        self._begin_generation()

    def _begin_generation(self) -> None:
        if not self.members or set(self.joined) != set(self.members):
            return
        self.generation += 1
        names, count = sorted(self.members), len(self.members)
        for index, name in enumerate(names):
            first, last = (self.partitions * i // count for i in (index, index + 1))
            self.members[name] = frozenset(range(first, last))
        self.joined, self.is_rebalancing = {}, False

    def awaits(self, member: str) -> bool:
        """Whether this member holds a rebalance up."""
        return self.is_rebalancing and member not in self.joined

    def accepts(self, member: str, generation: int) -> bool:
        """Whether offsets of this member may be committed (KIP-447): it is of the current generation."""
        return member in self.members and generation == self.generation

    # ---- offsets ---------------------------------------------------------------------------------------------------

    def settle(self, transaction: "Transaction") -> None:
        del self.pending[transaction]
        if transaction.outcome == "committed":
            self.offsets.update(transaction.offsets)

    def committed(self, sources: Mapping[str, object], partition: int) -> dict[TopicPartition, int]:
        return {(topic, partition): self.offsets.get((topic, partition), 0) for topic in sources}
