"""Who holds the constraints: who drops out, who may lead, what is shown, and what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_races import INT8, MS, SYNC, late_race, race_of

from ovbench.agreement import Agreement
from ovbench.config import Precision
from ovbench.errors import BadOption
from ovbench.stats import Estimate
from ovbench.tune.asked import Constraints, Limit
from ovbench.tune.choice import pick
from ovbench.tune.lateness import late_share
from ovbench.tune.limits import holds, may_hold, statuses, violation
from ovbench.verdict import Outcome

P99 = Constraints(p99_ns=5 * MS)


def test_half_of_two_blocks_late_is_clear_and_one_block_is_not() -> None:
    assert violation(late_race([50, 50]), P99, SYNC) == "50% of its inferences take longer than 5 ms"
    assert violation(late_race([100]), P99, SYNC) == ""
    assert violation(late_race([]), P99, SYNC) == ""


def test_a_burst_in_one_block_of_many_is_not_clear() -> None:
    burst = late_race([40] + [0] * 9)
    assert violation(burst, P99, SYNC) == ""
    assert not holds(burst, SYNC, Limit.P99, 5 * MS), "but as far as is known it is too late"


def test_one_late_inference_of_few_does_not_cost_the_lead_and_many_do() -> None:
    assert may_hold(late_race([1], size=12), P99, SYNC)
    assert may_hold(late_race([1, 0], size=20), P99, SYNC)
    assert not holds(late_race([1, 0], size=20), SYNC, Limit.P99, 5 * MS)
    assert not may_hold(late_race([2, 3], size=20), P99, SYNC)
    assert not may_hold(late_race([3, 4, 2, 3]), P99, SYNC)
    assert not may_hold(late_race([0]), Constraints(p99_ns=5 * MS, max_threads=1), SYNC)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 100), min_size=1, max_size=12))
def test_who_drops_out_does_not_hold_either(late: list[int]) -> None:
    race = late_race(late)
    share = late_share(race, SYNC, 5 * MS)
    assert share is not None
    assert share.value == pytest.approx(sum(late) / (100 * len(late)))
    assert share.low is not None
    assert share.high is not None
    assert share.low <= share.value <= share.high
    if violation(race, P99, SYNC):
        assert not may_hold(race, P99, SYNC)
    if not may_hold(race, P99, SYNC):
        assert not holds(race, SYNC, Limit.P99, 5 * MS)


def test_rounds_that_others_hit_do_not_count_as_late() -> None:
    race = late_race([100, 0, 0])
    race.rounds, race.rejected = 3, {(0, 0)}
    assert holds(race, SYNC, Limit.P99, 5 * MS)


def test_nobody_drops_out_for_rounds_that_others_hit() -> None:
    race = late_race([100, 100, 100, 0])
    race.rounds, race.rejected = 4, {(0, 0), (0, 1), (0, 2)}
    assert race.busy
    assert violation(race, P99, SYNC) == ""
    assert holds(race, SYNC, Limit.P99, 5 * MS), "by the one round that tells something"
    race.rejected.add((0, 3))
    with pytest.raises(BadOption) as refused:
        pick(race, P99)
    assert str(refused.value) == (
        "--p99 5ms: no candidate holds it; the nearest is 9 ms: FP32-LATENCY-1-off; the machine was busy, ask again "
        "when it is not"
    )


def test_threads_and_memory_are_broken_at_once() -> None:
    race = race_of({SYNC: 4.0})
    race.entrants[SYNC].memory_bytes = 30_000_000
    assert violation(race, Constraints(max_threads=2, max_memory_bytes=30_000_000), SYNC) == ""
    assert violation(race, Constraints(max_threads=1), SYNC) == "runs 2 threads"
    assert violation(race, Constraints(max_memory_bytes=29_000_000), SYNC) == "takes 30 MB and more"


def test_impossible_constraints_name_the_nearest() -> None:
    race = race_of({SYNC: 4.0, INT8: 3.9, replace(SYNC, threads=1): 8.0}, [SYNC, INT8])
    race.entrants[SYNC].memory_bytes, race.entrants[INT8].memory_bytes = 9_000_000, 5_000_000
    told = {
        Constraints(p99_ns=MS): "--p99 1ms: no candidate holds it; the nearest is 3.9 ms: INT8-LATENCY-1-off",
        Constraints(p99_ns=MS, max_threads=1): "--p99 1ms: no candidate holds it; the nearest is 8 ms: "
        "FP32-LATENCY-1-off-threads=1",
        Constraints(max_threads=0): "--max-threads 0: no candidate holds it; the nearest is 1: "
        "FP32-LATENCY-1-off-threads=1",
    }
    for constraints, line in told.items():
        with pytest.raises(BadOption) as refused:
            pick(race, constraints)
        assert str(refused.value) == line
    peaks = {SYNC: 90_000_000, INT8: 121_000_000, replace(SYNC, threads=1): 95_000_000}
    with pytest.raises(BadOption) as refused:
        pick(race, Constraints(max_memory_bytes=50_000_000), peaks)
    assert str(refused.value) == ("--max-memory 50MB: no candidate holds it; the nearest is 90 MB: FP32-LATENCY-1-off")


def agreement(share: Estimate) -> Agreement:
    return Agreement(share.count, 5, share, share, share, None, None)


def test_what_holds_by_its_estimate_alone_is_unsure() -> None:
    race = race_of({INT8: 2.0, SYNC: 4.0}, [INT8, SYNC])  # 1200 inferences, none late
    constraints = Constraints(p99_ns=5 * MS, min_agreement=0.98, max_memory_bytes=10**8, max_threads=2)
    known = {Precision.INT8: agreement(Estimate(0.985, 0.97, 0.99, 1000))}
    found = {each.limit: each for each in statuses(race, constraints, INT8, known, 9 * 10**7)}
    assert {limit: each.outcome for limit, each in found.items()} == {
        Limit.P99: Outcome.HELD,
        Limit.AGREEMENT: Outcome.UNSURE,
        Limit.MEMORY: Outcome.HELD,
        Limit.THREADS: Outcome.HELD,
    }
    assert found[Limit.P99].value == pytest.approx(2 * MS)
    assert found[Limit.AGREEMENT].reason == "1000 pictures show at least 0.970"
    (of_fp32,) = statuses(race, Constraints(min_agreement=1.0), SYNC, known, None)
    assert (of_fp32.value, of_fp32.outcome) == (1.0, Outcome.HELD)
    (untold,) = statuses(race, Constraints(max_memory_bytes=1), SYNC, {}, None)
    assert untold.outcome is Outcome.UNSURE


def test_too_few_inferences_show_no_p99() -> None:
    (status,) = statuses(late_race([0, 1], size=101), P99, SYNC, {}, None)
    assert (status.outcome, status.value) == (Outcome.UNSURE, None)
    assert status.reason.startswith("0.50% were late, and up to ")
