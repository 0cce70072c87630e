"""All that one tuning knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ovbench import hosts, machine, records
from ovbench.agreement import Agreement
from ovbench.campaign import Order
from ovbench.config import Config, Precision
from ovbench.models.source import Source
from ovbench.precision import Variant
from ovbench.race import Race
from ovbench.tune.asked import Aim
from ovbench.tune.choice import Pick
from ovbench.tune.gains import Bought
from ovbench.tune.limits import Status


@dataclass
class Tuned:
    """All that one tuning knows; filled as it goes, so that an interrupted one can say what it has."""

    aim: Aim
    journal: records.Journal
    band: float = hosts.DEFAULT_BAND
    host: machine.Machine = field(default_factory=machine.fingerprint)
    versions: Mapping[str, str | None] = field(default_factory=machine.library_versions)
    race: Race = field(init=False)
    source: Source | None = None
    variants: dict[Precision, Variant] = field(default_factory=dict)
    left_out: dict[Precision, str] = field(default_factory=dict)
    agreements: dict[Precision, Agreement] = field(default_factory=dict)
    order: Order | None = None
    peak_bytes: dict[Config, int | None] = field(default_factory=dict)
    """Of a fresh process that opened just this one and ran a block; None where the system does not tell."""
    opened: Mapping[str, Any] = field(default_factory=dict)
    """What that process answered when it opened the pick."""
    pick: Pick | None = None
    statuses: tuple[Status, ...] = ()
    front: tuple[Config, ...] = ()
    bought: tuple[Bought, ...] = ()

    def __post_init__(self) -> None:
        self.race = Race(goal=self.aim.goal)
