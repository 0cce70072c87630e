"""What samples and starts of a session come to: the one place for the live suite, its rows and every later report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ovbench import startup
from ovbench.campaign import Measurements
from ovbench.config import Cache, Config, Precision, uncached_twin
from ovbench.samples import Summary, summarize
from ovbench.startup import Start
from ovbench.stats import Estimate, ratio_estimate
from ovbench.verdict import Verdict, compare

# Band of a speed-up verdict on a host without a profile: our A/A ratios stay within it (docs/method.md).
NOISE_BAND = 0.02


def summary_of(measured: Measurements, config: Config) -> Summary | None:
    """Figures of a cell so far; None where nothing of it was measured."""
    if config not in measured.cells:
        return None
    return summarize(measured.samples(config), config.batch or 1)


def speedup_of(measured: Measurements, config: Config) -> Estimate | None:
    """Speed-up over FP32 with its interval; None for FP32 itself and where nothing was measured."""
    if config.precision is Precision.FP32 or config not in measured.cells:
        return None
    logs = measured.log_speedups(config)
    return ratio_estimate(logs) if logs else None


def verdict_of(measured: Measurements, speedup: Estimate | None) -> Verdict | None:
    """FASTER, SLOWER, SAME or UNSURE for a cell's speed-up over FP32; a busy machine is UNSURE."""
    if speedup is None:
        return None
    return Verdict.UNSURE if measured.busy else compare(inverse(speedup), NOISE_BAND)


def inverse(estimate: Estimate) -> Estimate:
    """The estimate of 1/x: a speed-up as a ratio of times, and back."""
    if estimate.low is None or estimate.high is None:
        return Estimate(1 / estimate.value, None, None, estimate.count)
    return Estimate(1 / estimate.value, 1 / estimate.high, 1 / estimate.low, estimate.count)


def start_fault_of(starts: Mapping[Config, Sequence[Start]], faults: Mapping[Config, str], config: Config) -> str:
    """Why the starts of a cell are no evidence, "" if they are: one failed, or the warm cache proved nothing."""
    if config in faults:
        return faults[config]
    if not starts.get(config):
        return "nothing was measured"
    if config.cache is not Cache.WARM:
        return ""
    return startup.cache_fault(starts.get(uncached_twin(config), ()), starts[config])


def cache_gain_of(starts: Mapping[Config, Sequence[Start]], config: Config) -> Estimate | None:
    """Time to the first answer without a cache / with a warm one, paired by round; None for all but warm cells."""
    if config.cache is not Cache.WARM:
        return None
    logs = startup.log_cache_gains(starts.get(uncached_twin(config), ()), starts.get(config, ()))
    return ratio_estimate(logs) if logs else None
