"""How far a candidate's outputs agree with a reference's and with the labels: values only, pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ovbench.errors import BadImages, NothingMeasured
from ovbench.stats import (
    Estimate,
    mcnemar_exact,
    median,
    paired_difference,
    pairs_needed,
    proportion_estimate,
    share_estimate,
)
from ovbench.verdict import Outcome

TOP = 5  # the field's top-5 (ILSVRC); a model with fewer classes is judged on all of them
NO_CLASS = -1  # the answer of a row of logits that holds NaN: agrees with nothing, itself not excepted
NO_LABEL = -1  # the label of an image whose class is not known
WORST = 5  # disagreements that are kept: what a person looks at before quantizing differently
BLOCK_VALUES = 2**19  # logits taken at once, 4 MB in float64: 50,000 x 1000 need 25 MB beyond themselves (measured)
TOLD_DROP = 0.01  # of top-1, NNCF's own default: what the report judges where --ov-max-drop gates nothing
COARSE_BITS = 15  # low bits of a float32 that a quantile of differences does without: it is right to 0.2 %


@dataclass(frozen=True)
class Disagreement:
    """One image on which the first answers differ: both sides' best classes, best first, and their outputs.

    ``margin`` is what the reference loses if it takes the candidate's first class instead of its own, in its
    own outputs' unit: near 0 it hardly cared, and far above it contradicts. None, and no classes, where a
    side's logits hold NaN. ``label`` is None where it is not known.
    """

    image: int
    label: int | None
    margin: float | None
    reference_top: tuple[int, ...]
    reference_values: tuple[float, ...]
    candidate_top: tuple[int, ...]
    candidate_values: tuple[float, ...]


@dataclass(frozen=True)
class LogitDifference:
    """|candidate - reference| over all logits of ``images`` images, in standard deviations of the reference's.

    The deviation, in the logits' own unit, is that of one image's logits, pooled over images. Images with
    logits that are not finite on either side are left out.
    """

    median: float
    p95: float
    largest: float
    reference_deviation: float
    images: int


@dataclass(frozen=True)
class Agreement:
    """A candidate's answers against a reference's on the same images: shares in [0, 1] with intervals.

    ``top`` is 5, or the number of classes where they are fewer. An image whose logits hold NaN on either side
    counts as a disagreement. The label shares are accuracy on the labelled images (their number is the
    estimate's ``count``), None without labels: the candidate's own, the reference's, and how much less the
    candidate has (``label_top1_drop``, paired, below 0 where it is better), with the images that only the
    reference (``lost``) or only the candidate (``gained``) gets right and McNemar's exact p-value. ``worst``
    holds the greatest disagreements, worst first; ``logit_difference`` is None where nothing finite varies.
    """

    images: int
    top: int
    top1: Estimate
    top5_overlap: Estimate
    reference_top1_in_top5: Estimate
    label_top1: Estimate | None
    label_top5: Estimate | None
    reference_label_top1: Estimate | None = None
    reference_label_top5: Estimate | None = None
    label_top1_drop: Estimate | None = None
    lost: int | None = None
    gained: int | None = None
    mcnemar_p: float | None = None
    logit_difference: LogitDifference | None = None
    worst: tuple[Disagreement, ...] = ()


@dataclass(frozen=True)
class DropVerdict:
    """Whether accuracy drops by no more than was allowed; SKIPPED without labels.

    ``images_needed``: how many labelled images would tell such a drop from none (`stats.pairs_needed`), where
    those that were judged are too few. None where it is decided, or is not although they are enough: the drop
    is near the limit itself, and more images hardly help.
    """

    outcome: Outcome
    images_needed: int | None = None


@dataclass(frozen=True)
class OutputDifference:
    """One output of a model that does not classify, beside the reference's on the same inputs.

    Figures are over the inputs on which both sides are finite, ``not_finite`` counts the others. ``relative``
    is the greatest ||candidate - reference|| / ||reference||, ``max_abs`` the greatest difference of one value
    in the output's own unit. None: no such input, or too few for a median (`stats.median`).
    """

    name: str
    inputs: int
    not_finite: int
    median_cosine: float | None
    least_cosine: float | None
    relative: float | None
    max_abs: float | None


def measure_agreement(
    candidate: npt.ArrayLike,
    reference: npt.ArrayLike,
    labels: npt.ArrayLike | None = None,
    numbers: npt.ArrayLike | None = None,
) -> Agreement:
    """Judge ``candidate`` against ``reference``: logits or probabilities (n, classes) of the same images.

    ``labels``: n class numbers, NO_LABEL where one is not known. ``numbers``: n image numbers, by which the
    worst disagreements are named; without them the rows' own. Intervals are Wilson's over images; the
    overlap's allows for an image's five answers going together (`stats.share_estimate`). Logits are taken in
    blocks of rows, whatever their number. Raises NothingMeasured for no images, BadImages for a label that the
    model has no class for, ValueError for shapes that do not fit each other.
    """
    ours, theirs = np.asarray(candidate), np.asarray(reference)
    if ours.ndim != 2 or ours.shape != theirs.shape:
        raise ValueError(f"logits of shapes {ours.shape} and {theirs.shape} do not pair up: give two of (n, classes)")
    images, classes = ours.shape
    if images == 0 or classes == 0:
        raise NothingMeasured(f"agreement of logits of shape {ours.shape}: classify at least one image")
    named = _checked_numbers(numbers, images)
    known = _checked_labels(labels, named, classes)
    our_top, their_top = top_classes(ours), top_classes(theirs)
    in_our_top = (their_top[:, :, None] == our_top[:, None, :]).any(axis=2) & (their_top != NO_CLASS)
    agreement = Agreement(
        images=images,
        top=our_top.shape[1],
        top1=_share((our_top[:, 0] == their_top[:, 0]) & (our_top[:, 0] != NO_CLASS)),
        top5_overlap=share_estimate(in_our_top.mean(axis=1), trials_each=our_top.shape[1]),
        reference_top1_in_top5=_share(in_our_top[:, 0]),
        label_top1=None,
        label_top5=None,
        logit_difference=_logit_difference(ours, theirs),
        worst=_worst(ours, theirs, our_top, their_top, known, named),
    )
    labelled = known != NO_LABEL
    if not labelled.any():
        return agreement
    return _with_labels(agreement, our_top[labelled], their_top[labelled], known[labelled])


def judge_drop(agreement: Agreement, max_drop: float) -> DropVerdict:
    """Whether the candidate's top-1 accuracy is proven to lie less than ``max_drop`` (a share) below the reference's.

    HELD where the whole interval of the drop is below, FAILED where it is above, UNSURE where the limit lies
    inside. With an interval of 95 % that is the usual test of non-inferiority, one-sided at 2.5 % (ICH E9).
    """
    drop = agreement.label_top1_drop
    if drop is None or agreement.lost is None or agreement.gained is None:
        return DropVerdict(Outcome.SKIPPED)
    if drop.high is not None and drop.high < max_drop:
        return DropVerdict(Outcome.HELD)
    if drop.low is not None and drop.low > max_drop:
        return DropVerdict(Outcome.FAILED)
    needed = pairs_needed(agreement.gained, agreement.lost, drop.count, max_drop)
    return DropVerdict(Outcome.UNSURE, needed if needed is not None and needed > drop.count else None)


def top_classes(logits: npt.ArrayLike, top: int = TOP) -> npt.NDArray[np.intp]:
    """The ``min(top, classes)`` best classes of each row of logits (n, classes), best first.

    Of equal logits the lower class number comes first, so that the answer is the same everywhere (quantized
    models tie often). A row that holds NaN is NO_CLASS throughout. Five passes of argmax: 3 ms for 1000 x
    1000 logits, where a stable argsort takes 134 ms.
    """
    given = np.asarray(logits)
    best = np.empty((given.shape[0], min(top, given.shape[1])), dtype=np.intp)
    for rows in _blocks(given):
        best[rows] = _top_of_block(given[rows], best.shape[1])
    return best


def compare_outputs(
    candidate: Sequence[Sequence[npt.NDArray[Any]]],
    reference: Sequence[Sequence[npt.NDArray[Any]]],
    names: Sequence[str],
) -> tuple[OutputDifference, ...]:
    """How far each output lies from the reference's: outputs of any shape, one list per input, one array per name.

    An output that is all zeros has a cosine of 1 with another such and of 0 with anything else; where the
    reference's is, and the candidate's is not, there is no relative difference. Raises NothingMeasured for no
    inputs, ValueError for outputs that differ in number or shape.
    """
    if not candidate:
        raise NothingMeasured("outputs of no inputs: infer at least one")
    if len(candidate) != len(reference) or any(len(each) != len(names) for each in (*candidate, *reference)):
        raise ValueError(
            f"outputs of {len(candidate)} and {len(reference)} inputs do not pair up: give {len(names)} arrays for each"
        )
    return tuple(
        _output_difference(name, [each[place] for each in candidate], [each[place] for each in reference])
        for place, name in enumerate(names)
    )


def _blocks(logits: npt.NDArray[Any]) -> Iterator[slice]:
    images, classes = logits.shape
    rows = max(1, BLOCK_VALUES // max(1, classes))
    return (slice(start, start + rows) for start in range(0, images, rows))


def _top_of_block(logits: npt.NDArray[Any], top: int) -> npt.NDArray[np.intp]:
    left = logits.astype(np.result_type(logits, np.float16), copy=True)
    lost = np.isnan(left).any(axis=1)
    np.maximum(left, np.finfo(left.dtype).min, out=left)  # so that only a class already taken is at -inf
    rows = np.arange(left.shape[0])
    best = np.empty((left.shape[0], top), dtype=np.intp)
    for place in range(top):
        best[:, place] = left.argmax(axis=1)
        left[rows, best[:, place]] = -np.inf
    best[lost] = NO_CLASS
    return best


def _share(hits: npt.NDArray[np.bool_]) -> Estimate:
    return proportion_estimate(int(hits.sum()), int(hits.size))


def _with_labels(
    agreement: Agreement,
    our_top: npt.NDArray[np.intp],
    their_top: npt.NDArray[np.intp],
    labels: npt.NDArray[np.intp],
) -> Agreement:
    right, reference_right = our_top[:, 0] == labels, their_top[:, 0] == labels
    return replace(
        agreement,
        label_top1=_share(right),
        label_top5=_share((our_top == labels[:, None]).any(axis=1)),
        reference_label_top1=_share(reference_right),
        reference_label_top5=_share((their_top == labels[:, None]).any(axis=1)),
        label_top1_drop=paired_difference(reference_right, right),
        lost=int((reference_right & ~right).sum()),
        gained=int((right & ~reference_right).sum()),
        mcnemar_p=mcnemar_exact(right, reference_right),
    )


def _logit_difference(ours: npt.NDArray[Any], theirs: npt.NDArray[Any]) -> LogitDifference | None:
    """Quantiles without all differences in memory: the bits of floats from 0 up sort like the floats themselves."""
    counts = np.zeros(2 ** (31 - COARSE_BITS), dtype=np.int64)
    largest = variance = 0.0
    images = 0
    for rows in _blocks(theirs):
        finite = np.isfinite(ours[rows]).all(axis=1) & np.isfinite(theirs[rows]).all(axis=1)
        expected = theirs[rows][finite].astype(np.float64)
        gaps = np.abs(ours[rows][finite] - expected)
        bins = gaps.astype(np.float32).view(np.uint32) >> COARSE_BITS
        counts += np.bincount(bins.ravel(), minlength=counts.size)
        largest = max(largest, float(gaps.max(initial=0.0)))
        variance += float(expected.var(axis=1).sum())
        images += expected.shape[0]
    if variance == 0:
        return None
    deviation = math.sqrt(variance / images)
    middle, tail = (min(_binned_quantile(counts, q), largest) for q in (0.5, 0.95))
    return LogitDifference(middle / deviation, tail / deviation, largest / deviation, deviation, images)


def _binned_quantile(counts: npt.NDArray[np.int64], q: float) -> float:
    reached = np.cumsum(counts)
    place = int(np.searchsorted(reached, q * reached[-1]))
    if place == 0:
        return 0.0
    middle = (place << COARSE_BITS) + (1 << (COARSE_BITS - 1))
    return float(np.array([middle], dtype=np.uint32).view(np.float32)[0])


def _worst(
    ours: npt.NDArray[Any],
    theirs: npt.NDArray[Any],
    our_top: npt.NDArray[np.intp],
    their_top: npt.NDArray[np.intp],
    labels: npt.NDArray[np.intp],
    numbers: npt.NDArray[np.intp],
) -> tuple[Disagreement, ...]:
    mine, other = our_top[:, 0], their_top[:, 0]
    rows = np.flatnonzero((mine != other) | (mine == NO_CLASS))
    margins = np.full(rows.size, np.inf)
    told = (mine[rows] != NO_CLASS) & (other[rows] != NO_CLASS)
    pairs = rows[told]
    with np.errstate(invalid="ignore"):  # infinite logits: inf - inf
        margins[told] = theirs[pairs, other[pairs]].astype(np.float64) - theirs[pairs, mine[pairs]]
    margins[np.isnan(margins)] = np.inf
    order = np.lexsort((numbers[rows], -margins))[:WORST]
    return tuple(
        Disagreement(
            image=int(numbers[row]),
            label=None if labels[row] == NO_LABEL else int(labels[row]),
            margin=float(margin) if math.isfinite(margin) else None,
            reference_top=_told(their_top[row]),
            reference_values=tuple(float(theirs[row, each]) for each in _told(their_top[row])),
            candidate_top=_told(our_top[row]),
            candidate_values=tuple(float(ours[row, each]) for each in _told(our_top[row])),
        )
        for row, margin in zip(rows[order], margins[order], strict=True)
    )


def _told(top: npt.NDArray[np.intp]) -> tuple[int, ...]:
    return tuple(int(each) for each in top if each != NO_CLASS)


def _checked_numbers(numbers: npt.ArrayLike | None, images: int) -> npt.NDArray[np.intp]:
    if numbers is None:
        return np.arange(images, dtype=np.intp)
    named = np.asarray(numbers, dtype=np.intp)
    if named.shape != (images,):
        raise ValueError(f"image numbers of shape {named.shape} do not fit {images} images: give one each")
    return named


def _checked_labels(labels: npt.ArrayLike | None, numbers: npt.NDArray[np.intp], classes: int) -> npt.NDArray[np.intp]:
    images = numbers.size
    if labels is None:
        return np.full(images, NO_LABEL, dtype=np.intp)
    known = np.asarray(labels)
    if known.shape != (images,) or (known < NO_LABEL).any():
        raise ValueError(
            f"labels of shape {known.shape} do not fit {images} images: give one class number each, or {NO_LABEL}"
        )
    strange = np.flatnonzero(known >= classes)
    if strange.size:
        raise BadImages(
            f"image {numbers[strange[0]]} has label {known[strange[0]]}, the model has {classes} classes: "
            f"give labels from 0 to {classes - 1} in the model's order"
        )
    return known.astype(np.intp)


def _output_difference(
    name: str, ours: Sequence[npt.NDArray[Any]], theirs: Sequence[npt.NDArray[Any]]
) -> OutputDifference:
    cosines: list[float] = []
    relatives: list[float] = []
    gaps: list[float] = []
    for mine, other in zip(ours, theirs, strict=True):
        if mine.shape != other.shape:
            raise ValueError(f"output {name} has shapes {mine.shape} and {other.shape}: compare models of one shape")
        a, b = (each.ravel().astype(np.float64) for each in (mine, other))
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            continue
        gap, norm = a - b, float(np.linalg.norm(b))
        gaps.append(float(np.abs(gap).max(initial=0.0)))
        cosines.append(_cosine(a, b))
        if norm > 0:
            relatives.append(float(np.linalg.norm(gap)) / norm)
        elif gaps[-1] == 0:
            relatives.append(0.0)
    return OutputDifference(
        name=name,
        inputs=len(ours),
        not_finite=len(ours) - len(gaps),
        median_cosine=median(cosines),
        least_cosine=min(cosines, default=None),
        relative=max(relatives, default=None),
        max_abs=max(gaps, default=None),
    )


def _cosine(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    norms = math.sqrt(float(a @ a) * float(b @ b))
    if norms == 0:
        return 1.0 if not a.any() and not b.any() else 0.0
    return min(1.0, max(-1.0, float(a @ b) / norms))
