"""The report in a browser: it draws under any policy, can be read and reached, and charts say what their tables say."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import browser as chromium
import pytest
from browser import DESKTOP_PX, DRAWN_PX, NO_SCRIPT, NOTHING, PHONE_PX, Axis, Chart, Opened, misplaced, opened
from made_sessions import HOSTILE, make_journal
from playwright.sync_api import Browser, Page, sync_playwright

from ovbench.report.html import report_page
from ovbench.report.numbers import DASH
from ovbench.story.beside import compare
from ovbench.story.reading import read_story

pytestmark = pytest.mark.skipif(
    chromium.find_chromium() is None,
    reason="no Chromium: install one, or name it in OVBENCH_TEST_CHROMIUM",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all: it takes half a second to start, and its event loop must be gone when other modules run."""
    with sync_playwright() as playwright:
        started = chromium.launch(playwright)
        yield started
        started.close()


# What is shown: everything that a session can have, and sessions that lack something or have too much of it.
SESSIONS: dict[str, dict[str, Any]] = {
    "all there is": {
        "cells": 12, "references": True, "baseline": True, "rejected": [(1, 2), (1, 3), (4, 7)], "exit_status": 1,
    },
    "one cell": {"cells": 1},
    "30 cells": {"cells": 30},
    "100 cells": {"cells": 100},
    "hostile names": {"cells": 21, "hostile_names": True, "starts": False, "accuracy": False, "baseline": True},
    "no intervals": {"lanes": 2},
    "all unsure": {"noise": 0.4, "lanes": 5},
    "one lane, one round, killed": {"lanes": 1, "rounds": 1, "exit_status": None},
    "no starts, no gates": {"starts": False, "gates": False},
    "no accuracy, no layers": {"accuracy": False, "layers": False, "pipelines": False},
}  # fmt: skip
TWO = "two sessions"
REPLACED = "\N{REPLACEMENT CHARACTER}"  # stands for what no page may hold
MOST_BYTES = 300_000  # of 100 cells: a page is attached to mails


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The report of a session by name, made when it is first asked for."""
    folder: Path = tmp_path_factory.mktemp("sessions")

    @functools.cache
    def make(name: str) -> str:
        if name == TWO:
            stories = [
                read_story(make_journal(folder / "then.jsonl")),
                read_story(make_journal(folder / "now.jsonl", speed=1.2, seed=1)),
            ]
            return report_page(stories, compare(stories))
        return report_page([read_story(make_journal(folder / f"{name}.jsonl", **SESSIONS[name]))], None)

    return make


@pytest.fixture(scope="module")
def shown(browser: Browser, html: Callable[[str], str]) -> Iterator[Callable[[str], Opened]]:
    """The report of a session by name, opened as a server that allows no script would send it, until the next is."""
    with contextlib.ExitStack() as page:

        @functools.lru_cache(maxsize=1)
        def show(name: str) -> Opened:
            page.close()
            return page.enter_context(opened(browser, html(name), NO_SCRIPT))

        yield show


@pytest.fixture(scope="module")
def charts(shown: Callable[[str], Opened]) -> Callable[[str], list[Chart]]:
    """What the charts of a session's report show, read once."""
    return functools.cache(lambda name: chromium.read_charts(shown(name).page))


@pytest.fixture(scope="module")
def blank(browser: Browser) -> Iterator[Opened]:
    """A page to write on: a new one takes a third of a second."""
    with opened(browser, bad_page("")) as page:
        yield page


# ----------------------------------------------------------------------------------- every check finds what it is for


def bad_page(body: str, head: str = "") -> str:
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>bad</title>{head}<body>{body}</body></html>'


def chart(inside: str) -> str:
    return f'<svg width="200" height="100" viewBox="0 0 200 100" font-size="12"><title>made</title>{inside}</svg>'


@pytest.mark.parametrize(
    ("body", "ask", "fault"),
    [
        ("<img src='/a.png' alt=''>", chromium.elements_of_strangers, "<img"),
        ("<b onclick='run()'>x</b>", chromium.elements_of_strangers, "onclick"),
        ("<div style='width:900px'>wide</div>", chromium.wider_than_the_window, "the page is 9"),
        ("<div style='overflow:hidden'><p style='width:900px'>cut</div>", chromium.wider_than_the_window, "<p"),
        ("<p style='font-size:9px'>fine print</p>", chromium.too_small, "9.0 px: fine print"),
        ("<svg width=50 height=50 viewBox='0 0 100 100' font-size=12><text y=20>tick</text></svg>",
         chromium.too_small, "6.0 px: tick"),
        (chart("<text x='10' y='20'>one</text><text x='20' y='24'>other</text>"),
         chromium.labels_in_trouble, "made: 'one' lies on 'other'"),
        (chart("<text x='190' y='20'>a name</text>"), chromium.labels_in_trouble, "'a name' leaves the chart"),
        (chart("<text x='10' y='5'>cut</text>"), chromium.labels_in_trouble, "'cut' leaves the chart"),
        ("<main><p style='color:#bbb'>pale</p></main>", chromium.axe_faults, "color-contrast (serious)"),
        ("<main><svg role='img'></svg></main>", chromium.axe_faults, "svg-img-alt (serious)"),
        ("<div style='overflow:auto;width:90px'><p style='width:300px'>x</div>", chromium.unreachable,
         "<div> scrolls and takes no focus"),
        ("<a href='#a' style='outline:none'>go</a>", chromium.unreachable, "does not show its focus"),
        ("<a href='#a' style='position:fixed;left:-999px'>go</a>", chromium.unreachable, "out of sight"),
        ("<p tabindex='1'>b</p><a href='#a'>a</a><p tabindex='2'>c</p>", chromium.unreachable, "instead of 1 <a>"),
    ],
)  # fmt: skip
def test_a_fault_is_found(blank: Opened, body: str, ask: Callable[[chromium.Page], list[str]], fault: str) -> None:
    blank.page.set_content(bad_page(body))
    assert fault in "\n".join(ask(blank.look(PHONE_PX)))


def test_a_page_without_fault_has_none(browser: Browser) -> None:
    body = (
        "<main><h1>Fine</h1><a href='#a'>go</a><div style='overflow:auto' tabindex='0' role='region' aria-label='r'>"
        "<p style='width:900px' id='a'>wide</p></div>"
        + chart("<text x='10' y='20'>one</text><text x='10' y='34'>other</text>").replace("<svg", "<svg role='img'")
        + "</main>"
    )
    with opened(browser, bad_page(body), NO_SCRIPT) as page:
        shown = page.look(PHONE_PX)
        for ask in (
            chromium.elements_of_strangers, chromium.wider_than_the_window, chromium.too_small,
            chromium.labels_in_trouble, chromium.axe_faults, chromium.unreachable,
        ):  # fmt: skip
            assert ask(shown) == []
        assert (page.complaints, page.requests) == ([], [])


@pytest.mark.parametrize(
    ("head", "policy", "fault"),
    [
        ("<script>document.title = 'ran'</script>", NO_SCRIPT, "inline script violates"),
        ("<style>p { color: red }</style>", NOTHING, "inline style violates"),
        ("<link rel='stylesheet' href='//elsewhere.test/a.css'>", NO_SCRIPT, "elsewhere.test"),
        ("<script>throw Error('broken')</script>", "", "broken"),
        ("<script>console.warn('careful')</script>", "", "careful"),
    ],
)
def test_what_a_policy_forbids_is_a_complaint(browser: Browser, head: str, policy: str, fault: str) -> None:
    with opened(browser, bad_page("<p>x", head), policy) as page:
        assert any(fault in each for each in page.complaints)
        assert page.page.title() == "bad"


def test_a_request_is_seen_and_goes_nowhere(browser: Browser) -> None:
    head = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\">"
    with opened(browser, bad_page("<img src='https://elsewhere.test/a.png' alt=''>", head), trusting=True) as page:
        assert page.requests == ["https://elsewhere.test/a.png"]


def test_a_mark_that_stands_elsewhere_is_found(browser: Browser, html: Callable[[str], str]) -> None:
    with opened(browser, html("one cell")) as report:
        report.page.evaluate("document.querySelector('[data-mark]').setAttribute('d', 'M90 90h10v10h-10z')")
        scatter = next(each for each in chromium.read_charts(report.page) if each.kind == "scatter")
        assert scatter.x is not None
        assert scatter.marks[0].middle == (95, 95)
        (fault,) = misplaced(scatter.x, 95, scatter.column("p50")[0], "it")
        assert fault.startswith("it: drawn at 95.00, but ")
        report.page.evaluate("document.querySelector('[data-mark]').setAttribute('fill', 'none')")
        report.page.evaluate("document.querySelector('[data-mark]').parentElement.setAttribute('stroke', 'none')")
        with pytest.raises(AssertionError, match="marks that nobody can see"):
            chromium.read_charts(report.page)


def test_axes_are_read_as_a_reader_would() -> None:
    straight = Axis(False, ((0, 10), (5, 60), (10, 110)))
    bent = Axis(True, ((1, 0), (10, 100), (100, 200)))
    assert (straight.at(2.5), straight.crooked()) == (35, [])
    assert (round(bent.at(31.6), 1), bent.crooked()) == (150.0, [])
    (fault,) = Axis(False, bent.ticks).crooked()
    assert fault.startswith("the tick 10 stands at 100.0 instead of 18.2")
    assert misplaced(straight, 35.4, "2.5", "it") == []
    assert misplaced(straight, 36.0, "2.5 [2.4, 2.6]", "it") == [
        "it: drawn at 36.00, but 2.5 [2.4, 2.6] belongs between 34.50 and 35.50"
    ]


# -------------------------------------------------------------------------------------------------------- the page


@pytest.mark.parametrize("name", [*SESSIONS, TWO])
def test_it_draws_without_complaint_and_can_be_read(
    shown: Callable[[str], Opened], charts: Callable[[str], list[Chart]], name: str
) -> None:
    report = shown(name)
    for width in (DESKTOP_PX, PHONE_PX):
        page = report.look(width, unfolded=True)
        assert chromium.wider_than_the_window(page) == []
        assert chromium.too_small(page) == []
        assert chromium.labels_in_trouble(page) == []
    assert chromium.elements_of_strangers(page) == []
    assert (report.complaints, report.requests) == ([], [])
    assert [fault for each in charts(name) for axis in (each.x, each.y) if axis for fault in axis.crooked()] == []


def test_no_request_leaves_even_where_it_may(browser: Browser, html: Callable[[str], str]) -> None:
    with opened(browser, html("hostile names"), trusting=True) as report:
        report.look(unfolded=True)
        assert (report.complaints, report.requests) == ([], [])


def test_charts_draw_where_neither_script_nor_style_may(browser: Browser, html: Callable[[str], str]) -> None:
    with opened(browser, html("all there is"), NOTHING, scripts=False) as report:
        page = report.look()
        drawn = chromium.read_charts(page)
        assert {each.kind for each in drawn} == {"scatter", "ecdf", "intervals", "stacked", "paired", "rounds"}
        assert all(each.marks or each.lines or each.bars for each in drawn)
        assert chromium.too_small(page) == []
        assert chromium.labels_in_trouble(page) == []
        assert all("style" in each for each in report.complaints)
        assert drawn_once(page)
        assert page.evaluate("getComputedStyle(document.querySelector('svg text')).fill") == "rgb(0, 0, 0)"


def test_names_from_model_files_are_text(shown: Callable[[str], Opened]) -> None:
    page = shown("hostile names").look(unfolded=True)
    text = page.evaluate("document.body.textContent")
    for name in HOSTILE:
        assert re.sub("[\x00\u202c\u202e]", REPLACED, name) in text
    assert page.title().startswith("Benchmark of <script>alert")
    assert chromium.elements_of_strangers(page) == []


def test_a_hundred_cells_weigh_little(html: Callable[[str], str]) -> None:
    assert len(html("100 cells").encode()) <= MOST_BYTES


@pytest.mark.parametrize("name", ["all there is", TWO, "100 cells"])
def test_axe_finds_no_serious_fault(browser: Browser, html: Callable[[str], str], name: str) -> None:
    with opened(browser, html(name)) as report:
        folded = name == "100 cells"  # the tables of more cells are like those of few
        assert chromium.axe_faults(report.look(PHONE_PX, unfolded=not folded)) == []
        if name == "all there is":  # dark changes colours alone, and these are all of them
            assert chromium.axe_faults(report.look(DESKTOP_PX, dark=True, unfolded=True), contrast_alone=True) == []


@pytest.mark.parametrize("width", [DESKTOP_PX, PHONE_PX])
def test_the_keyboard_reaches_everything(shown: Callable[[str], Opened], width: int) -> None:
    page = shown("all there is").look(width)
    assert chromium.unreachable(page) == []
    page.locator("a").first.press("Enter")
    assert page.url.endswith("#main")
    assert page.locator("nav a").count() == page.locator("main > section").count()


def drawn_once(page: Page) -> bool:
    """Whether every figure shows one chart: the wide one or the small one."""
    return page.evaluate(
        """() => [...document.querySelectorAll('figure')].every(
            each => [...each.querySelectorAll('svg')].filter(one => one.checkVisibility()).length === 1)"""
    )


@pytest.mark.parametrize("width", [320, PHONE_PX, 720, 760, 810, DESKTOP_PX])
def test_charts_are_seen_whole(shown: Callable[[str], Opened], width: int) -> None:
    page = shown("all there is").look(width)
    assert drawn_once(page)
    cut = page.evaluate(
        """() => [...document.querySelectorAll('figure svg')].filter(each => each.checkVisibility() &&
            each.getBoundingClientRect().right > each.closest('figure').getBoundingClientRect().right + 1).length"""
    )
    assert cut == 0


def test_it_prints_dark_on_light(shown: Callable[[str], Opened]) -> None:
    report = shown("all there is")
    page = report.look(700, dark=True, media="print")
    assert chromium.wider_than_the_window(page) == []
    assert page.evaluate(
        """() => [...document.querySelectorAll('h1, h2, figcaption, main > section table')].filter(
            each => !each.closest('details') && !each.checkVisibility()).length"""
    ) == 0  # fmt: skip
    assert drawn_once(page)
    shade = "getComputedStyle({}).{}.match(/[\\d.]+/g).slice(0, 3).map(Number)"
    text = page.evaluate(shade.format("document.querySelector('h1')", "color"))
    assert sum(text) < 3 * 80
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert ground in {"rgba(0, 0, 0, 0)", "rgb(255, 255, 255)"}


# -------------------------------------------------------------------------------- what is drawn, and what is written


AGREE = ["all there is", "one cell", "30 cells", "no intervals", "all unsure", "one lane, one round, killed", TWO]


def of_kind(charts: list[Chart], kind: str) -> list[Chart]:
    found = [each for each in charts if each.kind == kind]
    assert found, f"no chart is of {kind}"
    return found


@pytest.mark.parametrize("name", AGREE)
def test_scatter_and_table_agree(charts: Callable[[str], list[Chart]], name: str) -> None:
    for chart in of_kind(charts(name), "scatter"):
        assert chart.x is not None
        assert chart.y is not None
        latencies, speeds = chart.column("p50"), chart.column("FPS")
        for mark, latency, speed in zip(chart.marks, latencies, speeds, strict=True):
            x, y = mark.middle
            assert misplaced(chart.x, x, latency, mark.said) == []
            assert misplaced(chart.y, y, speed, mark.said) == []


@pytest.mark.parametrize("name", AGREE)
def test_distributions_and_table_agree(charts: Callable[[str], list[Chart]], name: str) -> None:
    for chart in of_kind(charts(name), "ecdf"):
        for line, row in zip(chart.lines, chart.rows, strict=True):
            assert line.said == row[0]
            for heading in ("p5", "p25", "p50", "p75", "p90", "p95"):
                text = chart.column(heading)[chart.rows.index(row)]
                assert text == DASH or passes(line, chart, text, float(heading[1:]), int(row[1])), (row, heading)


def passes(line: chromium.Mark, chart: Chart, text: str, percent: float, calls: int) -> bool:
    """Whether a line goes through a value of the table at its share: to 1 %, as it is thinned, and one call."""
    assert chart.x is not None
    assert chart.y is not None
    value, room = chromium.number_in(text), chromium.half_of_the_last_digit(text)
    left, right = chart.x.at(value - room) - DRAWN_PX, chart.x.at(value + room) + DRAWN_PX
    step = 1 + 100 / calls
    low, high = chart.y.at(percent - step), chart.y.at(percent + step)
    return any(
        min(x, next_x) <= right and max(x, next_x) >= left and min(y, next_y) <= low and max(y, next_y) >= high
        for (x, y), (next_x, next_y) in zip(line.points, line.points[1:], strict=False)
    )


@pytest.mark.parametrize("name", AGREE)
def test_intervals_and_table_agree(charts: Callable[[str], list[Chart]], name: str) -> None:
    for chart in of_kind(charts(name), "intervals"):
        assert chart.x is not None
        whiskers = iter(chart.whiskers)
        for mark, row in zip(chart.marks, chart.rows, strict=True):
            estimate = next(each for each in row[1:] if "[" in each)
            value, *interval = chromium.numbers_in(estimate)
            assert misplaced(chart.x, mark.middle[0], value, mark.said) == []
            if interval:
                whisker = next(whiskers)
                assert misplaced(chart.x, whisker.left, interval[0], mark.said) == []
                assert misplaced(chart.x, whisker.right, interval[1], mark.said) == []
        assert next(whiskers, None) is None


@pytest.mark.parametrize("name", AGREE)
def test_phases_of_a_start_and_table_agree(charts: Callable[[str], list[Chart]], name: str) -> None:
    for chart in of_kind(charts(name), "stacked"):
        phases = [chart.column(each) for each in ("import", "read", "compile", "first inference")]
        texts = [each for row in zip(*phases, strict=True) for each in row]
        assert lengths_disagree(chart, texts) == []
        for place, text in enumerate(chart.column("whole bar")):
            assert misplaced(chart.x, chart.bars[4 * place + 3].right, text, "the whole bar") == []


@pytest.mark.parametrize("name", [each for each in AGREE if each != "one cell"])
def test_layers_and_table_agree(charts: Callable[[str], list[Chart]], name: str) -> None:
    for chart in of_kind(charts(name), "paired"):
        columns = [place for place, heading in enumerate(chart.headings) if heading == "µs"]
        assert lengths_disagree(chart, [row[place] for row in chart.rows for place in columns]) == []


def lengths_disagree(chart: Chart, texts: list[str]) -> list[str]:
    """Bars that are not as long as the table's numbers, row by row."""
    assert chart.x is not None
    start = chart.x.at(0)
    pairs = zip(chart.bars, texts, strict=True)
    return [
        fault
        for bar, text in pairs
        for fault in misplaced(chart.x, start + bar.right - bar.left, text, f"{chart.title}: {bar.said}")
    ]


@pytest.mark.parametrize("name", AGREE)
def test_rounds_and_table_agree(charts: Callable[[str], list[Chart]], name: str) -> None:
    for chart in of_kind(charts(name), "rounds"):
        assert chart.y is not None
        for line, row in zip(chart.lines, chart.rows, strict=True):
            lanes = row[3:]
            low, high = chart.y.ticks[0][0], chart.y.ticks[-1][0]
            for (_x, y), text in zip(line.points, lanes, strict=len(lanes) > 1):
                value = min(max(float(text), low), high)  # beyond its ends, an axis shows its ends
                assert misplaced(chart.y, y, f"{value:.3f}", line.said) == []
