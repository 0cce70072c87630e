"""Many command lines of ``ovbench`` in one process of their own: openvino is imported once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Each ends with its code, output and errors on a line.
DRIVER = """
import contextlib, io, json, sys
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
    """Exit code, output and errors of each, run in ``folder``."""
    told = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(command_lines)],
        env=dict(environment),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return [tuple(json.loads(line)) for line in told.stdout.splitlines()]
