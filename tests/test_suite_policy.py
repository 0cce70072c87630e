"""The policy file in the suite: its floors, tolerances and waivers reach the benches' gates."""

import datetime
from pathlib import Path

import pytest

from ovbench.config import Config, Hint, Precision
from ovbench.floors import FLOOR_OPTIONS
from ovbench.options import Settings
from ovbench.policy import Policy, Waiver
from ovbench.stats import Estimate
from ovbench.suite import Suite
from ovbench.verdict import Outcome

INT8 = Config(precision=Precision.INT8, hint=Hint.LATENCY)
SLOW = Estimate(1.2, 1.1, 1.3, 6)
TODAY = datetime.date(2026, 11, 22)
SPEED_UP = "speed-up over FP32"


def suite(tmp_path: Path, policy: Policy, settings: Settings | None = None) -> Suite:
    return Suite(settings or Settings(), tmp_path, progress=None, policy=policy, today=TODAY)  # type: ignore[arg-type]


def test_a_floor_of_the_file_takes_the_place_of_a_default(tmp_path: Path) -> None:
    named = suite(tmp_path, Policy(floors=(("embedded/INT8-LATENCY-*/speedup", 1.5),)))
    gate = named.hold(SPEED_UP, INT8, SLOW, 1.0)
    assert (gate.floor, gate.outcome, gate.fails) == (1.5, Outcome.FAILED, True)
    assert suite(tmp_path, Policy()).hold(SPEED_UP, INT8, SLOW, 1.0).outcome is Outcome.HELD


def test_an_option_beats_the_file(tmp_path: Path) -> None:
    policy = Policy(floors=(("INT8-*/speedup", 1.5),))
    gate = suite(tmp_path, policy, Settings(min_speedup=1.05)).hold(SPEED_UP, INT8, SLOW, 1.05)
    assert (gate.floor, gate.outcome) == (1.05, Outcome.HELD)


@pytest.mark.parametrize(("until", "fails"), [(TODAY, False), (TODAY - datetime.timedelta(days=1), True)])
def test_a_waiver_bears_a_failure_until_its_day(tmp_path: Path, until: datetime.date, fails: bool) -> None:
    policy = Policy(waivers=(Waiver("INT8-*", until, "known, issue 12"),))
    gate = suite(tmp_path, policy).hold(SPEED_UP, INT8, SLOW, 1.5)
    assert gate.outcome is Outcome.FAILED
    assert gate.fails is fails


def test_a_waiver_is_told_of_no_figure_that_holds(tmp_path: Path) -> None:
    policy = Policy(waivers=(Waiver("INT8-*", TODAY, "known, issue 12"),))
    assert suite(tmp_path, policy).hold(SPEED_UP, INT8, SLOW, 1.0).waiver is None


def test_a_busy_machine_is_no_evidence_of_a_lost_speedup(tmp_path: Path) -> None:
    busy = suite(tmp_path, Policy())
    busy.measured.rounds, busy.measured.rejected = 10, {(0, number) for number in range(6)}
    assert busy.hold(SPEED_UP, INT8, SLOW, 1.5).outcome is Outcome.UNSURE
    assert busy.hold("top-1 agreement with FP32", INT8, SLOW, 1.5).outcome is Outcome.FAILED


def test_every_floor_option_exists() -> None:
    assert all(hasattr(Settings(), option) for option in FLOOR_OPTIONS.values())
