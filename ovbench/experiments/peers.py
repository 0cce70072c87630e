"""Our loops beside the plainest ones: a bare preset-tensor loop (sync), and benchmark_app -api async.

``python -m ovbench.experiments.peers [--rounds N]`` prints Markdown: the ratio of our figure to the other's, measured
in turns, round by round, with its interval. Run it alone on the machine.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ovbench import machine, runtime, worker
from ovbench.artifacts import ArtifactCache, default_root
from ovbench.config import Mode, Precision
from ovbench.lanes import Lane
from ovbench.models import source as sources
from ovbench.models.names import EMBEDDED
from ovbench.models.variants import variant_of
from ovbench.options import Settings
from ovbench.reference import like_words, run_benchmark_app
from ovbench.report.numbers import ratio
from ovbench.report.progress import progress_bar
from ovbench.samples import parse_block
from ovbench.stats import Estimate, ratio_estimate

ROUNDS = 15
SYNC_BLOCK_S = 0.2
ASYNC_RUN_S = 2
SYNC_TARGET = 1.2  # our p50 / the bare loop's
ASYNC_TARGET = 0.97  # our FPS / benchmark_app's, at the interval's upper end
TINY = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
THROUGHPUT = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="interleaved rounds (default: %(default)s)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder, progress_bar("Peers") as advance:
        tiny = _tiny(Path(folder))
        sync = [_sync_round(tiny, advance, number / rounds / 2) for number in range(rounds)]
        asynchronous = measure_async(rounds, advance)
    sys.stdout.write(report(ratio_estimate(sync), ratio_estimate(asynchronous)))


def report(sync: Estimate, asynchronous: Estimate) -> str:
    """Both figures as a Markdown table."""
    host = machine.fingerprint()
    ours, theirs = (
        "p50 of our sync block / bare preset-tensor loop, tiny model",
        "our FPS / benchmark_app's, async, INT8",
    )
    async_met = asynchronous.high is not None and asynchronous.high >= ASYNC_TARGET
    rows = [
        f"On {host.cpu_brand} ({host.isa.value}, {host.cores} cores), `python -m ovbench.experiments.peers`:",
        "",
        "| what | ratio [95 %] | rounds | target | met |",
        "|---|---|---|---|---|",
        _row(ours, sync, f"<= {SYNC_TARGET}", sync.value <= SYNC_TARGET),
        _row(theirs, asynchronous, f"upper end >= {ASYNC_TARGET}", async_met),
    ]
    return "\n".join(rows) + "\n"


def _row(what: str, estimate: Estimate, target: str, met: bool) -> str:
    return f"| {what} | {ratio(estimate, 3)} | {estimate.count} | {target} | {'yes' if met else 'no'} |"


def _tiny(folder: Path) -> worker.Contestant:
    openvino = worker.import_openvino()
    from openvino import opset13

    data = opset13.parameter([1, 16], openvino.Type.f32, name="data")
    model = openvino.Model([opset13.relu(data)], [data], "tiny")
    openvino.save_model(model, str(folder / "tiny.xml"))
    order = {"model": str(folder / "tiny.xml"), "device": "CPU", "properties": TINY, "mode": "sync", "seed": 0}
    return worker.Contestant(worker.Compiled(runtime.core(), order), order)


def _sync_round(contestant: worker.Contestant, advance: Any, share: float) -> float:
    """Log of our p50 over the bare loop's, both in this process on one infer request."""
    advance(share, "sync")
    duration_ns = round(SYNC_BLOCK_S * 1e9)
    ours = parse_block(0, contestant.run_block(duration_ns)).cost_ns(Mode.SYNC)
    infer, clock = contestant.requests[0].infer, time.perf_counter_ns
    bare: list[int] = []
    end = clock() + duration_ns
    while clock() < end:
        start = clock()
        infer(share_outputs=True)
        bare.append(clock() - start)
    return math.log(ours / statistics.median(bare))


def measure_async(rounds: int, advance: Any) -> Sequence[float]:
    """Log of our FPS over benchmark_app's, one per round: same model, streams, requests and precision."""
    cache = ArtifactCache(default_root())
    source = sources.resolve(EMBEDDED, Settings(), cache, lambda doing, _share: advance(0.5, doing))
    variant = variant_of(source, Precision.INT8, Settings(), cache, lambda doing, _share: advance(0.5, doing))
    logs = []
    order = {"do": "open", "key": "int8", "model": str(variant.path), "device": "CPU", "properties": THROUGHPUT,
             "mode": "async", "seed": 0}  # fmt: skip
    with Lane() as lane:
        words = like_words(order, lane.ask(order), ASYNC_RUN_S)
        for number in range(rounds):
            advance(0.5 + number / rounds / 2, "async")
            theirs = run_benchmark_app(words)
            block = parse_block(number, lane.ask({"do": "block", "key": "int8", "duration_ns": ASYNC_RUN_S * 10**9}))
            logs.append(math.log(theirs.cost_ns(Mode.ASYNC) / block.cost_ns(Mode.ASYNC)))
    return logs


if __name__ == "__main__":
    main()
