"""Who holds the constraints: who clearly breaks one, who may lead, who is left to pick from, what is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np

from ovbench.agreement import Agreement
from ovbench.config import Config, Precision
from ovbench.errors import BadOption
from ovbench.race import Race
from ovbench.stats import Estimate, quantile
from ovbench.tune.asked import Constraints, Limit
from ovbench.tune.lateness import LATE_SHARE, all_latencies_ns, kept_blocks, late_share
from ovbench.verdict import Outcome, check_floor

LEAD_CONFIDENCE = 0.8  # of "too many are late" while racing: one late in 40 bars nobody from the finals, two do
MIN_LATE_BLOCKS = 2  # a single one may have been an accident that nobody measured
NOBODY: Mapping[Config, int] = MappingProxyType({})


@dataclass(frozen=True)
class Status:
    """How the pick stands to one constraint; limit and value in ns, share, bytes or threads, None: cannot be said.

    HELD is shown; UNSURE holds by its point estimate, and ``reason`` says what is not shown.
    """

    limit: Limit
    asked: float
    value: float | None
    outcome: Outcome
    reason: str = ""


def threads_of(race: Race, config: Config) -> int:
    """Threads that run it, as OpenVINO reads them back; 0 where the device does not tell."""
    return int(race.entrants[config].effective.get("threads") or 0)


def streams_of(race: Race, config: Config) -> int:
    """Streams that run it, as OpenVINO reads them back; 0 where the device does not tell."""
    return int(race.entrants[config].effective.get("streams") or 0)


def violation(race: Race, constraints: Constraints, config: Config) -> str:
    """Why a candidate clearly breaks a constraint, in one phrase; "" where it does not, or none can say yet."""
    if not holds(race, constraints, config, Limit.THREADS):
        return f"runs {threads_of(race, config)} threads"
    if not holds(race, constraints, config, Limit.MEMORY):
        return f"takes {race.entrants[config].memory_bytes / 1e6:.0f} MB and more"
    if constraints.p99_ns is not None and len(kept_blocks(race, config)) >= MIN_LATE_BLOCKS:
        late = late_share(race, config, constraints.p99_ns)
        if late is not None and late.low is not None and late.low > LATE_SHARE:
            return f"{late.value:.0%} of its inferences take longer than {constraints.p99_ns / 1e6:g} ms"
    return ""


def holds(race: Race, constraints: Constraints, config: Config, limit: Limit) -> bool:
    """Whether a candidate holds a constraint by the race's point estimates; agreement was seen to before it.

    What a candidate added to a process that held others only tells who is surely too large.
    """
    if limit is Limit.THREADS and constraints.max_threads is not None:
        return threads_of(race, config) <= constraints.max_threads
    if limit is Limit.MEMORY and constraints.max_memory_bytes is not None:
        return race.entrants[config].memory_bytes <= constraints.max_memory_bytes
    if limit is Limit.P99 and constraints.p99_ns is not None:
        late = late_share(race, config, constraints.p99_ns)
        return late is not None and late.value <= LATE_SHARE
    return True


def may_hold(race: Race, constraints: Constraints, config: Config) -> bool:
    """Whether a candidate may lead a race: it holds every constraint, or few inferences cannot tell that it does not.

    Early on a single late inference of a dozen is far above 1 %, and says little.
    """
    if constraints.p99_ns is not None:
        late = late_share(race, config, constraints.p99_ns, LEAD_CONFIDENCE)
        if late is None or late.low is None or late.low > LATE_SHARE:
            return False
    return all(holds(race, constraints, config, limit) for limit in (Limit.THREADS, Limit.MEMORY))


def measured(race: Race) -> list[Config]:
    """All candidates that have samples of their own."""
    return [config for config, entrant in race.entrants.items() if entrant.distinct and race.samples(config)]


def holding(race: Race, constraints: Constraints, too_large: Mapping[Config, int] = NOBODY) -> list[Config]:
    """All that were measured and hold every constraint, in the race's order. Raises BadOption where nobody does.

    ``too_large``: peaks of processes of their own that are beyond --max-memory. The refusal names the first constraint
    that nobody is left to hold, and the nearest that is possible.
    """
    left = measured(race)
    for limit in Limit:
        held = [config for config in left if holds(race, constraints, config, limit)]
        if limit is Limit.MEMORY:
            held = [config for config in held if config not in too_large]
        if left and not held:
            raise BadOption(_refusal(race, constraints, limit, left, too_large))
        left = held
    return left


def _refusal(
    race: Race, constraints: Constraints, limit: Limit, left: Sequence[Config], too_large: Mapping[Config, int]
) -> str:
    if limit is Limit.MEMORY:
        peaks = {config: too_large.get(config, race.entrants[config].memory_bytes) for config in left}
        return memory_refusal(constraints, peaks)
    if limit is Limit.THREADS:
        nearest = min(left, key=partial(threads_of, race))
        return _none_holds(limit, f"{constraints.max_threads}", f"{threads_of(race, nearest)}", nearest)
    assert constraints.p99_ns is not None, "only what is asked for can be broken"
    tails = {config: float(np.quantile(all_latencies_ns(race, config), 1 - LATE_SHARE)) for config in left}
    nearest = min(tails, key=tails.__getitem__)
    busy = "; the machine was busy, ask again when it is not" if race.busy else ""
    return _none_holds(limit, f"{constraints.p99_ns / 1e6:g}ms", f"{tails[nearest] / 1e6:.3g} ms", nearest) + busy


def memory_refusal(constraints: Constraints, peaks: Mapping[Config, int]) -> str:
    """The line that says that no candidate holds --max-memory, and which of these comes nearest."""
    nearest = min(peaks, key=peaks.__getitem__)
    asked = (constraints.max_memory_bytes or 0) / 1e6
    return _none_holds(Limit.MEMORY, f"{asked:.3g}MB", f"{peaks[nearest] / 1e6:.0f} MB", nearest)


def _none_holds(limit: Limit, asked: str, possible: str, nearest: Config) -> str:
    return f"{limit.value} {asked}: no candidate holds it; the nearest is {possible}: {nearest.id}"


def statuses(
    race: Race,
    constraints: Constraints,
    config: Config,
    agreements: Mapping[Precision, Agreement],
    peak_bytes: int | None,
) -> tuple[Status, ...]:
    """Every constraint that was asked for, and how a pick stands to it; ``peak_bytes`` of a process of its own."""
    found = []
    if constraints.p99_ns is not None:
        late = late_share(race, config, constraints.p99_ns)
        assert late is not None, "what is picked was measured"
        assert late.high is not None, "a share has an interval"
        p99_ns = quantile(all_latencies_ns(race, config), 1 - LATE_SHARE)
        shown = late.high <= LATE_SHARE
        reason = "" if shown else f"{late.value:.2%} were late, and up to {late.high:.1%} may be"
        found.append(_status(Limit.P99, constraints.p99_ns, p99_ns, shown, reason))
    if constraints.min_agreement is not None:
        agreement = agreements.get(config.precision)
        share = Estimate(1.0, 1.0, 1.0, 1) if agreement is None else agreement.top1
        shown = check_floor(share, constraints.min_agreement) is Outcome.HELD
        reason = "" if shown else f"{share.count} pictures show at least {share.low:.3f}"
        found.append(_status(Limit.AGREEMENT, constraints.min_agreement, share.value, shown, reason))
    if constraints.max_memory_bytes is not None:
        shown = peak_bytes is not None
        reason = "" if shown else "this system does not tell the peak of a process"
        found.append(_status(Limit.MEMORY, constraints.max_memory_bytes, peak_bytes, shown, reason))
    if constraints.max_threads is not None:
        found.append(_status(Limit.THREADS, constraints.max_threads, threads_of(race, config), True, ""))
    return tuple(found)


def _status(limit: Limit, asked: float, value: float | None, shown: bool, reason: str) -> Status:
    return Status(limit, asked, value, Outcome.HELD if shown else Outcome.UNSURE, reason)
