"""A model that tells four colours apart by hand-chosen weights, and pictures of them: every right answer is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ovbench.worker import import_openvino

NAMES = ("blue", "gray", "green", "red")
"""Outputs of the model in order: that of the sorted names."""
COLOURS = {"blue": (200, 60, 60), "gray": (110, 110, 110), "green": (60, 200, 60), "red": (60, 60, 200)}  # BGR
DAMAGED = ("red/damaged.png", "green/damaged.png", "red/no_picture.png")
"""Two that begin as pictures do, and one that shows at once that it is none."""


def write_model(path: Path, order: Sequence[int] = (0, 1, 2, 3), labels: str = "") -> Path:
    """On raw BGR [1, 3, 16, 16]: a colour's own channel less half of the others, gray's 20 above none.

    ``order``: the colour that each output stands for. ``labels`` go to model_info, where there are any.
    """
    openvino = import_openvino()
    from openvino import opset13 as op

    image = op.parameter([1, 3, 16, 16], openvino.Type.f32, name="image")
    image.output(0).set_names({"image"})
    blur = np.einsum("ab,cd->abcd", np.eye(3), np.full((3, 3), 1 / 9)).astype(np.float32)
    means = op.reduce_mean(op.convolution(image, blur, [1, 1], [1, 1], [1, 1], [1, 1]), np.array([2, 3]))
    weights = np.array([[1, 0, -0.5, -0.5], [-0.5, 0, 1, -0.5], [-0.5, 0, -0.5, 1]], np.float32)
    bias = np.array([[0, 20, 0, 0]], np.float32)
    scores = op.add(op.matmul(means, weights[:, list(order)], False, False), bias[:, list(order)])
    model = openvino.Model([scores], [image], path.stem)
    if labels:
        model.set_rt_info(labels, ["model_info", "labels"])
    openvino.save_model(model, path, compress_to_fp16=False)
    return path


def picture(name: str, random: np.random.Generator) -> np.ndarray:
    """20 x 24 noisy pixels of a colour, BGR."""
    noise = random.integers(-25, 26, (20, 24, 3))
    return (np.array(COLOURS[name]) + noise).astype(np.uint8)


def write_pictures(folder: Path, each: int, damaged: Sequence[str] = ()) -> Path:
    """``each`` pictures of every colour, in ImageFolder's layout, and files that cannot be read."""
    random = np.random.default_rng(5)
    for name in NAMES:
        (folder / name).mkdir(parents=True)
        for number in range(each):
            path = folder / name / f"{number}{'.png' if number % 2 else '.jpg'}"
            assert cv2.imwrite(str(path), picture(name, random))
    whole = (folder / "red" / "1.png").read_bytes()
    for file in damaged:
        (folder / file).write_bytes(whole[: len(whole) // 2] if "damaged" in file else b"no picture")
    return folder
