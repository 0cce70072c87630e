"""How a picture becomes a model's input: described once, applied outside the graph or inside it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from ovbench.errors import BadModel, BadOption
from ovbench.images.sets import Image
from ovbench.models import omz
from ovbench.options import Channels, Place, Resize
from ovbench.worker import import_openvino

__all__ = ["Channels", "Place", "Preprocessing", "Resize", "Wishes", "describe", "into_model", "labels_of", "raw"]

Model: TypeAlias = Any  # openvino.Model: openvino carries no type information
Node: TypeAlias = Any
Triple: TypeAlias = tuple[float, float, float]

NO_MEAN: Triple = (0.0, 0.0, 0.0)
NO_SCALE: Triple = (1.0, 1.0, 1.0)
UNIT_SCALE: Triple = (255.0, 255.0, 255.0)  # of a graph that normalizes values of 0..1

CENTRAL_SHARE = 0.875
"""Of the short side that CROP shows unless it is told: what classifiers are tested with (torchvision and TF-Slim cut
224 of 256). MobileNetV2 names 86.2 % of 500 pictures so, 85.4 % with Model API's crop, which shows all of the short
side, 83.8 % stretched; scaled by areas (INTER_AREA) instead of bilinearly each is 1 to 2 points worse."""

FLOATS: dict[str, type[np.floating[Any]]] = {"f32": np.float32, "f16": np.float16}
BYTES = "u8"

ASSUMED = "assumed"
SAME_MEAN = 0.01  # 16-bit constants round by 0.001; ImageNet's red and blue differ by 0.16
SCALING = ("Multiply", "Divide")
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"

PASSING = ("Convert", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Interpolate")
"""Operations that leave each channel's values what they are: normalization may come after them."""


@dataclass(frozen=True)
class Wishes:
    """What the user said of a model's input; None is left to the model. Mean and scale in its order of channels."""

    mean: Triple | None = None
    scale: Triple | None = None
    channels: Channels | None = None
    resize: Resize | None = None


@dataclass(frozen=True)
class Preprocessing:
    """From a picture, uint8 H x W x 3 BGR of any size, to an input of ``height`` x ``width``.

    The model takes ``(x - mean) / scale`` of 0..255 values, mean and scale in its own order of ``channels``.
    STANDARD stretches the picture, CROP keeps its proportions; both show the middle of it scaled to ``short_side``
    (0: of all of it). FIT and LETTERBOX show the whole picture in its proportions and fill the rest with ``padding``,
    0..255. ``said_by`` names where this is from, for reports.
    """

    height: int
    width: int
    layout: str = "NCHW"
    channels: Channels = Channels.BGR
    mean: Triple = NO_MEAN
    scale: Triple = NO_SCALE
    resize: Resize = Resize.STANDARD
    short_side: int = 0
    padding: int = 0
    element_type: str = "f32"
    place: Place = Place.OUTSIDE
    said_by: str = ""

    def to_input(self, image: Image) -> NDArray[Any]:
        """Input of the model: ``[1, 3, H, W]`` or ``[1, H, W, 3]`` as its layout says, C-contiguous, of its type.

        Safe in several threads at once.
        """
        planes = list(cv2.split(self.resized(image)))
        if self.channels is Channels.RGB:
            planes.reverse()
        if self.element_type != BYTES:
            planes = [
                _normalized(plane, mean, scale, FLOATS[self.element_type])
                for plane, mean, scale in zip(planes, self.mean, self.scale, strict=True)
            ]
        made = np.stack(planes) if self.layout == "NCHW" else cv2.merge(planes)
        return made[np.newaxis]

    def resized(self, image: Image) -> Image:
        """The part of the picture that the model sees, ``height`` x ``width`` x 3, uint8 BGR, by bilinear scaling."""
        if self.resize in (Resize.FIT, Resize.LETTERBOX):
            return self._fitted(image)
        return _scaled(self._middle(image), self.height, self.width)

    def _middle(self, image: Image) -> Image:
        """The part of the picture that is shown: cut before it is scaled, which is less work."""
        rows, columns = image.shape[:2]
        down, across = rows / self.height, columns / self.width
        if self.resize is Resize.CROP:
            down = across = min(down, across)
        short = min(self.height, self.width)
        share = short / max(self.short_side, short)
        inner_rows = max(round(self.height * down * share), 1)
        inner_columns = max(round(self.width * across * share), 1)
        top, left = (rows - inner_rows) // 2, (columns - inner_columns) // 2
        return image[top : top + inner_rows, left : left + inner_columns]

    def _fitted(self, image: Image) -> Image:
        """The whole picture in its own proportions: in the corner (FIT) or in the middle (LETTERBOX)."""
        rows, columns = image.shape[:2]
        ratio = min(self.height / rows, self.width / columns)
        inner = _scaled(image, max(round(rows * ratio), 1), max(round(columns * ratio), 1))
        below, right = self.height - inner.shape[0], self.width - inner.shape[1]
        top, left = (below // 2, right // 2) if self.resize is Resize.LETTERBOX else (0, 0)
        colour = (self.padding,) * 3
        framed = cv2.copyMakeBorder(inner, top, below - top, left, right - left, cv2.BORDER_CONSTANT, value=colour)
        return np.asarray(framed, np.uint8)


def raw(side: int) -> Preprocessing:
    """The form Open Model Zoo's converted classifiers take, and the embedded model: raw 0..255 BGR, NCHW float32."""
    return Preprocessing(side, side, said_by="mean and scale inside the graph")


def _normalized(plane: Any, mean: float, scale: float, kind: type[np.floating[Any]]) -> Any:
    """(x - mean) / scale of bytes: each of the 256 is computed once, the rest is looked up."""
    table = ((np.arange(256.0) - mean) / scale).astype(kind)[np.newaxis]
    bits = np.int16 if kind is np.float16 else np.float32  # cv2 looks up 16-bit integers, but not floats
    return cv2.LUT(plane, table.view(bits)).view(kind)


def _scaled(image: Image, height: int, width: int) -> Image:
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


# ------------------------------------------------------------------------------------------------------ described


@dataclass(frozen=True)
class _Said:
    """What one source says of the input; None where it says nothing. ``by`` follows the names of what it said."""

    by: str
    mean: Triple | None = None
    scale: Triple | None = None
    channels: Channels | None = None
    resize: Resize | None = None
    short_side: int = 0


def describe(model: Model, name: str, wishes: Wishes) -> Preprocessing | None:
    """How pictures become the input of this model; None if it takes none.

    It takes pictures if its only input is floats or bytes, one picture of 3 channels at a time (or a dynamic batch),
    of a known size. Each of mean, scale, channels and resize is from the first that says it: the user; the graph, if
    it normalizes inside, so that it is not done twice; Model API's ``model_info``; Open Model Zoo, where ``name`` is
    one of its own; else the assumption of raw 0..255 BGR, stretched. Raises BadOption for a wish that cannot be
    fulfilled, BadModel for a ``model_info`` that cannot be read.
    """
    form = _form(model)
    if form is None:
        return None
    wanted = _Said("as given", wishes.mean, wishes.scale, wishes.channels, wishes.resize)
    if form.element_type == BYTES and (wishes.mean not in (None, NO_MEAN) or wishes.scale not in (None, NO_SCALE)):
        raise BadOption(f"--ov-mean, --ov-scale: {name} takes bytes, which cannot be normalized: leave them out")
    info = _model_info(model, name)
    sources = [wanted, _inside(model, form, info), info]
    if name in omz.CLASSIFIERS:
        sources.append(_zoo(name))
    sources.append(_Said(ASSUMED, NO_MEAN, NO_SCALE, Channels.BGR, Resize.STANDARD))
    return _merged(form, sources, _padding(model))


def _merged(form: Preprocessing, sources: list[_Said], padding: int) -> Preprocessing:
    """The first that says it wins, field by field; ``said_by`` tells who said what."""
    chosen: dict[str, Any] = {}
    by: dict[str, list[str]] = {}
    for field in ("mean", "scale", "channels", "resize"):
        source = next(each for each in sources if getattr(each, field) is not None)
        chosen[field] = getattr(source, field)
        by.setdefault(source.by, []).append(field)
        if field == "resize":
            chosen["short_side"] = source.short_side
    if chosen["resize"] is Resize.CROP and not chosen["short_side"]:
        chosen["short_side"] = round(min(form.height, form.width) / CENTRAL_SHARE)
    if ASSUMED in by:
        fields = by.pop(ASSUMED)
        by[_assumed(fields)] = fields
    told = "; ".join(f"{_listed(fields)} {source}" for source, fields in by.items())
    return replace(form, **chosen, padding=padding, said_by=told)


def _assumed(fields: list[str]) -> str:
    words = {"mean": "no mean", "scale": "no scale", "channels": "BGR", "resize": "stretched"}
    options = ", ".join(f"--ov-{field}" for field in fields)
    return f"{ASSUMED}: {_listed([words[field] for field in fields])} (see {options})"


def _zoo(name: str) -> _Said:
    known = omz.CLASSIFIERS[name]
    return _Said(
        f"from Open Model Zoo's {name}", known.mean, known.scale, known.channels, known.resize, known.short_side
    )


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _form(model: Model) -> Preprocessing | None:
    """Size, layout and type of the only input; None if it is no picture."""
    if len(model.inputs) != 1:
        return None
    port = model.input(0)
    shape = port.get_partial_shape()
    element = port.get_element_type().get_type_name()
    if shape.rank.is_dynamic or len(shape) != 4 or element not in (*FLOATS, BYTES):
        return None
    if any(each.is_dynamic for each in list(shape)[1:]) or not (shape[0].is_dynamic or shape[0].get_length() == 1):
        return None
    dims = [each.get_length() for each in list(shape)[1:]]
    layout = _layout(port, dims)
    if layout is None:
        return None
    height, width = dims[1:] if layout == "NCHW" else dims[:2]
    return Preprocessing(height, width, layout, element_type=element)


def _layout(port: Any, dims: list[int]) -> str | None:
    """NCHW or NHWC: what the port says, else where the 3 channels are."""
    said = import_openvino().layout_helpers.get_layout(port).to_string().strip("[]").replace(",", "")
    for layout in ("NCHW", "NHWC"):
        place = layout.index("C")
        if dims[place - 1] == 3 and (len(said) != 4 or "C" not in said or said[place] == "C"):
            return layout
    return None


# ------------------------------------------------------------------------------------------------ what the graph does


@dataclass(frozen=True)
class _Beginning:
    """What the graph does to its input first: reverses its channels or not, then x -> (x - mean) / scale."""

    reversed: bool
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]


def _inside(model: Model, form: Preprocessing, info: _Said) -> _Said:
    """What is normalized inside already, as the operations before the first layer and Model Optimizer's notes show.

    Model Optimizer and `into_model` fold a scale alone into the first convolution, a reversal of channels into its
    weights and the mean's order: then ``conversion_parameters`` tells, or the mean's order. A ``model_info`` that
    says again what is inside is of the graph as it was before: its reversal is taken to be inside too.
    """
    if _flag(model, "model_info", "embedded_processing"):
        return _Said("inside the graph", NO_MEAN, NO_SCALE, Channels.BGR)
    beginning, notes = _beginning(model), _conversion(model)
    channels = _channels(beginning, notes)
    normalizes = bool(np.any(beginning.mean != 0) or np.any(beginning.scale != 1))
    if normalizes or notes.mean.any() or notes.scale.any():
        scale = UNIT_SCALE if normalizes and _takes_unit_values(beginning) else NO_SCALE
        if info.mean in (None, NO_MEAN) and info.scale in (None, NO_SCALE):
            return _Said("inside the graph", NO_MEAN, scale, channels)
        by = "inside the graph (what model_info says of them is not done again)"
        return _Said(by, NO_MEAN, scale, channels or Channels.BGR)
    if form.element_type == BYTES:
        return _Said("inside the graph, which takes bytes", NO_MEAN, NO_SCALE, channels)
    return _Said("inside the graph", channels=channels)


def _channels(beginning: _Beginning, notes: _Beginning) -> Channels | None:
    """The order that the graph takes, where it or Model Optimizer shows it."""
    inner = _order(beginning.mean)
    if beginning.reversed:
        return Channels.RGB if inner is Channels.BGR else Channels.BGR
    return inner or (Channels.BGR if notes.reversed else _order(notes.mean))


def _order(mean: NDArray[np.float64]) -> Channels | None:
    """Of a mean's three values: photographs are redder than blue (ImageNet's mean is 124, 116, 104 in RGB)."""
    if mean.size != 3 or np.isclose(mean[0], mean[2], rtol=SAME_MEAN):
        return None
    return Channels.RGB if mean[0] > mean[2] else Channels.BGR


def _takes_unit_values(beginning: _Beginning) -> bool:
    """Whether the graph takes values of 0..1: it enlarges them, or subtracts what is nothing beside 255."""
    if np.all(beginning.scale == 1):
        return bool(np.all(np.abs(beginning.mean) <= 1))
    return bool(np.all(beginning.scale < 1))


def _beginning(model: Model) -> _Beginning:
    """Follow the only input through additions, products and reorderings up to the first other operation."""
    factor, offset, turned = np.ones(1), np.zeros(1), False
    output = model.input(0).get_node().output(0)
    while True:
        users = [each for each in output.get_target_inputs() if each.get_node().get_type_name() != "ShapeOf"]
        if len(users) != 1:
            break
        node, place = users[0].get_node(), users[0].get_index()
        kind = node.get_type_name()
        if kind in ("Add", "Subtract", "Multiply", "Divide"):
            constant = _constant(node, 1 - place)
            if (
                constant is None
                or (kind in ("Subtract", "Divide") and place != 0)
                or (kind in SCALING and 0 in constant)
            ):
                break
            factor, offset = _applied(kind, constant, factor, offset)
        elif kind == "Gather" and _reverses(node):
            factor, offset, turned = factor[::-1], offset[::-1], not turned
        elif kind not in PASSING or place != 0:
            break
        output = node.output(0)
    return _Beginning(turned, -offset / factor, 1 / factor)


def _applied(
    kind: str, constant: NDArray[np.float64], factor: NDArray[np.float64], offset: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The product and sum that x -> factor * x + offset, then this operation, make."""
    if kind == "Add":
        return factor, offset + constant
    if kind == "Subtract":
        return factor, offset - constant
    by = constant if kind == "Multiply" else 1 / constant
    return factor * by, offset * by


def _constant(node: Node, place: int) -> NDArray[np.float64] | None:
    """The 1 or 3 values at an input, decompressed where it is stored in 16 bits; None for anything else."""
    source = node.input_value(place).get_node()
    if source.get_type_name() == "Convert":
        source = source.input_value(0).get_node()
    if source.get_type_name() != "Constant":
        return None
    if int(np.prod(source.get_output_shape(0))) not in (1, 3):
        return None
    values = np.asarray(source.data, np.float64).reshape(-1)
    return values if np.all(np.isfinite(values)) else None


def _reverses(node: Node) -> bool:
    values = _constant(node, 1)
    return values is not None and values.tolist() == [2, 1, 0]


def _conversion(model: Model) -> _Beginning:
    """What Model Optimizer noted that it built in; no numbers where it was told none.

    It writes ``data[123.675,116.28,103.53]``, and ``()`` for none. The mean is in the order before the reversal.
    """

    def numbers(key: str) -> NDArray[np.float64]:
        inner = re.search(r"\[([^\]]*)\]", _info(model, "conversion_parameters", key))
        return np.array([float(each) for each in re.findall(_NUMBER, inner[1] if inner else "")])

    reverses = _flag(model, "conversion_parameters", "reverse_input_channels")
    return _Beginning(reverses, numbers("mean_values"), numbers("scale_values"))


# -------------------------------------------------------------------------------------------------- what rt_info says


def _model_info(model: Model, name: str) -> _Said:
    """What Model API's ``model_info`` says, with its own defaults where it says anything of normalization at all."""
    mean, scale = _triple(model, name, "mean_values"), _triple(model, name, "scale_values")
    reverse = _info(model, "model_info", "reverse_input_channels")
    if mean or scale or reverse:
        mean, scale = mean or NO_MEAN, scale or NO_SCALE
    channels = Channels.RGB if _flag(model, "model_info", "reverse_input_channels") else Channels.BGR
    said = _info(model, "model_info", "resize_type")
    kinds = {each.value: each for each in Resize}
    if said and said not in kinds:
        raise BadModel(
            f"{name}: model_info's resize_type {said!r}: not one of {', '.join(kinds)}: correct it in the .xml"
        )
    return _Said(
        "from the model's model_info",
        mean,
        scale,
        channels if mean else None,
        kinds.get(said),
    )


def _padding(model: Model) -> int:
    text = _info(model, "model_info", "pad_value")
    return int(text) if text.isdigit() and int(text) <= 255 else 0


def _triple(model: Model, name: str, key: str) -> Triple | None:
    """One number or three of ``model_info``, separated by blanks; None without."""
    text = _info(model, "model_info", key)
    if not text.strip():
        return None
    values = [float(each) for each in text.split() if re.fullmatch(_NUMBER, each)]
    if len(values) != len(text.split()) or len(values) not in (1, 3) or (key == "scale_values" and 0.0 in values):
        raise BadModel(f"{name}: model_info's {key} {text!r}: not one number or three numbers: correct it in the .xml")
    first, second, third = values * 3 if len(values) == 1 else values
    return first, second, third


def labels_of(model: Model) -> tuple[str, ...]:
    """Names of the classes, in order, from ``model_info``; ``()`` without. A blank in a name is an underscore."""
    return tuple(_info(model, "model_info", "labels").split())


def _info(model: Model, *path: str) -> str:
    """A value of ``rt_info``; "" without. An ONNX file's metadata lie below ``framework``."""
    for place in (list(path), ["framework", " ".join(path)]):
        if model.has_rt_info(place):
            return str(model.get_rt_info(place).value)
    return ""


def _flag(model: Model, *path: str) -> bool:
    """Model API writes YES, Model Optimizer True."""
    return _info(model, *path).lower() in ("yes", "true")


# ------------------------------------------------------------------------------------------------- inside the graph


def into_model(model: Model, preprocessing: Preprocessing) -> tuple[Model, Preprocessing]:
    """A copy of the graph that takes bytes, ``[1, H, W, 3]`` BGR, and how pictures become those.

    Layout, order of channels, mean and scale are dealt with inside (``openvino.preprocess``), the resizing stays
    outside. ``model_info`` says so, for Model API and for `describe`. Of a quantized model too: its first quantizer
    then works on the bytes.
    """
    ov = import_openvino()
    assert preprocessing.place is Place.OUTSIDE, "normalized inside already"
    steps = ov.preprocess.PrePostProcessor(model.clone())
    port = steps.input()
    colours = ov.preprocess.ColorFormat
    port.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC")).set_color_format(colours.BGR)
    port.model().set_layout(ov.Layout(preprocessing.layout))
    if preprocessing.channels is Channels.RGB:
        port.preprocess().convert_color(colours.RGB)
    if preprocessing.element_type != BYTES:
        port.preprocess().convert_element_type(ov.Type.f32)
    if preprocessing.mean != NO_MEAN:
        port.preprocess().mean(list(preprocessing.mean))
    if preprocessing.scale != NO_SCALE:
        port.preprocess().scale(list(preprocessing.scale))
    wrapped = steps.build()
    told = {
        "mean_values": "0 0 0",
        "scale_values": "1 1 1",
        "reverse_input_channels": "NO",
        "resize_type": preprocessing.resize.value,
        "pad_value": str(preprocessing.padding),
    }
    for key, value in told.items():
        wrapped.set_rt_info(value, ["model_info", key])
    inside = replace(
        preprocessing,
        layout="NHWC",
        channels=Channels.BGR,
        mean=NO_MEAN,
        scale=NO_SCALE,
        element_type=BYTES,
        place=Place.MODEL,
    )
    return wrapped, inside
