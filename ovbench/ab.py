"""A against B: two sides resolved, checked, compared in pairs of lanes, and judged metric by metric."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ovbench import machine, runtime, worker
from ovbench.agreement import Agreement, measure_agreement
from ovbench.artifacts import ArtifactCache
from ovbench.campaign import Order
from ovbench.comparison import MIN_PAIRS, Comparison, Contest, Pair, run_comparison
from ovbench.config import AUTO, Config, Hint, Mode, Precision
from ovbench.errors import BadModel, BadOption, ContestantRefused, LaneError
from ovbench.gate import FAMILY_ALPHA, looks_at, slower_p_value
from ovbench.images.scenes import Scenes
from ovbench.images.sets import Subset
from ovbench.lanes import Lane, LaneSpec
from ovbench.models import source as sources
from ovbench.models.names import EMBEDDED, name_of
from ovbench.models.variants import variant_of
from ovbench.options import Settings
from ovbench.precision import Variant
from ovbench.preprocessing import Wishes, describe
from ovbench.sides import Side
from ovbench.stats import Estimate, one_sided_p_value, ratio_estimate
from ovbench.verdict import Verdict, compare

# An interval is looked at after every pair from the fifth on, so each look is given 99 %: at the budgets' 14 pairs and
# fewer, the chance that any look of an unchanged pair lies beyond a 3 % band is far below 1 % (docs/method.md).
CONFIDENCE = 0.99
METRICS = {"latency": Mode.SYNC, "throughput": Mode.ASYNC}
OUTPUT_INPUTS = 50  # inputs on which the outputs of both sides are compared
START_BAND = 0.10  # start-up and memory are one figure per lane, not many rounds: they are told, and gated by none
MEMORY_BAND = 0.05

Progress = Callable[[str], contextlib.AbstractContextManager[Callable[[float, str], None]]]


@dataclass(frozen=True)
class Question:
    """Is ``b`` slower or faster than ``a``? ``budget_s`` is for each metric.

    ``tolerances`` are of the metrics that have one of their own, all others have ``tolerance``.
    """

    name: str
    a: Side
    b: Side
    model: str = EMBEDDED
    precision: Precision = Precision.FP32
    device: str = "CPU"
    metrics: tuple[str, ...] = tuple(METRICS)
    tolerance: float = 0.03
    budget_s: float = 60.0
    min_agreement: float | None = None
    seed: int = 0
    tolerances: Mapping[str, float] = field(default_factory=dict)

    def tolerance_of(self, metric: str) -> float:
        """Slow-down of this metric that still counts as the same."""
        return self.tolerances.get(metric, self.tolerance)


@dataclass(frozen=True)
class MetricAnswer:
    """One metric: ratio of time B / A (above 1: B is slower) with its interval, band and verdict."""

    metric: str
    estimate: Estimate | None
    band: float
    verdict: Verdict
    p_value: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Outputs:
    """How far the outputs lie apart on the same inputs; None for outputs that cannot be laid side by side.

    ``max_abs_difference`` is None where number or shapes of the outputs differ, or values are not finite;
    ``agreement`` is None for models that do not classify.
    """

    inputs: int
    max_abs_difference: float | None
    agreement: Agreement | None


@dataclass(frozen=True)
class Answer:
    """All that a comparison found."""

    question: Question
    comparison: Comparison
    metrics: tuple[MetricAnswer, ...]
    start: MetricAnswer | None
    memory: MetricAnswer | None
    outputs: Outputs | None
    versions: tuple[str, str] = ("", "")
    effective: tuple[Mapping[str, Any], Mapping[str, Any]] = field(default_factory=lambda: ({}, {}))

    @property
    def agreement_failed(self) -> bool:
        """Whether outputs agree less than was asked for; the point estimate decides, inputs are the same."""
        floor = self.question.min_agreement
        if floor is None or self.outputs is None or self.outputs.agreement is None:
            return False
        return self.outputs.agreement.top1.value < floor


@dataclass(frozen=True)
class Resolved:
    """A side ready to run: its lane, the file, and the message that opens each metric."""

    name: str
    side: Side
    lane: LaneSpec
    path: Path
    orders: Mapping[str, Mapping[str, Any]]


def resolve(question: Question, cache: ArtifactCache, progress: Progress) -> tuple[Resolved, Resolved]:
    """Find interpreter, model and precision variant of both sides. Raises BadInput."""
    runtime.check_device(question.device, "--device")
    check_quota(machine.fingerprint().cpu_quota_cores)
    return (
        _resolve_side("--a", question, question.a, cache, progress),
        _resolve_side("--b", question, question.b, cache, progress),
    )


def check_quota(quota_cores: float | None) -> None:
    """Raise BadOption where the cgroup leaves us less than one core: every block would be throttled."""
    if quota_cores is not None and quota_cores < 1:
        raise BadOption(f"CPU quota of {quota_cores:.2g} cores: timing needs at least one: raise the container's limit")


def _resolve_side(name: str, question: Question, side: Side, cache: ArtifactCache, progress: Progress) -> Resolved:
    _check_place(name, side)
    given = side.model or question.model
    precision = side.precision or question.precision
    reason = runtime.unsupported(precision, question.device)
    if reason:
        raise BadOption(f"{name} precision={precision.value}: {reason}")
    settings = Settings(model=(given,), precision=(precision,))
    with progress("Model") as advance:
        source = sources.resolve(given, settings, cache, lambda doing, share: advance(share, doing))
    with progress(f"{precision.value} model") as advance:
        variant = variant_of(source, precision, settings, cache, lambda doing, share: advance(share, doing))
    orders = {metric: _order(question, given, variant, side, metric) for metric in question.metrics}
    python = str(Path(side.python).absolute()) if side.python else ""
    lane = LaneSpec(python, side.environment, side.affinity)
    return Resolved(name, side, lane, variant.path, orders)


def _check_place(name: str, side: Side) -> None:
    if side.python and not Path(side.python).is_file():
        raise BadOption(f"{name} python={side.python}: no such file: give the path of a Python that has openvino")
    cores = _usable_cores()
    missing = [core for core in side.affinity if cores is not None and core not in cores]
    if missing:
        known = ",".join(str(core) for core in sorted(cores or ()))
        raise BadOption(f"{name} {side.text}: core {missing[0]} is not there or not ours: give some of {known}")


def _usable_cores() -> frozenset[int] | None:
    """Numbers of the cores we may run on; None where the system does not tell."""
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def _order(question: Question, model: str, variant: Variant, side: Side, metric: str) -> dict[str, Any]:
    synchronous = METRICS[metric] is Mode.SYNC
    config = Config(
        model=name_of(model),
        device=question.device,
        precision=variant.precision,
        hint=Hint.LATENCY if synchronous else Hint.THROUGHPUT,
        streams=1 if synchronous else AUTO,
    )
    order = Order(
        configs=(config,),
        variants={(config.model, variant.precision.value): variant},
        shape={},
        budget_s=question.budget_s,
        warmup_s=0.0,
        seed=question.seed,
        max_memory_bytes=None,
    )
    message = order.open_request(config, None)
    return {**message, "key": metric, "properties": {**message["properties"], **dict(side.properties)}}


@dataclass(frozen=True)
class Preflight:
    """What one side said before anything was measured."""

    version: str
    effective: Mapping[str, Any]
    signature: Any
    outputs: tuple[tuple[NDArray[np.float32], ...], ...]


def preflight(resolved: Resolved, inputs: Sequence[Sequence[NDArray[Any]]], like: Preflight | None = None) -> Preflight:
    """Open one side once and run the shared inputs.

    Raises BadOption, one line, for a side that cannot run, or that takes other inputs than ``like``.
    """
    try:
        with Lane(resolved.lane) as lane:
            imported = lane.ask({"do": "import"})
            effective = {}
            for metric, order in resolved.orders.items():
                answer = lane.ask(order)
                effective[metric] = answer["effective"]
            if like is not None:
                _check_same_inputs(like.signature, answer["signature"])
            key = next(iter(resolved.orders))
            outputs = []
            if _fits(answer["signature"], inputs):
                for arrays in inputs:
                    sent = lane.ask({"do": "outputs", "key": key, "inputs": [each.tobytes() for each in arrays]})
                    outputs.append(tuple(_array(each) for each in sent["outputs"]))
    except ContestantRefused as refusal:
        remedy = "install openvino and numpy there" if "No module named" in str(refusal) else "change this side"
        said = str(refusal).rstrip(".")
        raise BadOption(f"{resolved.name} {resolved.side.text}: {said}: {remedy}") from None
    except LaneError as error:
        raise BadOption(f"{resolved.name} {resolved.side.text}: {error}") from None
    return Preflight(str(imported["version"]), effective, answer["signature"], tuple(outputs))


def _fits(signature: Any, inputs: Sequence[Sequence[NDArray[Any]]]) -> bool:
    return [list(shape) for _, shape, _ in signature] == [list(each.shape) for each in inputs[0]]


def _array(sent: Mapping[str, Any]) -> NDArray[np.float32]:
    values: NDArray[np.float32] = np.frombuffer(sent["data"], "<f4").reshape(sent["shape"])
    return values


def shared_inputs(path: Path, seed: int) -> list[list[NDArray[Any]]]:
    """Inputs for both sides: pictures for a model that takes one, seeded random arrays for any other.

    Raises BadModel for a model whose input no array can be.
    """
    model = runtime.read_model(path, {})
    preprocessing = describe(model, path.stem, Wishes())
    if preprocessing is not None:
        scenes = Scenes(Subset.EVALUATION, OUTPUT_INPUTS, size=max(preprocessing.height, preprocessing.width))
        return [[preprocessing.to_input(scenes.image(index))] for index in range(OUTPUT_INPUTS)]
    try:
        return [worker.make_inputs(model, seed + index) for index in range(OUTPUT_INPUTS)]
    except worker.Refusal as refusal:
        raise BadModel(f"{path}: {refusal}") from None


def compare_outputs(a: Preflight, b: Preflight) -> Outputs | None:
    """Largest absolute difference over all outputs, and top-k agreement where the first output is (1, classes).

    None where one side ran no inputs.
    """
    if not a.outputs or not b.outputs:
        return None
    shapes = [[each.shape for each in side.outputs[0]] for side in (a, b)]
    if shapes[0] != shapes[1]:
        return Outputs(len(a.outputs), None, None)
    differences = [
        float(np.max(np.abs(mine - theirs))) if mine.size else 0.0
        for ours, others in zip(a.outputs, b.outputs, strict=True)
        for mine, theirs in zip(ours, others, strict=True)
    ]
    first = a.outputs[0][0]
    agreement = None
    if first.ndim == 2 and first.size > 1:
        logits_a, logits_b = (np.stack([each[0].reshape(-1) for each in side.outputs]) for side in (a, b))
        agreement = measure_agreement(logits_b, logits_a)
    largest = float(np.max(differences))
    return Outputs(len(a.outputs), largest if math.isfinite(largest) else None, agreement)


def ask(
    question: Question,
    cache: ArtifactCache,
    host_band: float,
    progress: Progress,
    on_pair: Callable[[Question, Pair], None] = lambda _question, _pair: None,
    into: Comparison | None = None,
    family: int | None = None,
) -> Answer:
    """Answer one question. Raises BadInput; a side whose lanes die thrice is told in ``comparison.failed``.

    ``family``: how many metrics a gate judges together, None where no gate asks (``is_decided``).
    """
    sides = resolve(question, cache, progress)
    inputs = shared_inputs(sides[0].path, question.seed)
    first = preflight(sides[0], inputs)
    before = first, preflight(sides[1], inputs, first)
    contests = contests_of(question, sides)
    comparison = into if into is not None else Comparison(question.name)
    if (sides[0].lane, sides[0].orders) == (sides[1].lane, sides[1].orders):
        comparison.notes.append("both sides are the same: an A/A comparison")
    total_s = question.budget_s * len(contests)
    with progress(question.name) as advance:
        spent_s = 0.0

        def on_round(took_s: float) -> None:
            nonlocal spent_s
            spent_s += took_s
            advance(min(0.99, spent_s / total_s), f"pair {len(comparison.pairs) + 1}")

        run_comparison(
            comparison,
            contests,
            lane_openers(sides),
            lambda so_far, left: [
                each for each in left if not is_decided(so_far, each.key, _band(question, each.key, host_band), family)
            ],
            total_s,
            question.seed,
            on_pair=lambda pair: on_pair(question, pair),
            on_round=on_round,
        )
    return judge(question, comparison, host_band, compare_outputs(*before), before)


def contests_of(question: Question, sides: tuple[Resolved, Resolved]) -> list[Contest]:
    """One contest per metric."""
    return [
        Contest(metric, METRICS[metric], (sides[0].orders[metric], sides[1].orders[metric]))
        for metric in question.metrics
    ]


def lane_openers(sides: tuple[Resolved, Resolved]) -> tuple[Callable[[], Lane], Callable[[], Lane]]:
    """What starts a fresh lane of each side."""
    return (lambda: Lane(sides[0].lane), lambda: Lane(sides[1].lane))


def _check_same_inputs(a: Any, b: Any) -> None:
    shapes = [[(list(shape), kind) for _, shape, kind in signature] for signature in (a, b)]
    if shapes[0] != shapes[1]:
        told = [", ".join(f"{shape} {_kind(kind)}" for shape, kind in each) for each in shapes]
        raise BadOption(f"sides take different inputs, A {told[0]} and B {told[1]}: compare models of one interface")


def _kind(text: str) -> str:
    """``float32`` of openvino's ``<Type: 'float32'>``."""
    return text.removeprefix("<Type: '").removesuffix("'>")


def _band(question: Question, metric: str, host_band: float) -> float:
    return max(question.tolerance_of(metric), host_band)


def verdict_of(log_ratios: Sequence[float], band: float) -> Verdict:
    """The verdict of these pairs' log ratios; none at all is UNSURE."""
    return compare(ratio_estimate(log_ratios, CONFIDENCE), band) if log_ratios else Verdict.UNSURE


def is_decided(comparison: Comparison, key: str, band: float, family: int | None = None) -> bool:
    """Whether the pairs so far answer the question for this metric.

    A gate judges by p-values that pay for every look, under Holm's rule: for one of its ``family`` of metrics, be it of
    one, SLOWER is decided once that rule will hold it, whatever the others come to.
    """
    logs = comparison.log_ratios(key)
    verdict = verdict_of(logs, band)
    if verdict is Verdict.SLOWER and family is not None:
        p_value = slower_p_value(logs, band, looks_at(len(logs)))
        return p_value is not None and p_value <= FAMILY_ALPHA / family
    return verdict is not Verdict.UNSURE


def judge(
    question: Question,
    comparison: Comparison,
    host_band: float,
    outputs: Outputs | None,
    before: tuple[Preflight, Preflight],
) -> Answer:
    """Turn pairs into verdicts; a machine that was too busy gives UNSURE and says so."""
    reason = ""
    if comparison.busy:
        reason = f"the machine was busy: {comparison.rejected_share:.0%} of the rounds were rejected"
    elif 0 < len(comparison.pairs) < MIN_PAIRS:
        reason = f"{len(comparison.pairs)} pairs are too few, an interval needs {MIN_PAIRS}: raise --budget"
    metrics = tuple(
        judge_metric(
            metric,
            comparison.log_ratios(metric),
            _band(question, metric, host_band),
            question.tolerance_of(metric),
            reason,
        )
        for metric in question.metrics
    )
    starts = [pair.log_start_ratio for pair in comparison.pairs]
    peaks = [pair.log_memory_ratio for pair in comparison.pairs]
    return Answer(
        question=question,
        comparison=comparison,
        metrics=metrics,
        start=judge_metric("start", starts, START_BAND, START_BAND, reason) if starts else None,
        memory=judge_metric("memory", [each for each in peaks if each is not None], MEMORY_BAND, MEMORY_BAND, "")
        if any(each is not None for each in peaks)
        else None,
        outputs=outputs,
        versions=(before[0].version, before[1].version),
        effective=(before[0].effective, before[1].effective),
    )


def judge_metric(
    metric: str, log_ratios: Sequence[float], band: float, tolerance: float, busy_reason: str
) -> MetricAnswer:
    """Verdict of one metric from one log ratio per pair."""
    if not log_ratios:
        return MetricAnswer(metric, None, band, Verdict.UNSURE, None, busy_reason or "nothing was measured")
    estimate = ratio_estimate(log_ratios, CONFIDENCE)
    verdict = Verdict.UNSURE if busy_reason else compare(estimate, band)
    return MetricAnswer(metric, estimate, band, verdict, one_sided_p_value(log_ratios, 1 + tolerance), busy_reason)
