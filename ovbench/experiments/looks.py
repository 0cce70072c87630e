"""What looking at growing data costs: how often a true ratio at the tolerance is called SLOWER, paid for and not.

``python -m ovbench.experiments.looks [--quick]``; with ``--intervals``, how often the interval that a comparison ends
with holds the true ratio, though its own width decided when it ended.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ovbench.ab import CONFIDENCE, Question
from ovbench.gate import LOOK_COST
from ovbench.stats import MIN_REPLICATES

ALPHAS = (0.05, 0.01, 0.001, 0.0001)
PAIRS = 24
TRIALS = 2_000_000
QUICK_TRIALS = 200_000
CHUNK = 100_000  # trials at a time: 20 MB
SEED = 0
RATIOS = (1.0, 1.02, 1.03, 1.05, 1.1)
PAIR_SDS = (0.01, 0.02, 0.04)  # of log ratios; a quiet host has 1 to 2 % (docs/method.md)

Floats = npt.NDArray[np.float64]
COUNTS = np.arange(MIN_REPLICATES, PAIRS + 1)
"""Pairs at each look: one after each pair from the fifth on."""


def looks(trials: int, seed: int) -> tuple[Floats, Floats]:
    """Mean, and its standard error, of normal pairs about 0 with an SD of 1, at each look: both (trials, looks)."""
    logs = np.random.default_rng(seed).normal(size=(trials, PAIRS))
    means = np.cumsum(logs, axis=1)[:, MIN_REPLICATES - 1 :] / COUNTS
    squares = np.cumsum(logs**2, axis=1)[:, MIN_REPLICATES - 1 :] - COUNTS * means**2
    return means, np.sqrt(squares / (COUNTS - 1) / COUNTS)


def p_values(trials: int, seed: int) -> Floats:
    """One-sided p-values (trials, looks) of pairs whose mean lies at the bound."""
    from scipy.special import stdtr

    means, errors = looks(trials, seed)
    result: Floats = stdtr(COUNTS - 1, -means / errors)
    return result


def false_alarms(trials: int) -> dict[str, list[float]]:
    """Share of trials in which some look is at most alpha, for each of ALPHAS: as it is, and paid for."""
    done = np.arange(1, COUNTS.size + 1)
    prices = {"unpaid": np.ones(done.size), f"p x {LOOK_COST:g} x looks": np.maximum(1.0, LOOK_COST * done)}
    found = {name: np.zeros(len(ALPHAS)) for name in prices}
    for begin in range(0, trials, CHUNK):
        each = p_values(min(CHUNK, trials - begin), SEED + begin)
        for name, price in prices.items():
            least = (each * price).min(axis=1)
            found[name] += [(least <= alpha).sum() for alpha in ALPHAS]
    return {name: list(counts / trials) for name, counts in found.items()}


def coverage(ratio: float, pair_sd: float, trials: int) -> float:
    """Share of comparisons whose interval holds the true ratio when they end: decided, or after all PAIRS."""
    from scipy.special import stdtrit

    band = np.log1p(Question.tolerance)
    holding = 0
    for begin in range(0, trials, CHUNK):
        means, errors = looks(min(CHUNK, trials - begin), SEED + begin)
        middle = np.log(ratio) + pair_sd * means
        half = stdtrit(COUNTS - 1, (1 + CONFIDENCE) / 2) * pair_sd * errors
        low, high = middle - half, middle + half
        decided = (low > band) | (high < -band) | ((low >= -band) & (high <= band))
        decided[:, -1] = True
        end = np.arange(len(decided)), decided.argmax(axis=1)
        holding += int(((low[end] <= np.log(ratio)) & (np.log(ratio) <= high[end])).sum())
    return holding / trials


def main(arguments: Sequence[str]) -> int:
    """Print the table; ``--quick`` takes a tenth of the trials, ``--intervals`` prints the other table."""
    trials = QUICK_TRIALS if "--quick" in arguments else TRIALS
    if "--intervals" in arguments:
        trials //= 10  # a share near 99 % needs no more
        sys.stdout.write(
            f"{CONFIDENCE:.0%} intervals that hold the true ratio at the end of {trials} comparisons, band "
            f"{Question.tolerance:.0%}, at most {PAIRS} pairs\n"
        )
        sys.stdout.write(f"{'SD of a pair':>14}  " + "  ".join(f"{ratio:>7.2f}" for ratio in RATIOS) + "\n")
        for pair_sd in PAIR_SDS:
            held = [coverage(ratio, pair_sd, trials) for ratio in RATIOS]
            sys.stdout.write(f"{pair_sd:>14.0%}  " + "  ".join(f"{share:>7.1%}" for share in held) + "\n")
        return 0
    sys.stdout.write(
        f"{trials} comparisons whose ratio is the tolerance, {PAIRS} pairs, a look after each from the 5th\n"
    )
    sys.stdout.write(f"{'alpha':>18}  " + "  ".join(f"{alpha:>8.2%}" for alpha in ALPHAS) + "\n")
    for name, shares in false_alarms(trials).items():
        sys.stdout.write(f"{name:>18}  " + "  ".join(f"{share:>8.3%}" for share in shares) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
