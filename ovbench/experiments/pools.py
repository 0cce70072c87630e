"""Pools of pairs: measured once into a file, read back, and made into comparisons by the rule that stops a real one.

A pool is a journal: a line of kind ``pool`` that says what is compared, then one of kind ``pair`` per finished pair.
What is finished is not measured again.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from ovbench import ab, machine
from ovbench.artifacts import ArtifactCache, default_root
from ovbench.comparison import (
    MIN_PAIRS,
    Comparison,
    Pair,
    fitting_pair_s,
    pair_fields,
    run_comparison,
)
from ovbench.contention import too_many
from ovbench.errors import BadInput, BadOption, NothingMeasured
from ovbench.gate import ExitCode
from ovbench.records import Journal, check_writable, read_journal
from ovbench.report.progress import progress_bar
from ovbench.samples import Block
from ovbench.verdict import Verdict

FOLDER = Path("results/experiments")
INTERRUPTED = 130


# --------------------------------------------------------------------------------------------------------- measure


@dataclass(frozen=True)
class PoolPair:
    """One finished pair. ``round_logs``: by metric, log of time B / time A of each kept round, in order."""

    number: int
    round_logs: Mapping[str, tuple[float, ...]]
    rounds_s: float
    wall_s: float
    measured_s: float
    kept: int
    rejected: int

    @property
    def overhead_s(self) -> float:
        """What the pair took besides its rounds."""
        return self.wall_s - self.rounds_s

    def log_ratio(self, metric: str, pair_s: float = math.inf) -> float | None:
        """The pair's log ratio, had it measured only its first ``pair_s``; None without a kept round."""
        logs = self.round_logs.get(metric, ())
        if not logs:
            return None
        share = min(1.0, pair_s / self.rounds_s) if self.rounds_s else 1.0
        return statistics.median(logs[: max(1, round(share * len(logs)))])


@dataclass(frozen=True)
class Pool:
    """What was compared, where, and its pairs in order."""

    header: Mapping[str, Any]
    pairs: tuple[PoolPair, ...]

    def log_ratios(self, metric: str) -> tuple[float, ...]:
        """One per pair that kept rounds."""
        logs = [pair.log_ratio(metric) for pair in self.pairs]
        return tuple(log for log in logs if log is not None)

    @property
    def measuring_share(self) -> float:
        """Share of the wall time that was spent in blocks."""
        return sum(pair.measured_s for pair in self.pairs) / max(1e-9, sum(pair.wall_s for pair in self.pairs))

    @property
    def rejected_share(self) -> float:
        """Share of rounds rejected for a measured cause."""
        rejected = sum(pair.rejected for pair in self.pairs)
        return rejected / max(1, rejected + sum(pair.kept for pair in self.pairs))


def read_pool(path: Path) -> Pool | None:
    """A pool as far as it is measured; None where there is none. Raises BadInput for a file that is no pool."""
    if not path.exists():
        return None
    try:
        header, *lines = read_journal(path)
        pairs = tuple(_pool_pair(line) for line in lines if line["kind"] == "pair")
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is no pool of pairs ({error}): move it away") from None
    return Pool(header, pairs)


def _pool_pair(line: Mapping[str, Any]) -> PoolPair:
    logs = {
        metric: tuple(_log_ratio(metric, *blocks) for blocks in rounds) for metric, rounds in line["rounds"].items()
    }
    return PoolPair(line["number"], logs, line["rounds_s"], line["wall_s"], line["measured_s"], line["kept"],
                    line["rejected"])  # fmt: skip


def _log_ratio(metric: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> float:
    costs = [
        Block(each["round"], tuple(each["wall_ns"]), (), each["window_ns"]).cost_ns(ab.METRICS[metric])
        for each in (a, b)
    ]
    return math.log(costs[1] / costs[0])


def fill(path: Path, question: ab.Question, pairs: int, pair_s: float, extra: Mapping[str, Any] | None = None) -> Pool:
    """Measure until the pool holds so many pairs. Raises BadInput, and NothingMeasured for sides that fail.

    ``extra`` is kept in the header with the rest of what must not change within a pool: pair_s, metrics, machine,
    versions.
    """
    header = {
        "pair_s": pair_s,
        "metrics": list(question.metrics),
        "fingerprint": machine.fingerprint().fingerprint_id,
        "versions": {name: version for name, version in machine.library_versions().items() if name != "ovbench"},
        **(extra or {}),
    }
    pool = _checked(path, header)
    done = 0 if pool is None else len(pool.pairs)
    journal = Journal(path)
    if pool is None:
        check_writable(path.parent)
        journal.write("pool", **header)
    else:
        mend(path)
    if done < pairs:
        _measure(journal, question, done, pairs, pair_s)
    filled = read_pool(path)
    assert filled is not None
    return replace(filled, pairs=filled.pairs[:pairs])


def _measure(journal: Journal, question: ab.Question, done: int, pairs: int, pair_s: float) -> None:
    sides = ab.resolve(question, ArtifactCache(default_root()), progress_bar)
    comparison = Comparison(question.name)
    with progress_bar(question.name) as advance:

        def keep(pair: Pair) -> None:
            number = done + len(comparison.pairs)
            journal.write("pair", **{**pair_fields(pair), "number": number - 1})
            advance(number / pairs, f"pair {number} of {pairs}")

        run_comparison(
            comparison,
            ab.contests_of(question, sides),
            ab.lane_openers(sides),
            lambda so_far, left: left if done + len(so_far.pairs) < pairs else [],
            math.inf,
            question.seed + done,
            pair_s=pair_s,
            on_pair=keep,
        )
    if comparison.failed:
        raise NothingMeasured(f"{question.name} stopped after {len(comparison.pairs)} pairs: {comparison.failed}")


def _checked(path: Path, header: Mapping[str, Any]) -> Pool | None:
    pool = read_pool(path)
    if pool is not None:
        for name, value in header.items():
            if pool.header.get(name) != value:
                raise BadOption(
                    f"{path} was measured with another {name} ({pool.header.get(name)}, now {value}): move it away"
                )
    return pool


def mend(path: Path) -> None:
    """Take off a last line that a kill cut short, before another is written behind it."""
    data = path.read_bytes()
    if not data.endswith(b"\n"):
        path.write_bytes(data[: data.rfind(b"\n") + 1])


@dataclass(frozen=True)
class Whole:
    """A comparison from end to end, as ``ovbench ab`` would have answered."""

    metric: str
    verdict: Verdict
    ratio: float | None
    pairs: int
    wall_s: float
    measured_s: float
    kept: int
    rejected: int


def ask_whole(path: Path, question: ab.Question, count: int) -> tuple[Whole, ...]:
    """Ask until the file holds the answers of ``count`` comparisons; a row per metric. The band is the tolerance."""
    if path.exists():
        mend(path)
    done = read_whole(path)
    journal = Journal(path)
    for number in range(len(done) // len(question.metrics), count):
        named = replace(question, name=f"{question.name} {number + 1} of {count}", seed=question.seed + number)
        answer = ab.ask(named, ArtifactCache(default_root()), 0.0, progress_bar)
        comparison = answer.comparison
        if comparison.failed:
            raise NothingMeasured(f"{named.name}: {comparison.failed}")
        rows = [
            {
                "metric": each.metric,
                "verdict": each.verdict.value,
                "ratio": None if each.estimate is None else each.estimate.value,
                "pairs": 0 if each.estimate is None else each.estimate.count,
                "wall_s": comparison.wall_s,
                "measured_s": comparison.measured_s,
                "kept": sum(pair.kept for pair in comparison.pairs),
                "rejected": sum(pair.rejected for pair in comparison.pairs),
            }
            for each in answer.metrics
        ]
        journal.write("whole", rows=rows)
    return read_whole(path)[: count * len(question.metrics)]


def read_whole(path: Path) -> tuple[Whole, ...]:
    """The answers in a file; none where it is missing."""
    if not path.exists():
        return ()
    return tuple(
        Whole(**{**row, "verdict": Verdict(row["verdict"])}) for line in read_journal(path) for row in line["rows"]
    )


# ----------------------------------------------------------------------------------------------------------- think


@dataclass(frozen=True)
class Replayed:
    """A comparison made of consecutive pairs of a pool: its verdict, and the mean log ratio of the pairs it used."""

    verdict: Verdict
    log_ratio: float | None
    pairs: int
    wall_s: float


def replay(
    pairs: Sequence[PoolPair], metric: str, start: int, band: float, budget_s: float, pair_s: float
) -> Replayed | None:
    """What a comparison that began at pair ``start`` would have said; None where the pool ends before it does.

    It cuts its budget into pairs as ``run_comparison`` does, of which each takes the first rounds of a pair in the
    pool, and stops as ``ab.is_decided`` does.
    """
    logs: list[float] = []
    used: list[PoolPair] = []
    spent_s = 0.0
    for pair in pairs[start:]:
        overhead_s = used[-1].overhead_s if used else None
        next_s = fitting_pair_s(pair_s, budget_s - spent_s, MIN_PAIRS - len(used), overhead_s)
        if overhead_s is not None and spent_s + overhead_s + next_s > budget_s:
            return _replayed(Verdict.UNSURE, logs, used, spent_s)
        used.append(pair)
        spent_s += pair.overhead_s + min(next_s, pair.rounds_s)
        log = pair.log_ratio(metric, next_s)
        if log is not None:
            logs.append(log)
        verdict = ab.verdict_of(logs, band)
        if verdict is not Verdict.UNSURE:
            return _replayed(verdict, logs, used, spent_s)
    return None


def _replayed(verdict: Verdict, logs: Sequence[float], used: Sequence[PoolPair], spent_s: float) -> Replayed:
    rejected, kept = sum(pair.rejected for pair in used), sum(pair.kept for pair in used)
    busy = too_many(rejected, rejected + kept)
    mean = statistics.mean(logs) if logs else None
    return Replayed(Verdict.UNSURE if busy else verdict, mean, len(used), spent_s)


def replay_apart(pairs: Sequence[PoolPair], metric: str, band: float, budget_s: float, pair_s: float) -> list[Replayed]:
    """Comparisons one after another, no pair in two of them: each is evidence of its own."""
    found: list[Replayed] = []
    start = 0
    while (each := replay(pairs, metric, start, band, budget_s, pair_s)) is not None:
        found.append(each)
        start += each.pairs
    return found


def replay_everywhere(
    pairs: Sequence[PoolPair], metric: str, band: float, budget_s: float, pair_s: float
) -> list[Replayed]:
    """A comparison from every pair of the pool on: steadier shares, though neighbours have pairs in common."""
    begun = [replay(pairs, metric, start, band, budget_s, pair_s) for start in range(len(pairs))]
    return [each for each in begun if each is not None]


def share(part: int, whole: int) -> float | None:
    """None of nothing."""
    return part / whole if whole else None


# ------------------------------------------------------------------------------------------------------------ door


class Parser(argparse.ArgumentParser):
    """Usage errors are one line and exit code 4."""

    def error(self, message: str) -> NoReturn:
        """End with the message."""
        self.exit(ExitCode.USAGE, f"error: {message}\n")


def say(line: str) -> None:
    """A line on stderr, at once."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


@contextlib.contextmanager
def going_on(folder: Path) -> Iterator[list[int]]:
    """What is measured within may be cut short: yields a list that then holds the exit code."""
    status: list[int] = []
    try:
        yield status
    except KeyboardInterrupt:
        status.append(INTERRUPTED)
        say(f"interrupted: what is finished stays in {folder}; the same command goes on from there")


def run(work: Callable[[], int]) -> int:
    """Do the work; 4 with one line for bad input, 1 where nothing could be measured."""
    try:
        return work()
    except BadInput as error:
        say(f"error: {error}")
        return ExitCode.USAGE
    except NothingMeasured as error:
        say(f"error: {error}")
        return ExitCode.FAILED


def describe(header: Mapping[str, Any]) -> str:
    """Where and with what a pool was measured."""
    host = machine.fingerprint()
    return f"{host.cpu_brand}, {host.isa.value}, {host.cores} cores; openvino {header['versions']['openvino']}"
