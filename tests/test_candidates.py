"""Candidates: every plausible configuration once, none that a host only clamps, and never too many to open."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovbench.candidates import MOST_CANDIDATES, Space, candidates, default_space
from ovbench.config import AUTO, Config, Hint, Mode, Precision

TWO = (Precision.FP32, Precision.INT8)
numbers = st.integers(1, 8)
switches = st.lists(st.sampled_from([None, True, False]), min_size=1, unique=True).map(tuple)


def some(values: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(values, min_size=1, max_size=3, unique=True).map(tuple)


spaces = st.builds(
    Space,
    precisions=some(st.sampled_from(Precision)),
    hints=some(st.sampled_from(Hint)),
    streams=some(st.one_of(st.just(AUTO), numbers)),
    threads=some(st.integers(0, 8)),
    requests=st.none() | some(st.integers(0, 8)),
    batches=some(st.integers(0, 8)),
    pinnings=switches,
    hyper_threadings=switches,
)


def known(space: Space) -> tuple[Config, ...]:
    """Candidates once it is known that OpenVINO pins by itself and uses all threads of a core."""
    return tuple(each for each in candidates(space) if not (each.pinning or each.hyper_threading))


def test_two_cores_have_these_layouts_and_no_other() -> None:
    found = known(default_space(2, 1, TWO))
    layouts = {(each.mode, each.streams, each.threads, each.requests) for each in found}
    assert layouts == {
        (Mode.SYNC, 1, 0, 0),
        (Mode.SYNC, 1, 1, 0),
        *((Mode.ASYNC, 1, threads, requests) for threads in (0, 1) for requests in (0, 2)),
        (Mode.ASYNC, AUTO, 0, 0),
        (Mode.ASYNC, 2, 0, 0),
        (Mode.ASYNC, 2, 0, 4),
    }
    assert len(found) == len(layouts) * len(TWO) * 3 * 2  # batches 1, 2 and 4; pinned or not
    assert len([each for each in found if each.streams != AUTO]) == 96  # AUTO reads back as two streams
    assert {each.hyper_threading for each in found} == {None}


def test_a_host_with_two_threads_a_core_may_leave_one_idle() -> None:
    found = candidates(default_space(2, 2, TWO))
    assert {each.hyper_threading for each in found} == {None, True, False}
    assert not any(each.pinning is not None and each.hyper_threading is not None for each in found)


@settings(max_examples=25)
@given(st.integers(1, 256), st.sampled_from([1, 2]), some(st.sampled_from(list(Precision)[:4])))
def test_no_host_has_more_than_can_be_opened(
    cores: int, threads_per_core: int, precisions: tuple[Precision, ...]
) -> None:
    space = default_space(cores, threads_per_core, precisions)
    assert 9 * len(precisions) <= len(known(space)) <= MOST_CANDIDATES
    assert {1, cores} <= set(space.streams)
    assert all(each == AUTO or each <= cores for each in space.streams)
    assert space.streams[0] == AUTO
    assert all(each < cores for each in space.threads)


@given(spaces)
def test_each_is_there_once_the_simple_ones_first(space: Space) -> None:
    found = candidates(space)
    assert max(Counter(found).values(), default=0) <= 1
    set_switches = [(each.pinning is not None) + (each.hyper_threading is not None) for each in found]
    assert set_switches == sorted(set_switches)
    assert len({each.key for each in found}) == len(found)


@given(spaces)
def test_nothing_comes_to_the_same_by_what_its_axes_say(space: Space) -> None:
    for each in candidates(space):
        assert not (isinstance(each.streams, int) and 0 < each.threads < each.streams)
        if each.mode is Mode.SYNC:
            assert each.requests == 0
        if space.requests is None and each.requests:
            assert each.requests == 2 * int(each.streams)


@given(spaces)
def test_every_precision_hint_batch_and_switch_that_was_asked_for_is_there(space: Space) -> None:
    found = candidates(replace(space, threads=(0,)))
    for axis, wanted in (
        ("precision", space.precisions), ("hint", space.hints), ("batch", space.batches),
        ("pinning", space.pinnings), ("hyper_threading", space.hyper_threadings),
    ):  # fmt: skip
        assert {getattr(each, axis) for each in found} == set(wanted)


@pytest.mark.parametrize(
    ("streams", "sync", "asynchronous"),
    [((2, 1, 4), {1}, {1, 2, 4}), ((AUTO, 2), {2}, {AUTO, 2}), ((AUTO,), {AUTO}, {AUTO})],
)
def test_one_request_at_a_time_has_the_fewest_streams(
    streams: tuple[int | str, ...], sync: set[int | str], asynchronous: set[int | str]
) -> None:
    found = candidates(Space(TWO, streams=streams))
    assert {each.streams for each in found if each.mode is Mode.SYNC} == sync
    assert {each.streams for each in found if each.mode is Mode.ASYNC} == asynchronous


def test_requests_that_were_given_are_taken_as_they_are() -> None:
    found = candidates(Space(TWO, hints=(Hint.THROUGHPUT,), streams=(2, AUTO), requests=(3, 5)))
    assert {each.requests for each in found} == {3, 5}


def test_threads_that_were_given_go_with_streams_that_openvino_chooses() -> None:
    found = candidates(Space(TWO, hints=(Hint.THROUGHPUT,), streams=(AUTO,), threads=(2,)))
    assert {(each.streams, each.threads) for each in found} == {(AUTO, 2)}


def test_both_switches_are_set_at_once_only_where_neither_may_be_left_open() -> None:
    closed = candidates(Space(TWO, pinnings=(True, False), hyper_threadings=(True, False)))
    assert {(each.pinning, each.hyper_threading) for each in closed} == {
        (pinning, threading) for pinning in (True, False) for threading in (True, False)
    }


def test_model_and_device_are_the_spaces() -> None:
    assert {(each.model, each.device) for each in candidates(Space(TWO, model="m", device="GPU"))} == {("m", "GPU")}
