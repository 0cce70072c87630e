"""Cells beside benchmark_app: its flags, its report, rounds of invented runs, and one real run of a tiny model."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from fake_lane import FakeMachine, order_for
from hypothesis import given
from hypothesis import strategies as st

from ovbench import reference as references
from ovbench.campaign import Cell
from ovbench.config import AUTO, Config, Hint, Precision
from ovbench.errors import ContestantRefused, LaneDied
from ovbench.lanes import Lane
from ovbench.reference import (
    FLOATS,
    ROUNDS,
    RUN_S,
    TYPE_NAMES,
    Cause,
    Kind,
    Ran,
    Reason,
    Reference,
    Run,
    Turn,
    like_words,
    measure,
    parse_run,
    planned_s,
    reasons,
    run_benchmark_app,
    run_seconds,
    speedups,
    turn_fields,
    type_name,
    users_words,
)
from ovbench.samples import Block
from ovbench.stats import MIN_REPLICATES
from ovbench.worker import import_openvino

LATENCY = Config()
THROUGHPUT = Config(hint=Hint.THROUGHPUT, streams=AUTO)
MOST_USED = tuple(
    replace(each, precision=precision)
    for precision in (Precision.FP32, Precision.INT8)
    for each in (LATENCY, THROUGHPUT)
)
F32, I64 = "<Type: 'float32'>", "<Type: 'int64_t'>"
IMAGE = ("data", [1, 3, 224, 224], F32)
SECONDS = 1


@dataclass
class FakeApp:
    """benchmark_app with invented costs by kind of flags and model file; runs take no time but are all noted."""

    cost_ns: Mapping[tuple[str, str], float] = field(default_factory=dict)
    wobble: Sequence[float] = (1.0,)
    changes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    refuses: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    words: list[list[str]] = field(default_factory=list)

    def __call__(self, words: Sequence[str]) -> Run:
        given = dict(zip(words[::2], words[1::2], strict=True))
        kind = "like" if "-infer_precision" in given else "users"
        file = Path(given["-m"]).name
        if self.refuses and file == self.refuses:
            raise ContestantRefused("benchmark_app failed: no")
        self.asked.append((kind, given["-api"] + " " + file))
        self.words.append(list(words))
        cost = self.cost_ns.get((kind, file), 1e6) * self.wobble[len(self.asked) % len(self.wobble)]
        streams = "1" if given["-api"] == "sync" else "2"
        ran = Ran(given.get("-infer_precision", "f32"), streams, "2", "1" if given["-api"] == "sync" else "2", "f32")
        return Run(1000, 1000 * cost, cost, "1", replace(ran, **self.changes.get(kind, {})))


def with_signature(order: Mapping[str, Any], answer: dict[str, Any]) -> None:
    """What the fake lane leaves out."""
    if order["do"] == "open":
        answer["signature"] = [IMAGE]


@contextlib.contextmanager
def silent(_title: str) -> Iterator[Any]:
    yield lambda _share, _doing: None


def run(
    app: FakeApp, *configs: Config, machine: FakeMachine | None = None, rounds: int = ROUNDS, seed: int = 0
) -> dict[Config, Reference]:
    into: dict[Config, Reference] = {}
    machine = machine or FakeMachine(changes=with_signature)
    cells = [Cell(config, open_s=0.1, block_s=0.03) for config in configs]
    measure(into, cells, order_for(*configs, seed=seed), machine.open_lane, silent, rounds, run_app=app)
    assert all(lane.closed for lane in machine.lanes)
    return into


def request(config: Config, **properties: str) -> dict[str, Any]:
    """A lane's order to open a cell, with more properties."""
    asked = order_for(config).open_request(config, None)
    return {**asked, "properties": {**asked["properties"], **properties}}


def opened(*signature: tuple[str, list[int], str]) -> dict[str, Any]:
    effective = {"inference_precision": "f32", "streams": 2, "threads": 4, "requests": 3}
    return {"effective": effective, "signature": list(signature or (IMAGE,))}


def flags(words: Sequence[str]) -> dict[str, str]:
    return dict(zip(words[::2], words[1::2], strict=True))


# ------------------------------------------------------------------------------------------------------------ flags


def test_the_same_is_asked_for_by_streams_requests_precision_and_types() -> None:
    words = flags(like_words(request(replace(THROUGHPUT, precision=Precision.BF16)), opened(), SECONDS))
    assert Path(words.pop("-m")).is_absolute()
    assert words == {
        "-d": "CPU", "-api": "async", "-t": "1", "-shape": "[1,3,224,224]", "-hint": "none", "-nstreams": "2",
        "-nireq": "3", "-infer_precision": "bf16", "-ip": "f32",
    }  # fmt: skip


def test_a_sync_cell_has_no_number_of_requests() -> None:
    words = flags(like_words(request(LATENCY), opened(), SECONDS))
    assert words["-api"] == "sync"
    assert "-nireq" not in words


def test_threads_are_told_only_where_they_are_limited() -> None:
    assert "-nthreads" not in flags(like_words(request(LATENCY), opened(), SECONDS))
    limited = like_words(request(LATENCY, INFERENCE_NUM_THREADS="3"), opened(), SECONDS)
    assert flags(limited)["-nthreads"] == "3"


@pytest.mark.parametrize(
    ("signature", "types", "shapes"),
    [
        ((("", [1, 16], F32),), {"-ip": "f32"}, "[1,16]"),
        ((("ids", [1, 8], I64),), {}, "[1,8]"),
        ((("ids", [1, 8], I64), IMAGE), {"-iop": "data:f32"}, "ids[1,8],data[1,3,224,224]"),
        ((IMAGE, ("scale", [], F32)), {"-ip": "f32"}, "data[1,3,224,224]"),
        ((("length", [], I64),), {}, None),
    ],
)
def test_inputs_keep_their_types_and_the_lanes_shapes(
    signature: tuple[Any, ...], types: dict[str, str], shapes: str | None
) -> None:
    words = flags(like_words(request(LATENCY), opened(*signature), SECONDS))
    assert {name: words[name] for name in ("-ip", "-iop") if name in words} == types
    assert words.get("-shape") == shapes


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        (LATENCY, {"-hint": "latency"}),
        (THROUGHPUT, {"-hint": "throughput"}),
        (replace(THROUGHPUT, streams=4), {"-hint": "none", "-nstreams": "4"}),
        (replace(LATENCY, streams=2), {"-hint": "none", "-nstreams": "2"}),
        (replace(THROUGHPUT, threads=3), {"-hint": "none", "-nstreams": "AUTO", "-nthreads": "3"}),
        (replace(THROUGHPUT, requests=8), {"-hint": "throughput", "-nireq": "8"}),
        (replace(THROUGHPUT, hint=Hint.CUMULATIVE_THROUGHPUT), {"-hint": "cumulative_throughput"}),
    ],
)
def test_people_give_a_hint_or_their_own_streams_never_both(config: Config, wanted: dict[str, str]) -> None:
    words = flags(users_words(config, request(config), opened(), SECONDS))
    assert {name: word for name, word in words.items() if name not in ("-m", "-d", "-api", "-t", "-shape")} == wanted


def test_every_type_is_called_what_openvino_calls_it() -> None:
    types = import_openvino().Type
    names = {*TYPE_NAMES.values(), *FLOATS}
    assert {type_name(str(getattr(types, name))) for name in names} == names


# ----------------------------------------------------------------------------------------------------------- report

LOG = """[Step 4/11] Reading model files
[ INFO ] Original model I/O parameters:
[ INFO ] Model inputs:
[ INFO ]     data (node: data) : f32 / [...] / [1,3,224,224]
[ INFO ]     ids (node: ids) : i64 / [...] / [1,8]
[ INFO ] Model outputs:
[ INFO ]     prob (node: prob) : f32 / [...] / [1,1000]
[Step 6/11] Configuring input of the model
[ INFO ] Model inputs:
[ INFO ]     data (node: data) : u8 / [N,C,H,W] / [1,3,224,224]
[ INFO ]     ids (node: ids) : i64 / [...] / [1,8]
[ INFO ] Model outputs:
[ INFO ]     prob (node: prob) : f32 / [...] / [1,1000]
[Step 8/11] Querying optimal runtime parameters
[ INFO ] Model:
[ INFO ]   NETWORK_NAME: torch-jit-export
[ INFO ]   NUM_STREAMS: 2
[ INFO ]   INFERENCE_NUM_THREADS: 4
[ INFO ]   INFERENCE_PRECISION_HINT: <Type: 'bfloat16'>
"""
REPORT = {
    "configuration_setup": {"API": "async", "batch size": "1", "number of parallel infer requests": "3"},
    "execution_results": {
        "total execution time (ms)": "1003.37",
        "total number of iterations": "822",
        "latency (ms)": "3.64",
        "throughput": "819.24",
    },
}


def test_a_report_and_its_log_tell_figures_and_what_ran() -> None:
    found = parse_run(REPORT, LOG)
    assert found.ran == Ran("bf16", "2", "4", "3", "u8, i64")
    assert 1e9 / found.cost_ns(THROUGHPUT.mode) == pytest.approx(819.24, abs=0.01)
    assert found.cost_ns(LATENCY.mode) == pytest.approx(3.64e6)


def test_a_report_that_does_not_tell_is_refused() -> None:
    results = {name: told for name, told in REPORT["execution_results"].items() if name != "latency (ms)"}
    with pytest.raises(ContestantRefused, match=r"does not tell 'latency \(ms\)': its release is not known"):
        parse_run({**REPORT, "execution_results": results}, LOG)


def test_a_latency_that_rounds_to_nothing_is_refused() -> None:
    sync = {
        "configuration_setup": {**REPORT["configuration_setup"], "API": "sync"},
        "execution_results": {**REPORT["execution_results"], "latency (ms)": "0.00"},
    }
    with pytest.raises(ContestantRefused, match="too small"):
        parse_run(sync, LOG)


# ----------------------------------------------------------------------------------------------------------- rounds


def test_each_round_has_every_cell_once_and_both_kinds_around_ours() -> None:
    app, machine = FakeApp(), FakeMachine(changes=with_signature)
    found = run(app, *MOST_USED, machine=machine, rounds=4)
    assert [len(each.turns) for each in found.values()] == [4] * 4
    assert len(machine.lanes) == 16, "ours are fresh processes too"
    per_round = [app.asked[start : start + 8] for start in range(0, 32, 8)]
    for number, asked in enumerate(per_round):
        kinds = ("like", "users") if number % 2 == 0 else ("users", "like")
        assert [kind for kind, _ in asked] == [*kinds] * 4
        assert len({model for _, model in asked}) == 4
    assert len({tuple(model for _, model in asked) for asked in per_round}) > 1, "the order is shuffled"


def test_the_order_is_the_seeds() -> None:
    def asked(seed: int) -> list[tuple[str, str]]:
        app = FakeApp()
        run(app, *MOST_USED, seed=seed)
        return app.asked

    assert asked(1) == asked(1)
    assert asked(1) != asked(2)


def test_ours_is_measured_warm_and_as_long_as_its_run() -> None:
    machine = FakeMachine(changes=with_signature)
    run(FakeApp(), LATENCY, machine=machine, rounds=1)
    durations = [order["duration_ns"] for order in machine.lanes[0].orders if order["do"] == "block"]
    assert durations == [200_000_000, RUN_S * 1_000_000_000]


def test_ratios_are_p50_over_latency_and_fps_over_fps() -> None:
    app = FakeApp({("like", "FP32.xml"): 0.8e6, ("users", "FP32.xml"): 0.5e6})
    found = run(app, LATENCY, THROUGHPUT)
    for kind, cost in ((Kind.LIKE, 0.8), (Kind.USERS, 0.5)):
        sync, asynchronous = found[LATENCY].ratio(kind), found[THROUGHPUT].ratio(kind)
        assert sync is not None
        assert asynchronous is not None
        assert sync.value == pytest.approx(1 / cost)
        assert asynchronous.value == pytest.approx(cost)
        assert sync.low == pytest.approx(sync.value)
        assert sync.count == ROUNDS == MIN_REPLICATES
    assert found[LATENCY].figure(None) == pytest.approx(1e6)
    assert found[THROUGHPUT].figure(Kind.USERS) == pytest.approx(2000.0)


def test_an_interval_is_over_rounds() -> None:
    estimate = run(FakeApp(wobble=(1.0, 1.0, 1.1)), LATENCY)[LATENCY].ratio(Kind.LIKE)
    assert estimate is not None
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low < estimate.value < estimate.high


def test_images_a_second_count_the_batch() -> None:
    config = replace(THROUGHPUT, batch=4)
    found = run(FakeApp(), config, rounds=1)[config]
    assert found.figure(None) == pytest.approx(4000.0)
    assert found.figure(Kind.LIKE) == pytest.approx(4000.0)


def test_a_cell_that_it_refuses_has_a_fault_and_the_others_go_on() -> None:
    int8 = replace(LATENCY, precision=Precision.INT8)
    found = run(FakeApp(refuses="INT8.xml"), LATENCY, int8)
    assert found[int8] == Reference(int8, fault="benchmark_app failed: no")
    assert len(found[LATENCY].turns) == ROUNDS


def test_a_lane_that_dies_ends_its_cell_alone() -> None:
    int8 = replace(LATENCY, precision=Precision.INT8)

    def trouble(_lane: int, order: Mapping[str, Any]) -> Exception | None:
        return LaneDied("gone") if order["do"] == "block" and "INT8" in order["key"] else None

    found = run(FakeApp(), LATENCY, int8, machine=FakeMachine(changes=with_signature, trouble=trouble))
    assert found[int8].fault == "gone"
    assert len(found[LATENCY].turns) == ROUNDS


def test_an_interrupted_run_keeps_its_rounds() -> None:
    into: dict[Config, Reference] = {}
    told: list[int] = []

    def interrupt(_config: Config, turn: Turn) -> None:
        told.append(turn.number)
        if turn.number == 1:
            raise KeyboardInterrupt

    machine = FakeMachine(changes=with_signature)
    with pytest.raises(KeyboardInterrupt):
        measure(into, [Cell(LATENCY)], order_for(LATENCY), machine.open_lane, silent, ROUNDS, interrupt, FakeApp())
    assert told == [0, 1]
    assert len(into[LATENCY].turns) == 2
    assert all(lane.closed for lane in machine.lanes)


def test_progress_goes_on_and_says_how_long_it_takes() -> None:
    shares: list[float] = []
    titles: list[str] = []

    @contextlib.contextmanager
    def progress(title: str) -> Iterator[Any]:
        titles.append(title)
        yield lambda share, _doing: shares.append(share)

    machine = FakeMachine(changes=with_signature)
    cells = [Cell(LATENCY), Cell(THROUGHPUT)]
    measure({}, cells, order_for(LATENCY, THROUGHPUT), machine.open_lane, progress, 3, run_app=FakeApp())
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert shares[-1] < 1.0
    assert titles == [f"Beside benchmark_app, about {planned_s(cells, 0.2, 3):.0f} s"]


def test_the_most_used_cells_take_three_minutes_at_most() -> None:
    cells = [Cell(config, open_s=0.5, block_s=0.1) for config in MOST_USED]
    assert planned_s(cells, 0.1) <= 180.0


def test_slow_models_run_longer() -> None:
    assert run_seconds(Cell(LATENCY, block_s=0.03)) == RUN_S
    assert run_seconds(Cell(LATENCY, block_s=3.0)) == 20


def test_a_round_in_the_journal_has_every_sample_and_both_runs() -> None:
    (turn,) = run(FakeApp(), LATENCY, rounds=1)[LATENCY].turns
    fields = turn_fields(LATENCY, turn)
    assert fields["ours"]["wall_ns"] == list(turn.ours.wall_ns)
    assert fields["ours"]["ran"]["inputs"] == "f32"
    assert (fields["like"]["inferences"], fields["users"]["ran"]["precision"]) == (1000, "f32")


# ---------------------------------------------------------------------------------------------------------- reasons


def turn(
    number: int, ours_ns: int, like_ns: float, users_ns: float = 1e6, latency_ns: int | None = None, batch: str = "1"
) -> Turn:
    times = (ours_ns,) * 1000
    block = Block(number, times, times if latency_ns is None else (latency_ns,) * 1000, 1000 * ours_ns)
    ran = Ran("f32", "1", "2", "1", "f32")
    runs = {
        kind: Run(1000, 1000 * cost, cost, batch, ran) for kind, cost in ((Kind.LIKE, like_ns), (Kind.USERS, users_ns))
    }
    return Turn(number, block, ran, runs)


def test_nothing_differs_where_both_ran_the_same() -> None:
    found = run(FakeApp(), *MOST_USED)
    assert all(each.differences(kind) == () for each in found.values() for kind in Kind)


def test_only_what_was_read_back_otherwise_is_a_reason() -> None:
    app = FakeApp(changes={"users": {"precision": "bf16", "inputs": "u8"}})
    found = run(app, LATENCY)[LATENCY]
    assert found.differences(Kind.LIKE) == ()
    assert found.differences(Kind.USERS) == (
        Reason(Cause.PRECISION, "f32", "bf16"),
        Reason(Cause.INPUTS, "f32", "u8"),
    )


def test_a_broken_promise_is_seen_in_any_round() -> None:
    broken = turn(1, 10**6, 1e6)
    other = replace(broken.runs[Kind.LIKE], ran=replace(broken.ran, streams="2"))
    broken = replace(broken, runs={**broken.runs, Kind.LIKE: other})
    found = Reference(LATENCY, (turn(0, 10**6, 1e6), broken))
    assert found.differences(Kind.LIKE) == (Reason(Cause.STREAMS, "1", "2"),)


def test_what_cannot_be_read_is_no_difference() -> None:
    app = FakeApp(changes={"like": {"threads": ""}, "users": {"precision": ""}})
    found = run(app, LATENCY)[LATENCY]
    assert found.differences(Kind.LIKE) == found.differences(Kind.USERS) == ()


def test_a_latency_leaves_the_python_call_out() -> None:
    found = Reference(LATENCY, (turn(0, 1_000_000, 9.5e5, latency_ns=950_000),))
    call, rounding = reasons(found)
    assert (call.cause, call.share) == (Cause.CALL, pytest.approx(0.05))
    assert (rounding.cause, rounding.share) == (Cause.ROUNDING, pytest.approx(5_000 / 9.5e5))


def test_a_window_holds_the_drain_of_its_requests() -> None:
    (edges,) = reasons(Reference(THROUGHPUT, (turn(0, 1_000_000, 1e6),)))
    assert (edges.cause, edges.share) == (Cause.EDGES, pytest.approx(0.001))


def test_causes_too_small_to_be_seen_are_not_told() -> None:
    assert reasons(Reference(LATENCY, (turn(0, 100_000_000, 1e8),))) == ()
    assert reasons(Reference(LATENCY)) == ()


def test_a_batch_that_its_fps_counts_is_told() -> None:
    assert Reason(Cause.BATCH, theirs="4") in reasons(Reference(THROUGHPUT, (turn(0, 10**6, 1e6, batch="4"),)))
    counted = replace(THROUGHPUT, batch=4)
    assert Cause.BATCH not in {each.cause for each in reasons(Reference(counted, (turn(0, 10**6, 1e6, batch="4"),)))}


# ---------------------------------------------------------------------------------------------------------- speedups


def test_speedups_are_taken_inside_rounds_by_each_way_of_measuring() -> None:
    costs = {("like", "INT8.xml"): 0.52e6, ("users", "INT8.xml"): 0.8e6}
    machine = FakeMachine(
        changes=with_signature,
        cost_ns={each.key: 500_000 for each in MOST_USED if each.precision is Precision.INT8},
    )
    found = speedups(run(FakeApp(costs, wobble=(1.0, 1.2, 0.9)), *MOST_USED, machine=machine, rounds=30))
    assert [each.config.precision for each in found] == [Precision.INT8] * 2
    for each in found:
        assert each.ours.value == pytest.approx(2.0)
        assert each.like.value == pytest.approx(1 / 0.52, rel=0.1)
        assert each.users.value == pytest.approx(1.25, rel=0.1)
        assert each.gap.value == pytest.approx(each.ours.value / each.like.value)


@given(st.lists(st.tuples(*[st.floats(1e4, 1e8)] * 2), min_size=1, max_size=8))
def test_a_gap_is_ours_over_its_and_swaps_with_the_sides(costs: list[tuple[float, float]]) -> None:
    int8 = replace(LATENCY, precision=Precision.INT8)

    def side(swapped: bool) -> dict[Config, Reference]:
        pairs = [(its, mine) if swapped else (mine, its) for mine, its in costs]
        return {
            LATENCY: Reference(LATENCY, tuple(turn(number, 10**6, 1e6) for number in range(len(pairs)))),
            int8: Reference(
                int8, tuple(turn(number, round(mine), round(its)) for number, (mine, its) in enumerate(pairs))
            ),
        }

    (forth,), (back,) = speedups(side(False)), speedups(side(True))
    assert forth.gap.value == pytest.approx(1 / back.gap.value)
    assert forth.gap.value == pytest.approx(forth.ours.value / forth.like.value)


def test_without_common_rounds_there_is_no_speedup() -> None:
    int8 = replace(LATENCY, precision=Precision.INT8)
    fp32 = Reference(LATENCY, (turn(0, 10**6, 1e6),))
    assert speedups({LATENCY: fp32, int8: Reference(int8, (turn(1, 10**6, 1e6),))}) == ()
    assert speedups({int8: Reference(int8, (turn(0, 10**6, 1e6),))}) == ()
    assert speedups({LATENCY: fp32}) == ()


# -------------------------------------------------------------------------------------------------- the real program


@pytest.fixture
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder for temporary files of this test alone; nothing may be left there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("_temporary")
def test_the_installed_benchmark_app_runs_what_a_lane_runs(tiny_model_path: Path) -> None:
    config = replace(THROUGHPUT, batch=2)
    order = order_for(config)
    asked = {**order.open_request(config, None), "model": str(tiny_model_path)}
    with contextlib.closing(Lane()) as lane:
        answer = lane.ask(asked)
    found = run_benchmark_app(like_words(asked, answer, SECONDS))
    ours = references.ran_in_lane(answer)
    assert found.ran == ours
    assert "" not in vars(ours).values()
    assert found.inferences > 0
    assert found.batch == "2"


def test_a_model_that_it_cannot_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ContestantRefused) as refused:
        run_benchmark_app(["-m", str(tmp_path / "none.xml"), "-t", "1"])
    assert str(refused.value).startswith("benchmark_app failed: ")
    assert "none.xml" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_flags_that_it_does_not_know_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script(monkeypatch, tmp_path, "echo usage: and so on >&2; echo 'benchmark_app: error: no such flag' >&2; exit 2")
    with pytest.raises(ContestantRefused, match=r"^benchmark_app failed: benchmark_app: error: no such flag$"):
        run_benchmark_app(["-t", "1"])


@pytest.mark.usefixtures("_temporary")
def test_one_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[subprocess.Popen[str]] = []
    start = subprocess.Popen

    def remember(*given: Any, **more: Any) -> subprocess.Popen[str]:
        started.append(start(*given, **more))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", remember)
    script(monkeypatch, tmp_path, "exec sleep 600")
    with pytest.raises(ContestantRefused, match=r"^benchmark_app gave no answer within 0\.1 s$"):
        run_benchmark_app(["-t", "1"], timeout_s=0.1)
    assert [each.returncode for each in started] == [-signal.SIGKILL]


def test_without_benchmark_app_the_reason_says_where_it_comes_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ContestantRefused, match=r"^there is no benchmark_app beside .*: it comes with openvino"):
        run_benchmark_app(["-t", "1"])


def script(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """Put a benchmark_app that runs this shell code beside the interpreter that ``reference`` is told of."""
    path = folder / "benchmark_app"
    path.write_text(f"#!/bin/sh\n{code}\n", encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
