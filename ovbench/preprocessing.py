"""How a picture becomes a model's input: described once, applied outside the graph or inside it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ovbench.images.sets import Image


class Channels(Enum):
    """Order of the colours that the model takes."""

    BGR = "BGR"
    RGB = "RGB"


class Resize(Enum):
    """How a picture of any size becomes one of the model's: Model API's ``resize_type``."""

    STANDARD = "standard"
    CROP = "crop"
    FIT = "fit_to_window"
    LETTERBOX = "fit_to_window_letterbox"


class Place(Enum):
    """Where mean, scale, channel order and layout are dealt with."""

    OUTSIDE = "outside"
    MODEL = "model"


@dataclass(frozen=True)
class Preprocessing:
    """From a picture, uint8 H x W x 3 BGR of any size, to an input of ``height`` x ``width``.

    The model takes ``(x - mean) / scale`` of 0..255 values, mean and scale in its own order of ``channels``. With
    ``CROP`` the short side is resized to ``short_side`` and the centre cut out. ``said_by`` names where this is
    from, for reports.
    """

    height: int
    width: int
    layout: str = "NCHW"
    channels: Channels = Channels.BGR
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    resize: Resize = Resize.STANDARD
    short_side: int = 0
    element_type: str = "f32"
    place: Place = Place.OUTSIDE
    said_by: str = ""

    def to_input(self, image: Image) -> NDArray[Any]:
        """Input of the model: ``[1, 3, H, W]`` or ``[1, H, W, 3]`` as its layout says."""
        assert image.shape[:2] == (self.height, self.width)
        return np.asarray(cv2.dnn.blobFromImage(image), np.float32)


def raw(side: int) -> Preprocessing:
    """The form Open Model Zoo's converted classifiers take, and the embedded model: raw 0..255 BGR, NCHW float32."""
    return Preprocessing(side, side, said_by="the model, which normalizes inside its graph")
