"""What a page is made of, before it is laid out: tables, charts with the table of their numbers, parts and sections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ovbench.report.html.svg import NARROW, Chart
from ovbench.report.numbers import DASH
from ovbench.verdict import Outcome, Verdict

if TYPE_CHECKING:  # a table of the terminal, told again: only its own module draws it
    import rich.table

STATES = frozenset(each.value for kind in (Verdict, Outcome) for each in kind)
# Last words of headings over columns of words.
WORDS = frozenset({"as", "verdict", "layer", "type", "kernel", "figure", "front"})


@dataclass(frozen=True)
class Table:
    """Texts in rows under headings; the first of each row names it. Columns of ``texts`` are words, others numbers.

    ``folded``: shown when it is asked for.
    """

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: frozenset[int] = frozenset()
    folded: bool = False

    @property
    def all_words(self) -> bool:
        """Whether no column has numbers to be aligned."""
        return len(self.texts) == len(self.headings) - 1


@dataclass(frozen=True)
class Figure:
    """A chart, and its numbers as a table; ``small``: the chart again as a phone shows it, where it is too wide."""

    chart: Chart
    table: Table
    small: Chart | None = None

    @property
    def wide(self) -> bool:
        """Whether it is wider than a phone."""
        return self.chart.width > NARROW


@dataclass(frozen=True)
class Tile:
    """One figure that is told in large: ``4.71 ms``, what it is, and of what; a verdict's ``state`` colours it."""

    name: str
    figure: str
    of: str = ""
    state: str = ""


@dataclass(frozen=True)
class Part:
    """What a section says of one session, in the order that it is laid out.

    ``reading`` tells how to read it, which is the same for every session; ``notes`` are of this one.
    """

    heading: str = ""
    lines: tuple[str, ...] = ()
    tiles: tuple[Tile, ...] = ()
    alerts: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    code: str = ""
    reading: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it to show."""
        return not (
            self.lines
            or self.tiles
            or self.alerts
            or self.facts
            or self.tables
            or self.figures
            or self.code
            or self.reading
            or self.notes
        )


@dataclass(frozen=True)
class Section:
    """A heading of the page and its parts; ``identity`` is what links lead to."""

    identity: str
    title: str
    parts: tuple[Part, ...]


def without_empty(table: Table, headings: Sequence[str]) -> Table:
    """The table without those of the columns under ``headings`` that have dashes alone."""
    kept = [place for place, heading in enumerate(table.headings)
            if heading not in headings or any(row[place] != DASH for row in table.rows)]  # fmt: skip
    rows = tuple(tuple(row[place] for place in kept) for row in table.rows)
    texts = frozenset(new for new, place in enumerate(kept) if place in table.texts)
    return replace(table, headings=tuple(table.headings[place] for place in kept), rows=rows, texts=texts)


def beside_others(figure: Figure) -> Figure:
    """The same, small enough to stand beside others."""
    return Figure(figure.small or figure.chart, figure.table)


def labelled(figure: Figure, label: str) -> Figure:
    """The same of the session that ``label`` names."""
    return Figure(
        replace(figure.chart, title=f"{figure.chart.title}, {label}"),
        replace(figure.table, caption=f"{figure.table.caption}, {label}"),
    )


def make_table(caption: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table whose columns of words are known by their headings (``kernel`` of ``FP32 kernel``) or by a verdict."""
    texts = frozenset(
        place
        for place, heading in enumerate(headings)
        if place and (heading.rpartition(" ")[2] in WORDS or any(row[place] in STATES for row in rows))
    )
    return Table(caption, tuple(headings), tuple(map(tuple, rows)), texts)


def from_terminal(table: rich.table.Table, caption: str) -> Table:
    """A table as the terminal has it, digit for digit; line breaks within a cell become blanks."""
    columns = [[_plain(column.header), *map(_plain, column.cells)] for column in table.columns]
    headings, *rows = zip(*columns, strict=True)
    return make_table(caption, headings, rows)


def _plain(cell: object) -> str:
    """A cell's text on one line."""
    return str(cell).replace("\n", " ")
