"""What the baseline says, as text: a table of every cell's ratio and verdict, and the message of a failure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from ovbench.report.numbers import ratio
from ovbench.report.page import open_table
from ovbench.verdict import TIME, Judged, Verdict

if TYPE_CHECKING:  # a report of a journal needs neither
    from ovbench.baseline import Baseline
    from ovbench.suite import Suite


def against(baseline: Baseline) -> str:
    """``python=.venv-old/bin/python, OpenVINO 2026.2.1``, or ``session 0007 of 2026-11-22, OpenVINO 2026.4.1``."""
    stored = baseline.stored
    name = baseline.written if stored is None else f"session {stored.number} of {stored.date[:10]}"
    return f"{name}, OpenVINO {baseline.version.split('-')[0] or 'unknown'}"


def baseline_table(baseline: Baseline) -> Table:
    """One row per cell and figure; ratios above 1 are worse than the baseline. ``against`` heads it."""
    table = open_table()
    interval = "95 %" if baseline.stored is None else "interval"
    for heading in ("cell", "figure", f"cost now / then [{interval}]", "from", "verdict"):
        table.add_column(heading, overflow="fold")
    for each in baseline.judged:
        count = "" if each.estimate is None else str(each.estimate.count)
        verdict = "FAILED" if each.failed else each.verdict.value
        table.add_row(each.config.id, each.what, ratio(each.estimate, digits=3), count, verdict)
    return table


def baseline_notes(baseline: Baseline) -> list[str]:
    """What the table leaves open: tolerance, pairs, reasons (each once), and what went wrong."""
    tolerance = f"tolerance {100 * baseline.tolerance:g} %, whole matrix: at most 1 % chance of any false SLOWER"
    if baseline.stored is None:
        pairs = sum(len(each.pairs) for each in baseline.comparisons)
        lines = [f"{pairs} pairs of fresh processes, {tolerance}."]
    else:
        lines = [f"From lanes of both sessions (speed-up) or stored sessions (time), {tolerance}."]
    for each in baseline.judged:
        if each.failed:
            lines.append(f"{each.config.id}: FAILED, {each.failed}")
        if each.waiver is not None:
            lines.append(judged_text(each, baseline.tolerance_of(each.config)))
    reasons = dict.fromkeys((each.what, each.verdict.value, each.reason) for each in baseline.judged if each.reason)
    lines += [f"{what} {verdict}: {reason}" for what, verdict, reason in reasons]
    return [*lines, *baseline.notes]


def judged_text(judged: Judged, tolerance: float) -> str:
    """``INT8-LATENCY-1-off: time / baseline's 1.112 [1.090, 1.134], tolerance 3 %: SLOWER``."""
    if judged.failed:
        return f"{judged.config.id}: comparison with the baseline FAILED: {judged.failed}"
    figure = "time / baseline's" if judged.what == TIME else "baseline's speed-up over FP32 / now's"
    verdict = judged.verdict.value
    waived = "" if judged.waiver is None else f", waived until {judged.waiver.until}: {judged.waiver.reason}"
    return (
        f"{judged.config.id}: {figure} {ratio(judged.estimate, 3)}, tolerance {100 * tolerance:g} %: {verdict}{waived}"
    )


def baseline_failure_text(suite: Suite, judged: Sequence[Judged], command: str) -> str:
    """The failure message of a cell, for the terminal and JUnit: each figure that fails, and how to see it again."""
    baseline = suite.baseline
    assert baseline is not None
    lines = [judged_text(each, baseline.tolerance_of(each.config)) for each in judged if not each.holds]
    host = f"{suite.host.cpu_brand} ({suite.host.isa.value}, {suite.host.cores} cores)"
    lines += [
        f"  reproduce: {command}",
        f"  baseline: {against(baseline)}",
        f"  now: OpenVINO {suite.versions.get('openvino')} on {host}",
    ]
    return "\n".join(lines)


def skipped_text(judged: Sequence[Judged]) -> str:
    """Why a cell could not be compared at all, "" if it could."""
    if not judged or any(each.verdict is not Verdict.SKIPPED for each in judged):
        return "" if judged else "nothing was compared"
    return "; ".join(dict.fromkeys(each.reason for each in judged))
