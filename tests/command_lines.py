"""Many command lines of ``ovbench`` in one process of their own: openvino is imported once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import warm_python

# Each ends with its code, output and errors on a line.
DRIVER = """
import contextlib, io, json, sys, warnings
warnings.simplefilter("default")
from ovbench import cli
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["ovbench", *arguments]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
            code = None
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


def run_all(
    folder: Path, command_lines: Sequence[Sequence[str]], environment: Mapping[str, str]
) -> list[tuple[Any, str, str]]:
    """Exit code, output and errors of each, run in ``folder``; every warning is among the errors."""
    told = warm_python.run(["-c", DRIVER, json.dumps(command_lines)], folder, environment)
    assert told.returncode == 0, told.stderr
    return [tuple(json.loads(line)) for line in told.stdout.splitlines()]
