"""Quantiles, ratios, proportions and their intervals: thin over numpy and scipy, nothing of ours."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# scipy.special (0.3 s to import) is imported inside the functions that need it, so that collecting the suite does
# not pay for it; scipy.stats (1.5 s) is not needed at all.

CONFIDENCE = 0.95  # of every interval that is printed, unless a caller asks for another
MIN_REPLICATES = 5  # design.md, a campaign's least; at 4 lanes t is 3.2 standard errors wide, at 2 lanes 12.7
MIN_MEDIAN_SAMPLES = 5  # 5 samples straddle the median in 94 % of cases, 1 - 2/2**5
TAIL_CONFIDENCE = 0.99  # MLPerf loadgen, early stopping: confidence of the binomial bound on a percentile
TAIL_SAMPLES_BEYOND = 1  # the same: samples that may lie beyond the percentile's estimate
PSEUDO_PAIRS = 2  # Agresti and Min 2005, "Wald+2": half a pair added to each cell of the 2x2 table
POWER = 0.8  # chance to decide that a sample size is asked for; the convention since Cohen 1988
MOST_PAIRS = 10_000_000  # more items than anyone has labels for: ImageNet as a whole has 14 million


@dataclass(frozen=True)
class Interval:
    """A closed range that holds the true value with the confidence asked for."""

    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """A value from ``count`` observations, and its interval: None and None where they are too few to say."""

    value: float
    low: float | None
    high: float | None
    count: int


@dataclass(frozen=True)
class VarianceComponents:
    """Where the noise lives: variances of log ratios between and within replicates; None says cannot say."""

    between: float | None
    within: float | None
    replicates: int
    observations: int


def quantile(samples: npt.ArrayLike, q: float) -> float | None:
    """The ``q`` quantile (0 < q < 1) in the samples' own unit, linear between neighbours (numpy's default).

    None when the samples are too few to say: see `minimum_samples`. The samples are not sorted in place.
    """
    return quantiles(samples, (q,))[0]


def quantiles(samples: npt.ArrayLike, shares: Sequence[float]) -> tuple[float | None, ...]:
    """`quantile` of the same samples for each of ``shares``, at hardly more than the time of one."""
    values = np.asarray(samples, dtype=float)
    known = [share for share in shares if values.size >= minimum_samples(share)]
    found = dict(zip(known, np.quantile(values, known).tolist(), strict=True)) if known else {}
    return tuple(map(found.get, shares))


def median(samples: npt.ArrayLike) -> float | None:
    """The median in the samples' own unit, or None for fewer than MIN_MEDIAN_SAMPLES."""
    return quantile(samples, 0.5)


@functools.lru_cache(maxsize=64)
def minimum_samples(q: float) -> int:
    """How many samples the ``q`` quantile needs before it may be printed: median 5, p90 64, p95 130, p99 662.

    The rule of MLPerf loadgen's early stopping: the smallest n for which seeing at most one sample beyond the
    true quantile would have a chance of at most 1 %, so that the printed one is not the luck of a single
    sample. A quantile below the median counts as its mirror image.
    """
    if not 0 < q < 1:
        raise ValueError(f"quantile {q} is not between 0 and 1: give 0.5 for the median, 0.99 for p99")
    if q == 0.5:
        return MIN_MEDIAN_SAMPLES
    inside = max(q, 1 - q)
    for count in itertools.count(TAIL_SAMPLES_BEYOND + 1):
        chance = sum(
            math.comb(count, beyond) * (1 - inside) ** beyond * inside ** (count - beyond)
            for beyond in range(TAIL_SAMPLES_BEYOND + 1)
        )
        if chance <= 1 - TAIL_CONFIDENCE:
            return count
    raise AssertionError("the chance falls to 0 as the count grows")


def ratio_estimate(log_ratios: npt.ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """The geometric mean of ratios and its t interval, from one natural-log ratio per replicate (lane).

    The interval is Student's on the logs, taken back with exp, so that swapping the sides gives 1/value,
    1/high, 1/low. Fewer than MIN_REPLICATES replicates give low and high of None; none at all is a
    ValueError.

    Why the plain mean, and nothing more robust (40,000 seeded simulations each, 95 % nominal, 5 to 10
    replicates): t covers 95 % of normal lanes, 96 % of t3 lanes and 97 % where one lane in ten is 8 % off to
    either side: the odd lane widens it, which ends in UNSURE and not in a wrong answer. A mean trimmed by one
    lane at each end covers as well (94-96 %), but is 44 % wider at the usual 5 lanes and 9 % at 8; it pays
    only with outliers at 8 lanes and more (half as wide), and where lanes come in two kinds for all their
    life, as was seen, it covers the mean in 75 % of cases at 5 lanes against t's 93 %. A lane is left out for
    a cause we measured, never for its size.
    """
    logs = _finite_logs(log_ratios)
    count = int(logs.size)
    mean = float(logs.mean())
    if count < MIN_REPLICATES:
        return Estimate(math.exp(mean), None, None, count)
    from scipy.special import stdtrit

    half_width = float(stdtrit(count - 1, (1 + confidence) / 2)) * _standard_error(logs)
    return Estimate(math.exp(mean), math.exp(mean - half_width), math.exp(mean + half_width), count)


def one_sided_p_value(log_ratios: npt.ArrayLike, bound_ratio: float) -> float | None:
    """p-value of H0 "the ratio is at most ``bound_ratio``" against "it is more": Student's t on the logs.

    None for fewer than MIN_REPLICATES replicates. For a gate, ``bound_ratio`` is 1 + tolerance. Replicates
    that are all alike have no noise to doubt them: 0 if their ratio is beyond the bound, else 1.
    """
    logs = _finite_logs(log_ratios)
    if logs.size < MIN_REPLICATES:
        return None
    excess = float(logs.mean()) - math.log(bound_ratio)
    error = _standard_error(logs)
    if error == 0:
        return 0.0 if excess > 0 else 1.0
    from scipy.special import stdtr

    return float(stdtr(logs.size - 1, -excess / error))


def holm(p_values: Sequence[float], alpha: float) -> tuple[bool, ...]:
    """Which hypotheses are rejected when the chance of any false rejection may be ``alpha`` (Holm 1979).

    In the order given. Needs no independence between the tests. scipy has the false discovery rate only.
    """
    rejected = [False] * len(p_values)
    for done, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[index] > alpha / (len(p_values) - done):
            break
        rejected[index] = True
    return tuple(rejected)


def wilson(successes: float, total: float, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval of a proportion: within [0, 1], holds successes/total, never of zero width.

    Equal to ``scipy.stats.binomtest(...).proportion_ci(method="wilson")``, which takes whole numbers only;
    an effective sample size is not whole (`share_estimate`). Nothing tried (total 0) is a ValueError.
    """
    if not 0 <= successes <= total or total <= 0:
        raise ValueError(f"{successes} of {total} is no proportion: needs 0 <= successes <= total and total > 0")
    from scipy.special import ndtri

    share = successes / total
    z_squared = float(ndtri((1 + confidence) / 2)) ** 2
    scale = 1 + z_squared / total
    centre = (share + z_squared / (2 * total)) / scale
    half_width = math.sqrt(z_squared * (share * (1 - share) / total + z_squared / (4 * total**2))) / scale
    return _holding(share, centre, half_width, 0.0, 1.0)


def proportion_estimate(successes: int, total: int, confidence: float = CONFIDENCE) -> Estimate:
    """``successes`` of ``total`` as a share with Wilson's interval; total 0 is a ValueError."""
    interval = wilson(successes, total, confidence)
    return Estimate(successes / total, interval.low, interval.high, total)


def share_estimate(shares: npt.ArrayLike, trials_each: int, confidence: float = CONFIDENCE) -> Estimate:
    """Mean of per-unit shares in [0, 1], each of ``trials_each`` trials (an image's top-5: 5), over units.

    Trials of one unit go together, so Wilson's interval is taken at the effective sample size, the units
    divided by their measured variance over that of a coin (Korn and Graubard 1998; Dean and Pagano 2015 for
    Wilson), which lies between the units and the units times their trials. 95 % nominal, simulated: covers
    92-96 % for means 0.88-0.998 and 50-1000 units, where t covers 28-95 %.

    Equal shares strictly between 0 and 1 vary less than coins would, so each trial counts, as where they are all
    but equal: from 10 units on they come by chance once in 10,000, and from 3 on that costs 0.2 points of
    coverage at most (2 units: 1.8). One unit, or shares that are all 0 or all 1, cannot show whether trials go
    together: then it is the units.
    """
    values = np.asarray(shares, dtype=float)
    if values.size == 0:
        raise ValueError("no shares to take a mean of: give at least one unit")
    count = int(values.size)
    mean = min(1.0, max(0.0, float(values.mean())))
    coin = mean * (1 - mean)
    together = 1.0  # how far a unit's trials go together: 1 all the way, 1 / trials_each not at all
    if count > 1 and coin > 0:
        together = min(1.0, max(1 / trials_each, float(values.var(ddof=1)) / coin))
    effective = count / together
    interval = wilson(mean * effective, effective, confidence)
    return Estimate(mean, min(interval.low, mean), max(interval.high, mean), count)


def paired_difference(
    candidate_correct: npt.ArrayLike, reference_correct: npt.ArrayLike, confidence: float = CONFIDENCE
) -> Estimate:
    """Candidate's minus reference's share of correct answers on the same items, within [-1, 1].

    Two boolean arrays (n,). The interval is "Wald+2" of Agresti and Min 2005, which has a width
    even where no answer differs; simulated at 50-1000 items and 0.4-8 % discordant pairs it
    covers >= 95 %, where t on the differences falls to 78 %.
    """
    only_candidate, only_reference, count = _discordant(candidate_correct, reference_correct)
    centre, error = _adjusted_difference(only_candidate, only_reference, count)
    from scipy.special import ndtri

    value = (only_candidate - only_reference) / count
    interval = _holding(value, centre, float(ndtri((1 + confidence) / 2)) * error, -1.0, 1.0)
    return Estimate(value, interval.low, interval.high, count)


def mcnemar_exact(candidate_correct: npt.ArrayLike, reference_correct: npt.ArrayLike) -> float:
    """Two-sided p-value of "both are right equally often": McNemar's exact test on two boolean arrays (n,).

    1 where the two never differ. Half a chance each way is symmetric, so both tails are twice one: equals
    ``scipy.stats.binomtest`` on the pairs that differ and statsmodels' ``mcnemar(exact=True)``.
    """
    only_candidate, only_reference, _ = _discordant(candidate_correct, reference_correct)
    from scipy.special import bdtr

    tail = float(bdtr(min(only_candidate, only_reference), only_candidate + only_reference, 0.5))
    return min(1.0, 2 * tail)


def pairs_needed(only_candidate: int, only_reference: int, count: int, margin: float) -> int | None:
    """How many items tell a candidate that is right on a share ``margin`` less of them from one that loses none.

    From how often, of ``count`` items, only one of the two was right. "Tell" is the interval of
    `paired_difference` leaving out -margin, with a chance of POWER, if the true difference is 0 (or as far
    beyond the margin): (z_0.975 + z_POWER)^2 times the discordant share, which is the variance of one pair's
    difference, over margin^2 (Connor 1987 for McNemar's test). The difference seen is left out on purpose: where
    the items are too few it is noise, and near the margin it would ask for any number. An order of magnitude,
    since the discordant share is estimated; None for more than MOST_PAIRS.
    """
    from scipy.special import ndtri

    discordant = (only_candidate + only_reference + PSEUDO_PAIRS / 2) / (count + PSEUDO_PAIRS)
    spread = (float(ndtri((1 + CONFIDENCE) / 2)) + float(ndtri(POWER))) * math.sqrt(discordant)
    if margin * math.sqrt(MOST_PAIRS) < spread:
        return None
    return math.ceil((spread / margin) ** 2)


def variance_components(nested: Sequence[npt.ArrayLike]) -> VarianceComponents:
    """Variance of log ratios between and within replicates; ``nested`` holds each one's in-round log ratios.

    The ANOVA estimator of the one-way random model for unequal group sizes (Searle, Casella and McCulloch
    1992, section 3.6), negative results taken as 0. ``between`` is None for fewer than 2 replicates, or where
    ``within`` is None: no replicate has 2 rounds. Rounds that go together (autocorrelation) count as between.
    """
    groups = [group for group in (np.asarray(logs, dtype=float) for logs in nested) if group.size]
    sizes = np.array([group.size for group in groups], dtype=float)
    observations = int(sizes.sum())
    spare = observations - len(groups)
    if spare < 1:
        return VarianceComponents(None, None, len(groups), observations)
    means = np.array([group.mean() for group in groups])
    within = float(sum(((group - group.mean()) ** 2).sum() for group in groups)) / spare
    if len(groups) < 2:
        return VarianceComponents(None, within, len(groups), observations)
    grand_mean = float((sizes * means).sum()) / observations
    mean_square = float((sizes * (means - grand_mean) ** 2).sum()) / (len(groups) - 1)
    typical_size = (observations - float((sizes**2).sum()) / observations) / (len(groups) - 1)
    return VarianceComponents(max(0.0, (mean_square - within) / typical_size), within, len(groups), observations)


def _finite_logs(log_ratios: npt.ArrayLike) -> npt.NDArray[np.float64]:
    logs = np.asarray(log_ratios, dtype=float)
    if logs.ndim != 1 or logs.size == 0 or not np.isfinite(logs).all():
        raise ValueError(f"log ratios of shape {logs.shape} are no list of finite numbers: give one per replicate")
    return logs


def _standard_error(values: npt.NDArray[np.float64]) -> float:
    if np.ptp(values) == 0:  # the mean of equal numbers may be off by one rounding, and so their deviation above 0
        return 0.0
    return float(values.std(ddof=1)) / math.sqrt(values.size)


def _holding(value: float, centre: float, half_width: float, floor: float, ceiling: float) -> Interval:
    """centre ± half_width, cut to [floor, ceiling]; rounding, or a cut, must not leave ``value`` outside."""
    return Interval(
        min(value, max(floor, centre - half_width)),
        max(value, min(ceiling, centre + half_width)),
    )


def _discordant(candidate_correct: npt.ArrayLike, reference_correct: npt.ArrayLike) -> tuple[int, int, int]:
    """How often only the candidate, only the reference was right, and the number of items."""
    candidate = np.asarray(candidate_correct, dtype=bool)
    reference = np.asarray(reference_correct, dtype=bool)
    if candidate.shape != reference.shape or candidate.ndim != 1 or candidate.size == 0:
        raise ValueError(
            f"answers of shapes {candidate.shape} and {reference.shape} are no pairs: give two equal lists"
        )
    return int((candidate & ~reference).sum()), int((reference & ~candidate).sum()), int(candidate.size)


def _adjusted_difference(only_candidate: int, only_reference: int, count: int) -> tuple[float, float]:
    """Agresti and Min's centre and standard error of the paired difference."""
    total = count + PSEUDO_PAIRS
    gap = only_candidate - only_reference
    discordant = only_candidate + only_reference + PSEUDO_PAIRS / 2
    return gap / total, math.sqrt(discordant - gap**2 / total) / total
