"""Commits become spans that link to the traces of their source records; off, nothing of it is imported."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from schemas.records import Fault, Record, Run
from streams.settings import Settings
from streams.settings.keys import Tracing
from streams.watching.metrics import Metrics
from streams.watching.onlookers import onlookers, tracing
from streams.watching.tracing import MOST_LINKS, Traces, origins

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01".encode()
FAULT = Fault("invalid", "$", "x", "y", "z")


def pieces(*parents):
    records = tuple(
        Record("orders", 2, offset, 1, None, b"", (("traceparent", value),), FAULT)
        for offset, value in enumerate(parents)
    )
    return {2: (Run("orders", records, 1),)}


def test_a_commit_is_a_span_with_its_steps_and_links():
    exporter = InMemorySpanExporter()
    with Traces(Tracing(endpoint="http://x", sample=1), "maitred", "a", exporter) as traces:
        watch = traces.watch("scorer")
        with watch.commit(pieces(PARENT)):
            for step in ("load", "decide", "transaction", "apply"):
                with watch.step(step):
                    pass
    *steps, commit = exporter.get_finished_spans()
    assert [span.name for span in steps] == ["load", "decide", "transaction", "apply"]
    assert {span.parent and span.parent.span_id for span in steps} == {commit.context.span_id}
    assert commit.name == "scorer commit"
    assert dict(commit.attributes or {}) == {
        "maitred.processor": "scorer",
        "maitred.partitions": (2,),
        "maitred.records": 1,
    }
    assert [f"{link.context.trace_id:032x}" for link in commit.links] == [TRACE]


def test_no_span_tells_what_an_exception_quotes():
    exporter = InMemorySpanExporter()
    with Traces(Tracing(endpoint="http://x", sample=1), "maitred", "a", exporter) as traces:
        watch = traces.watch("scorer")
        with pytest.raises(KeyError), watch.commit({}), watch.step("decide"):
            raise KeyError("c-31415")
    assert "c-31415" not in "".join(span.to_json() for span in exporter.get_finished_spans())


def test_nothing_is_sampled_at_a_share_of_zero():
    exporter = InMemorySpanExporter()
    with (
        Traces(Tracing(endpoint="http://x", sample=0), "maitred", "a", exporter) as traces,
        traces.watch("scorer").commit({}),
    ):
        pass
    assert exporter.get_finished_spans() == ()


def test_only_valid_parents_link_each_once_and_not_too_many():
    many = [f"00-{number:032x}-b7ad6b7169203331-01".encode() for number in range(1, 300)]
    assert len(list(origins(pieces(PARENT, PARENT)))) == 1
    assert list(origins(pieces(b"rubbish", b"\xff", b""))) == []
    assert len(list(origins(pieces(*many)))) == MOST_LINKS


@pytest.fixture
def receiver() -> Iterator[tuple[int, list[tuple[str, bytes]]]]:
    """A collector of a few lines: its port, and what it is sent."""
    received: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port, received
    server.shutdown()
    server.server_close()
    thread.join()


def test_spans_arrive_at_a_collector_by_otlp(receiver):
    import gzip

    port, received = receiver
    endpoint = f"http://127.0.0.1:{port}/v1/traces"
    settings = Settings(tracing=Tracing(endpoint=endpoint, sample=1))
    with tracing(settings) as traces, onlookers("scorer", Metrics(), traces).commit({}):
        pass
    ((path, body),) = received
    request = ExportTraceServiceRequest.FromString(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
    (resource,) = request.resource_spans
    assert path == "/v1/traces"
    assert [span.name for scope in resource.scope_spans for span in scope.spans] == ["scorer commit"]
    assert {a.key: a.value.string_value for a in resource.resource.attributes}["service.namespace"] == "maitred"


def test_off_it_is_not_even_imported():
    code = (
        "import sys; from streams.worker import tracing; from streams.settings import Settings\n"
        "with tracing(Settings()) as traces: print(traces, 'streams.watching.tracing' in sys.modules, 'opentelemetry.sdk.trace' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "None False False\n"
