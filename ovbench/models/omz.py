"""Open Model Zoo: its folders on the disk, and what its classifiers' inputs are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ovbench.errors import BadModel
from ovbench.options import Channels, Resize

PRECISIONS = ("FP32", "FP16")
"""Folders of a model that precisions can be made of, the better one first."""
QUANTIZED = ("INT8", "FP32-INT8", "FP16-INT8", "FP16-INT1", "FP32-INT1")
SETS = ("public", "intel")


def find(given: str, models_dir: Path | None) -> Path | None:
    """The IR that a name or folder of Open Model Zoo means: FP32's, else FP16's; None if it is neither.

    ``given`` is the folder of a model (``public/<name>``), one of its precisions' folders, or a name or such a path
    to look for in ``models_dir``, here and in their ``public/`` and ``intel/``. Raises BadModel for a folder without
    an IR, with several models or with quantized versions alone.
    """
    for folder in _places(given, models_dir):
        if folder.is_dir() and not (folder / "saved_model.pb").exists():
            return _ir_in(folder)
    return None


def precisions_of(folder: Path) -> dict[str, Path]:
    """The IRs of one model by the names of their folders, FP32 first; quantized ones too. {} where there are none."""
    name = folder.resolve().name
    irs = {each: _only(folder / each, name) for each in (*PRECISIONS, *QUANTIZED)}
    return {precision: path for precision, path in irs.items() if path is not None}


def note_of(path: Path) -> str:
    """Which precision of a model an IR in Open Model Zoo's layout is, and which lie beside it; "" elsewhere."""
    others = precisions_of(path.parent.parent)
    if others.pop(path.parent.name, None) != path:
        return ""
    beside = f" ({', '.join(others)} beside it)" if others else ""
    return f"{path.parent.parent.resolve().name}: the IR in {path.parent.name}{beside}"


def _places(given: str, models_dir: Path | None) -> Iterator[Path]:
    for root in (Path(), models_dir):
        if root is not None:
            yield root / given
            yield from (root / each / given for each in SETS)


def _ir_in(folder: Path) -> Path:
    """The one IR that a folder means."""
    found = precisions_of(folder)
    for precision in PRECISIONS:
        if precision in found:
            return found[precision]
    if found:
        raise BadModel(
            f"{folder} has quantized IRs alone ({', '.join(found)}): add FP32 or FP16, or give the .xml itself"
        )
    name = folder.resolve().parent.name if folder.name in (*PRECISIONS, *QUANTIZED) else folder.resolve().name
    here = _only(folder, name)
    if here is None:
        raise BadModel(
            f"{folder} has no IR: {name}.xml, FP32/{name}.xml and FP16/{name}.xml were looked for: "
            "convert the model first, or give its file"
        )
    return here


def _only(folder: Path, name: str) -> Path | None:
    """The .xml of a folder, None without; of several the one that is called like the model, or BadModel."""
    found = sorted(folder.glob("*.xml"))
    named = [path for path in found if path.stem == name]
    if len(found) > 1 and not named:
        shown = ", ".join(path.name for path in found[:3])
        raise BadModel(f"{folder} has {len(found)} IRs ({shown}): give one of them, or a folder with one model")
    return next(iter(named or found), None)


# ------------------------------------------------------------------------------------------------- what they take


@dataclass(frozen=True)
class Classifier:
    """What a network takes as it was trained, mean and scale in its own order of channels, 0..255.

    Open Model Zoo's converter builds mean, scale and the reversal of channels into the IR, which then takes raw BGR.
    The middle of the picture is shown, stretched (STANDARD) or in its proportions (CROP), scaled to ``short_side``.
    """

    mean: tuple[float, float, float]
    scale: tuple[float, float, float]
    channels: Channels
    resize: Resize
    short_side: int


def _alike(names: str, *takes: Any) -> dict[str, Classifier]:
    return {name: Classifier(*takes) for name in names.split()}


_IMAGENET = (123.675, 116.28, 103.53)
_IMAGENET_SCALE = (58.395, 57.12, 57.375)
_HALF = (127.5, 127.5, 127.5)
_NONE, _ONE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)  # no mean, no scale: the network has them in its own graph, or none
_CAFFE_SCALE = (58.8235294, 58.8235294, 58.8235294)

CLASSIFIERS: dict[str, Classifier] = {
    **_alike(
        "convnext-tiny dla-34 efficientnet-b0-pytorch efficientnet-v2-b0 hbonet-0.25 hbonet-1.0 resnest-50-pytorch "
        "resnet-18-pytorch resnet-34-pytorch resnet-50-pytorch rexnet-v1-x1.0 shufflenet-v2-x1.0 t2t-vit-14",
        _IMAGENET, _IMAGENET_SCALE, Channels.RGB, Resize.CROP, 256,
    ),
    **_alike("levit-128s swin-tiny-patch4-window7-224", _IMAGENET, _IMAGENET_SCALE, Channels.RGB, Resize.CROP, 249),
    **_alike("nfnet-f0", _IMAGENET, _IMAGENET_SCALE, Channels.RGB, Resize.CROP, 284),
    **_alike("googlenet-v3-pytorch", _IMAGENET, _IMAGENET_SCALE, Channels.RGB, Resize.CROP, 320),
    **_alike(
        "mobilenet-v2-pytorch repvgg-a0 repvgg-b1 repvgg-b3",
        _IMAGENET, (58.624, 57.12, 57.375), Channels.RGB, Resize.CROP, 256,
    ),
    **_alike("regnetx-3.2gf", _IMAGENET[::-1], _IMAGENET_SCALE[::-1], Channels.BGR, Resize.CROP, 256),
    **_alike("efficientnet-v2-s", _HALF, _HALF, Channels.RGB, Resize.CROP, 384),
    **_alike("mobilenet-v1-0.25-128", _HALF, _HALF, Channels.RGB, Resize.STANDARD, 146),
    **_alike(
        "googlenet-v1-tf googlenet-v2-tf mobilenet-v1-1.0-224-tf mobilenet-v2-1.0-224 mobilenet-v2-1.4-224",
        _HALF, _HALF, Channels.RGB, Resize.STANDARD, 256,
    ),
    **_alike("googlenet-v3 googlenet-v4-tf inception-resnet-v2-tf", _HALF, _HALF, Channels.RGB, Resize.STANDARD, 342),
    **_alike(
        "efficientnet-b0 mixnet-l mobilenet-v3-large-1.0-224-tf mobilenet-v3-small-1.0-224-tf",
        _NONE, _ONE, Channels.RGB, Resize.STANDARD, 256,
    ),
    **_alike("densenet-121-tf", (123.68, 116.78, 103.94), _IMAGENET_SCALE, Channels.RGB, Resize.STANDARD, 256),
    **_alike("resnet-50-tf", (123.68, 116.78, 103.94), _ONE, Channels.RGB, Resize.CROP, 256),
    **_alike(
        "alexnet googlenet-v1 googlenet-v2 squeezenet1.0 squeezenet1.1",
        (104.0, 117.0, 123.0), _ONE, Channels.BGR, Resize.STANDARD, 256,
    ),
    **_alike("vgg16 vgg19", (103.939, 116.779, 123.68), _ONE, Channels.BGR, Resize.CROP, 256),
    **_alike(
        "densenet-121 mobilenet-v1-1.0-224 mobilenet-v2",
        (103.94, 116.78, 123.68), _CAFFE_SCALE, Channels.BGR, Resize.STANDARD, 256,
    ),
}  # fmt: skip
"""From each model's ``model.yml`` (Model Optimizer's arguments) and ``accuracy-check.yml`` in openvino-dev 2024.6.0;
the BGR ones but regnetx from ``accuracy-check.yml`` of openvinotoolkit/open_model_zoo: 2024.6.0 has no Caffe models.
Its ``central_fraction: 0.875`` and its stretch to 256 before a cut of 224 are one: STANDARD, side / 0.875."""
