"""Axes: from values to pixels, ticks at 1, 2 and 5, and the frame that they are drawn in."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ovbench.report.html.svg import dashed, element, label, number, text_width

WIDE_RANGE = 10  # largest / smallest from which an axis is logarithmic: linear, the smaller half would share a tenth
TICK_GAP_PX = 8  # between the texts of two ticks
LINE_PX = 15  # from one tick text of a vertical axis to the next, at least
MOST_TICKS = 7
LEAST_TICKS = 3  # from which values between them can be read
EDGE_PX = 18  # from a scale's end to the edge of the chart, at least: half of a tick text
FAINT, CLEAR = 0.14, 0.55  # opacity of grid lines and of axes


@dataclass(frozen=True)
class Scale:
    """Values ``low`` to ``high`` laid on pixels ``start`` to ``end``; ``ticks`` are the values that get a text."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """Where a value lies, in px; beyond the ends it lies at the end."""
        return self.places((value,))[0]

    def places(self, values: Iterable[float]) -> list[float]:
        """Where each of the values lies, in px."""
        low, high, start, length = self.low, self.high, self.start, self.end - self.start
        inside = [low if value < low else high if value > high else value for value in values]
        if self.logarithmic:
            whole = math.log(high / low)
            return [start + math.log(value / low) / whole * length for value in inside]
        return [start + (value - low) / (high - low) * length for value in inside]

    @property
    def texts(self) -> tuple[str, ...]:
        """Each tick's text."""
        return tick_texts(self.ticks)


def nice_step(span: float, parts: int) -> float:
    """The smallest of 1, 2, 5, 10, ... x 10^n that cuts ``span`` (above 0) into at most ``parts``."""
    least = span / parts
    power = 10.0 ** math.floor(math.log10(least))
    return next((each * power for each in (1, 2, 5) if each * power >= least * (1 - 1e-9)), 10 * power)


def linear_ticks(low: float, high: float, most: int = MOST_TICKS) -> tuple[float, ...]:
    """At most ``most`` round values from ``low`` to ``high``, both included where they are round; low < high."""
    step = nice_step(high - low, most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    while last - first >= most:
        step = nice_step(1.5 * step, 1)
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step)))
    return tuple(round(each * step, digits) for each in range(first, last + 1))


def log_ticks(low: float, high: float, most: int = MOST_TICKS) -> tuple[float, ...]:
    """At most ``most`` values from ``low`` to ``high``: 1, 2, 5 of each decade, else each, else every nth decade."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        ticks = [_power(decade, each) for decade in decades for each in factors]
        inside = tuple(each for each in ticks if low * (1 - 1e-9) <= each <= high * (1 + 1e-9))
        if len(inside) <= most:
            return inside
    return inside[:: math.ceil(len(inside) / most)]


def _power(decade: int, factor: int) -> float:
    return float(factor * 10**decade) if decade >= 0 else factor / 10**-decade


def tick_texts(ticks: Sequence[float]) -> tuple[str, ...]:
    """``0``, ``0.5``, ``1.0``: as many decimals for all as tell them apart; never exponents."""
    return tuple(f"{each:.{_decimals(ticks)}f}" if _even(ticks) else f"{each:.10f}".rstrip("0").rstrip(".")
                 for each in ticks)  # fmt: skip


def _even(ticks: Sequence[float]) -> bool:
    steps = [after - before for before, after in itertools.pairwise(ticks)]
    return all(math.isclose(step, steps[0], rel_tol=1e-6) for step in steps)


def _decimals(ticks: Sequence[float]) -> int:
    return next((each for each in range(10) if all(abs(tick - round(tick, each)) < 1e-9 for tick in ticks)), 10)


def fit_scale(
    values: Iterable[float],
    start: float,
    end: float,
    zero: bool = False,
    logarithmic: bool | None = None,
    most: int = MOST_TICKS,
) -> Scale:
    """A scale that holds all values (at least one), to round ends; with 0 if ``zero``.

    ``logarithmic`` None: where all are above 0 and the range is wide. As few ticks as have room, along the horizontal
    (start < end) by the widths of their texts.
    """
    known = tuple(values)
    low, high = min(known), max(known)
    if logarithmic is None:
        logarithmic = not zero and low > 0 and high / low > WIDE_RANGE
    if zero:
        low, high = min(0.0, low), max(0.0, high)
    if logarithmic:
        return _fit_log(low, high, start, end, most)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        room = 0.05 * abs(high) or 1.0
        low, high = (low - (0 if zero else room)), high + room
    return _fit_linear(low, high, start, end, most)


def closed(scale: Scale, low: float, high: float) -> Scale:
    """The scale with its ends at ``low`` and ``high``, and the ticks between them; as it was if these are too few."""
    ticks = tuple(each for each in scale.ticks if low <= each <= high)
    return replace(scale, low=low, high=high, ticks=ticks) if len(ticks) >= LEAST_TICKS else scale


def _fit_linear(low: float, high: float, start: float, end: float, most: int) -> Scale:
    step = nice_step(high - low, _room(start, end, most) - 1)
    for _ in range(4):
        ends = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
        digits = max(0, -math.floor(math.log10(step)))
        first, last = round(ends[0], digits), round(ends[1], digits)
        scale = Scale(first, last, start, end, False, linear_ticks(first, last, round((last - first) / step) + 1))
        if not _collide(scale):
            break
        step = nice_step(2 * step, 1)
    return scale


def _fit_log(low: float, high: float, start: float, end: float, most: int) -> Scale:
    pad = max((high / low) ** 0.04, 1.02)
    low, high = low / pad, high * pad
    for count in range(_room(start, end, most), 1, -1):
        ticks = log_ticks(low, high, count)
        if len(ticks) < 2:  # less than a decade has too few: those of a linear axis, at their places
            ticks = tuple(each for each in linear_ticks(low, high, count) if each > 0)
        scale = Scale(low, high, start, end, True, ticks)
        if not _collide(scale):
            break
    return scale


def _room(start: float, end: float, most: int) -> int:
    """How many ticks there is room for, whatever their texts."""
    return max(2, min(most, int(abs(end - start) / (34 if start < end else 26)) + 1))


def _collide(scale: Scale) -> bool:
    if scale.start > scale.end:
        return any(
            abs(scale.at(after) - scale.at(before)) < LINE_PX
            for before, after in zip(scale.ticks, scale.ticks[1:], strict=False)
        )
    ends = [(scale.at(tick), text_width(text) / 2) for tick, text in zip(scale.ticks, scale.texts, strict=True)]
    return any(
        right - left < half_left + half_right + TICK_GAP_PX
        for (left, half_left), (right, half_right) in itertools.pairwise(ends)
    )


def x_axis(scale: Scale, top: float, bottom: float, title: str, dash: str = "") -> str:
    """Grid lines from ``top`` (none from ``bottom``), tick texts under ``bottom``, and the title under these."""
    lines = "".join(f"M{number(scale.at(tick))} {number(top)}V{number(bottom)}" for tick in scale.ticks)
    texts = [_x_text(scale, tick, text, bottom + 15) for tick, text in zip(scale.ticks, scale.texts, strict=True)]
    axis = f"M{number(scale.start)} {number(bottom)}H{number(scale.end)}"
    return (
        (_lines(lines, FAINT, dash) if top < bottom else "")
        + _lines(axis, CLEAR)
        + _ticks("x", scale, texts, text_anchor="middle")
        + label((scale.start + scale.end) / 2, bottom + 32, title, fill="currentColor", text_anchor="middle")
    )


def _x_text(scale: Scale, tick: float, text: str, y: float) -> str:
    """A tick's text in the middle under it, or beside that where it would reach out of the chart."""
    x, half = scale.at(tick), text_width(text) / 2
    anchor = "start" if x < half else "end" if x + half > scale.end + EDGE_PX else ""
    return label(x, y, text, **({"text_anchor": anchor} if anchor else {}))


def y_axis(scale: Scale, left: float, right: float, title: str) -> str:
    """Grid lines from left to right, tick texts before them, and the title above the topmost, from the very left."""
    lines = "".join(f"M{number(left)} {number(scale.at(tick))}H{number(right)}" for tick in scale.ticks)
    texts = [label(left - 6, scale.at(tick), text) for tick, text in zip(scale.ticks, scale.texts, strict=True)]
    return (
        _lines(lines, FAINT)
        + _ticks("y", scale, texts, text_anchor="end", dominant_baseline="central")
        + label(0, min(scale.start, scale.end) - 14, title, fill="currentColor")
    )


def _lines(data: str, opacity: float, dash: str = "") -> str:
    return element("path", d=data, stroke="currentColor", stroke_opacity=f"{opacity}", **dashed(dash))


def _ticks(axis: str, scale: Scale, texts: Sequence[str], **attributes: str) -> str:
    kind = "log" if scale.logarithmic else "linear"
    return element("g", *texts, data_axis=axis, data_scale=kind, fill="currentColor", **attributes)


def y_room(scale: Scale) -> float:
    """Width that the tick texts of a vertical axis take."""
    return max(text_width(text) for text in scale.texts) + 8
