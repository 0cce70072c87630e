"""INT8 by post-training quantization: NNCF without its noise, its telemetry and its leniency."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ovbench.errors import BadImages, BadModel, BadOption, NotWritable
from ovbench.worker import import_openvino

Model: TypeAlias = Any  # openvino.Model: openvino carries no type information
Sample: TypeAlias = "NDArray[Any] | Mapping[str, NDArray[Any]]"  # the only input, or inputs by name
OnProgress: TypeAlias = Callable[[str, int, int], None]  # stage, done, total

LOW_PRECISION_TYPES = frozenset({"i8", "u8", "i4", "u4", "i2", "u2", "nf4", "f4e2m1", "f8e4m3", "f8e5m2"})
PROVENANCE_PATH = ("ovbench", "calibration")  # where in a model's rt_info we say what it was calibrated on
STAGES = {"Statistics collection": "calibration"}  # NNCF 3.4's name for its pass over the images, and ours


class Preset(Enum):
    """NNCF's presets: MIXED quantizes activations asymmetrically where they are, PERFORMANCE never does."""

    PERFORMANCE = "performance"
    MIXED = "mixed"


@dataclass(frozen=True)
class QuantizationOptions:
    """What NNCF is asked for; all else is its default (any target device, overflow fix on the first layer).

    ``subset_size`` images are used, the first ones: on a real MobileNetV2 200 agree with FP32 as 300 do
    (99.0 % of top-1, 1000 images), 100 as well within error, 10 in 96.4 %. The default overflow fix is the
    best one on a CPU without VNNI too: top-1 agreement 94.8 %, on all layers 91.8 %, on none 87.8 % (400
    images). Ignored names, types and regular expressions tell which operations stay in floating point.
    """

    preset: Preset = Preset.PERFORMANCE
    subset_size: int = 200
    fast_bias_correction: bool = True
    ignored_names: tuple[str, ...] = ()
    ignored_types: tuple[str, ...] = ()
    ignored_patterns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.subset_size < 1:
            raise BadOption(f"calibration subset of {self.subset_size} images: give at least 1")


def options_key(options: QuantizationOptions) -> dict[str, Any]:
    """The options as JSON, with the version of NNCF that reads them: their part of an artifact's key."""
    return {
        "preset": options.preset.value,
        "subset_size": options.subset_size,
        "fast_bias_correction": options.fast_bias_correction,
        "ignored_names": sorted(options.ignored_names),
        "ignored_types": sorted(options.ignored_types),
        "ignored_patterns": sorted(options.ignored_patterns),
        "nncf": metadata.version("nncf"),
    }


def quantize(
    model: Model,
    calibration: Sequence[Sample],
    options: QuantizationOptions,
    on_progress: OnProgress = lambda _stage, _done, _total: None,
) -> Model:
    """Return an INT8 version of ``model``, which is left as it is.

    ``calibration`` holds preprocessed inputs as the model takes them, each ``[N, C, H, W]`` or whatever its
    input says; the first ``subset_size`` are read, in order and once (NNCF 3.4 makes a single pass). They
    determine the result: its weights file is the same bytes in every process. ``on_progress(stage, done,
    total)`` is called as NNCF's own bars would move, which are silenced, as its log is. Not for two threads
    at a time.

    Raises BadModel for a model that is quantized already or that NNCF cannot take, BadImages for too few
    images or wrong shapes, BadOption for ignored operations that the model has not.
    """
    reason = quantized_by(model)
    if reason is not None:
        name = model.get_friendly_name()
        raise BadModel(f"model {name!r} is quantized already ({reason}): give the FP32 model")
    if len(calibration) < options.subset_size:
        raise BadImages(
            f"{len(calibration)} calibration images, {options.subset_size} wanted: "
            "give more images or a smaller calibration subset"
        )
    on_progress("preparation", 0, 1)
    nncf = _import_nncf()
    images = _Calibration(model, calibration, options.subset_size)
    with _quiet(nncf, on_progress):
        try:
            quantized = nncf.quantize(
                model,
                nncf.Dataset(images),
                preset=nncf.QuantizationPreset(options.preset.value),
                subset_size=options.subset_size,
                fast_bias_correction=options.fast_bias_correction,
                ignored_scope=nncf.IgnoredScope(
                    names=list(options.ignored_names),
                    types=list(options.ignored_types),
                    patterns=list(options.ignored_patterns),
                ),
            )
        except nncf.ValidationError as error:
            raise BadOption(f"NNCF refuses the quantization options: {_one_line(error)}") from error
        except (nncf.UnsupportedModelError, nncf.UnsupportedBackendError) as error:
            name = model.get_friendly_name()
            raise BadModel(f"NNCF cannot quantize model {name!r}: {_one_line(error)}") from error
    _write_provenance(quantized, options, images.sha256)
    return quantized


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


def save_model(model: Model, xml: Path) -> None:
    """Write ``xml`` and the ``.bin`` beside it without compressing anything to FP16; raises NotWritable."""
    openvino = import_openvino()
    try:
        openvino.save_model(model, str(xml), compress_to_fp16=False)
    except RuntimeError as error:  # OpenVINO says "iostream error" for a full disk, and no more
        raise NotWritable(f"cannot write model {xml}: {_one_line(error)}: check free space and permissions") from error


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
    """The images as NNCF reads them: each checked against the model and hashed as it passes."""

    def __init__(self, model: Model, samples: Sequence[Sample], count: int) -> None:
        self.model, self.samples, self.count = model, samples, count
        self.sha256 = ""

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Sample]:
        digest = hashlib.sha256()
        for index in range(self.count):
            sample = self.samples[index]
            _check_shapes(self.model, sample, index)
            _hash_sample(digest, sample)
            self.sha256 = digest.hexdigest()  # at each image: NNCF never asks for the one after the last
            yield sample


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


def _write_provenance(model: Model, options: QuantizationOptions, sha256: str) -> None:
    facts = {
        "count": options.subset_size,
        "sha256": sha256,
        "preset": options.preset.value,
        "nncf": metadata.version("nncf"),
    }
    for name, value in facts.items():
        model.set_rt_info(str(value), [*PROVENANCE_PATH, name])


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

    bar, disabled = track_progress.Progress, nncf.nncf_logger.disabled
    track_progress.Progress = _progress_class(bar, on_progress)
    nncf.nncf_logger.disabled = True
    try:
        with _deprecations_ignored():
            yield
    finally:
        track_progress.Progress = bar
        nncf.nncf_logger.disabled = disabled


def _progress_class(base: Any, on_progress: OnProgress) -> Any:
    """A rich ``Progress`` that reports and draws nothing; NNCF makes one per stage and iterates ``track``."""

    class ReportedProgress(base):  # type: ignore[misc]
        def __init__(self, *columns: Any, **options: Any) -> None:
            super().__init__(*columns, **{**options, "disable": True})

        def track(self, sequence: Any, total: float | None = None, description: str = "", **_: Any) -> Iterator[Any]:
            stage = STAGES.get(description, description.removeprefix("Applying ").lower())
            count = int(total) if total is not None else len(sequence)
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
