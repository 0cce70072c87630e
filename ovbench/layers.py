"""Layers: what each of them takes in every precision of a model, matched by what they do; benchmark_app's counters."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ovbench.campaign import Clock, OpenLane, Order
from ovbench.config import Cache, Config, Hint, Inputs, Precision, fp32_partner
from ovbench.contention import too_many, was_hit
from ovbench.errors import ContestantRefused, LaneError, NotWritable
from ovbench.machine import Contention, available_cores, difference, read_contention
from ovbench.precision import KERNEL
from ovbench.rounds import run_rounds
from ovbench.samples import Block, parse_block
from ovbench.stats import CONFIDENCE, MIN_REPLICATES, Estimate, holm, one_sided_p_value, ratio_estimate
from ovbench.worker import kernel_precision

LANES = MIN_REPLICATES  # an interval over fewer is not given
LANE_S = 1.5  # of turns in one lane: with three precisions about 100 inferences of FP32 MobileNetV2 on two AVX2 cores
TURN_S = 0.1  # long beside the one cache-cold inference that begins it, which the counters cannot leave out
# Less is not worth a look. A model beside itself, 16 profiles of MobileNetV2's 57 layers on a quiet and on a crowded
# machine: its layers came out 2 to 30 % apart, and one of all was named slower.
LAYER_BAND = 0.05
RESOLUTION_US = 1.0  # the CPU plugin tells the mean of a node since compilation in whole microseconds, rounded down
COSTLIEST = 10
FLOAT_KERNELS = ("f32", "bf16", "f16")
COUNTERS_SUFFIX = "-average_counters"


@dataclass(frozen=True)
class Layer:
    """One entry of OpenVINO's ``profiling_info``: a node of the execution graph, or (``place`` None) one fused into it.

    ``originals`` are the model's layers whose work it does; ``real_us``, ``cpu_us`` hold a mean per inference and lane.
    """

    name: str
    status: str
    kind: str
    kernel: str
    place: int | None
    originals: tuple[str, ...]
    macs: int
    real_us: tuple[float, ...]
    cpu_us: tuple[float, ...]

    @property
    def cost_us(self) -> float:
        """Median over the lanes, of means per inference: one disturbed lane does not show in it."""
        return statistics.median(self.real_us)

    @property
    def precision(self) -> str:
        """The arithmetic that the kernel's name tells: f32, bf16, f16, i8 or "unknown"."""
        return kernel_precision(self.kernel)


@dataclass(frozen=True)
class LayerProfile:
    """Every layer of one cell. ``call_us``: mean wall time of a call in each lane; ``inferences``: counted in each.

    ``busy``: in most lanes others took so much of the machine that nothing may be proven. A ``fault`` says why there
    are no layers.
    """

    config: Config
    layers: tuple[Layer, ...] = ()
    call_us: tuple[float, ...] = ()
    inferences: tuple[int, ...] = ()
    busy: bool = False
    fault: str = ""

    @property
    def call_cost_us(self) -> float:
        """Wall time of a call, median over the lanes."""
        return statistics.median(self.call_us)

    @property
    def layers_us(self) -> float:
        """Sum over all layers."""
        return sum(layer.cost_us for layer in self.layers)


@dataclass(frozen=True)
class LayerPair:
    """The nodes of two execution graphs that do the same layers; one side is empty where the other has no such layer.

    ``ratio``: the other's time / the reference's, over lanes; None on one side only, or where a side took 0 µs.
    """

    reference: tuple[Layer, ...]
    other: tuple[Layer, ...]
    ratio: Estimate | None = None
    slower: bool = False

    @property
    def reference_us(self) -> float:
        """Time of the reference's nodes."""
        return sum(layer.cost_us for layer in self.reference)

    @property
    def other_us(self) -> float:
        """Time of the other's nodes."""
        return sum(layer.cost_us for layer in self.other)

    @property
    def main(self) -> Layer:
        """The node that stands for all: of most MACs, else the costliest; the reference's where it has one."""
        return max(self.reference or self.other, key=lambda layer: (layer.macs, layer.cost_us))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the other's nodes."""
        return sum(layer.macs for layer in self.other)


@dataclass(frozen=True)
class LayerComparison:
    """A profile beside FP32's, the reference; ``other`` is None where a profile stands alone, as the reference."""

    reference: LayerProfile
    other: LayerProfile | None
    pairs: tuple[LayerPair, ...]

    @property
    def subject(self) -> LayerProfile:
        """The profile whose layers are ranked: of the faster variant, since its time is what is left to win."""
        return self.other or self.reference

    def cost_us(self, pair: LayerPair) -> float:
        """What the pair takes in the subject."""
        return pair.reference_us if self.other is None else pair.other_us

    @property
    def costliest(self) -> tuple[LayerPair, ...]:
        """The COSTLIEST pairs that take most in the subject, most first."""
        return tuple(sorted(filter(self.cost_us, self.pairs), key=self.cost_us, reverse=True)[:COSTLIEST])

    @property
    def stayed_float(self) -> tuple[LayerPair, ...]:
        """Layers of both models that run in a float kernel, though the subject's precision promises another one.

        Those of most MACs first, then the costliest. Nodes that took 0 µs are no work.
        """
        wanted = KERNEL[self.subject.config.precision]
        stayed = [
            pair
            for pair in self.pairs
            if pair.reference
            and pair.other_us
            and any(each.precision in FLOAT_KERNELS and each.precision != wanted for each in pair.other)
        ]
        return tuple(sorted(stayed, key=lambda pair: (pair.macs, pair.other_us), reverse=True))

    @property
    def slower(self) -> tuple[LayerPair, ...]:
        """Layers that got slower, most time lost first."""
        slower = [pair for pair in self.pairs if pair.slower]
        return tuple(sorted(slower, key=lambda pair: pair.other_us - pair.reference_us, reverse=True))

    @property
    def longer(self) -> tuple[LayerPair, ...]:
        """Layers that took longer, which is not proven."""
        return tuple(pair for pair in self.pairs if pair.ratio and pair.ratio.value > 1 and not pair.slower)

    @property
    def only_reference(self) -> tuple[LayerPair, ...]:
        """Nodes that take time in the reference's graph alone, the costliest first."""
        lone = [pair for pair in self.pairs if not pair.other and pair.reference_us]
        return tuple(sorted(lone, key=lambda pair: pair.reference_us, reverse=True))

    @property
    def only_other(self) -> tuple[LayerPair, ...]:
        """Nodes that take time in the other's graph alone (reorders, quantizing), the costliest first."""
        lone = [pair for pair in self.pairs if not pair.reference and pair.other_us]
        return tuple(sorted(lone, key=lambda pair: pair.other_us, reverse=True))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the subject."""
        return sum(layer.macs for layer in self.subject.layers)


# ------------------------------------------------------------------------------------------------------- measuring


def layer_cells(configs: Iterable[Config]) -> tuple[Config, ...]:
    """One cell for each model and precision, in the order first met: one request, one stream, no model cache.

    Several streams would have a graph, and counters, each.
    """
    cells: dict[tuple[str, Precision], Config] = {}
    for config in configs:
        plain = replace(config, hint=Hint.LATENCY, streams=1, cache=Cache.OFF, requests=0, inputs=Inputs.PRESET)
        cells.setdefault((config.model, config.precision), plain)
    return tuple(cells.values())


def profile_layers(
    order: Order,
    open_lane: OpenLane,
    on_lane: Callable[[float], None] = lambda _share: None,
    clock: Clock = time.monotonic,
    read_contention: Callable[[], Contention] = read_contention,
) -> dict[Config, LayerProfile]:
    """Profile every model and precision of the order, in LANES fresh lanes for each model.

    In a lane all precisions of a model take turns in shuffled order, so that their ratios are of one time and place.
    ``on_lane`` gets the share that is done as each lane ends. A cell that OpenVINO refuses, or of which a lane dies,
    has a fault, and the others go on without it; so has one of another device than CPU, whose counters mean what they
    like (a GPU's are the last inference's).
    """
    groups: dict[str, list[Config]] = {}
    profiles: dict[Config, LayerProfile] = {}
    for config in layer_cells(order.configs):
        if config.device == "CPU":
            groups.setdefault(config.model, []).append(config)
        else:
            profiles[config] = LayerProfile(
                config, fault=f"only a CPU's layers are counted, not those of {config.device}"
            )
    lanes = 1 if order.smoke else LANES
    done = itertools.count(1)
    for group in groups.values():
        profiles |= _profile_model(
            group,
            lanes,
            lambda cells, number: _run_lane(order, cells, open_lane, number, clock, read_contention),
            lambda: on_lane(next(done) / (lanes * len(groups))),
        )
    return profiles


@dataclass(frozen=True)
class _Share:
    """One cell's part of one lane; ``nodes`` as ``worker.Profiled.counters`` tells them, without the warm-up's time."""

    call_us: float
    inferences: int
    hit: bool
    nodes: Mapping[str, Mapping[str, Any]]


class _CellFailed(Exception):
    """A lane ended at one cell, or OpenVINO refused it."""

    def __init__(self, config: Config, cause: Exception) -> None:
        super().__init__(str(cause))
        self.config = config


def _profile_model(
    group: Sequence[Config],
    lanes: int,
    run_lane: Callable[[tuple[Config, ...], int], dict[Config, _Share]],
    on_lane: Callable[[], None],
) -> dict[Config, LayerProfile]:
    shares: dict[Config, list[_Share]] = {config: [] for config in group}
    faults: dict[Config, str] = {}
    number = 0
    while shares and number < lanes:
        try:
            taken = run_lane(tuple(shares), number)
        except _CellFailed as failure:
            faults[failure.config] = str(failure)
            del shares[failure.config]
            continue
        except LaneError as error:  # no lane can be had at all
            faults |= dict.fromkeys(shares, str(error))
            break
        for config, share in taken.items():
            shares[config].append(share)
        number += 1
        on_lane()
    return {
        config: LayerProfile(config, fault=faults[config]) if config in faults else _profile(config, shares[config])
        for config in group
    }


def _run_lane(
    order: Order,
    group: tuple[Config, ...],
    open_lane: OpenLane,
    number: int,
    clock: Clock,
    read_contention: Callable[[], Contention],
) -> dict[Config, _Share]:
    with contextlib.closing(open_lane()) as lane:

        def ask(config: Config, what: str, duration_s: float = 0.0) -> dict[str, Any]:
            request = {**order.open_request(config, None), "do": what, "duration_ns": round(duration_s * 1e9)}
            try:
                return lane.ask(request)
            except (LaneError, ContestantRefused) as error:
                raise _CellFailed(config, error) from error

        # The least of inferences to warm up: what the counters rounded away of them returns as an error of the rest.
        before = {}
        for config in group:
            ask(config, "profile")
            before[config] = ask(config, "counters")
        walls_ns: dict[Config, list[int]] = {config: [] for config in group}
        own_cpu_ns = -time.process_time_ns()  # of the lane and of this process, which asks it

        def turn(config: Config, round_number: int) -> Block:
            nonlocal own_cpu_ns
            answer = ask(config, "profile", TURN_S)
            own_cpu_ns += int(answer["lane_cpu_ns"])
            return parse_block(round_number, answer)

        taken, begin = read_contention(), clock()
        for blocks in run_rounds(
            group, turn, lambda _rounds: order.smoke or clock() >= begin + LANE_S, order.seed, number
        ):
            for config, block in blocks.items():
                walls_ns[config] += block.wall_ns
        own_cpu_ns += time.process_time_ns()
        hit = was_hit(difference(taken, read_contention()), own_cpu_ns / 1e9, clock() - begin, available_cores())
        return {
            config: _share(before[config], ask(config, "counters"), statistics.fmean(walls_ns[config]) / 1e3, hit)
            for config in group
        }


def _share(before: Mapping[str, Any], after: Mapping[str, Any], call_us: float, hit: bool) -> _Share:
    """What the counters grew by: OpenVINO never resets them, and tells means since compilation."""
    early, late = int(before["inferences"]), int(after["inferences"])
    known = _by_name(before["nodes"])
    nodes = {}
    for name, node in _by_name(after["nodes"]).items():
        # Rounded down at either time, the difference of next to nothing can be less than nothing.
        grown = {
            field: max(0.0, (node[field] * late - known[name][field] * early) / (late - early))
            for field in ("real_us", "cpu_us")
        }
        nodes[name] = {**node, **grown}
    return _Share(call_us, late - early, hit, nodes)


def _by_name(nodes: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Nodes of one name are one row in benchmark_app's report, their times added."""
    merged: dict[str, Mapping[str, Any]] = {}
    for node in nodes:
        first = merged.get(node["name"])
        if first is not None:
            node = {**first, **{field: first[field] + node[field] for field in ("real_us", "cpu_us", "macs")}}
        merged[node["name"]] = node
    return merged


def _profile(config: Config, shares: Sequence[_Share]) -> LayerProfile:
    known = {name: node for share in reversed(shares) for name, node in share.nodes.items()}
    names = dict.fromkeys(name for share in shares for name in share.nodes)

    def times_us(name: str, field: str) -> tuple[float, ...]:
        # A lane whose graph has no such node spent nothing on it.
        return tuple(float(share.nodes[name][field]) if name in share.nodes else 0.0 for share in shares)

    layers = tuple(
        Layer(
            name=name,
            status=known[name]["status"],
            kind=known[name]["kind"],
            kernel=known[name]["kernel"],
            place=known[name]["place"],
            originals=tuple(known[name]["layers"]),
            macs=int(known[name]["macs"]),
            real_us=times_us(name, "real_us"),
            cpu_us=times_us(name, "cpu_us"),
        )
        for name in names
    )
    return LayerProfile(
        config,
        layers,
        tuple(share.call_us for share in shares),
        tuple(share.inferences for share in shares),
        too_many(sum(share.hit for share in shares), len(shares)),
    )


# -------------------------------------------------------------------------------------------------------- comparing


def compare_all(profiles: Mapping[Config, LayerProfile]) -> tuple[LayerComparison, ...]:
    """Every profile beside its FP32 partner; one that has none, or is FP32 and nobody's partner, stands alone."""
    sound = {config: profile for config, profile in profiles.items() if not profile.fault}
    partnered = {fp32_partner(config) for config in sound if config.precision is not Precision.FP32}
    comparisons = []
    for config, profile in sound.items():
        if config.precision is Precision.FP32:
            if config not in partnered:
                comparisons.append(compare_layers(profile, None))
        elif fp32_partner(config) in sound:
            comparisons.append(compare_layers(sound[fp32_partner(config)], profile))
        else:
            comparisons.append(compare_layers(profile, None))
    return tuple(comparisons)


def compare_layers(reference: LayerProfile, other: LayerProfile | None) -> LayerComparison:
    """Match the nodes of two execution graphs and judge what got slower.

    A layer is slower if its time is more than LAYER_BAND and the counters' resolution above the reference's, proven by
    Student's t over the lanes; Holm's method keeps the chance of naming any layer wrongly, among all, below 5 %. On a
    busy machine none is.
    """
    pairs = _match(_nodes(reference), () if other is None else _nodes(other))
    logs = [_log_ratios(pair) for pair in pairs]
    p_values = [
        one_sided_p_value(each, 1 + _band(pair)) if each else None for pair, each in zip(pairs, logs, strict=True)
    ]
    busy = reference.busy or (other is not None and other.busy)
    judged = {number: each for number, each in enumerate(p_values) if each is not None and not busy}
    proven = holm(list(judged.values()), 1 - CONFIDENCE)
    slower = {number for number, rejected in zip(judged, proven, strict=True) if rejected}
    return LayerComparison(
        reference,
        other,
        tuple(
            replace(pair, ratio=ratio_estimate(each) if each else None, slower=number in slower)
            for number, (pair, each) in enumerate(zip(pairs, logs, strict=True))
        ),
    )


def _nodes(profile: LayerProfile) -> tuple[Layer, ...]:
    return tuple(layer for layer in profile.layers if layer.place is not None)


def _match(reference: Sequence[Layer], other: Sequence[Layer]) -> list[LayerPair]:
    """Nodes that share a layer of the model, directly or through others, belong together: fusing differs by precision.

    Names that only one side knows (of fake quantizers, say) tie nothing together.
    """
    shared = {name for layer in reference for name in _names(layer)} & {
        name for layer in other for name in _names(layer)
    }
    above = {name: name for name in shared}

    def root(name: str) -> str:
        while above[name] != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    for layer in (*reference, *other):
        ties = [name for name in _names(layer) if name in shared]
        for name in ties[1:]:
            above[root(name)] = root(ties[0])
    groups: dict[object, tuple[list[Layer], list[Layer]]] = {}
    for side, layers in enumerate((reference, other)):
        for layer in layers:
            tie = next((root(name) for name in _names(layer) if name in shared), None)
            groups.setdefault((side, layer.name) if tie is None else tie, ([], []))[side].append(layer)
    return [LayerPair(tuple(mine), tuple(theirs)) for mine, theirs in groups.values()]


def _names(layer: Layer) -> tuple[str, ...]:
    return layer.originals or (layer.name,)


def _log_ratios(pair: LayerPair) -> list[float]:
    """Log of the other's time over the reference's in each lane where both took any."""
    mine, theirs = (
        [sum(times) for times in zip(*(layer.real_us for layer in side), strict=True)]
        for side in (pair.reference, pair.other)
    )
    return [math.log(b / a) for a, b in zip(mine, theirs, strict=False) if a and b]


def _band(pair: LayerPair) -> float:
    """The least share above 1 that means anything: noise, and what rounding can hide of each node of the reference."""
    return LAYER_BAND + RESOLUTION_US * len(pair.reference) / pair.reference_us


# ---------------------------------------------------------------------------------------------------------- keeping


def profile_fields(profile: LayerProfile) -> dict[str, Any]:
    """A profile for the journal's line of kind ``layers``; times in µs, one for each lane."""
    return {
        "cell": profile.config.id,
        "config": profile.config.axes,
        "fault": profile.fault,
        "busy": profile.busy,
        "inferences": list(profile.inferences),
        "call_us": list(profile.call_us),
        "layers": [
            {
                "name": layer.name,
                "status": layer.status,
                "kind": layer.kind,
                "kernel": layer.kernel,
                "place": layer.place,
                "originals": list(layer.originals),
                "macs": layer.macs,
                "real_us": list(layer.real_us),
                "cpu_us": list(layer.cpu_us),
            }
            for layer in profile.layers
        ],
    }


def write_counters(profile: LayerProfile, folder: Path) -> tuple[Path, Path]:
    """Save a profile as benchmark_app's ``average_counters`` report: a CSV and a JSON of the same rounded figures.

    ``<model>-<precision>-average_counters.csv`` and ``.json`` in ``folder``, both or neither. The form is that of
    OpenVINO's ``benchmark/utils/statistics_report.py``, whose own JSON holds the first layer alone. Milliseconds, from
    medians over the lanes rounded to microseconds; totals are sums of what is written. Raises NotWritable.
    """
    name = f"{profile.config.model}-{profile.config.precision.value}{COUNTERS_SUFFIX}"
    rows = [
        (layer.name, f"Status.{layer.status}", layer.kind, layer.kernel, round(layer.cost_us), round(cpu_us))
        for layer in profile.layers
        for cpu_us in [statistics.median(layer.cpu_us)]
    ]
    totals = (sum(row[4] for row in rows), sum(row[5] for row in rows))
    texts = {
        folder / f"{name}.csv": _csv_text(rows, totals),
        folder / f"{name}.json": _json_text(rows, totals),
    }
    drafts = {path: path.with_name(path.name + ".tmp") for path in texts}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, draft in drafts.items():
            draft.write_text(texts[path], encoding="utf-8")
        for path, draft in drafts.items():
            draft.replace(path)
    except OSError as error:
        for draft in drafts.values():
            with contextlib.suppress(OSError):
                draft.unlink()
        raise NotWritable(
            f"cannot write the counters {folder / name}: {error.strerror}: free the folder or make room"
        ) from None
    table, tree = texts
    return table, tree


_Row = tuple[str, str, str, str, int, int]  # name, status, type, kernel, real and CPU time in µs


def _csv_text(rows: Sequence[_Row], totals: tuple[int, int]) -> str:
    table = [
        ("layerName", "execStatus", "layerType", "execType", "realTime (ms)", "cpuTime (ms)"),
        *((*row[:4], *_milliseconds(row[4:])) for row in rows),
        ("Total", "", "", "", *_milliseconds(totals)),
    ]
    return "".join(";".join(each) + "\n" for each in table) + "\n"


def _json_text(rows: Sequence[_Row], totals: tuple[int, int]) -> str:
    nodes = []
    for name, status, kind, kernel, *times_us in rows:
        real, cpu = _milliseconds(times_us)
        nodes.append(
            {"name": name, "node_type": kind, "status": status, "real_time": real, "cpu_time": cpu, "exec_type": kernel}
        )
    real, cpu = _milliseconds(totals)
    counters = {"nodes": nodes, "total_real_time": real, "total_cpu_time": cpu}
    return json.dumps({"report_type": "average", "avg_performance": counters}, indent=4)


def _milliseconds(times_us: Iterable[int]) -> tuple[str, ...]:
    return tuple(f"{each / 1000:.3f}" for each in times_us)
