"""A tuning from end to end on invented lanes, and what is read of a real model before it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_lane import FakeLane, FakeMachine, order_for
from made_models import write_pictures
from made_races import MS

from ovbench import runtime
from ovbench.artifacts import ArtifactCache
from ovbench.candidates import Space, candidates
from ovbench.config import Hint, Precision
from ovbench.errors import BadModel, BadOption, ContestantRefused
from ovbench.machine import fingerprint
from ovbench.models.source import Source
from ovbench.options import Settings
from ovbench.precision import Variant
from ovbench.race import Race
from ovbench.records import Journal, read_journal
from ovbench.tune.asked import NONE, Aim, Constraints, check_aim, usual_precisions
from ovbench.tune.lines import write_candidates
from ovbench.tune.memory import check_memory
from ovbench.tune.preparing import ModelFiles, leave_out_disagreeing, order_of, precisions_of, resolve
from ovbench.tune.running import decide, race_candidates
from ovbench.tune.tuned import Tuning
from ovbench.verdict import Outcome
from ovbench.worker import import_openvino


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


ORDER = order_for(*CELLS, budget_s=20.0)
FILES = ModelFiles(Source("embedded", Path("FP32.xml")), {})


def tuning_of(tmp_path: Path, constraints: Constraints = NONE) -> Tuning:
    return Tuning(Aim(Settings(), constraints=constraints), Journal(tmp_path / "journal.jsonl"), Race())


def raced_with(tmp_path: Path, machine: FakeMachine, constraints: Constraints = NONE) -> Tuning:
    """A tuning of the fake machine, raced; what reads a real model is left out."""
    tuning = tuning_of(tmp_path, constraints)
    try:
        race_candidates(tuning, ORDER, silent, machine.open_lane, machine.clock)
    finally:
        write_candidates(tuning)
    return tuning


def test_a_race_ends_with_a_pick_and_a_journal(tmp_path: Path, peaks: dict[str, int]) -> None:
    machine = FakeMachine(cost_ns=COSTS)
    tuning = raced_with(tmp_path, machine, Constraints(p99_ns=5 * MS))
    found = decide(tuning, FILES, ORDER, silent, machine.open_lane)
    assert found.pick.config.precision is Precision.INT8
    assert found.peak_resident_bytes == 100_000_000
    assert [each.outcome for each in found.statuses] == [Outcome.HELD]
    assert found.front
    lines = list(read_journal(tuning.journal.path))
    kinds = [line["kind"] for line in lines]
    assert kinds[0] == "session"
    assert lines[0]["tool"] == "tune"
    assert set(kinds[1:]) == {"replicate", "candidate"}
    told = [line for line in lines if line["kind"] == "candidate"]
    assert [line["cell"] for line in told] == [config.id for config in CELLS]
    assert all((line["figures"] is None) == (line["alias_of"] is not None) for line in told)
    assert all(lane.closed for lane in machine.lanes)


def test_the_next_is_picked_while_the_peak_is_too_large(tmp_path: Path, peaks: dict[str, int]) -> None:
    machine = FakeMachine(cost_ns=COSTS)
    peaks["INT8.xml"] = 300_000_000
    tuning = raced_with(tmp_path, machine, Constraints(max_memory_bytes=200_000_000))
    found = decide(tuning, FILES, ORDER, silent, machine.open_lane)
    assert found.pick.config.precision is Precision.FP32
    assert found.peak_resident_bytes == 100_000_000
    peaks["FP32.xml"] = 250_000_000
    with pytest.raises(BadOption) as refused:
        decide(tuning, FILES, ORDER, silent, machine.open_lane)
    assert str(refused.value).startswith("--max-memory 200MB: no candidate holds it; the nearest is 250 MB: FP32-")


def test_memory_that_no_precision_fits_is_refused_before_the_race(peaks: dict[str, int]) -> None:
    machine = FakeMachine()
    peaks["INT8.xml"] = 95_000_000
    with pytest.raises(BadOption) as refused:
        check_memory(ORDER, 90_000_000, machine.open_lane)
    assert str(refused.value) == "--max-memory 90MB: no candidate holds it; the nearest is 95 MB: INT8-LATENCY-1-off"
    assert len(machine.lanes) == 2, "one for each precision"
    peaks["INT8.xml"] = 90_000_000
    check_memory(ORDER, 90_000_000, machine.open_lane)


def test_a_limit_that_all_break_ends_the_race_early_and_names_the_nearest(
    tmp_path: Path, peaks: dict[str, int]
) -> None:
    machine = FakeMachine(cost_ns=COSTS)
    tuning = raced_with(tmp_path, machine, Constraints(p99_ns=MS / 10))
    assert tuning.race.finalists == ()
    assert all(entrant.dropped for entrant in tuning.race.entrants.values() if entrant.distinct)
    with pytest.raises(BadOption, match=r"--p99 0.1ms: no candidate holds it; the nearest is 0.5 ms: INT8-"):
        decide(tuning, FILES, ORDER, silent, machine.open_lane)


def test_ctrl_c_keeps_the_lane_at_hand(tmp_path: Path, peaks: dict[str, int]) -> None:
    asked = itertools.count()

    def trouble(_lane: int, order: Mapping[str, Any]) -> BaseException | None:
        return KeyboardInterrupt() if order["do"] == "block" and next(asked) == 40 else None

    with pytest.raises(KeyboardInterrupt):
        raced_with(tmp_path, FakeMachine(cost_ns=COSTS, trouble=trouble))
    kinds = [line["kind"] for line in read_journal(tmp_path / "journal.jsonl")]
    assert kinds[0] == "session"
    assert kinds.count("candidate") == len(CELLS)
    assert "replicate" in kinds


def test_a_budget_under_one_round_leaves_no_journal(tmp_path: Path, peaks: dict[str, int]) -> None:
    tuning = tuning_of(tmp_path)
    machine = FakeMachine(cost_ns=COSTS)
    with pytest.raises(BadOption, match=r"--budget 0.2s: too small"):
        race_candidates(tuning, replace(ORDER, budget_s=0.2), silent, machine.open_lane, machine.clock)
    write_candidates(tuning)
    assert not tuning.journal.path.exists()


def test_a_model_that_nothing_opens_is_one_line(tmp_path: Path, peaks: dict[str, int]) -> None:
    def refuse(_lane: int, order: Mapping[str, Any]) -> BaseException | None:
        return ContestantRefused("unsupported operation") if order["do"] == "open" else None

    with pytest.raises(BadModel) as refused:
        raced_with(tmp_path, FakeMachine(trouble=refuse))
    assert str(refused.value) == "no candidate of embedded runs here: unsupported operation"


def test_int8_is_tried_where_its_answers_mean_something() -> None:
    both = {Precision.INT8, Precision.INT8_BF16}
    assert both <= set(usual_precisions(Settings()))
    assert not both & set(usual_precisions(Settings(model=("net.xml",))))
    assert both <= set(usual_precisions(Settings(model=("net.xml",), images="pictures")))
    assert both <= set(usual_precisions(Settings(model=("net.xml",), variant={Precision.INT8: "i.xml"})))


def test_more_threads_than_are_allowed_are_refused() -> None:
    with pytest.raises(BadOption) as refused:
        check_aim(Aim(Settings(), constraints=Constraints(max_threads=2), axes={"threads": (0, 4)}))
    assert str(refused.value) == "--threads 4: more than --max-threads 2: leave one of them out"


# --------------------------------------------------------------------------------------------------- a model's files


AGREEING = Constraints(min_agreement=0.9)


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


def asked_of(model: Path, constraints: Constraints = NONE, **asked: Any) -> Aim:
    return Aim(Settings(model=(str(model),), **asked), constraints=constraints)


def test_a_precision_that_disagrees_is_left_out_with_its_figure(
    tmp_path: Path, tiny_model_path: Path, liar: Path, pictures: Path
) -> None:
    aim = asked_of(
        tiny_model_path, AGREEING,
        images=str(pictures), precision=(Precision.INT8, Precision.FP32), variant={Precision.INT8: str(liar)},
    )  # fmt: skip
    every = resolve(aim, ArtifactCache(tmp_path / "cache"), silent)
    files = leave_out_disagreeing(every, aim.settings, 0.9, silent)
    assert files.left_out == {Precision.INT8: "top-1 agreement with FP32 is 0.000, under --min-agreement 0.9"}
    assert {config.precision for config in order_of(files, aim, fingerprint()).configs} == {Precision.FP32}
    assert files.agreements[Precision.INT8].images == 20


def test_no_precision_that_agrees_is_refused_with_the_nearest(
    tmp_path: Path, tiny_model_path: Path, liar: Path, pictures: Path
) -> None:
    aim = asked_of(
        tiny_model_path, AGREEING,
        images=str(pictures), precision=(Precision.INT8,), variant={Precision.INT8: str(liar)},
    )  # fmt: skip
    files = resolve(aim, ArtifactCache(tmp_path / "cache"), silent)
    with pytest.raises(BadOption) as refused:
        leave_out_disagreeing(files, aim.settings, 0.9, silent)
    assert str(refused.value) == "--min-agreement 0.9: no candidate holds it; the nearest is 0.000: INT8"
    without_fp32 = replace(files, variants={}, left_out={Precision.FP32: "is of another model"})
    with pytest.raises(BadOption) as refused:
        leave_out_disagreeing(without_fp32, aim.settings, 0.9, silent)
    assert str(refused.value) == "--min-agreement 0.9: needs FP32 to agree with: is of another model"


def test_a_precision_that_cannot_be_had_is_left_out_unless_it_is_the_only_one(
    tmp_path: Path, tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        runtime, "unsupported", lambda precision, _device: "no bf16" if precision is Precision.BF16 else ""
    )
    aim, cache = (
        asked_of(tiny_model_path, precision=(Precision.FP32, Precision.BF16)),
        ArtifactCache(tmp_path / "cache"),
    )
    files = resolve(aim, cache, silent)
    assert files.left_out == {Precision.BF16: "no bf16"}
    assert precisions_of(files, aim.settings) == (Precision.FP32,)
    with pytest.raises(BadOption) as refused:
        resolve(asked_of(tiny_model_path, precision=(Precision.BF16,)), cache, silent)
    assert str(refused.value) == "--precision BF16: no bf16"


FP32_ALONE = ModelFiles(
    Source("tiny", Path("tiny.xml")), {Precision.FP32: Variant(Precision.FP32, Path("tiny.xml"), False)}
)
OF_FP32 = Settings(precision=(Precision.FP32,))


def test_fewer_threads_than_cores_are_given_to_all_candidates() -> None:
    host = replace(fingerprint(), cores=8, cpu_quota_cores=4.0)
    order = order_of(FP32_ALONE, Aim(OF_FP32, constraints=Constraints(max_threads=2)), host)
    assert order.quota_threads == 2
    assert {config.threads for config in order.configs} <= {0, 1, 2}
    assert all(
        order.open_request(config, None)["properties"]["INFERENCE_NUM_THREADS"] in ("1", "2")
        for config in order.configs
    )
    assert order_of(FP32_ALONE, Aim(OF_FP32), host).quota_threads == 4
    assert order_of(FP32_ALONE, Aim(OF_FP32), replace(host, cpu_quota_cores=None)).quota_threads == 0


def test_axes_that_are_given_are_all_that_is_tried() -> None:
    axes = {"hints": (Hint.THROUGHPUT,), "streams": (1,), "pinnings": (False,), "batches": (3,)}
    configs = order_of(FP32_ALONE, Aim(OF_FP32, axes=axes), fingerprint()).configs
    assert configs
    assert {(each.model, each.hint, each.streams, each.pinning, each.batch) for each in configs} == {
        ("tiny", Hint.THROUGHPUT, 1, False, 3)
    }
