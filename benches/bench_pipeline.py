"""How many pictures a second go from a file to their top-5, and how near is that to what the machine allows?"""

import pytest

pytestmark = pytest.mark.ov_cells("precisions")


def bench_pipeline(benchmark, piped):
    piped.hand_to(benchmark, "pipeline")
