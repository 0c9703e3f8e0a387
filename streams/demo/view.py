"""The terminal view: a moment of the demo on one screen, for 80 columns and 24 lines or more."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from rich.console import Console, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from streams.demo import panels
from streams.demo.scene import Scene

LEAST_COLUMNS, LEAST_LINES = 80, 24
WIDE = 120  # columns from which scores and what follows stand side by side
HIGH = 32  # lines from which nothing is left out on a narrow one
TOO_SMALL = f"Make this window {LEAST_COLUMNS} x {LEAST_LINES} again to see the shop. It goes on."
HEAD_LINES, FRAME = 2, 2
PICTURE_COLUMNS, PICTURE_LINES = 120, 36
REMOTE_FONT = re.compile(
    r"\s*@font-face \{[^}]*\}"
)  # a picture in the docs asks nobody for anything: the reader's own font will do
Part = Callable[[Scene, int, int], Panel]
NIGHT = TerminalTheme(
    (22, 24, 29), (214, 216, 220),
    [(22, 24, 29), (205, 92, 92), (95, 175, 95), (215, 175, 0), (95, 135, 215), (175, 135, 175), (95, 175, 175), (214, 216, 220)],
)  # fmt: skip


class TerminalView:
    """Shows scenes on a terminal of its own screen; what stood there before comes back afterwards."""

    def __init__(self, console: Console, live: Live) -> None:
        self._console, self._live = console, live

    def show(self, scene: Scene) -> None:
        width, height = self._console.size
        is_small = width < LEAST_COLUMNS or height < LEAST_LINES
        seen = Text(TOO_SMALL) if is_small else picture(scene, width, height)
        self._live.update(seen, refresh=True)


@contextmanager
def terminal_view(console: Console) -> Iterator[TerminalView]:
    with Live(console=console, screen=True, auto_refresh=False) as live:
        yield TerminalView(console, live)


def fits(console: Console) -> bool:
    """Whether the view can be shown there at all."""
    is_able = console.is_terminal and not console.is_dumb_terminal and not console.options.ascii_only
    return is_able and console.width >= LEAST_COLUMNS and console.height >= LEAST_LINES


def picture(scene: Scene, width: int, height: int) -> RenderableType:
    """The whole screen. Its lines are shared out among the parts."""
    screen, under = Layout(), height - HEAD_LINES
    body = _wide(scene, under, width) if width >= WIDE else _narrow(scene, under, width)
    screen.split_column(Layout(panels.head(scene, width), size=HEAD_LINES), body)
    return screen


def _narrow(scene: Scene, height: int, width: int) -> Layout:
    """Scores over the whole width, the rest in pairs below; the control group's fate only where there is room."""
    is_high = height + HEAD_LINES >= HIGH
    pools = max(4, len(scene.glance.pools)) + FRAME
    rows = [(panels.advisors, panels.programme, pools), (panels.model, panels.tiers, 3 + FRAME + height // 20)]
    if not is_high:
        rows = [(panels.advisors, panels.model, pools), (panels.tiers, panels.rejects, 2 + FRAME)]
    below = [_pair(scene, left, right, lines, width) for left, right, lines in rows]
    below += [_part(panels.rejects, scene, 3 + FRAME, width)] if is_high else []
    scores = height - sum(layout.size or 0 for layout in below)
    body = Layout()
    body.split_column(*_scores(scene, scores, width), *below)
    return body


def _wide(scene: Scene, height: int, width: int) -> Layout:
    """Scores on the left, what follows from them on the right."""
    left, right, body = Layout(), Layout(size=width * 2 // 5), Layout()
    left.split_column(*_scores(scene, height, width - width * 2 // 5))
    right.split_column(*_consequences(scene, height, width * 2 // 5))
    body.split_row(left, right)
    return body


def _scores(scene: Scene, height: int, width: int) -> list[Layout]:
    minds = height * 2 // 5
    return [
        _part(panels.first_purchases, scene, height - minds, width),
        _part(panels.changed_minds, scene, minds, width),
    ]


def _consequences(scene: Scene, height: int, width: int) -> list[Layout]:
    """Each part gets what it needs; tiers and rejects what is left."""
    pools = scene.glance.pools
    compact, whole = max(2, len(pools)), max(2, sum(1 + len(pool.advisors) for pool in pools))
    fixed = 3 + FRAME + 3 + FRAME + FRAME  # control group, model, the frame of the advisors
    for_advisors = whole if height - fixed - whole >= 2 * (3 + FRAME) else compact
    rest = height - fixed - for_advisors
    parts = [
        (panels.advisors, for_advisors + FRAME),
        (panels.programme, 3 + FRAME),
        (panels.model, 3 + FRAME),
        (panels.tiers, rest - rest // 2),
        (panels.rejects, rest // 2),
    ]
    return [_part(part, scene, lines, width) for part, lines in parts]


def _pair(scene: Scene, left: Part, right: Part, height: int, width: int) -> Layout:
    row = Layout(size=height)
    half = width // 2
    row.split_row(
        Layout(left(scene, height - FRAME, width - half)), Layout(right(scene, height - FRAME, half), size=half)
    )
    return row


def _part(part: Part, scene: Scene, height: int, width: int) -> Layout:
    return Layout(part(scene, height - FRAME, width), size=height)


def save_picture(scene: Scene, file: Path) -> None:
    """The view as an SVG."""
    console = Console(
        record=True,
        file=StringIO(),
        width=PICTURE_COLUMNS,
        height=PICTURE_LINES,
        force_terminal=True,
        color_system="truecolor",
    )
    console.print(picture(scene, PICTURE_COLUMNS, PICTURE_LINES))
    drawn = console.export_svg(title="maitred demo", theme=NIGHT)
    file.write_text(REMOTE_FONT.sub("", drawn), encoding="utf-8")
