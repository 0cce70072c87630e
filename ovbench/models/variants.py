"""The file of a model in each precision: given, the source's own, or made once and cached by content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from ovbench import quantization, runtime
from ovbench.artifacts import JSON, ArtifactCache, model_sha256
from ovbench.config import Precision
from ovbench.errors import BadModel
from ovbench.models.source import OnProgress, Source, given_file
from ovbench.options import Place, Settings
from ovbench.precision import QUANTIZED, SAME_FILE, Variant
from ovbench.preprocessing import into_model
from ovbench.quantization import QuantizationOptions, options_key, save_model


def quantization_options(settings: Settings) -> QuantizationOptions:
    """What NNCF is asked for."""
    return QuantizationOptions(
        preset=settings.preset,
        subset_size=settings.calib_size,
        fast_bias_correction=settings.fast_bias_correction,
        ignored_names=settings.ignored.names,
        ignored_types=settings.ignored.types,
        ignored_patterns=settings.ignored.patterns,
        max_drop=settings.max_drop,
    )


def variant_of(
    source: Source, precision: Precision, settings: Settings, cache: ArtifactCache, on_progress: OnProgress
) -> Variant:
    """The file for a precision: given, the source itself, or made once and cached by content.

    With --ov-preprocess=model its graph takes raw pictures. Raises BadModel, BadImages and BadOption.
    """
    path = given_file(source.given, precision)
    if path is not None:
        _check_given(path, precision, source)
    else:
        path = source.path if precision in SAME_FILE else _made(source, precision, settings, cache, on_progress)
    if settings.preprocess is Place.MODEL and source.preprocessing is not None:
        path = _with_preprocessing(path, source, cache)
    return Variant(precision, path, source.embedded)


def _check_given(path: Path, precision: Precision, source: Source) -> None:
    """Raise BadModel where the user's own file cannot be read, or is of another model by what it takes and gives."""
    mine, theirs = (_interface(runtime.read_model(each, source.shape)) for each in (source.path, path))
    if mine != theirs:
        raise BadModel(
            f"--ov-variant {precision.value}={path}: goes {theirs}, {source.name} {mine}: give a variant of this model"
        )


def _interface(model: Any) -> str:
    """``float[1,3,224,224] -> float[1,1000]``; any floating point is one: an FP16 file may take 16 bits."""

    def told(ports: Sequence[Any]) -> str:
        kinds = [(port.get_element_type(), port.get_partial_shape()) for port in ports]
        return ", ".join(f"{'float' if kind.is_real() else kind.get_type_name()}{shape}" for kind, shape in kinds)

    return f"{told(model.inputs)} -> {told(model.outputs)}"


def _made(
    source: Source, precision: Precision, settings: Settings, cache: ArtifactCache, on_progress: OnProgress
) -> Path:
    key: dict[str, JSON] = {
        "model": model_sha256(source.path),
        "shape": {name: list(dims) for name, dims in source.shape.items()},
        "openvino": metadata.version("openvino"),
        "nncf": metadata.version("nncf"),
    }
    file = f"{source.name}.xml"
    if precision not in QUANTIZED:
        kind = precision.value.lower()

        def convert(folder: Path) -> None:
            model = runtime.read_model(source.path, source.shape)
            if precision is Precision.W8:
                save_model(quantization.compress_weights(model), folder / file)
            else:
                save_model(model, folder / file, half=True)

        return _ir_in(cache.fetch(kind, key, convert))

    options = quantization_options(settings)
    key["options"] = options_key(options)
    key["calibration"] = f"random inputs {settings.calib_size}"
    if source.preprocessing is not None and source.calibration is not None:
        key["calibration"] = source.calibration.content_hash()
        key["preprocessing"] = repr(replace(source.preprocessing, said_by=""))

    def build(folder: Path) -> None:
        save_model(quantized(source, settings, on_progress), folder / file)

    return _ir_in(cache.fetch("int8", key, build))


def quantized(source: Source, settings: Settings, on_progress: OnProgress) -> Any:
    """The source's INT8 model, an ``ov.Model``, calibrated as the settings say.

    A largest drop is held on the calibration pictures, so that those of the evaluation have no say in what they judge.
    """
    check = None
    pictures, classified = source.calibration, source.classes is not None and source.evaluation is not None
    if settings.max_drop is not None and classified and pictures is not None and source.preprocessing is not None:
        check = quantization.check_on(pictures, source.preprocessing.to_input)
    return quantization.quantize(
        runtime.read_model(source.path, source.shape),
        source.samples(settings.calib_size),
        quantization_options(settings),
        lambda stage, done, total: on_progress(stage, done / max(total, 1)),
        origin=quantization.Origin(source.name, model_sha256(source.path), settings.images),
        check=check,
    )


def _with_preprocessing(path: Path, source: Source, cache: ArtifactCache) -> Path:
    preprocessing = source.preprocessing
    assert preprocessing is not None
    key: dict[str, JSON] = {
        "model": model_sha256(path),
        "shape": {name: list(dims) for name, dims in source.shape.items()},
        "preprocessing": repr(replace(preprocessing, said_by="")),
        "openvino": metadata.version("openvino"),
    }

    def build(folder: Path) -> None:
        model, _ = into_model(runtime.read_model(path, source.shape), preprocessing)
        save_model(model, folder / path.with_suffix(".xml").name)

    return _ir_in(cache.fetch("preprocessed", key, build))


def _ir_in(artifact: Path) -> Path:
    """The one IR of an artifact: its key is of content, so a model that lies under two names is called by the first."""
    return next(artifact.glob("*.xml"))
