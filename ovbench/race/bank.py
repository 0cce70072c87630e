"""A bank of lanes: those of one part of a race that are alive together, and the rounds that are run in them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ovbench.campaign import MAX_DEATHS, block_seconds, ready_lane, watched_rounds
from ovbench.config import Config
from ovbench.errors import ContestantRefused, LaneError
from ovbench.lanes import Askable
from ovbench.race.course import Course


@dataclass
class Bank:
    """Lanes that are alive together: one for each value of pinning, which sticks to a process."""

    course: Course
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
def fresh_bank(course: Course) -> Iterator[Bank]:
    """A bank without lanes yet. What it measured is told when it ends, however it ends."""
    race = course.race
    bank = Bank(course, race.lanes)
    race.lanes += 1
    try:
        yield bank
    finally:
        bank.close()
        for config, entrant in race.entrants.items():
            if bank.number in entrant.blocks:
                course.on_replicate(config, entrant.replicates[-1])


def kept_rounds(
    bank: Bank, standing: Sequence[Config], enough: Callable[[], bool]
) -> Iterator[tuple[tuple[Config, ...], bool]]:
    """Run rounds, one at least, into the race: who ran each, and whether others took too much of it.

    ``standing`` may shrink between rounds.
    """
    course, race = bank.course, bank.course.race
    for blocks, hit in watched_rounds(
        standing, bank.timed_block, lambda _rounds: enough(), course.order.seed, bank.number, course.clock,
        course.read_contention,
    ):  # fmt: skip
        for config, block in blocks.items():
            race.entrants[config].blocks.setdefault(bank.number, []).append(block)
        race.rounds += 1
        if hit:
            race.rejected.update((bank.number, block.round) for block in blocks.values())
        yield tuple(blocks), hit


def survives(course: Course, trouble: LaneError | ContestantRefused) -> bool:
    """Blame the candidate that was asked; whether the race can go on in a fresh bank, else it is exhausted."""
    race, config = course.race, course.asked
    if config is not None:
        race.entrants[config].fault = str(trouble)
        race.notes.append(f"{config.key}: {trouble}; the other candidates go on without it")
        alive = course.clock() < course.end
    else:
        course.lost += 1
        race.notes.append(f"lane {race.lanes}: {trouble}; a fresh lane takes its place")
        alive = course.lost < MAX_DEATHS
    if not alive:
        race.exhausted = str(trouble)
    return alive
