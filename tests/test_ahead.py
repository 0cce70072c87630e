"""Pictures made ready ahead: in order, bounded, and gone when nobody wants more."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovbench.errors import UnreadableImage
from ovbench.images.ahead import prepared
from ovbench.images.sets import Image

PATIENCE_S = 60.0  # until a test fails that waits for a thread


class Counted:
    """Pictures of their own number; counts how many were asked for, and tells when enough were."""

    name, classes = "counted", 0

    def __init__(self, count: int = 100, unreadable: frozenset[int] = frozenset(), tell_at: int = -1) -> None:
        self.count, self.unreadable, self.tell_at = count, unreadable, tell_at
        self.asked = 0
        self.told = threading.Event()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self.count

    def image(self, i: int) -> Image:
        with self._lock:
            self.asked += 1
            if self.asked == self.tell_at:
                self.told.set()
        if i in self.unreadable:
            raise UnreadableImage(f"picture {i}")
        return np.full((1, 1, 3), i, np.uint8)

    def image_name(self, i: int) -> str:
        return f"picture {i}"

    def label(self, i: int) -> int | None:
        return None

    def content_hash(self) -> str:
        return ""


def doubled(image: Image) -> np.ndarray:
    return image.astype(np.int64) * 2


def our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ovbench-images")]


@given(
    wanted=st.lists(st.integers(0, 99), max_size=40),
    unreadable=st.frozensets(st.integers(0, 99), max_size=20),
    ahead=st.integers(1, 8),
    threads=st.integers(1, 4),
)
def test_each_comes_in_order_and_as_its_error_if_it_cannot_be_read(
    wanted: list[int], unreadable: frozenset[int], ahead: int, threads: int
) -> None:
    came = list(prepared(Counted(unreadable=unreadable), doubled, wanted, ahead, threads))
    assert [index for index, _ in came] == wanted
    for index, made in came:
        if index in unreadable:
            assert isinstance(made, UnreadableImage)
            assert str(made) == f"picture {index}"
        else:
            assert not isinstance(made, UnreadableImage)
            assert made.tolist() == [[[2 * index] * 3]]
    assert our_threads() == []


def test_all_pictures_come_without_a_choice() -> None:
    assert [index for index, _ in prepared(Counted(7), doubled)] == list(range(7))


@given(ahead=st.integers(1, 6), threads=st.integers(1, 4))
def test_no_more_than_asked_for_are_ahead(ahead: int, threads: int) -> None:
    images = Counted(30)
    for consumed, _ in enumerate(prepared(images, doubled, ahead=ahead, threads=threads)):
        assert images.asked <= consumed + ahead


def test_pictures_are_made_ready_while_one_is_in_use() -> None:
    images = Counted(tell_at=5)
    coming = prepared(images, doubled, ahead=5, threads=1)
    next(coming)
    assert images.told.wait(PATIENCE_S)
    coming.close()


def test_whoever_stops_early_leaves_no_thread_behind() -> None:
    images = Counted()
    coming = prepared(images, doubled, itertools.cycle(range(10)), ahead=4, threads=2)
    assert [index for index, _ in itertools.islice(coming, 25)] == [i % 10 for i in range(25)]
    coming.close()
    assert our_threads() == []
    assert images.asked <= 25 + 4


def test_any_other_error_is_raised_in_its_place() -> None:
    def breaks_at_three(image: Image) -> np.ndarray:
        if image[0, 0, 0] == 3:
            raise ZeroDivisionError("three")
        return image

    coming = prepared(Counted(), breaks_at_three, ahead=8)
    assert [index for index, _ in itertools.islice(coming, 3)] == [0, 1, 2]
    with pytest.raises(ZeroDivisionError, match="three"):
        next(coming)
    assert our_threads() == []
