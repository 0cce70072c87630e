"""Verdicts first: what was measured, which gates held, and every cell with its figures."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence

from ovbench.agreement import Agreement, judge_drop
from ovbench.config import Precision
from ovbench.report.baseline import judged_text
from ovbench.report.gates import gate_text
from ovbench.report.html.intervals import MOST_ROWS, Row, intervals_chart, values_of
from ovbench.report.html.parts import Figure, Part, Table, Tile, make_table, without_empty
from ovbench.report.numbers import DASH, megabytes, milliseconds, ran_as, ratio, significant
from ovbench.report.page import shortened
from ovbench.stats import MIN_REPLICATES, Estimate
from ovbench.story.facts import CellStory, Story
from ovbench.story.figures import NOISE_BAND
from ovbench.verdict import SPEEDUP, Outcome, Verdict

LONGEST_NAME = 48  # letters of a model's name in a title
WORST_FIRST = (Verdict.SLOWER, Verdict.UNSURE, Verdict.SKIPPED, Verdict.SAME, Verdict.FASTER)
COUNTED_OUTCOMES = (Outcome.FAILED, Outcome.UNSURE, Outcome.HELD, Outcome.SKIPPED)

READING = (
    "A cell's name: precision; hint: lat (latency) or thr (throughput); streams; model cache, or copied (inputs).",
    "After it, what was set: t threads, r requests, b batch.",
    "Ran as: kernels by multiply-accumulates, s streams, t threads, r requests. Top-1: first answers that are FP32's.",
    "Rows of the throughput hint show latency under load.",
    "Speed-ups are taken inside rounds, their intervals over fresh processes.",
)


def several_models(story: Story) -> bool:
    """Whether names need their model before them."""
    return len(models_of(story)) > 1


def models_of(story: Story) -> tuple[str, ...]:
    """The session's models, in the order of its cells."""
    return tuple(dict.fromkeys([*(each.config.model for each in story.cells), *(each.name for each in story.models)]))


def of_model(story: Story, model: str) -> str:
    """`` of net`` where a session has several models, to end a title with."""
    return f" of {short_name(model)}" if several_models(story) else ""


def short_name(model: str) -> str:
    """A model's name as titles and sentences have it; the facts of the machine tell it whole."""
    return shortened(model, LONGEST_NAME)


def shown_cells(story: Story) -> tuple[CellStory, ...]:
    """Cells with figures of their own."""
    return tuple(each for each in story.cells if each.measured)


def verdicts_part(story: Story, heading: str, stories: Sequence[Story]) -> Part:
    """The session in one sentence, what failed or is unsure and why, and all cells."""
    shown = shown_cells(story)
    by_model = {model: [each for each in shown if each.config.model == model] for model in models_of(story)}
    return Part(
        heading=heading,
        lines=_sentences(story, by_model),
        tiles=_tiles(story, by_model),
        alerts=_alerts(story),
        tables=tuple(_cells_table(story, model) for model in models_of(story) if _rows_of(story, model)),
        figures=tuple(each for model in by_model for each in _speedups(story, model, stories)),
        reading=READING if shown else (),
        notes=_notes(story, shown),
    )


def _sentences(story: Story, by_model: Mapping[str, Sequence[CellStory]]) -> tuple[str, ...]:
    machine = story.machine
    cells = [each for cells in by_model.values() for each in cells]
    openvino = (story.versions.get("openvino") or "unknown").split("-")[0]
    cores = f"{machine.cores} {'core' if machine.cores == 1 else 'cores'}"
    where = f"{machine.cpu_brand or 'an unknown CPU'} ({machine.isa.value}, {cores})"
    lanes = story.measured.lanes
    was = "was" if len(cells) == 1 else "were"
    processes = f"{lanes} fresh {'process' if lanes == 1 else 'processes'}"
    names = ", ".join(map(short_name, by_model))
    measured = (
        f"{_counted(len(cells), 'configuration')} of {names} {was} measured in {processes}"
        if cells
        else "No configuration was measured"
    )
    first = f"{measured} on {where} with OpenVINO {openvino}. {_gates_sentence(story)}"
    best = (line for model, cells in by_model.items() if (line := _best_sentence(story, model, cells)))
    killed = ("The session was killed or is not over: this is what it had measured.",)
    return (*(killed if story.exit_status is None else ()), first, *best, *_accuracy_sentences(story))


def _accuracy_sentences(story: Story) -> tuple[str, ...]:
    """What the answers of each lower precision are worth, of the models that classify."""
    sentences = []
    for model in models_of(story):
        of = f"{short_name(model)}: " if several_models(story) else ""
        for each in story.accuracy:
            if each.model == model and each.precision is not Precision.FP32 and each.agreement is not None:
                share = f"{100 * each.agreement.top1.value:.1f} % of {each.agreement.images} images"
                drop = _drop(each.agreement, each.max_drop)
                sentences.append(f"{of}{each.precision.value} gives FP32's first answer on {share}{drop}.")
    return tuple(sentences)


def _drop(agreement: Agreement, max_drop: float) -> str:
    """What a precision costs in accuracy, and whether that is less than is allowed; "" without labels."""
    if agreement.label_top1_drop is None:
        return ""
    held = f"less than {100 * max_drop:g}: {judge_drop(agreement, max_drop).outcome.value}"
    return f"; its top-1 accuracy drops by {ratio(in_percent(agreement.label_top1_drop))} points ({held})"


def in_percent(share: Estimate) -> Estimate:
    """A share, or a difference of shares, in percent or points."""
    low, high = (None if each is None else 100 * each for each in (share.low, share.high))
    return Estimate(100 * share.value, low, high, share.count)


def _gates_sentence(story: Story) -> str:
    if not story.gates:
        return "No gate is recorded."
    outcomes = Counter(gate.outcome for gate in story.gates)
    total = len(story.gates)
    if len(outcomes) == 1:
        outcome = next(iter(outcomes))
        return f"{'The one gate' if total == 1 else f'All {total} gates'}: {outcome.value}."
    return f"{total} gates: {_counts(outcomes)}."


def _counts(outcomes: Counter[Outcome]) -> str:
    return ", ".join(f"{outcomes[each]} {each.value}" for each in COUNTED_OUTCOMES if outcomes[each])


def _best_sentence(story: Story, model: str, cells: Sequence[CellStory]) -> str:
    fastest, quickest = _most_images(cells), _least_latency(cells)
    of = f"{short_name(model)}: " if several_models(story) else ""
    texts = []
    if fastest is not None:
        texts.append(f"{fastest.name} infers the most images a second, {fps_of(fastest)}")
    if quickest is not None:
        texts.append(f"{quickest.name} has the lowest median latency, {p50_of(quickest)}")
    if fastest is not None and fastest is quickest:
        both = f"the most images a second, {fps_of(fastest)}, and the lowest median latency, {p50_of(fastest)}"
        texts = [f"{fastest.name} has {both}"]
    return of + "; ".join(texts) + "." if texts else ""


def _most_images(cells: Sequence[CellStory]) -> CellStory | None:
    told = [(each.summary.frames_per_second, each) for each in cells if each.summary is not None]
    return max(told, key=lambda each: each[0])[1] if told else None


def _least_latency(cells: Sequence[CellStory]) -> CellStory | None:
    told = [(each.summary.p50_ns, each) for each in cells if each.summary and each.summary.p50_ns is not None]
    return min(told, key=lambda each: each[0])[1] if told else None


def fps_of(cell: CellStory | None) -> str:
    """Its images a second, with the unit."""
    return DASH if cell is None or cell.summary is None else f"{significant(cell.summary.frames_per_second)} FPS"


def p50_of(cell: CellStory | None) -> str:
    """Its median latency, with the unit."""
    return DASH if cell is None or cell.summary is None else f"{milliseconds(cell.summary.p50_ns)} ms"


def _tiles(story: Story, by_model: Mapping[str, Sequence[CellStory]]) -> tuple[Tile, ...]:
    tiles = []
    outcomes = Counter(gate.outcome for gate in story.gates)
    if outcomes:
        tiles.append(
            counts_tile("Gates", [(outcomes[each], each.value) for each in COUNTED_OUTCOMES if outcomes[each]])
        )
    verdicts = Counter(each.verdict for cells in by_model.values() for each in cells if each.verdict)
    if verdicts:
        tiles.append(
            counts_tile("Speed beside FP32", [(verdicts[each], each.value) for each in WORST_FIRST if verdicts[each]])
        )
    if len(by_model) == 1:
        cells = next(iter(by_model.values()))
        quickest, fastest = _least_latency(cells), _most_images(cells)
        if quickest is not None:
            tiles.append(Tile("Lowest latency, p50", p50_of(quickest), quickest.name))
        if fastest is not None:
            tiles.append(Tile("Most images a second", fps_of(fastest), fastest.name))
    return tuple(tiles)


def counts_tile(name: str, counts: Sequence[tuple[int, str]]) -> Tile:
    """The first of (count, verdict) in large, the others below."""
    first, *others = (f"{count} {verdict}" for count, verdict in counts)
    return Tile(name, first, ", ".join(others) or "all of them", counts[0][1])


def _alerts(story: Story) -> tuple[str, ...]:
    """All that did not hold: gates, benches, cells, the baseline, in one line each."""
    several = several_models(story)
    lines = []
    for outcome in (Outcome.FAILED, Outcome.UNSURE):
        lines += [gate_text(gate, several) for gate in story.gates if gate.outcome is outcome]
    if story.baseline is not None:
        lines += [judged_text(each, story.baseline.tolerance) for each in story.baseline.judged if each.broken]
    told = "\n".join(lines)
    for bench in story.benches:
        reason = (bench.reason.strip().splitlines() or ["no reason was told"])[0]
        if bench.outcome not in ("passed", "skipped") and reason not in told:
            lines.append(f"{bench.fullname}: {bench.outcome}: {reason}")
    lines += [f"{each.config.key if several else each.name}: {each.fault}" for each in story.cells
              if each.fault and each.fault not in told]  # fmt: skip
    return tuple(dict.fromkeys(lines))


def _rows_of(story: Story, model: str) -> list[CellStory]:
    return [each for each in story.cells if each.config.model == model and (each.measured or each.fault)]


def _cells_table(story: Story, model: str) -> Table:
    headings = ("cell", "p50 ms", "p95 ms", "p99 ms", "FPS", "over FP32 [95 %]", "verdict", "top-1 %", "MB", "ran as")
    rows = [_cell_row(story, cell) for cell in _rows_of(story, model)]
    table = make_table(f"Every configuration{of_model(story, model)} that was measured", headings, rows)
    return without_empty(table, ("top-1 %", "MB"))


def _cell_row(story: Story, cell: CellStory) -> tuple[str, ...]:
    summary, name = cell.summary, cell.name
    if summary is None or cell.fault:
        return (name, *[DASH] * 5, "no evidence", *[DASH] * 3)
    return (
        name,
        milliseconds(summary.p50_ns),
        milliseconds(summary.p95_ns),
        milliseconds(summary.p99_ns),
        significant(summary.frames_per_second),
        ratio(cell.speedup),
        DASH if cell.verdict is None else cell.verdict.value,
        _top1(story, cell),
        megabytes(cell.size_bytes),
        ran_as(cell.effective),
    )


def _top1(story: Story, cell: CellStory) -> str:
    for each in story.accuracy:
        if (each.model, each.precision) == (cell.config.model, cell.config.precision) and each.agreement is not None:
            return f"{100 * each.agreement.top1.value:.1f}"
    return DASH


def _speedups(story: Story, model: str, stories: Sequence[Story]) -> list[Figure]:
    return interval_figures(
        f"Speed-up over FP32{of_model(story, model)}",
        _speedup_rows(story, model),
        [row for each in stories for row, _texts in _speedup_rows(each, model)],
        "times as fast as FP32",
        ("over FP32 [95 %]", "lanes", "floor", "verdict"),
        (1 / (1 + NOISE_BAND), 1 + NOISE_BAND),
    )


def _speedup_rows(story: Story, model: str) -> Sequence[tuple[Row, tuple[str, ...]]]:
    floors = {gate.config: gate.floor for gate in story.gates if gate.what == SPEEDUP}
    told = []
    for cell in shown_cells(story):
        if cell.config.model == model and cell.speedup is not None:
            verdict, floor = DASH if cell.verdict is None else cell.verdict.value, floors.get(cell.config)
            row = Row(cell.name, cell.config.precision, cell.speedup, f"{ratio(cell.speedup)} {verdict}", floor)
            texts = (ratio(cell.speedup), str(cell.speedup.count), DASH if floor is None else f"{floor:.2f}", verdict)
            told.append((row, texts))
    return told


def interval_figures(
    title: str,
    told: Sequence[tuple[Row, tuple[str, ...]]],
    alike: Sequence[Row],
    x_title: str,
    headings: tuple[str, ...],
    neutral: tuple[float, float] | None = None,
) -> list[Figure]:
    """Rows and what a table says of each, in panels of one axis that holds ``alike`` too; none for no rows."""
    values = values_of([*(row for row, _texts in told), *alike])
    figures = []
    for first in range(0, len(told), MOST_ROWS):
        panel = told[first : first + MOST_ROWS]
        part = f", {first + 1} to {first + len(panel)} of {len(told)}" if len(told) > MOST_ROWS else ""
        chart = intervals_chart(title + part, [row for row, _texts in panel], x_title, values, neutral)
        rows = [(row.name, *texts) for row, texts in panel]
        figures.append(Figure(chart, make_table(title + part, ("cell", *headings), rows)))
    return figures


def _notes(story: Story, shown: Sequence[CellStory]) -> tuple[str, ...]:
    """What bears on all figures."""
    notes = []
    if shown and story.measured.lanes < MIN_REPLICATES:
        notes.append(f"Fewer than {MIN_REPLICATES} fresh processes give no interval: raise --ov-budget.")
    rejected = len(story.measured.rejected)
    if rejected:
        kept = (
            "the machine was busy, so verdicts are UNSURE and figures are of all rounds" if story.busy else "left out"
        )
        notes.append(
            f"{rejected} of {story.measured.rounds} rounds lost more than a tenth of the cores to others: {kept}."
        )
    several = several_models(story)
    for (model, precision), reason in story.skipped.items():
        notes.append(f"{f'{short_name(model)} ' if several else ''}{precision.value}: SKIPPED, {reason}")
    return tuple(notes)


def capitalized(text: str) -> str:
    """The text as a sentence begins."""
    return text[:1].upper() + text[1:]


def date_of(time_s: float) -> str:
    """``2026-11-23 04:00 UTC`` from seconds since 1970."""
    return datetime.datetime.fromtimestamp(time_s, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
