"""Classified pictures: what becomes of scores, and how the guesses are told as text and as JSON."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ovbench.classify import (
    REPEATS,
    WARM_UP,
    Classified,
    Guess,
    best_guesses,
    check_labels,
    measure_latency,
    probabilities,
)
from ovbench.config import Precision
from ovbench.errors import BadOption, UnreadableImage
from ovbench.report.classify import classified_fields, classified_text
from ovbench.report.objects import object_text
from ovbench.report.page import WIDTH

scores = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 4), st.integers(2, 20)), elements=st.floats(-(2.0**99), 2.0**99, width=32)
)

# --------------------------------------------------------------------------------------------------- probabilities


@settings(max_examples=50)
@given(scores)
def test_logits_become_shares_that_sum_to_1_in_the_same_order(rows: Any) -> None:
    shares = probabilities(rows)
    assert shares.sum(axis=1) == pytest.approx(1.0, abs=0.011)
    assert (shares >= 0).all()
    best = rows.argmax(axis=1)
    assert (shares[np.arange(len(rows)), best] == shares.max(axis=1)).all()


@settings(max_examples=50)
@given(scores)
def test_probabilities_stay_what_they_are(rows: Any) -> None:
    shares = probabilities(np.clip(rows, -50, 50)).astype(np.float32)
    assert np.array_equal(probabilities(shares), shares.astype(np.float64))


def test_probabilities_rounded_to_bf16_are_no_logits() -> None:
    rounded = np.full((1, 1000), 0.001, np.float32) * np.float32(1.004)
    assert np.array_equal(probabilities(rounded), rounded.astype(np.float64))


def test_a_row_without_a_number_has_no_guess() -> None:
    rows = np.array([[1.0, np.nan, 3.0], [np.inf, 0.0, 1.0], [-np.inf, 0.0, 1.0]], np.float32)
    found = best_guesses(probabilities(rows), 2, ())
    assert found[0] == found[1] == ()
    assert [each.class_number for each in found[2]] == [2, 1]


def test_guesses_are_the_best_first_and_no_more_than_there_are() -> None:
    found = best_guesses(np.array([[0.2, 0.5, 0.3]]), 5, ("cat", "dog", "cow"))
    assert found == ((Guess(1, "dog", 0.5), Guess(2, "cow", 0.3), Guess(0, "cat", 0.2)),)


# ---------------------------------------------------------------------------------------------------------- labels


def test_given_labels_come_before_the_models_and_blanks_are_blanks() -> None:
    assert check_labels(["a", "b"], ["c", "d"], 2) == ("a", "b")
    assert check_labels([], ["great_white_shark", "hen"], 2) == ("great white shark", "hen")
    assert check_labels([], ["one", "two", "three"], 2) == ()


def test_labels_that_do_not_fit_are_one_line() -> None:
    with pytest.raises(BadOption) as refused:
        check_labels(["a", "b", "c"], [], 4)
    assert str(refused.value) == "--labels: 3 lines for 4 classes: give one line for each class, in order"


# --------------------------------------------------------------------------------------------------------- latency


class FakeCompiled:
    """An inference takes as many nanoseconds as its number; the first ones are slow."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.numbers = count()

    def create_infer_request(self) -> FakeCompiled:
        return self

    def infer(self, *_inputs: Any, share_outputs: bool = False) -> None:
        number = next(self.numbers)
        self.now_ns += 1_000_000 if number <= WARM_UP else number

    def clock_ns(self) -> int:
        return self.now_ns


def test_latency_is_the_median_after_the_warm_up() -> None:
    compiled = FakeCompiled()
    first = WARM_UP + 1
    assert measure_latency(compiled, np.zeros(1), compiled.clock_ns) == first + (REPEATS - 1) / 2


# ------------------------------------------------------------------------------------------------------------ text


def guesses(*given: tuple[int, str, float]) -> tuple[Guess, ...]:
    return tuple(Guess(*each) for each in given)


TWO = Classified(
    model="mobilenet",
    pictures=("cat.jpg", "pictures/dog.png"),
    guesses={
        Precision.FP32: (
            guesses((281, "tabby", 0.6234), (282, "tiger cat", 0.2011), (285, "Egyptian cat", 0.0999)),
            guesses(
                (207, "golden retriever", 0.9996), (208, "Labrador retriever", 0.0002), (219, "cocker spaniel", 0.0)
            ),
        ),
        Precision.INT8: (
            guesses((281, "tabby", 0.6001), (285, "Egyptian cat", 0.2222), (282, "tiger cat", 0.1)),
            (),
        ),
    },
    latency_ns={Precision.FP32: 3_123_456, Precision.INT8: None},
    unreadable=(UnreadableImage("image x.jpg cannot be read, it is empty: remove it"),),
    notes=("preprocessing: assumed",),
)


def test_precisions_stand_side_by_side() -> None:
    assert [line.rstrip() for line in classified_text(TWO, coloured=False).splitlines()] == [
        "cat.jpg",
        "   class  FP32              p  class  INT8              p",
        "─" * 57,
        "1    281  tabby         0.623    281  tabby         0.600",
        "2    282  tiger cat     0.201    285  Egyptian cat  0.222",
        "3    285  Egyptian cat  0.100    282  tiger cat     0.100",
        "",
        "pictures/dog.png",
        "   class  FP32                    p  class  INT8  p",
        "─" * 51,
        "1    207  golden retriever    1.000      –  NaN   –",
        "2    208  Labrador retriever  0.000      –        –",
        "3    219  cocker spaniel      0.000      –        –",
        "",
        "one inference, ms: FP32 3.12, INT8 – (median of 30 in this one process: a look, not a benchmark)",
        "preprocessing: assumed",
    ]


@pytest.mark.parametrize("precisions", [list(Precision)[:4], list(Precision)])
def test_long_labels_fold_between_words_and_stay_on_the_page(precisions: list[Precision]) -> None:
    label = "a label that is longer than any column of a table with four precisions in it could hold"
    row = guesses(*((number, label, 0.2) for number in range(5)))
    many = Classified(
        "m", ("a/" * 80 + "b.jpg",), dict.fromkeys(precisions, (row,)), dict.fromkeys(precisions, 1e6), (), ()
    )
    lines = classified_text(many, coloured=False).splitlines()
    assert max(map(len, lines[1:])) <= WIDTH or len(precisions) > 4
    assert lines[0] == many.pictures[0], "a path broken in two cannot be copied"
    assert "\n".join(lines).count("longer") == 5 * len(precisions), "no column is a letter wide"
    assert "…" not in "".join(lines)
    assert "\x1b" not in "".join(lines)
    assert "\x1b[" in classified_text(many, coloured=True)


def test_without_labels_there_is_no_column_of_labels() -> None:
    unlabelled = Classified(
        "m", ("a.jpg",), {Precision.FP32: (guesses((7, "", 0.5), (1, "", 0.25)),), Precision.INT8: ((),)},
        {Precision.FP32: 1e6, Precision.INT8: 1e6}, (), (),
    )  # fmt: skip
    lines = [" ".join(line.split()) for line in classified_text(unlabelled, coloured=False).splitlines()]
    assert lines[1] == "FP32 class p INT8 class p"
    assert lines[3:5] == ["1 7 0.500 NaN –", "2 1 0.250 – –"]


def test_json_tells_all_that_the_text_does() -> None:
    told = json.loads(object_text(classified_fields(TWO)))
    assert told["model"] == "mobilenet"
    assert told["latency_ns"] == {"FP32": 3_123_456, "INT8": None}
    assert [each["file"] for each in told["pictures"]] == ["cat.jpg", "pictures/dog.png"]
    first = told["pictures"][0]["guesses"]
    assert first["FP32"][0] == {"class": 281, "label": "tabby", "probability": 0.6234}
    assert [each["class"] for each in first["INT8"]] == [281, 285, 282]
    assert told["pictures"][1]["guesses"]["INT8"] == []
    assert told["unreadable"] == ["image x.jpg cannot be read, it is empty: remove it"]
