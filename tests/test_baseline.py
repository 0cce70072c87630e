"""The suite's baseline: cells in pairs of invented lanes, figures beside stored ones, whole sessions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_sides import Cost, FakeSides
from hypothesis import given
from hypothesis import strategies as st
from sessions import ONE_ROUND, Suite

from ovbench import machine
from ovbench.baseline import (
    MIN_SESSIONS,
    SPEEDUP,
    TIME,
    Baseline,
    Share,
    between_sessions,
    compare_contests,
    judge_pairs,
    judge_stored,
    share_out,
    split_by_memory,
    typical_s,
)
from ovbench.campaign import Cell, Measurements
from ovbench.comparison import MIN_PAIRS, Comparison, Contest
from ovbench.config import Config, Mode, Precision
from ovbench.errors import LaneDied
from ovbench.gate import FAMILY_ALPHA
from ovbench.report.baseline import judged_text, skipped_text
from ovbench.samples import Block, Replicate
from ovbench.sessions import StoredRow, StoredSession
from ovbench.verdict import Judged, Verdict

FP32, INT8 = Config("tiny"), Config("tiny", precision=Precision.INT8)
HOST = machine.fingerprint()
TOLERANCE = 0.03
WOBBLE = (0.99, 1.01, 1.0, 0.995, 1.005, 1.0, 0.99, 1.01)  # of side B by lane, about as a quiet host's pairs


def contest(config: Config) -> Contest:
    order = {"do": "open", "key": config.key}
    return Contest(config.key, config.mode, (order, order))


def cost_of(ratios: Mapping[str, float]) -> Cost:
    """Side A takes 1 ms, B its ratio of it, give or take its lane's wobble."""
    return lambda side, key, lane: 1e6 if side == "A" else 1e6 * ratios[key] * WOBBLE[lane % len(WOBBLE)]


def run(
    sides: FakeSides, *configs: Config, budget_s: float = 60.0, tolerances: Mapping[str, float] = {}
) -> list[Comparison]:
    into: list[Comparison] = []
    compare_contests(
        [contest(config) for config in configs],
        Share(budget_s, 1.0, 10.0),
        (sides.opener("A"), sides.opener("B")),
        {config.key: TOLERANCE for config in configs} | dict(tolerances),
        0,
        into,
        sides.clock,
        sides.read_contention,
    )
    return into


# ---------------------------------------------------------------------------------------------------------- paired


def test_a_slower_cell_is_found_and_the_others_stay() -> None:
    found = run(FakeSides(cost_of({FP32.key: 1.0, INT8.key: 1.2})), FP32, INT8)
    fp32, int8 = judge_pairs(found, [FP32, INT8], TOLERANCE)
    assert (fp32.verdict, int8.verdict) == (Verdict.SAME, Verdict.SLOWER)
    assert fp32.holds
    assert not int8.holds
    assert judged_text(int8, TOLERANCE).endswith("tolerance 3 %: SLOWER")
    assert "1.200 [" in judged_text(int8, TOLERANCE)


def test_a_cell_that_is_the_same_or_faster_is_measured_no_more() -> None:
    sides = FakeSides(cost_of({FP32.key: 1.0, INT8.key: 0.5}))
    found = run(sides, FP32, INT8)
    assert len(found[0].pairs) == MIN_PAIRS
    assert [each.verdict for each in judge_pairs(found, [FP32, INT8], TOLERANCE)] == [Verdict.SAME, Verdict.FASTER]


def test_a_cell_with_a_tolerance_of_its_own_is_measured_until_that_is_held() -> None:
    sides = FakeSides(cost_of({FP32.key: 1.0, INT8.key: 1.0}))
    (found,) = run(sides, FP32, INT8, tolerances={INT8.key: 0.01})
    assert len(found.log_ratios(FP32.key)) == MIN_PAIRS < len(found.log_ratios(INT8.key))
    judged = judge_pairs([found], [FP32, INT8], TOLERANCE, {INT8.key: 0.01})
    assert [each.verdict for each in judged] == [Verdict.SAME, Verdict.SAME]


def test_no_cell_ends_early_for_being_slower() -> None:
    sides = FakeSides(cost_of({INT8.key: 2.0}))
    begin = sides.now
    found = run(sides, INT8, budget_s=40.0)
    assert len(found[0].pairs) > MIN_PAIRS
    assert 30.0 < sides.now - begin <= 40.0


def test_five_pairs_are_taken_whatever_the_budget() -> None:
    assert len(run(FakeSides(cost_of({INT8.key: 1.2})), INT8, budget_s=0.1)[0].pairs) == MIN_PAIRS


def test_lanes_that_die_of_one_cell_fail_that_cell_alone() -> None:
    def trouble(side: str, _lane: int, order: Mapping[str, Any]) -> Exception | None:
        return LaneDied("gone") if side == "A" and order.get("key") == INT8.key and order["do"] == "block" else None

    found = run(FakeSides(cost_of({FP32.key: 1.0, INT8.key: 1.0}), trouble), FP32, INT8)
    fp32, int8 = judge_pairs(found, [FP32, INT8], TOLERANCE)
    assert fp32.verdict is Verdict.SAME
    assert not fp32.failed
    assert int8.failed == "side A: gone"
    assert not int8.holds
    assert "comparison with the baseline FAILED: side A: gone" in judged_text(int8, TOLERANCE)
    assert any("each cell is tried apart" in note for each in found for note in each.notes)


def test_a_busy_machine_gives_no_verdict() -> None:
    taken = replace(machine.read_contention(), steal_s=0.0)
    sides = FakeSides(cost_of({INT8.key: 2.0}), contention=lambda reading: replace(taken, steal_s=9.0 * reading))
    (judged,) = judge_pairs(run(sides, INT8, budget_s=1.0), [INT8], TOLERANCE)
    assert judged.verdict is Verdict.UNSURE
    assert "the machine was busy" in judged.reason


@given(st.lists(st.integers(0, 1000), max_size=12), st.one_of(st.none(), st.integers(0, 3000)))
def test_groups_hold_every_cell_once_within_the_limit(sizes: list[int], limit: int | None) -> None:
    cells = [Cell(Config(f"m{number}"), memory_bytes=size) for number, size in enumerate(sizes)]
    groups = split_by_memory(cells, limit)
    assert [cell for group in groups for cell in group] == cells
    for group in groups:
        assert len(group) == 1 or limit is None or sum(2 * cell.memory_bytes for cell in group) <= limit


@given(st.integers(1, 40), st.floats(0.0, 2.0), st.floats(0.1, 5000.0))
def test_five_pairs_fit_a_budget_that_is_enough(count: int, open_s: float, budget_s: float) -> None:
    cells = [Cell(Config(f"m{number}"), open_s=open_s) for number in range(count)]
    share = share_out(cells, budget_s)
    assert share.pair_s > 0
    if budget_s >= share.needed_s:
        start_s = share_out(cells, share.needed_s).needed_s / MIN_PAIRS - share_out(cells, share.needed_s).pair_s
        assert MIN_PAIRS * (start_s + share.pair_s) <= budget_s * (1 + 1e-9)


# ---------------------------------------------------------------------------------------------------------- stored


def replicates(cost_ns: float, lanes: int = 6) -> list[Replicate]:
    return [
        Replicate(lane, Mode.SYNC, (Block(0, (round(cost_ns * WOBBLE[lane]),) * 5, (1,) * 5, 5),))
        for lane in range(lanes)
    ]


def measured(int8_ns: float, fp32_ns: float = 2e6) -> Measurements:
    return Measurements(
        {config: Cell(config) for config in (FP32, INT8)},
        {FP32: replicates(fp32_ns), INT8: [replace(each, blocks=replicates(int8_ns, 1)[0].blocks)
                                          for each in replicates(int8_ns)]},
    )  # fmt: skip


def session(number: int, int8_s: float = 0.001, fp32_s: float = 0.002, **changes: Any) -> StoredSession:
    logs = tuple(math.log(fp32_s / int8_s * wobble) for wobble in WOBBLE[:6])
    rows = (
        StoredRow("latency", FP32, fp32_s, ()),
        StoredRow("latency", INT8, int8_s, ()),
        StoredRow("speedup", INT8, int8_s, logs),
    )
    stored = StoredSession(Path(f"{number:04}_x.json"), "2026-11-22", True, HOST.fingerprint_id, HOST.isa.value,
                           HOST.cores, "2026.4.1", "", rows)  # fmt: skip
    return replace(stored, **changes)


def judge(
    now: Measurements, stored: StoredSession, history: tuple[StoredSession, ...] = ()
) -> dict[tuple[str, Config], Judged]:
    baseline = Baseline("1", TOLERANCE, stored=stored, history=history)
    judge_stored(baseline, now, [FP32, INT8], HOST)
    return {(each.what, each.config): each for each in baseline.judged}


def test_a_lost_speedup_is_slower_and_a_slow_day_is_not() -> None:
    lost = judge(measured(int8_ns=1.5e6), session(1))[SPEEDUP, INT8]
    assert lost.verdict is Verdict.SLOWER
    assert lost.estimate is not None
    assert lost.estimate.value == pytest.approx(1.5, rel=0.02)
    assert judge(measured(int8_ns=3e6, fp32_ns=6e6), session(1))[SPEEDUP, INT8].verdict is Verdict.SAME
    assert judge(measured(int8_ns=0.5e6), session(1))[SPEEDUP, INT8].verdict is Verdict.FASTER


@pytest.mark.parametrize(("t", "verdict"), [(3.6, Verdict.UNSURE), (4.5, Verdict.SLOWER)])
def test_half_of_the_chance_of_a_false_alarm_is_left_for_absolute_times(t: float, verdict: Verdict) -> None:
    """Of six lanes t is 3.4 for a one-sided p-value of 1 %, 4.0 for 0.5 %."""
    now, steps = measured(1e6), np.linspace(-0.02, 0.02, 6)
    lost = math.log(1 + TOLERANCE) + steps + t * steps.std(ddof=1) / math.sqrt(6)
    then = StoredRow("speedup", INT8, 0.001, tuple(np.array(now.log_speedups(INT8)) + lost))
    assert judge(now, session(1, rows=(then,)))[SPEEDUP, INT8].verdict is verdict


def test_a_busy_machine_gives_no_verdict_beside_a_stored_session() -> None:
    busy = replace(measured(int8_ns=9e6), rounds=10, rejected={(9, number) for number in range(6)})
    found = judge(busy, session(1, fingerprint="another"))
    assert found[SPEEDUP, INT8].verdict is Verdict.UNSURE
    assert found[SPEEDUP, INT8].reason == "the machine was busy: 60% of the rounds were rejected"
    assert not found[SPEEDUP, INT8].broken
    assert found[TIME, INT8].verdict is Verdict.SKIPPED


def test_fp32_has_no_speedup_to_compare() -> None:
    assert set(judge(measured(1e6), session(1))) == {(SPEEDUP, INT8), (TIME, FP32), (TIME, INT8)}


def test_absolute_times_are_unsure_before_ten_sessions() -> None:
    history = tuple(session(number) for number in range(MIN_SESSIONS - 1))
    found = judge(measured(int8_ns=9e6), session(1), history)[TIME, INT8]
    assert found.verdict is Verdict.UNSURE
    assert found.reason.endswith(f"so far: {MIN_SESSIONS - 1}")
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(9.0, rel=0.02)


def test_ten_sessions_give_a_band_that_decides() -> None:
    steady = tuple(session(number, int8_s=0.001 * wobble) for number, wobble in enumerate((0.999, 1.001) * 5))
    assert judge(measured(int8_ns=1.5e6), session(1), steady)[TIME, INT8].verdict is Verdict.SLOWER
    assert judge(measured(int8_ns=1e6), session(1), steady)[TIME, INT8].verdict is Verdict.SAME
    restless = tuple(session(number, int8_s=0.001 * wobble) for number, wobble in enumerate((0.7, 1.4) * 5))
    unsure = judge(measured(int8_ns=1.5e6), session(1), restless)[TIME, INT8]
    assert (unsure.verdict, unsure.reason) == (Verdict.UNSURE, "days differ by more than the tolerance")


def test_times_of_another_machine_are_refused_and_speedups_kept() -> None:
    found = judge(measured(1e6), session(1, fingerprint="another"))
    assert found[TIME, INT8].verdict is Verdict.SKIPPED
    assert "another machine (another)" in found[TIME, INT8].reason
    assert found[SPEEDUP, INT8].verdict is Verdict.SAME


@pytest.mark.parametrize(
    "changes", [{"isa": "another"}, {"cores": HOST.cores + 1}, {"isa": "", "cores": 0, "fingerprint": ""}]
)
def test_speedups_of_another_kind_of_cpu_are_refused(changes: dict[str, Any]) -> None:
    found = judge(measured(9e6), session(1, **{"fingerprint": "another", **changes}))
    assert {each.verdict for each in found.values()} == {Verdict.SKIPPED}
    assert skipped_text(tuple(found.values()))


def test_a_cell_that_the_session_has_not_is_skipped() -> None:
    found = judge(measured(1e6), session(4, rows=()))
    assert {each.verdict for each in found.values()} == {Verdict.SKIPPED}
    assert all("session 0004 has no" in each.reason for each in found.values())


def test_the_interval_between_sessions_covers_what_two_unchanged_ones_differ_by() -> None:
    days = np.exp(np.random.default_rng(0).normal(0.0, 0.05, (500, 12)))
    found = [between_sessions(now_s, past_s[0], past_s, 0.99) for now_s, *past_s in days.tolist()]
    assert np.mean([each.low < 1 < each.high for each in found if each.low and each.high]) > 0.975


@given(st.floats(1e-4, 1.0), st.floats(1e-4, 1.0), st.lists(st.floats(1e-3, 1e-2), min_size=10, max_size=20))
def test_the_interval_between_sessions_is_antisymmetric(now_s: float, then_s: float, past_s: list[float]) -> None:
    forth = between_sessions(now_s, then_s, past_s, 1 - FAMILY_ALPHA)
    back = between_sessions(then_s, now_s, past_s, 1 - FAMILY_ALPHA)
    assert forth.low is not None
    assert forth.high is not None
    assert forth.low <= forth.value <= forth.high
    assert back.low is not None
    assert back.low == pytest.approx(1 / forth.high, rel=1e-9)


def test_the_typical_time_is_the_stored_median() -> None:
    assert typical_s(replicates(1e6)) == pytest.approx(0.001, rel=0.01)
    window = Block(0, (1, 2, 3), (1,) * 3, 6_000_000)
    assert typical_s([Replicate(0, Mode.ASYNC, (window,))]) == pytest.approx(0.002)
    assert typical_s([]) is None


# -------------------------------------------------------------------------------------------------- whole sessions

ONE_CELL = ("--ov-precision=FP32", "--ov-hint=LATENCY", "--ov-cache=off", ONE_ROUND, "-p", "no:cacheprovider")
CELL = "benches/bench_baseline.py::bench_baseline[FP32-LATENCY-1-off]"
ANYTHING = "--ov-tolerance=10"  # the machine may be as busy as it likes


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory, tiny_model_path: Path) -> Suite:
    folder = tmp_path_factory.mktemp("baseline")
    return Suite(folder / "results", folder / "cache", tiny_model_path)


def test_without_a_baseline_nothing_is_compared(suite: Suite) -> None:
    assert "bench_baseline" not in suite.run("benches", "--collect-only", "-q").out


def test_another_model_is_compared_in_pairs(suite: Suite) -> None:
    ended = suite.run(CELL, f"--ov-baseline=model={suite.model}", ANYTHING, *ONE_CELL)
    assert ended.code == 0, ended.text
    assert f"Against the baseline: model={suite.model}" in ended.out
    assert len(ended.of_kind("pair")) == MIN_PAIRS
    assert not ended.of_kind("replicate"), "nothing asked for the campaign"


def test_a_stored_session_says_nothing_of_times_until_there_are_ten(suite: Suite) -> None:
    first = suite.run("benches/bench_latency.py", "-k", "not copied", *ONE_CELL)
    assert first.code == 0, first.text
    number = sorted(first.results.glob("*/*.json"))[-1].name[:4]
    ended = suite.run(CELL, f"--ov-baseline={number}", "--ov-unsure=fail", ANYTHING, *ONE_CELL)
    assert ended.code == 6, ended.text
    assert "a between-session band needs 10 stored sessions of this machine; so far: 1" in ended.out
    assert ended.of_kind("replicate")
    facts = ended.stored[-1]["ovbench"]
    assert (facts["passed"], facts["fingerprint"]) == (False, HOST.fingerprint_id)


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        (("--ov-baseline=python=nowhere",), "give the path of a Python that has openvino"),
        (("--ov-baseline=7777",), "no such session"),
        (("--ov-baseline=promoted",), "ovbench baseline set NUMBER"),
        (("--ov-baseline=promoted", "--ov-tolerance=0.001"), "tighter than this host can hold"),
    ],
)
def test_a_baseline_that_cannot_be_is_refused(suite: Suite, given: tuple[str, ...], remedy: str) -> None:
    ended = suite.run(CELL, *ONE_CELL, *given, OVBENCH_PROFILE_DIR=str(suite.cache / "none"))
    assert ended.code == 4, ended.text
    assert len(ended.errors()) == 1
    assert remedy in ended.errors()[0]
