"""Rows: a measured cell, or its starts, as one row of pytest-benchmark, identified and explained."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from ovbench.agreement import Agreement, DropVerdict
from ovbench.baseline import Baseline
from ovbench.campaign import Cell
from ovbench.config import Cache, Config, Precision
from ovbench.precision import describe_shares
from ovbench.recording import name_row, record
from ovbench.reference import Kind, Reference
from ovbench.samples import samples_s
from ovbench.startup import Start
from ovbench.stats import Estimate
from ovbench.suite import Suite
from ovbench.verdict import Judged


@dataclass(frozen=True)
class MeasuredCell:
    """A cell of the campaign with its samples."""

    suite: Suite
    cell: Cell

    @property
    def config(self) -> Config:
        """What was asked for."""
        return self.cell.config

    def hand_to(self, benchmark: BenchmarkFixture, question: str) -> None:
        """Record the cell's samples: seconds per call (sync), or per inference in each window (async)."""
        summary = self.suite.summary(self.config)
        name_row(
            benchmark,
            question,
            self.config,
            {
                "alias_of": None if self.cell.alias_of is None else self.cell.alias_of.id,
                "effective": _plain(self.cell),
                "warning": self.cell.proof.warning,
                "summary": None if summary is None else asdict(summary),
                "speedup_over_fp32": as_extra(self.speedup_over_fp32),
                "log_speedups_over_fp32": self._log_speedups,
            },
        )
        blocks = [block for replicate in self.suite.measured.samples(self.config) for block in replicate.blocks]
        record(benchmark, samples_s(blocks, self.config.mode))

    @property
    def _log_speedups(self) -> list[float]:
        """One per lane: what a later session needs to compare its own with."""
        return [] if self.config.precision is Precision.FP32 else list(self.suite.measured.log_speedups(self.config))

    @property
    def speedup_over_fp32(self) -> Estimate | None:
        """From in-round ratios, with an interval over lanes; None for FP32 itself."""
        return self.suite.speedup(self.config)

    @property
    def floor(self) -> float | None:
        """The least speed-up that is asked of this cell."""
        return self.suite.speedup_floor(self.config)


@dataclass(frozen=True)
class MeasuredStarts:
    """The fresh starts of one cell."""

    suite: Suite
    config: Config

    @property
    def starts(self) -> tuple[Start, ...]:
        """In the order they ran."""
        return tuple(self.suite.starts.get(self.config, ()))

    def hand_to(self, benchmark: BenchmarkFixture, question: str) -> None:
        """Record the time from the model file to the first answer, one sample per process."""
        name_row(
            benchmark,
            question,
            self.config,
            {"starts": [asdict(start) for start in self.starts], "cache_gain": as_extra(self.cache_gain)},
        )
        record(benchmark, [start.total_ns / 1e9 for start in self.starts])

    @property
    def cache_gain(self) -> Estimate | None:
        """Time without a cache over time with a warm one; None for rows that are not warm."""
        return self.suite.cache_gain(self.config)

    @property
    def min_cache_gain(self) -> float | None:
        """Floor of a warm row's gain; other rows have none."""
        return self.suite.settings.min_cache_gain if self.config.cache is Cache.WARM else None


def as_extra(estimate: Estimate | None) -> dict[str, Any] | None:
    """An estimate for ``extra_info``."""
    return None if estimate is None else asdict(estimate)


def _plain(cell: Cell) -> dict[str, Any]:
    return {**cell.effective, "precision": describe_shares(cell.effective.get("mac_shares", {}))}


@dataclass(frozen=True)
class ComparedCell:
    """A cell and what the baseline says of it."""

    suite: Suite
    cell: Cell
    baseline: Baseline

    @property
    def judged(self) -> tuple[Judged, ...]:
        """Its answers; an alias has those of the cell that stands for it."""
        return self.baseline.of(self.cell.alias_of or self.cell.config)

    def hand_to(self, benchmark: BenchmarkFixture, question: str) -> None:
        """Record the candidate's samples: those beside the baseline's lanes, or the campaign's."""
        extra = {
            "baseline": self.baseline.written,
            "openvino": self.baseline.version,
            "judged": [
                {"what": each.what, "verdict": each.verdict.value, "ratio": as_extra(each.estimate)}
                for each in self.judged
            ],
        }
        name_row(benchmark, question, self.cell.config, extra)
        representative = self.cell.alias_of or self.cell.config
        blocks = self.baseline.blocks(representative) or tuple(
            block for replicate in self.suite.measured.samples(representative) for block in replicate.blocks
        )
        record(benchmark, samples_s(blocks, representative.mode))


@dataclass(frozen=True)
class ReferencedCell:
    """A cell and its runs beside benchmark_app."""

    suite: Suite
    cell: Cell
    reference: Reference

    def hand_to(self, benchmark: BenchmarkFixture, question: str) -> None:
        """Record our blocks beside benchmark_app, with the ratios to its figures."""
        ratios = {kind.value: as_extra(self.reference.ratio(kind)) for kind in Kind}
        name_row(benchmark, question, self.cell.config, {"ours_over_benchmark_app": ratios})
        record(benchmark, samples_s([turn.ours for turn in self.reference.turns], self.cell.config.mode))


@dataclass(frozen=True)
class Evaluation:
    """Accuracy of one precision of a model, beside FP32's."""

    suite: Suite
    config: Config

    def answer(self, precision: Precision, compiled: Any) -> None:
        """Find a precision's answers on every picture, or its outputs where the model is no classifier."""
        self.suite.answer(replace(self.config, precision=precision), compiled)

    def judge(self) -> None:
        """Hold the precision's answers against FP32's, both of which must have been found; skips with the reason."""
        reason = self.suite.judge(self.config)
        if reason:
            pytest.skip(reason)

    def hand_to(self, benchmark: BenchmarkFixture) -> None:
        """Give the row its identity, and the figures; its time is that of finding all answers."""
        found = self.agreement
        differences = self.suite.accuracy.differences.get(self._row, ())
        extra = {
            "agreement": None if found is None else {**asdict(found), "worst": [asdict(each) for each in found.worst]},
            "differences": [asdict(each) for each in differences],
        }
        name_row(benchmark, "accuracy", self.config, extra)

    @property
    def agreement(self) -> Agreement | None:
        """The precision's classifications against FP32's; None for a model that is no classifier."""
        return self.suite.accuracy.agreements.get(self._row)

    @property
    def floors(self) -> tuple[tuple[str, Estimate, float], ...]:
        """What is held, the figure, its floor; FP32 is not held against itself, nor a model that does not classify."""
        found, settings = self.agreement, self.suite.settings
        if found is None or self.config.precision is Precision.FP32:
            return ()
        return (
            ("top-1 agreement with FP32", found.top1, settings.min_top1_agreement),
            ("top-5 overlap with FP32", found.top5_overlap, settings.min_top5_overlap),
        )

    @property
    def drop(self) -> DropVerdict | None:
        """Whether top-1 drops by no more than --ov-max-drop; None where nobody asked."""
        return None if self.suite.settings.max_drop is None else self.suite.accuracy.drops.get(self._row)

    @property
    def _row(self) -> tuple[str, Precision]:
        return (self.config.model, self.config.precision)
