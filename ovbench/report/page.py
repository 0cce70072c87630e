"""The page that text is laid out on: 100 columns, escape codes only for a terminal."""

from __future__ import annotations

import io

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

WIDTH = 100


def open_page(coloured: bool, width: int = WIDTH) -> tuple[Console, io.StringIO]:
    """A console to print on and the text that gathers; ``width`` in columns."""
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width,
        force_terminal=coloured,
        no_color=None if coloured else True,  # None: the variable NO_COLOR says it
        color_system="standard" if coloured else None,
    )
    return console, stream


def open_table(title: str = "", gap: int = 1) -> Table:
    """An empty table as all pages have it; ``gap``: blanks between columns beside the one that the box has."""
    return Table(
        title=escape(title) or None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, gap, 0, 0),
    )
