"""Layers as text: FP32 beside another precision, the costliest, those that stayed float, those that got slower."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from rich import box
from rich.table import Table

from ovbench.config import Config
from ovbench.layers import (
    LAYER_BAND,
    Layer,
    LayerComparison,
    LayerPair,
    LayerProfile,
    compare_all,
)
from ovbench.precision import KERNEL
from ovbench.report.numbers import DASH, milliseconds, ratio, significant
from ovbench.report.page import open_page, printable, shortened

# Of 100 columns. Kernels are folded and never shortened: they are what the table is for.
NAME_WIDTH = 19
KIND_WIDTH = 10
KERNEL_WIDTH = 15


def layers_text(profiles: Mapping[Config, LayerProfile], files: Sequence[Path], coloured: bool) -> str:
    """Every precision of every model beside FP32, and the counters' ``files``; 100 columns."""
    console, stream = open_page(coloured)
    comparisons = compare_all(profiles)
    for comparison in comparisons:
        for table in _tables(comparison):
            console.print(table, "")
        for line in _lines(comparison):
            console.print(line)
        console.print()
    if comparisons:
        console.print(_legend(comparisons))
    for profile in profiles.values():
        if profile.fault:
            console.print(f"{profile.config.key}: no layers: {profile.fault}")
    for path in files:
        console.print(f"Counters: {path}", soft_wrap=True)
    return stream.getvalue()


def _tables(comparison: LayerComparison) -> Iterable[Table]:
    model, precision = comparison.subject.config.model, _precision(comparison.subject)
    costliest = comparison.costliest
    taken = sum(comparison.cost_us(pair) for pair in costliest)
    share = _percent(taken, comparison.subject.layers_us)
    yield _table(
        comparison,
        f"{model}: the {len(costliest)} layers that cost most in {precision}, {share} of its layers' time",
        ("#", lambda pair: str(costliest.index(pair) + 1)),
        costliest,
    )
    if comparison.stayed_float:
        title = f"{model}: layers that stayed {_before(comparison)} in {precision}, with their share of the MACs"
        macs = ("MACs", lambda pair: _percent(pair.macs, comparison.macs))
        yield _table(comparison, title, macs, comparison.stayed_float)
    if comparison.slower:
        title = f"{model}: layers that are SLOWER in {precision}"
        lost = ("lost us", lambda pair: significant(pair.other_us - pair.reference_us))
        yield _table(comparison, title, lost, comparison.slower)


def _table(
    comparison: LayerComparison, title: str, first: tuple[str, Callable[[LayerPair], str]], pairs: Sequence[LayerPair]
) -> Table:
    table = Table(title=printable(title), title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    heading, first_cell = first
    table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("layer", no_wrap=True)
    table.add_column("type", no_wrap=True)
    for profile in _sides(comparison):
        table.add_column(f"{_precision(profile)} kernel", overflow="fold", max_width=KERNEL_WIDTH)
        table.add_column("us", justify="right", no_wrap=True)
    if comparison.other is not None:
        table.add_column("ratio [95 %]", no_wrap=True)
    for pair in pairs:
        cells = [first_cell(pair), shortened(pair.main.name, NAME_WIDTH), _kind(pair.main)]
        cells += [_kernels(pair.reference), _cost(pair.reference, pair.reference_us)]
        if comparison.other is not None:
            cells += [_kernels(pair.other), _cost(pair.other, pair.other_us), ratio(pair.ratio)]
        table.add_row(*map(printable, cells))
    return table


def _sides(comparison: LayerComparison) -> tuple[LayerProfile, ...]:
    return (comparison.reference,) if comparison.other is None else (comparison.reference, comparison.other)


def _lines(comparison: LayerComparison) -> list[str]:
    lines = []
    if comparison.other is not None:
        precision = _precision(comparison.other)
        if not comparison.stayed_float and KERNEL[comparison.other.config.precision] != "f32":
            lines.append(f"No layer stayed {_before(comparison)} in {precision}.")
        if comparison.reference.busy or comparison.other.busy:
            lines.append(
                "The machine was busy with others' work: the figures are loose, and no layer is called slower."
            )
        elif not comparison.slower:
            lines.append(f"No layer is proven slower in {precision}.")
        if comparison.longer:
            lines.append(f"{len(comparison.longer)} took longer in {precision} by less than can be proven.")
        for profile, lone in zip(_sides(comparison), (comparison.only_reference, comparison.only_other), strict=True):
            lines += _only_there(profile, lone)
    return lines + [_total(profile) for profile in _sides(comparison)]


def _only_there(profile: LayerProfile, lone: Sequence[LayerPair]) -> list[str]:
    nodes = [layer for pair in lone for layer in (*pair.reference, *pair.other)]
    if not nodes:
        return []
    total_us = sum(layer.cost_us for layer in nodes)
    share = _percent(total_us, profile.layers_us)
    return [
        f"Only in {_precision(profile)}, {significant(total_us)} us together ({share}):",
        *(f"  {layer.kind} {shortened(layer.name, 50)}, {layer.kernel}, {significant(layer.cost_us)} us"
          for layer in nodes),
    ]  # fmt: skip


def _total(profile: LayerProfile) -> str:
    return (
        f"{_precision(profile)}: all layers together {milliseconds(1e3 * profile.layers_us)} ms of "
        f"{milliseconds(1e3 * profile.call_cost_us)} ms for a call "
        f"({_percent(profile.layers_us, profile.call_cost_us)})."
    )


def _legend(comparisons: Sequence[LayerComparison]) -> str:
    lanes = len(comparisons[0].reference.call_us)
    text = (
        f"Layers: medians of {lanes} {'lane' if lanes == 1 else 'lanes'} in which the precisions took turns; OpenVINO "
        "counts whole microseconds, rounded down. ratio: time over FP32's."
    )
    if any(comparison.other is not None for comparison in comparisons):
        text += (
            f" SLOWER: by more than {100 * LAYER_BAND:.0f} % and 1 us, with less than 5 % chance that any layer "
            f"is named wrongly. Layers are ranked by the other precision's time, which is what is left to win."
        )
    return text


def _precision(profile: LayerProfile) -> str:
    return profile.config.precision.value


def _before(comparison: LayerComparison) -> str:
    """What a layer stays that does not become what the precision promises."""
    return "float" if KERNEL[comparison.subject.config.precision] == "i8" else "f32"


def _kind(layer: Layer) -> str:
    """``GroupConv``: what most layers are needs no long name."""
    return shortened(layer.kind.replace("Convolution", "Conv"), KIND_WIDTH)


def _kernels(layers: Sequence[Layer]) -> str:
    """Each kernel once, broken after a word; a dash where the side has no such layer."""
    text = " + ".join(dict.fromkeys(layer.kernel for layer in layers)) or DASH
    lines = [""]
    for word in re.split(r"(?<=[_ ])", text):
        if lines[-1] and len(lines[-1] + word.rstrip()) > KERNEL_WIDTH:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)


def _cost(layers: Sequence[Layer], cost_us: float) -> str:
    return significant(cost_us) if layers else DASH


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else DASH
