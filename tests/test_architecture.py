from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

HEAVY = {"openvino", "nncf", "cv2", "scipy", "pytest_benchmark", "rich", "typer"}
"""What takes long to import, or does something at import (openvino's telemetry forks a child)."""


def test_importing_ovbench_imports_nothing_heavy() -> None:
    code = "import json, sys, ovbench; print(json.dumps(sorted(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(json.loads(told.stdout))


def test_machine_needs_the_standard_library_alone() -> None:
    code = "import json, sys, ovbench.machine; print(json.dumps(sorted(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {*HEAVY, "numpy", "cpuinfo"}.isdisjoint(json.loads(told.stdout))


def test_arrows_point_down() -> None:
    pytest.importorskip("importlinter", reason="import-linter comes with the dev extra")
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
