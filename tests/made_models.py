"""Tiny models in other people's formats, written byte by byte, and pictures for them: no exporter is needed."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ovbench.worker import import_openvino

SIDE, FEATURES, CLASSES = 16, 8, 10
Dims = Sequence[int | str]


def weights() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Those of conftest's tiny model: a kernel [8, 3, 3, 3], output and input channels first, and a head [8, 10]."""
    random = np.random.default_rng(0)
    kernel = random.normal(size=(FEATURES, 3, 3, 3)).astype(np.float32)
    return kernel, random.normal(size=(FEATURES, CLASSES)).astype(np.float32)


def write_pictures(folder: Path, each: int = 2) -> Path:
    """An ImageFolder: for each class some pictures of one colour each, with noise, so that answers differ."""
    import cv2

    random = np.random.default_rng(1)
    for number in range(CLASSES):
        place = folder / f"class{number}"
        place.mkdir(parents=True)
        for picture in range(each):
            noise = random.normal(random.integers(0, 256, 3), 20, (24, 20, 3))
            cv2.imwrite(str(place / f"{picture}.png"), noise.clip(0, 255).astype(np.uint8))
    return folder


# ------------------------------------------------------------------------------------------------------------- ONNX

ONNX_FLOAT, ONNX_INT, ONNX_INTS = 1, 2, 7  # AttributeProto.type; FLOAT is a tensor's element type too


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _message(*fields: tuple[int, int | str | bytes]) -> bytes:
    """A protobuf message: each field's number, and a whole number, a text or an inner message."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += _varint(number << 3) + _varint(value)
        else:
            payload = value.encode() if isinstance(value, str) else value
            out += _varint(number << 3 | 2) + _varint(len(payload)) + payload
    return out


def _node(kind: str, inputs: Sequence[str], output: str, **attributes: int | Sequence[int]) -> bytes:
    told = []
    for name, value in attributes.items():
        if isinstance(value, int):
            told.append(_message((1, name), (3, value), (20, ONNX_INT)))
        else:
            told.append(_message((1, name), *((8, each) for each in value), (20, ONNX_INTS)))
    return _message(*((1, each) for each in inputs), (2, output), (3, output), (4, kind), *((5, each) for each in told))


def _tensor(name: str, values: NDArray[np.float32]) -> bytes:
    return _message(*((1, size) for size in values.shape), (2, ONNX_FLOAT), (8, name), (9, values.tobytes()))


def _port(name: str, dims: Dims) -> bytes:
    """A graph's input or output; a dimension that is a text is dynamic."""
    shape = _message(*((1, _message((1 if isinstance(each, int) else 2, each))) for each in dims))
    return _message((1, name), (2, _message((1, _message((1, ONNX_FLOAT), (2, shape))))))


def write_onnx(path: Path, dims: Dims = (1, 3, SIDE, SIDE), activation: str = "Relu") -> Path:
    """Conftest's tiny model as an ONNX file: input ``image`` of these dimensions, output ``logits``."""
    kernel, head = weights()
    graph = [
        _node("Conv", ["image", "kernel"], "features", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        _node(activation, ["features"], "active"),
        _node("GlobalAveragePool", ["active"], "pooled"),
        _node("Flatten", ["pooled"], "flat", axis=1),
        _node("MatMul", ["flat", "head"], "logits"),
    ]
    held = [_tensor("kernel", kernel), _tensor("head", head)]
    made = _message(
        *((1, each) for each in graph),
        (2, "tiny"),
        *((5, each) for each in held),
        (11, _port("image", dims)),
        (12, _port("logits", [dims[0], CLASSES])),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_message((1, 8), (7, made), (8, _message((1, ""), (2, 13)))))
    return path


# ----------------------------------------------------------------------------------------------------------- TFLite

CONV_2D, FULLY_CONNECTED, MEAN, GREATER, PLACEHOLDER = 3, 9, 40, 61, 127  # BuiltinOperator
CONV_OPTIONS, FULLY_CONNECTED_OPTIONS, REDUCER_OPTIONS = 1, 8, 27  # the union BuiltinOptions
RELU = 1  # ActivationFunctionType
TFLITE_TYPES = {"float32": 0, "int32": 2}
DATA_ALIGNMENT = 16  # of a buffer's bytes, by the schema

Flat = Any  # an int, a text, bytes, a list of ints or of tables; a table is its fields by their number in the schema


def _pad(out: bytearray, alignment: int, after: int = 0) -> None:
    out.extend(bytes(-(len(out) + after) % alignment))


def _put(out: bytearray, value: Flat) -> int:
    """Append a text, a vector or a table, and what it holds after it; returns where it begins."""
    if isinstance(value, dict):
        return _put_table(out, value)
    if isinstance(value, (str, bytes)):
        payload = value.encode() + b"\0" if isinstance(value, str) else value
        _pad(out, DATA_ALIGNMENT, 4)
        begin = len(out)
        out += struct.pack("<I", len(value)) + payload
        return begin
    _pad(out, 4)
    begin = len(out)
    out += struct.pack("<I", len(value)) + bytes(4 * len(value))
    for place, each in enumerate(value):
        _fill(out, begin + 4 + 4 * place, each)
    return begin


def _put_table(out: bytearray, fields: Mapping[int, Flat]) -> int:
    """Every field has four bytes, which is enough for all that is used of the schema; the vtable comes before them."""
    count = max(fields, default=-1) + 1
    _pad(out, 4, 4 + 2 * count)
    vtable = len(out)
    slots = {number: 4 + 4 * place for place, number in enumerate(fields)}
    out += struct.pack("<HH", 4 + 2 * count, 4 + 4 * len(fields))
    out += struct.pack(f"<{count}H", *(slots.get(number, 0) for number in range(count)))
    begin = len(out)
    out += struct.pack("<i", begin - vtable) + bytes(4 * len(fields))
    for number, value in fields.items():
        _fill(out, begin + slots[number], value)
    return begin


def _fill(out: bytearray, place: int, value: Flat) -> None:
    """A number, or how far it is from here to what is appended."""
    out[place : place + 4] = struct.pack("<i", value if isinstance(value, int) else _put(out, value) - place)


def _tflite_tensor(name: str, shape: Sequence[int], buffer: int = 0, kind: str = "float32") -> Flat:
    return {0: list(shape), 1: TFLITE_TYPES[kind], 2: buffer, 3: name}


def write_tflite(path: Path, first: int = CONV_2D) -> Path:
    """Conftest's tiny model as a TFLite file: input ``image`` [1, 16, 16, 3], output ``logits``.

    ``first`` is the operation in place of its convolution.
    """
    kernel, head = weights()
    held = [
        np.ascontiguousarray(kernel.transpose(0, 2, 3, 1)),
        np.zeros(FEATURES, np.float32),
        np.array([1, 2], np.int32),
        np.ascontiguousarray(head.T),
        np.zeros(CLASSES, np.float32),
    ]
    names = ["kernel", "conv_bias", "axes", "head", "head_bias"]
    tensors = [
        _tflite_tensor("image", [1, SIDE, SIDE, 3]),
        *(
            _tflite_tensor(name, each.shape, buffer, str(each.dtype))
            for buffer, (name, each) in enumerate(zip(names, held, strict=True), start=1)
        ),
        _tflite_tensor("active", [1, SIDE, SIDE, FEATURES]),
        _tflite_tensor("pooled", [1, FEATURES]),
        _tflite_tensor("logits", [1, CLASSES]),
    ]
    place = {tensor[3]: number for number, tensor in enumerate(tensors)}

    def operator(code: int, inputs: str, output: str, kind: int, options: Flat) -> Flat:
        return {0: code, 1: [place[each] for each in inputs.split()], 2: [place[output]], 3: kind, 4: options}

    operators = [
        operator(0, "image kernel conv_bias", "active", CONV_OPTIONS, {0: 0, 1: 1, 2: 1, 3: RELU, 4: 1, 5: 1}),
        operator(1, "active axes", "pooled", REDUCER_OPTIONS, {0: 0}),
        operator(2, "pooled head head_bias", "logits", FULLY_CONNECTED_OPTIONS, {0: 0}),
    ]
    model = {
        0: 3,  # the schema's version
        1: [{0: code, 2: 1, 3: code} for code in (first, MEAN, FULLY_CONNECTED)],
        2: [{0: tensors, 1: [place["image"]], 2: [place["logits"]], 3: operators, 4: "main"}],
        3: "tiny",
        4: [{}, *({0: each.tobytes()} for each in held)],
    }
    out = bytearray(4) + b"TFL3"
    _fill(out, 0, model)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(out)
    return path


# ------------------------------------------------------------------------------------------------------- OpenVINO IR


def write_two_inputs(path: Path, outputs: Sequence[str] = ("hidden", "scores")) -> Path:
    """An IR of a tiny text model: ``tokens`` int64 and ``mask`` f32, both [1, 6]; ``hidden`` [1, 6, 8] and
    ``scores`` [1, 10], or one of them."""
    openvino = import_openvino()
    from openvino import opset13 as op

    _, head = weights()
    random = np.random.default_rng(2)
    tokens = op.parameter([1, 6], openvino.Type.i64, name="tokens")
    mask = op.parameter([1, 6], openvino.Type.f32, name="mask")
    for each in (tokens, mask):
        each.output(0).set_names({each.get_friendly_name()})
    embedded = op.gather(random.normal(size=(20, FEATURES)).astype(np.float32), tokens, np.int64(0))
    masked = op.multiply(embedded, op.unsqueeze(mask, np.int64(2)))
    hidden = op.relu(op.matmul(masked, random.normal(size=(FEATURES, FEATURES)).astype(np.float32), False, False))
    made = {"hidden": hidden, "scores": op.matmul(op.reduce_mean(hidden, np.array([1])), head, False, False)}
    for name, node in made.items():
        node.output(0).set_names({name})
    model = openvino.Model([made[name] for name in outputs], [tokens, mask], "two")
    path.parent.mkdir(parents=True, exist_ok=True)
    openvino.save_model(model, path, compress_to_fp16=False)
    return path
