"""Dots with whiskers: one estimate a row, beside a line at no difference and what it is held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ovbench.config import Precision
from ovbench.report.html.axes import EDGE_PX, Scale, fit_scale, x_axis
from ovbench.report.html.bars import NAME_PX, names_and_figures, under_names
from ovbench.report.html.svg import COLOURS, NARROW, Chart, Key, box_swatch, element, legend, mark, mark_swatch, number
from ovbench.stats import Estimate

TOP, LEFT, RIGHT = 4, EDGE_PX, NARROW - EDGE_PX
PITCH, ROW_PX = 38, 23  # from one row to the next, and from a row's top to its dot
BAND_OPACITY = "0.16"
MOST_ROWS = 12  # of one panel: more are cut into several beside each other


@dataclass(frozen=True)
class Row:
    """One estimate in the axis' unit; ``figure`` is its text, ``floor`` what it is held against, None if nothing."""

    name: str
    precision: Precision
    estimate: Estimate
    figure: str
    floor: float | None = None


def values_of(rows: Sequence[Row]) -> list[float]:
    """All values that an axis must hold to show these rows."""
    told = [(row.estimate.value, row.estimate.low, row.estimate.high, row.floor) for row in rows]
    return [value for each in told for value in each if value is not None]


def intervals_chart(
    title: str,
    rows: Sequence[Row],
    x_title: str,
    values: Sequence[float],
    neutral: tuple[float, float] | None = None,
) -> Chart:
    """Rows (at least one) along an axis that holds ``values``; ``neutral``: the band that means no difference."""
    held = [*values, *(neutral or ())]
    scale = fit_scale(held, LEFT, RIGHT)
    bottom = TOP + PITCH * len(rows)
    drawn = [_band(scale, neutral, bottom)] if neutral else []
    for number_, row in enumerate(rows):
        drawn.append(_whisker(row, scale, TOP + PITCH * number_ + ROW_PX))
    keys = []
    if neutral:
        said = f"{neutral[0]:.2f} to {neutral[1]:.2f}: the same"
        keys.append(Key(box_swatch("currentColor", BAND_OPACITY), said))
    if any(row.floor is not None for row in rows):
        keys.append(Key(_floor, "floor that it is held against"))
    if any(row.estimate.low is None for row in rows):
        keys.append(Key(mark_swatch(rows[0].precision, False), "too few for an interval"))
    drawn_keys, height = legend(keys, bottom + 42, NARROW)
    body = (
        x_axis(scale, TOP + NAME_PX, bottom, x_title, under_names(PITCH))
        + element("g", *drawn, stroke_width=1.5)
        + names_and_figures([(row.name, row.figure) for row in rows], PITCH, TOP)
        + drawn_keys
    )
    description = f"{x_title}, with intervals: " + "; ".join(f"{row.name} {row.figure}" for row in rows) + "."
    return Chart("intervals", title, description, NARROW, bottom + 44 + height, body)


def _whisker(row: Row, scale: Scale, y: float) -> str:
    colour = COLOURS[row.precision]
    estimate = row.estimate
    parts = []
    if row.floor is not None:
        parts.append(_floor(scale.at(row.floor), y))
    if estimate.low is not None and estimate.high is not None:
        low, high = number(scale.at(estimate.low)), number(scale.at(estimate.high))
        data = f"M{low} {number(y)}H{high}M{low} {number(y - 4)}v8M{high} {number(y - 4)}v8"
        parts.append(element("path", data_whisker="", d=data, stroke=colour))
    parts.append(mark(row.precision, scale.at(estimate.value), y, "", estimate.low is not None))
    return "".join(parts)


def _floor(x: float, y: float) -> str:
    data = f"M{number(x)} {number(y - 8)}v16"
    return element("path", d=data, stroke="currentColor", stroke_width=2)


def _band(scale: Scale, neutral: tuple[float, float], bottom: float) -> str:
    low, high = scale.at(neutral[0]), scale.at(neutral[1])
    data = f"M{number((low + high) / 2)} {TOP + NAME_PX}V{number(bottom)}"
    return element("path", d=data, stroke="currentColor", stroke_opacity=BAND_OPACITY, stroke_width=high - low,
                   stroke_dasharray=under_names(PITCH))  # fmt: skip
