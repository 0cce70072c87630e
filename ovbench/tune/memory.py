"""What a candidate takes alone in a process of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from ovbench.campaign import OpenLane, Order, block_seconds
from ovbench.config import Config
from ovbench.errors import BadOption, ContestantRefused, LaneError
from ovbench.tune.limits import memory_refusal
from ovbench.tune.tuned import Tuned


def check_memory(tuned: Tuned, open_lane: OpenLane) -> None:
    """Raise BadOption where not even the simplest candidate of any precision fits --max-memory, alone in a process."""
    order, constraints = tuned.order, tuned.aim.constraints
    assert order is not None, "candidates are made first"
    simplest = {config.precision: config for config in reversed(order.configs)}
    peaks: dict[Config, int] = {}
    for config in simplest.values():
        try:
            _, peak = open_alone(order, config, open_lane)
        except (ContestantRefused, LaneError):  # the race will tell
            return
        tuned.peak_bytes[config] = peak
        if peak is None or peak <= (constraints.max_memory_bytes or 0):
            return
        peaks[config] = peak
    raise BadOption(memory_refusal(constraints, peaks))


def open_alone(order: Order, config: Config, open_lane: OpenLane) -> tuple[Mapping[str, Any], int | None]:
    """Open one candidate in a fresh process and run a block: what it answered, and its peak memory in bytes."""
    with contextlib.closing(open_lane()) as lane:
        opened = lane.ask(order.open_request(config, None))
        lane.ask({"do": "block", "key": config.key, "duration_ns": round(block_seconds(config) * 1e9)})
        return opened, lane.ask({"do": "usage"})["peak_resident_bytes"]
