"""A comparison of two sides: fresh pairs of lanes, rounds interleaved between them, until the answer is clear."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ovbench import machine
from ovbench.config import Mode
from ovbench.contention import too_many, was_hit
from ovbench.errors import ContestantRefused, LaneError
from ovbench.lanes import Askable
from ovbench.records import block_fields
from ovbench.rounds import shuffled
from ovbench.samples import Block, parse_block
from ovbench.stats import MIN_REPLICATES

# Found by experiment (docs/method.md): a block of about 20 ms is short against the machine's moods, three seconds of
# them in one pair of lanes leave as noise what differs between pairs, and that only more pairs average out.
SYNC_BLOCK_S = 0.030
ASYNC_BLOCK_S = 0.080
PAIR_S = 3.5
WARMUP_S = 0.1
MIN_PAIR_S = 0.5  # of a pair that must be shortened: about ten rounds, a median that means something
MIN_PAIRS = MIN_REPLICATES  # an interval over fewer is not given, so a budget is cut into at least so many pairs
MAX_DEATHS = 3  # of one side

Clock = Callable[[], float]
SIDES = ("A", "B")


@dataclass(frozen=True)
class Contest:
    """One thing that is compared: a key, how it is measured, and the message that opens it on each side."""

    key: str
    mode: Mode
    orders: tuple[Mapping[str, Any], Mapping[str, Any]]


@dataclass(frozen=True)
class Opening:
    """How one side's lane opened its contestants: times in ns summed over them, peak memory, what they are."""

    start_ns: int
    peak_resident_bytes: int | None
    effective: Mapping[str, Mapping[str, Any]]
    version: str


@dataclass(frozen=True)
class Pair:
    """One replicate: a fresh lane of each side. ``log_ratios``: log of time B / time A, median over its rounds.

    ``measured_s`` was spent in blocks, ``rounds_s`` in rounds, ``wall_s`` on all of the pair.
    """

    number: int
    openings: tuple[Opening, Opening]
    rounds: Mapping[str, tuple[tuple[Block, Block], ...]]
    log_ratios: Mapping[str, float]
    rejected: int
    kept: int
    idle_cpu_ns: int
    measured_s: float
    wall_s: float = 0.0
    rounds_s: float = 0.0

    @property
    def log_start_ratio(self) -> float:
        """Log of B's read + compile + first inference over A's."""
        return math.log(self.openings[1].start_ns / self.openings[0].start_ns)

    @property
    def log_memory_ratio(self) -> float | None:
        """Log of B's peak resident memory over A's; None where it cannot be read."""
        peak_a, peak_b = (opening.peak_resident_bytes for opening in self.openings)
        return math.log(peak_b / peak_a) if peak_a and peak_b else None


@dataclass
class Comparison:
    """Two sides and all pairs so far; it grows pair by pair, so that an interrupted one keeps what is done."""

    name: str
    pairs: list[Pair] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ended: str = ""
    failed: str = ""
    wall_s: float = 0.0

    def log_ratios(self, key: str) -> tuple[float, ...]:
        """One log of time B / time A per pair that kept rounds of this key."""
        return tuple(pair.log_ratios[key] for pair in self.pairs if key in pair.log_ratios)

    @property
    def rejected_share(self) -> float:
        """Share of rounds that were rejected for a measured cause."""
        rejected = sum(pair.rejected for pair in self.pairs)
        return rejected / max(1, rejected + sum(pair.kept for pair in self.pairs))

    @property
    def busy(self) -> bool:
        """Whether too many rounds were hit for an answer."""
        rejected = sum(pair.rejected for pair in self.pairs)
        return too_many(rejected, rejected + sum(pair.kept for pair in self.pairs))

    @property
    def measured_s(self) -> float:
        """Seconds spent in blocks."""
        return sum(pair.measured_s for pair in self.pairs)


def run_comparison(
    comparison: Comparison,
    contests: Sequence[Contest],
    open_lanes: tuple[Callable[[], Askable], Callable[[], Askable]],
    undecided: Callable[[Comparison, Sequence[Contest]], Sequence[Contest]],
    budget_s: float,
    seed: int = 0,
    pair_s: float = PAIR_S,
    clock: Clock = time.monotonic,
    read_contention: Callable[[], machine.Contention] = machine.read_our_contention,
    cores: int | None = None,
    on_pair: Callable[[Pair], None] = lambda _pair: None,
    on_round: Callable[[float], None] = lambda _spent_s: None,
) -> None:
    """Add pairs to ``comparison`` until ``undecided`` is empty or the budget is spent; says which in ``ended``.

    ``undecided`` is asked after each pair and gives the contests that still need pairs: a decided one is not measured
    any more. The budget is seconds for all contests together; ``fitting_pair_s`` says how it is cut into pairs of
    ``pair_s`` for each contest left, or less. A lane that dies is replaced by a fresh pair; after MAX_DEATHS of one
    side ``failed`` says so, naming it. A refusal by OpenVINO ends it too. On Ctrl-C finished pairs stay.
    """
    begin = clock()
    left = list(contests)
    deaths: Counter[str] = Counter()
    overhead_s: float | None = None
    cores = cores or machine.available_cores()
    while left:
        spent_s = clock() - begin
        next_s = fitting_pair_s(pair_s * len(left), budget_s - spent_s, MIN_PAIRS - len(comparison.pairs), overhead_s)
        if overhead_s is not None and spent_s + overhead_s + next_s > budget_s:
            comparison.ended = "at its budget"
            break
        number = len(comparison.pairs) + deaths.total()
        try:
            pair = _run_pair(number, left, open_lanes, seed, next_s, clock, read_contention, cores, on_round)
        except _SideFailed as failure:
            deaths[failure.side] += 1
            if isinstance(failure.cause, ContestantRefused) or deaths[failure.side] >= MAX_DEATHS:
                comparison.failed = f"side {failure.side}: {failure.cause}"
                break
            comparison.notes.append(f"pair {number + 1}, side {failure.side}: {failure.cause}; a fresh pair follows")
            continue
        comparison.pairs.append(pair)
        overhead_s = pair.wall_s - pair.rounds_s
        comparison.wall_s = clock() - begin
        on_pair(pair)
        left = list(undecided(comparison, left))
    else:
        comparison.ended = "decided"
    comparison.wall_s = clock() - begin


def fitting_pair_s(pair_s: float, left_s: float, needed: int, overhead_s: float | None) -> float:
    """Seconds of rounds for the next pair: ``pair_s``, or less where ``needed`` pairs would not fit ``left_s`` then.

    ``overhead_s`` is what a pair takes besides its rounds; before the first pair (None) it gets half the share.
    """
    if needed <= 0:
        return pair_s
    share_s = left_s / needed
    return min(pair_s, max(MIN_PAIR_S, share_s / 2 if overhead_s is None else share_s - overhead_s))


class _SideFailed(Exception):
    """A lane of one side ended or refused."""

    def __init__(self, side: str, cause: Exception) -> None:
        super().__init__(str(cause))
        self.side, self.cause = side, cause


@contextlib.contextmanager
def _blamed(side: str) -> Any:
    try:
        yield
    except (LaneError, ContestantRefused) as error:
        raise _SideFailed(side, error) from error


def _run_pair(
    number: int,
    contests: Sequence[Contest],
    open_lanes: tuple[Callable[[], Askable], Callable[[], Askable]],
    seed: int,
    pair_s: float,
    clock: Clock,
    read_contention: Callable[[], machine.Contention],
    cores: int,
    on_round: Callable[[float], None],
) -> Pair:
    begin = clock()
    with contextlib.ExitStack() as stack:
        lanes = _open_side_by_side(open_lanes, stack)
        first = number % 2  # which side compiles first alternates
        openings: dict[int, Opening] = {}
        for side in (first, 1 - first):
            with _blamed(SIDES[side]):
                openings[side] = _open_contests(lanes[side], contests, side)
        for contest in contests:
            for side in (0, 1):
                _ask_block(lanes, side, contest, WARMUP_S)
        rounds: dict[str, list[tuple[Block, Block]]] = {contest.key: [] for contest in contests}
        rejected = kept = idle_cpu_ns = 0
        measured_ns = 0
        ready = clock()
        turn = 0
        while turn == 0 or clock() < ready + pair_s:
            for contest in shuffled(contests, seed, number, turn):
                before, started, own_cpu_ns = read_contention(), clock(), -time.process_time_ns()
                blocks, cpu_ns, idle_ns = _one_round(lanes, contest, seed, number, turn)
                took_s = clock() - started
                measured_ns += sum(block.window_ns for block in blocks)
                idle_cpu_ns += idle_ns
                own_cpu_ns += cpu_ns + time.process_time_ns()  # of the lanes and of this process, which asks them
                if was_hit(machine.difference(before, read_contention()), own_cpu_ns / 1e9, took_s, cores):
                    rejected += 1
                else:
                    kept += 1
                    rounds[contest.key].append(blocks)
                on_round(took_s)
            turn += 1
        rounds_s = clock() - ready
    ratios = {
        contest.key: statistics.median(_log_ratio(contest.mode, each) for each in rounds[contest.key])
        for contest in contests
        if rounds[contest.key]
    }
    return Pair(
        number=number,
        openings=(openings[0], openings[1]),
        rounds={key: tuple(each) for key, each in rounds.items()},
        log_ratios=ratios,
        rejected=rejected,
        kept=kept,
        idle_cpu_ns=idle_cpu_ns,
        measured_s=measured_ns / 1e9,
        wall_s=clock() - begin,
        rounds_s=rounds_s,
    )


def _log_ratio(mode: Mode, blocks: tuple[Block, Block]) -> float:
    return math.log(blocks[1].cost_ns(mode) / blocks[0].cost_ns(mode))


def _open_side_by_side(
    open_lanes: tuple[Callable[[], Askable], Callable[[], Askable]], stack: contextlib.ExitStack
) -> tuple[Askable, Askable]:
    """Start both processes and import in both at once: that time is nobody's figure."""

    def start(side: int) -> Askable:
        with _blamed(SIDES[side]):
            lane = stack.enter_context(contextlib.closing(open_lanes[side]()))
            lane.ask({"do": "import"})
            return lane

    with ThreadPoolExecutor(2) as threads:
        started = [threads.submit(start, side) for side in (0, 1)]
        return started[0].result(), started[1].result()


def _open_contests(lane: Askable, contests: Sequence[Contest], side: int) -> Opening:
    answers = {contest.key: lane.ask(contest.orders[side]) for contest in contests}
    return Opening(
        start_ns=sum(each["read_ns"] + each["compile_ns"] + each["first_inference_ns"] for each in answers.values()),
        peak_resident_bytes=lane.ask({"do": "usage"})["peak_resident_bytes"],
        effective={key: each["effective"] for key, each in answers.items()},
        version=next(iter(answers.values()))["version"],
    )


def _ask_block(lanes: tuple[Askable, Askable], side: int, contest: Contest, duration_s: float) -> Mapping[str, Any]:
    key = contest.orders[side]["key"]
    with _blamed(SIDES[side]):
        return lanes[side].ask({"do": "block", "key": key, "duration_ns": round(duration_s * 1e9)})


def _one_round(
    lanes: tuple[Askable, Askable], contest: Contest, seed: int, number: int, turn: int
) -> tuple[tuple[Block, Block], int, int]:
    """A block of each side, the order shuffled; with all CPU time of both lanes, and that of the idle ones."""
    duration_s = SYNC_BLOCK_S if contest.mode is Mode.SYNC else ASYNC_BLOCK_S
    answers: dict[int, Mapping[str, Any]] = {}
    for side in shuffled((0, 1), f"{seed}/{contest.key}", number, turn):
        answers[side] = _ask_block(lanes, side, contest, duration_s)
    cpu_ns = sum(int(each["lane_cpu_ns"]) for each in answers.values())
    idle_ns = sum(int(each["idle_cpu_ns"]) for each in answers.values())
    return (parse_block(turn, answers[0]), parse_block(turn, answers[1])), cpu_ns, idle_ns


def pair_fields(pair: Pair) -> dict[str, Any]:
    """A finished pair of a comparison with every sample, in order; blocks stand as [A's, B's]."""
    return {
        "number": pair.number,
        "log_ratios": dict(pair.log_ratios),
        "log_start_ratio": pair.log_start_ratio,
        "log_memory_ratio": pair.log_memory_ratio,
        "kept": pair.kept,
        "rejected": pair.rejected,
        "idle_cpu_ns": pair.idle_cpu_ns,
        "measured_s": pair.measured_s,
        "wall_s": pair.wall_s,
        "rounds_s": pair.rounds_s,
        "rounds": {
            key: [[block_fields(block) for block in blocks] for blocks in rounds] for key, rounds in pair.rounds.items()
        },
    }
