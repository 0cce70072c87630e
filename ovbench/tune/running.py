"""A tuning from end to end: prepared, raced, decided, and all of it in the journal."""

from __future__ import annotations

import time
from functools import partial

from ovbench import records
from ovbench.artifacts import ArtifactCache
from ovbench.campaign import Clock, OpenLane, Order
from ovbench.config import Config
from ovbench.errors import BadModel
from ovbench.lanes import Lane
from ovbench.race import Rules, run_race
from ovbench.samples import Replicate
from ovbench.tune.asked import check
from ovbench.tune.choice import pareto, pick
from ovbench.tune.gains import plain_hint, what_axes_bought
from ovbench.tune.limits import may_hold, measured, statuses, violation
from ovbench.tune.lines import tuned_fields, write_candidates, write_header
from ovbench.tune.memory import check_memory, open_alone
from ovbench.tune.preparing import Progress, leave_out_disagreeing, order_of, resolve
from ovbench.tune.tuned import Tuned


def tune(
    tuned: Tuned,
    cache: ArtifactCache,
    progress: Progress,
    open_lane: OpenLane = Lane,
    clock: Clock = time.monotonic,
) -> None:
    """Answer what was asked, into ``tuned`` as it goes. On Ctrl-C all finished rounds are in it and in the journal.

    Raises BadInput: a model, precision or option that cannot be had, a budget under one round, impossible constraints.
    """
    check(tuned.aim)
    resolve(tuned, cache, progress)
    tuned.order = order_of(tuned)
    if tuned.aim.constraints.min_agreement is not None:
        leave_out_disagreeing(tuned, progress)
        tuned.order = order_of(tuned)
    if tuned.aim.constraints.max_memory_bytes is not None:
        check_memory(tuned, open_lane)
    try:
        run(tuned, tuned.order, progress, open_lane, clock)
    finally:
        write_candidates(tuned)
    decide(tuned, tuned.order, progress, open_lane)
    tuned.journal.write("tuned", **tuned_fields(tuned))


def run(tuned: Tuned, order: Order, progress: Progress, open_lane: OpenLane, clock: Clock) -> None:
    """Race the candidates; what a lane measured is in the journal as it ends. Raises BadModel where all are faults."""
    race, constraints = tuned.race, tuned.aim.constraints
    rules = Rules(
        violates=partial(violation, race, constraints),
        holds=partial(may_hold, race, constraints),
        beside=partial(plain_hint, race),
    )

    def keep(config: Config, replicate: Replicate) -> None:
        if not tuned.journal.path.exists():
            write_header(tuned)
        rejected = sorted(number for lane, number in race.rejected if lane == replicate.lane)
        tuned.journal.write("replicate", **records.replicate_fields(config, replicate), rejected=rejected)

    with progress("Tune") as advance:
        run_race(
            order,
            race,
            open_lane,
            clock,
            rules,
            on_progress=advance,
            on_replicate=keep,
        )
    if not measured(race):
        faults = [entrant.fault for entrant in race.entrants.values() if entrant.fault]
        reason = faults[0] if faults else race.exhausted or "nothing was measured"
        raise BadModel(f"no candidate of {order.configs[0].model} runs here: {reason}")


def decide(tuned: Tuned, order: Order, progress: Progress, open_lane: OpenLane) -> None:
    """Pick, and see in a process of its own what memory that takes; who takes too much leaves the place to the next."""
    race, constraints = tuned.race, tuned.aim.constraints
    too_large: dict[Config, int] = {}
    with progress("Pick") as advance:
        while True:
            found = pick(race, constraints, too_large, tuned.band)
            advance(len(too_large) / len(race.entrants), found.config.id)
            tuned.opened, peak = open_alone(order, found.config, open_lane)
            tuned.peak_bytes[found.config] = peak
            if constraints.max_memory_bytes is None or peak is None or peak <= constraints.max_memory_bytes:
                break
            too_large[found.config] = peak
    tuned.pick = found
    tuned.statuses = statuses(race, constraints, found.config, tuned.agreements, peak)
    tuned.front = pareto(race)
    tuned.bought = what_axes_bought(race, constraints, found.config)
