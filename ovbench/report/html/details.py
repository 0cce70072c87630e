"""The rest of a session: start-up, accuracy, layers, what it was held against, the machine, how to run it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ovbench.config import Cache, Config, Precision, cell_name
from ovbench.layers import LayerComparison, LayerPair
from ovbench.report.accuracy import accuracy_lines, accuracy_table, outputs_lines, outputs_table
from ovbench.report.html.bars import Bar, Stretch, paired_chart, stacked_chart
from ovbench.report.html.intervals import Row
from ovbench.report.html.parts import Figure, Part, Table, from_terminal, make_table
from ovbench.report.html.svg import COLOURS, GREY, OLIVE, PURPLE, TEAL
from ovbench.report.html.verdicts import date_of, in_percent, interval_figures, models_of, of_model, several_models
from ovbench.report.numbers import DASH, mebibytes, megabytes, milliseconds, percent, ratio, significant
from ovbench.report.pipeline import pipeline_notes, pipelines_table
from ovbench.report.reference import reference_notes, reference_table
from ovbench.story.facts import AccuracyStory, CellStory, StartStory, Story

PHASES = {
    "import": ("import_ns", GREY),
    "read": ("read_ns", TEAL),
    "compile": ("compile_ns", PURPLE),
    "first inference": ("first_inference_ns", OLIVE),
}
MOST_NAMED = 5  # layers in a note
GOT = ("hint", "streams", "threads", "requests", "inference_precision", "pinning")  # of what a cell really was
# Shares that a panel shows: what it is called, what the agreement calls it, and what a gate on it calls it.
SHARES = (
    ("Top-1 as FP32", "top1", "top-1 agreement with FP32"),
    ("Top-5 overlap with FP32", "top5_overlap", "top-5 overlap with FP32"),
    ("Top-1 right by labels", "label_top1", ""),
)


def startup_part(story: Story, heading: str, stories: Sequence[Story]) -> Part:
    """From a fresh process to the first answer, by phase; a panel for each model and precision, one axis for all."""
    shown = [each for each in story.starts if each.starts]
    most = max((_whole_ns(start) / 1e6 for each in stories for start in each.starts if start.starts), default=0.0)
    figures = []
    for model, precision in dict.fromkeys((each.config.model, each.config.precision) for each in shown):
        starts = [each for each in shown if (each.config.model, each.config.precision) == (model, precision)]
        figures.append(_startup(f"{precision.value}{of_model(story, model)}", starts, most))
    notes = [f"{each.name}{of_model(story, each.config.model)}: {each.fault}" for each in story.starts if each.fault]
    reading = ("Medians of fresh processes. Total leaves out the import, which is the same for all; the bar does not.",)
    return Part(heading=heading, lines=_startup_lines(story), figures=tuple(figures),
                reading=reading if figures else (), notes=tuple(notes))  # fmt: skip


def _startup_lines(story: Story) -> tuple[str, ...]:
    """How long it takes without a model cache, and with a warm one; a line for each model."""
    lines = []
    for model in models_of(story):
        told = []
        for precision in Precision:
            wholes = {
                each.config.cache: f"{milliseconds(_whole_ns(each))} ms"
                for each in story.starts
                if each.starts and (each.config.model, each.config.precision) == (model, precision)
            }
            if Cache.OFF in wholes:
                warm = f" ({wholes[Cache.WARM]} from a warm cache)" if Cache.WARM in wholes else ""
                told.append(f"{precision.value} {wholes[Cache.OFF]}{warm}")
        if told:
            lines.append(f"From a new process to the first answer{of_model(story, model)}: {', '.join(told)}.")
    return tuple(lines)


def _whole_ns(story: StartStory) -> float:
    return sum(story.median_ns(field) for field, _colour in PHASES.values())


def _startup(title: str, starts: Sequence[StartStory], most: float) -> Figure:
    bars, rows = [], []
    for each in starts:
        phases = {name: each.median_ns(field) for name, (field, _colour) in PHASES.items()}
        stretches = tuple(
            Stretch(phases[name] / 1e6, colour, f"{name}: {milliseconds(phases[name])} ms")
            for name, (_field, colour) in PHASES.items()
        )
        name = f"cache {each.config.cache.value}"
        bars.append(Bar(name, f"{milliseconds(_whole_ns(each))} ms", stretches))
        figures = (*phases.values(), _whole_ns(each), each.median_ns("total_ns"))
        rows.append((name, *map(milliseconds, figures), mebibytes(each.peak_resident_bytes), ratio(each.gain)))
    keys = [(name, colour) for name, (_field, colour) in PHASES.items()]
    headings = ("start", "import ms", "read", "compile", "first inference", "whole bar", "total", "peak MiB",
                "no cache / warm [95 %]")  # fmt: skip
    return Figure(stacked_chart(title, bars, keys, most, "ms"), make_table(f"Start-up, {title}", headings, rows))


# --------------------------------------------------------------------------------------------------------- accuracy


def accuracy_part(story: Story, heading: str, stories: Sequence[Story]) -> Part:
    """Answers beside FP32's and the labels: panels of shares with intervals, tables of all figures."""
    figures, tables, notes = [], [], []
    for model in models_of(story):
        judged = _judged(story, model)
        agreements = {
            each.precision: replace(each.agreement, worst=()) for each in judged if each.agreement is not None
        }
        if agreements:
            max_drop = judged[0].max_drop
            figures += [figure for share in SHARES for figure in _shares(story, model, stories, *share)]
            images = next(iter(agreements.values())).images
            caption = f"Accuracy{of_model(story, model)} on {images} images [95 %]"
            tables.append(from_terminal(accuracy_table("", agreements, max_drop), caption))
            notes += accuracy_lines(agreements, max_drop, str, ())
        outputs = {each.precision: each.outputs for each in judged if each.outputs}
        if outputs:
            tables.append(from_terminal(outputs_table("", outputs), f"Outputs{of_model(story, model)} beside FP32's"))
            notes += outputs_lines(outputs)
    labelled = any(each.agreement and each.agreement.mcnemar_p is not None for each in story.accuracy)
    reading = ("McNemar p: how often chance alone splits the images that only one has right as unevenly.",)
    return Part(heading=heading, figures=tuple(figures), tables=tuple(tables), reading=reading if labelled else (),
                notes=tuple(notes))  # fmt: skip


def _judged(story: Story, model: str) -> list[AccuracyStory]:
    order = list(Precision)
    return sorted(
        (each for each in story.accuracy if each.model == model), key=lambda each: order.index(each.precision)
    )


def _shares(story: Story, model: str, stories: Sequence[Story], title: str, field: str, gate: str) -> list[Figure]:
    alike = [row for each in stories for row, _texts in _share_rows(each, model, field, gate)]
    told = _share_rows(story, model, field, gate)
    headings = ("share [95 %]", "images", "floor")
    return interval_figures(title + of_model(story, model), told, alike, "% of images", headings)


def _share_rows(story: Story, model: str, field: str, gate: str) -> Sequence[tuple[Row, tuple[str, ...]]]:
    floors = {each.config.precision: each.floor for each in story.gates
              if each.what == gate and each.config.model == model}  # fmt: skip
    told = []
    for each in _judged(story, model):
        share = None if each.agreement is None else getattr(each.agreement, field)
        if share is not None and (each.precision is not Precision.FP32 or field == "label_top1"):
            floor = floors.get(each.precision)
            row = Row(each.precision.value, each.precision, in_percent(share), percent(share),
                      None if floor is None else 100 * floor)  # fmt: skip
            told.append((row, (percent(share), str(share.count), DASH if floor is None else f"{100 * floor:.1f} %")))
    return told


# ----------------------------------------------------------------------------------------------------------- layers


def layers_part(story: Story, heading: str) -> Part:
    """The layers that take most time, in FP32 and in each other precision."""
    compared = [each for each in story.layers if each.costliest]
    notes = [text for each in compared for text in _layer_notes(story, each)]
    notes += [f"{config.key}: no layers: {fault}" for config, fault in story.layer_faults.items()]
    figures = tuple(_layers(story, each) for each in compared)
    lines = tuple(_layers_line(story, each) for each in compared)
    return Part(heading=heading, lines=lines, figures=figures, notes=tuple(dict.fromkeys(notes)))


def _layers_line(story: Story, compared: LayerComparison) -> str:
    """How much of the time the layers that are shown take, and how many of all got slower."""
    subject = compared.subject
    shown_us = sum(map(compared.cost_us, compared.costliest))
    name = f"{subject.config.precision.value}{of_model(story, subject.config.model)}"
    share = f"The {len(compared.costliest)} costliest layers take {shown_us / subject.layers_us:.0%} of the time of all"
    slower = "" if compared.other is None else f"; SLOWER than in FP32: {len(compared.slower)} of {len(compared.pairs)}"
    return f"{share} in {name}{slower}.".replace("%", " %")


def _layer_notes(story: Story, compared: LayerComparison) -> list[str]:
    """What all layers took, and which got slower or stayed float."""
    notes = []
    for profile in filter(None, (compared.reference, compared.other)):
        name = f"{profile.config.precision.value}{of_model(story, profile.config.model)}"
        layers, call = (f"{milliseconds(1e3 * each)} ms" for each in (profile.layers_us, profile.call_cost_us))
        share = f" ({100 * profile.layers_us / profile.call_cost_us:.1f} %)" if profile.call_cost_us else ""
        notes.append(f"{name}: all layers together {layers} of {call} for a call{share}.")
    if compared.other is not None:
        name = f"{compared.other.config.precision.value}{of_model(story, compared.other.config.model)}"
        for pairs, what in (
            (compared.slower, "SLOWER than in FP32"),
            (compared.stayed_float, "computed in float still"),
        ):
            if pairs:
                named = ", ".join(each.main.name for each in pairs[:MOST_NAMED])
                more = f" and {len(pairs) - MOST_NAMED} more" if len(pairs) > MOST_NAMED else ""
                notes.append(f"{name}: {what}: {named}{more}.")
    return notes


def _layers(story: Story, compared: LayerComparison) -> Figure:
    sides = tuple(filter(None, (compared.reference, compared.other)))
    names = [each.config.precision for each in sides]
    bars, rows = [], []
    for rank, pair in enumerate(compared.costliest, 1):
        costs = (pair.reference_us, pair.other_us)[: len(sides)]
        kernels = (_kernels(pair, True), _kernels(pair, False))[: len(sides)]
        stretches = tuple(
            Stretch(cost, COLOURS[precision], f"{precision.value}: {significant(cost)} µs, {kernel}")
            for cost, precision, kernel in zip(costs, names, kernels, strict=True)
        )
        figure = f"{' → '.join(map(significant, costs))} µs"
        figure += f", {ratio(pair.ratio).partition(' ')[0]}×" if pair.ratio else ""
        bars.append(Bar(f"{rank} {pair.main.name}", figure, stretches))
        told = [text for cost, kernel in zip(costs, kernels, strict=True) for text in (kernel, significant(cost))]
        ratios = () if compared.other is None else (ratio(pair.ratio), "SLOWER" if pair.slower else DASH)
        rows.append((str(rank), pair.main.name, pair.main.kind, *told, *ratios))
    of = of_model(story, compared.subject.config.model)
    title = f"The {len(bars)} costliest in {compared.subject.config.precision.value}{of}"
    columns = [text for name in names for text in (f"{name.value} kernel", "µs")]
    headings = (
        "#",
        "layer",
        "type",
        *columns,
        *(() if compared.other is None else ("time / FP32's [95 %]", "verdict")),
    )
    keys = [(name.value, COLOURS[name]) for name in names]
    caption = f"The {len(bars)} layers that cost most in {compared.subject.config.precision.value}{of}"
    return Figure(paired_chart(title, bars, keys, "µs an inference"), make_table(caption, headings, rows))


def _kernels(pair: LayerPair, reference: bool) -> str:
    layers = pair.reference if reference else pair.other
    return " + ".join(dict.fromkeys(each.kernel for each in layers)) or DASH


# ----------------------------------------------------------------------------------------- what it was held against


def beside_parts(story: Story, heading: str) -> list[Part]:
    """benchmark_app, the pipeline from file to top-5 and the baseline, as far as they were asked for."""
    parts = []
    if any(each.turns for each in story.references.values()):
        table = from_terminal(reference_table(story.references), "Beside benchmark_app")
        parts.append(Part(tables=(table,), notes=tuple(reference_notes(story.references))))
    if story.pipelines:
        several = several_models(story)
        named = {f"{model} {precision.value}" if several else precision.value: each
                 for (model, precision), each in story.pipelines.items()}  # fmt: skip
        table = from_terminal(pipelines_table(named), "From file to top-5, images a second [95 %]")
        parts.append(Part(tables=(table,), notes=tuple(pipeline_notes(named))))
    baseline = story.baseline
    if baseline is not None and baseline.judged:
        reasons = dict.fromkeys((each.what, each.verdict.value, each.reason) for each in baseline.judged if each.reason)
        notes = [f"{what} {verdict}: {reason}" for what, verdict, reason in reasons]
        parts.append(Part(tables=(_baseline_table(story),), notes=(*notes, *baseline.notes)))
    return [replace(part, heading="" if place else heading) for place, part in enumerate(parts)]


def _baseline_table(story: Story) -> Table:
    baseline = story.baseline
    assert baseline is not None
    several = several_models(story)
    rows = [
        (each.config.key if several else each.config.id, each.what, ratio(each.estimate, digits=3),
         DASH if each.estimate is None else str(each.estimate.count), "FAILED" if each.failed else each.verdict.value)
        for each in baseline.judged
    ]  # fmt: skip
    caption = (
        f"Against the baseline {baseline.written}, OpenVINO {baseline.version.split('-')[0] or 'unknown'}; tolerance "
        f"{100 * baseline.tolerance:g} %"
    )
    return make_table(caption, ("cell", "figure", "cost now / then [interval]", "from", "verdict"), rows)


# -------------------------------------------------------------------------------------------------------- the machine


def machine_part(story: Story, heading: str) -> Part:
    """Where it ran, what each cell asked for and got, what else was noted, and the command that runs it again."""
    tables = [_configs_table(story)] if story.cells else []
    tables.append(_settings_table(story))
    warnings = dict.fromkeys(each.warning for each in story.cells if each.warning)
    notes = [*story.notes, *(note for each in story.models for note in each.notes), *warnings]
    return Part(heading=heading, facts=_facts(story), tables=tuple(tables), code=story.command, notes=tuple(notes))


def _facts(story: Story) -> tuple[tuple[str, str], ...]:
    machine = story.machine
    quota = "none" if machine.cpu_quota_cores is None else f"{machine.cpu_quota_cores:g} cores"
    memory = machine.memory_total_bytes
    facts = [
        ("CPU", f"{machine.cpu_brand or 'unknown'} ({machine.cpu_model or 'model unknown'})"),
        ("Instruction set", f"{machine.isa.value}: {', '.join(machine.compute_flags) or 'unknown'}"),
        ("Cores", f"{machine.cores}, CPU quota {quota}"),
        ("Memory", "unknown" if memory is None else f"{mebibytes(memory)} MiB"),
        ("System", f"{machine.system} {machine.kernel}, {machine.architecture}, Python {machine.python}"),
        ("Libraries", ", ".join(f"{name} {version}" for name, version in story.versions.items() if version)),
        ("Fingerprint", story.fingerprint),
        ("Commit", story.commit or DASH),
        ("Session", _session(story)),
        ("Journal", story.path.name),
    ]  # fmt: skip
    for model in story.models:
        sizes = ", ".join(f"{name.value} {megabytes(size)} MB" for name, size in model.sizes_bytes.items())
        facts.append((f"Model {model.name}", f"SHA-256 {model.sha256[:12]}{f', {sizes}' if sizes else ''}"))
    return tuple(facts)


def _session(story: Story) -> str:
    ended = "killed, or not over" if story.exit_status is None else f"exit status {story.exit_status}"
    return f"{story.label}, {date_of(story.began_s)} to {date_of(story.ended_s)}, {ended}"


def _configs_table(story: Story) -> Table:
    """Every cell; with its hint where OpenVINO took another than was asked for."""
    told = any(each.effective.get("hint") not in (None, each.config.hint.value) for each in story.cells)
    columns = {name: name.rpartition("_")[2] for name in GOT if told or name != "hint"}
    headings = ("cell", "asked for", *columns.values(), "kernels", "same as")
    several = several_models(story)
    rows = [
        (
            each.config.key if several else each.name,
            _asked(each.config),
            *(_value(each.effective.get(name)) for name in columns),
            _shares_of(each),
            DASH if each.alias_of is None else cell_name(each.alias_of),
        )
        for each in story.cells
    ]
    table = make_table("Asked for and got; kernels by multiply-accumulates", headings, rows)
    return replace(table, texts=frozenset(range(1, len(headings))))


def _shares_of(cell: CellStory) -> str:
    shares = cell.effective.get("mac_shares") or {}
    return ", ".join(f"{kernel} {share:.0%}" for kernel, share in shares.items()) or DASH


def _asked(config: Config) -> str:
    axes = config.axes
    told = [str(axes["hint"]), f"streams {axes['streams']}", f"cache {axes['cache']}"]
    told += [f"{name} {axes[name]}" for name in ("threads", "requests", "batch") if axes[name]]
    told += [f"{name.replace('_', '-')} {'on' if axes[name] else 'off'}" for name in ("pinning", "hyper_threading")
             if name in axes]  # fmt: skip
    told += ["copied inputs"] if axes["inputs"] == "copied" else []
    return ", ".join(told)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return DASH if value is None or value == "" else str(value)


def _settings_table(story: Story) -> Table:
    rows = [
        (f"--ov-{name.replace('_', '-')}", text.replace("\n", ", ") or DASH) for name, text in story.settings.items()
    ]
    return replace(make_table("All options", ("option", "value"), rows), texts=frozenset({1}), folded=True)
