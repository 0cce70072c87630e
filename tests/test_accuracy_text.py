"""Accuracy as text: golden pages, what is left out where there is nothing to say, and no line beyond the page."""

from __future__ import annotations

import dataclasses

import pytest
from rich.table import Table

from ovbench.agreement import Agreement, Disagreement, LogitDifference, OutputDifference
from ovbench.config import Precision
from ovbench.report.accuracy import accuracy_lines, accuracy_table, outputs_lines, outputs_table
from ovbench.report.page import WIDTH, open_page
from ovbench.stats import Estimate

CLASSES = ["tench, Tinca tinca", "goldfish, Carassius auratus", "great white shark", "hammerhead", "electric ray"]
WORST = Disagreement(7, 0, 1.5, (0, 1, 2, 3, 4), (12.5, 9.75, 0.5, 0.25, -3.0), (1, 0, 2, 3, 5), (11.0, 9.0, 1, 0, -1))
ALL = Estimate(1.0, 0.9924, 1.0, 500)
FP32 = Agreement(
    images=500,
    top=5,
    top1=ALL,
    top5_overlap=ALL,
    reference_top1_in_top5=ALL,
    label_top1=Estimate(0.892, 0.862, 0.916, 500),
    label_top5=Estimate(0.982, 0.966, 0.99, 500),
    reference_label_top1=Estimate(0.892, 0.862, 0.916, 500),
    reference_label_top5=Estimate(0.982, 0.966, 0.99, 500),
    label_top1_drop=Estimate(0.0, -0.004, 0.004, 500),
    lost=0,
    gained=0,
    mcnemar_p=1.0,
    logit_difference=LogitDifference(0.0, 0.0, 0.0, 2.0, 500),
)
INT8 = dataclasses.replace(
    FP32,
    top1=Estimate(0.99, 0.9768, 0.9957, 500),
    top5_overlap=Estimate(0.953, 0.9424, 0.9617, 500),
    label_top1=Estimate(0.888, 0.857, 0.913, 500),
    label_top5=Estimate(0.98, 0.963, 0.989, 500),
    label_top1_drop=Estimate(0.004, -0.0045, 0.0125, 500),
    lost=3,
    gained=1,
    mcnemar_p=0.625,
    logit_difference=LogitDifference(0.031, 0.12, 1.44, 2.0, 499),
    worst=(WORST, Disagreement(8, None, None, (1,), (3.0,), (), ())),
)
BF16 = dataclasses.replace(
    FP32,
    label_top1_drop=Estimate(-0.02, -0.035, -0.005, 500),
    lost=0,
    gained=10,
    mcnemar_p=0.000977,
)
UNLABELLED = dataclasses.replace(
    INT8,
    label_top1=None,
    label_top5=None,
    reference_label_top1=None,
    reference_label_top5=None,
    label_top1_drop=None,
    lost=None,
    gained=None,
    mcnemar_p=None,
    worst=(),
)

GOLDEN_TABLE = """\
Accuracy of mobilenet-v2 on 500 images [95 %]

           top-1         top-5         top-1        top-5        top-1 drop,    McNemar drop
 precision as FP32       overlap       right        right        points         p       < 1
 ─────────────────────────────────────────────────────────────────────────────────────────────
 FP32      (reference)   –             89.2 %       98.2 %       –              –       –
                                       [86.2, 91.6] [96.6, 99.0]
 BF16      100.0 %       100.0 %       89.2 %       98.2 %       -2.00          <0.001  HELD
           [99.2, 100.0] [99.2, 100.0] [86.2, 91.6] [96.6, 99.0] [-3.50, -0.50]
 INT8      99.0 %        95.3 %        88.8 %       98.0 %       0.40           0.625   UNSURE
           [97.7, 99.6]  [94.2, 96.2]  [85.7, 91.3] [96.3, 98.9] [-0.45, 1.25]
"""
GOLDEN_LINES = """\
BF16: right in FP32 alone: 0 of 500 labelled images, in BF16 alone: 10
BF16: logits differ from FP32's by 0 (median), 0 (p95), 0 (most) standard deviations
INT8: right in FP32 alone: 3 of 500 labelled images, in INT8 alone: 1
INT8: cannot tell a drop of 1 point: about 790 labelled images would tell it from none
INT8: logits differ from FP32's by 0.0310 (median), 0.1200 (p95), 1.44 (most) standard deviations
INT8: logits of 1 of 500 images are not finite and left out of that
INT8 contradicts FP32 most on:
  n01440764/7.JPEG, labelled tench
    FP32: tench 12.5, goldfish 9.75, great white shark 0.5000, hammerhead 0.2500, electric ray -3.00
    INT8: goldfish 11.0, tench 9.00, great white shark 1.00, hammerhead 0, class 5 -1.00
  n01440764/8.JPEG
    FP32: goldfish 3.00
    INT8: no answer, NaN
"""
GOLDEN_OUTPUTS = """\
Outputs of ssd beside FP32's

                               median    least  greatest  greatest
 precision  output    inputs   cosine   cosine  relative  absolute
 ─────────────────────────────────────────────────────────────────
 INT8       boxes[0]      50  0.99812  0.97310    0.0613      12.2
 INT8       scores         3        –  1.00000         –     1e-07
"""


def page(table: Table) -> list[str]:
    console, stream = open_page(coloured=False)
    console.print(table)
    return [line.rstrip() for line in stream.getvalue().rstrip().splitlines()]


def file_of(image: int) -> str:
    return f"n01440764/{image}.JPEG"


def test_all_precisions_stand_in_one_table() -> None:
    agreements = {Precision.INT8: INT8, Precision.BF16: BF16, Precision.FP32: FP32}
    assert page(accuracy_table("mobilenet-v2", agreements, 0.01)) == GOLDEN_TABLE.splitlines()


def test_fp32s_row_needs_no_bench_of_its_own() -> None:
    with_fp32 = accuracy_table("m", {Precision.FP32: FP32, Precision.INT8: INT8}, 0.01)
    assert page(accuracy_table("m", {Precision.INT8: INT8}, 0.01)) == page(with_fp32)


@pytest.mark.parametrize(("agreement", "max_drop", "there", "missing"), [
    (INT8, 0.005, ("< 0.5", "UNSURE"), ()),
    (INT8, None, ("top-1 drop", "McNemar"), ("<", "UNSURE")),
    (UNLABELLED, 0.01, ("top-5", "99.0 %"), ("right", "drop", "McNemar", "SKIPPED")),
])  # fmt: skip
def test_columns_without_anything_to_say_are_left_out(
    agreement: Agreement, max_drop: float | None, there: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    text = "\n".join(page(accuracy_table("m", {Precision.INT8: agreement}, max_drop)))
    for part in there:
        assert part in text
    for part in missing:
        assert part not in text


def test_partly_labelled_images_are_counted() -> None:
    some = dataclasses.replace(INT8, label_top1=Estimate(0.9, 0.8, 0.95, 60))
    assert page(accuracy_table("m", {Precision.INT8: some}, None))[0] == (
        "Accuracy of m on 500 images, 60 of them labelled [95 %]"
    )


def test_the_lines_below_tell_what_is_undecided_how_far_and_where() -> None:
    agreements = {Precision.FP32: FP32, Precision.BF16: BF16, Precision.INT8: INT8}
    assert accuracy_lines(agreements, 0.01, file_of, CLASSES) == GOLDEN_LINES.splitlines()


def test_without_a_limit_or_labels_no_drop_is_judged() -> None:
    assert not [line for line in accuracy_lines({Precision.INT8: INT8}, None, file_of, CLASSES) if "cannot" in line]
    assert accuracy_lines({Precision.INT8: UNLABELLED}, None, file_of, [])[0].startswith("INT8: logits differ")
    assert accuracy_lines({Precision.INT8: UNLABELLED}, 0.01, file_of, [])[0] == (
        "INT8: no labels, so the drop in top-1 cannot be judged"
    )


def test_a_drop_near_the_limit_is_not_a_matter_of_more_images() -> None:
    at_limit = dataclasses.replace(INT8, label_top1_drop=Estimate(0.01, 0.0077, 0.0123, 10_000), lost=120, gained=20)
    assert (
        "INT8: cannot tell a drop of 1 point: it is near the limit itself, and more images hardly help"
        in accuracy_lines({Precision.INT8: at_limit}, 0.01, file_of, [])
    )


def test_logits_that_have_no_scale_are_told() -> None:
    broken = dataclasses.replace(INT8, logit_difference=None)
    assert "INT8: logits cannot be laid beside FP32's: none are finite, or all are alike" in accuracy_lines(
        {Precision.INT8: broken}, None, file_of, []
    )


def test_no_line_is_longer_than_the_page_and_no_class_is_lost() -> None:
    names = [f"a class with quite a long name, number {number}" for number in range(6)]
    long = [name.replace(",", " of") for name in names]
    lines = accuracy_lines({Precision.INT8: INT8}, 0.01, file_of, long)
    assert max(map(len, lines)) <= WIDTH
    text = " ".join(" ".join(lines).split())
    assert all(text.count(name) >= 1 for name in long)
    wide = dataclasses.replace(INT8, top1=ALL, label_top1_drop=Estimate(-0.5, -1.0, 1.0, 500))
    assert max(map(len, page(accuracy_table("m", {Precision.INT8: wide}, 0.125)))) <= WIDTH


def test_outputs_of_a_model_that_does_not_classify() -> None:
    differences = {
        Precision.FP32: (OutputDifference("boxes", 50, 0, 1.0, 1.0, 0.0, 0.0),),
        Precision.INT8: (
            OutputDifference("boxes[0]", 50, 2, 0.99812, 0.9731, 0.0613, 12.25),
            OutputDifference("scores", 3, 0, None, 1.0, None, 1e-7),
        ),
    }
    assert page(outputs_table("ssd", differences)) == GOLDEN_OUTPUTS.splitlines()
    assert outputs_lines(differences) == [
        "INT8: output boxes[0] is NaN or infinite on 2 of 50 inputs, which are left out"
    ]
