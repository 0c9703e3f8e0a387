"""The services of a pool: who is served by whom until when, in shards that are decoded on first use.

A shard is the value of key `served/<pool>/<number>`; a customer's is told by the hash of their id. A batch loads all shards of
its pools, because it can't know beforehand whose place comes free, but most look into none of them, and a change rewrites
one. The pool's own value keeps what every look asks for: how full advisors are, and when the next service is due.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

from schemas.errors import BrokenPromise
from schemas.ids import hash64
from schemas.records import Write

SHARDS: Final = 16
NOTHING: Final = 0  # due: the shard is empty


class Service(Struct, array_like=True):
    """An active assignment."""

    assignment_id: str
    advisor_id: str
    contact_by_ms: int  # 0 once contact was made
    service_until_ms: int
    language: str | None
    offer: bytes  # an `Offer`; unpacked only where it is announced
    withheld_in: str = ""

    def due_ms(self) -> int:
        return min(self.contact_by_ms, self.service_until_ms) if self.contact_by_ms else self.service_until_ms


_Shard = dict[str, Service]  # by customer
_encoder = Encoder()
_decoder = Decoder(_Shard)


def shard_keys(pool: str) -> Iterator[str]:
    return (f"served/{pool}/{number}" for number in range(SHARDS))


class Services:
    """All services of one pool. `due` is kept by the pool: when each shard is due, `NOTHING` for an empty one."""

    def __init__(self, pool: str, due: list[int], values: Mapping[str, bytes]) -> None:
        self._keys = tuple(shard_keys(pool))
        self._due, self._values = due, values
        self._shards: dict[int, _Shard] = {}
        self._changed: set[int] = set()

    def __getitem__(self, customer_id: str) -> Service:
        return self._shard(_number(customer_id))[customer_id]

    def put(self, customer_id: str, service: Service) -> None:
        """A new service, or one that was changed."""
        number = _number(customer_id)
        self._shard(number)[customer_id] = service
        self._change(number)

    def pop(self, customer_id: str) -> Service:
        number = _number(customer_id)
        service = self._shard(number).pop(customer_id)
        self._change(number)
        return service

    def of(self, advisor_id: str) -> dict[str, Service]:
        """The customers of an advisor."""
        return {c: s for c, s in self._all(range(SHARDS)) if s.advisor_id == advisor_id}

    def due_by(self, now_ms: int) -> list[str]:
        """Customers whose service or whose contact is due by now, in the order of time, ties by id."""
        ripe = (number for number, due_ms in enumerate(self._due) if NOTHING < due_ms <= now_ms)
        due = ((s.due_ms(), c) for c, s in self._all(ripe) if s.due_ms() <= now_ms)
        return [customer_id for _, customer_id in sorted(due)]

    def writes(self) -> Iterator[Write]:
        for number in self._changed:
            shard = self._shards[number]
            yield Write(self._keys[number], _encoder.encode(shard) if shard else None)

    def _all(self, numbers: Iterable[int]) -> Iterator[tuple[str, Service]]:
        return (item for number in numbers for item in self._shard(number).items())

    def _shard(self, number: int) -> _Shard:
        if number not in self._shards:
            self._shards[number] = self._read(number)
        return self._shards[number]

    def _read(self, number: int) -> _Shard:
        value = self._values.get(self._keys[number])
        if value is None and self._due[number] != NOTHING:
            raise BrokenPromise(f"{self._keys[number]}: expected services, got no value; load it with its pool")
        return {} if value is None else _decoder.decode(value)

    def _change(self, number: int) -> None:
        self._changed.add(number)
        self._due[number] = min((s.due_ms() for s in self._shards[number].values()), default=NOTHING)


def _number(customer_id: str) -> int:
    return hash64(customer_id) % SHARDS
