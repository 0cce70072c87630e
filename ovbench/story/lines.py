"""The journal's lines of one kind each, written and read back: what the live suite keeps and a story is told from."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ovbench.agreement import Agreement, Disagreement, DropVerdict, LogitDifference, OutputDifference
from ovbench.campaign import Cell
from ovbench.config import Config, Precision
from ovbench.errors import UnreadableImage
from ovbench.floors import Gate
from ovbench.layers import Layer, LayerProfile
from ovbench.machine import Isa, Machine
from ovbench.pipeline import Pipeline, Round, Way
from ovbench.policy import Waiver
from ovbench.precision import Proof
from ovbench.records import block_from_fields
from ovbench.reference import Kind, Ran, Run, Turn
from ovbench.startup import Start
from ovbench.stats import Estimate
from ovbench.verdict import Judged, Outcome, Verdict

if TYPE_CHECKING:  # a story is told without the rooms that measured it
    from ovbench.baseline import Baseline

Fields = Mapping[str, Any]


# ----------------------------------------------------------------------------------------------- gates, the baseline


def gate_fields(gate: Gate) -> dict[str, Any]:
    """A figure held against its floor, for a line of kind ``floor``."""
    return {
        "what": gate.what,
        "cell": gate.config.id,
        "config": gate.config.axes,
        "estimate": dataclasses.asdict(gate.estimate),
        "floor": gate.floor,
        "outcome": gate.outcome.value,
        "waiver": _waiver_fields(gate.waiver),
    }


def gate_from(fields: Fields) -> Gate:
    """The inverse of ``gate_fields``."""
    return Gate(
        what=fields["what"],
        config=Config.from_axes(fields["config"]),
        estimate=Estimate(**fields["estimate"]),
        floor=fields["floor"],
        outcome=Outcome(fields["outcome"]),
        waiver=_waiver_from(fields["waiver"]),
    )


def baseline_fields(baseline: Baseline) -> dict[str, Any]:
    """What came of --ov-baseline, for a line of kind ``baseline``."""
    stored = baseline.stored
    return {
        "written": baseline.written,
        "version": baseline.version,
        "stored": None if stored is None else {"session": stored.path.name, "date": stored.date},
        "tolerance": baseline.tolerance,
        "pairs": sum(len(each.pairs) for each in baseline.comparisons),
        "judged": [
            {
                "what": each.what,
                "cell": each.config.id,
                "config": each.config.axes,
                "verdict": each.verdict.value,
                "estimate": None if each.estimate is None else dataclasses.asdict(each.estimate),
                "reason": each.reason,
                "failed": each.failed,
                "waiver": _waiver_fields(each.waiver),
            }
            for each in baseline.judged
        ],
        "notes": list(baseline.notes),
    }


def judged_from(fields: Fields) -> Judged:
    """One of ``judged`` in a line of kind ``baseline``."""
    return Judged(
        what=fields["what"],
        config=Config.from_axes(fields["config"]),
        verdict=Verdict(fields["verdict"]),
        estimate=estimate_from(fields["estimate"]),
        reason=fields["reason"],
        failed=fields["failed"],
        waiver=_waiver_from(fields["waiver"]),
    )


def estimate_from(fields: Fields | None) -> Estimate | None:
    """An estimate from its fields; None from null."""
    return None if fields is None else Estimate(**fields)


def _waiver_fields(waiver: Waiver | None) -> dict[str, str] | None:
    if waiver is None:
        return None
    return {"pattern": waiver.pattern, "until": waiver.until.isoformat(), "reason": waiver.reason}


def _waiver_from(fields: Fields | None) -> Waiver | None:
    if fields is None:
        return None
    return Waiver(fields["pattern"], datetime.date.fromisoformat(fields["until"]), fields["reason"])


# ------------------------------------------------------------------------------------------------------- pipelines


def pipeline_fields(row: tuple[str, Precision], pipeline: Pipeline) -> dict[str, Any]:
    """The rounds from file to top-5 of a model and precision, for a line of kind ``pipeline``."""
    name, precision = row
    return {
        "model": name,
        "precision": precision.value,
        "rounds": [
            {"images": each.images, "elapsed_ns": {way.value: time_ns for way, time_ns in each.elapsed_ns.items()}}
            for each in pipeline.rounds
        ],
        "unreadable": [str(each) for each in pipeline.unreadable],
    }


def pipeline_from(fields: Fields) -> tuple[tuple[str, Precision], Pipeline]:
    """The inverse of ``pipeline_fields``."""
    rounds = tuple(
        Round(each["images"], {Way(way): time_ns for way, time_ns in each["elapsed_ns"].items()})
        for each in fields["rounds"]
    )
    unreadable = tuple(map(UnreadableImage, fields["unreadable"]))
    return (fields["model"], Precision(fields["precision"])), Pipeline(rounds, unreadable)


# ------------------------------------------------------------------------------------ lines that other rooms write


def machine_from(fields: Fields) -> Machine:
    """The ``machine`` of a ``session`` line; what an older one lacks is None, an instruction set not known is OTHER."""
    known: dict[str, Any] = {field.name: fields.get(field.name) for field in dataclasses.fields(Machine)}
    isa = known["isa"]
    return Machine(
        **{
            **known,
            "isa": Isa(isa) if isa in {each.value for each in Isa} else Isa.OTHER,
            "compute_flags": tuple(known["compute_flags"] or ()),
            "unreadable": tuple(known["unreadable"] or ()),
        }
    )


def cell_from(fields: Fields, named: Mapping[tuple[str, str], Config]) -> Cell:
    """A line of kind ``cell``; ``named``: the configs of all cells by model and id, of which one may be the alias."""
    config = Config.from_axes(fields["config"])
    alias = fields["alias_of"]
    return Cell(
        config,
        effective=fields["effective"],
        alias_of=None if alias is None else named[config.model, alias],
        digest=fields["digest"],
        proof=Proof(warning=fields["warning"]),
        fault=fields["fault"],
    )


def start_from(fields: Fields) -> Start:
    """A line of kind ``start``."""
    return Start(**{field.name: fields[field.name] for field in dataclasses.fields(Start)})


def turn_from(fields: Fields) -> Turn:
    """The inverse of ``reference.turn_fields``."""
    ours = fields["ours"]
    runs = {kind: Run(**{**fields[kind.value], "ran": Ran(**fields[kind.value]["ran"])}) for kind in Kind}
    return Turn(fields["round"], block_from_fields(ours), Ran(**ours["ran"]), runs)


def profile_from(fields: Fields) -> LayerProfile:
    """The inverse of ``layers.profile_fields``."""
    sequences = ("originals", "real_us", "cpu_us")
    return LayerProfile(
        Config.from_axes(fields["config"]),
        tuple(Layer(**{**each, **{name: tuple(each[name]) for name in sequences}}) for each in fields["layers"]),
        tuple(fields["call_us"]),
        tuple(fields["inferences"]),
        fields["busy"],
        fields["fault"],
    )


def agreement_from(fields: Fields) -> Agreement:
    """The ``agreement`` of an ``accuracy`` line; what an older one lacks is None or empty."""
    known = {field.name: fields[field.name] for field in dataclasses.fields(Agreement) if field.name in fields}
    difference = known.get("logit_difference")
    worst: Sequence[Fields] = known.get("worst", ())
    estimates = {name: Estimate(**each) for name, each in known.items() if isinstance(each, dict) and "count" in each}
    return Agreement(
        **{
            **known,
            **estimates,
            "logit_difference": None if difference is None else LogitDifference(**difference),
            "worst": tuple(map(_disagreement_from, worst)),
        }
    )


def _disagreement_from(fields: Fields) -> Disagreement:
    told: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in fields.items()}
    return Disagreement(**told)


def drop_from(fields: Fields | None) -> DropVerdict | None:
    """The ``drop`` of an ``accuracy`` line."""
    return None if fields is None else DropVerdict(Outcome(fields["outcome"]), fields["images_needed"])


def outputs_from(lines: Sequence[Fields]) -> tuple[OutputDifference, ...]:
    """The ``outputs`` of an ``accuracy`` line."""
    return tuple(OutputDifference(**each) for each in lines)
