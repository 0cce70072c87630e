"""``ovbench ab`` as a command: exit codes, one line for what cannot be, and what a kill leaves behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_lines import run_all

from ovbench.records import read_journal

# ovbench ab that says on stdout when a line of the journal is on the disk. Its pairs are short though its budget is
# long: the slowest machine has time for two.
TOLD = """
import sys
from ovbench import cli, comparison, records
comparison.fitting_pair_s = lambda *_: 0.5
write = records.Journal.write
def told(self, kind, **fields):
    write(self, kind, **fields)
    print("WROTE", kind, flush=True)
records.Journal.write = told
sys.argv = ["ovbench", *sys.argv[1:]]
cli.main()
"""


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "OVBENCH_CACHE_DIR": str(folder / "cache"),
        "OVBENCH_PROFILE_DIR": str(folder / "profiles"),
        "PYTHONWARNINGS": "default",
    }


def run(folder: Path, command_lines: list[list[str]]) -> list[tuple[Any, str, str]]:
    return run_all(folder, command_lines, environment(folder))


def test_what_cannot_be_compared_is_one_line_and_exit_4(tiny_model_path: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    python = bare / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    model = ["--model", str(tiny_model_path), "--results", str(tmp_path / "results")]
    refused = {
        "install openvino and numpy there": ["ab", *model, "--b", f"python={python}"],
        "give a Python that has openvino": ["ab", *model, "--b", f"python={shutil.which('true')}"],
        "no such file": ["ab", *model, "--a", "python=nowhere/python"],
        "NUM_STREAMZ": ["ab", *model, "--b", "NUM_STREAMZ=2"],
        "core 99999 is not there": ["ab", *model, "--b", "affinity=99999"],
        "unknown key 'pyhton'": ["ab", *model, "--b", "pyhton=x"],
        "no model at nothing.xml": ["ab", *model, "--b", "model=nothing.xml"],
        "give latency or throughput": ["ab", *model, "--metric", "speed"],
        "--budget soon": ["ab", *model, "--budget", "soon"],
        "--tolerance wide": ["ab", *model, "--tolerance", "wide"],
        "--device TPU": ["ab", *model, "--device", "TPU"],
        "--min-agreement 2": ["ab", *model, "--min-agreement", "2"],
        "--nonsense": ["ab", *model, "--nonsense"],
        "No such command": ["compare"],
    }
    ended = run(tmp_path, list(refused.values()))
    for (told, command_line), (code, out, err) in zip(refused.items(), ended, strict=True):
        assert code == 4, (command_line, code, out, err)
        assert out == ""
        lines = [line for line in err.splitlines() if line.startswith("ovbench: ")]
        assert len(lines) == 1, err
        assert told.lower() in lines[0].lower().replace("--ov-", "--")
        assert "Traceback" not in err
    assert not (tmp_path / "results").exists()


def test_an_unreadable_profile_is_one_line_and_exit_4(tiny_model_path: Path, tmp_path: Path) -> None:
    from ovbench import machine

    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / f"{machine.fingerprint().fingerprint_id}.json").write_text("{")
    ((code, out, err),) = run(tmp_path, [["ab", "--model", str(tiny_model_path), "--results", "results"]])
    assert (code, out) == (4, "")
    assert len(err.splitlines()) == 1
    assert "run `ovbench selfcheck` again" in err
    assert not (tmp_path / "results").exists()


def test_kill_9_of_the_whole_run_leaves_finished_pairs_in_the_journal(tiny_model_path: Path, tmp_path: Path) -> None:
    arguments = ["ab", "--model", str(tiny_model_path), "--metric", "latency", "--results", "results",
                 "--budget", "10m", "--tolerance", "0"]  # fmt: skip
    child = subprocess.Popen(
        [sys.executable, "-c", TOLD, *arguments],
        env=environment(tmp_path),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    written: list[str] = []
    for line in child.stdout:
        written.append(line.split()[1] if line.startswith("WROTE") else line)
        if written.count("pair") == 2:
            os.kill(child.pid, signal.SIGKILL)
            break
    child.stdout.close()
    child.wait()
    assert written == ["session", "pair", "pair"]
    (journal,) = (tmp_path / "results").glob("*.jsonl")
    lines = list(read_journal(journal))
    assert [line["kind"] for line in lines][:3] == written
    for number, pair in enumerate(lines[1:3]):
        assert pair["number"] == number
        assert pair["kept"] == len(pair["rounds"]["latency"])
        assert pair["kept"] + pair["rejected"] > 0


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent as a signal")
def test_ctrl_c_says_where_finished_pairs_are(tiny_model_path: Path, tmp_path: Path) -> None:
    arguments = ["ab", "--model", str(tiny_model_path), "--metric", "latency", "--results", "results",
                 "--budget", "10m", "--tolerance", "0"]  # fmt: skip
    child = subprocess.Popen(
        [sys.executable, "-c", TOLD, *arguments],
        env=environment(tmp_path),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    for line in child.stdout:
        if line.split()[1:] == ["pair"]:
            child.send_signal(signal.SIGINT)
            break
    _, err = child.communicate()
    assert child.returncode == 130
    (journal,) = (tmp_path / "results").glob("*.jsonl")
    pairs = sum(line["kind"] == "pair" for line in read_journal(journal))
    finished = "1 finished pair" if pairs == 1 else f"{pairs} finished pairs"
    assert f"interrupted; {finished} of A/B in results/{journal.name}" in err
    assert "Traceback" not in err
