"""Where the floors of INT8's speed-up come from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ovbench.config import Config, Hint, Precision
from ovbench.floors import speedup_floor
from ovbench.machine import Isa

INT8 = Config(precision=Precision.INT8)
PIPELINE = Config(precision=Precision.INT8, hint=Hint.THROUGHPUT)
METHOD = (Path(__file__).parent.parent / "docs" / "method.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("isa", Isa)
def test_the_embedded_models_floors_are_those_that_method_tells(isa: Isa) -> None:
    told = dict(re.findall(r"^\| (AVX2|AVX-VNNI|AVX512-VNNI|AMX|others) \| ([\d.]+) \|", METHOD, re.MULTILINE))
    name = isa.value.replace("_", "-")
    assert speedup_floor(PIPELINE, None, True, isa) == float(told.get(name, told["others"]))
    assert speedup_floor(INT8, None, True, isa) == 1.0


def test_a_floor_that_is_given_beats_all_and_other_models_have_one() -> None:
    assert speedup_floor(PIPELINE, 2.5, True, Isa.AMX) == speedup_floor(INT8, 2.5, False, Isa.OTHER) == 2.5
    assert speedup_floor(PIPELINE, None, False, Isa.AMX) == 1.0


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16, Precision.FP16, Precision.W8])
def test_only_quantized_cells_are_held_to_a_floor(precision: Precision) -> None:
    assert speedup_floor(Config(precision=precision), 2.5, True, Isa.AMX) is None
