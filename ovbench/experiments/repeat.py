"""Repeat the main job: do its intervals hold what they promise, and what would plain medians have said instead?

``python -m ovbench.experiments.repeat [--runs N] [--quick] [--folder DIR] [-- PYTEST ARGUMENTS]`` runs
``pytest benches`` alone on the machine, again and again, and prints Markdown. What is finished stays in the folder
and is not run again; Ctrl-C ends after telling what there is.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ovbench.config import Config, Mode, Precision, fp32_partner
from ovbench.errors import BadInput, BadOption, NothingMeasured
from ovbench.gate import ExitCode
from ovbench.records import SUFFIX, check_writable, read_journal, replicate_from_fields
from ovbench.report import markdown
from ovbench.report.numbers import DASH, ratio
from ovbench.samples import Replicate, log_ratio_by_lane, round_ratios
from ovbench.stats import CONFIDENCE, Estimate, ratio_estimate, variance_components

RUNS = 10  # issue's and docs/method.md's: ten default runs
QUICK_RUNS = 3
QUICK_BUDGET = "30s"
# Ends of a pytest session in which all was measured; a failed gate is a finding, not a failed measurement.
MEASURED_ENDS = (ExitCode.HELD, ExitCode.FAILED, ExitCode.UNSURE)
FAIL_ABOVE = 0.10  # pytest-benchmark's documented example, --benchmark-compare-fail=median:10%
TARGET_HELD = 0.90  # of all printed intervals, a little under their 95 % since the reference is a median of few runs
TARGET_HALF_WIDTH = 0.08


# --------------------------------------------------------------------------------------------------------- measure


@dataclass(frozen=True)
class Session:
    """One finished run, read back from its journal."""

    path: Path
    machine: str
    settings: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str | None], ...]
    fingerprint: str
    replicates: Mapping[Config, tuple[Replicate, ...]]


def read_session(path: Path) -> Session | None:
    """A journal's session; None where it was cut off or measured nothing."""
    header: Mapping[str, Any] = {}
    ended = False
    replicates: dict[Config, list[Replicate]] = {}
    for line in read_journal(path):
        if line["kind"] == "session":
            header = line
        elif line["kind"] == "replicate":
            config, replicate = replicate_from_fields(line)
            replicates.setdefault(config, []).append(replicate)
        elif line["kind"] == "end":
            ended = line["exit_status"] in MEASURED_ENDS
    if not ended or not replicates:
        return None
    machine = header["machine"]
    return Session(
        path,
        f"{machine['cpu_brand']}, {machine['isa']}, {machine['cores']} cores",
        tuple(sorted(header["settings"].items())),
        tuple(sorted(header["versions"].items())),
        header["fingerprint"],
        {config: tuple(each) for config, each in replicates.items()},
    )


def read_sessions(folder: Path) -> tuple[Session, ...]:
    """All finished runs under the folder, oldest first. Raises BadOption where they are not of one kind."""
    found = [read_session(path) for path in sorted(folder.rglob("*" + SUFFIX), key=lambda path: path.name)]
    sessions = tuple(session for session in found if session is not None)
    for session in sessions[1:]:
        different = _difference(sessions[0], session)
        if different:
            raise BadOption(
                f"--folder {folder}: {session.path.name} differs from {sessions[0].path.name} in {different}: "
                "give an empty folder for runs of another kind"
            )
    return sessions


def _difference(one: Session, other: Session) -> str:
    if one.fingerprint != other.fingerprint:
        return f"its machine ({one.machine} and {other.machine})"
    mine, theirs = ({**dict(each.settings), **dict(each.versions)} for each in (one, other))
    return ", ".join(
        f"{name} ({mine.get(name)} and {theirs.get(name)})"
        for name in sorted(mine | theirs)
        if mine.get(name) != theirs.get(name)
    )


def measure(runs: int, folder: Path, arguments: Sequence[str]) -> None:
    """Run the main job until the folder holds ``runs`` finished sessions; a progress line for each, on stderr.

    Raises BadInput for a folder that cannot be used, NothingMeasured when a run ends without a measurement.
    """
    if not Path("benches").is_dir():
        raise BadOption("no benches/ in the current folder: run this from ovbench's root")
    check_writable(folder)
    done = len(read_sessions(folder))
    if done:
        _say(f"{done} of {runs} runs are in {folder} already")
    if done < runs and hasattr(os, "getloadavg") and (load := os.getloadavg()[0]) > 1:
        _say(f"warning: load average {load:.1f}: something else runs on this machine, and will show in the figures")
    log = folder / "last-run.log"
    for number in range(done + 1, runs + 1):
        begin = time.monotonic()
        command = [sys.executable, "-m", "pytest", "benches", "-o", f"ov_results={folder.resolve()}", *arguments]
        folder.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as output:
            status = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
        if len(read_sessions(folder)) < number:
            refused = BadOption if status == ExitCode.USAGE else NothingMeasured
            raise refused(f"run {number} measured nothing, exit code {status}: {_last_line(log)} (all it said: {log})")
        _say(f"run {number} of {runs}: {time.monotonic() - begin:.0f} s, exit code {status}")


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


# ----------------------------------------------------------------------------------------------------------- think


@dataclass(frozen=True)
class Repeated:
    """One cell's speed-up over FP32 in all runs. Deviations are of natural logs of ratios: 0.02 is 2 %."""

    config: Config
    estimates: tuple[Estimate, ...]
    rounds_deviation: float | None
    lanes_deviation: float | None
    runs_deviation: float | None

    @property
    def median(self) -> float:
        """Of all runs' speed-ups."""
        return statistics.median(estimate.value for estimate in self.estimates)

    @property
    def held(self) -> int:
        """Runs whose interval holds the median of all."""
        return sum(
            estimate.low is not None and estimate.high is not None and estimate.low <= self.median <= estimate.high
            for estimate in self.estimates
        )

    @property
    def half_widths(self) -> tuple[float, ...]:
        """Half-width of each run's interval as a share of its speed-up; runs without one are left out."""
        return tuple(
            (estimate.high - estimate.low) / 2 / estimate.value
            for estimate in self.estimates
            if estimate.low is not None and estimate.high is not None
        )


@dataclass(frozen=True)
class PlainMedians:
    """One cell's median time per inference in all runs, in ns, as pytest-benchmark would compare them."""

    config: Config
    medians_ns: tuple[float, ...]

    @property
    def changes(self) -> tuple[float, ...]:
        """Each run's median over the one before, less 1."""
        return tuple(later / earlier - 1 for earlier, later in itertools.pairwise(self.medians_ns))


@dataclass(frozen=True)
class Findings:
    """All that the runs say."""

    machine: str
    versions: Mapping[str, str | None]
    runs: int
    speedups: tuple[Repeated, ...]
    medians: tuple[PlainMedians, ...]

    @property
    def held_share(self) -> float | None:
        """Share of all cells' and runs' intervals that hold their cell's median; a run without one counts as not."""
        return _share(sum(each.held for each in self.speedups), sum(len(each.estimates) for each in self.speedups))

    @property
    def half_width(self) -> float | None:
        """Median half-width of all intervals."""
        widths = [width for each in self.speedups for width in each.half_widths]
        return statistics.median(widths) if widths else None

    @property
    def changes(self) -> tuple[float, ...]:
        """Every cell's changes of plain medians between consecutive runs."""
        return tuple(change for each in self.medians for change in each.changes)

    @property
    def failing_runs(self) -> int:
        """Runs of which at least one row is slower than the run before by more than FAIL_ABOVE."""
        by_run = zip(*(each.changes for each in self.medians), strict=True)
        return sum(any(change > FAIL_ABOVE for change in changes) for changes in by_run)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def think(sessions: Sequence[Session]) -> Findings:
    """Compare the runs. Cells are those that every run measured; raises NothingMeasured for fewer than two runs."""
    if len(sessions) < 2:
        raise NothingMeasured(f"{len(sessions)} finished run: at least 2 are needed to compare")
    common = [config for config in sessions[0].replicates if all(config in session.replicates for session in sessions)]
    pairs = [config for config in common if config.precision is not Precision.FP32 and fp32_partner(config) in common]
    return Findings(
        sessions[0].machine,
        dict(sessions[0].versions),
        len(sessions),
        tuple(_repeated(config, sessions) for config in pairs),
        tuple(
            PlainMedians(config, tuple(_plain_median_ns(session.replicates[config]) for session in sessions))
            for config in common
        ),
    )


def _repeated(config: Config, sessions: Sequence[Session]) -> Repeated:
    sides = [(session.replicates[config], session.replicates[fp32_partner(config)]) for session in sessions]
    by_run = [log_ratio_by_lane(mine, theirs) for mine, theirs in sides]
    rounds = [variance_components(_log_ratios_in_lanes(mine, theirs)) for mine, theirs in sides]
    return Repeated(
        config,
        tuple(ratio_estimate(logs) for logs in by_run if logs),
        _deviation(components.within for components in rounds),
        _deviation(components.between for components in rounds),
        _deviation([variance_components(by_run).between]),
    )


def _log_ratios_in_lanes(mine: Sequence[Replicate], theirs: Sequence[Replicate]) -> list[list[float]]:
    by_lane = {replicate.lane: replicate for replicate in theirs}
    return [
        [math.log(each) for each in round_ratios(replicate, by_lane[replicate.lane])]
        for replicate in mine
        if replicate.lane in by_lane
    ]


def _deviation(variances: Iterable[float | None]) -> float | None:
    """Root of the mean of the variances that are known."""
    known = [variance for variance in variances if variance is not None]
    return math.sqrt(statistics.mean(known)) if known else None


def _plain_median_ns(replicates: Sequence[Replicate]) -> float:
    """The median of what pytest-benchmark is handed: calls (sync), or windows per inference (async)."""
    if replicates[0].mode is Mode.SYNC:
        return float(
            np.median([each for replicate in replicates for block in replicate.blocks for each in block.wall_ns])
        )
    return statistics.median(block.cost_ns(Mode.ASYNC) for replicate in replicates for block in replicate.blocks)


# ------------------------------------------------------------------------------------------------------------ tell


def tell(findings: Findings) -> str:
    """The findings as Markdown."""
    versions = ", ".join(f"{name} {findings.versions.get(name)}" for name in ("openvino", "nncf"))
    speedups = markdown.table(
        ("cell", ">median", "speed-up over FP32 in each run", ">holds", ">half-width",
         ">SD of rounds", ">of lanes", ">of runs"),
        [_speedup_row(each) for each in findings.speedups],
    )  # fmt: skip
    medians = markdown.table(
        ("cell", ">least median ms", ">largest", ">largest / least", ">slower by > 10 %", ">beyond ±10 %"),
        [_median_row(each) for each in findings.medians],
    )
    head = f"{findings.runs} runs on {findings.machine}; {versions}."
    return "\n".join([head, "", _on_intervals(findings), "", speedups, _on_medians(findings), "", medians])


def _on_intervals(findings: Findings) -> str:
    return (
        f"Of all {CONFIDENCE:.0%} intervals of a speed-up, {_percent(findings.held_share)} hold the median of all runs "
        f"(wanted: at least {_percent(TARGET_HELD)}); median half-width {_percent(findings.half_width)} "
        f"(wanted: at most {_percent(TARGET_HALF_WIDTH)})."
    )


def _on_medians(findings: Findings) -> str:
    changes = findings.changes
    slower = _share(sum(change > FAIL_ABOVE for change in changes), len(changes))
    beyond = _share(sum(abs(change) > FAIL_ABOVE for change in changes), len(changes))
    return (
        f"The same runs by plain medians, each against the one before: {_percent(beyond)} of pairs are beyond "
        f"±{_percent(FAIL_ABOVE)}, {_percent(slower)} slower by more than that; "
        f"`--benchmark-compare-fail=median:10%` would have failed {findings.failing_runs} of {findings.runs - 1} runs."
    )


def _speedup_row(each: Repeated) -> tuple[str, ...]:
    width = statistics.median(each.half_widths) if each.half_widths else None
    return (
        each.config.id,
        f"{each.median:.2f}",
        " ".join(ratio(estimate) for estimate in each.estimates),
        f"{each.held} of {len(each.estimates)}",
        *(_percent(value) for value in (width, each.rounds_deviation, each.lanes_deviation, each.runs_deviation)),
    )


def _median_row(each: PlainMedians) -> tuple[str, ...]:
    least, largest = min(each.medians_ns), max(each.medians_ns)
    pairs = len(each.changes)
    slower = sum(change > FAIL_ABOVE for change in each.changes)
    beyond = sum(abs(change) > FAIL_ABOVE for change in each.changes)
    return (
        each.config.id,
        f"{least / 1e6:.3f}",
        f"{largest / 1e6:.3f}",
        f"{largest / least:.2f}",
        f"{slower} of {pairs}",
        f"{beyond} of {pairs}",
    )


def _percent(share: float | None) -> str:
    return DASH if share is None else f"{100 * share:.1f} %"


# ------------------------------------------------------------------------------------------------------------ door


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(ExitCode.USAGE, f"error: {message}\n")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(prog="python -m ovbench.experiments.repeat", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, help=f"runs to have in the end (default: {RUNS}, --quick: {QUICK_RUNS})")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_RUNS} runs of --ov-budget {QUICK_BUDGET}")
    parser.add_argument("--folder", type=Path, help="where runs are kept (default: results/repeat)")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    given = parser.parse_args(arguments)
    if given.runs is None:
        given.runs = QUICK_RUNS if given.quick else RUNS
    if given.runs < 2:
        parser.error(f"--runs {given.runs}: give at least 2, one run alone repeats nothing")
    if given.folder is None:
        given.folder = Path("results") / ("repeat-quick" if given.quick else "repeat")
    if given.quick:
        given.pytest = ["--ov-budget", QUICK_BUDGET, *given.pytest]
    return given


def main(arguments: Sequence[str]) -> int:
    """Measure, think, tell: 0 when told, 4 for bad input, 1 when a run failed, 130 when Ctrl-C cut it short."""
    given = _parse(arguments)
    status = 0
    try:
        try:
            measure(given.runs, given.folder, given.pytest)
        except KeyboardInterrupt:
            status = 130
            _say(f"interrupted: finished runs stay in {given.folder}; the same command goes on from there")
        sys.stdout.write(tell(think(read_sessions(given.folder))))
    except BadInput as error:
        _say(f"error: {error}")
        return ExitCode.USAGE
    except NothingMeasured as error:
        _say(f"error: {error}")
        return status or ExitCode.FAILED
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
