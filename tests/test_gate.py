"""The gate: exit codes of whole matrices, and a family of comparisons that does not cry wolf."""

from __future__ import annotations

import datetime
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovbench.errors import BadOption
from ovbench.gate import (
    FAMILY_ALPHA,
    Evidence,
    ExitCode,
    Row,
    check_tolerance,
    exit_code,
    exit_code_of,
    judge_matrix,
    looks_at,
    slower_p_value,
    with_waivers,
)
from ovbench.policy import Policy, Target, Waiver
from ovbench.stats import ratio_estimate
from ovbench.verdict import Outcome, Verdict, compare

TOLERANCE = 0.03

quick = settings(deadline=None, max_examples=60)
any_answers = st.lists(st.sampled_from([*Outcome, *Verdict]), max_size=8)
matrices = st.lists(
    st.lists(st.floats(-0.2, 0.2), max_size=8).map(lambda log_ratios: Evidence("cell", tuple(log_ratios))),
    max_size=6,
)


def lanes(centre: float, spread: float, count: int = 6) -> tuple[float, ...]:
    """Log ratios around log(centre), in even steps of ``spread``: a cell with neither luck nor bad luck."""
    return tuple(math.log(centre) + spread * (place - (count - 1) / 2) for place in range(count))


@pytest.mark.parametrize(
    ("answers", "lenient", "strict"),
    [
        ([], ExitCode.NOTHING_SELECTED, ExitCode.NOTHING_SELECTED),
        ([Outcome.HELD, Verdict.SAME, Verdict.FASTER], ExitCode.HELD, ExitCode.HELD),
        ([Outcome.SKIPPED, Verdict.SKIPPED], ExitCode.HELD, ExitCode.HELD),
        ([Outcome.HELD, Outcome.UNSURE], ExitCode.HELD, ExitCode.UNSURE),
        ([Verdict.SAME, Verdict.UNSURE], ExitCode.HELD, ExitCode.UNSURE),
        ([Outcome.UNSURE, Outcome.FAILED], ExitCode.FAILED, ExitCode.FAILED),
        ([Verdict.SLOWER, Outcome.HELD], ExitCode.FAILED, ExitCode.FAILED),
    ],
)
def test_exit_codes(answers: list[Outcome | Verdict], lenient: ExitCode, strict: ExitCode) -> None:
    assert exit_code(answers) is lenient
    assert exit_code(answers, fail_on_unsure=True) is strict


def test_exit_codes_are_those_the_documents_name() -> None:
    assert [int(code) for code in ExitCode] == [0, 1, 4, 5, 6]
    assert (int(pytest.ExitCode.USAGE_ERROR), int(pytest.ExitCode.NO_TESTS_COLLECTED)) == (
        ExitCode.USAGE,
        ExitCode.NOTHING_SELECTED,
    )


@quick
@given(any_answers, any_answers, st.booleans())
def test_more_answers_never_undo_a_failure(
    first: list[Outcome | Verdict], second: list[Outcome | Verdict], fail_on_unsure: bool
) -> None:
    together = exit_code(first + second, fail_on_unsure=fail_on_unsure)
    assert (together is ExitCode.FAILED) == (ExitCode.FAILED in {exit_code(first), exit_code(second)})


def test_a_matrix_is_judged_cell_by_cell_in_its_order() -> None:
    judged = judge_matrix(
        [
            Evidence("slower", lanes(1.10, 0.002)),
            Evidence("skipped", ()),
            Evidence("same", lanes(1.00, 0.002)),
            Evidence("faster", lanes(0.90, 0.002)),
            Evidence("noisy", lanes(1.03, 0.02)),
            Evidence("few", lanes(1.50, 0.002, count=4)),
        ],
        TOLERANCE,
    )
    assert [judgement.name for judgement in judged] == ["slower", "skipped", "same", "faster", "noisy", "few"]
    assert [judgement.verdict.name for judgement in judged] == [
        "SLOWER",
        "SKIPPED",
        "SAME",
        "FASTER",
        "UNSURE",
        "UNSURE",
    ]
    assert judged[1].estimate is None
    assert judged[1].p_value is None
    assert judged[5].estimate is not None
    assert judged[5].p_value is None


def test_what_is_slower_alone_is_unsure_among_many() -> None:
    suspect = Evidence("suspect", lanes(1.05, 0.005))
    alone = judge_matrix([suspect], TOLERANCE)[0]
    among_many = judge_matrix([suspect] + [Evidence("same", lanes(1.0, 0.005))] * 40, TOLERANCE)[0]
    assert alone.p_value is not None
    assert alone.p_value < FAMILY_ALPHA < 41 * alone.p_value
    assert (alone.verdict, among_many.verdict) == (Verdict.SLOWER, Verdict.UNSURE)
    assert alone.estimate == among_many.estimate


@quick
@given(matrices)
def test_a_family_is_never_harsher_than_each_of_its_cells(comparisons: list[Evidence]) -> None:
    for comparison, judgement in zip(comparisons, judge_matrix(comparisons, TOLERANCE), strict=True):
        if not comparison.log_ratios:
            assert judgement.verdict is Verdict.SKIPPED
            continue
        alone = compare(ratio_estimate(comparison.log_ratios), TOLERANCE)
        softened = (alone, judgement.verdict) == (Verdict.SLOWER, Verdict.UNSURE)
        assert judgement.verdict is alone or softened
        if judgement.verdict is Verdict.SLOWER:
            assert judgement.p_value is not None
            assert judgement.p_value <= FAMILY_ALPHA


def test_false_failures_of_a_whole_matrix_stay_within_alpha() -> None:
    # The worst truth that must not fail: all 24 cells exactly at the tolerance, 1.1 % noise between lanes.
    generator = np.random.default_rng(8)
    matrix_count, cell_count, lane_count = 500, 24, 5
    noise = generator.normal(math.log(1 + TOLERANCE), 0.011, (matrix_count, cell_count, lane_count))
    failed = [
        any(
            judgement.verdict is Verdict.SLOWER
            for judgement in judge_matrix([Evidence("cell", tuple(cell)) for cell in matrix], TOLERANCE)
        )
        for matrix in noise
    ]
    assert np.mean(failed) <= FAMILY_ALPHA + 3 * math.sqrt(FAMILY_ALPHA * (1 - FAMILY_ALPHA) / matrix_count)


def test_a_real_slow_down_is_found_in_a_whole_matrix() -> None:
    generator = np.random.default_rng(9)
    found = 0
    for _ in range(100):
        cells = [Evidence("same", tuple(generator.normal(0, 0.011, 8))) for _ in range(23)]
        slow = Evidence("slow", tuple(generator.normal(math.log(1.10), 0.011, 8)))
        found += judge_matrix([*cells, slow], TOLERANCE)[-1].verdict is Verdict.SLOWER
    assert found >= 95


def test_each_comparison_may_have_its_own_tolerance() -> None:
    slow = lanes(1.10, 0.002)
    judged = judge_matrix([Evidence("own", slow, 0.2), Evidence("shared", slow)], TOLERANCE)
    assert [judgement.verdict for judgement in judged] == [Verdict.SAME, Verdict.SLOWER]


RANK = {Verdict.FASTER: 0, Verdict.SAME: 1, Verdict.SLOWER: 2}
log_ratios = st.lists(st.floats(-0.2, 0.2), min_size=5, max_size=8)


@quick
@given(log_ratios, st.floats(0, 0.3))
def test_a_gate_is_monotone_in_the_ratio(logs: list[float], more: float) -> None:
    before, after = (
        judge_matrix([Evidence("cell", tuple(log + shift for log in logs))], TOLERANCE)[0].verdict
        for shift in (0.0, more)
    )
    if before in RANK and after in RANK:
        assert RANK[before] <= RANK[after]
    if before is Verdict.SLOWER and more > 1e-9:
        assert after is Verdict.SLOWER


@quick
@given(log_ratios)
def test_swapped_sides_swap_the_verdict(logs: list[float]) -> None:
    swap = {Verdict.FASTER: Verdict.SLOWER, Verdict.SLOWER: Verdict.FASTER}
    there, back = (compare(ratio_estimate([sign * log for log in logs]), TOLERANCE) for sign in (1, -1))
    assert back is swap.get(there, there)
    gated = judge_matrix([Evidence("cell", tuple(logs))], TOLERANCE)[0].verdict
    assert gated is there or (there, gated) == (Verdict.SLOWER, Verdict.UNSURE)


def test_looking_often_does_not_raise_false_failures() -> None:
    # The ratio exactly at the tolerance, a look after every pair from the fifth to the 20th, as `ovbench ab` does.
    generator = np.random.default_rng(10)
    trials, pairs = 800, 20
    paid = unpaid = 0
    for logs in generator.normal(math.log(1 + TOLERANCE), 0.011, (trials, pairs)).tolist():
        sizes = range(5, pairs + 1)
        paid += any((slower_p_value(logs[:size], TOLERANCE, looks_at(size)) or 0) <= 0.05 for size in sizes)
        unpaid += any((slower_p_value(logs[:size], TOLERANCE, 0) or 0) <= 0.05 for size in sizes)
    assert unpaid / trials > 0.1
    assert paid / trials <= 0.05


def test_a_look_is_counted_for_each_size_from_the_fifth() -> None:
    assert [looks_at(size) for size in (0, 4, 5, 6, 20)] == [0, 0, 1, 2, 16]


CELL = Target("embedded", "cell", "latency")
DAY = datetime.date(2026, 12, 31)
BORNE = Policy(waivers=(Waiver("cell", DAY, "known"),))


@given(st.dates(), st.sampled_from([*Outcome, *Verdict]), st.booleans())
def test_a_waiver_bears_what_is_red_until_its_day(
    today: datetime.date, answer: Outcome | Verdict, fail_on_unsure: bool
) -> None:
    rows = [Row(CELL, answer)]
    bare = exit_code_of(rows, fail_on_unsure=fail_on_unsure)
    waived = with_waivers(rows, BORNE, today, fail_on_unsure=fail_on_unsure)
    code = exit_code_of(waived, fail_on_unsure=fail_on_unsure)
    is_red = bare in (ExitCode.FAILED, ExitCode.UNSURE)
    assert (waived[0].waiver is not None) is (is_red and today <= DAY)
    assert code is (ExitCode.HELD if is_red and today <= DAY else bare)
    assert waived[0].answer is answer


def test_a_waiver_bears_nothing_but_what_it_names() -> None:
    rows = with_waivers([Row(CELL, Verdict.SLOWER), Row(Target("m", "other"), Verdict.SLOWER)], BORNE, DAY)
    assert exit_code_of(rows) is ExitCode.FAILED


def test_rows_that_were_all_skipped_leave_nothing() -> None:
    assert exit_code_of([Row(CELL, Verdict.SKIPPED)]) is ExitCode.NOTHING_SELECTED
    assert exit_code_of([]) is ExitCode.NOTHING_SELECTED
    assert exit_code_of([Row(CELL, Verdict.SKIPPED), Row(CELL, Verdict.SAME)]) is ExitCode.HELD


def test_a_tolerance_tighter_than_the_host_is_refused_with_both_and_the_way_round() -> None:
    check_tolerance(0.02, 0.02, has_profile=False)
    with pytest.raises(BadOption, match=r"0\.1 % .* 2\.3 % .*raise the tolerance.*quieter host.*selfcheck` again"):
        check_tolerance(0.001, 0.0234, has_profile=True)
    with pytest.raises(BadOption, match=r"1\.9 % .* 2 % .*without a profile.*`ovbench selfcheck`$"):
        check_tolerance(0.019, 0.02, has_profile=False)
