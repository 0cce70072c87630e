"""What ``ovbench report --format md`` says of sessions that never ran, to the letter but for the list of options."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from made_sessions import make_journal

from conftest import CommandLine

GOLDEN = Path(__file__).parent / "golden"
OPTIONS = re.compile(r"^\| --ov-.*\n", re.MULTILINE)  # rows of a table that grows with every new option
SESSIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "all-there-is": ({"cells": 6, "references": True, "baseline": True, "rejected": [(1, 2)], "exit_status": 1},),
    "one-cell-killed": ({"cells": 1, "lanes": 2, "exit_status": None, "starts": False, "pipelines": False},),
    "two-sessions": ({"cells": 3}, {"cells": 4, "speed": 1.2, "seed": 1, "accuracy": False}),
}


@pytest.mark.parametrize("name", SESSIONS)
def test_a_report_reads_as_it_should(tmp_path: Path, command_line: CommandLine, name: str) -> None:
    journals = [make_journal(tmp_path / f"made-{place}.jsonl", **made) for place, made in enumerate(SESSIONS[name], 1)]
    code, told, said = command_line("report", *journals, "--format", "md")
    assert (code, said) == (0, "")
    told = OPTIONS.sub("", told)
    golden = GOLDEN / f"{name}.md"
    if os.environ.get("OVBENCH_GOLDEN") == "write":
        golden.write_text(told, encoding="utf-8")
    assert told == golden.read_text(encoding="utf-8"), "if this is meant: OVBENCH_GOLDEN=write, and read the diff"
