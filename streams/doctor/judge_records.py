"""Judges what the topics hold: keys and their partitions, rejects, how time was told, the settings' version, snapshots."""

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from schemas.ids import partition_of
from schemas.rejects import INCURABLE
from streams.doctor.findings import Finding, Severity, warning
from streams.doctor.gathered import Entry, Group, Records, Rejected, Sample
from streams.namespace import Made
from streams.settings import Settings
from streams.topics import judged_made

HOUR_MS = 3_600_000
LATELY_MS = 24 * HOUR_MS
EXPLAINS = 0.95  # of the records on wrong partitions
SNAPSHOTS_LATE = 2  # times `snapshot_every` examples without one


# ---- keys ----------------------------------------------------------------------------------------------------------


def keys(records: Records, settings: Settings) -> Iterator[Finding]:
    """Whether the sources' records lie on the partitions of their customers or pools, and if not, why."""
    by_topic: dict[str, list[Sample]] = defaultdict(list)
    for sample in records.samples:
        by_topic[sample.place[0]].append(sample)
    for topic, samples in sorted(by_topic.items()):
        published = [s for s in samples if s.subject is not None and s.came_from is None]
        wrong = [s for s in published if s.place[1] != partition_of(s.subject or "", settings.partitions)]
        moved = sum(1 for s in samples if s.came_from is not None)
        if wrong:
            expected = "murmur2 of the customer, visitor or pool a record is about"
            got = f"{len(wrong)} of {len(published)} of the latest records elsewhere, {moved} sent on{_reason(wrong, settings)}"
            yield warning(f"keys of {topic}", expected, got, _keys_cure(wrong, settings))


def _reason(samples: Sequence[Sample], settings: Settings) -> str:
    return {
        "unkeyed": ": they have no key",
        "crc32": ": they lie where CRC32 puts their keys",
        "other_key": ": they are keyed by something else",
        "": "",
    }[explanation(samples, settings.partitions)]


def _keys_cure(samples: Sequence[Sample], settings: Settings) -> str:
    slow = "Maitred sends such records on, which costs time and order"
    return {
        "unkeyed": f"publish with the customer id as key; {slow}",
        "crc32": "set partitioner=murmur2_random in the shop's client: CRC32 (consistent, consistent_random) is "
        f"librdkafka's and kcat's default; {slow}",
        "other_key": f"publish with the customer id (before login: the visitor id) as key; {slow}",
        "": f"use Java's default partitioner (librdkafka: partitioner=murmur2_random) and {settings.partitions} "
        f"partitions; {slow}",
    }[explanation(samples, settings.partitions)]


def explanation(samples: Sequence[Sample], partitions: int) -> str:
    """What put these records where they lie, though they belong elsewhere: "crc32", "other_key", "unkeyed"; "": unknown."""
    keyed = [(s.key, s.place[1]) for s in samples if s.key is not None]
    if len(keyed) <= len(samples) * (1 - EXPLAINS):
        return "unkeyed"
    by_crc32 = sum(1 for key, p in keyed if zlib.crc32(key.encode()) % partitions == p)
    by_key = sum(1 for key, p in keyed if partition_of(key, partitions) == p)
    if by_crc32 >= EXPLAINS * len(keyed):
        return "crc32"
    return "other_key" if by_key >= EXPLAINS * len(keyed) else ""


def keys_well(records: Records, _settings: Settings) -> str:
    keyed = sum(1 for sample in records.samples if sample.subject is not None)
    return f"{keyed} of the latest records looked at, all where murmur2 puts them" if keyed else "no records yet"


# ---- rejects -------------------------------------------------------------------------------------------------------


def rejects(records: Records, now_ms: int) -> Iterator[Finding]:
    """What was set aside lately, by class and topic."""
    counts = Counter((r.topic, r.error) for r in _lately(records.rejected, now_ms))
    for (topic, error), count in counts.most_common():
        listed = f"`maitred rejected list --topic {topic} --error {error}` says what is wrong with each"
        severity: Severity = "error" if error == "core" else "note"
        got = f"{count} as {error}"
        yield Finding(
            f"rejected, from {topic}", "none in the last 24 hours", got, f"{listed}; {_way_back(error)}", severity
        )


def _way_back(error: str) -> str:
    if error == "core":
        return "report it: it is a fault of Maitred's"
    if error in INCURABLE:
        return "correct it and publish it again: a `retry`, unchanged, would only be rejected once more"
    return "mend the cause, then `maitred rejected retry` takes it back"


def rejects_well(records: Records, _now_ms: int) -> str:
    return "none in the last 24 hours" + (", older ones are kept" if records.rejected else "")


def _lately(rejected: Sequence[Rejected], now_ms: int) -> list[Rejected]:
    return [reject for reject in rejected if reject.at_ms > now_ms - LATELY_MS]


# ---- how time is told ----------------------------------------------------------------------------------------------


def time_mode(
    made: Made | None, records: Records, groups: Mapping[str, Group], settings: Settings
) -> Iterator[Finding]:
    """Whether the namespace was made, or used, with the other value of `time`, or another base currency."""
    if made is None:
        yield from _time_as_used(records, groups, settings)
    for problem in judged_made(made, settings):
        severity: Severity = "error" if problem.stops else "warning"
        yield Finding(problem.topic, problem.expected, problem.got, problem.cure, severity)


def _time_as_used(records: Records, groups: Mapping[str, Group], settings: Settings) -> Iterator[Finding]:
    """Where nothing says what it was made with, the watermarks do."""
    last = dict(records.last_batches())
    cure = "set it back: it is never changed for a namespace; `maitred rebuild` makes a new one"
    if settings.time == "event" and any(entry.has_ticked for entry in last.values()):
        yield Finding("time, by the batch logs", '"wall", as it was used before', '"event"', cure)
    has_followed = bool(last) and all(_follows_records(entry, settings) for entry in last.values())
    if settings.time == "wall" and has_followed and not any(_waits(groups, *place) for place in last):
        yield Finding("time, by the batch logs", '"event", as it seems to have been used before', '"wall"', cure)


def time_mode_well(_made: Made | None, records: Records, _groups: Mapping[str, Group], settings: Settings) -> str:
    return f'"{settings.time}", as before' if any(records.last_batches()) else f'"{settings.time}", not used yet'


def _follows_records(entry: Entry, settings: Settings) -> bool:
    """With nothing waiting, a watermark that follows the clock stands at the time of writing less the lateness."""
    return entry.watermark_ms < entry.written_ms - settings.batch.allowed_lateness_ms - HOUR_MS


def _waits(groups: Mapping[str, Group], processor: str, partition: int) -> bool:
    """One more than the records there are may wait: the mark that ends a transaction."""
    group = groups.get(processor)
    return group is None or any(p == partition and count > 1 for (_, p), count in group.waiting.items())


# ---- which settings ------------------------------------------------------------------------------------------------


def policy(records: Records, groups: Mapping[str, Group], policy_version: str, now_ms: int) -> Iterator[Finding]:
    """Whether workers decide by the settings that lie here."""
    recent = {e.policy_version for _, e in records.last_batches() if e.written_ms > now_ms - HOUR_MS}
    if recent and policy_version not in recent and any(group.held for group in groups.values()):
        cure = "restart the workers, or run the doctor with their settings"
        got = f"{', '.join(sorted(recent))} in the batch logs"
        yield warning("policy_version", f"{policy_version}, of the settings that lie here", got, cure)


def policy_well(_records: Records, _groups: Mapping[str, Group], policy_version: str, _now_ms: int) -> str:
    return f"policy_version {policy_version}"


# ---- the model -----------------------------------------------------------------------------------------------------


def snapshots(records: Records, settings: Settings) -> Iterator[Finding]:
    """Whether the learner keeps up: snapshots come by examples, not by time, so age alone is no fault."""
    since, every = records.learning.examples_since, settings.learning.snapshot_every
    if since >= SNAPSHOTS_LATE * every:
        cure = "see whether a worker runs the learner and what it logs; scores go on with the older version"
        yield warning("snapshots", f"one every {every} examples", f"none for {since} examples", cure)


def snapshots_well(records: Records, _settings: Settings) -> str:
    learning = records.learning
    if learning.snapshot_ms is None:
        return f"none yet, after {learning.examples_since} examples: the rule scores"
    return f"the newest has {learning.examples_since} examples behind it"
