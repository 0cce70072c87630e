"""Speed in pictures: latency against throughput, how calls are distributed, and whether the session drifted."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

from ovbench.config import Config, Hint, Precision
from ovbench.report.html.curves import (
    DASHES,
    MOST_LINES,
    Distribution,
    Drift,
    ecdf_chart,
    latency_end,
    points_of_each,
    rounds_chart,
)
from ovbench.report.html.parts import Figure, Part, make_table
from ovbench.report.html.scatter import Point, pareto_front, scatter_chart
from ovbench.report.html.verdicts import models_of, of_model, shown_cells
from ovbench.report.numbers import DASH, milliseconds, significant
from ovbench.stats import quantile
from ovbench.story.facts import CellStory, Story

HINT_WORDS = {
    Hint.LATENCY: "latency hint",
    Hint.THROUGHPUT: "throughput hint",
    Hint.CUMULATIVE_THROUGHPUT: "cumulative throughput hint",
    Hint.NONE: "no hint",
}
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


def scatter_part(story: Story, heading: str) -> Part:
    """Every cell that has both figures, a chart for each model."""
    figures = tuple(_scatter(story, model, cells) for model in models_of(story) if (cells := _placed(story, model)))
    notes = ("Up and to the left is better. Rows of the throughput hint show latency under load.",) if figures else ()
    return Part(heading=heading, figures=figures, notes=notes)


def _placed(story: Story, model: str) -> list[CellStory]:
    return [
        each
        for each in shown_cells(story)
        if each.config.model == model and each.summary is not None and each.summary.p50_ns is not None
    ]


def _scatter(story: Story, model: str, cells: Sequence[CellStory]) -> Figure:
    points = []
    rows = []
    for cell in cells:
        summary = cell.summary
        assert summary is not None
        assert summary.p50_ns is not None
        fps = summary.frames_per_second
        said = f"{cell.name}: {milliseconds(summary.p50_ns)} ms, {significant(fps)} FPS"
        points.append(Point(cell.name, cell.config.precision, summary.p50_ns / 1e6, fps, said))
        rows.append((cell.name, milliseconds(summary.p50_ns), milliseconds(summary.p99_ns), significant(fps)))
    front = pareto_front(points)
    told = [(*row, "yes" if point in front else DASH) for row, point in zip(rows, points, strict=True)]
    title = f"Median latency against images a second{of_model(story, model)}"
    chart = scatter_chart(title, points, "median latency, ms", "images a second")
    return Figure(chart, make_table(title, ("cell", "p50 ms", "p99 ms", "FPS", "Pareto front"), told))


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


def ecdf_part(story: Story, heading: str, lines: int) -> Part:
    """How the calls of each cell are distributed; ``lines``: of the whole page, which share what room there is."""
    figures, beyond, calls = [], 0, 0
    for title, plot in _groups(story):
        curves = [
            Distribution(cell.name, cell.config.precision, rank, [each / 1e6 for each in cell.calls_ns])
            for cell, rank in plot
            if cell.calls_ns
        ]
        if curves:
            chart = ecdf_chart(_capital(title), curves, points_of_each(lines), "ms")
            end = latency_end(curves)
            beyond += sum(value > end for each in curves for value in each.values)
            calls += sum(len(each.values) for each in curves)
            rows = [_quantiles(cell) for cell, _rank in plot if cell.calls_ns]
            headings = ("cell", "calls", *(f"p{100 * each:g}" for each in QUANTILES), "most")
            figures.append(Figure(chart, make_table(f"{_capital(title)}: latency of calls, ms", headings, rows)))
    notes = []
    if figures:
        notes.append("Every call that counts; under the throughput hint, latency under load. Steeper is steadier.")
    if beyond:
        notes.append(f"{beyond} of {calls} calls lie beyond the ends of the axes, which are twice the greatest p95.")
    return Part(heading=heading, figures=tuple(figures), notes=tuple(notes))


def _quantiles(cell: CellStory) -> tuple[str, ...]:
    told = (milliseconds(quantile(cell.calls_ns, each)) for each in QUANTILES)
    return (cell.name, str(len(cell.calls_ns)), *told, milliseconds(cell.calls_ns[-1]))


def _capital(title: str) -> str:
    return title[:1].upper() + title[1:]


def rounds_part(story: Story, heading: str, lines: int) -> Part:
    """What each round cost beside the cell's median, so that a drift of the machine shows."""
    figures = []
    for title, plot in _groups(story):
        drifts = [drift for cell, rank in plot if (drift := _drift(cell, rank)) is not None]
        if drifts:
            costs = max((cell.costs for cell, _rank in plot), key=len)
            rejected = [place for place, each in enumerate(costs) if each.rejected]
            chart = rounds_chart(_capital(title), drifts, rejected, points_of_each(lines))
            lanes = sorted({lane for drift in drifts for lane, _ in drift.rounds})
            headings = ("cell", "rounds", "rejected", *(f"lane {lane + 1}" for lane in lanes))
            rows = [_lanes(drift, cell, lanes) for drift, cell in zip(drifts, _with_costs(plot), strict=True)]
            caption = f"{_capital(title)}: median cost of each lane / the cell's median"
            figures.append(Figure(chart, make_table(caption, headings, rows)))
    notes = []
    if figures:
        notes.append(
            "Thin: each round. Bold: the median of each lane, a fresh process. A machine that drifts moves all cells "
            "alike, which ratios taken inside rounds do not see."
        )
    if story.measured.rejected:
        notes.append("Crosses: rounds in which others took more than a tenth of the cores.")
    return Part(heading=heading, figures=tuple(figures), notes=tuple(notes))


def _with_costs(plot: Sequence[tuple[CellStory, int]]) -> list[CellStory]:
    return [cell for cell, _rank in plot if cell.costs]


def _drift(cell: CellStory, rank: int) -> Drift | None:
    if not cell.costs:
        return None
    middle = statistics.median(each.cost_ns for each in cell.costs)
    rounds = [(each.lane, each.cost_ns / middle) for each in cell.costs]
    return Drift(cell.name, cell.config.precision, rank, rounds)


def _lanes(drift: Drift, cell: CellStory, lanes: Sequence[int]) -> tuple[str, ...]:
    medians = drift.lane_medians()
    told = (f"{medians[lane]:.3f}" if lane in medians else DASH for lane in lanes)
    return (cell.name, str(len(cell.costs)), str(sum(each.rejected for each in cell.costs)), *told)
