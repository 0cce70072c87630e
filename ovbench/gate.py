"""What a whole matrix means: its answers become one exit code, its comparisons one family of tests."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from ovbench.errors import BadOption
from ovbench.policy import Policy, Target, Waiver
from ovbench.stats import CONFIDENCE, MIN_REPLICATES, Estimate, holm, one_sided_p_value, ratio_estimate
from ovbench.verdict import Outcome, Verdict, compare

FAMILY_ALPHA = (
    0.01  # chance of any false failure in a matrix: at 1 % per cell 36 cells would cry wolf in 30 % of nights
)
# What each look at growing data costs: p x 2.5 x looks. With the ratio exactly at the tolerance and a look after every
# pair from the 5th to the 24th, some look is at most alpha with a chance of 0.6 to 0.9 alpha for alpha from 0.05 to
# 0.0001; unpaid 3.6 to 8.4 alpha (python -m ovbench.experiments.looks: two million seeded simulations).
LOOK_COST = 2.5


class ExitCode(IntEnum):
    """What the process tells the shell; 4 and 5 are pytest's own."""

    HELD = 0
    FAILED = 1
    USAGE = 4
    NOTHING_SELECTED = 5
    UNSURE = 6


@dataclass(frozen=True)
class Evidence:
    """What a verdict rests on: natural logs of the ratio of times B/A, one per replicate; none: skipped.

    ``tolerance`` None takes the matrix's own. ``looks``: how often the data were looked at while they grew, and might
    have ended the measuring; 0 where the number of replicates was fixed beforehand.
    """

    name: str
    log_ratios: tuple[float, ...]
    tolerance: float | None = None
    looks: int = 0


@dataclass(frozen=True)
class Judgement:
    """One cell's verdict, and what it rests on: None where nothing, or too little, was measured."""

    name: str
    verdict: Verdict
    estimate: Estimate | None
    p_value: float | None


FAILURES = (Outcome.FAILED, Verdict.SLOWER)
UNDECIDED = (Outcome.UNSURE, Verdict.UNSURE)
SKIPS = (Outcome.SKIPPED, Verdict.SKIPPED)


@dataclass(frozen=True)
class Row:
    """One line of a gate: what was judged of a comparison, the answer, and what it rests on.

    ``limit`` is the tolerance of a ratio or the floor of a share; ``reason`` says why SKIPPED, UNSURE or FAILED where
    the figures do not; ``command`` asks it again; ``waiver`` is set where one bears the answer. ``refused``: it was
    SKIPPED since one of its sides cannot be used, and not since this machine cannot run it.
    """

    target: Target
    answer: Outcome | Verdict
    estimate: Estimate | None = None
    limit: float | None = None
    reason: str = ""
    command: str = ""
    waiver: Waiver | None = None
    refused: bool = False

    @property
    def failed(self) -> bool:
        """Whether it fails the gate, waived or not."""
        return self.answer in FAILURES


def with_waivers(
    rows: Iterable[Row], policy: Policy, today: datetime.date, *, fail_on_unsure: bool = False
) -> tuple[Row, ...]:
    """The rows, each that would end the gate in red with the waiver that bears it today, where there is one."""
    red = FAILURES + UNDECIDED if fail_on_unsure else FAILURES
    return tuple(
        replace(row, waiver=policy.waiver(row.target, today)) if row.answer in red else replace(row, waiver=None)
        for row in rows
    )


def exit_code_of(rows: Iterable[Row], *, fail_on_unsure: bool = False) -> ExitCode:
    """As `exit_code`; a waived row counts as held, and rows that were all skipped leave nothing to compare.

    Where a side was refused it is USAGE, unless others have failed: bad input never ends well.
    """
    rows = tuple(rows)
    if any(row.refused for row in rows) and not any(row.failed and row.waiver is None for row in rows):
        return ExitCode.USAGE
    if all(row.answer in SKIPS for row in rows):
        return ExitCode.NOTHING_SELECTED
    return exit_code((Outcome.HELD if row.waiver else row.answer for row in rows), fail_on_unsure=fail_on_unsure)


def check_tolerance(tolerance: float, host_band: float, has_profile: bool) -> None:
    """Raise BadOption for a tolerance tighter than the host can hold."""
    if tolerance >= host_band:
        return
    source = "as its profile says" if has_profile else "assumed of a host without a profile"
    again = "run `ovbench selfcheck` again" if has_profile else "run `ovbench selfcheck`"
    raise BadOption(
        f"tolerance {100 * tolerance:.3g} % is tighter than this host can hold, {100 * host_band:.2g} % ({source}): "
        f"raise the tolerance, use a quieter host, or {again}"
    )


def looks_at(replicates: int) -> int:
    """How often growing data of this size were looked at, once after each replicate from MIN_REPLICATES on."""
    return max(0, replicates - MIN_REPLICATES + 1)


def slower_p_value(log_ratios: Sequence[float], tolerance: float, looks: int) -> float | None:
    """p-value of "not slower than 1 + ``tolerance``", paid for every look; None for too few replicates."""
    p_value = one_sided_p_value(log_ratios, 1 + tolerance) if log_ratios else None
    return None if p_value is None else min(1.0, p_value * max(1.0, LOOK_COST * looks))


def exit_code(answers: Iterable[Outcome | Verdict], *, fail_on_unsure: bool = False) -> ExitCode:
    """The exit code of all answers: FAILED or SLOWER, else UNSURE (for ``--ov-unsure=fail``), else HELD.

    No answer at all is NOTHING_SELECTED; skipped ones are answers, as skipped tests are to pytest.
    """
    given = set(answers)
    if not given:
        return ExitCode.NOTHING_SELECTED
    if given & {*FAILURES}:
        return ExitCode.FAILED
    if fail_on_unsure and given & {*UNDECIDED}:
        return ExitCode.UNSURE
    return ExitCode.HELD


def judge_matrix(
    evidence: Sequence[Evidence],
    tolerance: float,
    alpha: float = FAMILY_ALPHA,
    confidence: float = CONFIDENCE,
) -> tuple[Judgement, ...]:
    """Each comparison's verdict, in their order; any SLOWER is false with a chance of at most ``alpha``.

    Holm's procedure runs over the one-sided p-values of "ratio > 1 + tolerance" of all that have one. A cell
    whose interval (of ``confidence``) lies beyond the band but which Holm does not reject is UNSURE: alone it would be
    slower, among so many it may be chance. FASTER, SAME and UNSURE are as `verdict.compare` says. ``tolerance`` is of
    those comparisons that name none.
    """
    limits = [tolerance if each.tolerance is None else each.tolerance for each in evidence]
    p_values = [
        slower_p_value(each.log_ratios, limit, each.looks) for each, limit in zip(evidence, limits, strict=True)
    ]
    tested = [(index, p_value) for index, p_value in enumerate(p_values) if p_value is not None]
    rejections = holm([p_value for _, p_value in tested], alpha)
    rejected = {index for (index, _), is_rejected in zip(tested, rejections, strict=True) if is_rejected}
    return tuple(
        _judge(each, limit, p_value, index in rejected, confidence)
        for index, (each, limit, p_value) in enumerate(zip(evidence, limits, p_values, strict=True))
    )


def _judge(
    evidence: Evidence, tolerance: float, p_value: float | None, is_rejected: bool, confidence: float
) -> Judgement:
    if not evidence.log_ratios:
        return Judgement(evidence.name, Verdict.SKIPPED, None, None)
    estimate = ratio_estimate(evidence.log_ratios, confidence)
    verdict = compare(estimate, tolerance)
    if verdict is Verdict.SLOWER and not is_rejected:
        verdict = Verdict.UNSURE
    return Judgement(evidence.name, verdict, estimate, p_value)
