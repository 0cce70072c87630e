"""Smaller models: INT8 by post-training quantization and INT8 weights, by NNCF without its noise and its leniency."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ovbench import runtime, worker
from ovbench.answers import ToInput, answer
from ovbench.artifacts import temporary_folder
from ovbench.errors import BadImages, BadModel, BadOption, NotWritable, UnreadableImage
from ovbench.images.ahead import prepared
from ovbench.images.sets import ImageSet
from ovbench.options import Preset
from ovbench.worker import import_openvino

Model: TypeAlias = Any  # openvino.Model: openvino carries no type information
Sample: TypeAlias = "NDArray[Any] | Mapping[str, NDArray[Any]]"  # the only input, or inputs by name
OnProgress: TypeAlias = Callable[[str, int, int], None]  # stage, done, total
Answers: TypeAlias = Callable[[Any, Sequence[int]], NDArray[np.intp]]  # compiled model, numbers of pictures -> classes

LOW_PRECISION_TYPES = frozenset({"i8", "u8", "i4", "u4", "i2", "u2", "nf4", "f4e2m1", "f8e4m3", "f8e5m2"})
PROVENANCE_PATH = ("ovbench", "calibration")  # where in a model's rt_info we say what it was calibrated on
TEXT_FACTS = ("model", "model_sha256", "images", "sha256", "preset", "nncf")
FACTS = (
    *TEXT_FACTS,
    *("count", "unreadable", "unreadable_names", "subset_size", "fast_bias_correction"),
    *("ignored_names", "ignored_types", "ignored_patterns", "max_drop"),
    *("checked_images", "checked_fp32", "checked_int8", "operations", "reverted", "reverted_names", "held"),
)
STAGES = {"Statistics collection": "calibration"}  # NNCF 3.4's name for its pass over the images, and ours
AHEAD = 8  # inputs that wait for NNCF, which takes four times as long over each as reading it does
MAX_NAMED = 20  # unreadable images, and reverted operations, that a model's rt_info names
MAX_CHECKED = 1000  # pictures of accuracy control: it classifies them dozens of times, and 0.01 of 1000 is 10 of them
NO_ANSWER = -1  # class of a picture that cannot be read, or whose logits hold NaN; label of one that has none


@dataclass(frozen=True)
class QuantizationOptions:
    """What NNCF is asked for; all else is its default (any target device, overflow fix on the first layer).

    ``subset_size`` images are used, the first readable ones: on a real MobileNetV2 200 agree with FP32 as 300 do
    (99.0 % of top-1, 1000 images), 100 as well within error, 10 in 96.4 %. The default overflow fix is the
    best one on a CPU without VNNI too: top-1 agreement 94.8 %, on all layers 91.8 %, on none 87.8 % (400
    images). Ignored names, types and regular expressions tell which operations stay in floating point. With
    ``max_drop``, a share of the checked pictures, operations go back to floating point until top-1 holds.
    """

    preset: Preset = Preset.PERFORMANCE
    subset_size: int = 200
    fast_bias_correction: bool = True
    ignored_names: tuple[str, ...] = ()
    ignored_types: tuple[str, ...] = ()
    ignored_patterns: tuple[str, ...] = ()
    max_drop: float | None = None

    def __post_init__(self) -> None:
        if self.subset_size < 1:
            raise BadOption(f"calibration subset of {self.subset_size} images: give at least 1")
        if self.max_drop is not None and not 0 <= self.max_drop < 1:
            raise BadOption(f"largest drop of {self.max_drop}: give a share from 0 up to 1, such as 0.01")


@dataclass(frozen=True)
class Origin:
    """What the caller knows of where a quantized model is from: names for people, a hash for the record."""

    model: str = ""
    model_sha256: str = ""
    images: str = ""


@dataclass(frozen=True)
class Check:
    """Pictures on which accuracy control holds top-1: ``labels`` (n,), NO_ANSWER where not known.

    ``answers(compiled, numbers)`` gives the first classes of these pictures, NO_ANSWER for one that cannot be read.
    A picture without a label is right where INT8 answers as FP32 does.
    """

    labels: NDArray[np.intp]
    answers: Answers


def options_key(options: QuantizationOptions) -> dict[str, Any]:
    """The options as JSON, with the version of NNCF that reads them: their part of an artifact's key."""
    return {
        "preset": options.preset.value,
        "subset_size": options.subset_size,
        "fast_bias_correction": options.fast_bias_correction,
        "ignored_names": sorted(options.ignored_names),
        "ignored_types": sorted(options.ignored_types),
        "ignored_patterns": sorted(options.ignored_patterns),
        "max_drop": options.max_drop,
        "nncf": metadata.version("nncf"),
    }


def quantize(
    model: Model,
    calibration: Sequence[Sample],
    options: QuantizationOptions,
    on_progress: OnProgress = lambda _stage, _done, _total: None,
    *,
    origin: Origin = Origin(),
    check: Check | None = None,
) -> Model:
    """Return an INT8 version of ``model``, which is left as it is; ``provenance`` tells what it was made from.

    ``calibration`` holds preprocessed inputs as the model takes them, each ``[N, C, H, W]`` or whatever its
    input says; the first ``subset_size`` are read, in order and once (NNCF 3.4 makes a single pass), by a thread
    that runs AHEAD of it. They determine the result: its weights file is the same bytes in every process. Where
    one raises UnreadableImage the next takes its place. ``on_progress(stage, done, total)`` is called as NNCF's own
    bars would move, which are silenced, as its log is. With ``max_drop`` the answers to ``check`` are held; shares
    measured on the same pictures later flatter INT8. Not for two threads at a time.

    Raises BadModel for a model that is quantized already or that NNCF cannot take, BadImages for too few
    images or wrong shapes, BadOption for ignored operations that the model has not or max_drop without a check.
    """
    refuse_quantized(model)
    if len(calibration) < options.subset_size:
        raise BadImages(_too_few(len(calibration), options.subset_size))
    on_progress("preparation", 0, 1)
    nncf = _import_nncf()
    images = _Calibration(model, calibration, options.subset_size)
    asked = {
        "preset": nncf.QuantizationPreset(options.preset.value),
        "subset_size": options.subset_size,
        "fast_bias_correction": options.fast_bias_correction,
        "ignored_scope": nncf.IgnoredScope(
            names=list(options.ignored_names),
            types=list(options.ignored_types),
            patterns=list(options.ignored_patterns),
        ),
    }
    held: dict[str, Any] = {}
    with _quiet(nncf, on_progress):
        try:
            if options.max_drop is None:
                quantized = nncf.quantize(model, nncf.Dataset(images), **asked)
            else:
                quantized, held = _quantize_and_hold(nncf, model, images, asked, options.max_drop, check, on_progress)
        except nncf.ValidationError as error:
            raise BadOption(f"NNCF refuses the quantization options: {_one_line(error)}") from error
        except (nncf.UnsupportedModelError, nncf.UnsupportedBackendError) as error:
            name = model.get_friendly_name()
            raise BadModel(f"NNCF cannot quantize model {name!r}: {_one_line(error)}") from error
    _write_provenance(quantized, {**vars(origin), **images.facts(), **options_key(options), **held})
    return quantized


def _quantize_and_hold(
    nncf: Any,
    model: Model,
    images: _Calibration,
    asked: Mapping[str, Any],
    max_drop: float,
    check: Check | None,
    on_progress: OnProgress,
) -> tuple[Model, dict[str, Any]]:
    """NNCF's quantization with accuracy control, and what became of it: scores, and operations put back."""
    if check is None:
        raise BadOption(f"largest drop of {max_drop}: there are no pictures to hold it on: give pictures, or no drop")
    openvino = import_openvino()
    reference = check.answers(_compiled(model), range(len(check.labels)))
    numbers = np.flatnonzero(reference != NO_ANSWER).tolist()
    if not numbers:
        raise BadImages(f"none of the {len(check.labels)} pictures to hold a drop of {max_drop} on has an answer")
    right = np.where(check.labels == NO_ANSWER, reference, check.labels)

    def judge(compiled: Any, chosen: Any) -> tuple[float, list[float]]:
        asked_for = list(chosen)
        if len(asked_for) == len(numbers):  # fewer rank the operations, which NNCF shows the progress of
            on_progress("checking answers", 0, 1)
        scores = [float(hit) for hit in check.answers(compiled, asked_for) == right[asked_for]]
        return sum(scores) / len(scores), scores

    with temporary_folder("reverted") as folder:
        quantized = nncf.quantize_with_accuracy_control(
            model,
            nncf.Dataset(images),
            nncf.Dataset(numbers),
            judge,
            max_drop=max_drop,
            # NNCF logs what it reverts and returns it nowhere; the model before tells it.
            advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(
                intermediate_model_dir=str(folder)
            ),
            **asked,
        )
        before = _on_quantized_inputs(openvino.Core().read_model(folder / "intermediate_model.xml"))
    reverted = sorted(before - _on_quantized_inputs(quantized))
    was = float((reference[numbers] == right[numbers]).mean())
    became, _ = judge(_compiled(quantized), numbers)
    return quantized, {
        "checked_images": len(numbers),
        "checked_fp32": was,
        "checked_int8": became,
        "operations": len(before),
        "reverted": len(reverted),
        "reverted_names": reverted[:MAX_NAMED],
        "held": was - became <= max_drop,
    }


def _on_quantized_inputs(model: Model) -> set[str]:
    """Names of the operations that read a quantized activation: FakeQuantize of anything but a constant."""
    found: set[str] = set()
    for operation in model.get_ops():
        if operation.get_type_name() == "FakeQuantize" and not _is_constant(operation.input_value(0).get_node()):
            found.update(port.get_node().get_friendly_name() for port in operation.output(0).get_target_inputs())
    return found


def _is_constant(node: Any) -> bool:
    """Whether it is a constant, or one converted from a smaller type."""
    return bool(
        node.get_type_name() == "Constant" or (node.get_type_name() == "Convert" and _is_constant(_parent(node)))
    )


def _parent(node: Any) -> Any:
    return node.input_value(0).get_node()


def _compiled(model: Model) -> Any:
    """As NNCF compiles what it hands to its judge."""
    return worker.compile_model(runtime.core(), model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def check_on(images: ImageSet, to_input: ToInput) -> Check:
    """Hold top-1 on the first MAX_CHECKED of these pictures, against their labels or FP32's answers."""

    def answers(compiled: Any, numbers: Sequence[int]) -> NDArray[np.intp]:
        found = answer(compiled, images, to_input, indexes=numbers)
        classes = np.full(len(images), NO_ANSWER)
        classes[found.numbers] = np.where(np.isnan(found.logits).any(axis=1), NO_ANSWER, found.logits.argmax(axis=1))
        return classes[list(numbers)]

    labels = [images.label(number) for number in range(min(len(images), MAX_CHECKED))]
    return Check(np.array([NO_ANSWER if label is None else label for label in labels], np.intp), answers)


def compress_weights(model: Model, on_progress: OnProgress = lambda _stage, _done, _total: None) -> Model:
    """Return ``model`` with its weights stored as int8 (NNCF's INT8_ASYM), without data; they are computed in float.

    Raises BadModel for a model that is quantized already or that NNCF cannot take.
    """
    refuse_quantized(model)
    nncf = _import_nncf()
    with _quiet(nncf, on_progress):
        try:
            return nncf.compress_weights(model.clone(), mode=nncf.CompressWeightsMode.INT8_ASYM)
        except (nncf.UnsupportedModelError, nncf.UnsupportedBackendError) as error:
            name = model.get_friendly_name()
            raise BadModel(f"NNCF cannot compress the weights of model {name!r}: {_one_line(error)}") from error


def refuse_quantized(model: Model) -> None:
    """Raise BadModel for a model that is quantized already: quantized twice it is wrong, and NNCF does not say so."""
    reason = quantized_by(model)
    if reason is not None:
        name = model.get_friendly_name()
        raise BadModel(f"model {name!r} is quantized already ({reason}): give the FP32 model")


def quantized_by(model: Model) -> str | None:
    """What shows that a model is quantized, in weights or activations; None for a floating-point model."""
    if model.has_rt_info(["nncf", "quantization"]):
        return "NNCF's mark in its rt_info"
    for operation in model.get_ops():
        kind, name = operation.get_type_name(), operation.get_friendly_name()
        if kind in ("FakeQuantize", "FakeConvert"):
            return f"{kind} {name!r}"
        stored_as = operation.get_output_element_type(0).get_type_name() if kind == "Constant" else ""
        readers = operation.output(0).get_target_inputs() if stored_as in LOW_PRECISION_TYPES else ()
        if any(map(_dequantizes, readers)):
            return f"{stored_as} weights {name!r}"
    return None


def provenance(model: Model) -> dict[str, Any]:
    """What ``quantize`` wrote into the model's rt_info, by name (FACTS); empty for any other model.

    ``count`` images were used, whose arrays have the ``sha256``; ``unreadable`` ones were left out. With ``max_drop``:
    shares of ``checked_images`` that FP32 and INT8 got right, whether the drop is ``held``, and how many of the
    ``operations`` on quantized inputs were ``reverted`` to floating point.
    """
    found: dict[str, Any] = {}
    for name in FACTS:
        if model.has_rt_info([*PROVENANCE_PATH, name]):
            text = str(model.get_rt_info([*PROVENANCE_PATH, name]).value)
            found[name] = text if name in TEXT_FACTS else json.loads(text)
    return found


def save_model(model: Model, xml: Path, *, half: bool = False) -> None:
    """Write ``xml`` and the ``.bin`` beside it; ``half`` stores float weights as FP16, else none is compressed.

    Raises NotWritable, and BadModel for a quantized model that is to be stored as FP16.
    """
    if half:
        refuse_quantized(model)
    openvino = import_openvino()
    try:
        openvino.save_model(model, str(xml), compress_to_fp16=half)
    except RuntimeError as error:  # OpenVINO says "iostream error" for a full disk, and no more
        raise NotWritable(f"cannot write model {xml}: {_one_line(error)}: check free space and permissions") from error


@contextlib.contextmanager
def draft_of(xml: Path) -> Iterator[Path]:
    """Where to save the model that becomes ``xml`` when the block ends well; else nothing is left of it.

    Raises NotWritable, before the block where the folder cannot be written to.
    """
    with _refusals_named(xml):
        folder = Path(tempfile.mkdtemp(prefix=f".{xml.stem}.", suffix=".tmp", dir=xml.parent))
    try:
        draft = folder / xml.name
        yield draft
        with _refusals_named(xml):
            xml.unlink(missing_ok=True)  # a reader meets no model rather than one with another's weights
            draft.with_suffix(".bin").replace(xml.with_suffix(".bin"))
            draft.replace(xml)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _refusals_named(xml: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NotWritable(
            f"cannot write model {xml}: {error.strerror or error}: check the folder, free space and permissions"
        ) from error


def calibration_sha256(samples: Sequence[Sample], subset_size: int) -> str:
    """SHA-256 over names, types, shapes and bytes of the first ``subset_size`` samples, in order."""
    digest = hashlib.sha256()
    for index in range(subset_size):
        _hash_sample(digest, samples[index])
    return digest.hexdigest()


def _hash_sample(digest: Any, sample: Sample) -> None:
    for name, array in _arrays(sample):
        digest.update(f"{name!r} {array.dtype.str} {array.shape};".encode())
        digest.update(np.ascontiguousarray(array).data)


class _Calibration:
    """The images as NNCF reads them: each checked against the model and hashed as it passes; unreadable ones do not."""

    def __init__(self, model: Model, samples: Sequence[Sample], count: int) -> None:
        self.model, self.samples, self.count = model, samples, count
        self.sha256 = ""
        self.unreadable: list[str] = []

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Sample]:
        digest, taken = hashlib.sha256(), 0
        self.unreadable = []
        pictures: Any = SimpleNamespace(image=self.samples.__getitem__)  # all that `prepared` asks of them
        inputs = prepared(pictures, lambda sample: sample, range(len(self.samples)), AHEAD, threads=1)
        for index, sample in inputs:
            if isinstance(sample, UnreadableImage):
                self.unreadable.append(_one_line(sample))
                continue
            _check_shapes(self.model, sample, index)
            _hash_sample(digest, sample)
            taken += 1
            self.sha256 = digest.hexdigest()  # at each image: NNCF never asks for the one after the last
            yield sample
            if taken == self.count:
                return
        raise BadImages(_too_few(taken, self.count, self.unreadable))

    def facts(self) -> dict[str, Any]:
        """What NNCF was shown."""
        return {
            "count": self.count,
            "sha256": self.sha256,
            "unreadable": len(self.unreadable),
            "unreadable_names": self.unreadable[:MAX_NAMED],
        }


def _too_few(count: int, wanted: int, unreadable: Sequence[str] = ()) -> str:
    named = f" ({len(unreadable)} cannot be read: {unreadable[0]})" if unreadable else ""
    return f"{count} calibration images, {wanted} wanted{named}: give more images or a smaller calibration subset"


def _arrays(sample: Sample) -> list[tuple[str, NDArray[Any]]]:
    if isinstance(sample, Mapping):
        return sorted(sample.items())
    return [("", sample)]


def _check_shapes(model: Model, sample: Sample, index: int) -> None:
    openvino = import_openvino()
    ports = {name: port for port in model.inputs for name in port.get_names()}
    arrays = _arrays(sample)
    if len(arrays) != len(model.inputs):
        raise BadImages(
            f"calibration image {index} has {len(arrays)} arrays, the model {len(model.inputs)} inputs: "
            "give one array per input, by name"
        )
    for name, array in arrays:
        if name and name not in ports:
            known = ", ".join(sorted(ports))
            raise BadImages(f"calibration image {index} names input {name!r}: the model has {known}")
        wanted = (ports[name] if name else model.input(0)).get_partial_shape()
        if not wanted.compatible(openvino.PartialShape(list(array.shape))):
            raise BadImages(
                f"calibration image {index} has shape {list(array.shape)}, the model takes {wanted}: "
                "preprocess images as for inference"
            )


def _dequantizes(port: Any) -> bool:
    """Whether an input port is of a Convert to floating point, the first step of weight decompression."""
    reader = port.get_node()
    return bool(reader.get_type_name() == "Convert" and reader.get_output_element_type(0).is_real())


def _write_provenance(model: Model, facts: Mapping[str, Any]) -> None:
    for name, value in facts.items():
        assert name in FACTS, name
        if value not in (None, "", []):
            text = value if name in TEXT_FACTS else json.dumps(value, ensure_ascii=False)
            model.set_rt_info(text, [*PROVENANCE_PATH, name])


def _import_nncf() -> Any:
    """Import NNCF without telemetry or log lines, and take back the logger class it sets process-wide."""
    import_openvino()  # stubs openvino_telemetry, which NNCF would use too
    logger_class, disabled = logging.getLoggerClass(), logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with _deprecations_ignored():
            import nncf
    finally:
        logging.disable(disabled)
        logging.setLoggerClass(logger_class)
    return nncf


@contextlib.contextmanager
def _quiet(nncf: Any, on_progress: OnProgress) -> Iterator[None]:
    """Send NNCF's bars to ``on_progress`` and drop its log; both are as before afterwards.

    Its bars are swapped rather than its stdout: ours may be drawn on stdout at the same time.
    """
    from nncf.common.logging import track_progress

    bars = {name: getattr(track_progress, name) for name in ("Progress", "WeightedProgress")}
    disabled = nncf.nncf_logger.disabled
    for name, bar in bars.items():
        setattr(track_progress, name, _progress_class(bar, on_progress))
    nncf.nncf_logger.disabled = True
    try:
        with _deprecations_ignored():
            yield
    finally:
        for name, bar in bars.items():
            setattr(track_progress, name, bar)
        nncf.nncf_logger.disabled = disabled


def _progress_class(base: Any, on_progress: OnProgress) -> Any:
    """A rich ``Progress`` that reports and draws nothing; NNCF makes one per stage and iterates ``track``."""

    class ReportedProgress(base):  # type: ignore[misc]
        def __init__(self, *columns: Any, **options: Any) -> None:
            super().__init__(*columns, **{**options, "disable": True})

        def track(self, sequence: Any, total: float | None = None, description: str = "", **_: Any) -> Iterator[Any]:
            stage = STAGES.get(description, description.removeprefix("Applying ").lower())
            # A weighted bar's total is its weights'; an iterator has no length.
            count = len(sequence) if hasattr(sequence, "__len__") else int(total or 0)
            on_progress(stage, 0, count)
            for done, item in enumerate(sequence, start=1):
                yield item
                on_progress(stage, done, count)

    return ReportedProgress


@contextlib.contextmanager
def _deprecations_ignored() -> Iterator[None]:
    """NNCF's notices to its own developers must not fail a suite that runs with warnings as errors."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        yield


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
