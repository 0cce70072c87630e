"""What a gate says of itself."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from ovbench.campaign import Cell
from ovbench.config import Config, Precision
from ovbench.floors import Gate
from ovbench.options import Settings
from ovbench.report.gates import failure_text, gate_text
from ovbench.stats import Estimate
from ovbench.suite import Suite
from ovbench.verdict import Outcome

INT8 = Config("tiny", precision=Precision.INT8)


def test_a_ratio_is_told_with_interval_floor_and_outcome() -> None:
    gate = Gate("speed-up over FP32", INT8, Estimate(0.93, 0.91, 0.95, 6), 1.0, Outcome.FAILED)
    assert gate_text(gate) == "INT8-LATENCY-1-off: speed-up over FP32 0.93 [0.91, 0.95], floor 1.00: FAILED"


def test_a_share_is_told_in_per_cent_and_of_its_precision() -> None:
    gate = Gate("top-1 agreement with FP32", INT8, Estimate(0.93, 0.91, 0.95, 1000), 0.95, Outcome.UNSURE)
    assert gate_text(gate) == "INT8: top-1 agreement with FP32 93.0 % [91.0, 95.0], floor 95.0 %: UNSURE"


@pytest.mark.parametrize("known", [True, False])
def test_a_failure_says_how_to_see_it_again_and_what_differs(tmp_path: Path, known: bool) -> None:
    suite = Suite(Settings(), tmp_path, lambda _title: contextlib.nullcontext(lambda _share, _doing: None))
    if known:
        effective = {"mac_shares": {"i8": 1.0}, "streams": 1, "threads": 2, "requests": 1}
        suite.measured.cells[INT8] = Cell(INT8, effective=effective)
    gate = suite.hold("speed-up over FP32", INT8, Estimate(0.93, 0.91, 0.95, 6), 1.0)
    lines = failure_text(suite, gate, "pytest benches").splitlines()
    assert lines[0] == gate_text(gate)
    assert lines[1] == "  reproduce: pytest benches"
    assert lines[2] == "  INT8 ran as: " + (
        "i8 100%, 1 stream, 2 threads, 1 request" if known else "not part of the campaign"
    )
    assert "openvino" in lines[4]


def test_a_smoke_run_judges_nothing(tmp_path: Path) -> None:
    suite = Suite(Settings(), tmp_path, lambda _title: contextlib.nullcontext(lambda _share, _doing: None), smoke=True)
    assert suite.hold("speed-up over FP32", INT8, Estimate(0.5, 0.4, 0.6, 6), 1.0).outcome is Outcome.SKIPPED
