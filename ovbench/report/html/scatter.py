"""Latency against throughput: every cell a mark, the Pareto front a line with names beside it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ovbench.config import Precision
from ovbench.report.html.axes import CLEAR, EDGE_PX, fit_scale, x_axis, y_axis, y_room
from ovbench.report.html.svg import (
    WIDE,
    Chart,
    Key,
    element,
    fitted,
    label,
    legend,
    mark,
    mark_swatch,
    number,
    text_width,
)

TOP, BOTTOM = 30, 390
MARK_PX = 7  # half of a mark's box, and a little air
ROOM_SHARE = 0.03  # of the values' range, beyond their ends
LONGEST_NAME_PX = 220
TICKS = 9  # of a wide chart, at most
HIGH_PX = 7  # half of the height of a text of 12 px
NEAR_PX = MARK_PX + HIGH_PX + 1  # from a mark to the middle of a name above or below it
FAR_PX = (-34, 34, -54, 54, 74, 94)  # the same of a name that a line leads to


@dataclass(frozen=True)
class Point:
    """One cell: ``x`` of which less is better, ``y`` of which more is, ``figures`` both as text."""

    name: str
    precision: Precision
    x: float
    y: float
    figures: str

    @property
    def said(self) -> str:
        """What is told when pointed at: ``INT8 lat 1 off: 4.71 ms, 203 FPS``."""
        return f"{self.name}: {self.figures}"


@dataclass(frozen=True)
class Box:
    """A rectangle that is taken, in px."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether the two share any area."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def lies_in(self, other: Box) -> bool:
        """Whether no part of it is outside of ``other``."""
        return (
            other.left <= self.left
            and self.right <= other.right
            and other.top <= self.top
            and self.bottom <= other.bottom
        )


def pareto_front(points: Iterable[Point]) -> tuple[Point, ...]:
    """Points than which none is better in one and at least as good in the other, by rising x (and so rising y)."""
    front: list[Point] = []
    for point in sorted(points, key=lambda each: (each.x, -each.y)):
        if not front or point.y > front[-1].y or (point.x, point.y) == (front[-1].x, front[-1].y):
            front.append(point)
    return tuple(front)


def scatter_chart(
    title: str, points: Sequence[Point], alike: Sequence[Point], x_title: str, y_title: str, width: float = WIDE
) -> Chart:
    """At least one point, on axes that hold ``alike`` too; those on the front are filled, named if there is room."""
    y_scale = fit_scale(_roomy([each.y for each in (*points, *alike)]), BOTTOM, TOP)
    left = y_room(y_scale)
    x_scale = fit_scale(_roomy([each.x for each in (*points, *alike)]), left, width - EDGE_PX, most=TICKS)
    front = pareto_front(points)
    places = {id(each): (x_scale.at(each.x), y_scale.at(each.y)) for each in points}
    marks = [mark(each.precision, *places[id(each)], each.said, each in front) for each in points]
    plot = Box(left, 14, width, BOTTOM)
    names, leaders = _names(front, places, plot, Box(0, 0, text_width(y_title), TOP - 10))
    keys = [Key(mark_swatch(each), each.value) for each in _precisions(points)]
    if len(front) < len(points):
        keys.append(Key(_front_swatch, "Pareto front (filled marks)"))
    drawn_keys, height = legend(keys, BOTTOM + 44, width, left - 6)
    body = (
        x_axis(x_scale, TOP, BOTTOM, x_title)
        + y_axis(y_scale, left, width - EDGE_PX, y_title)
        + _stairs([places[id(each)] for each in front])
        + (element("path", d=leaders, stroke="currentColor", stroke_opacity=f"{CLEAR}") if leaders else "")
        + element("g", *marks, stroke_width=1.5)
        + element("g", *names, fill="currentColor", dominant_baseline="central")
        + drawn_keys
    )
    description = (
        f"{len(points)} cells by {x_title} and {y_title}. On the Pareto front: "
        + "; ".join(each.said for each in front[:8])
        + ("." if len(front) <= 8 else f"; and {len(front) - 8} more.")
    )
    return Chart("scatter", title, description, width, BOTTOM + 48 + height, body)


def _roomy(values: Sequence[float]) -> list[float]:
    """The ends of the values and a little more, so that no mark lies on an axis; above 0 as they are."""
    low, high = min(values), max(values)
    share = (high / low) ** ROOM_SHARE
    return [low / share, high * share]


def _precisions(points: Sequence[Point]) -> list[Precision]:
    present = {each.precision for each in points}
    return [each for each in Precision if each in present]


def _front_swatch(x: float, y: float) -> str:
    return _dotted(f"M{number(x - 11)} {number(y)}h22")


def _dotted(data: str) -> str:
    return element(
        "path", d=data, stroke="currentColor", stroke_width=1.5, stroke_opacity=f"{CLEAR}", stroke_dasharray="4 3"
    )


def _stairs(places: Sequence[tuple[float, float]]) -> str:
    """The edge of what the front reaches: level to the next point, then up to it."""
    if len(places) < 2:
        return ""
    first, *others = places
    data = f"M{number(first[0])} {number(first[1])}" + "".join(f"H{number(x)}V{number(y)}" for x, y in others)
    return _dotted(data)


def _names(
    front: Sequence[Point], places: dict[int, tuple[float, float]], plot: Box, y_title: Box
) -> tuple[list[str], str]:
    """Names of the front's points, its ends first, each where it touches no mark, no stair and no name; else none.

    And the path data of what leads from marks to names that are not beside them.
    """
    taken = [y_title, *(Box(x - MARK_PX, y - MARK_PX, x + MARK_PX, y + MARK_PX) for x, y in places.values())]
    for (x, y), (next_x, next_y) in itertools.pairwise([places[id(each)] for each in front]):
        taken += [Box(x, y - 1, next_x, y + 1), Box(next_x - 1, next_y, next_x + 1, y)]
    ends = [front[0], front[-1]] if len(front) > 1 else [front[0]]
    drawn, leaders = [], ""
    for point in [*ends, *front[1:-1]]:
        name = fitted(point.name, LONGEST_NAME_PX)
        x, y = places[id(point)]
        box = next((each for each in _beside(x, y, text_width(name)) if _free(each, taken, plot)), None)
        if box is not None:
            taken.append(box)
            middle = (box.top + box.bottom) / 2
            drawn.append(label(box.left, middle, name))
            if abs(middle - y) > NEAR_PX:
                end = box.top if middle > y else box.bottom
                leaders += f"M{number(x)} {number(y)}L{number(min(max(x, box.left), box.right))} {number(end)}"
    return drawn, leaders


def _beside(x: float, y: float, width: float) -> Iterable[Box]:
    """Places for a name around a mark: above to the left first, where a front leaves the plot empty; then farther."""
    near, high = MARK_PX + 2, NEAR_PX
    for left, middle in (
        (x - width - 2, y - high),
        (x - width / 2, y - high),
        (x - width - near, y),
        (x + near, y),
        (x + 2, y - high),
        (x + 2, y + high),
        (x - width / 2, y + high),
        (x - width - 2, y + high),
        *((left, y + far) for far in FAR_PX for left in (x - width - near, x - width / 2, x + near)),
    ):
        yield Box(left, middle - HIGH_PX, left + width, middle + HIGH_PX)


def _free(box: Box, taken: Sequence[Box], plot: Box) -> bool:
    return box.lies_in(plot) and not any(box.meets(each) for each in taken)
