"""``ovbench tune`` as a command: what it prints and writes, its exit codes, one line for what cannot be."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from command_lines import run_all
from fake_lane import FakeLane, FakeMachine

from conftest import CommandLine
from ovbench import campaign
from ovbench.records import read_journal
from ovbench.report.deploy import FILES
from ovbench.tune import running

FEW = "--hint LATENCY --threads 0,1 --pinning default --batch 0 --precision FP32 --budget 12s"  # two candidates
SLOW, FAST = 1_000_000, 500_000
COSTS = {"tiny/FP32-LATENCY-1-off": SLOW, "tiny/FP32-LATENCY-1-off-threads=1": FAST}


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "OVBENCH_CACHE_DIR": str(folder / "cache"),
        "OVBENCH_PROFILE_DIR": str(folder / "profiles"),
        "PYTHONWARNINGS": "default",
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_model_path: Path) -> Path:
    folder = tmp_path_factory.mktemp("tune")
    for suffix in (".xml", ".bin"):
        shutil.copy(tiny_model_path.with_suffix(suffix), folder / f"tiny{suffix}")
    (folder / "taken").mkdir()
    (folder / "taken" / "infer.py").write_text("mine")
    (folder / "file").write_text("")
    return folder


REFUSED = {
    "nowhere.xml": "no model at nowhere.xml",
    "": "Missing argument",
    "tiny.xml --goal speed": "--goal speed: give throughput or latency",
    "tiny.xml --p99 soon": "--p99 soon: give a duration such as",
    "tiny.xml --p99 0": "--p99 0: give a time above 0",
    "tiny.xml --max-memory much": "--max-memory much: give a size such as",
    "tiny.xml --max-threads 0": "--max-threads 0: give a whole number of at least 1",
    "tiny.xml --max-threads 1 --threads 2": "--threads 2: more than --max-threads 1",
    "tiny.xml --min-agreement 2": "--min-agreement 2: give a share from 0 to 1",
    "tiny.xml --min-agreement 0.9": "--min-agreement 0.9: no pictures fit tiny: give --images for its accuracy",
    "tiny.xml --pinning maybe": "--pinning maybe: give default, yes, no, with commas between",
    "tiny.xml --streams 0": "--streams 0: give AUTO or a number of streams",
    "tiny.xml --precision FP33": "--precision FP33: not one of",
    "tiny.xml --device TPU": "--device TPU: not a device of this machine",
    "tiny.xml --budget 1ms": "--budget 0.001s: too small for ",
    "tiny.xml -o file/out": "cannot write to file/out: Not a directory",
    "tiny.xml -o taken": "-o taken: infer.py is there, not written by ovbench tune",
    "tiny.xml --results file/results": "or name another with --results DIR",
    "embedded --images pictures": "the embedded model knows its own pictures only",
}


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, tuple[Any, str, str]]:
    """How each command ended: code, output, errors."""
    command_lines = [["tune", *line.split()] for line in REFUSED]
    return dict(zip(REFUSED, run_all(folder, command_lines, environment(folder)), strict=True))


@pytest.fixture
def machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    """A machine without noise whose lanes the command uses, in the folder; the tiny model is real."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OVBENCH_CACHE_DIR", str(folder / "cache"))
    monkeypatch.setenv("OVBENCH_PROFILE_DIR", str(folder / "profiles"))
    monkeypatch.setattr(campaign, "was_hit", lambda *_: False)
    monkeypatch.setattr(FakeLane, "_usage", lambda *_: {"peak_resident_bytes": 10**8}, raising=False)

    def tell_inputs(order: Mapping[str, Any], answer: dict[str, Any]) -> None:
        if order["do"] == "open":
            answer["signature"] = [["image", [1, 3, 16, 16], "<Type: 'float32'>"]]

    machine = FakeMachine(cost_ns=COSTS, changes=tell_inputs)
    monkeypatch.setattr(running, "tune", partial(running.tune, open_lane=machine.open_lane, clock=machine.clock))
    return machine


def test_the_pick_is_printed_written_and_kept(machine: FakeMachine, command_line: CommandLine) -> None:
    code, out, err = command_line(
        "tune", "tiny.xml", *FEW.split(), "--goal", "latency", "--p99", "10ms", "--max-threads", "2", "--json",
        "--results", "kept", "-o", "out",
    )  # fmt: skip
    assert code == 0, err
    found = json.loads(out)
    assert found["pick"] == "FP32-LATENCY-1-off-threads=1"
    assert found["margin"]["value"] == pytest.approx(2)
    assert [(each["limit"], each["outcome"]) for each in found["constraints"]] == [
        ("--p99", "HELD"),
        ("--max-threads", "HELD"),
    ]
    assert len(found["candidates"]) == 2
    assert {each.name for each in Path("out").iterdir()} == set(FILES)
    assert [Path(each).name for each in found["files"]] == list(reversed(FILES))
    config = json.loads(Path("out/config.json").read_text(encoding="utf-8"))
    assert (config["goal"], config["measured"]["p50_ns"]) == ("latency", FAST)
    assert config["journal"] == Path(found["journal"]).name
    lines = list(read_journal(Path(found["journal"])))
    assert lines[0]["tool"] == "tune"
    assert lines[0]["constraints"] == {
        "p99_ns": 10_000_000, "min_agreement": None, "max_memory_bytes": None, "max_threads": 2,
    }  # fmt: skip
    assert (lines[-1]["kind"], lines[-1]["pick"]) == ("tuned", found["pick"])
    assert "Tune: " in err


def test_text_ends_with_the_commands_of_the_next_step(machine: FakeMachine, command_line: CommandLine) -> None:
    code, out, err = command_line("tune", "tiny.xml", *FEW.split(), "--results", "kept", "-o", "told")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].startswith("Deploy FP32 lat 1 t1 for throughput of tiny on ")
    assert lines[-4] == "Written to told: config.json, infer.py, benchmark_app.json, model.xml, model.bin"
    assert lines[-3] == "Run it: python told/infer.py"
    assert lines[-2].startswith("Beside benchmark_app: cd told && benchmark_app -m model.xml -d CPU -api sync -t 10 ")
    assert lines[-2].endswith("-load_config benchmark_app.json")
    assert lines[-1].startswith("Every sample: kept/")
    assert "--ov-" not in out
    assert "Pick: FP32-LATENCY-1-off-threads=1" in err


def test_ctrl_c_says_what_is_known_so_far(machine: FakeMachine, command_line: CommandLine) -> None:
    asked = itertools.count()

    def trouble(_lane: int, order: Mapping[str, Any]) -> BaseException | None:
        return KeyboardInterrupt() if order["do"] == "block" and next(asked) == 40 else None

    machine.trouble = trouble
    code, out, err = command_line("tune", "tiny.xml", *FEW.split(), "--results", "interrupted", "-o", "never")
    assert (code, out) == (130, "")
    (journal,) = Path("interrupted").glob("*.jsonl")
    kinds = [line["kind"] for line in read_journal(journal)]
    assert kinds[:2] == ["session", "replicate"]
    assert kinds.count("candidate") == 2
    assert "tuned" not in kinds
    (said,) = [line for line in err.splitlines() if line.startswith("ovbench: ")]
    assert re.fullmatch(
        r"ovbench: interrupted: FP32 lat 1 t1 leads after \d+ rounds: 2000 images/s, p50 0.5000 ms; "
        rf"finished lanes are in interrupted/{journal.name}",
        said,
    )
    assert not Path("never").exists()


@pytest.mark.parametrize("command", REFUSED)
def test_what_cannot_be_is_one_line_and_exit_4(told: dict[str, tuple[Any, str, str]], command: str) -> None:
    code, out, err = told[command]
    assert code == 4, (out, err)
    assert out == ""
    lines = [line for line in err.splitlines() if line.startswith("ovbench: ")]
    assert len(lines) == 1, err
    assert REFUSED[command] in lines[0]
    assert "Traceback" not in err


def test_refusals_leave_nothing_behind(told: dict[str, tuple[Any, str, str]], folder: Path) -> None:
    assert {code for code, _, _ in told.values()} == {4}
    assert not (folder / "results").exists()
    assert not (folder / "ovbench-tuned").exists()
    assert [each.name for each in (folder / "taken").iterdir()] == ["infer.py"]
