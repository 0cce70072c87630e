"""What a gate found, for people: a table and the lines below it, on the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ovbench.gate import FAMILY_ALPHA, Row
from ovbench.policy import Waiver
from ovbench.questions import AGREEMENT
from ovbench.report import markdown
from ovbench.report.numbers import DASH, ratio
from ovbench.report.page import WIDTH, open_page, open_table

HEADINGS = ("comparison", "metric", "time B / A [99 %]", "limit", "verdict")
METRIC_NAMES = {AGREEMENT: "top-1 agreement", "": DASH}
FAMILY_NOTE = (
    f"All ratios were judged together: the chance that any SLOWER is false is at most {FAMILY_ALPHA:.0%} (Holm)."
)


def summary_text(
    rows: Sequence[Row], expired: Sequence[Waiver], policy: Path | None, coloured: bool, width: int = WIDTH
) -> str:
    """The gate's table and lines for a terminal; escape codes only if ``coloured``."""
    console, stream = open_page(coloured, width)
    table = open_table()
    for heading in HEADINGS:
        folds = heading in ("comparison", "verdict")
        table.add_column(heading, overflow="fold" if folds else "ellipsis", no_wrap=not folds)
    for row in rows:
        table.add_row(*_cells(row))
    console.print(table)
    for line in [*lines_below(rows, expired), counts_text(rows, policy), FAMILY_NOTE]:
        console.print(line, soft_wrap=True)
    return stream.getvalue()


def summary_markdown(title: str, rows: Sequence[Row], expired: Sequence[Waiver], policy: Path | None) -> str:
    """The same as a Markdown page, for a pull request or a job summary."""
    parts = [
        f"## {_plain(title)}\n",
        markdown.table(HEADINGS, [[_plain(cell) for cell in _cells(row)] for row in rows]),
    ]
    below = lines_below(rows, expired)
    if below:
        parts.append("```\n" + "\n".join(line.replace("```", "'''") for line in below) + "\n```\n")
    parts.append(f"{_plain(counts_text(rows, policy))} {FAMILY_NOTE}\n")
    return "\n".join(parts)


def summary_fields(rows: Sequence[Row], expired: Sequence[Waiver], policy: Path | None) -> dict[str, Any]:
    """The same as values, for ``--json``."""
    return {"rows": rows, "waivers_expired": expired, "policy": policy}


def _cells(row: Row) -> tuple[str, ...]:
    return (row.target.cell, metric_name(row), figure_text(row), limit_text(row), verdict_text(row))


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join("\\" + each if each in "\\`*_<>[]#" else each for each in text.replace("\n", " "))


def metric_name(row: Row) -> str:
    """What was judged, in words; a dash for the comparison as a whole."""
    return METRIC_NAMES.get(row.target.metric, row.target.metric)


def figure_text(row: Row) -> str:
    """``1.092 [1.085, 1.099]``; of an agreement the share alone, since its point estimate decides."""
    if row.target.metric == AGREEMENT and row.estimate is not None:
        return f"{100 * row.estimate.value:.1f} %"
    return ratio(row.estimate, digits=3)


def limit_text(row: Row) -> str:
    """``+3 %`` for the tolerance of a time, ``≥ 95 %`` for a floor."""
    if row.limit is None:
        return DASH
    return f"{'≥ ' if row.target.metric == AGREEMENT else '+'}{100 * row.limit:.3g} %"


def verdict_text(row: Row) -> str:
    """``SLOWER``, ``SKIPPED (reason)``, ``SLOWER, waived until 2026-12-31``."""
    if row.waiver is not None:
        return f"{row.answer.value}, waived until {row.waiver.until}"
    return f"{row.answer.value} ({row.reason})" if row.reason else row.answer.value


def row_text(row: Row) -> str:
    """One row on one line, as failure messages give it."""
    name = f"{row.target.cell}, {metric_name(row)}" if row.target.metric else row.target.cell
    if row.estimate is None:
        return f"{name}: {row.answer.value}: {row.reason}"
    what = "agreement" if row.target.metric == AGREEMENT else "time B / A"
    text = f"{name}: {what} {figure_text(row)}, limit {limit_text(row)}: {row.answer.value}"
    return f"{text}: {row.reason}" if row.reason else text


def lines_below(rows: Sequence[Row], expired: Sequence[Waiver]) -> list[str]:
    """What failed and how to see it again, what is waived and why, and which waivers no longer hold."""
    lines: list[str] = []
    for row in rows:
        if row.failed and row.waiver is None:
            lines += [f"FAILED {row_text(row)}", f"  reproduce: {row.command}"]
    for row in rows:
        if row.waiver is not None:
            lines += [f"waived until {row.waiver.until}: {row.waiver.reason}: {row_text(row)}"]
            lines += [f"  reproduce: {row.command}"]
    lines += [f"waiver of {each.pattern} expired on {each.until}: {each.reason}" for each in expired]
    return lines


def counts_text(rows: Sequence[Row], policy: Path | None) -> str:
    """``2 SAME, 1 SLOWER, 1 waived; limits from ovbench.toml``."""
    counts: dict[str, int] = {}
    for row in rows:
        word = "waived" if row.waiver is not None else row.answer.value
        counts[word] = counts.get(word, 0) + 1
    told = ", ".join(f"{count} {word}" for word, count in counts.items())
    return f"{told}; limits from {policy}." if policy else f"{told}."
