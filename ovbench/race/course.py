"""The course of a race: its rules, its lanes and its clock, and what every part of it asks of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ovbench.campaign import Clock, OpenLane, Order
from ovbench.candidates import candidate_name
from ovbench.config import Config
from ovbench.machine import Contention
from ovbench.race.standing import Race
from ovbench.samples import Replicate

MAX_FINALISTS = 4


@dataclass(frozen=True)
class Rules:
    """Who may stay in a race, lead it and come to its finals; unless told, everybody holds all that is asked.

    ``violates`` says why a candidate is out, "" if it is not: clear cases only, what is in doubt may run on. ``holds``
    is whether one holds the constraints as far as is known: only such a one drops others. ``beside`` is what the best
    of the heats is measured against in the finals, whatever became of it before.
    """

    violates: Callable[[Config], str] = lambda _config: ""
    holds: Callable[[Config], bool] = lambda _config: True
    beside: Callable[[Config], Config] = lambda best: best
    max_finalists: int = MAX_FINALISTS


OPEN_TO_ALL = Rules()


@dataclass
class Course:
    """What every part of a race needs: how it is run, and what was found on the way.

    ``asked`` is who is to blame where a lane ends, ``lost`` counts lanes that ended before anybody was asked.
    """

    order: Order
    race: Race
    open_lane: OpenLane
    clock: Clock
    rules: Rules
    on_progress: Callable[[float, str], None]
    on_replicate: Callable[[Config, Replicate], None]
    read_contention: Callable[[], Contention]
    begin: float = field(init=False)
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
        leads = "" if self.race.leader is None else f", {candidate_name(self.race.leader)} leads"
        self.on_progress(min(0.99, (self.clock() - self.begin) / self.order.budget_s), text + leads)


def best_first(course: Course, configs: Sequence[Config], lanes: range | None = None) -> tuple[Config, ...]:
    """Those that hold the constraints before those that do not, each best first; who has no samples yet comes last."""
    placed = sorted(course.race.ranking(configs, lanes), key=lambda config: not course.rules.holds(config))
    return tuple(dict.fromkeys((*placed, *configs)))


def name_leader(course: Course, standing: Sequence[Config], lanes: range | None = None) -> None:
    """Write down who leads: the best of these that was measured; who led before, where none was."""
    race = course.race
    race.leader = next((config for config in best_first(course, standing, lanes) if race.samples(config)), race.leader)


def round_s(course: Course, configs: Iterable[Config]) -> float:
    """What a round of these takes."""
    return sum(course.race.entrants[config].block_s for config in configs)


def opening_s(course: Course, configs: Sequence[Config]) -> float:
    """What opening these and warming them up takes, in lanes that are ready."""
    return sum(course.race.entrants[config].open_s + course.order.warmup_s for config in configs)


def starting_s(course: Course, configs: Iterable[Config]) -> float:
    """What starting a bank's lanes for these takes."""
    return course.start_s * len({config.pinning for config in configs})
