"""The cells beside benchmark_app, as text: both figures and their ratio, why they differ, INT8 over FP32 by each."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from ovbench.config import Config, Mode
from ovbench.reference import SPEEDUP_TARGET, Cause, Kind, Reason, Reference, Speedups, reasons, speedups
from ovbench.report.numbers import DASH, milliseconds, ratio, significant
from ovbench.report.page import open_table
from ovbench.stats import MIN_REPLICATES
from ovbench.verdict import Verdict, compare


def reference_table(references: Mapping[Config, Reference]) -> Table:
    """One row per cell that has a round; a ratio above 1 means that our latency is longer, or that our FPS is more."""
    table = open_table()
    table.add_column("cell", overflow="fold")
    for heading in ("ours", "asked for\nthe same", "ours / its\n[95 %]", "as users\nrun it", "ours / its\n[95 %]"):
        table.add_column(heading, no_wrap=True)
    for reference in references.values():
        if reference.turns:
            table.add_row(
                _name(reference.config, references),
                _figure(reference, None),
                _figure(reference, Kind.LIKE),
                ratio(reference.ratio(Kind.LIKE), 3),
                _figure(reference, Kind.USERS),
                ratio(reference.ratio(Kind.USERS)),
            )
    return table


def reference_notes(references: Mapping[Config, Reference]) -> list[str]:
    """How it was measured, why the figures differ (each set of causes once), the speed-ups, and what went wrong."""
    rounds = max((len(each.turns) for each in references.values()), default=0)
    lines = []
    if rounds:
        lines.append(
            f"{rounds} rounds, each run a fresh process: p50 of a call beside its median latency, or FPS. "
            "Asked for the same: no hint, our streams, requests, precision and input types. "
            "As users run it: the hint alone, or -nstreams."
        )
    if 0 < rounds < MIN_REPLICATES:
        lines.append(f"Fewer than {MIN_REPLICATES} rounds give no interval: raise --ov-reference-rounds.")
    whys: dict[str, list[str]] = {}
    for reference in references.values():
        why = why_text(reference)
        if why:
            whys.setdefault(why, []).append(_name(reference.config, references))
    lines += [f"{', '.join(names)}: {why}" for why, names in whys.items()]
    lines += [speedup_text(each, _name(each.config, references)) for each in speedups(references)]
    broken = [broken_promise_text(each) for each in references.values()]
    lines += [text for text in broken if text]
    faults: dict[str, list[str]] = {}
    for reference in references.values():
        if reference.fault:
            faults.setdefault(reference.fault, []).append(_name(reference.config, references))
    return [*lines, *(f"{', '.join(names)}: not compared: {fault}" for fault, names in faults.items())]


def why_text(reference: Reference) -> str:
    """``its latency leaves out the Python call, 2.9 % of ours; as users run it: bf16 arithmetic (ours f32)``."""
    always = [_reason(each, reference) for each in reasons(reference)]
    users = [_reason(each, reference) for each in reference.differences(Kind.USERS)]
    return "; ".join([*always, *(["as users run it: " + ", ".join(users)] if users else [])])


def speedup_text(found: Speedups, name: str) -> str:
    """``INT8-LATENCY-1-off over FP32: ours 2.21 [...], benchmark_app 2.19 [...], ...: within 10 %``.

    Within, or more than that apart, is said only of a whole interval.
    """
    band = f"{100 * SPEEDUP_TARGET:g} %"
    verdict = {
        Verdict.SAME: f"within {band}",
        Verdict.UNSURE: f"too uncertain to say whether within {band}",
    }.get(compare(found.gap, SPEEDUP_TARGET), f"more than {band} apart")
    return (
        f"{name} over FP32: ours {ratio(found.ours)}, benchmark_app {ratio(found.like)}, as users run it "
        f"{ratio(found.users)}; ours / its {ratio(found.gap, 3)}: {verdict}"
    )


def broken_promise_text(reference: Reference) -> str:
    """Where benchmark_app, asked for the same, ran something else: its figure is then no reference; "" if nowhere."""
    broken = [_reason(each, reference) for each in reference.differences(Kind.LIKE)]
    return f"{reference.config.id}: asked for the same, benchmark_app ran {', '.join(broken)}" if broken else ""


def _name(config: Config, references: Mapping[Config, Reference]) -> str:
    several = len({each.model for each in references}) > 1
    return config.key if several else config.id


def _figure(reference: Reference, kind: Kind | None) -> str:
    figure = reference.figure(kind)
    if figure is None:
        return DASH
    return f"{milliseconds(figure)} ms" if reference.config.mode is Mode.SYNC else f"{significant(figure)} FPS"


def _reason(reason: Reason, reference: Reference) -> str:
    """One cause in words."""
    share = "" if reason.share is None else f"{100 * reason.share:.1f} %"
    counted = {Cause.STREAMS: "streams", Cause.THREADS: "threads", Cause.REQUESTS: "infer requests"}
    if reason.cause in counted:
        return f"{reason.theirs} {counted[reason.cause]} (ours {reason.ours})"
    requests = reference.turns[0].runs[Kind.LIKE].ran.requests if reference.turns else ""
    return {
        Cause.PRECISION: f"{reason.theirs} arithmetic (ours {reason.ours})",
        Cause.INPUTS: f"{reason.theirs} input through a Convert (ours {reason.ours})",
        Cause.CALL: f"its latency leaves out the Python call, {share} of ours",
        Cause.EDGES: f"its window holds start and drain of its requests ({requests}), up to {share}",
        Cause.ROUNDING: f"its report rounds to 0.01 ms, up to {share}",
        Cause.BATCH: f"its own FPS counts {reason.theirs} images an inference",
    }[reason.cause]
