"""What an estimate means: a ratio against a band is a verdict, a figure against a floor is an outcome."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ovbench.config import Config
from ovbench.policy import Waiver
from ovbench.stats import Estimate

TIME, SPEEDUP = "time", "speed-up over FP32"  # what is judged of a cell beside its baseline


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


@dataclass(frozen=True)
class Judged:
    """One figure of one cell against the baseline: ratio of costs now / then, above 1 where now is worse.

    ``failed`` says why there is no answer where there should be one; ``reason`` why a verdict is SKIPPED or UNSURE.
    """

    what: str
    config: Config
    verdict: Verdict
    estimate: Estimate | None = None
    reason: str = ""
    failed: str = ""
    waiver: Waiver | None = None

    @property
    def broken(self) -> bool:
        """Whether it is evidence of a slow-down, or could not be compared for a lane that died."""
        return self.verdict is Verdict.SLOWER or bool(self.failed)

    @property
    def holds(self) -> bool:
        """Whether it fails nothing: it is not broken, or its breakage is borne."""
        return not self.broken or self.waiver is not None


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
