"""Pictures made ready in threads ahead of the one who needs them, in order and in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from numpy.typing import NDArray

from ovbench.errors import UnreadableImage
from ovbench.images.sets import Image, ImageSet
from ovbench.machine import available_cores

AHEAD = 32  # inputs that wait: 19 MB of float32 at 224 x 224, enough to ride out a slow picture
MOST_THREADS = 8  # at 1 ms a picture more than Python hands on in a second


def prepared(
    images: ImageSet,
    prepare: Callable[[Image], NDArray[Any]],
    indexes: Iterable[int] | None = None,
    ahead: int = AHEAD,
    threads: int | None = None,
) -> Iterator[tuple[int, NDArray[Any] | UnreadableImage]]:
    """``(index, prepare(images.image(index)))`` for each of ``indexes``, in their order; None: for all images.

    Reading, decoding and preparing run in ``threads``, None: one a core, up to MOST_THREADS (on two busy cores two
    beside inference gave 1.2 times the rate of one, three less than two); OpenCV, numpy and files let go of Python's
    lock. At most ``ahead`` pictures are asked for beyond those consumed, so ``indexes`` may be endless. A picture
    that cannot be read comes as its error; anything else that goes wrong is raised where its picture would have come.
    Whoever stops early waits for no more than the pictures in work.
    """
    assert ahead >= 1
    assert threads is None or threads >= 1

    def make_ready(index: int) -> NDArray[Any] | UnreadableImage:
        try:
            return prepare(images.image(index))
        except UnreadableImage as error:
            return error

    coming = iter(range(len(images)) if indexes is None else indexes)
    waiting: deque[tuple[int, Future[NDArray[Any] | UnreadableImage]]] = deque()
    pool = ThreadPoolExecutor(threads or min(available_cores(), MOST_THREADS), thread_name_prefix="ovbench-images")
    try:
        while True:
            while len(waiting) < ahead and (index := next(coming, None)) is not None:
                waiting.append((index, pool.submit(make_ready, index)))
            if not waiting:
                return
            index, future = waiting.popleft()
            yield index, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
