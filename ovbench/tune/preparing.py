"""What there is to race: the model and its files, the precisions that agree, and all candidates in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial

from ovbench import machine, runtime
from ovbench.accuracy import Accuracy
from ovbench.agreement import Agreement
from ovbench.artifacts import ArtifactCache
from ovbench.campaign import Order
from ovbench.candidates import candidates, default_space
from ovbench.config import AUTO, Config, Hint, Precision
from ovbench.errors import BadOption, NotWritable, OvbenchError
from ovbench.models import source as sources
from ovbench.models.source import Source
from ovbench.models.variants import variant_of
from ovbench.options import Settings
from ovbench.precision import Variant
from ovbench.suite import MEMORY_SHARE
from ovbench.tune.asked import Aim, Limit

Progress = Callable[[str], AbstractContextManager[Callable[[float, str], None]]]


@dataclass(frozen=True)
class ModelFiles:
    """The model, a variant of it for each precision that can be had, and why others are left out.

    ``agreements`` with FP32 are known only where a least one was asked for; who is under it is left out too.
    """

    source: Source
    variants: Mapping[Precision, Variant]
    left_out: Mapping[Precision, str] = field(default_factory=dict)
    agreements: Mapping[Precision, Agreement] = field(default_factory=dict)


def resolve(aim: Aim, cache: ArtifactCache, progress: Progress) -> ModelFiles:
    """Find the model and its variants; a precision that cannot be had is left out, unless no other is asked for."""
    settings = aim.settings
    (given,) = settings.model
    with progress("Model") as advance:
        source = sources.resolve(given, settings, cache, lambda doing, share: advance(share, doing))
    reference = (Precision.FP32,) if aim.constraints.min_agreement is not None else ()
    variants: dict[Precision, Variant] = {}
    left_out: dict[Precision, str] = {}
    for precision in dict.fromkeys((*reference, *settings.precision)):
        reason = runtime.unsupported(precision, settings.device)
        if not reason:
            try:
                with progress(f"{precision.value} model") as advance:
                    variants[precision] = variant_of(
                        source, precision, settings, cache, lambda doing, share: advance(share, doing)
                    )
            except NotWritable:
                raise
            except OvbenchError as error:
                reason = str(error)
        if reason:
            left_out[precision] = reason
    files = ModelFiles(source, variants, left_out)
    if not precisions_of(files, settings):
        raise BadOption(f"--precision {settings.precision[0].value}: {left_out[settings.precision[0]]}")
    return files


def precisions_of(files: ModelFiles, settings: Settings) -> tuple[Precision, ...]:
    """Those that were asked for and can be had."""
    return tuple(each for each in settings.precision if each not in files.left_out)


def leave_out_disagreeing(files: ModelFiles, settings: Settings, floor: float, progress: Progress) -> ModelFiles:
    """Find every precision's agreement with FP32, and leave out those under --min-agreement, by their point estimate.

    Raises BadOption where it cannot be measured, or none of the precisions asked for agrees.
    """
    source = files.source
    if source.classes is None or source.evaluation is None:
        reason = source.reason or f"{source.name} gives no row of class scores"
        raise BadOption(f"{Limit.AGREEMENT.value} {floor:g}: {reason}")
    if Precision.FP32 not in files.variants:
        raise BadOption(
            f"{Limit.AGREEMENT.value} {floor:g}: needs FP32 to agree with: {files.left_out[Precision.FP32]}"
        )
    accuracy = Accuracy()
    for precision, variant in files.variants.items():
        with progress(f"Agreement {precision.value}") as advance:
            cell = Config(source.name, settings.device, precision, Hint.THROUGHPUT, AUTO)
            compiled = runtime.compile_cell(variant.path, cell, settings.shape, None)
            accuracy.run(source, precision, compiled, partial(_advance, advance))
        accuracy.judge(source, precision)
    agreements = {precision: accuracy.agreements[source.name, precision] for precision in files.variants}
    disagreeing = {
        precision: f"top-1 agreement with FP32 is {agreement.top1.value:.3f}, under {Limit.AGREEMENT.value} {floor:g}"
        for precision, agreement in agreements.items()
        if agreement.top1.value < floor
    }
    found = replace(files, left_out={**files.left_out, **disagreeing}, agreements=agreements)
    if not precisions_of(found, settings):
        shares = {each: agreements[each].top1.value for each in settings.precision if each in agreements}
        nearest = max(shares, key=shares.__getitem__)
        raise BadOption(
            f"{Limit.AGREEMENT.value} {floor:g}: no candidate holds it; the nearest is {shares[nearest]:.3f}: "
            f"{nearest.value}"
        )
    return found


def _advance(advance: Callable[[float, str], None], share: float) -> None:
    advance(share, "")


def order_of(files: ModelFiles, aim: Aim, host: machine.Machine) -> Order:
    """All candidates, and how they are raced."""
    name, settings = files.source.name, aim.settings
    ours, physical = machine.own_cores(), machine.physical_cores()
    shared = [len(core if ours is None else core & ours) for core in physical]
    quota = machine.quota_threads(host)
    cores = min(each for each in (host.cores, quota, aim.constraints.max_threads) if each)
    space = replace(
        default_space(cores, max(shared, default=1), precisions_of(files, settings)),
        model=name,
        device=settings.device,
        **aim.axes,
    )
    free = machine.available_memory_bytes()
    return Order(
        configs=candidates(space),
        variants={(name, precision.value): each for precision, each in files.variants.items()},
        shape=settings.shape,
        budget_s=settings.budget,
        warmup_s=settings.warmup,
        seed=settings.seed,
        max_memory_bytes=None if free is None else int(free * MEMORY_SHARE),
        quota_threads=cores if cores < host.cores else 0,
    )
