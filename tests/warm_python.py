"""A Python that has imported what all sessions import, and forks for each command: most of a session's CPU was imports.

What is ours, and every pytest plugin, is imported in the fork as in any other process; only libraries are there before.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LIBRARIES = ("pytest", "numpy", "openvino", "cv2", "scipy.special", "rich.progress", "execnet", "filelock", "typer")
TIMEOUT_S = 600  # for what hangs: a busy machine takes a minute and more for some
FORKS = sys.platform == "linux"  # elsewhere a fork of so much is not safe, or there is none


def run(
    given: Sequence[str], folder: Path, environment: Mapping[str, str], timeout_s: int = TIMEOUT_S
) -> subprocess.CompletedProcess[str]:
    """What ``python -m MODULE ...`` or ``python -c CODE ...`` does in that folder and environment, and what it printed.

    Variables that Python or a library reads as it starts, PYTHONPATH apart, are those of the tests. After ``timeout_s``
    it is killed.
    """
    if not FORKS:
        return subprocess.run(
            [sys.executable, *given], cwd=folder, env=dict(environment), capture_output=True, text=True,
            timeout=timeout_s, check=False,
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as kept:
        out, err = Path(kept, "out"), Path(kept, "err")
        order = {
            "given": given, "folder": str(folder), "environment": dict(environment), "timeout_s": timeout_s,
            "files": [str(out), str(err)],
        }  # fmt: skip
        asked, told = _warm()
        asked.write(json.dumps(order) + "\n")
        asked.flush()
        code = told.readline()
        assert code, "the warm Python has died"
        return subprocess.CompletedProcess(list(given), int(code), out.read_text(), err.read_text())


@functools.cache
def _warm() -> tuple[Any, Any]:
    """The pipes to and from it; it ends as we do."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.Popen(
        [sys.executable, __file__], env=kept, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(process.communicate)
    return process.stdin, process.stdout


def _serve() -> None:
    """One fork for each order, and its exit code on a line when it has ended."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # as ovbench.worker.import_openvino does
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()  # a fork's collections would copy every page that they look at
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os._exit(_become(json.loads(line)))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _become(order: Mapping[str, Any]) -> int:
    """Be the process that the order asks for, to its exit code."""
    signal.alarm(order["timeout_s"])
    for number, name in enumerate([os.devnull, *order["files"]]):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT), number)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    tempfile.tempdir = None
    (how, what, *arguments), paths = order["given"], os.environ.get("PYTHONPATH", "")
    sys.path[:1] = [order["folder"] if how == "-m" else "", *filter(None, paths.split(os.pathsep))]
    sys.argv = [how, *arguments]
    code: Any = None
    try:
        if how == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            exec(what, {"__name__": "__main__"})
    except SystemExit as end:
        code = end.code
    atexit._run_exitfuncs()
    sys.stdout.flush()
    return int(code or 0)


if __name__ == "__main__":
    _serve()
