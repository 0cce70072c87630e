"""File to top-5 as a whole: one picture after another and overlapped, beside what its two halves alone would allow.

Measured in the calling process, as bench_accuracy is, and not in lanes: a lane has OpenVINO and numpy alone and cannot
decode a picture. So an interval is over rounds of one process, and figures are comparable within a session only: every
round runs all four ways over the same pictures, and ratios are taken inside rounds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ovbench.agreement import top_classes
from ovbench.answers import ToInput, answer, inferred
from ovbench.errors import BadImages, NotWritable, UnreadableImage
from ovbench.images.ahead import prepared
from ovbench.images.sets import ImageSet
from ovbench.rounds import shuffled
from ovbench.stats import Estimate, ratio_estimate

ROUNDS = 6  # an interval needs 5; six keep a precision to 3 s
# Of the overlapped way. On two AVX2 cores the overlapped rate of MobileNetV2 over its bound was 0.98 and 0.96 (FP32 and
# INT8) in blocks of 64 pictures and 1.01 and 0.98 in blocks of 250: at a block's end a core idles for one inference.
BLOCK_S = 0.1
LEAST_IMAGES, MOST_IMAGES = 16, 64  # of a block: fewer are all fill and drain, more need 0.6 MB of input each
PROBE_IMAGES = 16
JPEG_QUALITY = 95  # OpenCV's default


class Way(Enum):
    """How a block of pictures is gone through."""

    SYNC = "sync"
    OVERLAPPED = "overlapped"
    PREPARATION = "decode and preprocess"
    INFERENCE = "inference"


@dataclass(frozen=True)
class Parts:
    """What a pipeline is made of: ``compiled`` for throughput, ``compiled_sync`` for latency, the model the same."""

    images: ImageSet
    to_input: ToInput
    compiled: Any
    compiled_sync: Any


@dataclass(frozen=True)
class Round:
    """Time of each way over the same ``images`` pictures."""

    images: int
    elapsed_ns: Mapping[Way, int]

    @property
    def log_over_bound(self) -> float:
        """Log of the overlapped rate over 1/(1/decode + 1/inference), which shares all cores without loss."""
        alone = self.elapsed_ns[Way.PREPARATION] + self.elapsed_ns[Way.INFERENCE]
        return math.log(alone / self.elapsed_ns[Way.OVERLAPPED])

    @property
    def log_over_limit(self) -> float:
        """Log of the overlapped rate over that of the slower half alone."""
        slower = max(self.elapsed_ns[Way.PREPARATION], self.elapsed_ns[Way.INFERENCE])
        return math.log(slower / self.elapsed_ns[Way.OVERLAPPED])

    @property
    def log_over_sync(self) -> float:
        """Log of the overlapped rate over the rate of one picture after another."""
        return math.log(self.elapsed_ns[Way.SYNC] / self.elapsed_ns[Way.OVERLAPPED])


@dataclass(frozen=True)
class Pipeline:
    """The rounds of one model; ``unreadable`` are pictures that were left out of them."""

    rounds: tuple[Round, ...]
    unreadable: tuple[UnreadableImage, ...] = ()

    def images_per_s(self, way: Way) -> Estimate:
        """Rate of a way, its interval over rounds."""
        return ratio_estimate([math.log(each.images * 1e9 / each.elapsed_ns[way]) for each in self.rounds])

    @property
    def over_bound(self) -> Estimate:
        """Overlapped rate / (1/(1/decode + 1/inference)), from in-round ratios."""
        return ratio_estimate([each.log_over_bound for each in self.rounds])

    @property
    def over_limit(self) -> Estimate:
        """Overlapped rate / the slower half's alone, from in-round ratios."""
        return ratio_estimate([each.log_over_limit for each in self.rounds])

    @property
    def over_sync(self) -> Estimate:
        """Overlapped rate / sync rate, from in-round ratios."""
        return ratio_estimate([each.log_over_sync for each in self.rounds])

    @property
    def overlapped_s(self) -> list[float]:
        """Seconds a picture, overlapped, of each round."""
        return [each.elapsed_ns[Way.OVERLAPPED] / 1e9 / each.images for each in self.rounds]


# ------------------------------------------------------------------------------------------------------ four ways


def run_sync(parts: Parts, indexes: Sequence[int]) -> NDArray[np.intp]:
    """One picture after another, read, decoded, inferred and ranked: its best classes, (pictures, 5), best first."""
    request = parts.compiled_sync.create_infer_request()
    found = []
    for index in indexes:
        request.infer({0: parts.to_input(parts.images.image(index))}, share_inputs=True, share_outputs=True)
        found.append(top_classes(request.get_output_tensor(0).data.reshape(1, -1)))
    return np.concatenate(found)


def run_overlapped(parts: Parts, indexes: Sequence[int]) -> NDArray[np.intp]:
    """The same answers; pictures are made ready in threads while others are inferred asynchronously."""
    return top_classes(answer(parts.compiled, parts.images, parts.to_input, indexes=indexes).logits)


def decode_only(parts: Parts, indexes: Sequence[int]) -> None:
    """Inputs of the model made ready as the overlapped way does, and dropped."""
    for _ in prepared(parts.images, parts.to_input, indexes):
        pass


def infer_only(parts: Parts, inputs: Sequence[tuple[int, NDArray[Any]]]) -> None:
    """Inference of inputs that are ready, as the overlapped way does."""
    for _ in inferred(parts.compiled, inputs):
        pass


# --------------------------------------------------------------------------------------------------------- rounds


def measure(
    parts: Parts,
    seed: int,
    rounds: int = ROUNDS,
    images_each: int | None = None,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
    on_round: Callable[[int], None] = lambda _done: None,
) -> Pipeline:
    """All four ways in a shuffled order in each of ``rounds``, over consecutive slices of the images.

    A slice has ``images_each`` pictures; None: as many as take BLOCK_S when overlapped. It is made ready once before
    its round, untimed: so no way pays for the disk, and what cannot be read is known and left out. Raises BadImages
    where nothing can be read.
    """
    total = len(parts.images)
    each = min(images_each or _slice_size(parts, clock_ns), total)
    measured: list[Round] = []
    unreadable: dict[int, UnreadableImage] = {}
    for number in range(rounds):
        inputs, lost = _made_ready(parts, [(number * each + place) % total for place in range(each)])
        unreadable |= lost
        if inputs:
            measured.append(_run_round(parts, inputs, shuffled(tuple(Way), seed, 0, number), clock_ns))
        on_round(number + 1)
    if not measured:
        raise BadImages(f"none of {len(unreadable)} images of {parts.images.name} can be read: give others")
    return Pipeline(tuple(measured), tuple(unreadable.values()))


def _run_round(
    parts: Parts, inputs: Sequence[tuple[int, NDArray[Any]]], order: Sequence[Way], clock_ns: Callable[[], int]
) -> Round:
    indexes = [index for index, _ in inputs]
    ways: dict[Way, Callable[[], object]] = {
        Way.SYNC: lambda: run_sync(parts, indexes),
        Way.OVERLAPPED: lambda: run_overlapped(parts, indexes),
        Way.PREPARATION: lambda: decode_only(parts, indexes),
        Way.INFERENCE: lambda: infer_only(parts, inputs),
    }
    elapsed_ns = {}
    for way in order:
        begin = clock_ns()
        ways[way]()
        elapsed_ns[way] = clock_ns() - begin
    return Round(len(inputs), elapsed_ns)


def _made_ready(
    parts: Parts, indexes: Sequence[int]
) -> tuple[list[tuple[int, NDArray[Any]]], dict[int, UnreadableImage]]:
    """Numbered inputs, and what cannot be read."""
    inputs: list[tuple[int, NDArray[Any]]] = []
    unreadable: dict[int, UnreadableImage] = {}
    for index, made in prepared(parts.images, parts.to_input, indexes):
        if isinstance(made, UnreadableImage):
            unreadable[index] = made
        else:
            inputs.append((index, made))
    return inputs, unreadable


def _slice_size(parts: Parts, clock_ns: Callable[[], int]) -> int:
    """Pictures that take BLOCK_S when overlapped, by a second look at the first few: the first one warms up."""
    inputs, _ = _made_ready(parts, range(min(PROBE_IMAGES, len(parts.images))))
    few = [index for index, _ in inputs]
    if not few:
        return LEAST_IMAGES
    run_overlapped(parts, few)
    begin = clock_ns()
    run_overlapped(parts, few)
    each_s = (clock_ns() - begin) / 1e9 / len(few)
    return max(LEAST_IMAGES, min(MOST_IMAGES, round(BLOCK_S / max(each_s, 1e-9))))


# ------------------------------------------------------------------------------------------------------- pictures


def write_pictures(images: ImageSet, folder: Path) -> None:
    """Write every image as a JPEG file: a pipeline begins with files, and procedural images have none.

    Raises NotWritable.
    """
    import cv2  # 35 ms that a report of what was measured need not pay

    for number in range(len(images)):
        _, encoded = cv2.imencode(".jpg", images.image(number), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        try:
            (folder / f"{number:05}.jpg").write_bytes(encoded.tobytes())
        except OSError as error:
            raise NotWritable(f"{folder} cannot be written, {error.strerror}: make room there") from None
