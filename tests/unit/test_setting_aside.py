"""A record that the core fails on, or leads to what can't be written, is found and set aside; the others go on."""

from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from features.store import NOWHERE, MemoryStore
from schemas.errors import BrokenPromise, RegistryUnavailable
from schemas.events import ConsentChanged, TierChanged
from schemas.records import Announcement, Batch, Decision, Fault, Needs, Record, Rejection, Run, State
from streams.commit import Committer
from streams.loading import Ready
from streams.messages import Wire
from streams.setting_aside import setting_aside

CHANGE = TierChanged(
    id="t", customer_id="c", market="DE", occurred_at_ms=1, change="reached", tier="gold", qualifying_minor=1,
    missing_minor=0, policy_version="p",
)  # fmt: skip
WIRE = Wire("/maitred/scorer", lambda _: 1, lambda _: 14)
BEYOND_A_LONG = 1 << 70


def record(offset):
    event = ConsentChanged(customer_id=f"c{offset}", occurred_at_ms=offset, granted=True)
    return Record("privacy", 0, offset, 0, b"c", b"{}", (), event)


BATCH = Batch(0, 0, (Run("privacy", tuple(map(record, range(9))), 1),))


def deciding(decide):
    """A committer whose core decides so."""
    processor = SimpleNamespace(name="scorer", decide=decide, needs=lambda _: Needs(frozenset()))
    return Committer(processor, SimpleNamespace(), MemoryStore(), WIRE, lambda: 0)


def tell(amount_of):
    """Each record leads to an output with that amount; one set aside to its rejection."""

    def decide(_state, batch):
        return Decision(
            (),
            tuple(
                Rejection(r, r.event)
                if isinstance(r.event, Fault)
                else Announcement("tier-changes", "c", replace(CHANGE, qualifying_minor=amount_of(r.offset)))
                for r in batch.records()
            ),
        )

    return decide


def test_a_record_that_leads_to_what_cannot_be_written_is_set_aside():
    committer = deciding(tell(lambda offset: BEYOND_A_LONG if offset in (2, 7) else offset))
    decided = committer._decide(Ready(BATCH, State({}), NOWHERE))
    assert [r.offset for r in decided.batch.records() if isinstance(r.event, Fault)] == [2, 7]
    assert [m.topic for m in decided.outputs].count("rejected") == 2
    assert len(decided.outputs) == 9


def test_what_cannot_be_written_though_all_is_set_aside_stops_the_partition():
    def always(_state, _batch):
        return Decision((), (Announcement("tier-changes", "c", replace(CHANGE, qualifying_minor=BEYOND_A_LONG)),))

    with pytest.raises(BrokenPromise) as stopped:
        deciding(always)._decide(Ready(BATCH, State({}), NOWHERE))
    assert stopped.value.partition == 0


def test_a_registry_that_is_silent_is_no_records_fault():
    tried = []

    def decide(batch):
        tried.append(batch)
        if len(tried) > 1:
            raise RegistryUnavailable("no answer")
        raise KeyError("a record's fault, it seems")

    with pytest.raises(RegistryUnavailable):
        setting_aside(decide, BATCH, "scorer")
