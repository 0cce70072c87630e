"""What looking at growing data costs: how often a true ratio at the tolerance is called SLOWER, paid for and not."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ovbench.gate import LOOK_COST
from ovbench.stats import MIN_REPLICATES

ALPHAS = (0.05, 0.01, 0.001, 0.0001)
PAIRS = 24
TRIALS = 2_000_000
QUICK_TRIALS = 200_000
CHUNK = 100_000  # trials at a time: 20 MB
SEED = 0


def p_values(trials: int, seed: int) -> npt.NDArray[np.float64]:
    """One-sided p-values (trials, looks) of pairs whose mean lies at the bound; a look after each from the fifth on."""
    from scipy.special import stdtr

    logs = np.random.default_rng(seed).normal(size=(trials, PAIRS))
    counts = np.arange(1, PAIRS + 1)
    means = np.cumsum(logs, axis=1) / counts
    squares = np.cumsum(logs**2, axis=1) - counts * means**2
    seen = slice(MIN_REPLICATES - 1, None)
    errors = np.sqrt(squares[:, seen] / (counts[seen] - 1) / counts[seen])
    result: npt.NDArray[np.float64] = stdtr(counts[seen] - 1, -means[:, seen] / errors)
    return result


def false_alarms(trials: int) -> dict[str, list[float]]:
    """Share of trials in which some look is at most alpha, for each of ALPHAS: as it is, and paid for."""
    looks = np.arange(1, PAIRS - MIN_REPLICATES + 2)
    prices = {"unpaid": np.ones(looks.size), f"p x {LOOK_COST:g} x looks": np.maximum(1.0, LOOK_COST * looks)}
    found = {name: np.zeros(len(ALPHAS)) for name in prices}
    for begin in range(0, trials, CHUNK):
        each = p_values(min(CHUNK, trials - begin), SEED + begin)
        for name, price in prices.items():
            least = (each * price).min(axis=1)
            found[name] += [(least <= alpha).sum() for alpha in ALPHAS]
    return {name: list(counts / trials) for name, counts in found.items()}


def main(arguments: Sequence[str]) -> int:
    """Print the table; ``--quick`` takes a tenth of the trials."""
    trials = QUICK_TRIALS if "--quick" in arguments else TRIALS
    sys.stdout.write(
        f"{trials} comparisons whose ratio is the tolerance, {PAIRS} pairs, a look after each from the 5th\n"
    )
    sys.stdout.write(f"{'alpha':>18}  " + "  ".join(f"{alpha:>8.2%}" for alpha in ALPHAS) + "\n")
    for name, shares in false_alarms(trials).items():
        sys.stdout.write(f"{name:>18}  " + "  ".join(f"{share:>8.3%}" for share in shares) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
