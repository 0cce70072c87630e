"""What a failed gate says: the figure, the floor, how to see it again, and what differs between the two sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovbench.config import Config, fp32_partner
from ovbench.floors import Gate
from ovbench.precision import describe_shares
from ovbench.report.numbers import counted, percent, ratio

if TYPE_CHECKING:  # a report of a journal has none
    from ovbench.suite import Suite

SHARES = ("agreement", "overlap")


def gate_text(gate: Gate, several_models: bool = False) -> str:
    """``INT8-LATENCY-1-off: speed-up over FP32 0.93 [0.91, 0.95], floor 1.00: FAILED``; the model before it."""
    share = any(word in gate.what for word in SHARES)
    figure = percent(gate.estimate) if share else ratio(gate.estimate)
    floor = f"{100 * gate.floor:.1f} %" if share else f"{gate.floor:.2f}"
    waived = "" if gate.waiver is None else f", waived until {gate.waiver.until}: {gate.waiver.reason}"
    name = gate.config.precision.value if share else gate.config.id
    name = f"{gate.config.model} {name}" if several_models else name
    return f"{name}: {gate.what} {figure}, floor {floor}: {gate.outcome.value}{waived}"


def failure_text(suite: Suite, gate: Gate, command: str) -> str:
    """The failure message of a gate, for the terminal and JUnit."""
    versions = ", ".join(f"{name} {suite.versions.get(name)}" for name in ("openvino", "nncf"))
    lines = [
        gate_text(gate, len(suite.settings.model) > 1),
        f"  reproduce: {command}",
        f"  {gate.config.precision.value} ran as: {_effective_text(suite, gate.config)}",
        f"  FP32 ran as: {_effective_text(suite, fp32_partner(gate.config))}",
        f"  with {versions} on {suite.host.cpu_brand} ({suite.host.isa.value}, {suite.host.cores} cores)",
    ]
    return "\n".join(lines)


def drop_failure_text(suite: Suite, config: Config, command: str) -> str:
    """The failure message of a precision whose top-1 accuracy drops by more than was allowed."""
    agreement = suite.accuracy.agreements[config.model, config.precision]
    return (
        f"{config.precision.value}: top-1 accuracy drops by {percent(agreement.label_top1_drop)}, "
        f"--ov-max-drop allows {100 * suite.accuracy.max_drop:g} %: FAILED\n  reproduce: {command}"
    )


def _effective_text(suite: Suite, config: Config) -> str:
    """Effective config of a cell: ``i8 100 %, 2 streams, 2 threads, 2 requests``, or that it was not measured."""
    cell = suite.measured.cells.get(config)
    if cell is None or not cell.effective:
        return "not part of the campaign"
    effective = cell.effective
    counts = (counted(effective[f"{what}s"], what) for what in ("stream", "thread", "request"))
    return ", ".join((describe_shares(effective["mac_shares"]), *counts))
