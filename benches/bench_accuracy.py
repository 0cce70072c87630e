"""Does a lower precision still give FP32's answers, and how often are they right?"""

import pytest

from ovbench.config import Precision

pytestmark = pytest.mark.ov_cells("precisions")


def bench_accuracy(benchmark, evaluation, ov_precision, ov_compiled, fp32_compiled, hold):
    evaluation.name_row(benchmark)
    benchmark.pedantic(evaluation.classify, args=(ov_precision, ov_compiled), rounds=1)
    evaluation.classify(Precision.FP32, fp32_compiled)
    agreement = evaluation.agree_with_fp32()
    hold("top-1 agreement with FP32", agreement.top1, evaluation.min_top1_agreement)
    hold("top-5 overlap with FP32", agreement.top5_overlap, evaluation.min_top5_overlap)
