"""The race: candidates side by side in interleaved rounds; the dominated drop out, the survivors get the time."""

from __future__ import annotations

from ovbench.race.effects import DROP_ERRORS, LANE_SD, MIN_BLOCK_SD, MIN_ROUNDS_TO_DROP, RoundKey
from ovbench.race.running import FINALS_SHARE, MAX_FINALISTS, run_race
from ovbench.race.standing import Entrant, Figures, Goal, Race, race_fields

__all__ = [
    "DROP_ERRORS",
    "FINALS_SHARE",
    "LANE_SD",
    "MAX_FINALISTS",
    "MIN_BLOCK_SD",
    "MIN_ROUNDS_TO_DROP",
    "Entrant",
    "Figures",
    "Goal",
    "Race",
    "RoundKey",
    "race_fields",
    "run_race",
]
