"""Pictures in one array on disk: a ``.npy`` file, with their classes in another beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ovbench.errors import BadImages
from ovbench.images.pictures import Pictures
from ovbench.images.sets import Image


@dataclass(frozen=True)
class ArrayPictures(Pictures):
    """A ``.npy`` file of uint8 [N, H, W, 3], channels red, green, blue, as Pillow, matplotlib and Keras have them.

    ``numbers`` are the model's class numbers [N] from ``<name>.labels.npy``, None without that file. A picture is
    mapped for as long as it takes to copy it: the pages of a mapping that stays would count as this process's memory.
    """

    root: Path
    shape: tuple[int, int, int, int]
    offset: int
    in_fortran_order: bool
    numbers: NDArray[np.int64] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def open(cls, path: Path) -> ArrayPictures:
        """Raises BadImages for any other array, or labels that are not one whole number a picture."""
        pixels = _mapped(path)
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] != 3 or 0 in pixels.shape:
            raise BadImages(
                f"images {path} are {pixels.dtype} {list(pixels.shape)}: give uint8 [images, height, width, 3], RGB"
            )
        count, height, width, channels = pixels.shape
        in_fortran_order = not pixels.flags.c_contiguous
        numbers = _class_numbers(labels_file(path), count)
        return cls(path, (count, height, width, channels), pixels.offset, in_fortran_order, numbers)

    def __len__(self) -> int:
        return self.shape[0]

    def image(self, i: int) -> Image:
        """A copy of the i-th picture, in BGR."""
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(self._pixels()[i]), cv2.COLOR_RGB2BGR), np.uint8)

    def image_name(self, i: int) -> str:
        """For example ``photos.npy[17]``."""
        return f"{self.root.name}[{i}]"

    def class_name(self, i: int) -> str | None:
        """The class number, as text."""
        return None if self.numbers is None else str(self.numbers[i])

    def check(self, i: int, whole: bool) -> None:
        """Every picture of an array can be read."""

    def size_bytes(self, i: int) -> int:  # noqa: ARG002 - all have one size
        """Bytes of one picture."""
        return self.shape[1] * self.shape[2] * self.shape[3]

    def content(self, i: int, whole: bool) -> bytes:
        """All pixels of the picture, or its middle row."""
        picture = self._pixels()[i]
        return bytes((picture if whole else picture[self.shape[1] // 2]).tobytes())

    def _pixels(self) -> NDArray[np.uint8]:
        return np.memmap(self.root, np.uint8, "r", self.offset, self.shape, "F" if self.in_fortran_order else "C")


def labels_file(path: Path) -> Path:
    """Where the class numbers of an array's pictures lie: ``photos.labels.npy`` for ``photos.npy``."""
    return path.with_suffix(".labels.npy")


def _mapped(path: Path) -> Any:
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is cut off or no .npy file"
        raise BadImages(f"images {path} cannot be read: {reason}: write it with numpy.save") from error


def _class_numbers(path: Path, count: int) -> NDArray[np.int64] | None:
    if not path.exists():
        return None
    numbers = np.array(_mapped(path))
    if numbers.dtype.kind not in "iu" or numbers.shape != (count,) or numbers.min() < 0:
        raise BadImages(
            f"labels {path} are {numbers.dtype} {list(numbers.shape)}: give {count} whole numbers from 0, one an image"
        )
    return numbers.astype(np.int64)
