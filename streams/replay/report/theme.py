"""How every plot of the report looks: colours that the colour-blind can tell apart, in light, in dark and on paper.

Colours are names of CSS variables, so one drawing serves all three: the page decides what `--model` is. A reader who sees no
colours at all has shapes and dashes besides.
"""

from typing import Final, Literal

import altair as alt

from streams.replay.report.words import SHORT

SCORERS: Final = tuple(SHORT.values())
WIDTH: Final = 860
FONT: Final = "Liberation Sans, Arial, Helvetica, sans-serif"  # the first is measured when drawing without a browser

INK: Final = "var(--ink)"
MUTED: Final = "var(--muted)"
GRID: Final = "var(--grid)"
CARD: Final = "var(--card)"
MODEL: Final = "var(--model)"
RULE: Final = "var(--rule)"
GREEN: Final = "var(--green)"
PINK: Final = "var(--pink)"
GREY: Final = "var(--grey)"
STEEL: Final = "var(--steel)"

Shape = Literal["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"]

# What is drawn first gets the first: the model, the one-line rule, then the others.
SERIES: Final = (MODEL, RULE, GREEN, PINK, STEEL, GREY)
SHAPES: Final[tuple[Shape, ...]] = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
DASHES: Final = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3), (1, 3), (4, 4))


def colours(names: list[str]) -> alt.Scale:
    """The scale that gives each name its colour: scorers have theirs in every plot, others by their place."""
    return alt.Scale(domain=names, range=[SERIES[at % len(SERIES)] for at in _places(names)])


def shapes(names: list[str]) -> alt.Scale:
    return alt.Scale(domain=names, range=[SHAPES[at % len(SHAPES)] for at in _places(names)])


def dashes(names: list[str]) -> alt.Scale:
    return alt.Scale(domain=names, range=[list(DASHES[at % len(DASHES)]) for at in _places(names)])


def _places(names: list[str]) -> list[int]:
    return [SCORERS.index(name) if name in SCORERS else at for at, name in enumerate(names)]


def config() -> alt.Config:
    return alt.Config(
        font=FONT,
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(
            labelColor=MUTED,
            titleColor=INK,
            domainColor=GRID,
            tickColor=GRID,
            gridColor=GRID,
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            titlePadding=8,
            labelLimit=300,
        ),
        legend=alt.LegendConfig(
            orient="top",
            title=None,
            labelColor=INK,
            labelFontSize=12,
            symbolSize=90,
            labelLimit=260,
            columns=3,
            columnPadding=22,
        ),
        header=alt.HeaderConfig(labelColor=INK, titleColor=INK, labelFontSize=12, titleFontSize=12),
        text=alt.MarkConfig(color=INK, fontSize=12),
        rule=alt.MarkConfig(color=MUTED),
        line=alt.LineConfig(strokeWidth=2.5),
        point=alt.MarkConfig(filled=True, size=70),
        bar=alt.BarConfig(color=MODEL),
    )
