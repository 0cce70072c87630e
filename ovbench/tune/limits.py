"""Who holds the constraints: who clearly breaks one, who may lead, who is left to pick from, what is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ovbench.agreement import Agreement
from ovbench.config import Config, Precision
from ovbench.errors import BadOption
from ovbench.race import Race
from ovbench.stats import Estimate, quantile
from ovbench.tune.asked import Constraints, Limit
from ovbench.tune.lateness import LATE_SHARE, all_latencies_ns, kept_blocks, late_share, surely_too_many
from ovbench.verdict import Outcome, check_floor

LEAD_CONFIDENCE = 0.8  # of "too many are late" while racing: one late in 40 bars nobody from the finals, two do
MIN_LATE_BLOCKS = 2  # a single one may have been an accident that nobody measured
NOBODY: Mapping[Config, int] = MappingProxyType({})


# -------------------------------------------------------------------------------------------------- while they race


def violation(race: Race, constraints: Constraints, config: Config) -> str:
    """Why a candidate clearly breaks a constraint, in one phrase; "" where it does not, or none can say yet."""
    for limit, asked in constraints.asked.items():
        if limit is Limit.P99:
            late = late_share(race, config, asked)
            if surely_too_many(late) and len(kept_blocks(race, config)) >= MIN_LATE_BLOCKS:
                return f"{late.value:.0%} of its inferences take longer than {asked / 1e6:g} ms"
        elif not holds(race, config, limit, asked):
            entrant = race.entrants[config]
            runs, takes = f"runs {entrant.threads} threads", f"takes {entrant.memory_bytes / 1e6:.0f} MB and more"
            return runs if limit is Limit.THREADS else takes
    return ""


def may_hold(race: Race, constraints: Constraints, config: Config) -> bool:
    """Whether a candidate may lead a race: it holds every constraint, or few inferences cannot tell that it does not.

    Early on a single late inference of a dozen is far above 1 %, and says little.
    """
    return all(
        not surely_too_many(late_share(race, config, asked, LEAD_CONFIDENCE))
        if limit is Limit.P99
        else holds(race, config, limit, asked)
        for limit, asked in constraints.asked.items()
    )


def holds(race: Race, config: Config, limit: Limit, asked: float) -> bool:
    """Whether a candidate holds a constraint by the race's point estimates; agreement was seen to before it.

    What a candidate added to a process that held others only tells who is surely too large.
    """
    if limit is Limit.THREADS:
        return race.entrants[config].threads <= asked
    if limit is Limit.MEMORY:
        return race.entrants[config].memory_bytes <= asked
    if limit is Limit.P99:
        late = late_share(race, config, asked)
        return late is not None and late.value <= LATE_SHARE
    return True


# ---------------------------------------------------------------------------------------------- who is left to pick


def holding(race: Race, constraints: Constraints, too_large: Mapping[Config, int] = NOBODY) -> list[Config]:
    """All that were measured and hold every constraint, in the race's order. Raises BadOption where nobody does.

    ``too_large``: peaks of processes of their own that are beyond --max-memory. The refusal names the first constraint
    that nobody is left to hold, and the nearest that is possible.
    """
    left = race.measured
    for limit, asked in constraints.asked.items():
        held = [config for config in left if holds(race, config, limit, asked)]
        if limit is Limit.MEMORY:
            held = [config for config in held if config not in too_large]
        if left and not held:
            raise BadOption(_refusal(race, limit, asked, left, too_large))
        left = held
    return left


def _refusal(race: Race, limit: Limit, asked: float, left: Sequence[Config], too_large: Mapping[Config, int]) -> str:
    """The line that says that nobody holds a limit; agreement was seen to before the race."""
    if limit is Limit.MEMORY:
        return memory_refusal(
            asked, {config: too_large.get(config, race.entrants[config].memory_bytes) for config in left}
        )
    if limit is Limit.THREADS:
        threads = {config: race.entrants[config].threads for config in left}
        nearest = min(threads, key=threads.__getitem__)
        return _none_holds(limit, f"{asked:g}", f"{threads[nearest]}", nearest)
    tails = {config: float(np.quantile(all_latencies_ns(race, config), 1 - LATE_SHARE)) for config in left}
    nearest = min(tails, key=tails.__getitem__)
    busy = "; the machine was busy, ask again when it is not" if race.busy else ""
    return _none_holds(limit, f"{asked / 1e6:g}ms", f"{tails[nearest] / 1e6:.3g} ms", nearest) + busy


def memory_refusal(asked_bytes: float, peaks: Mapping[Config, int]) -> str:
    """The line that says that no candidate holds --max-memory, and which of these comes nearest."""
    nearest = min(peaks, key=peaks.__getitem__)
    return _none_holds(Limit.MEMORY, f"{asked_bytes / 1e6:.3g}MB", f"{peaks[nearest] / 1e6:.0f} MB", nearest)


def _none_holds(limit: Limit, asked: str, possible: str, nearest: Config) -> str:
    return f"{limit.value} {asked}: no candidate holds it; the nearest is {possible}: {nearest.id}"


# ------------------------------------------------------------------------------------------------ how the pick stands


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


def statuses(
    race: Race,
    constraints: Constraints,
    config: Config,
    agreements: Mapping[Precision, Agreement],
    peak_bytes: int | None,
) -> tuple[Status, ...]:
    """Every constraint that was asked for, and how a pick stands to it; ``peak_bytes`` of a process of its own."""
    found = []
    for limit, asked in reversed(constraints.asked.items()):
        if limit is Limit.P99:
            value, reason = _p99_shown(race, config, asked)
        elif limit is Limit.AGREEMENT:
            value, reason = _agreement_shown(agreements.get(config.precision), asked)
        elif limit is Limit.MEMORY:
            value = peak_bytes
            reason = "" if peak_bytes is not None else "this system does not tell the peak of a process"
        else:
            value, reason = race.entrants[config].threads, ""
        found.append(Status(limit, asked, value, Outcome.UNSURE if reason else Outcome.HELD, reason))
    return tuple(found)


def _p99_shown(race: Race, config: Config, asked_ns: float) -> tuple[float | None, str]:
    """A pick's p99, and why it is not shown to hold, "" if it is."""
    late = late_share(race, config, asked_ns)
    assert late is not None, "what is picked was measured"
    assert late.high is not None, "a share has an interval"
    reason = "" if late.high <= LATE_SHARE else f"{late.value:.2%} were late, and up to {late.high:.1%} may be"
    return quantile(all_latencies_ns(race, config), 1 - LATE_SHARE), reason


def _agreement_shown(agreement: Agreement | None, asked: float) -> tuple[float, str]:
    """A pick's agreement (None: it is FP32 itself), and why it is not shown to hold, "" if it is."""
    share = Estimate(1.0, 1.0, 1.0, 1) if agreement is None else agreement.top1
    shown = check_floor(share, asked) is Outcome.HELD
    return share.value, "" if shown else f"{share.count} pictures show at least {share.low:.3f}"
