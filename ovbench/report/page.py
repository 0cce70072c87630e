"""The page that text is laid out on: 100 columns or the terminal's, escape codes only for a terminal."""

from __future__ import annotations

import io
import re
import shutil
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

WIDTH = 100
NARROWEST = 40  # no text can be read in less
UNBOUNDED = 10_000  # wider than any text is
WORD = 6  # of a word in a column that folds, so much stays in one piece
BLANKS_AT_THE_END = re.compile(r"(?: |\x1b\[[\d;]*m)+$", re.MULTILINE)


class _Page(Console):
    """A console that never cuts a table: in a page too narrow for its figures the table stands out of it."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as a console does, tables at the width of their figures at least."""
        for table in objects:
            if isinstance(table, Table):
                table.width = max(_least_width(self, table), min(self.width, self.measure(table).maximum))
                options["crop"] = False
        super().print(*(printable(each) if isinstance(each, str) else each for each in objects), **options)


class _Table(Table):
    """A table whose cells no terminal obeys."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row as a table does, text made printable."""
        super().add_row(*(printable(each) if isinstance(each, str) else each for each in cells), **options)


class _Lines(io.StringIO):
    """Text whose lines end with their last word: blanks up to the margin would break them in a narrower terminal."""

    def write(self, text: str) -> int:
        return super().write(BLANKS_AT_THE_END.sub(lambda found: found[0].replace(" ", ""), text))


def open_page(coloured: bool, width: int | None = None) -> tuple[Console, io.StringIO]:
    """A console to print on and the text that gathers; ``width`` in columns, else what ``page_width`` says."""
    stream = _Lines()
    console = _Page(
        file=stream,
        width=page_width(coloured) if width is None else width,
        force_terminal=coloured,
        markup=False,  # a model may be called [/red]
        emoji=False,
        highlight=False,
        no_color=None if coloured else True,  # None: the variable NO_COLOR says it
        color_system="standard" if coloured else None,
    )
    return console, stream


def page_width(on_terminal: bool) -> int:
    """Columns of a page: WIDTH, in a file always; fewer on a terminal that has fewer."""
    if not on_terminal:
        return WIDTH
    return min(WIDTH, max(NARROWEST, shutil.get_terminal_size((WIDTH, 0)).columns))


def printable(text: str) -> str:
    """A text of others, such as a label: what a terminal would obey, not show, becomes U+FFFD; lines stay lines."""
    return "".join(each if each.isprintable() or each == "\n" else "\N{REPLACEMENT CHARACTER}" for each in text)


def shortened(name: str, width: int) -> str:
    """At most ``width`` characters: the middle of a long name gives way, its end says most and keeps two thirds."""
    if len(name) <= width:
        return name
    head = (width - 1) // 3
    return f"{name[:head]}…{name[len(name) - (width - 1 - head) :]}"


def open_table(title: str = "", gap: int = 1) -> Table:
    """An empty table as all pages have it; ``gap``: blanks between columns beside the one that the box has."""
    return _Table(
        title=printable(title) or None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, gap, 0, 0),
    )


def _least_width(console: Console, table: Table) -> int:
    """Columns that a table needs: all of a column that does not fold, the longest word or WORD of one that does."""
    unbounded = console.options.update(max_width=UNBOUNDED)
    least = Measurement.get(console, unbounded, table).minimum  # with the longest word of each column
    for column in table.columns:
        needed = [Measurement.get(console, unbounded, each) for each in (column.header, *column.cells)]
        most, word = max(each.maximum for each in needed), max(each.minimum for each in needed)
        word = min(word, column.max_width or word)
        column.min_width = most if column.no_wrap else min(word, WORD)
        least += column.min_width - word
    return least
