"""How the command line speaks: data on stdout, talk on stderr, errors of ours as one clear block, exit codes 0, 1 and 2; 130
where somebody stopped it (Ctrl-C).
"""

import errno
import json
import os
import re
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from schemas.errors import MaitredError, SettingsError

if TYPE_CHECKING:
    from schemas.registry import Registry
    from streams.settings import Settings

NO, MISUSE, INTERRUPTED = 1, 2, 130
CURES = {  # what can be done about a file or folder of the user's
    errno.ENOSPC: "make room on the disk (--work and --to name other folders), and say it again",
    errno.EDQUOT: "make room on the disk (--work and --to name other folders), and say it again",
    errno.EACCES: "see who may read and write there, or name another",
    errno.EPERM: "see who may read and write there, or name another",
    errno.EROFS: "name a folder that can be written to",
    errno.ENOENT: "look where it is; a folder to write into must be there",
    errno.ENOTDIR: "name a folder",
    errno.EISDIR: "name a file",
}

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", envvar="MAITRED_CONFIG", show_default="maitred.toml, if it is there", help="The settings file."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs: JSON on stdout.")]


class Commands(TyperGroup):
    """A group of commands that prints our own errors without a traceback."""

    def invoke(self, ctx: Any) -> Any:  # Any: as click has it
        try:
            return super().invoke(ctx)
        except MaitredError as error:
            explain(error)
            raise typer.Exit(MISUSE if isinstance(error, SettingsError) else NO) from error
        except OSError as error:
            if error.errno not in CURES:
                raise
            where = f"{error.filename}: " if error.filename is not None else ""
            say(f"error: {where}{error.strerror}; {CURES[error.errno]}")
            raise typer.Exit(NO) from error


def commands(help_text: str) -> typer.Typer:
    return typer.Typer(
        cls=Commands,
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


def example(text: str) -> str:
    """The epilog of a command's help."""
    return f"Example: {text}"


def load_settings(path: Path | None, overrides: Mapping[str, str] = MappingProxyType({})) -> "Settings":
    """The settings of a file and the environment, with what the command's own options say as further variables."""
    from streams.settings import load

    return load(path, {**os.environ, **overrides})


def registry_of(settings: "Settings") -> "Registry":
    from schemas.registry import open_registry

    return open_registry(settings.registry.url)


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and a closed terminal stop it as Ctrl-C does. Whoever ignores them (nohup) goes on doing so."""
    heard = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
    for number in heard:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, signal.SIG_DFL)


# ---- talk ----------------------------------------------------------------------------------------------------------


def say(text: str) -> None:
    """A remark for people."""
    print(text, file=sys.stderr)  # noqa: T201  # the command line's voice


def explain(error: MaitredError) -> None:
    problems = error.problems if isinstance(error, SettingsError) else (error,)
    say("\n".join(f"error: {problem}" for problem in problems))


# ---- data ----------------------------------------------------------------------------------------------------------


def put(value: object) -> None:
    """One JSON value on a line of its own; in plain ASCII where stdout is not of UTF-8."""
    text = msgspec.json.encode(value, order="deterministic").decode()
    if (sys.stdout.encoding or "").lower().replace("-", "") != "utf8":
        text = re.sub("[^\x00-\x7f]+", lambda found: json.dumps(found[0])[1:-1], text)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def put_line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def put_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table: with lines on a terminal, else columns separated by tabs."""
    console = Console()
    if not console.is_terminal:
        for row in rows:
            put_line("\t".join(map(printable, row)))
        return
    table = Table(*columns)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console.print(table)


def printable(cell: object) -> str:
    r"""A value as text that moves no cursor and breaks no column, whatever a shop calls its customers.

    >>> print(printable("Zoë"), printable("a\tb"))
    Zoë a\tb
    """
    text = str(cell)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def moment(at_ms: int) -> str:
    """A time for people.

    >>> moment(1_290_000_000_123)
    '2010-11-17 13:20:00'
    """
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
