"""A tuning as lines of the journal."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ovbench import machine
from ovbench.options import write_settings
from ovbench.race import race_fields
from ovbench.tune.tuned import Tuned, Tuning


def write_header(tuning: Tuning) -> None:
    """The journal's first line."""
    aim = tuning.aim
    tuning.journal.write(
        "session",
        tool="tune",
        settings=write_settings(aim.settings),
        goal=aim.goal.value,
        constraints=asdict(aim.constraints),
        seed=aim.settings.seed,
        machine=asdict(tuning.host),
        fingerprint=tuning.host.fingerprint_id,
        versions=dict(tuning.versions),
        commit=machine.commit(Path.cwd()),
    )


def write_candidates(tuning: Tuning) -> None:
    """A line for every candidate, with the figures that it has; none where nothing was measured."""
    race, journal = tuning.race, tuning.journal
    if not journal.path.exists():
        return
    figures = race.all_figures(race.measured)
    for config, entrant in race.entrants.items():
        found = figures.get(config)
        journal.write("candidate", **race_fields(entrant), figures=None if found is None else asdict(found))


def tuned_fields(tuned: Tuned) -> dict[str, Any]:
    """The decision as plain values, for the journal and for --json."""
    decision, found, race = tuned.decision, tuned.decision.pick, tuned.race
    return {
        "goal": tuned.aim.goal.value,
        "pick": found.config.id,
        "config": found.config.axes,
        "effective": dict(decision.opened["effective"]),
        "figures": asdict(found.figures),
        "cost_ns": asdict(found.cost),
        "runner_up": None if found.runner_up is None else found.runner_up.id,
        "margin": None if found.margin is None else asdict(found.margin),
        "verdict": found.verdict.value,
        "better": None if found.better is None else found.better.id,
        "peak_resident_bytes": decision.peak_resident_bytes,
        "constraints": [
            {**asdict(each), "limit": each.limit.value, "outcome": each.outcome.value} for each in decision.statuses
        ],
        "front": [config.id for config in decision.front],
        "bought": [
            {**asdict(each), "without": None if each.without is None else each.without.id} for each in decision.bought
        ],
        "finalists": [config.id for config in race.finalists],
        "left_out": {precision.value: reason for precision, reason in tuned.files.left_out.items()},
        "lanes": race.lanes,
        "heat_lanes": race.heat_lanes,
        "rounds": race.rounds,
        "rejected": sorted(race.rejected),
        "notes": race.notes,
        "exhausted": race.exhausted,
        "wall_s": race.wall_s,
    }
