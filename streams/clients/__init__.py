"""Python clients of the two sides that Maitred serves: a shop that publishes, and an advisor tool that subscribes.

    from streams.clients import AdvisorTool, Line, Shop

They need Kafka and nothing else of Maitred's servers, and import neither Faust nor River. Where Kafka is, which namespace and
how many partitions: `maitred.toml` or the environment, as for the worker. `examples/` shows both at work.
"""

from streams.clients.advisor_tool import AdvisorTool
from streams.clients.publishing import EventRefused
from streams.clients.shop import Line, Returned, Shop

__all__ = ["AdvisorTool", "EventRefused", "Line", "Returned", "Shop"]
