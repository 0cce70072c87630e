"""A race from end to end: heats in which most drop out, and finals of the few that are left, in fresh lanes."""

from __future__ import annotations

import time
from collections.abc import Callable

from ovbench.campaign import Clock, OpenLane, Order
from ovbench.config import Config
from ovbench.machine import Contention, read_our_contention
from ovbench.race.course import OPEN_TO_ALL, Course, Rules
from ovbench.race.finals import run_finals
from ovbench.race.heats import run_heats
from ovbench.race.standing import Entrant, Race
from ovbench.samples import Replicate


def run_race(
    order: Order,
    into: Race,
    open_lane: OpenLane,
    clock: Clock = time.monotonic,
    rules: Rules = OPEN_TO_ALL,
    on_progress: Callable[[float, str], None] = lambda _share, _text: None,
    on_replicate: Callable[[Config, Replicate], None] = lambda _config, _replicate: None,
    read_contention: Callable[[], Contention] = read_our_contention,
) -> None:
    """Race the order's configs within its budget, ``into`` the race round by round; seed and memory are the order's.

    Heats: all are opened (as many as the memory allows, the rest after them, beside the leaders) and run rounds; after
    each, who is dominated or violates a constraint drops out. Finals: the few that are left in fresh lanes, at least
    MIN_LANES of them, and who is to stand beside the best. ``on_replicate`` gets each candidate's blocks as a lane
    ends.

    A candidate that OpenVINO refuses, or that a lane dies of, becomes a fault; a fresh lane takes the place, and the
    others go on. Raises BadOption when the budget does not hold a round of all and the finals. On Ctrl-C what is done
    is kept.
    """
    course = Course(order, into, open_lane, clock, rules, on_progress, on_replicate, read_contention)
    into.entrants.update({config: Entrant(config) for config in order.configs})
    try:
        run_heats(course)
        run_finals(course)
    finally:
        into.wall_s = clock() - course.begin
