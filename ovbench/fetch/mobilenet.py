"""Trained MobileNetV2: torchvision's checkpoint, built into OpenVINO IR in Open Model Zoo's layout.

The graph is built from the weights with OpenVINO's own operations. So torch is needed to read the file and for nothing
else; torchvision and ONNX, which a conversion by tracing or by omz_converter needs, are not.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ovbench.errors import BadInput, BadModel
from ovbench.quantization import save_model
from ovbench.worker import import_openvino, one_line

if TYPE_CHECKING:
    import openvino as ov

Weights = Mapping[str, NDArray[Any]]
"""A state dict: each tensor by torchvision's name for it."""

NAME = "mobilenet-v2-pytorch"
INPUT_SHAPE = [1, 3, 224, 224]
LAST_FEATURE = 18
HALVING_FEATURES = (0, 2, 4, 7, 14)  # strides are no weights; table 2 of Sandler et al. 2018
EPSILON = 1e-5  # of torch.nn.BatchNorm2d, which torchvision leaves as it is
CLASSIFIER = "classifier.1"

# What torchvision trained with, (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225), in 0..255. Open Model Zoo's
# model.yml says 58.624 where this says 58.395.
MODEL_INFO = {
    "model_type": "Classification",
    "mean_values": "123.675 116.28 103.53",
    "scale_values": "58.395 57.12 57.375",
    "reverse_input_channels": "YES",
    "resize_type": "crop",
}
PRECISIONS = {"FP32": False, "FP16": True}
"""Folder of each, and whether its weights are compressed to FP16."""


@dataclass(frozen=True)
class _Layer:
    """Names of a convolution and of the batch normalization after it."""

    convolution: str
    normalization: str
    stride: int = 1
    clamped: bool = True

    @property
    def names(self) -> list[str]:
        wanted = ("weight", "bias", "running_mean", "running_var")
        return [f"{self.convolution}.weight", *(f"{self.normalization}.{each}" for each in wanted)]


def check_torch() -> None:
    """Raise BadInput where torch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise BadInput(f"{NAME} is a torch checkpoint and torch is not installed: pip install 'ovbench[torch]'")


def convert(checkpoint: Path, folder: Path, labels: Sequence[str]) -> None:
    """Write ``<precision>/mobilenet-v2-pytorch.xml`` and ``.bin`` below the folder.

    Raises BadModel, NotWritable; OSError when the folder cannot be written.
    """
    model = build(read_weights(checkpoint))
    for key, value in {**MODEL_INFO, "labels": " ".join(label.replace(" ", "_") for label in labels)}.items():
        model.set_rt_info(value, ["model_info", key])
    for precision, half in PRECISIONS.items():
        path = folder / precision / f"{NAME}.xml"
        path.parent.mkdir()
        save_model(model, path, half=half)


def read_weights(checkpoint: Path) -> Weights:
    """The tensors of a torch checkpoint. Raises BadModel unless it is a state dict and nothing else; runs no code."""
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it then refuses; our one line says it
            state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds: whatever the damage makes torch stumble over
        raise BadModel(
            f"{checkpoint} is cut off or holds more than weights, torch.load(weights_only=True) refuses it: "
            "get a state dict"
        ) from error
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(each, torch.Tensor) for name, each in state.items()
    ):
        raise BadModel(f"{checkpoint} holds no state dict of tensors: get a state dict")
    return {name: tensor.detach().float().numpy() for name, tensor in state.items()}


def build(weights: Weights) -> ov.Model:
    """The graph, batch normalizations folded into the convolutions before them.

    Input ``data``: ``[1, 3, 224, 224]`` float32 NCHW, RGB, normalized as MODEL_INFO says. Output ``prob``: logits
    ``[1, classes]`` float32; the names are those of Open Model Zoo's IR. Raises BadModel for other weights.
    """
    _check(weights)
    ov = import_openvino()
    opset = ov.opset13
    picture = opset.parameter(INPUT_SHAPE, np.float32, name="data")
    picture.set_layout(ov.Layout("NCHW"))
    picture.output(0).set_names({"data"})
    node = picture
    try:
        for feature in _features():
            shortcut = node
            for layer in feature:
                node = _convolved(node, layer, weights)
            if node.output(0).get_shape() == shortcut.output(0).get_shape():
                node = opset.add(node, shortcut)
        pooled = opset.reduce_mean(node, np.array([2, 3]), keep_dims=False)
        product = opset.matmul(pooled, _floats(weights[f"{CLASSIFIER}.weight"]), False, True)
        logits = opset.add(product, _floats(weights[f"{CLASSIFIER}.bias"]), name="prob")
    except (RuntimeError, ValueError) as error:  # OpenVINO's and numpy's word for shapes that do not fit
        raise BadModel(f"weights are not of MobileNetV2 1.0, their shapes do not fit: {one_line(error)}") from error
    logits.output(0).set_names({"prob"})
    return ov.Model([logits], [picture], NAME)


def fold(
    weights: NDArray[Any], scale: NDArray[Any], shift: NDArray[Any], mean: NDArray[Any], variance: NDArray[Any]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights ``[out, in, k, k]`` and bias ``[out]`` of the convolution that does batch normalization as well.

    Of y it makes (y - mean) / sqrt(variance + EPSILON) * scale + shift (Ioffe and Szegedy 2015), each ``[out]``.
    """
    factor = scale / np.sqrt(np.asarray(variance, np.float64) + EPSILON)
    return _floats(weights * factor[:, None, None, None]), _floats(shift - mean * factor)


def _features() -> Iterator[list[_Layer]]:
    """The layers of each of torchvision's ``features``, all but the first and last being inverted residuals."""
    for number in range(LAST_FEATURE + 1):
        stride = 2 if number in HALVING_FEATURES else 1
        here = f"features.{number}"
        if number in (0, LAST_FEATURE):
            yield [_Layer(f"{here}.0", f"{here}.1", stride)]
            continue
        # The first inverted residual does not expand.
        expansion = [] if number == 1 else [_Layer(f"{here}.conv.0.0", f"{here}.conv.0.1")]
        i = len(expansion)
        yield [
            *expansion,
            _Layer(f"{here}.conv.{i}.0", f"{here}.conv.{i}.1", stride),
            _Layer(f"{here}.conv.{i + 1}", f"{here}.conv.{i + 2}", clamped=False),
        ]


def _check(weights: Weights) -> None:
    """Raise BadModel unless these are the names of torchvision's mobilenet_v2."""
    wanted = {name for feature in _features() for layer in feature for name in layer.names}
    wanted |= {f"{CLASSIFIER}.weight", f"{CLASSIFIER}.bias"}
    given = {name for name in weights if not name.endswith(".num_batches_tracked")}  # of use in training alone
    for fault, names in (("it has no", wanted - given), ("it has an unknown", given - wanted)):
        if names:
            raise BadModel(f"this is no state dict of torchvision's mobilenet_v2: {fault} {min(names)!r}")


def _convolved(node: Any, layer: _Layer, weights: Weights) -> Any:
    opset = import_openvino().opset13
    kernel, bias = fold(*(weights[name] for name in layer.names))
    margin = [kernel.shape[-1] // 2] * 2
    stride = [layer.stride] * 2
    if kernel.shape[1] == 1:  # depthwise
        node = opset.group_convolution(node, kernel[:, None], stride, margin, margin, [1, 1])
    else:
        node = opset.convolution(node, kernel, stride, margin, margin, [1, 1])
    node = opset.add(node, bias.reshape(1, -1, 1, 1))
    return opset.clamp(node, 0.0, 6.0) if layer.clamped else node


def _floats(values: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32)
