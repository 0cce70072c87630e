"""The heats of a race: all are opened, and from round to round fewer are left, until few are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ovbench.campaign import BLOCK_OVERHEAD_S, MIN_LANES, block_seconds, effect_key
from ovbench.config import Config
from ovbench.errors import BadOption, ContestantRefused, LaneError
from ovbench.precision import prove
from ovbench.race.bank import Bank, fresh_bank, kept_rounds, survives
from ovbench.race.course import Course, best_first, name_leader, opening_s, round_s, starting_s
from ovbench.race.effects import dominated
from ovbench.race.standing import Entrant
from ovbench.worker import MIN_INFERENCES_PER_BLOCK

MIN_OPENED = 10  # before their time says how long all will take; aliases, which cost least, come last
FINALS_SHARE = 0.4  # of the time that is left once all are open; and what the heats leave
OUTPACED = "others did better in the time there was"


def run_heats(course: Course) -> None:
    """Heats until all have been opened, each until no more are left than may be finalists, or its time is up."""
    race = course.race
    waiting = list(course.order.configs)
    done = False
    while waiting or not done:
        done = False
        try:
            with fresh_bank(course) as bank:
                _run_heat(bank, waiting)
            done = True
        except (LaneError, ContestantRefused) as trouble:
            if not survives(course, trouble):
                return
        race.heat_lanes = race.lanes
    race.finalists = best_first(course, [config for config, entrant in race.entrants.items() if entrant.racing])
    if race.finalists:
        _call_back(course, course.rules.beside(race.finalists[0]))


def _call_back(course: Course, wanted: Config) -> None:
    """A candidate that dropped out is in the finals after all, unless it clearly violates a constraint."""
    race = course.race
    if wanted not in race.entrants:
        return
    config = race.representative(wanted)
    entrant = race.entrants[config]
    measured = entrant.distinct and bool(race.samples(config))
    if config not in race.finalists and measured and not course.rules.violates(config):
        entrant.dropped = ""
        race.finalists = (*race.finalists, config)


def _run_heat(bank: Bank, waiting: list[Config]) -> None:
    """Who is still in, and as many of those waiting as fit: opened, and raced until few are left."""
    course, race = bank.course, bank.course.race
    standing = _enter(bank, waiting)
    if not standing:
        return
    pace = _pace(course, standing, waiting)

    def enough() -> bool:
        return len(standing) <= pace.finalists or course.clock() + round_s(course, standing) > pace.end

    for ran, hit in kept_rounds(bank, standing, enough):
        for config in ran:
            race.entrants[config].rounds += 1
        _thin(bank, standing, pace, hit)
        course.tell(f"{len(standing)} of {pace.entered} left")
    for config in best_first(course, standing)[pace.finalists :]:
        race.entrants[config].dropped = OUTPACED


# ------------------------------------------------------------------------------------------------------ who comes in


def _enter(bank: Bank, waiting: list[Config]) -> list[Config]:
    """Open who is still in, then those waiting, in order, while they fit into the memory; at least one of them."""
    course, race, limit_bytes = bank.course, bank.course.race, bank.course.order.max_memory_bytes
    standing = [config for config, entrant in race.entrants.items() if entrant.racing]
    for config in standing:
        bank.open(config)
    taken_bytes = sum(race.entrants[config].memory_bytes for config in standing)
    old = len(standing)
    for config in list(waiting):
        entrant = race.entrants[config]
        if not entrant.fault and _is_new(bank, entrant):
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
        all_s = (course.clock() - course.begin) * len(race.entrants) / opened
        hopeless = opened >= MIN_OPENED and all_s > course.order.budget_s
        if (hopeless or course.clock() > course.end) and not race.rounds:
            raise _too_small(course, 2 * all_s)
    return standing


def _is_new(bank: Bank, entrant: Entrant) -> bool:
    """Open a candidate for the first time; whether it races: it is no alias, and nothing is wrong with it."""
    course, race, config = bank.course, bank.course.race, entrant.config
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


# -------------------------------------------------------------------------------------------------------- who goes


def _thin(bank: Bank, standing: list[Config], pace: _Pace, hit: bool) -> None:
    """After a round: who leads, and who drops out; of a round that others hit hardly anybody does."""
    course, race = bank.course, bank.course.race
    if not hit:
        broken = {config: course.rules.violates(config) for config in standing}
        _drop(bank, standing, {config: reason for config, reason in broken.items() if reason})
    name_leader(course, standing)
    leader = race.leader
    if not hit and leader in standing and course.rules.holds(leader):  # who does not hold the constraints beats nobody
        beaten = dominated(_log_costs(bank, standing), leader)
        _drop(bank, standing, dict.fromkeys(beaten, f"dominated by {leader.id}"))
    if not hit or (race.busy and race.rounds > 1):  # one hit round alone is no reason to let anybody go
        places = pace.places(course.clock() + round_s(course, standing) / 2)  # in the middle of the next round
        _drop(bank, standing, dict.fromkeys(best_first(course, standing)[places:], OUTPACED))


def _log_costs(bank: Bank, standing: Sequence[Config]) -> dict[Config, list[float]]:
    """Log costs of these in this bank's rounds, without those that others took too much of."""
    race = bank.course.race
    return {
        config: [
            math.log(race.cost_ns(config, block))
            for block in race.entrants[config].blocks[bank.number]
            if (bank.number, block.round) not in race.rejected
        ]
        for config in standing
    }


def _drop(bank: Bank, standing: list[Config], reasons: Mapping[Config, str]) -> None:
    for config, reason in reasons.items():
        standing.remove(config)
        bank.course.race.entrants[config].dropped = reason
        bank.ask(config, "close")


# -------------------------------------------------------------------------------------------------------------- time


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


def _pace(course: Course, standing: Sequence[Config], waiting: Sequence[Config]) -> _Pace:
    """The pace of a heat of these; the heats of those waiting get as much time each.

    Raises BadOption where the budget does not hold a first round of these and the least finals.
    """
    now, finals_s = course.clock(), _least_finals_s(course, standing)
    needed_s = now - course.begin + round_s(course, standing) + finals_s
    if needed_s > course.order.budget_s and not course.race.rounds:
        raise _too_small(course, needed_s)
    left_s = course.end - now
    heats_s = left_s - max(finals_s, FINALS_SHARE * left_s)
    share = len(standing) / (len(standing) + len(waiting))
    return _Pace(now, heats_s * share, len(standing), course.rules.max_finalists)


def _least_finals_s(course: Course, standing: Sequence[Config]) -> float:
    """Finals of one round in each of the fewest lanes, of average candidates."""
    share = min(1.0, course.rules.max_finalists / len(standing))
    each_s = opening_s(course, standing) + round_s(course, standing)
    return MIN_LANES * (starting_s(course, standing) + share * each_s)


def _too_small(course: Course, needed_s: float) -> BadOption:
    return BadOption(
        f"--budget {course.order.budget_s:g}s: too small for {len(course.race.entrants)} candidates, which need about "
        f"{math.ceil(needed_s * 1.2)}s; give that, or fewer candidates"
    )
