"""What each axis of a pick bought, against the best that leaves the axis alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ovbench.config import AUTO, Config, Hint, Precision
from ovbench.race import Goal, Race
from ovbench.stats import Estimate
from ovbench.tune.asked import Constraints
from ovbench.tune.choice import advantage
from ovbench.tune.limits import holding

ALL = "all"
"""What all axes together bought: the axis of a ``Bought`` whose ``without`` sets nothing but the goal's hint."""


@dataclass(frozen=True)
class Bought:
    """What one axis of the pick bought: cost of the best ``without`` it over the pick's, above 1 where it pays.

    ``without`` is None where nothing else that was measured holds the constraints. ``axis`` is ALL for the precision
    with nothing set but the hint, which need not hold them.
    """

    axis: str
    without: Config | None
    ratio: Estimate | None
    rounds: int


def plain_hint(race: Race, config: Config) -> Config:
    """What a pick has to beat: its precision with nothing set but the goal's hint, or what that is an alias of."""
    hint, streams = (Hint.THROUGHPUT, AUTO) if race.goal is Goal.THROUGHPUT else (Hint.LATENCY, 1)
    found = Config(config.model, config.device, config.precision, hint, streams)
    return race.representative(found) if found in race.entrants else found


def what_axes_bought(race: Race, constraints: Constraints, config: Config) -> tuple[Bought, ...]:
    """For each axis that a pick sets: its gain on the best that leaves the axis alone and holds the constraints.

    Before them the gain on the pick's precision with nothing set but the hint, whatever that holds.
    """
    resets: dict[str, Callable[[Config], bool]] = {
        "precision": lambda each: each.precision is Precision.FP32,
        "hint": lambda each: each.hint is Hint.LATENCY,
        "streams": lambda each: race.entrants[each].streams == 1,
        "threads": lambda each: each.threads == 0,
        "requests": lambda each: each.requests == 0,
        "batch": lambda each: each.batch <= 1,
        "pinning": lambda each: each.pinning is None,
        "hyper_threading": lambda each: each.hyper_threading is None,
    }
    able = holding(race, constraints)
    figures = race.all_figures(race.measured)
    found = []
    usual = plain_hint(race, config)
    if usual != config and usual in figures:
        found.append(_bought(race, config, ALL, usual))
    for axis, is_reset in resets.items():
        if not is_reset(config):
            others = [each for each in able if is_reset(each)]
            best = min(others, key=lambda each: figures[each].cost_ns(race.goal), default=None)
            found.append(_bought(race, config, axis, best))
    return tuple(found)


def _bought(race: Race, config: Config, axis: str, without: Config | None) -> Bought:
    if without is None:
        return Bought(axis, None, None, 0)
    return Bought(axis, without, advantage(race, config, without), shared_rounds(race, config, without))


def shared_rounds(race: Race, a: Config, b: Config) -> int:
    """How many rounds both ran."""
    of_a, of_b = (
        {(each.lane, block.round) for each in race.samples(config) for block in each.blocks} for config in (a, b)
    )
    return len(of_a & of_b)
