"""The campaign: all selected cells measured together, in interleaved rounds, in one fresh lane after another."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ovbench.config import Cache, Config, Inputs, Mode, fp32_partner, uncached_twin
from ovbench.contention import too_many, was_hit
from ovbench.errors import BadOption, ContestantRefused, LaneError
from ovbench.lanes import Askable
from ovbench.machine import Contention, available_cores, difference, read_our_contention
from ovbench.precision import Proof, Variant, compile_properties, prove
from ovbench.rounds import run_rounds
from ovbench.samples import Block, Replicate, log_ratio_by_lane, parse_block

# Variance components of our own runs (docs/method.md): a block shorter than this holds too few inferences of
# MobileNetV2 on two AVX2 cores for a stable median; a longer one lets the machine's mood change within a round.
SYNC_BLOCK_S = 0.025
ASYNC_BLOCK_S = 0.080
MIN_LANES = 5  # an interval over fewer replicates is not given (ovbench.stats)
MAX_LANES = 10
MIN_ROUNDS = 4
MIN_MEASURING_SHARE = 0.5  # of a lane's life; below it, start-up is what the budget is spent on
BLOCK_OVERHEAD_S = 0.02  # discarded first inference, fill and drain, the two messages
MAX_DEATHS = 3

OpenLane = Callable[[], Askable]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Order:
    """What the campaign is to measure and how: cells, their variants, and the knobs."""

    configs: tuple[Config, ...]
    variants: Mapping[tuple[str, str], Variant]
    shape: Mapping[str, tuple[int, ...]]
    budget_s: float
    warmup_s: float
    seed: int
    max_memory_bytes: int | None
    smoke: bool = False
    quota_threads: int = 0
    """Threads of cells that leave them open, where a CPU quota allows fewer than there are cores; 0 without one."""

    def variant(self, config: Config) -> Variant:
        """The file behind a cell."""
        return self.variants[config.model, config.precision.value]

    def open_request(self, config: Config, cache_dir: Path | None) -> dict[str, Any]:
        """The message that opens a cell in a lane."""
        return {
            "do": "open",
            "key": config.key,
            "model": str(self.variant(config).path),
            "device": config.device,
            "properties": compile_properties(config, cache_dir, self.quota_threads),
            "shape": {name: list(dims) for name, dims in self.shape.items()},
            "batch": config.batch,
            "requests": config.requests,
            "mode": config.mode.value,
            "inputs": config.inputs.value,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class Cell:
    """What the probe found out about one config before anything is measured."""

    config: Config
    effective: Mapping[str, Any] = field(default_factory=dict)
    alias_of: Config | None = None
    digest: str = ""
    proof: Proof = field(default_factory=Proof)
    fault: str = ""
    open_s: float = 0.0
    block_s: float = 0.0
    memory_bytes: int = 0

    @property
    def measured(self) -> bool:
        """Whether blocks of its own are run."""
        return self.alias_of is None and not self.fault


@dataclass(frozen=True)
class Plan:
    """How the budget is spent: groups of cells that share lanes, lanes per group, seconds per lane."""

    groups: tuple[tuple[Config, ...], ...]
    lanes: int
    lane_s: float
    start_s: float
    round_s: float

    @property
    def total_s(self) -> float:
        """Estimated time of the campaign after the probe."""
        return self.lanes * self.lane_s * len(self.groups)


def without(rejected: Collection[tuple[int, int]], replicates: tuple[Replicate, ...]) -> tuple[Replicate, ...]:
    """The replicates without the rounds that were rejected, each a lane and a number."""
    if not rejected:
        return replicates
    kept = (
        replace(each, blocks=tuple(block for block in each.blocks if (each.lane, block.round) not in rejected))
        for each in replicates
    )
    return tuple(each for each in kept if each.blocks)


@dataclass
class Measurements:
    """What a campaign has so far; it grows replicate by replicate, so that an interrupted one keeps what is done."""

    cells: dict[Config, Cell] = field(default_factory=dict)
    replicates: dict[Config, list[Replicate]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    lanes: int = 0
    rounds: int = 0
    rejected: set[tuple[int, int]] = field(default_factory=set)
    """Lane and number of the rounds that others took too much of."""

    @property
    def busy(self) -> bool:
        """Whether too many rounds were hit for a verdict; figures are then of all rounds, since few would be left."""
        return too_many(len(self.rejected), self.rounds)

    def representative(self, config: Config) -> Config:
        """The cell whose samples stand for this one: itself, or the one it is an alias of."""
        alias = self.cells[config].alias_of
        return config if alias is None else alias

    def samples(self, config: Config) -> tuple[Replicate, ...]:
        """Replicates of a cell (an alias has its representative's), without the rounds that were rejected."""
        whole = tuple(self.replicates.get(self.representative(config), ()))
        return whole if self.busy else without(self.rejected, whole)

    def fail(self, config: Config, fault: str) -> None:
        """Make a fault of a cell and of its aliases; what was measured of it so far stays."""
        self.cells.setdefault(config, Cell(config))
        for each, cell in list(self.cells.items()):
            if config in (each, cell.alias_of):
                self.cells[each] = replace(cell, fault=fault)
        self.notes.append(f"{config.key}: {fault}; the other cells go on without it")

    def check_outputs(self, digests: Mapping[Config, str]) -> None:
        """Note every cell whose outputs in a lane are not the probe's: its answers depend on the compilation's luck.

        It has been seen: compressed weights in two streams on AVX2, one compilation in eight (docs/method.md).
        """
        for config, digest in digests.items():
            note = (
                f"{config.key}: the outputs of one seeded input differ from lane to lane: OpenVINO does not compile it "
                "to the same each time, do not trust its answers"
            )
            known = self.cells[config].digest if config in self.cells else ""
            if known and digest != known and note not in self.notes:
                self.notes.append(note)

    def log_speedups(self, config: Config) -> tuple[float, ...]:
        """Log of the speed-up over FP32, one per lane; empty for a cell without an FP32 partner."""
        partner = fp32_partner(config)
        if partner not in self.cells:
            return ()
        return log_ratio_by_lane(self.samples(config), self.samples(partner))


# ------------------------------------------------------------------------------------------------------- the probe


def probe(
    order: Order,
    open_lane: OpenLane,
    cache_root: Path,
    clock: Clock = time.monotonic,
    on_cell: Callable[[Cell], None] = lambda _cell: None,
) -> dict[Config, Cell]:
    """Open every cell once in one lane, read back what it is, and find the aliases. Nothing here is a result.

    Cells of equal effective config are measured once. A warm-cache cell is an alias of its uncached twin once it is
    proven to be loaded from the cache and bit-equal in its outputs; unproven, it is a fault.
    """
    cells: dict[Config, Cell] = {}
    by_effect: dict[tuple[Any, ...], Config] = {}
    lane = ready_lane(open_lane)
    try:
        for config in _uncached_first(order.configs):
            try:
                cell = _probe_one(order, lane, config, cells, by_effect, cache_root, clock)
            except ContestantRefused as refusal:
                cell = Cell(config, fault=str(refusal))
            except LaneError as death:
                cell = Cell(config, fault=str(death))
                lane = ready_lane(open_lane)
            if cell.measured:
                by_effect[effect_key(config, cell.effective)] = config
            cells[config] = cell
            on_cell(cell)
    finally:
        lane.close()
    return {config: cells[config] for config in order.configs}


def ready_lane(open_lane: OpenLane) -> Askable:
    """A lane that has imported OpenVINO, which is not to count as any cell's time to open."""
    lane = open_lane()
    try:
        lane.ask({"do": "import"})
    except BaseException:
        lane.close()
        raise
    return lane


def _uncached_first(configs: Iterable[Config]) -> list[Config]:
    return sorted(configs, key=lambda config: config.cache is not Cache.OFF)


def _probe_one(
    order: Order,
    lane: Askable,
    config: Config,
    cells: Mapping[Config, Cell],
    by_effect: Mapping[tuple[Any, ...], Config],
    cache_root: Path,
    clock: Clock,
) -> Cell:
    preset = cells.get(replace(config, inputs=Inputs.PRESET))
    if config.inputs is Inputs.COPIED and preset is not None and not preset.fault:  # a lane compiles it once for both
        shared = replace(preset, config=config, alias_of=None, open_s=0.0, memory_bytes=0)
        return _judged(shared, cells, by_effect)
    request = order.open_request(config, _cache_dir(cache_root, config))
    begin = clock()
    answer = lane.ask(request)
    if config.cache is Cache.WARM and not answer["effective"]["loaded_from_cache"]:  # then this has filled it
        lane.ask({"do": "close", "key": config.key})
        begin = clock()
        answer = lane.ask(request)
    cell = Cell(
        config,
        effective=answer["effective"],
        open_s=clock() - begin,
        digest=lane.ask({"do": "digest", "key": config.key})["digest"],
        proof=prove(order.variant(config), answer["effective"]["mac_shares"]),
        memory_bytes=int(answer["memory_bytes"] or 0),
    )
    cell = _judged(cell, cells, by_effect)
    if cell.measured:
        begin = clock()
        lane.ask({"do": "block", "key": config.key, "duration_ns": round(block_seconds(config) * 1e9)})
        cell = replace(cell, block_s=clock() - begin)
    lane.ask({"do": "close", "key": config.key})
    return cell


def _judged(cell: Cell, cells: Mapping[Config, Cell], by_effect: Mapping[tuple[Any, ...], Config]) -> Cell:
    """The cell as a fault, as an alias, or as it is."""
    config = cell.config
    if cell.proof.error:
        return replace(cell, fault=cell.proof.error)
    if config.cache is Cache.WARM:
        twin = cells.get(uncached_twin(config))
        if not cell.effective["loaded_from_cache"]:
            return replace(cell, fault="warm row was not loaded from the model cache (LOADED_FROM_CACHE is false)")
        if twin is not None and twin.digest and twin.digest != cell.digest:
            return replace(cell, fault="outputs of the model loaded from the cache differ from those without a cache")
        if twin is not None and not twin.fault:
            return replace(cell, alias_of=twin.alias_of or twin.config)
    return replace(cell, alias_of=by_effect.get(effect_key(config, cell.effective)))


def _cache_dir(cache_root: Path, config: Config) -> Path:
    return cache_root / f"{config.model}-{config.precision.value}"


def effect_key(config: Config, effective: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes two cells one: the same file measured the same way with the same effective config."""
    names = (
        "hint",
        "streams",
        "threads",
        "requests",
        "inference_precision",
        "execution_mode",
        "pinning",
        "hyper_threading",
        "device",
    )
    asked = (config.model, config.precision, config.mode, config.inputs, config.batch)
    return (*asked, *(effective.get(name) for name in names))


# -------------------------------------------------------------------------------------------------------- planning


def block_seconds(config: Config) -> float:
    """Length of one block; slow models run longer (``worker.MIN_INFERENCES_PER_BLOCK``)."""
    return SYNC_BLOCK_S if config.mode is Mode.SYNC else ASYNC_BLOCK_S


def group_by_memory(cells: Sequence[Cell], limit_bytes: int | None) -> tuple[tuple[Config, ...], ...]:
    """Split cells over lanes so that each group's memory stays within the limit, every cell beside its FP32 partner.

    A partner (or the cell that it is an alias of) stands in every group that needs it. A cell that with its partner
    exceeds the limit gets a group of its own. Cells that are not measured are in no group.
    """
    known = {cell.config: cell for cell in cells if cell.measured}
    stands_for = {cell.config: cell.alias_of or cell.config for cell in cells}
    groups: list[list[Config]] = []
    for config in known:
        partner = stands_for.get(fp32_partner(config))
        bundle = [each for each in dict.fromkeys((partner, config)) if each in known]
        for group in groups:
            union = list(dict.fromkeys([*group, *bundle]))
            if limit_bytes is None or sum(known[each].memory_bytes for each in union) <= limit_bytes:
                group[:] = union
                break
        else:
            groups.append(bundle)
    return tuple(tuple(group) for group in groups if not any(set(group) < set(other) for other in groups))


def make_plan(cells: Sequence[Cell], order: Order, left_s: float, lane_start_s: float) -> Plan:
    """Decide lanes and seconds per lane for the cells that are measured.

    As many lanes as leave each at least MIN_ROUNDS rounds and half of its life for measuring, since the noise is
    between lanes; at least MIN_LANES while each holds one round. Raises BadOption when not even one round fits.
    ``cells`` may hold aliases and faults too: they are not measured, but tell which cell an alias's partner is.
    """
    groups = group_by_memory(cells, order.max_memory_bytes)
    known = {cell.config: cell for cell in cells if cell.measured}

    def cost_s(group: Sequence[Config]) -> tuple[float, float]:
        opening = sum(known[each].open_s for each in group) + len(group) * order.warmup_s
        return lane_start_s + opening, sum(known[each].block_s + BLOCK_OVERHEAD_S for each in group)

    start_s, round_s = max(map(cost_s, groups), key=sum)
    if order.smoke:
        return Plan(groups, 1, start_s + round_s, start_s, round_s)
    share_s = left_s / len(groups)
    if share_s < start_s + round_s:
        needed = order.budget_s - left_s + (start_s + round_s) * len(groups)
        raise BadOption(
            f"--ov-budget {order.budget_s:g}s: too small for one round of {len(known)} cells, "
            f"which needs about {math.ceil(needed * 1.2)}s; give that, or select fewer cells"
        )
    lanes = lanes_within(share_s, start_s, round_s)
    return Plan(groups, lanes, share_s / lanes, start_s, round_s)


def lanes_within(share_s: float, start_s: float, round_s: float) -> int:
    """How many lanes one after another make the best of ``share_s``; each takes ``start_s`` before its first round."""
    comfortable = max(start_s + MIN_ROUNDS * round_s, start_s / MIN_MEASURING_SHARE)
    lanes = int(share_s / comfortable)
    if lanes < MIN_LANES:
        lanes = min(MIN_LANES, int(share_s / (start_s + round_s)))
    return min(max(lanes, 1), MAX_LANES)


# ------------------------------------------------------------------------------------------------------- measuring


def measure(
    order: Order,
    plan: Plan,
    into: Measurements,
    open_lane: OpenLane,
    cache_root: Path,
    clock: Clock = time.monotonic,
    on_replicate: Callable[[Config, Replicate], None] = lambda _config, _replicate: None,
    on_round: Callable[[], None] = lambda: None,
    read_contention: Callable[[], Contention] = read_our_contention,
) -> None:
    """Run the plan. Finished replicates go ``into`` the measurements and to ``on_replicate`` as each lane ends.

    A lane that dies is replaced, and said; after MAX_DEATHS the campaign ends with what it has, unless all died of one
    cell: that cell, like one that OpenVINO refuses, becomes a fault and the others go on. On Ctrl-C the whole rounds of
    the lane at hand are kept too. Rounds that others took too much of are kept apart (``Measurements.rejected``).
    """
    deaths: list[Config | None] = []
    end = clock() + plan.total_s
    slots = [group for _ in range(plan.lanes) for group in plan.groups]
    while slots:
        group = [config for config in slots[0] if config not in into.cells or not into.cells[config].fault]
        if not group:
            slots.pop(0)
            continue
        number = into.lanes
        into.lanes += 1
        lane_end = clock() + max(0.0, end - clock()) / len(slots)
        life = _Life({config: [] for config in group})
        try:
            lane = open_lane()
            with contextlib.closing(lane):
                _measure_lane(order, life, lane, number, lane_end, cache_root, clock, read_contention, on_round)
        except ContestantRefused as refusal:
            assert life.asked is not None, "only a contestant can be refused"
            into.fail(life.asked, str(refusal))
            continue
        except LaneError as death:
            deaths.append(life.asked)
            if len(deaths) < MAX_DEATHS:
                into.notes.append(f"lane {number + 1}: {death}; a fresh lane takes its place")
                continue
            if life.asked is None or len(set(deaths)) > 1:
                into.notes.append(f"lane {number + 1}: {death}; {len(deaths)} lanes are lost, the campaign ends here")
                return
            into.fail(life.asked, f"{len(deaths)} lanes died of it, the last: {death}")
            deaths.clear()
            continue
        finally:
            into.rounds += life.rounds
            into.rejected |= {(number, each) for each in life.rejected}
            into.check_outputs(life.digests)
            for config, done in life.blocks.items():
                if done:
                    replicate = Replicate(number, config.mode, tuple(done))
                    into.replicates.setdefault(config, []).append(replicate)
                    on_replicate(config, replicate)
        slots.pop(0)


@dataclass
class _Life:
    """What one lane has done: blocks of whole rounds, and the cell that it was last asked about."""

    blocks: dict[Config, list[Block]]
    asked: Config | None = None
    rounds: int = 0
    rejected: list[int] = field(default_factory=list)
    digests: dict[Config, str] = field(default_factory=dict)


def _measure_lane(
    order: Order,
    life: _Life,
    lane: Askable,
    number: int,
    lane_end: float,
    cache_root: Path,
    clock: Clock,
    read_contention: Callable[[], Contention],
    on_round: Callable[[], None],
) -> None:
    group = tuple(life.blocks)
    for config in group:
        life.asked = config
        lane.ask(order.open_request(config, _cache_dir(cache_root, config)))
    for config in group:
        life.asked = config
        life.digests[config] = lane.ask({"do": "digest", "key": config.key})["digest"]
    for config in group:
        life.asked = config
        lane.ask({"do": "block", "key": config.key, "duration_ns": round(order.warmup_s * 1e9)})

    def ask_block(config: Config) -> Mapping[str, Any]:
        life.asked = config
        return lane.ask({"do": "block", "key": config.key, "duration_ns": round(block_seconds(config) * 1e9)})

    spent: list[float] = []
    last = clock()

    def enough(_rounds: int) -> bool:
        nonlocal last
        spent.append(clock() - last)
        last = clock()
        return order.smoke or last + statistics.median(spent) > lane_end

    for finished, hit in watched_rounds(group, ask_block, enough, order.seed, number, clock, read_contention):
        if hit:
            life.rejected.append(life.rounds)
        for config, block in finished.items():
            life.blocks[config].append(block)
        life.rounds += 1
        on_round()


def watched_rounds(
    group: Sequence[Config],
    ask_block: Callable[[Config], Mapping[str, Any]],
    enough: Callable[[int], bool],
    seed: int,
    number: int,
    clock: Clock,
    read_contention: Callable[[], Contention],
) -> Iterator[tuple[dict[Config, Block], bool]]:
    """Whole rounds as ``run_rounds`` yields them, each with whether others took so much of it that it tells nothing.

    ``number`` is the lane's; ``group`` may shrink between rounds.
    """
    cores = available_cores()
    # CPU time of the lanes and of this process, which asks and keeps what they answer.
    before, begin, own_cpu_ns = read_contention(), clock(), -time.process_time_ns()

    def run_block(config: Config, round_number: int) -> Block:
        nonlocal own_cpu_ns
        answer = ask_block(config)
        own_cpu_ns += int(answer["lane_cpu_ns"])
        return parse_block(round_number, answer)

    for finished in run_rounds(group, run_block, enough, seed, number):
        own_cpu_ns += time.process_time_ns()
        yield finished, was_hit(difference(before, read_contention()), own_cpu_ns / 1e9, clock() - begin, cores)
        before, begin, own_cpu_ns = read_contention(), clock(), -time.process_time_ns()
