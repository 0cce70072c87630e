"""The user's own pictures, whatever they lie in, and the disjoint subsets that a seed draws from them."""

from __future__ import annotations

import hashlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from ovbench.errors import BadImages, UnreadableImage
from ovbench.images.sets import Image, ImageSet, Subset
from ovbench.machine import available_cores

HASHED_WHOLE_BYTES = 1 << 28  # 256 MB: a fifth of a second of SHA-256, 2500 pictures of ImageNet


@dataclass(frozen=True)
class Labels:
    """Class number of each class name of some pictures, for a model of ``outputs`` classes; who said so, in words."""

    class_of: Mapping[str, int]
    outputs: int
    said_by: str


class Pictures(ABC):
    """Pictures by number, in an order that is the same on every machine; nothing of them is kept in memory."""

    root: Path
    """What the user gave."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def image(self, i: int) -> Image:
        """The i-th picture, uint8 HWC BGR. Raises UnreadableImage, one line with its file and the reason."""

    @abstractmethod
    def image_name(self, i: int) -> str:
        """File of the i-th picture, under the root."""

    @abstractmethod
    def class_name(self, i: int) -> str | None:
        """What the pictures' own order calls the class of the i-th one; None where nothing says."""

    @abstractmethod
    def check(self, i: int, whole: bool) -> None:
        """Raise UnreadableImage if a look at the i-th picture's beginning shows it, or, ``whole``, decoding it does."""

    @abstractmethod
    def size_bytes(self, i: int) -> int:
        """Stored size of the i-th picture; 0 where it cannot be read."""

    @abstractmethod
    def content(self, i: int, whole: bool) -> bytes:
        """Stored bytes of the i-th picture, or, not ``whole``, those that most likely differ in another one."""

    @property
    def name(self) -> str:
        """What reports call them."""
        return self.root.name or str(self.root)

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The different class names, sorted."""
        names = {self.class_name(i) for i in range(len(self))}
        return tuple(sorted(name for name in names if name is not None))

    def draw(self, calibration: int, evaluation: int | None, seed: int, labels: Labels | None = None) -> Drawn:
        """Two disjoint subsets, the first pictures of a permutation by ``seed``; ``evaluation`` None: all the rest.

        What is seen at once to be no picture is left out and the next taken in its place; those to calibrate on are
        decoded for that (1 ms each), because one that fails later would end the calibration, and so is the first to
        evaluate on: there must be something to judge. So both subsets have the number asked for, and the first does not
        depend on the second. Raises BadImages where there are too few, or none can be read.
        """
        order = iter(np.random.default_rng(seed).permutation(len(self)).tolist())
        unreadable: list[UnreadableImage] = []
        least = 1 if evaluation is None else evaluation
        calibrating = self._take(order, calibration, True, unreadable)
        evaluated = self._take(order, min(least, 1), True, unreadable)
        evaluated += self._take(order, None if evaluation is None else least - len(evaluated), False, unreadable)
        if len(unreadable) == len(self):
            raise BadImages(f"none of {len(self)} images in {self.root} can be read; the first: {unreadable[0]}")
        if len(calibrating) < calibration or len(evaluated) < least:
            readable = len(self) - len(unreadable)
            lost = f" and {len(unreadable)} that cannot be read" if unreadable else ""
            sizes = (("--ov-calib-size", calibration), ("--ov-eval-size", evaluation))
            raise BadImages(
                f"{self.root} has {readable} images{lost}; {calibration} to calibrate on and {least} to evaluate "
                f"are wanted: add images or ask for fewer ({', '.join(flag for flag, count in sizes if count)})"
            )
        return Drawn(
            DrawnImages(self, Subset.CALIBRATION, calibrating, labels),
            DrawnImages(self, Subset.EVALUATION, evaluated, labels),
            tuple(unreadable),
        )

    def _take(
        self, order: Iterator[int], count: int | None, whole: bool, unreadable: list[UnreadableImage]
    ) -> tuple[int, ...]:
        """The next ``count`` numbers whose pictures pass the check; the others' faults go to ``unreadable``."""
        taken: list[int] = []
        with ThreadPoolExecutor(available_cores()) as pool:
            while batch := list(itertools.islice(order, None if count is None else count - len(taken))):
                # Decoding lets go of Python's lock; a look at the first bytes is over before a thread is told of it.
                faults = (pool.map if whole else map)(lambda number: self._fault(number, whole), batch)
                for number, fault in zip(batch, faults, strict=True):
                    if fault is None:
                        taken.append(number)
                    else:
                        unreadable.append(fault)
        return tuple(taken)

    def _fault(self, number: int, whole: bool) -> UnreadableImage | None:
        try:
            self.check(number, whole)
        except UnreadableImage as fault:
            return fault
        return None


@dataclass(frozen=True)
class DrawnImages:
    """Pictures with these numbers, in the order in which they were drawn: an ImageSet."""

    pictures: Pictures
    subset: Subset
    numbers: tuple[int, ...] = field(repr=False)
    labels: Labels | None = None

    @property
    def name(self) -> str:
        """For example ``val-evaluation``."""
        return f"{self.pictures.name}-{self.subset.name.lower()}"

    @property
    def classes(self) -> int:
        """Outputs of the model that the labels are for; 0 without labels."""
        return 0 if self.labels is None else self.labels.outputs

    def __len__(self) -> int:
        return len(self.numbers)

    def image(self, i: int) -> Image:
        """The i-th picture, uint8 HWC BGR. Raises UnreadableImage; IndexError beyond the end."""
        return self.pictures.image(self.numbers[i])

    def image_name(self, i: int) -> str:
        """File of the i-th picture, under the folder that was given."""
        return self.pictures.image_name(self.numbers[i])

    def label(self, i: int) -> int | None:
        """Class of the i-th picture, 0 <= class < classes; None where it is not known."""
        name = self.pictures.class_name(self.numbers[i])
        return None if self.labels is None or name is None else self.labels.class_of[name]

    def content_hash(self) -> str:
        """SHA-256 over names, labels, sizes and bytes, in order.

        The calibration subset decides the weights of INT8 and is read whole, as is any subset of up to
        HASHED_WHOLE_BYTES. Of a larger one (50,000 pictures of ImageNet are 6 GB) each picture counts by its size and
        its end: another picture, a new encoding or a cut is seen, a byte changed inside an uncompressed file is not.
        Times of change do not count: a copy has others.
        """
        return self._content_hash

    @cached_property
    def _content_hash(self) -> str:
        sizes = [self.pictures.size_bytes(number) for number in self.numbers]
        whole = self.subset is Subset.CALIBRATION or sum(sizes) <= HASHED_WHOLE_BYTES
        digest = hashlib.sha256(b"whole" if whole else b"ends")
        for i, (number, size) in enumerate(zip(self.numbers, sizes, strict=True)):
            content = self.pictures.content(number, whole)
            digest.update(repr((self.image_name(i), self.label(i), size, len(content))).encode())
            digest.update(content)
        return digest.hexdigest()


@dataclass(frozen=True)
class Drawn:
    """What was drawn, and the faults of pictures that were left out while drawing, one line each."""

    calibration: ImageSet
    evaluation: ImageSet
    unreadable: tuple[UnreadableImage, ...]
