"""A test's own floor, held against what was measured of its cell, or of its two sides."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ovbench.config import AUTO, Config, Hint, Mode
from ovbench.models.names import name_of

if TYPE_CHECKING:  # sessions without our fixtures import nothing of it
    from ovbench.ab import Answer
    from ovbench.floors import Gate
    from ovbench.suite import Suite


def hold_speedup(suite: Suite, config: Config, floor: float) -> Gate | None:
    """Hold a cell's speed-up over FP32 against the floor that its test names; None where there is no figure.

    The test is the nearest to it, so its floor goes before --ov-min-speedup and the policy file, whose waivers hold.
    """
    from ovbench.floors import Rules
    from ovbench.verdict import SPEEDUP, Outcome

    estimate = suite.speedup(config)
    if estimate is None:
        return None
    rules = Rules(replace(suite.settings, min_speedup=floor), suite.policy, suite.today)
    gate = rules.hold(SPEEDUP, config, estimate, floor, Outcome.UNSURE if suite.measured.busy else None)
    _keep(suite, gate)
    return gate


def hold_answer(suite: Suite, answer: Answer, floor: float) -> Gate | None:
    """Hold a paired answer's speed-up of B over A against the floor that its test names; None where there is no figure.

    It is of B's cell, by which the policy file's waivers know it.
    """
    from ovbench.ab import METRICS
    from ovbench.floors import FLOOR_OPTIONS, Gate
    from ovbench.policy import Target
    from ovbench.story.figures import inverse
    from ovbench.verdict import SPEEDUP, Outcome, check_floor

    question, found = answer.question, answer.metrics[0]
    if found.estimate is None:
        return None
    synchronous = METRICS[found.metric] is Mode.SYNC
    config = Config(
        model=name_of(question.b.model or question.model),
        device=question.device,
        precision=question.b.precision or question.precision,
        hint=Hint.LATENCY if synchronous else Hint.THROUGHPUT,
        streams=1 if synchronous else AUTO,
    )
    speedup = inverse(found.estimate)
    outcome = Outcome.UNSURE if found.reason else check_floor(speedup, floor)
    target = Target(config.model, config.id, FLOOR_OPTIONS[SPEEDUP].removeprefix("min_"))
    waiver = suite.policy.waiver(target, suite.today) if outcome is Outcome.FAILED else None
    gate = Gate(f"speed-up of {question.b.text} over {question.a.text}", config, speedup, floor, outcome, waiver)
    _keep(suite, gate)
    return gate


def _keep(suite: Suite, gate: Gate) -> None:
    """For the end of the run, and for later reports; once, where several tests hold one cell to the same floor."""
    from ovbench.story.lines import gate_fields

    if gate not in suite.gates:
        suite.gates.append(gate)
        suite.journal.write("floor", **gate_fields(gate))
