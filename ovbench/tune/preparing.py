"""What there is to race: the model and its files, the precisions that agree, and all candidates in order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

from ovbench import machine, runtime
from ovbench.accuracy import Accuracy
from ovbench.artifacts import ArtifactCache
from ovbench.campaign import Order
from ovbench.candidates import candidates, default_space
from ovbench.config import AUTO, Config, Hint, Precision
from ovbench.errors import BadOption, NotWritable, OvbenchError
from ovbench.models import source as sources
from ovbench.suite import MEMORY_SHARE
from ovbench.tune.asked import Limit
from ovbench.tune.tuned import Tuned

Progress = Callable[[str], AbstractContextManager[Callable[[float, str], None]]]


def resolve(tuned: Tuned, cache: ArtifactCache, progress: Progress) -> None:
    """Find the model and its variants; a precision that cannot be had is left out, unless no other is asked for."""
    settings = tuned.aim.settings
    (given,) = settings.model
    with progress("Model") as advance:
        tuned.source = sources.resolve(given, settings, cache, lambda doing, share: advance(share, doing))
    reference = (Precision.FP32,) if tuned.aim.constraints.min_agreement is not None else ()
    for precision in dict.fromkeys((*reference, *settings.precision)):
        reason = runtime.unsupported(precision, settings.device)
        if not reason:
            try:
                with progress(f"{precision.value} model") as advance:
                    tuned.variants[precision] = sources.variant_of(
                        tuned.source, precision, settings, cache, lambda doing, share: advance(share, doing)
                    )
            except NotWritable:
                raise
            except OvbenchError as error:
                reason = str(error)
        if reason:
            tuned.left_out[precision] = reason
    if not precisions_of(tuned):
        raise BadOption(f"--precision {settings.precision[0].value}: {tuned.left_out[settings.precision[0]]}")


def precisions_of(tuned: Tuned) -> tuple[Precision, ...]:
    """Those that were asked for and can be had."""
    return tuple(each for each in tuned.aim.settings.precision if each not in tuned.left_out)


def order_of(tuned: Tuned) -> Order:
    """All candidates, and how they are raced."""
    assert tuned.source is not None, "the model is resolved first"
    aim, settings = tuned.aim, tuned.aim.settings
    ours, physical = machine.own_cores(), machine.physical_cores()
    shared = [len(core if ours is None else core & ours) for core in physical]
    quota = machine.quota_threads(tuned.host)
    cores = min(each for each in (tuned.host.cores, quota, aim.constraints.max_threads) if each)
    space = replace(
        default_space(cores, max(shared, default=1), precisions_of(tuned)),
        model=tuned.source.name,
        device=settings.device,
        **aim.axes,
    )
    free = machine.available_memory_bytes()
    return Order(
        configs=candidates(space),
        variants={(tuned.source.name, precision.value): each for precision, each in tuned.variants.items()},
        shape=settings.shape,
        budget_s=settings.budget,
        warmup_s=settings.warmup,
        seed=settings.seed,
        max_memory_bytes=None if free is None else int(free * MEMORY_SHARE),
        quota_threads=cores if cores < tuned.host.cores else 0,
    )


def leave_out_disagreeing(tuned: Tuned, progress: Progress) -> None:
    """Find every precision's agreement with FP32, and leave out those under --min-agreement, by their point estimate.

    Raises BadOption where it cannot be measured, or none of the precisions asked for agrees.
    """
    source, settings, floor = tuned.source, tuned.aim.settings, tuned.aim.constraints.min_agreement
    assert source is not None, "the model is resolved first"
    assert floor is not None, "asked only with a floor"
    if source.classes is None or source.evaluation is None:
        reason = source.reason or f"{source.name} gives no row of class scores"
        raise BadOption(f"{Limit.AGREEMENT.value} {floor:g}: {reason}")
    accuracy = Accuracy()
    for precision, variant in tuned.variants.items():
        with progress(f"Agreement {precision.value}") as advance:
            cell = Config(source.name, settings.device, precision, Hint.THROUGHPUT, AUTO)
            compiled = runtime.compile_cell(variant.path, cell, settings.shape, None)
            accuracy.run(source, precision, compiled, partial(_advance, advance))
        accuracy.judge(source, precision)
        agreement = tuned.agreements[precision] = accuracy.agreements[source.name, precision]
        if agreement.top1.value < floor:
            tuned.left_out[precision] = (
                f"top-1 agreement with FP32 is {agreement.top1.value:.3f}, under {Limit.AGREEMENT.value} {floor:g}"
            )
    if not precisions_of(tuned):
        found = {each: tuned.agreements[each].top1.value for each in settings.precision if each in tuned.agreements}
        nearest = max(found, key=found.__getitem__)
        raise BadOption(
            f"{Limit.AGREEMENT.value} {floor:g}: no candidate holds it; the nearest is {found[nearest]:.3f}: "
            f"{nearest.value}"
        )


def _advance(advance: Callable[[float, str], None], share: float) -> None:
    advance(share, "")
