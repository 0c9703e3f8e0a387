"""What a batch leads to beside the pools: outputs, counts, and what is remembered of customers."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from schemas.records import Output, Write
from streams.assignment.pools import Memory, decode_memory, encode

CUSTOMER: Final = "customer/"


class Ledger:
    def __init__(self, values: Mapping[str, bytes]) -> None:
        self.outputs: list[Output] = []
        self.counts: Counter[str] = Counter()
        self._values = values
        self._memories: dict[str, Memory] = {}
        self._known: set[str] = set()  # customers whose value was read

    def memory(self, customer_id: str) -> Memory:
        """What is remembered of a customer whom the batch names, to read and to change."""
        if customer_id not in self._memories:
            self._memories[customer_id] = decode_memory(self._values.get(CUSTOMER + customer_id))
            self._known.add(customer_id)
        return self._memories[customer_id]

    def remember(self, customer_id: str, memory: Memory) -> None:
        """Of whomever: what was remembered before need not be known."""
        self._memories[customer_id] = memory

    def writes(self) -> Iterator[Write]:
        for customer_id, memory in self._memories.items():
            write = Write(CUSTOMER + customer_id, None if memory.is_blank() else encode(memory))
            if customer_id not in self._known or write.value != self._values.get(write.key):
                yield write
