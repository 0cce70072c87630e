"""Verdicts and outcomes: only a whole interval decides, the sides are equal, more is never judged as less."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ovbench.config import Config
from ovbench.policy import Waiver
from ovbench.stats import Estimate
from ovbench.verdict import TIME, Judged, Outcome, Verdict, check_floor, compare

RANK = {Verdict.FASTER: -1, Verdict.SAME: 0, Verdict.SLOWER: 1}
SWAPPED = {Verdict.FASTER: Verdict.SLOWER, Verdict.SLOWER: Verdict.FASTER}
OUTCOME_RANK = {Outcome.FAILED: -1, Outcome.UNSURE: 0, Outcome.HELD: 1}

quick = settings(deadline=None, max_examples=200)
bands = st.floats(0, 0.5)


@st.composite
def estimates(draw: st.DrawFn) -> Estimate:
    low, value, high = sorted(draw(st.tuples(*[st.floats(0.4, 2.5)] * 3)))
    return Estimate(value, low, high, 5)


def scaled(estimate: Estimate, factor: float) -> Estimate:
    assert estimate.low is not None
    assert estimate.high is not None
    return Estimate(estimate.value * factor, estimate.low * factor, estimate.high * factor, estimate.count)


def swapped(estimate: Estimate) -> Estimate:
    assert estimate.low is not None
    assert estimate.high is not None
    return Estimate(1 / estimate.value, 1 / estimate.high, 1 / estimate.low, estimate.count)


def near_an_edge(estimate: Estimate, band: float) -> bool:
    ends = (estimate.low, estimate.high)
    return any(end == pytest.approx(edge, rel=1e-9) for end in ends for edge in (1 + band, 1 / (1 + band)))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.04, 1.08, Verdict.SLOWER),
        (0.90, 0.96, Verdict.FASTER),
        (0.99, 1.02, Verdict.SAME),
        (1.02, 1.08, Verdict.UNSURE),
        (0.90, 1.00, Verdict.UNSURE),
        (0.90, 1.10, Verdict.UNSURE),
        (1.00, 1.03, Verdict.SAME),
        (1.03, 1.10, Verdict.UNSURE),
        (0.965, 0.970, Verdict.FASTER),
        (0.965, 0.972, Verdict.UNSURE),
    ],
)
def test_only_a_whole_interval_decides_a_verdict(low: float, high: float, verdict: Verdict) -> None:
    assert compare(Estimate((low + high) / 2, low, high, 5), 0.03) is verdict


def test_no_interval_decides_nothing() -> None:
    assert compare(Estimate(3.0, None, None, 4), 0.03) is Verdict.UNSURE
    assert check_floor(Estimate(3.0, None, None, 4), 1.0) is Outcome.UNSURE


def test_a_negative_band_is_refused() -> None:
    with pytest.raises(ValueError, match="below 0"):
        compare(Estimate(1.0, 0.9, 1.1, 5), -0.01)


@quick
@given(estimates(), bands)
def test_a_verdict_is_antisymmetric_in_its_sides(estimate: Estimate, band: float) -> None:
    assume(not near_an_edge(estimate, band))
    verdict = compare(estimate, band)
    assert compare(swapped(estimate), band) is SWAPPED.get(verdict, verdict)


@quick
@given(estimates(), bands, st.floats(1, 3))
def test_a_verdict_is_monotone_in_the_ratio(estimate: Estimate, band: float, factor: float) -> None:
    before, after = compare(estimate, band), compare(scaled(estimate, factor), band)
    if before in RANK and after in RANK:
        assert RANK[before] <= RANK[after]
    if before is Verdict.SLOWER:
        assert after is Verdict.SLOWER
    if after is Verdict.FASTER:
        assert before is Verdict.FASTER


@quick
@given(estimates(), bands, st.floats(0, 0.5))
def test_a_wider_band_finds_no_new_difference(estimate: Estimate, band: float, more: float) -> None:
    wide = compare(estimate, band + more)
    if wide in SWAPPED:
        assert compare(estimate, band) is wide
    if compare(estimate, band) is Verdict.SAME:
        assert wide is Verdict.SAME


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.96, 0.99, Outcome.HELD),
        (0.90, 0.94, Outcome.FAILED),
        (0.93, 0.97, Outcome.UNSURE),
        (0.95, 0.97, Outcome.HELD),
        (0.93, 0.95, Outcome.UNSURE),
        (0.95, 0.95, Outcome.HELD),
    ],
)
def test_only_a_whole_interval_decides_a_floor(low: float, high: float, outcome: Outcome) -> None:
    assert check_floor(Estimate((low + high) / 2, low, high, 1000), 0.95) is outcome


@quick
@given(estimates(), st.floats(0.4, 2.5), st.floats(1, 3))
def test_an_outcome_is_monotone_in_the_figure(estimate: Estimate, floor: float, factor: float) -> None:
    before, after = check_floor(estimate, floor), check_floor(scaled(estimate, factor), floor)
    assert OUTCOME_RANK[before] <= OUTCOME_RANK[after]


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("failed", ["", "side B: lane died"])
def test_only_what_is_slower_or_failed_breaks_and_a_waiver_bears_it(verdict: Verdict, failed: str) -> None:
    waiver = Waiver("*", datetime.date(2026, 12, 31), "known")
    broken = verdict is Verdict.SLOWER or bool(failed)
    judged = [Judged(TIME, Config(), verdict, failed=failed, waiver=each) for each in (None, waiver)]
    assert [each.broken for each in judged] == [broken, broken]
    assert [each.holds for each in judged] == [not broken, True]
