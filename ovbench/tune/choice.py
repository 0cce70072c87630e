"""The choice: the best of those that hold the constraints or a simpler one, and whom nobody beats in both."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ovbench import hosts
from ovbench.config import AUTO, Config, Hint
from ovbench.precision import SAME_FILE
from ovbench.race import Figures, Race
from ovbench.stats import Estimate, ratio_estimate
from ovbench.story.figures import inverse
from ovbench.tune.asked import NONE, Constraints
from ovbench.tune.limits import NOBODY, holding
from ovbench.verdict import Verdict, compare

CLOSE = 0.01  # a simpler one that nothing tells from the best is picked if its estimate is this near: half the band


@dataclass(frozen=True)
class Pick:
    """The configuration to deploy.

    ``cost`` is what was raced for, with its interval over lanes: ns a picture (throughput), or ns of the median request
    (latency). ``margin`` is the runner-up's cost over the pick's, above 1 where the pick is better, as is a FASTER
    verdict. ``better`` is the best by estimate, where a simpler one was picked that nothing tells from it.
    """

    config: Config
    figures: Figures
    cost: Estimate
    runner_up: Config | None = None
    margin: Estimate | None = None
    verdict: Verdict = Verdict.UNSURE
    better: Config | None = None

    @property
    def tied(self) -> bool:
        """Whether no difference from the runner-up can be shown."""
        return self.margin is not None and _holds_one(self.margin)


def pick(
    race: Race,
    constraints: Constraints = NONE,
    too_large: Mapping[Config, int] = NOBODY,
    band: float = hosts.DEFAULT_BAND,
) -> Pick:
    """The best by the race's goal of those that hold the constraints, or a simpler one that nothing tells from it.

    Finalists come first: who dropped out is picked only where none of them holds the constraints. ``too_large`` are
    peaks of processes of their own that are beyond --max-memory. Raises BadOption, naming the nearest that is possible,
    where nobody holds the constraints.
    """
    able = ranked(race, holding(race, constraints, too_large))
    best = able[0]
    alike = [best, *(config for config in able[1:] if config in race.finalists and _alike(race, best, config))]
    chosen = min(alike, key=properties_set)  # min takes the first, the best, of the simplest
    runner_up = next((config for config in able if config != chosen), None)
    margin = None if runner_up is None else advantage(race, chosen, runner_up)
    figures = race.all_figures([chosen])[chosen]
    return Pick(
        chosen,
        figures,
        cost_estimate(race, chosen, figures),
        runner_up,
        margin,
        Verdict.UNSURE if margin is None or race.busy else compare(inverse(margin), band),
        None if chosen == best else best,
    )


def ranked(race: Race, configs: Sequence[Config]) -> list[Config]:
    """Measured candidates, best first: finalists by their finals, then those that dropped out by all rounds."""
    finalists = [config for config in configs if config in race.finalists]
    in_finals = race.ranking(finalists, race.final_lanes)
    rest = race.ranking([config for config in configs if config not in in_finals])
    return [*in_finals, *rest]


def advantage(race: Race, config: Config, other: Config) -> Estimate:
    """Cost of the other over this one's, above 1 where this one is better; in shared rounds, else by their figures."""
    logs = race.log_ratio_by_lane(config, other)
    if logs:
        return ratio_estimate(logs)
    costs = [figures.cost_ns(race.goal) for figures in race.all_figures([config, other]).values()]
    return Estimate(costs[1] / costs[0], None, None, 0)


def _alike(race: Race, best: Config, config: Config) -> bool:
    """Whether nothing tells it from the best, and its estimate is near."""
    estimate = advantage(race, best, config)
    return _holds_one(estimate) and estimate.value <= 1 + CLOSE


def _holds_one(estimate: Estimate) -> bool:
    return estimate.low is None or estimate.high is None or estimate.low <= 1 <= estimate.high


def properties_set(config: Config) -> int:
    """How much there is to set and to keep right: properties beside the hint, a batch, a file of another precision."""
    of_hint = Config().streams if config.hint is Hint.LATENCY else AUTO
    return sum(
        (
            config.precision not in SAME_FILE,
            config.streams != of_hint,
            config.threads > 0,
            config.requests > 0,
            config.batch > 1,
            config.pinning is not None,
            config.hyper_threading is not None,
        )
    )


def cost_estimate(race: Race, config: Config, figures: Figures) -> Estimate:
    """What was raced for, in ns, as its figure, with the 95 % interval of the lanes' medians laid around it.

    Lanes are the finals', or the heats' of who came to none; fewer than five give no interval.
    """
    replicates = race.samples(config)
    finals = [each for each in replicates if each.lane in race.final_lanes]
    medians = [[race.cost_ns(config, block) for block in each.blocks] for each in finals or replicates]
    lanes = ratio_estimate([math.log(statistics.median(costs)) for costs in medians])
    value = figures.cost_ns(race.goal)
    if lanes.low is None or lanes.high is None:
        return Estimate(value, None, None, lanes.count)
    return Estimate(value, value * lanes.low / lanes.value, value * lanes.high / lanes.value, lanes.count)


def pareto(race: Race) -> tuple[Config, ...]:
    """Those that nobody beats in both, median latency and images a second, the lowest latency first."""
    figures = race.all_figures(race.measured)
    front: list[Config] = []
    most = 0.0
    for config in sorted(figures, key=lambda each: (figures[each].p50_ns, -figures[each].images_per_s)):
        if figures[config].images_per_s > most:
            most = figures[config].images_per_s
            front.append(config)
    return tuple(front)
