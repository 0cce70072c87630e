"""Rounds: whole, fair in what they hold, and replayable from their seed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovbench.rounds import run_rounds, shuffled
from ovbench.samples import Block

keys = st.lists(st.integers(), unique=True, min_size=1, max_size=12)
seeds = st.integers(0, 2**40)
small = st.integers(0, 50)


def block(number: int) -> Block:
    return Block(number, (1, 1, 1), (1, 1, 1), 3)


@given(keys, seeds, small, small)
def test_a_round_holds_every_contestant_once(some: list[int], seed: int, lane: int, number: int) -> None:
    before = list(some)
    assert sorted(shuffled(some, seed, lane, number)) == sorted(some)
    assert some == before


@given(keys, seeds, small, small)
def test_order_is_a_function_of_seed_lane_and_round(some: list[int], seed: int, lane: int, number: int) -> None:
    assert shuffled(some, seed, lane, number) == shuffled(tuple(some), seed, lane, number)


def test_order_is_the_same_in_every_process_and_release() -> None:
    assert ["".join(shuffled("abcde", 7, 1, number)) for number in range(3)] == ["baedc", "aebdc", "baedc"]


def test_seed_lane_and_round_each_change_the_order() -> None:
    some = list(range(20))
    base = shuffled(some, 0, 0, 0)
    assert base not in (some, shuffled(some, 1, 0, 0), shuffled(some, 0, 1, 0), shuffled(some, 0, 0, 1))
    assert shuffled(some, 1, 11, 0) != shuffled(some, 11, 1, 0)


def test_every_contestant_comes_first_now_and_then() -> None:
    firsts = [shuffled("abcd", 0, 0, number)[0] for number in range(400)]
    assert all(60 <= firsts.count(key) <= 140 for key in "abcd")  # 100 +- 8.7: beyond 4.6 SD


@given(keys, seeds, small, st.integers(1, 8))
def test_rounds_run_in_the_shuffled_order_until_enough(some: list[int], seed: int, lane: int, wanted: int) -> None:
    ran: list[tuple[int, int]] = []

    def run_block(key: int, number: int) -> Block:
        ran.append((number, key))
        return block(number)

    rounds = list(run_rounds(some, run_block, lambda done: done >= wanted, seed, lane))
    assert len(rounds) == wanted
    assert ran == [(number, key) for number in range(wanted) for key in shuffled(some, seed, lane, number)]
    for number, each in enumerate(rounds):
        assert each == {key: block(number) for key in some}


def test_at_least_one_round_is_run() -> None:
    assert len(list(run_rounds("ab", lambda _key, number: block(number), lambda _done: True, 0, 0))) == 1


def test_it_is_asked_after_each_round_whether_that_is_enough() -> None:
    asked: list[int] = []
    rounds = run_rounds("ab", lambda _key, number: block(number), lambda done: asked.append(done) or done == 3, 0, 0)
    assert len(list(rounds)) == 3
    assert asked == [1, 2, 3]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("cut_at", range(1, 9))
def test_a_round_cut_by_an_error_is_not_yielded(error: type[BaseException], cut_at: int) -> None:
    ran: list[str] = []

    def run_block(key: str, number: int) -> Block:
        if len(ran) == cut_at - 1:
            raise error
        ran.append(key)
        return block(number)

    whole: list[dict[str, Block]] = []

    def keep_rounds() -> None:
        for each in run_rounds("abc", run_block, lambda _done: False, 0, 0):
            whole.append(each)  # noqa: PERF402  (extend would lose what came before the error)

    with pytest.raises(error):
        keep_rounds()
    assert len(whole) == (cut_at - 1) // 3
    assert all(set(each) == set("abc") for each in whole)
