"""Where a model comes from, the embedded one or the user's, and its precision variants, cached by content."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ovbench import quantization, runtime, worker
from ovbench.artifacts import JSON, ArtifactCache, model_sha256
from ovbench.config import Precision
from ovbench.errors import BadImages, BadModel, UnreadableImage
from ovbench.images.ahead import prepared
from ovbench.images.folder import open_images
from ovbench.images.labels import resolve_labels
from ovbench.images.scenes import Scenes
from ovbench.images.sets import ImageSet, Subset
from ovbench.models import omz
from ovbench.models.names import EMBEDDED, name_of
from ovbench.options import Place, Settings, Shape
from ovbench.precision import QUANTIZED, SAME_FILE, Variant
from ovbench.preprocessing import Preprocessing, Wishes, describe, into_model, labels_of
from ovbench.quantization import QuantizationOptions, options_key, save_model

EVALUATION_IMAGES = 1000  # of the embedded ones: agreement of 0.98 is known to +-0.9 points (95 %) by this many

OnProgress = Callable[[str, float], None]


@dataclass(frozen=True)
class Source:
    """One model that a run measures, and the pictures for it.

    ``preprocessing`` is what its file takes, ``inputs`` what the graph that is measured takes (the same unless
    --ov-preprocess=model); both None for a model that takes no picture. ``classes`` is None where it does not classify.
    ``evaluation`` is None where no pictures fit, ``reason`` says why. ``notes`` are what a report must not hide:
    assumptions, labels left out, pictures that cannot be read.
    """

    name: str
    path: Path
    embedded: bool = False
    shape: Shape = field(default_factory=dict)
    preprocessing: Preprocessing | None = None
    inputs: Preprocessing | None = None
    classes: int | None = None
    calibration: ImageSet | None = None
    evaluation: ImageSet | None = None
    given: Mapping[Precision, Path] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    reason: str = ""
    notes: tuple[str, ...] = ()

    def samples(self, count: int) -> Sequence[Any]:
        """What INT8 is calibrated on: the pictures as inputs, or seeded random inputs where it takes none."""
        if self.preprocessing is not None and self.calibration is not None:
            return PictureInputs(self.calibration, self.preprocessing)
        return RandomInputs(runtime.read_model(self.path, self.shape), count)

    def compared_inputs(self, count: int) -> list[Any]:
        """The same few inputs for every precision's outputs: readable pictures first, else seeded random inputs."""
        if self.inputs is None or self.evaluation is None:
            inputs = RandomInputs(runtime.read_model(self.path, self.shape), count)
            return [inputs[index] for index in range(count)]
        prepared_ahead = prepared(self.evaluation, self.inputs.to_input, range(min(count, len(self.evaluation))))
        return [ready for _, ready in prepared_ahead if not isinstance(ready, UnreadableImage)]


@dataclass(frozen=True)
class PictureInputs(Sequence[NDArray[Any]]):
    """Pictures as the model takes them; raises UnreadableImage for one that cannot be decoded."""

    images: ImageSet
    preprocessing: Preprocessing

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        return self.preprocessing.to_input(self.images.image(index))


class RandomInputs(Sequence[NDArray[Any]]):
    """Seeded random inputs for a model that takes no picture; one array, or arrays by name for several inputs."""

    def __init__(self, model: Any, count: int) -> None:
        self.model, self.size = model, count

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: Any) -> Any:
        arrays = worker.make_inputs(self.model, index)
        names = [port.get_any_name() for port in self.model.inputs]
        return arrays[0] if len(arrays) == 1 else dict(zip(names, arrays, strict=True))


# --------------------------------------------------------------------------------------------------------- resolve


def resolve(given: str, settings: Settings, cache: ArtifactCache, on_progress: OnProgress, name: str = "") -> Source:
    """The source that ``given`` names, with the settings' shape, pictures and preprocessing.

    ``name`` is what rows call it. Raises BadModel, BadImages and BadOption, one line each.
    """
    if given == EMBEDDED:
        return _embedded(settings, cache, on_progress)
    path = find_file(given, settings.models_dir)
    model = runtime.read_model(path, settings.shape)
    preprocessing = describe(model, path.stem, wishes_of(settings))
    source = Source(
        name=name or name_of(given),
        path=path.resolve(),
        shape=settings.shape,
        preprocessing=preprocessing,
        inputs=_inputs_of(model, preprocessing, settings.preprocess),
        classes=runtime.classes_of(model),
        given={precision: _given_file(precision, file) for precision, file in settings.variant.items()},
        labels=labels_of(model),
        output_names=runtime.output_names(model),
    )
    source = _with_pictures(source, settings)
    found = omz.note_of(path)
    return replace(source, notes=(found, *source.notes)) if found else source


def find_file(given: str, models_dir: str) -> Path:
    """The model file, or SavedModel folder, that ``--ov-model`` names. Raises BadModel."""
    path = Path(given)
    if path.is_file() or (path / runtime.SAVED_MODEL).is_file():
        return path
    found = omz.find(given, Path(models_dir) if models_dir else None)
    return path if found is None else found


def wishes_of(settings: Settings) -> Wishes:
    """What the user said of preprocessing."""
    return Wishes(mean=settings.mean, scale=settings.scale, channels=settings.channels, resize=settings.resize)


def _inputs_of(model: Any, preprocessing: Preprocessing | None, place: Place) -> Preprocessing | None:
    if preprocessing is None or place is Place.OUTSIDE:
        return preprocessing
    return into_model(model, preprocessing)[1]


def _given_file(precision: Precision, file: str) -> Path:
    path = Path(file)
    if not path.is_file():
        raise BadModel(f"--ov-variant {precision.value}={file}: no such file: give the {precision.value} model's .xml")
    return path.resolve()


def _embedded(settings: Settings, cache: ArtifactCache, on_progress: OnProgress) -> Source:
    from ovbench.models import embedded

    def build(folder: Path) -> None:
        worker.import_openvino()
        save_model(embedded.build(on_progress), folder / "embedded.xml")

    key = {
        "content": embedded.content_key(),
        "openvino": metadata.version("openvino"),
        "numpy": np.__version__,
    }
    path = cache.fetch("embedded", key, build) / "embedded.xml"
    inside = settings.preprocess is Place.MODEL
    return Source(
        name=EMBEDDED,
        path=path,
        embedded=True,
        preprocessing=embedded.INPUT,
        inputs=into_model(runtime.read_model(path, {}), embedded.INPUT)[1] if inside else embedded.INPUT,
        classes=embedded.CLASSES,
        calibration=Scenes(Subset.CALIBRATION, settings.calib_size),
        evaluation=Scenes(Subset.EVALUATION, settings.eval_size or EVALUATION_IMAGES),
        given={precision: _given_file(precision, file) for precision, file in settings.variant.items()},
    )


def _with_pictures(source: Source, settings: Settings) -> Source:
    """The source with the user's pictures, or with procedural ones to calibrate on where there are none."""
    preprocessing = source.preprocessing
    if preprocessing is None:
        unused = (f"{source.name} takes no picture: --ov-images is not used for it",) if settings.images else ()
        reason = f"{source.name} takes no single picture"
        return replace(source, reason=reason, notes=(*unused, f"{reason}: INT8 is calibrated on random inputs"))
    said = f"input of {source.name}: {preprocessing.said_by}"
    if not settings.images:
        size = max(preprocessing.height, preprocessing.width)
        uncalibrated = (
            f"INT8 of {source.name} is calibrated on procedural pictures: its speed holds, its answers do not; "
            "give --ov-images"
        )
        return replace(
            source,
            calibration=Scenes(Subset.CALIBRATION, settings.calib_size, size=size),
            reason=f"no pictures fit {source.name}: give --ov-images for its accuracy",
            notes=(said, uncalibrated),
        )
    pictures = open_images(Path(settings.images))
    notes = [said]
    labels = None
    if source.classes is not None:
        try:
            labels = resolve_labels(pictures, source.labels, source.classes)
            notes.append(f"labels of {settings.images}: {labels.said_by}")
        except BadImages as refusal:
            notes.append(f"labels: SKIPPED, {refusal}")
    quantizes = any(each in QUANTIZED and each not in settings.variant for each in settings.precision)
    drawn = pictures.draw(settings.calib_size if quantizes else 0, settings.eval_size, settings.seed, labels)
    if drawn.unreadable:
        notes.append(f"{len(drawn.unreadable)} pictures are left out, the first: {drawn.unreadable[0]}")
    return replace(source, calibration=drawn.calibration, evaluation=drawn.evaluation, notes=tuple(notes))


# -------------------------------------------------------------------------------------------------------- variants


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
    path = source.given.get(precision)
    if path is None and precision is Precision.INT8_BF16:
        path = source.given.get(Precision.INT8)
    if path is None:
        path = source.path if precision in SAME_FILE else _made(source, precision, settings, cache, on_progress)
    if settings.preprocess is Place.MODEL and source.preprocessing is not None:
        path = _with_preprocessing(path, source, cache)
    return Variant(precision, path, source.embedded)


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

        return cache.fetch(kind, key, convert) / file

    options = quantization_options(settings)
    key["options"] = options_key(options)
    key["calibration"] = f"random inputs {settings.calib_size}"
    if source.preprocessing is not None and source.calibration is not None:
        key["calibration"] = source.calibration.content_hash()
        key["preprocessing"] = repr(replace(source.preprocessing, said_by=""))

    def build(folder: Path) -> None:
        save_model(quantized(source, settings, on_progress), folder / file)

    return cache.fetch("int8", key, build) / file


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

    return cache.fetch("preprocessed", key, build) / path.with_suffix(".xml").name
