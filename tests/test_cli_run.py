"""``ovbench run``: the suite from wherever it is installed, results where the user stands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import warm_python

from ovbench import cli
from ovbench.options import OPTIONS

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and scripts of POSIX")
RUN = "import sys; from ovbench.cli import main; sys.argv = ['ovbench', 'run', *sys.argv[1:]]; main()"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OVBENCH_CACHE_DIR": str(folder.with_name("cache"))}
    return warm_python.run(["-c", RUN, *arguments], folder, environment)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder of the user's."""
    folder = tmp_path / "mine"
    folder.mkdir()
    return folder


def test_its_exit_code_is_pytests(folder: Path) -> None:
    ended = run(folder, "--ov-streams", "abc")
    assert ended.returncode == 4
    assert "--ov-streams abc" in ended.stderr
    assert list(folder.iterdir()) == []


# In a process of its own: in one that has had OpenVINO cores a signal may end it (test_lanes tells why).
ON_A_LINE = """
import signal, sys
from ovbench.cli import main
{before}
held = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
sys.executable, sys.argv = sys.argv[1], ["ovbench", "run"]
try:
    main()
finally:
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == held
"""


def run_line(folder: Path, line: str, before: str = "") -> tuple[int, str]:
    """Exit code and errors of ``ovbench run`` where pytest does no more than this line of a shell."""
    python = folder / "python"
    python.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    python.chmod(0o755)
    ended = warm_python.run(["-c", ON_A_LINE.format(before=before), str(python)], folder, os.environ)
    return ended.returncode, ended.stderr


@posix
@pytest.mark.parametrize(
    ("pytest_does", "code"),
    [
        ("kill -INT $PPID; exit 2", 130),  # Ctrl-C reaches both; pytest ends with the table of what is done
        ("kill -INT $PPID; exit 1", 1),  # it came when all was done, and a bench had failed
        ("kill -INT $PPID; kill -INT $$", 130),  # it came before pytest could take it
        ("exit 2", 2),  # a module that pytest cannot collect
        ("kill -KILL $$", 137),
        ("kill -TERM $PPID; exec tail -f /dev/null", 143),  # only we were told to end
        ("exit 6", 6),
    ],
)
def test_ctrl_c_is_130_and_every_other_end_is_pytests(folder: Path, pytest_does: str, code: int) -> None:
    assert run_line(folder, pytest_does) == (code, "")


@posix
def test_an_interrupt_that_is_ignored_is_ignored_by_pytest_too(folder: Path) -> None:
    ignored = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
    assert run_line(folder, "kill -INT $$; exit 0", ignored) == (0, "")


def test_ctrl_c_before_pytests_session_tells_no_traceback(folder: Path) -> None:
    (folder / "early.py").write_text("raise KeyboardInterrupt\n", encoding="utf-8")
    ended = run(folder, "-p", "early")
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_a_model_is_planned_among_the_users_own_files_and_only_results_are_left(
    folder: Path, tiny_model_path: Path
) -> None:
    for suffix in (".xml", ".bin"):
        shutil.copy(tiny_model_path.with_suffix(suffix), folder / f"mine{suffix}")
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n", encoding="utf-8")
    (folder / "conftest.py").write_text("raise RuntimeError('read by mistake')\n", encoding="utf-8")
    before = set(folder.iterdir())
    ended = run(folder, "mine.xml", "--ov-plan", "--ov-precision", "FP32", "-k", "latency")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "FP32-LATENCY-1-off" in ended.stdout
    assert "THROUGHPUT" not in ended.stdout
    assert "warning" not in ended.stdout + ended.stderr
    assert {path.name for path in set(folder.iterdir()) - before} <= {"results"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], int | None]]:
    """What pytest would have been given, and where its output would go."""
    told: list[tuple[list[str], int | None]] = []

    def take(arguments: list[str], stdout: int | None = None) -> int:
        told.append((arguments, stdout))
        for each in arguments:
            if each.startswith("--ov-report="):
                Path(each.partition("=")[2]).write_text('{"cells": []}\n', encoding="utf-8")
        return 1

    monkeypatch.setattr(cli.suite, "run_pytest", take)
    return told


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr(sys, "argv", ["ovbench", "run", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        (["m.xml", "-x"], ["--ov-model", "m.xml", "-x"]),
        (["m.xml"], ["--ov-model", "m.xml"]),
        (["-k", "int8 and not warm", "--ov-budget", "20s"], ["-k", "int8 and not warm", "--ov-budget", "20s"]),
        (["--ov-model=m.xml", "-vv", "--durations=3"], ["--ov-model=m.xml", "-vv", "--durations=3"]),
        ([], []),
    ],
)
def test_a_first_argument_without_a_dash_is_the_model(
    asked: list[tuple[list[str], int | None]],
    monkeypatch: pytest.MonkeyPatch,
    given: list[str],
    passed_on: list[str],
) -> None:
    assert ended(monkeypatch, *given) == 1
    assert asked == [(passed_on, None)]


def test_json_leaves_stdout_to_the_report(
    asked: list[tuple[list[str], int | None]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(monkeypatch, "m.xml", "--json", "-x") == 1
    assert capsys.readouterr().out == '{"cells": []}\n'
    ((arguments, stdout),) = asked
    assert arguments[:3] == ["--ov-model", "m.xml", "-x"]
    assert stdout == 2
    report = Path(arguments[3].partition("=")[2])
    assert report.suffix == ".json"
    assert not report.parent.exists()


def test_json_beside_another_report_is_refused(
    asked: list[tuple[list[str], int | None]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(monkeypatch, "--json", "--ov-report", "page.html") == 4
    assert capsys.readouterr() == (
        "",
        "ovbench: --ov-report with --json: give one of them; `ovbench report` writes the other afterwards\n",
    )
    assert asked == []


def test_help_is_ours_and_names_every_option(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(monkeypatch, "--help") == 0
    told = capsys.readouterr().out
    assert told.startswith("Usage: ovbench run [MODEL] [OPTION]...")
    assert "all that pytest takes" in " ".join(told.split())
    assert [option.flag for option in OPTIONS if f"\n  {option.flag} " not in told] == []
    assert max(map(len, told.splitlines())) <= 100
