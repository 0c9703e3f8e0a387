"""What must hold of a world at rest: each promise of DESIGN 5 as a function that yields what is wrong.

The judge trusts only what a subscriber could read, the stores' contents, and the core itself (`fault_free.py`).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from features.store import MemoryStore
from schemas.events import BatchCommitted
from streams.log import Message
from streams.messages import read_change
from streams.verify.recomputing import Step
from tests.simulation.fault_free import Replay, StuckError, committed
from tests.simulation.parts import Role, read_entry
from tests.simulation.world import World

EVER_MS = 2**52
REROUTED = "maitred_rerouted_from"
WRITES = {
    "scorer": ("scores", "tier-changes", "examples"),
    "assigner": ("assignments", "current-assignments"),
    "learner": ("snapshots",),
}
Place = tuple[str, int]


def findings(world: World) -> list[str]:
    """Everything that is wrong; empty if all is well."""
    found = [*_stopped(world), *_rest(world), *_ids(world), *_current(world)]
    for role in world.plan.roles:
        logs = {p: [*map(read_entry, committed(world, f"{role.name}.batch-log", p))] for p in range(role.partitions)}
        found += [] if role.chokes else _excluded(role, logs)
        sequence = [*_entries(role, logs), *_ranges(world, role, logs), *_watermarks(role, logs)]
        found += sequence
        if not sequence:
            found += _replayed(world, role, logs)
    return found


# ---- the log alone -------------------------------------------------------------------------------------------------


def _stopped(world: World) -> Iterator[str]:
    for worker in world.workers:
        for actor in worker.actors:
            for partition, error in actor.shell.stopped.items():
                yield f"{actor.role.name}[{partition}] was stopped: {error}"


def _rest(world: World) -> Iterator[str]:
    if not world.is_at_rest:
        offsets = {name: group.offsets for name, group in world.broker.groups.items()}
        yield f"does not come to rest: the groups stand at {offsets}"


def _ids(world: World) -> Iterator[str]:
    """No id comes twice."""
    times: Counter[tuple[str, bytes, bytes]] = Counter()
    for (topic, _), log in world.broker.logs.items():
        if topic not in world.plan.shop_topics:
            for message in log.committed():
                headers = dict(message.headers)
                if "ce_id" in headers:
                    times[topic, headers["ce_type"], headers["ce_id"]] += 1
    yield from (f"{topic}: {kind!r} {name!r} came {n} times" for (topic, kind, name), n in times.items() if n > 1)


def _current(world: World) -> Iterator[str]:
    """What `current-assignments` holds is what `assignments` add up to."""
    for partition in range(world.plan.topics["assignments"]):
        active: dict[bytes | None, bytes | None] = {}
        for message in committed(world, "assignments", partition):
            kind = dict(message.headers)["ce_type"]
            if kind == b"maitred.AdvisorAssigned":
                active[message.key] = message.value
            elif kind == b"maitred.AssignmentEnded":
                active.pop(message.key, None)
        current = {message.key: message.value for message in committed(world, "current-assignments", partition)}
        if {key: value for key, value in current.items() if value is not None} != active:
            yield f"current-assignments[{partition}] differs from what assignments add up to"


def _entries(role: Role, logs: Mapping[int, list[BatchCommitted]]) -> Iterator[str]:
    """Entries are numbered from 0 without a gap."""
    for partition, entries in logs.items():
        numbers = [entry.entry for entry in entries]
        if numbers != [*range(len(numbers))]:
            yield f"{role.name}[{partition}]: entries are {numbers}"


def _excluded(role: Role, logs: Mapping[int, list[BatchCommitted]]) -> Iterator[str]:
    """The core digests whatever comes in."""
    for partition, entries in logs.items():
        for excluded in (e for entry in entries for e in entry.excluded):
            yield f"{role.name}[{partition}]: failed on {excluded.topic}@{excluded.offset}: {excluded.error}"


def _ranges(world: World, role: Role, logs: Mapping[int, list[BatchCommitted]]) -> Iterator[str]:
    """Every source record lies in exactly one applied range, in order."""
    for partition, entries in logs.items():
        for topic in role.sources:
            offsets = [message.offset for message in committed(world, topic, partition)]
            runs = [run for entry in entries for run in entry.sequence if run.topic == topic]
            applied = [o for run in runs for o in offsets if run.from_offset <= o <= run.to_offset]
            if applied != offsets:
                yield f"{role.name}: {topic}[{partition}] holds {offsets}, applied were {applied}"


def _watermarks(role: Role, logs: Mapping[int, list[BatchCommitted]]) -> Iterator[str]:
    """The watermark never falls."""
    for partition, entries in logs.items():
        marks = [run.watermark_ms for entry in entries for run in entry.sequence]
        if marks != sorted(marks):
            yield f"{role.name}[{partition}]: the watermark falls: {marks}"


# ---- a fault-free run over the batch log ---------------------------------------------------------------------------


def _replayed(world: World, role: Role, logs: Mapping[int, list[BatchCommitted]]) -> Iterator[str]:
    replay = Replay(world, role)
    try:
        steps = replay.run(logs)
    except StuckError as stuck:
        yield str(stuck)
        return
    yield from _outputs(world, role, steps)
    for partition in range(role.partitions):
        yield from _state(world, role, partition, replay.store)
        yield from _changelog(world, role, partition, replay.store)


def _outputs(world: World, role: Role, steps: list[Step]) -> Iterator[str]:
    """What lies on the topics is what the core says, byte for byte, and in the order in which it says it."""
    expected: dict[Place, dict[tuple[object, ...], tuple[int, int]]] = defaultdict(dict)
    for number, step in enumerate(steps):
        for message in step.messages:
            content = (message.key, message.value, message.headers)
            expected[message.topic, message.partition][content] = (step.entry.partition, number)
    for place in dict.fromkeys([*expected, *_written_by(world, role)]):
        contents = [(m.key, m.value, m.headers) for m in _ours(world, role, place)]
        if Counter(contents) != Counter([*expected[place]]):
            yield _difference(role, place, contents, [*expected[place]])
            continue
        order: dict[int, list[int]] = defaultdict(list)
        for content in contents:
            partition, number = expected[place][content]
            order[partition].append(number)
        if any(numbers != sorted(numbers) for numbers in order.values()):
            yield f"{role.name}: {place} is out of order: {dict(order)}"


def _written_by(world: World, role: Role) -> list[Place]:
    """Where a processor writes, or may have written what its replay does not know of."""
    topics = {*WRITES[role.name], *role.sources, "rejected", f"{role.name}.batch-log"}
    return [place for place in world.broker.logs if place[0] in topics]


def _ours(world: World, role: Role, place: Place) -> Iterator[Message]:
    """What this processor wrote: all on its own topics; of shared ones what came from its sources."""
    topic, source = place[0], f"/{world.settings.namespace}/{role.name}/{place[0]}".encode()
    for message in world.broker.logs[place].committed():
        headers = dict(message.headers)
        if topic in role.sources:
            if REROUTED in headers or headers.get("ce_source") == source:
                yield message
        elif topic == "rejected":
            if headers["rejected_topic"].decode() in role.sources:
                yield message
        elif topic != "examples" or headers.get("ce_source") == source:  # operators write there, too
            yield message


def _difference(
    role: Role, place: Place, got: Sequence[tuple[object, ...]], expected: Sequence[tuple[object, ...]]
) -> str:
    extra, missing = Counter(got) - Counter(expected), Counter(expected) - Counter(got)
    return f"{role.name}: {place}\n   has, and the core does not say: {[*extra][:3]}\n   lacks: {[*missing][:3]}"


def _state(world: World, role: Role, partition: int, replayed: MemoryStore) -> Iterator[str]:
    """The store holds what the core leaves, and stands at the end of the batch log."""
    store = world.shared.memory(role.name)
    if (at := store.position(partition).entry) != (end := replayed.position(partition).entry):
        yield f"{role.name}[{partition}]: the store stands at {at}, the batch log at {end}"
    elif (got := store.contents(partition)) != (expected := replayed.contents(partition)):
        keys = sorted(k for k in {*got, *expected} if got.get(k) != expected.get(k))
        yield f"{role.name}[{partition}]: the store differs in {keys}"
    elif store.load(partition, (), EVER_MS).due != replayed.load(partition, (), EVER_MS).due:
        yield f"{role.name}[{partition}]: the store differs in what is due"


def _changelog(world: World, role: Role, partition: int, replayed: MemoryStore) -> Iterator[str]:
    """The changelog's last values are the state, due times included."""
    changes = [read_change(m).write for m in committed(world, f"{role.name}.changelog", partition)]
    latest = {write.key: write for write in changes}
    live = {write.key: write.value for write in latest.values() if write.value is not None}
    due = sorted((w.due_ms, w.key) for w in latest.values() if w.value is not None and w.due_ms is not None)
    if live != replayed.contents(partition) or due != [*replayed.load(partition, (), EVER_MS).due]:
        keys = sorted(
            k for k in {*live, *replayed.contents(partition)} if live.get(k) != replayed.contents(partition).get(k)
        )
        yield f"{role.name}[{partition}]: the changelog differs in {keys}"
