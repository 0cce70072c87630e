"""Sessions of the suite in processes of their own: what a user sees, what is left on disk, who is left running."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import warm_python

ROOT = Path(__file__).parents[1]
ONE_ROUND = "--ov-budget=1ms"  # of one lane: what quiet_machine gives where a budget is too small


@dataclass(frozen=True)
class Ended:
    """A session that has ended: what it printed, and what stood in its results then.

    ``stored`` are pytest-benchmark's JSON files, oldest first; ``journal`` the lines of the newest journal.
    """

    code: int
    out: str
    err: str
    results: Path
    stored: list[dict[str, Any]]
    journal: list[dict[str, Any]]

    @property
    def text(self) -> str:
        """All that was printed."""
        return self.out + self.err

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """The journal's lines of one kind."""
        return [line for line in self.journal if line["kind"] == kind]

    def errors(self) -> list[str]:
        """The lines that say why a session was refused."""
        return [line for line in self.text.splitlines() if line.startswith("ERROR: ")]


def journal_lines(results: Path) -> list[dict[str, Any]]:
    """Whole lines of the newest journal below ``results``; empty where there is none."""
    journals = sorted(results.glob("*/*.jsonl"))
    if not journals:
        return []
    return [json.loads(line) for line in journals[-1].read_text(encoding="utf-8").splitlines(keepends=True)
            if line.endswith("\n")]  # fmt: skip


@dataclass(frozen=True)
class Suite:
    """How sessions are started: a results folder, an artifact cache, and the model they measure."""

    results: Path
    cache: Path
    model: Path

    def arguments(self, *given: str) -> list[str]:
        """The command of a session; what is given comes last, and wins; another model takes ours' place."""
        options = ["-p", "quiet_machine", "-o", f"ov_results={self.results}"]
        if not any(each.startswith("--ov-model=") for each in given):
            options.append(f"--ov-model={self.model}")
        return [sys.executable, "-m", "pytest", *options, *given]

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """Ours, without what would change a session."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "OVBENCH_"))}
        merged = {**kept, "OVBENCH_CACHE_DIR": str(self.cache), **extra}
        return {**merged, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), merged.get("PYTHONPATH", "")])}

    def run(self, *given: str, folder: Path = ROOT, **extra: str) -> Ended:
        """One session from start to end; ``extra`` goes to its environment."""
        done = warm_python.run(self.arguments(*given)[1:], folder, self.environment(extra))
        stored = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.results.glob("*/*.json"))]
        return Ended(done.returncode, done.stdout, done.stderr, self.results, stored, journal_lines(self.results))

    def start(self, *given: str, **extra: str) -> subprocess.Popen[str]:
        """A session that runs while the test goes on, in a process group of its own, as a terminal would start it."""
        return subprocess.Popen(
            self.arguments(*given),
            cwd=ROOT,
            env=self.environment(extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
