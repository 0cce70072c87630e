"""Speed in pictures: latency against throughput, how calls are distributed, and whether the session drifted."""

from __future__ import annotations

import bisect
import statistics
from collections.abc import Sequence
from dataclasses import replace

from ovbench.config import Config, Hint, Precision
from ovbench.report.html.curves import (
    BEYOND_P95,
    DASHES,
    LEAST_RELATIVE,
    MOST_LINES,
    MOST_RELATIVE,
    Distribution,
    Drift,
    Turn,
    beyond,
    ecdf_chart,
    latency_ends,
    rounds_chart,
)
from ovbench.report.html.parts import Figure, Part, beside_others, make_table
from ovbench.report.html.scatter import Point, pareto_front, scatter_chart
from ovbench.report.html.svg import NARROW, WIDE
from ovbench.report.html.verdicts import capitalized, models_of, of_model, several_models, shown_cells
from ovbench.report.numbers import DASH, milliseconds, significant
from ovbench.stats import quantiles
from ovbench.story.facts import CellStory, Story

HINT_WORDS = {
    Hint.LATENCY: "latency hint",
    Hint.THROUGHPUT: "throughput hint",
    Hint.CUMULATIVE_THROUGHPUT: "cumulative throughput hint",
    Hint.NONE: "no hint",
}
MOST_DRIFTS = 40  # cells whose rounds are drawn one by one: of more, a drift shows better in each precision's median
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


def scatter_part(story: Story, heading: str, stories: Sequence[Story]) -> Part:
    """Every cell that has both figures, a chart for each model, on the axes of all ``stories``."""
    figures, lines = [], []
    for model in models_of(story):
        cells = _placed(story, model)
        if cells:
            alike = [_point(cell) for each in stories for cell in _placed(each, model)]
            figure = _scatter(f"Median latency against images a second{of_model(story, model)}", cells, alike)
            figures.append(beside_others(figure) if several_models(story) else figure)
            lines += _front_lines(story, model, [_point(cell) for cell in cells])
    reading = ("Up and to the left is better. Rows of the throughput hint show latency under load.",)
    return Part(heading=heading, lines=tuple(lines), figures=tuple(figures), reading=reading if figures else ())


def _front_lines(story: Story, model: str, points: Sequence[Point]) -> list[str]:
    """What is on the front, of two cells or more."""
    front = pareto_front(points)
    named = [f"{each.name} ({each.figures})" for each in front]
    if len(points) == 1:
        return []
    if len(front) == 1:
        return [f"{named[0]} is best in both{of_model(story, model)}."]
    ends = " and ".join(named) if len(front) == 2 else f"from {named[0]} to {named[-1]}"
    told = f"{len(front)} of {len(points)} configurations{of_model(story, model)} are on the Pareto front"
    return [f"{told}, where less latency costs images a second: {ends}."]


def _placed(story: Story, model: str) -> list[CellStory]:
    return [
        each
        for each in shown_cells(story)
        if each.config.model == model and each.summary is not None and each.summary.p50_ns is not None
    ]


def _point(cell: CellStory) -> Point:
    summary = cell.summary
    assert summary is not None
    assert summary.p50_ns is not None
    figures = f"{milliseconds(summary.p50_ns)} ms, {significant(summary.frames_per_second)} FPS"
    return Point(cell.name, cell.config.precision, summary.p50_ns / 1e6, summary.frames_per_second, figures)


def _scatter(title: str, cells: Sequence[CellStory], alike: Sequence[Point]) -> Figure:
    points = [_point(cell) for cell in cells]
    front = pareto_front(points)
    rows = []
    for cell, point in zip(cells, points, strict=True):
        summary = cell.summary
        assert summary is not None
        latencies = (milliseconds(summary.p50_ns), milliseconds(summary.p99_ns))
        rows.append((cell.name, *latencies, significant(point.y), "yes" if point in front else DASH))
    chart, small = (
        scatter_chart(title, points, alike, "median latency, ms", "images a second", width) for width in (WIDE, NARROW)
    )
    return Figure(chart, make_table(title, ("cell", "p50 ms", "p99 ms", "FPS", "Pareto front"), rows), small)


# ---------------------------------------------------------------------------------------------------------- groups


def _groups(story: Story) -> list[tuple[str, list[tuple[CellStory, int]]]]:
    """Measured cells as plots show them: a title, and cells with the how manieth of their precision in it each is.

    A plot is of one model and hint. Cells that differ in precision alone are in the same one: they are to be compared.
    """
    plots = []
    for model in models_of(story):
        for hint in Hint:
            cells = [each for each in shown_cells(story) if (each.config.model, each.config.hint) == (model, hint)]
            if cells:
                title = HINT_WORDS[hint] + of_model(story, model)
                plots += _cut(title, cells)
    return plots


def _cut(title: str, cells: Sequence[CellStory]) -> list[tuple[str, list[tuple[CellStory, int]]]]:
    """One model and hint in plots of at most MOST_LINES, and no more of a precision than there are dashes."""
    alike: dict[Config, list[CellStory]] = {}
    for cell in cells:
        alike.setdefault(replace(cell.config, precision=Precision.FP32), []).append(cell)
    plots: list[list[tuple[CellStory, int]]] = [[]]
    rank = 0
    for group in alike.values():
        if plots[-1] and (rank == len(DASHES) or len(plots[-1]) + len(group) > MOST_LINES):
            plots.append([])
            rank = 0
        plots[-1] += [(cell, rank) for cell in group]
        rank += 1
    several = len(plots) > 1
    return [(f"{title}, {number} of {len(plots)}" if several else title, plot) for number, plot in enumerate(plots, 1)]


def ecdf_part(story: Story, heading: str, stories: Sequence[Story]) -> Part:
    """How the calls of each cell are distributed; the same cells of all ``stories`` on one axis.

    Every plot has its own: on a common one, a cell that is fifty times as slow would flatten all other plots.
    """
    figures, cut_off, calls = [], 0, 0
    lines = tuple(line for model in models_of(story) for line in _steadiness_lines(story, model))
    for title, plot in _groups(story):
        curves = [
            Distribution(cell.name, cell.config.precision, rank, [each / 1e6 for each in cell.calls_ns])
            for cell, rank in plot
            if cell.calls_ns
        ]
        if curves:
            ends = _ends_ms(stories, frozenset(cell.config for cell, _rank in plot))
            chart = ecdf_chart(capitalized(title), curves, ends, "latency of a call, ms")
            cut_off += sum(len(each.values) - bisect.bisect_right(each.values, ends[1]) for each in curves)
            calls += sum(len(each.values) for each in curves)
            rows = [_quantiles(cell) for cell, _rank in plot if cell.calls_ns]
            headings = ("cell", "calls", *(f"p{100 * each:g}" for each in QUANTILES), "most")
            figures.append(Figure(chart, make_table(f"{capitalized(title)}: latency of calls, ms", headings, rows)))
    reading = (
        "Every call that counts; under the throughput hint, latency under load.",
        "Further left is faster, steeper is steadier; each line's sign is at its median.",
    )
    notes = []
    if cut_off:
        notes.append(
            f"{cut_off} of {calls} calls lie beyond the ends of the axes, {BEYOND_P95:g} times a plot's greatest p95."
        )
    return Part(heading=heading, lines=lines, figures=tuple(figures), reading=reading if figures else (),
                notes=tuple(notes))  # fmt: skip


def _steadiness_lines(story: Story, model: str) -> list[str]:
    """Which cells' calls differ least and most, of two cells or more."""
    spreads = sorted(
        (each.summary.p95_ns / each.summary.p50_ns, each.name)
        for each in shown_cells(story)
        if each.config.model == model and each.summary and each.summary.p50_ns and each.summary.p95_ns
    )
    if len(spreads) < 2:
        return []
    (least, steadiest), (most, other) = spreads[0], spreads[-1]
    told = f"Steadiest{of_model(story, model)}: {steadiest}, whose p95 is {least:.2f} times its median"
    return [f"{told}; least steady: {other}, {most:.2f} times."]


def _ends_ms(stories: Sequence[Story], configs: frozenset[Config]) -> tuple[float, float]:
    """Where the axis of these configs begins and ends."""
    least_ns, greatest_ns = latency_ends(
        [cell.calls_ns for story in stories for cell in shown_cells(story) if cell.calls_ns and cell.config in configs]
    )
    return least_ns / 1e6, greatest_ns / 1e6


def _quantiles(cell: CellStory) -> tuple[str, ...]:
    told = map(milliseconds, quantiles(cell.calls_ns, QUANTILES))
    return (cell.name, str(len(cell.calls_ns)), *told, milliseconds(cell.calls_ns[-1]))


def rounds_part(story: Story, heading: str) -> Part:
    """What each lane and round cost beside the cell's median, so that a drift of the machine shows."""
    figures, edged = [], 0
    lines = tuple(line for model in models_of(story) for line in _drift_lines(story, model))
    few = len(shown_cells(story)) <= MOST_DRIFTS
    for title, drifts in _drifts_by_cell(story) if few else _drifts_by_precision(story):
        lanes = sorted({turn.lane for drift in drifts for turn in drift.turns})
        headings = ("line", "rounds", "rejected", *(f"lane {lane + 1}" for lane in lanes))
        caption = f"{title}: median cost of each lane / the cell's median"
        rows = [_lanes(drift, lanes) for drift in drifts]
        figures.append(Figure(rounds_chart(title, drifts), make_table(caption, headings, rows)))
        edged += beyond(drifts)
    reading = (
        f"Thin: each round{'' if few else ', the median over cells'}. Bold: the median of each lane, a fresh process.",
        "A machine that drifts moves all cells alike, which ratios taken inside rounds do not see.",
    )
    notes = []
    if edged:
        notes.append(f"{edged} rounds lie beyond {LEAST_RELATIVE:g} to {MOST_RELATIVE:g} and are drawn at the edge.")
    if figures and story.measured.rejected:
        notes.append("Crosses: rounds in which others took more than a tenth of the cores.")
    return Part(heading=heading, lines=lines, figures=tuple(figures), reading=reading if figures else (),
                notes=tuple(notes))  # fmt: skip


def _drift_lines(story: Story, model: str) -> list[str]:
    """Between what the middle of a model's cells moved from lane to lane, of two lanes or more."""
    cells = [each for each in shown_cells(story) if each.config.model == model and each.costs]
    lanes: dict[int, list[float]] = {}
    for cell in cells:
        for lane, median in Drift(cell.name, cell.config.precision, 0, _turns([cell])).lane_medians().items():
            lanes.setdefault(lane, []).append(median)
    middles = {lane: statistics.median(found) for lane, found in lanes.items()}
    if len(middles) < 2:
        return []
    least, most = min(middles, key=middles.__getitem__), max(middles, key=middles.__getitem__)
    ends = " to ".join(f"{middles[lane]:.2f} (lane {lane + 1})" for lane in (least, most))
    return [f"From one fresh process to another, the middle cell{of_model(story, model)} cost {ends} times its median."]


def _drifts_by_cell(story: Story) -> list[tuple[str, list[Drift]]]:
    plots = []
    for title, plot in _groups(story):
        drifts = [Drift(cell.name, cell.config.precision, rank, _turns([cell])) for cell, rank in plot if cell.costs]
        if drifts:
            plots.append((capitalized(title), drifts))
    return plots


def _drifts_by_precision(story: Story) -> list[tuple[str, list[Drift]]]:
    """One plot for each model and hint, one line for each precision: the median over its cells."""
    plots: dict[tuple[str, Hint], dict[Precision, list[CellStory]]] = {}
    for cell in shown_cells(story):
        if cell.costs:
            config = cell.config
            plots.setdefault((config.model, config.hint), {}).setdefault(config.precision, []).append(cell)
    return [
        (
            capitalized(HINT_WORDS[hint] + of_model(story, model)),
            [Drift(f"{precision.value}, {len(cells)} cells", precision, 0, _turns(cells))
             for precision, cells in lines.items()],
        )
        for (model, hint), lines in plots.items()
    ]  # fmt: skip


def _turns(cells: Sequence[CellStory]) -> list[Turn]:
    """Every round of the cells, its cost over the cell's median; of several cells the median of these."""
    rejected: dict[tuple[int, int], bool] = {}
    relatives: dict[tuple[int, int], list[float]] = {}
    for cell in cells:
        kept = [each.cost_ns for each in cell.costs if not each.rejected] or [each.cost_ns for each in cell.costs]
        middle = statistics.median(kept)
        for each in cell.costs:
            rejected[each.lane, each.round] = each.rejected
            relatives.setdefault((each.lane, each.round), []).append(each.cost_ns / middle)
    return [Turn(turn[0], statistics.median(found), rejected[turn]) for turn, found in relatives.items()]


def _lanes(drift: Drift, lanes: Sequence[int]) -> tuple[str, ...]:
    medians = drift.lane_medians()
    told = (f"{medians[lane]:.3f}" if lane in medians else DASH for lane in lanes)
    return (drift.name, str(len(drift.turns)), str(sum(each.rejected for each in drift.turns)), *told)
