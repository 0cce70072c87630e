"""Lines of many samples: how calls are distributed, and how the cost of rounds went over the session."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ovbench.config import Precision
from ovbench.report.html.axes import CLEAR, Scale, fit_scale, x_axis, y_axis, y_room
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
    tooltip,
)

DASHES = ("", "7 3", "2 3", "9 3 2 3")  # lines of one precision in one plot
MOST_LINES = 8  # that an eye can follow in one plot
MOST_POINTS = 200  # of one line: a plot is 300 px wide
POINTS_OF_ALL = 6000  # of all lines of a page together: about 50 kB
TAIL = (0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 1.0)  # shares that a thinned line keeps besides
BEYOND_P95 = 2.0  # an axis of latencies ends at this times the greatest p95: one outlier would flatten all the rest
LEAST_RELATIVE, MOST_RELATIVE = 0.5, 2.0  # rounds beyond are drawn at the edge
TOP, BOTTOM, RIGHT = 26, 186, NARROW - 18


@dataclass(frozen=True)
class Distribution:
    """Sorted ``values`` (at least one) of one cell; ``rank``: the how manieth of its precision in the plot."""

    name: str
    precision: Precision
    rank: int
    values: Sequence[float]


@dataclass(frozen=True)
class Drift:
    """Rounds of one cell as (lane, cost / the cell's median), in the order they ran; ``rejected``: their numbers."""

    name: str
    precision: Precision
    rank: int
    rounds: Sequence[tuple[int, float]]

    def lane_medians(self) -> dict[int, float]:
        """Lane -> median of its rounds."""
        lanes: dict[int, list[float]] = {}
        for lane, relative in self.rounds:
            lanes.setdefault(lane, []).append(relative)
        return {lane: statistics.median(each) for lane, each in lanes.items()}


def points_of_each(lines: int) -> int:
    """How many points each of a page's lines may have, at most MOST_POINTS."""
    return max(24, min(MOST_POINTS, POINTS_OF_ALL // max(1, lines)))


def thinned(values: Sequence[float], points: int) -> list[tuple[float, float]]:
    """(value, share of the values up to it): every step where there are few, else shares evenly apart and the tail's.

    At most ``points`` of them, at least the first and the last.
    """
    count = len(values)
    if count <= points:
        return [(value, (place + 1) / count) for place, value in enumerate(values)]
    shares = (*np.linspace(1 / count, 1.0, points - len(TAIL)), *TAIL)
    places = sorted({max(1, math.ceil(share * count - 1e-9)) for share in shares})
    return [(values[place - 1], place / count) for place in places]


def ecdf_chart(title: str, lines: Sequence[Distribution], points: int, x_title: str) -> Chart:
    """Share of calls that took at most so long, one line for each distribution (1 to MOST_LINES)."""
    low, high = min(each.values[0] for each in lines), latency_end(lines)
    y_scale = Scale(0, 100, BOTTOM, TOP, False, (0, 25, 50, 75, 100))
    left = y_room(y_scale)
    x_scale = fit_scale([low, high], left, RIGHT)
    drawn = []
    for each in lines:
        curve = thinned(each.values, points)
        inside = [(value, share) for value, share in curve if value <= x_scale.high]
        path = [(each.values[0], 0.0), *inside]
        data = polyline((x_scale.at(value), y_scale.at(100 * share)) for value, share in path)
        drawn.append(line(data, COLOURS[each.precision], DASHES[each.rank % len(DASHES)], each.name))
    keys, height = _keys([(each.name, each.precision, each.rank) for each in lines])
    body = (
        x_axis(x_scale, BOTTOM, x_title, [(TOP, BOTTOM)])
        + y_axis(y_scale, left, RIGHT, "% of calls within")
        + "".join(drawn)
        + keys
    )
    medians = (f"{each.name} {statistics.median(each.values):.3g}" for each in lines)
    description = f"Cumulative share of calls by {x_title}. Medians: {', '.join(medians)}."
    return Chart("ecdf", title, description, NARROW, BOTTOM + 44 + height, body)


def latency_end(lines: Sequence[Distribution]) -> float:
    """The value where the axis may end: the greatest of all, or BEYOND_P95 times the greatest p95 if that is less."""
    greatest = max(each.values[-1] for each in lines)
    return min(greatest, BEYOND_P95 * max(each.values[math.ceil(0.95 * len(each.values)) - 1] for each in lines))


def rounds_chart(title: str, lines: Sequence[Drift], rejected: Sequence[int], points: int) -> Chart:
    """Cost of each round over the cell's median, thin, and of each lane, bold; ``rejected`` rounds get a cross.

    Rounds are numbered from 0 in the order they ran; all lines (1 to MOST_LINES) have the same lanes.
    """
    shown = [min(max(relative, LEAST_RELATIVE), MOST_RELATIVE) for each in lines for _, relative in each.rounds]
    y_scale = fit_scale([*shown, 1.0], BOTTOM, TOP)
    left = y_room(y_scale)
    count = max(len(each.rounds) for each in lines)
    x_scale = fit_scale([0, max(1, count)], left, RIGHT)
    x_scale = Scale(0, max(1, count), left, RIGHT, False, tuple(each for each in x_scale.ticks if each <= count))
    longest = max(lines, key=lambda each: len(each.rounds))
    drawn = [_lane_borders(longest, x_scale)]
    for each in lines:
        thin, bold = _drift_paths(each, x_scale, y_scale, points)
        colour = COLOURS[each.precision]
        drawn.append(element("path", d=thin, stroke=colour, stroke_opacity="0.45"))
        drawn.append(line(bold, colour, DASHES[each.rank % len(DASHES)], each.name, 2))
    crosses = "".join(f"M{number(x_scale.at(each + 0.5) - 3)} {TOP - 3}l6 6m0-6l-6 6" for each in rejected)
    if crosses:
        drawn.append(element("path", tooltip("rejected rounds"), d=crosses, stroke="currentColor", data_rejected=""))
    keys, height = _keys([(each.name, each.precision, each.rank) for each in lines])
    body = (
        x_axis(x_scale, BOTTOM, f"round ({len(longest.lane_medians())} lanes, parted by lines)", ())
        + y_axis(y_scale, left, RIGHT, "cost / the cell's median")
        + "".join(drawn)
        + keys
    )
    spans = []
    for each in lines:
        medians = each.lane_medians().values()
        spans.append(f"{each.name} {min(medians):.2f} to {max(medians):.2f}")
    description = f"Cost of {count} rounds over each cell's median. Medians of lanes: {'; '.join(spans)}."
    return Chart("rounds", title, description, NARROW, BOTTOM + 44 + height, body)


def _lane_borders(drift: Drift, scale: Scale) -> str:
    lanes = [lane for lane, _ in drift.rounds]
    borders = [place for place in range(1, len(lanes)) if lanes[place] != lanes[place - 1]]
    data = "".join(f"M{number(scale.at(each))} {TOP}V{BOTTOM}" for each in borders)
    return element("path", d=data, stroke="currentColor", stroke_opacity=f"{CLEAR}", stroke_width=0.5) if data else ""


def _drift_paths(drift: Drift, x_scale: Scale, y_scale: Scale, points: int) -> tuple[str, str]:
    """Path data of the rounds, broken between lanes, and of the lanes' medians at the lanes' middles."""
    step = math.ceil(len(drift.rounds) / points)
    medians = drift.lane_medians()
    thin, bold = [], []
    begin = 0
    for lane, group in itertools.groupby(drift.rounds, key=lambda each: each[0]):
        costs = [relative for _, relative in group]
        thin.append(
            polyline(
                (
                    x_scale.at(begin + first + min(step, len(costs) - first) / 2),
                    y_scale.at(statistics.median(costs[first : first + step])),
                )
                for first in range(0, len(costs), step)
            )
        )
        bold.append((x_scale.at(begin + len(costs) / 2), y_scale.at(medians[lane])))
        begin += len(costs)
    if len(bold) == 1:  # a line of one lane: as long as the lane
        bold = [(x_scale.at(0), bold[0][1]), (x_scale.at(begin), bold[0][1])]
    return "".join(thin), polyline(bold)


def _keys(lines: Sequence[tuple[str, Precision, int]]) -> tuple[str, float]:
    keys = [Key(line_swatch(COLOURS[precision], DASHES[rank % len(DASHES)]), name) for name, precision, rank in lines]
    drawn, height = legend(keys, BOTTOM + 42, NARROW)
    return element("g", drawn, fill="currentColor"), height
