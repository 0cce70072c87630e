"""Rounds: one block of every contestant in a shuffled order, again and again until a rule says enough."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from ovbench.samples import Block

Key = TypeVar("Key")


def shuffled(keys: Sequence[Key], seed: object, lane: int, number: int) -> list[Key]:
    """The order of one round: a function of seed, lane and round alone, so that a record can be replayed."""
    order = list(keys)
    random.Random(f"{seed}/{lane}/{number}").shuffle(order)
    return order


def run_rounds(
    keys: Sequence[Key],
    run_block: Callable[[Key, int], Block],
    enough: Callable[[int], bool],
    seed: object,
    lane: int,
) -> Iterator[dict[Key, Block]]:
    """Yield whole rounds, at least one, until ``enough(rounds done)``; a round cut short by an error is not yielded.

    ``keys`` is read anew for each round: who is taken out of it meanwhile runs no more.
    """
    number = 0
    while True:
        yield {key: run_block(key, number) for key in shuffled(keys, seed, lane, number)}
        number += 1
        if enough(number):
            return
