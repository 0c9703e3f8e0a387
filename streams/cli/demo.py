"""`maitred demo`: a year of a simulated shop in a minute, on nothing but Python."""

import os
import sys
from contextlib import nullcontext
from io import TextIOWrapper
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from streams.cli.talk import MISUSE, JsonOption, put, put_line, say

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from streams.demo.ending import Ending
    from streams.demo.scene import Scene
    from streams.demo.stage import Audience


def demo_command(
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds",
            min=1,
            max=600,
            help="How long the shop is open. A year passes in it, or in each minute of a longer one. "
            "Starting and ending take a few seconds more.",
        ),
    ] = 60,
    forever: Annotated[
        bool, typer.Option("--forever", help="One shop of ten minutes after the other, until interrupted.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which shop: the same seed, the same customers.")] = 1,
    picture: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE.svg", help="Write the view as it ends to this file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Watch a simulated shop being scored and served: embedded broker and store, a real worker, a live view.

    It needs no server and leaves nothing behind. Without a terminal it prints plain lines; Ctrl-C ends it at any time.
    """
    from streams.demo.ending import Ending

    _refuse_no_picture(picture)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows no € shows ? instead
    began_s, ending = perf_counter(), Ending()
    try:
        with ending.by_signals():
            scene = (
                _seasons(seed, ending, as_json=as_json) if forever else _season(seconds, seed, ending, as_json=as_json)
            )
            if scene is not None:
                _tell(scene, perf_counter() - began_s, picture, as_json=as_json)
    except BrokenPipeError:
        _nobody_reads()


def _refuse_no_picture(picture: Path | None) -> None:
    """Now, and not when the demo is over."""
    if picture is None:
        return
    folder = picture.absolute().parent
    if picture.suffix != ".svg" or picture.is_dir():
        expected = "a name that ends in .svg"
    elif not folder.is_dir() or not os.access(picture if picture.exists() else folder, os.W_OK):
        expected = "a file that can be written, in a folder that is there"
    else:
        return
    say(f"error: --picture: expected {expected}, got {picture}")
    raise typer.Exit(MISUSE)


def _seasons(seed: int, ending: "Ending", *, as_json: bool) -> "Scene | None":
    """One shop after the other; the last scene of the last."""
    from streams.demo.plan import SEASON_S

    scene = None
    while not ending.is_asked:
        scene = _season(SEASON_S, seed, ending, as_json=as_json)
        seed += 1
    return scene


def _season(seconds: float, seed: int, ending: "Ending", *, as_json: bool) -> "Scene":
    began_s = perf_counter()
    from streams.demo.plan import DemoPlan
    from streams.demo.stage import perform

    with _audience(as_json=as_json) as audience:
        return perform(DemoPlan(seconds, seed), audience, ending, began_s)


def _audience(*, as_json: bool) -> "AbstractContextManager[Audience]":
    """A view on a terminal with room for it, plain lines elsewhere, nothing where a program reads."""
    from streams.demo.telling import PlainLines
    from streams.demo.view import fits, terminal_view

    if as_json:
        return nullcontext(PlainLines(lambda _: None))
    console = Console()
    if not fits(console):
        return nullcontext(PlainLines(put_line, console.width if console.is_terminal else None))
    say("Maitred demo: starting an embedded broker, a store and a worker ...")
    return terminal_view(console)


def _tell(scene: "Scene", wall_s: float, picture: Path | None, *, as_json: bool) -> None:
    from streams.demo.telling import NEXT, report, summary
    from streams.demo.view import save_picture

    if picture is not None:
        save_picture(scene, picture)
        say(f"written: {picture}")
    if as_json:
        put(report(scene, wall_s))
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    for row in summary(scene):
        table.add_row(*row)
    console = Console(highlight=False)
    with console.capture() as told:  # rich would turn a closed pipe into exit code 1
        console.print(
            f"\n[bold]Maitred demo[/bold], {wall_s:.0f} s\n", table, "\n[bold]What to try next[/bold]\n", sep=""
        )
        for command, what in NEXT:
            console.print(f"  {command:<36} {what}")
    put_line(told.get())


def _nobody_reads() -> None:
    """As in `maitred demo | head`: all has ended in order, and the interpreter must not complain of the pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
