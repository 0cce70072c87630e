"""Lanes as real processes: asked, refused, killed, hung, and gone without a trace."""

from __future__ import annotations

import gc
import os
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import warm_python

from ovbench.errors import ContestantRefused, LaneDied, LaneError, LaneHung
from ovbench.lanes import TAIL_LINES, Lane, LaneSpec

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and scripts of POSIX")
# execnet drops what it has started when that does not answer as Python does; it ends as its pipes are closed.
dropped = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
HELLO = {"do": "hello"}


def order_for(path: Path) -> dict[str, Any]:
    properties = {"INFERENCE_PRECISION_HINT": "f32"}
    return {
        "do": "open",
        "key": "cell",
        "model": str(path),
        "device": "CPU",
        "properties": properties,
        "mode": "sync",
        "seed": 0,
    }


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where lanes keep their logs; nothing may be left there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def is_gone(pid: int) -> bool:
    """Whether no such process is left, not even as a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def pid_of(lane: Lane) -> int:
    assert lane.pid is not None
    return lane.pid


def script(folder: Path, text: str) -> str:
    """A "Python" of our own, in a folder whose name has a blank and a quote."""
    path = folder / "it's a folder" / "python"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_lane_answers_refuses_and_answers_again_until_it_is_closed(tiny_model_path: Path, tmp_path: Path) -> None:
    with Lane() as lane:
        pid = pid_of(lane)
        assert pid != os.getpid()
        assert lane.identity["executable"]
        with pytest.raises(ContestantRefused, match="Could not open the file") as refused:
            lane.ask(order_for(tmp_path / "missing.xml"))
        assert len(str(refused.value).splitlines()) == 1
        assert lane.ask(order_for(tiny_model_path))["effective"]["mac_shares"] == {"f32": 1.0}
        assert len(lane.ask({"do": "block", "key": "cell", "duration_ns": 0})["wall_ns"]) == 24
        with pytest.raises(LaneDied, match=r"^a lane died at 'open': OverflowError: [^\n]*$"):
            lane.ask({**order_for(tiny_model_path), "batch": float("inf")})  # the worker's own code fails
        assert lane.pid is None
        assert is_gone(pid)
        with pytest.raises(LaneDied):
            lane.ask(HELLO)
        lane.close()


@posix
def test_a_lane_killed_in_the_middle_of_a_block_is_one_line_with_its_last_words(
    tiny_model_path: Path, temporary: Path
) -> None:
    with Lane() as lane:
        pid = pid_of(lane)
        lane.ask(order_for(tiny_model_path))
        (log,) = temporary.glob("*/stderr.log")
        words = [f"word {number}" for number in range(TAIL_LINES + 2)]
        log.write_text("\n\n".join(words) + "\n")
        killing = threading.Timer(0.1, os.kill, (pid, signal.SIGKILL))
        killing.start()
        with pytest.raises(LaneDied) as died:
            lane.ask({"do": "block", "key": "cell", "duration_ns": 600 * 10**9})
        killing.join()
        assert str(died.value) == "a lane died at 'block' (cell); it last said: " + " | ".join(words[-TAIL_LINES:])
        assert is_gone(pid)
        assert lane.pid is None


@posix
def test_a_lane_that_hangs_is_killed_and_said(temporary: Path) -> None:
    with Lane() as lane:
        pid = pid_of(lane)
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(LaneHung, match=r"^a lane gave no answer to 'hello' within 0\.1 s$"):
            lane.ask(HELLO, timeout_s=0.1)
        assert is_gone(pid)


@posix
def test_ctrl_c_is_not_the_lanes_to_handle() -> None:
    with Lane() as lane:
        os.kill(pid_of(lane), signal.SIGINT)
        assert lane.ask(HELLO)["pid"] == lane.pid


@posix
def test_ctrl_c_is_not_the_lanes_to_handle_from_its_very_start(tmp_path: Path) -> None:
    python = script(tmp_path, f'kill -INT $$; exec {shlex.quote(sys.executable)} "$@"')
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with Lane(LaneSpec(python=python)) as lane:
        assert lane.ask(HELLO)["pid"] == lane.pid
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


# In a process of its own. OpenVINO's CPU plugin lends its thread a stack for signals; where cores end in another order
# than they began, as in tests, the stack of one that is gone stays: the next signal that Python handles is a SIGSEGV.
INTERRUPTED = """
import sys, threading
from pathlib import Path
from ovbench.lanes import Lane, LaneSpec
running = set(threading.enumerate())
try:
    Lane(LaneSpec(python=sys.argv[1]))
except KeyboardInterrupt:
    print("interrupted")
(starting,) = set(threading.enumerate()) - running
Path(sys.argv[2]).write_text("go on\\n")
starting.join()
"""


@posix
def test_a_start_that_hangs_can_be_interrupted(tmp_path: Path, temporary: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    python = script(tmp_path, f"kill -INT $PPID; read line < {shlex.quote(str(gate))}")
    environment = {**os.environ, "TMPDIR": str(temporary)}
    ended = warm_python.run(["-c", INTERRUPTED, python, str(gate)], tmp_path, environment)
    assert (ended.returncode, ended.stdout) == (0, "interrupted\n"), ended.stderr


@posix
def test_what_the_process_writes_to_stderr_goes_to_its_log(temporary: Path) -> None:
    with Lane() as lane:
        lane._gateway.remote_exec("import os; os.write(2, b'terminate called\\n'); os._exit(3)")

        def ask_until_it_ends() -> None:
            while True:
                lane.ask(HELLO)

        with pytest.raises(LaneDied, match=r"it last said: terminate called$"):
            ask_until_it_ends()


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no sched_setaffinity")
def test_a_lane_runs_on_its_cpus() -> None:
    cpu = max(os.sched_getaffinity(0))
    with Lane(LaneSpec(affinity=(cpu,))) as lane:
        assert os.sched_getaffinity(pid_of(lane)) == {cpu}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no sched_setaffinity")
def test_cpus_that_are_not_there_are_said_in_a_line() -> None:
    with pytest.raises(LaneDied, match=r"^no lane could be started with this Python: [^\n]*Invalid argument[^\n]*$"):
        Lane(LaneSpec(affinity=(1000,)))


def test_a_lane_has_the_environment_given_whatever_is_in_it() -> None:
    given = (("OVBENCH_TEST", "http://a//b=c env:d"), ("OVBENCH_EMPTY", ""))
    with Lane(LaneSpec(environment=given)) as lane:
        asking = lane._gateway.remote_exec(
            "import os; channel.send([os.environ[name] for name in ('OVBENCH_TEST', 'OVBENCH_EMPTY')])"
        )
        assert asking.receive(60) == [value for _, value in given]


@posix
def test_another_python_runs_the_worker_even_without_ovbench_or_openvino(tmp_path: Path) -> None:
    python = script(tmp_path, f'exec {shlex.quote(sys.executable)} -I -S "$@"')
    with Lane(LaneSpec(python=python)) as lane:
        with pytest.raises(ContestantRefused, match="No module named"):
            lane.ask({"do": "import"})
        assert lane.ask(HELLO)["pid"] == lane.pid


@dropped
@posix
@pytest.mark.parametrize("text", ["exit 3", "echo no Python", "read line; exit 0"], ids=["exits", "talks", "listens"])
def test_a_program_that_is_no_python_is_named_in_a_line(tmp_path: Path, text: str) -> None:
    python = script(tmp_path, text)
    with pytest.raises(LaneDied) as died:
        Lane(LaneSpec(python=python))
    said = str(died.value)
    assert said.startswith(f"no lane could be started with {python}: ")
    assert len(said.splitlines()) == 1
    del died
    gc.collect()


def test_a_python_that_is_not_there_is_named_in_a_line(tmp_path: Path) -> None:
    missing = str(tmp_path / "no python")
    with pytest.raises(LaneDied) as died:
        Lane(LaneSpec(python=missing))
    assert missing in str(died.value)
    assert "give a Python" in str(died.value)
    assert len(str(died.value).splitlines()) == 1
    assert isinstance(died.value, LaneError)


@posix
def test_a_start_cut_off_by_ctrl_c_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    def cut_off(lane: Lane, order: Any, timeout_s: float = 0) -> Any:
        started.append(lane._gateway._io.popen.pid)  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    monkeypatch.setattr(Lane, "ask", cut_off)
    with pytest.raises(KeyboardInterrupt):
        Lane()
    assert is_gone(started[0])
