"""Is any cell slower than on the other side that --ov-baseline names?"""

import pytest

pytestmark = pytest.mark.ov_cells("baseline")


def bench_baseline(benchmark, compared_cell, hold_against_baseline):
    compared_cell.hand_to(benchmark, "baseline")
    hold_against_baseline(compared_cell)
