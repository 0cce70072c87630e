"""What a candidate takes alone in a process of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from ovbench.campaign import OpenLane, Order, block_seconds
from ovbench.config import Config
from ovbench.errors import BadOption, ContestantRefused, LaneError
from ovbench.tune.limits import memory_refusal


def check_memory(order: Order, most_bytes: int, open_lane: OpenLane) -> None:
    """Raise BadOption where not even the simplest candidate of any precision fits --max-memory, alone in a process."""
    simplest = {config.precision: config for config in reversed(order.configs)}
    peaks: dict[Config, int] = {}
    for config in simplest.values():
        try:
            _, peak = open_alone(order, config, open_lane)
        except (ContestantRefused, LaneError):  # the race will tell
            return
        if peak is None or peak <= most_bytes:
            return
        peaks[config] = peak
    raise BadOption(memory_refusal(most_bytes, peaks))


def open_alone(order: Order, config: Config, open_lane: OpenLane) -> tuple[Mapping[str, Any], int | None]:
    """Open one candidate in a fresh process and run a block: what it answered, and its peak memory in bytes."""
    with contextlib.closing(open_lane()) as lane:
        opened = lane.ask(order.open_request(config, None))
        lane.ask({"do": "block", "key": config.key, "duration_ns": round(block_seconds(config) * 1e9)})
        return opened, lane.ask({"do": "usage"})["peak_resident_bytes"]
