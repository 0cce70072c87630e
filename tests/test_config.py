"""The matrix: no cell lost, none doubled, every cell named once and for ever."""

from __future__ import annotations

import itertools
import json
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ovbench.config import (
    AUTO,
    TUTORIAL_STREAMS,
    Cache,
    Config,
    Hint,
    Inputs,
    Matrix,
    Mode,
    Precision,
    expand,
    fp32_partner,
    of_mode,
    one_per_precision,
    startup_cells,
    uncached_twin,
    with_partners,
)

numbers = st.integers(0, 64)
streams = st.one_of(st.just(AUTO), st.integers(1, 64))


def some(values: st.SearchStrategy[object], most: int = 3) -> st.SearchStrategy[tuple[object, ...]]:
    """One to ``most`` different values, as the options give them."""
    return st.lists(values, min_size=1, max_size=most, unique=True).map(tuple)


matrices = st.builds(
    Matrix,
    models=st.just(("embedded",)),
    devices=some(st.sampled_from(["CPU", "GPU", "AUTO:CPU"]), 2),
    precisions=some(st.sampled_from(Precision)),
    hints=some(st.sampled_from(Hint), 4),
    streams=st.none() | some(streams),
    caches=some(st.sampled_from([Cache.OFF, Cache.WARM])),
    threads=some(numbers, 2),
    requests=some(numbers, 2),
    batches=some(numbers, 2),
)
configs = st.builds(
    Config,
    model=st.sampled_from(["embedded", "other"]),
    device=st.sampled_from(["CPU", "GPU", "AUTO:CPU"]),
    precision=st.sampled_from(Precision),
    hint=st.sampled_from(Hint),
    streams=streams,
    cache=st.sampled_from(Cache),
    threads=numbers,
    requests=numbers,
    batch=numbers,
    inputs=st.sampled_from(Inputs),
    pinning=st.sampled_from([None, True, False]),
    hyper_threading=st.sampled_from([None, True, False]),
)


def crossed(matrix: Matrix) -> set[tuple[object, ...]]:
    """Every combination of the matrix's axes, written out without the code under test."""
    found = set()
    for hint in matrix.hints:
        for rest in itertools.product(
            matrix.models,
            matrix.devices,
            matrix.precisions,
            TUTORIAL_STREAMS[hint] if matrix.streams is None else matrix.streams,
            matrix.caches,
            matrix.threads,
            matrix.requests,
            matrix.batches,
        ):
            found.add((hint, *rest))
    return found


def axes_of(config: Config) -> tuple[object, ...]:
    return (
        config.hint,
        config.model,
        config.device,
        config.precision,
        config.streams,
        config.cache,
        config.threads,
        config.requests,
        config.batch,
    )


@given(matrices)
def test_every_combination_is_a_cell_once(matrix: Matrix) -> None:
    preset = [axes_of(config) for config in expand(matrix) if config.inputs is Inputs.PRESET]
    assert set(preset) == crossed(matrix)
    assert max(Counter(preset).values()) == 1


@given(matrices)
def test_copied_inputs_stand_beside_each_uncached_sync_cell_and_nowhere_else(matrix: Matrix) -> None:
    copied = [axes_of(config) for config in expand(matrix) if config.inputs is Inputs.COPIED]
    wanted = [axes for axes in crossed(matrix) if axes[0] is Hint.LATENCY and axes[5] is Cache.OFF]
    assert sorted(map(str, copied)) == sorted(map(str, wanted))


@given(matrices)
def test_ids_are_unique_within_a_model(matrix: Matrix) -> None:
    ids = [config.id for config in expand(matrix)]
    assert len(set(ids)) == len(ids)


@given(st.lists(configs, unique=True))
def test_different_cells_of_a_model_have_different_ids(cells: list[Config]) -> None:
    assert len({(cell.model, cell.id) for cell in cells}) == len(cells)


@given(configs)
def test_axes_give_the_config_back_through_json(config: Config) -> None:
    assert Config.from_axes(json.loads(json.dumps(config.axes))) == config


@given(st.lists(configs, max_size=8))
def test_partners_are_added_once_and_nothing_else(cells: list[Config]) -> None:
    found = with_partners(cells)
    assert set(found) == {*cells, *map(fp32_partner, cells)}
    assert len(set(found)) == len(found)
    assert with_partners(found) == found


@given(configs)
def test_partner_and_twin_differ_in_one_axis_and_are_their_own(config: Config) -> None:
    partner, twin = fp32_partner(config), uncached_twin(config)
    assert partner.axes.keys() == config.axes.keys() == twin.axes.keys()
    assert {axis for axis in config.axes if config.axes[axis] != partner.axes[axis]} <= {"precision"}
    assert {axis for axis in config.axes if config.axes[axis] != twin.axes[axis]} <= {"cache"}
    assert fp32_partner(partner) == partner
    assert partner.precision is Precision.FP32
    assert uncached_twin(twin) == twin
    assert twin.cache is Cache.OFF


@given(matrices)
def test_modes_split_the_matrix(matrix: Matrix) -> None:
    cells = expand(matrix)
    sync, asynchronous = of_mode(cells, Mode.SYNC), of_mode(cells, Mode.ASYNC)
    assert Counter((*sync, *asynchronous)) == Counter(cells)
    assert all(cell.hint is Hint.LATENCY for cell in sync)
    assert all(cell.hint is not Hint.LATENCY for cell in asynchronous)


@given(matrices)
def test_accuracy_and_startup_ask_each_precision_once_a_cache_state(matrix: Matrix) -> None:
    pairs = set(itertools.product(matrix.devices, matrix.precisions))
    accuracy, starts = one_per_precision(matrix), startup_cells(matrix)
    assert Counter((cell.device, cell.precision) for cell in accuracy) == Counter(pairs)
    assert Counter((cell.device, cell.precision, cell.cache) for cell in starts) == Counter(
        (*pair, cache) for pair in pairs for cache in Cache
    )


def test_default_matrix_is_the_tutorials() -> None:
    ids = [config.id for config in expand(Matrix(precisions=(Precision.INT8,)))]
    assert ids == [
        "INT8-LATENCY-1-off",
        "INT8-LATENCY-1-off-copied",
        "INT8-LATENCY-1-warm",
        "INT8-THROUGHPUT-AUTO-off",
        "INT8-THROUGHPUT-AUTO-warm",
        "INT8-THROUGHPUT-2-off",
        "INT8-THROUGHPUT-2-warm",
        "INT8-THROUGHPUT-4-off",
        "INT8-THROUGHPUT-4-warm",
    ]


def test_an_axis_at_its_default_is_left_out_of_the_id() -> None:
    plain = Config(hint=Hint.THROUGHPUT, streams=AUTO)
    full = Config("m", "GPU", Precision.BF16, Hint.NONE, 2, Cache.COLD, 3, 4, 5, Inputs.COPIED, True, False)
    assert plain.id == "FP32-THROUGHPUT-AUTO-off"
    assert full.id == "BF16-NONE-2-cold-threads=3-requests=4-batch=5-copied-pin-noht-GPU"
    assert Config(pinning=False, hyper_threading=True).id == "FP32-LATENCY-1-off-nopin-ht"


def test_axes_of_cells_without_pinning_and_hyper_threading_are_those_that_older_sessions_stored() -> None:
    assert list(Config().axes) == [
        "model", "device", "precision", "hint", "streams", "cache", "threads", "requests", "batch", "inputs"
    ]  # fmt: skip
    assert {**Config().axes, "pinning": False} == Config(pinning=False).axes
