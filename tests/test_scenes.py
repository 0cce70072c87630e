"""Procedural images: pure functions of their number, balanced, never shared by two subsets."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovbench.errors import BadImages
from ovbench.images import scenes
from ovbench.images.scenes import Scenes
from ovbench.images.sets import ImageSet, Subset
from ovbench.preprocessing import raw

EVALUATION = Scenes(Subset.EVALUATION, 24, classes=8)
subsets = st.sampled_from(Subset)


def test_no_image_is_in_two_subsets_or_twice_in_one() -> None:
    pictures = [Scenes(subset, 24, classes=8, size=48).image(i) for subset in Subset for i in range(24)]
    assert len({picture.tobytes() for picture in pictures}) == 3 * 24


def test_an_image_does_not_depend_on_what_was_drawn_before() -> None:
    first = EVALUATION.image(5)
    scenes._scene.cache_clear()
    scenes._noise_tile.cache_clear()
    for i in range(len(EVALUATION)):
        EVALUATION.image(i)
    assert np.array_equal(EVALUATION.image(5), first)


@pytest.mark.parametrize("size", [1, 33, 224])
def test_an_image_is_square_bytes_in_three_channels(size: int) -> None:
    picture = Scenes(Subset.CALIBRATION, 1, size=size).image(0)
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.uint8


def test_the_generator_still_draws_what_its_version_says() -> None:
    # Caches are keyed by GENERATOR_VERSION: when this fails, raise the version and then pin the new means.
    quarters = scenes.render_sample(7, Subset.EVALUATION, 0).reshape(2, 112, 2, 112, 3).mean(axis=(1, 3))
    assert scenes.GENERATOR_VERSION == 1
    assert quarters == pytest.approx(
        np.array(
            [
                [[126.7, 139.0, 102.2], [102.1, 167.7, 135.6]],
                [[124.9, 105.5, 97.6], [125.4, 152.5, 164.3]],
            ]
        ),
        abs=0.5,
    )


def test_samples_of_a_class_are_more_alike_than_classes() -> None:
    def thumbnails(class_id: int) -> list[np.ndarray]:
        drawn = [scenes.render_sample(class_id, Subset.TRAINING, i) for i in range(4)]
        return [picture.reshape(8, 28, 8, 28, 3).mean(axis=(1, 3)) for picture in drawn]

    one, other = thumbnails(0), thumbnails(500)
    within = np.mean([abs(a - b).mean() for a in one for b in one if a is not b])
    between = np.mean([abs(a - b).mean() for a in one for b in other])
    assert within < 0.7 * between


@given(subset=subsets, count=st.integers(1, 300), classes=st.integers(1, 120))
@settings(deadline=None)
def test_any_count_is_balanced(subset: Subset, count: int, classes: int) -> None:
    pictures: ImageSet = Scenes(subset, count, classes)
    drawn = Counter(pictures.label(i) for i in range(len(pictures)))
    assert sum(drawn.values()) == count
    assert set(drawn) <= set(range(classes))
    assert max(drawn.values()) - min(drawn[label] for label in range(classes)) <= 1


@given(subset=subsets, count=st.integers(1, 50), more=st.integers(1, 50))
@settings(deadline=None)
def test_a_larger_count_keeps_the_first_labels(subset: Subset, count: int, more: int) -> None:
    few, many = Scenes(subset, count, 20), Scenes(subset, count + more, 20)
    assert [few.label(i) for i in range(count)] == [many.label(i) for i in range(count)]


@pytest.mark.parametrize("change", [{"subset": Subset.CALIBRATION}, {"count": 25}, {"classes": 9}, {"size": 225}])
def test_the_content_hash_changes_with_all_that_changes_the_images(change: dict[str, object]) -> None:
    changed = dataclasses.replace(EVALUATION, **change)  # type: ignore[arg-type]
    assert changed.content_hash() != EVALUATION.content_hash()
    assert dataclasses.replace(EVALUATION).content_hash() == EVALUATION.content_hash()


@pytest.mark.parametrize("i", [-1, 24])
def test_there_is_no_image_beyond_the_end(i: int) -> None:
    with pytest.raises(IndexError, match=f"image {i} of 24"):
        EVALUATION.image(i)


@pytest.mark.parametrize("wrong", [{"count": 0}, {"classes": -1}, {"size": 0}])
def test_nothing_to_draw_is_refused_in_one_line(wrong: dict[str, int]) -> None:
    (what, value) = next(iter(wrong.items()))
    with pytest.raises(BadImages, match=f"{what} = {value}: give at least 1"):
        dataclasses.replace(EVALUATION, **wrong)


def test_an_input_is_the_raw_image_with_channels_first() -> None:
    picture = EVALUATION.image(0)
    given_to_model = raw(224).to_input(picture)
    assert given_to_model.dtype == np.float32
    assert given_to_model.flags.c_contiguous
    assert np.array_equal(given_to_model, picture.transpose(2, 0, 1)[None].astype(np.float32))
