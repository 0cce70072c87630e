"""Floors: where each one comes from, and one figure of one cell held against it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from ovbench.config import Config, Mode
from ovbench.machine import Isa
from ovbench.options import Settings
from ovbench.policy import Policy, Target, Waiver
from ovbench.precision import QUANTIZED
from ovbench.stats import Estimate
from ovbench.verdict import SPEEDUP, Outcome, check_floor

# Floors of INT8's speed-up over FP32 on MobileNetV2 by instruction set, all under the least of OpenVINO's published
# ratios (docs/method.md names each): AVX2 1.2-2.1, AVX-VNNI 1.9-2.5, AVX512-VNNI 2.6-3.4, AMX 2.5-3.7.
THROUGHPUT_FLOOR = {Isa.AVX2: 1.1, Isa.AVX_VNNI: 1.5, Isa.AVX512_VNNI: 1.5, Isa.AMX: 1.5}
LATENCY_FLOOR = 1.0  # published figures give no paired latency
OTHER_FLOOR = 1.0

# What a gate says it holds -> the option of its floor; the policy file names it without "min_".
FLOOR_OPTIONS = {
    SPEEDUP: "min_speedup",
    "warm cache gain": "min_cache_gain",
    "top-1 agreement with FP32": "min_top1_agreement",
    "top-5 overlap with FP32": "min_top5_overlap",
}


@dataclass(frozen=True)
class Gate:
    """One figure of one cell held against its floor."""

    what: str
    config: Config
    estimate: Estimate
    floor: float
    outcome: Outcome
    waiver: Waiver | None = None

    @property
    def fails(self) -> bool:
        """Whether it is evidence that the floor is broken, and nobody has borne it."""
        return self.outcome is Outcome.FAILED and self.waiver is None


def speedup_floor(config: Config, given: float | None, embedded: bool, isa: Isa) -> float | None:
    """The floor that a cell's speed-up is held to: the one ``given``, or the model's; None for cells that have none."""
    if config.precision not in QUANTIZED:
        return None
    if given is not None:
        return given
    if not embedded:
        return OTHER_FLOOR
    return LATENCY_FLOOR if config.mode is Mode.SYNC else THROUGHPUT_FLOOR.get(isa, OTHER_FLOOR)


@dataclass(frozen=True)
class Rules:
    """What has a say in a floor: the options, the committed policy, and the day on which its waivers hold."""

    settings: Settings
    policy: Policy
    today: datetime.date

    def hold(self, what: str, config: Config, estimate: Estimate, floor: float, instead: Outcome | None = None) -> Gate:
        """Judge a figure against its floor; ``instead`` is the outcome where nothing can be evidence.

        A floor of the policy file takes the place of a default one; an option with another value than its default
        beats both.
        """
        option = FLOOR_OPTIONS[what]
        target = Target(config.model, config.id, option.removeprefix("min_"))
        if getattr(self.settings, option) == getattr(Settings(), option):
            named = self.policy.floor(target)
            floor = floor if named is None else named
        outcome = check_floor(estimate, floor) if instead is None else instead
        waiver = self.policy.waiver(target, self.today) if outcome is Outcome.FAILED else None
        return Gate(what, config, estimate, floor, outcome, waiver)
