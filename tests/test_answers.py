"""The one loop from pictures to answers: order, bounded memory, nothing left running, answers as one by one."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_images import Numbers
from hypothesis import given
from hypothesis import strategies as st

from ovbench import runtime
from ovbench.answers import REQUESTS_PER_OPTIMAL, answer, inferred
from ovbench.errors import BadImages, UnreadableImage
from ovbench.images.ahead import AHEAD, prepared
from ovbench.images.scenes import Scenes
from ovbench.images.sets import Subset
from ovbench.preprocessing import raw

CLASSES = 7


@dataclass
class FakeCompiled:
    """Compiled for ``optimal`` requests; the answer to a picture is its number plus that of the class."""

    optimal: int = 2
    fails_at: int = -1
    running: list[Any] = field(default_factory=list)
    most_running: int = 0
    made: int = 0
    outputs: tuple[str, ...] = ("scores",)

    def get_property(self, name: str) -> int:
        assert name == "OPTIMAL_NUMBER_OF_INFER_REQUESTS"
        return self.optimal

    def create_infer_request(self) -> FakeRequest:
        self.made += 1
        return FakeRequest(self)


@dataclass(eq=False)
class FakeRequest:
    compiled: FakeCompiled
    value: Any = None

    def start_async(self, inputs: dict[int, Any], share_inputs: bool) -> None:
        assert self not in self.compiled.running, "started while it runs"
        assert share_inputs
        self.value = inputs[0]
        self.compiled.running.append(self)
        self.compiled.most_running = max(self.compiled.most_running, len(self.compiled.running))

    def wait(self) -> None:
        self.compiled.running.remove(self)
        if self.value[0] == self.compiled.fails_at:
            raise RuntimeError("out of order")

    def get_output_tensor(self, index: int) -> Any:
        assert index == 0
        return SimpleNamespace(data=(self.value[0] + np.arange(CLASSES, dtype=np.float32)).reshape(1, CLASSES, 1, 1))


@given(st.integers(1, 60), st.sets(st.integers(0, 59)), st.integers(1, 5))
def test_answers_are_in_order_and_what_cannot_be_read_is_named(count: int, lost: set[int], optimal: int) -> None:
    lost = {number for number in lost if number < count}
    if len(lost) == count:
        lost.pop()
    compiled = FakeCompiled(optimal)
    done: list[int] = []
    answers = answer(compiled, Numbers(count, frozenset(lost)), lambda image: image, done.append)
    kept = [number for number in range(count) if number not in lost]
    assert answers.numbers.tolist() == kept
    assert answers.logits.dtype == np.float32
    assert answers.logits.tolist() == [[number + each for each in range(CLASSES)] for number in kept]
    assert [str(each).split()[1] for each in answers.unreadable] == [str(number) for number in sorted(lost)]
    assert done == list(range(1, count + 1))
    assert compiled.made == REQUESTS_PER_OPTIMAL * optimal >= compiled.most_running
    assert compiled.running == []


@given(st.lists(st.integers(0, 19), min_size=1, max_size=30))
def test_only_the_images_asked_for_are_answered_in_the_order_asked(indexes: list[int]) -> None:
    answers = answer(FakeCompiled(), Numbers(20), lambda image: image, indexes=indexes)
    assert answers.numbers.tolist() == indexes
    assert answers.logits[:, 0].tolist() == indexes


def test_who_stops_early_leaves_nothing_running() -> None:
    compiled = FakeCompiled()
    found = inferred(compiled, prepared(Numbers(50), lambda image: image))
    number, outputs = next(found)
    assert number == 0
    assert not isinstance(outputs, UnreadableImage)
    assert outputs[0][0, 0, 0, 0] == 0
    assert compiled.running
    found.close()
    assert compiled.running == []


def test_a_failed_inference_is_raised_and_nothing_is_left_running() -> None:
    compiled = FakeCompiled(fails_at=3)
    with pytest.raises(RuntimeError, match="out of order"):
        answer(compiled, Numbers(50), lambda image: image)
    assert compiled.running == []


def test_no_readable_image_is_one_line() -> None:
    with pytest.raises(BadImages) as refused:
        answer(FakeCompiled(), Numbers(3, frozenset(range(3))), lambda image: image)
    assert (
        str(refused.value) == "none of 3 images can be read; the first: image 0 cannot be read, it is empty: remove it"
    )


def test_inputs_that_are_answered_are_let_go() -> None:
    alive: weakref.WeakSet[Input] = weakref.WeakSet()
    most = 0

    def to_input(image: Any) -> Any:
        made = image.view(Input)
        alive.add(made)
        return made

    def look(_done: int) -> None:
        nonlocal most
        most = max(most, len(alive))

    compiled = FakeCompiled()
    answer(compiled, Numbers(500), to_input, look)
    assert most <= AHEAD + compiled.made + 2


class Input(np.ndarray):
    """An array that can be hashed, for a set of those alive."""

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)

    def __eq__(self, other: object) -> Any:
        return self is other


@pytest.mark.parametrize("hint", ["LATENCY", "THROUGHPUT"])
def test_a_real_model_answers_as_if_asked_one_by_one(tiny_model_path: Path, hint: str) -> None:
    compiled = runtime.core().compile_model(
        str(tiny_model_path), "CPU", {"PERFORMANCE_HINT": hint, "INFERENCE_PRECISION_HINT": "f32"}
    )
    images, to_input = Scenes(Subset.EVALUATION, 40, size=16), raw(16).to_input
    expected = [compiled(to_input(images.image(number)))[0][0] for number in range(len(images))]
    answers = answer(compiled, images, to_input)
    assert np.array_equal(answers.logits, np.stack(expected))
    assert len({row.tobytes() for row in answers.logits}) == len(images)
