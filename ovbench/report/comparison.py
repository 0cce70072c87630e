"""A comparison as text: what was asked, each metric with its ratio and verdict, outputs, and what to distrust."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from ovbench.ab import Answer, MetricAnswer, Outputs
from ovbench.family import Asked
from ovbench.precision import describe_shares
from ovbench.report.numbers import DASH, counted, percent, ratio
from ovbench.report.page import open_page, open_table


def answer_text(answer: Answer, coloured: bool) -> str:
    """Everything that is printed for one comparison; 100 columns, escape codes only if ``coloured``."""
    console, stream = open_page(coloured)
    for line in _heading(answer):
        console.print(line, soft_wrap=True)
    if answer.comparison.pairs:
        console.print(_table(answer))
    for line in _notes(answer):
        console.print(line)
    return stream.getvalue()


def answer_fields(answer: Answer) -> dict[str, Any]:
    """The same as plain values, for the journal and for ``--json``."""
    comparison = answer.comparison
    return {
        "name": answer.question.name,
        "a": list(answer.question.a.written),
        "b": list(answer.question.b.written),
        "model": answer.question.model,
        "precision": answer.question.precision.value,
        "tolerance": answer.question.tolerance,
        "versions": list(answer.versions),
        "effective": [dict(each) for each in answer.effective],
        "metrics": [
            {**dataclasses.asdict(each), "verdict": each.verdict.value}
            for each in (*answer.metrics, answer.start, answer.memory)
            if each is not None
        ],
        "outputs": None if answer.outputs is None else dataclasses.asdict(answer.outputs),
        "agreement_failed": answer.agreement_failed,
        "ended": comparison.ended,
        "failed": comparison.failed,
        "notes": comparison.notes,
        "pairs": len(comparison.pairs),
        "rounds_kept": sum(pair.kept for pair in comparison.pairs),
        "rounds_rejected": sum(pair.rejected for pair in comparison.pairs),
        "wall_s": comparison.wall_s,
        "measured_s": comparison.measured_s,
    }


def asked_fields(asked: Sequence[Asked], journal: Path) -> dict[str, Any]:
    """All that was asked: answers, questions that got none and why, and the journal where one was written."""
    return {
        "comparisons": [answer_fields(each.answer) for each in asked if each.answer is not None],
        "not_compared": [
            {"name": each.question.name, "reason": each.refused or each.skipped}
            for each in asked
            if each.answer is None
        ],
        "journal": journal if journal.exists() else None,
    }


def _heading(answer: Answer) -> list[str]:
    question = answer.question
    lines = [f"{question.name}: {question.model}, {question.precision.value}"]
    for name, side, version, effective in zip(
        "AB", (question.a, question.b), answer.versions, answer.effective, strict=True
    ):
        lines.append(f"  {name}: {side.text}  (OpenVINO {version.split('-')[0]}; {_ran_as(effective)})")
    return lines


def _ran_as(effective: Mapping[str, Any]) -> str:
    parts = []
    for metric, each in effective.items():
        shares = describe_shares(each["mac_shares"])
        counts = (counted(each["streams"], "stream"), counted(each["threads"], "thread"))
        parts.append(f"{metric} {', '.join((shares, *counts))}")
    return "; ".join(parts)


def _table(answer: Answer) -> Table:
    table = open_table()
    for heading in ("metric", "B / A [99 %]", "pairs", "band", "verdict"):
        table.add_column(heading, no_wrap=True)
    for each in (*answer.metrics, answer.start, answer.memory):
        if each is not None:
            table.add_row(*_row(each))
    return table


LABELS = {"start": "start (read, compile, first)", "memory": "peak memory"}


def _row(each: MetricAnswer) -> Sequence[str]:
    pairs = DASH if each.estimate is None else str(each.estimate.count)
    name = LABELS.get(each.metric, each.metric)
    return (name, ratio(each.estimate, digits=3), pairs, f"±{100 * each.band:.1f} %", verdict_text(each))


def verdict_text(each: MetricAnswer) -> str:
    """``B is SLOWER``; for memory more and less; SAME and UNSURE stand alone."""
    words = {"SLOWER": "B uses MORE", "FASTER": "B uses LESS"} if each.metric == "memory" else {}
    shown = words.get(each.verdict.value, each.verdict.value)
    return f"B is {shown}" if shown in ("SLOWER", "FASTER") else shown


def outputs_text(outputs: Outputs | None) -> str:
    """One line on the outputs."""
    if outputs is None:
        return "outputs: not compared"
    text = f"outputs on {outputs.inputs} inputs: "
    if outputs.max_abs_difference is None:
        text += "no difference to tell, number or shapes differ or values are not finite"
    else:
        text += f"max abs difference {outputs.max_abs_difference:.3g}"
    if outputs.agreement is not None:
        text += f", top-1 agreement {percent(outputs.agreement.top1)}"
        text += f", top-5 overlap {percent(outputs.agreement.top5_overlap)}"
    return text


def _notes(answer: Answer) -> list[str]:
    comparison = answer.comparison
    lines = ["B / A: of time, or of memory; above 1, B takes more"] if comparison.pairs else []
    lines.append(outputs_text(answer.outputs))
    if comparison.failed:
        lines.append(f"FAILED: {comparison.failed}")
    if answer.agreement_failed:
        lines.append(f"FAILED: outputs agree less than --min-agreement {answer.question.min_agreement}")
    if comparison.pairs:
        kept = sum(pair.kept for pair in comparison.pairs)
        rejected = sum(pair.rejected for pair in comparison.pairs)
        share = comparison.measured_s / comparison.wall_s if comparison.wall_s else 0.0
        ending = "decided" if comparison.ended == "decided" else f"ended {comparison.ended or 'early'}"
        lines.append(
            f"{ending} after {counted(len(comparison.pairs), 'pair')} of fresh processes in {comparison.wall_s:.0f} s, "
            f"{share:.0%} measuring; {kept} rounds kept, {rejected} rejected"
        )
    lines += [each.reason for each in answer.metrics if each.reason][:1]
    return [*lines, *comparison.notes]
