"""Two sides without processes: lanes that answer a comparison from invented costs, on a clock they share."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ovbench.comparison import SIDES, Comparison, Contest, run_comparison
from ovbench.config import Mode
from ovbench.machine import Contention

OPEN_S = 0.5
CALLS = 5
LATENCY = Contest("latency", Mode.SYNC, ({"do": "open", "key": "latency"}, {"do": "open", "key": "latency"}))
THROUGHPUT = Contest("throughput", Mode.ASYNC, ({"do": "open", "key": "throughput"},) * 2)
QUIET = Contention(0.0, 0, 0, 0, 0.0)

Cost = Callable[[str, str, int], float]
"""Cost in ns of one call: side, key, number of the side's lane."""


@dataclass
class FakeSides:
    """Both sides of one test. ``trouble`` sees side, lane number and order, and may give an error to raise."""

    cost_ns: Cost = lambda _side, _key, _lane: 1e6
    trouble: Callable[[str, int, Mapping[str, Any]], BaseException | None] = lambda _side, _lane, _order: None
    contention: Callable[[int], Contention] = lambda _reading: QUIET
    idle_cpu_ns: int = 0
    lane_cpu_ns: int = 0
    now: float = 1000.0
    readings: int = 0
    lanes: Mapping[str, list[FakeLane]] = field(default_factory=lambda: {side: [] for side in SIDES})
    asked: list[tuple[str, int, str, str]] = field(default_factory=list)
    """Every order but imports, in order: side, lane, what, key."""

    def clock(self) -> float:
        """Seconds."""
        return self.now

    def read_contention(self) -> Contention:
        """Counters by number of the reading; two belong to a round."""
        self.readings += 1
        return self.contention(self.readings - 1)

    def opener(self, side: str) -> Callable[[], FakeLane]:
        """What starts a fresh lane of a side."""

        def start() -> FakeLane:
            lane = FakeLane(self, side, len(self.lanes[side]))
            self.lanes[side].append(lane)
            return lane

        return start

    def run(
        self,
        undecided: Callable[[Comparison, Any], Any] = lambda _comparison, left: left,
        contests: tuple[Contest, ...] = (LATENCY,),
        budget_s: float = 60.0,
        into: Comparison | None = None,
        **more: Any,
    ) -> Comparison:
        """A whole comparison on this machine."""
        comparison = into if into is not None else Comparison("test")
        run_comparison(
            comparison,
            contests,
            (self.opener("A"), self.opener("B")),
            undecided,
            budget_s,
            clock=self.clock,
            read_contention=self.read_contention,
            cores=2,
            **more,
        )
        return comparison

    def blocks(self) -> list[tuple[str, int, str]]:
        """Side, lane and key of every block, in order, warm-up included."""
        return [(side, lane, key) for side, lane, what, key in self.asked if what == "block"]


@dataclass
class FakeLane:
    """One lane; time passes by what it is asked, but not at its import, which both sides do at once."""

    sides: FakeSides
    side: str
    number: int
    closed: bool = False

    def ask(self, order: Mapping[str, Any], timeout_s: float = 120.0) -> dict[str, Any]:
        """Answer, at a cost."""
        assert not self.closed, "asked after it was closed"
        error = self.sides.trouble(self.side, self.number, order)
        if error is not None:
            raise error
        if order["do"] == "import":
            return {"version": "fake"}
        self.sides.asked.append((self.side, self.number, order["do"], order.get("key", "")))
        if order["do"] == "open":
            self.sides.now += OPEN_S
            return {"read_ns": 10, "compile_ns": 70, "first_inference_ns": 20, "effective": {}, "signature": [],
                    "version": f"fake {self.side}"}  # fmt: skip
        if order["do"] == "usage":
            return {"peak_resident_bytes": 100}
        cost = round(self.sides.cost_ns(self.side, order["key"], self.number))
        self.sides.now += order["duration_ns"] / 1e9
        times = struct.pack(f"<{CALLS}q", *[cost] * CALLS)
        return {"wall_ns": times, "latency_ns": times, "window_ns": CALLS * cost, "lane_cpu_ns": self.sides.lane_cpu_ns,
                "idle_cpu_ns": self.sides.idle_cpu_ns}  # fmt: skip

    def close(self) -> None:
        """End it."""
        self.closed = True
