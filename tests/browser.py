"""A page in headless Chromium: opened under a policy, and asked what is wrong with it; no fault is an empty list."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Playwright, Route

OWN_POLICY = ""  # what the page says of itself
NO_SCRIPT = "default-src 'none'; style-src 'unsafe-inline'"
NOTHING = "default-src 'none'"  # no style either: presentation attributes alone are left
ADDRESS = "http://report.test/"  # answered by us: no name is looked up
DESKTOP_PX, PHONE_PX = 1200, 390
LEAST_TEXT_PX = 11  # below, a reader has to zoom
INK = 0.15  # share of a text's box above its letters, and below them, that is air
SLACK_PX = 1.0  # what rounding to whole pixels may move
DRAWN_PX = 0.15  # coordinates have one decimal: a mark's, a tick's, and half of a box's
SERIOUS = ("serious", "critical")
ACTIVE = "script, img, iframe, object, embed, link, form, base, audio, video, svg image, svg foreignObject, svg a"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def find_chromium() -> str | None:
    """The browser that tests drive: OVBENCH_TEST_CHROMIUM, else one that is installed, else None."""
    named = os.environ.get("OVBENCH_TEST_CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def launch(playwright: Playwright) -> Browser:
    """A browser with a profile of its own, which it forgets."""
    return playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS), timeout=120_000)


Media = Literal["screen", "print"]


@dataclass
class Opened:
    """A page, what its console said, and what it asked the network for besides itself."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def look(
        self, width: int = DESKTOP_PX, dark: bool = False, unfolded: bool = False, media: Media = "screen"
    ) -> Page:
        """The page at a width, in light or dark, with its details open or as they were written."""
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.emulate_media(color_scheme="dark" if dark else "light", media=media)
        self.page.evaluate("open => document.querySelectorAll('details').forEach(each => each.open = open)", unfolded)
        return self.page


@contextlib.contextmanager
def opened(
    browser: Browser, html: str, policy: str = OWN_POLICY, scripts: bool = True, trusting: bool = False
) -> Iterator[Opened]:
    """The page as a server with this policy would send it; ``trusting`` ignores every policy, the page's own too."""
    idle = _idle_pages(browser, scripts, trusting)
    page = idle.pop() if idle else browser.new_context(java_script_enabled=scripts, bypass_csp=trusting).new_page()
    told = Opened(page)
    headers = {"content-type": "text/html; charset=utf-8", **({"content-security-policy": policy} if policy else {})}

    def answer(route: Route) -> None:
        if route.request.url == ADDRESS:
            route.fulfill(body=html, headers=headers)
        else:
            told.requests.append(route.request.url)
            route.abort()

    def complain(said: ConsoleMessage) -> None:
        if said.type in {"error", "warning"}:
            told.complaints.append(said.text)

    def fail(error: Error) -> None:
        told.complaints.append(str(error))

    page.set_default_timeout(120_000)
    page.on("console", complain)
    page.on("pageerror", fail)
    page.route("**/*", answer)
    page.set_viewport_size({"width": DESKTOP_PX, "height": 900})
    page.emulate_media(color_scheme="light", media="screen")
    try:
        page.goto(ADDRESS)
        yield told
    finally:
        page.unroute("**/*", answer)
        page.remove_listener("pageerror", fail)
        page.remove_listener("console", complain)
        idle.append(page)


@functools.cache
def _idle_pages(_browser: Browser, _scripts: bool, _trusting: bool) -> list[Page]:
    """Pages that were opened so and closed again: to make one takes most of a second of CPU, to open another 0.2 s."""
    return []


# ------------------------------------------------------------------------------------------------- what can be read


def elements_of_strangers(page: Page) -> list[str]:
    """Elements that a report has no use for; text of a hostile name that became an element would be among them."""
    return page.evaluate(
        """active => [...document.querySelectorAll(active), ...[...document.querySelectorAll('*')].filter(
            each => [...each.attributes].some(one => one.name.startsWith('on')))
        ].map(each => each.outerHTML.slice(0, 80))""",
        ACTIVE,
    )


def wider_than_the_window(page: Page) -> list[str]:
    """Elements that reach beyond the right edge, but for those in a region that scrolls; first the page itself."""
    return page.evaluate(
        """() => {
            const room = document.documentElement.clientWidth;
            const faults = [];
            if (document.documentElement.scrollWidth > room)
                faults.push(`the page is ${document.documentElement.scrollWidth} px wide in a window of ${room}`);
            const scrolls = each => each && each !== document.body && each !== document.documentElement &&
                (/auto|scroll/.test(getComputedStyle(each).overflowX) || scrolls(each.parentElement));
            for (const each of document.querySelectorAll('body *')) {
                const box = each.getBoundingClientRect();
                if (box.width && box.right > room + 1 && box.left < 5 * room && !scrolls(each.parentElement) &&
                    !each.closest('svg svg, svg *:not(svg)'))
                    faults.push(`<${each.localName} class="${each.getAttribute('class') || ''}"> ends at ${box.right}`);
            }
            return faults.slice(0, 5);
        }"""
    )


def too_small(page: Page, least_px: float = LEAST_TEXT_PX) -> list[str]:
    """Texts that are drawn smaller than can be read, an SVG's as far as it is scaled down."""
    return page.evaluate(
        """least => {
            const faults = [];
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (walker.nextNode()) {
                const text = walker.currentNode.textContent.trim(), parent = walker.currentNode.parentElement;
                if (!text || !parent.checkVisibility() || /^(title|desc|style)$/.test(parent.localName)) continue;
                const scale = parent.getScreenCTM ? Math.hypot(parent.getScreenCTM().a, parent.getScreenCTM().b) : 1;
                const size = parseFloat(getComputedStyle(parent).fontSize) * scale;
                if (size < least - 0.05) faults.push(`${size.toFixed(1)} px: ${text.slice(0, 40)}`);
            }
            return faults.slice(0, 5);
        }""",
        least_px,
    )


class Label(NamedTuple):
    """A text of a chart, in px of the window."""

    text: str
    left: float
    top: float
    right: float
    bottom: float


def labels_in_trouble(page: Page) -> list[str]:
    """Texts of a chart that lie on each other, or reach out of the chart's box."""
    charts = page.evaluate(
        """() => [...document.querySelectorAll('svg')].filter(each => each.checkVisibility()).map(chart => {
            const box = each => {
                const {left, top, right, bottom} = each.getBoundingClientRect();
                return [left, top, right, bottom];
            };
            const texts = [...chart.querySelectorAll('text')].filter(each => each.textContent.trim());
            return [chart.querySelector('title')?.textContent ?? '', box(chart),
                    texts.map(each => [each.textContent, ...box(each)])];
        })"""
    )
    faults = []
    for chart, (left, top, right, bottom), texts in charts:
        labels = [Label(*each) for each in texts]
        faults += [
            f"{chart}: {each.text!r} leaves the chart"
            for each in labels
            if each.left < left - SLACK_PX
            or each.right > right + SLACK_PX
            or each.top < top - SLACK_PX
            or each.bottom > bottom + SLACK_PX
        ]
        faults += [
            f"{chart}: {one.text!r} lies on {other.text!r}"
            for one, other in itertools.combinations(labels, 2)
            if _overlap(one, other)
        ]
    return faults


def _overlap(one: Label, other: Label) -> bool:
    wide = min(one.right, other.right) - max(one.left, other.left)
    air = INK * ((one.bottom - one.top) + (other.bottom - other.top))
    high = min(one.bottom, other.bottom) - max(one.top, other.top)
    return wide > SLACK_PX and high > air


def axe_faults(page: Page, contrast_alone: bool = False) -> list[str]:
    """Serious and critical violations that axe-core finds, up to three lines for each rule.

    Contrast costs most of its time, by the element: of rows that are alike, tables lose all but one before it is asked,
    and of charts of one kind and section, all but one go.
    """
    page.evaluate(
        """() => {
            const seen = new Set();
            for (const table of document.querySelectorAll('tbody'))
                [...table.rows].forEach((row, place) => {
                    const looks = [...row.cells].map(each => each.className).filter(each => !seen.has(each));
                    looks.forEach(each => seen.add(each));
                    if (place && !looks.length) row.remove();
                });
            for (const section of document.querySelectorAll('section'))
                for (const chart of section.querySelectorAll('[data-chart]'))
                    if (section.querySelector(`[data-chart=${chart.dataset.chart}]`) !== chart) chart.remove();
        }"""
    )
    rules = {"runOnly": ["color-contrast"]} if contrast_alone else {}
    told = Axe().run(page, options={"resultTypes": ["violations"], **rules}).response["violations"]
    return [
        f"{each['id']} ({each['impact']}): {node['html'][:120]}: {node['failureSummary'][:200]}"
        for each in told
        if each["impact"] in SERIOUS
        for node in each["nodes"][:3]
    ]


def unreachable(page: Page) -> list[str]:
    """What should take the focus and does not as Tab is pressed from the top, in the order that it is written.

    That is links, summaries, and regions that scroll; each has to be in the window then, and to show the focus.
    """
    page.evaluate(  # Tab starts from where the focus was last: here, before everything
        "() => { const body = document.body; body.tabIndex = -1; body.focus(); body.removeAttribute('tabindex'); }"
    )
    wanted = page.evaluate(
        """() => [...document.querySelectorAll('a[href], summary, [tabindex]')].filter(
            each => each.tabIndex >= 0 && each.checkVisibility()).map(
            (each, place) => (each.dataset.place = place, `${place} <${each.localName}> ${each.innerText}`))"""
    )
    scrolling = page.evaluate(
        """() => [...document.querySelectorAll('body *')].filter(each => each.scrollWidth > each.clientWidth + 1 &&
            /auto|scroll/.test(getComputedStyle(each).overflowX) && each.tabIndex < 0 &&
            !each.querySelector('a[href]')).map(
            each => `<${each.localName}> scrolls and takes no focus`)"""
    )
    faults = list(scrolling)
    for place, name in enumerate(wanted):
        page.keyboard.press("Tab")
        at, shown, marked = page.evaluate(
            """() => {
                const each = document.activeElement, box = each.getBoundingClientRect(), look = getComputedStyle(each);
                return [each.dataset.place ?? `<${each.localName}>`,
                        box.width > 0 && box.bottom > 0 && box.top < innerHeight &&
                            box.right > 0 && box.left < innerWidth,
                        look.outlineStyle !== 'none' || look.boxShadow !== 'none'];
            }"""
        )
        if at != str(place):
            return [*faults, f"Tab comes to {at} instead of {name}"]
        if not shown:
            faults.append(f"{name} has the focus out of sight")
        if not marked:
            faults.append(f"{name} does not show its focus")
    return faults


# ----------------------------------------------------------------------------------------------------------- charts


@dataclass(frozen=True)
class Axis:
    """Ticks as a reader sees them: the number that is written, and where it stands, in the chart's own units."""

    logarithmic: bool
    ticks: tuple[tuple[float, float], ...]

    def at(self, value: float) -> float:
        """Where a value belongs by the outermost ticks."""
        (low, start), (high, end) = self.ticks[0], self.ticks[-1]
        bend = math.log if self.logarithmic else float
        return start + (bend(value) - bend(low)) / (bend(high) - bend(low)) * (end - start)

    def crooked(self) -> list[str]:
        """Ticks that stand elsewhere than the outermost two say."""
        return [
            f"the tick {value:g} stands at {place:.1f} instead of {self.at(value):.1f}"
            for value, place in self.ticks
            if abs(self.at(value) - place) > DRAWN_PX
        ]


@dataclass(frozen=True)
class Mark:
    """What is drawn for one value, in the chart's own units; ``points`` of a path, if it is a line; ``said`` on it."""

    left: float
    top: float
    right: float
    bottom: float
    points: tuple[tuple[float, float], ...]
    said: str

    @property
    def middle(self) -> tuple[float, float]:
        """Where a point mark stands."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


@dataclass(frozen=True)
class Chart:
    """A chart as it is drawn, and the table under it."""

    kind: str
    title: str
    x: Axis | None
    y: Axis | None
    marks: tuple[Mark, ...]
    lines: tuple[Mark, ...]
    bars: tuple[Mark, ...]
    whiskers: tuple[Mark, ...]
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def column(self, heading: str) -> list[str]:
        """The texts under the heading that begins so."""
        place = next(place for place, each in enumerate(self.headings) if each.startswith(heading))
        return [row[place] for row in self.rows]


def read_charts(page: Page) -> list[Chart]:
    """Every chart of the page, in order, as it is drawn for the window's width."""
    told = page.evaluate(
        """() => [...document.querySelectorAll('[data-chart]')].map(figure => {
            const chart = [...figure.querySelectorAll('svg')].find(each => each.checkVisibility());
            const table = figure.querySelector('table');
            const axis = name => {
                const group = chart.querySelector(`[data-axis=${name}]`);
                return group && [group.dataset.scale, [...group.querySelectorAll('text')].map(
                    each => [each.textContent, Number(each.getAttribute(name))])];
            };
            const drawn = name => [...chart.querySelectorAll(`[data-${name}]`)].map(each => {
                const box = each.getBBox(), seen = each.getBoundingClientRect(), look = getComputedStyle(each);
                const paint = [look.fill, look.stroke].some(one => one !== 'none') && Number(look.opacity) > 0;
                return [box.x, box.y, box.x + box.width, box.y + box.height, each.getAttribute('d') ?? '',
                        each.querySelector('title')?.textContent ?? '',
                        paint && (seen.width > 0 || seen.height > 0)];
            });
            const texts = row => [...row.querySelectorAll('th, td')].map(each => each.textContent.trim());
            const rows = table ? [...table.querySelectorAll('tr')].map(texts) : [[]];
            return {kind: figure.dataset.chart, title: chart.querySelector('title').textContent,
                    x: axis('x'), y: axis('y'), marks: drawn('mark'), lines: drawn('line'), bars: drawn('bar'),
                    whiskers: drawn('whisker'), headings: rows[0], rows: rows.slice(1)};
        })"""
    )
    return [_chart(each) for each in told]


def _chart(told: dict[str, Any]) -> Chart:
    drawn = {}
    for kind in ("marks", "lines", "bars", "whiskers"):
        drawn[kind] = tuple(Mark(*each[:4], _points(each[4]), each[5]) for each in told[kind])
        assert all(each[6] for each in told[kind]), f"{told['title']}: {kind} that nobody can see"
    return Chart(
        kind=told["kind"],
        title=told["title"],
        x=_axis(told["x"]),
        y=_axis(told["y"]),
        headings=tuple(told["headings"]),
        rows=tuple(map(tuple, told["rows"])),
        **drawn,
    )


def _axis(told: tuple[str, Sequence[tuple[str, float]]] | None) -> Axis | None:
    if told is None:
        return None
    scale, ticks = told
    return Axis(scale == "log", tuple((number_in(text), place) for text, place in ticks))


def _points(data: str) -> tuple[tuple[float, float], ...]:
    """The points of path data of M and l alone; of any other, none."""
    if not re.fullmatch(r"(M[^A-Za-z]+|l[^A-Za-z]+)+", data):
        return ()
    points: list[tuple[float, float]] = []
    for command, numbers in re.findall(r"([Ml])([^Ml]+)", data):
        for x, y in _pairs(numbers):
            points.append((x, y) if command == "M" else (points[-1][0] + x, points[-1][1] + y))
    return tuple(points)


def _pairs(text: str) -> Iterator[tuple[float, float]]:
    numbers = [float(each) for each in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", text)]
    return zip(numbers[::2], numbers[1::2], strict=True)


def number_in(text: str) -> float:
    """The first number of a text."""
    found = re.search(r"[-−]?\d[\d,]*\.?\d*", text)
    assert found, f"{text!r} holds no number"
    return float(found[0].replace("−", "-").replace(",", ""))


def numbers_in(text: str) -> list[str]:
    """All numbers of a text, as they are written: 1.70 [1.60, 1.80]."""
    return re.findall(r"-?\d+\.?\d*", text)


def half_of_the_last_digit(text: str) -> float:
    """How far the value may be from the number that a text begins with."""
    found = re.search(r"\d+(?:\.(\d+))?", text)
    assert found, f"{text!r} holds no number"
    return 0.5 * 10.0 ** -len(found[1] or "")


def misplaced(axis: Axis, place: float, text: str, said: str) -> list[str]:
    """What is wrong where a mark does not stand where the table's number belongs, give or take its last digit."""
    value, room = number_in(text), half_of_the_last_digit(text)
    low, high = sorted((axis.at(value - room), axis.at(value + room)))
    if low - DRAWN_PX <= place <= high + DRAWN_PX:
        return []
    return [f"{said}: drawn at {place:.2f}, but {text} belongs between {low:.2f} and {high:.2f}"]
