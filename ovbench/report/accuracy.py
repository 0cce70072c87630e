"""Accuracy as text: every precision beside FP32 and the labels, and where and how far the outputs part."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from rich.table import Table

from ovbench.agreement import Agreement, Disagreement, OutputDifference, judge_drop
from ovbench.config import Precision
from ovbench.report.numbers import DASH, percent, significant
from ovbench.report.page import WIDTH, open_table
from ovbench.stats import Estimate
from ovbench.verdict import Outcome

_Of = TypeVar("_Of")
REFERENCE = Precision.FP32
LEAST_P = 0.001  # smaller p-values are told as below it: the exact figure says no more


def accuracy_table(model: str, agreements: Mapping[Precision, Agreement], max_drop: float | None) -> Table:
    """One row for each precision, FP32's first; columns on labels and the drop only where there are any.

    ``max_drop``: the share of top-1 accuracy that a precision may lose; None judges nothing. At least one agreement.
    """
    any_of_them = next(iter(agreements.values()))
    labelled = any_of_them.label_top1
    images = f"{any_of_them.images} images"
    if labelled is not None and labelled.count < any_of_them.images:
        images += f", {labelled.count} of them labelled"
    table = open_table(f"Accuracy of {model} on {images} [95 %]", gap=0)  # eight columns of intervals fill the page
    for heading in ("precision", "top-1\nas FP32", "top-5\noverlap"):
        table.add_column(heading, no_wrap=True)
    if labelled is not None:
        for heading in ("top-1\nright", "top-5\nright", "top-1 drop,\npoints", "McNemar\np"):
            table.add_column(heading, no_wrap=True)
        if max_drop is not None:
            table.add_column(f"drop\n< {100 * max_drop:.3g}", no_wrap=True)
    shown = len(table.columns)
    table.add_row(*_reference_row(any_of_them)[:shown])
    for precision, agreement in _others(agreements):
        table.add_row(*_row(precision, agreement, max_drop)[:shown])
    return table


def accuracy_lines(
    agreements: Mapping[Precision, Agreement],
    max_drop: float | None,
    name_of: Callable[[int], str],
    classes: Sequence[str],
) -> list[str]:
    """Below the table: what cannot be decided, how far logits differ, and the images that part most.

    ``name_of`` an image's number is its file; ``classes`` are the model's labels in order, empty if not known.
    """
    lines = []
    for precision, agreement in _others(agreements):
        lines += _drop_lines(precision, agreement, max_drop)
        lines += [f"{precision.value}: {text}" for text in _logits_texts(agreement)]
        if agreement.worst:
            lines.append(f"{precision.value} contradicts {REFERENCE.value} most on:")
        for each in agreement.worst:
            lines += _disagreement_lines(precision, each, name_of, classes)
    return lines


def outputs_table(model: str, differences: Mapping[Precision, Sequence[OutputDifference]]) -> Table:
    """How far each output of a model that does not classify lies from FP32's, one row for each precision and output."""
    table = open_table(f"Outputs of {model} beside {REFERENCE.value}'s")
    table.add_column("precision", no_wrap=True)
    table.add_column("output", overflow="fold")
    for heading in ("inputs", "median\ncosine", "least\ncosine", "greatest\nrelative", "greatest\nabsolute"):
        table.add_column(heading, justify="right", no_wrap=True)
    for precision, outputs in _others(differences):
        for each in outputs:
            table.add_row(
                precision.value,
                each.name,
                str(each.inputs),
                _cosine(each.median_cosine),
                _cosine(each.least_cosine),
                _difference(each.relative),
                _difference(each.max_abs),
            )
    return table


def outputs_lines(differences: Mapping[Precision, Sequence[OutputDifference]]) -> list[str]:
    """Below the table: the inputs that no figure covers."""
    return [
        f"{precision.value}: output {each.name} is NaN or infinite on {each.not_finite} of {each.inputs} inputs, "
        "which are left out"
        for precision, outputs in _others(differences)
        for each in outputs
        if each.not_finite
    ]


def _others(each: Mapping[Precision, _Of]) -> list[tuple[Precision, _Of]]:
    """All but the reference, in the matrix' own order."""
    return [(precision, each[precision]) for precision in Precision if precision in each and precision is not REFERENCE]


def _reference_row(agreement: Agreement) -> tuple[str, ...]:
    right = (agreement.reference_label_top1, agreement.reference_label_top5)
    return (REFERENCE.value, "(reference)", DASH, *map(_on_two_lines, right), DASH, DASH, DASH)


def _row(precision: Precision, agreement: Agreement, max_drop: float | None) -> tuple[str, ...]:
    shares = (agreement.top1, agreement.top5_overlap, agreement.label_top1, agreement.label_top5)
    return (
        precision.value,
        *map(_on_two_lines, shares),
        _drop(agreement.label_top1_drop),
        _p_value(agreement.mcnemar_p),
        DASH if max_drop is None else judge_drop(agreement, max_drop).outcome.value,
    )


def _on_two_lines(share: Estimate | None) -> str:
    return percent(share).replace(" [", "\n[")


def _drop(drop: Estimate | None) -> str:
    """``0.40`` over ``[-0.61, 1.41]``: two digits, since one image of 10,000 is 0.01 points."""
    if drop is None or drop.low is None or drop.high is None:
        return DASH
    return f"{100 * drop.value:.2f}\n[{100 * drop.low:.2f}, {100 * drop.high:.2f}]"


def _p_value(p: float | None) -> str:
    if p is None:
        return DASH
    return f"<{LEAST_P}" if p < LEAST_P else f"{p:.3f}"


def _points(share: float) -> str:
    """``1 point``, ``0.5 points``."""
    points = f"{100 * share:.3g}"
    return f"{points} point{'' if points == '1' else 's'}"


def _drop_lines(precision: Precision, agreement: Agreement, max_drop: float | None) -> list[str]:
    drop = agreement.label_top1_drop
    if drop is None:
        return [] if max_drop is None else [f"{precision.value}: no labels, so the drop in top-1 cannot be judged"]
    counts = f"{agreement.lost} of {drop.count} labelled images, in {precision.value} alone: {agreement.gained}"
    lines = [f"{precision.value}: right in {REFERENCE.value} alone: {counts}"]
    if max_drop is None:
        return lines
    verdict = judge_drop(agreement, max_drop)
    if verdict.outcome is not Outcome.UNSURE:
        return lines
    if verdict.images_needed is None:
        advice = "it is near the limit itself, and more images hardly help"
    else:
        advice = f"about {_rounded(verdict.images_needed):,} labelled images would tell it from none"
    return [*lines, f"{precision.value}: cannot tell a drop of {_points(max_drop)}: {advice}"]


def _rounded(count: int) -> int:
    """Up to two digits: 4,231 becomes 4,300."""
    unit: int = 10 ** max(0, len(str(count)) - 2)
    return math.ceil(count / unit) * unit


def _logits_texts(agreement: Agreement) -> list[str]:
    difference = agreement.logit_difference
    if difference is None:
        return [f"logits cannot be laid beside {REFERENCE.value}'s: none are finite, or all are alike"]
    figures = (
        f"{significant(difference.median)} (median), {significant(difference.p95)} (p95), "
        f"{significant(difference.largest)} (most)"
    )
    texts = [f"logits differ from {REFERENCE.value}'s by {figures} standard deviations"]
    if difference.images < agreement.images:
        left_out = agreement.images - difference.images
        texts.append(f"logits of {left_out} of {agreement.images} images are not finite and left out of that")
    return texts


def _disagreement_lines(
    precision: Precision, each: Disagreement, name_of: Callable[[int], str], classes: Sequence[str]
) -> list[str]:
    label = "" if each.label is None else f", labelled {_class_name(each.label, classes)}"
    lines = [f"  {name_of(each.image)}{label}"]
    for side, top, values in (
        (REFERENCE, each.reference_top, each.reference_values),
        (precision, each.candidate_top, each.candidate_values),
    ):
        answers = [
            f"{_class_name(number, classes)} {significant(value)}" for number, value in zip(top, values, strict=True)
        ]
        lines += textwrap.wrap(
            f"{side.value}: {', '.join(answers) or 'no answer, NaN'}",
            WIDTH,
            initial_indent="    ",
            subsequent_indent="      ",
            break_on_hyphens=False,
        )
    return lines


def _class_name(number: int, classes: Sequence[str]) -> str:
    """``tench`` of "tench, Tinca tinca": the first of a class's names, or its number."""
    return classes[number].split(",")[0] if number < len(classes) else f"class {number}"


def _cosine(value: float | None) -> str:
    return DASH if value is None else f"{value:.5f}"


def _difference(value: float | None) -> str:
    return DASH if value is None else f"{value:.3g}"
