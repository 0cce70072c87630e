"""A lane without a process: answers like ``worker`` from invented figures, on a clock that moves only by its costs."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ovbench.campaign import Order
from ovbench.config import Config, Precision
from ovbench.errors import ContestantRefused
from ovbench.precision import INFERENCE_PRECISION, KERNEL, Variant

CORES = 2
ASK_S = 0.001
START_S = 0.5

Trouble = Callable[[int, Mapping[str, Any]], BaseException | None]


def no_trouble(_lane: int, _order: Mapping[str, Any]) -> None:
    """Every order is answered."""


@dataclass
class FakeMachine:
    """Every lane of one test: its clock, its costs, its model caches, and what is to go wrong.

    ``kernels`` maps a model file's name to its MAC shares; ``trouble`` sees lane number and order and may give an error
    to raise; ``changes`` edits an answer in place.
    """

    open_s: float = 0.1
    cost_ns: Mapping[str, int] = field(default_factory=dict)
    kernels: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    memory_bytes: Mapping[str, int] = field(default_factory=dict)
    trouble: Trouble = no_trouble
    changes: Callable[[Mapping[str, Any], dict[str, Any]], None] = lambda _order, _answer: None
    now: float = 1000.0
    lanes: list[FakeLane] = field(default_factory=list)
    filled: set[tuple[str, str]] = field(default_factory=set)

    def clock(self) -> float:
        """Seconds."""
        return self.now

    def open_lane(self) -> FakeLane:
        """A fresh lane."""
        self.now += START_S
        lane = FakeLane(self, len(self.lanes))
        self.lanes.append(lane)
        return lane


@dataclass
class FakeLane:
    """One lane: every order it got, in order, and whether it is still open."""

    machine: FakeMachine
    number: int
    orders: list[Mapping[str, Any]] = field(default_factory=list)
    contestants: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    closed: bool = False

    def ask(self, order: Mapping[str, Any], timeout_s: float = 120.0) -> dict[str, Any]:
        """Answer, at a cost."""
        assert not self.closed, "asked after it was closed"
        self.orders.append(dict(order))
        self.machine.now += ASK_S
        error = self.machine.trouble(self.number, order)
        if error is not None:
            raise error
        answer: dict[str, Any] = getattr(self, "_" + order["do"])(order)
        self.machine.changes(order, answer)
        return answer

    def close(self) -> None:
        """End it."""
        self.closed = True

    def blocks(self) -> list[str]:
        """Keys of the blocks it was asked for, in order, warm-up included."""
        return [order["key"] for order in self.orders if order["do"] == "block"]

    def _import(self, _order: Mapping[str, Any]) -> dict[str, Any]:
        return {"import_ns": 1, "version": "fake"}

    def _effective(self, order: Mapping[str, Any]) -> dict[str, Any]:
        asked = order["properties"]
        streams = asked.get("NUM_STREAMS", "AUTO")
        running = CORES if streams == "AUTO" else min(int(streams), CORES)
        cached = ("CACHE_DIR" in asked) and (asked["CACHE_DIR"], order["model"]) in self.machine.filled
        if "CACHE_DIR" in asked:
            self.machine.filled.add((asked["CACHE_DIR"], order["model"]))
        kernel = {"f32": "f32", "bf16": "bf16"}[asked["INFERENCE_PRECISION_HINT"]]
        shares = {"i8": 1.0} if "INT8" in order["model"] else {kernel: 1.0}
        return {
            "hint": asked.get("PERFORMANCE_HINT", "LATENCY"),
            "streams": running,
            "threads": int(asked.get("INFERENCE_NUM_THREADS", 0)) or CORES,
            "optimal_requests": running,
            "requests": (order["requests"] or running) if order["mode"] == "async" else 1,
            "inference_precision": asked["INFERENCE_PRECISION_HINT"],
            "execution_mode": "PERFORMANCE",
            "pinning": True,
            "device": order["device"],
            "loaded_from_cache": cached,
            "mac_shares": dict(self.machine.kernels.get(Path(order["model"]).name, shares)),
        }

    def _open(self, order: Mapping[str, Any]) -> dict[str, Any]:
        if order["key"] in self.contestants:
            raise ContestantRefused(f"{order['key']} is open already")
        self.machine.now += self.machine.open_s
        self.contestants[order["key"]] = order
        memory = self.machine.memory_bytes.get(order["key"], 1)
        return {"effective": self._effective(order), "memory_bytes": memory}

    def _digest(self, order: Mapping[str, Any]) -> dict[str, Any]:
        return {"digest": self.contestants[order["key"]]["model"]}

    def _block(self, order: Mapping[str, Any]) -> dict[str, Any]:
        assert order["key"] in self.contestants
        cost = self.machine.cost_ns.get(order["key"], 1_000_000)
        count = max(3, -(-order["duration_ns"] // cost))
        self.machine.now += count * cost / 1e9
        times = struct.pack(f"<{count}q", *[cost] * count)
        return {"wall_ns": times, "latency_ns": times, "window_ns": count * cost, "lane_cpu_ns": count * cost}

    def _close(self, order: Mapping[str, Any]) -> dict[str, Any]:
        del self.contestants[order["key"]]
        return {}

    def _startup(self, order: Mapping[str, Any]) -> dict[str, Any]:
        effective = self._effective(order)
        return {
            "import_ns": 1,
            "read_ns": 10,
            "compile_ns": 20 if effective["loaded_from_cache"] else 70,
            "first_inference_ns": 20,
            "peak_resident_bytes": None,
            "loaded_from_cache": effective["loaded_from_cache"],
            "digest": order["model"],
        }


def order_for(*configs: Config, **changes: Any) -> Order:
    """An order for these cells of an invented model, with a file per precision."""
    variants = {("embedded", each.value): Variant(each, Path(f"{each.value}.xml"), True) for each in Precision}
    assert INFERENCE_PRECISION.keys() == KERNEL.keys() == set(Precision)
    given: dict[str, Any] = {
        "configs": configs,
        "variants": variants,
        "shape": {},
        "budget_s": 40.0,
        "warmup_s": 0.2,
        "seed": 0,
        "max_memory_bytes": None,
    }
    return Order(**{**given, **changes})
