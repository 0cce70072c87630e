"""What the package asks of OpenVINO in its own process, through ``worker``: devices, models, a cell, logits."""

from __future__ import annotations

import contextlib
import functools
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ovbench import worker
from ovbench.config import Config, Precision
from ovbench.errors import BadModel, BadOption
from ovbench.images.sets import ImageSet
from ovbench.options import Shape
from ovbench.precision import INFERENCE_PRECISION, compile_properties

FRONT_ENDS = (".xml", ".onnx", ".tflite", ".pb", ".pdmodel")
VIRTUAL_DEVICES = ("AUTO", "MULTI", "HETERO", "BATCH")
AHEAD = 32  # decoded images waiting for inference: 19 MB at 224x224 float32, enough to ride out a slow one

ToInput = Callable[[Any], NDArray[Any]]


@functools.lru_cache(maxsize=1)
def core() -> Any:
    """This process's one OpenVINO core."""
    return worker.import_openvino().Core()


def check_device(device: str) -> None:
    """Raise BadOption for a device that OpenVINO does not see here."""
    available = core().available_devices
    if device.split(":")[0].split(".")[0] not in (*available, *VIRTUAL_DEVICES):
        raise BadOption(f"--ov-device {device}: not a device of this machine: give one of {', '.join(available)}")


def unsupported(precision: Precision, device: str) -> str:
    """Why rows of this precision cannot be measured on the device; "" if they can."""
    wanted = INFERENCE_PRECISION[precision]
    if wanted == "f32" or device.split(":")[0] in VIRTUAL_DEVICES:
        return ""
    offered = core().get_property(device, "OPTIMIZATION_CAPABILITIES")
    if wanted.upper() in offered:
        return ""
    return f"{device} has no {wanted} arithmetic (OPTIMIZATION_CAPABILITIES: {', '.join(offered)})"


def read_model(path: Path, shape: Shape) -> Any:
    """Read a model file and give it a static shape.

    Raises BadModel with one line that names the file, what is wrong and what to do, BadOption where --ov-shape is
    missing or does not fit.
    """
    if not path.exists():
        raise BadModel(f"no model at {path}: give 'embedded' or a file ({', '.join(FRONT_ENDS)})")
    if path.suffix not in FRONT_ENDS or not path.is_file():
        raise BadModel(f"{path} is no model file that ovbench reads: give one of {', '.join(FRONT_ENDS)}")
    if path.suffix == ".xml" and not path.with_suffix(".bin").exists():
        raise BadModel(f"weights of {path} are missing: put {path.with_suffix('.bin').name} beside it")
    try:
        with _stderr_hidden():  # ONNX's and TensorFlow's readers write pages there about a corrupt file
            core().read_model(str(path))
    except RuntimeError as error:
        if "Incorrect weights in bin file" in str(error):
            raise BadModel(
                f"weights {path.with_suffix('.bin')} are cut off or not this model's: copy it again"
            ) from None
        if "doesn't contain the operation" in str(error):
            raise BadModel(f"{path} has an operation unknown to this OpenVINO: {worker.one_line(error)}") from None
        raise BadModel(f"{path} cannot be read, it is cut off or corrupt: convert or copy it again") from None
    try:
        return worker.read_model(core(), str(path), {name: list(dims) for name, dims in shape.items()}, 0)
    except (worker.Refusal, RuntimeError) as error:
        raise BadOption(f"--ov-shape: {worker.one_line(error)}") from None


@contextlib.contextmanager
def _stderr_hidden() -> Iterator[None]:
    """Send what C++ writes to this process's error output to nowhere, for a moment."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def compile_cell(path: Path, config: Config, shape: Shape, cache_dir: Path | None) -> Any:
    """An ``ov.CompiledModel`` of one cell in this process. Raises BadModel, one line."""
    dims = {name: list(sizes) for name, sizes in shape.items()}
    try:
        model = worker.read_model(core(), str(path), dims, config.batch)
        return worker.compile_model(core(), model, config.device, compile_properties(config, cache_dir))
    except (worker.Refusal, RuntimeError) as error:
        raise BadModel(f"{config.id} of {path.name} does not compile: {worker.one_line(error)}") from error


def image_side(model: Any) -> int | None:
    """Side of a square 3-channel NCHW float input, if that is the model's only input; None for any other model."""
    if len(model.inputs) != 1 or model.input(0).get_partial_shape().is_dynamic:
        return None
    shape = list(model.input(0).get_shape())
    return shape[2] if len(shape) == 4 and shape[1] == 3 and shape[2] == shape[3] else None


def classify(
    compiled: Any, images: ImageSet, to_input: ToInput, on_image: Callable[[int], None] = lambda _done: None
) -> NDArray[np.float32]:
    """Logits of every image, shape (images, classes), in order.

    Images are made ready in a thread of their own, at most AHEAD of inference; requests run asynchronously.
    """
    openvino = worker.import_openvino()
    logits: dict[int, NDArray[np.float32]] = {}

    def keep(request: Any, index: int) -> None:
        logits[index] = np.array(request.get_output_tensor(0).data, dtype=np.float32).reshape(-1)

    requests = openvino.AsyncInferQueue(compiled)
    requests.set_callback(keep)
    with ThreadPoolExecutor(1, thread_name_prefix="ovbench-images") as thread:
        ahead: deque[Future[NDArray[Any]]] = deque()
        for index in range(len(images)):
            while len(ahead) < AHEAD and index + len(ahead) < len(images):
                ahead.append(thread.submit(_prepare, images, index + len(ahead), to_input))
            requests.start_async({0: ahead.popleft().result()}, index)
            on_image(index + 1)
        requests.wait_all()
    return np.stack([logits[index] for index in range(len(images))])


def _prepare(images: ImageSet, index: int, to_input: ToInput) -> NDArray[Any]:
    return to_input(images.image(index))
