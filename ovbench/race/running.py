"""Running a race: heats in which most drop out, and finals of the few that are left, in fresh lanes."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

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
from ovbench.config import Config
from ovbench.errors import BadOption, ContestantRefused, LaneError
from ovbench.lanes import Askable
from ovbench.machine import Contention, read_our_contention
from ovbench.precision import prove
from ovbench.race.effects import dominated
from ovbench.race.standing import Entrant, Figures, Race
from ovbench.samples import Block, Replicate
from ovbench.worker import MIN_INFERENCES_PER_BLOCK

MAX_FINALISTS = 4
MIN_OPENED = 10  # before their time says how long all will take; aliases, which cost least, come last
FINALS_SHARE = 0.4  # of the time that is left once all are open; and what the heats leave
OUTPACED = "others did better in the time there was"

Violates = Callable[[Config, Figures], str]
"""Why a candidate is out, "" if it is not: clear cases only, what is in doubt may run on."""
Holds = Callable[[Config, Figures], bool]
"""Whether a candidate holds the constraints as far as is known: only such a one may lead and drop others."""
Beside = Callable[[Config], Config]
"""What the best of the heats is measured against in the finals, whatever became of it before."""


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
    beside: Beside | None = None,
) -> None:
    """Race the order's configs within its budget, ``into`` the race round by round; seed and memory are the order's.

    Heats: all are opened (as many as the memory allows, the rest after them, beside the leaders) and run rounds; after
    each, who is dominated or ``violates`` a constraint drops out. Finals: the few that are left in fresh lanes, at
    least MIN_LANES of them, and who is to stand ``beside`` the best. ``holds`` says who may lead. ``on_replicate`` gets
    each candidate's blocks as a lane ends.

    A candidate that OpenVINO refuses, or that a lane dies of, becomes a fault; a fresh lane takes the place, and the
    others go on. Raises BadOption when the budget does not hold a round of all and the finals. On Ctrl-C what is done
    is kept.
    """
    course = _Course(
        order, into, open_lane, clock, violates, on_progress, on_replicate, max_finalists, read_contention, holds,
        beside,
    )  # fmt: skip
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
    beside: Beside | None
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
    if course.beside is not None and race.finalists:
        _call_back(course, course.beside(race.finalists[0]))


def _call_back(course: _Course, wanted: Config) -> None:
    """A candidate that dropped out is in the finals after all, unless it clearly violates a constraint."""
    race = course.race
    if wanted not in race.entrants or race.representative(wanted) in race.finalists:
        return
    config = race.representative(wanted)
    figures = race.figures(config) if race.entrants[config].distinct else None
    if figures is None or (course.violates is not None and course.violates(config, figures)):
        return
    race.entrants[config].dropped = ""
    race.finalists = (*race.finalists, config)


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
    pace = _Pace(clock(), heats_s * len(standing) / (len(standing) + len(waiting)), len(standing), course.max_finalists)

    def enough(_rounds: int) -> bool:
        return len(standing) <= course.max_finalists or clock() + _round_s(course, standing) > pace.end

    order = course.order
    for blocks, hit in watched_rounds(
        standing, bank.timed_block, enough, order.seed, bank.number, clock, course.read_contention
    ):
        _keep(course, bank, blocks, hit)
        for config in blocks:
            race.entrants[config].rounds += 1
        _drop(course, bank, standing, _leaving(course, bank, standing, hit))
        if not hit or (race.busy and race.rounds > 1):  # one hit round alone is no reason to let anybody go
            places = pace.places(clock() + _round_s(course, standing) / 2)  # in the middle of the next round
            behind = _best_first(course, standing)[places:]
            _drop(course, bank, standing, dict.fromkeys(behind, OUTPACED))
        course.tell(f"{len(standing)} of {pace.entered} left")
    for config in _best_first(course, standing)[course.max_finalists :]:
        race.entrants[config].dropped = OUTPACED


def _drop(course: _Course, bank: _Bank, standing: list[Config], reasons: Mapping[Config, str]) -> None:
    for config, reason in reasons.items():
        standing.remove(config)
        course.race.entrants[config].dropped = reason
        bank.ask(config, "close")


@dataclass(frozen=True)
class _Pace:
    """How many may be left at each moment of a heat: fewer by the same factor in equal times, ``finalists`` at its end.

    So each stage of the field gets the same time, and the few that are left the most rounds: successive halving
    (Karnin, Koren and Somekh 2013), which is for a fixed budget; dominance alone would keep all that noise cannot tell
    apart until the time is up.
    """

    begin: float
    length_s: float
    entered: int
    finalists: int

    @property
    def end(self) -> float:
        """When the heat is over."""
        return self.begin + self.length_s

    def places(self, now: float) -> int:
        """How many may be left."""
        share = min(1.0, max(0.0, (now - self.begin) / max(self.length_s, 1e-9)))
        left = self.entered * math.exp(share * math.log(self.finalists / self.entered))
        return max(self.finalists, math.ceil(left))


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
        opening_s = (course.clock() - course.begin) * len(race.entrants) / opened
        hopeless = opened >= MIN_OPENED and opening_s > course.order.budget_s
        if (hopeless or course.clock() > course.end) and not race.rounds:
            raise _too_small(course, 2 * opening_s)
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
    figures = race.all_figures(standing) if course.violates is not None or course.holds is not None else {}
    out: dict[Config, str] = {}
    if course.violates is not None and not hit:
        reasons = {config: course.violates(config, figures[config]) for config in standing if config in figures}
        out.update({config: reason for config, reason in reasons.items() if reason})
    fit = [config for config in standing if config not in out]
    if not fit:
        return out
    race.leader = leader = _best_first(course, fit)[0]
    if hit or (course.holds is not None and not course.holds(leader, figures[leader])):
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
