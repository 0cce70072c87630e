"""``ovbench bench``: the suite from wherever it is installed, results where the user stands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCH = "import sys; from ovbench.cli import main; sys.argv = ['ovbench', 'bench', *sys.argv[1:]]; main()"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BENCH, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_every_argument_goes_to_pytest(tmp_path: Path) -> None:
    ended = run(tmp_path, "--collect-only", "-q", "-k", "int8 and throughput")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "bench_throughput[INT8-THROUGHPUT-AUTO-off]" in ended.stdout
    assert "LATENCY" not in ended.stdout


def test_its_exit_code_is_pytests(tmp_path: Path) -> None:
    ended = run(tmp_path, "--ov-streams", "abc")
    assert ended.returncode == 4
    assert "--ov-streams abc" in ended.stderr
