"""The embedded model: MobileNetV2 1.0 with seeded weights and a solved head, built and not downloaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ovbench.answers import answer
from ovbench.images import scenes
from ovbench.images.scenes import Scenes
from ovbench.images.sets import Subset
from ovbench.preprocessing import raw
from ovbench.runtime import core
from ovbench.worker import compile_model, import_openvino

if TYPE_CHECKING:
    import openvino as ov

Floats = NDArray[np.float32]
Progress = Callable[[str, float], None]
"""Told the stage's name and how much of the whole build is done, 0..1."""

GENERATOR_VERSION = 1
"""Raise it whenever the same arguments give other weights: the artifact cache is keyed by it."""

NAME = "embedded-mobilenet-v2"
INPUT_SIZE = 224
INPUT = raw(INPUT_SIZE)
CLASSES = 1000
TRAINING_SAMPLES = 2  # of each class; their features are most of the build's time

# Expansion, channels, blocks, stride, as in table 2 of Sandler et al. 2018, "MobileNetV2: Inverted Residuals and
# Linear Bottlenecks".
_BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM_CHANNELS = 32
_FEATURES = 1280

_SEED = 20
_LOW_PASS_SHARE = 0.8  # of a depthwise kernel, the rest is noise: of noise alone no feature outlives 17 blocks
_RESIDUAL_SCALE = 0.1  # of a branch against its shortcut; at 0.2 INT8 agrees on 96.4 %, at 0.1 on 97.2 %
_MEAN_BEFORE_RELU6 = 1.0  # with unit variance: a sixth of the values is cut at 0, next to none at 6
_NORMALIZING_IMAGES = 8
_SHRINKAGE = 0.02  # of the scatter within classes towards a multiple of the identity
_LOGIT_DEVIATION = 3.0  # over classes, as a trained classifier's; changes no ranking

# Shares of the build's time, for the progress bar.
_NORMALIZED_AT, _EXTRACTED_AT = 0.1, 0.95


@dataclass(frozen=True)
class _Layer:
    """A convolution, its bias and what follows; weights ``[out, in / groups, k, k]``, bias ``[out]``."""

    weights: Floats
    bias: Floats
    stride: int = 1
    depthwise: bool = False
    clamped: bool = True
    starts_residual: bool = False
    ends_residual: bool = False


def content_key(classes: int = CLASSES, samples: int = TRAINING_SAMPLES) -> str:
    """What the built model depends on besides the libraries' versions; part of the artifact cache's key."""
    return f"{NAME} {GENERATOR_VERSION} scenes {scenes.GENERATOR_VERSION} {classes}x{samples}"


def build(on_progress: Progress, *, classes: int = CLASSES, samples: int = TRAINING_SAMPLES) -> ov.Model:
    """MobileNetV2 1.0 whose head tells the classes of `ovbench.images.scenes.Scenes` apart.

    Input ``input``: ``[1, 3, 224, 224]`` float32 NCHW, raw 0..255 BGR: the first layer's weights normalize it.
    Output ``prob``: ``[1, classes]`` float32 logits. 53 convolutions, with 1000 classes 300,774,272 MACs. The
    head sees ``samples`` images of each class. The same arguments give the same model on every machine, to within
    rounding.
    """
    on_progress("normalizing layers", 0.0)
    layers = _normalized(_random_layers())

    def tell(share: float) -> None:
        on_progress("extracting features", _NORMALIZED_AT + share * (_EXTRACTED_AT - _NORMALIZED_AT))

    tell(0.0)
    features = _extract_features(_assemble(layers, head=None), classes, samples, tell)
    on_progress("solving the head", _EXTRACTED_AT)
    model = _assemble(layers, head=_solve_head(features))
    on_progress("built", 1.0)
    return model


def _random_layers() -> list[_Layer]:
    """The 52 convolutions before the head, not yet normalized: only the shape of a distribution matters here.

    Full convolutions are uniform, not normal: an int8 step is then 0.014 of their deviation rather than
    0.026, and pooled INT8 features differ from FP32's by 9 % rather than 14 % of their deviation.
    Neighbouring inputs have weights of opposite sign: CPUs without VNNI add the products of two neighbours in
    16 bits (vpmaddubsw), which saturate where both are large and of one sign. With free signs INT8 agreed
    with FP32 on 94.5 % of images on such a CPU, with these on 99.5 % (an easier task than today's).
    """
    random = np.random.default_rng(_SEED)
    binomial = np.outer([1.0, 2.0, 1.0], [1.0, 2.0, 1.0])
    low_pass = binomial / np.linalg.norm(binomial)

    def stem(channels_out: int) -> Floats:
        return _floats(random.uniform(-1.0, 1.0, (channels_out, 3, 3, 3)))

    def pointwise(channels_in: int, channels_out: int) -> Floats:
        drawn = random.uniform(-1.0, 1.0, (channels_out, channels_in, 1, 1))
        drawn[:, 1::2] = -np.copysign(drawn[:, 1::2], drawn[:, ::2])
        return _floats(drawn)

    def depthwise(channels: int) -> Floats:
        noise = random.standard_normal((channels, 1, 3, 3)) / 3.0  # each kernel's norm is about 1, as the low-pass's
        return _floats(_LOW_PASS_SHARE * low_pass + (1.0 - _LOW_PASS_SHARE) * noise)

    def layer(weights: Floats, **more: Any) -> _Layer:
        return _Layer(weights, np.zeros(len(weights), np.float32), **more)

    layers = [layer(stem(_STEM_CHANNELS), stride=2)]
    channels = _STEM_CHANNELS
    for expansion, channels_out, blocks, first_stride in _BLOCKS:
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            residual = stride == 1 and channels == channels_out
            wide = channels * expansion
            if expansion > 1:
                layers.append(layer(pointwise(channels, wide), starts_residual=residual))
            layers.append(layer(depthwise(wide), stride=stride, depthwise=True))
            layers.append(layer(pointwise(wide, channels_out), clamped=False, ends_residual=residual))
            channels = channels_out
    layers.append(layer(pointwise(channels, _FEATURES)))
    return layers


def _floats(values: NDArray[np.float64]) -> Floats:
    return values.astype(np.float32)


def _normalized(layers: list[_Layer]) -> list[_Layer]:
    """The layers scaled and shifted so that each channel has unit variance, and a mean as its place wants.

    Layer by layer, on what the layers before make of a few training images, as batch normalization would.
    """
    pictures = Scenes(Subset.TRAINING, _NORMALIZING_IMAGES, CLASSES, INPUT_SIZE)
    values = np.concatenate([INPUT.to_input(pictures.image(i)) for i in range(len(pictures))])
    shortcut = values
    done = []
    for layer in layers:
        if layer.starts_residual:
            shortcut = values
        values = _convolve(values, layer)
        deviation = np.maximum(values.std(axis=(0, 2, 3)), 1e-6)
        scale = (_RESIDUAL_SCALE if layer.ends_residual else 1.0) / deviation
        wanted_mean = _MEAN_BEFORE_RELU6 if layer.clamped else 0.0
        bias = wanted_mean - values.mean(axis=(0, 2, 3)) * scale
        values = values * scale[:, None, None] + bias[:, None, None]
        if layer.clamped:
            values = values.clip(0.0, 6.0)
        if layer.ends_residual:
            values = values + shortcut
        done.append(replace(layer, weights=layer.weights * scale[:, None, None, None], bias=bias))
    return done


def _convolve(values: Floats, layer: _Layer) -> Floats:
    """The layer's convolution alone, without bias, of ``[N, C, H, W]``."""
    ov = import_openvino()
    parameter = ov.opset13.parameter(values.shape, np.float32)
    model = ov.Model([_convolution(parameter, layer)], [parameter])
    compiled = compile_model(core(), model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled(values)[0])


def _convolution(node: Any, layer: _Layer) -> Any:
    opset = import_openvino().opset13
    margin = [layer.weights.shape[-1] // 2] * 2
    stride = [layer.stride] * 2
    if layer.depthwise:
        return opset.group_convolution(node, layer.weights[:, None], stride, margin, margin, [1, 1])
    return opset.convolution(node, layer.weights, stride, margin, margin, [1, 1])


def _biased(node: Any, layer: _Layer) -> Any:
    return import_openvino().opset13.add(_convolution(node, layer), layer.bias.reshape(1, -1, 1, 1))


def _assemble(layers: list[_Layer], head: _Layer | None) -> ov.Model:
    """The whole network; without a head its output is the pooled features ``[1, 1280]``."""
    ov = import_openvino()
    opset = ov.opset13
    parameter = opset.parameter([1, 3, INPUT_SIZE, INPUT_SIZE], np.float32, name="input")
    parameter.set_layout(ov.Layout("NCHW"))
    parameter.output(0).set_names({"input"})
    node = shortcut = parameter
    for layer in layers:
        if layer.starts_residual:
            shortcut = node
        node = _biased(node, layer)
        if layer.clamped:
            node = opset.clamp(node, 0.0, 6.0)
        if layer.ends_residual:
            node = opset.add(node, shortcut)
    node = opset.reduce_mean(node, np.array([2, 3]), keep_dims=True)
    if head is not None:
        node = _biased(node, head)
    output = opset.reshape(node, np.array([1, -1]), special_zero=False, name="prob")
    output.output(0).set_names({"prob"})
    return ov.Model([output], [parameter], NAME)


def _extract_features(backbone: ov.Model, classes: int, samples: int, on_progress: Callable[[float], None]) -> Floats:
    """Pooled features of training samples, ``[classes, samples, 1280]``."""
    config = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = compile_model(core(), backbone, "CPU", config)
    pictures = Scenes(Subset.TRAINING, classes * samples, classes, INPUT_SIZE)
    features = answer(compiled, pictures, INPUT.to_input, lambda done: on_progress(done / len(pictures))).logits
    by_class = np.argsort([pictures.label(i) for i in range(len(pictures))], kind="stable")
    return features[by_class].reshape(classes, samples, _FEATURES)


def _solve_head(features: Floats) -> _Layer:
    """Linear discriminant analysis with shrinkage, as a 1x1 convolution ``[classes, 1280, 1, 1]``.

    Logit of class c: (x - m_c / 2) S^-1 m_c, with x and the class means m_c about the mean of all, S =
    scatter within classes shrunk towards its mean variance (Friedman 1989, "Regularized Discriminant
    Analysis").
    """
    exact = features.astype(np.float64)
    centre = exact.mean(axis=(0, 1))
    means = exact.mean(axis=1) - centre
    within = (exact - exact.mean(axis=1, keepdims=True)).reshape(-1, _FEATURES)
    scatter = within.T @ within / len(within)
    mean_variance = float(np.trace(scatter)) / _FEATURES
    shrunk = (1.0 - _SHRINKAGE) * scatter + _SHRINKAGE * mean_variance * np.eye(_FEATURES)
    weights = np.linalg.solve(shrunk, means.T).T
    bias = -((0.5 * means + centre) * weights).sum(axis=1)
    logits = exact.reshape(-1, _FEATURES) @ weights.T + bias
    to_usual = _LOGIT_DEVIATION / float(logits.std(axis=1).mean())
    return _Layer(
        _floats(weights * to_usual)[:, :, None, None],
        _floats(bias * to_usual),
        clamped=False,
    )
