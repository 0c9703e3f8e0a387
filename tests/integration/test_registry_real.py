"""A real registry does what ours only pretends to: `make servers REGISTRY_PORT=8081`, or any by MAITRED_REGISTRY__URL."""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from schemas.codec import Schemas, read_event, write_event
from schemas.definitions import Definitions, meaning
from schemas.errors import RegistryUnavailable, SchemaError
from schemas.events import ErasureRequested
from schemas.records import Fault
from schemas.registry import ConfluentRegistry

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

SERVERS = Path(__file__).parents[2] / "docker" / "servers.py"
EVENT = ErasureRequested(customer_id="17850", occurred_at_ms=1_290_000_000_000)


@pytest.fixture(scope="module")
def servers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("maitred_servers", SERVERS)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def url(servers: ModuleType) -> str:
    """Of a registry that is running."""
    named, port = os.environ.get("MAITRED_REGISTRY__URL", "file"), os.environ.get("REGISTRY_PORT")
    found = named if named != "file" else f"http://127.0.0.1:{port}{servers.REGISTRY_API}" if port else None
    if found is None:
        if os.environ.get("MAITRED_REQUIRE_SERVERS"):
            pytest.fail("no registry: set REGISTRY_PORT for `make servers` and here, or MAITRED_REGISTRY__URL")
        pytest.skip("no registry is running")
    return found


@pytest.fixture
def definitions(tmp_path: Path) -> Definitions:
    """A copy of our definitions that a test may change."""
    shutil.copytree(Definitions().folder, tmp_path / "schemas", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return Definitions(tmp_path / "schemas")


OPENED: list[ConfluentRegistry] = []


def registry(url: str, definitions: Definitions | None = None) -> ConfluentRegistry:
    """A client that has asked nothing yet."""
    OPENED.append(ConfluentRegistry({"url": url, "max.retries": 0, "timeout": 5}, definitions))
    return OPENED[-1]


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def add_field(definitions: Definitions, **field: object) -> None:
    path = definitions.folder / "ErasureRequested.avsc"
    definition = json.loads(path.read_text())
    definition["fields"].append({"name": "why", "type": ["null", "string"], "doc": "Why.", **field})
    path.write_text(json.dumps(definition))


def test_every_schema_is_registered_and_read_back(url: str) -> None:
    """Under one id however often it is registered; what comes back means the same."""
    ours, names = registry(url), Definitions().names()
    ids = {name: ours.register(name) for name in names}
    assert len(set(ids.values())) == len(names) >= 21
    assert {name: ours.register(name) for name in names} == ids
    later = registry(url)
    assert {name: later.schema_id(name) for name in names} == ids
    for name, schema_id in ids.items():
        text = later.writer_schema(schema_id)
        assert text
        assert meaning(text) == meaning(Definitions().current(name))
    assert [problem for name in names for problem in ours.check(name)] == []


def test_records_are_written_and_read_by_its_ids(url: str) -> None:
    ours = registry(url)
    written = write_event(EVENT, ours.register("ErasureRequested"))
    assert read_event("privacy", written, (), Schemas(registry(url))) == EVENT


def test_an_id_it_does_not_know_is_a_fault(url: str) -> None:
    value = b"\0" + (2_000_000_000).to_bytes(4, "big") + b"\2"
    fault = read_event("privacy", value, (), Schemas(registry(url)))
    assert isinstance(fault, Fault)
    assert fault.error == "unknown_schema"


def test_what_breaks_compatibility_is_refused_and_named(url: str, definitions: Definitions) -> None:
    """Held to FULL_TRANSITIVE by the registry itself, not only by our own check."""
    registry(url).register("ErasureRequested")
    add_field(definitions)  # without a default: older records lack it
    with pytest.raises(SchemaError):
        registry(url, definitions).register("ErasureRequested")
    (problem, *_) = registry(url, definitions).check("ErasureRequested")
    assert "not compatible" in problem
    assert "add fields with defaults" in problem


def test_an_allowed_change_becomes_a_version_that_it_takes_both_ways(url: str, definitions: Definitions) -> None:
    """Asked for only: a version that was once registered would stay in a registry that others use."""
    registry(url).register("ErasureRequested")
    add_field(definitions, default=None)
    assert registry(url, definitions).check("ErasureRequested") == []
    with pytest.raises(SchemaError, match="maitred schemas register"):
        registry(url, definitions).schema_id("ErasureRequested")


def test_a_subject_held_to_less_is_named_and_mended(url: str) -> None:
    """A subject that somebody set to NONE is named with its cure, and registering anew mends it."""
    ours = registry(url)
    ours.register("ErasureRequested")
    body = json.dumps({"compatibility": "NONE"}).encode()
    request = urllib.request.Request(f"{url}/config/maitred.ErasureRequested", body, method="PUT")  # noqa: S310  # a test's own URL
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request).close()  # noqa: S310  # as above
    assert "expected FULL_TRANSITIVE" in " ".join(registry(url).check("ErasureRequested"))
    ours.register("ErasureRequested")
    assert registry(url).check("ErasureRequested") == []


# ---- one of our own that may be stopped


class OwnRegistry:
    """Beside the one that is running, on a free port, from the same jars."""

    def __init__(self, servers: ModuleType, home: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._servers, self._command = servers, servers.registry_command(self._port, home)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}{self._servers.REGISTRY_API}"

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not self._servers.registry_answers(self._port):
            assert self._process.poll() is None, "the registry ended while starting"
            assert time.monotonic() < deadline, "the registry does not answer"
            time.sleep(0.1)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
        self._process = None


@pytest.fixture
def own(servers: ModuleType, tmp_path: Path, url: str) -> Iterator[OwnRegistry]:
    if not servers.registry_jars().exists():
        pytest.skip("the registry that runs is not from our jars")
    mine = OwnRegistry(servers, tmp_path)
    yield mine
    mine.stop()


def test_a_registry_that_goes_away_and_comes_back(own: OwnRegistry) -> None:
    """What was asked for once stays known; what was not waits; after a restart the ids are the same."""
    own.start()
    client = registry(own.url)
    ids = {name: client.register(name) for name in ("ErasureRequested", "OrderPlaced")}
    written = write_event(EVENT, ids["ErasureRequested"])
    schemas = Schemas(registry(own.url))
    assert read_event("privacy", written, (), schemas) == EVENT
    own.stop()
    assert read_event("privacy", written, (), schemas) == EVENT
    with pytest.raises(RegistryUnavailable):
        read_event("privacy", written, (), Schemas(registry(own.url)))
    own.start()
    later = registry(own.url)
    assert {name: later.schema_id(name) for name in ids} == ids
    assert read_event("privacy", written, (), Schemas(later)) == EVENT
