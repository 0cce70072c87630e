"""The host's self-check: unchanged sides compared in many pairs, and what these say about what the host can find."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ovbench import ab, machine
from ovbench.artifacts import ArtifactCache
from ovbench.comparison import MIN_PAIRS, PAIR_S, Comparison, Pair, run_comparison
from ovbench.config import Precision
from ovbench.errors import BadOption, NothingMeasured
from ovbench.hosts import MIN_PAIRS_FOR_PROFILE, Profile, noise_band
from ovbench.machine import Contention, Machine
from ovbench.sides import Side
from ovbench.verdict import Verdict

QUESTION = ab.Question("A/A", Side(), Side(), precision=Precision.INT8)
"""What is compared: the embedded INT8 model with itself, in both metrics, at the defaults of ``ovbench ab``."""

# A single thread's speed had an SD of 2 % on a quiet machine (256 x 256 matrix products, docs/method.md): beyond twice
# that and a little, the clock moves, or something takes the core.
MAX_SPEED_SD = 0.05
WORK = 200_000  # additions of one speed reading: some milliseconds, so that a reading costs a pair next to nothing
READINGS = 5


@dataclass(frozen=True)
class Measured:
    """What a self-check saw. ``speeds``: one thread's additions a second, before the first pair and after each."""

    comparison: Comparison
    contention: Contention
    speeds: tuple[float, ...]
    wall_s: float
    openvino: str


@dataclass(frozen=True)
class Replayed:
    """A comparison made of consecutive unchanged pairs."""

    metric: str
    verdict: Verdict


def measure(
    pairs: int,
    budget_s: float,
    cache: ArtifactCache,
    progress: ab.Progress,
    on_pair: Callable[[Pair], None] = lambda _pair: None,
    question: ab.Question = QUESTION,
) -> Measured:
    """Measure so many unchanged pairs, or as many as fit the budget. Raises BadInput, and NothingMeasured for none."""
    if pairs < MIN_PAIRS_FOR_PROFILE:
        raise BadOption(f"--pairs {pairs}: a profile needs at least {MIN_PAIRS_FOR_PROFILE}")
    sides = ab.resolve(question, cache, progress)
    comparison = Comparison(question.name)
    speeds = [single_thread_speed()]
    before, begin = machine.read_our_contention(), time.monotonic()
    with progress("Self-check") as advance:
        in_pair_s = 0.0

        def round_done(took_s: float) -> None:
            nonlocal in_pair_s
            in_pair_s += took_s
            done = len(comparison.pairs)
            advance(
                (done + min(0.99, in_pair_s / (PAIR_S * len(question.metrics)))) / pairs, f"pair {done + 1} of {pairs}"
            )

        def pair_done(pair: Pair) -> None:
            nonlocal in_pair_s
            in_pair_s = 0.0
            speeds.append(single_thread_speed())
            on_pair(pair)

        run_comparison(
            comparison,
            ab.contests_of(question, sides),
            ab.lane_openers(sides),
            lambda so_far, left: left if len(so_far.pairs) < pairs else [],
            budget_s,
            question.seed,
            on_pair=pair_done,
            on_round=round_done,
        )
    taken = machine.difference(before, machine.read_our_contention())
    if comparison.failed:
        raise NothingMeasured(f"the self-check cannot end: {comparison.failed}")
    version = comparison.pairs[-1].openings[0].version
    return Measured(comparison, taken, tuple(speeds), time.monotonic() - begin, version)


def single_thread_speed(clock: Callable[[], float] = time.perf_counter) -> float:
    """Additions a second of one busy thread, the best of a few readings: what the clock allows just now."""
    took_s = []
    for _ in range(READINGS):
        start = clock()
        sum(range(WORK))
        took_s.append(clock() - start)
    return WORK / min(took_s)


def think(measured: Measured, host: Machine, scaling_governor: str | None, question: ab.Question = QUESTION) -> Profile:
    """The host's profile. Raises NothingMeasured for too few pairs, or a machine that was too busy to tell."""
    comparison = measured.comparison
    if comparison.busy:
        raise NothingMeasured(
            f"the machine was busy: {comparison.rejected_share:.0%} of the rounds were rejected: "
            "run the self-check again when it is quiet"
        )
    logs = {metric: comparison.log_ratios(metric) for metric in question.metrics}
    fewest = min(len(each) for each in logs.values())
    if fewest < MIN_PAIRS_FOR_PROFILE:
        raise NothingMeasured(f"{fewest} pairs fitted, a profile needs {MIN_PAIRS_FOR_PROFILE}: raise --budget")
    pair_sd = {metric: statistics.stdev(each) for metric, each in logs.items()}
    pair_wall_s = statistics.median(pair.wall_s for pair in comparison.pairs)
    pairs = max(MIN_PAIRS, int(question.budget_s * len(logs) / pair_wall_s))
    band = noise_band(max(pair_sd.values()), pairs)
    replayed = replay(logs, max(question.tolerance, band))
    steal_s = measured.contention.steal_s
    return Profile(
        fingerprint=host.fingerprint_id,
        pairs=len(comparison.pairs),
        pair_sd=pair_sd,
        false_alarms=sum(each.verdict in (Verdict.FASTER, Verdict.SLOWER) for each in replayed),
        comparisons=len(replayed),
        band=band,
        pair_wall_s=pair_wall_s,
        rejected_share=comparison.rejected_share,
        steal_share=None if steal_s is None else steal_s / (measured.wall_s * host.cores),
        openvino=measured.openvino,
        quota_cores=host.cpu_quota_cores,
        speed_sd=statistics.stdev(measured.speeds) / statistics.mean(measured.speeds),
        governor=scaling_governor,
    )


def replay(log_ratios: dict[str, tuple[float, ...]], band: float) -> list[Replayed]:
    """Comparisons of MIN_PAIRS consecutive pairs each, no pair in two of them, so that each is evidence of its own."""
    return [
        Replayed(metric, ab.verdict_of(logs, band))
        for metric, pool in log_ratios.items()
        for logs in _consecutive(pool)
    ]


def _consecutive(pool: Sequence[float]) -> list[Sequence[float]]:
    return [pool[start : start + MIN_PAIRS] for start in range(0, len(pool) - MIN_PAIRS + 1, MIN_PAIRS)]
