"""Questions asked of real lanes with a tiny model, and what their answers become."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_sides import LATENCY, FakeSides
from hypothesis import given
from hypothesis import strategies as st

from ovbench import ab, lanes
from ovbench.ab import MetricAnswer, Outputs, Preflight, Question
from ovbench.artifacts import ArtifactCache
from ovbench.comparison import MAX_DEATHS, Comparison, Opening, Pair
from ovbench.errors import BadInput, BadModel, BadOption
from ovbench.gate import Evidence, judge_matrix, looks_at
from ovbench.lanes import LaneSpec
from ovbench.report.comparison import answer_text, outputs_text, verdict_text
from ovbench.report.page import WIDTH
from ovbench.sides import parse_side
from ovbench.stats import Estimate
from ovbench.verdict import Verdict
from ovbench.worker import import_openvino

SAVED = Callable[..., Path]


@contextlib.contextmanager
def silent(_title: str) -> Iterator[Callable[[float, str], None]]:
    yield lambda _share, _doing: None


@pytest.fixture(scope="session")
def save(tmp_path_factory: pytest.TempPathFactory) -> SAVED:
    """Save a model of one input ``image`` whose body is given as a function of its node."""
    openvino = import_openvino()
    folder = tmp_path_factory.mktemp("models")

    def write(name: str, shape: list[int], kind: str, body: Callable[[Any], list[Any]]) -> Path:
        image = openvino.opset13.parameter(shape, getattr(openvino.Type, kind), name="image")
        image.output(0).set_names({"image"})
        openvino.save_model(openvino.Model(body(image), [image], name), folder / f"{name}.xml", compress_to_fp16=False)
        return folder / f"{name}.xml"

    return write


def question(model: Path, a: list[str] = [], b: list[str] = [], **more: Any) -> Question:  # noqa: B006
    given = {"metrics": ("latency",), "budget_s": 2.0, **more}
    return Question("test", parse_side("--a", a), parse_side("--b", b), str(model), **given)


def ask(wanted: Question, cache: Path, **more: Any) -> ab.Answer:
    return ab.ask(wanted, ArtifactCache(cache), 0.02, silent, **more)


def refusal(wanted: Question, cache: Path) -> str:
    """What a question is refused with: one line."""
    with pytest.raises(BadInput) as refused:
        ask(wanted, cache)
    line = str(refused.value)
    assert len(line.splitlines()) == 1, line
    return line


# --- sides that cannot run ---


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter without openvino and numpy."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def test_an_interpreter_without_openvino(tiny_model_path: Path, bare_python: Path, tmp_path: Path) -> None:
    line = refusal(question(tiny_model_path, b=[f"python={bare_python}"]), tmp_path)
    assert line.startswith(f"--b python={bare_python}: No module named ")
    assert line.endswith(": install openvino and numpy there")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_is_not_python(tiny_model_path: Path, tmp_path: Path) -> None:
    other = shutil.which("true")
    assert other is not None
    line = refusal(question(tiny_model_path, a=[f"python={other}"]), tmp_path)
    assert line.startswith(f"--a python={other}: ")
    assert line.count("give a Python that has openvino") == 1
    gc.collect()  # execnet drops the process it could not talk to without waiting for it: the warning is due here


def test_an_interpreter_that_is_not_there_or_may_not_run(tiny_model_path: Path, tmp_path: Path) -> None:
    assert "no such file" in refusal(question(tiny_model_path, b=[f"python={tmp_path / 'none'}"]), tmp_path)
    locked = tmp_path / "locked"
    locked.write_text("#!/bin/sh\n")
    locked.chmod(stat.S_IRUSR)
    assert str(locked) in refusal(question(tiny_model_path, b=[f"python={locked}"]), tmp_path)


def test_a_core_that_is_not_there(tiny_model_path: Path, tmp_path: Path) -> None:
    ours = min(os.sched_getaffinity(0))
    line = refusal(question(tiny_model_path, b=[f"affinity={ours},99999"]), tmp_path)
    assert line.startswith(f"--b affinity={ours},99999: core 99999 is not there")
    assert str(ours) in line.rpartition("give some of")[2]


def test_a_property_that_openvino_does_not_know(tiny_model_path: Path, tmp_path: Path) -> None:
    line = refusal(question(tiny_model_path, b=["NUM_STREAMZ=2"]), tmp_path)
    assert re.fullmatch(r"--b NUM_STREAMZ=2: .*NUM_STREAMZ.*[^.]: change this side", line)


def test_a_value_that_a_property_does_not_take(tiny_model_path: Path, tmp_path: Path) -> None:
    assert refusal(question(tiny_model_path, b=["NUM_STREAMS=some"]), tmp_path).startswith("--b NUM_STREAMS=some: ")


def test_a_model_that_does_not_compile(tiny_model_path: Path, save: SAVED, tmp_path: Path) -> None:
    op = import_openvino().opset13
    huge = np.array([2**16, 2**16, 2**16, 1])
    model = save("huge", [1, 3, 16, 16], "f32", lambda image: [op.tile(image, op.constant(huge))])
    line = refusal(question(tiny_model_path, b=[f"model={model}"]), tmp_path)
    assert line.startswith(f"--b model={model}: ")
    assert line.endswith(": change this side")


def test_a_model_that_is_not_there(tiny_model_path: Path, tmp_path: Path) -> None:
    assert "no model at" in refusal(question(tiny_model_path, b=[f"model={tmp_path / 'none.xml'}"]), tmp_path)


@pytest.mark.parametrize(
    ("shape", "kind", "told"),
    [
        ([1, 3, 16, 16], "u8", "A [1, 3, 16, 16] float32 and B [1, 3, 16, 16] uint8_t"),
        ([1, 3, 32, 32], "f32", "A [1, 3, 16, 16] float32 and B [1, 3, 32, 32] float32"),
        ([1, 768], "f32", "A [1, 3, 16, 16] float32 and B [1, 768] float32"),
    ],
)
def test_sides_with_different_inputs(
    shape: list[int], kind: str, told: str, tiny_model_path: Path, save: SAVED, tmp_path: Path
) -> None:
    op = import_openvino().opset13
    model = save(
        f"other-{kind}-{len(shape)}-{shape[-1]}", shape, kind, lambda image: [op.relu(op.convert(image, "f32"))]
    )
    line = refusal(question(tiny_model_path, b=[f"model={model}"]), tmp_path)
    assert line == f"sides take different inputs, {told}: compare models of one interface"


def test_an_input_that_no_array_can_be(save: SAVED, tmp_path: Path) -> None:
    op = import_openvino().opset13
    model = save("bf16", [1, 4], "bf16", lambda image: [op.convert(image, "f32")])
    with pytest.raises(BadModel, match="bf16, which numpy has not"):
        ab.shared_inputs(model, 0)


@pytest.mark.parametrize("quota_cores", [0.1, 0.5, 0.999])
def test_a_quota_below_one_core(quota_cores: float) -> None:
    with pytest.raises(BadOption, match=r"CPU quota of .* cores: .*limit"):
        ab.check_quota(quota_cores)
    for enough in (None, 1.0, 2.5):
        ab.check_quota(enough)


# --- sides that run ---


def test_identical_sides_are_allowed_and_called_a_a(tiny_model_path: Path, tmp_path: Path) -> None:
    told: list[int] = []
    wanted = question(tiny_model_path, a=["NUM_STREAMS=1"], b=["precision=FP32"])  # what both are anyway
    answer = ask(wanted, tmp_path, on_pair=lambda _question, pair: told.append(pair.number))
    comparison = answer.comparison
    assert comparison.notes == ["both sides are the same: an A/A comparison"]
    assert told == [pair.number for pair in comparison.pairs]
    assert len(told) >= 1
    assert comparison.ended in ("decided", "at its budget")
    assert answer.outputs is not None
    assert answer.outputs.max_abs_difference == 0.0
    assert answer.outputs.agreement is not None
    assert answer.outputs.agreement.top1.value == 1.0
    assert answer.versions[0] == answer.versions[1] != ""
    for pair in comparison.pairs:
        assert pair.log_memory_ratio is not None
        assert all(opening.start_ns > 0 for opening in pair.openings)
        assert pair.kept + pair.rejected > 0
        assert 0 < pair.measured_s <= pair.rounds_s <= pair.wall_s
    text = answer_text(answer, coloured=False)
    assert "an A/A comparison" in text
    assert "peak memory" in text


def test_sides_that_differ_in_any_way_are_not_called_a_a(tiny_model_path: Path, tmp_path: Path) -> None:
    for b in (["env:OVBENCH_TEST=1"], ["affinity=" + str(min(os.sched_getaffinity(0)))], ["NUM_STREAMS=2"]):
        sides = ab.resolve(question(tiny_model_path, b=b), ArtifactCache(tmp_path), silent)
        assert (sides[0].lane, sides[0].orders) != (sides[1].lane, sides[1].orders)


class DoomedLane(lanes.Lane):
    """A lane whose process is killed with -9 just before it is asked for the blocks named."""

    doomed: frozenset[int] = frozenset()
    blocks = 0

    def ask(self, order: Mapping[str, Any], timeout_s: float = lanes.ANSWER_TIMEOUT_S) -> dict[str, Any]:
        if order["do"] == "block":
            type(self).blocks += 1
            if type(self).blocks in self.doomed:
                assert self.pid is not None
                os.kill(self.pid, signal.SIGKILL)
        return super().ask(order, timeout_s)


def doom(monkeypatch: pytest.MonkeyPatch, blocks: set[int]) -> None:
    monkeypatch.setattr(DoomedLane, "blocks", 0)
    monkeypatch.setattr(DoomedLane, "doomed", frozenset(blocks))
    monkeypatch.setattr(ab, "Lane", DoomedLane)


def test_a_lane_killed_in_the_middle_is_retried_and_said(
    tiny_model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doom(monkeypatch, {4})  # of the first pair's first round, after both warm-ups
    answer = ask(question(tiny_model_path), tmp_path)
    comparison = answer.comparison
    assert not comparison.failed
    assert len(comparison.pairs) >= 1
    assert comparison.pairs[0].number == 1
    (note,) = [note for note in comparison.notes if "died" in note]
    assert re.match(r"pair 1, side [AB]: a lane died at 'block' \(latency\).*; a fresh pair follows$", note)
    assert note in answer_text(answer, coloured=False)


def test_a_lane_killed_thrice_fails_its_side(
    tiny_model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doom(monkeypatch, {2 + 2 * death for death in range(MAX_DEATHS)} | {2})
    # Warm-up asks side A, then B: of each pair the second block is side B's.
    answer = ask(question(tiny_model_path), tmp_path)
    assert answer.comparison.failed.startswith("side B: a lane died at 'block'")
    assert answer.comparison.pairs == []
    assert all(each.verdict is Verdict.UNSURE for each in answer.metrics)
    assert answer.start is None
    assert "FAILED: side B: a lane died" in answer_text(answer, coloured=False)


# --- outputs ---


def preflight_of(*outputs: tuple[np.ndarray, ...]) -> Preflight:
    return Preflight("v", {}, [], outputs)


def test_outputs_side_by_side() -> None:
    random = np.random.default_rng(0)
    logits = [random.normal(size=(1, 10)).astype(np.float32) for _ in range(4)]
    a = preflight_of(*((each,) for each in logits))
    b = preflight_of(*((each + np.float32(0.25),) for each in logits))
    found = ab.compare_outputs(a, b)
    assert found is not None
    assert found.inputs == 4
    assert found.max_abs_difference == pytest.approx(0.25, rel=1e-5)
    assert found.agreement is not None
    assert found.agreement.top1.value == 1.0
    assert ab.compare_outputs(a, preflight_of()) is None


@pytest.mark.parametrize("other", [
    ((1, 10), (1, 10)), ((1, 9),), ((10,),),
])  # fmt: skip
def test_outputs_that_cannot_be_laid_side_by_side(other: tuple[tuple[int, ...], ...]) -> None:
    a = preflight_of((np.zeros((1, 10), np.float32),))
    b = preflight_of(tuple(np.zeros(shape, np.float32) for shape in other))
    assert ab.compare_outputs(a, b) == ab.compare_outputs(b, a) == Outputs(1, None, None)
    assert "shapes differ" in outputs_text(Outputs(1, None, None))


def test_outputs_that_are_not_finite_have_no_difference() -> None:
    a = preflight_of((np.array([[np.nan, 1.0]], np.float32),))
    found = ab.compare_outputs(a, preflight_of((np.zeros((1, 2), np.float32),)))
    assert found is not None
    assert found.max_abs_difference is None
    assert found.agreement is not None
    assert found.agreement.top1.value == 0.0


def test_outputs_of_a_model_that_does_not_classify_have_no_agreement() -> None:
    a = preflight_of((np.zeros((1, 3, 4, 4), np.float32),))
    assert ab.compare_outputs(a, a) == Outputs(1, 0.0, None)


# --- judging and telling ---


def judged(comparison: Comparison, **more: Any) -> ab.Answer:
    before = preflight_of((np.zeros((1, 10), np.float32),))
    return ab.judge(
        question(Path("m.xml"), **more), comparison, 0.02, ab.compare_outputs(before, before), (before, before)
    )


def measured(cost_b: float, budget_s: float = 60.0, **more: Any) -> Comparison:
    sides = FakeSides(lambda side, _key, _lane: 1e6 * (cost_b if side == "B" else 1.0), **more)
    rule = lambda so_far, left: [each for each in left if not ab.is_decided(so_far, each.key, 0.03)]  # noqa: E731
    return sides.run(rule, (LATENCY,), budget_s)


@pytest.mark.parametrize(("cost_b", "told"), [(1.2, "B is SLOWER"), (0.8, "B is FASTER"), (1.0, "SAME")])
def test_what_is_told_of_a_clear_answer(cost_b: float, told: str) -> None:
    answer = judged(measured(cost_b))
    text = answer_text(answer, coloured=False)
    (line,) = [line for line in text.splitlines() if line.strip().startswith("latency")]
    assert line.rstrip().endswith(told)
    assert f"{cost_b:.3f} [{cost_b:.3f}, {cost_b:.3f}]" in line
    assert "decided after 5 pairs of fresh processes" in text
    assert all(len(line) <= WIDTH for line in text.splitlines())
    assert "\x1b[" not in text
    assert "\x1b[" in answer_text(answer, coloured=True)


def test_too_few_pairs_are_unsure_and_say_what_to_do() -> None:
    answer = judged(measured(1.2, budget_s=4.0))
    count = len(answer.comparison.pairs)
    assert 0 < count < 5
    for each in (*answer.metrics, answer.start, answer.memory):
        assert each is not None
        assert each.verdict is Verdict.UNSURE
        assert each.estimate is not None
        assert (each.estimate.low, each.estimate.high, each.estimate.count) == (None, None, count)
    text = answer_text(answer, coloured=False)
    assert text.count("[?]") == 3
    assert f"{count} pairs are too few, an interval needs 5: raise --budget" in text


def test_a_busy_machine_is_unsure_and_said() -> None:
    comparison = measured(1.2)
    for pair in comparison.pairs:
        object.__setattr__(pair, "rejected", 3 * pair.kept)
    answer = judged(comparison)
    assert [each.verdict for each in answer.metrics] == [Verdict.UNSURE]
    assert "the machine was busy: 75% of the rounds were rejected" in answer_text(answer, coloured=False)


def test_the_band_is_the_larger_of_tolerance_and_the_hosts() -> None:
    comparison = measured(1.0)
    assert judged(comparison, tolerance=0.001).metrics[0].band == 0.02
    assert judged(comparison, tolerance=0.05).metrics[0].band == 0.05


def test_a_metric_with_a_tolerance_of_its_own_is_judged_by_it() -> None:
    answer = judged(measured(1.04), tolerance=0.03, tolerances={"latency": 0.05})
    assert [(each.band, each.verdict) for each in answer.metrics] == [(0.05, Verdict.SAME)]


def test_measuring_ends_by_each_metrics_own_tolerance(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, float, int | None]] = []
    side = ab.Resolved("--a", parse_side("--a", []), LaneSpec(), Path("m.xml"), {"latency": {}, "throughput": {}})
    monkeypatch.setattr(ab, "resolve", lambda *_: (side, side))
    monkeypatch.setattr(ab, "shared_inputs", lambda *_: [])
    monkeypatch.setattr(ab, "preflight", lambda *_: preflight_of())
    monkeypatch.setattr(ab, "is_decided", lambda _so_far, *told: asked.append(told))
    monkeypatch.setattr(ab, "run_comparison", lambda so_far, contests, _lanes, rule, *_, **__: rule(so_far, contests))
    wanted = question(Path("m.xml"), metrics=("latency", "throughput"), tolerances={"throughput": 0.05})
    ab.ask(wanted, None, 0.02, silent, family=4)  # type: ignore[arg-type]
    assert asked == [("latency", 0.03, 4), ("throughput", 0.05, 4)]


@given(t=st.floats(3.0, 15.0), pairs=st.integers(5, 20), family=st.sampled_from((1, 2, 36)))
def test_a_gate_measures_on_until_its_own_rule_holds_what_is_slower(t: float, pairs: int, family: int) -> None:
    """Else it would end early, find the look too dear, call it UNSURE, and let a slow-down pass."""
    steps = np.linspace(-0.02, 0.02, pairs)
    logs = tuple(np.log(1.03) + steps + t * steps.std(ddof=1) / np.sqrt(pairs))
    opening = Opening(1, 1, {}, "fake")
    comparison = Comparison("slow", [Pair(0, (opening, opening), {}, {"latency": log}, 0, 1, 0, 1.0) for log in logs])
    if ab.verdict_of(logs, 0.03) is Verdict.SLOWER and ab.is_decided(comparison, "latency", 0.03, family):
        others = [Evidence(f"{number}", (0.0, 0.001, -0.001, 0.0, 0.0)) for number in range(family - 1)]
        mine = Evidence("slow", logs, looks=looks_at(pairs))
        assert judge_matrix([mine, *others], 0.03, confidence=ab.CONFIDENCE)[0].verdict is Verdict.SLOWER


def test_nothing_measured_is_unsure() -> None:
    answer = ab.judge_metric("latency", (), 0.03, 0.03, "")
    assert answer == MetricAnswer("latency", None, 0.03, Verdict.UNSURE, None, "nothing was measured")


@pytest.mark.parametrize(
    ("metric", "verdict", "told"),
    [
        ("latency", Verdict.SLOWER, "B is SLOWER"),
        ("start", Verdict.FASTER, "B is FASTER"),
        ("memory", Verdict.SLOWER, "B uses MORE"),
        ("memory", Verdict.FASTER, "B uses LESS"),
        ("memory", Verdict.SAME, "SAME"),
        ("throughput", Verdict.UNSURE, "UNSURE"),
    ],
)
def test_verdicts_in_words(metric: str, verdict: Verdict, told: str) -> None:
    assert verdict_text(MetricAnswer(metric, Estimate(1.0, 0.9, 1.1, 5), 0.03, verdict)) == told


@pytest.mark.parametrize(("floor", "failed"), [(None, False), (0.9, True), (0.5, False)])
def test_min_agreement_fails_by_the_point_estimate(floor: float | None, failed: bool) -> None:
    logits = np.eye(10, dtype=np.float32)
    a = preflight_of(*((row[None],) for row in logits))
    b = preflight_of(*((row[None],) for row in np.vstack([logits[:8], logits[:2]])))
    answer = ab.judge(
        question(Path("m.xml"), min_agreement=floor), measured(1.0), 0.02, ab.compare_outputs(a, b), (a, b)
    )
    assert answer.agreement_failed is failed
    assert ("FAILED: outputs agree less" in answer_text(answer, coloured=False)) is failed


def test_a_lane_tells_all_its_cpu_time_the_block_and_the_way_there(tiny_model_path: Path, tmp_path: Path) -> None:
    (side, _) = ab.resolve(question(tiny_model_path), ArtifactCache(tmp_path), silent)
    with lanes.Lane(side.lane) as lane:
        lane.ask(side.orders["latency"])
        block = lane.ask({"do": "block", "key": "latency", "duration_ns": 1_000_000})
    assert block["lane_cpu_ns"] >= block["cpu_ns"] + block["idle_cpu_ns"]
    assert block["cpu_ns"] > 0
