"""The suite's baseline: every cell beside its twin of another environment or model, or beside a stored session.

Paired, each cell's time is compared in fresh pairs of lanes. Against a stored session only speed-ups over FP32 are
gated at once: they were taken inside rounds on both days. Absolute times of another day tell nothing until enough
sessions of the same machine show how far unchanged ones lie apart.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from ovbench import ab, hosts, machine, runtime
from ovbench.artifacts import ArtifactCache
from ovbench.campaign import BLOCK_OVERHEAD_S, Cell, Measurements, Order
from ovbench.comparison import (
    ASYNC_BLOCK_S,
    MIN_PAIRS,
    SYNC_BLOCK_S,
    WARMUP_S,
    Clock,
    Comparison,
    Contest,
    Pair,
    run_comparison,
)
from ovbench.config import Config, Mode, Precision
from ovbench.errors import BadOption
from ovbench.gate import FAMILY_ALPHA, Evidence, check_tolerance, judge_matrix
from ovbench.lanes import Askable, Lane, LaneSpec
from ovbench.models import source as sources
from ovbench.models.variants import variant_of
from ovbench.options import Settings
from ovbench.precision import Variant
from ovbench.samples import Block, Replicate, samples_s
from ovbench.sessions import StoredSession, find_session, list_sessions
from ovbench.sides import Side, parse_side
from ovbench.stats import Estimate
from ovbench.verdict import SPEEDUP, TIME, Judged, Verdict, compare

FLAG = "--ov-baseline"
PAIRED = ("python=", "model=")  # all else names a stored session
LANES_START_S = 0.7  # both lanes of a pair, started at once; a guess that only shares out the budget
MIN_ROUNDS = 4  # of each cell in a pair: fewer give no median to speak of
COMFORTABLE_ROUNDS = 12  # of each cell in a pair, before more pairs are taken instead: noise is between pairs
MIN_SESSIONS = 10  # that give a between-session band; with 5 its own error would be a third

Progress = ab.Progress


@dataclass
class Baseline:
    """What every cell is held against, and what came of it; ``stored`` is None for a paired one."""

    written: str
    tolerance: float
    side: Side = field(default_factory=Side)
    order: Order | None = None
    version: str = ""
    tolerances: Mapping[str, float] = field(default_factory=dict)
    """Tolerances of the policy file by config key; all other cells have ``tolerance``."""
    stored: StoredSession | None = None
    history: tuple[StoredSession, ...] = ()
    comparisons: list[Comparison] = field(default_factory=list)
    judged: tuple[Judged, ...] = ()
    notes: list[str] = field(default_factory=list)

    @property
    def lane(self) -> LaneSpec:
        """Where the baseline's side runs."""
        return LaneSpec(str(Path(self.side.python).absolute()) if self.side.python else "")

    def tolerance_of(self, config: Config) -> float:
        """Slow-down that still counts as the same for one cell."""
        return self.tolerances.get(config.key, self.tolerance)

    def of(self, config: Config) -> tuple[Judged, ...]:
        """The answers for one cell, which must not be an alias."""
        return tuple(each for each in self.judged if each.config == config)

    def blocks(self, config: Config) -> tuple[Block, ...]:
        """The candidate's blocks of a cell in all pairs, in order; none for a stored baseline."""
        rounds = (pair.rounds.get(config.key, ()) for comparison in self.comparisons for pair in comparison.pairs)
        return tuple(blocks[1] for each in rounds for blocks in each)


def resolve(
    settings: Settings, order: Order, folder: Path, host: machine.Machine, cache: ArtifactCache, progress: Progress
) -> Baseline:
    """Find what ``--ov-baseline`` names: interpreter, model and its variants, or a stored session. Raises BadInput.

    ``order`` is the candidate's; ``folder`` holds the stored sessions of this machine.
    """
    profile = hosts.read_profile(host.fingerprint_id)
    check_tolerance(settings.tolerance, hosts.band_of(profile), profile is not None)
    written = settings.baseline
    if not written.startswith(PAIRED):
        stored = find_session(folder, written, FLAG)
        if not stored.passed:
            raise BadOption(f"{FLAG} {written}: that session did not pass: name one that did (`ovbench sessions`)")
        others = tuple(
            each for each in list_sessions(folder)[0] if each.passed and each.fingerprint == host.fingerprint_id
        )
        return Baseline(written, settings.tolerance, version=stored.openvino, stored=stored, history=others)
    side = parse_side(FLAG, [written])
    if side.model and len(settings.model) > 1:
        raise BadOption(f"{FLAG} {written}: with {len(settings.model)} models: whose is it? run them one by one")
    if side.python and not Path(side.python).is_file():
        raise BadOption(f"{FLAG} {written}: no such file: give the path of a Python that has openvino")
    if side.model:
        order = _order_of_model(side.model, settings, order, cache, progress)
    return Baseline(written, settings.tolerance, side, order)


def _order_of_model(given: str, settings: Settings, order: Order, cache: ArtifactCache, progress: Progress) -> Order:
    """The candidate's order with the files of another model, of equal inputs; no given variant is of that model."""
    settings = replace(settings, variant={})
    with progress("Baseline model") as advance:
        source = sources.resolve(given, settings, cache, lambda doing, share: advance(share, doing))
    variants: dict[tuple[str, str], Variant] = {}
    for name, precision in order.variants:
        with progress(f"Baseline {precision} model") as advance:
            variants[name, precision] = variant_of(
                source, Precision(precision), settings, cache, lambda doing, share: advance(share, doing)
            )
        if len(variants) == 1:  # the first is FP32's as a rule, which costs nothing to make
            _check_inputs(variants[name, precision].path, order.variants[name, precision].path, settings)
    return replace(order, variants=variants)


def _check_inputs(path: Path, mine: Path, settings: Settings) -> None:
    interfaces = [_inputs(path, settings), _inputs(mine, settings)]
    if interfaces[0] != interfaces[1]:
        raise BadOption(
            f"{FLAG} {settings.baseline}: takes other inputs, {interfaces[0]}, than the model, {interfaces[1]}: "
            "compare models of one interface"
        )


def _inputs(path: Path, settings: Settings) -> list[tuple[list[int], str]]:
    model = runtime.read_model(path, settings.shape)
    return [(list(port.get_shape()), str(port.get_element_type().get_type_name())) for port in model.inputs]


# ------------------------------------------------------------------------------------------------- paired measuring


def make_contests(cells: Sequence[Cell], baseline: Order, candidate: Order, cache_root: Path) -> tuple[Contest, ...]:
    """One contest per measured cell, the baseline's side first; model caches of the two never meet."""

    def request(order: Order, config: Config, side: str) -> Mapping[str, object]:
        return order.open_request(config, cache_root / f"{side}-{config.precision.value}")

    return tuple(
        Contest(
            cell.config.key,
            cell.config.mode,
            (request(baseline, cell.config, "baseline"), request(candidate, cell.config, "candidate")),
        )
        for cell in cells
    )


def check_side(baseline: Baseline, cells: Sequence[Cell], candidate: Order, cache_root: Path) -> None:
    """Open every cell once on the baseline's side. Raises BadOption, one line, where it cannot run."""
    assert baseline.order is not None
    path = next(iter(baseline.order.variants.values())).path
    for group in split_by_memory(cells, candidate.max_memory_bytes):
        contests = make_contests(group, baseline.order, candidate, cache_root)
        orders = {contest.key: contest.orders[0] for contest in contests}
        found = ab.preflight(ab.Resolved(FLAG, baseline.side, baseline.lane, path, orders), ((),))
        baseline.version = found.version


def split_by_memory(cells: Sequence[Cell], limit_bytes: int | None) -> tuple[tuple[Cell, ...], ...]:
    """Cells that are compared together: both sides of each stay within the limit, or it stands alone."""
    groups: list[list[Cell]] = []
    taken_bytes = 0
    for cell in cells:
        need_bytes = 2 * cell.memory_bytes
        if not groups or (limit_bytes is not None and taken_bytes + need_bytes > limit_bytes):
            groups.append([])
            taken_bytes = 0
        groups[-1].append(cell)
        taken_bytes += need_bytes
    return tuple(tuple(group) for group in groups)


@dataclass(frozen=True)
class Share:
    """How a group of cells is compared: seconds in all, seconds of rounds in a pair, and what five pairs need."""

    budget_s: float
    pair_s: float
    needed_s: float


def share_out(cells: Sequence[Cell], budget_s: float) -> Share:
    """Pairs as long as COMFORTABLE_ROUNDS while five fit, else as short as they must; never under MIN_ROUNDS."""
    start_s = LANES_START_S + sum(2 * (cell.open_s + WARMUP_S) for cell in cells)
    round_s = sum(2 * (_block_s(cell) + BLOCK_OVERHEAD_S) for cell in cells)
    pairs = max(MIN_PAIRS, int(budget_s / (start_s + COMFORTABLE_ROUNDS * round_s)))
    pair_s = max(budget_s / pairs - start_s, MIN_ROUNDS * round_s)
    return Share(budget_s, pair_s, MIN_PAIRS * (start_s + MIN_ROUNDS * round_s))


def planned_s(cells: Sequence[Cell], budget_s: float) -> float:
    """How long comparing these cells takes: the budget, or what five pairs need if that is more."""
    return max(budget_s, share_out(cells, budget_s).needed_s) if cells else 0.0


def _block_s(cell: Cell) -> float:
    planned_s = SYNC_BLOCK_S if cell.config.mode is Mode.SYNC else ASYNC_BLOCK_S
    return max(planned_s, cell.block_s)  # the probe's, where a slow model's block runs longer


def compare_contests(
    contests: Sequence[Contest],
    share: Share,
    open_lanes: tuple[Callable[[], Askable], Callable[[], Askable]],
    tolerances: Mapping[str, float],
    seed: int,
    into: list[Comparison],
    clock: Clock = time.monotonic,
    read_contention: Callable[[], machine.Contention] = machine.read_our_contention,
    on_pair: Callable[[Pair], None] = lambda _pair: None,
    on_round: Callable[[float], None] = lambda _spent_s: None,
) -> None:
    """Compare a group of cells for its share of the time; at least five pairs, for fewer give no answer.

    ``tolerances`` are by the contests' keys. A cell is measured no more once it is SAME or FASTER; none stops early for
    being SLOWER, so that looking after each pair adds no false alarms to the last look's. When lanes die thrice, each
    cell is tried apart: those that fail alone have failed, the others go on.
    """
    comparison = Comparison(contests[0].key if len(contests) == 1 else "baseline")
    into.append(comparison)
    begin = clock()
    longest_s = 0.0
    last = begin

    def undecided(so_far: Comparison, left: Sequence[Contest]) -> Sequence[Contest]:
        nonlocal longest_s, last
        longest_s, last = max(longest_s, clock() - last), clock()
        if len(so_far.pairs) < MIN_PAIRS:
            return left
        if clock() - begin + longest_s > share.budget_s:
            return ()
        return [each for each in left if not _is_harmless(so_far.log_ratios(each.key), tolerances[each.key])]

    run_comparison(
        comparison,
        contests,
        open_lanes,
        undecided,
        math.inf,  # ``undecided`` keeps the budget
        seed,
        share.pair_s,
        clock,
        read_contention,
        on_pair=on_pair,
        on_round=on_round,
    )
    if comparison.failed and len(contests) > 1:
        comparison.notes.append(f"{comparison.failed}; each cell is tried apart")
        comparison.failed = ""
        part = Share(share.budget_s / len(contests), share.pair_s / len(contests), share.needed_s / len(contests))
        for contest in contests:
            compare_contests(
                [contest], part, open_lanes, tolerances, seed, into, clock, read_contention, on_pair, on_round
            )


def _is_harmless(log_ratios: Sequence[float], tolerance: float) -> bool:
    return ab.verdict_of(log_ratios, tolerance) in (Verdict.SAME, Verdict.FASTER)


def measure(
    baseline: Baseline,
    cells: Sequence[Cell],
    candidate: Order,
    cache_root: Path,
    progress: Progress,
    on_pair: Callable[[Pair], None] = lambda _pair: None,
) -> None:
    """Compare every measured cell with its twin on the baseline's side, and judge the matrix."""
    assert baseline.order is not None
    groups = split_by_memory(cells, candidate.max_memory_bytes)
    shares = [share_out(group, candidate.budget_s / len(groups)) for group in groups]
    needed_s = sum(max(share.needed_s, share.budget_s) for share in shares)
    if needed_s > candidate.budget_s * 1.01:
        baseline.notes.append(
            f"five pairs of {sum(map(len, groups))} cells take about {needed_s:.0f} s: more than "
            f"--ov-budget {candidate.budget_s:g}s, but fewer give no answer"
        )
    with progress("Baseline") as advance:
        spent_s = 0.0
        total_s = sum(max(share.pair_s * MIN_PAIRS, share.budget_s) for share in shares)

        def on_round(took_s: float) -> None:
            nonlocal spent_s
            spent_s += took_s
            pairs = sum(len(each.pairs) for each in baseline.comparisons)
            advance(min(0.99, spent_s / total_s), f"pair {pairs + 1} of lanes beside {baseline.written}")

        for group, share in zip(groups, shares, strict=True):
            contests = make_contests(group, baseline.order, candidate, cache_root)
            compare_contests(
                contests,
                share,
                (lambda: Lane(baseline.lane), Lane),
                {cell.config.key: baseline.tolerance_of(cell.config) for cell in group},
                candidate.seed,
                baseline.comparisons,
                on_pair=on_pair,
                on_round=on_round,
            )
    baseline.judged = judge_pairs(
        baseline.comparisons,
        [cell.config for group in groups for cell in group],
        baseline.tolerance,
        baseline.tolerances,
    )
    baseline.notes += [note for comparison in baseline.comparisons for note in comparison.notes]


def judge_pairs(
    comparisons: Sequence[Comparison],
    configs: Sequence[Config],
    tolerance: float,
    tolerances: Mapping[str, float] = MappingProxyType({}),
) -> tuple[Judged, ...]:
    """A verdict for every cell, judged as one matrix; cells whose lanes died thrice are failed, and say so."""
    evidence = [
        Evidence(
            config.key,
            tuple(log for each in comparisons for log in each.log_ratios(config.key)),
            tolerances.get(config.key),
        )
        for config in configs
    ]
    failed = {each.name: each.failed for each in comparisons if each.failed}
    busy = next((each.rejected_share for each in comparisons if each.busy), None)
    reason = "" if busy is None else _busy_reason(busy)
    judged = []
    for config, judgement in zip(configs, judge_matrix(evidence, tolerance), strict=True):
        verdict = judgement.verdict
        why = reason
        if verdict is Verdict.SKIPPED or reason:
            why = reason or "no round was kept"
            verdict = Verdict.UNSURE
        elif verdict is Verdict.UNSURE:
            why = "the interval does not decide it: raise --ov-budget"
        judged.append(Judged(TIME, config, verdict, judgement.estimate, why, failed.get(config.key, "")))
    return tuple(judged)


def _busy_reason(rejected_share: float) -> str:
    return f"the machine was busy: {rejected_share:.0%} of the rounds were rejected"


# -------------------------------------------------------------------------------------------------- stored sessions


def judge_stored(baseline: Baseline, measured: Measurements, configs: Sequence[Config], host: machine.Machine) -> None:
    """Speed-ups over FP32 and absolute times of now against a stored session; half of the 1 % chance for each kind.

    A machine that was too busy gives UNSURE, as it does beside a paired baseline.
    """
    stored = baseline.stored
    assert stored is not None
    ratios = _judge_speedups(stored, measured, configs, host, baseline.tolerance)
    times = _judge_times(stored, baseline.history, measured, configs, host, baseline.tolerance)
    judged = (*ratios, *times)
    if measured.busy:
        reason = _busy_reason(len(measured.rejected) / measured.rounds)
        judged = tuple(
            each if each.verdict is Verdict.SKIPPED else replace(each, verdict=Verdict.UNSURE, reason=reason)
            for each in judged
        )
    baseline.judged = judged


def _judge_speedups(
    stored: StoredSession, measured: Measurements, configs: Sequence[Config], host: machine.Machine, tolerance: float
) -> list[Judged]:
    """Lane by lane in order, log speed-up then - now: lanes of two sessions are independent, any pairing will do."""
    wanted = [config for config in configs if config.precision is not Precision.FP32]
    if (stored.isa, stored.cores) != (host.isa.value, host.cores):
        reason = (
            f"speed-ups of {stored.isa or 'an unknown CPU'} on {stored.cores} cores are not those of {host.isa.value} "
            f"on {host.cores}: store a session here"
        )
        return [Judged(SPEEDUP, config, Verdict.SKIPPED, reason=reason) for config in wanted]
    evidence = []
    for config in wanted:
        row = stored.row("speedup", config)
        then = () if row is None else row.log_speedups
        pairs = zip(then, measured.log_speedups(config), strict=False)
        evidence.append(Evidence(config.key, tuple(before - now for before, now in pairs)))
    judged = []
    for config, judgement in zip(wanted, judge_matrix(evidence, tolerance, FAMILY_ALPHA / 2), strict=True):
        reason = {
            Verdict.SKIPPED: f"session {stored.number} has no speed-up of this cell",
            Verdict.UNSURE: "the interval does not decide it: raise --ov-budget",
        }.get(judgement.verdict, "")
        judged.append(Judged(SPEEDUP, config, judgement.verdict, judgement.estimate, reason))
    return judged


def _judge_times(
    stored: StoredSession,
    history: Sequence[StoredSession],
    measured: Measurements,
    configs: Sequence[Config],
    host: machine.Machine,
    tolerance: float,
) -> list[Judged]:
    judged = []
    for config in configs:
        question = "latency" if config.mode is Mode.SYNC else "throughput"
        row = stored.row(question, config)
        now_s = typical_s(measured.samples(config))
        past = [each.median_s for session in history if (each := session.row(question, config)) is not None]
        if stored.fingerprint != host.fingerprint_id:
            reason = f"absolute times of another machine ({stored.fingerprint or 'unknown'}) say nothing about this one"
            judged.append(Judged(TIME, config, Verdict.SKIPPED, reason=reason))
        elif row is None or now_s is None:
            reason = f"session {stored.number} has no time of this cell"
            judged.append(Judged(TIME, config, Verdict.SKIPPED, reason=reason))
        elif len(past) < MIN_SESSIONS:
            estimate = Estimate(now_s / row.median_s, None, None, len(past))
            reason = f"a between-session band needs {MIN_SESSIONS} stored sessions of this machine; so far: {len(past)}"
            judged.append(Judged(TIME, config, Verdict.UNSURE, estimate, reason))
        else:
            estimate = between_sessions(now_s, row.median_s, past, 1 - FAMILY_ALPHA / len(configs))
            verdict = compare(estimate, tolerance)
            reason = "days differ by more than the tolerance" if verdict is Verdict.UNSURE else ""
            judged.append(Judged(TIME, config, verdict, estimate, reason))
    return judged


def between_sessions(now_s: float, then_s: float, past_s: Sequence[float], confidence: float) -> Estimate:
    """Ratio now / then with a t interval from the SD of the log times of past sessions, times sqrt(2) for two of them.

    With a confidence of 1 - alpha / cells the chance that any unchanged cell seems SLOWER is alpha / 2 (Bonferroni).
    """
    from scipy.special import stdtrit

    logs = [math.log(each) for each in past_s]
    half = float(stdtrit(len(logs) - 1, (1 + confidence) / 2)) * math.sqrt(2) * statistics.stdev(logs)
    ratio = now_s / then_s
    return Estimate(ratio, ratio * math.exp(-half), ratio * math.exp(half), len(logs))


def typical_s(replicates: Sequence[Replicate]) -> float | None:
    """The median that pytest-benchmark stores of a cell: seconds per call, or per inference in each window."""
    costs = [each for replicate in replicates for each in samples_s(replicate.blocks, replicate.mode)]
    return statistics.median(costs) if costs else None
