"""What precisions say of given pictures: the best classes of each with probabilities, and the time of one inference."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ovbench import runtime
from ovbench.agreement import NO_CLASS, TOP, top_classes
from ovbench.answers import answer
from ovbench.artifacts import ArtifactCache
from ovbench.config import Config, Hint, Precision
from ovbench.errors import BadImages, BadModel, BadOption, UnreadableImage
from ovbench.images.folder import FolderPictures, open_images
from ovbench.images.pictures import DrawnImages
from ovbench.images.sets import ImageSet, Subset
from ovbench.models import source as sources
from ovbench.models.variants import variant_of
from ovbench.options import Settings
from ovbench.precision import QUANTIZED
from ovbench.stats import median

REPEATS = 30  # inferences whose median is told: 0.1 s of a MobileNet
WARM_UP = 5
SUM_TOLERANCE = 0.01  # of probabilities about 1: bf16 rounds each of a thousand by up to 0.4 %

OnProgress = Callable[[str, float], None]


@dataclass(frozen=True)
class Guess:
    """One class that a model takes a picture for; ``label`` is "" where its classes have no names."""

    class_number: int
    label: str
    probability: float


@dataclass(frozen=True)
class Classified:
    """Guesses for each picture that could be read, best first; none where the model answered NaN.

    ``latency_ns``: median wall time of one inference, alone in this process under the LATENCY hint.
    """

    model: str
    pictures: tuple[str, ...]
    guesses: Mapping[Precision, tuple[tuple[Guess, ...], ...]]
    latency_ns: Mapping[Precision, float | None]
    unreadable: tuple[UnreadableImage, ...]
    notes: tuple[str, ...]


def usual_precisions(settings: Settings) -> tuple[Precision, ...]:
    """FP32, and INT8 where it needs no pictures that were not given."""
    return (Precision.FP32, Precision.INT8) if sources.has_int8(settings) else (Precision.FP32,)


def classify(
    files: Sequence[Path],
    settings: Settings,
    cache: ArtifactCache,
    on_progress: OnProgress,
    top: int = TOP,
    labels: Sequence[str] = (),
) -> Classified:
    """The best ``top`` classes of each file, or of all pictures of a folder, in each of the settings' precisions.

    ``labels`` name the classes in place of the model's own. Raises BadImages for a file that is not there, or where
    none can be read, BadModel for a model that does not classify pictures, BadOption for a precision it cannot have.
    """
    images = open_files(files)
    source = sources.resolve(settings.model[0], settings, cache, on_progress)
    if source.inputs is None or source.classes is None:
        what = "takes no picture" if source.inputs is None else "gives no row of class scores"
        raise BadModel(f"{source.name} {what}: give a model that classifies pictures")
    names = check_labels(labels, source.labels, source.classes)
    for precision in settings.precision:
        check_precision(source, precision, settings)
    guesses: dict[Precision, tuple[tuple[Guess, ...], ...]] = {}
    latency_ns: dict[Precision, float | None] = {}
    for precision in settings.precision:
        variant = variant_of(source, precision, settings, cache, on_progress)
        config = Config(source.name, settings.device, precision, Hint.LATENCY, 1)
        compiled = runtime.compile_cell(variant.path, config, source.shape, None)

        def on_image(done: int, doing: str = precision.value) -> None:
            on_progress(doing, done / len(images))

        answers = answer(compiled, images, source.inputs.to_input, on_image)
        guesses[precision] = best_guesses(probabilities(answers.logits), top, names)
        latency_ns[precision] = measure_latency(compiled, source.inputs.to_input(images.image(int(answers.numbers[0]))))
    return Classified(
        source.name,
        tuple(images.image_name(number) for number in answers.numbers.tolist()),
        guesses,
        latency_ns,
        answers.unreadable,
        source.notes if settings.images else (f"preprocessing: {source.inputs.said_by}",),
    )


def open_files(files: Sequence[Path]) -> ImageSet:
    """These pictures, each once, and all that lie in these folders. Raises BadImages for what is not there."""
    names: list[str] = []
    for path in files:
        if path.is_dir():
            folder = open_images(path)
            names += [f"{path.as_posix()}/{folder.image_name(number)}" for number in range(len(folder))]
        elif path.is_file():
            names.append(str(path))
        else:
            raise BadImages(f"no picture at {path}: give image files, or folders of them")
    once = tuple(dict.fromkeys(names))
    return DrawnImages(FolderPictures(Path(), once), Subset.EVALUATION, tuple(range(len(once))))


def check_labels(given: Sequence[str], of_model: Sequence[str], classes: int) -> tuple[str, ...]:
    """Names of the classes: those given, else the model's, else none. Raises BadOption where they do not fit."""
    if given and len(given) != classes:
        raise BadOption(f"--labels: {len(given)} lines for {classes} classes: give one line for each class, in order")
    names = given or (of_model if len(of_model) == classes else ())
    return tuple(name.replace("_", " ") for name in names)


def check_precision(source: sources.Source, precision: Precision, settings: Settings) -> None:
    """Raise BadOption for a precision that this machine or model cannot have, or whose answers would mean nothing."""
    reason = runtime.unsupported(precision, settings.device)
    if reason:
        raise BadOption(f"--precision {precision.value}: {reason}")
    given = precision in source.given or Precision.INT8 in source.given
    if precision in QUANTIZED and not (source.embedded or settings.images or given):
        raise BadOption(
            f"--precision {precision.value}: {source.name} is calibrated on pictures: give --images DIR, "
            f"or a file that is INT8 already, --variant INT8=FILE"
        )


def probabilities(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Rows of (n, classes) as probabilities: those that are some already as they are, of all others the softmax."""
    rows = scores.astype(np.float64)
    already = (rows >= 0).all(axis=1) & (np.abs(rows.sum(axis=1) - 1) <= SUM_TOLERANCE)
    logits = rows[~already]
    with np.errstate(invalid="ignore"):  # infinite logits: NaN, which is no answer
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    rows[~already] = powers / powers.sum(axis=1, keepdims=True)
    return rows


def best_guesses(shares: npt.NDArray[np.float64], top: int, names: Sequence[str]) -> tuple[tuple[Guess, ...], ...]:
    """The best ``top`` classes of each row of probabilities, best first; none of a row that holds NaN."""
    return tuple(
        tuple(
            Guess(int(number), names[number] if names else "", float(row[number]))
            for number in best
            if number != NO_CLASS
        )
        for best, row in zip(top_classes(shares, top), shares, strict=True)
    )


def measure_latency(
    compiled: Any, made_ready: npt.NDArray[Any], clock_ns: Callable[[], int] = time.perf_counter_ns
) -> float | None:
    """Median wall time of one inference with the input in place, in ns: a look, and no benchmark."""
    request = compiled.create_infer_request()
    request.infer({0: made_ready})
    for _ in range(WARM_UP):
        request.infer(share_outputs=True)
    spent = []
    for _ in range(REPEATS):
        begin = clock_ns()
        request.infer(share_outputs=True)
        spent.append(clock_ns() - begin)
    return median(spent)
