"""The report as one page of HTML: no script, no request, legible without its style sheet too."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from importlib.resources import files

from ovbench.report.html.compared import compared_part
from ovbench.report.html.details import accuracy_part, beside_parts, layers_part, machine_part, startup_part
from ovbench.report.html.parts import STATES, Part, Section
from ovbench.report.html.speed import ecdf_part, rounds_part, scatter_part
from ovbench.report.html.verdicts import date_of, models_of, short_name, verdicts_part
from ovbench.story.facts import Comparison, Story

TEMPLATE, STYLE = "page.html.j2", "style.css"
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
    makers: list[tuple[str, str, Callable[[Story, str], Part | list[Part]]]] = [
        ("verdicts", "Verdicts", lambda story, heading: verdicts_part(story, heading, stories)),
        ("front", "Latency and throughput", lambda story, heading: scatter_part(story, heading, stories)),
        ("latency", "Latency distributions", lambda story, heading: ecdf_part(story, heading, stories)),
        ("startup", "Start-up", lambda story, heading: startup_part(story, heading, stories)),
        ("accuracy", "Accuracy", lambda story, heading: accuracy_part(story, heading, stories)),
        ("layers", "Layers", layers_part),
        ("rounds", "Rounds", rounds_part),
        ("beside", "Other measures", beside_parts),
        ("machine", "Machine", machine_part),
    ]
    compared = [] if comparison is None else [Section("compared", "Compared", (compared_part(comparison),))]
    told = [Section(identity, title, _parts(make, stories)) for identity, title, make in makers]
    return [*compared, *(section for section in told if section.parts)]


def _parts(make: Callable[[Story, str], Part | list[Part]], stories: Sequence[Story]) -> tuple[Part, ...]:
    several = len(stories) > 1
    made = (make(story, f"{story.label}, {date_of(story.began_s)}" if several else "") for story in stories)
    parts = (part for each in made for part in ([each] if isinstance(each, Part) else each))
    return tuple(part for part in parts if not part.empty)
