"""How much faster than FP32 is a lower precision, and does INT8 hold its floor?"""

import pytest

from ovbench.rows import as_extra

pytestmark = pytest.mark.ov_cells("pairs")


def bench_speedup(benchmark, measured_cell, hold):
    speedup = measured_cell.speedup_over_fp32()
    measured_cell.hand_to(benchmark, "speedup", speedup_over_fp32=as_extra(speedup))
    hold("speed-up over FP32", speedup, measured_cell.floor)
