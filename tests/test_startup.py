"""Start-up on invented lanes: one fresh process a start, states interleaved, warm only what is proven warm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fake_lane import FakeMachine, order_for
from hypothesis import given
from hypothesis import strategies as st

from ovbench.config import Cache, Config, Matrix, Precision, startup_cells
from ovbench.errors import ContestantRefused, LaneDied, LaneHung
from ovbench.startup import PROCESSES, Start, cache_fault, log_cache_gains, measure_startup

ROOT = Path("caches")
CELLS = startup_cells(Matrix(precisions=(Precision.FP32, Precision.INT8)))
OFF, COLD, WARM = CELLS[:3]


def started(
    machine: FakeMachine, cells: tuple[Config, ...] = CELLS, processes: int = PROCESSES
) -> list[tuple[Config, Start | str]]:
    told: list[tuple[Config, Start | str]] = []
    measure_startup(
        cells, order_for(*cells), machine.open_lane, ROOT, lambda config, start: told.append((config, start)), processes
    )
    return told


def folders(machine: FakeMachine, config: Config) -> list[str]:
    """CACHE_DIR of every start of a cell, in order."""
    orders = [lane.orders[0] for lane in machine.lanes]
    return [order["properties"]["CACHE_DIR"] for order in orders if order["key"] == config.key]


def test_every_cell_is_started_as_often_each_time_in_a_process_of_its_own() -> None:
    machine = FakeMachine()
    told = started(machine)
    assert len(told) == PROCESSES * len(CELLS)
    warm_fills = 2
    assert len(machine.lanes) == len(told) + warm_fills
    assert all(lane.closed and [order["do"] for order in lane.orders] == ["startup"] for lane in machine.lanes)


def test_states_are_interleaved_round_by_round_in_changing_order() -> None:
    told = started(FakeMachine())
    rounds = [told[at : at + len(CELLS)] for at in range(0, len(told), len(CELLS))]
    for number, each in enumerate(rounds):
        assert {config for config, _ in each} == set(CELLS)
        assert all(isinstance(start, Start) and start.round == number for _, start in each)
    assert len({tuple(config for config, _ in each) for each in rounds}) > 1
    assert told == started(FakeMachine())


def test_cold_starts_have_an_empty_folder_of_their_own_each_time() -> None:
    machine = FakeMachine()
    told = started(machine)
    cold = [folder for config in CELLS if config.cache is Cache.COLD for folder in folders(machine, config)]
    assert len(cold) == len(set(cold)) == 2 * PROCESSES
    assert not any(start.loaded_from_cache for config, start in told if config.cache is Cache.COLD)  # type: ignore[union-attr]


def test_warm_starts_have_one_folder_a_cell_that_an_untold_process_has_filled() -> None:
    machine = FakeMachine()
    told = started(machine)
    assert len(folders(machine, WARM)) == PROCESSES + 1
    assert len(set(folders(machine, WARM))) == 1
    assert set(folders(machine, WARM)).isdisjoint(folders(machine, CELLS[5]))
    assert all(start.loaded_from_cache for config, start in told if config.cache is Cache.WARM)  # type: ignore[union-attr]
    assert [lane.orders[0]["key"] for lane in machine.lanes[:2]] == [WARM.key, CELLS[5].key]


def test_uncached_starts_have_no_folder() -> None:
    machine = FakeMachine()
    started(machine, (OFF,))
    assert all("CACHE_DIR" not in lane.orders[0]["properties"] for lane in machine.lanes)


@pytest.mark.parametrize("error", [LaneDied, LaneHung, ContestantRefused])
def test_a_start_that_fails_is_told_in_a_line_and_the_others_go_on(error: type[Exception]) -> None:
    def trouble(lane: int, order: Mapping[str, Any]) -> BaseException | None:
        return error("gone") if order["key"] == COLD.key else None

    machine = FakeMachine(trouble=trouble)
    told = started(machine)
    assert [start for config, start in told if config == COLD] == ["gone"] * PROCESSES
    assert all(isinstance(start, Start) for config, start in told if config != COLD)
    assert all(lane.closed for lane in machine.lanes)


def test_a_failed_filling_shows_as_a_warm_row_that_was_not_warm() -> None:
    machine = FakeMachine(trouble=lambda lane, _order: LaneDied("gone") if lane == 0 else None)
    told = started(machine, (OFF, WARM), processes=1)
    assert cache_fault([], [start for config, start in told if config == WARM]) != ""  # type: ignore[misc]


def start(number: int, total_ns: int, loaded: bool = False, digest: str = "same") -> Start:
    return Start(number, 1_000_000, 0, total_ns - 1, 1, None, loaded, digest)


@given(st.permutations(range(6)), st.permutations(range(6)))
def test_gains_are_paired_by_round_whatever_the_order(first: list[int], second: list[int]) -> None:
    uncached = [start(number, 1000 * (number + 1)) for number in first]
    warm = [start(number, 500 * (number + 1), loaded=True) for number in second]
    assert log_cache_gains(uncached, warm) == pytest.approx([math.log(2)] * 6)
    assert log_cache_gains(warm, uncached) == pytest.approx([-math.log(2)] * 6)


def test_a_round_without_its_other_half_has_no_gain() -> None:
    assert len(log_cache_gains([start(0, 10), start(2, 10)], [start(1, 5), start(2, 5)])) == 1
    assert log_cache_gains([], [start(0, 5)]) == ()


def test_importing_is_not_part_of_a_start() -> None:
    assert Start(0, 10**9, 1, 2, 3, None, False, "").total_ns == 6


def test_warm_starts_prove_themselves_by_property_and_outputs() -> None:
    off, warm = [start(0, 10)], [start(0, 5, loaded=True)]
    assert cache_fault(off, warm) == ""
    assert "LOADED_FROM_CACHE" in cache_fault(off, [*warm, start(1, 5)])
    assert "outputs" in cache_fault(off, [start(0, 5, loaded=True, digest="other")])
    assert "outputs" in cache_fault([*off, start(1, 10, digest="other")], warm)
    assert cache_fault([], warm) == ""
