"""The race: candidates side by side in interleaved rounds; the dominated drop out, the survivors get the time.

``standing`` is what is known of it and ``effects`` the thought about it; ``course`` has its rules and its clock,
``bank`` its lanes; ``heats`` and ``finals`` are its parts, ``running`` runs them.
"""

from __future__ import annotations

from ovbench.race.course import MAX_FINALISTS, Rules
from ovbench.race.effects import DROP_ERRORS, LANE_SD, MIN_BLOCK_SD, MIN_ROUNDS_TO_DROP, RoundKey
from ovbench.race.heats import FINALS_SHARE
from ovbench.race.running import run_race
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
    "Rules",
    "race_fields",
    "run_race",
]
