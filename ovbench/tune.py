"""Which configuration to deploy here: the candidates, their race, the constraints, and the pick."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ovbench import hosts, machine, records, runtime
from ovbench.accuracy import Accuracy
from ovbench.agreement import Agreement
from ovbench.artifacts import ArtifactCache
from ovbench.campaign import Clock, OpenLane, Order, block_seconds
from ovbench.candidates import candidates, default_space
from ovbench.config import AUTO, Config, Hint, Mode, Precision
from ovbench.errors import BadModel, BadOption, ContestantRefused, LaneError, NotWritable, OvbenchError
from ovbench.lanes import Lane
from ovbench.models import source as sources
from ovbench.models.names import EMBEDDED
from ovbench.models.source import Source
from ovbench.options import Settings, write_settings
from ovbench.precision import SAME_FILE, Variant
from ovbench.race import Figures, Goal, Race, race_fields, run_race
from ovbench.samples import Block, Replicate
from ovbench.stats import Estimate, quantile, ratio_estimate, share_estimate, wilson
from ovbench.story.figures import inverse
from ovbench.suite import MEMORY_SHARE, check_models
from ovbench.verdict import Outcome, Verdict, check_floor, compare

ALL = "all"
"""What all axes together bought: the axis of a ``Bought`` whose ``without`` sets nothing but the goal's hint."""
CLOSE = 0.01  # a simpler one that nothing tells from the best is picked if its estimate is this near: half the band
LATE_SHARE = 0.01  # of the inferences may take longer than --p99
LATE_CONFIDENCE = 0.99  # it is asked after every round whether too many are late, as ovbench.ab's intervals are
LEAD_CONFIDENCE = 0.8  # of "too many are late" while racing: one late in 40 bars nobody from the finals, two do
MIN_LATE_BLOCKS = 2  # a single one may have been an accident that nobody measured

Progress = Callable[[str], AbstractContextManager[Callable[[float, str], None]]]


class Limit(Enum):
    """What a pick may be held to, by its flag; in the order in which they are asked for."""

    THREADS = "--max-threads"
    MEMORY = "--max-memory"
    AGREEMENT = "--min-agreement"
    P99 = "--p99"


@dataclass(frozen=True)
class Constraints:
    """What a pick must hold; None asks for nothing. Agreement is the share of first answers that are FP32's."""

    p99_ns: float | None = None
    min_agreement: float | None = None
    max_memory_bytes: int | None = None
    max_threads: int | None = None


NONE = Constraints()
NOBODY: Mapping[Config, int] = MappingProxyType({})


@dataclass(frozen=True)
class Aim:
    """What was asked: the model and its files, what is raced for, what must hold, and the axes that were given.

    ``axes`` are fields of ``candidates.Space`` and the values to try; those that are missing have the host's default.
    """

    settings: Settings
    goal: Goal = Goal.THROUGHPUT
    constraints: Constraints = NONE
    axes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Status:
    """How the pick stands to one constraint; limit and value in ns, share, bytes or threads, None: cannot be said.

    HELD is shown; UNSURE holds by its point estimate, and ``reason`` says what is not shown.
    """

    limit: Limit
    asked: float
    value: float | None
    outcome: Outcome
    reason: str = ""


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


@dataclass
class Tuned:
    """All that one tuning knows; filled as it goes, so that an interrupted one can say what it has."""

    aim: Aim
    journal: records.Journal
    band: float = hosts.DEFAULT_BAND
    host: machine.Machine = field(default_factory=machine.fingerprint)
    versions: Mapping[str, str | None] = field(default_factory=machine.library_versions)
    race: Race = field(init=False)
    source: Source | None = None
    variants: dict[Precision, Variant] = field(default_factory=dict)
    left_out: dict[Precision, str] = field(default_factory=dict)
    agreements: dict[Precision, Agreement] = field(default_factory=dict)
    order: Order | None = None
    peak_bytes: dict[Config, int | None] = field(default_factory=dict)
    """Of a fresh process that opened just this one and ran a block; None where the system does not tell."""
    opened: Mapping[str, Any] = field(default_factory=dict)
    """What that process answered when it opened the pick."""
    pick: Pick | None = None
    statuses: tuple[Status, ...] = ()
    front: tuple[Config, ...] = ()
    bought: tuple[Bought, ...] = ()

    def __post_init__(self) -> None:
        self.race = Race(goal=self.aim.goal)


# ------------------------------------------------------------------------------------------------------- constraints


def kept_blocks(race: Race, config: Config) -> list[Block]:
    """A candidate's blocks in order, without those of rounds that others took too much of."""
    blocks = [(lane, block) for lane, blocks in race.entrants[config].blocks.items() for block in blocks]
    return [block for lane, block in blocks if (lane, block.round) not in race.rejected]


def blocks_of(race: Race, config: Config) -> list[Block]:
    """The kept blocks, or all where others took too much of every round."""
    return kept_blocks(race, config) or [block for each in race.samples(config) for block in each.blocks]


def latencies_ns(config: Config, block: Block) -> tuple[int, ...]:
    """What a caller waits: for a call (sync), for a request under load (async)."""
    return block.wall_ns if config.mode is Mode.SYNC else block.latency_ns


def late_share(race: Race, config: Config, limit_ns: float, confidence: float = LATE_CONFIDENCE) -> Estimate | None:
    """Share of the inferences that took longer than the limit, with its interval; None without any.

    Late ones come in bursts, so their effective number is judged from how blocks differ. Where none is late nothing
    comes together, and each inference counts, as in every p99 that is printed.
    """
    blocks = [latencies_ns(config, block) for block in blocks_of(race, config)]
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
    return [taken for block in blocks_of(race, config) for taken in latencies_ns(config, block)]


def threads_of(race: Race, config: Config) -> int:
    """Threads that run it, as OpenVINO reads them back; 0 where the device does not tell."""
    return int(race.entrants[config].effective.get("threads") or 0)


def streams_of(race: Race, config: Config) -> int:
    """Streams that run it, as OpenVINO reads them back; 0 where the device does not tell."""
    return int(race.entrants[config].effective.get("streams") or 0)


def violation(race: Race, constraints: Constraints, config: Config) -> str:
    """Why a candidate clearly breaks a constraint, in one phrase; "" where it does not, or none can say yet."""
    if not holds(race, constraints, config, Limit.THREADS):
        return f"runs {threads_of(race, config)} threads"
    if not holds(race, constraints, config, Limit.MEMORY):
        return f"takes {race.entrants[config].memory_bytes / 1e6:.0f} MB and more"
    if constraints.p99_ns is not None and len(kept_blocks(race, config)) >= MIN_LATE_BLOCKS:
        late = late_share(race, config, constraints.p99_ns)
        if late is not None and late.low is not None and late.low > LATE_SHARE:
            return f"{late.value:.0%} of its inferences take longer than {constraints.p99_ns / 1e6:g} ms"
    return ""


def holds(race: Race, constraints: Constraints, config: Config, limit: Limit) -> bool:
    """Whether a candidate holds a constraint by the race's point estimates; agreement was seen to before it.

    What a candidate added to a process that held others only tells who is surely too large.
    """
    if limit is Limit.THREADS and constraints.max_threads is not None:
        return threads_of(race, config) <= constraints.max_threads
    if limit is Limit.MEMORY and constraints.max_memory_bytes is not None:
        return race.entrants[config].memory_bytes <= constraints.max_memory_bytes
    if limit is Limit.P99 and constraints.p99_ns is not None:
        late = late_share(race, config, constraints.p99_ns)
        return late is not None and late.value <= LATE_SHARE
    return True


def may_hold(race: Race, constraints: Constraints, config: Config) -> bool:
    """Whether a candidate may lead a race: it holds every constraint, or few inferences cannot tell that it does not.

    Early on a single late inference of a dozen is far above 1 %, and says little.
    """
    if constraints.p99_ns is not None:
        late = late_share(race, config, constraints.p99_ns, LEAD_CONFIDENCE)
        if late is None or late.low is None or late.low > LATE_SHARE:
            return False
    return all(holds(race, constraints, config, limit) for limit in (Limit.THREADS, Limit.MEMORY))


def holding(race: Race, constraints: Constraints, too_large: Mapping[Config, int] = NOBODY) -> list[Config]:
    """All that were measured and hold every constraint, in the race's order. Raises BadOption where nobody does.

    ``too_large``: peaks of processes of their own that are beyond --max-memory. The refusal names the first constraint
    that nobody is left to hold, and the nearest that is possible.
    """
    left = measured(race)
    for limit in Limit:
        held = [config for config in left if holds(race, constraints, config, limit)]
        if limit is Limit.MEMORY:
            held = [config for config in held if config not in too_large]
        if left and not held:
            raise BadOption(_refusal(race, constraints, limit, left, too_large))
        left = held
    return left


def _refusal(
    race: Race, constraints: Constraints, limit: Limit, left: Sequence[Config], too_large: Mapping[Config, int]
) -> str:
    if limit is Limit.MEMORY:
        peaks = {config: too_large.get(config, race.entrants[config].memory_bytes) for config in left}
        return memory_refusal(constraints, peaks)
    if limit is Limit.THREADS:
        nearest = min(left, key=partial(threads_of, race))
        return _none_holds(limit, f"{constraints.max_threads}", f"{threads_of(race, nearest)}", nearest)
    assert constraints.p99_ns is not None, "only what is asked for can be broken"
    tails = {config: float(np.quantile(all_latencies_ns(race, config), 1 - LATE_SHARE)) for config in left}
    nearest = min(tails, key=tails.__getitem__)
    busy = "; the machine was busy, ask again when it is not" if race.busy else ""
    return _none_holds(limit, f"{constraints.p99_ns / 1e6:g}ms", f"{tails[nearest] / 1e6:.3g} ms", nearest) + busy


def memory_refusal(constraints: Constraints, peaks: Mapping[Config, int]) -> str:
    """The line that says that no candidate holds --max-memory, and which of these comes nearest."""
    nearest = min(peaks, key=peaks.__getitem__)
    asked = (constraints.max_memory_bytes or 0) / 1e6
    return _none_holds(Limit.MEMORY, f"{asked:.3g}MB", f"{peaks[nearest] / 1e6:.0f} MB", nearest)


def _none_holds(limit: Limit, asked: str, possible: str, nearest: Config) -> str:
    return f"{limit.value} {asked}: no candidate holds it; the nearest is {possible}: {nearest.id}"


def statuses(
    race: Race,
    constraints: Constraints,
    config: Config,
    agreements: Mapping[Precision, Agreement],
    peak_bytes: int | None,
) -> tuple[Status, ...]:
    """Every constraint that was asked for, and how a pick stands to it; ``peak_bytes`` of a process of its own."""
    found = []
    if constraints.p99_ns is not None:
        late = late_share(race, config, constraints.p99_ns)
        assert late is not None, "what is picked was measured"
        assert late.high is not None, "a share has an interval"
        p99_ns = quantile(all_latencies_ns(race, config), 1 - LATE_SHARE)
        shown = late.high <= LATE_SHARE
        reason = "" if shown else f"{late.value:.2%} were late, and up to {late.high:.1%} may be"
        found.append(_status(Limit.P99, constraints.p99_ns, p99_ns, shown, reason))
    if constraints.min_agreement is not None:
        agreement = agreements.get(config.precision)
        share = Estimate(1.0, 1.0, 1.0, 1) if agreement is None else agreement.top1
        shown = check_floor(share, constraints.min_agreement) is Outcome.HELD
        reason = "" if shown else f"{share.count} pictures show at least {share.low:.3f}"
        found.append(_status(Limit.AGREEMENT, constraints.min_agreement, share.value, shown, reason))
    if constraints.max_memory_bytes is not None:
        shown = peak_bytes is not None
        reason = "" if shown else "this system does not tell the peak of a process"
        found.append(_status(Limit.MEMORY, constraints.max_memory_bytes, peak_bytes, shown, reason))
    if constraints.max_threads is not None:
        found.append(_status(Limit.THREADS, constraints.max_threads, threads_of(race, config), True, ""))
    return tuple(found)


def _status(limit: Limit, asked: float, value: float | None, shown: bool, reason: str) -> Status:
    return Status(limit, asked, value, Outcome.HELD if shown else Outcome.UNSURE, reason)


# ---------------------------------------------------------------------------------------------------------- deciding


def measured(race: Race) -> list[Config]:
    """All candidates that have samples of their own."""
    return [config for config, entrant in race.entrants.items() if entrant.distinct and race.samples(config)]


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
    chosen = min(alike, key=set_properties)  # min takes the first, the best, of the simplest
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
    costs = [figure_cost(race.goal, figures) for figures in race.all_figures([config, other]).values()]
    return Estimate(costs[1] / costs[0], None, None, 0)


def figure_cost(goal: Goal, figures: Figures) -> float:
    """What is raced for, in ns, by figures that are comparable over rounds."""
    return 1e9 / figures.images_per_s if goal is Goal.THROUGHPUT else figures.p50_ns


def _alike(race: Race, best: Config, config: Config) -> bool:
    """Whether nothing tells it from the best, and its estimate is near."""
    estimate = advantage(race, best, config)
    return _holds_one(estimate) and estimate.value <= 1 + CLOSE


def _holds_one(estimate: Estimate) -> bool:
    return estimate.low is None or estimate.high is None or estimate.low <= 1 <= estimate.high


def set_properties(config: Config) -> int:
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
    value = figure_cost(race.goal, figures)
    if lanes.low is None or lanes.high is None:
        return Estimate(value, None, None, lanes.count)
    return Estimate(value, value * lanes.low / lanes.value, value * lanes.high / lanes.value, lanes.count)


def pareto(race: Race) -> tuple[Config, ...]:
    """Those that nobody beats in both, median latency and images a second, the lowest latency first."""
    figures = race.all_figures(measured(race))
    front: list[Config] = []
    most = 0.0
    for config in sorted(figures, key=lambda each: (figures[each].p50_ns, -figures[each].images_per_s)):
        if figures[config].images_per_s > most:
            most = figures[config].images_per_s
            front.append(config)
    return tuple(front)


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
        "streams": lambda each: streams_of(race, each) == 1,
        "threads": lambda each: each.threads == 0,
        "requests": lambda each: each.requests == 0,
        "batch": lambda each: each.batch <= 1,
        "pinning": lambda each: each.pinning is None,
        "hyper_threading": lambda each: each.hyper_threading is None,
    }
    able = holding(race, constraints)
    figures = race.all_figures(measured(race))
    found = []
    usual = plain_hint(race, config)
    if usual != config and usual in figures:
        found.append(Bought(ALL, usual, advantage(race, config, usual), shared_rounds(race, config, usual)))
    for axis, is_reset in resets.items():
        if is_reset(config):
            continue
        others = [each for each in able if is_reset(each)]
        without = min(others, key=lambda each: figure_cost(race.goal, figures[each]), default=None)
        ratio = None if without is None else advantage(race, config, without)
        found.append(Bought(axis, without, ratio, 0 if without is None else shared_rounds(race, config, without)))
    return tuple(found)


def shared_rounds(race: Race, a: Config, b: Config) -> int:
    """How many rounds both ran."""
    of_a, of_b = (
        {(each.lane, block.round) for each in race.samples(config) for block in each.blocks} for config in (a, b)
    )
    return len(of_a & of_b)


# ----------------------------------------------------------------------------------------------------------- running


def usual_precisions(settings: Settings) -> tuple[Precision, ...]:
    """FP32 and BF16, and INT8 where it can be had with answers that mean something: pictures, or a file of it."""
    trusted = settings.model == (EMBEDDED,) or settings.images or Precision.INT8 in settings.variant
    return (Precision.FP32, Precision.BF16, *((Precision.INT8,) if trusted else ()))


def tune(
    tuned: Tuned,
    cache: ArtifactCache,
    progress: Progress,
    open_lane: OpenLane = Lane,
    clock: Clock = time.monotonic,
) -> None:
    """Answer what was asked, into ``tuned`` as it goes. On Ctrl-C all finished rounds are in it and in the journal.

    Raises BadInput: a model, precision or option that cannot be had, a budget under one round, impossible constraints.
    """
    check(tuned.aim)
    resolve(tuned, cache, progress)
    tuned.order = order_of(tuned)
    if tuned.aim.constraints.min_agreement is not None:
        leave_out_disagreeing(tuned, progress)
        tuned.order = order_of(tuned)
    if tuned.aim.constraints.max_memory_bytes is not None:
        check_memory(tuned, open_lane)
    try:
        run(tuned, tuned.order, progress, open_lane, clock)
    finally:
        write_candidates(tuned)
    decide(tuned, tuned.order, progress, open_lane)
    tuned.journal.write("tuned", **tuned_fields(tuned))


def check(aim: Aim) -> None:
    """Raise BadOption for what can be refused before anything is read."""
    check_models(aim.settings)
    runtime.check_device(aim.settings.device)
    most = aim.constraints.max_threads
    given = aim.axes.get("threads", ())
    if most is not None and any(each > most for each in given):
        raise BadOption(f"--threads {max(given)}: more than --max-threads {most}: leave one of them out")


def resolve(tuned: Tuned, cache: ArtifactCache, progress: Progress) -> None:
    """Find the model and its variants; a precision that cannot be had is left out, unless no other is asked for."""
    settings = tuned.aim.settings
    (given,) = settings.model
    with progress("Model") as advance:
        tuned.source = sources.resolve(given, settings, cache, lambda doing, share: advance(share, doing))
    reference = (Precision.FP32,) if tuned.aim.constraints.min_agreement is not None else ()
    for precision in dict.fromkeys((*reference, *settings.precision)):
        reason = runtime.unsupported(precision, settings.device)
        if not reason:
            try:
                with progress(f"{precision.value} model") as advance:
                    tuned.variants[precision] = sources.variant_of(
                        tuned.source, precision, settings, cache, lambda doing, share: advance(share, doing)
                    )
            except NotWritable:
                raise
            except OvbenchError as error:
                reason = str(error)
        if reason:
            tuned.left_out[precision] = reason
    if not precisions_of(tuned):
        raise BadOption(f"--precision {settings.precision[0].value}: {tuned.left_out[settings.precision[0]]}")


def precisions_of(tuned: Tuned) -> tuple[Precision, ...]:
    """Those that were asked for and can be had."""
    return tuple(each for each in tuned.aim.settings.precision if each not in tuned.left_out)


def order_of(tuned: Tuned) -> Order:
    """All candidates, and how they are raced."""
    assert tuned.source is not None, "the model is resolved first"
    aim, settings = tuned.aim, tuned.aim.settings
    ours, physical = machine.own_cores(), machine.physical_cores()
    shared = [len(core if ours is None else core & ours) for core in physical]
    quota = machine.quota_threads(tuned.host)
    cores = min(each for each in (tuned.host.cores, quota, aim.constraints.max_threads) if each)
    space = replace(
        default_space(cores, max(shared, default=1), precisions_of(tuned)),
        model=tuned.source.name,
        device=settings.device,
        **aim.axes,
    )
    free = machine.available_memory_bytes()
    return Order(
        configs=candidates(space),
        variants={(tuned.source.name, precision.value): each for precision, each in tuned.variants.items()},
        shape=settings.shape,
        budget_s=settings.budget,
        warmup_s=settings.warmup,
        seed=settings.seed,
        max_memory_bytes=None if free is None else int(free * MEMORY_SHARE),
        quota_threads=cores if cores < tuned.host.cores else 0,
    )


def leave_out_disagreeing(tuned: Tuned, progress: Progress) -> None:
    """Find every precision's agreement with FP32, and leave out those under --min-agreement, by their point estimate.

    Raises BadOption where it cannot be measured, or none of the precisions asked for agrees.
    """
    source, settings, floor = tuned.source, tuned.aim.settings, tuned.aim.constraints.min_agreement
    assert source is not None, "the model is resolved first"
    assert floor is not None, "asked only with a floor"
    if source.classes is None or source.evaluation is None:
        reason = source.reason or f"{source.name} gives no row of class scores"
        raise BadOption(f"{Limit.AGREEMENT.value} {floor:g}: {reason}")
    accuracy = Accuracy()
    for precision, variant in tuned.variants.items():
        with progress(f"Agreement {precision.value}") as advance:
            cell = Config(source.name, settings.device, precision, Hint.THROUGHPUT, AUTO)
            compiled = runtime.compile_cell(variant.path, cell, settings.shape, None)
            accuracy.run(source, precision, compiled, partial(_advance, advance))
        accuracy.judge(source, precision)
        agreement = tuned.agreements[precision] = accuracy.agreements[source.name, precision]
        if agreement.top1.value < floor:
            tuned.left_out[precision] = (
                f"top-1 agreement with FP32 is {agreement.top1.value:.3f}, under {Limit.AGREEMENT.value} {floor:g}"
            )
    if not precisions_of(tuned):
        found = {each: tuned.agreements[each].top1.value for each in settings.precision if each in tuned.agreements}
        nearest = max(found, key=found.__getitem__)
        raise BadOption(
            f"{Limit.AGREEMENT.value} {floor:g}: no candidate holds it; the nearest is {found[nearest]:.3f}: "
            f"{nearest.value}"
        )


def _advance(advance: Callable[[float, str], None], share: float) -> None:
    advance(share, "")


def check_memory(tuned: Tuned, open_lane: OpenLane) -> None:
    """Raise BadOption where not even the simplest candidate of any precision fits --max-memory, alone in a process."""
    order, constraints = tuned.order, tuned.aim.constraints
    assert order is not None, "candidates are made first"
    simplest = {config.precision: config for config in reversed(order.configs)}
    peaks: dict[Config, int] = {}
    for config in simplest.values():
        try:
            _, peak = open_alone(order, config, open_lane)
        except (ContestantRefused, LaneError):  # the race will tell
            return
        tuned.peak_bytes[config] = peak
        if peak is None or peak <= (constraints.max_memory_bytes or 0):
            return
        peaks[config] = peak
    raise BadOption(memory_refusal(constraints, peaks))


def open_alone(order: Order, config: Config, open_lane: OpenLane) -> tuple[Mapping[str, Any], int | None]:
    """Open one candidate in a fresh process and run a block: what it answered, and its peak memory in bytes."""
    with contextlib.closing(open_lane()) as lane:
        opened = lane.ask(order.open_request(config, None))
        lane.ask({"do": "block", "key": config.key, "duration_ns": round(block_seconds(config) * 1e9)})
        return opened, lane.ask({"do": "usage"})["peak_resident_bytes"]


def run(tuned: Tuned, order: Order, progress: Progress, open_lane: OpenLane, clock: Clock) -> None:
    """Race the candidates; what a lane measured is in the journal as it ends. Raises BadModel where all are faults."""
    race, constraints = tuned.race, tuned.aim.constraints
    free = constraints == NONE

    def keep(config: Config, replicate: Replicate) -> None:
        if not tuned.journal.path.exists():
            write_header(tuned)
        rejected = sorted(number for lane, number in race.rejected if lane == replicate.lane)
        tuned.journal.write("replicate", **records.replicate_fields(config, replicate), rejected=rejected)

    with progress("Tune") as advance:
        run_race(
            order,
            race,
            open_lane,
            clock,
            violates=None if free else lambda config, _figures: violation(race, constraints, config),
            holds=None if free else lambda config, _figures: may_hold(race, constraints, config),
            on_progress=advance,
            on_replicate=keep,
            beside=partial(plain_hint, race),
        )
    if not measured(race):
        faults = [entrant.fault for entrant in race.entrants.values() if entrant.fault]
        reason = faults[0] if faults else race.exhausted or "nothing was measured"
        raise BadModel(f"no candidate of {order.configs[0].model} runs here: {reason}")


def decide(tuned: Tuned, order: Order, progress: Progress, open_lane: OpenLane) -> None:
    """Pick, and see in a process of its own what memory that takes; who takes too much leaves the place to the next."""
    race, constraints = tuned.race, tuned.aim.constraints
    too_large: dict[Config, int] = {}
    with progress("Pick") as advance:
        while True:
            found = pick(race, constraints, too_large, tuned.band)
            advance(len(too_large) / len(race.entrants), found.config.id)
            tuned.opened, peak = open_alone(order, found.config, open_lane)
            tuned.peak_bytes[found.config] = peak
            if constraints.max_memory_bytes is None or peak is None or peak <= constraints.max_memory_bytes:
                break
            too_large[found.config] = peak
    tuned.pick = found
    tuned.statuses = statuses(race, constraints, found.config, tuned.agreements, peak)
    tuned.front = pareto(race)
    tuned.bought = what_axes_bought(race, constraints, found.config)


# ----------------------------------------------------------------------------------------------------------- journal


def write_header(tuned: Tuned) -> None:
    """The journal's first line."""
    aim = tuned.aim
    tuned.journal.write(
        "session",
        tool="tune",
        settings=write_settings(aim.settings),
        goal=aim.goal.value,
        constraints=asdict(aim.constraints),
        seed=aim.settings.seed,
        machine=asdict(tuned.host),
        fingerprint=tuned.host.fingerprint_id,
        versions=dict(tuned.versions),
        commit=machine.commit(Path.cwd()),
    )


def write_candidates(tuned: Tuned) -> None:
    """A line for every candidate, with the figures that it has; none where nothing was measured."""
    if not tuned.journal.path.exists():
        return
    figures = tuned.race.all_figures(measured(tuned.race))
    for config, entrant in tuned.race.entrants.items():
        found = figures.get(config)
        tuned.journal.write("candidate", **race_fields(entrant), figures=None if found is None else asdict(found))


def tuned_fields(tuned: Tuned) -> dict[str, Any]:
    """The decision as plain values, for the journal and for --json."""
    found, race = tuned.pick, tuned.race
    assert found is not None, "told once it is decided"
    return {
        "goal": tuned.aim.goal.value,
        "pick": found.config.id,
        "config": found.config.axes,
        "effective": dict(tuned.opened["effective"]),
        "figures": asdict(found.figures),
        "cost_ns": asdict(found.cost),
        "runner_up": None if found.runner_up is None else found.runner_up.id,
        "margin": None if found.margin is None else asdict(found.margin),
        "verdict": found.verdict.value,
        "better": None if found.better is None else found.better.id,
        "peak_resident_bytes": tuned.peak_bytes[found.config],
        "constraints": [
            {**asdict(each), "limit": each.limit.value, "outcome": each.outcome.value} for each in tuned.statuses
        ],
        "front": [config.id for config in tuned.front],
        "bought": [
            {**asdict(each), "without": None if each.without is None else each.without.id} for each in tuned.bought
        ],
        "finalists": [config.id for config in race.finalists],
        "left_out": {precision.value: reason for precision, reason in tuned.left_out.items()},
        "lanes": race.lanes,
        "heat_lanes": race.heat_lanes,
        "rounds": race.rounds,
        "rejected": sorted(race.rejected),
        "notes": race.notes,
        "exhausted": race.exhausted,
        "wall_s": race.wall_s,
    }
