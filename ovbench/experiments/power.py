"""A known slow-down against unchanged: how soon is it found, and does a noisy neighbour raise false alarms?

``python -m ovbench.experiments.power [--pairs N] [--amounts 2,3,5,10] [--neighbour] [--quick]`` adds work to the INT8
MobileNetV2's graph, measures a pool of pairs for each amount, and prints Markdown. It goes on where it was stopped.
"""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ovbench import ab, runtime, worker
from ovbench.artifacts import ArtifactCache, default_root
from ovbench.config import Precision
from ovbench.errors import NothingMeasured
from ovbench.experiments import pools
from ovbench.experiments.pools import Pool, Whole
from ovbench.hosts import alarm_bound
from ovbench.quantization import save_model
from ovbench.report import markdown
from ovbench.report.numbers import DASH
from ovbench.report.progress import progress_bar
from ovbench.selfcheck import QUESTION
from ovbench.sides import Side
from ovbench.stats import Estimate, ratio_estimate
from ovbench.verdict import Verdict

PAIRS, QUICK_PAIRS = 60, 14
PAIR_S = 3.0
AMOUNTS, QUICK_AMOUNTS = (2.0, 3.0, 5.0, 10.0), (3.0, 10.0)
METRIC = "latency"
BUDGETS_S = (20.0, 40.0, 60.0)
TOLERANCES = (0.03, 0.02, 0.01)
COMPARISONS, QUICK_COMPARISONS = 20, 4

# The extra work: a chain of 1x1 convolutions on a coarse copy of the picture, each 0.2 million MACs of 300.
CHANNELS = 32
STEP = 16
WEIGHT = 1e-30  # of its result in the sum: nothing in float32, but no constant, so that nothing folds the chain away
CALIBRATION_LAYERS = (5, 50)
CALIBRATION_PAIRS = 4

BURST_S = 0.5  # the neighbour burns one core for so long, then rests as long
NEIGHBOUR = f"""
import os, sys, time
while os.getppid() == int(sys.argv[1]):
    end = time.monotonic() + {BURST_S}
    while time.monotonic() < end:
        sum(range(1000))
    time.sleep({BURST_S})
"""


# --------------------------------------------------------------------------------------------------------- measure


def add_work(model: Any, layers: int) -> Any:
    """The model with ``layers`` more convolutions, whose result is added to its output with a weight that loses it.

    For a model of one picture ``[N, 3, H, W]`` and one output. The outputs stay the same bit for bit.
    """
    openvino = worker.import_openvino()
    op = openvino.opset13
    random = np.random.default_rng(0)
    picture, result = model.inputs[0].get_node(), model.get_results()[0]
    begin, end, step = (np.array(each) for each in ([0, 0, 0, 0], [0, 0, 0, 0], [1, 1, STEP, STEP]))
    node = op.strided_slice(picture, begin, end, step, [1, 1, 1, 1], [1, 1, 1, 1])
    channels = 3
    for _ in range(layers):
        kernel = random.uniform(-1, 1, (CHANNELS, channels, 1, 1)).astype(np.float32) / np.float32(math.sqrt(channels))
        node = op.relu(op.convolution(node, kernel, [1, 1], [0, 0], [0, 0], [1, 1]))
        channels = CHANNELS
    lost = op.multiply(op.reduce_mean(node, np.array([0, 1, 2, 3])), np.float32(WEIGHT))
    output = op.add(result.input_value(0), lost)
    output.output(0).set_names(set(model.outputs[0].get_names()))
    return openvino.Model([output], [picture], model.get_friendly_name())


def heavier_question(layers: int, folder: Path) -> ab.Question:
    """Unchanged INT8 against the same with ``layers`` more."""
    side = ab.resolve(replace(QUESTION, metrics=(METRIC,)), ArtifactCache(default_root()), progress_bar)[0]
    path = folder / f"heavier-{layers}.xml"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        save_model(add_work(runtime.read_model(side.path, {}), layers), path)
    # Both sides are files that are INT8 already; FP32 asks for no further quantization and no bf16.
    return replace(
        QUESTION,
        name=f"{layers} layers more",
        b=Side(model=str(path), written=(f"model={path.name}",)),
        model=str(side.path),
        precision=Precision.FP32,
        metrics=(METRIC,),
    )


def layers_for(amount: float, low: tuple[int, float], high: tuple[int, float]) -> int:
    """How many layers make the model slower by ``amount`` (0.03 is 3 %), on the line through two (layers, ratio)."""
    slope = (high[1] - low[1]) / (high[0] - low[0])
    if slope <= 0:
        raise NothingMeasured(
            "more layers were not slower, the machine is too noisy: remove calibration-*.jsonl and try again"
        )
    return max(1, round(low[0] + (1 + amount - low[1]) / slope))


def calibrate(folder: Path) -> tuple[tuple[int, float], tuple[int, float]]:
    """Two (layers, ratio of times), each from a few pairs."""
    points = []
    for layers in CALIBRATION_LAYERS:
        path = folder / f"calibration-{layers}.jsonl"
        pool = pools.fill(path, heavier_question(layers, folder), CALIBRATION_PAIRS, PAIR_S)
        points.append((layers, _size(pool).value))
    return points[0], points[1]


def measure(folder: Path, amounts: Sequence[float], pairs: int) -> None:
    """A pool for each amount, in per cent; its number of layers is chosen once and kept with the pool."""
    for amount in amounts:
        path = _pool_path(folder, amount)
        pool = pools.read_pool(path)
        layers = int(pool.header["layers"]) if pool is not None else layers_for(amount / 100, *calibrate(folder))
        pools.fill(path, heavier_question(layers, folder), pairs, PAIR_S, {"amount": amount, "layers": layers})


def _pool_path(folder: Path, amount: float) -> Path:
    return folder / f"slower-by-{amount:g}.jsonl"


@contextlib.contextmanager
def neighbour() -> Iterator[int]:
    """A process that burns one core on and off, and its number; it ends with us, however we end."""
    process = subprocess.Popen([sys.executable, "-c", NEIGHBOUR, str(os.getpid())])
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


# ----------------------------------------------------------------------------------------------------------- think


@dataclass(frozen=True)
class Power:
    """One amount: the slow-down's true size, and for each tolerance and budget found, of so many comparisons."""

    amount: float
    layers: int
    pairs: int
    size: Estimate
    found: tuple[tuple[float, float, int, int], ...]


def power_of(pool: Pool) -> Power:
    """What comparisons from every pair of the pool on would have found; raises NothingMeasured without pairs."""
    found = []
    for tolerance in TOLERANCES:
        for budget_s in BUDGETS_S:
            replayed = pools.replay_everywhere(pool.pairs, METRIC, tolerance, budget_s, PAIR_S)
            slower = sum(each.verdict is Verdict.SLOWER for each in replayed)
            found.append((tolerance, budget_s, slower, len(replayed)))
    return Power(pool.header["amount"], pool.header["layers"], len(pool.pairs), _size(pool), tuple(found))


def _size(pool: Pool) -> Estimate:
    logs = pool.log_ratios(METRIC)
    if not logs:
        raise NothingMeasured("every round was rejected: the machine was busy, move the pool away")
    return ratio_estimate(logs)


# ------------------------------------------------------------------------------------------------------------ tell


def tell(powers: Sequence[Power]) -> str:
    """A row per amount, a column per tolerance and budget: comparisons that found it, of those made."""
    columns = [f">±{tolerance:.0%} {budget_s:.0f} s" for tolerance in TOLERANCES for budget_s in BUDGETS_S]
    return markdown.table(
        ("slow-down", ">layers", ">pairs", ">measured", *columns),
        [
            (
                f"{each.amount:g} %",
                str(each.layers),
                str(each.pairs),
                _size_text(each.size),
                *(f"{100 * slower / made:.0f} % of {made}" if made else DASH for _, _, slower, made in each.found),
            )
            for each in powers
        ],
    )


def _size_text(size: Estimate) -> str:
    interval = (
        "" if size.low is None or size.high is None else f" [{100 * size.low - 100:.2f}, {100 * size.high - 100:.2f}]"
    )
    return f"{100 * size.value - 100:.2f} %{interval}"


def tell_neighbour(whole: Sequence[Whole]) -> str:
    """What unchanged comparisons ended as beside a process that burns one core half of the time."""
    if not whole:
        return ""
    verdicts = Counter(each.verdict for each in whole)
    alarms = verdicts[Verdict.FASTER] + verdicts[Verdict.SLOWER]
    rejected = sum(each.rejected for each in whole)
    rounds = rejected + sum(each.kept for each in whole)
    counts = ", ".join(f"{verdicts[verdict]} {verdict.value}" for verdict in Verdict if verdict is not Verdict.SKIPPED)
    return (
        f"\nBeside a process that burns one core for {BURST_S:g} s of every {2 * BURST_S:g} s, {len(whole)} unchanged "
        f"comparisons: {counts}; {rejected} of {rounds} rounds rejected ({rejected / max(1, rounds):.0%}); so few "
        f"exclude a rate of false alarms above {alarm_bound(alarms, len(whole)):.0%} (95 %).\n"
    )


# ------------------------------------------------------------------------------------------------------------ door


def _parse(arguments: Sequence[str]) -> Any:
    parser = pools.Parser(prog="python -m ovbench.experiments.power", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, help=f"pairs an amount (default: {PAIRS}, --quick: {QUICK_PAIRS})")
    parser.add_argument("--amounts", help="slow-downs in per cent, commas between (default: 2,3,5,10; --quick: 3,10)")
    parser.add_argument(
        "--neighbour", action="store_true", help="unchanged comparisons beside a noisy neighbour instead"
    )
    parser.add_argument("--comparisons", type=int, help=f"with --neighbour (default: {COMPARISONS})")
    parser.add_argument("--budget-s", type=float, default=60.0, help="seconds of such a comparison (default: 60)")
    parser.add_argument("--quick", action="store_true", help="at most ten minutes")
    parser.add_argument("--folder", type=Path, help=f"where pools are kept (default: {pools.FOLDER}/power)")
    given = parser.parse_args(arguments)
    given.pairs = given.pairs if given.pairs is not None else QUICK_PAIRS if given.quick else PAIRS
    if given.comparisons is None:
        given.comparisons = QUICK_COMPARISONS if given.quick else COMPARISONS
    given.folder = given.folder or pools.FOLDER / ("power-quick" if given.quick else "power")
    try:
        given.amounts = [float(each) for each in given.amounts.split(",")] if given.amounts else None
    except ValueError:
        parser.error(f"--amounts {given.amounts}: give per cents with commas between, such as 2,3,5,10")
    given.amounts = given.amounts or list(QUICK_AMOUNTS if given.quick else AMOUNTS)
    if given.pairs < 1 or given.comparisons < 1 or not given.budget_s > 0 or not min(given.amounts) > 0:
        parser.error("--pairs, --amounts, --comparisons and --budget-s: give more than 0")
    return given


def main(arguments: Sequence[str]) -> int:
    """Measure, think, tell: 0 when told, 4 for bad input, 1 when nothing was measured, 130 when cut short."""
    given = _parse(arguments)
    return pools.run(lambda: _work_beside(given) if given.neighbour else _work(given))


def _work(given: Any) -> int:
    with pools.going_on(given.folder) as status:
        measure(given.folder, given.amounts, given.pairs)
    measured = [pools.read_pool(_pool_path(given.folder, amount)) for amount in given.amounts]
    powers = [power_of(pool) for pool in measured if pool is not None and pool.pairs]
    if not powers:
        raise NothingMeasured("no pair was measured: run the experiment on")
    sys.stdout.write(tell(powers))
    return status[0] if status else 0


def _work_beside(given: Any) -> int:
    path = given.folder / f"neighbour-{given.budget_s:g}s.jsonl"
    question = replace(QUESTION, name="Beside a neighbour", metrics=(METRIC,), budget_s=given.budget_s)
    with pools.going_on(given.folder) as status, neighbour():
        pools.ask_whole(path, question, given.comparisons)
    sys.stdout.write(tell_neighbour(pools.read_whole(path)))
    return status[0] if status else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
