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
from ovbench.options import Settings
from ovbench.records import Journal, read_journal
from ovbench.tune.asked import Aim, Constraints, check, usual_precisions
from ovbench.tune.lines import tuned_fields, write_candidates
from ovbench.tune.memory import check_memory
from ovbench.tune.preparing import leave_out_disagreeing, order_of, precisions_of, resolve
from ovbench.tune.running import decide, run
from ovbench.tune.tuned import Tuned
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


def tuned_with(tmp_path: Path, machine: FakeMachine, constraints: Constraints = Constraints()) -> Tuned:  # noqa: B008
    """A tuning of the fake machine, raced; what reads a real model is left out."""
    tuned = Tuned(Aim(Settings(budget=20.0), constraints=constraints), Journal(tmp_path / "journal.jsonl"))
    tuned.order = order_for(*CELLS, budget_s=20.0)
    try:
        run(tuned, tuned.order, silent, machine.open_lane, machine.clock)
    finally:
        write_candidates(tuned)
    return tuned


def test_a_race_ends_with_a_pick_and_a_journal(tmp_path: Path, peaks: dict[str, int]) -> None:
    machine = FakeMachine(cost_ns=COSTS)
    tuned = tuned_with(tmp_path, machine, Constraints(p99_ns=5 * MS))
    assert tuned.order is not None
    decide(tuned, tuned.order, silent, machine.open_lane)
    tuned.journal.write("tuned", **tuned_fields(tuned))
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
    decide(tuned, tuned.order, silent, machine.open_lane)
    assert tuned.pick is not None
    assert tuned.pick.config.precision is Precision.FP32
    assert set(tuned.peak_bytes.values()) == {100_000_000, 300_000_000}
    peaks["FP32.xml"] = 250_000_000
    with pytest.raises(BadOption) as refused:
        decide(tuned, tuned.order, silent, machine.open_lane)
    assert str(refused.value).startswith("--max-memory 200MB: no candidate holds it; the nearest is 250 MB: FP32-")


def test_memory_that_no_precision_fits_is_refused_before_the_race(tmp_path: Path, peaks: dict[str, int]) -> None:
    machine = FakeMachine()
    tuned = Tuned(Aim(Settings(), constraints=Constraints(max_memory_bytes=90_000_000)), Journal(tmp_path / "j"))
    tuned.order = order_for(*CELLS)
    peaks["INT8.xml"] = 95_000_000
    with pytest.raises(BadOption) as refused:
        check_memory(tuned, machine.open_lane)
    assert str(refused.value) == "--max-memory 90MB: no candidate holds it; the nearest is 95 MB: INT8-LATENCY-1-off"
    assert len(machine.lanes) == 2, "one for each precision"
    peaks["INT8.xml"] = 90_000_000
    check_memory(tuned, machine.open_lane)


def test_a_limit_that_all_break_ends_the_race_early_and_names_the_nearest(
    tmp_path: Path, peaks: dict[str, int]
) -> None:
    machine = FakeMachine(cost_ns=COSTS)
    tuned = tuned_with(tmp_path, machine, Constraints(p99_ns=MS / 10))
    assert tuned.race.finalists == ()
    assert all(entrant.dropped for entrant in tuned.race.entrants.values() if entrant.distinct)
    assert tuned.order is not None
    with pytest.raises(BadOption, match=r"--p99 0.1ms: no candidate holds it; the nearest is 0.5 ms: INT8-"):
        decide(tuned, tuned.order, silent, machine.open_lane)


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
        run(tuned, order_for(*CELLS, budget_s=0.2), silent, machine.open_lane, machine.clock)
    write_candidates(tuned)
    assert not tuned.journal.path.exists()


def test_a_model_that_nothing_opens_is_one_line(tmp_path: Path, peaks: dict[str, int]) -> None:
    def refuse(_lane: int, order: Mapping[str, Any]) -> BaseException | None:
        return ContestantRefused("unsupported operation") if order["do"] == "open" else None

    with pytest.raises(BadModel) as refused:
        tuned_with(tmp_path, FakeMachine(trouble=refuse))
    assert str(refused.value) == "no candidate of embedded runs here: unsupported operation"


def test_int8_is_tried_where_its_answers_mean_something() -> None:
    assert Precision.INT8 in usual_precisions(Settings())
    assert Precision.INT8 not in usual_precisions(Settings(model=("net.xml",)))
    assert Precision.INT8 in usual_precisions(Settings(model=("net.xml",), images="pictures"))
    assert Precision.INT8 in usual_precisions(Settings(model=("net.xml",), variant={Precision.INT8: "i.xml"}))


def test_more_threads_than_are_allowed_are_refused() -> None:
    with pytest.raises(BadOption) as refused:
        check(Aim(Settings(), constraints=Constraints(max_threads=2), axes={"threads": (0, 4)}))
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
    resolve(tuned, ArtifactCache(tmp_path / "cache"), silent)
    return tuned


def test_a_precision_that_disagrees_is_left_out_with_its_figure(
    tmp_path: Path, tiny_model_path: Path, liar: Path, pictures: Path
) -> None:
    tuned = resolved(
        tmp_path, tiny_model_path, Constraints(min_agreement=0.9),
        images=str(pictures), precision=(Precision.INT8, Precision.FP32), variant={Precision.INT8: str(liar)},
    )  # fmt: skip
    leave_out_disagreeing(tuned, silent)
    assert tuned.left_out == {Precision.INT8: "top-1 agreement with FP32 is 0.000, under --min-agreement 0.9"}
    assert {config.precision for config in order_of(tuned).configs} == {Precision.FP32}
    assert tuned.agreements[Precision.INT8].images == 20


def test_no_precision_that_agrees_is_refused_with_the_nearest(
    tmp_path: Path, tiny_model_path: Path, liar: Path, pictures: Path
) -> None:
    tuned = resolved(
        tmp_path, tiny_model_path, Constraints(min_agreement=0.9),
        images=str(pictures), precision=(Precision.INT8,), variant={Precision.INT8: str(liar)},
    )  # fmt: skip
    with pytest.raises(BadOption) as refused:
        leave_out_disagreeing(tuned, silent)
    assert str(refused.value) == "--min-agreement 0.9: no candidate holds it; the nearest is 0.000: INT8"


def test_a_precision_that_cannot_be_had_is_left_out_unless_it_is_the_only_one(
    tmp_path: Path, tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        runtime, "unsupported", lambda precision, _device: "no bf16" if precision is Precision.BF16 else ""
    )
    tuned = resolved(tmp_path, tiny_model_path, precision=(Precision.FP32, Precision.BF16))
    assert tuned.left_out == {Precision.BF16: "no bf16"}
    assert precisions_of(tuned) == (Precision.FP32,)
    with pytest.raises(BadOption) as refused:
        resolved(tmp_path, tiny_model_path, precision=(Precision.BF16,))
    assert str(refused.value) == "--precision BF16: no bf16"


def test_fewer_threads_than_cores_are_given_to_all_candidates(tmp_path: Path, tiny_model_path: Path) -> None:
    tuned = resolved(tmp_path, tiny_model_path, Constraints(max_threads=2), precision=(Precision.FP32,))
    tuned.host = replace(tuned.host, cores=8, cpu_quota_cores=4.0)
    order = order_of(tuned)
    assert order.quota_threads == 2
    assert {config.threads for config in order.configs} <= {0, 1, 2}
    assert all(
        order.open_request(config, None)["properties"]["INFERENCE_NUM_THREADS"] in ("1", "2")
        for config in order.configs
    )
    tuned.aim = replace(tuned.aim, constraints=Constraints())
    assert order_of(tuned).quota_threads == 4
    tuned.host = replace(tuned.host, cpu_quota_cores=None)
    assert order_of(tuned).quota_threads == 0


def test_axes_that_are_given_are_all_that_is_tried(tmp_path: Path, tiny_model_path: Path) -> None:
    tuned = resolved(tmp_path, tiny_model_path, precision=(Precision.FP32,))
    tuned.aim = replace(
        tuned.aim, axes={"hints": (Hint.THROUGHPUT,), "streams": (1,), "pinnings": (False,), "batches": (3,)}
    )
    configs = order_of(tuned).configs
    assert configs
    assert {(each.model, each.hint, each.streams, each.pinning, each.batch) for each in configs} == {
        ("tiny", Hint.THROUGHPUT, 1, False, 3)
    }
