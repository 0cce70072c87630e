"""A self-check as text: what this host can find, how soon, and what stands in its way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from ovbench.comparison import MIN_PAIRS
from ovbench.environment import MAX_STEAL_SHARE
from ovbench.hosts import Profile, alarm_bound
from ovbench.machine import Machine
from ovbench.report.numbers import DASH
from ovbench.report.page import open_page, open_table
from ovbench.selfcheck import MAX_SPEED_SD, QUESTION, Measured

BUDGETS_S = (20.0, 40.0, 60.0)
TOLERANCES = (0.03, 0.02, 0.01)


def selfcheck_text(profile: Profile, measured: Measured, host: Machine, path: Path, coloured: bool) -> str:
    """Everything that is printed after a self-check; 100 columns, escape codes only if ``coloured``."""
    console, stream = open_page(coloured)
    for line in _heading(profile, measured, host):
        console.print(line)
    console.print(_slowdowns(profile))
    for line in _obstacles(profile):
        console.print(line)
    console.print(f"Saved for gates to read: {path}", soft_wrap=True)
    return stream.getvalue()


def selfcheck_fields(profile: Profile, measured: Measured, path: Path) -> dict[str, Any]:
    """The same as values, for ``--json``: the profile, and what is reckoned from it."""
    return {
        "profile": profile,
        "profile_path": path,
        "false_alarm_bound": alarm_bound(profile.false_alarms, profile.comparisons),
        "smallest_slowdowns": [
            {"tolerance": tolerance, "budget_s": budget_s, "slowdown": profile.smallest_slowdown(budget_s, tolerance)}
            for tolerance in TOLERANCES
            for budget_s in BUDGETS_S
        ],
        "wall_s": measured.wall_s,
        "measured_s": measured.comparison.measured_s,
    }


def _heading(profile: Profile, measured: Measured, host: Machine) -> list[str]:
    quota = "" if profile.quota_cores is None else f", quota {profile.quota_cores:g} cores"
    cpu = f"{host.cpu_brand or 'unknown CPU'}, {host.isa.value}, {host.cores} cores{quota}"
    release = profile.openvino.split("-")[0]
    share = measured.comparison.measured_s / measured.wall_s
    deviations = ", ".join(f"{metric} {_percent(sd)}" for metric, sd in profile.pair_sd.items())
    alarms = f"{profile.false_alarms} of {profile.comparisons} comparisons of {MIN_PAIRS} pairs"
    bound = _percent(alarm_bound(profile.false_alarms, profile.comparisons))
    band, budget_s = _percent(profile.band), QUESTION.budget_s
    return [
        f"{cpu}; OpenVINO {release}; fingerprint {profile.fingerprint}",
        f"{profile.pairs} pairs of unchanged embedded INT8 in {measured.wall_s:.0f} s, {share:.0%} measuring",
        f"SD of one pair's ratio: {deviations}",
        f"false alarms: {alarms} (so few exclude a rate above {bound}, 95 %)",
        f"noise band: ±{band}; 99 % of unchanged comparisons of {budget_s:.0f} s a metric end SAME in it",
        f"Gates refuse a tolerance tighter than {band}: measure on a quieter machine and check it again there.",
    ]


def _slowdowns(profile: Profile) -> Table:
    table = open_table("Smallest slow-down that ovbench ab finds in 95 of 100; a gate of many rows finds less")
    table.add_column("tolerance", no_wrap=True)
    for budget_s in BUDGETS_S:
        table.add_column(f"in {budget_s:.0f} s a metric", justify="right", no_wrap=True)
    for tolerance in TOLERANCES:
        found = [profile.smallest_slowdown(budget_s, tolerance) for budget_s in BUDGETS_S]
        table.add_row(_percent(tolerance), *(DASH if each is None else _percent(each) for each in found))
    return table


def _obstacles(profile: Profile) -> list[str]:
    steal = "not told" if profile.steal_share is None else _percent(profile.steal_share)
    lines = [f"rejected rounds: {_percent(profile.rejected_share)}; time stolen by the hypervisor: {steal}"]
    if profile.steal_share is not None and profile.steal_share > MAX_STEAL_SHARE:
        lines.append("  other guests take this machine's cores: a dedicated host would find more")
    speed = DASH if profile.speed_sd is None else f"SD {_percent(profile.speed_sd)}"
    lines.append(f"one thread's speed over the run: {speed}; frequency governor: {profile.governor or 'not told'}")
    if profile.speed_sd is not None and profile.speed_sd > MAX_SPEED_SD:
        lines.append(
            f"  more than {_percent(MAX_SPEED_SD)}: the clock moves; fix the frequency, or end what else is running"
        )
    if profile.governor not in (None, "performance"):
        lines.append("  governor 'performance' holds the clock steadier")
    return lines


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
