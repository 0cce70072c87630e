"""Pictures to answers: made ready ahead of inference, inferred asynchronously, one loop for all that ask."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ovbench.errors import BadImages, UnreadableImage
from ovbench.images.ahead import prepared
from ovbench.images.sets import ImageSet

# A request that runs and one that waits with its input, so that no stream waits for Python or for a picture.
REQUESTS_PER_OPTIMAL = 2

ToInput = Callable[[Any], NDArray[Any]]
Ready = NDArray[Any] | UnreadableImage
Outputs = list[NDArray[Any]]


@dataclass(frozen=True)
class Answers:
    """First outputs of the images that could be read, in the order asked for.

    ``logits``: float32 (images read, classes). ``numbers``: which images of the set the rows are of.
    """

    logits: NDArray[np.float32]
    numbers: NDArray[np.intp]
    unreadable: tuple[UnreadableImage, ...]


def inferred(compiled: Any, inputs: Iterable[tuple[int, Ready]]) -> Iterator[tuple[int, Outputs | UnreadableImage]]:
    """All outputs for each numbered input of a model with one input; what could not be read passes through.

    Answers come in the order of their inputs, though an unreadable picture overtakes those under way. Arrays are views
    of OpenVINO's own, good until the next step: copy what is to be kept. Inputs are shared, not copied, and no Python
    callback is used: it takes 20 microseconds of the interpreter for each request.
    """
    optimal = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
    idle = [compiled.create_infer_request() for _ in range(REQUESTS_PER_OPTIMAL * optimal)]
    count = len(compiled.outputs)
    running: deque[tuple[Any, int]] = deque()
    try:
        for number, ready in inputs:
            if isinstance(ready, UnreadableImage):
                yield number, ready
                continue
            if not idle:
                request, done = running.popleft()
                yield done, _outputs(request, count)
                idle.append(request)
            request = idle.pop()
            request.start_async({0: ready}, share_inputs=True)
            running.append((request, number))
        while running:
            request, done = running.popleft()
            yield done, _outputs(request, count)
    finally:
        for request, _ in running:  # its input must not go before it ends
            request.wait()


def _outputs(request: Any, count: int) -> Outputs:
    request.wait()
    return [request.get_output_tensor(index).data for index in range(count)]


def answer(
    compiled: Any,
    images: ImageSet,
    to_input: ToInput,
    on_image: Callable[[int], None] = lambda _done: None,
    indexes: Sequence[int] | None = None,
) -> Answers:
    """First output of every image, flattened; of those that ``indexes`` names, if it is given.

    Memory is the logits, 4 bytes a class and image, and what `images.ahead` keeps ready. Raises BadImages where no
    image can be read.
    """
    wanted = range(len(images)) if indexes is None else indexes
    assert wanted, "nothing to answer"
    numbers = np.empty(len(wanted), np.intp)
    logits = np.empty((0, 0), np.float32)
    unreadable: list[UnreadableImage] = []
    read = 0
    for done, (number, outputs) in enumerate(inferred(compiled, prepared(images, to_input, wanted)), 1):
        if isinstance(outputs, UnreadableImage):
            unreadable.append(outputs)
        else:
            row = outputs[0].reshape(-1)
            if read == 0:
                logits = np.empty((len(wanted), row.size), np.float32)
            logits[read], numbers[read] = row, number
            read += 1
        on_image(done)
    if read == 0:
        raise BadImages(f"none of {len(wanted)} images can be read; the first: {unreadable[0]}")
    return Answers(logits[:read], numbers[:read], tuple(unreadable))
