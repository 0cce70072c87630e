"""Where a race stands: its candidates, their samples, and figures that can be compared over rounds and lanes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from ovbench.campaign import without
from ovbench.config import Config
from ovbench.contention import too_many
from ovbench.race.effects import RoundKey, fit_effects
from ovbench.samples import Block, Replicate
from ovbench.stats import quantile


class Goal(Enum):
    """What is raced for: pictures a second, or the median latency of a request."""

    THROUGHPUT = "throughput"
    LATENCY = "latency"


@dataclass(frozen=True)
class Figures:
    """One candidate, with what the machine did to whole rounds taken out, so that all are comparable.

    Latencies are of a call (sync) or of a request under load (async); p99 is None for fewer samples than it needs.
    """

    p50_ns: float
    p99_ns: float | None
    images_per_s: float
    inferences: int
    rounds: int

    def cost_ns(self, goal: Goal) -> float:
        """What is raced for, less is better: ns per picture (throughput), or of the median request (latency)."""
        return 1e9 / self.images_per_s if goal is Goal.THROUGHPUT else self.p50_ns


@dataclass
class Entrant:
    """One candidate of the race: what it is, how long it was in, and every sample of it.

    ``dropped`` is "" for who is still in, else why not, in one phrase; ``rounds`` counts those of the heats;
    ``blocks`` is by lane: heats first, the finals' after.
    """

    config: Config
    effective: Mapping[str, Any] = field(default_factory=dict)
    proof_warning: str = ""
    fault: str = ""
    alias_of: Config | None = None
    memory_bytes: int = 0
    open_s: float = 0.0
    block_s: float = 0.0
    rounds: int = 0
    dropped: str = ""
    blocks: dict[int, list[Block]] = field(default_factory=dict)

    @property
    def distinct(self) -> bool:
        """Whether blocks of its own are run."""
        return self.alias_of is None and not self.fault

    @property
    def racing(self) -> bool:
        """Whether it was opened and is still in."""
        return self.distinct and not self.dropped and bool(self.effective)

    @property
    def threads(self) -> int:
        """Threads that run it, as OpenVINO reads them back; 0 where the device does not tell."""
        return int(self.effective.get("threads") or 0)

    @property
    def streams(self) -> int:
        """Streams that run it, as OpenVINO reads them back; 0 where the device does not tell."""
        return int(self.effective.get("streams") or 0)

    @property
    def replicates(self) -> tuple[Replicate, ...]:
        """One per lane that measured it, in order."""
        return tuple(Replicate(lane, self.config.mode, tuple(blocks)) for lane, blocks in self.blocks.items())


@dataclass
class Race:
    """All candidates and what is known of them; it grows round by round, so that an interrupted one keeps what is done.

    Lanes below ``heat_lanes`` are heats, the others finals; ``finalists`` is empty until the heats are over, and
    ``leader`` is the best so far. ``exhausted`` says why the race ended before its finals did, "" if it did not.
    """

    goal: Goal = Goal.THROUGHPUT
    entrants: dict[Config, Entrant] = field(default_factory=dict)
    leader: Config | None = None
    finalists: tuple[Config, ...] = ()
    lanes: int = 0
    heat_lanes: int = 0
    rounds: int = 0
    rejected: set[RoundKey] = field(default_factory=set)
    """Lane and number of the rounds that others took too much of."""
    notes: list[str] = field(default_factory=list)
    wall_s: float = 0.0
    exhausted: str = ""

    @property
    def final_lanes(self) -> range:
        """Numbers of the finals' lanes."""
        return range(self.heat_lanes, self.lanes)

    @property
    def busy(self) -> bool:
        """Whether too many rounds were hit for an answer; figures are then of all rounds, since few would be left."""
        return too_many(len(self.rejected), self.rounds)

    @property
    def measured(self) -> list[Config]:
        """All candidates that have samples of their own."""
        return [config for config, entrant in self.entrants.items() if entrant.distinct and self.samples(config)]

    def representative(self, config: Config) -> Config:
        """The candidate whose samples stand for this one: itself, or the one it is an alias of."""
        alias = self.entrants[config].alias_of
        return config if alias is None else alias

    def samples(self, config: Config) -> tuple[Replicate, ...]:
        """Replicates of a candidate (an alias has its representative's), without the rounds that were rejected."""
        whole = self.entrants[self.representative(config)].replicates
        return whole if self.busy else without(self.rejected, whole)

    def cost_ns(self, config: Config, block: Block) -> float:
        """What is raced for, less is better: ns per picture (throughput), or the median request's (latency)."""
        if self.goal is Goal.THROUGHPUT:
            return block.cost_ns(config.mode) / (config.batch or 1)
        return statistics.median(block.latencies_ns(config.mode))

    def ranking(self, configs: Iterable[Config] | None = None, lanes: range | None = None) -> tuple[Config, ...]:
        """Those with samples, best first; of all entrants that are distinct and over all lanes unless told."""
        wanted = self.entrants if configs is None else configs
        effects, _ = fit_effects(self._log_costs(wanted, lanes))
        return tuple(sorted(effects, key=effects.__getitem__))

    def figures(self, config: Config) -> Figures | None:
        """What a candidate reaches, comparable with any other's; None without samples.

        Each sample is divided by its round's effect (``fit_effects``), relative to the median round of the finals, or
        of all rounds before there are any.
        """
        return self.all_figures([config]).get(config)

    def all_figures(self, configs: Iterable[Config] | None = None) -> dict[Config, Figures]:
        """``figures`` of those that have samples."""
        _, rounds = fit_effects(self._log_costs(self.entrants, None))
        finals = [effect for (lane, _), effect in rounds.items() if lane >= self.heat_lanes]
        usual = statistics.median(finals or rounds.values() or [0.0])
        slowness = {key: math.exp(effect - usual) for key, effect in rounds.items()}
        wanted = self.entrants if configs is None else configs
        found = {config: _figures(config, self.samples(config), slowness) for config in wanted}
        return {config: each for config, each in found.items() if each is not None}

    def log_ratio_by_lane(self, a: Config, b: Config) -> tuple[float, ...]:
        """Log of cost b / cost a, one per lane that measured both: above 0 a is better.

        Each is the median over the rounds that both ran. Of two finalists only the finals' lanes count: the heats chose
        them, and so flatter them.
        """
        mine, theirs = ({each.lane: each for each in self.samples(config)} for config in (a, b))
        finalists = {self.representative(a), self.representative(b)} <= set(self.finalists)
        first = self.heat_lanes if finalists else 0
        logs = []
        for lane in sorted(lane for lane in mine.keys() & theirs.keys() if lane >= first):
            of_a, of_b = (
                {block.round: math.log(self.cost_ns(config, block)) for block in replicate.blocks}
                for config, replicate in ((a, mine[lane]), (b, theirs[lane]))
            )
            common = [of_b[number] - of_a[number] for number in of_a.keys() & of_b.keys()]
            logs += [statistics.median(common)] if common else []
        return tuple(logs)

    def _log_costs(self, configs: Iterable[Config], lanes: range | None) -> dict[Config, dict[RoundKey, float]]:
        return {
            config: {
                (each.lane, block.round): math.log(self.cost_ns(config, block))
                for each in self.samples(config)
                if lanes is None or each.lane in lanes
                for block in each.blocks
            }
            for config in configs
            if self.entrants[config].distinct
        }


def race_fields(entrant: Entrant) -> dict[str, Any]:
    """One candidate as a line of the journal; its samples are lines of their own (``records.replicate_fields``)."""
    return {
        "cell": entrant.config.id,
        "config": entrant.config.axes,
        "effective": dict(entrant.effective),
        "alias_of": None if entrant.alias_of is None else entrant.alias_of.id,
        "fault": entrant.fault,
        "warning": entrant.proof_warning,
        "dropped": entrant.dropped,
        "rounds": entrant.rounds,
        "memory_bytes": entrant.memory_bytes,
    }


def _figures(config: Config, replicates: Sequence[Replicate], slowness: Mapping[RoundKey, float]) -> Figures | None:
    blocks = [(block, slowness[each.lane, block.round]) for each in replicates for block in each.blocks]
    if not blocks:
        return None
    latencies = np.concatenate([np.array(block.latencies_ns(config.mode)) / slow for block, slow in blocks])
    cost_ns = statistics.median(block.cost_ns(config.mode) / slow for block, slow in blocks)
    return Figures(
        p50_ns=float(np.median(latencies)),
        p99_ns=quantile(latencies, 0.99),
        images_per_s=(config.batch or 1) * 1e9 / cost_ns,
        inferences=latencies.size,
        rounds=len(blocks),
    )
