"""How much faster than FP32 is a lower precision, and does INT8 hold its floor?"""

import pytest

pytestmark = pytest.mark.ov_cells("pairs")


def bench_speedup(benchmark, measured_cell, hold):
    measured_cell.hand_to(benchmark, "speedup")
    hold("speed-up over FP32", measured_cell.speedup_over_fp32, measured_cell.floor)
