"""How late a candidate is: every latency as it came, and the share of them beyond a limit."""

from __future__ import annotations

import statistics
from typing import TypeGuard

from ovbench.config import Config
from ovbench.race import Race
from ovbench.samples import Block
from ovbench.stats import Estimate, share_estimate, wilson

LATE_SHARE = 0.01  # of the inferences may take longer than --p99
LATE_CONFIDENCE = 0.99  # it is asked after every round whether too many are late, as ovbench.ab's intervals are


def kept_blocks(race: Race, config: Config) -> list[Block]:
    """A candidate's blocks in order, without those of rounds that others took too much of."""
    blocks = [(lane, block) for lane, blocks in race.entrants[config].blocks.items() for block in blocks]
    return [block for lane, block in blocks if (lane, block.round) not in race.rejected]


def blocks_of(race: Race, config: Config) -> list[Block]:
    """The kept blocks, or all where others took too much of every round."""
    return kept_blocks(race, config) or [block for each in race.samples(config) for block in each.blocks]


def late_share(race: Race, config: Config, limit_ns: float, confidence: float = LATE_CONFIDENCE) -> Estimate | None:
    """Share of the inferences that took longer than the limit, with its interval; None without any.

    Late ones come in bursts, so their effective number is judged from how blocks differ. Where none is late nothing
    comes together, and each inference counts, as in every p99 that is printed.
    """
    blocks = [block.latencies_ns(config.mode) for block in blocks_of(race, config)]
    if not blocks:
        return None
    shares = [sum(taken > limit_ns for taken in block) / len(block) for block in blocks]
    sizes = [len(block) for block in blocks]
    if any(shares):
        return share_estimate(shares, round(statistics.mean(sizes)), confidence)
    interval = wilson(0, sum(sizes), confidence)
    return Estimate(0.0, interval.low, interval.high, len(shares))


def all_latencies_ns(race: Race, config: Config) -> list[int]:
    """Every latency of a candidate as it came: whole rounds that were slow are not made good, as in its figures."""
    return [taken for block in blocks_of(race, config) for taken in block.latencies_ns(config.mode)]


def surely_too_many(late: Estimate | None) -> TypeGuard[Estimate]:
    """Whether surely more than LATE_SHARE are late; without any inference nothing is sure."""
    return late is not None and late.low is not None and late.low > LATE_SHARE
