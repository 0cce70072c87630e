"""What a set of labelled images is, whatever its source."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""One picture: uint8, height x width x 3, channels in the order blue, green, red."""


class Subset(Enum):
    """What a sample is for; the same class and index give a different image in each subset."""

    TRAINING = 1
    CALIBRATION = 2
    EVALUATION = 3


class ImageSet(Protocol):
    """Labelled images by number, whatever their source."""

    @property
    def name(self) -> str:
        """What reports call it."""

    @property
    def classes(self) -> int:
        """How many different labels there can be."""

    def __len__(self) -> int: ...

    def image(self, i: int) -> Image:
        """The i-th picture, uint8 HWC BGR; IndexError beyond the end."""

    def image_name(self, i: int) -> str:
        """What a report calls the i-th picture: its file under the folder that was given, where it has one."""

    def label(self, i: int) -> int | None:
        """Class of the i-th picture, 0 <= class < classes; None where it is not known."""

    def content_hash(self) -> str:
        """Changes whenever any picture or label does; hexadecimal."""
