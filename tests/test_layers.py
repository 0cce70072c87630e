"""Layers on invented counters, and once on a real, tiny model: taken in turns, matched, judged, saved."""

from __future__ import annotations

import csv
import io
import json
import random
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_lane import order_for
from hypothesis import given, settings
from hypothesis import strategies as st

from ovbench.config import AUTO, Cache, Config, Hint, Inputs, Precision
from ovbench.errors import ContestantRefused, LaneDied, LaneHung, NotWritable
from ovbench.layers import (
    COSTLIEST,
    LANE_S,
    LANES,
    RESOLUTION_US,
    TURN_S,
    Layer,
    LayerComparison,
    LayerProfile,
    compare_all,
    compare_layers,
    layer_cells,
    profile_fields,
    profile_layers,
    write_counters,
)
from ovbench.machine import Contention
from ovbench.precision import Variant
from ovbench.worker import Worker

FP32 = Config()
INT8 = Config(precision=Precision.INT8)
BF16 = Config(precision=Precision.BF16)


def node(name: str, real_us: float = 100.0, **changes: Any) -> dict[str, Any]:
    """A node of a fake graph; ``real_us`` is what one inference really takes."""
    given = {"status": "EXECUTED", "kind": "Convolution", "kernel": "jit_avx2_f32", "layers": [name], "place": 0}
    return {"name": name, **given, "macs": 0, "real_us": real_us, **changes}


@dataclass
class FakeLane:
    """Answers ``profile`` and ``counters`` like a worker: running means since the first order, rounded down."""

    nodes: Mapping[str, Sequence[Mapping[str, Any]]]
    clock: list[float]
    trouble: Mapping[str, BaseException]
    cold: float = 1.0
    orders: list[Mapping[str, Any]] = field(default_factory=list)
    inferences: dict[str, int] = field(default_factory=dict)
    closed: bool = False

    def ask(self, order: Mapping[str, Any], timeout_s: float = 120.0) -> dict[str, Any]:
        assert not self.closed
        self.orders.append(order)
        key = order["key"]
        if key in self.trouble:
            raise self.trouble[key]
        if order["do"] == "counters":
            return {"inferences": self.inferences[key], "nodes": [self._told(key, each) for each in self.nodes[key]]}
        call_ns = round(1e3 * sum(each["real_us"] for each in self.nodes[key])) + 1000
        count = max(3, order["duration_ns"] // call_ns)
        self.inferences[key] = self.inferences.get(key, 1) + 1 + count
        self.clock[0] += count * call_ns / 1e9
        wall = np.full(count, call_ns, "<i8").tobytes()
        return {"wall_ns": wall, "latency_ns": wall, "window_ns": count * call_ns, "lane_cpu_ns": 0}

    def _told(self, key: str, each: Mapping[str, Any]) -> dict[str, Any]:
        """The first five inferences take ``cold`` times as long."""
        done = self.inferences[key]
        total_us = each["real_us"] * (done + (self.cold - 1) * min(5, done))
        return {**each, "real_us": int(total_us / done), "cpu_us": int(total_us / done)}

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeLanes:
    """Every lane of a test; ``trouble`` maps keys to what is raised."""

    nodes: Mapping[str, Sequence[Mapping[str, Any]]]
    trouble: Mapping[str, BaseException] = field(default_factory=dict)
    cold: float = 1.0
    now: list[float] = field(default_factory=lambda: [0.0])
    opened: list[FakeLane] = field(default_factory=list)
    busy_lanes: int = 0
    others_s: float = 0.0

    def contention(self) -> Contention:
        """Others take all of the cores' time in the last ``busy_lanes`` lanes."""
        if len(self.opened) > LANES - self.busy_lanes:
            self.others_s += 1000.0
        return Contention(None, None, None, None, busy_s=self.others_s)

    def open(self) -> FakeLane:
        self.opened.append(FakeLane(self.nodes, self.now, self.trouble, self.cold))
        return self.opened[-1]

    def profile(self, *configs: Config, smoke: bool = False) -> dict[Config, LayerProfile]:
        return profile_layers(
            order_for(*configs, smoke=smoke),
            self.open,
            clock=lambda: self.now[0],
            read_contention=self.contention,
        )


TWO = {
    FP32.key: [node("conv", 3000), node("relu", 0, place=None, layers=[], kernel="undef", status="NOT_RUN")],
    INT8.key: [node("conv", 1000, kernel="jit_avx2_I8"), node("reorder", 500, layers=[])],
}


# ------------------------------------------------------------------------------------------------------- measuring


def test_one_cell_is_profiled_for_each_model_and_precision() -> None:
    throughput = replace(INT8, hint=Hint.THROUGHPUT, streams=AUTO, cache=Cache.WARM, requests=4, threads=2, batch=8)
    copied = replace(FP32, inputs=Inputs.COPIED)
    other = replace(FP32, model="other")
    found = layer_cells([copied, FP32, throughput, INT8, other])
    assert found == (FP32, replace(INT8, threads=2, batch=8), other)


def test_precisions_take_turns_in_every_lane_after_the_least_of_warm_ups() -> None:
    lanes = FakeLanes(TWO)
    lanes.profile(FP32, INT8)
    assert len(lanes.opened) == LANES
    first_turns = set()
    for lane in lanes.opened:
        asked = [(order["key"], order["do"], order.get("duration_ns")) for order in lane.orders]
        before, turns, after = asked[:4], asked[4:-2], asked[-2:]
        assert [(key, what) for key, what, _ in before] == [
            (key, what) for key in (FP32.key, INT8.key) for what in ("profile", "counters")
        ]
        assert {duration for _, what, duration in before if what == "profile"} == {0}
        assert {(what, duration) for _, what, duration in turns} == {("profile", round(TURN_S * 1e9))}
        rounds = [{key for key, _, _ in turns[at : at + 2]} for at in range(0, len(turns), 2)]
        assert len(rounds) > 3
        assert all(each == {FP32.key, INT8.key} for each in rounds)
        assert [what for _, what, _ in after] == ["counters", "counters"]
        assert lane.closed
        first_turns.add(turns[0][0])
    assert first_turns == {FP32.key, INT8.key}


def test_a_lane_of_slow_inferences_ends_after_the_round_in_which_its_time_is_up() -> None:
    slow = {FP32.key: [node("conv", 1e6 * LANE_S)]}
    lanes = FakeLanes(slow)
    profile = lanes.profile(FP32)[FP32]
    assert all(sum(order["do"] == "profile" for order in lane.orders) == 2 for lane in lanes.opened)
    assert profile.layers[0].cost_us == pytest.approx(1e6 * LANE_S, rel=0.001)


def test_layers_hold_what_an_inference_takes_in_each_lane_without_the_cold_start() -> None:
    profiles = FakeLanes(TWO, cold=50.0).profile(FP32, INT8)
    conv, relu = profiles[FP32].layers
    assert conv.real_us == pytest.approx([3000] * LANES, abs=2 * RESOLUTION_US)
    assert (relu.place, relu.cost_us, relu.status) == (None, 0.0, "NOT_RUN")
    assert profiles[FP32].layers_us == pytest.approx(3000, abs=2 * RESOLUTION_US)
    assert profiles[FP32].call_us == pytest.approx([3001] * LANES)
    assert len(profiles[INT8].inferences) == LANES
    assert profiles[INT8].layers[0].precision == "i8"


def test_nodes_of_one_name_are_one_layer() -> None:
    profile = FakeLanes({FP32.key: [node("a", 10, macs=1), node("b", 20), node("a", 30, macs=2)]}).profile(FP32)[FP32]
    assert [(each.name, each.macs) for each in profile.layers] == [("a", 3), ("b", 0)]
    assert profile.layers[0].cost_us == pytest.approx(40, abs=0.01)


def test_a_node_that_a_lanes_graph_lacks_took_nothing_there() -> None:
    class Odd(FakeLanes):
        def open(self) -> FakeLane:
            lane = super().open()
            if len(self.opened) == 2:
                lane.nodes = {FP32.key: [node("conv"), node("late", 7)]}
            return lane

    late = Odd({FP32.key: [node("conv")]}).profile(FP32)[FP32].layers[1]
    assert late.name == "late"
    assert late.real_us == pytest.approx([0, 7, 0, 0, 0], abs=0.01)


@pytest.mark.parametrize(("busy_lanes", "busy"), [(0, False), (2, False), (3, True), (5, True)])
def test_a_machine_that_others_use_in_most_lanes_proves_nothing(busy_lanes: int, busy: bool) -> None:
    slower = {FP32.key: [node("conv", 100)], INT8.key: [node("conv", 200)]}
    profiles = FakeLanes(slower, busy_lanes=busy_lanes).profile(FP32, INT8)
    (comparison,) = compare_all(profiles)
    assert [each.busy for each in profiles.values()] == [busy, busy]
    assert bool(comparison.slower) is not busy


def test_a_smoke_run_takes_one_lane_and_one_turn() -> None:
    lanes = FakeLanes(TWO)
    profiles = lanes.profile(FP32, INT8, smoke=True)
    assert [sum(order["do"] == "profile" for order in lane.orders) for lane in lanes.opened] == [4]
    assert all(len(layer.real_us) == 1 for layer in profiles[INT8].layers)


def test_each_model_has_lanes_of_its_own() -> None:
    other = replace(FP32, model="other")
    lanes = FakeLanes({**TWO, other.key: [node("x")]})
    told: list[float] = []
    order = order_for(FP32, INT8, other)
    order = replace(
        order, variants={**order.variants, ("other", "FP32"): Variant(Precision.FP32, Path("o.xml"), False)}
    )
    profiles = profile_layers(order, lanes.open, told.append, lambda: lanes.now[0])
    keys = [{order["key"] for order in lane.orders} for lane in lanes.opened]
    assert keys == [{FP32.key, INT8.key}] * LANES + [{other.key}] * LANES
    assert told == pytest.approx([(number + 1) / (2 * LANES) for number in range(2 * LANES)])
    assert list(profiles) == [FP32, INT8, other]


@pytest.mark.parametrize("error", [ContestantRefused("not this one"), LaneDied("gone"), LaneHung("silent")])
def test_a_cell_that_fails_has_a_fault_and_the_others_go_on(error: BaseException) -> None:
    lanes = FakeLanes(TWO, {INT8.key: error})
    profiles = lanes.profile(FP32, INT8)
    assert profiles[INT8] == LayerProfile(INT8, fault=str(error))
    assert len(profiles[FP32].call_us) == LANES
    assert all(lane.closed for lane in lanes.opened)


def test_layers_of_another_device_are_not_counted() -> None:
    lanes = FakeLanes(TWO)
    auto = replace(FP32, device="AUTO")
    assert lanes.profile(auto)[auto].fault == "only a CPU's layers are counted, not those of AUTO"
    assert lanes.opened == []


def test_where_no_lane_can_be_had_every_cell_says_so() -> None:
    def no_lane() -> FakeLane:
        raise LaneDied("no Python")

    profiles = profile_layers(order_for(FP32, INT8), no_lane)
    assert {profile.fault for profile in profiles.values()} == {"no Python"}
    assert compare_all(profiles) == ()


class InProcess:
    """A lane that is this process's own worker."""

    def __init__(self) -> None:
        self.worker = Worker()

    def ask(self, order: Mapping[str, Any], timeout_s: float = 120.0) -> dict[str, Any]:
        return self.worker.answer(dict(order))

    def close(self) -> None:
        self.worker.profiled.clear()


def test_a_real_model_beside_itself_matches_layer_by_layer(tiny_model_path: Path, tmp_path: Path) -> None:
    variants = {
        ("embedded", each.value): Variant(each, tiny_model_path, False) for each in (Precision.FP32, Precision.INT8)
    }
    order = order_for(FP32, INT8, smoke=True, variants=variants)
    profiles = profile_layers(order, InProcess)
    (comparison,) = compare_all(profiles)
    nodes = [layer for layer in profiles[FP32].layers if layer.place is not None]
    assert len(comparison.pairs) == len(nodes) >= 3
    assert all(len(pair.reference) == len(pair.other) == 1 for pair in comparison.pairs)
    assert sorted(layer.macs for layer in nodes)[-2:] == [8 * 10, 8 * 16 * 16 * 27]
    assert {pair.main.precision for pair in comparison.stayed_float} == {"f32"}
    table, tree = write_counters(profiles[FP32], tmp_path)
    assert read_csv(table) == read_json(tree)


# -------------------------------------------------------------------------------------------------------- comparing


def layer(name: str, *real_us: float, **changes: Any) -> Layer:
    given: dict[str, Any] = {"status": "EXECUTED", "kind": "Convolution", "kernel": "jit_avx2_f32", "place": 0}
    times = real_us or (100.0,) * LANES
    return Layer(
        **{"name": name, **given, "originals": (name,), "macs": 0, "real_us": times, "cpu_us": times, **changes}
    )


def profile(layers: Iterable[Layer], config: Config = FP32) -> LayerProfile:
    return LayerProfile(config, tuple(layers), (1000.0,) * LANES, (100,) * LANES)


def compared(reference: Iterable[Layer], other: Iterable[Layer]) -> LayerComparison:
    return compare_layers(profile(reference), profile(other, INT8))


def names(comparison: LayerComparison) -> set[tuple[str, str]]:
    """Each pair as the names of its two sides."""
    return {
        tuple("+".join(each.name for each in side) for side in (pair.reference, pair.other))
        for pair in comparison.pairs
    }  # type: ignore[misc]


def test_layers_are_matched_by_the_models_layers_whose_work_they_do() -> None:
    found = compared(
        [layer("conv", originals=("conv", "bias", "relu")), layer("add"), layer("pool"), layer("out", originals=())],
        [
            layer("conv", originals=("conv", "fake", "relu", "add")),  # the sum is fused into it here
            layer("quantize", originals=("fake",)),  # a name that FP32 does not know ties it to nothing
            layer("pool_", originals=("pool",)),
            layer("reorder", originals=()),
            layer("out", originals=()),
        ],
    )
    assert names(found) == {("conv+add", "conv"), ("pool", "pool_"), ("out", "out"), ("", "quantize"), ("", "reorder")}


def test_what_is_fused_into_a_node_is_no_layer_of_its_own() -> None:
    found = compared([layer("conv"), layer("relu", place=None, originals=())], [layer("conv")])
    assert names(found) == {("conv", "conv")}


originals = st.lists(st.sampled_from("abcdefgh"), max_size=3).map(tuple)
sides = st.lists(originals, max_size=8).map(
    lambda given: [layer(f"node{number}", originals=each) for number, each in enumerate(given)]
)


@given(sides, sides)
def test_every_node_is_in_one_pair_and_pairs_share_no_layer(reference: list[Layer], other: list[Layer]) -> None:
    pairs = compared(reference, other).pairs
    assert sorted(each.name for pair in pairs for each in pair.reference) == sorted(each.name for each in reference)
    assert sorted(each.name for pair in pairs for each in pair.other) == sorted(each.name for each in other)
    known = [{name for each in side for name in each.originals or (each.name,)} for side in (reference, other)]
    shared = known[0] & known[1]
    mine = [
        {name for each in (*pair.reference, *pair.other) for name in each.originals or (each.name,)} & shared
        for pair in pairs
    ]
    assert sum(map(len, mine)) == len(set().union(*mine))
    assert all(len(pair.reference) + len(pair.other) == 1 for pair, ties in zip(pairs, mine, strict=True) if not ties)


@given(sides, sides)
def test_swapping_the_sides_turns_every_ratio_round(reference: list[Layer], other: list[Layer]) -> None:
    there = {frozenset(each.name for each in pair.reference): pair.ratio for pair in compared(reference, other).pairs}
    for pair in compared(other, reference).pairs:
        ratio = there.get(frozenset(each.name for each in pair.other))
        if pair.ratio is None or ratio is None:
            assert not (pair.reference and pair.other)
        else:
            assert pair.ratio.value == pytest.approx(1 / ratio.value)


def test_a_ratio_is_of_the_sums_in_each_lane() -> None:
    found = compared(
        [layer("a", 10, 20, 30, 40, 50), layer("b", 10, 20, 30, 40, 50)],
        [layer("ab", 10, 20, 30, 40, 50, originals=("a", "b"))],
    )
    (pair,) = found.pairs
    assert pair.ratio is not None
    assert (pair.ratio.value, pair.ratio.low, pair.ratio.high) == pytest.approx((0.5, 0.5, 0.5))
    assert (pair.reference_us, pair.other_us) == pytest.approx((60, 30))


def test_a_layer_that_took_no_time_has_no_ratio() -> None:
    (pair,) = compared([layer("a", 0, 0, 0, 0, 0)], [layer("a")]).pairs
    assert pair.ratio is None
    assert not pair.slower


NOISE = (0.97, 1.01, 1.0, 0.99, 1.03)


@pytest.mark.parametrize(
    ("reference_us", "other_us", "spread", "slower"),
    [
        (100, 150, 1.0, True),
        (100, 98, 1.0, False),
        (100, 104, 0.0, False),  # inside the band, however steady
        (5, 6, 0.0, False),  # 5 may be 5.9 rounded down
        (5, 7, 0.0, True),
        (100, 130, 20.0, False),  # noise hides it
    ],
)
def test_a_layer_is_slower_only_beyond_band_resolution_and_noise(
    reference_us: float, other_us: float, spread: float, slower: bool
) -> None:
    noisy = [other_us * each**spread for each in NOISE]
    (pair,) = compared([layer("a", *[reference_us] * LANES)], [layer("a", *noisy)]).pairs
    assert pair.slower is slower


def test_a_slow_layer_is_proven_among_many_and_equal_ones_are_not_named() -> None:
    rng = random.Random(0)

    def noisy(scale: float) -> list[float]:
        return [scale * rng.gauss(1, 0.03) for _ in range(LANES)]

    falsely = 0
    for _ in range(40):
        reference = [layer(f"l{number}", *noisy(100)) for number in range(50)]
        other = [layer(f"l{number}", *noisy(160 if number == 0 else 100)) for number in range(50)]
        slower = [pair.main.name for pair in compared(reference, other).slower]
        assert slower[:1] == ["l0"]
        falsely += len(slower) > 1
    assert falsely <= 4


def test_fewer_lanes_than_an_interval_needs_prove_nothing() -> None:
    (pair,) = compared([layer("a", 100.0)], [layer("a", 300.0)]).pairs
    assert pair.ratio is not None
    assert pair.ratio.low is None
    assert not pair.slower


def test_the_costliest_are_ranked_by_what_is_left_to_win() -> None:
    count = COSTLIEST + 3
    reference = [layer(f"l{number}", *[1000.0 - number] * LANES) for number in range(count)]
    other = [layer(f"l{number}", *[10.0 + number] * LANES) for number in range(count)]
    ranked = [pair.main.name for pair in compared(reference, other).costliest]
    assert ranked == [f"l{number}" for number in range(count - 1, 2, -1)]
    alone = [pair.main.name for pair in compare_layers(profile(reference), None).costliest]
    assert alone == [f"l{number}" for number in range(COSTLIEST)]


def test_layers_that_stayed_float_are_those_of_both_whose_kernel_is_not_the_promised_one() -> None:
    i8, small, big = "jit_avx2_I8", {"macs": 1}, {"macs": 9}
    found = compared(
        [layer("conv"), layer("small", **small), layer("big", **big), layer("gone"), layer("idle")],
        [
            layer("conv", kernel=i8),
            layer("small", **small),
            layer("big", **big),
            layer("reorder"),
            layer("idle", 0, 0, 0, 0, 0),
        ],
    )
    assert [pair.main.name for pair in found.stayed_float] == ["big", "small"]
    assert found.macs == 10
    assert [pair.main.name for pair in found.only_reference] == ["gone"]
    assert [pair.main.name for pair in found.only_other] == ["reorder"]
    bf16 = compare_layers(profile([layer("a"), layer("b")]), profile([layer("a", kernel="x_bf16"), layer("b")], BF16))
    assert [pair.main.name for pair in bf16.stayed_float] == ["b"]


def test_profiles_stand_beside_their_partner_or_alone() -> None:
    other = replace(FP32, model="other")
    lone = replace(INT8, model="lone")
    given = {each: profile([layer("a")], each) for each in (FP32, BF16, INT8, other, lone)}
    given[replace(lone, precision=Precision.FP32)] = LayerProfile(replace(lone, precision=Precision.FP32), fault="died")
    found = [(each.reference.config, each.other and each.other.config) for each in compare_all(given)]
    assert found == [(FP32, BF16), (FP32, INT8), (other, None), (lone, None)]


# ---------------------------------------------------------------------------------------------------------- keeping


def read_csv(path: Path) -> list[tuple[str, ...]]:
    """Name, status, type, kernel, real and CPU time of each row; the total last."""
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8")), delimiter=";", quoting=csv.QUOTE_NONE))
    assert rows[0] == ["layerName", "execStatus", "layerType", "execType", "realTime (ms)", "cpuTime (ms)"]
    return [tuple(row) for row in rows[1:] if row]


def read_json(path: Path) -> list[tuple[str, ...]]:
    """The same of the tree."""
    told = json.loads(path.read_text(encoding="utf-8"))
    assert told["report_type"] == "average"
    counters = told["avg_performance"]
    fields = ("name", "status", "node_type", "exec_type", "real_time", "cpu_time")
    rows = [tuple(each[field] for field in fields) for each in counters["nodes"]]
    return [*rows, ("Total", "", "", "", counters["total_real_time"], counters["total_cpu_time"])]


plain = st.text(st.characters(codec="ascii", exclude_characters=';"', categories=("L", "N", "P")), min_size=1)
times = st.lists(st.floats(0, 1e7), min_size=LANES, max_size=LANES).map(tuple)
any_layers = st.lists(
    st.builds(
        Layer,
        name=plain,
        status=st.sampled_from(["EXECUTED", "NOT_RUN", "OPTIMIZED_OUT"]),
        kind=plain,
        kernel=plain,
        place=st.none() | st.integers(0, 9),
        originals=st.just(()),
        macs=st.integers(0, 10**9),
        real_us=times,
        cpu_us=times,
    ),
    max_size=6,
    unique_by=lambda each: each.name,
)


@settings(max_examples=25)  # each writes two files
@given(any_layers)
def test_table_and_tree_agree_and_their_totals_are_sums_of_what_they_say(
    tmp_path_factory: pytest.TempPathFactory, layers: list[Layer]
) -> None:
    table, tree = write_counters(profile(layers), tmp_path_factory.getbasetemp() / "agree")
    rows = read_csv(table)
    assert rows == read_json(tree)
    assert [row[0] for row in rows] == [*(each.name for each in layers), "Total"]
    for column in (4, 5):
        written_us = [round(1000 * float(row[column])) for row in rows]
        assert sum(written_us[:-1]) == written_us[-1]


def test_both_are_in_benchmark_apps_own_form(tmp_path: Path) -> None:
    reports = pytest.importorskip("openvino.tools.benchmark.utils.statistics_report")
    layers = [
        layer("conv/WithoutBiases", 1234, 1236, 1235, 1235, 1235, kernel="brgconv_avx512_1x1_f32"),
        layer("relu, fused", 0, 0, 0, 0, 0, place=None, status="NOT_RUN", kind="Relu", kernel="undef"),
        layer("fc", 7, 7, 7, 7, 7, cpu_us=(5.0,) * LANES, kind="FullyConnected"),
    ]
    table, tree = write_counters(profile(layers, INT8), tmp_path)
    assert [table.name, tree.name] == [f"embedded-INT8-average_counters.{end}" for end in ("csv", "json")]
    told = [
        SimpleNamespace(
            node_name=each.name,
            status=f"Status.{each.status}",
            node_type=each.kind,
            exec_type=each.kernel,
            real_time=timedelta(microseconds=each.cost_us),
            cpu_time=timedelta(microseconds=statistics.median(each.cpu_us)),
        )
        for each in layers
    ]
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    asked = reports.StatisticsReport.Config("average_counters", str(theirs))
    reports.CsvStatisticsReport(asked).dump_performance_counters([told])
    assert table.read_text(encoding="utf-8") == (theirs / "benchmark_average_counters_report.csv").read_text()

    # Their average JSON keeps the first layer alone; their detailed one has all of them, in the same words.
    asked = reports.StatisticsReport.Config("detailed_counters", str(theirs))
    reports.JsonStatisticsReport(asked).dump_performance_counters([told])
    detailed = json.loads((theirs / "benchmark_detailed_counters_report.json").read_text())
    mine = json.loads(tree.read_text(encoding="utf-8"))
    assert mine == {"report_type": "average", "avg_performance": detailed["detailed_performance"][0]}
    asked = reports.StatisticsReport.Config("average_counters", str(theirs))
    reports.JsonStatisticsReport(asked).dump_performance_counters([told])
    average = json.loads((theirs / "benchmark_average_counters_report.json").read_text())
    assert average.keys() == mine.keys()
    assert average["avg_performance"].keys() == mine["avg_performance"].keys()


def test_a_folder_that_cannot_be_written_is_named_in_a_line_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotWritable, match=r"^cannot write the counters .*embedded-FP32-average_counters: .*: free"):
        write_counters(profile([layer("a")]), tmp_path / "file")
    taken = tmp_path / "embedded-FP32-average_counters.csv"
    taken.mkdir()
    with pytest.raises(NotWritable):
        write_counters(profile([layer("a")]), tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == [taken.name, "file"]


def test_a_profile_in_the_journal_has_every_figure() -> None:
    given = profile([layer("a", 1, 2, 3, 4, 5, macs=7)], INT8)
    told = json.loads(json.dumps(profile_fields(given), allow_nan=False))
    (first,) = told.pop("layers")
    assert Config.from_axes(told.pop("config")) == INT8
    assert told == {
        "cell": INT8.id,
        "fault": "",
        "busy": False,
        "inferences": [100] * LANES,
        "call_us": [1000.0] * LANES,
    }
    assert (
        Layer(**{**first, **{name: tuple(first[name]) for name in ("originals", "real_us", "cpu_us")}})
        == given.layers[0]
    )
