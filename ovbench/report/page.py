"""The page that text is laid out on: 100 columns, escape codes only for a terminal."""

from __future__ import annotations

import io

from rich.console import Console

WIDTH = 100


def open_page(coloured: bool, width: int = WIDTH) -> tuple[Console, io.StringIO]:
    """A console to print on and the text that gathers; ``width`` in columns."""
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width,
        force_terminal=coloured,
        no_color=not coloured,
        color_system="standard" if coloured else None,
    )
    return console, stream
