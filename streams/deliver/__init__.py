"""Delivering: a process of its own that reads decisions as any subscriber does, and hands them to a sink."""

from streams.deliver.deliverer import Deliverer, Report
from streams.deliver.kept import KafkaUndelivered, read_entries

__all__ = ["Deliverer", "KafkaUndelivered", "Report", "read_entries"]
