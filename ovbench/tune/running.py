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
from ovbench.tune.asked import check_aim
from ovbench.tune.choice import pareto, pick
from ovbench.tune.gains import plain_hint, what_axes_bought
from ovbench.tune.limits import may_hold, statuses, violation
from ovbench.tune.lines import tuned_fields, write_candidates, write_header
from ovbench.tune.memory import check_memory, open_alone
from ovbench.tune.preparing import ModelFiles, Progress, leave_out_disagreeing, order_of, resolve
from ovbench.tune.tuned import Decision, Tuned, Tuning


def tune(
    tuning: Tuning,
    cache: ArtifactCache,
    progress: Progress,
    open_lane: OpenLane = Lane,
    clock: Clock = time.monotonic,
) -> Tuned:
    """Answer what was asked. On Ctrl-C all finished rounds are in the tuning's race and in its journal.

    Raises BadInput: a model, precision or option that cannot be had, a budget under one round, impossible constraints.
    """
    aim, constraints = tuning.aim, tuning.aim.constraints
    check_aim(aim)
    files = resolve(aim, cache, progress)
    order = order_of(files, aim, tuning.host)  # refused before agreement takes its minutes
    if constraints.min_agreement is not None:
        files = leave_out_disagreeing(files, aim.settings, constraints.min_agreement, progress)
        order = order_of(files, aim, tuning.host)
    if constraints.max_memory_bytes is not None:
        check_memory(order, constraints.max_memory_bytes, open_lane)
    try:
        race_candidates(tuning, order, progress, open_lane, clock)
    finally:
        write_candidates(tuning)
    decision = decide(tuning, files, order, progress, open_lane)
    tuned = Tuned(
        aim, tuning.journal, tuning.race, tuning.band, tuning.host, tuning.versions,
        files=files, order=order, decision=decision,
    )  # fmt: skip
    tuning.journal.write("tuned", **tuned_fields(tuned))
    return tuned


def race_candidates(tuning: Tuning, order: Order, progress: Progress, open_lane: OpenLane, clock: Clock) -> None:
    """Race the candidates; what a lane measured is in the journal as it ends. Raises BadModel where all are faults."""
    race, constraints, journal = tuning.race, tuning.aim.constraints, tuning.journal
    rules = Rules(
        violates=partial(violation, race, constraints),
        holds=partial(may_hold, race, constraints),
        beside=partial(plain_hint, race),
    )

    def keep(config: Config, replicate: Replicate) -> None:
        if not journal.path.exists():
            write_header(tuning)
        rejected = sorted(number for lane, number in race.rejected if lane == replicate.lane)
        journal.write("replicate", **records.replicate_fields(config, replicate), rejected=rejected)

    with progress("Tune") as advance:
        run_race(order, race, open_lane, clock, rules, on_progress=advance, on_replicate=keep)
    if not race.measured:
        faults = [entrant.fault for entrant in race.entrants.values() if entrant.fault]
        reason = faults[0] if faults else race.exhausted or "nothing was measured"
        raise BadModel(f"no candidate of {order.configs[0].model} runs here: {reason}")


def decide(tuning: Tuning, files: ModelFiles, order: Order, progress: Progress, open_lane: OpenLane) -> Decision:
    """Pick, and see in a process of its own what memory that takes; who takes too much leaves the place to the next."""
    race, constraints = tuning.race, tuning.aim.constraints
    too_large: dict[Config, int] = {}
    with progress("Pick") as advance:
        while True:
            found = pick(race, constraints, too_large, tuning.band)
            advance(len(too_large) / len(race.entrants), found.config.id)
            opened, peak = open_alone(order, found.config, open_lane)
            if constraints.max_memory_bytes is None or peak is None or peak <= constraints.max_memory_bytes:
                break
            too_large[found.config] = peak
    return Decision(
        found,
        opened,
        peak,
        statuses(race, constraints, found.config, files.agreements, peak),
        pareto(race),
        what_axes_bought(race, constraints, found.config),
    )
