"""The race: candidates side by side in interleaved rounds; the dominated drop out, the survivors get the time."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np

from ovbench.campaign import (
    BLOCK_OVERHEAD_S,
    MAX_DEATHS,
    MIN_LANES,
    Clock,
    OpenLane,
    Order,
    block_seconds,
    effect_key,
    lanes_within,
    ready_lane,
    watched_rounds,
)
from ovbench.config import Config, Mode
from ovbench.contention import too_many
from ovbench.errors import BadOption, ContestantRefused, LaneError
from ovbench.lanes import Askable
from ovbench.machine import Contention, read_our_contention
from ovbench.precision import prove
from ovbench.samples import Block, Replicate
from ovbench.stats import quantile
from ovbench.worker import MIN_INFERENCES_PER_BLOCK

MAX_FINALISTS = 4
FINALS_SHARE = 0.4  # of the time that is left once all are open; and what the heats leave
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

RoundKey = tuple[int, int]  # lane and number, as in Race.rejected
Violates = Callable[[Config, "Figures"], str]
"""Why a candidate is out, "" if it is not: clear cases only, what is in doubt may run on."""
Holds = Callable[[Config, "Figures"], bool]
"""Whether a candidate holds the constraints as far as is known: only such a one may lead and drop others."""


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

    def representative(self, config: Config) -> Config:
        """The candidate whose samples stand for this one: itself, or the one it is an alias of."""
        alias = self.entrants[config].alias_of
        return config if alias is None else alias

    def samples(self, config: Config) -> tuple[Replicate, ...]:
        """Replicates of a candidate (an alias has its representative's), without the rounds that were rejected."""
        whole = self.entrants[self.representative(config)].replicates
        if self.busy or not self.rejected:
            return whole
        kept = (
            replace(each, blocks=tuple(block for block in each.blocks if (each.lane, block.round) not in self.rejected))
            for each in whole
        )
        return tuple(each for each in kept if each.blocks)

    def cost_ns(self, config: Config, block: Block) -> float:
        """What is raced for, less is better: ns per picture (throughput), or the median request's (latency)."""
        if self.goal is Goal.THROUGHPUT:
            return block.cost_ns(config.mode) / (config.batch or 1)
        return statistics.median(_latencies(config.mode, block))

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


# ---------------------------------------------------------------------------------------------------------- thinking


def _latencies(mode: Mode, block: Block) -> Sequence[int]:
    """What a caller waits for each answer: the call (sync), or the request under load (async)."""
    return block.wall_ns if mode is Mode.SYNC else block.latency_ns


def _figures(config: Config, replicates: Sequence[Replicate], slowness: Mapping[RoundKey, float]) -> Figures | None:
    blocks = [(block, slowness[each.lane, block.round]) for each in replicates for block in each.blocks]
    if not blocks:
        return None
    latencies = np.concatenate([np.array(_latencies(config.mode, block)) / slow for block, slow in blocks])
    cost_ns = statistics.median(block.cost_ns(config.mode) / slow for block, slow in blocks)
    return Figures(
        p50_ns=float(np.median(latencies)),
        p99_ns=quantile(latencies, 0.99),
        images_per_s=(config.batch or 1) * 1e9 / cost_ns,
        inferences=latencies.size,
        rounds=len(blocks),
    )


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


# ----------------------------------------------------------------------------------------------------------- running


def run_race(
    order: Order,
    into: Race,
    open_lane: OpenLane,
    clock: Clock = time.monotonic,
    violates: Violates | None = None,
    on_progress: Callable[[float, str], None] = lambda _share, _text: None,
    on_replicate: Callable[[Config, Replicate], None] = lambda _config, _replicate: None,
    max_finalists: int = MAX_FINALISTS,
    read_contention: Callable[[], Contention] = read_our_contention,
    holds: Holds | None = None,
) -> None:
    """Race the order's configs within its budget, ``into`` the race round by round; seed and memory are the order's.

    Heats: all are opened (as many as the memory allows, the rest after them, beside the leaders) and run rounds; after
    each, who is dominated or ``violates`` a constraint drops out. Finals: the few that are left in fresh lanes, at
    least MIN_LANES of them. ``holds`` says who may lead. ``on_replicate`` gets each candidate's blocks as a lane ends.

    A candidate that OpenVINO refuses, or that a lane dies of, becomes a fault; a fresh lane takes the place, and the
    others go on. Raises BadOption when the budget does not hold a round of all and the finals. On Ctrl-C what is done
    is kept.
    """
    course = _Course(
        order, into, open_lane, clock, violates, on_progress, on_replicate, max_finalists, read_contention, holds
    )
    into.entrants.update({config: Entrant(config) for config in order.configs})
    try:
        _run_heats(course)
        _run_finals(course)
    finally:
        into.wall_s = clock() - course.begin


@dataclass
class _Course:
    """What every part of a race needs: how it is run, and what was found on the way."""

    order: Order
    race: Race
    open_lane: OpenLane
    clock: Clock
    violates: Violates | None
    on_progress: Callable[[float, str], None]
    on_replicate: Callable[[Config, Replicate], None]
    max_finalists: int
    read_contention: Callable[[], Contention]
    holds: Holds | None
    begin: float = 0.0
    asked: Config | None = None
    start_s: float = 0.0
    lost: int = 0
    by_effect: dict[tuple[Any, ...], Config] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.begin = self.clock()

    @property
    def end(self) -> float:
        """When the budget is spent."""
        return self.begin + self.order.budget_s

    def tell(self, text: str) -> None:
        """Say how far the race is, and who leads."""
        leads = "" if self.race.leader is None else f", {self.race.leader.id} leads"
        self.on_progress(min(0.99, (self.clock() - self.begin) / self.order.budget_s), text + leads)


@dataclass
class _Bank:
    """Lanes that are alive together: one for each value of pinning, which sticks to a process."""

    course: _Course
    number: int
    lanes: dict[bool | None, Askable] = field(default_factory=dict)

    def ask(self, config: Config, do: str, **fields: Any) -> dict[str, Any]:
        """Ask a candidate's lane about it; the lane is started if need be."""
        course = self.course
        if config.pinning not in self.lanes:
            course.asked = None
            begin = course.clock()
            self.lanes[config.pinning] = ready_lane(course.open_lane)
            course.start_s = course.clock() - begin
        course.asked = config
        return self.lanes[config.pinning].ask({"do": do, "key": config.key, **fields})

    def open(self, config: Config) -> Mapping[str, Any]:
        """Open a candidate; its lane's answer."""
        entrant = self.course.race.entrants[config]
        begin = self.course.clock()
        request = self.course.order.open_request(config, None)
        answer = self.ask(config, **{name: value for name, value in request.items() if name != "key"})
        entrant.open_s = self.course.clock() - begin
        return answer

    def block(self, config: Config, duration_s: float) -> Mapping[str, Any]:
        """Run one block."""
        return self.ask(config, "block", duration_ns=round(duration_s * 1e9))

    def timed_block(self, config: Config) -> Mapping[str, Any]:
        """A block of a round."""
        begin = self.course.clock()
        answer = self.block(config, block_seconds(config))
        self.course.race.entrants[config].block_s = self.course.clock() - begin
        return answer

    def close(self) -> None:
        """End all lanes."""
        for lane in self.lanes.values():
            lane.close()


@contextlib.contextmanager
def _bank(course: _Course) -> Iterator[_Bank]:
    """A fresh bank. What it measured is told when it ends, however it ends."""
    race = course.race
    bank = _Bank(course, race.lanes)
    race.lanes += 1
    try:
        yield bank
    finally:
        bank.close()
        for config, entrant in race.entrants.items():
            if bank.number in entrant.blocks:
                course.on_replicate(config, entrant.replicates[-1])


def _survives(course: _Course, trouble: LaneError | ContestantRefused) -> bool:
    """Blame the candidate that was asked; whether the race can go on in a fresh bank."""
    race, config = course.race, course.asked
    if config is not None:
        race.entrants[config].fault = str(trouble)
        race.notes.append(f"{config.key}: {trouble}; the other candidates go on without it")
        return course.clock() < course.end
    course.lost += 1
    race.notes.append(f"lane {race.lanes}: {trouble}; a fresh lane takes its place")
    return course.lost < MAX_DEATHS


def _keep(course: _Course, bank: _Bank, blocks: Mapping[Config, Block], hit: bool) -> None:
    """A whole round goes into the race."""
    race = course.race
    number = next(iter(blocks.values())).round
    for config, block in blocks.items():
        race.entrants[config].blocks.setdefault(bank.number, []).append(block)
    race.rounds += 1
    if hit:
        race.rejected.add((bank.number, number))


# ------------------------------------------------------------------------------------------------------------- heats


def _run_heats(course: _Course) -> None:
    """Heats until all have been opened, each until no more are left than may be finalists, or its time is up."""
    race = course.race
    waiting = list(course.order.configs)
    done = False
    while waiting or not done:
        done = False
        try:
            with _bank(course) as bank:
                _run_heat(course, bank, waiting)
            done = True
        except (LaneError, ContestantRefused) as trouble:
            if not _survives(course, trouble):
                race.exhausted = str(trouble)
                return
        race.heat_lanes = race.lanes
    race.finalists = _best_first(course, [config for config, entrant in race.entrants.items() if entrant.racing])


def _run_heat(course: _Course, bank: _Bank, waiting: list[Config]) -> None:
    """Who is still in, and as many of those waiting as fit: opened, and raced until few are left."""
    race, clock = course.race, course.clock
    standing = _enter(course, bank, waiting)
    if not standing:
        return
    finals_s = _least_finals_s(course, standing)
    if clock() + _round_s(course, standing) + finals_s > course.end and not race.rounds:
        raise _too_small(course, clock() - course.begin + _round_s(course, standing) + finals_s)
    left_s = course.end - clock()
    heats_s = left_s - max(finals_s, FINALS_SHARE * left_s)
    heat_end = clock() + heats_s * len(standing) / (len(standing) + len(waiting))

    def enough(_rounds: int) -> bool:
        return len(standing) <= course.max_finalists or clock() + _round_s(course, standing) > heat_end

    entered = len(standing)
    order = course.order
    for blocks, hit in watched_rounds(
        standing, bank.timed_block, enough, order.seed, bank.number, clock, course.read_contention
    ):
        _keep(course, bank, blocks, hit)
        for config in blocks:
            race.entrants[config].rounds += 1
        for config, reason in _leaving(course, bank, standing, hit).items():
            standing.remove(config)
            race.entrants[config].dropped = reason
            bank.ask(config, "close")
        course.tell(f"{len(standing)} of {entered} left")
    for config in _best_first(course, standing)[course.max_finalists :]:
        race.entrants[config].dropped = "others did better when the heats were over"


def _enter(course: _Course, bank: _Bank, waiting: list[Config]) -> list[Config]:
    """Open who is still in, then those waiting, in order, while they fit into the memory; at least one of them."""
    race, limit_bytes = course.race, course.order.max_memory_bytes
    standing = [config for config, entrant in race.entrants.items() if entrant.racing]
    for config in standing:
        bank.open(config)
    taken_bytes = sum(race.entrants[config].memory_bytes for config in standing)
    old = len(standing)
    for config in list(waiting):
        entrant = race.entrants[config]
        if not entrant.fault and _is_new(course, bank, entrant):
            taken_bytes += entrant.memory_bytes
            if limit_bytes is not None and taken_bytes > limit_bytes and len(standing) > old:
                bank.ask(config, "close")
                entrant.effective = {}  # it is not in the race yet
                break
            course.by_effect[effect_key(config, entrant.effective)] = config
            standing.append(config)
        waiting.remove(config)
        opened = len(race.entrants) - len(waiting)
        course.tell(f"opened {opened} of {len(race.entrants)}")
        if course.clock() > course.end and not race.rounds:
            raise _too_small(course, 2 * (course.clock() - course.begin) * len(race.entrants) / opened)
    return standing


def _is_new(course: _Course, bank: _Bank, entrant: Entrant) -> bool:
    """Open a candidate for the first time; whether it races: it is no alias, and nothing is wrong with it."""
    race, config = course.race, entrant.config
    switches = {"pinning": replace(config, pinning=None), "hyper_threading": replace(config, hyper_threading=None)}
    for axis, plain in switches.items():
        twin = race.entrants.get(plain)
        if plain != config and twin is not None and twin.effective.get(axis) == getattr(config, axis):
            entrant.alias_of, entrant.effective = race.representative(plain), twin.effective
            return False
    try:
        answer = bank.open(config)
    except ContestantRefused as refusal:
        entrant.fault = str(refusal)
        return False
    proof = prove(course.order.variant(config), answer["effective"]["mac_shares"])
    entrant.effective = answer["effective"]
    entrant.proof_warning, entrant.fault = proof.warning, proof.error
    entrant.memory_bytes = int(answer["memory_bytes"] or 0)
    least_s = MIN_INFERENCES_PER_BLOCK * answer.get("first_inference_ns", 0) / 1e9
    entrant.block_s = max(block_seconds(config), least_s) + BLOCK_OVERHEAD_S
    entrant.alias_of = course.by_effect.get(effect_key(config, entrant.effective))
    if not entrant.distinct:
        bank.ask(config, "close")
    return entrant.distinct


def _leaving(course: _Course, bank: _Bank, standing: Sequence[Config], hit: bool) -> dict[Config, str]:
    """Who drops out after a round, and why; of a round that others hit nobody does. Says who leads."""
    race = course.race
    if hit:
        return {}
    figures = race.all_figures(standing) if course.violates is not None or course.holds is not None else {}
    out: dict[Config, str] = {}
    if course.violates is not None:
        reasons = {config: course.violates(config, figures[config]) for config in standing if config in figures}
        out.update({config: reason for config, reason in reasons.items() if reason})
    fit = [config for config in standing if config not in out]
    if not fit:
        return out
    race.leader = leader = _best_first(course, fit)[0]
    if course.holds is not None and not course.holds(leader, figures[leader]):
        return out  # who does not hold the constraints beats nobody
    costs = {
        config: [
            math.log(race.cost_ns(config, block))
            for block in race.entrants[config].blocks[bank.number]
            if (bank.number, block.round) not in race.rejected
        ]
        for config in fit
    }
    out.update(dict.fromkeys(dominated(costs, leader), f"dominated by {leader.id}"))
    return out


def _best_first(course: _Course, configs: Sequence[Config], lanes: range | None = None) -> tuple[Config, ...]:
    """Those that hold the constraints before those that do not, each best first."""
    race = course.race
    ranked = race.ranking(configs, lanes)
    if course.holds is None:
        return ranked
    figures, holds = race.all_figures(ranked), course.holds
    return tuple(sorted(ranked, key=lambda config: not holds(config, figures[config])))


def _round_s(course: _Course, configs: Iterable[Config]) -> float:
    """What a round of these takes."""
    return sum(course.race.entrants[config].block_s for config in configs)


def _start_s(course: _Course, configs: Sequence[Config]) -> float:
    """What a bank of these takes before its first round."""
    lanes = len({config.pinning for config in configs})
    opening = sum(course.race.entrants[config].open_s for config in configs)
    return course.start_s * lanes + opening + course.order.warmup_s * len(configs)


def _least_finals_s(course: _Course, standing: Sequence[Config]) -> float:
    """Finals of one round in each of the fewest lanes, of average candidates."""
    share = min(1.0, course.max_finalists / len(standing))
    lanes_s = course.start_s * len({config.pinning for config in standing})
    each_s = _start_s(course, standing) - lanes_s + _round_s(course, standing)
    return MIN_LANES * (lanes_s + share * each_s)


def _too_small(course: _Course, needed_s: float) -> BadOption:
    return BadOption(
        f"--budget {course.order.budget_s:g}s: too small for {len(course.race.entrants)} candidates, which need about "
        f"{math.ceil(needed_s * 1.2)}s; give that, or fewer candidates"
    )


# ------------------------------------------------------------------------------------------------------------ finals


def _run_finals(course: _Course) -> None:
    """The finalists in one fresh bank after another until the budget is spent, MIN_LANES at least."""
    race, clock = course.race, course.clock
    standing = list(race.finalists)
    if not standing:
        return
    banks = max(MIN_LANES, lanes_within(course.end - clock(), _start_s(course, standing), _round_s(course, standing)))
    done = 0
    while done < banks and standing:
        lane_end = clock() + max(0.0, course.end - clock()) / (banks - done)
        try:
            with _bank(course) as bank:
                _run_final(course, bank, standing, lane_end, f"finals, lane {done + 1} of {banks}")
            done += 1
        except (LaneError, ContestantRefused) as trouble:
            if not _survives(course, trouble):
                race.exhausted = str(trouble)
                return
        _settle(course, standing)


def _run_final(course: _Course, bank: _Bank, standing: Sequence[Config], lane_end: float, text: str) -> None:
    """Rounds of the finalists in one bank."""
    for config in standing:
        bank.open(config)
    for config in standing:
        bank.block(config, course.order.warmup_s)

    def enough(_rounds: int) -> bool:
        return course.clock() + _round_s(course, standing) > lane_end

    order = course.order
    for blocks, hit in watched_rounds(
        standing, bank.timed_block, enough, order.seed, bank.number, course.clock, course.read_contention
    ):
        _keep(course, bank, blocks, hit)
        course.tell(text)


def _settle(course: _Course, standing: list[Config]) -> None:
    """After a lane of the finals: who is out, and who leads."""
    race = course.race
    if course.violates is not None:
        for config, figures in race.all_figures(standing).items():
            race.entrants[config].dropped = course.violates(config, figures)
    standing[:] = [config for config in standing if race.entrants[config].racing]
    race.leader = next(iter(_best_first(course, standing, race.final_lanes)), race.leader)
