"""Journals of sessions that never ran: any number of cells, from a seeded generator, as the suite writes them."""

from __future__ import annotations

import datetime
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from ovbench.agreement import Agreement, Disagreement, LogitDifference
from ovbench.baseline import Baseline
from ovbench.config import AUTO, Cache, Config, Hint, Mode, Precision
from ovbench.floors import Gate
from ovbench.layers import Layer, LayerProfile, profile_fields
from ovbench.machine import Isa, Machine
from ovbench.options import Settings, write_settings
from ovbench.policy import Waiver
from ovbench.records import FORMAT, replicate_fields
from ovbench.reference import Kind, Ran, Run, Turn, turn_fields
from ovbench.samples import Block, Replicate
from ovbench.stats import Estimate, paired_difference, proportion_estimate
from ovbench.story.lines import baseline_fields, gate_fields
from ovbench.verdict import SPEEDUP, TIME, Judged, Outcome, Verdict, check_floor

BEGAN_S = 1_795_406_400.0
LINE_S = 0.05
HOSTILE = (
    '<script>alert("x")</script>',
    "a|b`c`*d*_e_[f](g)",
    "@octocat #1 https://example.org www.example.org",
    "two\nlines\tand\x00nul",
    "\u202eright to left\u202c 😀",
    "long-" + "x" * 300,
    "</svg></style>&amp;{{ 7 * 7 }}{% raw %}'\"",
)
HOST = Machine(
    cpu_brand="Made CPU 9000",
    cpu_model="MadeVendor-1-2-3",
    isa=Isa.AVX512_VNNI,
    compute_flags=("avx2", "avx512_vnni"),
    architecture="x86_64",
    system="Linux",
    cores=8,
    cpu_quota_cores=None,
    memory_total_bytes=16 * 2**30,
    kernel="6.1.0",
    python="3.11.7",
    unreadable=(),
)
VERSIONS = {"ovbench": "0.1.0", "openvino": "2026.4.1", "nncf": "3.4.0", "numpy": "2.4.6"}


def made_configs(cells: int, models: Sequence[str] = ("made",)) -> list[Config]:
    """That many different cells: FP32 and its lower precisions side by side, hints, streams and threads crossed."""
    shapes = [(Hint.LATENCY, 1), (Hint.THROUGHPUT, AUTO), (Hint.THROUGHPUT, 2), (Hint.THROUGHPUT, 4)]
    precisions = (Precision.FP32, Precision.INT8, Precision.BF16)
    crossed = itertools.product(range(cells), shapes, models, precisions)
    return [
        Config(model=model, precision=precision, hint=hint, streams=streams, threads=threads)
        for threads, (hint, streams), model, precision in itertools.islice(crossed, cells)
    ]


def make_journal(
    path: Path,
    *,
    cells: int = 8,
    lanes: int = 6,
    rounds: int = 12,
    starts: bool = True,
    accuracy: bool = True,
    layers: bool = True,
    references: bool = False,
    pipelines: bool = True,
    baseline: bool = False,
    gates: bool = True,
    noise: float = 0.03,
    speed: float = 1.0,
    hostile_names: bool = False,
    rejected: Sequence[tuple[int, int]] = (),
    exit_status: int | None = 0,
    host: Machine = HOST,
    versions: dict[str, str] = VERSIONS,
    seed: int = 0,
) -> Path:
    """Write a journal of a session that never ran, and return its path.

    ``speed`` scales every time (2.0: twice as fast), ``noise`` is the spread of calls, ``lanes`` 0 measures nothing,
    ``rejected`` are (lane, round) that others disturbed, ``exit_status`` None leaves the end out, as a kill does.
    """
    made = _Made(np.random.default_rng(seed), noise, speed)
    models = HOSTILE if hostile_names else ("made",)
    configs = made_configs(cells, models)
    made.write("session", settings=write_settings(Settings(model=models)), seed=seed, machine=asdict(host),
               fingerprint=host.fingerprint_id, versions=dict(versions), commit="0123456789abcdef" * 2)  # fmt: skip
    for config in configs:
        made.write_cell(config)
    made.write_cell(replace(configs[0], cache=Cache.WARM), alias_of=configs[0])
    made.write("skipped", model=models[0], precision="FP16", reason="made: nothing runs in FP16 here")
    for model in dict.fromkeys(config.model for config in configs):
        made.write_source(model)
    for lane in range(lanes):
        made.write_lane(lane, configs, rounds, rejected)
    parts = (
        (starts, made.write_starts), (references, made.write_references), (layers, made.write_layers),
        (baseline, made.write_baseline), (accuracy, made.write_accuracy), (pipelines, made.write_pipelines),
    )  # fmt: skip
    for wanted, write in parts:
        if wanted:
            write(configs)
    made.write_benches(configs, lanes > 0, gates)
    if exit_status is not None:
        made.write("end", exit_status=exit_status, notes=[f"lane 3: {models[0]}: a fresh lane takes its place"],
                   rounds=lanes * rounds, rejected=[list(each) for each in rejected])  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(made.lines), encoding="utf-8")
    return path


class _Made:
    """The lines of a journal that is being made up, and what its figures are drawn from."""

    def __init__(self, random: np.random.Generator, noise: float, speed: float) -> None:
        self.random, self.noise, self.speed = random, noise, speed
        self.lines: list[str] = []

    def write(self, kind: str, **fields: Any) -> None:
        """A line as ``records.Journal`` writes it; its time is made up too."""
        head = {"format": FORMAT, "kind": kind, "time": BEGAN_S + LINE_S * len(self.lines)}
        self.lines.append(json.dumps({**head, **fields}, allow_nan=False) + "\n")

    def typical_ns(self, config: Config) -> float:
        """What one inference of a cell takes alone: lower precisions are faster, more threads a little slower."""
        base_ns = {Precision.FP32: 6e6, Precision.BF16: 4e6}.get(config.precision, 3.5e6)
        return base_ns / self.speed * (1 + 0.05 * config.threads)

    def streams(self, config: Config) -> int:
        """Requests in flight."""
        return 2 if config.streams == AUTO else int(config.streams)

    def about(self, value: float, spread: float = 1.0) -> float:
        """The value, give or take the session's noise."""
        return value * math.exp(spread * self.noise * float(self.random.normal()))

    def write_cell(self, config: Config, alias_of: Config | None = None) -> None:
        """A line of kind ``cell``."""
        kernel = {Precision.FP32: "f32", Precision.BF16: "bf16"}.get(config.precision, "i8")
        streams = self.streams(config)
        effective = {
            "hint": config.hint.value, "streams": streams, "threads": config.threads or 8, "optimal_requests": streams,
            "inference_precision": "f32", "execution_mode": "PERFORMANCE", "pinning": True, "device": config.device,
            "loaded_from_cache": False, "mac_shares": {kernel: 1.0}, "requests": streams,
        }  # fmt: skip
        self.write("cell", cell=config.id, config=config.axes, effective=effective, digest="ab" * 32, fault="",
                   alias_of=None if alias_of is None else alias_of.id, warning="")  # fmt: skip

    def write_source(self, model: str) -> None:
        """A line of kind ``source``."""
        images = {"name": "made pictures", "count": 1000, "content_hash": "cd" * 32}
        self.write("source", name=model, path=f"{model}.xml", sha256="ef" * 32, preprocessing=None, calibration=images,
                   evaluation=images, given={}, int8={}, notes=[f"{model}: a note of the model"],
                   sizes_bytes={"FP32": 14_000_000, "INT8": 4_000_000, "BF16": 14_000_000})  # fmt: skip

    def write_lane(
        self, lane: int, configs: Sequence[Config], rounds: int, rejected: Sequence[tuple[int, int]]
    ) -> None:
        """A line of kind ``replicate`` for every cell: what others took of a round slows all of its blocks."""
        moods = [self.about(1.3 if (lane, number) in rejected else 1.0) for number in range(rounds)]
        for config in configs:
            typical_ns = self.about(self.typical_ns(config))
            blocks = tuple(self.block(config, number, typical_ns * mood) for number, mood in enumerate(moods))
            told = replicate_fields(config, Replicate(lane, config.mode, blocks))
            self.write("replicate", **told, rejected=[number for each, number in rejected if each == lane])

    def block(self, config: Config, number: int, typical_ns: float) -> Block:
        """A burst with a tail to the right, as calls have it."""
        count = 10 if config.mode is Mode.SYNC else 20
        streams = 1 if config.mode is Mode.SYNC else self.streams(config)
        tail = np.exp(self.noise * self.random.exponential(1.0, count))
        latency_ns = (typical_ns * streams**0.7 * tail).astype(int)  # more requests at once: more FPS, later answers
        wall_ns = latency_ns + 20_000 if streams == 1 else (latency_ns / streams).astype(int)
        return Block(number, tuple(wall_ns.tolist()), tuple(latency_ns.tolist()), int(wall_ns.sum()))

    def write_starts(self, configs: Sequence[Config]) -> None:
        """Lines of kind ``start``: five rounds of no cache, a cold one and a warm one for each model and precision."""
        rows = dict.fromkeys((config.model, config.precision) for config in configs)
        for number, (model, precision), cache in itertools.product(range(5), rows, Cache):
            config = Config(model=model, precision=precision, cache=cache)
            compile_ns = {Cache.OFF: 170e6, Cache.COLD: 200e6, Cache.WARM: 80e6}[cache]
            self.write(
                "start", cell=config.id, config=config.axes, round=number, import_ns=int(self.about(150e6)),
                read_ns=int(self.about(15e6)), compile_ns=int(self.about(compile_ns)),
                first_inference_ns=int(self.about(12e6)), peak_resident_bytes=140_000_000,
                loaded_from_cache=cache is Cache.WARM, digest="ab" * 32,
            )  # fmt: skip

    def write_layers(self, configs: Sequence[Config]) -> None:
        """Lines of kind ``layers``: sixteen nodes of FP32 and INT8, one of which is slower."""
        for model, precision in dict.fromkeys((each.model, each.precision) for each in configs):
            if precision is Precision.BF16:
                continue
            config = Config(model=model, precision=precision)
            kernel, gain = ("jit_avx2_f32", 1.0) if precision is Precision.FP32 else ("jit_avx2_I8", 0.6)
            layers = tuple(
                Layer(
                    name=f"Convolution_{number} {model}", status="EXECUTED", kind="Convolution", kernel=kernel,
                    place=number, originals=(f"Convolution_{number} {model}",), macs=1000 * (16 - number),
                    real_us=tuple(
                        self.about((16 - number) * 20.0 * (1.5 if number == 9 and gain < 1 else gain)) for _ in range(5)
                    ),
                    cpu_us=(1.0,) * 5,
                )
                for number in range(16)
            )  # fmt: skip
            call_us = tuple(1.05 * sum(layer.real_us[lane] for layer in layers) for lane in range(5))
            self.write("layers", **profile_fields(LayerProfile(config, layers, call_us, (100,) * 5)))

    def write_references(self, configs: Sequence[Config]) -> None:
        """Lines of kind ``reference``: five rounds of the first cells."""
        for number, config in itertools.product(range(5), [each for each in configs if not each.threads][:8]):
            ours = self.block(config, number, self.about(self.typical_ns(config)))
            ran = Ran("f32", str(self.streams(config)), "8", str(self.streams(config)), "f32")
            runs = {
                kind: Run(len(ours.wall_ns), self.about(ours.window_ns), self.about(float(np.median(ours.latency_ns))),
                          "1", ran)
                for kind in Kind
            }  # fmt: skip
            self.write("reference", **turn_fields(config, Turn(number, ours, ran, runs)))

    def write_baseline(self, configs: Sequence[Config]) -> None:
        """A line of kind ``baseline``: every cell the same, the second slower and borne."""
        waiver = Waiver("made/*", datetime.date(2027, 1, 1), "made: the old driver is gone")
        judged = [Judged(TIME, config, Verdict.SAME, Estimate(1.0, 0.99, 1.01, 10)) for config in configs]
        judged[1:2] = [Judged(TIME, configs[1], Verdict.SLOWER, Estimate(1.1, 1.08, 1.12, 10), waiver=waiver)]
        judged.append(Judged(SPEEDUP, configs[1], Verdict.SKIPPED, reason="made: there is none to compare"))
        self.write("baseline", **baseline_fields(Baseline("python=old/python", 0.03, version="2026.2.1",
                                                          judged=tuple(judged), notes=["made: a note"])))  # fmt: skip

    def write_accuracy(self, configs: Sequence[Config]) -> None:
        """Lines of kind ``accuracy``: a thousand labelled pictures, of which lower precisions see some otherwise."""
        for model, precision in dict.fromkeys((each.model, each.precision) for each in configs):
            other = 0 if precision is Precision.FP32 else 30
            right, theirs = np.arange(1000) >= 106 + other // 10, np.arange(1000) >= 106
            agreement = Agreement(
                images=1000, top=5, top1=proportion_estimate(1000 - other, 1000),
                top5_overlap=proportion_estimate(1000 - 2 * other, 1000),
                reference_top1_in_top5=proportion_estimate(1000 - other // 5, 1000),
                label_top1=proportion_estimate(int(right.sum()), 1000), label_top5=proportion_estimate(977, 1000),
                reference_label_top1=proportion_estimate(894, 1000),
                reference_label_top5=proportion_estimate(977, 1000),
                label_top1_drop=paired_difference(theirs, right), lost=other // 10, gained=0, mcnemar_p=0.25,
                logit_difference=LogitDifference(0.02, 0.1, 1.0, 3.0, 1000),
                worst=(Disagreement(7, 3, 0.5, (1, 2), (2.0, 1.5), (2, 1), (1.9, 1.8)),) if other else (),
            )  # fmt: skip
            drop = {"outcome": Outcome.UNSURE.value, "images_needed": 1600} if other else None
            self.write("accuracy", model=model, precision=precision.value, agreement=asdict(agreement), drop=drop,
                       max_drop=0.01, outputs=[])  # fmt: skip

    def write_pipelines(self, configs: Sequence[Config]) -> None:
        """Lines of kind ``pipeline``: six rounds of sixteen pictures."""
        for model, precision in dict.fromkeys((each.model, each.precision) for each in configs):
            infer_ns = 16 * self.typical_ns(Config(model=model, precision=precision))
            each_ns = {"sync": infer_ns + 40e6, "overlapped": infer_ns + 5e6, "decode and preprocess": 20e6,
                       "inference": infer_ns}  # fmt: skip
            rounds = [
                {"images": 16, "elapsed_ns": {way: int(self.about(time_ns)) for way, time_ns in each_ns.items()}}
                for _ in range(6)
            ]
            self.write("pipeline", model=model, precision=precision.value, rounds=rounds, unreadable=[])

    def write_benches(self, configs: Sequence[Config], measured: bool, gates: bool) -> None:
        """Lines of kind ``floor`` and ``bench``: one speed-up gate in four is held to a floor that it cannot reach."""
        for number, config in enumerate(configs):
            if gates and measured and config.precision is Precision.INT8:
                estimate, floor = Estimate(1.7, 1.6, 1.8, 6), (1.5, 1.5, 1.7, 2.0)[number // 3 % 4]
                gate = Gate(SPEEDUP, config, estimate, floor, check_floor(estimate, floor))
                self.write("floor", **gate_fields(gate))
            question = "latency" if config.mode is Mode.SYNC else "throughput"
            self.write(
                "bench", nodeid=f"benches/bench_{question}.py::bench_{question}[{config.id}]",
                fullname=f"{question}/{config.key}", outcome="passed" if measured else "failed",
                reason="" if measured else "nothing was measured", config=config.axes, effective={}, alias_of=None,
                summary=None,
            )  # fmt: skip
