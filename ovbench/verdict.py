"""What an estimate means: a ratio against a band is a verdict, a figure against a floor is an outcome."""

from __future__ import annotations

from enum import Enum

from ovbench.stats import Estimate


class Verdict(Enum):
    """The answer to "is B faster or slower than A?"."""

    FASTER = "FASTER"
    SLOWER = "SLOWER"
    SAME = "SAME"
    UNSURE = "UNSURE"
    SKIPPED = "SKIPPED"


class Outcome(Enum):
    """The answer to "does the figure hold its floor?"."""

    HELD = "HELD"
    FAILED = "FAILED"
    UNSURE = "UNSURE"
    SKIPPED = "SKIPPED"


def compare(estimate: Estimate, band: float) -> Verdict:
    """The verdict of a ratio of times B/A (above 1: B takes longer) against a band, such as 0.03 for 3 %.

    The band is [1/(1+band), 1+band], the same for both sides, so that swapping them swaps FASTER and SLOWER.
    Only an interval wholly beyond it is FASTER or SLOWER, and wholly inside is SAME; all else, no interval
    too, is UNSURE. For throughput give the ratio of times per inference, which is FPS of A over FPS of B.
    """
    if band < 0:
        raise ValueError(f"band {band} is below 0: give 0.03 for 3 %")
    if estimate.low is None or estimate.high is None:
        return Verdict.UNSURE
    slowest, fastest = 1 + band, 1 / (1 + band)
    if estimate.low > slowest:
        return Verdict.SLOWER
    if estimate.high < fastest:
        return Verdict.FASTER
    if fastest <= estimate.low and estimate.high <= slowest:
        return Verdict.SAME
    return Verdict.UNSURE


def check_floor(estimate: Estimate, floor: float) -> Outcome:
    """Whether a figure of which more is better holds ``floor``, in the figure's own unit.

    FAILED only when the whole interval is below the floor, HELD only when it is wholly at or above;
    UNSURE when the floor lies inside, or there is no interval.
    """
    if estimate.low is None or estimate.high is None:
        return Outcome.UNSURE
    if estimate.high < floor:
        return Outcome.FAILED
    if estimate.low >= floor:
        return Outcome.HELD
    return Outcome.UNSURE
