"""What the worker says on stderr: events with fields, one JSON object a line (or columns), and no personal data in them.

Lines of other people's loggers (Faust, librdkafka, aiohttp) take the same form. Exceptions are told by kind and place: the
message of one that is not ours may quote a customer's record. Our own messages quote none, and a test holds them to that.
"""

import logging
import sys
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from time import monotonic
from traceback import extract_tb
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from schemas.errors import MaitredError
from streams.settings.keys import Logging

PLAIN: Final = (str, int, float, bool, type(None), list, tuple, set, frozenset, dict)
OF_OTHERS: Final = "warning"  # from this level on we pass on what libraries say
SELDOM_S: Final = 10.0  # how long the same line is not said again: a server that is down is met ten times a second


def configure_logging(settings: Logging, stream: TextIO | None = None) -> None:
    """Events as JSON lines or columns, to stderr: stdout is for data."""
    stream = stream or sys.stderr
    seldom = Seldom()
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        tell_exception,
    ]
    is_json = settings.format == "json"
    renderer: Processor = (
        structlog.processors.JSONRenderer() if is_json else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    )
    structlog.configure(
        processors=[seldom.event, *shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.addFilter(seldom.record)
    handler.addFilter(_speak_plainly)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_name_logger, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(OF_OTHERS.upper())
    logging.captureWarnings(capture=True)


class Seldom:
    """Lets the same trouble be told only every `SELDOM_S`."""

    def __init__(self, clock_s: Callable[[], float] = monotonic) -> None:
        self._clock_s = clock_s
        self._told_s: dict[Hashable, float] = {}

    def event(self, _logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """For structlog; every line of `info` is told."""
        if method == "warning" and self._is_old((event["event"], event.get("processor"), str(event.get("error")))):
            raise structlog.DropEvent
        return event

    def record(self, record: logging.LogRecord) -> bool:
        """For the loggers of others."""
        return not self._is_old((record.name, record.getMessage()[:200]))

    def _is_old(self, what: Hashable) -> bool:
        now_s = self._clock_s()
        if now_s - self._told_s.get(what, -SELDOM_S) < SELDOM_S:
            return True
        if len(self._told_s) > 1_000:
            self._told_s.clear()
        self._told_s[what] = now_s
        return False


def tell_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replaces `exc_info` by what may be told of it."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = told(error)
    return event


def told(error: BaseException) -> str:
    """An exception without what it quotes: kinds and places, the cause last; the text of our own."""
    frames = extract_tb(error.__traceback__)
    place = f" at {' < '.join(f'{Path(f.filename).name}:{f.lineno}' for f in reversed(frames[-5:]))}" if frames else ""
    said = f": {error}" if isinstance(error, MaitredError) else ""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return f"{type(error).__name__}{said}{place}" + (f" <- {told(cause)}" if cause else "")


def _name_logger(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    record = event.get("_record")
    event["logger"] = record.name if record else ""
    return event


def _speak_plainly(record: logging.LogRecord) -> bool:
    """What a library puts into its message may be one of our exceptions or batches, with records in it."""
    if isinstance(record.args, Mapping):
        record.args = {name: _plain(value) for name, value in record.args.items()}
    elif record.args:
        record.args = tuple(map(_plain, record.args))
    record.msg = _plain(record.msg)
    record.exc_text = record.stack_info = None
    return True


def _plain(value: Any) -> Any:  # Any: whatever is logged
    if isinstance(value, BaseException):
        return told(value)
    if not isinstance(value, PLAIN):
        return f"<{type(value).__name__}>"
    if isinstance(value, str | int | float | None):
        return value
    return f"<{type(value).__name__} of {len(value)}>"
