"""The page as text: what it holds of a session, what it leaves out, and that nothing in it can act or be fetched."""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from made_sessions import HOSTILE, make_journal

from ovbench.report.html import page_sections, report_page
from ovbench.report.html.parts import Table, from_terminal, make_table, without_empty
from ovbench.report.html.svg import COLOURS, GREY, OLIVE, PURPLE, TEAL
from ovbench.report.html.verdicts import counts_tile
from ovbench.report.numbers import DASH, milliseconds, ratio, significant
from ovbench.report.page import open_table
from ovbench.story.beside import compare
from ovbench.story.facts import Story
from ovbench.story.reading import read_story

MOST_BYTES = 300_000  # of a session of a hundred cells: it is attached to mails
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "a", "header", "h1", "h2", "h3", "p", "nav", "ul", "li", "main",
    "section", "dl", "div", "dt", "dd", "table", "caption", "thead", "tbody", "tr", "th", "td", "figure", "figcaption",
    "details", "summary", "span", "pre", "code", "footer", "svg", "desc", "g", "path", "text",
}  # fmt: skip


class Page(HTMLParser):
    """Every element with its attributes, and the texts within by the element that they stand in."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._open.append(tag)

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.append((self._open[-1], data))

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for each, attributes in self.elements if each == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(data for _tag, data in self.texts).split())


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Story]:
    """A made session read back, each once."""
    folder: Path = tmp_path_factory.mktemp("journals")

    @functools.cache
    def tell(name: str, **wanted: Any) -> Story:
        return read_story(make_journal(folder / f"{name}.jsonl", **wanted))

    return tell


@pytest.fixture(scope="module")
def full(told: Callable[..., Story]) -> Story:
    """A session that has everything: gates of every outcome, references, a baseline, rejected rounds."""
    return told("full", cells=16, lanes=5, rounds=4, references=True, baseline=True, rejected=((0, 1),))


def tables_of(stories: Sequence[Story]) -> list[Table]:
    parts = [part for section in page_sections(stories, None) for part in section.parts]
    return [table for part in parts for table in (*part.tables, *(figure.table for figure in part.figures))]


def table_of(story: Story, caption: str) -> Table:
    return next(each for each in tables_of([story]) if each.caption.startswith(caption))


def test_nothing_in_the_page_can_act_or_be_fetched(full: Story) -> None:
    text = report_page([full], None)
    page = Page(text)
    assert {tag for tag, _attributes in page.elements} <= ALLOWED
    names = {name for _tag, attributes in page.elements for name in attributes}
    assert not {name for name in names if name.startswith("on")}
    assert not names & {"style", "src", "srcset", "xlink:href", "action"}
    assert all(attributes.get("href", "#").startswith("#") for _tag, attributes in page.elements)
    assert "url(" not in text
    assert "@import" not in text
    policies = [each["content"] for each in page.of("meta") if "http-equiv" in each]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_the_page_can_be_walked_by_headings_landmarks_and_links(full: Story) -> None:
    page = Page(report_page([full], None))
    tags = [tag for tag, _attributes in page.elements]
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert (tags.count("main"), tags.count("nav"), page.of("html")[0]["lang"]) == (1, 1, "en")
    identities = [attributes["id"] for _tag, attributes in page.elements if "id" in attributes]
    assert len(set(identities)) == len(identities)
    assert {each["href"][1:] for each in page.of("a")} == {"main", *(each["id"] for each in page.of("section"))}
    for attributes in (each for _tag, each in page.elements if "aria-labelledby" in each):
        assert set(attributes["aria-labelledby"].split()) <= set(identities)


def test_every_chart_says_what_it_is_and_has_its_numbers_below(full: Story) -> None:
    page = Page(report_page([full], None))
    figures = [attributes["data-chart"] for attributes in page.of("figure")]
    assert {"scatter", "ecdf", "stacked", "intervals", "paired", "rounds"} == set(figures)
    inside = "".join(f"{tag} " for tag, _attributes in page.elements).split("figure ")[1:]
    assert all(re.match(r"figcaption (div )?svg title desc .*details summary span div table ", each) for each in inside)
    assert all(each.get("role") == "img" and each["aria-labelledby"].count(" ") == 1 for each in page.of("svg"))
    for each in page.of("div"):
        if each.get("class") == "scroll":
            assert each["tabindex"] == "0"
            assert each["role"] == "region"


def test_tables_have_a_row_for_everything_and_say_what_heads_it(full: Story) -> None:
    tables = tables_of([full])
    for table in tables:
        assert {len(row) for row in table.rows} == {len(table.headings)}
    page = Page(report_page([full], None))
    scopes = Counter(each["scope"] for each in page.of("th"))
    assert scopes == {
        "col": sum(len(each.headings) for each in tables), "row": sum(len(each.rows) for each in tables),
    }  # fmt: skip
    assert len(page.of("caption")) == len(tables)


def test_verdicts_come_first_and_failures_before_what_is_unsure(full: Story) -> None:
    sections = page_sections([full], None)
    assert [each.identity for each in sections] == [
        "verdicts", "front", "latency", "startup", "accuracy", "layers", "rounds", "beside", "machine", "words",
    ]  # fmt: skip
    (verdicts,) = sections[0].parts
    outcomes = Counter(gate.outcome.value for gate in full.gates)
    assert all(f"{count} {outcome}" in verdicts.lines[0] for outcome, count in outcomes.items())
    gates = [line for line in verdicts.alerts if "floor" in line]
    assert [line.rpartition(" ")[2] for line in gates] == (
        ["FAILED"] * outcomes["FAILED"] + ["UNSURE"] * outcomes["UNSURE"]
    )
    assert outcomes["FAILED"]
    assert outcomes["UNSURE"]
    assert any("SLOWER, waived until" in line for line in verdicts.alerts)


def test_the_figures_are_the_session_s_in_the_digits_of_the_terminal(full: Story) -> None:
    cells = [each for each in full.cells if each.measured]
    rows = table_of(full, "Every configuration").rows
    for cell, row in zip(cells, rows, strict=True):
        assert cell.summary is not None
        assert row[0] == cell.name
        assert row[1] == milliseconds(cell.summary.p50_ns)
        assert row[4] == significant(cell.summary.frames_per_second)
        assert row[5] == ratio(cell.speedup)
        assert row[6] == (DASH if cell.verdict is None else cell.verdict.value)
    best = max(cells, key=lambda each: each.summary.frames_per_second if each.summary else 0.0)
    assert f"{best.name} infers the most images a second" in page_sections([full], None)[0].parts[0].lines[1]


def test_the_worst_verdict_is_told_in_large() -> None:
    tile = counts_tile("Speed", [(4, "UNSURE"), (1, "FASTER")])
    assert (tile.figure, tile.of, tile.state) == ("4 UNSURE", "1 FASTER", "UNSURE")
    assert counts_tile("Speed", [(3, "SAME")]).of == "all of them"


def test_sections_of_charts_begin_with_what_they_show(full: Story) -> None:
    lines = {each.identity: each.parts[0].lines for each in page_sections([full], None)}
    rows = table_of(full, "Median latency").rows
    front = [f"{row[0]} ({row[1]} ms, {row[3]} FPS)" for row in sorted(rows, key=lambda row: float(row[1]))
             if row[4] == "yes"]  # fmt: skip
    assert lines["front"][0].startswith(f"{len(front)} of {len(rows)} configurations are on the Pareto front")
    assert front[0] in lines["front"][0]
    assert front[-1] in lines["front"][0]
    medians = [float(each) for table in tables_of([full]) if "median cost" in table.caption
               for row in table.rows for each in row[3:]]  # fmt: skip
    least, most = (float(each) for each in re.findall(r"([\d.]+) \(lane", lines["rounds"][0]))
    assert min(medians) <= least <= most <= max(medians)
    assert re.fullmatch(
        r"Steadiest: .* 1\.\d\d times its median; least steady: .* 1\.\d\d times\.", lines["latency"][0]
    )
    startup = table_of(full, "Start-up, INT8")
    wholes = {row[0]: row[startup.headings.index("whole bar")] for row in startup.rows}
    assert f"INT8 {wholes['cache off']} ms ({wholes['cache warm']} ms from a warm cache)" in lines["startup"][0]
    slower = sum(row[-1] == "SLOWER" for row in table_of(full, "The 10 layers").rows)
    assert f"SLOWER than in FP32: {slower} of 16." in lines["layers"][0]


def test_columns_that_say_nothing_are_left_out_where_they_may_be() -> None:
    table = make_table("A caption", ["cell", "MB", "p99 ms", "ran as"], [["a", DASH, DASH, "f32"]])
    lean = without_empty(table, ("MB",))
    assert (lean.headings, lean.rows) == (("cell", "p99 ms", "ran as"), (("a", DASH, "f32"),))
    assert lean.texts == {2}


def test_each_lane_is_told_and_rejected_rounds_are_counted(full: Story) -> None:
    table = table_of(full, "Latency hint: median cost")
    assert table.headings[:3] == ("line", "rounds", "rejected")
    assert table.headings[3:] == tuple(f"lane {number}" for number in range(1, 6))
    assert {row[1:3] for row in table.rows} == {("20", "1")}
    assert all(0.5 < float(each) < 2 for row in table.rows for each in row[3:])


@pytest.mark.parametrize(
    ("wanted", "left_out"),
    [
        ({"lanes": 0}, {"front", "latency", "rounds"}),
        ({"starts": False}, {"startup"}),
        ({"accuracy": False}, {"accuracy"}),
        ({"layers": False}, {"layers"}),
        ({"pipelines": False}, {"beside"}),
    ],
)
def test_what_a_session_lacks_is_left_out_wholly(
    told: Callable[..., Story], wanted: dict[str, Any], left_out: set[str]
) -> None:
    story = told("-".join(wanted), **{"cells": 3, "lanes": 2, "rounds": 2, **wanted})
    identities = {each.identity for each in page_sections([story], None)}
    everything = {
        "verdicts",
        "front",
        "latency",
        "startup",
        "accuracy",
        "layers",
        "rounds",
        "beside",
        "machine",
        "words",
    }
    assert identities == everything - left_out
    assert "empty" not in report_page([story], None)


def test_a_session_that_measured_nothing_says_so(told: Callable[..., Story]) -> None:
    story = told("lanes", cells=3, lanes=0, rounds=2)
    (verdicts,) = page_sections([story], None)[0].parts
    assert verdicts.lines[0].startswith("No configuration was measured on ")
    assert any("nothing was measured" in line for line in verdicts.alerts)
    assert not verdicts.figures


def test_one_cell_of_one_lane_without_intervals(told: Callable[..., Story]) -> None:
    story = told("one", cells=1, lanes=1, rounds=1, layers=False)
    text = Page(report_page([story], None)).text
    assert "1 configuration of made was measured in 1 fresh process" in text
    assert "Fewer than 5 fresh processes give no interval" in text
    pair = told("pair", cells=2, lanes=1, rounds=2)
    (row,) = table_of(pair, "Speed-up over FP32").rows
    assert row[1].endswith("[?]")
    assert row[-1] == "UNSURE"
    assert "too few for an interval" in report_page([pair], None)


def test_a_killed_session_says_so(told: Callable[..., Story]) -> None:
    killed = told("killed", cells=2, lanes=2, rounds=2, exit_status=None)
    (verdicts,) = page_sections([killed], None)[0].parts
    assert verdicts.lines[0].startswith("The session was killed or is not over")


def test_rounds_of_many_cells_show_as_the_median_of_each_precision(told: Callable[..., Story]) -> None:
    many = told("many", cells=48, lanes=2, rounds=2)
    rows = table_of(many, "Latency hint: median cost").rows
    assert [row[0] for row in rows] == ["FP32, 4 cells", "INT8, 4 cells", "BF16, 4 cells"]
    assert {row[1] for row in rows} == {"4"}


def test_a_hundred_cells_stay_light_and_never_crowd_a_plot(told: Callable[..., Story]) -> None:
    text = report_page([told("hundred", cells=100, rounds=4)], None)
    assert len(text.encode()) <= MOST_BYTES
    plots = re.findall(r'data-chart="(?:ecdf|rounds)".*?</svg>', text, re.DOTALL)
    assert max(each.count("data-line") for each in plots) <= 8
    assert sum(each.count("data-line") for each in plots if 'data-chart="ecdf"' in each) == 100


def test_hostile_names_are_texts(told: Callable[..., Story]) -> None:
    story = told("hostile", cells=21, lanes=2, rounds=1, hostile_names=True, references=True, baseline=True)
    page = Page(report_page([story], None))
    assert {tag for tag, _attributes in page.elements} <= ALLOWED
    for name in HOSTILE:
        shown = re.sub("[\x00\u202a-\u202e]", "\N{REPLACEMENT CHARACTER}", name)
        assert " ".join(shown.split()) in page.text


def test_what_no_page_may_hold_is_replaced(full: Story, told: Callable[..., Story]) -> None:
    story = told("hostile", cells=21, lanes=2, rounds=1, hostile_names=True, references=True, baseline=True)
    assert re.search("[\x00-\x08\x0b-\x1f\u202e]", report_page([story], None)) is None
    broken = type(full)(**{**vars(full), "command": "half a pair \ud83d and \x1b[31m"})
    text = report_page([broken], None)
    assert "half a pair \N{REPLACEMENT CHARACTER} and \N{REPLACEMENT CHARACTER}[31m" in text
    text.encode()


def test_two_sessions_stand_beside_each_other(told: Callable[..., Story]) -> None:
    stories = [told("then", cells=6), told("now", cells=6, speed=1.5, seed=3)]
    comparison = compare(stories)
    sections = page_sections(stories, comparison)
    assert sections[0].identity == "compared"
    (compared,) = sections[0].parts
    table = compared.tables[0]
    assert [row[0] for row in table.rows] == [each.name for each in comparison.rows]
    beside = [each.beside[0] for each in comparison.rows]
    verdicts = [each.time.verdict.value for each in beside if each is not None]
    assert [row[6] for row in table.rows] == verdicts
    assert all(each.chart.kind == "intervals" for each in compared.figures)
    for section in sections[1:-1]:
        headings = [part.heading.partition(",")[0] for part in section.parts if part.heading]
        charts = [figure.chart.title.rpartition(", ")[2] for part in section.parts for figure in part.figures]
        assert headings == ["then", "now"] or (not headings and charts == ["then", "now"] * (len(charts) // 2))
    text = report_page(stories, comparison)
    assert Page(text).of("h1") == [{}]
    assert "2 benchmarks of made" in text


def test_charts_of_two_sessions_are_on_the_same_axes(told: Callable[..., Story]) -> None:
    stories = [told("then", cells=6), told("now", cells=6, speed=1.5, seed=3)]
    text = report_page(stories, compare(stories))
    for kind in ("scatter", "ecdf", "stacked"):
        charts = re.findall(rf'data-chart="{kind}".*?</svg>', text, re.DOTALL)
        axes = [re.findall(r"<g data-axis.*?</g>", each) for each in charts]
        assert axes
        assert axes[::2] == axes[1::2]


def test_a_terminal_s_table_comes_over_as_it_is() -> None:
    table = open_table("a title")
    table.add_column("", overflow="fold")
    table.add_column("ratio\n[95 %]")
    table.add_row("one [x]", "1.0\n[0.9, 1.1]")
    assert from_terminal(table, "A caption") == make_table(
        "A caption", ["", "ratio [95 %]"], [["one [x]", "1.0 [0.9, 1.1]"]]
    )


def test_columns_of_words_and_of_verdicts_are_known() -> None:
    table = make_table("A caption", ["cell", "ran as", "FPS", "drop < 1"], [["a", "f32", "12", "HELD"]])
    assert table.texts == {1, 3}
    assert not table.all_words


# ---------------------------------------------------------------------------------------------------------- contrast


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    if len(colour) == 4:
        colour = "#" + "".join(2 * each for each in colour[1:])
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def schemes() -> list[dict[str, str]]:
    """The style sheet's colours by name: light, then dark."""
    style = (files("ovbench.report.html") / "style.css").read_text("utf-8")
    light, dark = (
        dict(re.findall(r"--(\w+): (#\w+)", block)) for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2]
    )
    return [light, dark]


@pytest.mark.parametrize("scheme", schemes(), ids=["light", "dark"])
def test_texts_and_marks_stand_out_in_light_and_dark(scheme: dict[str, str]) -> None:
    for text in ("text", "quiet", "link", "good", "bad", "open"):
        for ground in ("page", "raised"):
            assert contrast(scheme[text], scheme[ground]) >= 4.5, (text, ground)
    for colour in (*COLOURS.values(), GREY, TEAL, PURPLE, OLIVE):
        assert contrast(colour, scheme["page"]) >= 3, colour
