"""One cell of the matrix: what the user asked for, and how a whole matrix of it is laid out."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any


class Precision(Enum):
    """What a row promises of its file and its arithmetic; ``precision.prove`` says which one really ran.

    FP16 and W8 are kinds of storage (weights as float16, or as int8) computed in f32; INT8_BF16 is INT8 whose
    floating-point rest runs in bf16. Reports list precisions in this order.
    """

    FP32 = "FP32"
    BF16 = "BF16"
    FP16 = "FP16"
    W8 = "W8"
    INT8 = "INT8"
    INT8_BF16 = "INT8-BF16"


class Hint(Enum):
    """OpenVINO's ``PERFORMANCE_HINT``; NONE sets no hint at all."""

    LATENCY = "LATENCY"
    THROUGHPUT = "THROUGHPUT"
    CUMULATIVE_THROUGHPUT = "CUMULATIVE_THROUGHPUT"
    NONE = "NONE"


class Cache(Enum):
    """The model cache: not used, filled by this very start, or filled before it."""

    OFF = "off"
    COLD = "cold"
    WARM = "warm"


class Mode(Enum):
    """How a cell is measured: one infer request after another, or a full pipeline of them."""

    SYNC = "sync"
    ASYNC = "async"


class Inputs(Enum):
    """Where the input comes from at each call: a tensor set once, or an array copied in each time."""

    PRESET = "preset"
    COPIED = "copied"


AUTO = "AUTO"
Streams = int | str  # a number, or AUTO

# `benchmark_app -hint latency -streams 1` and `-hint throughput -streams AUTO|2|4`: the tutorial's matrix.
TUTORIAL_STREAMS: dict[Hint, tuple[Streams, ...]] = {
    Hint.LATENCY: (1,),
    Hint.THROUGHPUT: (AUTO, 2, 4),
    Hint.CUMULATIVE_THROUGHPUT: (AUTO,),
    Hint.NONE: (AUTO,),
}
MODE_OF_HINT = {
    Hint.LATENCY: Mode.SYNC,
    Hint.THROUGHPUT: Mode.ASYNC,
    Hint.CUMULATIVE_THROUGHPUT: Mode.ASYNC,
    Hint.NONE: Mode.ASYNC,
}


@dataclass(frozen=True)
class Config:
    """What the user asked for in one cell; 0 threads, requests or batch leave the choice to OpenVINO or the model.

    So do None for ``pinning`` (threads kept on their cores) and ``hyper_threading`` (both threads of a core used).
    """

    model: str = "embedded"
    device: str = "CPU"
    precision: Precision = Precision.FP32
    hint: Hint = Hint.LATENCY
    streams: Streams = 1
    cache: Cache = Cache.OFF
    threads: int = 0
    requests: int = 0
    batch: int = 0
    inputs: Inputs = Inputs.PRESET
    pinning: bool | None = None
    hyper_threading: bool | None = None

    @property
    def mode(self) -> Mode:
        """Sync under the LATENCY hint, async under every other."""
        return MODE_OF_HINT[self.hint]

    @property
    def id(self) -> str:
        """Stable name within its model: an axis at its default is left out, so that new axes break no old name."""
        parts = [self.precision.value, self.hint.value, str(self.streams), self.cache.value]
        parts += [f"{axis}={getattr(self, axis)}" for axis in ("threads", "requests", "batch") if getattr(self, axis)]
        if self.inputs is not Inputs.PRESET:
            parts.append(self.inputs.value)
        parts += self.switches
        if self.device != "CPU":
            parts.append(self.device)
        return "-".join(parts)

    @property
    def switches(self) -> list[str]:
        """``pin`` or ``nopin``, ``ht`` or ``noht``: those that are set."""
        named = (("pin", self.pinning), ("ht", self.hyper_threading))
        return [name if wanted else f"no{name}" for name, wanted in named if wanted is not None]

    @property
    def key(self) -> str:
        """Name over all models of a run: ``embedded/INT8-LATENCY-1-off``."""
        return f"{self.model}/{self.id}"

    @property
    def axes(self) -> dict[str, str | int]:
        """Every axis as a plain value, for pytest-benchmark's ``params`` and the journal.

        Pinning and hyper-threading only where they are set, so that rows stay equal to those stored before there were.
        """
        switches = {"pinning": self.pinning, "hyper_threading": self.hyper_threading}
        return {
            "model": self.model,
            "device": self.device,
            "precision": self.precision.value,
            "hint": self.hint.value,
            "streams": self.streams,
            "cache": self.cache.value,
            "threads": self.threads,
            "requests": self.requests,
            "batch": self.batch,
            "inputs": self.inputs.value,
            **{name: wanted for name, wanted in switches.items() if wanted is not None},
        }

    @classmethod
    def from_axes(cls, axes: Mapping[str, Any]) -> Config:
        """The inverse of ``axes``."""
        streams = axes["streams"]
        return cls(
            model=str(axes["model"]),
            device=str(axes["device"]),
            precision=Precision(axes["precision"]),
            hint=Hint(axes["hint"]),
            streams=streams if isinstance(streams, int) else AUTO,
            cache=Cache(axes["cache"]),
            threads=int(axes["threads"]),
            requests=int(axes["requests"]),
            batch=int(axes["batch"]),
            inputs=Inputs(axes["inputs"]),
            pinning=axes.get("pinning"),
            hyper_threading=axes.get("hyper_threading"),
        )


SHORT_HINT = {Hint.LATENCY: "lat", Hint.THROUGHPUT: "thr", Hint.CUMULATIVE_THROUGHPUT: "cum", Hint.NONE: "none"}


def cell_name(config: Config) -> str:
    """A config in a table: ``INT8 thr AUTO off``; axes at their default left out."""
    hint = SHORT_HINT[config.hint]
    parts = [config.precision.value, hint, str(config.streams), config.cache.value]
    parts += [
        f"{letter}{value}"
        for letter, value in (("t", config.threads), ("r", config.requests), ("b", config.batch))
        if value
    ]
    if config.inputs is not Inputs.PRESET:
        parts[3] = config.inputs.value  # such a row is never cached
    parts += config.switches
    if config.device != Config().device:
        parts.append(config.device)
    return " ".join(parts)


def fp32_partner(config: Config) -> Config:
    """The cell that a speed-up is measured against: the same in all but precision."""
    return replace(config, precision=Precision.FP32)


def uncached_twin(config: Config) -> Config:
    """The same cell without a model cache."""
    return replace(config, cache=Cache.OFF)


def with_partners(configs: Iterable[Config]) -> tuple[Config, ...]:
    """The configs and the FP32 partner of each, every cell once, in the order first met."""
    wanted = [each for config in configs for each in (config, fp32_partner(config))]
    return tuple(dict.fromkeys(wanted))


@dataclass(frozen=True)
class Matrix:
    """The axes that a run crosses; ``streams`` None means the tutorial's for each hint."""

    models: tuple[str, ...] = ("embedded",)
    devices: tuple[str, ...] = ("CPU",)
    precisions: tuple[Precision, ...] = (Precision.FP32, Precision.BF16, Precision.INT8)
    hints: tuple[Hint, ...] = (Hint.LATENCY, Hint.THROUGHPUT)
    streams: tuple[Streams, ...] | None = None
    caches: tuple[Cache, ...] = (Cache.OFF, Cache.WARM)
    threads: tuple[int, ...] = (0,)
    requests: tuple[int, ...] = (0,)
    batches: tuple[int, ...] = (0,)


def expand(matrix: Matrix) -> tuple[Config, ...]:
    """Every cell of the matrix, each once, precision varying slowest; copied-input rows stand beside the sync rows."""
    cells: list[Config] = []
    for model, device, precision, hint in itertools.product(
        matrix.models, matrix.devices, matrix.precisions, matrix.hints
    ):
        streams = TUTORIAL_STREAMS[hint] if matrix.streams is None else matrix.streams
        for each in itertools.product(streams, matrix.caches, matrix.threads, matrix.requests, matrix.batches):
            config = Config(model, device, precision, hint, *each)
            cells.append(config)
            if config.mode is Mode.SYNC and config.cache is Cache.OFF:
                cells.append(replace(config, inputs=Inputs.COPIED))
    return tuple(dict.fromkeys(cells))


def of_mode(configs: Sequence[Config], mode: Mode) -> tuple[Config, ...]:
    """The cells that are measured in this way."""
    return tuple(config for config in configs if config.mode is mode)


def one_per_precision(matrix: Matrix) -> tuple[Config, ...]:
    """One cell for each model, device and precision, for accuracy: the speed axes do not change outputs."""
    return tuple(
        Config(model, device, precision, Hint.THROUGHPUT, AUTO)
        for model, device, precision in itertools.product(matrix.models, matrix.devices, matrix.precisions)
    )


def most_used(matrix: Matrix) -> tuple[Config, ...]:
    """For each model, device and precision the tutorial's two: LATENCY with one stream, THROUGHPUT with AUTO."""
    return tuple(
        Config(model, device, precision, hint, streams)
        for model, device, precision in itertools.product(matrix.models, matrix.devices, matrix.precisions)
        for hint, streams in ((Hint.LATENCY, 1), (Hint.THROUGHPUT, AUTO))
    )


def startup_cells(matrix: Matrix) -> tuple[Config, ...]:
    """For each model, device and precision: no cache, cold cache, warm cache."""
    caches = (Cache.OFF, Cache.COLD, Cache.WARM)
    return tuple(
        Config(model, device, precision, Hint.LATENCY, 1, cache)
        for model, device, precision, cache in itertools.product(
            matrix.models, matrix.devices, matrix.precisions, caches
        )
    )
