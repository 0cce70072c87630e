"""Sessions as one JSON object: all of a report but the samples themselves (docs/report.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ovbench.config import Config
from ovbench.layers import LayerComparison, LayerPair
from ovbench.pipeline import Pipeline, Way
from ovbench.reference import Kind, Reference
from ovbench.report.objects import object_text
from ovbench.story.facts import AccuracyStory, BaselineStory, CellStory, Comparison, ModelStory, StartStory, Story
from ovbench.verdict import Judged

FORMAT = 1  # of the object; a later one gets a new number


def story_json(stories: Sequence[Story], comparison: Comparison | None) -> str:
    """The object as text; ``comparison`` is null for one session."""
    return object_text(
        {
            "format": FORMAT,
            "sessions": [_session(each) for each in stories],
            "comparison": None if comparison is None else _comparison(comparison),
        }
    )


def _session(story: Story) -> dict[str, Any]:
    measured = story.measured
    return {
        "name": story.name,
        "number": story.number,
        "journal": story.path,
        "began_s": story.began_s,
        "ended_s": story.ended_s,
        "exit_status": story.exit_status,
        "command": story.command,
        "settings": story.settings,
        "machine": story.machine,
        "fingerprint": story.fingerprint,
        "versions": story.versions,
        "commit": story.commit,
        "models": [_model(each) for each in story.models],
        "lanes": measured.lanes,
        "rounds": measured.rounds,
        "rejected": [{"lane": lane, "round": number} for lane, number in sorted(measured.rejected)],
        "busy": story.busy,
        "cells": [_cell(each) for each in story.cells],
        "starts": [_start(each) for each in story.starts],
        "gates": [{**_of(each.config), "what": each.what, "estimate": each.estimate, "floor": each.floor,
                   "outcome": each.outcome, "waiver": each.waiver} for each in story.gates],
        "benches": [{**_of(each.config), "nodeid": each.nodeid, "fullname": each.fullname, "outcome": each.outcome,
                     "reason": each.reason} for each in story.benches],
        "accuracy": [_accuracy(each) for each in story.accuracy],
        "layers": [_layers(each) for each in story.layers],
        "references": [_reference(each) for each in story.references.values()],
        "pipelines": [{"model": model, "precision": precision, **_pipeline(each)}
                      for (model, precision), each in story.pipelines.items()],
        "baseline": None if story.baseline is None else _baseline(story.baseline),
        "skipped": [{"model": model, "precision": precision, "reason": reason}
                    for (model, precision), reason in story.skipped.items()],
        "notes": story.notes,
    }  # fmt: skip


def _of(config: Config) -> dict[str, Any]:
    return {"cell": config.id, "config": config.axes}


def _model(model: ModelStory) -> dict[str, Any]:
    return {**model.told, "sizes_bytes": model.sizes_bytes}


def _cell(cell: CellStory) -> dict[str, Any]:
    return {
        **_of(cell.config),
        "name": cell.name,
        "effective": cell.effective,
        "alias_of": None if cell.alias_of is None else cell.alias_of.id,
        "aliases": [each.id for each in cell.aliases],
        "fault": cell.fault,
        "warning": cell.warning,
        "digest": cell.digest,
        "size_bytes": cell.size_bytes,
        "summary": cell.summary,
        "speedup": cell.speedup,
        "verdict": cell.verdict,
        "rounds": cell.costs,
        "lane_medians_ns": [{"lane": lane, "cost_ns": cost} for lane, cost in cell.lane_medians_ns.items()],
    }


def _start(story: StartStory) -> dict[str, Any]:
    phases = ("import_ns", "read_ns", "compile_ns", "first_inference_ns", "total_ns")
    return {
        **_of(story.config),
        "fault": story.fault,
        "gain": story.gain,
        "median": {phase: story.median_ns(phase) for phase in phases} if story.starts else None,
        "peak_resident_bytes": story.peak_resident_bytes,
        "starts": [{**{phase: getattr(each, phase) for phase in phases}, "round": each.round,
                    "peak_resident_bytes": each.peak_resident_bytes, "loaded_from_cache": each.loaded_from_cache}
                   for each in story.starts],
    }  # fmt: skip


def _accuracy(story: AccuracyStory) -> dict[str, Any]:
    return {
        "model": story.model,
        "precision": story.precision,
        "agreement": story.agreement,
        "drop": story.drop,
        "max_drop": story.max_drop,
        "gated": story.gated,
        "outputs": story.outputs,
    }


def _layers(compared: LayerComparison) -> dict[str, Any]:
    other = compared.other
    return {
        "model": compared.subject.config.model,
        "reference": compared.reference.config.precision,
        "other": None if other is None else other.config.precision,
        "reference_call_us": compared.reference.call_cost_us,
        "other_call_us": None if other is None else other.call_cost_us,
        "busy": compared.reference.busy or (other is not None and other.busy),
        "pairs": [_pair(each) for each in compared.pairs],
    }


def _pair(pair: LayerPair) -> dict[str, Any]:
    return {
        "name": pair.main.name,
        "kind": pair.main.kind,
        "macs": pair.main.macs,
        "reference_kernels": [each.kernel for each in pair.reference],
        "other_kernels": [each.kernel for each in pair.other],
        "reference_us": pair.reference_us if pair.reference else None,
        "other_us": pair.other_us if pair.other else None,
        "ratio": pair.ratio,
        "slower": pair.slower,
    }


def _reference(reference: Reference) -> dict[str, Any]:
    return {
        **_of(reference.config),
        "rounds": len(reference.turns),
        "ours": reference.figure(None),
        **{kind.value: {"figure": reference.figure(kind), "ratio": reference.ratio(kind),
                        "differences": reference.differences(kind)} for kind in Kind},
    }  # fmt: skip


def _pipeline(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "rounds": len(pipeline.rounds),
        "images_per_s": {way.value: pipeline.images_per_s(way) for way in Way},
        "over_bound": pipeline.over_bound,
        "over_limit": pipeline.over_limit,
        "over_sync": pipeline.over_sync,
    }


def _baseline(baseline: BaselineStory) -> dict[str, Any]:
    return {
        "written": baseline.written,
        "version": baseline.version,
        "tolerance": baseline.tolerance,
        "pairs": baseline.pairs,
        "judged": [_judged(each) for each in baseline.judged],
        "notes": baseline.notes,
    }


def _judged(judged: Judged) -> dict[str, Any]:
    return {
        **_of(judged.config),
        "what": judged.what,
        "verdict": judged.verdict,
        "estimate": judged.estimate,
        "reason": judged.reason,
        "failed": judged.failed,
        "waiver": judged.waiver,
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "reference": comparison.stories[0].name,
        "others": [each.name for each in comparison.stories[1:]],
        "tolerance": comparison.tolerance,
        "differences": comparison.differences,
        "cells": [
            {
                **_of(row.config),
                "name": row.name,
                "beside": [
                    None if each is None else
                    {"time": _judged(each.time), "speedup": None if each.speedup is None else _judged(each.speedup)}
                    for each in row.beside
                ],
            }
            for row in comparison.rows
        ],
    }  # fmt: skip
