"""Stored sessions: read, found, promoted and pruned."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ovbench import cli
from ovbench.config import Config, Hint, Precision
from ovbench.errors import BadInput, BadOption, NotWritable
from ovbench.report.sessions import sessions_text
from ovbench.sessions import (
    PROMOTED_FILE,
    find_passed,
    find_session,
    list_sessions,
    promote,
    prune,
    read_promoted,
    read_session,
)

INT8 = Config("m", precision=Precision.INT8)
Store = Callable[..., Path]


def row(question: str, config: Config, median_s: float = 0.01, **extra: Any) -> dict[str, Any]:
    return {
        "fullname": f"{question}/{config.model}/{config.id}",
        "params": config.axes,
        "stats": {"median": median_s},
        "extra_info": extra,
    }


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Writes a session of this number, with these rows and facts, and a journal beside it."""

    def write(number: int, *rows: dict[str, Any], passed: bool = True, **facts: Any) -> Path:
        journal = tmp_path / f"j{number}.jsonl"
        journal.touch()
        said = {"passed": passed, "fingerprint": "abc", "isa": "AVX2", "cores": 2, "openvino": "2026.4.1-1",
                "journal": journal.name, **facts}  # fmt: skip
        path = tmp_path / f"{number:04}_x.json"
        stored = {"datetime": f"2026-11-{number:02}T10:00:00+00:00", "benchmarks": list(rows), "ovbench": said}
        path.write_text(json.dumps(stored))
        return path

    return write


def test_a_session_is_read_with_its_rows(store: Store) -> None:
    path = store(7, row("speedup", INT8, 0.002, log_speedups_over_fp32=[0.1, 0.2]), row("latency", INT8, 0.002))
    session = read_session(path)
    assert (session.number, session.passed, session.fingerprint, session.cores) == ("0007", True, "abc", 2)
    speedup = session.row("speedup", INT8)
    assert speedup is not None
    assert speedup.log_speedups == (0.1, 0.2)
    assert session.row("throughput", INT8) is None
    assert session.row("latency", Config("m", hint=Hint.THROUGHPUT)) is None


def test_benchmarks_of_other_origin_are_no_rows(store: Store) -> None:
    foreign = {"fullname": "tests/test_a.py::b", "params": None, "stats": {"median": 1.0}, "extra_info": {}}
    assert read_session(store(1, foreign, {**foreign, "params": {"n": 1}}, row("latency", INT8, 0.0))).rows == ()


def test_a_session_that_says_nothing_of_ours_did_not_pass(tmp_path: Path) -> None:
    path = tmp_path / "0001_x.json"
    path.write_text(json.dumps({"datetime": "2026", "benchmarks": []}))
    assert not read_session(path).passed


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"datetime": "x", "benchmarks": [{}]}', "null"])
def test_a_broken_session_is_named_and_the_others_listed(store: Store, tmp_path: Path, text: str) -> None:
    store(1)
    (tmp_path / "0002_x.json").write_text(text)
    sessions, faults = list_sessions(tmp_path)
    assert [each.number for each in sessions] == ["0001"]
    assert len(faults) == 1
    assert "0002_x.json" in faults[0]
    with pytest.raises(BadInput, match="choose another"):
        read_session(tmp_path / "0002_x.json")


@pytest.mark.parametrize("name", ["7", "07", "0007", "0007_x", "path"])
def test_a_session_is_found_by_number_name_and_path(store: Store, tmp_path: Path, name: str) -> None:
    path = store(7)
    assert find_session(tmp_path, str(path) if name == "path" else name, "--ov-baseline").path == path


def test_a_missing_session_is_refused_with_what_there_is(store: Store, tmp_path: Path) -> None:
    store(3)
    with pytest.raises(BadOption, match=r"--ov-baseline 9: no such session .* there are 0003"):
        find_session(tmp_path, "9", "--ov-baseline")
    with pytest.raises(BadOption, match="ovbench baseline set"):
        find_session(tmp_path, "promoted", "--ov-baseline")


def test_only_a_session_that_passed_is_taken_for_a_comparison(store: Store, tmp_path: Path) -> None:
    passed, failed = store(1), store(2, passed=False)
    (tmp_path / "0003_x.json").write_text("{")
    assert find_passed(tmp_path, "1") == passed
    assert [find_passed(tmp_path, name) for name in (failed.stem, "3", "4", "*")] == [None] * 4


# ------------------------------------------------------------------------------------------------------- promotion


def test_promoting_names_the_session(store: Store, tmp_path: Path) -> None:
    assert read_promoted(tmp_path) is None
    first, second = store(1), store(2)
    promote(tmp_path, "1")
    promote(tmp_path, "2")
    assert read_promoted(tmp_path) == second.name
    assert find_session(tmp_path, "promoted", "--ov-baseline").path == second
    assert sorted(each.name for each in tmp_path.iterdir() if each.suffix == ".json") == [
        first.name, second.name, PROMOTED_FILE,
    ]  # fmt: skip
    assert not list(tmp_path.glob("*.tmp"))


def test_a_failed_session_is_not_promoted(store: Store, tmp_path: Path) -> None:
    good = store(1)
    store(2, passed=False)
    promote(tmp_path, "1")
    with pytest.raises(BadOption, match="did not pass"):
        promote(tmp_path, "2")
    assert read_promoted(tmp_path) == good.name


def test_a_session_elsewhere_is_not_promoted(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    with pytest.raises(BadOption, match="copy it there"):
        promote(folder, str(store(1)))


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"session": 7}', '{"session": "../0001_x.json"}'])
def test_a_broken_note_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / PROMOTED_FILE).write_text(text)
    with pytest.raises(BadInput, match="baseline set NUMBER"):
        read_promoted(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(store: Store, tmp_path: Path) -> None:
    store(1)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(NotWritable):
            promote(tmp_path, "1")
    finally:
        tmp_path.chmod(0o700)


# --------------------------------------------------------------------------------------------------------- pruning


def test_pruning_keeps_the_newest_and_the_promoted(store: Store, tmp_path: Path) -> None:
    paths = {number: store(number) for number in range(1, 6)}
    promote(tmp_path, "2")
    assert prune(tmp_path, 2) == (paths[1], paths[3])
    assert [each.number for each in list_sessions(tmp_path)[0]] == ["0002", "0004", "0005"]
    assert sorted(each.name for each in tmp_path.glob("*.jsonl")) == ["j2.jsonl", "j4.jsonl", "j5.jsonl"]
    assert prune(tmp_path, 3) == ()


def test_pruning_removes_no_file_elsewhere(store: Store, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-kept.jsonl"
    outside.touch()
    store(1, journal=f"../{outside.name}")
    prune(tmp_path, 0)
    assert outside.exists()
    outside.unlink()


def test_pruning_leaves_what_it_cannot_read(tmp_path: Path) -> None:
    broken = tmp_path / "0001_x.json"
    broken.write_text("{")
    assert prune(tmp_path, 0) == ()
    assert broken.exists()
    with pytest.raises(BadOption, match="0 or more"):
        prune(tmp_path, -1)


# ----------------------------------------------------------------------------------------------------- the command


def test_the_list_says_what_matters(store: Store, tmp_path: Path) -> None:
    store(1, row("latency", INT8), passed=False)
    store(2)
    promote(tmp_path, "2")
    lines = sessions_text(list_sessions(tmp_path)[0], read_promoted(tmp_path), False).splitlines()
    first, second = (
        next(line.split() for line in lines if line.startswith(f" {number}")) for number in ("0001", "0002")
    )
    assert first == ["0001", "2026-11-01", "10:00", "abc", "no", "1", "2026.4.1"]
    assert second == ["0002", "2026-11-02", "10:00", "abc", "yes", "yes", "0", "2026.4.1"]
    assert max(map(len, lines)) <= 100


def test_the_commands(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.suite, "sessions_folder", lambda _results: tmp_path)
    runner = CliRunner()
    assert "no session is stored" in runner.invoke(cli.app, ["sessions"]).output
    for number in range(1, 4):
        store(number)
    assert "session 0001 is the baseline" in runner.invoke(cli.app, ["baseline", "set", "1"]).output
    output = runner.invoke(cli.app, ["sessions", "--prune", "1"]).output
    assert "removed" in output
    assert [each.number for each in list_sessions(tmp_path)[0]] == ["0001", "0003"]
    assert json.loads(runner.invoke(cli.app, ["baseline", "set", "3", "--json"]).output)["session"] == "0003"
    told = json.loads(runner.invoke(cli.app, ["sessions", "--prune", "1", "--json"]).output)
    assert told["removed"] == [str(tmp_path / "0001_x.json")]
    ((session),) = told["sessions"]
    assert (session["session"], session["promoted"], session["fingerprint"]) == ("0003", True, "abc")
    assert isinstance(runner.invoke(cli.app, ["sessions", "--prune", "-1"]).exception, BadOption)
    assert isinstance(runner.invoke(cli.app, ["baseline", "set", "9"]).exception, BadOption)


def test_no_results_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="run the suite there first"):
        cli.suite.sessions_folder(tmp_path)
