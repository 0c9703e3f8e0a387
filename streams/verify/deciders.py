"""Processors as they were when they decided an entry; and which records of a topic are whose."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from schemas.events import BatchCommitted
from schemas.records import Seen
from streams.log import Message
from streams.messages import REJECTED, REROUTED_FROM
from streams.policies import processor_of
from streams.processors import Assigner, Learner, Processor, Scorer
from streams.settings import Settings, policy_version
from streams.verify.given import CannotVerify
from streams.verify.models import Models

SOURCES = {"scorer": Scorer.sources, "assigner": Assigner.sources, "learner": Learner.sources}
OUTPUTS = {
    "scorer": ("scores", "tier-changes", "examples"),
    "assigner": ("assignments",),
    "learner": ("snapshots",),
}
COMPACTED = frozenset({"current-assignments"})  # what it holds follows from `assignments`

ALSO_BY_OPERATORS = frozenset({"examples"})  # warm starts, and who is to score


def written_by(processor: str) -> tuple[str, ...]:
    """The topics a processor writes to: its own, its sources (what it sends on), and those all write to."""
    return (*OUTPUTS[processor], f"{processor}.batch-log", *SOURCES[processor], REJECTED)


def is_written_by(processor: str, message: Message, namespace: str) -> bool:
    headers = dict(message.headers)
    if message.topic == REJECTED:
        return headers.get("rejected_topic", b"").decode() in SOURCES[processor]
    is_from_us = headers.get("ce_source", b"").startswith(f"/{namespace}/{processor}/".encode())
    if message.topic in SOURCES[processor]:
        return REROUTED_FROM in headers or is_from_us
    if message.topic in ALSO_BY_OPERATORS:
        return is_from_us
    return REROUTED_FROM not in headers


class Deciders:
    """Gives each entry the processor that decided it: by the policy and the model that it names."""

    def __init__(self, name: str, settings: Sequence[Settings], models: Models) -> None:
        """`settings` are those of now, then those of earlier times."""
        self._name, self._models = name, models
        now = settings[0]  # how many partitions there are is the namespace's, whatever a file of then says
        self._settings = {policy_version(each): replace(each, partitions=now.partitions) for each in settings}
        self._made: dict[str, Processor] = {}

    def of(self, entry: BatchCommitted) -> Processor:
        """Raises `CannotVerify` where the settings or the model of then are not known."""
        settings = self._settings.get(entry.policy_version)
        if settings is None:
            raise CannotVerify(
                f"{entry.id}: decided by policy {entry.policy_version}, these settings are policy "
                f"{' or '.join(self._settings)}; name the settings of then, too: --settings FILE, once for each"
            )
        if entry.policy_version not in self._made:
            self._made[entry.policy_version] = processor_of(self._name, settings, _no_snapshots)
        processor = self._made[entry.policy_version]
        if isinstance(processor, Scorer):
            processor.model = self._models.of(entry.model_version, settings.learning.champion)
        return processor


def _no_snapshots(_settings: Settings) -> Callable[[], Seen]:
    """The model of each entry is the one it names."""
    return lambda: Seen(0, None)
