"""Whole sessions on a tiny model: rows, journal, gates, comparison, interruption; many tests share one session."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from sessions import ONE_ROUND, ROOT, Ended, Suite, journal_lines
from warm_python import TIMEOUT_S

from ovbench.stats import MIN_REPLICATES

AXES = {"model", "device", "precision", "hint", "streams", "cache", "threads", "requests", "batch", "inputs"}
ONE_CELL = ("-k", "bench_latency and FP32-LATENCY-1-off and not copied", "--ov-precision=FP32")
NAMED = "bench_latency and LATENCY-1-off or bench_speedup and (LATENCY-1-off or THROUGHPUT-2-off) and not copied"
POLL_S = 0.05


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory, tiny_model_path: Path) -> Suite:
    folder = tmp_path_factory.mktemp("suite")
    return Suite(folder / "results", folder / "cache", tiny_model_path)


@pytest.fixture(scope="module")
def failed(suite: Suite) -> Ended:
    """A session with more than one precision, whose gates cannot hold: INT8 is not a hundred times as fast.

    However busy the machine is, it has the five lanes that an interval needs.
    """
    folder = suite.results.parent
    return suite.run(
        "benches", "-p", "five_short_lanes", "-k", NAMED, "--ov-precision=FP32,INT8", "--ov-budget=60s",
        "--ov-warmup=20ms", "--ov-min-speedup=100", f"--benchmark-json={folder / 'all.json'}",
        "--benchmark-group-by=param:precision", f"--ov-report={folder / 'report.html'}",
    )  # fmt: skip


def rows(ended: Ended) -> list[dict[str, Any]]:
    return json.loads((ended.results.parent / "all.json").read_text())["benchmarks"]


# ------------------------------------------------------------------------------------------------ one shared session


def test_a_failed_gate_fails_the_session(failed: Ended) -> None:
    assert failed.code == 1, failed.text
    assert "Traceback" not in failed.text
    assert failed.text.count("floor 100.00: FAILED") >= 2


def test_a_failed_gate_says_how_to_see_it_again(failed: Ended, suite: Suite) -> None:
    lines = failed.out.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("INT8-LATENCY-1-off: speed-up"))
    message = lines[begin : begin + 5]
    assert "[" in message[0]
    command = message[1].removeprefix("  reproduce: ")
    assert message[2].startswith("  INT8 ran as: i8 ")
    assert message[3].startswith("  FP32 ran as: f32 ")
    assert "openvino " in message[4]
    words = shlex.split(command)
    assert words[0] == "pytest"
    assert any(word.startswith("--ov-min-speedup=100") for word in words)
    assert "--ov-report" not in command
    again = subprocess.run(
        [sys.executable, "-m", *words, "--collect-only", "-q"],
        cwd=ROOT, env=suite.environment({}), capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert again.returncode == 0, again.stdout
    assert "bench_speedup[INT8-LATENCY-1-off]" in again.stdout
    assert "1 test collected" in again.stdout


def test_only_what_was_selected_and_its_fp32_partners_are_measured(failed: Ended) -> None:
    cells = [line["cell"] for line in failed.of_kind("cell")]
    assert sorted(cells) == sorted(
        f"{precision}-{rest}"
        for precision in ("FP32", "INT8")
        for rest in ("LATENCY-1-off", "LATENCY-1-off-copied", "THROUGHPUT-2-off")
    )


def test_cells_stand_in_matrix_order(failed: Ended) -> None:
    cells = [line["cell"] for line in failed.of_kind("cell")]
    assert cells == sorted(cells, key=lambda cell: (cell.startswith("INT8"), "THROUGHPUT" in cell, "copied" in cell))


def test_every_replicate_is_in_the_journal_with_every_sample(failed: Ended) -> None:
    replicates = failed.of_kind("replicate")
    lanes = {line["lane"] for line in replicates}
    assert len(lanes) == MIN_REPLICATES
    assert len(replicates) == 6 * len(lanes)
    for line in replicates:
        assert line["blocks"]
        assert all(block["wall_ns"] and len(block["wall_ns"]) == len(block["latency_ns"]) for block in line["blocks"])


def test_the_journal_starts_with_the_session_and_ends_with_its_outcome(failed: Ended) -> None:
    lines = failed.journal
    assert lines[0]["kind"] == "session"
    assert lines[0]["versions"]["openvino"]
    assert float(lines[0]["settings"]["min_speedup"]) == 100
    assert lines[-1]["kind"] == "end"
    assert lines[-1]["exit_status"] == 1
    benches = failed.of_kind("bench")
    assert len(benches) == 6
    assert {line["outcome"] for line in benches} == {"passed", "failed"}
    assert all("floor 100.00" in line["reason"] for line in benches if line["outcome"] == "failed")


def test_every_row_has_every_axis_and_a_stable_name(failed: Ended) -> None:
    assert rows(failed)
    for row in rows(failed):
        assert set(row["params"]) == AXES
        assert row["fullname"] == f"{row['group']}/tiny/{row['param']}"


def test_only_rows_that_passed_are_stored(failed: Ended) -> None:
    assert {row["group"] for row in rows(failed)} == {"latency"}
    assert {row["group"] for stored in failed.stored for row in stored["benchmarks"]} == {"latency"}


def test_stored_rows_are_summaries(failed: Ended) -> None:
    assert all("data" not in row["stats"] for stored in failed.stored for row in stored["benchmarks"])


def test_our_table_fits_and_has_no_escape_codes(failed: Ended) -> None:
    table = failed.out[failed.out.index("tiny on ") : failed.out.index("Saved: ")]
    assert max(map(len, table.splitlines())) <= 100
    assert "\x1b" not in failed.out
    assert "…" not in table


def test_a_display_option_brings_pytest_benchmarks_table(failed: Ended) -> None:
    assert "precision=INT8" in failed.out
    assert "Rounds" in failed.out


def test_the_report_is_written_after_the_run_and_named(failed: Ended) -> None:
    file = failed.results.parent / "report.html"
    assert failed.out.splitlines().count(f"Report: {file}") == 1
    page = file.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "FAILED" in page


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_measured(suite: Suite, tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "report.html"
    ended = suite.run("benches", *ONE_CELL, f"--ov-report={file}")
    assert ended.code == 4
    assert f"--ov-report {file}: no file can be made in {file.parent}: make it, or name another" in ended.err
    assert "Traceback" not in ended.text


# ------------------------------------------------------------------------------------------------------ comparison


@pytest.fixture(scope="module")
def first(suite: Suite, failed: Ended) -> Ended:
    return suite.run("benches", *ONE_CELL, ONE_ROUND, "--benchmark-compare", "--benchmark-compare-fail=median:1%")


def test_a_failed_session_is_not_offered_for_comparison(failed: Ended, first: Ended) -> None:
    assert failed.stored
    assert first.code == 0, first.text
    assert "--benchmark-compare: nothing is stored yet that passed" in first.out


def test_a_passed_session_is_stored_and_named(first: Ended) -> None:
    newest = sorted(first.results.glob("*/*.json"))[-1]
    assert f"Saved: {newest}" in first.out
    assert first.stored[-1]["ovbench"]["passed"] is True
    assert "Rounds" not in first.out


def test_rows_match_from_another_folder_and_another_machine(suite: Suite, first: Ended) -> None:
    newest = sorted(first.results.glob("*/*.json"))[-1]
    stored = json.loads(newest.read_text())
    stored["machine_info"]["cpu"]["brand_raw"] = "Another CPU"
    stored["benchmarks"].append({**stored["benchmarks"][0], "fullname": "latency/tiny/of-old"})
    stored["benchmarks"][0]["stats"]["median"] = 1e-9
    newest.write_text(json.dumps(stored))
    selected = ("-k", "bench_latency and FP32-LATENCY-1-off", "--ov-precision=FP32", ONE_ROUND)
    compare = ("--benchmark-compare", "--benchmark-compare-fail=median:10%")
    ended = suite.run(".", *selected, *compare, folder=ROOT / "benches")
    assert ended.code == 1, ended.text
    assert "Performance has regressed" in ended.text
    assert "FP32 lat 1 off" in ended.out
    assert f"({newest.name[:12]}" in ended.out
    assert "no partner to compare with, only in this run: latency/tiny/FP32-LATENCY-1-off-copied" in ended.out
    assert "no partner to compare with, only in the stored run: latency/tiny/of-old" in ended.out
    assert "another machine (cpu brand_raw)" in ended.out
    assert "Warning" not in ended.text
    assert len(ended.stored) == len(first.stored) + 1


# ------------------------------------------------------------------------------------------------- not a whole run


def test_a_plan_measures_and_writes_nothing(suite: Suite, tmp_path: Path) -> None:
    ended = Suite(tmp_path, suite.cache, suite.model).run("benches", "--ov-plan", "--ov-precision=FP32")
    assert ended.code == 0, ended.text
    assert "Plan: nothing is measured" in ended.out
    assert "FP32-THROUGHPUT-4-warm" in ended.out
    assert "estimated time: campaign" in ended.out
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_skipped_benches_measure_nothing(suite: Suite, tmp_path: Path) -> None:
    ended = Suite(tmp_path, suite.cache, suite.model).run("benches", "--benchmark-skip")
    assert ended.code == 0
    assert "passed" not in ended.out
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def smoke(model: Path, cache: Path, results: Path, *given: str, **extra: str) -> Ended:
    selected = ("-k", "bench_accuracy or 1-off or 2-off or FP32-off", "--ov-precision=FP32")
    return Suite(results, cache, model).run("benches", "--benchmark-disable", "-rs", *selected, *given, **extra)


def test_a_smoke_run_runs_every_bench_and_stores_nothing(suite: Suite, tmp_path: Path) -> None:
    ended = smoke(suite.model, suite.cache, tmp_path)
    assert ended.code == 0, ended.text
    assert "4 passed, 1 skipped" in ended.out
    assert "Smoke run" in ended.out
    assert "its accuracy" in ended.out
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_cell_that_is_not_what_it_says_fails_its_bench(suite: Suite, tmp_path: Path) -> None:
    plugin = tmp_path / "in_bf16.py"
    plugin.write_text(
        "from ovbench import campaign\n"
        "from ovbench.precision import prove\n"
        "campaign.prove = lambda variant, shares: prove(variant, {'bf16': 1.0})\n"
    )
    ended = smoke(suite.model, suite.cache, tmp_path / "results", "-p", "in_bf16", PYTHONPATH=str(tmp_path))
    assert ended.code == 1
    assert "FP32-LATENCY-1-off: FP32 row ran bf16 100% of its MACs" in ended.out
    assert "Traceback" not in ended.text


@pytest.fixture(scope="module")
def odd_model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two inputs of dynamic height and width, no class output."""
    from ovbench.worker import import_openvino

    openvino = import_openvino()
    from openvino import opset13 as op

    shape = openvino.PartialShape([1, 3, -1, -1])
    left, right = (op.parameter(shape, openvino.Type.f32, name=name) for name in ("left", "right"))
    left.output(0).set_names({"left"})
    right.output(0).set_names({"right"})
    path = tmp_path_factory.mktemp("odd") / "odd.xml"
    openvino.save_model(openvino.Model([op.relu(op.add(left, right))], [left, right], "odd"), path)
    return path


def test_two_inputs_and_no_classes_are_not_bad_input(odd_model_path: Path, suite: Suite, tmp_path: Path) -> None:
    ended = smoke(odd_model_path, suite.cache, tmp_path, "--ov-shape=left[1,3,8,8],right[1,3,8,8]")
    assert ended.code == 0, ended.text
    assert "5 passed" in ended.out


# ------------------------------------------------------------------------------------------------------ cut off

linux = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are found through /proc")


def children(pid: int) -> set[int]:
    found = set()
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        found |= {int(each) for each in listed.read_text().split()}
    return found | {below for each in found for below in children(each)}


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(session: subprocess.Popen[str], what: Any) -> Any:
    """What comes to be while a session runs, or soon after its end."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (answer := what()):
        assert time.monotonic() < deadline
        with contextlib.suppress(subprocess.TimeoutExpired):
            session.wait(POLL_S)
    return answer


def in_mid_campaign(suite: Suite, temporary: Path) -> tuple[subprocess.Popen[str], set[int]]:
    """A session with at least one replicate in its journal, four to come, and the lanes it runs now."""
    session = suite.start("benches", "-p", "five_short_lanes", *ONE_CELL, TMPDIR=str(temporary))
    wait_for(session, lambda: [line for line in journal_lines(suite.results) if line["kind"] == "replicate"])
    return session, wait_for(session, lambda: children(session.pid))


@linux
def test_a_killed_session_keeps_its_replicates_and_leaves_no_lane(suite: Suite, tmp_path: Path) -> None:
    cut = Suite(tmp_path / "results", suite.cache, suite.model)
    session, lanes = in_mid_campaign(cut, tmp_path)
    os.kill(session.pid, signal.SIGKILL)
    session.communicate(timeout=TIMEOUT_S)
    assert session.returncode == -signal.SIGKILL
    kinds = [line["kind"] for line in journal_lines(cut.results)]
    assert kinds[:2] == ["session", "cell"]
    assert kinds.count("replicate") >= 1
    assert wait_for(session, lambda: not any(map(running, lanes)))


@linux
def test_ctrl_c_ends_with_the_table_of_what_was_measured(suite: Suite, tmp_path: Path) -> None:
    cut = Suite(tmp_path / "results", suite.cache, suite.model)
    session, lanes = in_mid_campaign(cut, tmp_path)
    os.killpg(session.pid, signal.SIGINT)
    out, _ = session.communicate(timeout=TIMEOUT_S)
    assert session.returncode == 2, out
    assert "FP32 lat 1 off" in out
    assert "Warning" not in out
    assert journal_lines(cut.results)[-1] == {**journal_lines(cut.results)[-1], "kind": "end", "exit_status": 2}
    assert wait_for(session, lambda: not any(map(running, lanes)))
    assert not list(tmp_path.glob("ovbench-*"))
