"""Does a lower precision still give FP32's answers, and how often are they right?"""

import pytest

from ovbench.config import Precision

pytestmark = pytest.mark.ov_cells("precisions")


def bench_accuracy(benchmark, evaluation, ov_precision, ov_compiled, fp32_compiled, hold, hold_drop):
    benchmark.pedantic(evaluation.answer, args=(ov_precision, ov_compiled), rounds=1)
    evaluation.answer(Precision.FP32, fp32_compiled)
    evaluation.judge()
    evaluation.hand_to(benchmark)
    for what, figure, floor in evaluation.floors:
        hold(what, figure, floor)
    hold_drop(evaluation)
