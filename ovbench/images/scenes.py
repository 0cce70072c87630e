"""The procedural images: seeded scenes and samples of them, which need no file and no network."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ovbench.errors import BadImages
from ovbench.images.sets import Image, Subset

GENERATOR_VERSION = 1
"""Raise it whenever any pixel of any scene or sample changes: caches are keyed by it."""

# A scene is drawn small and enlarged by its samples: finer detail would not outlive their shift and scale.
_SCENE_SIZE = 96
_GRATINGS = 3
_ELLIPSES = 5
_FAMILY = 8  # classes that share their gratings: a sample's runners-up are its kin, not chance
_SUBPIXEL_BITS = 4

# How far the samples of one class lie apart. Chosen so that the embedded model names 75-92 % of unseen
# samples: it names 89.4 % with these, 93.9 % with rotations to 10 degrees, gains from 0.85 to 1.15 and noise
# to 0.5.
_SHIFT = 0.09  # of the side, either way
_SCALE = (0.9, 1.15)  # 1 = the whole scene fills the image
_ROTATION_DEGREES = 12.0
_GAIN = (0.83, 1.17)
_OFFSET = 18.0  # grey levels, either way
_NOISE = (0.2, 0.55)

_NOISE_MARGIN = 256  # the noise tile is this much larger than an image: 65,536 places to cut it from
_CACHED_SCENES = 64  # 27 KB each; samples of one class follow each other only where a model is trained


@dataclass(frozen=True)
class Scenes:
    """The first ``count`` procedural images of one subset, square, ``size`` pixels a side.

    A class is a seeded scene of gratings and ellipses, the gratings shared by a family of classes; a sample
    is the scene shifted, scaled, rotated, lit differently and noisy. Each image is a pure function of (class,
    subset, index in the class). The classes come in a seeded order, round after round, so that any count is
    balanced to within one image a class. Raises BadImages for a count, number of classes or size below 1.
    """

    subset: Subset
    count: int
    classes: int = 1000
    size: int = 224

    def __post_init__(self) -> None:
        for what, value in (("count", self.count), ("classes", self.classes), ("size", self.size)):
            if value < 1:
                raise BadImages(f"procedural images with {what} = {value}: give at least 1")

    @property
    def name(self) -> str:
        """For example ``scenes-evaluation``."""
        return f"scenes-{self.subset.name.lower()}"

    def __len__(self) -> int:
        return self.count

    def image(self, i: int) -> Image:
        """The i-th picture, uint8 ``size`` x ``size`` x 3 BGR; about 1.5 ms. IndexError beyond the end."""
        return render_sample(self.label(i), self.subset, i // self.classes, self.size)

    def image_name(self, i: int) -> str:
        """For example ``class 17, sample 0``."""
        return f"class {self.label(i)}, sample {i // self.classes}"

    def label(self, i: int) -> int:
        """Class of the i-th picture, 0 <= class < classes. IndexError beyond the end."""
        if not 0 <= i < self.count:
            raise IndexError(f"image {i} of {self.count}")
        return int(_class_order(self.subset, self.classes)[i % self.classes])

    def content_hash(self) -> str:
        """Of what the pictures are a function of, so that none need be rendered."""
        key = f"scenes {GENERATOR_VERSION} {self.subset.name} {self.count} {self.classes} {self.size}"
        return hashlib.sha256(key.encode()).hexdigest()


# Streams of random numbers; the values of Subset are those of the samples.
_FAMILY_STREAM, _CLASS_STREAM, _ORDER_STREAM, _NOISE_STREAM = 4, 5, 10, 20


def render_sample(class_id: int, subset: Subset, index: int, size: int = 224) -> Image:
    """One sample of a class: ``size`` x ``size`` x 3, uint8 BGR, a pure function of the arguments."""
    random = _generator(subset.value, class_id, index)
    shift_x, shift_y = random.uniform(-_SHIFT, _SHIFT, 2) * size
    zoom = random.uniform(*_SCALE) * size / _SCENE_SIZE
    angle = np.deg2rad(random.uniform(-_ROTATION_DEGREES, _ROTATION_DEGREES))
    cosine, sine = zoom * np.cos(angle), zoom * np.sin(angle)
    centre = (_SCENE_SIZE - 1) / 2
    middle = (size - 1) / 2
    to_sample = np.array(
        [
            [cosine, -sine, middle + shift_x - (cosine - sine) * centre],
            [sine, cosine, middle + shift_y - (sine + cosine) * centre],
        ]
    )
    placed = cv2.warpAffine(_scene(class_id), to_sample, (size, size), borderMode=cv2.BORDER_REFLECT_101)
    noise_weight = random.uniform(*_NOISE)
    top, left = random.integers(0, _NOISE_MARGIN, 2)
    noise = _noise_tile(size)[top : top + size, left : left + size]
    gain = random.uniform(*_GAIN)
    offset = random.uniform(-_OFFSET, _OFFSET) + 128.0 * (1.0 - gain - noise_weight)
    return np.asarray(cv2.addWeighted(placed, gain, noise, noise_weight, offset), np.uint8)


def _generator(stream: int, class_id: int, index: int) -> np.random.Generator:
    """The random numbers of one thing; always four seed words: SeedSequence pads with zeros."""
    return np.random.default_rng([GENERATOR_VERSION, stream, class_id, index])


@lru_cache(maxsize=8)
def _class_order(subset: Subset, classes: int) -> NDArray[np.int64]:
    return _generator(_ORDER_STREAM + subset.value, classes, 0).permutation(classes)


@lru_cache(maxsize=_CACHED_SCENES)
def _scene(class_id: int) -> Image:
    """The picture behind a class's samples: its family's coloured gratings, its own ellipses upon them."""
    random = _generator(_FAMILY_STREAM, class_id // _FAMILY, 0)
    cycles = random.uniform(0.5, 5.0, _GRATINGS)
    directions = random.uniform(0.0, 2.0 * np.pi, _GRATINGS)
    phases = random.uniform(0.0, 2.0 * np.pi, _GRATINGS)
    colours = random.uniform(-50.0, 50.0, (_GRATINGS, 3))
    ground = random.uniform(60.0, 196.0, 3)

    # exp(i(a + b)) = exp(ia) exp(ib): a plane wave is an outer product, and needs no cosine per pixel.
    along = np.arange(_SCENE_SIZE) * (2.0 * np.pi / _SCENE_SIZE)
    across_x = np.exp(1j * np.multiply.outer(along, cycles * np.cos(directions)))
    across_y = np.exp(1j * (np.multiply.outer(along, cycles * np.sin(directions)) + phases))
    waves = (across_y[:, None, :] * across_x[None, :, :]).real
    scene: Image = np.rint(waves @ colours + ground).clip(0, 255).astype(np.uint8)

    random = _generator(_CLASS_STREAM, class_id, 0)
    unit = _SCENE_SIZE << _SUBPIXEL_BITS
    centres = (random.uniform(0.1, 0.9, (_ELLIPSES, 2)) * unit).astype(int).tolist()
    axes = (random.uniform(0.04, 0.22, (_ELLIPSES, 2)) * unit).astype(int).tolist()
    angles = random.uniform(0.0, 180.0, _ELLIPSES).tolist()
    fills = random.integers(0, 256, (_ELLIPSES, 3)).tolist()
    for centre, axis, angle, fill in zip(centres, axes, angles, fills, strict=True):
        cv2.ellipse(scene, centre, axis, angle, 0.0, 360.0, fill, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS)
    scene.setflags(write=False)
    return scene


@lru_cache(maxsize=4)
def _noise_tile(size: int) -> Image:
    """Noise to cut samples' noise from: mean 127, deviation 37; whole numbers only, the same everywhere."""
    side = size + _NOISE_MARGIN
    four = _generator(_NOISE_STREAM, size, 0).integers(0, 256, (4, side, side, 3), dtype=np.uint16)
    tile: Image = (four.sum(axis=0) >> 2).astype(np.uint8)
    tile.setflags(write=False)
    return tile
