"""Classified pictures as text: the best classes of each, precisions side by side, and as values."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table

from ovbench.classify import REPEATS, Classified, Guess
from ovbench.report.numbers import DASH, milliseconds
from ovbench.report.page import open_page, printable


def classified_text(classified: Classified, coloured: bool) -> str:
    """A table for each picture, then the times; 100 columns, escape codes only if ``coloured``."""
    console, stream = open_page(coloured)
    for place, name in enumerate(classified.pictures):
        console.print(name, soft_wrap=True)
        console.print(_table(classified, place))
        console.print()
    times = ", ".join(f"{each.value} {milliseconds(spent)}" for each, spent in classified.latency_ns.items())
    console.print(
        f"one inference, ms: {times} (median of {REPEATS} in this one process: a look, not a benchmark)",
    )
    for note in classified.notes:
        console.print(note)
    return stream.getvalue()


def _table(classified: Classified, place: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("", justify="right", no_wrap=True)
    columns = [guesses[place] for guesses in classified.guesses.values()]
    labelled = any(guess.label for guesses in columns for guess in guesses)
    for precision in classified.guesses:
        table.add_column("class" if labelled else f"{precision.value} class", justify="right", no_wrap=True)
        if labelled:
            table.add_column(precision.value, overflow="fold")
        table.add_column("p", justify="right", no_wrap=True)
    for rank in range(max(len(guesses) for guesses in columns)):
        cells = [cell for guesses in columns for cell in _cells(guesses, rank, labelled)]
        table.add_row(str(rank + 1), *cells)
    return table


def _cells(guesses: tuple[Guess, ...], rank: int, labelled: bool) -> tuple[str, ...]:
    if rank >= len(guesses):
        nothing = "NaN" if rank == 0 else ""
        return (DASH, nothing, DASH) if labelled else (nothing or DASH, DASH)
    guess = guesses[rank]
    probability = f"{guess.probability:.3f}"
    return (str(guess.class_number), *([printable(guess.label)] if labelled else []), probability)


def classified_fields(classified: Classified) -> dict[str, Any]:
    """The same as values, for ``--json``: guesses by picture and precision, latency in ns by precision."""
    return {
        "model": classified.model,
        "latency_ns": classified.latency_ns,
        "pictures": [
            {
                "file": name,
                "guesses": {
                    precision.value: [
                        {"class": each.class_number, "label": each.label, "probability": each.probability}
                        for each in guesses[place]
                    ]
                    for precision, guesses in classified.guesses.items()
                },
            }
            for place, name in enumerate(classified.pictures)
        ],
        "unreadable": [str(each) for each in classified.unreadable],
        "notes": list(classified.notes),
    }
