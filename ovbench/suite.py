"""One session of the suite: what was asked, the model and its variants, the campaign, the starts, the judged rows."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ovbench import baseline as baselines
from ovbench import campaign, layers, machine, records, reference, runtime, startup
from ovbench.accuracy import Accuracy, Row
from ovbench.agreement import TOLD_DROP
from ovbench.artifacts import ArtifactCache, default_root, temporary_folder
from ovbench.campaign import Cell, Measurements, Order, Plan
from ovbench.comparison import pair_fields
from ovbench.config import (
    AUTO,
    Config,
    Hint,
    Precision,
    expand,
    startup_cells,
    with_partners,
)
from ovbench.errors import BadOption, NotWritable, OvbenchError
from ovbench.floors import Gate, Rules, speedup_floor
from ovbench.lanes import Lane
from ovbench.layers import LayerProfile
from ovbench.models import source as model_source
from ovbench.models.lines import source_fields
from ovbench.models.names import EMBEDDED, names_of
from ovbench.models.source import Source
from ovbench.models.variants import variant_of
from ovbench.options import BY_NAME, Settings, write_settings
from ovbench.pipeline import Pipeline
from ovbench.policy import Policy, Target
from ovbench.precision import Variant
from ovbench.reference import Reference
from ovbench.samples import Replicate, Summary
from ovbench.startup import Start
from ovbench.stats import Estimate
from ovbench.story import figures, lines
from ovbench.verdict import SPEEDUP, Outcome, Verdict

MODEL_CACHES = "model-caches"  # what the folders of OpenVINO's CACHE_DIR are named for
LANE_START_S = 0.5  # process, numpy, openvino and core of a lane; a first guess that the probe's own time replaces
MEMORY_SHARE = 0.5  # of what is free, for the contestants of one lane (--ov-max-memory)

Progress = Callable[[str], AbstractContextManager[Callable[[float, str], None]]]


@dataclass
class Suite:
    """Everything one pytest session knows; filled by ``prepare`` and ``measure``, read by fixtures and the report."""

    settings: Settings
    results: Path
    progress: Progress
    smoke: bool = False
    policy: Policy = field(default_factory=Policy)
    today: datetime.date = field(default_factory=lambda: datetime.datetime.now(datetime.timezone.utc).date())
    cache: ArtifactCache = field(default_factory=lambda: ArtifactCache(default_root()))
    journal: records.Journal = field(init=False)
    sources: dict[str, Source] = field(default_factory=dict)
    order: Order | None = None
    plan: Plan | None = None
    plan_s: float = 0.0
    unsupported: dict[Row, str] = field(default_factory=dict)
    variants: dict[Row, Variant] = field(default_factory=dict)
    measured: Measurements = field(default_factory=Measurements)
    starts: dict[Config, list[Start]] = field(default_factory=dict)
    start_faults: dict[Config, str] = field(default_factory=dict)
    accuracy: Accuracy = field(init=False)
    gates: list[Gate] = field(default_factory=list)
    baseline: baselines.Baseline | None = None
    compared: tuple[Cell, ...] = ()
    host: machine.Machine = field(default_factory=machine.fingerprint)
    versions: Mapping[str, str | None] = field(default_factory=machine.library_versions)
    exit_status: int | None = None
    saved: Path | None = None
    referenced: tuple[Cell, ...] = ()
    references: dict[Config, Reference] = field(default_factory=dict)
    pipelines: dict[Row, Pipeline] = field(default_factory=dict)
    profiles: dict[Config, LayerProfile] = field(default_factory=dict)
    counters: list[Path] = field(default_factory=list)
    _fp32: dict[str, Any] = field(default_factory=dict)
    _cleanup: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _cache_root: Path | None = None

    def __post_init__(self) -> None:
        self.accuracy = Accuracy(self.smoke, TOLD_DROP if self.settings.max_drop is None else self.settings.max_drop)
        self.journal = records.Journal(self.results / (records.new_session_id() + records.SUFFIX))

    # ------------------------------------------------------------------------------------------------- preparing

    def prepare(
        self,
        configs: Iterable[Config],
        others: Iterable[Config],
        compared: Iterable[Config] = (),
        referenced: Iterable[Config] = (),
    ) -> None:
        """Check everything that can be wrong, get the models and their variants, probe the cells, plan the campaign.

        ``configs`` are the cells to measure (their FP32 partners are added), ``others`` those whose files are needed
        besides, ``compared`` the cells that are held against the baseline (a stored one needs them measured),
        ``referenced`` those that benchmark_app measures too. Raises BadInput; writes nothing but artifacts.
        """
        configs, compared, referenced = list(configs), list(compared), list(referenced)
        settings = self.settings
        records.check_writable(self.results)
        runtime.check_device(settings.device)
        check_models(settings)
        for given, name in names_of(settings.model).items():
            with self.progress("Model" if len(settings.model) == 1 else f"Model {name}") as advance:
                self.sources[name] = model_source.resolve(
                    given, settings, self.cache, lambda doing, share: advance(share, doing), name
                )
        if compared and not settings.baseline.startswith(baselines.PAIRED):
            configs = list(dict.fromkeys([*configs, *compared]))
        wanted = in_matrix_order(settings, dict.fromkeys([*with_partners([*configs, *referenced]), *compared]))
        for name, precision in dict.fromkeys((each.model, each.precision) for each in (*wanted, *others)):
            self._get_variant(name, precision)
        cells = tuple(config for config in wanted if (config.model, config.precision) in self.variants)
        self.order = self._order(cells)
        if not cells:
            return
        if compared and not self.smoke:
            self.baseline = baselines.resolve(settings, self.order, self.results, self.host, self.cache, self.progress)
        self._cache_root = self._cleanup.enter_context(temporary_folder(MODEL_CACHES))
        clock = time.monotonic
        begin = clock()
        with self.progress("Cells") as advance:

            def on_cell(cell: Cell) -> None:
                self.measured.cells[cell.config] = cell
                advance(len(self.measured.cells) / len(cells), cell.config.id)

            self.measured.cells = {}
            self.measured.cells = campaign.probe(self.order, Lane, self._cache_root, clock, on_cell)
        self.plan_s = clock() - begin
        partnered = with_partners(configs)
        own = self._representatives(partnered)
        if own:
            left_s = settings.budget - self.plan_s
            aliases = [cell for cell in self.measured.cells.values() if cell.alias_of and cell.config in partnered]
            self.plan = campaign.make_plan((*own, *aliases), self.order, left_s, LANE_START_S)
        if self.baseline is not None:
            self.compared = self._representatives(compared)
            if self.baseline.order is not None and self.compared:
                baselines.check_side(self.baseline, self.compared, self.order, self._cache_root)
        self.referenced = self._representatives(referenced)

    def _representatives(self, configs: Iterable[Config]) -> tuple[Cell, ...]:
        """The measured cells that stand for these, each once."""
        cells = self.measured.cells
        known = [cells[config] for config in configs if config in cells]
        stand = dict.fromkeys(cell.alias_of or cell.config for cell in known)
        return tuple(cells[config] for config in stand if cells[config].measured)

    def _get_variant(self, name: str, precision: Precision) -> None:
        source = self.sources[name]
        several = f"{name} " if len(self.sources) > 1 else ""
        reason = runtime.unsupported(precision, self.settings.device)
        if not reason:
            try:
                with self.progress(f"{several}{precision.value} model") as advance:
                    self.variants[name, precision] = variant_of(
                        source, precision, self.settings, self.cache, lambda doing, share: advance(share, doing)
                    )
            except NotWritable:
                raise
            except OvbenchError as error:
                if source.embedded or precision is Precision.FP32:
                    raise
                reason = str(error)
        if reason:
            self.unsupported[name, precision] = reason

    def _order(self, cells: tuple[Config, ...]) -> Order:
        settings = self.settings
        limit = settings.max_memory
        if limit is None:
            free = machine.available_memory_bytes()
            limit = None if free is None else int(free * MEMORY_SHARE)
        return Order(
            configs=cells,
            variants={(name, precision.value): variant for (name, precision), variant in self.variants.items()},
            shape=settings.shape,
            budget_s=settings.budget,
            warmup_s=settings.warmup,
            seed=settings.seed,
            max_memory_bytes=limit,
            smoke=self.smoke,
            quota_threads=machine.quota_threads(self.host),
        )

    # ------------------------------------------------------------------------------------------------- measuring

    def measure(self, starts: Sequence[Config]) -> None:
        """Run the campaign and then the fresh starts; what is finished stays in self and in the journal if cut off."""
        self.write_header()
        try:
            if self.plan is not None:
                self._measure_cells(self.plan)
            runnable = [config for config in starts if (config.model, config.precision) in self.variants]
            if runnable:
                self._measure_starts(runnable)
            if self.baseline is not None and self.compared:
                self._compare(self.baseline)
            if self.order is not None and not self.smoke:
                self._refer(self.order)
                self._profile(self.order)
        finally:
            self.close()

    def _refer(self, order: Order) -> None:
        """Measure what --ov-reference asks for beside benchmark_app; finished rounds are in the journal."""
        if self.referenced:
            reference.measure(
                self.references, self.referenced, order, Lane, self.progress, self.settings.reference_rounds,
                lambda config, turn: self._note("reference", **reference.turn_fields(config, turn)),
            )  # fmt: skip

    def _profile(self, order: Order) -> None:
        """Count time layer by layer, where --ov-profile asks for it; counters are saved beside the journal."""
        if not self.settings.profile:
            return
        with self.progress("Layers") as advance:
            self.profiles = layers.profile_layers(order, Lane, lambda share: advance(share, ""))
        for profile in self.profiles.values():
            self._note("layers", **layers.profile_fields(profile))
            if not profile.fault:
                self.counters += layers.write_counters(profile, self.journal.path.with_suffix(".layers"))

    def _compare(self, baseline: baselines.Baseline) -> None:
        """Hold every compared cell against the baseline; finished pairs are in the journal."""
        assert self.order is not None
        assert self._cache_root is not None
        targets = {cell.config: Target(cell.config.model, cell.config.id, "time") for cell in self.compared}
        if self.settings.tolerance == Settings().tolerance:
            named = {config.key: self.policy.tolerance(target) for config, target in targets.items()}
            baseline.tolerances = {name: share for name, share in named.items() if share is not None}
        if baseline.stored is not None:
            baselines.judge_stored(baseline, self.measured, list(targets), self.host)
        else:
            baselines.measure(
                baseline, self.compared, self.order, self._cache_root, self.progress,
                lambda pair: self._note("pair", comparison="baseline", **pair_fields(pair)),
            )  # fmt: skip
        baseline.judged = tuple(
            replace(each, waiver=self.policy.waiver(targets[each.config], self.today)) if each.broken else each
            for each in baseline.judged
        )
        self._note("baseline", **lines.baseline_fields(baseline))

    def _measure_cells(self, plan: Plan) -> None:
        assert self.order is not None
        assert self._cache_root is not None
        rounds = 0
        clock = time.monotonic
        begin = clock()
        with self.progress("Campaign") as advance:

            def on_round() -> None:
                nonlocal rounds
                rounds += 1
                share = min(0.99, (clock() - begin) / max(plan.total_s, 1e-9))
                advance(share, f"lane {self.measured.lanes} of {plan.lanes * len(plan.groups)}, round {rounds}")

            known = dict(self.measured.cells)
            campaign.measure(
                self.order, plan, self.measured, Lane, self._cache_root, clock, self._keep_replicate, on_round
            )
        for cell in self.measured.cells.values():
            if cell != known.get(cell.config):  # it became a fault
                self._note_cell(cell)

    def _note(self, kind: str, **fields: Any) -> None:
        """One line in the journal; a smoke run has none, since nothing of it is evidence."""
        if not self.smoke:
            self.journal.write(kind, **fields)

    def _keep_replicate(self, config: Config, replicate: Replicate) -> None:
        rejected = sorted(number for lane, number in self.measured.rejected if lane == replicate.lane)
        self._note("replicate", **records.replicate_fields(config, replicate), rejected=rejected)

    def _measure_starts(self, configs: Sequence[Config]) -> None:
        assert self.order is not None
        processes = 1 if self.smoke else startup.PROCESSES
        done = 0
        self.starts = {config: [] for config in configs}
        with self.progress("Start-up") as advance, temporary_folder(MODEL_CACHES) as root:

            def keep(config: Config, start: Start | str) -> None:
                nonlocal done
                done += 1
                if isinstance(start, str):
                    self.start_faults[config] = start
                    self._note("start_fault", cell=config.id, config=config.axes, fault=start)
                else:
                    self.starts[config].append(start)
                    self._note("start", cell=config.id, config=config.axes, **vars(start))
                advance(done / (processes * len(configs)), config.id)

            startup.measure_startup(configs, self.order, Lane, root, keep, processes)

    def write_header(self) -> None:
        """The journal's first lines: the session, every cell of the campaign, every model with its pictures."""
        self._note(
            "session",
            settings=write_settings(self.settings),
            seed=self.settings.seed,
            machine=dataclasses.asdict(self.host),
            fingerprint=self.host.fingerprint_id,
            versions=dict(self.versions),
            commit=machine.commit(Path.cwd()),
        )
        for cell in self.measured.cells.values():
            self._note_cell(cell)
        for (name, precision), reason in self.unsupported.items():
            self._note("skipped", model=name, precision=precision.value, reason=reason)
        if self.smoke:  # what is read for it is not needed then
            return
        for name, source in self.sources.items():
            variants = {precision: each for (model, precision), each in self.variants.items() if model == name}
            files = {precision: each.path for precision, each in variants.items()}
            sizes = {precision.value: each.size_bytes for precision, each in variants.items()}
            self._note("source", **source_fields(source, files), sizes_bytes=sizes)

    def _note_cell(self, cell: Cell) -> None:
        self._note(
            "cell",
            cell=cell.config.id,
            config=cell.config.axes,
            effective=dict(cell.effective),
            alias_of=None if cell.alias_of is None else cell.alias_of.id,
            digest=cell.digest,
            fault=cell.fault,
            warning=cell.proof.warning,
        )

    def keep_pipeline(self, config: Config, pipeline: Pipeline) -> None:
        """Remember what file to top-5 took with a cell's model."""
        self.pipelines[config.model, config.precision] = pipeline
        self._note("pipeline", **lines.pipeline_fields((config.model, config.precision), pipeline))

    def write_bench(self, nodeid: str, fullname: str, outcome: str, config: Config, reason: str) -> None:
        """One line for a finished bench."""
        cell = self.measured.cells.get(config)
        summary = self.summary(config)
        self._note(
            "bench",
            nodeid=nodeid,
            fullname=fullname,
            outcome=outcome,
            reason=reason,
            config=config.axes,
            effective={} if cell is None else dict(cell.effective),
            alias_of=None if cell is None or cell.alias_of is None else cell.alias_of.id,
            summary=None if summary is None else dataclasses.asdict(summary),
        )

    def finish(self, exit_status: int) -> None:
        """The journal's last line, and no temporary folder left."""
        self.exit_status = exit_status
        self.close()
        if self.journal.path.exists():
            self._note(
                "end",
                exit_status=exit_status,
                notes=self.measured.notes,
                rounds=self.measured.rounds,
                rejected=sorted(self.measured.rejected),
            )

    def close(self) -> None:
        """Remove the session's model caches."""
        self._cleanup.close()

    def facts(self) -> dict[str, Any]:
        """What a later session must know of this one to compare itself with it."""
        return {
            "fingerprint": self.host.fingerprint_id,
            "isa": self.host.isa.value,
            "cores": self.host.cores,
            "openvino": self.versions.get("openvino") or "",
            "journal": self.journal.path.name,
        }

    # --------------------------------------------------------------------------------------------------- reading

    @property
    def unsure(self) -> bool:
        """Whether any gate, comparison or drop that is held could not be decided."""
        judged = () if self.baseline is None else self.baseline.judged
        drops = () if self.settings.max_drop is None else self.accuracy.drops.values()
        return (
            any(gate.outcome is Outcome.UNSURE for gate in self.gates)
            or any(each.verdict is Verdict.UNSURE for each in judged)
            or any(each.outcome is Outcome.UNSURE for each in drops)
        )

    def why_not(self, config: Config) -> str:
        """Why a cell is skipped, "" if it is not."""
        return self.unsupported.get((config.model, config.precision), "")

    def source_of(self, config: Config) -> Source:
        """The model of a cell."""
        return self.sources[config.model]

    def summary(self, config: Config) -> Summary | None:
        """Figures of a cell so far."""
        return figures.summary_of(self.measured, config)

    def speedup(self, config: Config) -> Estimate | None:
        """Speed-up over FP32 with its interval; None for FP32 itself and where nothing was measured."""
        return figures.speedup_of(self.measured, config)

    def verdict(self, config: Config) -> Verdict | None:
        """FASTER, SLOWER, SAME or UNSURE against FP32."""
        return figures.verdict_of(self.measured, self.speedup(config))

    def speedup_floor(self, config: Config) -> float | None:
        """The floor that a cell's speed-up is held to; None for cells that have none."""
        source = self.sources.get(config.model)
        embedded = source is not None and source.embedded
        return speedup_floor(config, self.settings.min_speedup, embedded, self.host.isa)

    def hold(self, what: str, config: Config, estimate: Estimate, floor: float) -> Gate:
        """Judge a figure against its floor and remember it; a smoke run or a busy machine is no evidence."""
        instead = Outcome.SKIPPED if self.smoke else None
        if what == SPEEDUP and self.measured.busy and not self.smoke:
            instead = Outcome.UNSURE
        gate = Rules(self.settings, self.policy, self.today).hold(what, config, estimate, floor, instead)
        self.gates.append(gate)
        self._note("floor", **lines.gate_fields(gate))
        return gate

    # -------------------------------------------------------------------------------------------------- accuracy

    def compile(self, config: Config, path: Path, cache_dir: Path | None) -> Any:
        """An ``ov.CompiledModel`` of a cell in this process."""
        return runtime.compile_cell(path, config, self.settings.shape, cache_dir)

    def fp32(self, model: str) -> Any:
        """The FP32 model that other precisions' answers are compared with, compiled once in this process."""
        if model not in self._fp32:
            config = Config(model, self.settings.device, Precision.FP32, Hint.THROUGHPUT, AUTO)
            self._fp32[model] = self.compile(config, self.variants[model, Precision.FP32].path, None)
        return self._fp32[model]

    def why_not_judged(self, config: Config) -> str:
        """Why a precision's accuracy is skipped, "" if it is not: random inputs say too little of a classifier."""
        source = self.source_of(config)
        unjudged = source.classes is not None and source.evaluation is None
        return self.why_not(config) or (source.reason if unjudged else "")

    def answer(self, config: Config, compiled: Any) -> None:
        """Find a precision's answers for its accuracy; once a session."""
        name = f"{config.model} {config.precision.value}" if len(self.sources) > 1 else config.precision.value
        with self.progress(f"Accuracy {name}") as advance:
            self.accuracy.run(self.source_of(config), config.precision, compiled, lambda share: advance(share, ""))
        answers = self.accuracy.answers.get((config.model, config.precision))
        if answers is not None and answers.unreadable:
            note = f"pictures left out of the accuracy: {len(answers.unreadable)}, the first: {answers.unreadable[0]}"
            if note not in self.measured.notes:  # every precision meets the same ones
                self.measured.notes.append(note)

    def judge(self, config: Config) -> str:
        """Hold a precision's answers against FP32's and keep the figures; why that cannot be, "" if it can."""
        reason = self.accuracy.judge(self.source_of(config), config.precision)
        if not reason:
            row = (config.model, config.precision)
            agreement, drop = self.accuracy.agreements.get(row), self.accuracy.drops.get(row)
            self._note(
                "accuracy",
                model=config.model,
                precision=config.precision.value,
                agreement=None if agreement is None else dataclasses.asdict(agreement),
                drop=None if drop is None else {"outcome": drop.outcome.value, "images_needed": drop.images_needed},
                max_drop=self.accuracy.max_drop,
                outputs=[dataclasses.asdict(each) for each in self.accuracy.differences.get(row, ())],
            )
        return reason

    def fault(self, config: Config) -> str:
        """Why a cell has no figures, "" if it has: it did not run what its name says, or nothing of it was measured."""
        cell = self.measured.cells.get(config)
        if cell is None:
            return "not part of the campaign"
        if cell.fault:
            return cell.fault
        if not self.measured.samples(config):
            return "; ".join(["nothing was measured", *self.measured.notes])
        return ""

    def start_fault(self, config: Config) -> str:
        """Why the starts of a cell are no evidence, "" if they are: one failed, or the warm cache proved nothing."""
        return figures.start_fault_of(self.starts, self.start_faults, config)

    def cache_gain(self, config: Config) -> Estimate | None:
        """Time to the first answer without a cache / with a warm one, paired by round."""
        return figures.cache_gain_of(self.starts, config)


def check_models(settings: Settings) -> None:
    """Raise BadOption for what can be said of one model only, where there are several."""
    for option, value in (("shape", settings.shape), ("variant", settings.variant)):
        if value and len(settings.model) > 1:
            flag = BY_NAME[option].flag
            raise BadOption(f"{flag} with {len(settings.model)} models: whose is it? run them one by one")
    if settings.images and settings.model == (EMBEDDED,):
        raise BadOption(f"--ov-images {settings.images}: the embedded model knows its own pictures only: name a model")


def in_matrix_order(settings: Settings, configs: Iterable[Config]) -> tuple[Config, ...]:
    """The cells as the matrix lays them out, FP32 first where it is only there as a partner; strangers at the end."""
    axes = settings.matrix(list(names_of(settings.model).values()))
    if Precision.FP32 not in axes.precisions:
        axes = replace(axes, precisions=(Precision.FP32, *axes.precisions))
    cells = dict.fromkeys((*expand(axes), *startup_cells(axes)))
    rank = {config: number for number, config in enumerate(cells)}
    return tuple(sorted(configs, key=lambda config: rank.get(config, len(rank))))
