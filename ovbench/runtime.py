"""What the package asks of OpenVINO in its own process, through ``worker``: devices, models, a cell."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ovbench import worker
from ovbench.config import Config, Precision
from ovbench.errors import BadModel, BadOption
from ovbench.models.names import FILE_SUFFIXES
from ovbench.options import Shape
from ovbench.precision import INFERENCE_PRECISION, compile_properties

SAVED_MODEL = "saved_model.pb"
VIRTUAL_DEVICES = ("AUTO", "MULTI", "HETERO", "BATCH")


@functools.lru_cache(maxsize=1)
def core() -> Any:
    """This process's one OpenVINO core."""
    return worker.import_openvino().Core()


def check_device(device: str, flag: str = "--ov-device") -> None:
    """Raise BadOption, which names the ``flag``, for a device that OpenVINO does not see here."""
    available = core().available_devices
    if device.split(":")[0].split(".")[0] not in (*available, *VIRTUAL_DEVICES):
        raise BadOption(f"{flag} {device}: not a device of this machine: give one of {', '.join(available)}")


def default_arithmetic(device: str = "CPU") -> tuple[str, str]:
    """What an FP32 model that is compiled with no options runs in: the precision it reads back, and its kernel's.

    A convolution of a few milliseconds is compiled and asked. Raises RuntimeError as OpenVINO does.
    """
    import numpy as np

    openvino = worker.import_openvino()
    ops = openvino.opset13
    picture = ops.parameter([1, 16, 8, 8], openvino.Type.f32)
    kernels = np.ones((16, 16, 3, 3), np.float32)
    model = openvino.Model([ops.convolution(picture, kernels, [1, 1], [1, 1], [1, 1], [1, 1])], [picture], "probe")
    effective = worker.effective_config(model, worker.compile_model(core(), model, device, {}))
    return str(effective["inference_precision"]), next(iter(effective["mac_shares"]), "unknown")


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
        raise BadModel(
            f"no model at {path}: give 'embedded', a file ({', '.join(FILE_SUFFIXES)}) or a folder of a model"
        )
    if path.is_dir() and not (path / SAVED_MODEL).is_file():
        raise BadModel(f"{path} holds no {SAVED_MODEL}: give a TensorFlow SavedModel folder, or a model file")
    if not path.is_dir() and path.suffix not in FILE_SUFFIXES:
        raise BadModel(f"{path} is no model file that ovbench reads: give one of {', '.join(FILE_SUFFIXES)}")
    if path.suffix == ".xml" and not path.with_suffix(".bin").exists():
        raise BadModel(f"weights of {path} are missing: put {path.with_suffix('.bin').name} beside it")
    try:
        with _stderr_hidden():  # ONNX's and TensorFlow's readers write pages there about a corrupt file
            core().read_model(str(path))
    except RuntimeError as error:
        raise BadModel(_unreadable(path, error)) from None
    try:
        return worker.read_model(core(), str(path), {name: list(dims) for name, dims in shape.items()}, 0)
    except (worker.Refusal, RuntimeError) as error:
        raise BadOption(f"--ov-shape: {worker.one_line(error)}") from None


def _unreadable(path: Path, error: RuntimeError) -> str:
    """What a front end's refusal means: missing weights, an operation it has not, shapes that clash, or noise."""
    text, reason = str(error), worker.one_line(error).removeprefix("-- ")
    if "Incorrect weights in bin file" in text:
        return f"weights {path.with_suffix('.bin')} are cut off or not this model's: copy it again"
    if "doesn't contain the operation" in text:
        return f"{path} has an operation unknown to this OpenVINO: {reason}"
    if any(each in text for each in ("OpConversionFailure", "onversion is failed", "o conversion rule")):
        return f"{path} has operations that OpenVINO cannot convert: {reason}"
    if "While validating node" in text:
        return f"{path} does not fit together: {reason.rstrip('.')}: convert it again"
    return f"{path} cannot be read, it is cut off or corrupt: convert or copy it again"


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


def output_names(model: Any) -> tuple[str, ...]:
    """A name for each output: its tensor's, or its number where it has none."""
    return tuple(
        str(port.get_any_name()) if port.get_names() else str(index) for index, port in enumerate(model.outputs)
    )


def classes_of(model: Any) -> int | None:
    """How many classes the model's only output tells apart; None for a model that is no classifier of one picture."""
    if len(model.outputs) != 1 or model.output(0).get_partial_shape().is_dynamic:
        return None
    first, *rest = [int(size) for size in model.output(0).get_shape()] or [0]
    sizes = [size for size in rest if size != 1]
    return sizes[0] if first == 1 and len(sizes) == 1 else None
