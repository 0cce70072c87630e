"""What pytest-benchmark is handed, and what is kept of its storage."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_benchmark.fixture import BenchmarkFixture
from pytest_benchmark.utils import NameWrapper

from ovbench.config import Config, Precision
from ovbench.recording import last_passed, machine_differences, mark_session, name_row, record

GONE = (
    "pytest-benchmark has renamed {}: ovbench.recording.record hands it samples measured elsewhere through its private "
    "_mode and _make_stats, since it has no public call for that; find the new way, or pin pytest-benchmark"
)


def fixture(rows: list[Any], disabled: bool = False) -> BenchmarkFixture:
    """pytest-benchmark's fixture of one test, as its plugin makes it; measured rows go to ``rows``."""
    return BenchmarkFixture(
        SimpleNamespace(name="bench", nodeid="bench.py::bench"),
        disable_gc=False,
        timer=NameWrapper(float),
        min_rounds=5,
        min_time=0.1,
        max_time=1.0,
        precision=None,
        confidence=None,
        warmup=False,
        warmup_iterations=0,
        calibration_precision=10,
        add_stats=rows.append,
        logger=None,
        warner=None,
        disabled=disabled,
        cprofile=False,
        cprofile_loops=1,
        cprofile_dump=None,
    )


def test_the_private_names_are_still_there() -> None:
    benchmark = fixture([])
    assert hasattr(benchmark, "_mode"), GONE.format("_mode")
    assert benchmark._mode is None, GONE.format("_mode's first value")
    assert callable(getattr(benchmark, "_make_stats", None)), GONE.format("_make_stats")


@given(st.lists(st.floats(1e-6, 10), min_size=1, max_size=50))
def test_a_row_has_the_samples_it_was_handed(samples: list[float]) -> None:
    rows: list[Any] = []
    record(fixture(rows), samples)
    assert len(rows) == 1
    stored = rows[0].as_dict(include_data=True)["stats"]
    assert stored["data"] == samples
    assert stored["rounds"] == len(samples)
    assert stored["min"] == min(samples)


def test_a_row_has_the_name_it_was_given() -> None:
    rows: list[Any] = []
    benchmark = fixture(rows)
    config = Config("tiny", precision=Precision.INT8, threads=2)
    name_row(benchmark, "latency", config, {"warning": "none"})
    record(benchmark, [0.5])
    stored = rows[0].as_dict()
    assert stored["fullname"] == "latency/tiny/INT8-LATENCY-1-off-threads=2"
    assert stored["group"] == "latency"
    assert stored["params"] == config.axes
    assert stored["extra_info"] == {"warning": "none"}
    json.dumps(stored["params"])


def test_a_row_that_was_measured_before_has_the_name_it_was_given() -> None:
    rows: list[Any] = []
    benchmark = fixture(rows)
    benchmark.pedantic(lambda: None, rounds=1)
    name_row(benchmark, "accuracy", Config("tiny"), {"agreement": 1})
    stored = rows[0].as_dict()
    assert stored["fullname"] == benchmark.fullname == "accuracy/tiny/FP32-LATENCY-1-off"
    assert (stored["group"], stored["params"]) == ("accuracy", Config("tiny").axes)
    assert stored["extra_info"] == {"agreement": 1}


def test_a_disabled_benchmark_records_nothing_and_counts_as_used() -> None:
    rows: list[Any] = []
    benchmark = fixture(rows, disabled=True)
    record(benchmark, [0.5])
    assert rows == []
    assert benchmark._mode is not None


def test_a_benchmark_is_used_once() -> None:
    benchmark = fixture([])
    record(benchmark, [0.5])
    with pytest.raises(AssertionError, match="once"):
        record(benchmark, [0.5])


# ------------------------------------------------------------------------------------------------- stored sessions


def store(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def session(passed: bool, *fullnames: str) -> dict[str, Any]:
    output: dict[str, Any] = {"benchmarks": [{"fullname": name} for name in fullnames]}
    mark_session(output, passed, {"good"})
    return output


def test_only_passed_rows_are_kept() -> None:
    assert session(True, "good", "bad")["benchmarks"] == [{"fullname": "good"}]


def test_the_last_session_is_the_newest_that_passed(tmp_path: Path) -> None:
    store(tmp_path, "0001_a.json", session(True, "good"))
    wanted = store(tmp_path, "0002_b.json", session(True, "good"))
    store(tmp_path, "0003_c.json", session(False, "good"))
    store(tmp_path, "0004_d.json", '{"benchmarks": [')
    store(tmp_path, "0005_e.json", {"benchmarks": []})
    store(tmp_path, "0006_f.json", [])
    assert last_passed(tmp_path) == wanted


def test_there_is_no_last_session_where_none_passed(tmp_path: Path) -> None:
    store(tmp_path, "0001_a.json", session(False, "good"))
    assert last_passed(tmp_path) is None
    assert last_passed(tmp_path / "absent") is None


def test_machines_differ_in_what_moves_figures_only() -> None:
    mine = {"node": "a", "release": "6.1", "cpu": {"brand_raw": "X", "count": 2, "hz_actual": [1]}}
    assert machine_differences(mine, {**mine, "cpu": {**mine["cpu"], "hz_actual": [2]}}) == []  # type: ignore[dict-item]
    assert machine_differences(mine, {**mine, "node": "b", "cpu": None}) == ["node", "cpu brand_raw", "cpu count"]
