"""Thought of a race: what candidates and rounds each cost, and who is worse beyond doubt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ovbench.config import Config

RoundKey = tuple[int, int]  # lane and number

MIN_ROUNDS_TO_DROP = 2  # of one round nothing tells a slow candidate from a slow moment
# One-sided, in standard errors: 1 in 160 for each look at each candidate; docs/method.md has what races miss with it.
DROP_ERRORS = 2.5
# A block against another of its round on a quiet machine; a smaller spread in a few rounds is luck.
MIN_BLOCK_SD = 0.03
LANE_SD = 0.02  # fresh twins differ by 1-2 %, docs/method.md
# Huber's M-estimate: 95 % efficient for normal residuals, and bounded influence of each block.
HUBER_BEND = 1.345
MAX_REWEIGHTINGS = 20
SETTLED = 1e-3  # of a weight: no effect moves any more
RIDGE = 1e-9  # keeps the fit solvable: a constant may go to either side, or to each part that has nothing in common


def fit_effects(
    log_costs: Mapping[Config, Mapping[RoundKey, float]],
) -> tuple[dict[Config, float], dict[RoundKey, float]]:
    """Log cost as a candidate's effect plus a round's: those of candidates with samples, and those of the rounds.

    Effects of candidates that ran in different rounds are comparable, through those that ran in both. Rounds' effects
    have mean 0. Huber's M-estimate by reweighted least squares (Holland and Welsch 1977), so that a bad block bends
    little. Not Tukey's median polish: as the slow drop out, the median of what is left in a round gets better, which a
    polish takes for a faster round and never finds its way back from.
    """
    cells = [(config, key, cost) for config, costs in log_costs.items() for key, cost in costs.items()]
    if not cells:
        return {}, {}
    configs = {config: place for place, config in enumerate(dict.fromkeys(config for config, _, _ in cells))}
    rounds = {key: place for place, key in enumerate(dict.fromkeys(key for _, key, _ in cells))}
    many = np.array([configs[config] for config, _, _ in cells])
    few = np.array([rounds[key] for _, key, _ in cells])
    swapped = len(configs) < len(rounds)  # the more numerous effects are eliminated, the fewer solved for
    if swapped:
        many, few = few, many
    costs = np.array([cost for _, _, cost in cells])
    weights = np.ones(costs.size)
    for _ in range(MAX_REWEIGHTINGS):
        table = np.zeros((int(many.max()) + 1, int(few.max()) + 1))
        table[many, few] = weights
        sums, totals = np.bincount(many, weights * costs), table.sum(axis=1)
        normal = np.diag(table.sum(axis=0) + RIDGE) - table.T @ (table / totals[:, None])
        of_few = np.linalg.solve(normal, np.bincount(few, weights * costs) - table.T @ (sums / totals))
        of_many = (sums - table @ of_few) / totals
        residuals = np.abs(costs - of_many[many] - of_few[few])
        bend = HUBER_BEND * max(MIN_BLOCK_SD, 1.4826 * float(np.median(residuals)))
        before, weights = weights, bend / np.maximum(residuals, bend)
        if float(np.abs(before - weights).max()) < SETTLED:
            break
    of_config, of_round = (of_few, of_many) if swapped else (of_many, of_few)
    usual = float(of_round.mean())
    return (
        {config: float(of_config[place]) + usual for config, place in configs.items()},
        {key: float(of_round[place]) - usual for key, place in rounds.items()},
    )


def dominated(log_costs: Mapping[Config, Sequence[float]], leader: Config) -> tuple[Config, ...]:
    """Who is worse than the leader beyond doubt; each has its log cost in the same rounds, in order.

    A candidate's distance is the lower median of its in-round distances, so one bad block costs no one the place. The
    spread of a block is pooled over all candidates, since two or three rounds of one tell none: 1.4826 times the median
    absolute residual after candidates and rounds are taken out.
    """
    configs = list(log_costs)
    costs = np.array([log_costs[config] for config in configs])
    runners, rounds = costs.shape
    if rounds < MIN_ROUNDS_TO_DROP or runners < 2:
        return ()
    residuals = costs - costs.mean(axis=1, keepdims=True)
    residuals -= np.median(residuals, axis=0, keepdims=True)
    lost = math.sqrt(rounds / (rounds - 1) * runners / (runners - 1))  # degrees of freedom that the means took
    spread = max(MIN_BLOCK_SD, lost * 1.4826 * float(np.median(np.abs(residuals))))
    error = math.sqrt(math.pi / 2 * 2 * spread**2 / rounds + 2 * LANE_SD**2)  # of a median of differences
    distances = np.sort(costs - costs[configs.index(leader)], axis=1)[:, (rounds - 1) // 2]
    return tuple(config for config, far in zip(configs, distances, strict=True) if far > DROP_ERRORS * error)
