"""The report as one page of HTML: no script, no request, legible without its style sheet too."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import files

from ovbench.report.html.compared import compared_part
from ovbench.report.html.details import accuracy_part, beside_parts, layers_part, machine_part, startup_part
from ovbench.report.html.glossary import words_part
from ovbench.report.html.parts import STATES, Figure, Part, Section, beside_others, labelled
from ovbench.report.html.speed import ecdf_part, rounds_part, scatter_part
from ovbench.report.html.verdicts import date_of, models_of, short_name, verdicts_part
from ovbench.story.facts import Comparison, Story

TEMPLATE, STYLE = "page.html.j2", "style.css"
CHARTS = frozenset({"front", "latency", "startup", "layers", "rounds"})  # sections of charts alone
Maker = Callable[[Story, str], Part | list[Part]]
LONGEST_CELL = 34  # letters of a table's cell that stay on one line
# Control characters, halves of surrogate pairs and non-characters, which no page may hold or no file can; and what
# turns the direction of writing, with which a name could turn the words that follow it.
UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def report_page(stories: Sequence[Story], comparison: Comparison | None) -> str:
    """One page of one or more sessions, beside each other where ``comparison`` says how; at least one story."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    numbers = itertools.count(1)
    source, style = ((files(__name__) / name).read_text("utf-8") for name in (TEMPLATE, STYLE))
    page = environment.from_string(source).render(
        title=page_title(stories),
        subtitle=" · ".join(f"{each.label}, {date_of(each.began_s)}" for each in stories),
        style=_smaller(style),
        sections=page_sections(stories, comparison),
        next_id=lambda: f"c{next(numbers)}",
        longest=LONGEST_CELL,
        states=STATES,
    )
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", page)


def page_title(stories: Sequence[Story]) -> str:
    """``Benchmark of net``: the models of one session, or of several."""
    models = dict.fromkeys(model for story in stories for model in models_of(story))
    what = ", ".join(map(short_name, models)) or "no model"
    return f"Benchmark of {what}" if len(stories) == 1 else f"{len(stories)} benchmarks of {what}"


def _smaller(style: str) -> str:
    """The style sheet without what only its author needs."""
    return re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)).strip()


def page_sections(stories: Sequence[Story], comparison: Comparison | None) -> list[Section]:
    """Those that have something to show, each with a part for each session; charts of a kind have one axis for all."""
    makers: list[tuple[str, str, Maker]] = [
        ("verdicts", "Verdicts", lambda story, heading: verdicts_part(story, heading, stories)),
        ("front", "Latency and throughput", lambda story, heading: scatter_part(story, heading, stories)),
        ("latency", "Latency distributions", lambda story, heading: ecdf_part(story, heading, stories)),
        ("startup", "Start-up", lambda story, heading: startup_part(story, heading, stories)),
        ("accuracy", "Accuracy", lambda story, heading: accuracy_part(story, heading, stories)),
        ("layers", "Layers", layers_part),
        ("rounds", "Drift", rounds_part),
        ("beside", "Other measures", beside_parts),
        ("machine", "How to reproduce", machine_part),
    ]
    compared = [] if comparison is None else [Section("compared", "Compared", (compared_part(comparison),))]
    told = [Section(identity, title, _parts(identity, make, stories)) for identity, title, make in makers]
    words = Section("words", "Words", (words_part(),))
    return [*compared, *(section for section in told if section.parts), words]


def _parts(identity: str, make: Maker, stories: Sequence[Story]) -> tuple[Part, ...]:
    several = len(stories) > 1
    made = [make(story, f"{story.label}, {date_of(story.began_s)}" if several else "") for story in stories]
    if several and identity in CHARTS:
        parts = _side_by_side(stories, [part for part in made if isinstance(part, Part)])
    else:
        parts = _said_once([part for each in made for part in ([each] if isinstance(each, Part) else each)])
    return tuple(part for part in parts if not part.empty)


def _side_by_side(stories: Sequence[Story], made: Sequence[Part]) -> list[Part]:
    """One part for each chart, with that of every session in it; what is said of a session names it."""
    told = list(zip([story.label for story in stories], made, strict=True))
    lines = Part(lines=tuple(f"{label}: {line}" for label, part in told for line in part.lines))
    charts: dict[str, list[Figure]] = {}
    for label, part in told:
        for figure in part.figures:
            charts.setdefault(figure.chart.title, []).append(labelled(beside_others(figure), label))
    reading = tuple(dict.fromkeys(text for part in made for text in part.reading))
    notes = tuple(f"{label}: {note}" for label, part in told for note in part.notes)
    parts = [Part(figures=tuple(figures)) for figures in charts.values()] or [Part()]
    return [lines, *parts[:-1], replace(parts[-1], reading=reading, notes=notes)]


def _said_once(parts: Sequence[Part]) -> list[Part]:
    """The parts, of which only the first that needs it says how to read them."""
    said: set[str] = set()
    kept = []
    for part in parts:
        kept.append(replace(part, reading=tuple(text for text in part.reading if text not in said)))
        said.update(part.reading)
    return kept
