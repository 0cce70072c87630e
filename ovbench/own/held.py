"""A test's own floor, held against what was measured of its cell, or of its two sides."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ovbench.config import Config

if TYPE_CHECKING:  # sessions without our fixtures import nothing of it
    from ovbench.floors import Gate
    from ovbench.suite import Suite


def hold_speedup(suite: Suite, config: Config, floor: float) -> Gate | None:
    """Hold a cell's speed-up over FP32 against the floor that its test names; None where there is no figure.

    The test is the nearest to it, so its floor goes before --ov-min-speedup and the policy file, whose waivers hold.
    """
    from ovbench.floors import SPEEDUP, Rules
    from ovbench.verdict import Outcome

    estimate = suite.speedup(config)
    if estimate is None:
        return None
    rules = Rules(replace(suite.settings, min_speedup=floor), suite.policy, suite.today)
    gate = rules.hold(SPEEDUP, config, estimate, floor, Outcome.UNSURE if suite.measured.busy else None)
    keep(suite, gate)
    return gate


def keep(suite: Suite, gate: Gate) -> None:
    """For the end of the run, and for later reports; once, where several tests hold one cell to the same floor."""
    from ovbench.story.lines import gate_fields

    if gate not in suite.gates:
        suite.gates.append(gate)
        suite.journal.write("floor", **gate_fields(gate))
