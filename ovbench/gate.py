"""What a whole matrix means: its answers become one exit code, its comparisons one family of tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from ovbench.stats import Estimate, holm, one_sided_p_value, ratio_estimate
from ovbench.verdict import Outcome, Verdict, compare

FAMILY_ALPHA = (
    0.01  # chance of any false failure in a matrix: at 1 % per cell 36 cells would cry wolf in 30 % of nights
)


class ExitCode(IntEnum):
    """What the process tells the shell; 4 and 5 are pytest's own."""

    HELD = 0
    FAILED = 1
    USAGE = 4
    NOTHING_SELECTED = 5
    UNSURE = 6


@dataclass(frozen=True)
class Comparison:
    """One cell of the matrix: natural logs of the ratio of times B/A, one per replicate; none: skipped."""

    name: str
    log_ratios: tuple[float, ...]


@dataclass(frozen=True)
class Judgement:
    """One cell's verdict, and what it rests on: None where nothing, or too little, was measured."""

    name: str
    verdict: Verdict
    estimate: Estimate | None
    p_value: float | None


def exit_code(answers: Iterable[Outcome | Verdict], *, fail_on_unsure: bool = False) -> ExitCode:
    """The exit code of all answers: FAILED or SLOWER, else UNSURE (for ``--ov-unsure=fail``), else HELD.

    No answer at all is NOTHING_SELECTED; skipped ones are answers, as skipped tests are to pytest.
    """
    given = set(answers)
    if not given:
        return ExitCode.NOTHING_SELECTED
    if given & {Outcome.FAILED, Verdict.SLOWER}:
        return ExitCode.FAILED
    if fail_on_unsure and given & {Outcome.UNSURE, Verdict.UNSURE}:
        return ExitCode.UNSURE
    return ExitCode.HELD


def judge_matrix(
    comparisons: Sequence[Comparison], tolerance: float, alpha: float = FAMILY_ALPHA
) -> tuple[Judgement, ...]:
    """Each comparison's verdict, in their order; any SLOWER is false with a chance of at most ``alpha``.

    Holm's procedure runs over the one-sided p-values of "ratio > 1 + tolerance" of all that have one. A cell
    whose interval lies beyond the band but which Holm does not reject is UNSURE: alone it would be slower,
    among so many it may be chance. FASTER, SAME and UNSURE are as `verdict.compare` says. The bound is that
    of replicates whose number was fixed beforehand.
    """
    p_values = [
        one_sided_p_value(comparison.log_ratios, 1 + tolerance) if comparison.log_ratios else None
        for comparison in comparisons
    ]
    tested = [(index, p_value) for index, p_value in enumerate(p_values) if p_value is not None]
    rejections = holm([p_value for _, p_value in tested], alpha)
    rejected = {index for (index, _), is_rejected in zip(tested, rejections, strict=True) if is_rejected}
    return tuple(
        _judge(comparison, tolerance, p_value, index in rejected)
        for index, (comparison, p_value) in enumerate(zip(comparisons, p_values, strict=True))
    )


def _judge(comparison: Comparison, tolerance: float, p_value: float | None, is_rejected: bool) -> Judgement:
    if not comparison.log_ratios:
        return Judgement(comparison.name, Verdict.SKIPPED, None, None)
    estimate = ratio_estimate(comparison.log_ratios)
    verdict = compare(estimate, tolerance)
    if verdict is Verdict.SLOWER and not is_rejected:
        verdict = Verdict.UNSURE
    return Judgement(comparison.name, verdict, estimate, p_value)
