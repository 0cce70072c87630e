"""Pipelines as text: images a second one after another and overlapped, beside both limits."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from ovbench.pipeline import Pipeline, Way
from ovbench.report.numbers import ratio, significant
from ovbench.report.page import open_table
from ovbench.stats import Estimate

COLUMNS = {
    Way.SYNC: "sync",
    Way.OVERLAPPED: "overlapped",
    Way.PREPARATION: "decode alone",
    Way.INFERENCE: "inference alone",
}


def pipelines_table(pipelines: Mapping[str, Pipeline]) -> Table:
    """One row for each pipeline, named by its key; at most 100 columns wide."""
    table = open_table("From file to top-5, images/s [95 %]")
    table.add_column("", overflow="fold")
    for heading in (*COLUMNS.values(), "overlapped / bound"):
        table.add_column(heading, overflow="fold")
    for name, pipeline in pipelines.items():
        rates = [rate(pipeline.images_per_s(way)) for way in COLUMNS]
        table.add_row(name, *rates, ratio(pipeline.over_bound))
    return table


def rate(estimate: Estimate) -> str:
    """``402 [396, 409]`` images a second."""
    if estimate.low is None or estimate.high is None:
        return f"{significant(estimate.value)} [?]"
    return f"{significant(estimate.value)} [{significant(estimate.low)}, {significant(estimate.high)}]"


def pipeline_notes(pipelines: Mapping[str, Pipeline]) -> list[str]:
    """What the table's words mean, how far overlapping helps, and pictures that were left out."""
    meaning = (
        "decode alone: read, decode and preprocess. bound: 1/(1/decode + 1/inference), each alone on all cores. "
        "Measured in pytest's process: ratios inside rounds of the same pictures, intervals over rounds."
    )
    lines = [meaning]
    for name, pipeline in pipelines.items():
        slower = min((Way.PREPARATION, Way.INFERENCE), key=lambda way: pipeline.images_per_s(way).value)
        lines.append(
            f"{name}: {len(pipeline.rounds)} rounds of {max(each.images for each in pipeline.rounds)} pictures; "
            f"overlapped is {ratio(pipeline.over_sync)} of sync and {ratio(pipeline.over_limit)} of "
            f"{COLUMNS[slower]}, the slower half"
        )
    lost = list(dict.fromkeys(str(each) for pipeline in pipelines.values() for each in pipeline.unreadable))
    if lost:
        more = f"; and {len(lost) - 1} more" if len(lost) > 1 else ""
        lines.append(f"{len(lost)} pictures left out: {lost[0]}{more}")
    return lines
