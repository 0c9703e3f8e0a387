"""`docs/metrics.md`: every metric, from the registry itself."""

from collections.abc import Iterator

from streams.watching.metric_families import Families, Family

OPENING = """\
# Metrics

*Written by `make docs` from `streams/watching/metric_families.py`.*

Every worker serves them at `/metrics` on `worker.web_port` (6066), in Prometheus's text format or OpenMetrics. Times are in seconds.
No label names a customer or an advisor. A series that belongs to a partition, a pool or the model is told by the worker that has
the partition; so sum over workers, and take the `max` of what only one of them can know. Besides these there are
`process_cpu_seconds_total`, `process_resident_memory_bytes` and the other metrics of the process itself.

How to read them when something is wrong: [operating](operating.md#incidents).

| metric | type | labels | what it says |
|---|---|---|---|
"""


def metrics_page() -> str:
    return OPENING + "\n".join(_rows(Families().families)) + "\n"


def _rows(families: list[Family]) -> Iterator[str]:
    for family in families:
        labels = ", ".join(f"`{label}`" for label in family.labels) or "none"
        yield f"| `{family.name}` | {family.kind} | {labels} | {family.says} |"
