"""Samples: kept in order, summed up honestly, and compared only within a lane and a round."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovbench.config import Mode
from ovbench.samples import Block, Replicate, log_ratio_by_lane, parse_block, round_ratios, summarize

times = st.lists(st.integers(1, 10**12), min_size=3, max_size=9).map(tuple)


@st.composite
def blocks(draw: st.DrawFn, number: int) -> Block:
    wall = draw(times)
    return Block(number, wall, tuple(reversed(wall)), sum(wall) + draw(st.integers(0, 10**6)))


@st.composite
def replicates(draw: st.DrawFn, lane: int = 0, rounds: st.SearchStrategy[set[int]] | None = None) -> Replicate:
    numbers = draw(rounds or st.sets(st.integers(0, 6), max_size=5))
    return Replicate(lane, draw(st.sampled_from(Mode)), tuple(draw(blocks(number)) for number in sorted(numbers)))


def steady(lane: int, cost_ns: int, rounds: int = 3) -> Replicate:
    """A sync replicate whose every inference takes the same time."""
    wall = (cost_ns,) * 3
    return Replicate(lane, Mode.SYNC, tuple(Block(number, wall, wall, sum(wall)) for number in range(rounds)))


@given(replicates(), replicates())
def test_ratio_one_way_times_the_other_way_is_one(mine: Replicate, theirs: Replicate) -> None:
    forth, back = round_ratios(mine, theirs), round_ratios(theirs, mine)
    assert len(forth) == len(back) == len(mine.cost_by_round().keys() & theirs.cost_by_round().keys())
    assert all(math.isclose(one * other, 1.0) for one, other in zip(forth, back, strict=True))


@given(st.lists(replicates(), min_size=1, max_size=4), st.lists(replicates(), min_size=1, max_size=4))
def test_log_ratio_by_lane_changes_its_sign_with_the_sides(mine: list[Replicate], theirs: list[Replicate]) -> None:
    ours = [Replicate(lane, each.mode, each.blocks) for lane, each in enumerate(mine)]
    others = [Replicate(lane, each.mode, each.blocks) for lane, each in enumerate(theirs)]
    forth, back = log_ratio_by_lane(ours, others), log_ratio_by_lane(others, ours)
    shared = [len(round_ratios(one, other)) for one, other in zip(ours, others, strict=False)]
    assert len(forth) == len(back) == sum(1 for count in shared if count)
    assert all(math.isclose(one, -other, abs_tol=1e-9) for one, other in zip(forth, back, strict=True))


@given(replicates())
def test_a_replicate_is_as_fast_as_itself(replicate: Replicate) -> None:
    assert log_ratio_by_lane([replicate], [replicate]) == ((0.0,) if replicate.blocks else ())


def test_lanes_are_paired_by_number_not_by_place() -> None:
    candidate = [steady(4, 100), steady(1, 200), steady(7, 50)]
    reference = [steady(1, 400), steady(2, 1), steady(4, 300)]
    assert log_ratio_by_lane(candidate, reference) == pytest.approx([math.log(3), math.log(2)])


def test_only_rounds_that_both_ran_are_compared() -> None:
    candidate, reference = steady(0, 100, rounds=2), steady(0, 150, rounds=5)
    assert round_ratios(candidate, reference) == (1.5, 1.5)


def test_a_lane_gives_the_median_of_its_rounds_so_that_one_bad_round_bends_nothing() -> None:
    bad = Block(3, (10**6,) * 3, (10**6,) * 3, 3 * 10**6)
    reference = Replicate(0, Mode.SYNC, (*steady(0, 200).blocks, bad))
    assert log_ratio_by_lane([steady(0, 100, rounds=4)], [reference]) == pytest.approx([math.log(2)])


def test_lanes_without_a_common_round_say_nothing() -> None:
    early = Replicate(0, Mode.SYNC, (Block(0, (1, 1, 1), (1, 1, 1), 3),))
    late = Replicate(0, Mode.SYNC, (Block(1, (1, 1, 1), (1, 1, 1), 3),))
    assert log_ratio_by_lane([early], [late]) == ()


def test_sync_costs_the_median_call_and_async_the_window_per_inference() -> None:
    block = Block(0, (10, 90, 20), (9, 80, 19), 150)
    assert block.cost_ns(Mode.SYNC) == 20
    assert block.cost_ns(Mode.ASYNC) == 50


@given(times)
def test_a_lanes_answer_becomes_a_block_in_the_order_sent(wall: tuple[int, ...]) -> None:
    packed, reverse = struct.pack(f"<{len(wall)}q", *wall), struct.pack(f"<{len(wall)}q", *reversed(wall))
    block = parse_block(7, {"wall_ns": packed, "latency_ns": reverse, "window_ns": sum(wall), "cpu_ns": 5})
    assert block == Block(7, wall, tuple(reversed(wall)), sum(wall))
    assert all(type(each) is int for each in (*block.wall_ns, *block.latency_ns))


def test_nothing_measured_has_no_summary() -> None:
    assert summarize([]) is None
    assert summarize([Replicate(0, Mode.SYNC, ())]) is None


def one_block(mode: Mode, wall: tuple[int, ...], latency: tuple[int, ...] | None = None) -> Replicate:
    return Replicate(0, mode, (Block(0, wall, wall if latency is None else latency, sum(wall)),))


# ovbench.stats.minimum_samples: the median needs 5, p90 64, p95 130, p99 662.
@pytest.mark.parametrize(
    ("count", "known"),
    [
        (4, ()),
        (5, ("p50_ns",)),
        (63, ("p50_ns",)),
        (64, ("p50_ns", "p90_ns")),
        (130, ("p50_ns", "p90_ns", "p95_ns")),
        (661, ("p50_ns", "p90_ns", "p95_ns")),
        (662, ("p50_ns", "p90_ns", "p95_ns", "p99_ns")),
    ],
)
def test_too_few_samples_give_none_instead_of_a_percentile(count: int, known: tuple[str, ...]) -> None:
    summary = summarize([one_block(Mode.SYNC, tuple(range(1, count + 1)))])
    assert summary is not None
    percentiles = {name: getattr(summary, name) for name in ("p50_ns", "p90_ns", "p95_ns", "p99_ns")}
    assert tuple(name for name, value in percentiles.items() if value is not None) == known
    assert summary.mean_ns == pytest.approx((count + 1) / 2)
    assert summary.inferences == count


def test_sync_figures_are_of_the_call_and_async_ones_of_the_request_under_load() -> None:
    wall, latency = (1_000_000,) * 10, (3_000_000,) * 10
    sync = summarize([one_block(Mode.SYNC, wall, latency)])
    loaded = summarize([one_block(Mode.ASYNC, wall, latency)])
    assert sync is not None
    assert loaded is not None
    assert (sync.p50_ns, loaded.p50_ns) == (1e6, 3e6)
    assert (sync.mean_ns, loaded.mean_ns) == (1e6, 3e6)


def test_rate_counts_time_in_calls_or_in_windows_and_images_by_the_batch() -> None:
    wall = (1_000_000,) * 10
    gappy = Replicate(0, Mode.SYNC, (Block(0, wall, wall, 40_000_000),))
    piped = Replicate(0, Mode.ASYNC, (Block(0, wall, wall, 20_000_000),))
    assert summarize([gappy]).frames_per_second == pytest.approx(1000)  # type: ignore[union-attr]
    assert summarize([piped]).frames_per_second == pytest.approx(500)  # type: ignore[union-attr]
    assert summarize([piped, piped], batch=8).frames_per_second == pytest.approx(4000)  # type: ignore[union-attr]
    assert summarize([piped, piped]).total_s == pytest.approx(0.04)  # type: ignore[union-attr]


@given(st.lists(replicates(), max_size=4))
def test_a_summary_counts_every_sample_once(some: list[Replicate]) -> None:
    summary = summarize(some)
    inferences = sum(len(block.wall_ns) for replicate in some for block in replicate.blocks)
    assert (0 if summary is None else summary.inferences) == inferences
