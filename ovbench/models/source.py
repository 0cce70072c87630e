"""Where a model comes from, the embedded one or the user's, and the pictures it is calibrated and judged on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ovbench import runtime, worker
from ovbench.artifacts import ArtifactCache
from ovbench.config import Precision
from ovbench.errors import BadImages, BadModel, BadOption, UnreadableImage
from ovbench.images.ahead import prepared
from ovbench.images.folder import open_images
from ovbench.images.labels import resolve_labels
from ovbench.images.scenes import Scenes
from ovbench.images.sets import ImageSet, Subset
from ovbench.models import omz
from ovbench.models.names import EMBEDDED, name_of
from ovbench.options import Place, Settings, Shape
from ovbench.precision import QUANTIZED
from ovbench.preprocessing import Preprocessing, Wishes, describe, into_model, labels_of
from ovbench.quantization import save_model

EVALUATION_IMAGES = 1000  # of the embedded ones: agreement of 0.98 is known to +-0.9 points (95 %) by this many

OnProgress = Callable[[str, float], None]
File = TypeVar("File", Path, str)


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
        """The same few inputs for every precision's outputs: the first readable pictures, else seeded random inputs."""
        if self.inputs is None or self.evaluation is None:
            inputs = RandomInputs(runtime.read_model(self.path, self.shape), count)
            return [inputs[index] for index in range(count)]
        made_ready = prepared(self.evaluation, self.inputs.to_input, ahead=count)
        readable = (ready for _, ready in made_ready if not isinstance(ready, UnreadableImage))
        return list(itertools.islice(readable, count))


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
        inputs=_inputs_of(model, preprocessing, settings),
        classes=None if preprocessing is None else runtime.classes_of(model),
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


def _inputs_of(model: Any, preprocessing: Preprocessing | None, settings: Settings) -> Preprocessing | None:
    if preprocessing is None or settings.preprocess is Place.OUTSIDE:
        return preprocessing
    inputs = into_model(model, preprocessing)[1]
    if settings.shape and inputs.layout != preprocessing.layout:  # lanes would give the made graph the shape again
        raise BadOption(
            f"--ov-shape with --ov-preprocess=model: the graph takes {inputs.layout} then, the shape is of "
            f"{preprocessing.layout}: leave one of them out, or give the model that shape when it is converted"
        )
    return inputs


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
        chance = (f"{reason}: INT8 is calibrated on random inputs",) if makes_int8(settings) else ()
        return replace(source, reason=reason, notes=(*unused, *chance))
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
            notes=(said, uncalibrated) if makes_int8(settings) else (said,),
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
    calibration = settings.calib_size if makes_int8(settings) else 0
    drawn = pictures.draw(calibration, settings.eval_size, settings.seed, labels)
    if drawn.unreadable:
        notes.append(f"pictures left out: {len(drawn.unreadable)}, the first: {drawn.unreadable[0]}")
    return replace(source, calibration=drawn.calibration, evaluation=drawn.evaluation, notes=tuple(notes))


def given_file(given: Mapping[Precision, File], precision: Precision) -> File | None:
    """The user's own file for a precision; INT8's does for both rows of it."""
    return given.get(precision, given.get(Precision.INT8) if precision in QUANTIZED else None)


def has_int8(settings: Settings) -> bool:
    """Whether INT8 can be had with answers that mean something: of the embedded model, by pictures, or a file of it."""
    return settings.model == (EMBEDDED,) or bool(settings.images) or Precision.INT8 in settings.variant


def makes_int8(settings: Settings) -> bool:
    """Whether INT8 is asked for and must be made, for which pictures to calibrate on are set apart."""
    return any(each in QUANTIZED and given_file(settings.variant, each) is None for each in settings.precision)
