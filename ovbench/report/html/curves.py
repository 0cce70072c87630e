"""Lines of many samples: how calls are distributed, and how the cost of rounds went over the session."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ovbench.config import Precision
from ovbench.report.html.axes import CLEAR, EDGE_PX, Scale, closed, fit_scale, x_axis, y_axis, y_room
from ovbench.report.html.svg import (
    COLOURS,
    NARROW,
    Chart,
    Key,
    element,
    legend,
    line,
    line_swatch,
    number,
    polyline,
    sign,
    simplified,
    tooltip,
)

DASHES = ("", "7 3", "2 3", "9 3 2 3")  # lines of one precision in one plot
MOST_LINES = 8  # that an eye can follow in one plot
MOST_POINTS = 200  # of one line: a plot is 300 px wide
TOLERANCE_PX = 0.4  # by which a line of fewer points may be off
TAIL = (0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 1.0)  # shares that a thinned line keeps besides
BEYOND_P95 = 1.5  # an axis of latencies ends at this times the greatest p95: one outlier would flatten all the rest
LEAST_RELATIVE, MOST_RELATIVE = 0.5, 2.0  # rounds beyond are drawn at the edge
TOP, BOTTOM, RIGHT = 26, 186, NARROW - EDGE_PX


@dataclass(frozen=True)
class Distribution:
    """Sorted ``values`` (at least one) of one cell; ``rank``: the how manieth of its precision in the plot."""

    name: str
    precision: Precision
    rank: int
    values: Sequence[float]


@dataclass(frozen=True)
class Turn:
    """One round: its lane, what it cost over the cell's median, and whether it was ``rejected``."""

    lane: int
    relative: float
    rejected: bool


@dataclass(frozen=True)
class Drift:
    """The rounds (at least one) of a cell, or of several cells together, in the order they ran."""

    name: str
    precision: Precision
    rank: int
    turns: Sequence[Turn]

    def lane_medians(self) -> dict[int, float]:
        """Lane -> median of its rounds that were not rejected, of all where none is left."""
        lanes: dict[int, list[Turn]] = {}
        for each in self.turns:
            lanes.setdefault(each.lane, []).append(each)
        return {
            lane: statistics.median([each.relative for each in turns if not each.rejected] or
                                    [each.relative for each in turns])
            for lane, turns in lanes.items()
        }  # fmt: skip


def thinned(values: Sequence[float], points: int = MOST_POINTS) -> list[tuple[float, float]]:
    """(value, share of the values up to it): every step where there are few, else shares evenly apart and the tail's.

    At most ``points`` of them, at least the first and the last.
    """
    count = len(values)
    if count <= points:
        return [(value, (place + 1) / count) for place, value in enumerate(values)]
    shares = np.concatenate((np.linspace(1 / count, 1.0, points - len(TAIL)), TAIL))
    places = np.unique(np.ceil(shares * count - 1e-9).astype(int).clip(min=1)).tolist()
    return [(values[place - 1], place / count) for place in places]


def ecdf_chart(title: str, lines: Sequence[Distribution], ends: tuple[float, float], x_title: str) -> Chart:
    """Share of calls that took at most so long, one line for each distribution (1 to MOST_LINES), between ``ends``.

    The sign of its precision is at the median.
    """
    y_scale = Scale(0, 100, BOTTOM, TOP, False, (0, 25, 50, 75, 100))
    left = y_room(y_scale)
    x_scale = closed(fit_scale(ends, left, RIGHT), *ends)
    drawn, signs = [], []
    for each in lines:
        curve = thinned(each.values)
        inside = [(value, 100 * share) for value, share in curve if value <= x_scale.high]
        across, up = zip((each.values[0], 0.0), *inside, strict=True)
        places = list(zip(x_scale.places(across), y_scale.places(up), strict=True))
        data = polyline(simplified(places, TOLERANCE_PX))
        drawn.append(line(data, COLOURS[each.precision], DASHES[each.rank % len(DASHES)], each.name))
        signs.append(sign(each.precision, x_scale.at(statistics.median(each.values)), y_scale.at(50)))
    keys, height = _keys([(each.name, each.precision, each.rank) for each in lines])
    body = (
        x_axis(x_scale, TOP, BOTTOM, x_title)
        + y_axis(y_scale, left, RIGHT, "% of calls within")
        + element("g", *drawn, stroke_width=1.6)
        + "".join(signs)
        + keys
    )
    medians = sorted((statistics.median(each.values), each.name) for each in lines)
    (least, quickest), (most, slowest) = medians[0], medians[-1]
    description = f"Share of calls by {x_title}; medians from {least:.3g} ({quickest}) to {most:.3g} ({slowest})."
    return Chart("ecdf", title, description, NARROW, BOTTOM + 44 + height, body)


def latency_ends(distributions: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The least of all sorted values, and the greatest, or BEYOND_P95 times the greatest p95 if that is less."""
    greatest = max(values[-1] for values in distributions)
    p95 = max(values[math.ceil(0.95 * len(values)) - 1] for values in distributions)
    return min(values[0] for values in distributions), min(greatest, BEYOND_P95 * p95)


def rounds_chart(title: str, lines: Sequence[Drift]) -> Chart:
    """Cost over the cell's median of each round, thin, and of each lane, bold; rejected rounds get a cross.

    Rounds are numbered from 0 in the order they ran; all lines (1 to MOST_LINES) have the same lanes, and the
    sign of their precision at the last.
    """
    longest = max(lines, key=lambda each: len(each.turns))
    count = len(longest.turns)
    shown = [min(max(turn.relative, LEAST_RELATIVE), MOST_RELATIVE) for each in lines for turn in each.turns]
    y_scale = fit_scale([*shown, 1.0], BOTTOM, TOP)
    left = y_room(y_scale)
    ticks = fit_scale([0, count], left, RIGHT).ticks
    x_scale = Scale(0, count, left, RIGHT, False, tuple(each for each in ticks if each <= count))
    thin, bold, signs = [], [], []
    for each in lines:
        rounds, lanes = _drift_paths(each, x_scale, y_scale)
        thin.append(element("path", d=rounds, stroke=COLOURS[each.precision]))
        bold.append(line(polyline(lanes), COLOURS[each.precision], DASHES[each.rank % len(DASHES)], each.name))
        signs.append(sign(each.precision, *lanes[-1]))
    keys, height = _keys([(each.name, each.precision, each.rank) for each in lines])
    body = (
        x_axis(x_scale, BOTTOM, BOTTOM, f"round ({len(longest.lane_medians())} lanes, parted by lines)")
        + y_axis(y_scale, left, RIGHT, "cost / the cell's median")
        + _lane_borders(longest, x_scale)
        + element("g", *thin, stroke_opacity="0.45")
        + element("g", *bold, stroke_width=2)
        + "".join(signs)
        + _crosses(longest, x_scale)
        + keys
    )
    medians = [relative for each in lines for relative in each.lane_medians().values()]
    spread = f"{min(medians):.2f} to {max(medians):.2f}"
    description = f"Cost of {count} rounds over each cell's median, {len(lines)} lines; medians of lanes {spread}."
    return Chart("rounds", title, description, NARROW, BOTTOM + 44 + height, body)


def beyond(lines: Sequence[Drift]) -> int:
    """How many rounds are drawn at the edge, for they lie beyond it."""
    return sum(not LEAST_RELATIVE <= turn.relative <= MOST_RELATIVE for each in lines for turn in each.turns)


def _lane_borders(drift: Drift, scale: Scale) -> str:
    pairs = enumerate(itertools.pairwise(drift.turns), 1)
    borders = [place for place, (before, after) in pairs if before.lane != after.lane]
    data = "".join(f"M{number(scale.at(each))} {TOP}V{BOTTOM}" for each in borders)
    return element("path", d=data, stroke="currentColor", stroke_opacity=f"{CLEAR}", stroke_width=0.5) if data else ""


def _crosses(drift: Drift, scale: Scale) -> str:
    places = [scale.at(place + 0.5) for place, each in enumerate(drift.turns) if each.rejected]
    data = "".join(f"M{number(each - 3)} {TOP - 3}l6 6m0-6l-6 6" for each in places)
    return element("path", tooltip("rejected rounds"), d=data, stroke="currentColor") if data else ""


def _drift_paths(drift: Drift, x_scale: Scale, y_scale: Scale) -> tuple[str, list[tuple[float, float]]]:
    """Path data of the rounds, broken between lanes, and the places of the lanes' medians at the lanes' middles."""
    step = math.ceil(len(drift.turns) / MOST_POINTS)
    medians = drift.lane_medians()
    thin, bold = [], []
    begin = 0
    for lane, group in itertools.groupby(drift.turns, key=lambda each: each.lane):
        costs = [each.relative for each in group]
        places = []
        for first in range(0, len(costs), step):
            part = costs[first : first + step]
            places.append((x_scale.at(begin + first + len(part) / 2), y_scale.at(statistics.median(part))))
        thin.append(polyline(places))
        bold.append((x_scale.at(begin + len(costs) / 2), y_scale.at(medians[lane])))
        begin += len(costs)
    if len(bold) == 1:  # a line of one lane: as long as the lane
        bold = [(x_scale.at(0), bold[0][1]), (x_scale.at(begin), bold[0][1])]
    return "".join(thin), bold


def _keys(lines: Sequence[tuple[str, Precision, int]]) -> tuple[str, float]:
    keys = [Key(line_swatch(precision, DASHES[rank % len(DASHES)]), name) for name, precision, rank in lines]
    return legend(keys, BOTTOM + 42, NARROW)
