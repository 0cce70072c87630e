"""What drifts? The embedded model under several conditions side by side: which of them is steadier by itself?

``python -m ovbench.experiments.drift [--seconds N] [--lanes N]`` prints Markdown. Every condition has a lane of its
own; rounds go over all of them, so that all see the same machine. Run it alone on the machine.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ovbench import machine
from ovbench.artifacts import ArtifactCache, default_root
from ovbench.config import Mode, Precision
from ovbench.lanes import Lane, LaneSpec
from ovbench.models import source as sources
from ovbench.models.names import EMBEDDED
from ovbench.models.variants import variant_of
from ovbench.options import Settings
from ovbench.report.progress import progress_bar
from ovbench.rounds import shuffled
from ovbench.samples import parse_block

BLOCK_S = 0.030
WINDOW_S = 2.0
HUGE_PAGES = (("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"),)
ONE_CORE = (0,)


@dataclass(frozen=True)
class Condition:
    """One way to run the model. Right before each block: ``rest_s`` of nothing, or ``lead_s`` of unmeasured inferences.

    A rest shows whether threads of the lane before still spin; a lead whether cores that slept are slow to wake.
    """

    name: str
    precision: Precision = Precision.INT8
    properties: tuple[tuple[str, str], ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    affinity: tuple[int, ...] = ()
    lead_s: float = 0.0
    rest_s: float = 0.0


CONDITIONS = (
    Condition("INT8, as the suite runs it"),
    Condition("INT8, its twin in another process"),
    Condition("INT8, 1 thread", properties=(("INFERENCE_NUM_THREADS", "1"),)),
    Condition("INT8, 1 thread on core 0 alone", properties=(("INFERENCE_NUM_THREADS", "1"),), affinity=ONE_CORE),
    Condition("INT8, no thread pinning", properties=(("ENABLE_CPU_PINNING", "NO"),)),
    Condition("INT8, huge pages for malloc", environment=HUGE_PAGES),
    Condition("INT8, 60 ms of inferences before each block", lead_s=0.060),
    Condition("INT8, 2 ms of rest before each block", rest_s=0.002),
    Condition("INT8, 20 ms of rest before each block", rest_s=0.020),
    Condition("FP32, as the suite runs it", Precision.FP32),
)


@dataclass
class Series:
    """Block costs of one condition over time: seconds since the start, ns per inference; one list per lane."""

    at_s: list[float] = field(default_factory=list)
    cost_ns: list[float] = field(default_factory=list)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="per set of lanes (default: %(default)s)")
    parser.add_argument("--lanes", type=int, default=3, help="sets of fresh lanes (default: %(default)s)")
    given = parser.parse_args()
    with progress_bar("Drift") as advance:
        sets = [measure(given.seconds, number, given.lanes, advance) for number in range(given.lanes)]
    sys.stdout.write(report(sets))


def measure(seconds: float, number: int, lanes: int, advance: Any) -> Mapping[str, Series]:
    """One set of fresh lanes, one per condition, blocks in shuffled rounds for ``seconds``."""
    series = {condition.name: Series() for condition in CONDITIONS}
    with contextlib.ExitStack() as stack:
        opened = {condition: stack.enter_context(_open(condition, advance)) for condition in CONDITIONS}
        begin = time.monotonic()
        turn = 0
        while time.monotonic() - begin < seconds:
            for condition in shuffled(CONDITIONS, 0, number, turn):
                time.sleep(condition.rest_s)
                if condition.lead_s:
                    opened[condition].ask(_block(condition.lead_s))
                block = parse_block(turn, opened[condition].ask(_block(BLOCK_S)))
                series[condition.name].at_s.append(time.monotonic() - begin)
                series[condition.name].cost_ns.append(block.cost_ns(Mode.SYNC))
            turn += 1
            advance((number + (time.monotonic() - begin) / seconds) / lanes, f"set {number + 1}")
    return series


def _block(duration_s: float) -> dict[str, Any]:
    return {"do": "block", "key": "model", "duration_ns": round(duration_s * 1e9)}


def _open(condition: Condition, advance: Any) -> Lane:
    cache = ArtifactCache(default_root())

    def told(doing: str, _share: float) -> None:
        advance(0.0, doing)

    source = sources.resolve(EMBEDDED, Settings(), cache, told)
    path = variant_of(source, condition.precision, Settings(), cache, told).path
    lane = Lane(LaneSpec(environment=condition.environment, affinity=condition.affinity))
    properties = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", **dict(condition.properties)}
    lane.ask({"do": "open", "key": "model", "model": str(path), "device": "CPU", "properties": properties,
              "mode": "sync", "seed": 0})  # fmt: skip
    lane.ask(_block(0.3))
    return lane


def window_medians(series: Series, window_s: float) -> list[float]:
    """Median cost in each full window, in order."""
    windows: dict[int, list[float]] = {}
    for at_s, cost in zip(series.at_s, series.cost_ns, strict=True):
        windows.setdefault(int(at_s / window_s), []).append(cost)
    return [statistics.median(costs) for _, costs in sorted(windows.items())]


def log_sd(values: Sequence[float]) -> float | None:
    """SD of the logs; None for fewer than two values."""
    return statistics.stdev(math.log(value) for value in values) if len(values) > 1 else None


def report(sets: Sequence[Mapping[str, Series]]) -> str:
    """How far each condition moves: over 2-s windows, against the first condition there, between lanes."""
    host = machine.fingerprint()
    lines = [
        f"On {host.cpu_brand} ({host.isa.value}, {host.cores} cores), `python -m ovbench.experiments.drift`:",
        "",
        "| condition | median ms | / first row | SD of 2-s windows | of the ratio to the first row | between lanes |",
        "|---|---|---|---|---|---|",
    ]
    first = CONDITIONS[0].name
    for condition in CONDITIONS:
        alone: list[float | None] = []
        paired: list[float | None] = []
        for each in sets:
            mine, theirs = (window_medians(each[name], WINDOW_S) for name in (condition.name, first))
            alone.append(log_sd(mine))
            paired.append(log_sd([a / b for a, b in zip(mine, theirs, strict=False)]))
        medians = [statistics.median(each[condition.name].cost_ns) for each in sets]
        ratios = [statistics.median(each[condition.name].cost_ns) / statistics.median(each[first].cost_ns)
                  for each in sets]  # fmt: skip
        figures = [
            f"{statistics.median(medians) / 1e6:.2f}",
            f"{statistics.median(ratios):.3f}",
            *map(_percent, (_mean(alone), _mean(paired), log_sd(ratios))),
        ]
        lines.append(f"| {condition.name} | {' | '.join(figures)} |")
    return "\n".join(lines) + "\n"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known else None


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


if __name__ == "__main__":
    main()
