"""Sessions beside each other: every cell held against the first session's by what can be trusted of two days.

The rules are those of a stored ``--ov-baseline``, and its very functions: speed-ups over FP32 were taken inside rounds
in both sessions and compare anywhere; absolute times only on one machine, once enough of its sessions are stored to
know how far unchanged ones lie apart. All else is UNSURE or SKIPPED, and says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ovbench import baseline as baselines
from ovbench.baseline import Baseline
from ovbench.config import Config, Mode, cell_name
from ovbench.options import BY_NAME, NOT_AGAIN
from ovbench.sessions import StoredRow, StoredSession, list_sessions
from ovbench.stats import Estimate
from ovbench.story.facts import Beside, ComparedCell, Comparison, Difference, Story
from ovbench.verdict import SPEEDUP, TIME, Judged, Verdict


def compare(stories: Sequence[Story]) -> Comparison:
    """Every session beside the first, which is the reference; at least two of them."""
    first, *others = stories
    tolerance = _tolerance(first)
    history = _history(first) if any(each.fingerprint == first.fingerprint for each in others) else ()
    judged = [_judge(first, other, history, tolerance) for other in others]
    configs = dict.fromkeys(cell.config for story in stories for cell in story.cells if cell.measured)
    return Comparison(
        stories=tuple(stories),
        rows=tuple(
            ComparedCell(
                config,
                cell_name(config),
                tuple(story.cell(config) for story in stories),
                tuple(each.get(config) for each in judged),
            )
            for config in configs
        ),
        differences=_differences(stories),
        tolerance=tolerance,
    )


def _tolerance(story: Story) -> float:
    option = BY_NAME["tolerance"]
    return float(option.read(story.settings.get(option.name, option.default)))


def _history(story: Story) -> tuple[StoredSession, ...]:
    """Stored sessions of its machine that passed: how far their times lie apart is what days differ by."""
    stored, _faults = list_sessions(story.path.parent)
    return tuple(each for each in stored if each.passed and each.fingerprint == story.fingerprint)


def _judge(first: Story, other: Story, history: Sequence[StoredSession], tolerance: float) -> dict[Config, Beside]:
    """What can be said of every cell that both have measured."""
    configs = [
        cell.config
        for cell in other.cells
        if cell.summary and (then := first.cell(cell.config)) is not None and then.summary
    ]
    baseline = Baseline(first.label, tolerance, stored=_as_stored(first, other), history=tuple(history))
    baselines.judge_stored(baseline, other.measured, configs, other.machine)
    found: dict[tuple[Config, str], Judged] = {
        (each.config, each.what): _doubted(each, first, other) for each in baseline.judged
    }
    return {config: Beside(found[config, TIME], found.get((config, SPEEDUP))) for config in configs}


def _as_stored(first: Story, other: Story) -> StoredSession:
    """The reference as a stored session; of the other's kind of CPU, since speed-ups are to be compared anyhow."""
    rows = []
    for cell in first.cells:
        median_s = baselines.typical_s(first.measured.samples(cell.config))
        if median_s is not None:
            logs = first.measured.log_speedups(cell.config)
            question = "latency" if cell.config.mode is Mode.SYNC else "throughput"
            rows += [StoredRow(each, cell.config, median_s, logs) for each in (question, "speedup")]
    return StoredSession(
        path=first.path.with_name(f"{first.number or first.name}_{first.path.name}"),
        date="",
        passed=True,
        fingerprint=first.fingerprint,
        isa=other.machine.isa.value,
        cores=other.machine.cores,
        openvino=first.versions.get("openvino") or "",
        journal=first.path.name,
        rows=tuple(rows),
    )


def _doubted(judged: Judged, first: Story, other: Story) -> Judged:
    """The same, as far as what is known of both sessions lets it stand."""
    busy = [each.label for each in (first, other) if each.busy]
    if busy and judged.verdict is not Verdict.SKIPPED:
        return replace(judged, verdict=Verdict.UNSURE, reason=f"the machine was busy in {' and '.join(busy)}")
    if judged.what == TIME and first.fingerprint != other.fingerprint:
        return replace(judged, verdict=Verdict.UNSURE, estimate=_ratio_alone(judged, first, other))
    kinds = [f"{each.machine.isa.value} on {each.machine.cores} cores" for each in (first, other)]
    if judged.what == SPEEDUP and kinds[0] != kinds[1] and not judged.reason:
        return replace(judged, reason=f"of other CPUs: {kinds[0]}, {kinds[1]}")
    return judged


def _ratio_alone(judged: Judged, first: Story, other: Story) -> Estimate | None:
    """The ratio of two machines' times, without an interval: a reader may look at it, no verdict may."""
    then_s, now_s = (baselines.typical_s(each.measured.samples(judged.config)) for each in (first, other))
    return Estimate(now_s / then_s, None, None, 0) if then_s and now_s else None


def _differences(stories: Sequence[Story]) -> tuple[Difference, ...]:
    """What the sessions do not share, the weightiest first."""
    told = [_particulars(story) for story in stories]
    names = dict.fromkeys(name for each in told for name in each)
    values = {name: tuple(each.get(name, "") for each in told) for name in names}
    return tuple(Difference(name, each) for name, each in values.items() if len(set(each)) > 1)


def _particulars(story: Story) -> dict[str, str]:
    """What may make a session's figures others than another's."""
    host = story.machine
    return {
        "machine": story.fingerprint,
        "CPU": host.cpu_brand or "",
        "instruction set": host.isa.value,
        "cores": str(host.cores),
        **{f"files of {model.name}": model.sha256 for model in story.models},
        **{name: version or "" for name, version in story.versions.items()},
        "commit": story.commit or "",
        **{BY_NAME[name].flag if name in BY_NAME else name: text
           for name, text in story.settings.items() if name not in NOT_AGAIN},
        "Python": host.python,
        "kernel": host.kernel,
    }  # fmt: skip
