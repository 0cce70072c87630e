"""What a session was, as data: read from its journal, with the figures that the session itself came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ovbench.agreement import Agreement, DropVerdict, OutputDifference
from ovbench.campaign import Measurements
from ovbench.config import Config, Precision
from ovbench.floors import Gate
from ovbench.layers import LayerComparison
from ovbench.machine import Machine
from ovbench.pipeline import Pipeline
from ovbench.reference import Reference
from ovbench.samples import Summary
from ovbench.startup import Start
from ovbench.stats import Estimate
from ovbench.verdict import Judged, Verdict

Row = tuple[str, Precision]
"""A model by name, and a precision."""


@dataclass(frozen=True)
class RoundCost:
    """What one inference of a cell cost in one block; ``rejected``: others took too much of that round."""

    lane: int
    round: int
    cost_ns: float
    rejected: bool


@dataclass(frozen=True)
class CellStory:
    """One cell of the campaign, in the matrix's order; an alias has the figures of the cell that stands for it.

    ``calls_ns``: every kept call (sync) or ``request.latency`` (async), sorted, what the percentiles are of.
    ``costs`` are all rounds in the order they ran, those left out too; ``lane_medians_ns`` the median cost of each
    lane's kept rounds. ``aliases`` are the other cells that this one stands for. ``size_bytes``: of the model's files.
    ``verdict`` is against FP32; None where there is no partner. ``speedup`` without low and high: too few lanes.
    """

    config: Config
    name: str
    effective: Mapping[str, Any]
    alias_of: Config | None = None
    aliases: tuple[Config, ...] = ()
    fault: str = ""
    warning: str = ""
    digest: str = ""
    size_bytes: int | None = None
    summary: Summary | None = None
    speedup: Estimate | None = None
    verdict: Verdict | None = None
    calls_ns: tuple[int, ...] = ()
    costs: tuple[RoundCost, ...] = ()
    lane_medians_ns: Mapping[int, float] = field(default_factory=dict)

    @property
    def measured(self) -> bool:
        """Whether it has samples of its own to show: no alias, and at least one block."""
        return self.alias_of is None and self.summary is not None


@dataclass(frozen=True)
class StartStory:
    """The fresh starts of one cell, by round; ``gain`` (no cache / warm) is None for all but warm cells."""

    config: Config
    name: str
    starts: tuple[Start, ...]
    fault: str = ""
    gain: Estimate | None = None

    def median_ns(self, phase: str) -> float:
        """The middle one of a phase: import_ns, read_ns, compile_ns, first_inference_ns or total_ns."""
        return float(sorted(getattr(start, phase) for start in self.starts)[len(self.starts) // 2])

    @property
    def peak_resident_bytes(self) -> int | None:
        """Median of the starts that could tell."""
        told = sorted(each.peak_resident_bytes for each in self.starts if each.peak_resident_bytes)
        return told[len(told) // 2] if told else None


@dataclass(frozen=True)
class BenchStory:
    """How one bench ended: passed, failed or skipped, and why."""

    nodeid: str
    fullname: str
    outcome: str
    reason: str
    config: Config


@dataclass(frozen=True)
class AccuracyStory:
    """A precision's answers beside FP32's: ``agreement`` of a classifier, ``outputs`` of any other model.

    ``max_drop`` is what the drop was held against, ``gated`` whether the session failed by it.
    """

    model: str
    precision: Precision
    agreement: Agreement | None
    drop: DropVerdict | None
    outputs: tuple[OutputDifference, ...]
    max_drop: float
    gated: bool


@dataclass(frozen=True)
class ModelStory:
    """A model of the session; ``told`` is the journal's ``source`` line, ``sizes_bytes`` of the files by precision."""

    name: str
    path: str
    sha256: str
    notes: tuple[str, ...]
    sizes_bytes: Mapping[Precision, int]
    told: Mapping[str, Any]


@dataclass(frozen=True)
class BaselineStory:
    """What the session was held against with --ov-baseline; ``version`` is that side's OpenVINO."""

    written: str
    version: str
    tolerance: float
    pairs: int
    judged: tuple[Judged, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Story:
    """One session of the suite, as far as its journal tells; what an old journal lacks is empty or None.

    ``number`` is that of the stored session, "" where none is. ``began_s`` and ``ended_s`` are seconds since 1970
    (the last line's where it was killed); ``exit_status`` is None after a kill. ``settings`` is option name -> text,
    ``command`` runs the same again. ``measured`` has the samples, and all figures are of it. ``notes`` are printed
    as they are: lanes lost, lines cut off.
    """

    name: str
    path: Path
    number: str
    began_s: float
    ended_s: float
    exit_status: int | None
    settings: Mapping[str, str]
    command: str
    machine: Machine
    versions: Mapping[str, str | None]
    commit: str | None
    models: tuple[ModelStory, ...]
    measured: Measurements
    cells: tuple[CellStory, ...]
    starts: tuple[StartStory, ...]
    gates: tuple[Gate, ...]
    benches: tuple[BenchStory, ...]
    accuracy: tuple[AccuracyStory, ...]
    layers: tuple[LayerComparison, ...]
    layer_faults: Mapping[Config, str]
    references: Mapping[Config, Reference]
    pipelines: Mapping[Row, Pipeline]
    baseline: BaselineStory | None
    skipped: Mapping[Row, str]
    notes: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """Equal for machines whose absolute times may be compared."""
        return self.machine.fingerprint_id

    @property
    def busy(self) -> bool:
        """Whether others took so many rounds that no speed-up is judged."""
        return self.measured.busy

    @property
    def label(self) -> str:
        """``session 0007``, or the journal's name where none is stored."""
        return f"session {self.number}" if self.number else self.name

    def cell(self, config: Config) -> CellStory | None:
        """The cell of this config; None where the session had none."""
        return next((each for each in self.cells if each.config == config), None)


@dataclass(frozen=True)
class Difference:
    """Something that two or more sessions do not share: what, and each session's in their order, "" where unknown."""

    what: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Beside:
    """One cell in a session beside the reference: cost now / then, above 1 where now is worse.

    ``time`` is of absolute times, ``speedup`` of speed-ups over FP32 (None for FP32 itself). A verdict without an
    interval is UNSURE or SKIPPED, and says its reason.
    """

    time: Judged
    speedup: Judged | None


@dataclass(frozen=True)
class ComparedCell:
    """A cell of any of the sessions: ``cells`` in the order of the sessions (None: it has none), ``beside`` of each
    session but the first, the reference (None: one of the two has not measured it).
    """

    config: Config
    name: str
    cells: tuple[CellStory | None, ...]
    beside: tuple[Beside | None, ...]


@dataclass(frozen=True)
class Comparison:
    """Two or more sessions: every cell of any of them, beside the first; and what else differs between them."""

    stories: tuple[Story, ...]
    rows: tuple[ComparedCell, ...]
    differences: tuple[Difference, ...]
    tolerance: float
