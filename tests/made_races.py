"""Races with invented figures: no lane, no clock, blocks of equal inferences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ovbench.config import Config, Hint, Precision
from ovbench.race import Entrant, Goal, Race
from ovbench.samples import Block

MS = 1_000_000
SYNC = Config()
INT8 = replace(SYNC, precision=Precision.INT8)
ASYNC = replace(SYNC, hint=Hint.THROUGHPUT, streams="AUTO")
TWO = replace(ASYNC, streams=2)
FOUR = replace(TWO, requests=4)


def block(number: int, latency_ns: Sequence[int], window_ns: int | None = None) -> Block:
    taken = tuple(latency_ns)
    return Block(number, taken, taken, window_ns or sum(taken))


def race_of(
    costs_ms: Mapping[Config, float],
    finalists: Sequence[Config] = (),
    lanes: int = 5,
    rounds: int = 4,
    noise: Mapping[Config, Sequence[float]] | None = None,
    goal: Goal = Goal.THROUGHPUT,
) -> Race:
    """One heat lane that all ran, then finals; blocks of 50 equal inferences. ``noise``: factors of a finals lane."""
    race = Race(goal=goal, finalists=tuple(finalists), heat_lanes=1, lanes=1 + (lanes if finalists else 0))
    for config, cost_ms in costs_ms.items():
        entrant = Entrant(
            config, effective={"threads": config.threads or 2, "streams": 1 if config.streams == 1 else 2}
        )
        factors = (noise or {}).get(config, [1.0] * lanes)
        for lane in range(race.lanes if config in finalists else 1):
            factor = factors[lane - 1] if lane else 1.0
            entrant.blocks[lane] = [block(number, [round(cost_ms * factor * MS)] * 50) for number in range(rounds)]
        race.entrants[config] = entrant
    race.rounds = race.lanes * rounds
    return race


def late_race(late: Sequence[int], size: int = 100) -> Race:
    """One candidate; blocks of ``size`` inferences of 1 ms, so many of them of 9 ms."""
    race = Race(heat_lanes=1, lanes=1, finalists=(SYNC,))
    blocks = [block(number, [9 * MS] * each + [MS] * (size - each)) for number, each in enumerate(late)]
    race.entrants[SYNC] = Entrant(SYNC, effective={"threads": 2, "streams": 1}, blocks={0: blocks})
    return race
