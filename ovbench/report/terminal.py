"""The table after the run: every cell with what it really was, its figures, its speed-up and the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.table import Table

from ovbench import reference
from ovbench.baseline import planned_s
from ovbench.campaign import Cell
from ovbench.config import Config, cell_name
from ovbench.report.accuracy import accuracy_lines, accuracy_table, outputs_lines, outputs_table
from ovbench.report.baseline import against, baseline_notes, baseline_table
from ovbench.report.gates import gate_text
from ovbench.report.layers import layers_text
from ovbench.report.numbers import DASH, mebibytes, megabytes, milliseconds, ran_as, ratio, significant
from ovbench.report.page import open_page, open_table
from ovbench.report.pipeline import pipeline_notes, pipelines_table
from ovbench.report.reference import reference_notes, reference_table
from ovbench.startup import PROCESSES
from ovbench.stats import MIN_REPLICATES
from ovbench.suite import Suite
from ovbench.verdict import Outcome

ACCURACY_IMAGES_A_SECOND = 100  # plan's guess for one precision on two AVX2 cores
START_SECONDS = 0.9  # plan's guess for one fresh start on two AVX2 cores


def summary_text(suite: Suite, unmatched: Sequence[str], coloured: bool) -> str:
    """Everything that is printed after a run; 100 columns, escape codes only if ``coloured``."""
    console, stream = open_page(coloured)
    if suite.smoke:
        console.print("Smoke run (--benchmark-disable): every bench ran once; nothing was measured, judged or stored.")
        return stream.getvalue()
    before: Table | str | None = None
    for part in (*_tables(suite), *_besides(suite)):
        if isinstance(part, Table) and part.title and isinstance(before, str):  # a table ends with a blank line
            console.print()
        console.print(part)
        before = part
    if suite.profiles:
        stream.write(layers_text(suite.profiles, suite.counters, coloured))
    notes = _notes(suite, unmatched)
    if notes and isinstance(before, str):
        console.print()
    for line in notes:
        console.print(line)
    for line in _places(suite):
        console.print(line, soft_wrap=True)  # a path broken in two cannot be copied
    return stream.getvalue()


def _tables(suite: Suite) -> Iterator[Table | str]:
    """What every run has: cells, starts, accuracy."""
    cells = [cell for cell in suite.measured.cells.values() if cell.measured and suite.measured.samples(cell.config)]
    for model in dict.fromkeys(cell.config.model for cell in cells):
        yield _cells_table(suite, model, [cell for cell in cells if cell.config.model == model])
    if cells:
        yield _legend(suite)
    for model in dict.fromkeys(config.model for config, starts in suite.starts.items() if starts):
        yield _starts_table(suite, model)
    yield from _accuracy(suite)


def _besides(suite: Suite) -> Iterator[Table | str]:
    """What was asked for besides: a baseline, benchmark_app, the pipeline from file to top-5."""
    if suite.baseline is not None and suite.baseline.judged:
        yield f"Against the baseline: {against(suite.baseline)}"
        yield baseline_table(suite.baseline)
        yield from baseline_notes(suite.baseline)
    if any(each.turns or each.fault for each in suite.references.values()):
        yield "Beside benchmark_app"
        yield reference_table(suite.references)
        yield from reference_notes(suite.references)
    if suite.pipelines:
        several = len(suite.settings.model) > 1
        pipelines = {f"{name} {precision.value}" if several else precision.value: each
                     for (name, precision), each in suite.pipelines.items()}  # fmt: skip
        yield pipelines_table(pipelines)
        yield from pipeline_notes(pipelines)


def _cells_table(suite: Suite, model: str, cells: Sequence[Cell]) -> Table:
    table = open_table(f"{model} on {suite.host.cpu_brand}, {suite.host.isa.value}, {suite.host.cores} cores")
    for heading in ("cell", "ran as"):
        table.add_column(heading, overflow="fold")
    for heading in ("MB", "p50 ms", "p95", "p99", "FPS"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("over FP32 [95 %]", "top-1", "verdict"):
        table.add_column(heading, no_wrap=True)
    for cell in cells:
        table.add_row(*_cell_row(suite, cell))
    return table


def _cell_row(suite: Suite, cell: Cell) -> tuple[str, ...]:
    config = cell.config
    summary = suite.summary(config)
    assert summary is not None
    verdict = suite.verdict(config)
    agreement = suite.accuracy.agreements.get((config.model, config.precision))
    variant = suite.variants.get((config.model, config.precision))
    return (
        cell_name(config),
        ran_as(cell.effective),
        DASH if variant is None else megabytes(variant.size_bytes),
        milliseconds(summary.p50_ns),
        milliseconds(summary.p95_ns),
        milliseconds(summary.p99_ns),
        significant(summary.frames_per_second),
        ratio(suite.speedup(config)),
        DASH if agreement is None else f"{100 * agreement.top1.value:.1f}",
        DASH if verdict is None else verdict.value,
    )


def _legend(suite: Suite) -> str:
    lanes = suite.measured.lanes
    text = (
        f"{lanes} {'lane (a fresh process)' if lanes == 1 else 'lanes (fresh processes)'}. ran as: kernels by MACs, "
        "s streams, t threads, r requests; async rows: latency under load. Ratios are taken inside rounds, intervals "
        "over lanes."
    )
    aliases: dict[Config, list[str]] = {}
    for cell in suite.measured.cells.values():
        if cell.alias_of is not None:
            aliases.setdefault(cell.alias_of, []).append(
                cell_name(cell.config).removeprefix(f"{cell.config.precision.value} ")
            )
    several = len(suite.settings.model) > 1
    for config, names in aliases.items():
        model = f"{config.model} " if several else ""
        text += f"\n{model}{cell_name(config)} stands for {', '.join(names)} too: the same effective config."
    if 0 < lanes < MIN_REPLICATES:
        text += f"\nFewer than {MIN_REPLICATES} lanes give no interval: raise --ov-budget."
    return text


def _starts_table(suite: Suite, model: str) -> Table:
    of_model = f" of {model}" if len(suite.settings.model) > 1 else ""
    table = open_table(f"Start-up{of_model} in fresh processes, medians")
    table.add_column("cell", no_wrap=True)
    for heading in ("import ms", "read", "compile", "first", "total", "peak MiB"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("no cache / warm [95 %]", no_wrap=True)
    for config, starts in suite.starts.items():
        if config.model != model or not starts:
            continue
        gain = suite.cache_gain(config)
        table.add_row(
            f"{config.precision.value} cache {config.cache.value}",
            *(milliseconds(_middle([getattr(start, name) for start in starts])) for name in
              ("import_ns", "read_ns", "compile_ns", "first_inference_ns", "total_ns")),
            mebibytes(_middle([start.peak_resident_bytes for start in starts if start.peak_resident_bytes])),
            ratio(gain),
        )  # fmt: skip
    return table


def _middle(values: Sequence[int]) -> float | None:
    return sorted(values)[len(values) // 2] if values else None


def _accuracy(suite: Suite) -> Iterator[Table | str]:
    """Tables and lines of every model whose answers were judged."""
    accuracy = suite.accuracy
    for name, source in suite.sources.items():
        agreements = {precision: each for (model, precision), each in accuracy.agreements.items() if model == name}
        images = accuracy.images(source)
        if agreements and images is not None:
            yield accuracy_table(name, agreements, accuracy.max_drop)
            yield from accuracy_lines(agreements, accuracy.max_drop, images.image_name, source.labels)
        differences = {precision: each for (model, precision), each in accuracy.differences.items() if model == name}
        if differences:
            yield outputs_table(name, differences)
            yield from outputs_lines(differences)


def _notes(suite: Suite, unmatched: Sequence[str]) -> list[str]:
    lines = []
    outcomes = Counter(gate.outcome for gate in suite.gates)
    if outcomes:
        counted = ", ".join(f"{count} {outcome.value}" for outcome, count in outcomes.items())
        lines.append(f"Gates: {counted}")
        lines += ["  " + text for text in _open_gates(suite)]
    lines += [f"waiver of {each.pattern} expired on {each.until}: {each.reason}"
              for each in suite.policy.expired(suite.today)]  # fmt: skip
    lines += _skipped(suite)
    lines += [note for source in suite.sources.values() for note in source.notes]
    warnings = dict.fromkeys(cell.proof.warning for cell in suite.measured.cells.values() if cell.proof.warning)
    lines += [f"warning: {warning}" for warning in warnings]
    lines += [f"{cell.config.key}: {cell.fault}" for cell in suite.measured.cells.values() if cell.fault]
    lines += suite.measured.notes
    if suite.measured.rejected:
        share = f"{len(suite.measured.rejected)} of {suite.measured.rounds} rounds"
        busy = (
            "the machine was busy, verdicts are UNSURE and figures are of all rounds"
            if suite.measured.busy
            else "left out"
        )
        lines.append(f"{share} lost more than a tenth of the cores to others: {busy}.")
    if suite.order is not None and suite.order.quota_threads:
        lines.append(f"CPU quota of {suite.host.cpu_quota_cores:.2g} cores: cells that leave threads open "
                     f"run {suite.order.quota_threads}.")  # fmt: skip
    lines += [f"no partner to compare with, {rows}" for rows in unmatched]
    return lines


def _skipped(suite: Suite) -> list[str]:
    several = len(suite.settings.model) > 1
    return [f"{f'{name} ' if several else ''}{precision.value}: SKIPPED, {reason}"
            for (name, precision), reason in suite.unsupported.items()]  # fmt: skip


def _open_gates(suite: Suite) -> list[str]:
    """Gates that failed or are unsure, those of aliases told with the cell that stands for them."""
    aliases: Counter[tuple[str, Config]] = Counter()
    shown: dict[tuple[str, Config], str] = {}
    for gate in suite.gates:
        if gate.outcome in (Outcome.FAILED, Outcome.UNSURE):
            cell = suite.measured.cells.get(gate.config)
            key = (gate.what, gate.config if cell is None or cell.alias_of is None else cell.alias_of)
            aliases[key] += key in shown
            shown.setdefault(key, gate_text(gate, len(suite.settings.model) > 1))
    return [text + (f" (+{aliases[key]} alias{'es' * (aliases[key] > 1)})" if aliases[key] else "")
            for key, text in shown.items()]  # fmt: skip


def _places(suite: Suite) -> list[str]:
    """Where the run is kept, and what makes a page of it."""
    lines = []
    if suite.saved is not None:
        lines.append(f"Saved: {_from_here(suite.saved)}")
    journal = suite.journal.path
    if journal.exists():
        lines.append(f"Every sample: {_from_here(journal)}")
        if not suite.settings.report:
            newest_is_found = journal.parent.parent == Path.cwd() / "results"
            lines.append(f"With charts: ovbench report{'' if newest_is_found else f' {_from_here(journal)}'}")
    return lines


def _from_here(path: Path) -> str:
    """A path as it is typed where the command was started."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def plan_text(suite: Suite, starts: Sequence[Config], accuracy: bool) -> str:
    """What would be measured, and how long it would take."""
    console, stream = open_page(False)
    table = open_table("Plan: nothing is measured")
    for heading in ("cell", "ran as", "measured"):
        table.add_column(heading, overflow="fold")
    for cell in suite.measured.cells.values():
        own = "as " + cell_name(cell.alias_of) if cell.alias_of else f"no: {cell.fault}" if cell.fault else "yes"
        table.add_row(
            cell.config.key if len(suite.settings.model) > 1 else cell.config.id,
            ran_as(cell.effective) if cell.effective else DASH,
            own,
        )
    console.print(table)
    plan = suite.plan
    campaign_s = 0.0 if plan is None else suite.plan_s + plan.total_s
    runnable = sum((config.model, config.precision) in suite.variants for config in starts)
    starts_s = runnable * PROCESSES * START_SECONDS
    pictures = {name: suite.accuracy.images(source) for name, source in suite.sources.items()}
    images = sum(len(pictures[name] or ()) for name, _precision in suite.variants) if accuracy else 0
    accuracy_s = images / ACCURACY_IMAGES_A_SECOND
    baseline_s = planned_s(suite.compared, suite.settings.budget) if suite.baseline and suite.baseline.order else 0.0
    if plan is not None:
        console.print(
            f"campaign: {plan.lanes} lanes x {len(plan.groups)} group(s) of {max(map(len, plan.groups))} cells, "
            f"{plan.lane_s:.1f} s each, a round takes {plan.round_s:.2f} s",
        )
    settings = suite.settings
    reference_s = reference.planned_s(suite.referenced, settings.warmup, settings.reference_rounds)
    parts = {"campaign": campaign_s, "start-up": starts_s, "accuracy": accuracy_s}
    parts |= {what: each_s for what, each_s in (("baseline", baseline_s), ("reference", reference_s)) if each_s}
    each = ", ".join(f"{what} {part_s:.0f} s" for what, part_s in parts.items())
    console.print(f"estimated time: {each}, together {sum(parts.values()):.0f} s")
    for line in _skipped(suite):
        console.print(line)
    return stream.getvalue()
