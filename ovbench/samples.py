"""What was measured: blocks of one cell in one lane, every sample in order, and what they add up to."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ovbench.config import Mode
from ovbench.stats import quantiles


@dataclass(frozen=True)
class Block:
    """One burst of inferences. ``wall_ns``: per inference (sync) or between completions (async), in order.

    ``latency_ns`` is OpenVINO's own ``request.latency`` of the same inferences; ``window_ns`` spans them all.
    """

    round: int
    wall_ns: tuple[int, ...]
    latency_ns: tuple[int, ...]
    window_ns: int

    def latencies_ns(self, mode: Mode) -> tuple[int, ...]:
        """What a caller waits for each answer: the call (sync), or the request under load (async)."""
        return self.wall_ns if mode is Mode.SYNC else self.latency_ns

    def cost_ns(self, mode: Mode) -> float:
        """What a ratio is taken of: the median call (sync), or the window per inference (async)."""
        return statistics.median(self.wall_ns) if mode is Mode.SYNC else self.window_ns / len(self.wall_ns)


@dataclass(frozen=True)
class Replicate:
    """One cell's blocks in one lane."""

    lane: int
    mode: Mode
    blocks: tuple[Block, ...]

    def cost_by_round(self) -> dict[int, float]:
        """Round -> cost in ns per inference."""
        return {block.round: block.cost_ns(self.mode) for block in self.blocks}


@dataclass(frozen=True)
class Summary:
    """One cell's figures over all replicates; None where there are too few samples to say.

    In sync cells percentiles and mean are of the wall time of a call; in async cells of ``request.latency`` under load.
    """

    inferences: int
    total_s: float
    p50_ns: float | None
    p90_ns: float | None
    p95_ns: float | None
    p99_ns: float | None
    mean_ns: float | None
    frames_per_second: float


def parse_block(round_number: int, answer: Mapping[str, Any]) -> Block:
    """A lane's answer as a block."""
    return Block(
        round=round_number,
        wall_ns=tuple(np.frombuffer(answer["wall_ns"], "<i8").tolist()),
        latency_ns=tuple(np.frombuffer(answer["latency_ns"], "<i8").tolist()),
        window_ns=int(answer["window_ns"]),
    )


def samples_s(blocks: Iterable[Block], mode: Mode) -> list[float]:
    """What a row stores, in seconds: every call (sync), or the time per inference of each window (async)."""
    if mode is Mode.SYNC:
        return [each / 1e9 for block in blocks for each in block.wall_ns]
    return [block.cost_ns(mode) / 1e9 for block in blocks]


def summarize(replicates: Sequence[Replicate], batch: int = 1) -> Summary | None:
    """Percentiles and rate over all blocks; None without any. Images a second = ``batch`` x inferences a second."""
    blocks = [(replicate.mode, block) for replicate in replicates for block in replicate.blocks]
    if not blocks:
        return None
    times = np.array([each for mode, block in blocks for each in block.latencies_ns(mode)])
    inferences = len(times)
    p50_ns, p90_ns, p95_ns, p99_ns = quantiles(times, (0.50, 0.90, 0.95, 0.99))
    spent_ns = sum(sum(block.wall_ns) if mode is Mode.SYNC else block.window_ns for mode, block in blocks)
    return Summary(
        inferences=inferences,
        total_s=spent_ns / 1e9,
        p50_ns=p50_ns,
        p90_ns=p90_ns,
        p95_ns=p95_ns,
        p99_ns=p99_ns,
        mean_ns=float(times.mean()),
        frames_per_second=batch * inferences / (spent_ns / 1e9),
    )


def round_ratios(candidate: Replicate, reference: Replicate) -> tuple[float, ...]:
    """Reference cost / candidate cost in each round that both ran: above 1 the candidate is faster."""
    theirs = reference.cost_by_round()
    mine = candidate.cost_by_round()
    return tuple(theirs[number] / mine[number] for number in sorted(mine.keys() & theirs.keys()))


def log_ratio_by_lane(candidate: Sequence[Replicate], reference: Sequence[Replicate]) -> tuple[float, ...]:
    """One figure per lane that measured both: the median log of its in-round ratios (reference / candidate).

    The median of logs, not the log of the median: of an even count of rounds only that changes its sign with the sides.
    """
    by_lane = {replicate.lane: replicate for replicate in reference}
    pairs = [(mine, by_lane[mine.lane]) for mine in candidate if mine.lane in by_lane]
    ratios = [round_ratios(mine, theirs) for mine, theirs in pairs]
    return tuple(statistics.median(map(math.log, each)) for each in ratios if each)
