"""A journal read back into its session: the same samples through the same functions, so the same figures."""

from __future__ import annotations

import itertools
import shlex
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ovbench import layers
from ovbench.agreement import TOLD_DROP
from ovbench.campaign import Cell, Measurements
from ovbench.config import Cache, Config, Precision, cell_name
from ovbench.errors import BadInput
from ovbench.floors import Gate
from ovbench.layers import LayerProfile
from ovbench.options import given_flags
from ovbench.pipeline import Pipeline
from ovbench.records import read_whole, replicate_from_fields
from ovbench.reference import Reference, Turn
from ovbench.samples import Replicate, Summary
from ovbench.sessions import PATTERN
from ovbench.startup import Start
from ovbench.story import figures, lines
from ovbench.story.facts import (
    AccuracyStory,
    BaselineStory,
    BenchStory,
    CellStory,
    ModelStory,
    RoundCost,
    Row,
    StartStory,
    Story,
)

Fields = Mapping[str, Any]

# Whose a journal is that is none of the suite's, by a kind of line that no other has.
OTHERS = {
    "tuned": "ovbench tune",
    "candidate": "ovbench tune",
    "selfcheck": "ovbench selfcheck",
    "comparison": "ovbench ab",
    "pair": "ovbench ab, gate or selfcheck",
}
RUN = ("ovbench", "run")


@dataclass
class _Lines:
    """A journal's lines as objects, gathered by kind."""

    cells: dict[Config, Cell] = field(default_factory=dict)
    named: dict[tuple[str, str], Config] = field(default_factory=dict)
    models: list[Fields] = field(default_factory=list)
    replicates: dict[Config, list[Replicate]] = field(default_factory=dict)
    rejected: set[tuple[int, int]] = field(default_factory=set)
    rejects_told: bool = True
    starts: dict[Config, list[Start]] = field(default_factory=dict)
    start_faults: dict[Config, str] = field(default_factory=dict)
    gates: list[Gate] = field(default_factory=list)
    benches: list[BenchStory] = field(default_factory=list)
    accuracy: dict[Row, Fields] = field(default_factory=dict)
    profiles: dict[Config, LayerProfile] = field(default_factory=dict)
    turns: dict[Config, list[Turn]] = field(default_factory=dict)
    pipelines: dict[Row, Pipeline] = field(default_factory=dict)
    baseline: Fields | None = None
    skipped: dict[Row, str] = field(default_factory=dict)
    end: Fields | None = None


def read_story(path: Path) -> Story:
    """What a journal of the suite tells. A last line that a kill cut off is left out, and ``notes`` say so.

    Raises BadInput, one line: the file cannot be read, is of a newer format, holds a broken line (named by its number)
    or is the journal of another command.
    """
    whole = read_whole(path)
    if not whole.lines:
        raise BadInput(f"{path} holds no whole line: the session was killed as it began: name another journal")
    first = whole.lines[0]
    _check_is_suites(path, first, whole.lines)
    gathered = _Lines()
    for number, line in enumerate(whole.lines, 1):
        try:
            _gather(gathered, line)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(
                f"line {number} of {path}, a {line['kind']!r}, lacks what it should have "
                f"({type(error).__name__}: {error}): name another journal"
            ) from None
    return _told(path, first, whole.lines[-1]["time"], gathered, _cut_off(len(whole.lines)) if whole.cut_off else "")


def is_of_suite(first: Fields) -> bool:
    """Whether a journal's first line is that of a suite run; other commands leave its settings out, or say theirs."""
    return first.get("kind") == "session" and "settings" in first and first.get("tool", "suite") == "suite"


def _check_is_suites(path: Path, first: Fields, found: Sequence[Fields]) -> None:
    if is_of_suite(first):
        return
    kinds = {line["kind"] for line in found}
    whose = next((name for kind, name in OTHERS.items() if kind in kinds), "another command")
    raise BadInput(f"{path} is a journal of {whose}, and `ovbench report` reads those of suite runs (`ovbench run`)")


def _cut_off(count: int) -> str:
    return f"the last line was cut off by a kill: {count} whole lines read"


# -------------------------------------------------------------------------------------------------------- gathering


def _gather(into: _Lines, line: Fields) -> None:
    """One line into its place; kinds that are not known are left alone."""
    kind = line["kind"]
    if kind == "cell":
        cell = lines.cell_from(line, into.named)
        into.cells[cell.config] = cell  # written again where it became a fault
        into.named[cell.config.model, cell.config.id] = cell.config
    elif kind == "replicate":
        _gather_replicate(into, line)
    elif kind == "start":
        into.starts.setdefault(Config.from_axes(line["config"]), []).append(lines.start_from(line))
    elif kind == "start_fault":
        into.start_faults[Config.from_axes(line["config"])] = line["fault"]
    elif kind == "layers":
        profile = lines.profile_from(line)
        into.profiles[profile.config] = profile
    elif kind == "reference":
        into.turns.setdefault(Config.from_axes(line["config"]), []).append(lines.turn_from(line))
    elif kind == "bench":
        config = Config.from_axes(line["config"])
        into.benches.append(BenchStory(line["nodeid"], line["fullname"], line["outcome"], line["reason"], config))
    else:
        _gather_judged(into, kind, line)


def _gather_replicate(into: _Lines, line: Fields) -> None:
    config, replicate = replicate_from_fields(line)
    into.replicates.setdefault(config, []).append(replicate)
    if "rejected" in line:
        into.rejected |= {(replicate.lane, number) for number in line["rejected"]}
    else:
        into.rejects_told = False


def _gather_judged(into: _Lines, kind: str, line: Fields) -> None:
    """Lines that stand for a whole model, or for the session."""
    if kind == "source":
        into.models.append(line)
    elif kind == "skipped":
        into.skipped[line["model"], Precision(line["precision"])] = line["reason"]
    elif kind == "floor":
        into.gates.append(lines.gate_from(line))
    elif kind == "accuracy":
        into.accuracy[line["model"], Precision(line["precision"])] = line
    elif kind == "pipeline":
        row, pipeline = lines.pipeline_from(line)
        into.pipelines[row] = pipeline
    elif kind == "baseline":
        into.baseline = line
    elif kind == "end":
        into.end = line


# ---------------------------------------------------------------------------------------------------------- telling


def _told(path: Path, first: Fields, ended_s: float, found: _Lines, cut_off: str) -> Story:
    measured = _measurements(found)
    models = tuple(map(_model, found.models))
    sizes = {(each.name, precision): size for each in models for precision, size in each.sizes_bytes.items()}
    settings = dict(first["settings"])
    end = found.end
    return Story(
        name=path.stem,
        path=path,
        number=stored_number(path),
        began_s=first["time"],
        ended_s=ended_s,
        exit_status=None if end is None else end["exit_status"],
        settings=settings,
        command=shlex.join([*RUN, *given_flags(settings)]),
        machine=lines.machine_from(first["machine"]),
        versions=dict(first["versions"]),
        commit=first["commit"],
        models=models,
        measured=measured,
        cells=tell_cells(measured, sizes),
        starts=tell_starts(found.starts, found.start_faults),
        gates=tuple(found.gates),
        benches=tuple(found.benches),
        accuracy=tuple(_accuracy(row, line, settings) for row, line in found.accuracy.items()),
        layers=layers.compare_all(found.profiles),
        layer_faults={config: each.fault for config, each in found.profiles.items() if each.fault},
        references={config: Reference(config, tuple(turns)) for config, turns in found.turns.items()},
        pipelines=found.pipelines,
        baseline=None if found.baseline is None else _baseline(found.baseline),
        skipped=found.skipped,
        notes=(*measured.notes, *_killed(found), *([cut_off] if cut_off else [])),
    )


def _measurements(found: _Lines) -> Measurements:
    """What the campaign had, as far as it is known."""
    ran = {(each.lane, block.round) for done in found.replicates.values() for each in done for block in each.blocks}
    end: Fields = found.end or {}
    rejected = {(lane, number) for lane, number in end.get("rejected", ())}
    return Measurements(
        cells=found.cells,
        replicates=found.replicates,
        notes=list(end.get("notes", ())),
        lanes=max((lane + 1 for lane, _number in ran), default=0),
        rounds=end.get("rounds", len(ran)),
        rejected=rejected | found.rejected,
    )


def _killed(found: _Lines) -> list[str]:
    if found.end is not None:
        return []
    notes = ["the session was killed, or is not over: what had ended is told"]
    if found.replicates and not found.rejects_told:
        notes.append("which rounds others disturbed is not known of it: all of them count")
    return notes


def stored_number(path: Path) -> str:
    """Number of the stored session that names this journal, "" where none does."""
    name = path.name.encode()
    found = (each for each in sorted(path.parent.glob(PATTERN), reverse=True) if name in each.read_bytes())
    return next((each.name.partition("_")[0] for each in found), "")


def tell_cells(measured: Measurements, sizes_bytes: Mapping[Row, int]) -> tuple[CellStory, ...]:
    """Every cell with its figures, in the order of the matrix; an alias has those of the cell that stands for it."""
    aliases: dict[Config, list[Config]] = {}
    for cell in measured.cells.values():
        if cell.alias_of is not None:
            aliases.setdefault(cell.alias_of, []).append(cell.config)
    samples = {config: _samples(measured, config) for config, cell in measured.cells.items() if cell.alias_of is None}
    told = []
    for config, cell in measured.cells.items():
        speedup = figures.speedup_of(measured, config)
        summary, calls_ns, costs = samples[measured.representative(config)]
        told.append(
            CellStory(
                config=config,
                name=cell_name(config),
                effective=cell.effective,
                alias_of=cell.alias_of,
                aliases=tuple(aliases.get(config, ())),
                fault=cell.fault,
                warning=cell.proof.warning,
                digest=cell.digest,
                size_bytes=sizes_bytes.get((config.model, config.precision)),
                summary=summary,
                speedup=speedup,
                verdict=figures.verdict_of(measured, speedup),
                calls_ns=calls_ns,
                costs=costs,
                lane_medians_ns=_lane_medians(costs, measured.busy),
            )
        )
    return tuple(told)


def _samples(measured: Measurements, config: Config) -> tuple[Summary | None, tuple[int, ...], tuple[RoundCost, ...]]:
    blocks = (
        block.latencies_ns(replicate.mode) for replicate in measured.samples(config) for block in replicate.blocks
    )
    calls_ns = sorted(itertools.chain.from_iterable(blocks))
    costs = tuple(
        RoundCost(each.lane, block.round, block.cost_ns(each.mode), (each.lane, block.round) in measured.rejected)
        for each in measured.replicates.get(config, ())
        for block in each.blocks
    )
    return figures.summary_of(measured, config), tuple(calls_ns), costs


def _lane_medians(costs: Sequence[RoundCost], busy: bool) -> dict[int, float]:
    """Median cost of each lane's rounds that count: all of them where too many were disturbed."""
    kept: dict[int, list[float]] = {}
    for each in costs:
        if busy or not each.rejected:
            kept.setdefault(each.lane, []).append(each.cost_ns)
    return {lane: statistics.median(found) for lane, found in kept.items()}


def tell_starts(starts: Mapping[Config, Sequence[Start]], faults: Mapping[Config, str]) -> tuple[StartStory, ...]:
    """The fresh starts of every cell that has any, or has a fault."""
    return tuple(
        StartStory(
            config=config,
            name=f"{config.precision.value} cache {config.cache.value}",
            starts=tuple(sorted(starts.get(config, ()), key=lambda start: start.round)),
            fault=figures.start_fault_of(starts, faults, config),
            gain=figures.cache_gain_of(starts, config),
        )
        for config in sorted(dict.fromkeys((*starts, *faults)), key=_start_order)
    )


def _start_order(config: Config) -> tuple[str, int, int]:
    return config.model, list(Precision).index(config.precision), list(Cache).index(config.cache)


def _model(line: Fields) -> ModelStory:
    sizes = {Precision(name): size for name, size in line.get("sizes_bytes", {}).items() if size is not None}
    told = {name: each for name, each in line.items() if name not in ("format", "kind", "time")}
    return ModelStory(line["name"], line["path"], line["sha256"], tuple(line.get("notes", ())), sizes, told)


def _accuracy(row: Row, line: Fields, settings: Mapping[str, str]) -> AccuracyStory:
    model, precision = row
    return AccuracyStory(
        model=model,
        precision=precision,
        agreement=None if line["agreement"] is None else lines.agreement_from(line["agreement"]),
        drop=lines.drop_from(line.get("drop")),
        outputs=lines.outputs_from(line["outputs"]),
        max_drop=line["max_drop"] if "max_drop" in line else _max_drop(settings),
        gated=bool(settings.get("max_drop")),
    )


def _max_drop(settings: Mapping[str, str]) -> float:
    """What a drop was held against in a journal from before its line said so."""
    return float(settings.get("max_drop") or TOLD_DROP)


def _baseline(line: Fields) -> BaselineStory:
    return BaselineStory(
        written=line["written"],
        version=line["version"],
        tolerance=line["tolerance"],
        pairs=line["pairs"],
        judged=tuple(map(lines.judged_from, line["judged"])),
        notes=tuple(line["notes"]),
    )
