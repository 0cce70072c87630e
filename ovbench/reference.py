"""The suite's cells beside the installed benchmark_app, in turns: how far the two lie apart, and what parts them.

Each round of a cell is one block of ours between two runs of benchmark_app: one with the flags that ask for the same as
ours (LIKE), one with the flags that people give it (USERS). The second shows why naive figures differ. Every run, ours
too, is a fresh process, so that rounds are replicates.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any

from ovbench import worker
from ovbench.artifacts import temporary_folder
from ovbench.campaign import Cell, OpenLane, Order
from ovbench.config import AUTO, Config, Hint, Mode, Precision, fp32_partner
from ovbench.errors import ContestantRefused, LaneError
from ovbench.records import block_fields
from ovbench.rounds import shuffled
from ovbench.samples import Block, parse_block
from ovbench.stats import MIN_REPLICATES, Estimate, ratio_estimate

ROUNDS = MIN_REPLICATES  # fewer give no interval
RUN_S = (
    1  # of a run: benchmark_app's -t is whole seconds, and what differs between processes longer runs do not average
)
MIN_INFERENCES = 20  # in a run: a slow model's is longer, or its start and its drain would be a tenth of it
START_S = 1.5  # of benchmark_app before it reads the model, on two AVX2 cores
LANE_START_S = 0.7  # of a lane; both only say beforehand how long it all takes
TIMEOUT_S = 120.0  # beyond a run's own time: as long as a lane may take to open a large model (ovbench.lanes)
HALF_STEP_NS = 5_000  # its report rounds to 0.01 ms
TOLD_SHARE = 0.001  # a smaller cause cannot be seen in a ratio of three decimals
SPEEDUP_TARGET = 0.10  # how far our INT8 over FP32 may lie from benchmark_app's

HINT_WORD = {
    Hint.LATENCY: "latency",
    Hint.THROUGHPUT: "throughput",
    Hint.CUMULATIVE_THROUGHPUT: "cumulative_throughput",
    Hint.NONE: "none",
}
# str(openvino.Type) -> the name that flags and ``Type.get_type_name`` have for it.
TYPE_NAMES = {
    "float16": "f16", "float32": "f32", "double64": "f64", "bfloat16": "bf16", "char": "boolean",
    "int8_t": "i8", "int16_t": "i16", "int32_t": "i32", "int64_t": "i64",
    "uint8_t": "u8", "uint16_t": "u16", "uint32_t": "u32", "uint64_t": "u64",
}  # fmt: skip
FLOATS = ("f16", "f32", "f64")

RunApp = Callable[[Sequence[str]], "Run"]
Progress = Callable[[str], AbstractContextManager[Callable[[float, str], None]]]


class Kind(Enum):
    """How benchmark_app is asked: for what our cell is, or as people ask it."""

    LIKE = "like"
    USERS = "users"


class Cause(Enum):
    """What can make its figure differ from ours. The first five are what both sides read back of themselves."""

    PRECISION = "precision"
    INPUTS = "inputs"
    STREAMS = "streams"
    THREADS = "threads"
    REQUESTS = "requests"
    CALL = "call"
    EDGES = "edges"
    ROUNDING = "rounding"
    BATCH = "batch"


@dataclass(frozen=True)
class Reason:
    """One cause that applies to a cell: what each side has, or the share of the figure that it can explain."""

    cause: Cause
    ours: str = ""
    theirs: str = ""
    share: float | None = None


@dataclass(frozen=True)
class Ran:
    """What a compiled model says of itself, "" where it does not tell; ``inputs`` are element types: ``f32, i64``."""

    precision: str = ""
    streams: str = ""
    threads: str = ""
    requests: str = ""
    inputs: str = ""


@dataclass(frozen=True)
class Run:
    """One run of benchmark_app: inferences in its window, the median of their ``request.latency``, and what it ran."""

    inferences: int
    window_ns: float
    median_ns: float
    batch: str
    ran: Ran

    def cost_ns(self, mode: Mode) -> float:
        """What a ratio is taken of: the median latency (sync), or the window per inference (async)."""
        return self.median_ns if mode is Mode.SYNC else self.window_ns / self.inferences


@dataclass(frozen=True)
class Turn:
    """One round of a cell: our block and what it ran, and the two runs of benchmark_app before and after it."""

    number: int
    ours: Block
    ran: Ran
    runs: Mapping[Kind, Run]


@dataclass(frozen=True)
class Reference:
    """One cell beside benchmark_app; ``fault`` says why there are no more rounds: it is absent, or one side failed."""

    config: Config
    turns: tuple[Turn, ...] = ()
    fault: str = ""

    def figure(self, kind: Kind | None) -> float | None:
        """Median over rounds of ours (None) or of a kind of run: ns a call (sync), images a second (async)."""
        found = [self._figure(self._cost_ns(turn, kind)) for turn in self.turns]
        return statistics.median(found) if found else None

    def ratio(self, kind: Kind) -> Estimate | None:
        """Our figure over its figure, one ratio per round: p50 / its median latency (sync), FPS / its FPS (async)."""
        logs = [
            math.log(self._figure(self._cost_ns(turn, None)) / self._figure(self._cost_ns(turn, kind)))
            for turn in self.turns
        ]
        return ratio_estimate(logs) if logs else None

    def differences(self, kind: Kind) -> tuple[Reason, ...]:
        """Where what it ran, read back, is not what we ran; a LIKE run must have none."""
        found = (each for turn in self.turns for each in _differences(turn.ran, turn.runs[kind].ran))
        return tuple(dict.fromkeys(found))

    def cost_by_round(self, kind: Kind | None) -> dict[int, float]:
        """Round -> cost in ns per inference, of ours (None) or of a kind of run."""
        return {turn.number: self._cost_ns(turn, kind) for turn in self.turns}

    def _cost_ns(self, turn: Turn, kind: Kind | None) -> float:
        return (turn.ours if kind is None else turn.runs[kind]).cost_ns(self.config.mode)

    def _figure(self, cost_ns: float) -> float:
        return cost_ns if self.config.mode is Mode.SYNC else (self.config.batch or 1) * 1e9 / cost_ns


@dataclass(frozen=True)
class Speedups:
    """A precision's speed-up over FP32 by each way of measuring, over the same rounds; ``gap`` is ours / LIKE's."""

    config: Config
    ours: Estimate
    like: Estimate
    users: Estimate
    gap: Estimate


# ------------------------------------------------------------------------------------------------------- measuring


def run_seconds(cell: Cell) -> int:
    """Length of a run, by the time that the probe's block took; whole seconds, as benchmark_app takes them."""
    inference_s = cell.block_s / worker.MIN_INFERENCES_PER_BLOCK  # or less: a fast model's block holds many
    return max(RUN_S, math.ceil(MIN_INFERENCES * inference_s))


def planned_s(cells: Sequence[Cell], warmup_s: float, rounds: int = ROUNDS) -> float:
    """About how long ``measure`` takes."""
    return rounds * sum(LANE_START_S + warmup_s + 2 * START_S + 3 * (run_seconds(cell) + cell.open_s) for cell in cells)


def measure(
    into: MutableMapping[Config, Reference],
    cells: Sequence[Cell],
    order: Order,
    open_lane: OpenLane,
    progress: Progress,
    rounds: int = ROUNDS,
    on_turn: Callable[[Config, Turn], None] = lambda _config, _turn: None,
    run_app: RunApp | None = None,
) -> None:
    """Measure every cell (uncached, preset inputs) beside benchmark_app, in seeded shuffled order in each round.

    Finished rounds go ``into`` the references and to ``on_turn`` as they end, so that an interrupted run keeps them. A
    cell that benchmark_app or a lane fails on has that as its fault; the others go on.
    """
    configs = [cell.config for cell in cells]
    by_config = dict(zip(configs, cells, strict=True))
    into.update({config: Reference(config) for config in configs})
    with progress(f"Beside benchmark_app, about {planned_s(cells, order.warmup_s, rounds):.0f} s") as advance:
        for number in range(rounds):
            for place, config in enumerate(shuffled(configs, f"{order.seed}/reference", 0, number)):
                if into[config].fault:
                    continue
                share = (number * len(cells) + place) / (rounds * len(cells))
                advance(share, f"round {number + 1} of {rounds}, {config.id}")
                try:
                    turn = _take_turn(by_config[config], order, number, open_lane, run_app or run_benchmark_app)
                except (ContestantRefused, LaneError) as error:
                    into[config] = replace(into[config], fault=str(error))
                    continue
                into[config] = replace(into[config], turns=(*into[config].turns, turn))
                on_turn(config, turn)


def _take_turn(cell: Cell, order: Order, number: int, open_lane: OpenLane, run_app: RunApp) -> Turn:
    """Ours between the two kinds of run, which change places from round to round: a drift then cancels."""
    config, seconds = cell.config, run_seconds(cell)
    request = order.open_request(config, None)
    first, last = (Kind.LIKE, Kind.USERS) if number % 2 == 0 else (Kind.USERS, Kind.LIKE)
    runs: dict[Kind, Run] = {}
    with contextlib.closing(open_lane()) as lane:
        opened = lane.ask(request)
        words = {
            Kind.LIKE: like_words(request, opened, seconds),
            Kind.USERS: users_words(config, request, opened, seconds),
        }
        runs[first] = run_app(words[first])
        for duration_s in (order.warmup_s, seconds):
            answer = lane.ask({"do": "block", "key": request["key"], "duration_ns": round(duration_s * 1e9)})
    runs[last] = run_app(words[last])
    return Turn(number, parse_block(number, answer), ran_in_lane(opened), runs)


def turn_fields(config: Config, turn: Turn) -> dict[str, Any]:
    """A finished round for the journal, with every sample of ours."""
    return {
        "cell": config.id,
        "config": config.axes,
        "round": turn.number,
        "ours": {**block_fields(turn.ours), "ran": asdict(turn.ran)},
        **{kind.value: asdict(run) for kind, run in turn.runs.items()},
    }


# --------------------------------------------------------------------------------------------------------- judging


def reasons(reference: Reference) -> tuple[Reason, ...]:
    """What makes benchmark_app's figure differ even when it is asked for the same: only what is seen in this cell.

    CALL: our p50 is what a caller waits, its latency is OpenVINO's own of the request. EDGES: its window holds the
    start and the drain of its requests, which lasts one latency at most. ROUNDING: of its report. BATCH: its own FPS
    counts images, of which it takes the number from the layout that it guesses.
    """
    turns = [(turn.ours, turn.runs[Kind.LIKE]) for turn in reference.turns]
    if not turns:
        return ()
    shares: dict[Cause, float] = {}
    if reference.config.mode is Mode.SYNC:
        shares[Cause.CALL] = statistics.median(
            1 - statistics.median(ours.latency_ns) / statistics.median(ours.wall_ns) for ours, _ in turns
        )
        shares[Cause.ROUNDING] = statistics.median(HALF_STEP_NS / run.median_ns for _, run in turns)
    else:
        shares[Cause.EDGES] = statistics.median(run.median_ns / run.window_ns for _, run in turns)
    batch = turns[0][1].batch
    counted = () if batch == str(reference.config.batch or 1) else (Reason(Cause.BATCH, theirs=batch),)
    told = (Reason(cause, share=share) for cause, share in shares.items() if share >= TOLD_SHARE)
    return (*told, *counted)


def speedups(references: Mapping[Config, Reference]) -> tuple[Speedups, ...]:
    """For each cell with an FP32 partner: what lower precision gains by our figures and by benchmark_app's."""
    found = []
    for config, reference in references.items():
        partner = references.get(fp32_partner(config))
        if config.precision is Precision.FP32 or partner is None:
            continue
        ours, like, users = (_log_speedups(reference, partner, kind) for kind in (None, Kind.LIKE, Kind.USERS))
        if ours:
            gap = [mine - its for mine, its in zip(ours, like, strict=True)]
            found.append(Speedups(config, *(ratio_estimate(logs) for logs in (ours, like, users, gap))))
    return tuple(found)


def _log_speedups(reference: Reference, partner: Reference, kind: Kind | None) -> list[float]:
    """Log of FP32's cost over the cell's in each round that both have."""
    mine, fp32 = reference.cost_by_round(kind), partner.cost_by_round(kind)
    return [math.log(fp32[number] / mine[number]) for number in sorted(mine.keys() & fp32.keys())]


def _differences(ours: Ran, theirs: Ran) -> list[Reason]:
    pairs = ((Cause(each.name), getattr(ours, each.name), getattr(theirs, each.name)) for each in fields(Ran))
    return [Reason(cause, mine, its) for cause, mine, its in pairs if mine and its and mine != its]


def ran_in_lane(opened: Mapping[str, Any]) -> Ran:
    """A lane's answer to ``open``, as what benchmark_app's log tells of itself."""
    effective = opened["effective"]

    def told(name: str) -> str:
        return "" if effective[name] is None else str(effective[name])

    return Ran(
        precision=told("inference_precision"),
        streams=told("streams"),
        threads=told("threads"),
        requests=told("requests"),
        inputs=", ".join(type_name(element) for _name, _dims, element in opened["signature"]),
    )


def type_name(written: str) -> str:
    """``f32`` from ``<Type: 'float32'>``; what has no such name stays as it is."""
    found = re.search(r"'(.*)'", written)
    return TYPE_NAMES.get(found[1], found[1]) if found else written


# ---------------------------------------------------------------------------------------------------- benchmark_app


def like_words(request: Mapping[str, Any], opened: Mapping[str, Any], seconds: int) -> list[str]:
    """Flags under which benchmark_app runs what a lane runs: its order to open the cell, and what it answered.

    Streams and requests are those that the lane reads back, with no hint: benchmark_app refuses -nstreams beside one.
    The inputs keep their types, which it would else change to u8; the precision is pinned, which it would else leave to
    OpenVINO (bf16 where the chip has it).
    """
    properties, effective = request["properties"], opened["effective"]
    words = [*_common_words(request, opened, seconds), "-hint", "none", "-nstreams", str(effective["streams"])]
    words += ["-infer_precision", properties["INFERENCE_PRECISION_HINT"], *_type_words(opened["signature"])]
    if request["mode"] == Mode.ASYNC.value:
        words += ["-nireq", str(effective["requests"])]
    if "INFERENCE_NUM_THREADS" in properties:
        words += ["-nthreads", properties["INFERENCE_NUM_THREADS"]]
    return words


def users_words(config: Config, request: Mapping[str, Any], opened: Mapping[str, Any], seconds: int) -> list[str]:
    """Flags that people give for such a cell: a hint, or, where they want their own streams or threads, none."""
    words = _common_words(request, opened, seconds)
    implied = config.streams == (1 if config.hint is Hint.LATENCY else AUTO)
    if implied and not config.threads:
        words += ["-hint", HINT_WORD[config.hint]]
    else:
        words += ["-hint", "none", "-nstreams", str(config.streams)]
    if config.threads:
        words += ["-nthreads", str(config.threads)]
    return [*words, "-nireq", str(config.requests)] if config.requests else words


def _common_words(request: Mapping[str, Any], opened: Mapping[str, Any], seconds: int) -> list[str]:
    model = str(Path(request["model"]).absolute())
    words = ["-m", model, "-d", request["device"], "-api", request["mode"], "-t", str(seconds)]
    signature = opened["signature"]  # as the lane made it: static, of the batch that was asked for
    named = [(name if len(signature) > 1 else "", dims) for name, dims, _type in signature]
    shapes = [f"{name}[{','.join(map(str, dims))}]" for name, dims in named if dims and (name or len(named) == 1)]
    return [*words, "-shape", ",".join(shapes)] if shapes else words


def _type_words(signature: Sequence[tuple[str, Sequence[int], str]]) -> list[str]:
    """Types of floating-point inputs: it would make them u8 where they look like pictures; others it leaves alone."""
    types = [(name, type_name(element)) for name, _dims, element in signature]
    if len({element for _name, element in types}) == 1 and types[0][1] in FLOATS:
        return ["-ip", types[0][1]]
    floats = [f"{name}:{element}" for name, element in types if name and element in FLOATS]
    return ["-iop", ",".join(floats)] if floats else []


def run_benchmark_app(words: Sequence[str], timeout_s: float | None = None) -> Run:
    """Run the benchmark_app of this Python's environment. Raises ContestantRefused, one line, where it cannot.

    It is killed when the time is up (TIMEOUT_S beyond its own -t) and on Ctrl-C; its report's folder is removed.
    """
    app = find_benchmark_app()
    if app is None:
        raise ContestantRefused(
            f"there is no benchmark_app beside {sys.executable}: it comes with openvino, install that there"
        )
    if timeout_s is None:
        timeout_s = TIMEOUT_S + float(words[words.index("-t") + 1])
    with temporary_folder("benchmark-app") as folder:
        command = [app, *words, "-report_type", "no_counters", "-report_folder", str(folder), "-json_stats"]
        environment = {**os.environ, "CI": "true"}  # else importing openvino forks a child for its telemetry
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ContestantRefused(f"benchmark_app gave no answer within {timeout_s:g} s") from None
        except OSError as error:
            raise ContestantRefused(f"benchmark_app cannot be started: {error.strerror}: {app}") from None
        path = folder / "benchmark_report.json"
        report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if done.returncode:
        said = report.get("execution_results", {}).get("error") or done.stderr.strip() or done.stdout
        raise ContestantRefused(f"benchmark_app failed: {worker.one_line(RuntimeError(said))}")
    return parse_run(report, done.stdout)


def find_benchmark_app() -> str | None:
    """The command of the environment that this Python is of; another one's might be of another OpenVINO."""
    return shutil.which("benchmark_app", path=str(Path(sys.executable).parent))


def parse_run(report: Mapping[str, Any], log: str) -> Run:
    """Figures from the JSON report, what was run from the log. Raises ContestantRefused where they do not tell."""
    told = dict(re.findall(r"^\[ INFO \]\s+([A-Z_]+): (.*)$", log, re.MULTILINE))
    # Inputs are listed as the model has them, and again as they were changed: the last list counts.
    inputs = log.rpartition("Model inputs:")[2].partition("Model outputs:")[0]
    try:
        setup, results = report["configuration_setup"], report["execution_results"]
        run = Run(
            inferences=int(results["total number of iterations"]),
            window_ns=float(results["total execution time (ms)"]) * 1e6,
            median_ns=float(results["latency (ms)"]) * 1e6,
            batch=setup["batch size"],
            ran=Ran(
                precision=type_name(told.get("INFERENCE_PRECISION_HINT", "")),
                streams=told.get("NUM_STREAMS", ""),
                threads=told.get("INFERENCE_NUM_THREADS", ""),
                requests=setup["number of parallel infer requests"],
                inputs=", ".join(re.findall(r"\) : (\w+) /", inputs)),
            ),
        )
    except KeyError as missing:
        raise ContestantRefused(f"benchmark_app's report does not tell {missing}: its release is not known") from None
    if not run.inferences or (setup["API"] == Mode.SYNC.value and not run.median_ns):
        raise ContestantRefused("benchmark_app's report rounds the latency to 0.00 ms: the model is too small for it")
    return run
