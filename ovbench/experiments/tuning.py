"""What does a race miss? Every candidate measured in full once; races replayed from that, and run, against its best.

``python -m ovbench.experiments.tuning record`` measures all candidates (about ten minutes, alone on the machine) into
a file. ``replay`` runs races on recorded blocks and an invented clock, ``live`` runs real ones and holds each pick
against the recorded best in a final paired run. Both print Markdown: regret (the pick's cost over the best's, less 1),
and the share of the exhaustive time that the race took.
"""

from __future__ import annotations

import base64
import gzip
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ovbench import machine
from ovbench.artifacts import ArtifactCache, default_root
from ovbench.campaign import Clock, OpenLane, Order
from ovbench.candidates import candidates, default_space
from ovbench.config import Config, Precision
from ovbench.errors import BadInput, ContestantRefused, NothingMeasured
from ovbench.experiments import pools
from ovbench.lanes import ANSWER_TIMEOUT_S, Askable, Lane
from ovbench.machine import Contention
from ovbench.models import source as sources
from ovbench.models.names import EMBEDDED
from ovbench.models.variants import variant_of
from ovbench.options import Settings
from ovbench.precision import Variant
from ovbench.race import Entrant, Goal, Race, RoundKey, Rules, run_race
from ovbench.records import check_writable
from ovbench.report import markdown
from ovbench.report.numbers import ratio
from ovbench.report.progress import progress_bar
from ovbench.samples import parse_block
from ovbench.stats import Estimate, ratio_estimate
from ovbench.tune.choice import pick
from ovbench.tune.gains import plain_hint

FILE = pools.FOLDER / "tuning" / "record.json.gz"
BUDGET_S = 560.0  # five lanes of 96 candidates in which half of the time is rounds
WARMUP_S = 0.1
MEMORY_SHARE = 0.5  # of what is free, as the suite takes
REPLAYS = 20
RUNS = 3
JUDGE_S = 60.0  # two candidates in fresh lanes: eight rounds a second, and what starting the lanes takes
SHARE = 0.25  # of the exhaustive time; the target, as is the regret
MAX_REGRET = 0.05
ENOUGH = 0.9  # 18 of 20 replays; all of 3 live runs
QUIET = Contention(None, None, None, None)


# --------------------------------------------------------------------------------------------------------- measure


@dataclass
class Tape:
    """What lanes answered and how long each took, in seconds."""

    starts_s: list[float] = field(default_factory=list)
    openings: dict[str, list[tuple[float, dict[str, Any]]]] = field(default_factory=dict)
    rounds: dict[RoundKey, dict[str, tuple[float, dict[str, Any]]]] = field(default_factory=dict)
    """By lane and number: each candidate's block."""


@dataclass
class TapedLane:
    """A lane whose answers are kept; the race says in which of its lanes and rounds they were."""

    lane: Askable
    tape: Tape
    race: Race
    clock: Clock
    turns: dict[str, int] = field(default_factory=dict)

    def ask(self, order: Mapping[str, Any], timeout_s: float = ANSWER_TIMEOUT_S) -> dict[str, Any]:
        """Pass it on."""
        begin = self.clock()
        answer = self.lane.ask(order, timeout_s)
        took_s = self.clock() - begin
        if order["do"] == "open":
            self.tape.openings.setdefault(order["key"], []).append((took_s, answer))
        if order["do"] == "block" and order["duration_ns"] != round(WARMUP_S * 1e9):
            key = (self.race.lanes - 1, self.turns.get(order["key"], 0))
            self.turns[order["key"]] = key[1] + 1
            self.tape.rounds.setdefault(key, {})[order["key"]] = (took_s, answer)
        return answer

    def close(self) -> None:
        """End it."""
        self.lane.close()


@dataclass(frozen=True)
class Recording:
    """All candidates of one model measured in full, as an exhaustive search would."""

    header: Mapping[str, Any]
    configs: tuple[Config, ...]
    race: Race
    tape: Tape


def record(
    order: Order,
    goal: Goal,
    open_lane: OpenLane = Lane,
    clock: Clock = time.monotonic,
    on_progress: Callable[[float, str], None] = lambda _share, _text: None,
    read_contention: Callable[[], Contention] = machine.read_our_contention,
) -> Recording:
    """Measure every distinct candidate in fresh lanes, at least five: a race in which all are finalists."""
    race, tape = Race(goal), Tape()

    def open_taped() -> Askable:
        begin = clock()
        lane = TapedLane(open_lane(), tape, race, clock)
        tape.starts_s.append(clock() - begin)
        return lane

    everyone = len(order.configs)
    run_race(
        order, race, open_taped, clock, Rules(max_finalists=everyone), on_progress, read_contention=read_contention
    )  # fmt: skip
    if not race.finalists or not race.final_lanes:
        raise NothingMeasured("no candidate was measured: run the experiment again")
    host = machine.fingerprint()
    header = {
        "versions": machine.library_versions(),
        "machine": {**asdict(host), "isa": host.isa.value},
        "candidates": len(race.finalists),
        "max_memory_bytes": order.max_memory_bytes,
    }
    return Recording(header, order.configs, race, tape)


def write_recording(path: Path, recording: Recording) -> None:
    """One JSON object, gzipped; samples are base64 of little-endian int64."""
    race, tape = recording.race, recording.tape
    stored = {
        "header": dict(recording.header),
        "goal": race.goal.value,
        "configs": [config.axes for config in recording.configs],
        "finalists": [config.key for config in race.finalists],
        "effective": {config.key: dict(entrant.effective) for config, entrant in race.entrants.items()},
        "lanes": race.lanes,
        "heat_lanes": race.heat_lanes,
        "rejected": sorted(race.rejected),
        "wall_s": race.wall_s,
        "starts_s": tape.starts_s,
        "openings": tape.openings,
        "rounds": [
            [*key, {name: (took_s, _packed(answer)) for name, (took_s, answer) in blocks.items()}]
            for key, blocks in tape.rounds.items()
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        json.dump(stored, file)


def _packed(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {name: base64.b64encode(each).decode() if isinstance(each, bytes) else each for name, each in answer.items()}


def _unpacked(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {name: base64.b64decode(each) if isinstance(each, str) else each for name, each in stored.items()}


def read_recording(path: Path) -> Recording:
    """The inverse of ``write_recording``. Raises BadInput."""
    if not path.exists():
        raise BadInput(f"{path}: no recording there: run `python -m ovbench.experiments.tuning record` first")
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            stored = json.load(file)
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{path} is no recording ({error}): record another") from None
    configs = tuple(map(Config.from_axes, stored["configs"]))
    by_key = {config.key: config for config in configs}
    tape = Tape(
        starts_s=stored["starts_s"],
        openings={name: [(took_s, answer) for took_s, answer in each] for name, each in stored["openings"].items()},
        rounds={
            (lane, number): {name: (took_s, _unpacked(answer)) for name, (took_s, answer) in blocks.items()}
            for lane, number, blocks in stored["rounds"]
        },
    )
    race = Race(
        goal=Goal(stored["goal"]),
        entrants={config: Entrant(config, effective=stored["effective"][config.key]) for config in configs},
        finalists=tuple(by_key[name] for name in stored["finalists"]),
        lanes=stored["lanes"],
        heat_lanes=stored["heat_lanes"],
        rounds=len(tape.rounds),
        rejected={(lane, number) for lane, number in stored["rejected"]},
        wall_s=stored["wall_s"],
    )
    for (lane, number), blocks in tape.rounds.items():
        for name, (_, answer) in blocks.items():
            race.entrants[by_key[name]].blocks.setdefault(lane, []).append(parse_block(number, answer))
    return Recording(stored["header"], configs, race, tape)


# ---------------------------------------------------------------------------------------------------------- replay


@dataclass
class Replay:
    """Lanes that answer from a recording, and the clock that their answers move.

    Each bank of lanes takes its rounds from one recorded lane, drawn at random; a whole round is one recorded round, so
    that drift stays common. A round begins when a candidate is asked again.
    """

    recording: Recording
    race: Race
    draw: random.Random
    now: float = 0.0
    bank: int = -1
    lane: int = 0
    moment: RoundKey = (0, 0)
    asked: set[str] = field(default_factory=set)

    def clock(self) -> float:
        """Seconds."""
        return self.now

    def open_lane(self) -> Askable:
        """A lane of the bank that the race has at hand."""
        self.now += self.draw.choice(self.recording.tape.starts_s)
        if self.race.lanes - 1 != self.bank:
            self.bank = self.race.lanes - 1
            self.lane = self.draw.choice(sorted({lane for lane, _ in self._moments()}))
            self._next_round()
        return ReplayedLane(self)

    def block(self, key: str) -> dict[str, Any]:
        """A candidate's block of this round."""
        if key in self.asked:
            self._next_round()
        self.asked.add(key)
        took_s, answer = self.recording.tape.rounds[self.moment][key]
        self.now += took_s
        return answer

    def _moments(self) -> list[RoundKey]:
        """Whole rounds in which all ran."""
        race = self.recording.race
        whole = [
            key for key, blocks in self.recording.tape.rounds.items()
            if key[0] in race.final_lanes and len(blocks) == len(race.finalists)
        ]  # fmt: skip
        return [key for key in whole if race.busy or key not in race.rejected]

    def _next_round(self) -> None:
        self.moment = self.draw.choice([key for key in self._moments() if key[0] == self.lane])
        self.asked = set()


@dataclass
class ReplayedLane:
    """One lane of a replay."""

    replay: Replay

    def ask(self, order: Mapping[str, Any], timeout_s: float = ANSWER_TIMEOUT_S) -> dict[str, Any]:
        """Answer from the recording."""
        del timeout_s
        replay = self.replay
        if order["do"] == "open":
            recorded = replay.recording.tape.openings.get(order["key"])
            if recorded is None:
                raise ContestantRefused("it was refused when the recording was made")
            took_s, answer = replay.draw.choice(recorded)
            replay.now += took_s
            return answer
        if order["do"] != "block":
            return {}
        if order["duration_ns"] == round(WARMUP_S * 1e9):
            replay.now += WARMUP_S
            return {}
        return replay.block(order["key"])

    def close(self) -> None:
        """Nothing runs."""


@dataclass(frozen=True)
class Outcome:
    """One race: its pick, what the pick costs more than the best (an estimate of the ratio), and its time."""

    pick: Config
    cost_over_best: Estimate
    wall_s: float
    finalists: int

    @property
    def regret(self) -> float:
        """0 is the best itself."""
        return self.cost_over_best.value - 1


def replay_race(recording: Recording, budget_s: float, seed: int) -> Outcome:
    """One race on recorded blocks."""
    race = Race(recording.race.goal)
    replay = Replay(recording, race, random.Random(seed))
    order = replace(_order(recording.configs, {}, budget_s, recording.header["max_memory_bytes"]), seed=seed)
    run_race(
        order, race, replay.open_lane, replay.clock, Rules(beside=partial(plain_hint, race)),
        read_contention=lambda: QUIET,
    )  # fmt: skip
    chosen = picked(race)
    return Outcome(chosen, _cost_over(recording.race, best(recording), chosen), race.wall_s, len(race.finalists))


def picked(race: Race) -> Config:
    """What ``ovbench tune`` would say to deploy, without constraints."""
    if race.leader is None:
        raise NothingMeasured("the race has no leader: give it a longer budget")
    return pick(race).config


def best(recording: Recording) -> Config:
    """The best by its in-round costs over all lanes but the first, which only looks."""
    return recording.race.ranking(recording.race.finalists, recording.race.final_lanes)[0]


def _cost_over(race: Race, theirs: Config, mine: Config) -> Estimate:
    """Cost of ``mine`` over that of ``theirs``, over lanes that measured both."""
    if theirs == mine:
        return Estimate(1.0, None, None, 0)
    return ratio_estimate(race.log_ratio_by_lane(theirs, mine))


# ------------------------------------------------------------------------------------------------------------ live


def live_race(
    recording: Recording, variants: Mapping[tuple[str, str], Variant], budget_s: float, judge_s: float, seed: int,
    open_lane: OpenLane = Lane, clock: Clock = time.monotonic,
    on_progress: Callable[[float, str], None] = lambda _share, _text: None,
) -> Outcome:  # fmt: skip
    """A real race, and then its pick beside the recorded best in fresh lanes for ``judge_s``."""
    order = replace(_order(recording.configs, variants, budget_s, recording.header["max_memory_bytes"]), seed=seed)
    race = Race(recording.race.goal)
    run_race(order, race, open_lane, clock, Rules(beside=partial(plain_hint, race)), on_progress)
    mine, theirs = picked(race), best(recording)
    final = Race(race.goal)
    if mine != theirs:
        pair = replace(order, configs=(mine, theirs), budget_s=judge_s)
        run_race(
            pair, final, open_lane, clock, on_progress=lambda share, _: on_progress(share, "the pick and the best")
        )
    return Outcome(mine, _cost_over(final, theirs, mine), race.wall_s, len(race.finalists))


# ------------------------------------------------------------------------------------------------------------ tell


def tell(recording: Recording, outcomes: Sequence[Outcome], how: str) -> str:
    """Every race as a row, and whether the target is met."""
    host, race = recording.header["machine"], recording.race
    shares = [each.wall_s / race.wall_s for each in outcomes]
    met = sum(each.regret <= MAX_REGRET for each in outcomes)
    top = best(recording)
    figures = race.figures(top)
    assert figures is not None
    rows = [
        (str(number), each.pick.id, ratio(each.cost_over_best, 3), _percent(each.regret), _percent(share),
         str(each.finalists))
        for number, (each, share) in enumerate(zip(outcomes, shares, strict=True), start=1)
    ]  # fmt: skip
    head = (
        f"{how} for {race.goal.value} over {recording.header['candidates']} distinct candidates on "
        f"{host['cpu_brand']} ({host['isa']}, {host['cores']} cores), openvino "
        f"{recording.header['versions']['openvino']}; the exhaustive search took {race.wall_s:.0f} s and "
        f"{len(race.final_lanes)} lanes, {_percent(len(race.rejected) / race.rounds)} of its rounds were hit; its "
        f"best: {top.id}, {figures.images_per_s:.0f} pictures a second, p50 {figures.p50_ns / 1e6:.2f} ms.\n"
    )
    columns = (">race", "pick", ">cost / best's", ">regret", ">share of the exhaustive time", ">finalists")
    end = (
        f"Regret at most {MAX_REGRET:.0%} in {met} of {len(outcomes)}, median "
        f"{_percent(statistics.median(each.regret for each in outcomes))}, in at most {_percent(max(shares))} of "
        f"the exhaustive time: {'met' if met >= ENOUGH * len(outcomes) else 'NOT met'}.\n"
    )
    return "\n".join([head, markdown.table(columns, rows), end])


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


# ------------------------------------------------------------------------------------------------------------ door


def _order(
    configs: tuple[Config, ...],
    variants: Mapping[tuple[str, str], Variant],
    budget_s: float,
    max_memory_bytes: int | None,
) -> Order:
    if not variants:  # a replay reads no file
        names = {(config.model, config.precision) for config in configs}
        variants = {(model, each.value): Variant(each, Path("recorded.xml"), False) for model, each in names}
    return Order(configs, variants, {}, budget_s, WARMUP_S, 0, max_memory_bytes)


def _variants(precisions: Sequence[Precision]) -> dict[tuple[str, str], Variant]:
    cache = ArtifactCache(default_root())
    with progress_bar("Model") as advance:

        def told(doing: str, share: float) -> None:
            advance(share, doing)

        source = sources.resolve(EMBEDDED, Settings(), cache, told)
        made = {each: variant_of(source, each, Settings(), cache, told) for each in precisions}
    return {(EMBEDDED, each.value): variant for each, variant in made.items()}


def _parse(arguments: Sequence[str]) -> Any:
    parser = pools.Parser(prog="python -m ovbench.experiments.tuning", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=("record", "replay", "live"))
    parser.add_argument("--file", type=Path, default=FILE, help=f"the recording (default: {FILE})")
    parser.add_argument("--goal", choices=[each.value for each in Goal], default=Goal.THROUGHPUT.value,
                        help="what a recording is raced for (default: throughput)")  # fmt: skip
    parser.add_argument("--budget-s", type=float, default=BUDGET_S, help=f"of record (default: {BUDGET_S:g})")
    parser.add_argument("--share", type=float, default=SHARE, help=f"of it for a race (default: {SHARE})")
    parser.add_argument("--replays", type=int, default=REPLAYS, help=f"races of replay (default: {REPLAYS})")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"races of live (default: {RUNS})")
    parser.add_argument("--judge-s", type=float, default=JUDGE_S, help=f"of a final paired run (default: {JUDGE_S:g})")
    given = parser.parse_args(arguments)
    if min(given.budget_s, given.share, given.replays, given.runs, given.judge_s) <= 0:
        parser.error("--budget-s, --share, --replays, --runs and --judge-s: give more than 0")
    return given


def main(arguments: Sequence[str]) -> int:
    """Measure, think, tell: 0 when told, 4 for bad input, 1 when nothing was measured, 130 when cut short."""
    given = _parse(arguments)
    try:
        return pools.run(lambda: _work(given))
    except KeyboardInterrupt:
        pools.say("interrupted: nothing is kept of an unfinished experiment")
        return pools.INTERRUPTED


def _work(given: Any) -> int:
    if given.what == "record":
        check_writable(given.file.parent)
        host = machine.fingerprint()
        precisions = (Precision.FP32, Precision.INT8)
        shared = max(map(len, machine.physical_cores()), default=1)
        configs = candidates(default_space(host.cores, shared, precisions))
        free = machine.available_memory_bytes()
        limit = None if free is None else int(free * MEMORY_SHARE)
        order = _order(configs, _variants(precisions), given.budget_s, limit)
        with progress_bar("Record") as advance:
            write_recording(given.file, record(order, Goal(given.goal), on_progress=advance))
        pools.say(f"wrote {given.file}")
        return 0
    recording = read_recording(given.file)
    recording.race.goal = Goal(given.goal)
    budget_s = given.share * recording.race.wall_s
    if given.what == "replay":
        outcomes = [replay_race(recording, budget_s, seed) for seed in range(given.replays)]
        sys.stdout.write(tell(recording, outcomes, "Replayed races"))
        return 0
    variants = _variants(tuple(dict.fromkeys(config.precision for config in recording.configs)))
    outcomes = []
    for seed in range(given.runs):
        with progress_bar(f"Race {seed + 1} of {given.runs}") as advance:
            outcomes.append(live_race(recording, variants, budget_s, given.judge_s, seed, on_progress=advance))
    sys.stdout.write(tell(recording, outcomes, "Live races"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
