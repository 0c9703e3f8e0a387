"""Traces of commits for OpenTelemetry, where `[tracing]` names an endpoint. The only importer of opentelemetry.

A commit is a span with a child for each of its steps. Where source records carry a W3C `traceparent` header the span links to the
traces they come from, so that a shop finds what became of its order. Outputs carry nothing of it: they must be the same bytes
whether somebody looks on or not.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Self

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import Span, SpanContext, StatusCode
from opentelemetry.trace.propagation import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from streams.commit import Pieces, Step
from streams.settings.keys import Tracing

MOST_LINKS: Final = 100  # of one commit
TRACEPARENT: Final = "traceparent"
_propagator = TraceContextTextMapPropagator()


class Traces:
    """The traces of one worker. `close` sends what is left."""

    def __init__(self, settings: Tracing, namespace: str, instance: str, exporter: SpanExporter | None = None) -> None:
        about = {"service.name": "maitred", "service.namespace": namespace, "service.instance.id": instance}
        self._provider = TracerProvider(
            sampler=TraceIdRatioBased(settings.sample), resource=Resource.create(about), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter(settings.endpoint)))

    def watch(self, processor: str) -> "TracedCommits":
        return TracedCommits(self._provider, processor)

    def close(self) -> None:
        self._provider.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TracedCommits:
    """A `Watch` that makes spans of what it sees."""

    def __init__(self, provider: TracerProvider, processor: str) -> None:
        self._tracer, self._processor = provider.get_tracer("maitred"), processor

    @contextmanager
    def commit(self, pieces: Pieces) -> Iterator[None]:
        with self._span(f"{self._processor} commit") as span:
            if span.is_recording():
                span.set_attribute("maitred.processor", self._processor)
                span.set_attribute("maitred.partitions", sorted(pieces))
                span.set_attribute("maitred.records", sum(len(run.records) for runs in pieces.values() for run in runs))
                for context in origins(pieces):
                    span.add_link(context)
            yield

    def step(self, step: Step) -> AbstractContextManager[object]:
        return self._span(step)

    @contextmanager
    def _span(self, name: str) -> Iterator[Span]:
        """A span that tells of an exception its kind only: the message may quote a record."""
        made = self._tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False)
        with made as span:
            try:
                yield span
            except BaseException as error:
                span.set_status(StatusCode.ERROR, type(error).__name__)
                raise


def origins(pieces: Pieces) -> Iterator[SpanContext]:
    """The traces that source records come from, the first `MOST_LINKS` of them."""
    found: set[bytes] = set()
    for runs in pieces.values():
        for run in runs:
            for record in run.records:
                for name, value in record.headers:
                    if name == TRACEPARENT and value not in found and len(found) < MOST_LINKS:
                        found.add(value)
                        context = get_current_span(_propagator.extract({TRACEPARENT: _text(value)})).get_span_context()
                        if context.is_valid:
                            yield context


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace")
