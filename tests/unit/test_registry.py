"""Both registries answer alike; the Confluent one is asked over real HTTP, by its published REST API."""

import json
import re
import shutil
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import avro.schema
import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

from schemas.codec import Schemas, read_event, write_event
from schemas.definitions import Definitions, Version, meaning
from schemas.errors import RegistryUnavailable, SchemaError
from schemas.events import ErasureRequested
from schemas.records import Fault
from schemas.registry import ConfluentRegistry, FileRegistry, subject_of

try:
    import confluent_kafka.schema_registry  # noqa: F401  # whether the extra is there
except ImportError as error:
    missing = str(error)
else:
    missing = ""
needs_client = pytest.mark.skipif(bool(missing), reason=f"confluent-kafka[schemaregistry] is incomplete: {missing}")


class RegistryServer(ThreadingHTTPServer):
    """A small schema registry in memory: ids, subjects, compatibility levels; the part of the REST API that is used."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.schemas, self.subjects, self.levels, self.asked, self.broken = {}, {}, {}, [], False
        Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def stop(self):
        self.shutdown()
        self.server_close()

    def answer(self, method, path, body):
        """(status, JSON) as Confluent's API reference has it."""
        for pattern, name in ROUTES.items():
            if found := re.fullmatch(pattern, f"{method} {path}"):
                return getattr(self, name)(body, **found.groupdict())
        return 404, {"error_code": 404, "message": f"HTTP 404 {path}"}

    def schema(self, body, id):  # noqa: A002
        if int(id) not in self.schemas:
            return 404, {"error_code": 40403, "message": f"Schema {id} not found"}
        return 200, {"schema": self.schemas[int(id)]}

    def lookup(self, body, subject):
        for version, schema_id in enumerate(self.subjects.get(subject, []), 1):
            if meaning(self.schemas[schema_id]) == meaning(body["schema"]):
                return 200, {
                    "subject": subject,
                    "id": schema_id,
                    "version": version,
                    "schema": self.schemas[schema_id],
                }
        return 404, {"error_code": 40401, "message": f"Subject '{subject}' not found."}

    def versions(self, body, subject):
        if subject not in self.subjects:
            return 404, {"error_code": 40401, "message": f"Subject '{subject}' not found."}
        return 200, list(range(1, len(self.subjects[subject]) + 1))

    def register(self, body, subject):
        status, found = self.lookup(body, subject)
        if status == 200:
            return 200, {"id": found["id"]}
        if not all(compatible(self.schemas[known], body["schema"]) for known in self.subjects.get(subject, [])):
            return 409, {
                "error_code": 409,
                "message": "Schema being registered is incompatible with an earlier schema",
            }
        schema_id = 100 + len(self.schemas)
        self.schemas[schema_id] = body["schema"]
        self.subjects.setdefault(subject, []).append(schema_id)
        return 200, {"id": schema_id}

    def compatibility(self, body, subject, version):
        known = self.schemas[self.subjects[subject][int(version) - 1]]
        return 200, {"is_compatible": compatible(known, body["schema"])}

    def set_level(self, body, subject):
        self.levels[subject] = body["compatibility"]
        return 200, body

    def level(self, body, subject):
        if subject not in self.levels:
            return 404, {
                "error_code": 40408,
                "message": "Subject does not have subject-level compatibility configured",
            }
        return 200, {"compatibilityLevel": self.levels[subject]}


ROUTES = {
    r"GET /schemas/ids/(?P<id>\d+)": "schema",
    r"POST /subjects/(?P<subject>[^/]+)": "lookup",
    r"GET /subjects/(?P<subject>[^/]+)/versions": "versions",
    r"POST /subjects/(?P<subject>[^/]+)/versions": "register",
    r"POST /compatibility/subjects/(?P<subject>[^/]+)/versions/(?P<version>\d+)": "compatibility",
    r"PUT /config/(?P<subject>[^/]+)": "set_level",
    r"GET /config/(?P<subject>[^/]+)": "level",
}


def compatible(one, other):
    """FULL, as the avro package judges."""
    pair = avro.schema.parse(one), avro.schema.parse(other)
    judge = ReaderWriterCompatibilityChecker
    return all(
        judge().get_compatibility(reader, writer).compatibility is SchemaCompatibilityType.compatible
        for reader, writer in (pair, pair[::-1])
    )


class Handler(BaseHTTPRequestHandler):
    """HTTP around RegistryServer.answer."""

    server: RegistryServer

    def handle_any(self):
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"null")
        path = self.path.partition("?")[0]
        self.server.asked.append(f"{self.command} {path}")
        status, answer = (503, "not now") if self.server.broken else self.server.answer(self.command, path, body)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/vnd.schemaregistry.v1+json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = handle_any  # noqa: N815  # names that http.server calls

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = RegistryServer()
    yield server
    server.stop()


@pytest.fixture
def folder(tmp_path):
    """A copy of our definitions and their history."""
    for path in Definitions().folder.glob("*.avsc"):
        shutil.copy(path, tmp_path)
    shutil.copytree(Definitions().folder / "history", tmp_path / "history")
    return Definitions(tmp_path)


def confluent(server, folder=None):
    return ConfluentRegistry({"url": server.url, "max.retries": 0, "timeout": 5}, folder)


def erasure_with(folder, **field):
    """Adds a field to ErasureRequested."""
    path = folder.folder / "ErasureRequested.avsc"
    definition = json.loads(path.read_text())
    definition["fields"].append({"name": "why", "type": ["null", "string"], "doc": "Why.", **field})
    path.write_text(json.dumps(definition))


EVENT = ErasureRequested(customer_id="17850", occurred_at_ms=1_290_000_000_000)


# ---- the built-in one


def test_ids_are_those_of_the_committed_history():
    """The same on every machine: these never change."""
    registry = FileRegistry()
    assert Definitions().ids()[registry.schema_id("OrderPlaced")].name == "OrderPlaced"
    assert Definitions().ids()[1] == Version("OrderPlaced", 1)
    assert meaning(registry.writer_schema(1) or "") == meaning(Definitions().versions("OrderPlaced")[1])
    assert registry.writer_schema(999_999) is None
    assert registry.check("OrderPlaced") == []
    assert registry.register("OrderPlaced") == registry.schema_id("OrderPlaced")


def test_a_definition_that_is_not_committed_has_no_id(folder):
    """The error says what to do; what was committed before stays readable."""
    before = FileRegistry(folder).schema_id("ErasureRequested")
    erasure_with(folder, default=None)
    with pytest.raises(SchemaError, match="run `maitred schemas commit`"):
        FileRegistry(folder).schema_id("ErasureRequested")
    assert "schemas commit" in FileRegistry(folder).check("ErasureRequested")[0]
    _, version = folder.add_version("ErasureRequested")
    registry = FileRegistry(folder)
    assert version.number == len(folder.versions("ErasureRequested"))
    assert registry.schema_id("ErasureRequested") == max(folder.ids())
    assert registry.writer_schema(before) is not None


# ---- the Confluent one


@needs_client
def test_what_is_registered_is_found_and_read(server):
    """Register, look up, write, read back; subjects are named by record and held to FULL_TRANSITIVE."""
    registry = confluent(server)
    assert registry.check("ErasureRequested") == []
    with pytest.raises(SchemaError, match="run `maitred schemas register`"):
        registry.schema_id("ErasureRequested")
    schema_id = registry.register("ErasureRequested")
    assert registry.schema_id("ErasureRequested") == schema_id == 100
    assert server.subjects == {"maitred.ErasureRequested": [100]}
    assert server.levels == {subject_of("ErasureRequested"): "FULL_TRANSITIVE"}
    assert registry.check("ErasureRequested") == []
    assert read_event("privacy", write_event(EVENT, schema_id), (), Schemas(confluent(server))) == EVENT


@needs_client
def test_what_the_registry_would_refuse_is_told_beforehand(server, folder):
    """The check names version and cure; registering raises."""
    confluent(server).register("ErasureRequested")
    erasure_with(folder, type="string")
    registry = confluent(server, folder)
    (problem,) = registry.check("ErasureRequested")
    assert problem.startswith("maitred.ErasureRequested: not compatible with version 1 in the registry; ")
    with pytest.raises(SchemaError, match="refuses: Schema being registered is incompatible"):
        registry.register("ErasureRequested")


@needs_client
def test_a_looser_compatibility_level_is_told(server):
    """A subject somebody registered by hand, or loosened."""
    registry = confluent(server)
    registry.register("ErasureRequested")
    server.levels["maitred.ErasureRequested"] = "BACKWARD"
    (problem,) = registry.check("ErasureRequested")
    assert "compatibility is BACKWARD, expected FULL_TRANSITIVE; run `maitred schemas register`" in problem
    del server.levels["maitred.ErasureRequested"]
    assert "compatibility is the default, expected" in registry.check("ErasureRequested")[0]


@needs_client
def test_ids_are_asked_for_once(server):
    """Known and unknown alike: the registry isn't asked for each record."""
    schema_id = confluent(server).register("ErasureRequested")
    schemas = Schemas(confluent(server))
    known, unknown = write_event(EVENT, schema_id), write_event(EVENT, 4711)
    server.asked.clear()
    for _ in range(3):
        assert read_event("privacy", known, (), schemas) == EVENT
        fault = read_event("privacy", unknown, (), schemas)
        assert isinstance(fault, Fault)
        assert (fault.error, fault.got) == ("unknown_schema", "4711")
    assert server.asked == [f"GET /schemas/ids/{schema_id}", "GET /schemas/ids/4711"]


@needs_client
def test_a_registry_that_fails_or_is_gone_says_nothing_about_records(server):
    """RegistryUnavailable, for every question; afterwards all is well again."""
    registry = confluent(server)
    schema_id = registry.register("ErasureRequested")
    server.broken = True
    for ask in (registry.schema_id, registry.register, registry.check):
        with pytest.raises(RegistryUnavailable):
            ask("ErasureRequested")
    with pytest.raises(RegistryUnavailable):
        read_event("privacy", write_event(EVENT, schema_id), (), Schemas(confluent(server)))
    server.broken = False
    assert registry.schema_id("ErasureRequested") == schema_id
    server.stop()
    with pytest.raises(RegistryUnavailable, match="does not answer"):
        confluent(server).writer_schema(schema_id)
