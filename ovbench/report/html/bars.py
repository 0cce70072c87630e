"""Bars: phases of a start on top of each other, and two precisions of a layer beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ovbench.report.html.axes import EDGE_PX, fit_scale, x_axis
from ovbench.report.html.svg import (
    NARROW,
    Chart,
    Key,
    box_swatch,
    element,
    fitted,
    label,
    legend,
    number,
    text_width,
    tooltip,
)

TOP, LEFT, RIGHT = 4, 0, NARROW - EDGE_PX
STACK_PITCH, STACK_PX = 40, 14
PAIR_PITCH, PAIR_PX = 50, 9
NAME_PX = 16  # height of the line of a name
GAP_PX = 10  # between a name and what stands at the right


@dataclass(frozen=True)
class Stretch:
    """One stretch of a bar: its length, its colour, and what is said when pointed at."""

    length: float
    colour: str
    said: str


@dataclass(frozen=True)
class Bar:
    """A name with a figure at the right, over parts: end to end in a stack, one below the other in a pair."""

    name: str
    figure: str
    parts: tuple[Stretch, ...]


def stacked_chart(title: str, bars: Sequence[Bar], keys: Sequence[tuple[str, str]], most: float, x_title: str) -> Chart:
    """Bars of parts end to end from 0; ``keys`` are (name, colour) of the parts, ``most`` the axis' least end."""
    scale = fit_scale([0, most], LEFT, RIGHT, zero=True)
    bottom = TOP + STACK_PITCH * len(bars)
    drawn, borders = [], ""  # not colours alone part the phases
    for row, bar in enumerate(bars):
        y = TOP + STACK_PITCH * row + 18
        begin = 0.0
        for part in bar.parts:
            left, right = scale.at(begin), scale.at(begin + part.length)
            drawn.append(_box(part, left, right - left, y, STACK_PX))
            borders += f"M{number(left)} {number(y)}v{STACK_PX}" if begin else ""
            begin += part.length
    drawn.append(element("path", d=borders, stroke="currentColor"))
    description = f"{x_title}, each bar from left to right: {', '.join(name for name, _ in keys)}. " + _said(bars)
    return _chart(
        "stacked",
        title,
        description,
        bars,
        STACK_PITCH,
        drawn,
        x_axis(scale, TOP + NAME_PX, bottom, x_title, under_names(STACK_PITCH)),
        keys,
    )


def paired_chart(title: str, bars: Sequence[Bar], keys: Sequence[tuple[str, str]], x_title: str) -> Chart:
    """Bars of parts one below the other, each from 0."""
    scale = fit_scale([part.length for bar in bars for part in bar.parts], LEFT, RIGHT, zero=True)
    bottom = TOP + PAIR_PITCH * len(bars)
    drawn = []
    for row, bar in enumerate(bars):
        for place, part in enumerate(bar.parts):
            y = TOP + PAIR_PITCH * row + 18 + place * (PAIR_PX + 3)
            drawn.append(_box(part, scale.at(0), scale.at(part.length) - scale.at(0), y, PAIR_PX))
    description = f"{x_title}, of each: {' over '.join(name for name, _ in keys)}. " + _said(bars)
    return _chart(
        "paired",
        title,
        description,
        bars,
        PAIR_PITCH,
        drawn,
        x_axis(scale, TOP + NAME_PX, bottom, x_title, under_names(PAIR_PITCH)),
        keys,
    )


def under_names(pitch: float) -> str:
    """The dashes of a grid line that begins under the first name: none of the names is struck through."""
    return f"{number(pitch - NAME_PX)} {NAME_PX}"


def names_and_figures(bars: Sequence[tuple[str, str]], pitch: float, top: float) -> str:
    """The line over each bar: a name at the left, as much as there is room for, and a figure at the right."""
    names, figures = [], []
    for row, (name, figure) in enumerate(bars):
        y = top + pitch * row + NAME_PX / 2
        room = NARROW - text_width(figure) - GAP_PX
        names.append(label(0, y, fitted(name, room)))
        figures.append(label(NARROW, y, figure))
    at_right = element("g", *figures, text_anchor="end")
    return element("g", *names, at_right, fill="currentColor", dominant_baseline="central")


def _chart(
    kind: str,
    title: str,
    description: str,
    bars: Sequence[Bar],
    pitch: float,
    drawn: Sequence[str],
    axis: str,
    keys: Sequence[tuple[str, str]],
) -> Chart:
    bottom = TOP + pitch * len(bars)
    legend_keys, height = legend([Key(box_swatch(colour), name) for name, colour in keys], bottom + 42, NARROW)
    body = axis + "".join(drawn) + names_and_figures([(bar.name, bar.figure) for bar in bars], pitch, TOP) + legend_keys
    return Chart(kind, title, description, NARROW, bottom + 44 + height, body)


def _box(part: Stretch, left: float, width: float, top: float, height: float) -> str:
    """A box whose width is the value."""
    data = f"M{number(left)} {number(top)}h{number(width)}v{number(height)}H{number(left)}z"
    return element("path", tooltip(part.said), data_bar="", d=data, fill=part.colour)


def _said(bars: Sequence[Bar]) -> str:
    return "; ".join(f"{bar.name} {bar.figure}" for bar in bars[:8]) + "."
