"""Does benchmark_app measure the same when it is asked for the same, and what does it measure as people ask it?"""

import pytest

pytestmark = pytest.mark.ov_cells("reference")


def bench_reference(benchmark, referenced_cell, hold_to_promise):
    referenced_cell.hand_to(benchmark, "reference")
    hold_to_promise(referenced_cell)
