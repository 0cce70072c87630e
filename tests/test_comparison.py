from __future__ import annotations

import dataclasses
import json
import math
import statistics

import pytest
from fake_sides import LATENCY, QUIET, THROUGHPUT, FakeSides
from hypothesis import given, settings
from hypothesis import strategies as st

from ovbench import ab
from ovbench.comparison import (
    MAX_DEATHS,
    MIN_PAIR_S,
    MIN_PAIRS,
    PAIR_S,
    Comparison,
    fitting_pair_s,
    pair_fields,
)
from ovbench.contention import MAX_REJECTED_SHARE, too_many, was_hit
from ovbench.errors import ContestantRefused, LaneDied, LaneHung
from ovbench.machine import Contention
from ovbench.verdict import Verdict

BAND = 0.03


def undecided(comparison: Comparison, left: list) -> list:
    """The rule that stops a real comparison."""
    return [each for each in left if not ab.is_decided(comparison, each.key, BAND)]


def slower_by(ratio: float):
    return lambda side, _key, _lane: 1e6 * (ratio if side == "B" else 1.0)


def noisy(shares: list[float], ratio: float = 1.0):
    """B / A = ratio x (1 + the share of this lane)."""
    return lambda side, _key, lane: 1e6 * (ratio * (1 + shares[lane % len(shares)]) if side == "B" else 1.0)


# --- when it ends ---


@pytest.mark.parametrize(("ratio", "verdict"), [(1.0, "SAME"), (1.2, "SLOWER"), (0.8, "FASTER")])
def test_a_clear_answer_ends_it_with_the_least_number_of_pairs(ratio: float, verdict: str) -> None:
    comparison = FakeSides(slower_by(ratio)).run(undecided)
    assert comparison.ended == "decided"
    assert len(comparison.pairs) == MIN_PAIRS == 5
    answer = ab.judge_metric("latency", comparison.log_ratios("latency"), BAND, BAND, "")
    assert answer.verdict is Verdict(verdict)
    assert answer.estimate is not None
    assert answer.estimate.value == pytest.approx(ratio, rel=1e-6)


def test_an_unclear_answer_ends_it_at_the_budget() -> None:
    sides = FakeSides(noisy([-0.08, 0.08]))
    comparison = sides.run(undecided, budget_s=60.0)
    assert comparison.ended == "at its budget"
    assert len(comparison.pairs) > MIN_PAIRS
    assert sides.now - 1000.0 <= 60.0
    assert comparison.wall_s == pytest.approx(sides.now - 1000.0)
    next_wall_s = comparison.pairs[-1].wall_s
    assert comparison.wall_s + next_wall_s > 60.0, "another pair would have fitted"


def test_no_interval_before_five_pairs_however_clear() -> None:
    comparison = FakeSides(slower_by(3.0)).run(undecided)
    for count in range(1, MIN_PAIRS):
        few = Comparison("few", comparison.pairs[:count])
        assert not ab.is_decided(few, "latency", BAND)
        assert ab.judge_metric("latency", few.log_ratios("latency"), BAND, BAND, "").verdict is Verdict.UNSURE
    assert ab.is_decided(comparison, "latency", BAND)


@pytest.mark.parametrize("budget_s", [11.0, 15.0, 20.0, 30.0, 60.0])
def test_a_short_budget_is_cut_into_five_shorter_pairs(budget_s: float) -> None:
    sides = FakeSides(slower_by(1.2))
    comparison = sides.run(undecided, budget_s=budget_s)
    assert comparison.ended == "decided"
    assert len(comparison.pairs) == MIN_PAIRS
    assert sides.now - 1000.0 <= budget_s * 1.01
    assert all(pair.rounds_s <= PAIR_S + 0.1 for pair in comparison.pairs)


@pytest.mark.parametrize("left_of_a_pair", [0.5, 0.8, 0.95])
def test_no_pair_is_begun_that_would_not_end_within_the_budget(left_of_a_pair: float) -> None:
    wall_s = FakeSides().run(budget_s=60.0).pairs[0].wall_s
    sides = FakeSides()
    assert len(sides.run(budget_s=(7 + left_of_a_pair) * wall_s).pairs) == 7
    assert sides.now - 1000.0 == pytest.approx(7 * wall_s)


def test_a_budget_too_short_for_five_pairs_says_so() -> None:
    comparison = FakeSides(slower_by(1.2)).run(undecided, budget_s=4.0)
    assert comparison.ended == "at its budget"
    assert 1 <= len(comparison.pairs) < MIN_PAIRS


@given(
    st.floats(0.6, 10), st.floats(-50, 500), st.integers(-10, 5), st.none() | st.floats(0, 20)
)  # fmt: skip
def test_a_pair_is_never_longer_than_asked_nor_shorter_than_it_may(
    pair_s: float, left_s: float, needed: int, overhead_s: float | None
) -> None:
    fitting = fitting_pair_s(pair_s, left_s, needed, overhead_s)
    assert min(pair_s, MIN_PAIR_S) <= fitting <= pair_s
    if needed <= 0:
        assert fitting == pair_s
    elif overhead_s is not None and fitting > MIN_PAIR_S:
        assert needed * (fitting + overhead_s) <= left_s + 1e-9 * max(1.0, abs(left_s))


def test_a_decided_metric_is_not_measured_any_more() -> None:
    shares = [-0.08, 0.08]

    def cost(side: str, key: str, lane: int) -> float:
        spread = shares[lane % 2] if key == "throughput" else 0.0
        return 1e6 * (1.2 * (1 + spread) if side == "B" else 1.0)

    sides = FakeSides(cost)
    comparison = sides.run(
        lambda so_far, left: [each for each in left if not ab.is_decided(so_far, each.key, BAND)],
        contests=(LATENCY, THROUGHPUT),
        budget_s=120.0,
    )
    assert len(comparison.log_ratios("latency")) == MIN_PAIRS
    assert len(comparison.log_ratios("throughput")) == len(comparison.pairs) > MIN_PAIRS
    late = {key for _side, lane, key in sides.blocks() if lane >= MIN_PAIRS}
    opened_late = {key for _side, lane, what, key in sides.asked if what == "open" and lane >= MIN_PAIRS}
    assert late == opened_late == {"throughput"}


# --- what a pair is ---


def test_which_side_compiles_first_alternates() -> None:
    sides = FakeSides()
    sides.run(budget_s=30.0)
    opens = [(lane, side) for side, lane, what, _key in sides.asked if what == "open"]
    firsts = [side for (lane, side), (_, _later) in zip(opens[::2], opens[1::2], strict=True)]
    assert firsts == (["A", "B"] * len(firsts))[: len(firsts)]
    assert len(firsts) > 4


def test_every_round_has_a_block_of_each_side_in_an_order_that_varies() -> None:
    sides = FakeSides()
    comparison = sides.run(budget_s=20.0)
    measured = sides.blocks()
    warm_ups = 2 * len(comparison.pairs)
    rounds = [block for lane in range(len(comparison.pairs))
              for block in [each for each in measured if each[1] == lane][2:]]  # fmt: skip
    assert len(rounds) == len(measured) - warm_ups
    turns = [(first[0], second[0]) for first, second in zip(rounds[::2], rounds[1::2], strict=True)]
    assert set(turns) == {("A", "B"), ("B", "A")}
    assert len(turns) == sum(pair.kept for pair in comparison.pairs)


def test_lanes_are_fresh_for_each_pair_and_closed_after_it() -> None:
    sides = FakeSides()
    comparison = sides.run(budget_s=20.0)
    assert [len(lanes) for lanes in sides.lanes.values()] == [len(comparison.pairs)] * 2
    assert all(lane.closed for lanes in sides.lanes.values() for lane in lanes)


def test_the_idle_lanes_cpu_time_is_summed() -> None:
    comparison = FakeSides(idle_cpu_ns=7).run(budget_s=20.0)
    for pair in comparison.pairs:
        assert pair.idle_cpu_ns == 2 * 7 * (pair.kept + pair.rejected)


def test_start_and_memory_are_ratios_of_b_over_a() -> None:
    (pair, *_) = FakeSides().run(budget_s=20.0).pairs
    assert pair.log_start_ratio == 0.0
    assert pair.log_memory_ratio == 0.0
    a, b = pair.openings
    bigger = dataclasses.replace(pair, openings=(a, dataclasses.replace(b, start_ns=200, peak_resident_bytes=50)))
    assert bigger.log_start_ratio == pytest.approx(math.log(2))
    assert bigger.log_memory_ratio == pytest.approx(math.log(0.5))
    untold = dataclasses.replace(pair, openings=(a, dataclasses.replace(b, peak_resident_bytes=None)))
    assert untold.log_memory_ratio is None


def test_a_pairs_record_holds_every_sample_and_can_be_written() -> None:
    (pair, *_) = FakeSides(slower_by(1.5)).run(budget_s=20.0, contests=(LATENCY, THROUGHPUT)).pairs
    fields = json.loads(json.dumps(pair_fields(pair), allow_nan=False))
    for key, rounds in pair.rounds.items():
        assert len(fields["rounds"][key]) == len(rounds)
        for (a, b), (mine, theirs) in zip(fields["rounds"][key], rounds, strict=True):
            assert (tuple(a["wall_ns"]), tuple(b["wall_ns"])) == (mine.wall_ns, theirs.wall_ns)
    assert fields["log_ratios"] == pair.log_ratios
    assert sum(len(each) for each in fields["rounds"].values()) == pair.kept


@settings(max_examples=40, deadline=None)  # each example runs two comparisons of up to eight pairs
@given(
    st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=9),
    st.floats(0.5, 2.0),
)
def test_swapping_the_sides_negates_log_ratios_and_swaps_verdicts(shares: list[float], ratio: float) -> None:
    cost = noisy(shares, ratio)
    there = FakeSides(cost).run(undecided, budget_s=15.0)
    back = FakeSides(lambda side, key, lane: cost("B" if side == "A" else "A", key, lane)).run(undecided, budget_s=15.0)
    assert back.log_ratios("latency") == pytest.approx([-each for each in there.log_ratios("latency")])
    mine, theirs = (ab.verdict_of(each.log_ratios("latency"), BAND) for each in (there, back))
    swapped = {Verdict.FASTER: Verdict.SLOWER, Verdict.SLOWER: Verdict.FASTER}
    assert theirs is swapped.get(mine, mine)


# --- contention ---


def stolen_in(rounds: set[int], steal_s: float):
    """Counters that show ``steal_s`` stolen in these rounds; each round reads them before and after."""

    def contention(reading: int) -> Contention:
        before = sum(each < reading // 2 for each in rounds)
        now = reading % 2 == 1 and reading // 2 in rounds
        return Contention(steal_s * (before + now), 0, 0, 0, 0.0)

    return contention


def test_rounds_that_were_hit_are_rejected_and_counted() -> None:
    sides = FakeSides(contention=stolen_in({0, 3, 4}, steal_s=1.0))
    comparison = sides.run(budget_s=20.0)
    first = comparison.pairs[0]
    assert first.rejected == 3
    assert len(first.rounds["latency"]) == first.kept
    assert [block[0].round for block in first.rounds["latency"]][:3] == [1, 2, 5]
    assert sum(pair.rejected for pair in comparison.pairs) == 3
    assert comparison.rejected_share == pytest.approx(3 / sum(pair.kept + pair.rejected for pair in comparison.pairs))
    assert not comparison.busy


def test_no_round_is_rejected_for_its_size() -> None:
    costs = iter([1e6, 1e6] * 3 + [1e6, 1e9] + [1e6] * 100_000)
    comparison = FakeSides(lambda _side, _key, _lane: next(costs)).run(budget_s=20.0)
    assert sum(pair.rejected for pair in comparison.pairs) == 0
    assert (
        max(block.wall_ns[0] for pair in comparison.pairs for each in pair.rounds["latency"] for block in each) == 1e9
    )


def test_a_busy_machine_ends_unsure_and_says_so() -> None:
    comparison = FakeSides(slower_by(2.0), contention=lambda reading: Contention(float(reading), 0, 0, 0, 0.0)).run(
        undecided, budget_s=20.0
    )
    assert comparison.busy
    assert comparison.rejected_share == 1.0 > MAX_REJECTED_SHARE
    assert comparison.log_ratios("latency") == ()
    assert comparison.ended == "at its budget"


seconds = st.none() | st.floats(0, 100)
contentions = st.builds(
    Contention, steal_s=seconds, pressure_us=st.none() | st.integers(0, 10**8), throttled_periods=st.none(),
    throttled_us=st.none() | st.integers(0, 10**8), busy_s=seconds, spare_cores=st.floats(0, 64),
)  # fmt: skip


@given(contentions, st.floats(0, 10), st.floats(0.001, 1), st.integers(1, 64), st.floats(0, 10))
def test_more_taken_by_others_never_saves_a_round(
    taken: Contention, own_cpu_s: float, took_s: float, cores: int, more_s: float
) -> None:
    if was_hit(taken, own_cpu_s, took_s, cores):
        for field in ("steal_s", "busy_s"):
            worse = dataclasses.replace(taken, **{field: (getattr(taken, field) or 0.0) + more_s})
            assert was_hit(worse, own_cpu_s, took_s, cores)
        assert was_hit(
            dataclasses.replace(taken, throttled_us=(taken.throttled_us or 0) + 1000), own_cpu_s, took_s, cores
        )
    else:
        assert not was_hit(taken, own_cpu_s + more_s, took_s, cores)
        assert not was_hit(taken, own_cpu_s, took_s + more_s, cores)


@given(st.floats(0, 10), st.floats(0.001, 1), st.integers(1, 64), st.integers(0, 10**9))
def test_our_own_work_and_waiting_for_a_core_alone_hit_nothing(
    own_cpu_s: float, took_s: float, cores: int, pressure_us: int
) -> None:
    ours = Contention(0.0, pressure_us, 0, 0, busy_s=own_cpu_s)
    assert not was_hit(ours, own_cpu_s, took_s, cores)
    assert not was_hit(Contention(None, None, None, None, None), own_cpu_s, took_s, cores)


@pytest.mark.parametrize("taken", [
    Contention(0.05, 0, 0, 0, 0.0), Contention(0.0, 0, 1, 50_000, 0.0), Contention(0.0, 0, 0, 0, 0.13),
    Contention(0.02, 0, 1, 20_000, 0.09),
])  # fmt: skip
def test_each_measured_cause_counts_and_they_add_up(taken: Contention) -> None:
    assert was_hit(taken, own_cpu_s=0.08, took_s=0.04, cores=2)
    assert not was_hit(QUIET, own_cpu_s=0.08, took_s=0.04, cores=2)


def test_who_runs_on_cores_beyond_our_quota_takes_nothing_from_us() -> None:
    """A container that may use 2 of a host's 64 cores, whose neighbours keep many busy."""
    neighbours = {busy_cores: Contention(0.0, 0, 0, 0, busy_s=0.1 * (2 + busy_cores), spare_cores=62.0)
                  for busy_cores in (10, 61, 63)}  # fmt: skip
    hit = {busy: was_hit(taken, own_cpu_s=0.2, took_s=0.1, cores=64) for busy, taken in neighbours.items()}
    assert hit == {10: False, 61: False, 63: True}


def test_half_of_the_rounds_may_be_rejected_and_no_more() -> None:
    assert [too_many(rejected, 10) for rejected in (0, 5, 6)] == [False, False, True]


# --- lanes that fail ---


def dies(side: str, lanes: set[int], at: str = "block", error: BaseException | None = None):
    def trouble(mine: str, lane: int, order: dict) -> BaseException | None:
        return (error or LaneDied("killed")) if (mine, order["do"]) == (side, at) and lane in lanes else None

    return trouble


@pytest.mark.parametrize("at", ["import", "open", "usage", "block"])
def test_a_lane_that_dies_is_replaced_by_a_fresh_pair(at: str) -> None:
    comparison = FakeSides(trouble=dies("B", {1}, at)).run(undecided)
    assert comparison.ended == "decided"
    assert not comparison.failed
    assert len(comparison.pairs) == MIN_PAIRS
    assert comparison.notes == ["pair 2, side B: killed; a fresh pair follows"]
    assert [pair.number for pair in comparison.pairs] == [0, 2, 3, 4, 5]


def test_a_lane_that_dies_thrice_fails_its_side() -> None:
    sides = FakeSides(trouble=dies("A", {1, 2, 3}))
    comparison = sides.run(undecided)
    assert comparison.failed == "side A: killed"
    assert not comparison.ended
    assert len(comparison.pairs) == 1
    assert len(comparison.notes) == MAX_DEATHS - 1
    assert all(lane.closed for lanes in sides.lanes.values() for lane in lanes)


def test_deaths_are_counted_by_side() -> None:
    def trouble(side: str, lane: int, order: dict) -> BaseException | None:
        dead = order["do"] == "block" and (side, lane) in {("A", 0), ("B", 1), ("A", 2), ("B", 3)}
        return LaneHung("no answer") if dead else None

    comparison = FakeSides(trouble=trouble).run(undecided)
    assert not comparison.failed
    assert len(comparison.notes) == 4
    assert len(comparison.pairs) == MIN_PAIRS


def test_a_refusal_ends_it_at_once() -> None:
    comparison = FakeSides(trouble=dies("B", {2}, "open", ContestantRefused("no"))).run(undecided)
    assert comparison.failed == "side B: no"
    assert len(comparison.pairs) == 2
    assert comparison.notes == []


def test_an_error_of_our_own_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        FakeSides(trouble=dies("B", {2}, "block", ZeroDivisionError())).run(undecided)


@pytest.mark.parametrize("at", ["open", "block"])
def test_ctrl_c_keeps_finished_pairs(at: str) -> None:
    sides = FakeSides(trouble=dies("A", {3}, at, KeyboardInterrupt()))
    comparison = Comparison("cut short")
    seen: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        sides.run(undecided, into=comparison, on_pair=lambda pair: seen.append(pair.number))
    assert seen == [pair.number for pair in comparison.pairs] == [0, 1, 2]
    assert comparison.wall_s == pytest.approx(sum(pair.wall_s for pair in comparison.pairs))
    assert all(lane.closed for lanes in sides.lanes.values() for lane in lanes)


def test_a_pairs_ratio_is_the_median_of_its_rounds() -> None:
    costs = {}

    def cost(side: str, _key: str, lane: int) -> float:
        place = (side, lane)
        costs[place] = costs.get(place, 0) + 1
        return 1e6 * (1 + 0.01 * (costs[place] % 7)) if side == "B" else 1e6

    (pair, *_) = FakeSides(cost).run(budget_s=20.0).pairs
    ratios = [b.wall_ns[0] / a.wall_ns[0] for a, b in pair.rounds["latency"]]
    assert len(set(ratios)) == 7
    assert pair.log_ratios["latency"] == pytest.approx(math.log(statistics.median(ratios)))


def test_each_metric_has_its_own_time_in_a_pair() -> None:
    (one, *_) = FakeSides().run(budget_s=60.0).pairs
    (two, *_) = FakeSides().run(contests=(LATENCY, THROUGHPUT), budget_s=120.0).pairs
    assert one.rounds_s == pytest.approx(PAIR_S, abs=0.2)
    assert two.rounds_s == pytest.approx(2 * PAIR_S, abs=0.2)


def test_all_cpu_time_of_both_lanes_is_our_own() -> None:
    """A lane's work on the way to its block (freeing memory, say) is not what others took."""
    busy_s = 0.5  # of each round, all of it the lanes'
    sides = FakeSides(contention=lambda reading: Contention(0.0, 0, 0, 0, busy_s * ((reading + 1) // 2)))
    assert sides.run(budget_s=12.0).rejected_share == 1.0
    ours = FakeSides(contention=sides.contention, lane_cpu_ns=round(busy_s / 2 * 1e9))
    assert ours.run(budget_s=12.0).rejected_share == 0.0
