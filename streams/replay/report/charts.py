"""The report's kinds of plot, each a function of rows that are ready to be drawn: nothing is computed here.

Every mark that has a colour has a shape or a dash besides. Rows are dictionaries, since that is what Vega reads.
"""

from collections.abc import Sequence
from typing import Any, Final

import altair as alt

from streams.replay.report.parts import Chart
from streams.replay.report.theme import CARD, INK, MODEL, MUTED, RULE, colours, dashes, shapes

Row = dict[str, Any]  # Any: cells are words or numbers
HEIGHT: Final = 240


def intervals(
    rows: Sequence[Row],
    *,
    x: str,
    y: str,
    series: Sequence[str],
    order: Sequence[str],
    level: float | None = None,
    form: str = ".2f",
) -> Chart:
    """Points with intervals, side by side for each of `order`: rows of (at, who, value, low, high, told)."""
    base = _on(rows).encode(
        x=alt.X("at:N").title(x).sort(list(order)).axis(labelAngle=0, labelOverlap="greedy"),
        xOffset=alt.XOffset("who:N").sort(list(series)),
        color=alt.Color("who:N").scale(colours(list(series))).sort(list(series)),
    )
    height = alt.Y("value:Q").title(y).scale(zero=False).axis(format=form, tickCount=6)
    layers: list[Any] = [
        base.mark_rule(strokeWidth=2.5, opacity=0.75).encode(
            y=alt.Y("low:Q").title(y).scale(zero=False).axis(format=form, tickCount=6), y2="high:Q"
        ),
        base.mark_point(opacity=1).encode(y=height, shape=_shape(series), tooltip=_told("at", "who", "told")),
    ]
    return _layered([*_level(level), *layers])


def differences(rows: Sequence[Row], *, x: str, y: str, order: Sequence[str]) -> Chart:
    """One point with its interval for each of `order`, against zero: rows of (at, value, low, high, told)."""
    base = _on(rows).encode(x=alt.X("at:N").title(x).sort(list(order)).axis(labelAngle=0, labelOverlap="greedy"))
    layers = [
        base.mark_rule(strokeWidth=2.5, color=MODEL, opacity=0.75).encode(y=alt.Y("low:Q").title(y), y2="high:Q"),
        base.mark_point(color=MODEL, opacity=1).encode(y=alt.Y("value:Q").title(y), tooltip=_told("at", "told")),
    ]
    return _layered([*_level(0.0), *layers])


def forest(rows: Sequence[Row], *, x: str, order: Sequence[str], level: float | None = 0.0) -> Chart:
    """Lying intervals, one line each: rows of (label, value, low, high, told)."""
    base = _on(rows).encode(y=alt.Y("label:N").title(None).sort(list(order)).axis(ticks=False, domain=False))
    layers: list[Any] = [
        base.mark_rule(strokeWidth=2.5, color=MODEL, opacity=0.75).encode(x=alt.X("low:Q").title(x), x2="high:Q"),
        base.mark_point(color=MODEL, opacity=1).encode(
            x=alt.X("value:Q").title(x).scale(zero=False), tooltip=_told("label", "told")
        ),
    ]
    if level is not None:
        line = _on([{"level": level}]).mark_rule(color=INK, strokeDash=[4, 3])
        layers.insert(0, line.encode(x="level:Q"))
    return _layered(layers, height=max(70, 34 * len(order)))


def curves(
    rows: Sequence[Row],
    *,
    x: str,
    y: str,
    series: Sequence[str],
    form: str = "%",
    level: float | None = None,
    mark: float | None = None,
) -> Chart:
    """Lines over a share: rows of (x, y, who, told)."""
    base = _on(rows).encode(
        x=alt.X("x:Q").title(x).axis(format="%", tickCount=6),
        y=alt.Y("y:Q").title(y).axis(format=form, tickCount=6),
    )
    hover = base.mark_point(opacity=0, size=140).encode(tooltip=_told("who", "told"))
    upright = [] if mark is None else [_on([{"mark": mark}]).mark_rule(color=INK, strokeDash=[4, 3]).encode(x="mark:Q")]
    return _layered([*_level(level), *upright, _lines(base, series), hover])


def steps(
    rows: Sequence[Row],
    *,
    x: str,
    y: str,
    series: Sequence[str],
    form: str = "%",
    is_time: bool = False,
    banded: bool = False,
) -> Chart:
    """Lines over days or dates, with a band where there is one: rows of (x, y, who, told[, low, high])."""
    base = _on(rows).encode(
        x=_time(x) if is_time else alt.X("x:Q").title(x), y=alt.Y("y:Q").title(y).axis(format=form, tickCount=6)
    )
    hover = base.mark_point(opacity=0, size=140).encode(tooltip=_told("who", "told"))
    layers: list[Any] = [_lines(base, series), hover]
    if banded:
        band = base.mark_area(opacity=0.16)
        layers.insert(0, band.encode(y=alt.Y("low:Q").title(y), y2="high:Q", color=_line_colour(series)))
    return _layered(layers)


def moving(rows: Sequence[Row], *, x: str, y: str, series: Sequence[str], order: Sequence[str]) -> Chart:
    """A line with marks for each of `series` over the periods of `order`: rows of (at, value, who, told)."""
    base = _on(rows).encode(
        x=alt.X("at:N").title(x).sort(list(order)).axis(labelAngle=0, labelOverlap="greedy"),
        y=alt.Y("value:Q").title(y).axis(format=".2f", tickCount=6),
        color=alt.Color("who:N").scale(colours(list(series))).sort(list(series)),
    )
    return _layered([
        base.mark_line(strokeWidth=1.5, opacity=0.7),
        base.mark_point(opacity=1).encode(shape=_shape(series), tooltip=_told("at", "who", "told")),
    ])  # fmt: skip


def reliability(rows: Sequence[Row]) -> Chart:
    """What was said against what came true: rows of (said, came_true, low, high, told)."""
    top = max([row["high"] for row in rows] + [row["said"] for row in rows] + [0.05])
    perfect = _on([{"x": 0.0, "y": 0.0}, {"x": top, "y": top}]).mark_line(
        color=MUTED, strokeDash=[4, 3], strokeWidth=1.5
    )
    base = _on(rows).encode(
        x=alt.X("said:Q").title("what Maitred said (mean score of the bin)").axis(format="%", tickCount=6)
    )
    title = "what came true"
    return _layered([
        perfect.encode(x="x:Q", y="y:Q"),
        base.mark_rule(strokeWidth=2.5, color=MODEL, opacity=0.75).encode(y=alt.Y("low:Q").title(title), y2="high:Q"),
        base.mark_point(color=MODEL, opacity=1).encode(
            y=alt.Y("came_true:Q").title(title).axis(format="%", tickCount=6), tooltip=_told("told")
        ),
    ])  # fmt: skip


def spread(rows: Sequence[Row], *, x: str, order: Sequence[str]) -> Chart:
    """Where scores lie, lying: thin from the 5th to the 95th, thick from the 25th to the 75th percentile, a mark at the median."""
    base = _on(rows).encode(y=alt.Y("label:N").title(None).sort(list(order)).axis(ticks=False, domain=False))
    return _layered(
        [
            base.mark_rule(strokeWidth=2, color=MODEL).encode(
                x=alt.X("p05:Q").title(x).axis(format="%", tickCount=6), x2="p95:Q"
            ),
            base.mark_bar(height=13, color=MODEL, opacity=0.85).encode(
                x="p25:Q", x2="p75:Q", tooltip=_told("label", "told")
            ),
            base.mark_tick(height=19, thickness=3, color=RULE).encode(x="p50:Q", tooltip=_told("label", "told")),
        ],
        height=max(80, 32 * len(order)),
    )


def stacked(rows: Sequence[Row], lines: Sequence[Row], *, y: str, series: Sequence[str], y_line: str = "") -> Chart:
    """Bars a week, on one another, and lines over them where there are some: rows of (x, y, who, told)."""
    bars = _on(rows).mark_bar(orient="vertical", stroke=CARD, strokeWidth=0.5)
    color = alt.Color("who:N").scale(colours(list(series))).sort(list(series))
    drawn: list[Any] = [
        bars.encode(
            x=_time("week"),
            x2="until:T",
            y=alt.Y("y:Q").title(y).stack(True).axis(tickMinStep=1, format="~s"),
            color=color,
            tooltip=_told("who", "told"),
        )
    ]
    if lines:
        drawn.append(
            _on(lines)
            .mark_line(color=INK, strokeDash=[5, 3], strokeWidth=1.5)
            .encode(x=_time("week"), y=alt.Y("y:Q").title(y_line or y), tooltip=_told("told"))
        )
    return _layered(drawn)


def bars(rows: Sequence[Row], *, x: str, order: Sequence[str], form: str = "~s") -> Chart:
    """Lying bars: rows of (label, value, told)."""
    chart: alt.Chart = (
        _on(rows)
        .mark_bar(color=MODEL, height=15)
        .encode(
            x=alt.X("value:Q").title(x).axis(format=form, tickCount=6),
            y=alt.Y("label:N").title(None).sort(list(order)).axis(ticks=False),
            tooltip=_told("label", "told"),
        )
        .properties(width="container", height=max(70, 26 * len(order)))
    )
    return chart


def dots(rows: Sequence[Row], *, x: str, series: Sequence[str], order: Sequence[str], form: str = "%") -> Chart:
    """Several points on each line, lying: rows of (label, who, value, low, high, told)."""
    base = _on(rows).encode(
        y=alt.Y("label:N").title(None).sort(list(order)).axis(ticks=False, domain=False),
        yOffset=alt.YOffset("who:N").sort(list(series)),
        color=alt.Color("who:N").scale(colours(list(series))).sort(list(series)),
    )
    return _layered(
        [
            base.mark_rule(strokeWidth=2, opacity=0.75).encode(
                x=alt.X("low:Q").title(x).axis(format=form, tickCount=6).scale(zero=False), x2="high:Q"
            ),
            base.mark_point(opacity=1).encode(
                x=alt.X("value:Q").title(x).axis(format=form, tickCount=6).scale(zero=False),
                shape=_shape(series),
                tooltip=_told("label", "who", "told"),
            ),
        ],
        height=max(120, 13 * len(order) * len(series) + 20),
    )


# ---- what they share -----------------------------------------------------------------------------------------------


def _on(rows: Sequence[Row]) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=list(rows)))


def _time(title: str) -> alt.X:
    return alt.X("x:T").title(title).scale(type="utc").axis(labelOverlap="greedy", format="%b %Y", tickCount=8)


def _shape(series: Sequence[str]) -> alt.Shape:
    return alt.Shape("who:N").scale(shapes(list(series))).sort(list(series))


def _told(*names: str) -> list[alt.Tooltip]:
    """Tooltips of words that are ready to be read."""
    said = {"at": "when", "who": "who", "told": "reads", "label": "what"}
    return [alt.Tooltip(f"{name}:N").title(said[name]) for name in names]


def _lines(base: alt.Chart, series: Sequence[str]) -> Any:  # Any: as in `parts.Figure`
    """A line for each of `series`, told apart by colour and dash."""
    names = list(series)
    dash = alt.StrokeDash("who:N").scale(dashes(names)).sort(names).legend(_stroke())
    return base.mark_line().encode(color=_line_colour(names), strokeDash=dash)


def _line_colour(series: Sequence[str]) -> alt.Color:
    return alt.Color("who:N").scale(colours(list(series))).sort(list(series)).legend(_stroke())


def _stroke() -> alt.Legend:
    """The same for all layers of a chart: legends that differ are not merged."""
    return alt.Legend(symbolType="stroke", symbolSize=420, symbolStrokeWidth=3, symbolOpacity=1)


def _level(level: float | None) -> list[alt.Chart]:
    if level is None:
        return []
    line = _on([{"level": level}]).mark_rule(color=INK, strokeDash=[4, 3])
    return [line.encode(y="level:Q")]


def _layered(layers: Sequence[Any], height: int = HEIGHT) -> Chart:  # Any: as in `parts.Figure`
    return alt.LayerChart(layer=list(layers), width="container", height=height)
