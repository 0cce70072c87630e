"""How far a candidate's classifications agree with a reference's and with the labels: values only, pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ovbench.errors import NothingMeasured
from ovbench.stats import Estimate, proportion_estimate, share_estimate

TOP = 5  # the field's top-5 (ILSVRC); a model with fewer classes is judged on all of them
NO_CLASS = -1  # the answer of a row of logits that holds NaN: agrees with nothing, itself not excepted


@dataclass(frozen=True)
class Agreement:
    """A candidate's answers against a reference's on the same images: shares in [0, 1] with intervals.

    ``top`` is 5, or the number of classes where they are fewer. The label shares are the candidate's own
    accuracy, None without labels. An image whose logits hold NaN on either side counts as a disagreement.
    """

    images: int
    top: int
    top1: Estimate
    top5_overlap: Estimate
    reference_top1_in_top5: Estimate
    label_top1: Estimate | None
    label_top5: Estimate | None


def measure_agreement(
    candidate: npt.ArrayLike, reference: npt.ArrayLike, labels: npt.ArrayLike | None = None
) -> Agreement:
    """Judge ``candidate`` against ``reference``: logits or probabilities (n, classes) of the same images.

    ``labels``: n class numbers. Intervals are Wilson's over images; the overlap's allows for an image's five
    answers going together (`stats.share_estimate`). Raises NothingMeasured for no images, ValueError for
    shapes that do not fit each other.
    """
    ours, theirs = np.asarray(candidate), np.asarray(reference)
    if ours.ndim != 2 or ours.shape != theirs.shape:
        raise ValueError(f"logits of shapes {ours.shape} and {theirs.shape} do not pair up: give two of (n, classes)")
    images = ours.shape[0]
    if images == 0 or ours.shape[1] == 0:
        raise NothingMeasured(f"agreement of logits of shape {ours.shape}: classify at least one image")
    our_top, their_top = top_classes(ours), top_classes(theirs)
    in_our_top = (their_top[:, :, None] == our_top[:, None, :]).any(axis=2) & (their_top != NO_CLASS)
    top = our_top.shape[1]
    known = None if labels is None else _checked_labels(labels, images)
    return Agreement(
        images=images,
        top=top,
        top1=_share((our_top[:, 0] == their_top[:, 0]) & (our_top[:, 0] != NO_CLASS)),
        top5_overlap=share_estimate(in_our_top.mean(axis=1), trials_each=top),
        reference_top1_in_top5=_share(in_our_top[:, 0]),
        label_top1=None if known is None else _share(our_top[:, 0] == known),
        label_top5=None if known is None else _share((our_top == known[:, None]).any(axis=1)),
    )


def top_classes(logits: npt.ArrayLike, top: int = TOP) -> npt.NDArray[np.intp]:
    """The ``min(top, classes)`` best classes of each row of logits (n, classes), best first.

    Of equal logits the lower class number comes first, so that the answer is the same everywhere (quantized
    models tie often). A row that holds NaN is NO_CLASS throughout. Five passes of argmax: 3 ms for 1000 x
    1000 logits, where a stable argsort takes 134 ms.
    """
    given = np.asarray(logits)
    left = given.astype(np.result_type(given, np.float16), copy=True)
    lost = np.isnan(left).any(axis=1)
    np.maximum(left, np.finfo(left.dtype).min, out=left)  # so that only a class already taken is at -inf
    rows = np.arange(left.shape[0])
    best = np.empty((left.shape[0], min(top, left.shape[1])), dtype=np.intp)
    for place in range(best.shape[1]):
        best[:, place] = left.argmax(axis=1)
        left[rows, best[:, place]] = -np.inf
    best[lost] = NO_CLASS
    return best


def _share(hits: npt.NDArray[np.bool_]) -> Estimate:
    return proportion_estimate(int(hits.sum()), int(hits.size))


def _checked_labels(labels: npt.ArrayLike, images: int) -> npt.NDArray[np.intp]:
    known = np.asarray(labels)
    if known.shape != (images,) or (known < 0).any():
        raise ValueError(f"labels of shape {known.shape} do not fit {images} images: give one class number >= 0 each")
    return known.astype(np.intp)
