from __future__ import annotations

import dataclasses
import json
import math
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_sides import LATENCY, FakeSides
from hypothesis import given, settings
from hypothesis import strategies as st

from ovbench import ab, runtime, worker
from ovbench.comparison import MIN_PAIRS, PAIR_S, Comparison
from ovbench.errors import BadInput, BadOption, NothingMeasured
from ovbench.experiments import aa, looks, pools, power
from ovbench.experiments.pools import Pool, PoolPair, Replayed, Whole
from ovbench.hosts import alarm_bound
from ovbench.sides import Side
from ovbench.verdict import Verdict

HEADER = {"pair_s": 3.0, "metrics": ["latency"], "fingerprint": "abc", "versions": {"openvino": "2026.4.1"}}


def pool_pair(number: int, logs: Sequence[float], wall_s: float = 4.5, rounds_s: float = 3.0) -> PoolPair:
    return PoolPair(number, {"latency": tuple(logs)}, rounds_s, wall_s, 0.9 * rounds_s, len(logs), 0)


def pool_of(means: Sequence[float], spread: float = 0.0, rounds: int = 60, **header: Any) -> Pool:
    """One pair per mean; its rounds alternate about it."""
    signs = np.resize([-1.0, 1.0], rounds)
    pairs = [pool_pair(number, mean + spread * signs) for number, mean in enumerate(means)]
    return Pool({**HEADER, **header}, tuple(pairs))


def normal_pool(count: int, pair_sd: float, mean: float = 0.0, seed: int = 0, **header: Any) -> Pool:
    return pool_of(np.random.default_rng(seed).normal(mean, pair_sd, count).tolist(), **header)


# --- what looking costs ---


def test_paid_looks_keep_their_promise_and_unpaid_ones_do_not() -> None:
    unpaid, paid = looks.false_alarms(20_000).values()
    assert all(share > 2 * alpha for share, alpha in zip(unpaid[:2], looks.ALPHAS[:2], strict=True))
    assert all(share < alpha for share, alpha in zip(paid[:2], looks.ALPHAS[:2], strict=True))


def test_the_last_interval_holds_the_ratio_but_at_the_tolerance_itself() -> None:
    held = {ratio: looks.coverage(ratio, 0.02, 5_000) for ratio in (1.0, 1.03, 1.1)}
    assert min(held[1.0], held[1.1]) > 0.98
    assert 0.92 < held[1.03] < 0.97


# --- pools made into comparisons ---


@settings(max_examples=8, deadline=None)
@given(
    st.lists(st.floats(-0.1, 0.1), min_size=8, max_size=8),
    st.sampled_from([15.0, 20.0, 30.0, 40.0]),
    st.sampled_from([0.01, 0.03]),
)
def test_a_replay_ends_as_the_real_comparison_did(shares: list[float], budget_s: float, band: float) -> None:
    """The engine itself, and a replay of a pool of longer pairs of the same sides."""

    def sides() -> FakeSides:
        return FakeSides(lambda side, _key, lane: 1e6 * (1 + shares[lane % 8]) if side == "B" else 1e6)

    real = sides().run(
        lambda so_far, left: [each for each in left if not ab.is_decided(so_far, each.key, band)], budget_s=budget_s
    )
    long = sides().run(lambda so_far, left: left if len(so_far.pairs) < 40 else [], budget_s=math.inf)
    pairs = [
        PoolPair(pair.number, {"latency": (pair.log_ratios["latency"],) * pair.kept}, pair.rounds_s, pair.wall_s,
                 pair.measured_s, pair.kept, 0)
        for pair in long.pairs
    ]  # fmt: skip
    replayed = pools.replay(pairs, "latency", 0, band, budget_s, PAIR_S)
    assert replayed is not None
    assert replayed.verdict is ab.verdict_of(real.log_ratios("latency"), band)
    assert replayed.pairs == len(real.pairs)
    assert replayed.wall_s == pytest.approx(real.wall_s, abs=0.05 * len(real.pairs))


def test_a_clear_answer_takes_five_pairs_and_the_next_begins_after_it() -> None:
    pool = pool_of([0.1, 0.101, 0.099, 0.1, 0.1] * 4)
    apart = pools.replay_apart(pool.pairs, "latency", 0.03, 60.0, 3.0)
    assert [(each.verdict, each.pairs) for each in apart] == [(Verdict.SLOWER, MIN_PAIRS)] * 4
    everywhere = pools.replay_everywhere(pool.pairs, "latency", 0.03, 60.0, 3.0)
    assert len(everywhere) == 20 - MIN_PAIRS + 1
    assert {each.verdict for each in everywhere} == {Verdict.SLOWER}


def test_an_unclear_answer_takes_the_budget() -> None:
    pool = pool_of([-0.1, 0.1] * 20)
    (first, *_) = pools.replay_apart(pool.pairs, "latency", 0.03, 60.0, 3.0)
    assert first.verdict is Verdict.UNSURE
    assert first.pairs == int(60 / 4.5)
    assert first.wall_s <= 60.0


def test_where_the_pool_ends_there_is_no_comparison() -> None:
    pool = pool_of([-0.1, 0.1] * 3)
    assert pools.replay(pool.pairs, "latency", 0, 0.03, 60.0, 3.0) is None
    assert pools.replay_apart(pool.pairs, "latency", 0.03, 60.0, 3.0) == []
    assert pools.replay_apart((), "latency", 0.03, 60.0, 3.0) == []


def test_short_budgets_use_the_first_rounds_of_each_pair() -> None:
    early, late = [0.0] * 40, [0.5] * 80  # a pair that was seen for its first second only shows nothing
    pairs = [pool_pair(number, [*early, *late]) for number in range(12)]
    assert pairs[0].log_ratio("latency", 1.0) == 0.0
    assert pairs[0].log_ratio("latency", 3.0) == pairs[0].log_ratio("latency") == 0.5
    short = pools.replay(pairs, "latency", 0, 0.03, 15.0, 3.0)
    assert short is not None
    assert (short.verdict, short.pairs) == (Verdict.SAME, MIN_PAIRS)
    assert short.wall_s <= 15.0
    full = pools.replay(pairs, "latency", 0, 0.03, 60.0, 3.0)
    assert full is not None
    assert full.verdict is Verdict.SLOWER


def test_a_pair_without_a_kept_round_counts_as_time_spent_and_too_many_are_unsure() -> None:
    hit = PoolPair(0, {"latency": ()}, 3.0, 4.5, 2.7, 0, 60)
    clear = [pool_pair(number, [0.1] * 60) for number in range(20)]
    one = pools.replay([hit, *clear], "latency", 0, 0.03, 60.0, 3.0)
    assert one is not None
    assert (one.verdict, one.pairs) == (Verdict.SLOWER, MIN_PAIRS + 1)
    busy = pools.replay([*[hit] * 6, *clear], "latency", 0, 0.03, 60.0, 3.0)
    assert busy is not None
    assert busy.verdict is Verdict.UNSURE


# --- pools in files ---


def write_pool(path: Path, cost_b: float = 1.1, pairs: int = 3, **header: Any) -> Comparison:
    from ovbench.comparison import pair_fields
    from ovbench.records import Journal

    comparison = FakeSides(lambda side, _key, _lane: 1e6 * (cost_b if side == "B" else 1.0)).run(
        lambda so_far, left: left if len(so_far.pairs) < pairs else [], (LATENCY,), budget_s=math.inf
    )
    Journal(path).write("pool", **{**HEADER, **header})
    for pair in comparison.pairs:
        Journal(path).write("pair", **pair_fields(pair))
    return comparison


def test_a_pool_comes_back_from_its_file(tmp_path: Path) -> None:
    comparison = write_pool(tmp_path / "pool.jsonl")
    pool = pools.read_pool(tmp_path / "pool.jsonl")
    assert pool is not None
    assert pool.header["pair_s"] == 3.0
    assert pool.log_ratios("latency") == pytest.approx(comparison.log_ratios("latency"))
    for mine, real in zip(pool.pairs, comparison.pairs, strict=True):
        assert (mine.wall_s, mine.rounds_s, mine.kept) == (real.wall_s, real.rounds_s, real.kept)
        assert len(mine.round_logs["latency"]) == real.kept
    assert pools.read_pool(tmp_path / "none.jsonl") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}\n", "line 1 of .* is none of a journal"),
        ("nonsense\n", "line 1 of .* is none of a journal"),
        ('{"format": 1, "kind": "pool"}\n{"format": 1, "kind": "pair"}\n', "is no pool of pairs"),
    ],
)
def test_a_file_that_is_no_pool_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "pool.jsonl"
    path.write_text(text)
    with pytest.raises(BadInput, match=said):
        pools.read_pool(path)


TINY_PAIR_S = 0.2


def tiny_question(model: Path) -> ab.Question:
    return ab.Question("A/A", Side(), Side(), str(model), metrics=("latency",))


def test_filling_goes_on_where_it_stopped_even_after_a_torn_line(
    tiny_model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVBENCH_CACHE_DIR", str(tmp_path / "cache"))
    path, question = tmp_path / "pool.jsonl", tiny_question(tiny_model_path)
    assert [pair.number for pair in pools.fill(path, question, 1, TINY_PAIR_S).pairs] == [0]
    first = path.read_text()
    path.write_text(first + '{"format": 1, "kind": "pair", "numb')  # killed while it wrote
    pool = pools.fill(path, question, 2, TINY_PAIR_S)
    assert [pair.number for pair in pool.pairs] == [0, 1]
    assert path.read_text().startswith(first)
    assert all(json.loads(line) for line in path.read_text().splitlines())
    before = path.read_text()
    assert len(pools.fill(path, question, 1, TINY_PAIR_S).pairs) == 1
    assert path.read_text() == before
    for other, named in (((question, 2, 0.3), "pair_s"), ((question, 2, TINY_PAIR_S, {"layers": 3}), "layers")):
        with pytest.raises(BadOption, match=f"another {named}.*move it away"):
            pools.fill(path, *other)


def test_whole_comparisons_go_on_where_they_stopped(
    tiny_model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []
    comparison = write_pool(tmp_path / "unused.jsonl", 1.0, 5)

    def ask(question: ab.Question, *_rest: Any) -> Any:
        asked.append((question.name, question.seed))
        before = ab.Preflight("v", {}, [], ())
        return ab.judge(question, comparison, 0.0, None, (before, before))

    monkeypatch.setattr(ab, "ask", ask)
    path, question = tmp_path / "whole.jsonl", tiny_question(tiny_model_path)
    (one,) = pools.ask_whole(path, question, 1)
    assert (one.metric, one.verdict, one.ratio, one.pairs) == ("latency", Verdict.SAME, 1.0, 5)
    assert len(pools.ask_whole(path, question, 3)) == 3
    assert asked == [("A/A 1 of 1", 0), ("A/A 2 of 3", 1), ("A/A 3 of 3", 2)]
    assert pools.ask_whole(path, question, 2) == pools.read_whole(path)[:2]


def test_a_side_that_fails_ends_the_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Comparison("A/A", failed="side B: killed")
    before = ab.Preflight("v", {}, [], ())
    monkeypatch.setattr(ab, "ask", lambda question, *_rest: ab.judge(question, failed, 0.0, None, (before, before)))
    with pytest.raises(NothingMeasured, match="side B: killed"):
        pools.ask_whole(tmp_path / "whole.jsonl", tiny_question(Path("m.xml")), 1)


# --- aa ---


def test_scatter_of_pairs_and_means() -> None:
    pool = normal_pool(400, 0.011)
    found = aa.scatter(pool, "latency")
    assert found.pair_sd == pytest.approx(0.011, rel=0.08)
    for size, sd in zip(aa.GROUPS, found.group_sds, strict=True):
        assert sd == pytest.approx(0.011 / math.sqrt(size), rel=0.25)
    assert found.widest == pytest.approx(math.exp(max(abs(log) for log in pool.log_ratios("latency"))) - 1)
    assert aa.scatter(pool_of([0.01]), "latency").pair_sd is None
    with pytest.raises(NothingMeasured, match="rejected"):
        aa.scatter(Pool(HEADER, ()), "latency")


def test_unchanged_pairs_end_same_without_alarms() -> None:
    ends = aa.replayed_ends(normal_pool(200, 0.011), 60.0)
    by_tolerance = dict(zip(aa.TOLERANCES, ends, strict=True))
    assert all(each.alarms == 0 for each in ends)
    widest = by_tolerance[0.03]
    assert widest.count(Verdict.SAME) / len(widest.verdicts) >= 0.9
    assert by_tolerance[0.01].count(Verdict.SAME) <= widest.count(Verdict.SAME)
    assert widest.within / len(widest.ratios) >= 0.9


def test_ends_are_counted() -> None:
    replayed = [
        Replayed(Verdict.SAME, 0.0, 5, 20.0), Replayed(Verdict.SLOWER, math.log(1.04), 6, 25.0),
        Replayed(Verdict.FASTER, math.log(0.9885), 5, 20.0), Replayed(Verdict.UNSURE, None, 13, 60.0),
    ]  # fmt: skip
    ends = aa.ends_of("latency", replayed)
    assert (ends.alarms, ends.within, len(ends.ratios)) == (2, 2, 3)
    row = aa.ends_table([ends]).splitlines()[-1]
    assert row.startswith("| latency | 4 | 25.00 % | 25.00 % | 1 | 1 | 66.67 % | 6 |")
    assert f"> {100 * alarm_bound(2, 4):.2f} %" in row


def test_medians_of_consecutive_runs() -> None:
    told = aa.medians_text([1e6, 1.2e6, 1.0e6, 1.05e6])
    assert "between 4 consecutive runs" in told
    assert "1 of 3 fail, 2 are beyond" in told
    assert "1.00 to 1.20 ms" in told


def test_the_report_is_markdown_with_every_part() -> None:
    pool = normal_pool(40, 0.011)
    whole = [Whole("latency", Verdict.SAME, 1.002, 5, 30.0, 18.0, 300, 2)] * 2
    told = aa.tell(pool, 60.0, whole, [1e6, 1.2e6])
    assert told.count("| --- |") + told.count("| ---") >= 3
    assert "40 fresh pairs" in told
    assert "60% of their wall time measuring" in told
    assert "--benchmark-compare-fail" in told
    short = aa.tell(pool, 60.0, [], [])
    assert "Whole" not in short
    assert "--benchmark-compare-fail" not in short


# --- power ---


def test_power_grows_with_the_slowdown_the_budget_and_a_narrow_tolerance() -> None:
    pools_of = {
        amount: normal_pool(60, 0.011, math.log1p(amount / 100), amount=amount, layers=4) for amount in (2.0, 5.0, 10.0)
    }
    found = {
        (amount, tolerance, budget_s): slower / made
        for amount, pool in pools_of.items()
        for tolerance, budget_s, slower, made in power.power_of(pool).found
    }
    assert found[10.0, 0.03, 20.0] >= 0.95
    assert found[5.0, 0.02, 60.0] >= 0.9
    assert found[2.0, 0.03, 60.0] == 0.0
    for (amount, tolerance, budget_s), share in found.items():
        if (10.0, tolerance, budget_s) in found and amount < 10.0:
            assert share <= found[10.0, tolerance, budget_s]


def test_the_measured_size_stands_beside_the_amount() -> None:
    pool = normal_pool(60, 0.011, math.log(1.031), amount=3.0, layers=7)
    each = power.power_of(pool)
    assert each.size.value == pytest.approx(1.031, abs=0.005)
    assert each.size.low is not None
    row = power.tell([each]).splitlines()[-1]
    assert row.startswith(f"| 3 % | 7 | 60 | {100 * each.size.value - 100:.2f} % [")
    assert len(power.tell([each]).splitlines()[0].split("|")) == 2 + 4 + 9


@pytest.mark.parametrize(("amount", "layers"), [(0.03, 15), (0.10, 50), (0.0001, 1)])
def test_layers_are_chosen_on_the_line_through_two_points(amount: float, layers: int) -> None:
    assert power.layers_for(amount, (5, 1.01), (50, 1.10)) == layers


def test_layers_that_cost_nothing_cannot_be_chosen() -> None:
    with pytest.raises(NothingMeasured, match="too noisy"):
        power.layers_for(0.03, (5, 1.02), (50, 1.01))


def test_added_work_stays_in_the_graph_and_changes_no_output(tiny_model_path: Path) -> None:
    model = runtime.read_model(tiny_model_path, {})
    heavier = power.add_work(runtime.read_model(tiny_model_path, {}), 6)
    assert sum(worker.macs_by_layer(heavier).values()) > sum(worker.macs_by_layer(model).values())
    compiled = [worker.compile_model(runtime.core(), each, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
                for each in (model, heavier)]  # fmt: skip
    (values,) = worker.make_inputs(model, 0)
    assert np.array_equal(compiled[0](values)[0], compiled[1](values)[0])
    nodes = [
        sum("onvolution" in str(node.get_rt_info()["layerType"].value) for node in each.get_runtime_model().get_ops())
        for each in compiled
    ]
    assert nodes[1] - nodes[0] == 6


PARENT = """
import sys
from ovbench.experiments import power
with power.neighbour() as pid:
    print(pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux tells when a stranger's process ends")
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_neighbour_ends_with_us_however_we_end(sent: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert parent.stdout is not None
    assert parent.stdin is not None
    neighbour = os.pidfd_open(int(parent.stdout.readline()))
    parent.send_signal(sent)
    parent.wait()
    ended, _, _ = select.select([neighbour], [], [], 30.0)
    os.close(neighbour)
    parent.stdin.close()
    parent.stdout.close()
    assert ended


def test_what_a_neighbour_does_is_told() -> None:
    whole = [Whole("latency", verdict, 1.0, 5, 30.0, 18.0, 200, 100) for verdict in
             (Verdict.SAME, Verdict.UNSURE, Verdict.UNSURE)]  # fmt: skip
    told = power.tell_neighbour(whole)
    assert "3 unchanged comparisons: 0 FASTER, 0 SLOWER, 1 SAME, 2 UNSURE; 300 of 900 rounds rejected (33%)" in told
    assert f"above {alarm_bound(0, 3):.0%} (95 %)" in told
    assert power.tell_neighbour([]) == ""


# --- doors ---


@pytest.mark.parametrize("experiment", [aa, power])
@pytest.mark.parametrize("arguments", [["--pairs", "0"], ["--pairs", "many"], ["--nonsense"], ["--budget-s", "0"]])
def test_bad_arguments_are_one_line_and_exit_4(
    experiment: Any, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        experiment.main(arguments)
    assert ended.value.code == 4
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_bad_amounts_are_one_line_and_exit_4(capsys: pytest.CaptureFixture[str]) -> None:
    for amounts in ("some", "2,,3", "0,3", "-1"):
        with pytest.raises(SystemExit) as ended:
            power.main([f"--amounts={amounts}"])
        assert ended.value.code == 4
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_what_is_in_the_folder_is_told_when_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    write_pool(tmp_path / "pool-latency-1.5s.jsonl", 1.0, 6, pair_s=1.5)
    write_pool(tmp_path / "slower-by-3.jsonl", 1.03, 6, amount=3.0, layers=9)
    monkeypatch.setattr(pools, "fill", interrupted)
    monkeypatch.setattr(power, "heavier_question", lambda *_arguments: None)
    assert aa.main(["--metric", "latency", "--folder", str(tmp_path)]) == 130
    told = capsys.readouterr()
    assert told.out.startswith("6 fresh pairs")
    assert "goes on from there" in told.err
    assert power.main(["--amounts", "3", "--folder", str(tmp_path)]) == 130
    assert "| 3 % | 9 | 6 | 3.00 %" in capsys.readouterr().out
    assert aa.main(["--folder", str(tmp_path / "empty")]) == 1
    assert "no pair was measured" in capsys.readouterr().err


def test_a_pool_of_another_machine_is_refused_at_the_door(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pool(tmp_path / "pool-latency-1.5s.jsonl", 1.0, 6, pair_s=1.5, fingerprint="another")
    assert aa.main(["--metric", "latency", "--folder", str(tmp_path)]) == 4
    assert "another fingerprint" in capsys.readouterr().err


def test_pool_pairs_are_data() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        pool_pair(0, [0.0]).number = 1  # type: ignore[misc]
