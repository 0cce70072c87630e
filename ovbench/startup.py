"""Start-up: import, read, compile and first inference, each in a fresh process, cache states interleaved."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ovbench.campaign import OpenLane, Order
from ovbench.config import Cache, Config
from ovbench.errors import ContestantRefused, LaneError
from ovbench.rounds import shuffled

PROCESSES = 5  # the least that gives an interval (ovbench.stats.MIN_REPLICATES)


@dataclass(frozen=True)
class Start:
    """One fresh process of one cell. ``peak_resident_bytes`` is VmHWM, None where /proc is missing."""

    round: int
    import_ns: int
    read_ns: int
    compile_ns: int
    first_inference_ns: int
    peak_resident_bytes: int | None
    loaded_from_cache: bool
    digest: str

    @property
    def total_ns(self) -> int:
        """From the model file to the first answer; importing is the same for all and left out."""
        return self.read_ns + self.compile_ns + self.first_inference_ns


def measure_startup(
    configs: Sequence[Config],
    order: Order,
    open_lane: OpenLane,
    cache_root: Path,
    on_start: Callable[[Config, Start | str], None],
    processes: int = PROCESSES,
) -> None:
    """Start every cell ``processes`` times, one round after another in shuffled order.

    ``on_start`` gets each start as it ends, or one line saying why there is none. Cold rows get an empty CACHE_DIR of
    their own each time; warm rows one that an unmeasured process has filled.
    """
    warm_dirs = {config: cache_root / f"warm-{number}" for number, config in enumerate(configs)}
    for config in configs:
        if config.cache is Cache.WARM:
            _start(order, config, warm_dirs[config], open_lane, 0)
    for number in range(processes):
        for config in shuffled(list(configs), order.seed, -1, number):
            cold = cache_root / f"cold-{number}-{config.model}-{config.id}"
            cache_dir = {Cache.OFF: None, Cache.COLD: cold, Cache.WARM: warm_dirs[config]}[config.cache]
            on_start(config, _start(order, config, cache_dir, open_lane, number))


def _start(order: Order, config: Config, cache_dir: Path | None, open_lane: OpenLane, number: int) -> Start | str:
    try:
        with contextlib.closing(open_lane()) as lane:
            answer = lane.ask({**order.open_request(config, cache_dir), "do": "startup"})
    except (LaneError, ContestantRefused) as error:
        return str(error)
    return Start(round=number, **answer)


def log_cache_gains(uncached: Sequence[Start], warm: Sequence[Start]) -> tuple[float, ...]:
    """Log of time without / time with a warm cache, one per round that has both."""
    without: Mapping[int, Start] = {start.round: start for start in uncached}
    return tuple(math.log(without[start.round].total_ns / start.total_ns) for start in warm if start.round in without)


def cache_fault(uncached: Sequence[Start], warm: Sequence[Start]) -> str:
    """What disproves the warm row: not loaded from the cache, or other outputs; "" if nothing does."""
    if not all(start.loaded_from_cache for start in warm):
        return "a warm start did not load from the model cache (LOADED_FROM_CACHE is false)"
    if len({start.digest for start in (*uncached, *warm)}) > 1:
        return "outputs of a model loaded from the cache differ from those without a cache"
    return ""
