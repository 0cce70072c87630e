"""SVG as text: elements with presentation attributes alone, every text escaped and measured before it is drawn.

A style sheet may only improve what is drawn here: the page must be legible where ``style-src 'none'`` forbids one.
Axes and text are ``currentColor``, so that they follow light and dark; colours have a contrast of at least 3 : 1 on
both (WCAG 2.2, 1.4.11; #ffffff and #14161a).

What a reader of the DOM can count on, in the order of the rows of the table under the chart: ``data-mark`` is a path
that begins at the middle of its mark, ``data-whisker`` one that goes from the low to the high end, ``data-bar`` a box
whose width is the value, ``data-line`` a line. The texts of ``[data-axis]`` are ticks whose x or y is that of their own
value; its ``data-scale`` is ``linear`` or ``log``.
"""

from __future__ import annotations

import functools
import itertools
import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

from ovbench.config import Precision
from ovbench.report.page import shortened

NARROW = 340  # px: three beside each other on a desktop, one on a phone without being scaled
WIDE = 706  # px: two of them and the gap
TEXT_PX = 12
FONT = "system-ui,sans-serif"  # where there is no style sheet to say it

BLUE, ORANGE, GREEN, PURPLE = "#3579d0", "#d0630f", "#23915a", "#a25bc4"
RED, TEAL, OLIVE, GREY = "#d8455a", "#0f8fa0", "#8a8016", "#7d8590"
COLOURS = {
    Precision.FP32: BLUE,
    Precision.BF16: TEAL,
    Precision.FP16: GREEN,
    Precision.W8: PURPLE,
    Precision.INT8: ORANGE,
    Precision.INT8_BF16: RED,
}
# Paths around 0, 0, each as wide as high to either side, so that the middle of its box is the value.
SHAPES = {
    Precision.FP32: "m-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0",
    Precision.BF16: "m-4.5-4.5h9v9h-9z",
    Precision.FP16: "m0-6l6 6l-6 6l-6-6z",
    Precision.W8: "m-5.5 5l5.5-10l5.5 10z",
    Precision.INT8: "m-5.5-5l5.5 10l5.5-10z",
    Precision.INT8_BF16: "m-2-5.5h4v3.5h3.5v4h-3.5v3.5h-4v-3.5h-3.5v-4h3.5z",
}

Swatch = Callable[[float, float], str]
"""Draws a swatch of a legend around x, y, in a box of 24 x 12 px."""

# Widths of DejaVu Sans in em, the widest of the fonts that systems have for it: what fits in it fits in all of them.
_WIDTHS = {
    each: width
    for width, letters in (
        (0.30, "ijlI'J"),
        (0.36, " .,:;|/\\-!"),
        (0.41, 'frt()[]{}`"'),
        (0.53, "szc?*_–"),
        (0.64, "abdeghknopquvxyFELS0123456789$·"),
        (0.70, "ABCKPRTXYZV"),
        (0.79, "DGHNOQU&"),
        (0.85, "wM+=<>~^#×µ"),
        (1.00, "mW%@…"),
    )
    for each in letters
}
_OTHER_WIDTH = 0.9  # of letters of other alphabets
_FULL_WIDTH = 1.3  # ideographs and emoji


def text_width(text: str, size_px: float = TEXT_PX) -> float:
    """About how wide a text is drawn, in px, rather too much than too little."""
    return size_px * sum(_WIDTHS[each] if each in _WIDTHS else _em(each) for each in text)


def _em(letter: str) -> float:
    if unicodedata.combining(letter) or unicodedata.category(letter) == "Cf":
        return 0.0
    return _FULL_WIDTH if unicodedata.east_asian_width(letter) in "WF" else _OTHER_WIDTH


def fitted(text: str, room_px: float, size_px: float = TEXT_PX) -> str:
    """The text, or as much of its beginning and end as there is room for, with an ellipsis between."""
    length = min(len(text), int(room_px / (0.25 * size_px)) + 1)  # no more letters than the narrowest font has room for
    cut = shortened(text, length)
    while length > 1 and text_width(cut, size_px) > room_px:
        length -= 1
        cut = shortened(text, length)
    return cut


def number(value: float) -> str:
    """A coordinate to a tenth of a pixel, as short as can be: 12, 12.5, .5, -.5."""
    return _tenths(round(10 * value))


@functools.lru_cache(maxsize=20_000)
def _tenths(value: int) -> str:
    whole, rest = divmod(abs(value), 10)
    digits = f"{whole or ''}.{rest}" if rest else f"{whole}"
    return f"-{digits}" if value < 0 else digits


def element(tag: str, *inside: str, **attributes: str | float) -> str:
    """``<tag attribute="…">inside</tag>``; an underscore of an attribute's name is a hyphen, a trailing one nothing."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(value) if isinstance(value, str) else number(value)}"'
        for name, value in attributes.items()
    )
    return f"<{tag}{written}>{''.join(inside)}</{tag}>" if inside else f"<{tag}{written}/>"


def label(x: float, y: float, text: str, **attributes: str | float) -> str:
    """A text whose baseline begins at x, y, unless ``attributes`` anchor it elsewhere."""
    return element("text", escape(text), x=x, y=y, **attributes)


def dashed(pattern: str) -> dict[str, str]:
    """The attribute of a dash pattern; none for ""."""
    return {"stroke_dasharray": pattern} if pattern else {}


def tooltip(text: str) -> str:
    """What a pointer over the element shows."""
    return element("title", escape(text))


def polyline(points: Sequence[tuple[float, float]]) -> str:
    """Path data through the points, in relative steps of whole tenths: no error adds up."""
    steps = [(round(10 * x), round(10 * y)) for x, y in points]
    data = [f"M{_tenths(x)} {_tenths(y)}" for x, y in steps[:1]]
    for (last_x, last_y), (x, y) in itertools.pairwise(steps):
        if (x, y) != (last_x, last_y):
            down = _tenths(y - last_y)
            data.append(f"l{_tenths(x - last_x)}{'' if down[0] in '-.' and (x - last_x) % 10 else ' '}{down}")
    return "".join(data)


def simplified(points: Sequence[tuple[float, float]], tolerance_px: float) -> list[tuple[float, float]]:
    """The fewest of the points whose line keeps within about ``tolerance_px`` of theirs (Douglas and Peucker 1973)."""
    kept = {0, len(points) - 1}
    spans = [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        (x, y), (end_x, end_y) = points[first], points[last]
        right, down = end_x - x, end_y - y
        length = math.hypot(right, down) or 1.0
        off = [
            abs(right * (between_y - y) - down * (between_x - x)) for between_x, between_y in points[first + 1 : last]
        ]
        far = max(off, default=0.0)
        if far / length > tolerance_px:
            farthest = first + 1 + off.index(far)
            kept.add(farthest)
            spans += [(first, farthest), (farthest, last)]
    return [points[place] for place in sorted(kept)]


def mark(precision: Precision, x: float, y: float, said: str, filled: bool) -> str:
    """The shape of a precision around x, y, which tells ``said``, if anything, when pointed at."""
    inside = (tooltip(said),) if said else ()
    return element("path", *inside, data_mark="", d=_shape(precision, x, y), **_look(precision, filled))


def sign(precision: Precision, x: float, y: float) -> str:
    """The filled shape of a precision on a line, so that not its colour alone tells it; it stands for no value."""
    return element("path", d=_shape(precision, x, y), fill=COLOURS[precision])


def mark_swatch(precision: Precision, filled: bool = True) -> Swatch:
    """The shape of a precision for a legend."""
    return lambda x, y: element("path", d=_shape(precision, x, y), **_look(precision, filled))


def _shape(precision: Precision, x: float, y: float) -> str:
    return f"M{number(x)} {number(y)}{SHAPES[precision]}"


def _look(precision: Precision, filled: bool) -> dict[str, str | float]:
    colour = COLOURS[precision]
    return {"fill": colour} if filled else {"stroke": colour}


@dataclass(frozen=True)
class Key:
    """One entry of a legend: what draws its swatch, and what it stands for."""

    swatch: Swatch
    name: str


def legend(keys: Sequence[Key], top: float, width: float, left: float = 0) -> tuple[str, float]:
    """Entries one after another from ``left``, in rows as they fit into ``width``; what is drawn, and its height."""
    swatches: list[str] = []
    names: list[str] = []
    x, row = left, 0
    for key in keys:
        name = fitted(key.name, width - left - 32)
        room = 30 + text_width(name)
        if x > left and x + room > width:
            x, row = left, row + 1
        y = top + 18 * row + 9
        swatches.append(key.swatch(x + 12, y))
        names.append(label(x + 28, y, name))
        x += room + 14
    drawn = element("g", *swatches, stroke_width=2) + element(
        "g", *names, fill="currentColor", dominant_baseline="central"
    )
    return (drawn, 18.0 * (row + 1)) if keys else ("", 0.0)


def line_swatch(precision: Precision, dash: str = "") -> Swatch:
    """A piece of a precision's line for a legend, with its sign."""

    def draw(x: float, y: float) -> str:
        piece = element("path", d=f"M{number(x - 12)} {number(y)}h24", stroke=COLOURS[precision], **dashed(dash))
        return piece + sign(precision, x, y)

    return draw


def box_swatch(colour: str, opacity: str = "1") -> Swatch:
    """A small box for a legend."""
    return lambda x, y: element(
        "path", d=f"M{number(x - 7)} {number(y - 5)}h14v10h-14z", fill=colour, fill_opacity=opacity
    )


def line(data: str, colour: str, dash: str, said: str) -> str:
    """A data line along path data, which tells ``said`` when pointed at; how thick, its group says."""
    return element("path", tooltip(said), data_line="", d=data, stroke=colour, **dashed(dash))


@dataclass(frozen=True)
class Chart:
    """One chart, drawn: ``kind`` names its sort, ``description`` what it shows to who cannot see it."""

    kind: str
    title: str
    description: str
    width: float
    height: float
    body: str

    def svg(self, identity: str, hidden: bool = False) -> Markup:
        """The element, its title and description under ids that begin with ``identity``; ``hidden``: till styled."""
        return Markup(  # every text in it went through ``escape``
            element(
                "svg",
                element("title", escape(self.title), id=f"{identity}t"),
                element("desc", escape(self.description), id=f"{identity}d"),
                self.body,
                role="img",
                aria_labelledby=f"{identity}t {identity}d",
                width=self.width,
                height=self.height,
                viewBox=f"0 0 {number(self.width)} {number(self.height)}",
                fill="none",
                font_family=FONT,
                font_size=TEXT_PX,
                **({"display": "none"} if hidden else {}),
            )
        )
