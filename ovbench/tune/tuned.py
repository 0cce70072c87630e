"""What one tuning is given, and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ovbench import hosts, machine, records
from ovbench.campaign import Order
from ovbench.config import Config
from ovbench.race import Race
from ovbench.tune.asked import Aim
from ovbench.tune.choice import Pick
from ovbench.tune.gains import Bought
from ovbench.tune.limits import Status
from ovbench.tune.preparing import ModelFiles


@dataclass(frozen=True)
class Tuning:
    """A tuning as it goes: what was asked, on which machine, and the race, of which an interrupted one can tell."""

    aim: Aim
    journal: records.Journal
    race: Race
    band: float = hosts.DEFAULT_BAND
    host: machine.Machine = field(default_factory=machine.fingerprint)
    versions: Mapping[str, str | None] = field(default_factory=machine.library_versions)


@dataclass(frozen=True)
class Decision:
    """What to deploy, and what it is worth.

    ``opened`` is what a fresh process answered that opened just the pick and ran a block, and the peak is of that
    process; None where the system does not tell.
    """

    pick: Pick
    opened: Mapping[str, Any]
    peak_resident_bytes: int | None
    statuses: tuple[Status, ...]
    front: tuple[Config, ...]
    bought: tuple[Bought, ...]


@dataclass(frozen=True, kw_only=True)
class Tuned(Tuning):
    """A tuning that has come to its decision."""

    files: ModelFiles
    order: Order
    decision: Decision
