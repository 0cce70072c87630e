"""The one place that hands our own samples to pytest-benchmark, and tidies its storage and comparison for them.

pytest-benchmark has no public call that records samples measured elsewhere; ``_mode`` and ``_make_stats`` are the two
private names used here, pinned by tests/test_recording.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_benchmark.fixture import BenchmarkFixture

from ovbench.config import Config
from ovbench.sessions import OUTCOME_KEY


def name_row(benchmark: BenchmarkFixture, question: str, config: Config, extra: Mapping[str, Any]) -> None:
    """Give a row its stable identity: rows of different sessions match by ``fullname`` alone."""
    for named in (benchmark, benchmark.stats):  # pedantic() has made the row before its figures are known
        if named is not None:
            named.name = f"{question} {config.id}"
            named.fullname = f"{question}/{config.model}/{config.id}"
            named.group = question
            named.param = config.id
            named.params = config.axes
    benchmark.extra_info.update(extra)


def record(benchmark: BenchmarkFixture, samples_s: Sequence[float]) -> None:
    """Hand over samples measured elsewhere, in seconds. With --benchmark-disable, or without a sample, nothing is."""
    assert benchmark._mode is None, "the benchmark fixture can be used once in a test"
    benchmark._mode = "ovbench.recording.record"
    if benchmark.disabled or not samples_s:  # its table and its JSON fail on a row without samples
        return
    row = benchmark._make_stats(1)
    for sample in samples_s:
        row.update(sample)


# ------------------------------------------------------------------------------------------------- stored sessions


def mark_session(
    output: dict[str, Any], passed: bool, fullnames_passed: set[str], facts: Mapping[str, Any] | None = None
) -> None:
    """Keep only rows of benches that passed; say whether the whole session did, and the facts to compare it by."""
    output["benchmarks"] = [row for row in output["benchmarks"] if row["fullname"] in fullnames_passed]
    output[OUTCOME_KEY] = {"passed": passed, **(facts or {})}


def last_passed(folder: Path) -> Path | None:
    """The newest stored session whose benches all passed; files that cannot be read are passed over."""
    for path in sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.json"), reverse=True):
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(stored, dict) and stored.get(OUTCOME_KEY, {}).get("passed"):
            return path
    return None


def machine_differences(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Names of what differs between two machines as pytest-benchmark describes them; clock readings left out."""
    names = ("node", "machine", "system", "release", "python_version")
    found = [name for name in names if mine.get(name) != theirs.get(name)]
    my_cpu, their_cpu = mine.get("cpu") or {}, theirs.get("cpu") or {}
    found += [f"cpu {name}" for name in ("brand_raw", "count", "flags") if my_cpu.get(name) != their_cpu.get(name)]
    return found
