"""Where a model comes from, the embedded one or a file, and its precision variants, cached by content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ovbench import runtime, worker
from ovbench.artifacts import JSON, ArtifactCache, file_sha256, model_sha256
from ovbench.config import Precision
from ovbench.images.scenes import Scenes
from ovbench.images.sets import ImageSet, Subset
from ovbench.models.names import EMBEDDED, name_of
from ovbench.options import Shape
from ovbench.precision import Variant
from ovbench.preprocessing import raw
from ovbench.quantization import QuantizationOptions, options_key, quantize, save_model

CALIBRATION_IMAGES = 200  # the tutorial's number; agreement does not rise beyond it (docs/method.md)
EVALUATION_IMAGES = 1000  # agreement of 0.98 is known to +-0.9 points (95 %) by this many

OnProgress = Callable[[str, float], None]


@dataclass(frozen=True)
class Source:
    """One model that a run measures. ``evaluation`` is None where no labelled images fit, ``reason`` says why."""

    name: str
    path: Path
    embedded: bool
    shape: Shape
    calibration: Sequence[NDArray[Any]]
    calibration_hash: str
    evaluation: ImageSet | None
    reason: str = ""


class SceneInputs(Sequence[NDArray[Any]]):
    """Procedural calibration images as inputs ``[1, 3, side, side]`` float32, raw 0..255."""

    def __init__(self, scenes: Scenes) -> None:
        self.scenes = scenes

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: Any) -> Any:
        return raw(self.scenes.size).to_input(self.scenes.image(index))


class RandomInputs(Sequence[NDArray[Any]]):
    """Seeded random inputs for a model that takes no picture; one array, or a list of arrays for several inputs."""

    def __init__(self, model: Any, count: int) -> None:
        self.model, self.size = model, count

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: Any) -> Any:
        arrays = worker.make_inputs(self.model, index)
        names = [port.get_any_name() for port in self.model.inputs]
        return arrays[0] if len(arrays) == 1 else dict(zip(names, arrays, strict=True))


def resolve(given: str, shape: Shape, cache: ArtifactCache, on_progress: OnProgress) -> Source:
    """The source that ``--ov-model`` names, in the shape of ``--ov-shape``. Raises BadModel and BadOption."""
    if given == EMBEDDED:
        return _embedded(cache, on_progress)
    path = Path(given)
    model = runtime.read_model(path, shape)
    side = runtime.image_side(model)
    scenes = None if side is None else Scenes(Subset.CALIBRATION, CALIBRATION_IMAGES, size=side)
    return Source(
        name=name_of(given),
        path=path.resolve(),
        embedded=False,
        shape=shape,
        calibration=RandomInputs(model, CALIBRATION_IMAGES) if scenes is None else SceneInputs(scenes),
        calibration_hash=f"random inputs {CALIBRATION_IMAGES}" if scenes is None else scenes.content_hash(),
        evaluation=None,
        reason=f"the embedded images do not fit {path.stem}: its accuracy and INT8 calibration need its own images",
    )


def _embedded(cache: ArtifactCache, on_progress: OnProgress) -> Source:
    from ovbench.models import embedded

    def build(folder: Path) -> None:
        worker.import_openvino()
        save_model(embedded.build(on_progress), folder / "embedded.xml")

    calibration = Scenes(Subset.CALIBRATION, CALIBRATION_IMAGES)
    key = {
        "content": embedded.content_key(),
        "openvino": metadata.version("openvino"),
        "numpy": np.__version__,
    }
    return Source(
        name=EMBEDDED,
        path=cache.fetch("embedded", key, build) / "embedded.xml",
        embedded=True,
        shape={},
        calibration=SceneInputs(calibration),
        calibration_hash=calibration.content_hash(),
        evaluation=Scenes(Subset.EVALUATION, EVALUATION_IMAGES),
    )


def variant_of(source: Source, precision: Precision, cache: ArtifactCache, on_progress: OnProgress) -> Variant:
    """The file for a precision: the source itself, or its INT8 version, quantized once and cached by content."""
    if precision is not Precision.INT8:
        return Variant(precision, source.path, source.embedded)
    options = QuantizationOptions()
    key: dict[str, JSON] = {
        "model": model_sha256(source.path) if source.path.suffix == ".xml" else file_sha256(source.path),
        "shape": {name: list(dims) for name, dims in source.shape.items()},
        "calibration": source.calibration_hash,
        "preprocessing": "raw",
        "options": options_key(options),
        "openvino": metadata.version("openvino"),
    }

    def build(folder: Path) -> None:
        quantized = quantize(
            runtime.read_model(source.path, source.shape),
            source.calibration,
            options,
            lambda stage, done, total: on_progress(stage, done / max(total, 1)),
        )
        save_model(quantized, folder / f"{source.name}.xml")

    return Variant(precision, cache.fetch("int8", key, build) / f"{source.name}.xml", source.embedded)
