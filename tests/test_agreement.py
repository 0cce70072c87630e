"""Agreement: worked examples, ties and NaN, and what must not change when classes or images change places."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ovbench.agreement import NO_CLASS, Agreement, measure_agreement, top_classes
from ovbench.errors import NothingMeasured
from ovbench.stats import Estimate, proportion_estimate

Logits = npt.NDArray[np.float64]

quick = settings(deadline=None, max_examples=60)
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


@pytest.mark.parametrize("labels", [[0], [0, -1], [[0, 1]]])
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
    assert measure_agreement(candidate[:, order], reference[:, order], moved_labels) == measure_agreement(
        candidate, reference, labels
    )


@quick
@given(pairs(), st.data())
def test_the_images_may_change_places(pair: tuple[Logits, Logits], data: st.DataObject) -> None:
    candidate, reference = pair
    order = np.array(data.draw(st.permutations(range(candidate.shape[0]))))
    here, there = (
        measure_agreement(candidate, reference),
        measure_agreement(candidate[order], reference[order]),
    )
    assert (here.top1, here.reference_top1_in_top5) == (there.top1, there.reference_top1_in_top5)
    assert here.top5_overlap.value == pytest.approx(there.top5_overlap.value)


@quick
@given(untied_pairs(), st.floats(0.5, 4))
def test_a_scale_of_the_logits_is_of_no_account(pair: tuple[Logits, Logits], factor: float) -> None:
    candidate, reference = pair
    assert measure_agreement(candidate * factor + 1, reference) == measure_agreement(candidate, reference)
