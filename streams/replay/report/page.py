"""The page itself: the answer, then the evidence, in one file that fetches nothing."""

import json
from importlib.resources import files
from typing import Any, Final

import pyarrow as pa
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from streams.replay.answer import answer
from streams.replay.report.cards import cards
from streams.replay.report.drawing import drawn, script, specification, unchecked
from streams.replay.report.parts import Figure, Section
from streams.replay.report.quality import quality
from streams.replay.report.ranking import ranking
from streams.replay.report.reasons import reasons
from streams.replay.report.remarks import remarks
from streams.replay.report.reproduce import glossary, reproduce
from streams.replay.report.second_looks import second_looks
from streams.replay.report.service import service
from streams.replay.report.theme import WIDTH
from streams.replay.report.trust import trust
from streams.replay.report.what_if import what_if
from streams.replay.report.words import day
from streams.replay.results import Results
from streams.replay.run import Run

ROOM: Final = "streams.replay.report"


def page(results: Results, run: Run | None, spread: pa.Table) -> str:
    """The report as HTML: a function of its arguments, the same bytes for the same."""
    with unchecked():
        sections = [_ready(section) for section in _sections(results, run, spread) if not section.is_empty]
    verdict = results.answer or answer(results)
    has_plots = any(section["figures"] for section in sections)
    name = results.source.title or results.source.name or "a log"
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(_text("page.html"))
    html: str = template.render(
        title=f"Maitred replay: {name}",
        about=_about(results, name),
        standing=verdict.standing,
        question="Would Maitred have found the VIPs?",
        sentence=verdict.sentence,
        remarks=remarks(results),
        cards=cards(results),
        sections=sections,
        style=Markup(_text("page.css")),  # noqa: S704 - our own file
        library=_harmless(script()) if has_plots else "",
        behaviour=Markup(_text("page.js")) if has_plots else "",  # noqa: S704 - our own file
        footer=f"Made by maitred replay {results.maitred}. This page fetches nothing and holds no customer's data.".replace(
            "  ", " "
        ),
    )
    return html


def _sections(results: Results, run: Run | None, spread: pa.Table) -> tuple[Section, ...]:
    """In the order in which a director asks: of several variants, first how they compare."""
    ranked = ranking(results), second_looks(results)
    compared = (what_if(results),)
    return (
        *(compared + ranked if len(results.variants) > 1 else ranked + compared),
        service(results, run),
        trust(results, spread),
        reasons(results),
        quality(results),
        reproduce(results),
        glossary(),
    )


def _about(results: Results, name: str) -> str:
    first, last = results.quality.first_event_ms, results.quality.last_event_ms
    since = f" Events of {day(first)} to {day(last)}." if first is not None else ""
    outcome = f" A VIP here: {results.outcome}." if results.outcome else ""
    return f"Maitred replay of {name}.{since}{outcome}"


def _ready(section: Section) -> dict[str, Any]:  # Any: what the template reads
    return {
        "name": section.name,
        "title": section.title,
        "lead": section.lead,
        "figures": [_figure(figure) for figure in section.figures],
        "sheets": section.sheets,
        "notes": section.notes,
        "commands": section.commands,
        "words": section.words,
    }


def _figure(figure: Figure) -> dict[str, Any]:  # Any: as above
    document = specification(figure.chart)
    svg = drawn({**document, "width": WIDTH}, figure.name)
    text = json.dumps(document, separators=(",", ":"), sort_keys=True)
    return {
        "name": figure.name,
        "title": figure.title,
        "how": figure.how,
        "sheet": figure.sheet,
        "svg": Markup(svg),  # noqa: S704 - Vega escapes what it draws
        "json": Markup(text.replace("<", "\\u003c")),  # noqa: S704 - so no element ends within it
    }


def _harmless(code: str) -> Markup:
    """A script that can't end its own element."""
    return Markup(code.replace("</script", "<\\/script").replace("<!--", "\\x3C!--"))  # noqa: S704 - this makes it safe


def _text(name: str) -> str:
    return (files(ROOM) / name).read_text(encoding="utf-8")
