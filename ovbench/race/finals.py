"""The finals of a race: the few that are left in one fresh bank after another, until the budget is spent."""

from __future__ import annotations

from collections.abc import Sequence

from ovbench.campaign import MIN_LANES, lanes_within
from ovbench.config import Config
from ovbench.errors import ContestantRefused, LaneError
from ovbench.race.bank import Bank, fresh_bank, kept_rounds, survives
from ovbench.race.course import Course, name_leader, opening_s, round_s, starting_s


def run_finals(course: Course) -> None:
    """The finalists in one fresh bank after another until the budget is spent, MIN_LANES at least."""
    race, clock = course.race, course.clock
    standing = list(race.finalists)
    if not standing:
        return
    start_s = starting_s(course, standing) + opening_s(course, standing)
    banks = max(MIN_LANES, lanes_within(course.end - clock(), start_s, round_s(course, standing)))
    done = 0
    while done < banks and standing:
        lane_end = clock() + max(0.0, course.end - clock()) / (banks - done)
        try:
            with fresh_bank(course) as bank:
                _run_final(bank, standing, lane_end, f"finals, lane {done + 1} of {banks}")
            done += 1
        except (LaneError, ContestantRefused) as trouble:
            if not survives(course, trouble):
                return
        _settle(course, standing)


def _run_final(bank: Bank, standing: Sequence[Config], lane_end: float, text: str) -> None:
    """Rounds of the finalists in one bank."""
    course = bank.course
    for config in standing:
        bank.open(config)
    for config in standing:
        bank.block(config, course.order.warmup_s)

    def enough() -> bool:
        return course.clock() + round_s(course, standing) > lane_end

    for _ in kept_rounds(bank, standing, enough):
        course.tell(text)


def _settle(course: Course, standing: list[Config]) -> None:
    """After a lane of the finals: who is out, and who leads."""
    race = course.race
    for config in standing:
        race.entrants[config].dropped = course.rules.violates(config)
    standing[:] = [config for config in standing if race.entrants[config].racing]
    name_leader(course, standing, race.final_lanes)
