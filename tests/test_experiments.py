from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ovbench.config import Config, Hint, Precision, fp32_partner
from ovbench.errors import BadOption, NothingMeasured
from ovbench.experiments import repeat
from ovbench.options import Settings, write_settings
from ovbench.records import Journal, read_journal, replicate_fields, replicate_from_fields
from ovbench.samples import Block, Replicate

INT8 = Config(precision=Precision.INT8)
CELLS = (INT8, replace(INT8, hint=Hint.THROUGHPUT, streams="AUTO"))
MACHINE = {"cpu_brand": "Example 9000", "isa": "AVX2", "cores": 2}


def replicate(config: Config, lane: int, costs_ns: Sequence[float]) -> Replicate:
    """Five calls a block, all of them of one cost."""
    blocks = tuple(
        Block(number, (round(cost_ns),) * 5, (round(cost_ns),) * 5, 5 * round(cost_ns))
        for number, cost_ns in enumerate(costs_ns)
    )
    return Replicate(lane, config.mode, blocks)


def write_session(
    path: Path,
    int8_ns: Sequence[float],
    fp32_ns: float = 2e6,
    *,
    status: int | None = 0,
    settings: Settings | None = None,
    fingerprint: str = "abc",
    rounds: int = 4,
) -> Path:
    """A journal in which INT8 costs ``int8_ns`` in each lane, FP32 ``fp32_ns`` in all."""
    journal = Journal(path)
    journal.write(
        "session",
        settings=write_settings(settings or Settings()),
        machine=MACHINE,
        fingerprint=fingerprint,
        versions={"openvino": "2026.4.1", "nncf": "3.4.0"},
    )
    for lane, cost_ns in enumerate(int8_ns):
        for cell in CELLS:
            journal.write("replicate", **replicate_fields(cell, replicate(cell, lane, [cost_ns] * rounds)))
            partner = fp32_partner(cell)
            journal.write("replicate", **replicate_fields(partner, replicate(partner, lane, [fp32_ns] * rounds)))
    if status is not None:
        journal.write("end", exit_status=status, notes=[])
    return path


def write_runs(folder: Path, speeds: Sequence[float], spread: float = 0.0, lanes: int = 5) -> None:
    """One session per speed-up; the lanes of a session lie evenly within ``spread`` about it, on the log scale."""
    for number, speed in enumerate(speeds):
        logs = np.linspace(-spread, spread, lanes)
        write_session(folder / f"20260101T0000{number:02d}-aaaaaa.jsonl", [2e6 / speed * np.exp(log) for log in logs])


def test_a_replicate_comes_back_from_its_line(tmp_path: Path) -> None:
    original = replicate(INT8, 3, [1e6, 2e6])
    Journal(tmp_path / "one.jsonl").write("replicate", **replicate_fields(INT8, original))
    (line,) = read_journal(tmp_path / "one.jsonl")
    assert replicate_from_fields(line) == (INT8, original)


def test_sessions_that_were_cut_off_do_not_count(tmp_path: Path) -> None:
    write_session(tmp_path / "1.jsonl", [1e6] * 5)
    write_session(tmp_path / "2.jsonl", [1e6] * 5, status=None)
    write_session(tmp_path / "3.jsonl", [1e6] * 5, status=2)
    write_session(tmp_path / "4.jsonl", [1e6] * 5, status=1)
    killed = write_session(tmp_path / "5.jsonl", [1e6] * 5)
    killed.write_text(killed.read_text()[:-1])
    write_session(tmp_path / "6.jsonl", [])
    assert [session.path.stem for session in repeat.read_sessions(tmp_path)] == ["1", "4"]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"settings": Settings(budget=5.0)}, "budget (40.0 and 5.0)"),
        ({"fingerprint": "def"}, "its machine"),
    ],
)
def test_sessions_of_another_kind_are_refused(tmp_path: Path, changed: dict[str, object], named: str) -> None:
    write_session(tmp_path / "1.jsonl", [1e6] * 5)
    write_session(tmp_path / "2.jsonl", [1e6] * 5, **changed)  # type: ignore[arg-type]
    with pytest.raises(BadOption) as refused:
        repeat.read_sessions(tmp_path)
    assert named in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_one_run_repeats_nothing(tmp_path: Path) -> None:
    write_runs(tmp_path, [2.0])
    with pytest.raises(NothingMeasured):
        repeat.think(repeat.read_sessions(tmp_path))


def test_speedups_of_runs_that_agree(tmp_path: Path) -> None:
    write_runs(tmp_path, [2.0, 2.02, 1.98], spread=0.04)
    findings = repeat.think(repeat.read_sessions(tmp_path))
    assert [each.config for each in findings.speedups] == list(CELLS)
    for each in findings.speedups:
        assert each.median == pytest.approx(2.0, rel=1e-3)
        assert each.held == 3
        assert each.rounds_deviation == pytest.approx(0.0, abs=1e-6)
        assert each.lanes_deviation == pytest.approx(np.linspace(-0.04, 0.04, 5).std(ddof=1), rel=1e-3)
        assert each.runs_deviation == pytest.approx(0.0, abs=1e-6)
    assert findings.held_share == 1.0
    # t(0.975, 4) * 0.0316 / sqrt(5), exp taken
    assert findings.half_width == pytest.approx(0.0393, rel=0.01)


def test_an_interval_that_misses_the_median_is_counted(tmp_path: Path) -> None:
    write_runs(tmp_path, [2.0, 2.0, 3.0], spread=0.01)
    findings = repeat.think(repeat.read_sessions(tmp_path))
    assert findings.held_share == pytest.approx(2 / 3)
    assert all(each.runs_deviation is not None and each.runs_deviation > 0.1 for each in findings.speedups)


def test_a_run_without_an_interval_holds_nothing(tmp_path: Path) -> None:
    write_runs(tmp_path, [2.0, 2.0], lanes=4)
    findings = repeat.think(repeat.read_sessions(tmp_path))
    assert findings.held_share == 0.0
    assert findings.half_width is None
    assert "–" in repeat.tell(findings)


def test_plain_medians_of_consecutive_runs(tmp_path: Path) -> None:
    for number, scale in enumerate([1.0, 1.2, 1.15, 0.9]):  # +20 %, -4 %, -22 %; the ratio never moves
        write_session(tmp_path / f"{number}.jsonl", [1e6 * scale] * 5, 2e6 * scale)
    findings = repeat.think(repeat.read_sessions(tmp_path))
    assert len(findings.medians) == 4
    for each in findings.medians:
        assert sum(change > repeat.FAIL_ABOVE for change in each.changes) == 1
        assert sum(abs(change) > repeat.FAIL_ABOVE for change in each.changes) == 2
    assert findings.failing_runs == 1
    assert findings.held_share == 1.0


def test_cells_that_one_run_lacks_are_left_out(tmp_path: Path) -> None:
    write_session(tmp_path / "1.jsonl", [1e6] * 5)
    lines = [json.loads(line) for line in (tmp_path / "1.jsonl").read_text().splitlines()]
    kept = [line for line in lines if line.get("cell") != CELLS[1].id]
    (tmp_path / "2.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept))
    findings = repeat.think(repeat.read_sessions(tmp_path))
    assert [each.config for each in findings.speedups] == [CELLS[0]]
    assert CELLS[1] not in [each.config for each in findings.medians]


def test_the_report_names_machine_versions_and_every_cell(tmp_path: Path) -> None:
    write_runs(tmp_path, [2.0, 2.1], spread=0.02)
    told = repeat.tell(repeat.think(repeat.read_sessions(tmp_path)))
    assert told.startswith("2 runs on Example 9000, AVX2, 2 cores; openvino 2026.4.1, nncf 3.4.0.")
    assert all(cell.id in told for cell in CELLS)
    assert "would have failed 0 of 1 runs" in told


FAKE_PYTEST = """
import pathlib, shutil, sys
folder = pathlib.Path(next(each for each in sys.argv if each.startswith("ov_results=")).partition("=")[2])
number = len(list(folder.glob("*.jsonl")))
if "--fail" in sys.argv and number == 1:
    print("ERROR: --ov-model x: no such model")
    sys.exit(4)
shutil.copy({journal!r}, folder / f"{{number}}.jsonl")
"""


@pytest.fixture
def fake_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with benches/ whose ``python -m pytest`` writes one journal and ends."""
    (tmp_path / "benches").mkdir()
    journal = write_session(tmp_path / "journal.jsonl", [1e6, 1.01e6, 0.99e6, 1e6, 1e6])
    fake = tmp_path / "fake.py"
    fake.write_text(FAKE_PYTEST.format(journal=str(journal)))
    run = subprocess.run

    def run_fake(command: list[str], **options: object) -> object:
        assert command[1:4] == ["-m", "pytest", "benches"]
        return run([sys.executable, str(fake), *command[4:]], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", run_fake)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_measuring_goes_on_where_it_stopped(fake_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert repeat.main(["--runs", "2", "--folder", "runs"]) == 0
    assert capsys.readouterr().out.startswith("2 runs on Example 9000")
    assert repeat.main(["--runs", "3", "--folder", "runs"]) == 0
    told = capsys.readouterr()
    assert "2 of 3 runs are in runs already" in told.err
    assert "run 3 of 3" in told.err
    assert "run 2 of 3" not in told.err
    assert told.out.startswith("3 runs on Example 9000")


def test_a_run_that_is_refused_ends_with_its_line(fake_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert repeat.main(["--runs", "3", "--folder", "runs", "--", "--fail"]) == 4
    assert "run 2 measured nothing, exit code 4: ERROR: --ov-model x: no such model" in capsys.readouterr().err
    assert len(list((fake_root / "runs").glob("*.jsonl"))) == 1


def test_ctrl_c_tells_what_is_done(
    fake_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert repeat.main(["--runs", "2", "--folder", "runs"]) == 0
    capsys.readouterr()

    def interrupted(*_command: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", interrupted)
    assert repeat.main(["--runs", "5", "--folder", "runs"]) == 130
    told = capsys.readouterr()
    assert told.out.startswith("2 runs on")
    assert "finished runs stay in runs" in told.err


def test_bad_arguments_are_usage_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in (["--runs", "1"], ["--runs", "many"], ["--nonsense"]):
        with pytest.raises(SystemExit) as ended:
            repeat.main(arguments)
        assert ended.value.code == 4
    monkeypatch.chdir(tmp_path)
    assert repeat.main([]) == 4
    assert not (tmp_path / "results").exists()
