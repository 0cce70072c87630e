"""The pick of a race: who holds the constraints, who is best, what is shown and what is not."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_lane import FakeLane, FakeMachine, order_for
from hypothesis import given, settings
from hypothesis import strategies as st
from made_models import write_pictures

from ovbench import tune as tuning
from ovbench.agreement import Agreement
from ovbench.artifacts import ArtifactCache
from ovbench.candidates import Space, candidates
from ovbench.config import AUTO, Config, Hint, Precision
from ovbench.errors import BadModel, BadOption, ContestantRefused
from ovbench.options import Settings
from ovbench.race import Entrant, Goal, Race
from ovbench.records import Journal, read_journal
from ovbench.samples import Block
from ovbench.stats import Estimate
from ovbench.tune import Aim, Constraints, Limit, Tuned
from ovbench.verdict import Outcome, Verdict
from ovbench.worker import import_openvino

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


# -------------------------------------------------------------------------------------------------------------- pick


def test_the_best_of_the_finalists_is_picked_with_its_margin() -> None:
    race = race_of({SYNC: 4.0, INT8: 2.0, ASYNC: 3.0}, [INT8, ASYNC])
    found = tuning.pick(race)
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
    assert tuning.pick(race_of(costs, list(costs))).config == slow_but_wide
    assert tuning.pick(race_of(costs, list(costs), goal=Goal.LATENCY)).config == SYNC


def test_a_simpler_one_that_nothing_tells_from_the_best_is_picked() -> None:
    wobble = [0.97, 1.03, 1.0, 0.98, 1.02]
    race = race_of({TWO: 2.01, FOUR: 2.0, SYNC: 9.0}, [TWO, FOUR], noise={TWO: wobble})
    found = tuning.pick(race)
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
    found = tuning.pick(race_of({TWO: cost_ms, FOUR: 2.0}, [TWO, FOUR], noise={TWO: wobble}))
    assert found.config == FOUR
    assert found.better is None


def test_a_difference_within_the_band_is_told_from_none_and_from_faster() -> None:
    found = tuning.pick(race_of({FOUR: 2.0, INT8: 2.03}, [FOUR, INT8]), band=0.05)
    assert not found.tied
    assert found.verdict is Verdict.SAME


def test_without_five_lanes_no_difference_can_be_shown() -> None:
    found = tuning.pick(race_of({INT8: 2.0, SYNC: 4.0}, [INT8, SYNC], lanes=4))
    assert found.config == INT8
    assert found.margin is not None
    assert found.margin.low is None
    assert found.tied
    assert found.verdict is Verdict.UNSURE


def test_a_busy_machine_gives_a_pick_and_no_verdict() -> None:
    race = race_of({INT8: 2.0, SYNC: 4.0}, [INT8, SYNC])
    race.rejected = {(lane, number) for lane in range(6) for number in range(3)}
    found = tuning.pick(race)
    assert (found.config, found.verdict) == (INT8, Verdict.UNSURE)


def test_aliases_and_faults_are_nobody() -> None:
    race = race_of({SYNC: 4.0})
    race.entrants[INT8] = Entrant(INT8, fault="no")
    race.entrants[TWO] = Entrant(TWO, alias_of=SYNC)
    assert tuning.measured(race) == [SYNC]
    found = tuning.pick(race)
    assert (found.config, found.runner_up, found.margin) == (SYNC, None, None)


def test_who_dropped_out_is_picked_where_no_finalist_holds_the_constraints() -> None:
    race = race_of({SYNC: 4.0, INT8: 2.0, ASYNC: 30.0, TWO: 31.0}, [ASYNC, TWO])
    race.entrants[SYNC].dropped = race.entrants[INT8].dropped = "dominated"
    assert tuning.pick(race).config == ASYNC
    found = tuning.pick(race, Constraints(p99_ns=20 * MS))
    assert (found.config, found.runner_up) == (INT8, SYNC)


def test_who_took_too_much_memory_leaves_the_place_to_the_next() -> None:
    race = race_of({INT8: 2.0, SYNC: 4.0, ASYNC: 5.0}, [INT8, SYNC])
    constraints = Constraints(max_memory_bytes=10**8)
    assert tuning.pick(race, constraints, {INT8: 2 * 10**8}).config == SYNC
    assert tuning.pick(race, constraints, {INT8: 2 * 10**8, SYNC: 3 * 10**8}).config == ASYNC


@settings(max_examples=30)
@given(st.lists(st.floats(0.5, 50.0), min_size=1, max_size=6), st.sampled_from(list(Goal)))
def test_nobody_who_is_clearly_better_is_passed_over(costs: list[float], goal: Goal) -> None:
    configs = candidates(Space(precisions=(Precision.FP32,), streams=(1, 2), threads=(0, 1), batches=(0,)))[
        : len(costs)
    ]
    found = tuning.pick(race_of(dict(zip(configs, costs, strict=False)), configs, goal=goal))
    best = min(costs[: len(configs)])
    mine = dict(zip(configs, costs, strict=False))[found.config]
    assert mine <= best * (1 + tuning.CLOSE) * 1.000001  # costs are rounded to whole ns


def test_simple_is_what_sets_little() -> None:
    assert [tuning.set_properties(config) for config in (SYNC, ASYNC, TWO, FOUR, INT8)] == [0, 0, 1, 2, 1]
    everything = replace(INT8, streams=2, threads=1, requests=2, batch=2, pinning=True, hyper_threading=False)
    assert tuning.set_properties(everything) == 7
    assert tuning.set_properties(replace(SYNC, precision=Precision.BF16)) == 0, "the same file does"
    assert tuning.set_properties(replace(SYNC, batch=1)) == 0


# ------------------------------------------------------------------------------------------------------- constraints


def late_race(late: Sequence[int], size: int = 100) -> Race:
    """One candidate; blocks of ``size`` inferences of 1 ms, so many of them of 9 ms."""
    race = Race(heat_lanes=1, lanes=1, finalists=(SYNC,))
    blocks = [block(number, [9 * MS] * each + [MS] * (size - each)) for number, each in enumerate(late)]
    race.entrants[SYNC] = Entrant(SYNC, effective={"threads": 2, "streams": 1}, blocks={0: blocks})
    return race


P99 = Constraints(p99_ns=5 * MS)


def test_half_of_two_blocks_late_is_clear_and_one_block_is_not() -> None:
    assert tuning.violation(late_race([50, 50]), P99, SYNC) == "50% of its inferences take longer than 5 ms"
    assert tuning.violation(late_race([100]), P99, SYNC) == ""
    assert tuning.violation(late_race([]), P99, SYNC) == ""


def test_a_burst_in_one_block_of_many_is_not_clear() -> None:
    burst = late_race([40] + [0] * 9)
    assert tuning.violation(burst, P99, SYNC) == ""
    assert not tuning.holds(burst, P99, SYNC, Limit.P99), "but as far as is known it is too late"


def test_one_late_inference_of_few_does_not_cost_the_lead_and_many_do() -> None:
    assert tuning.may_hold(late_race([1], size=12), P99, SYNC)
    assert tuning.may_hold(late_race([1, 0], size=20), P99, SYNC)
    assert not tuning.holds(late_race([1, 0], size=20), P99, SYNC, Limit.P99)
    assert not tuning.may_hold(late_race([2, 3], size=20), P99, SYNC)
    assert not tuning.may_hold(late_race([3, 4, 2, 3]), P99, SYNC)
    assert not tuning.may_hold(late_race([0]), Constraints(p99_ns=5 * MS, max_threads=1), SYNC)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 100), min_size=1, max_size=12))
def test_who_drops_out_does_not_hold_either(late: list[int]) -> None:
    race = late_race(late)
    share = tuning.late_share(race, SYNC, 5 * MS)
    assert share is not None
    assert share.value == pytest.approx(sum(late) / (100 * len(late)))
    assert share.low is not None
    assert share.high is not None
    assert share.low <= share.value <= share.high
    if tuning.violation(race, P99, SYNC):
        assert not tuning.may_hold(race, P99, SYNC)
    if not tuning.may_hold(race, P99, SYNC):
        assert not tuning.holds(race, P99, SYNC, Limit.P99)


def test_rounds_that_others_hit_do_not_count_as_late() -> None:
    race = late_race([100, 0, 0])
    race.rounds, race.rejected = 3, {(0, 0)}
    assert tuning.holds(race, P99, SYNC, Limit.P99)


def test_nobody_drops_out_for_rounds_that_others_hit() -> None:
    race = late_race([100, 100, 100, 0])
    race.rounds, race.rejected = 4, {(0, 0), (0, 1), (0, 2)}
    assert race.busy
    assert tuning.violation(race, P99, SYNC) == ""
    assert tuning.holds(race, P99, SYNC, Limit.P99), "by the one round that tells something"
    race.rejected.add((0, 3))
    with pytest.raises(BadOption) as refused:
        tuning.pick(race, P99)
    assert str(refused.value) == (
        "--p99 5ms: no candidate holds it; the nearest is 9 ms: FP32-LATENCY-1-off; the machine was busy, ask again "
        "when it is not"
    )


def test_threads_and_memory_are_broken_at_once() -> None:
    race = race_of({SYNC: 4.0})
    race.entrants[SYNC].memory_bytes = 30_000_000
    assert tuning.violation(race, Constraints(max_threads=2, max_memory_bytes=30_000_000), SYNC) == ""
    assert tuning.violation(race, Constraints(max_threads=1), SYNC) == "runs 2 threads"
    assert tuning.violation(race, Constraints(max_memory_bytes=29_000_000), SYNC) == "takes 30 MB and more"


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
            tuning.pick(race, constraints)
        assert str(refused.value) == line
    peaks = {SYNC: 90_000_000, INT8: 121_000_000, replace(SYNC, threads=1): 95_000_000}
    with pytest.raises(BadOption) as refused:
        tuning.pick(race, Constraints(max_memory_bytes=50_000_000), peaks)
    assert str(refused.value) == ("--max-memory 50MB: no candidate holds it; the nearest is 90 MB: FP32-LATENCY-1-off")


def agreement(share: Estimate) -> Agreement:
    return Agreement(share.count, 5, share, share, share, None, None)


def test_what_holds_by_its_estimate_alone_is_unsure() -> None:
    race = race_of({INT8: 2.0, SYNC: 4.0}, [INT8, SYNC])  # 1200 inferences, none late
    constraints = Constraints(p99_ns=5 * MS, min_agreement=0.98, max_memory_bytes=10**8, max_threads=2)
    known = {Precision.INT8: agreement(Estimate(0.985, 0.97, 0.99, 1000))}
    found = {each.limit: each for each in tuning.statuses(race, constraints, INT8, known, 9 * 10**7)}
    assert {limit: each.outcome for limit, each in found.items()} == {
        Limit.P99: Outcome.HELD,
        Limit.AGREEMENT: Outcome.UNSURE,
        Limit.MEMORY: Outcome.HELD,
        Limit.THREADS: Outcome.HELD,
    }
    assert found[Limit.P99].value == pytest.approx(2 * MS)
    assert found[Limit.AGREEMENT].reason == "1000 pictures show at least 0.970"
    (of_fp32,) = tuning.statuses(race, Constraints(min_agreement=1.0), SYNC, known, None)
    assert (of_fp32.value, of_fp32.outcome) == (1.0, Outcome.HELD)
    (untold,) = tuning.statuses(race, Constraints(max_memory_bytes=1), SYNC, {}, None)
    assert untold.outcome is Outcome.UNSURE


def test_too_few_inferences_show_no_p99() -> None:
    (status,) = tuning.statuses(late_race([0, 1], size=101), P99, SYNC, {}, None)
    assert (status.outcome, status.value) == (Outcome.UNSURE, None)
    assert status.reason.startswith("0.50% were late, and up to ")


# ------------------------------------------------------------------------------------------------ front and axes


points = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=8)


@settings(max_examples=50)
@given(points)
def test_nobody_beats_the_front_and_all_others_are_beaten(places: list[tuple[int, int]]) -> None:
    race = Race(heat_lanes=1, lanes=1)
    for (latency_ms, batch), threads in zip(places, itertools.count()):
        config = replace(SYNC, threads=threads, batch=batch)
        race.entrants[config] = Entrant(config, blocks={0: [block(0, [latency_ms * MS] * 5)]})
    figures = race.all_figures()
    front = tuning.pareto(race)

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
    found = {each.axis: each for each in tuning.what_axes_bought(race, Constraints(), pick)}
    assert {axis: None if each.ratio is None else round(each.ratio.value, 2) for axis, each in found.items()} == {
        "precision": 2.0, "hint": 1.6, "streams": 1.6, "requests": 1.1, "pinning": 1.05,
    }  # fmt: skip
    assert found["requests"].ratio is not None
    assert found["requests"].ratio.low is not None, "finalists have an interval"
    assert found["requests"].rounds == 24
    assert found["precision"].ratio is not None
    assert found["precision"].ratio.low is None
    assert found["precision"].rounds == 4
    assert tuning.ALL not in found, "the plain hint was not measured"
    alone = {each.axis: each for each in tuning.what_axes_bought(race, Constraints(p99_ns=1.04 * MS), pick)}
    assert alone["precision"].without is None
    assert alone["precision"].ratio is None


def test_a_pick_is_told_against_the_plain_hint_whatever_that_holds() -> None:
    usual = Config(precision=Precision.INT8, hint=Hint.THROUGHPUT, streams=AUTO)
    pick = replace(usual, streams=2, requests=4)
    race = race_of({pick: 1.0, usual: 1.3}, [pick, usual])
    first, *_ = tuning.what_axes_bought(race, Constraints(p99_ns=1.04 * MS), pick)
    assert (first.axis, first.without) == (tuning.ALL, usual)
    assert first.ratio is not None
    assert first.ratio.value == pytest.approx(1.3, rel=0.01)
    assert tuning.ALL not in {each.axis for each in tuning.what_axes_bought(race, Constraints(), usual)}


# ----------------------------------------------------------------------------------------------------------- running


@pytest.fixture
def peaks(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Peak memory of a fake lane, by the model file that it opened last."""
    told: dict[str, int] = {}

    def usage(lane: FakeLane, _order: Mapping[str, Any]) -> dict[str, Any]:
        (opened,) = lane.contestants.values()
        return {"peak_resident_bytes": told.get(opened["model"], 100_000_000)}

    monkeypatch.setattr(FakeLane, "_usage", usage, raising=False)
    monkeypatch.setattr("ovbench.campaign.was_hit", lambda *_: False)
    return told


def silent(_title: str) -> Any:
    import contextlib

    return contextlib.nullcontext(lambda _share, _doing: None)


CELLS = candidates(Space(precisions=(Precision.FP32, Precision.INT8), streams=(1, 2), batches=(0,)))
COSTS = {config.key: MS if config.precision is Precision.FP32 else MS // 2 for config in CELLS}


def tuned_with(tmp_path: Path, machine: FakeMachine, constraints: Constraints = Constraints()) -> Tuned:  # noqa: B008
    """A tuning of the fake machine, raced; what reads a real model is left out."""
    tuned = Tuned(Aim(Settings(budget=20.0), constraints=constraints), Journal(tmp_path / "journal.jsonl"))
    tuned.order = order_for(*CELLS, budget_s=20.0)
    try:
        tuning.run(tuned, tuned.order, silent, machine.open_lane, machine.clock)
    finally:
        tuning.write_candidates(tuned)
    return tuned


def test_a_race_ends_with_a_pick_and_a_journal(tmp_path: Path, peaks: dict[str, int]) -> None:
    machine = FakeMachine(cost_ns=COSTS)
    tuned = tuned_with(tmp_path, machine, P99)
    assert tuned.order is not None
    tuning.decide(tuned, tuned.order, silent, machine.open_lane)
    tuned.journal.write("tuned", **tuning.tuned_fields(tuned))
    assert tuned.pick is not None
    assert tuned.pick.config.precision is Precision.INT8
    assert tuned.peak_bytes == {tuned.pick.config: 100_000_000}
    assert [each.outcome for each in tuned.statuses] == [Outcome.HELD]
    assert tuned.front
    lines = list(read_journal(tuned.journal.path))
    kinds = [line["kind"] for line in lines]
    assert kinds[0] == "session"
    assert lines[0]["tool"] == "tune"
    assert set(kinds[1:]) == {"replicate", "candidate", "tuned"}
    told = [line for line in lines if line["kind"] == "candidate"]
    assert [line["cell"] for line in told] == [config.id for config in CELLS]
    assert all((line["figures"] is None) == (line["alias_of"] is not None) for line in told)
    assert lines[-1]["pick"] == tuned.pick.config.id
    assert all(lane.closed for lane in machine.lanes)


def test_the_next_is_picked_while_the_peak_is_too_large(tmp_path: Path, peaks: dict[str, int]) -> None:
    machine = FakeMachine(cost_ns=COSTS)
    peaks["INT8.xml"] = 300_000_000
    tuned = tuned_with(tmp_path, machine, Constraints(max_memory_bytes=200_000_000))
    assert tuned.order is not None
    tuning.decide(tuned, tuned.order, silent, machine.open_lane)
    assert tuned.pick is not None
    assert tuned.pick.config.precision is Precision.FP32
    assert set(tuned.peak_bytes.values()) == {100_000_000, 300_000_000}
    peaks["FP32.xml"] = 250_000_000
    with pytest.raises(BadOption) as refused:
        tuning.decide(tuned, tuned.order, silent, machine.open_lane)
    assert str(refused.value).startswith("--max-memory 200MB: no candidate holds it; the nearest is 250 MB: FP32-")


def test_memory_that_no_precision_fits_is_refused_before_the_race(tmp_path: Path, peaks: dict[str, int]) -> None:
    machine = FakeMachine()
    tuned = Tuned(Aim(Settings(), constraints=Constraints(max_memory_bytes=90_000_000)), Journal(tmp_path / "j"))
    tuned.order = order_for(*CELLS)
    peaks["INT8.xml"] = 95_000_000
    with pytest.raises(BadOption) as refused:
        tuning.check_memory(tuned, machine.open_lane)
    assert str(refused.value) == "--max-memory 90MB: no candidate holds it; the nearest is 95 MB: INT8-LATENCY-1-off"
    assert len(machine.lanes) == 2, "one for each precision"
    peaks["INT8.xml"] = 90_000_000
    tuning.check_memory(tuned, machine.open_lane)


def test_a_limit_that_all_break_ends_the_race_early_and_names_the_nearest(
    tmp_path: Path, peaks: dict[str, int]
) -> None:
    machine = FakeMachine(cost_ns=COSTS)
    tuned = tuned_with(tmp_path, machine, Constraints(p99_ns=MS / 10))
    assert tuned.race.finalists == ()
    assert all(entrant.dropped for entrant in tuned.race.entrants.values() if entrant.distinct)
    assert tuned.order is not None
    with pytest.raises(BadOption, match=r"--p99 0.1ms: no candidate holds it; the nearest is 0.5 ms: INT8-"):
        tuning.decide(tuned, tuned.order, silent, machine.open_lane)


def test_ctrl_c_keeps_the_lane_at_hand(tmp_path: Path, peaks: dict[str, int]) -> None:
    asked = itertools.count()

    def trouble(_lane: int, order: Mapping[str, Any]) -> BaseException | None:
        return KeyboardInterrupt() if order["do"] == "block" and next(asked) == 40 else None

    with pytest.raises(KeyboardInterrupt):
        tuned_with(tmp_path, FakeMachine(cost_ns=COSTS, trouble=trouble))
    kinds = [line["kind"] for line in read_journal(tmp_path / "journal.jsonl")]
    assert kinds[0] == "session"
    assert kinds.count("candidate") == len(CELLS)
    assert "replicate" in kinds


def test_a_budget_under_one_round_leaves_no_journal(tmp_path: Path, peaks: dict[str, int]) -> None:
    tuned = Tuned(Aim(Settings(budget=0.2)), Journal(tmp_path / "journal.jsonl"))
    machine = FakeMachine(cost_ns=COSTS)
    with pytest.raises(BadOption, match=r"--budget 0.2s: too small"):
        tuning.run(tuned, order_for(*CELLS, budget_s=0.2), silent, machine.open_lane, machine.clock)
    tuning.write_candidates(tuned)
    assert not tuned.journal.path.exists()


def test_a_model_that_nothing_opens_is_one_line(tmp_path: Path, peaks: dict[str, int]) -> None:
    def refuse(_lane: int, order: Mapping[str, Any]) -> BaseException | None:
        return ContestantRefused("unsupported operation") if order["do"] == "open" else None

    with pytest.raises(BadModel) as refused:
        tuned_with(tmp_path, FakeMachine(trouble=refuse))
    assert str(refused.value) == "no candidate of embedded runs here: unsupported operation"


def test_int8_is_tried_where_its_answers_mean_something() -> None:
    assert Precision.INT8 in tuning.usual_precisions(Settings())
    assert Precision.INT8 not in tuning.usual_precisions(Settings(model=("net.xml",)))
    assert Precision.INT8 in tuning.usual_precisions(Settings(model=("net.xml",), images="pictures"))
    assert Precision.INT8 in tuning.usual_precisions(Settings(model=("net.xml",), variant={Precision.INT8: "i.xml"}))


def test_more_threads_than_are_allowed_are_refused() -> None:
    with pytest.raises(BadOption) as refused:
        tuning.check(Aim(Settings(), constraints=Constraints(max_threads=2), axes={"threads": (0, 4)}))
    assert str(refused.value) == "--threads 4: more than --max-threads 2: leave one of them out"


# --------------------------------------------------------------------------------------------------- a model's files


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures") / "pictures")


@pytest.fixture(scope="module")
def liar(tmp_path_factory: pytest.TempPathFactory, tiny_model_path: Path) -> Path:
    """The tiny model with its classes in another order: it agrees with it on nothing."""
    openvino = import_openvino()
    model = openvino.Core().read_model(tiny_model_path)
    logits = model.output(0).get_node().input_value(0)
    turned = openvino.opset13.gather(logits, [*range(1, 10), 0], 1)
    path = tmp_path_factory.mktemp("liar") / "liar.xml"
    openvino.save_model(openvino.Model([turned], model.get_parameters(), "liar"), path, compress_to_fp16=False)
    return path


def resolved(tmp_path: Path, model: Path, constraints: Constraints = Constraints(), **asked: Any) -> Tuned:  # noqa: B008
    tuned = Tuned(Aim(Settings(model=(str(model),), **asked), constraints=constraints), Journal(tmp_path / "journal"))
    tuning.resolve(tuned, ArtifactCache(tmp_path / "cache"), silent)
    return tuned


def test_a_precision_that_disagrees_is_left_out_with_its_figure(
    tmp_path: Path, tiny_model_path: Path, liar: Path, pictures: Path
) -> None:
    tuned = resolved(
        tmp_path, tiny_model_path, Constraints(min_agreement=0.9),
        images=str(pictures), precision=(Precision.INT8, Precision.FP32), variant={Precision.INT8: str(liar)},
    )  # fmt: skip
    tuning.leave_out_disagreeing(tuned, silent)
    assert tuned.left_out == {Precision.INT8: "top-1 agreement with FP32 is 0.000, under --min-agreement 0.9"}
    assert {config.precision for config in tuning.order_of(tuned).configs} == {Precision.FP32}
    assert tuned.agreements[Precision.INT8].images == 20


def test_no_precision_that_agrees_is_refused_with_the_nearest(
    tmp_path: Path, tiny_model_path: Path, liar: Path, pictures: Path
) -> None:
    tuned = resolved(
        tmp_path, tiny_model_path, Constraints(min_agreement=0.9),
        images=str(pictures), precision=(Precision.INT8,), variant={Precision.INT8: str(liar)},
    )  # fmt: skip
    with pytest.raises(BadOption) as refused:
        tuning.leave_out_disagreeing(tuned, silent)
    assert str(refused.value) == "--min-agreement 0.9: no candidate holds it; the nearest is 0.000: INT8"


def test_a_precision_that_cannot_be_had_is_left_out_unless_it_is_the_only_one(
    tmp_path: Path, tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        tuning.runtime, "unsupported", lambda precision, _device: "no bf16" if precision is Precision.BF16 else ""
    )
    tuned = resolved(tmp_path, tiny_model_path, precision=(Precision.FP32, Precision.BF16))
    assert tuned.left_out == {Precision.BF16: "no bf16"}
    assert tuning.precisions_of(tuned) == (Precision.FP32,)
    with pytest.raises(BadOption) as refused:
        resolved(tmp_path, tiny_model_path, precision=(Precision.BF16,))
    assert str(refused.value) == "--precision BF16: no bf16"


def test_fewer_threads_than_cores_are_given_to_all_candidates(tmp_path: Path, tiny_model_path: Path) -> None:
    tuned = resolved(tmp_path, tiny_model_path, Constraints(max_threads=2), precision=(Precision.FP32,))
    tuned.host = replace(tuned.host, cores=8, cpu_quota_cores=4.0)
    order = tuning.order_of(tuned)
    assert order.quota_threads == 2
    assert {config.threads for config in order.configs} <= {0, 1, 2}
    assert all(
        order.open_request(config, None)["properties"]["INFERENCE_NUM_THREADS"] in ("1", "2")
        for config in order.configs
    )
    tuned.aim = replace(tuned.aim, constraints=Constraints())
    assert tuning.order_of(tuned).quota_threads == 4
    tuned.host = replace(tuned.host, cpu_quota_cores=None)
    assert tuning.order_of(tuned).quota_threads == 0


def test_axes_that_are_given_are_all_that_is_tried(tmp_path: Path, tiny_model_path: Path) -> None:
    tuned = resolved(tmp_path, tiny_model_path, precision=(Precision.FP32,))
    tuned.aim = replace(
        tuned.aim, axes={"hints": (Hint.THROUGHPUT,), "streams": (1,), "pinnings": (False,), "batches": (3,)}
    )
    configs = tuning.order_of(tuned).configs
    assert configs
    assert {(each.model, each.hint, each.streams, each.pinning, each.batch) for each in configs} == {
        ("tiny", Hint.THROUGHPUT, 1, False, 3)
    }
