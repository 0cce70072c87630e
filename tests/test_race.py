"""The race on invented lanes and an invented clock: who drops out and who does not, and what survives trouble."""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from fake_lane import FakeMachine, order_for
from hypothesis import given, settings
from hypothesis import strategies as st

from ovbench.campaign import MAX_DEATHS, MIN_LANES
from ovbench.candidates import Space, candidate_name, candidates
from ovbench.config import Config, Hint, Precision
from ovbench.errors import BadOption, ContestantRefused, LaneDied
from ovbench.lanes import Lane
from ovbench.machine import Contention
from ovbench.precision import Variant
from ovbench.race import Entrant, Goal, Race, Rules, race_fields, run_race
from ovbench.race.effects import dominated, fit_effects
from ovbench.race.heats import OUTPACED
from ovbench.samples import Block, Replicate

FP32 = Config()
INT8 = Config(precision=Precision.INT8)
FAST = Config(precision=Precision.INT8, hint=Hint.THROUGHPUT, streams=2)
FREE = Config(precision=Precision.INT8, hint=Hint.THROUGHPUT, streams=2, pinning=False)
PINNED = Config(precision=Precision.INT8, hint=Hint.THROUGHPUT, streams=2, pinning=True)
FOUR = Config(precision=Precision.INT8, hint=Hint.THROUGHPUT, streams=2, batch=4)
MANY = candidates(Space((Precision.FP32, Precision.INT8), streams=(1, 2), threads=(0, 1), pinnings=(None, False)))
QUIET = Contention(None, None, None, None)


def reads_pinning(order: Mapping[str, Any], answer: dict[str, Any]) -> None:
    """OpenVINO pins by itself here, and what was asked for is what reads back."""
    if order["do"] == "open":
        answer["effective"]["pinning"] = order["properties"].get("ENABLE_CPU_PINNING", "YES") == "YES"


class Noisy(dict[str, int]):
    """Costs by key, each time with log-normal noise, and now and then a block of double cost."""

    def __init__(self, costs: Mapping[str, int], seed: int, spread: float = 0.1, bad: float = 0.05) -> None:
        super().__init__(costs)
        self.draw, self.spread, self.bad = random.Random(seed), spread, bad

    def get(self, key: str, default: Any = None) -> Any:
        slow = 2.0 if self.draw.random() < self.bad else 1.0
        return int(super().get(key, default) * slow * self.draw.lognormvariate(0, self.spread))


def costs_of(*configs: Config) -> dict[str, int]:
    """INT8 and two streams are fast, a second request more and no pinning a little faster; batch 4 is four times."""
    return {
        each.key: int(
            5e6
            * (1.0 if each.precision is Precision.INT8 else 1.6)
            * (1.0 if each.streams == 2 else 1.25)
            * (0.97 if each.pinning is False else 1.0)
            * (1.1 if each.threads else 1.0)
            * (each.batch or 1)
        )
        for each in configs
    }


def raced(
    *configs: Config,
    machine: FakeMachine | None = None,
    goal: Goal = Goal.THROUGHPUT,
    budget_s: float = 30.0,
    max_memory_bytes: int | None = None,
    read_contention: Callable[[], Contention] = lambda: QUIET,
    on_progress: Callable[[float, str], None] = lambda _share, _text: None,
    on_replicate: Callable[[Config, Replicate], None] = lambda _config, _replicate: None,
    **rules: Any,
) -> Race:
    machine = machine or FakeMachine(changes=reads_pinning, cost_ns=costs_of(*configs))
    race = Race(goal)
    order = order_for(*configs, budget_s=budget_s, max_memory_bytes=max_memory_bytes)
    run_race(
        order, race, machine.open_lane, machine.clock, Rules(**rules), on_progress, on_replicate, read_contention
    )  # fmt: skip
    return race


def opened(machine: FakeMachine, number: int) -> list[str]:
    return [order["key"] for order in machine.lanes[number].orders if order["do"] == "open"]


def dying(do: str, key: str, error: type[BaseException], times: int = 1) -> FakeMachine:
    """A machine on which this order ends in an error, so many times."""
    left = [times]

    def trouble(_lane: int, order: Mapping[str, Any]) -> BaseException | None:
        if order["do"] != do or order.get("key") != key or not left[0]:
            return None
        left[0] -= 1
        return error(f"{key} at {do}")

    return FakeMachine(changes=reads_pinning, cost_ns=costs_of(*MANY, FOUR, PINNED), trouble=trouble)


# ------------------------------------------------------------------------------------------------- effects of rounds

effects = st.floats(-2, 2)
CONFIGS = st.lists(st.sampled_from(MANY), min_size=2, max_size=8, unique=True)


@given(CONFIGS, st.lists(effects, min_size=2, max_size=12), st.data())
def test_effects_are_found_though_candidates_drop_out_and_come_later(
    configs: list[Config], moods: list[float], data: st.DataObject
) -> None:
    """The first candidate runs all rounds, every other one a run of them."""
    true = {config: data.draw(effects) for config in configs}
    costs: dict[Config, dict[tuple[int, int], float]] = {}
    for config in configs:
        first = 0 if config == configs[0] else data.draw(st.integers(0, len(moods) - 1))
        last = len(moods) if config == configs[0] else data.draw(st.integers(first + 1, len(moods)))
        costs[config] = {(0, number): true[config] + moods[number] for number in range(first, last)}
    found, rounds = fit_effects(costs)
    for config in configs:
        assert found[config] - found[configs[0]] == pytest.approx(true[config] - true[configs[0]], abs=1e-6)
    for number, mood in enumerate(moods):
        assert rounds[0, number] - rounds[0, 0] == pytest.approx(mood - moods[0], abs=1e-6)


def test_one_bad_block_bends_an_effect_little() -> None:
    costs = {config: {(0, number): 0.01 * (number % 3) for number in range(8)} for config in MANY[:6]}
    costs[MANY[0]] = {**costs[MANY[0]], (0, 3): 1.0}
    found, _ = fit_effects(costs)
    assert abs(found[MANY[0]] - found[MANY[1]]) < 0.02


def test_without_samples_there_are_no_effects() -> None:
    assert fit_effects({FP32: {}}) == ({}, {})


# ------------------------------------------------------------------------------------------------------- dropping out


@given(st.dictionaries(st.sampled_from(MANY), effects, min_size=1), st.integers(1, 6))
def test_the_leader_is_never_dominated_and_one_round_tells_nothing(true: dict[Config, float], rounds: int) -> None:
    leader = min(true, key=true.__getitem__)
    out = dominated({config: [cost] * rounds for config, cost in true.items()}, leader)
    assert leader not in out
    assert rounds > 1 or not out
    assert set(out) <= {config for config, cost in true.items() if cost > true[leader]}


def test_what_fresh_twins_differ_by_drops_nobody_however_many_the_rounds() -> None:
    costs = {config: [0.0] * 200 for config in MANY}
    assert dominated({**costs, FP32: [0.06] * 200}, MANY[1]) == ()
    assert dominated({**costs, FP32: [0.09] * 200}, MANY[1]) == (FP32,)


def test_one_bad_block_of_two_drops_nobody() -> None:
    costs = {config: [0.0, 0.01] for config in MANY}
    assert dominated({**costs, FP32: [0.0, 2.0]}, MANY[1]) == ()
    assert dominated({**costs, FP32: [2.0, 2.0]}, MANY[1]) == (FP32,)


def test_the_clearly_worse_are_dominated_and_the_nearly_equal_are_not() -> None:
    costs = {FP32: [0.5, 0.5], INT8: [0.03, 0.03], FAST: [0.0, 0.0]}
    assert dominated(costs, FAST) == (FP32,)


@pytest.mark.parametrize("bad", range(3))
def test_one_bad_block_costs_nobody_the_place(bad: int) -> None:
    good = [0.0, 0.0, 0.0]
    costs = {config: list(good) for config in MANY[:8]}
    costs[MANY[0]][bad] = 1.0
    assert dominated(costs, MANY[1]) == ()


def test_in_a_noisy_place_it_takes_more_to_be_dropped() -> None:
    draw = random.Random(0)
    noisy = {config: [0.3 * draw.gauss(0, 1) for _ in range(4)] for config in MANY}
    noisy[FP32], noisy[FAST] = [0.3] * 4, [0.0] * 4
    assert FP32 not in dominated(noisy, FAST)
    assert FP32 in dominated({config: [0.0] * 4 for config in MANY} | {FP32: [0.3] * 4}, FAST)


# ---------------------------------------------------------------------------------------------------------- the race


def test_the_best_leads_and_has_an_interval_of_fresh_lanes() -> None:
    machine = FakeMachine(changes=reads_pinning, cost_ns=costs_of(*MANY))
    race = raced(*MANY, machine=machine)
    assert race.leader is not None
    assert (race.leader.precision, race.leader.streams, race.leader.pinning) == (Precision.INT8, 2, False)
    assert race.leader in race.finalists
    assert len(race.finalists) == 4
    assert len(race.final_lanes) >= MIN_LANES
    slowest = race.finalists[-1]
    logs = race.log_ratio_by_lane(race.leader, slowest)
    assert len(logs) == len(race.final_lanes)
    assert statistics.mean(logs) > 0
    assert race.wall_s == pytest.approx(30, rel=0.1)
    assert race.exhausted == ""


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_noise_and_bad_blocks_seldom_cost_much(seed: int) -> None:
    costs = costs_of(*MANY)
    race = raced(*MANY, machine=FakeMachine(changes=reads_pinning, cost_ns=Noisy(costs, seed)))
    assert race.leader is not None
    assert costs[race.leader.key] <= 1.1 * min(costs.values())


def test_every_lane_holds_one_value_of_pinning() -> None:
    machine = FakeMachine(changes=reads_pinning, cost_ns=costs_of(*MANY))
    raced(*MANY, machine=machine)
    assert len(machine.lanes) > 2 * MIN_LANES
    for lane in machine.lanes:
        asked = {order["properties"].get("ENABLE_CPU_PINNING") for order in lane.orders if order["do"] == "open"}
        assert len(asked) == 1
        assert lane.closed


def test_blocks_of_both_values_of_pinning_stand_in_the_same_rounds() -> None:
    race = raced(FAST, FREE)
    mine, theirs = (race.entrants[config].blocks for config in (FAST, FREE))
    assert {lane: len(blocks) for lane, blocks in mine.items()} == {
        lane: len(blocks) for lane, blocks in theirs.items()
    }
    assert race.leader == FREE


def test_pinning_as_openvino_has_it_is_an_alias_and_not_opened() -> None:
    machine = FakeMachine(changes=reads_pinning, cost_ns=costs_of(FAST, FREE, PINNED))
    race = raced(FAST, FREE, PINNED, machine=machine)
    assert race.entrants[PINNED].alias_of == FAST
    assert not any(PINNED.key in opened(machine, number) for number in range(len(machine.lanes)))
    assert race.figures(PINNED) == race.figures(FAST)


def test_what_reads_back_as_another_is_its_alias() -> None:
    four = Config(precision=Precision.INT8, hint=Hint.THROUGHPUT, streams=4)
    race = raced(FAST, four)
    assert race.entrants[four].alias_of == FAST
    assert not race.entrants[four].blocks
    assert race.representative(four) == FAST


def test_a_candidate_that_runs_other_kernels_is_a_fault() -> None:
    race = raced(FP32, INT8, machine=FakeMachine(kernels={"FP32.xml": {"bf16": 1.0}}))
    assert race.entrants[FP32].fault == "FP32 row ran bf16 100% of its MACs: it is no FP32 row"
    assert race.leader == INT8


def test_unknown_kernels_are_a_warning() -> None:
    race = raced(FP32, machine=FakeMachine(kernels={"FP32.xml": {"f32": 0.9, "unknown": 0.1}}))
    assert "unknown 10%" in race.entrants[FP32].proof_warning
    assert race.leader == FP32


def test_batches_are_compared_by_the_picture_and_latency_by_the_request() -> None:
    costs = {FAST.key: 5_000_000, FOUR.key: 16_000_000}
    for goal, leader in ((Goal.THROUGHPUT, FOUR), (Goal.LATENCY, FAST)):
        race = raced(FAST, FOUR, goal=goal, machine=FakeMachine(cost_ns=costs))
        assert race.leader == leader
        figures = race.figures(FOUR)
        assert figures is not None
        assert figures.images_per_s == pytest.approx(250)
        assert figures.p50_ns == pytest.approx(16e6)


def test_a_round_that_others_hit_makes_nobody_dominated() -> None:
    counters = iter(range(10**6))
    race = raced(
        *MANY, read_contention=lambda: Contention(0.0, None, None, None, busy_s=1e6 * next(counters)), max_finalists=2
    )
    reasons = {entrant.dropped for entrant in race.entrants.values()}
    assert reasons == {"", OUTPACED}
    assert len(race.rejected) == race.rounds
    assert race.busy
    assert race.leader is not None


def test_one_round_that_others_hit_lets_nobody_go() -> None:
    times = iter(range(10**6))

    def hit_at_first() -> Contention:
        """Read before and after each round: only the first lies over the jump."""
        return Contention(0.0, None, None, None, busy_s=1e6 * min(1, next(times)))

    race = raced(*MANY, read_contention=hit_at_first)
    assert race.rejected == {(0, 0)}
    assert min(entrant.rounds for entrant in race.entrants.values()) > 1
    assert all(race.samples(config) for config in MANY)


def test_a_first_round_that_others_hit_costs_a_newcomer_nothing() -> None:
    """All of the first heat violate, so in the second nobody has samples that count, and nobody is told to lead."""
    newcomers = (FP32, Config(threads=1))
    configs = (FAST, INT8, *newcomers)
    machine = FakeMachine(cost_ns=costs_of(*configs), memory_bytes={each.key: 10 for each in configs})
    told: list[str] = []

    def hit_in_the_second_heat() -> Contention:
        measuring = machine.lanes[-1].number == 1 and machine.lanes[-1].blocks()
        return Contention(0.0, None, None, None, busy_s=1e6 if measuring else 0.0)

    race = raced(
        *configs, machine=machine, max_memory_bytes=25, max_finalists=2, read_contention=hit_in_the_second_heat,
        violates=lambda config: "" if config in newcomers else "slow",
        on_progress=lambda _share, text: told.append(text),
    )  # fmt: skip
    assert race.rejected == {(1, 0)}
    assert race.leader == FP32
    assert race.finalists == newcomers
    assert [text for text in told if "left" in text] == ["0 of 2 left", "2 of 2 left"]


def test_figures_of_the_dropped_are_comparable_with_the_leaders() -> None:
    """The machine slows down to half its speed for good, once most have dropped out."""
    true = costs_of(*MANY)
    machine = FakeMachine(changes=reads_pinning)

    class Slowing(dict[str, int]):
        def get(self, key: str, default: Any = None) -> Any:
            return super().get(key, default) * (2 if machine.now > 1012 else 1)

    machine.cost_ns = Slowing(true)
    race = raced(*MANY, machine=machine)
    found = race.all_figures()
    assert race.leader is not None
    for config in MANY:
        gone = race.entrants[config].dropped
        assert gone or config in race.finalists
        assert found[race.leader].images_per_s / found[config].images_per_s == pytest.approx(
            true[config.key] / true[race.leader.key], rel=0.01
        )


def test_dropped_candidates_say_of_whom_and_keep_their_samples() -> None:
    race = raced(*MANY)
    dropped = [entrant for entrant in race.entrants.values() if entrant.dropped.startswith("dominated by INT8")]
    assert len(dropped) > len(MANY) / 3
    assert all(entrant.rounds == len(entrant.blocks[0]) >= 2 for entrant in dropped)
    assert all(race.figures(entrant.config) is not None for entrant in dropped)


def test_a_dropped_candidate_is_closed_and_opened_no_more() -> None:
    machine = FakeMachine(changes=reads_pinning, cost_ns=costs_of(*MANY))
    race = raced(*MANY, machine=machine)
    later = {key for number in range(2, len(machine.lanes)) for key in opened(machine, number)}
    assert later == {config.key for config in race.finalists}
    assert not {order["key"] for lane in machine.lanes[:2] for order in lane.orders if order["do"] == "close"} & later


def test_the_field_thins_in_time_where_nothing_can_be_told_apart() -> None:
    """All are equal, so nobody is dominated; still the finalists have run many more rounds than the first to go."""
    race = raced(*MANY, machine=FakeMachine(changes=reads_pinning, cost_ns={}), goal=Goal.LATENCY)
    rounds = sorted(entrant.rounds for entrant in race.entrants.values())
    assert {entrant.dropped for entrant in race.entrants.values()} == {"", OUTPACED}
    assert rounds[0] < rounds[len(rounds) // 2] < rounds[-1]
    assert rounds[-1] > 4 * rounds[0]


def test_who_is_to_stand_beside_the_best_is_in_the_finals_after_all() -> None:
    slowest = max(MANY, key=lambda config: costs_of(*MANY)[config.key])
    asked: list[Config] = []

    def beside(best: Config) -> Config:
        asked.append(best)
        return slowest

    alone = raced(*MANY)
    race = raced(*MANY, beside=beside)
    assert alone.entrants[slowest].dropped
    assert race.entrants[slowest].dropped == ""
    assert race.finalists == (*alone.finalists, slowest)
    assert asked == [race.finalists[0]]
    assert len(race.log_ratio_by_lane(alone.finalists[0], slowest)) == len(race.final_lanes) >= MIN_LANES


def test_who_violates_is_not_called_back() -> None:
    race = raced(FAST, FREE, INT8, FP32, violates=lambda config: "slow" if config == FP32 else "",
                 beside=lambda _best: FP32)  # fmt: skip
    assert race.entrants[FP32].dropped == "slow"
    assert FP32 not in race.finalists


# ------------------------------------------------------------------------------------------------------- constraints


def test_who_violates_drops_out_with_the_reason_and_does_not_lead() -> None:
    race = raced(FAST, FREE, INT8, FP32, violates=lambda config: "too many streams" if config.streams == 2 else "")
    assert race.entrants[FAST].dropped == race.entrants[FREE].dropped == "too many streams"
    assert race.leader == INT8
    assert set(race.finalists) == {INT8, FP32}


def test_who_does_not_hold_leads_only_where_nobody_does_and_drops_nobody() -> None:
    slow = [config for config in MANY if config.precision is Precision.FP32]
    race = raced(*MANY, holds=lambda config: config in slow)
    assert race.leader in slow
    assert set(race.finalists) <= set(slow)
    nobody = raced(*MANY, holds=lambda _config: False, max_finalists=3)
    assert {entrant.dropped for entrant in nobody.entrants.values()} == {"", OUTPACED}
    assert nobody.leader in nobody.finalists


def test_a_finalist_that_is_seen_to_violate_in_the_finals_leaves_them() -> None:
    looks = Counter[Config]()

    def violates(config: Config) -> str:
        looks[config] += 1
        return "p99 is over 5ms" if config == FREE and looks[FREE] == 3 else ""

    race = raced(FAST, FREE, violates=violates)
    assert race.entrants[FREE].dropped == "p99 is over 5ms"
    assert race.leader == FAST
    assert list(race.entrants[FREE].blocks) == [0, 1, 2], "a heat of one round, and two lanes of the finals"
    assert len(race.entrants[FAST].blocks) == race.lanes > 3


def test_where_all_violate_nobody_leads() -> None:
    race = raced(*MANY, violates=lambda _config: "never")
    assert race.leader is None
    assert race.finalists == ()
    assert {entrant.dropped for entrant in race.entrants.values()} == {"never"}


# ------------------------------------------------------------------------------------------------------------ memory


def test_what_exceeds_the_memory_waits_and_meets_the_leaders() -> None:
    configs = tuple(config for config in MANY if config.pinning is None)
    machine = FakeMachine(
        changes=reads_pinning, cost_ns=costs_of(*configs), memory_bytes={config.key: 10 for config in configs}
    )
    race = raced(*configs, machine=machine, max_memory_bytes=55, max_finalists=2)
    assert race.heat_lanes > 2
    for number in range(race.heat_lanes):
        together = {config for config, entrant in race.entrants.items() if number in entrant.blocks}
        assert len(together) <= 5
        if number:
            assert sum(min(race.entrants[config].blocks) < number for config in together) == 2
    assert all(race.entrants[config].blocks for config in configs)
    assert race.leader is not None
    assert (race.leader.precision, race.leader.streams) == (Precision.INT8, 2)


def test_one_that_exceeds_the_memory_alone_races_all_the_same() -> None:
    machine = FakeMachine(cost_ns=costs_of(FAST, FP32), memory_bytes={FAST.key: 100, FP32.key: 100})
    race = raced(FAST, FP32, machine=machine, max_memory_bytes=50)
    assert race.leader == FAST
    assert race.heat_lanes == 2


# ----------------------------------------------------------------------------------------------------------- trouble


@pytest.mark.parametrize("do", ["open", "block"])
@pytest.mark.parametrize("error", [ContestantRefused, LaneDied])
def test_a_candidate_that_is_refused_or_kills_its_lane_is_a_fault_and_the_others_go_on(
    do: str, error: type[BaseException]
) -> None:
    race = raced(*MANY, machine=dying(do, FREE.key, error))
    assert race.entrants[FREE].fault == f"{FREE.key} at {do}"
    assert race.leader is not None
    assert race.leader != FREE
    assert all(entrant.blocks for config, entrant in race.entrants.items() if config != FREE)
    assert len(race.final_lanes) >= MIN_LANES


def test_a_lane_lost_in_the_finals_is_replaced() -> None:
    machine = dying("none", "", LaneDied)
    blocks = 0

    def late(_lane: int, order: Mapping[str, Any]) -> BaseException | None:
        nonlocal blocks
        mine = order["do"] == "block" and order["key"] == FAST.key
        blocks += mine
        return LaneDied("late") if mine and blocks == 8 else None

    machine.trouble = late
    race = raced(FAST, INT8, FP32, machine=machine)
    assert race.entrants[FAST].fault == "late"
    assert race.leader == INT8
    assert len(race.log_ratio_by_lane(INT8, FP32)) >= MIN_LANES
    assert any("late; the other candidates go on" in note for note in race.notes)


def test_where_no_lane_can_be_started_the_race_ends() -> None:
    machine = FakeMachine(trouble=lambda _lane, order: LaneDied("no Python") if order["do"] == "import" else None)
    race = raced(FAST, machine=machine)
    assert race.exhausted == "no Python"
    assert len(machine.lanes) == MAX_DEATHS
    assert race.leader is None


def test_a_budget_too_small_says_what_is_needed_and_that_is_enough() -> None:
    for budget_s in (0.5, 9.0):
        with pytest.raises(BadOption, match=r"--budget .*: too small for 32 candidates, which need about \d+s") as told:
            raced(*MANY, budget_s=budget_s)
    needed_s = float(str(told.value).split("about ")[1].split("s;")[0])
    assert raced(*MANY, budget_s=needed_s).leader is not None


@pytest.mark.parametrize("after", [60, 200, 400])
def test_an_interrupt_keeps_what_is_done(after: int) -> None:
    machine = FakeMachine(changes=reads_pinning, cost_ns=costs_of(*MANY))
    orders = 0

    def interrupt(_lane: int, _order: Mapping[str, Any]) -> BaseException | None:
        nonlocal orders
        orders += 1
        return KeyboardInterrupt() if orders == after else None

    machine.trouble = interrupt
    race, told = Race(), []
    with pytest.raises(KeyboardInterrupt):
        run_race(
            order_for(*MANY, budget_s=60), race, machine.open_lane, machine.clock,
            on_replicate=lambda config, replicate: told.append((config, replicate)), read_contention=lambda: QUIET,
        )  # fmt: skip
    assert all(lane.closed for lane in machine.lanes)
    assert race.wall_s > 0
    assert (race.leader is not None) == (after > 60)
    kept = [(config, each) for config, entrant in race.entrants.items() for each in entrant.replicates]
    assert sorted(told, key=repr) == sorted(kept, key=repr)


# ------------------------------------------------------------------------------------------------------ what is told


def test_replicates_are_told_as_their_lane_ends_and_progress_names_the_leader() -> None:
    told: list[tuple[Config, Replicate]] = []
    progress: list[tuple[float, str]] = []
    race = raced(
        FAST, FREE, on_replicate=lambda config, replicate: told.append((config, replicate)),
        on_progress=lambda share, text: progress.append((share, text)),
    )  # fmt: skip
    assert [replicate.lane for config, replicate in told if config == FAST] == list(range(race.lanes))
    assert progress[0][1].startswith("opened 1 of 2")
    assert progress[-1][1].endswith(f"{candidate_name(FREE)} leads")
    shares = [share for share, _ in progress]
    assert shares == sorted(shares)
    assert shares[-1] <= 1


def test_a_candidates_line_says_what_became_of_it() -> None:
    race = raced(FAST, FREE, PINNED)
    told = race_fields(race.entrants[PINNED])
    assert told["cell"] == PINNED.id
    assert told["alias_of"] == FAST.id
    assert Config.from_axes(told["config"]) == PINNED
    assert race_fields(race.entrants[FAST])["effective"]["streams"] == 2


def test_a_race_without_samples_has_no_figures() -> None:
    race = Race(entrants={FAST: Entrant(FAST)})
    assert race.figures(FAST) is None
    assert race.ranking() == ()
    assert race.log_ratio_by_lane(FAST, FAST) == ()


def test_rejected_rounds_are_in_no_figure_unless_too_many_are() -> None:
    blocks = [Block(number, (cost,) * 5, (cost,) * 5, 5 * cost) for number, cost in enumerate((10, 10, 1000))]
    race = Race(entrants={INT8: Entrant(INT8, effective={"x": 1}, blocks={0: blocks})}, rounds=3, rejected={(0, 2)})
    assert [len(each.blocks) for each in race.samples(INT8)] == [2]
    race.rejected = {(0, 1), (0, 2)}
    assert [len(each.blocks) for each in race.samples(INT8)] == [3]


# ------------------------------------------------------------------------------------------------------------ really


def test_real_lanes_race_a_tiny_model(tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that ticks at each look, so that a slow machine does no more work than a fast one; one final lane."""
    monkeypatch.setattr("ovbench.race.finals.MIN_LANES", 1)
    monkeypatch.setattr("ovbench.race.finals.lanes_within", lambda *_: 1)
    configs = (Config(), Config(pinning=True), Config(threads=1, hint=Hint.THROUGHPUT, batch=2))
    variants = {("embedded", "FP32"): Variant(Precision.FP32, tiny_model_path, False)}
    ticks = itertools.count()
    race = Race(Goal.LATENCY)
    order = order_for(*configs, variants=variants, budget_s=5.0, warmup_s=0.01)
    run_race(order, race, Lane, lambda: next(ticks) * 0.05, Rules(max_finalists=2))
    assert not any(entrant.fault for entrant in race.entrants.values())
    assert race.entrants[configs[1]].alias_of == (
        configs[0] if race.entrants[configs[0]].effective["pinning"] else None
    )
    assert race.leader in race.finalists
    for config in configs:
        figures = race.figures(config)
        assert figures is not None
        assert 0 < figures.p50_ns < math.inf
