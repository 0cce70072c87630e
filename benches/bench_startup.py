"""How long from the model file to the first answer in a fresh process, and does a warm model cache help?"""

import pytest

pytestmark = pytest.mark.ov_cells("startup")


def bench_startup(benchmark, measured_starts, hold):
    measured_starts.hand_to(benchmark, "startup")
    hold("warm cache gain", measured_starts.cache_gain, measured_starts.min_cache_gain)
