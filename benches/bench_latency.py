"""How long does one inference take, asked one after another?"""

import pytest

pytestmark = pytest.mark.ov_cells("sync")


def bench_latency(benchmark, measured_cell):
    measured_cell.hand_to(benchmark, "latency")
