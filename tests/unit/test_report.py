"""The report says what the results say, in one file that fetches nothing, the same bytes for the same results."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import altair as alt
import msgspec
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from streams.replay.answer import answer
from streams.replay.report import write_report
from streams.replay.report.charts import intervals
from streams.replay.report.drawing import drawn, specification
from streams.replay.report.page import page
from streams.replay.report.quality import quality
from streams.replay.report.ranking import ranking
from streams.replay.report.remarks import remarks
from streams.replay.report.reproduce import reproduce
from streams.replay.report.second_looks import second_looks
from streams.replay.report.service import service
from streams.replay.report.shared import quoted
from streams.replay.report.tables import KINDS, SCORE_SPREAD, score_spread, table_of
from streams.replay.report.what_if import what_if
from streams.replay.results import Difference, Figures, Results
from streams.settings import DECIDING, Settings, policy_version
from tests.unit.report_samples import CUSTOMER, MAIN, difference, results_without_outcomes, sample_results, sample_run

VOID = {"meta", "br", "link", "img", "input", "hr", "rect", "path", "line"}
LOADS = {"src", "href", "xlink:href", "action", "data", "poster", "srcset"}


class Page(HTMLParser):
    """Holds that elements close in order; gathers what would be fetched, ids and texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.counts: dict[str, int] = {}
        self.text: list[str] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        values = dict(attrs)
        self.ids += [values["id"]] if values.get("id") else []
        for name, value in attrs:
            if name in LOADS:
                (self.links if tag == "a" and value.startswith("#") else self.loads).append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag) -> None:
        if tag in VOID:
            return
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> within <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data) -> None:
        within = self.open[-1] if self.open else ""
        (self.scripts if within == "script" else self.styles if within == "style" else self.text).append(data)

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place: Path = tmp_path_factory.mktemp("report")
    write_report(sample_results(), [sample_run()], place)
    return place


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def read(html: str) -> Page:
    return Page(html)


def test_the_page_fetches_nothing(read: Page, html: str) -> None:
    assert read.counts["svg"] > 20  # there was something to draw
    assert read.loads == []
    assert "default-src 'none'" in html
    assert not re.search(r"url\((?!#)|@import", "".join(read.styles))


def test_links_lead_somewhere_and_ids_are_given_once(read: Page) -> None:
    assert len(read.ids) == len(set(read.ids))
    assert {link.removeprefix("#") for link in read.links} <= set(read.ids)


def test_the_library_ends_where_it_should(read: Page) -> None:
    """A script that holds `</script` or a comment's beginning would end early, and show itself as text."""
    assert any("vegaEmbed" in script and len(script) > 500_000 for script in read.scripts)
    assert "function(" not in read.words


def test_a_page_is_the_same_bytes_each_time(html: str) -> None:
    run = sample_run()
    assert page(sample_results(), run, score_spread(run)) == html


def test_it_is_small_enough_to_mail(html: str) -> None:
    assert len(html.encode()) < 3_000_000


def test_every_number_of_the_verdict_stands_in_the_results(read: Page) -> None:
    results = sample_results()
    assert results.answer is not None
    assert results.answer.sentence in read.words
    known = json.loads(msgspec.json.encode(results))
    numbers = {f"{abs(n):g}" for n in _numbers(known["answer"])} | {"95"}  # of the word "95 % interval"
    said = re.findall(r"\d+(?:\.\d+)?", results.answer.sentence.replace(",", ""))
    assert len(said) >= 8
    assert [number for number in said if number not in numbers | {"30"}] == []  # 30: days, of the look's name


def test_the_counts_of_the_verdict_follow_from_the_figures() -> None:
    results = sample_results()
    first = results.find("model")[0]
    told = answer(results).first
    assert told is not None
    assert first.capture_at_10 is not None
    assert (told.found, told.vips) == (round(first.capture_at_10 * first.positives), first.positives)


@pytest.mark.parametrize(
    ("half", "word", "standing"),
    [(0.9, "not shown to differ", "not-shown"), (0.0001, "the rule is better", "worse")],
)
def test_an_interval_that_holds_zero_shows_nothing(half: float, word: str, standing: str) -> None:
    results = sample_results()
    worse = [_less(f) for f in results.figures if f.look == "first"]
    figures = {(f.scorer, f.part, f.name, f.outcome): f for f in worse}
    results.figures = tuple(worse)
    results.differences = (
        difference(figures["model", "all", "", "whole"], figures["spend", "all", "", "whole"], "capture_at_10", half),
    )
    told = answer(results)
    assert told.standing == standing
    assert word in told.sentence
    assert "fewer" in told.sentence


def _less(figures: Figures) -> Figures:
    """The model finds less than the rule."""
    if figures.scorer != "model" or figures.capture_at_10 is None:
        return figures
    return msgspec.structs.replace(figures, capture_at_10=figures.capture_at_10 - 0.1)


def test_without_outcomes_the_page_says_so_and_claims_nothing(tmp_path: Path) -> None:
    read = Page(write_report(results_without_outcomes(), [], tmp_path).read_text(encoding="utf-8"))
    assert "Nothing can be said about who became a VIP" in read.words
    assert "250 first purchases were scored" in read.words
    assert "months of customers" in read.words
    assert "ROC AUC at the first order" not in read.words
    assert "svg" not in read.counts


def test_an_empty_log_makes_a_page_too(tmp_path: Path) -> None:
    read = Page(write_report(Results(), [], tmp_path).read_text(encoding="utf-8"))
    assert "no first purchase was found" in read.words


def test_outcomes_without_a_vip_make_a_page_too(tmp_path: Path) -> None:
    results = results_without_outcomes()
    results.examples = 40
    results.answer = None
    assert (
        "of 40 customers whose outcome is known none became one"
        in Page(write_report(results, [], tmp_path).read_text(encoding="utf-8")).words
    )


def test_no_customer_is_named(folder: Path) -> None:
    assert sum(CUSTOMER.encode() in place.read_bytes() for place in folder.rglob("*.*")) == 0
    columns = {name for place in folder.rglob("*.parquet") for name in pq.read_schema(place).names}
    assert len(columns) > 40
    assert not {"customer_id", "look_id", "assignment_id", "advisor_id"} & columns


def test_dark_print_and_narrow_are_provided_for(read: Page) -> None:
    style = "".join(read.styles)
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style
    assert "break-inside: avoid" in style
    assert "@media (max-width" in style


def test_colours_are_the_page_s_own(html: str) -> None:
    """So that one drawing serves light, dark and paper."""
    used = set(re.findall(r"var\((--[a-z]+)\)", html))
    light, dark = re.findall(r":root \{([^}]*)\}", html)[:2]
    assert {"--model", "--rule", "--ink"} <= used
    assert used <= set(re.findall(r"(--[a-z]+):", light))
    assert set(re.findall(r"(--[a-z]+):", light)) == set(re.findall(r"(--[a-z]+):", dark))


def contrast(one: str, other: str) -> float:
    """Of two colours, by WCAG 2.1."""

    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    bright, dim = sorted((light(one), light(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def test_text_and_marks_stand_out_from_the_card(html: str) -> None:
    """4.5 for text, 3 for marks."""
    for theme in re.findall(r":root \{([^}]*--card[^}]*)\}", html)[:2]:
        colours = dict(re.findall(r"(--[a-z]+): (#[0-9a-f]{6})", theme))
        for name in ("--ink", "--muted", "--link"):
            assert contrast(colours[name], colours["--card"]) >= 4.5, name
        for name in ("--model", "--rule", "--green", "--pink", "--steel", "--grey"):
            assert contrast(colours[name], colours["--card"]) >= 3.0, name


def test_each_plot_has_its_numbers_beside_it(read: Page) -> None:
    assert read.counts["details"] == read.counts["summary"] == read.counts["figure"] + 1  # and the settings
    assert read.counts["table"] > read.counts["figure"]


def test_charts_hold_to_vega_lite_s_schema() -> None:
    results = sample_results()
    sections = [ranking(results), second_looks(results), what_if(results), service(results, sample_run())]
    charts = [figure.chart for section in sections for figure in section.figures]
    assert len(charts) > 15
    for chart in charts:
        assert isinstance(chart.to_dict(), dict)  # raises where it does not


def test_names_inside_a_plot_are_its_own() -> None:
    clipped = (
        alt.Chart(alt.InlineData(values=[{"a": 1}]))
        .mark_point(clip=True)
        .encode(x="a:Q")
        .properties(width=50, height=50)
    )
    one, two = (drawn(specification(clipped), name) for name in ("one", "two"))
    assert 'id="one-0"' in one
    assert "url(#one-0)" in one
    assert one.replace("one-", "two-") == two


def test_what_is_said_is_escaped(tmp_path: Path) -> None:
    """A market or a note may be called anything."""
    results = sample_results()
    results.figures = tuple(
        msgspec.structs.replace(f, name="<script>alert(1)</script>") if f.part == "market" else f
        for f in results.figures
    )
    results.notes = ("a <b>note</b>",)
    html = page(results, None, SCORE_SPREAD.empty_table())
    read = Page(html)
    assert not any(script.startswith("alert") for script in read.scripts)
    assert "A <b>note</b>." in read.words


def test_assignments_and_capacity_are_summed_over_pools() -> None:
    section = service(sample_results(), sample_run())
    weeks = next(figure for figure in section.figures if figure.name == "places").sheet
    assert weeks.rows[0][6] == "120"  # capacity: 60 of each of two pools
    assert "410 customers got an advisor" in section.lead[0]
    assert "half of them 50 days or more" in section.lead[0]


def test_parquet_has_a_file_of_every_kind(folder: Path) -> None:
    results = sample_results()
    for name in KINDS:
        assert pq.read_metadata(folder / "report" / f"{name}.parquet").num_rows == len(getattr(results, name))
    figures = pq.read_table(folder / "report" / "figures.parquet")
    first = results.figures[0]
    assert first.roc_auc_ci95 is not None
    assert (figures["roc_auc"][0].as_py(), figures["roc_auc_ci95_high"][0].as_py()) == (
        first.roc_auc,
        first.roc_auc_ci95[1],
    )
    assert pq.read_schema(folder / "report" / "differences.parquet").names[-2:] == ["ci95_low", "ci95_high"]


def test_tables_without_rows_keep_their_columns() -> None:
    empty = table_of(Difference, ())
    assert empty.num_rows == 0
    assert empty.schema == table_of(Difference, sample_results().differences).schema


def test_scores_are_spread_by_quarter_market_and_look() -> None:
    spread = score_spread(sample_run())
    kinds = spread["kind"].to_pylist()
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"quarter": 5, "market": 3, "look": 5}
    looks = [row for row in spread.to_pylist() if row["kind"] == "look"]
    assert [row["name"] for row in looks] == ["first", "day_7", "day_14", "day_30", "order"]
    assert sum(row["looks"] for row in looks) == 400
    assert all(row["p05"] <= row["p50"] <= row["p95"] for row in looks)


def test_what_could_not_be_used_is_told_by_reason() -> None:
    told = {sheet.caption: {row[0]: row[1] for row in sheet.rows} for sheet in quality(sample_results()).sheets}
    assert told["What could not be used as it came"]["rejected: impossible value"] == "12"
    assert told["Rows of the source that were left out"] == {"no customer": "243,007", "price 0": "6,024"}
    assert told["Counted besides"] == {"looks": "9,000"}
    assert told["Loyalty tiers announced"] == {"silver": "0", "gold": "120"}  # near, then reached


def test_variants_that_mean_something_else_by_a_vip_are_not_held_against_each_other() -> None:
    """They stand in the table, marked; neither the plot nor the line below the verdict ranks them."""
    results = sample_results()
    first, other = results.variants
    assert any("not shown to differ" in said or "better" in said or "worse" in said for said in remarks(results)[:1])
    results.variants = first, replace(other, outcome="gold")
    (figure, *_) = what_if(results).figures
    pairs = [row[0] for row in figure.sheet.rows]
    assert f"{quoted(other.name)} less {quoted(first.name)} (another outcome)" in pairs
    assert f"{quoted(other.name)} less" not in json.dumps(figure.chart.to_dict(), ensure_ascii=False)
    assert f"another outcome, so not compared: {quoted(other.name)}" in remarks(results)[0]


def test_a_variant_is_named_where_there_are_several() -> None:
    labels = [row[0] for figure in what_if(sample_results()).figures for row in figure.sheet.rows]
    assert any("no second looks" in label and MAIN in label for label in labels)


def test_settings_go_by_the_name_that_production_calls_them() -> None:
    results = sample_results()
    results.settings = {name: msgspec.to_builtins(getattr(Settings(), name)) for name in DECIDING}
    facts = {row[0]: row[1] for row in reproduce(results).sheets[0].rows}
    assert facts["settings, by their hash"] == policy_version(Settings())


def test_a_plot_of_nothing_is_not_made() -> None:
    assert isinstance(intervals([], x="x", y="y", series=["a"], order=[]).to_dict(), dict)
    assert second_looks(results_without_outcomes()).figures == []


def _numbers(document: object) -> list[float]:
    if isinstance(document, dict):
        return [n for value in document.values() for n in _numbers(value)]
    if isinstance(document, list):
        return [n for value in document for n in _numbers(value)]
    return [float(document)] if isinstance(document, int | float) and not isinstance(document, bool) else []
