"""The campaign on invented lanes and an invented clock: what is one cell, how time is spent, what survives trouble."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from fake_lane import ASK_S, START_S, FakeMachine, Trouble, order_for
from hypothesis import given, settings
from hypothesis import strategies as st

from ovbench import campaign
from ovbench.campaign import (
    BLOCK_OVERHEAD_S,
    MAX_DEATHS,
    MAX_LANES,
    MIN_LANES,
    Cell,
    Measurements,
    Order,
    Plan,
    group_by_memory,
    make_plan,
    measure,
    probe,
)
from ovbench.config import (
    AUTO,
    Cache,
    Config,
    Hint,
    Matrix,
    Precision,
    expand,
    fp32_partner,
    uncached_twin,
    with_partners,
)
from ovbench.contention import too_many
from ovbench.errors import BadOption, ContestantRefused, LaneDied, LaneHung
from ovbench.machine import Contention
from ovbench.precision import Proof
from ovbench.samples import Replicate

ROOT = Path("caches")
FP32 = Config()
INT8 = Config(precision=Precision.INT8)
FAST = Config(precision=Precision.INT8, hint=Hint.THROUGHPUT, streams=2)
SLOW = fp32_partner(FAST)
WARM = Config(cache=Cache.WARM)
FOUR = (FP32, INT8, SLOW, FAST)


def probed(machine: FakeMachine, *configs: Config) -> dict[Config, Cell]:
    return probe(order_for(*configs), machine.open_lane, ROOT, machine.clock)


def failing(
    do: str, key: str, error: Callable[[str], BaseException], lanes: Mapping[int, int] | None = None
) -> Trouble:
    """Trouble at this order; ``lanes`` maps a lane's number to how many such orders it answers first (default 0)."""
    answered: dict[int, int] = {}

    def trouble(lane: int, order: Mapping[str, Any]) -> BaseException | None:
        if order["do"] != do or order.get("key") != key or (lanes is not None and lane not in lanes):
            return None
        answered[lane] = answered.get(lane, 0) + 1
        return error(f"{key} at {do}") if answered[lane] > (lanes or {}).get(lane, 0) else None

    return trouble


# ------------------------------------------------------------------------------------------------------- the probe


def test_the_tutorials_matrix_has_each_effective_config_measured_once() -> None:
    configs = expand(Matrix())
    cells = probed(FakeMachine(), *configs)
    assert tuple(cells) == configs
    assert not any(cell.fault for cell in cells.values())
    assert [config.id for config, cell in cells.items() if cell.measured] == [
        f"{precision.value}-{rest}"
        for precision in Matrix().precisions
        for rest in ("LATENCY-1-off", "LATENCY-1-off-copied", "THROUGHPUT-AUTO-off")
    ]


def test_streams_clamped_to_the_cores_are_an_alias() -> None:
    two, four = (Config(hint=Hint.THROUGHPUT, streams=streams) for streams in (2, 4))
    cells = probed(FakeMachine(), two, four)
    assert cells[two].measured
    assert cells[four].alias_of == two
    assert cells[four].effective["streams"] == 2


@pytest.mark.parametrize(
    "other",
    [
        Config(precision=Precision.BF16),
        Config(hint=Hint.NONE),
        Config(streams=2),
        Config(threads=1),
        Config(batch=2),
    ],
    ids=lambda config: config.id,
)
def test_cells_of_other_effect_are_no_aliases(other: Config) -> None:
    cells = probed(FakeMachine(), FP32, other)
    assert all(cell.measured for cell in cells.values())


def test_a_warm_cell_proven_is_an_alias_of_its_twin_and_not_timed() -> None:
    machine = FakeMachine()
    cells = probed(machine, WARM, FP32)
    assert list(cells) == [WARM, FP32]
    assert cells[WARM].alias_of == FP32
    assert cells[WARM].effective["loaded_from_cache"]
    assert machine.lanes[0].blocks() == [FP32.key]


def test_a_warm_cell_is_an_alias_of_what_its_twin_is_an_alias_of() -> None:
    two, four = (Config(hint=Hint.THROUGHPUT, streams=streams) for streams in (2, 4))
    warm = Config(hint=Hint.THROUGHPUT, streams=4, cache=Cache.WARM)
    assert probed(FakeMachine(), two, four, warm)[warm].alias_of == two


def test_a_warm_cell_without_its_twin_is_measured_and_timed_in_full() -> None:
    machine = FakeMachine()
    cell = probed(machine, WARM)[WARM]
    assert cell.measured
    assert cell.block_s == pytest.approx(campaign.SYNC_BLOCK_S + ASK_S)
    assert machine.lanes[0].contestants == {}


def test_a_warm_cell_of_another_batch_fills_its_own_blob() -> None:
    """The cache's key is the model's content, which the batch changes: one filled folder is not enough."""
    seen: set[int] = set()

    def keyed_by_batch(order: Mapping[str, Any], answer: dict[str, Any]) -> None:
        if order["do"] == "open" and "CACHE_DIR" in order["properties"]:
            answer["effective"]["loaded_from_cache"] = order["batch"] in seen
            seen.add(order["batch"])

    cells = probed(FakeMachine(changes=keyed_by_batch), WARM, Config(cache=Cache.WARM, batch=4))
    assert [cell.fault for cell in cells.values()] == ["", ""]


def test_a_warm_cell_not_loaded_from_the_cache_is_a_fault() -> None:
    def never_loaded(order: Mapping[str, Any], answer: dict[str, Any]) -> None:
        if order["do"] == "open":
            answer["effective"]["loaded_from_cache"] = False

    cells = probed(FakeMachine(changes=never_loaded), FP32, WARM)
    assert cells[FP32].measured
    assert "LOADED_FROM_CACHE" in cells[WARM].fault
    assert not cells[WARM].measured


def test_a_warm_cell_of_other_outputs_is_a_fault() -> None:
    def other_outputs(order: Mapping[str, Any], answer: dict[str, Any]) -> None:
        if order["do"] == "digest" and order["key"] == WARM.key:
            answer["digest"] = "other"

    cells = probed(FakeMachine(changes=other_outputs), FP32, WARM)
    assert "outputs" in cells[WARM].fault
    assert cells[WARM].alias_of is None


def test_an_fp32_cell_that_ran_bf16_kernels_is_a_fault_and_its_rows_say_so() -> None:
    cells = probed(FakeMachine(kernels={"FP32.xml": {"bf16": 0.9, "f32": 0.1}}), FP32, INT8)
    assert cells[FP32].fault == "FP32 row ran bf16 90% + f32 10% of its MACs: it is no FP32 row"
    assert cells[INT8].measured


def test_unknown_kernels_are_a_warning_not_a_fault() -> None:
    cell = probed(FakeMachine(kernels={"FP32.xml": {"f32": 0.9, "unknown": 0.1}}), FP32)[FP32]
    assert cell.measured
    assert "unknown 10%" in cell.proof.warning


@pytest.mark.parametrize("do", ["open", "digest", "block"])
def test_a_refused_cell_is_a_fault_and_the_lane_goes_on(do: str) -> None:
    machine = FakeMachine(trouble=failing(do, INT8.key, ContestantRefused))
    cells = probed(machine, *FOUR)
    assert cells[INT8].fault == f"{INT8.key} at {do}"
    assert [config for config, cell in cells.items() if cell.measured] == [FP32, SLOW, FAST]
    assert len(machine.lanes) == 1


@pytest.mark.parametrize("error", [LaneDied, LaneHung])
def test_a_lane_that_dies_of_a_cell_is_replaced_and_ready_before_the_next_is_timed(error: type[LaneDied]) -> None:
    machine = FakeMachine(trouble=failing("block", INT8.key, error))
    cells = probed(machine, *FOUR)
    assert cells[INT8].fault == f"{INT8.key} at block"
    assert [lane.orders[0]["do"] for lane in machine.lanes] == ["import", "import"]
    assert cells[SLOW].open_s == cells[FP32].open_s
    assert all(lane.closed for lane in machine.lanes[1:])


def test_a_cell_equal_to_one_that_failed_is_measured_itself() -> None:
    two, four = (Config(hint=Hint.THROUGHPUT, streams=streams) for streams in (2, 4))
    cells = probed(FakeMachine(trouble=failing("block", two.key, ContestantRefused)), two, four)
    assert cells[two].fault
    assert cells[four].measured


def test_the_lane_is_closed_when_the_probe_is_cut_off() -> None:
    machine = FakeMachine(trouble=failing("open", INT8.key, KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        probed(machine, *FOUR)
    assert machine.lanes[0].closed


def test_a_python_without_openvino_is_refused_and_its_lane_closed() -> None:
    machine = FakeMachine(trouble=lambda _lane, _order: ContestantRefused("No module named 'openvino'"))
    with pytest.raises(ContestantRefused, match="No module named"):
        probed(machine, *FOUR)
    assert machine.lanes[0].closed


def test_every_cell_is_told_as_it_is_found() -> None:
    told: list[Cell] = []
    machine = FakeMachine()
    cells = probe(order_for(*FOUR), machine.open_lane, ROOT, machine.clock, told.append)
    assert told == list(cells.values())


# -------------------------------------------------------------------------------------------------------- planning

costs = st.floats(0.001, 5)
some_configs = st.lists(st.sampled_from(expand(Matrix(streams=(1, 2, 4, AUTO)))), min_size=1, max_size=12, unique=True)


@st.composite
def some_cells(draw: st.DrawFn) -> list[Cell]:
    """Cells and their partners with invented costs; some are aliases of one of their precision, some faults."""
    cells: list[Cell] = []
    for config in with_partners(draw(some_configs)):
        cell = Cell(config, open_s=draw(costs), block_s=draw(costs), memory_bytes=draw(st.integers(0, 100)))
        hosts = [each.config for each in cells if each.measured and each.config.precision is config.precision]
        kind = draw(st.sampled_from(["own", "own", "own", "alias", "fault"])) if cells else "own"
        if kind == "alias" and hosts:
            cell = Cell(config, alias_of=draw(st.sampled_from(hosts)))
        elif kind == "fault":
            cell = Cell(config, fault="refused")
        cells.append(cell)
    return cells


def bundle_of(cell: Cell, known: Mapping[Config, Cell]) -> set[Config]:
    """A measured cell and what stands for its partner, if that is measured."""
    partner = known.get(fp32_partner(cell.config))
    stand_in = None if partner is None else (partner.alias_of or partner.config)
    return {cell.config} | ({stand_in} if stand_in in known and known[stand_in].measured else set())


@given(some_cells(), st.none() | st.integers(0, 400))
def test_every_measured_cell_shares_a_group_with_its_partner_within_the_limit(
    cells: list[Cell], limit: int | None
) -> None:
    known = {cell.config: cell for cell in cells}
    groups = group_by_memory(cells, limit)
    measured = {config for config, cell in known.items() if cell.measured}
    assert {config for group in groups for config in group} == measured
    assert all(len(set(group)) == len(group) for group in groups)
    for config in measured:
        assert any(bundle_of(known[config], known) <= set(group) for group in groups)
    for group in groups:
        taken = sum(known[config].memory_bytes for config in group)
        alone = any(set(group) == bundle_of(known[config], known) for config in group)
        assert limit is None or taken <= limit or alone


@given(some_cells())
def test_memory_without_a_limit_is_one_group(cells: list[Cell]) -> None:
    assert len(group_by_memory(cells, None)) == 1


def test_a_partner_stands_in_every_group_that_needs_it() -> None:
    sides = [Config(precision=precision) for precision in (Precision.FP32, Precision.BF16, Precision.INT8)]
    cells = [Cell(config, memory_bytes=40) for config in sides]
    assert {group_by_memory(cells, limit) for limit in (80, 119)} == {((sides[0], sides[1]), (sides[0], sides[2]))}
    assert group_by_memory(cells, 120) == (tuple(sides),)


def test_the_cell_that_an_alias_stands_for_goes_with_its_partner() -> None:
    other = Config(hint=Hint.THROUGHPUT, streams=AUTO)
    cells = [Cell(other, memory_bytes=60), Cell(SLOW, alias_of=other), Cell(FAST, memory_bytes=60)]
    assert group_by_memory(cells, 100) == ((other, FAST),)


def costs_of(cells: list[Cell], group: tuple[Config, ...], order: Order, start_s: float) -> tuple[float, float]:
    known = {cell.config: cell for cell in cells}
    opening = sum(known[each].open_s + order.warmup_s for each in group)
    return start_s + opening, sum(known[each].block_s + BLOCK_OVERHEAD_S for each in group)


@given(some_cells(), st.integers(1, 600), st.floats(0, 30), st.none() | st.integers(50, 400))
def test_a_plan_keeps_the_budget_and_every_lane_has_a_round_or_it_says_what_it_needs(
    cells: list[Cell], budget_s: int, spent_s: float, limit: int | None
) -> None:
    def plan_for(budget: float) -> Plan:
        order = order_for(budget_s=budget, max_memory_bytes=limit)
        plan = make_plan(cells, order, budget - spent_s, 0.5)
        assert plan.total_s <= (budget - spent_s) * (1 + 1e-9)
        assert 1 <= plan.lanes <= MAX_LANES
        for group in plan.groups:
            start_s, round_s = costs_of(cells, group, order, 0.5)
            assert start_s + round_s <= plan.lane_s * (1 + 1e-9)
        if plan.lanes < MIN_LANES:  # not for want of time
            share_s = (budget - spent_s) / len(plan.groups)
            dearest = max(sum(costs_of(cells, group, order, 0.5)) for group in plan.groups)
            assert (plan.lanes + 1) * dearest > share_s * (1 - 1e-9)
        return plan

    try:
        plan_for(float(budget_s))
    except BadOption as error:
        said = str(error)
    else:
        return
    assert said.startswith(f"--ov-budget {budget_s}s: ")
    assert len(said.splitlines()) == 1
    needed = re.search(r"needs about (\d+)s", said)
    assert needed is not None
    assert int(needed[1]) > budget_s
    plan_for(float(needed[1]))


def test_a_usual_budget_gives_more_than_the_least_lanes_and_a_small_one_fewer() -> None:
    cells = [Cell(config, open_s=0.1, block_s=0.1) for config in FOUR]
    start_s, round_s = 0.5 + 4 * 0.3, 4 * 0.12
    assert make_plan(cells, order_for(budget_s=60), 60, 0.5).lanes == MAX_LANES
    assert (
        make_plan(cells, order_for(budget_s=5 * (start_s + round_s) + 0.01), 5 * (start_s + round_s) + 0.01, 0.5).lanes
        == MIN_LANES
    )
    assert make_plan(cells, order_for(budget_s=5), 5, 0.5).lanes == 2


def test_a_group_that_opens_quickly_and_runs_slowly_is_planned_for_too() -> None:
    heavy = [Cell(FP32, open_s=3.0, block_s=0.1, memory_bytes=90), Cell(SLOW, open_s=1.0, block_s=9.0, memory_bytes=90)]
    order = order_for(max_memory_bytes=100, budget_s=30, warmup_s=0.0)
    plan = make_plan(heavy, order, 30, 0.5)
    assert plan.groups == ((FP32,), (SLOW,))
    assert plan.start_s + plan.round_s == pytest.approx(0.5 + 1.0 + 9.0 + BLOCK_OVERHEAD_S)


def test_a_smoke_run_is_one_lane_of_one_round_whatever_the_budget() -> None:
    cells = [Cell(config, open_s=0.1, block_s=0.1) for config in FOUR]
    plan = make_plan(cells, order_for(smoke=True, budget_s=0), -1.0, 0.5)
    assert (plan.lanes, plan.groups) == (1, (FOUR,))
    assert plan.total_s == pytest.approx(plan.start_s + plan.round_s)


# ------------------------------------------------------------------------------------------------------- measuring


class Run:
    """One measured plan, and all that was told on the way."""

    def __init__(
        self,
        machine: FakeMachine,
        lanes: int = 5,
        lane_s: float = 8.0,
        groups: tuple[tuple[Config, ...], ...] = (FOUR,),
        **order: Any,
    ) -> None:
        self.machine, self.begin = machine, machine.now
        self.stolen: dict[int, float] = {}  # reading -> seconds that the hypervisor has stolen since the one before
        self.readings = 0
        self.busy_cores: float | None = None  # cores that are not idle, whoever runs there
        configs = tuple(dict.fromkeys(config for group in groups for config in group))
        self.into = Measurements({config: Cell(config) for config in configs})
        self.told: list[tuple[Config, Replicate]] = []
        self.rounds = 0
        self.plan = Plan(groups, lanes, lane_s, 0.0, 0.0)
        self.order = order_for(*configs, **order)

    def go(self) -> Run:
        def on_round() -> None:
            self.rounds += 1

        measure(
            self.order,
            self.plan,
            self.into,
            self.machine.open_lane,
            ROOT,
            self.machine.clock,
            lambda config, replicate: self.told.append((config, replicate)),
            on_round,
            self.read_contention,
        )
        return self

    def read_contention(self) -> Contention:
        """One reading before the first round of a lane, then one after each round and one before the next."""
        stolen_s = sum(share for reading, share in self.stolen.items() if reading <= self.readings)
        self.readings += 1
        busy_s = None if self.busy_cores is None else self.busy_cores * self.machine.now
        return Contention(stolen_s, None, None, None, busy_s)

    @property
    def spent_s(self) -> float:
        return self.machine.now - self.begin

    def faults(self) -> dict[Config, str]:
        return {config: cell.fault for config, cell in self.into.cells.items() if cell.fault}

    def check_whole(self) -> None:
        """What is told is what is kept, and in each lane every cell has the same rounds, 0, 1, 2..."""
        assert len(self.told) == sum(map(len, self.into.replicates.values()))
        by_lane: dict[int, set[tuple[int, ...]]] = {}
        for config, replicates in self.into.replicates.items():
            assert [(config, each) for each in replicates] == [told for told in self.told if told[0] == config]
            for each in replicates:
                assert each.mode is config.mode
                by_lane.setdefault(each.lane, set()).add(tuple(block.round for block in each.blocks))
        assert all(rounds == {tuple(range(len(next(iter(rounds)))))} for rounds in by_lane.values())


def round_s(machine: FakeMachine) -> float:
    return 2 * (campaign.SYNC_BLOCK_S + ASK_S) + 2 * (campaign.ASYNC_BLOCK_S + ASK_S)


def test_every_lane_is_fresh_warms_up_first_and_gives_one_replicate_of_every_cell() -> None:
    run = Run(FakeMachine()).go()
    run.check_whole()
    assert {config: [each.lane for each in done] for config, done in run.into.replicates.items()} == {
        config: [0, 1, 2, 3, 4] for config in FOUR
    }
    for lane in run.machine.lanes:
        assert lane.closed
        assert [order["do"] for order in lane.orders[:12]] == ["open"] * 4 + ["digest"] * 4 + ["block"] * 4
        assert {order["duration_ns"] for order in lane.orders[8:12]} == {200_000_000}
        blocks = lane.blocks()[4:]
        assert all(
            sorted(blocks[at : at + 4]) == sorted(config.key for config in FOUR) for at in range(0, len(blocks), 4)
        )
    assert run.rounds == sum(len(each.blocks) for each in run.into.replicates[FP32])
    assert run.into.notes == []
    assert run.faults() == {}


@settings(max_examples=40)
@given(
    lanes=st.integers(1, 10),
    lane_s=st.floats(0.1, 20),
    open_s=st.floats(0.01, 2),
    cost_ns=st.fixed_dictionaries({config.key: st.integers(5 * 10**6, 5 * 10**8) for config in FOUR}),
)
def test_the_deadline_is_kept_unless_every_lane_has_but_one_round(
    lanes: int, lane_s: float, open_s: float, cost_ns: dict[str, int]
) -> None:
    machine = FakeMachine(open_s=open_s, cost_ns=cost_ns)
    run = Run(machine, lanes, lane_s, warmup_s=0.0).go()
    run.check_whole()
    counts = {config: max(3, -(-round(campaign.block_seconds(config) * 1e9) // cost_ns[config.key])) for config in FOUR}
    longest_round = sum(count * cost_ns[config.key] / 1e9 + ASK_S for config, count in counts.items())
    start = START_S + 4 * (open_s + 2 * ASK_S) + sum(3 * each / 1e9 + ASK_S for each in cost_ns.values())
    least = lanes * (start + longest_round)
    assert run.spent_s <= max(run.plan.total_s, least) + 1e-6
    if lane_s > start + 2 * longest_round:  # and the time is used, not left lying
        assert run.spent_s >= run.plan.total_s - lanes * longest_round - 1e-6


def test_order_of_blocks_follows_the_seed() -> None:
    def blocks(seed: int) -> list[list[str]]:
        return [lane.blocks() for lane in Run(FakeMachine(), seed=seed).go().machine.lanes]

    assert blocks(1) == blocks(1)
    assert blocks(1) != blocks(2)
    first, second, *_ = blocks(1)
    assert first != second


def test_groups_take_turns_so_that_each_has_a_replicate_early() -> None:
    run = Run(FakeMachine(), lanes=3, groups=((FP32, INT8), (SLOW, FAST))).go()
    run.check_whole()
    assert [each.lane for each in run.into.replicates[FP32]] == [0, 2, 4]
    assert [each.lane for each in run.into.replicates[FAST]] == [1, 3, 5]


def test_a_round_that_others_took_from_is_left_out_and_counted() -> None:
    run = Run(FakeMachine(), lanes=2)
    run.stolen = {1: 100.0}  # the second reading ends the first round of the first lane
    run.go()
    run.check_whole()
    assert run.into.rejected == {(0, 0)}
    assert not run.into.busy
    assert run.into.rounds == sum(len(each.blocks) for each in run.into.replicates[FP32])
    assert run.into.samples(FP32)[0].blocks[0].round == 1
    assert run.into.samples(FP32)[1] == run.into.replicates[FP32][1]


@pytest.mark.parametrize(("busy_cores", "hit"), [(1.0, False), (1.5, True)])
def test_what_the_lanes_run_themselves_is_not_taken_by_others(
    busy_cores: float, hit: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fake lane keeps one core busy; of two cores others may have a tenth."""
    monkeypatch.setattr(campaign, "available_cores", lambda: 2)
    run = Run(FakeMachine(), lanes=1)
    run.busy_cores = busy_cores
    run.go()
    assert len(run.into.rejected) == (run.into.rounds if hit else 0)


def test_too_many_rejected_rounds_are_shown_but_give_no_verdict() -> None:
    run = Run(FakeMachine(), lanes=2)
    run.stolen = dict.fromkeys(range(10_000), 100.0)
    run.go()
    assert len(run.into.rejected) == run.into.rounds
    assert run.into.busy
    assert run.into.samples(FP32) == tuple(run.into.replicates[FP32])


@given(st.integers(0, 50), st.integers(1, 50))
def test_more_rejected_rounds_never_make_a_busy_machine_quiet(rejected: int, rounds: int) -> None:
    assert too_many(rejected, rounds) <= too_many(rejected + 1, rounds)
    assert not too_many(0, rounds)


def test_a_smoke_run_measures_one_round() -> None:
    machine = FakeMachine()
    order = order_for(*FOUR, smoke=True)
    into = Measurements(probe(order, machine.open_lane, ROOT, machine.clock))
    plan = make_plan(list(into.cells.values()), order, 0.0, 0.5)
    measure(order, plan, into, machine.open_lane, ROOT, machine.clock)
    assert {config: [len(each.blocks) for each in done] for config, done in into.replicates.items()} == {
        config: [1] for config in FOUR
    }


@pytest.mark.parametrize("error", [LaneDied, LaneHung])
@pytest.mark.parametrize("answered", [1, 2, 4])
def test_a_lane_that_ends_early_is_replaced_and_keeps_its_whole_rounds(error: type[LaneDied], answered: int) -> None:
    """The first answer is the warm-up's."""
    run = Run(FakeMachine(trouble=failing("block", FAST.key, error, {1: answered}))).go()
    run.check_whole()
    lanes = [each.lane for each in run.into.replicates[FP32]]
    assert lanes == ([0, 1, 2, 3, 4, 5] if answered > 1 else [0, 2, 3, 4, 5])
    assert [len(each.blocks) for each in run.into.replicates[FP32] if each.lane == 1] == [answered - 1][: answered > 1]
    assert run.into.notes == [f"lane 2: {FAST.key} at block; a fresh lane takes its place"]
    assert run.faults() == {}


def test_outputs_that_differ_from_lane_to_lane_are_named_once() -> None:
    machine = FakeMachine()
    run = Run(machine)
    run.into.cells = probe(run.order, machine.open_lane, ROOT, machine.clock)

    def unlucky(order: Mapping[str, Any], answer: dict[str, Any]) -> None:
        if order["do"] == "digest" and order["key"] == FAST.key and len(machine.lanes) in (3, 4):
            answer["digest"] = "garbage"

    machine.changes = unlucky
    run.go()
    (note,) = run.into.notes
    assert note.startswith(f"{FAST.key}: the outputs of one seeded input differ from lane to lane")
    assert run.faults() == {}


def test_lanes_that_cannot_be_opened_are_counted_and_end_the_campaign() -> None:
    run = Run(FakeMachine())
    opened = run.machine.open_lane

    def open_lane() -> Any:
        if len(run.machine.lanes) == 2:
            raise LaneDied("no lane could be started")
        return opened()

    run.machine.open_lane = open_lane  # type: ignore[method-assign]
    run.go().check_whole()
    assert [each.lane for each in run.into.replicates[FP32]] == [0, 1]
    assert len(run.into.notes) == MAX_DEATHS
    assert "the campaign ends here" in run.into.notes[-1]
    assert run.faults() == {}


def test_lanes_that_die_of_different_cells_end_the_campaign_with_what_it_has() -> None:
    def trouble(lane: int, order: Mapping[str, Any]) -> BaseException | None:
        victims = {1: FAST.key, 2: FP32.key, 3: FAST.key}
        return LaneDied("gone") if order["do"] == "block" and order["key"] == victims.get(lane) else None

    run = Run(FakeMachine(trouble=trouble)).go()
    run.check_whole()
    assert [each.lane for each in run.into.replicates[FP32]] == [0]
    assert len(run.machine.lanes) == 4
    assert run.into.notes[-1] == "lane 4: gone; 3 lanes are lost, the campaign ends here"
    assert run.faults() == {}


@pytest.mark.parametrize("do", ["open", "block"])
def test_a_cell_that_every_lane_dies_of_is_a_fault_and_the_others_go_on(do: str) -> None:
    run = Run(FakeMachine(trouble=failing(do, FAST.key, LaneDied))).go()
    run.check_whole()
    assert run.faults() == {FAST: f"{MAX_DEATHS} lanes died of it, the last: {FAST.key} at {do}"}
    assert FAST not in run.into.replicates
    assert {config: len(done) for config, done in run.into.replicates.items()} == dict.fromkeys((FP32, INT8, SLOW), 5)
    assert len(run.machine.lanes) == MAX_DEATHS + 5
    assert run.into.notes[-1].startswith(f"{FAST.key}: ")


@pytest.mark.parametrize(("do", "answered"), [("open", 0), ("block", 0), ("block", 1), ("block", 3)])
def test_a_refused_cell_is_a_fault_and_the_others_go_on(do: str, answered: int) -> None:
    run = Run(FakeMachine(trouble=failing(do, INT8.key, ContestantRefused, {1: answered}))).go()
    run.check_whole()
    assert run.faults() == {INT8: f"{INT8.key} at {do}"}
    whole_rounds = max(0, answered - 1)
    lanes = [0, 1, 2, 3, 4, 5] if whole_rounds else [0, 2, 3, 4, 5]
    assert [each.lane for each in run.into.replicates[FP32]] == lanes
    assert [each.lane for each in run.into.replicates[INT8]] == ([0, 1] if whole_rounds else [0])
    assert all(lane.closed for lane in run.machine.lanes)
    assert run.into.notes == [f"{INT8.key}: {INT8.key} at {do}; the other cells go on without it"]


def test_aliases_of_a_cell_that_fails_fail_with_it() -> None:
    run = Run(FakeMachine(trouble=failing("open", FAST.key, ContestantRefused)))
    alias = Config(precision=Precision.INT8, hint=Hint.THROUGHPUT, streams=4)
    run.into.cells[alias] = Cell(alias, alias_of=FAST)
    assert set(run.go().faults()) == {FAST, alias}


def test_a_campaign_whose_every_cell_is_refused_ends() -> None:
    run = Run(FakeMachine(trouble=lambda _lane, order: ContestantRefused("no") if order["do"] == "open" else None)).go()
    assert set(run.faults()) == set(FOUR)
    assert run.into.replicates == {}
    assert len(run.machine.lanes) == len(FOUR)


@pytest.mark.parametrize("answered", [0, 1, 2, 5])
def test_ctrl_c_keeps_the_whole_rounds_of_the_running_lane_and_ends_it(answered: int) -> None:
    run = Run(FakeMachine(trouble=failing("block", SLOW.key, KeyboardInterrupt, {2: answered})))
    with pytest.raises(KeyboardInterrupt):
        run.go()
    run.check_whole()
    whole_rounds = max(0, answered - 1)
    assert [each.lane for each in run.into.replicates[FP32]] == ([0, 1, 2] if whole_rounds else [0, 1])
    if whole_rounds:
        assert len(run.into.replicates[FP32][-1].blocks) == whole_rounds
    assert len(run.machine.lanes) == 3
    assert run.machine.lanes[2].closed


def test_replicates_are_told_as_each_lane_ends_not_at_the_end() -> None:
    run = Run(FakeMachine())
    told_when_opened: list[int] = []
    opened = run.machine.open_lane

    def open_lane() -> Any:
        told_when_opened.append(len(run.told))
        return opened()

    run.machine.open_lane = open_lane  # type: ignore[method-assign]
    run.go()
    assert told_when_opened == [0, 4, 8, 12, 16]


def test_speedups_are_of_lanes_that_hold_both_and_aliases_share_their_cells_samples() -> None:
    cost_ns = {FP32.key: 4_000_000, INT8.key: 2_000_000}
    run = Run(FakeMachine(cost_ns=cost_ns), groups=((FP32, INT8),)).go()
    twin = Config(precision=Precision.INT8, cache=Cache.WARM)
    run.into.cells[twin] = Cell(twin, alias_of=INT8)
    run.into.cells[WARM] = Cell(WARM, alias_of=FP32)
    assert run.into.log_speedups(INT8) == pytest.approx([math.log(2)] * 5)
    assert run.into.samples(twin) == run.into.samples(INT8)
    assert run.into.log_speedups(twin) == run.into.log_speedups(INT8)
    assert run.into.log_speedups(FP32) == (0.0,) * 5
    assert uncached_twin(twin) == INT8
    run.into.cells.pop(FP32)
    assert run.into.log_speedups(INT8) == ()


def test_the_cells_of_probe_plan_and_measurement_are_the_same_story() -> None:
    """The whole way: the tutorial's matrix within its 40 s, five lanes at least, no cell forgotten."""
    machine = FakeMachine(cost_ns={FP32.key: 4_000_000})
    order = order_for(*expand(Matrix()))
    begin = machine.now
    into = Measurements(probe(order, machine.open_lane, ROOT, machine.clock))
    plan = make_plan(list(into.cells.values()), order, 40.0 - (machine.now - begin), START_S)
    measure(order, plan, into, machine.open_lane, ROOT, machine.clock)
    assert MIN_LANES <= plan.lanes <= MAX_LANES
    assert machine.now - begin <= 40.0 + plan.lanes * plan.round_s
    assert all(len(into.samples(config)) == plan.lanes for config in order.configs)
    assert all(len(into.log_speedups(config)) == plan.lanes for config in order.configs)


def test_cells_refused_by_their_proof_are_not_measured() -> None:
    assert not Cell(FP32, proof=Proof(error="no"), fault="no").measured
    assert Cell(FP32, proof=Proof(warning="hm")).measured
