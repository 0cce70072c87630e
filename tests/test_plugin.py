"""The plugin: its options in ``--help`` and as ini keys, its silence in every session that is not ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sessions import ROOT, Suite
from warm_python import TIMEOUT_S

from ovbench.options import OPTIONS

HEAVY = ("openvino", "nncf", "cv2", "scipy", "numpy", "rich", "hypothesis", "ovbench.suite", "ovbench.lanes")


@pytest.fixture
def suite(tmp_path: Path, tiny_model_path: Path) -> Suite:
    return Suite(tmp_path / "results", tmp_path / "cache", tiny_model_path)


def run_pytest(folder: Path, *given: str) -> subprocess.CompletedProcess[str]:
    """pytest in a project that has nothing of ours but the installed plugin."""
    command = [sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", *given]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    path = {**kept, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=path, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Somebody else's project, with one test and one benchmark."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_theirs.py").write_text(
        "def test_sum():\n    assert 1 + 1 == 2\n\ndef test_speed(benchmark):\n    benchmark.pedantic(sum, ([1],))\n"
    )
    return folder


# --------------------------------------------------------------------------------------------------------- options


def test_help_shows_every_option_with_unit_and_default(project: Path) -> None:
    text = " ".join(run_pytest(project, "--help").stdout.split())
    for option in OPTIONS:
        assert option.flag in text
        assert " ".join(option.text.split()) in text
        assert f" {option.key} (string):" in text


def test_an_ini_key_is_heard_and_the_flag_wins(suite: Suite) -> None:
    collect = ("benches", "--collect-only", "-q", "-o", "ov_precision=INT8", "-o", "ov_streams=3", "-o", "ov_cache=off")
    by_ini = suite.run(*collect)
    assert "bench_throughput[INT8-THROUGHPUT-3-off]" in by_ini.out
    assert "FP32" not in by_ini.out
    by_flag = suite.run(*collect, "--ov-precision=FP32")
    assert "bench_throughput[FP32-THROUGHPUT-3-off]" in by_flag.out
    assert "INT8" not in by_flag.out


def test_a_wrong_ini_key_is_refused_like_a_flag(suite: Suite) -> None:
    ended = suite.run("benches", "-o", "ov_streams=abc")
    assert ended.code == 4
    assert len(ended.errors()) == 1


# ---------------------------------------------------------------------------------------------------- inert elsewhere


@pytest.mark.parametrize(
    "given",
    [(), ("-n", "1"), ("-p", "no:terminal"), ("-s",), ("-p", "no:capture"), ("--benchmark-only",)],
    ids=lambda given: " ".join(given) or "plain",
)
def test_a_session_without_our_benches_is_left_alone(project: Path, given: tuple[str, ...]) -> None:
    ended = run_pytest(project, *given)
    said = (ended.stdout + ended.stderr).lower()
    assert ended.returncode == 0, said
    assert "openvino" not in said
    assert "lanes" not in said
    assert not [path for path in project.rglob("*") if path.suffix in (".json", ".jsonl")]
    assert not (project / "results").exists()


def test_a_session_without_pytest_benchmark_works(project: Path) -> None:
    ended = run_pytest(project, "-p", "no:benchmark", "-k", "test_sum")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_without_our_ini_key_pytest_benchmark_keeps_its_storage(project: Path) -> None:
    ended = run_pytest(project, "--benchmark-autosave")
    assert ended.returncode == 0
    stored = list((project / ".benchmarks").glob("*/*.json"))
    assert len(stored) == 1
    content = json.loads(stored[0].read_text())
    assert [row["name"] for row in content["benchmarks"]] == ["test_speed"]
    assert "ovbench" not in content


def test_a_test_that_needs_cells_and_selects_none_says_so(project: Path) -> None:
    (project / "test_theirs.py").write_text("def test_it(ov_suite):\n    pass\n")
    ended = run_pytest(project)
    assert ended.returncode == 1
    assert "no selected bench takes a cell of the matrix" in ended.stdout


# ------------------------------------------------------------------------------------------------------ collection


def test_collecting_imports_nothing_heavy() -> None:
    code = (
        "import sys, pytest\n"
        "code = pytest.main(['benches', '--collect-only', '-q'])\n"
        f"print('loaded', sorted(set({HEAVY!r}) & set(sys.modules)))\n"
        "sys.exit(code)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    assert ended.stdout.splitlines()[-1] == "loaded []"


def test_importing_ovbench_imports_nothing_heavy() -> None:
    code = f"import sys, ovbench\nprint(sorted(set({HEAVY!r}) & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
