"""The parts of the terminal view: each is made for so many lines and columns."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from rich.box import ROUNDED
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from online_models.validation import Comparison
from schemas.events import CustomerScored
from streams.demo.observer import CONTROL, Pool, Share
from streams.demo.scene import Scene
from streams.demo.words import DOWN, UP, are_few, money, percent, told_look, told_reasons, told_reject, told_tier

QUIET, EDGE, GOLD = "grey58", "grey42", "dark_goldenrod"  # all can be read on black and on white
GOOD, BAD, CALM = "color(34)", "indian_red", "steel_blue"
TAKEN, FREE = "━", "─"
ROOMY = 100  # columns from which there is room for more about a customer
ARMS: Final = {"treatment": "with an advisor", "control": "control group", "none": "not chosen"}
CHANGES: Final = {"reached": "reached", "near": "near", "at_risk": "at risk", "lost": "lost"}


def head(scene: Scene, width: int) -> RenderableType:
    """Two lines: what this is, and how it goes."""
    title = Text.assemble(("Maitred", f"bold {GOLD}"), "  a simulated shop, scored and served live")
    day, glance, is_roomy = datetime.fromtimestamp(scene.now_ms / 1000, UTC), scene.glance, width >= ROOMY
    when = Text(f"{day.day} {day:%b %Y} · day {scene.day} of {scene.plan.days}", "bold")
    numbers = f"{scene.events:,} events · {scene.events_s:,.0f}/s · {scene.scores_s:,.0f} looks/s"
    if glance.p50_ms is not None and glance.p99_ms is not None:
        numbers += f" · decided in {glance.p50_ms:.0f} ms"
        numbers += f" (99 % within {glance.p99_ms:.0f} ms)" if is_roomy else ""
    left = f"{scene.left_s:.0f} s left" if scene.left_s else ""
    phase = scene.phase if is_roomy or scene.first_score_s is None else ""
    status = " · ".join(part for part in (phase, left) if part)
    lines = Group(_ends(title, when), _ends(Text(numbers, QUIET), Text(status, QUIET)))
    return Padding(lines, (0, 1))


def _ends(left: Text, right: Text) -> Table:
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    line.add_column(justify="right", no_wrap=True)
    line.add_row(left, right)
    return line


def framed(title: str, said: Iterable[str], body: RenderableType, lines: int, width: int) -> Panel:
    """A panel under its title, and what is said beside it: the first that fits."""
    room = width - len(title) - 8
    fitting = next((text for text in said if len(text) <= room), "")
    heading = Text.assemble((title, "bold default"), (f"  {fitting}" if fitting else "", QUIET))
    return Panel(
        body, title=heading, title_align="left", box=ROUNDED, border_style=EDGE, padding=(0, 1), height=lines + 2
    )


def _grid(*columns: Mapping[str, Any]) -> Table:  # Any: what rich lets a column be
    grid = Table.grid(padding=(0, 1), expand=True)
    for column in columns:
        grid.add_column(**{"no_wrap": True, "overflow": "ellipsis", **column})
    return grid


class _Fitting:
    """The first of these that there is room for."""

    def __init__(self, *texts: Text) -> None:
        self._texts = texts

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterable[RenderableType]:
        yield next((text for text in self._texts if text.cell_len <= options.max_width), self._texts[-1])


def _nothing(text: str) -> Text:
    return Text(text, f"italic {QUIET}", no_wrap=True, overflow="ellipsis")


# ---- scores ------------------------------------------------------------------------------------------------------------


def first_purchases(scene: Scene, lines: int, width: int) -> Panel:
    grid = _grid({}, {}, {}, {"justify": "right"}, {"ratio": 1}, {})
    for look in scene.glance.firsts[:lines]:
        order = Text(money(look.first_order_minor, scene.currency))
        who = Text(look.customer_id, QUIET)
        grid.add_row(_score(look.score), who, look.market, order, _Reasons(look, scene), _fate(look, scene))
    count = f"{scene.glance.counts.get('first_purchases', 0):,}"
    said = (
        f"{count} so far · the best of each moment: how likely to become a VIP, and why",
        f"{count} · the best of each moment, and why",
    )
    body = grid if scene.glance.firsts else _nothing("the first customer is yet to come")
    return framed("First purchases", said, body, lines, width)


def changed_minds(scene: Scene, lines: int, width: int) -> Panel:
    grid = _grid({}, {}, {}, {}, {"ratio": 1}, {})
    for before, look in scene.glance.minds[:lines]:
        change = Text.assemble((f"{percent(before):>5}", QUIET), " → ", _score(look.score))
        who, fate = Text(look.customer_id, QUIET), _fate(look, scene) if width >= ROOMY else Text()
        why = _Reasons(look, scene, UP if look.score > before else DOWN)
        grid.add_row(change, who, look.market, told_look(look), why, fate)
    counts = scene.glance.counts
    said = f"{counts.get('minds_changed', 0):,} of {counts.get('second_looks', 0):,} moved by 10 points or more"
    body = grid if scene.glance.minds else _nothing("as more is known of a customer, the score moves")
    return framed("Second looks", (said,), body, lines, width)


def _score(score: float) -> Text:
    style = f"bold {GOLD}" if score >= 0.3 else "bold" if score >= 0.1 else QUIET
    return Text(f"{percent(score):>4}", style)


def _fate(look: CustomerScored, scene: Scene) -> Text:
    fate = scene.glance.fates.get(look.customer_id, "")
    return Text(fate, CALM if fate == CONTROL else GOOD)


class _Reasons:
    """As many reasons as there is room for, each whole; of the first as much as fits."""

    def __init__(self, look: CustomerScored, scene: Scene, only: str = UP + DOWN) -> None:
        self._told = [told for told in told_reasons(look.reasons, scene.currency) if told[0] in only]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterable[RenderableType]:
        text = Text(no_wrap=True, overflow="ellipsis")
        for arrow, words in self._told:
            reason = Text.assemble((f"{arrow} ", GOOD if arrow == UP else BAD), (words, "" if arrow == UP else QUIET))
            if text and text.cell_len + 2 + reason.cell_len > options.max_width:
                break
            text.append("  " if text else "").append_text(reason)
        yield text


# ---- advisors and control ----------------------------------------------------------------------------------------------


def advisors(scene: Scene, lines: int, width: int) -> Panel:
    """A line for each pool, and for each advisor where there is room."""
    glance = scene.glance
    taken = (
        f"{sum(pool.serving for pool in glance.pools)} of {sum(pool.capacity for pool in glance.pools)} places taken"
    )
    said = (f"{taken} · {glance.counts.get('assignments', 0):,} assigned so far", taken)
    grid = _grid({}, {"ratio": 1}, {"justify": "right"}, {"justify": "right"})
    rows = sum(1 + len(pool.advisors) for pool in glance.pools)
    for pool in glance.pools:
        _add_pool(grid, pool, each=rows <= lines)
    return framed("Advisors", said, grid if glance.pools else _nothing("nobody on duty yet"), lines, width)


def _add_pool(grid: Table, pool: Pool, *, each: bool) -> None:
    control = Text(f"+{pool.control} control", CALM if pool.control else QUIET)
    grid.add_row(Text(pool.name, "bold"), _Bar(pool.serving, pool.capacity), f"{pool.serving}/{pool.capacity}", control)
    for advisor in pool.advisors if each else ():
        name = Text(f" {advisor.advisor_id}", QUIET)
        load = Text(f"{advisor.serving}/{advisor.capacity}", QUIET)
        grid.add_row(name, _Bar(advisor.serving, advisor.capacity, style="green4"), load, "")


class _Bar:
    """As wide as there is room."""

    def __init__(self, part: int, whole: int, style: str = GOOD) -> None:
        self._part, self._whole, self._style = part, whole, style

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterable[RenderableType]:
        width = options.max_width
        filled = min(width, round(width * self._part / self._whole)) if self._whole else 0
        yield Text.assemble((TAKEN * filled, self._style), (FREE * (width - filled), EDGE))


def programme(scene: Scene, lines: int, width: int) -> Panel:
    """What became of the first purchases whose outcome is known, by arm."""
    counts = scene.glance.counts
    control = counts.get("control", 0)
    chosen = counts.get("assignments", 0) + control
    said = (
        f"{control} of {chosen} chosen get no advisor, to compare with",
        f"{control} of {chosen} chosen",
    )
    grid = _grid({}, {"justify": "right"}, {"ratio": 1})
    for arm, name in ARMS.items():
        share = scene.glance.outcomes.get(arm, Share(0, 0))
        grid.add_row(Text(name, CALM if arm == "control" else ""), _rate(share), _known(share))
    return framed("Control group", said, grid, lines, width)


def _rate(share: Share) -> Text:
    return Text(percent(share.vips / share.known), "bold") if share.known else Text("-", QUIET)


def _known(share: Share) -> RenderableType:
    if not share.known:
        return _quiet("outcomes come from day 180 on", "from day 180 on")
    known = f"{share.known:,}"
    if are_few(share.vips, share.known):
        return _quiet(f"VIPs of {known}: too few to tell", f"of {known}: too few to tell", f"of {known}: too few")
    return _quiet(f"VIPs of {known}", f"of {known}")


def _quiet(*texts: str) -> _Fitting:
    return _Fitting(*(Text(text, QUIET) for text in texts))


# ---- model, tiers, rejects ---------------------------------------------------------------------------------------------


def model(scene: Scene, lines: int, width: int) -> Panel:
    glance = scene.glance
    learnt = f"{glance.counts.get('examples_learnt', 0):,} outcomes"
    said = (f"AUC, predicted before it is learnt · {learnt}", f"AUC · {learnt}", "AUC")
    known = [verdict for verdict in glance.verdicts.values() if 1 < verdict.positives < verdict.examples - 1]
    grid = _grid({}, {"justify": "right"}, {"justify": "right"}, {"ratio": 1})
    grid.add_row(*(Text(name, QUIET) for name in ("", "rule", "model", "difference")))
    for kind, verdict in glance.verdicts.items():
        name = "first look" if kind == "first" else f"{kind} looks"
        grid.add_row(name, f"{verdict.rule_auc:.2f}", Text(f"{verdict.river_auc:.2f}", "bold"), _difference(verdict))
    body = grid if known else _nothing("outcomes come from day 180 on")
    return framed("Model against rule", said if known else (), body, lines, width)


def _difference(verdict: Comparison) -> RenderableType:
    if are_few(verdict.positives, verdict.examples):
        return _quiet(f"too early: {verdict.examples:,} known", "too early")
    is_clear = abs(verdict.difference) > verdict.half_width
    style = QUIET if not is_clear else GOOD if verdict.difference > 0 else BAD
    interval = f" ±{verdict.half_width:.2f}"
    return _Fitting(
        *(
            Text.assemble((f"{verdict.difference:+.2f}", style), (f"{interval}{known}", QUIET))
            for known in (f" of {verdict.examples:,}", "")
        )
    )


def tiers(scene: Scene, lines: int, width: int) -> Panel:
    counts = scene.glance.counts
    said = [f"{counts.get(f'tier_{change}', 0):,} {name}" for change, name in CHANGES.items()]
    grid = _grid({}, {"ratio": 1})
    for change in scene.glance.tiers[:lines]:
        style = {"reached": GOOD, "lost": BAD}.get(change.change, "")
        grid.add_row(Text(change.customer_id, QUIET), Text(told_tier(change, scene.currency), style))
    body = grid if scene.glance.tiers else _nothing("none announced yet")
    return framed("Tiers", [" · ".join(said[:n]) for n in (4, 3, 2)], body, lines, width)


def rejects(scene: Scene, lines: int, width: int) -> Panel:
    glance = scene.glance
    count = f"{glance.counts.get('rejected', 0):,}"
    grid = _grid({}, {"ratio": 1})
    for reject in glance.rejects[:lines]:
        grid.add_row(Text(reject.topic, QUIET), Text(_one_line(told_reject(reject))))
    body = grid if glance.rejects else _nothing("none yet")
    return framed("Rejected", (f"{count} records, each with its reason", f"{count} records"), body, lines, width)


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "·" for letter in text)
