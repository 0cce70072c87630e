"""How many inferences a second does a full pipeline of asynchronous requests give?"""

import pytest

pytestmark = pytest.mark.ov_cells("async")


def bench_throughput(benchmark, measured_cell):
    measured_cell.hand_to(benchmark, "throughput")
