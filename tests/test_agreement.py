"""Agreement: worked examples, ties and NaN, and what must not change when classes or images change places."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import astuple, replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ovbench import agreement as agreement_room
from ovbench.agreement import (
    NO_CLASS,
    NO_LABEL,
    WORST,
    Agreement,
    Disagreement,
    DropVerdict,
    OutputDifference,
    compare_outputs,
    judge_drop,
    measure_agreement,
    top_classes,
)
from ovbench.errors import BadImages, NothingMeasured
from ovbench.stats import Estimate, proportion_estimate
from ovbench.verdict import Outcome

Logits = npt.NDArray[np.float64]

quick = settings(deadline=None, max_examples=40)
shapes = st.tuples(st.integers(1, 12), st.integers(1, 9))
finite = st.floats(-100, 100, width=32)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Logits, Logits]:
    shape = draw(shapes)
    return draw(hnp.arrays(float, shape, elements=finite)), draw(hnp.arrays(float, shape, elements=finite))


@st.composite
def untied_pairs(draw: st.DrawFn) -> tuple[Logits, Logits]:
    """Rows that are permutations: no two classes of an image have the same logit."""
    images, classes = draw(shapes)
    rows = st.lists(st.permutations(range(classes)), min_size=images, max_size=images)
    return np.array(draw(rows), dtype=float), np.array(draw(rows), dtype=float)


def shares(agreement: Agreement) -> list[Estimate]:
    found = [agreement.top1, agreement.top5_overlap, agreement.reference_top1_in_top5]
    return found + [share for share in (agreement.label_top1, agreement.label_top5) if share is not None]


def test_a_worked_example() -> None:
    reference = np.array([[9, 8, 7, 6, 5, 0, 0, 0], [9, 8, 7, 6, 5, 0, 0, 0]])
    candidate = np.array([[9, 8, 7, 6, 5, 0, 0, 0], [0, 8, 7, 6, 0, 9, 5, 4]])
    agreement = measure_agreement(candidate, reference, labels=[0, 1])
    assert (agreement.images, agreement.top) == (2, 5)
    assert agreement.top1 == proportion_estimate(1, 2)
    assert agreement.top5_overlap.value == pytest.approx((5 + 3) / 10)
    assert agreement.reference_top1_in_top5 == proportion_estimate(1, 2)
    assert agreement.label_top1 == proportion_estimate(1, 2)
    assert agreement.label_top5 == proportion_estimate(2, 2)


def test_fewer_classes_than_five_are_judged_on_all() -> None:
    agreement = measure_agreement([[0.1, 0.9], [0.8, 0.2]], [[0.9, 0.1], [0.7, 0.3]])
    assert agreement.top == 2
    assert (agreement.top1.value, agreement.top5_overlap.value) == (0.5, 1.0)
    assert agreement.label_top1 is None
    assert agreement.label_top5 is None


def test_of_equal_logits_the_lower_class_comes_first() -> None:
    assert top_classes([[1, 3, 3, 1, 3, 0]]).tolist() == [[1, 2, 4, 0, 3]]
    assert top_classes(np.zeros((1, 8), np.float32)).tolist() == [[0, 1, 2, 3, 4]]
    assert top_classes([[-np.inf, -np.inf, 0.0, np.inf, -np.inf, -np.inf]]).tolist() == [[3, 2, 0, 1, 4]]


def test_nan_agrees_with_nothing_not_even_nan() -> None:
    broken = np.array([[np.nan, 1.0, 2.0], [3.0, 2.0, 1.0]])
    assert top_classes(broken).tolist() == [[NO_CLASS] * 3, [0, 1, 2]]
    agreement = measure_agreement(broken, broken, labels=[0, 0])
    assert {share.value for share in shares(agreement)} == {0.5}


@pytest.mark.parametrize(("candidate", "reference"), [((3, 4), (3, 5)), ((3, 4), (2, 4)), ((4,), (4,))])
def test_logits_that_do_not_pair_up_are_refused(candidate: tuple[int, ...], reference: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not pair up"):
        measure_agreement(np.zeros(candidate), np.zeros(reference))


@pytest.mark.parametrize("labels", [[0], [0, NO_LABEL - 1], [[0, 1]]])
def test_labels_that_do_not_fit_are_refused(labels: list[int]) -> None:
    with pytest.raises(ValueError, match="do not fit 2 images"):
        measure_agreement(np.zeros((2, 4)), np.zeros((2, 4)), labels)


def test_no_images_are_nothing_measured() -> None:
    with pytest.raises(NothingMeasured, match="at least one image"):
        measure_agreement(np.zeros((0, 4)), np.zeros((0, 4)))


@quick
@given(hnp.arrays(np.float32, shapes, elements=st.floats(width=32, allow_nan=False)))
def test_top_classes_are_those_of_a_stable_sort(logits: npt.NDArray[np.float32]) -> None:
    clipped = np.maximum(logits, np.finfo(np.float32).min)
    before = logits.copy()
    assert (top_classes(logits) == np.argsort(-clipped, axis=1, kind="stable")[:, :5]).all()
    assert (logits == before).all()


@quick
@given(hnp.arrays(float, shapes, elements=finite))
def test_a_set_agrees_with_itself(logits: Logits) -> None:
    agreement = measure_agreement(logits, logits, labels=top_classes(logits)[:, 0])
    assert {share.value for share in shares(agreement)} == {1.0}


@quick
@given(pairs(), st.data())
def test_shares_lie_in_their_intervals(pair: tuple[Logits, Logits], data: st.DataObject) -> None:
    candidate, reference = pair
    labels = data.draw(hnp.arrays(int, candidate.shape[0], elements=st.integers(0, candidate.shape[1] - 1)))
    agreement = measure_agreement(candidate, reference, labels)
    for share in shares(agreement):
        assert share.low is not None
        assert share.high is not None
        assert 0 <= share.low <= share.value <= share.high <= 1
        assert share.count == candidate.shape[0]
    assert agreement.top1.value <= agreement.reference_top1_in_top5.value
    assert agreement.label_top1 is not None
    assert agreement.label_top5 is not None
    assert agreement.label_top1.value <= agreement.label_top5.value


@quick
@given(pairs())
def test_the_sides_may_be_swapped(pair: tuple[Logits, Logits]) -> None:
    ours, theirs = measure_agreement(*pair), measure_agreement(*reversed(pair))
    assert ours.top1 == theirs.top1
    assert ours.top5_overlap == theirs.top5_overlap


@quick
@given(untied_pairs(), st.data())
def test_the_classes_may_change_places(pair: tuple[Logits, Logits], data: st.DataObject) -> None:
    candidate, reference = pair
    order = np.array(data.draw(st.permutations(range(candidate.shape[1]))))
    labels = data.draw(hnp.arrays(int, candidate.shape[0], elements=st.integers(0, candidate.shape[1] - 1)))
    moved_labels = np.argsort(order)[labels]
    here = measure_agreement(candidate, reference, labels)
    there = measure_agreement(candidate[:, order], reference[:, order], moved_labels)
    assert replace(there, logit_difference=None, worst=()) == replace(here, logit_difference=None, worst=())
    assert [(each.image, each.margin) for each in there.worst] == [(each.image, each.margin) for each in here.worst]
    assert_same_difference(there, here)


@quick
@given(pairs(), st.data())
def test_the_images_may_change_places(pair: tuple[Logits, Logits], data: st.DataObject) -> None:
    candidate, reference = pair
    order = np.array(data.draw(st.permutations(range(candidate.shape[0]))))
    labels = data.draw(hnp.arrays(int, candidate.shape[0], elements=st.integers(NO_LABEL, candidate.shape[1] - 1)))
    here = measure_agreement(candidate, reference, labels)
    there = measure_agreement(candidate[order], reference[order], labels[order], numbers=order)
    summed = {"top5_overlap": here.top5_overlap, "logit_difference": None}  # a sum's rounding depends on the order
    assert replace(there, **summed) == replace(here, **summed)
    assert there.top5_overlap.value == pytest.approx(here.top5_overlap.value)
    assert_same_difference(there, here)


@quick
@given(untied_pairs(), st.floats(0.5, 4))
def test_a_scale_of_the_logits_is_of_no_account(pair: tuple[Logits, Logits], factor: float) -> None:
    candidate, reference = pair
    here = measure_agreement(candidate, reference)
    there = measure_agreement(candidate * factor + 1, reference * factor)
    assert replace(there, logit_difference=None, worst=()) == replace(here, logit_difference=None, worst=())
    assert [each.margin for each in there.worst] == pytest.approx([factor * each.margin for each in here.worst])


# --- labels ---


def answers(both: int = 0, lost: int = 0, gained: int = 0, neither: int = 0) -> tuple[Logits, Logits, list[int]]:
    """Candidate's and reference's logits of three classes, and labels: so many images right on either side."""
    ours = [0] * both + [1] * lost + [0] * gained + [1] * neither
    theirs = [0] * both + [0] * lost + [1] * gained + [1] * neither
    return np.eye(3)[ours], np.eye(3)[theirs], [0] * len(ours)


def test_accuracy_is_told_of_both_sides_with_the_paired_difference() -> None:
    agreement = measure_agreement(*answers(both=880, lost=12, gained=4, neither=104))
    assert agreement.label_top1 == proportion_estimate(884, 1000)
    assert agreement.reference_label_top1 == proportion_estimate(892, 1000)
    assert agreement.label_top5 == agreement.reference_label_top5 == proportion_estimate(1000, 1000)
    assert (agreement.lost, agreement.gained) == (12, 4)
    drop = agreement.label_top1_drop
    assert drop is not None
    assert (drop.value, drop.count) == (pytest.approx(0.008), 1000)
    assert (drop.low, drop.high) == pytest.approx(wald_plus_2(12, 4, 1000))
    assert agreement.mcnemar_p == pytest.approx(2 * sum(math.comb(16, k) for k in range(5)) / 2**16)


def wald_plus_2(lost: int, gained: int, count: int) -> tuple[float, float]:
    """Agresti's own R code, users.stat.ufl.edu/~aa/cda/R/matched: diffpropci(gained, lost, count, 0.95)."""
    middle = (lost - gained) / (count + 2)
    error = math.sqrt((lost + gained + 1) - (lost - gained) ** 2 / (count + 2)) / (count + 2)
    return middle - 1.959964 * error, middle + 1.959964 * error


def test_images_without_a_label_are_not_judged_by_it() -> None:
    ours, theirs, labels = answers(both=5, lost=2, gained=1)
    some = measure_agreement(ours, theirs, [*labels[:-1], NO_LABEL])
    known = measure_agreement(ours[:-1], theirs[:-1], labels[:-1])
    assert some.images == 8
    assert (some.label_top1, some.label_top1_drop, some.gained) == (known.label_top1, known.label_top1_drop, 0)
    assert some.label_top1 is not None
    assert some.label_top1.count == 7
    none = measure_agreement(ours, theirs, [NO_LABEL] * 8)
    assert none == measure_agreement(ours, theirs)
    assert (none.label_top1, none.label_top1_drop, none.lost, none.mcnemar_p) == (None, None, None, None)


def test_a_label_beyond_the_classes_is_told_in_one_line() -> None:
    with pytest.raises(BadImages) as told:
        measure_agreement(np.zeros((2, 4)), np.zeros((2, 4)), [3, 4], numbers=[10, 11])
    assert (
        str(told.value) == "image 11 has label 4, the model has 4 classes: give labels from 0 to 3 in the model's order"
    )


@quick
@given(pairs(), st.data())
def test_swapping_the_sides_turns_the_drop_round(pair: tuple[Logits, Logits], data: st.DataObject) -> None:
    labels = data.draw(hnp.arrays(int, pair[0].shape[0], elements=st.integers(NO_LABEL, pair[0].shape[1] - 1)))
    ours, theirs = measure_agreement(*pair, labels), measure_agreement(*reversed(pair), labels)
    assert (ours.label_top1, ours.label_top5) == (theirs.reference_label_top1, theirs.reference_label_top5)
    assert (ours.lost, ours.gained, ours.mcnemar_p) == (theirs.gained, theirs.lost, theirs.mcnemar_p)
    mine, other = ours.label_top1_drop, theirs.label_top1_drop
    assert (mine is None) == (other is None) == (not (labels >= 0).any())
    if mine is not None and other is not None:
        assert None not in (mine.low, mine.high, other.low, other.high)
        assert (mine.value, mine.low, mine.high) == pytest.approx((-other.value, -other.high, -other.low))


# --- the drop judged ---


@pytest.mark.parametrize(("counts", "outcome"), [
    ({"both": 990, "neither": 10}, Outcome.HELD),
    ({"both": 880, "lost": 4, "gained": 12, "neither": 104}, Outcome.HELD),
    ({"both": 900, "lost": 60, "gained": 2, "neither": 38}, Outcome.FAILED),
    ({"both": 880, "lost": 12, "gained": 4, "neither": 104}, Outcome.UNSURE),
    ({"both": 20}, Outcome.UNSURE),
])  # fmt: skip
def test_a_drop_is_judged_by_its_whole_interval(counts: dict[str, int], outcome: Outcome) -> None:
    verdict = judge_drop(measure_agreement(*answers(**counts)), max_drop=0.01)
    assert verdict.outcome is outcome
    assert (verdict.images_needed is not None) == (outcome is Outcome.UNSURE)


def test_a_drop_at_the_limit_is_unsure_however_many_images_there_are() -> None:
    agreement = measure_agreement(*answers(both=9860, lost=120, gained=20))
    assert judge_drop(agreement, max_drop=0.01) == DropVerdict(Outcome.UNSURE, None)


def test_without_labels_no_drop_is_judged() -> None:
    ours, theirs, _ = answers(both=3)
    assert judge_drop(measure_agreement(ours, theirs), 0.01) == DropVerdict(Outcome.SKIPPED)


@quick
@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 3000), st.floats(0, 0.2))
def test_what_cannot_be_told_needs_more_images(lost: int, gained: int, both: int, max_drop: float) -> None:
    agreement = measure_agreement(*answers(both, lost, gained))
    verdict = judge_drop(agreement, max_drop)
    assert verdict.images_needed is None or verdict.images_needed > agreement.images
    assert agreement.label_top1_drop is not None
    assert verdict.outcome is not Outcome.HELD or agreement.label_top1_drop.value < max_drop
    assert verdict.outcome is not Outcome.FAILED or agreement.label_top1_drop.value > max_drop
    assert judge_drop(agreement, 1.1).outcome is Outcome.HELD


# --- where and how far outputs part ---


def test_the_worst_disagreements_are_those_that_the_reference_contradicts_most() -> None:
    reference = np.array([[9.0, 8, 0], [9, 1, 0], [5, 4, 3], [9, 0, 7]])
    candidate = np.array([[7.0, 8, 0], [2, 3, 0], [5, 4, 3], [1, 2, 6]])
    agreement = measure_agreement(candidate, reference, labels=[0, NO_LABEL, 0, 2], numbers=[40, 30, 20, 10])
    assert agreement.worst == (
        Disagreement(30, None, 8.0, (0, 1, 2), (9.0, 1.0, 0.0), (1, 0, 2), (3.0, 2.0, 0.0)),
        Disagreement(10, 2, 2.0, (0, 2, 1), (9.0, 7.0, 0.0), (2, 1, 0), (6.0, 2.0, 1.0)),
        Disagreement(40, 0, 1.0, (0, 1, 2), (9.0, 8.0, 0.0), (1, 0, 2), (8.0, 7.0, 0.0)),
    )


def test_nan_is_the_worst_of_all_and_has_no_classes() -> None:
    reference = np.array([[0.0, 99.0], [1.0, 0.0], [1.0, 0.0]])
    candidate = np.array([[1.0, 0.0], [np.nan, 0.0], [1.0, 0.0]])
    first, second = measure_agreement(candidate, reference).worst
    assert first == Disagreement(1, None, None, (0, 1), (1.0, 0.0), (), ())
    assert (second.image, second.margin) == (0, 99.0)


def test_infinite_logits_have_an_answer_and_no_difference() -> None:
    reference = np.array([[np.inf, 0.0, -np.inf], [1.0, 2.0, 3.0]])
    candidate = np.array([[0.0, np.inf, -np.inf], [1.5, 2.0, 3.0]])
    agreement = measure_agreement(candidate, reference)
    assert agreement.worst[0].margin is None
    assert agreement.worst[0].reference_top == (0, 1, 2)
    difference = agreement.logit_difference
    assert difference is not None
    assert (difference.images, difference.reference_deviation) == (1, pytest.approx(math.sqrt(2 / 3)))
    assert difference.largest * difference.reference_deviation == pytest.approx(0.5)


def test_no_more_are_kept_than_a_person_looks_at() -> None:
    agreement = measure_agreement(*answers(lost=WORST + 3)[:2])
    assert [each.image for each in agreement.worst] == list(range(WORST))


@quick
@given(shapes, st.integers(0, 2**32 - 1))
def test_quantiles_of_the_logit_difference_are_numpys(shape: tuple[int, int], seed: int) -> None:
    random = np.random.default_rng(seed)
    reference = random.normal(3, 2, (shape[0], shape[1] + 1))
    candidate = reference + random.normal(0, 0.1, reference.shape)
    found = measure_agreement(candidate, reference).logit_difference
    assert found is not None
    gaps = np.abs(candidate - reference) / found.reference_deviation
    assert found.reference_deviation == pytest.approx(math.sqrt(reference.var(axis=1).mean()))
    assert found.largest == pytest.approx(gaps.max())
    for quantile, q in ((found.median, 0.5), (found.p95, 0.95)):
        assert quantile == pytest.approx(np.quantile(gaps, q, method="inverted_cdf"), rel=3e-3)


@pytest.mark.parametrize("reference", [np.full((2, 3), 7.0), np.full((2, 3), np.nan), np.ones((2, 1))])
def test_logits_that_do_not_vary_have_no_scale(reference: Logits) -> None:
    assert measure_agreement(reference + 1, reference).logit_difference is None


@quick
@given(pairs(), st.data())
def test_a_set_beside_itself_has_no_drop_and_no_difference(pair: tuple[Logits, Logits], data: st.DataObject) -> None:
    logits = pair[0]
    labels = data.draw(hnp.arrays(int, logits.shape[0], elements=st.integers(0, logits.shape[1] - 1)))
    agreement = measure_agreement(logits, logits, labels)
    assert agreement.label_top1_drop is not None
    assert (agreement.label_top1_drop.value, agreement.mcnemar_p, agreement.worst) == (0.0, 1.0, ())
    if agreement.logit_difference is not None:
        assert (agreement.logit_difference.p95, agreement.logit_difference.largest) == (0.0, 0.0)


# --- size ---


@quick
@given(pairs(), st.integers(1, 30), st.data())
def test_blocks_of_any_size_give_the_same_answer(pair: tuple[Logits, Logits], values: int, data: st.DataObject) -> None:
    labels = data.draw(hnp.arrays(int, pair[0].shape[0], elements=st.integers(NO_LABEL, pair[0].shape[1] - 1)))
    whole = measure_agreement(*pair, labels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agreement_room, "BLOCK_VALUES", values)
        parts = measure_agreement(*pair, labels)
    assert replace(parts, logit_difference=None) == replace(whole, logit_difference=None)
    assert_same_difference(parts, whole)


def assert_same_difference(one: Agreement, other: Agreement) -> None:
    """Equal but for the rounding of sums taken in another order."""
    assert (one.logit_difference is None) == (other.logit_difference is None)
    if one.logit_difference is not None and other.logit_difference is not None:
        assert astuple(one.logit_difference) == pytest.approx(astuple(other.logit_difference))


def test_memory_does_not_grow_with_the_logits() -> None:
    few, many = 2_000, 12_000
    random = np.random.default_rng(1)
    candidate, reference = (random.random((many, 500), dtype=np.float32) for _ in range(2))
    labels = np.zeros(many, dtype=int)

    def peak_bytes(images: int) -> int:
        tracemalloc.start()
        measure_agreement(candidate[:images], reference[:images], labels[:images])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    measure_agreement(candidate[:10], reference[:10], labels[:10])  # what is imported on the way is not counted
    growth = peak_bytes(many) - peak_bytes(few)
    assert growth < 0.25 * (reference[few:].nbytes)


# --- outputs of models that do not classify ---


def boxes(*values: float) -> list[npt.NDArray[np.float32]]:
    return [np.array(values, dtype=np.float32).reshape(1, -1)]


def test_outputs_side_by_side() -> None:
    reference = [boxes(3, 4), boxes(1, 0), boxes(0, 2), boxes(1, 1), boxes(5, 0)]
    candidate = [boxes(4, 3), boxes(1, 0), boxes(0, 2), boxes(1, 1), boxes(0, 5)]
    (found,) = compare_outputs(candidate, reference, ["boxes"])
    assert found == OutputDifference(
        "boxes", 5, 0, 1.0, pytest.approx(0.0), pytest.approx(math.sqrt(2)), pytest.approx(5.0)
    )
    (one,) = compare_outputs(candidate[:1], reference[:1], ["boxes"])
    assert one.median_cosine is None
    assert one.least_cosine == pytest.approx(0.96)
    assert one.relative == pytest.approx(math.sqrt(2) / 5)


def test_each_output_is_compared_with_its_own() -> None:
    first, second = compare_outputs([[*boxes(1), *boxes(2, 2)]], [[*boxes(1), *boxes(1, 1)]], ["a", "b"])
    assert (first.name, first.relative, second.name, second.relative) == ("a", 0.0, "b", 1.0)


def test_what_is_not_finite_is_left_out_and_counted() -> None:
    candidate = [boxes(np.nan, 1), boxes(np.inf, 1), boxes(2, 1)]
    (found,) = compare_outputs(candidate, [boxes(0, 1), boxes(np.inf, 1), boxes(2, 1)], ["x"])
    assert found == OutputDifference("x", 3, 2, None, 1.0, 0.0, 0.0)
    (none,) = compare_outputs(candidate[:1], candidate[:1], ["x"])
    assert none == OutputDifference("x", 1, 1, None, None, None, None)


def test_zeros_are_like_zeros_and_like_nothing_else() -> None:
    (found,) = compare_outputs([boxes(0, 0), boxes(0, 3)], [boxes(0, 0), boxes(0, 0)], ["x"])
    assert (found.least_cosine, found.relative, found.max_abs) == (0.0, 0.0, 3.0)
    (alone,) = compare_outputs([boxes(0, 3)], [boxes(0, 0)], ["x"])
    assert alone.relative is None
    (empty,) = compare_outputs([boxes()], [boxes()], ["x"])
    assert (empty.least_cosine, empty.relative, empty.max_abs) == (1.0, 0.0, 0.0)


def test_whole_numbers_do_not_wrap_round() -> None:
    (found,) = compare_outputs([[np.array([1], np.uint8)]], [[np.array([2], np.uint8)]], ["class"])
    assert (found.max_abs, found.relative) == (1.0, 0.5)


@pytest.mark.parametrize(("candidate", "reference", "names"), [
    ([boxes(1, 2)], [boxes(1, 2, 3)], ["x"]),
    ([boxes(1)], [boxes(1), boxes(1)], ["x"]),
    ([boxes(1)], [boxes(1)], ["x", "y"]),
])  # fmt: skip
def test_outputs_that_do_not_pair_up_are_refused(candidate: list, reference: list, names: list[str]) -> None:
    with pytest.raises(ValueError, match=r"shapes|do not pair up"):
        compare_outputs(candidate, reference, names)


def test_outputs_of_no_inputs_are_nothing_measured() -> None:
    with pytest.raises(NothingMeasured, match="at least one"):
        compare_outputs([], [], ["x"])


@quick
@given(pairs(), st.floats(0.5, 4), st.data())
def test_the_inputs_may_change_places_and_a_scale_leaves_cosine_and_relative(
    pair: tuple[Logits, Logits], factor: float, data: st.DataObject
) -> None:
    ours, theirs = ([[row] for row in side] for side in pair)
    order = data.draw(st.permutations(range(len(ours))))
    (here,) = compare_outputs(ours, theirs, ["x"])
    (there,) = compare_outputs([ours[i] for i in order], [theirs[i] for i in order], ["x"])
    assert here == there
    (scaled,) = compare_outputs([[row * factor] for row in pair[0]], [[row * factor] for row in pair[1]], ["x"])
    for name in ("median_cosine", "least_cosine", "relative"):
        before, after = getattr(here, name), getattr(scaled, name)
        assert (before is None) == (after is None)
        assert before is None or after == pytest.approx(before, rel=1e-6, abs=1e-9)
    assert here.least_cosine is not None
    assert -1 <= here.least_cosine <= 1


@quick
@given(pairs())
def test_an_output_beside_itself_is_the_same(pair: tuple[Logits, Logits]) -> None:
    rows = [[row] for row in pair[0]]
    (found,) = compare_outputs(rows, rows, ["x"])
    assert (found.least_cosine, found.relative, found.max_abs) == (1.0, 0.0, 0.0)
