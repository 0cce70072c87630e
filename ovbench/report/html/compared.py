"""Sessions beside the first of them: every cell's ratios with their verdicts, and what else differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ovbench.report.baseline import judged_text
from ovbench.report.html.intervals import Row
from ovbench.report.html.parts import Figure, Part, Table, Tile, make_table
from ovbench.report.html.verdicts import (
    WORST_FIRST,
    capitalized,
    counts_tile,
    date_of,
    fps_of,
    interval_figures,
    p50_of,
)
from ovbench.report.numbers import DASH, ratio
from ovbench.story.facts import Beside, ComparedCell, Comparison, Story
from ovbench.verdict import Judged, Verdict


def compared_part(comparison: Comparison) -> Part:
    """Every session beside the first: counts, what else differs, and every cell's ratios with their verdicts."""
    first, *others = comparison.stories
    tables, figures, alerts, lines, tiles = [], [], [], [], []
    for place, story in enumerate(others):
        told = [(row, row.beside[place]) for row in comparison.rows]
        beside = [(row, each) for row, each in told if each is not None]
        lines.append(_compared_sentence(first, story, [each for _row, each in beside]))
        tiles += _compared_tiles(story if len(others) > 1 else None, [each for _row, each in beside])
        alerts += [judged_text(judged, comparison.tolerance) for _row, each in beside
                   for judged in (each.time, each.speedup) if judged is not None and judged.broken]  # fmt: skip
        tables.append(_compared_table(comparison, place, told))
        figures += _compared_figures(comparison, story, beside)
    if comparison.differences:
        headings = ("what", *(each.label for each in comparison.stories))
        rows = [(each.what, *(value or DASH for value in each.values)) for each in comparison.differences]
        table = make_table("What else differs between the sessions", headings, rows)
        tables.append(replace(table, texts=frozenset(range(1, len(headings)))))
    return Part(lines=tuple(lines), tiles=tuple(tiles), alerts=tuple(alerts), tables=tuple(tables),
                figures=tuple(figures), notes=_compared_notes(comparison))  # fmt: skip


def _counts_by_kind(beside: Sequence[Beside]) -> dict[str, Counter[Verdict]]:
    """How many times and speed-ups were judged how; without a kind of which there is none."""
    kinds = {
        "times": Counter(each.time.verdict for each in beside),
        "speed-ups over FP32": Counter(each.speedup.verdict for each in beside if each.speedup is not None),
    }
    return {kind: counts for kind, counts in kinds.items() if counts}


def _compared_tiles(story: Story | None, beside: Sequence[Beside]) -> list[Tile]:
    """The worst verdict on times and on speed-ups in large; ``story``: whose, where there are several."""
    of = "" if story is None else f", {story.label}"
    return [
        counts_tile(capitalized(kind) + of, [(counts[each], each.value) for each in WORST_FIRST if counts[each]])
        for kind, counts in _counts_by_kind(beside).items()
    ]


def _compared_sentence(first: Story, story: Story, beside: Sequence[Beside]) -> str:
    texts = [
        f"{kind}: {', '.join(f'{counts[each]} {each.value}' for each in WORST_FIRST if counts[each])}"
        for kind, counts in _counts_by_kind(beside).items()
    ]
    return f"{capitalized(_named(story))} beside {_named(first)}: {'; '.join(texts) or 'no cell in common'}."


def _named(story: Story) -> str:
    return f"{story.label} of {date_of(story.began_s)}"


def _compared_table(comparison: Comparison, place: int, told: Sequence[tuple[ComparedCell, Beside | None]]) -> Table:
    headings = ("cell", "p50 then", "p50 now", "FPS then", "FPS now", "time now / then", "verdict",
                "speed-up then / now", "speed-up verdict")  # fmt: skip
    rows = []
    for row, each in told:
        then, now = row.cells[0], row.cells[place + 1]
        time, speedup = (None, None) if each is None else (each.time, each.speedup)
        figures = (p50_of(then), p50_of(now), fps_of(then), fps_of(now))
        rows.append((_name(comparison, row), *figures, *_judged_texts(time), *_judged_texts(speedup)))
    first, story = comparison.stories[0], comparison.stories[place + 1]
    return make_table(f"{story.label} (now) beside {first.label} (then)", headings, rows)


def _name(comparison: Comparison, row: ComparedCell) -> str:
    several = len({each.config.model for each in comparison.rows}) > 1
    return f"{row.config.model} {row.name}" if several else row.name


def _judged_texts(judged: Judged | None) -> tuple[str, str]:
    """The ratio and the verdict."""
    if judged is None:
        return DASH, DASH
    return ratio(judged.estimate, 3), "FAILED" if judged.failed else judged.verdict.value


def _compared_figures(
    comparison: Comparison, story: Story, beside: Sequence[tuple[ComparedCell, Beside]]
) -> list[Figure]:
    """Ratios of times and of speed-ups, as far as there are any."""
    band = (1 / (1 + comparison.tolerance), 1 + comparison.tolerance)
    of = f", {story.label}" if len(comparison.stories) > 2 else ""
    times = [(row, each.time) for row, each in beside]
    speedups = [(row, each.speedup) for row, each in beside]
    figures = []
    for title, x_title, judged in (
        ("Time now / then", "time now / then: above 1 is slower", times),
        ("Speed-up over FP32, then / now", "speed-up then / now: above 1 is worse", speedups),
    ):
        told = []
        for row, each in judged:
            if each is not None and each.estimate is not None:
                texts = _judged_texts(each)
                told.append((Row(_name(comparison, row), row.config.precision, each.estimate, " ".join(texts)), texts))
        figures += interval_figures(title + of, told, (), x_title, ("ratio [interval]", "verdict"), band)
    return figures


def _compared_notes(comparison: Comparison) -> tuple[str, ...]:
    judged = [each for row in comparison.rows for beside in row.beside if beside is not None
              for each in (beside.time, beside.speedup) if each is not None and each.reason]  # fmt: skip
    reasons = dict.fromkeys(f"{each.what} {each.verdict.value}: {each.reason}" for each in judged)
    tolerance = f"Costs within {100 * comparison.tolerance:g} % count as the same; a ratio above 1 is worse now."
    return (tolerance, *reasons)
