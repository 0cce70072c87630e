"""The pick of a race: who is best, what is told of it, the front, and what each axis bought."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_races import ASYNC, FOUR, INT8, MS, SYNC, TWO, block, race_of

from ovbench.candidates import Space, candidates
from ovbench.config import AUTO, Config, Hint, Precision
from ovbench.race import Entrant, Goal, Race
from ovbench.tune.asked import Constraints
from ovbench.tune.choice import CLOSE, pareto, pick, properties_set
from ovbench.tune.gains import ALL, what_axes_bought
from ovbench.verdict import Verdict


def test_the_best_of_the_finalists_is_picked_with_its_margin() -> None:
    race = race_of({SYNC: 4.0, INT8: 2.0, ASYNC: 3.0}, [INT8, ASYNC])
    found = pick(race)
    assert (found.config, found.runner_up, found.better) == (INT8, ASYNC, None)
    assert found.margin is not None
    assert found.margin.value == pytest.approx(1.5)
    assert found.margin.count == 5
    assert found.verdict is Verdict.FASTER
    assert not found.tied
    assert found.figures.images_per_s == pytest.approx(500)
    assert found.cost.value == pytest.approx(2 * MS)


def test_the_goal_decides_what_is_best() -> None:
    slow_but_wide = replace(TWO, batch=8)
    costs = {SYNC: 4.0, slow_but_wide: 16.0}  # ns of a request, of one picture and of eight
    assert pick(race_of(costs, list(costs))).config == slow_but_wide
    assert pick(race_of(costs, list(costs), goal=Goal.LATENCY)).config == SYNC


def test_a_simpler_one_that_nothing_tells_from_the_best_is_picked() -> None:
    wobble = [0.97, 1.03, 1.0, 0.98, 1.02]
    race = race_of({TWO: 2.01, FOUR: 2.0, SYNC: 9.0}, [TWO, FOUR], noise={TWO: wobble})
    found = pick(race)
    assert (found.config, found.better, found.runner_up) == (TWO, FOUR, FOUR)
    assert found.tied
    assert found.verdict is not Verdict.FASTER
    assert found.margin is not None
    assert found.margin.value < 1


@pytest.mark.parametrize(
    ("cost_ms", "wobble"),
    [(2.03, [0.97, 1.03, 1.0, 0.98, 1.02]), (2.01, [1.0, 1.0001, 0.9999, 1.0, 1.0])],
    ids=["not near enough", "told apart"],
)
def test_simplicity_is_no_reason_where_the_best_is_better(cost_ms: float, wobble: list[float]) -> None:
    found = pick(race_of({TWO: cost_ms, FOUR: 2.0}, [TWO, FOUR], noise={TWO: wobble}))
    assert found.config == FOUR
    assert found.better is None


def test_a_difference_within_the_band_is_told_from_none_and_from_faster() -> None:
    found = pick(race_of({FOUR: 2.0, INT8: 2.03}, [FOUR, INT8]), band=0.05)
    assert not found.tied
    assert found.verdict is Verdict.SAME


def test_without_five_lanes_no_difference_can_be_shown() -> None:
    found = pick(race_of({INT8: 2.0, SYNC: 4.0}, [INT8, SYNC], lanes=4))
    assert found.config == INT8
    assert found.margin is not None
    assert found.margin.low is None
    assert found.tied
    assert found.verdict is Verdict.UNSURE


def test_a_busy_machine_gives_a_pick_and_no_verdict() -> None:
    race = race_of({INT8: 2.0, SYNC: 4.0}, [INT8, SYNC])
    race.rejected = {(lane, number) for lane in range(6) for number in range(3)}
    found = pick(race)
    assert (found.config, found.verdict) == (INT8, Verdict.UNSURE)


def test_aliases_and_faults_are_nobody() -> None:
    race = race_of({SYNC: 4.0})
    race.entrants[INT8] = Entrant(INT8, fault="no")
    race.entrants[TWO] = Entrant(TWO, alias_of=SYNC)
    assert race.measured == [SYNC]
    found = pick(race)
    assert (found.config, found.runner_up, found.margin) == (SYNC, None, None)


def test_who_dropped_out_is_picked_where_no_finalist_holds_the_constraints() -> None:
    race = race_of({SYNC: 4.0, INT8: 2.0, ASYNC: 30.0, TWO: 31.0}, [ASYNC, TWO])
    race.entrants[SYNC].dropped = race.entrants[INT8].dropped = "dominated"
    assert pick(race).config == ASYNC
    found = pick(race, Constraints(p99_ns=20 * MS))
    assert (found.config, found.runner_up) == (INT8, SYNC)


def test_who_took_too_much_memory_leaves_the_place_to_the_next() -> None:
    race = race_of({INT8: 2.0, SYNC: 4.0, ASYNC: 5.0}, [INT8, SYNC])
    constraints = Constraints(max_memory_bytes=10**8)
    assert pick(race, constraints, {INT8: 2 * 10**8}).config == SYNC
    assert pick(race, constraints, {INT8: 2 * 10**8, SYNC: 3 * 10**8}).config == ASYNC


@settings(max_examples=30)
@given(st.lists(st.floats(0.5, 50.0), min_size=1, max_size=6), st.sampled_from(list(Goal)))
def test_nobody_who_is_clearly_better_is_passed_over(costs: list[float], goal: Goal) -> None:
    configs = candidates(Space(precisions=(Precision.FP32,), streams=(1, 2), threads=(0, 1), batches=(0,)))[
        : len(costs)
    ]
    found = pick(race_of(dict(zip(configs, costs, strict=False)), configs, goal=goal))
    best = min(costs[: len(configs)])
    mine = dict(zip(configs, costs, strict=False))[found.config]
    assert mine <= best * (1 + CLOSE) * 1.000001  # costs are rounded to whole ns


def test_simple_is_what_sets_little() -> None:
    assert [properties_set(config) for config in (SYNC, ASYNC, TWO, FOUR, INT8)] == [0, 0, 1, 2, 1]
    everything = replace(INT8, streams=2, threads=1, requests=2, batch=2, pinning=True, hyper_threading=False)
    assert properties_set(everything) == 7
    assert properties_set(replace(SYNC, precision=Precision.BF16)) == 0, "the same file does"
    assert properties_set(replace(SYNC, batch=1)) == 0


# ---------------------------------------------------------------------------------------------------- front and axes


points = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=8)


@settings(max_examples=50)
@given(points)
def test_nobody_beats_the_front_and_all_others_are_beaten(places: list[tuple[int, int]]) -> None:
    race = Race(heat_lanes=1, lanes=1)
    for (latency_ms, batch), threads in zip(places, itertools.count()):
        config = replace(SYNC, threads=threads, batch=batch)
        race.entrants[config] = Entrant(config, blocks={0: [block(0, [latency_ms * MS] * 5)]})
    figures = race.all_figures()
    front = pareto(race)

    def better(a: Config, b: Config) -> bool:
        one, other = figures[a], figures[b]
        no_worse = one.p50_ns <= other.p50_ns and one.images_per_s >= other.images_per_s
        return no_worse and (one.p50_ns, one.images_per_s) != (other.p50_ns, other.images_per_s)

    def equal(a: Config, b: Config) -> bool:
        return (figures[a].p50_ns, figures[a].images_per_s) == (figures[b].p50_ns, figures[b].images_per_s)

    assert not any(better(each, other) for each in figures for other in front)
    assert all(any(better(each, other) or equal(each, other) for each in front) for other in figures)
    assert list(front) == sorted(front, key=lambda each: figures[each].p50_ns)


def test_each_axis_is_told_against_the_best_that_leaves_it_alone() -> None:
    pick = replace(FOUR, precision=Precision.INT8, pinning=False)
    race = race_of(
        {pick: 1.0, FOUR: 2.0, INT8: 1.6, replace(pick, requests=0): 1.1, replace(pick, pinning=None): 1.05},
        [pick, replace(pick, requests=0), replace(pick, pinning=None)],
    )
    found = {each.axis: each for each in what_axes_bought(race, Constraints(), pick)}
    assert {axis: None if each.ratio is None else round(each.ratio.value, 2) for axis, each in found.items()} == {
        "precision": 2.0, "hint": 1.6, "streams": 1.6, "requests": 1.1, "pinning": 1.05,
    }  # fmt: skip
    assert found["requests"].ratio is not None
    assert found["requests"].ratio.low is not None, "finalists have an interval"
    assert found["requests"].rounds == 24
    assert found["precision"].ratio is not None
    assert found["precision"].ratio.low is None
    assert found["precision"].rounds == 4
    assert ALL not in found, "the plain hint was not measured"
    alone = {each.axis: each for each in what_axes_bought(race, Constraints(p99_ns=1.04 * MS), pick)}
    assert alone["precision"].without is None
    assert alone["precision"].ratio is None


def test_a_pick_is_told_against_the_plain_hint_whatever_that_holds() -> None:
    usual = Config(precision=Precision.INT8, hint=Hint.THROUGHPUT, streams=AUTO)
    pick = replace(usual, streams=2, requests=4)
    race = race_of({pick: 1.0, usual: 1.3}, [pick, usual])
    first, *_ = what_axes_bought(race, Constraints(p99_ns=1.04 * MS), pick)
    assert (first.axis, first.without) == (ALL, usual)
    assert first.ratio is not None
    assert first.ratio.value == pytest.approx(1.3, rel=0.01)
    assert ALL not in {each.axis for each in what_axes_bought(race, Constraints(), usual)}
