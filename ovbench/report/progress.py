"""Progress of anything over two seconds: a bar on a terminal, plain lines elsewhere; drawn only when told to.

No thread refreshes the bar: while a block is measured nothing but the contestant runs.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ovbench.report.page import shortened

Advance = Callable[[float, str], None]
"""``advance(share done in [0, 1], what is being done)``."""
LINE_EVERY_S = 10.0
BAR_WIDTH = 12
BAR_FROM = 100  # columns; on fewer what is being done is worth more than a bar
FIGURES_WIDTH = len(" 100% 0:00:00 elapsed, 0:00:00 left")


@contextlib.contextmanager
def progress_bar(title: str, stream: TextIO | None = None) -> Iterator[Advance]:
    """One bar with its estimate of the time left. It appears at the first call of what it yields."""
    stream = stream or sys.__stderr__ or sys.stderr
    console = Console(file=stream)
    if console.is_terminal:
        yield from _drawn(title, console)
    else:
        yield from _written(title, stream)


def _drawn(title: str, console: Console) -> Iterator[Advance]:
    bar_columns = [BarColumn(bar_width=BAR_WIDTH)] if console.width >= BAR_FROM else []
    columns = (
        TextColumn("{task.description}", markup=False),
        *bar_columns,
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("elapsed,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    bar = Progress(*columns, console=console, auto_refresh=False, transient=True)
    task = bar.add_task(title, total=1.0, visible=False)

    def advance(share: float, doing: str) -> None:
        room = console.width - FIGURES_WIDTH - (BAR_WIDTH + 1) * len(bar_columns)
        description = shortened(f"{title}: {doing}" if doing else title, room)
        bar.update(task, completed=share, description=description, visible=True)
        bar.refresh()

    with bar:
        yield advance


def _written(title: str, stream: TextIO) -> Iterator[Advance]:
    begin = time.monotonic()
    last: float | None = None

    def advance(share: float, doing: str) -> None:
        nonlocal last
        now = time.monotonic()
        if last is None or now - last >= LINE_EVERY_S:
            last = now
            stream.write(f"{title}: {doing + ', ' if doing else ''}{share:.0%} after {now - begin:.0f} s\n")
            stream.flush()

    yield advance
    if last is not None:
        stream.write(f"{title}: done in {time.monotonic() - begin:.0f} s\n")
        stream.flush()
