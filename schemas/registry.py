"""Which schema an id names, and which id a schema has: the only registry client.

`FileRegistry` is built in: its ids come with the committed history, so they are the same on every machine.
`ConfluentRegistry` speaks to a Confluent-compatible registry. Subjects are named by record (`maitred.OrderPlaced`),
because several types share a topic. Reading bytes by a schema is `codec.py`'s work.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Protocol, TypeVar

from schemas.definitions import NAMESPACE, Definitions, Version, meaning
from schemas.errors import RegistryUnavailable, SchemaError

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import Schema

COMPATIBILITY = "FULL_TRANSITIVE"
UNKNOWN_FOR_S = 30.0  # how long an unknown id is believed to be unknown
_UNKNOWN_AT_MOST = 10_000
_NOT_FOUND, _CONFLICT, _UNPROCESSABLE = 404, 409, 422

T = TypeVar("T")


class Registry(Protocol):
    def schema_id(self, name: str) -> int:
        """The id of an event's current definition, to write with. Raises SchemaError if it isn't registered."""
        ...

    def writer_schema(self, schema_id: int) -> str | None:
        """The schema of an id, as JSON; None if the registry doesn't know it. Raises RegistryUnavailable."""
        ...

    def register(self, name: str) -> int:
        """Makes the current definition known and returns its id. Raises SchemaError if it is refused."""
        ...

    def check(self, name: str) -> list[str]:
        """What stands against registering the current definition: one line each, with the cure."""
        ...


class FileRegistry:
    """The committed history as a registry. To register is to commit a version: `maitred schemas commit`."""

    def __init__(self, definitions: Definitions | None = None) -> None:
        self._definitions = definitions or Definitions()
        self._versions = self._definitions.ids()
        self._ids = {version: schema_id for schema_id, version in self._versions.items()}

    def schema_id(self, name: str) -> int:
        versions = self._definitions.versions(name)
        newest = max(versions, default=0)
        if not newest or meaning(versions[newest]) != meaning(self._definitions.current(name)):
            raise SchemaError(f"{name}.avsc is no committed version; run `maitred schemas commit`")
        return self._ids[Version(name, newest)]

    def writer_schema(self, schema_id: int) -> str | None:
        version = self._versions.get(schema_id)
        return version and self._definitions.versions(version.name)[version.number]

    def register(self, name: str) -> int:
        return self.schema_id(name)

    def check(self, name: str) -> list[str]:
        try:
            self.schema_id(name)
        except SchemaError as error:
            return [str(error)]
        return []


class ConfluentRegistry:
    """A registry that speaks Confluent's REST API. `config` is confluent_kafka's: `url`, `basic.auth.user.info` ..."""

    def __init__(self, config: Mapping[str, object], definitions: Definitions | None = None) -> None:
        from confluent_kafka.schema_registry import SchemaRegistryClient  # noqa: PLC0415  # 0.3 s, only if one is used

        self._client = SchemaRegistryClient(dict(config))
        self._definitions = definitions or Definitions()
        self._unknown: dict[int, float] = {}  # schema id -> when to ask again

    def schema_id(self, name: str) -> int:
        found = self._ask(lambda: self._client.lookup_schema(subject_of(name), self._schema(name)))
        if found is None or found.schema_id is None:
            raise SchemaError(f"{name}.avsc is not registered as {subject_of(name)}; run `maitred schemas register`")
        return int(found.schema_id)

    def writer_schema(self, schema_id: int) -> str | None:
        """An unknown id is asked for again after a while, not for each record that names it."""
        if monotonic() < self._unknown.get(schema_id, 0.0):
            return None
        found = self._ask(lambda: self._client.get_schema(schema_id))
        if found is None:
            if len(self._unknown) >= _UNKNOWN_AT_MOST:
                self._unknown.clear()
            self._unknown[schema_id] = monotonic() + UNKNOWN_FOR_S
            return None
        return found.schema_str

    def register(self, name: str) -> int:
        with _asking():
            self._client.set_compatibility(subject_of(name), COMPATIBILITY)
            return self._client.register_schema(subject_of(name), self._schema(name))

    def check(self, name: str) -> list[str]:
        """Compatible with every registered version, and held to FULL_TRANSITIVE from now on."""
        subject = subject_of(name)
        numbers = self._ask(lambda: self._client.get_versions(subject)) or []
        level = self._ask(lambda: self._client.get_compatibility(subject)) if numbers else COMPATIBILITY
        problems = [
            f"{subject}: not compatible with version {number} in the registry; keep what it has, add fields with defaults"
            for number in numbers
            if not self._ask(lambda: self._client.test_compatibility(subject, self._schema(name), number))  # noqa: B023
        ]
        if level != COMPATIBILITY:
            problems.append(f"{subject}: compatibility is {level or 'the default'}, expected {COMPATIBILITY}; "
                            "run `maitred schemas register`")  # fmt: skip
        return problems

    def close(self) -> None:
        self._client.close()

    def _schema(self, name: str) -> "Schema":
        from confluent_kafka.schema_registry import Schema  # noqa: PLC0415  # as above

        return Schema(self._definitions.current(name), "AVRO")

    def _ask(self, question: Callable[[], T]) -> T | None:
        """The answer; None if the registry says that there is none."""
        try:
            with _asking():
                return question()
        except _NotFoundError:
            return None


class _NotFoundError(SchemaError):
    pass


@contextmanager
def _asking() -> Iterator[None]:
    """Sorts what goes wrong: the registry says no (SchemaError), or it can't be asked (RegistryUnavailable)."""
    from confluent_kafka.schema_registry.error import SchemaRegistryError  # noqa: PLC0415  # as above

    try:
        yield
    except SchemaRegistryError as error:
        if error.http_status_code == _NOT_FOUND:
            raise _NotFoundError(str(error)) from error
        if error.http_status_code in (_CONFLICT, _UNPROCESSABLE):
            raise SchemaError(f"the registry refuses: {error.error_message}") from error
        raise RegistryUnavailable(f"the registry answers {error.http_status_code}: {error.error_message}") from error
    except Exception as error:  # the client lets through whatever its HTTP library raises
        raise RegistryUnavailable(f"the registry does not answer: {error}") from error


def open_registry(url: str) -> Registry:
    """The built-in registry for "file", else the Confluent-compatible one at this address."""
    return FileRegistry() if url == "file" else ConfluentRegistry({"url": url})


def subject_of(name: str) -> str:
    """The registry's name for an event's versions.

    >>> subject_of("OrderPlaced")
    'maitred.OrderPlaced'
    """
    return f"{NAMESPACE}.{name}"
