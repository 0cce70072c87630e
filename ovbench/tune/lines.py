"""A tuning as lines of the journal."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ovbench import machine
from ovbench.options import write_settings
from ovbench.race import race_fields
from ovbench.tune.limits import measured
from ovbench.tune.tuned import Tuned


def write_header(tuned: Tuned) -> None:
    """The journal's first line."""
    aim = tuned.aim
    tuned.journal.write(
        "session",
        tool="tune",
        settings=write_settings(aim.settings),
        goal=aim.goal.value,
        constraints=asdict(aim.constraints),
        seed=aim.settings.seed,
        machine=asdict(tuned.host),
        fingerprint=tuned.host.fingerprint_id,
        versions=dict(tuned.versions),
        commit=machine.commit(Path.cwd()),
    )


def write_candidates(tuned: Tuned) -> None:
    """A line for every candidate, with the figures that it has; none where nothing was measured."""
    if not tuned.journal.path.exists():
        return
    figures = tuned.race.all_figures(measured(tuned.race))
    for config, entrant in tuned.race.entrants.items():
        found = figures.get(config)
        tuned.journal.write("candidate", **race_fields(entrant), figures=None if found is None else asdict(found))


def tuned_fields(tuned: Tuned) -> dict[str, Any]:
    """The decision as plain values, for the journal and for --json."""
    found, race = tuned.pick, tuned.race
    assert found is not None, "told once it is decided"
    return {
        "goal": tuned.aim.goal.value,
        "pick": found.config.id,
        "config": found.config.axes,
        "effective": dict(tuned.opened["effective"]),
        "figures": asdict(found.figures),
        "cost_ns": asdict(found.cost),
        "runner_up": None if found.runner_up is None else found.runner_up.id,
        "margin": None if found.margin is None else asdict(found.margin),
        "verdict": found.verdict.value,
        "better": None if found.better is None else found.better.id,
        "peak_resident_bytes": tuned.peak_bytes[found.config],
        "constraints": [
            {**asdict(each), "limit": each.limit.value, "outcome": each.outcome.value} for each in tuned.statuses
        ],
        "front": [config.id for config in tuned.front],
        "bought": [
            {**asdict(each), "without": None if each.without is None else each.without.id} for each in tuned.bought
        ],
        "finalists": [config.id for config in race.finalists],
        "left_out": {precision.value: reason for precision, reason in tuned.left_out.items()},
        "lanes": race.lanes,
        "heat_lanes": race.heat_lanes,
        "rounds": race.rounds,
        "rejected": sorted(race.rejected),
        "notes": race.notes,
        "exhausted": race.exhausted,
        "wall_s": race.wall_s,
    }
