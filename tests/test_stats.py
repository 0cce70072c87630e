"""Statistics: known values, properties that hold for all input, and nominal coverage on seeded data."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from ovbench import stats

SIMULATIONS = 2000
COVERAGE_ERROR = 4 * math.sqrt(0.95 * 0.05 / SIMULATIONS)  # four binomial standard errors

quick = settings(deadline=None, max_examples=60)
logs = st.floats(-3, 3, allow_nan=False)
replicates = st.lists(logs, min_size=1, max_size=15)
enough_replicates = st.lists(logs, min_size=stats.MIN_REPLICATES, max_size=15)
p_values = st.lists(st.floats(0, 1), max_size=12)
answers = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@st.composite
def counted(draw: st.DrawFn) -> tuple[int, int]:
    total = draw(st.integers(1, 5000))
    return draw(st.integers(0, total)), total


# Quantiles


@pytest.mark.parametrize(("q", "count"), [(0.5, 5), (0.9, 64), (0.95, 130), (0.99, 662), (0.999, 6636), (0.1, 64)])
def test_minimum_samples_are_those_of_mlperf_early_stopping(q: float, count: int) -> None:
    assert stats.minimum_samples(q) == count


def test_a_quantile_of_too_few_samples_cannot_be_said() -> None:
    assert stats.quantile(np.arange(661), 0.99) is None
    assert stats.quantile(np.arange(662), 0.99) == pytest.approx(0.99 * 661)
    assert stats.median([1, 2, 3, 4]) is None
    assert stats.median([5, 1, 4, 2, 3]) == 3


@quick
@given(st.lists(st.floats(-1e9, 1e9), max_size=140))
def test_quantiles_taken_together_are_those_of_numpy_taken_alone(samples: list[float]) -> None:
    shares = (0.05, 0.5, 0.9, 0.95, 0.99)
    alone = tuple(
        float(np.quantile(samples, each)) if len(samples) >= stats.minimum_samples(each) else None for each in shares
    )
    assert stats.quantiles(samples, shares) == alone


@pytest.mark.parametrize("q", [0.0, 1.0, -0.1, 99.0])
def test_a_quantile_outside_0_and_1_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        stats.quantile([1.0] * 10, q)


@quick
@given(st.lists(st.floats(-1e9, 1e9), min_size=64, max_size=80), st.floats(0.1, 0.9))
def test_a_quantile_lies_within_its_samples_and_leaves_their_order(samples: list[float], q: float) -> None:
    before = list(samples)
    value = stats.quantile(samples, q)
    assert value is not None
    assert min(samples) <= value <= max(samples)
    assert samples == before


# Ratios


def test_a_ratio_is_the_geometric_mean_with_students_interval() -> None:
    logs_of_five = np.log([1.0, 1.1, 1.2, 1.05, 0.95])
    estimate = stats.ratio_estimate(logs_of_five)
    expected = scipy.stats.ttest_1samp(logs_of_five, 0).confidence_interval(0.95)
    assert estimate.value == pytest.approx(scipy.stats.gmean([1.0, 1.1, 1.2, 1.05, 0.95]))
    assert (estimate.low, estimate.high) == pytest.approx((math.exp(expected.low), math.exp(expected.high)))
    assert estimate.count == 5


@quick
@given(st.lists(logs, min_size=1, max_size=stats.MIN_REPLICATES - 1))
def test_too_few_replicates_give_no_interval_and_no_p_value(log_ratios: list[float]) -> None:
    estimate = stats.ratio_estimate(log_ratios)
    assert (estimate.low, estimate.high, estimate.count) == (None, None, len(log_ratios))
    assert stats.one_sided_p_value(log_ratios, 1.03) is None


@pytest.mark.parametrize("log_ratios", [[], [0.0, math.nan], [math.inf], [[0.0] * 5]])
def test_log_ratios_that_are_no_list_of_finite_numbers_are_refused(log_ratios: list[float]) -> None:
    with pytest.raises(ValueError, match="one per replicate"):
        stats.ratio_estimate(log_ratios)
    with pytest.raises(ValueError, match="one per replicate"):
        stats.one_sided_p_value(log_ratios, 1.0)


@quick
@given(replicates)
def test_a_ratio_times_its_inverse_is_one(log_ratios: list[float]) -> None:
    ours, theirs = stats.ratio_estimate(log_ratios), stats.ratio_estimate([-log for log in log_ratios])
    assert ours.value * theirs.value == pytest.approx(1, rel=1e-12)
    if ours.low is not None and ours.high is not None:
        assert theirs.low is not None
        assert theirs.high is not None
        assert (ours.low * theirs.high, ours.high * theirs.low) == pytest.approx((1, 1), rel=1e-9)


@quick
@given(enough_replicates, st.floats(0.5, 0.999))
def test_an_interval_holds_its_ratio_and_grows_with_confidence(log_ratios: list[float], confidence: float) -> None:
    narrow, wide = stats.ratio_estimate(log_ratios, confidence), stats.ratio_estimate(log_ratios, 0.9999)
    assert narrow.low is not None
    assert narrow.high is not None
    assert wide.low is not None
    assert wide.high is not None
    assert wide.low <= narrow.low <= narrow.value <= narrow.high <= wide.high


@quick
@given(enough_replicates)
def test_the_order_of_replicates_is_of_no_account(log_ratios: list[float]) -> None:
    ours, theirs = stats.ratio_estimate(log_ratios), stats.ratio_estimate(sorted(log_ratios))
    assert ours.value == pytest.approx(theirs.value)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))


@pytest.mark.parametrize("count", [5, 8, 10])
def test_a_ratio_interval_covers_at_the_nominal_rate(count: int) -> None:
    lanes = np.random.default_rng(20).normal(math.log(1.05), 0.011, (SIMULATIONS, count))
    assert _coverage(lanes, 1.05) == pytest.approx(0.95, abs=COVERAGE_ERROR)


@pytest.mark.parametrize("count", [5, 10])
def test_a_ratio_interval_covers_no_less_where_one_lane_in_ten_is_off(count: int) -> None:
    generator = np.random.default_rng(21)
    lanes = generator.normal(0, 0.011, (SIMULATIONS, count))
    lanes += 0.08 * generator.choice([-1, 1], lanes.shape) * (generator.random(lanes.shape) < 0.1)
    assert _coverage(lanes, 1.0) >= 0.95 - COVERAGE_ERROR


def _coverage(lanes: np.ndarray, truth: float) -> float:
    estimates = [stats.ratio_estimate(log_ratios) for log_ratios in lanes]
    return float(np.mean([e.low is not None and e.high is not None and e.low <= truth <= e.high for e in estimates]))


# One-sided tests and families of them


def test_the_p_value_is_that_of_students_test() -> None:
    log_ratios = np.random.default_rng(3).normal(0.04, 0.01, 7)
    expected = scipy.stats.ttest_1samp(log_ratios, math.log(1.03), alternative="greater").pvalue
    assert stats.one_sided_p_value(log_ratios, 1.03) == pytest.approx(float(expected))


def test_replicates_without_noise_are_beyond_the_bound_or_not() -> None:
    assert stats.one_sided_p_value([0.1] * 5, 1.03) == 0
    assert stats.one_sided_p_value([0.01] * 5, 1.03) == 1
    assert stats.one_sided_p_value([0.0] * 5, 1.0) == 1


def test_the_p_value_at_the_bound_is_uniform() -> None:
    lanes = np.random.default_rng(4).normal(math.log(1.03), 0.011, (SIMULATIONS, 6))
    found = [stats.one_sided_p_value(log_ratios, 1.03) for log_ratios in lanes]
    assert scipy.stats.kstest(np.array(found, dtype=float), "uniform").pvalue > 0.01


@quick
@given(enough_replicates, st.floats(0.5, 2), st.floats(1.001, 2))
def test_the_p_value_grows_with_the_bound(log_ratios: list[float], bound: float, factor: float) -> None:
    nearer, further = (
        stats.one_sided_p_value(log_ratios, bound),
        stats.one_sided_p_value(log_ratios, bound * factor),
    )
    assert nearer is not None
    assert further is not None
    assert 0 <= nearer <= further <= 1


def test_holm_on_a_worked_example() -> None:
    assert stats.holm([0.015, 0.04, 0.03, 0.005], 0.05) == (True, False, False, True)  # Bonferroni's bound is 0.0125
    assert stats.holm([], 0.05) == ()


@quick
@given(p_values, st.floats(0.001, 0.2))
def test_holm_lies_between_bonferroni_and_no_adjustment(found: list[float], alpha: float) -> None:
    for p_value, rejected in zip(found, stats.holm(found, alpha), strict=True):
        assert rejected or p_value > alpha / len(found)
        assert not rejected or p_value <= alpha


@quick
@given(p_values.filter(bool), st.floats(0.001, 0.2), st.data())
def test_holm_rejects_no_less_when_a_p_value_falls_or_alpha_grows(
    found: list[float], alpha: float, data: st.DataObject
) -> None:
    before = stats.holm(found, alpha)
    index = data.draw(st.integers(0, len(found) - 1))
    lower = [p / 2 if i == index else p for i, p in enumerate(found)]
    for after in (stats.holm(lower, alpha), stats.holm(found, alpha * 1.5)):
        assert all(now or not then for then, now in zip(before, after, strict=True))


# Proportions


@quick
@given(counted(), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_is_scipys_and_holds_its_proportion(trial: tuple[int, int], confidence: float) -> None:
    successes, total = trial
    interval = stats.wilson(successes, total, confidence)
    expected = scipy.stats.binomtest(successes, total).proportion_ci(confidence, method="wilson")
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= interval.low <= successes / total <= interval.high <= 1
    assert interval.low < interval.high


@pytest.mark.parametrize(("successes", "total"), [(0, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_what_is_no_proportion(successes: int, total: int) -> None:
    with pytest.raises(ValueError, match="no proportion"):
        stats.wilson(successes, total)


def test_a_proportion_is_an_estimate_with_wilsons_interval() -> None:
    interval = stats.wilson(979, 1000)
    assert stats.proportion_estimate(979, 1000) == stats.Estimate(0.979, interval.low, interval.high, 1000)


@quick
@given(st.lists(st.integers(0, 5), min_size=1, max_size=200))
def test_a_mean_share_lies_in_its_interval_which_is_no_wider_than_wilsons(hits: list[int]) -> None:
    estimate = stats.share_estimate(np.array(hits) / 5, trials_each=5)
    wilson = stats.wilson(sum(hits) / 5, len(hits))
    assert estimate.low is not None
    assert estimate.high is not None
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.high - estimate.low <= wilson.high - wilson.low + 1e-9


def test_shares_that_are_all_or_nothing_are_a_proportion() -> None:
    estimate, wilson = stats.share_estimate([1.0] * 90 + [0.0] * 10, trials_each=5), stats.wilson(90, 100)
    assert estimate.low == pytest.approx(wilson.low, abs=0.001)
    assert estimate.high == pytest.approx(wilson.high, abs=0.001)


def test_shares_that_hardly_vary_are_worth_no_more_than_their_trials() -> None:
    estimate = stats.share_estimate([0.8] * 99 + [0.6], trials_each=5)
    wilson = stats.wilson(0.798 * 500, 500)
    assert (estimate.low, estimate.high) == pytest.approx((wilson.low, wilson.high))


@pytest.mark.parametrize("units", [5, 6, 100])
def test_equal_shares_are_worth_as_much_as_shares_that_hardly_vary(units: int) -> None:
    estimate, wilson = stats.share_estimate([0.8] * units, trials_each=5), stats.wilson(4 * units, 5 * units)
    assert (estimate.low, estimate.high) == pytest.approx((wilson.low, wilson.high))


@pytest.mark.parametrize(("shares", "hits"), [([1.0] * 20, 20), ([0.0] * 20, 0), ([0.8], 0.8)])
def test_what_cannot_show_whether_trials_go_together_is_worth_its_units(shares: list[float], hits: float) -> None:
    estimate, wilson = stats.share_estimate(shares, trials_each=5), stats.wilson(hits, len(shares))
    assert (estimate.low, estimate.high) == pytest.approx((wilson.low, wilson.high))


@pytest.mark.parametrize("share", [0.6, 0.8, 0.9])
def test_a_share_interval_of_few_units_covers_however_often_they_are_equal(share: float) -> None:
    chances = [math.comb(5, hits) * share**hits * (1 - share) ** (5 - hits) for hits in range(6)]
    covered = 0.0
    for hits in itertools.product(range(6), repeat=3):
        estimate = stats.share_estimate(np.array(hits) / 5, trials_each=5)
        assert estimate.low is not None
        assert estimate.high is not None
        covered += math.prod(chances[each] for each in hits) * (estimate.low <= share <= estimate.high)
    assert covered >= 0.95


def test_no_shares_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        stats.share_estimate([], trials_each=5)


@pytest.mark.parametrize("mean", [0.88, 0.99])
def test_a_share_interval_covers_near_the_nominal_rate(mean: float) -> None:
    generator = np.random.default_rng(5)
    found = []
    for _ in range(SIMULATIONS):
        own_rates = generator.beta(3 * mean, 3 * (1 - mean), 200)
        estimate = stats.share_estimate(generator.binomial(5, own_rates) / 5, trials_each=5)
        assert estimate.low is not None
        assert estimate.high is not None
        found.append(estimate.low <= mean <= estimate.high)
    assert np.mean(found) >= 0.92


# Paired answers


@quick
@given(answers)
def test_a_paired_difference_lies_in_its_interval_and_swaps_its_sign(pairs: list[tuple[bool, bool]]) -> None:
    candidate, reference = zip(*pairs, strict=True)
    ours, theirs = (
        stats.paired_difference(candidate, reference),
        stats.paired_difference(reference, candidate),
    )
    assert ours.low is not None
    assert ours.high is not None
    assert theirs.low is not None
    assert theirs.high is not None
    assert -1 <= ours.low <= ours.value <= ours.high <= 1
    assert (ours.value, ours.low, ours.high) == pytest.approx((-theirs.value, -theirs.high, -theirs.low))
    assert ours.value == pytest.approx(np.mean(candidate) - np.mean(reference))


@pytest.mark.parametrize(("count", "only_candidate", "only_reference"), [(50, 0.01, 0.02), (500, 0.03, 0.05)])
def test_a_paired_difference_covers_at_least_at_the_nominal_rate(
    count: int, only_candidate: float, only_reference: float
) -> None:
    draws = np.random.default_rng(6).random((SIMULATIONS, count))
    found = []
    for draw in draws:
        both = draw >= only_candidate + only_reference
        estimate = stats.paired_difference(both | (draw < only_candidate), both | (draw >= only_candidate))
        assert estimate.low is not None
        assert estimate.high is not None
        found.append(estimate.low <= only_candidate - only_reference <= estimate.high)
    assert np.mean(found) >= 0.95 - COVERAGE_ERROR


def test_answers_that_never_differ_prove_nothing_at_once() -> None:
    few, many = (
        stats.paired_difference([True] * 10, [True] * 10),
        stats.paired_difference([True] * 9999, [True] * 9999),
    )
    assert few.low is not None
    assert few.low < -0.1
    assert many.low is not None
    assert many.low > -0.001
    assert stats.mcnemar_exact([True, False], [True, False]) == 1.0


def test_mcnemar_is_the_exact_test_on_the_discordant_pairs() -> None:
    candidate, reference = [True] * 3 + [False] * 12 + [True] * 85, [False] * 3 + [True] * 12 + [True] * 85
    expected = 2 * sum(math.comb(15, k) for k in range(4)) / 2**15
    assert stats.mcnemar_exact(candidate, reference) == pytest.approx(expected)
    assert stats.mcnemar_exact(reference, candidate) == pytest.approx(expected)


@quick
@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_equals_scipys_binomial_test(only_candidate: int, only_reference: int) -> None:
    candidate = [True] * only_candidate + [False] * only_reference + [True]
    reference = [False] * only_candidate + [True] * only_reference + [True]
    differ = only_candidate + only_reference
    expected = scipy.stats.binomtest(only_candidate, differ, 0.5).pvalue if differ else 1.0
    assert stats.mcnemar_exact(candidate, reference) == pytest.approx(expected)


@pytest.mark.parametrize(("only_candidate", "only_reference"), [(0.01, 0.01), (0.03, 0.03), (0.001, 0.021)])
def test_as_many_pairs_as_needed_decide_at_the_chance_asked_for(only_candidate: float, only_reference: float) -> None:
    margin, pilot = 0.01, 1_000_000
    needed = stats.pairs_needed(round(pilot * only_candidate), round(pilot * only_reference), pilot, margin)
    assert needed is not None
    shares = [only_candidate, only_reference, 1 - only_candidate - only_reference]
    decided = []
    for counts in np.random.default_rng(8).multinomial(needed, shares, size=400):
        candidate, reference = (np.repeat(answer, counts) for answer in ([True, False, True], [False, True, True]))
        estimate = stats.paired_difference(candidate, reference)
        assert estimate.low is not None
        assert estimate.high is not None
        decided.append(not estimate.low <= -margin <= estimate.high)
    assert np.mean(decided) == pytest.approx(stats.POWER, abs=4 * math.sqrt(0.8 * 0.2 / 400))


def test_pairs_needed_on_a_worked_example() -> None:
    # (1.96 + 0.84)^2 = 7.849; discordant 0.02: 7.849 * 0.02 / 0.01^2 = 1570.
    assert stats.pairs_needed(8_000, 12_000, 1_000_000, 0.01) == pytest.approx(1570, abs=1)


@pytest.mark.parametrize("margin", [0.0, 1e-200, 1e-5])
def test_more_pairs_than_anyone_has_are_not_asked_for(margin: float) -> None:
    assert stats.pairs_needed(10, 10, 1000, margin) is None


@pytest.mark.parametrize(("candidate", "reference"), [([], []), ([True], [True, False]), ([[True]], [[True]])])
def test_answers_that_do_not_pair_up_are_refused(candidate: list[bool], reference: list[bool]) -> None:
    for function in (stats.paired_difference, stats.mcnemar_exact):
        with pytest.raises(ValueError, match="no pairs"):
            function(candidate, reference)


# Variance components


def test_variance_components_on_a_worked_example() -> None:
    # Group means 2 and 6, grand mean 4; within (1+1+1+1)/2 = 2; mean square 2*(4+4) = 16; (16-2)/2 = 7.
    assert stats.variance_components([[1, 3], [5, 7]]) == stats.VarianceComponents(7.0, 2.0, 2, 4)


def test_variance_components_are_found_again_in_unequal_replicates() -> None:
    generator = np.random.default_rng(7)
    nested = [
        generator.normal(generator.normal(0, 0.05), 0.025, generator.integers(5, 40)).tolist() for _ in range(1500)
    ]
    found = stats.variance_components(nested)
    assert found.between is not None
    assert math.sqrt(found.between) == pytest.approx(0.05, rel=0.06)
    assert found.within is not None
    assert math.sqrt(found.within) == pytest.approx(0.025, rel=0.02)


def test_variance_components_say_what_they_cannot_say() -> None:
    assert stats.variance_components([]) == stats.VarianceComponents(None, None, 0, 0)
    assert stats.variance_components([[1.0], [2.0]]) == stats.VarianceComponents(None, None, 2, 2)
    assert stats.variance_components([[1.0, 3.0], []]) == stats.VarianceComponents(None, 2.0, 1, 2)
    assert stats.variance_components([[1.0, 3.0], [3.0, 1.0]]).between == 0


@quick
@given(st.lists(st.lists(logs, min_size=1, max_size=6), min_size=2, max_size=8), logs)
def test_variance_components_do_not_move_with_the_ratio(nested: list[list[float]], shift: float) -> None:
    here = stats.variance_components(nested)
    there = stats.variance_components([[log + shift for log in group] for group in nested])
    assert (here.replicates, here.observations) == (there.replicates, there.observations)
    for ours, theirs in ((here.between, there.between), (here.within, there.within)):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert ours >= 0
            assert ours == pytest.approx(theirs, abs=1e-9)
