"""Pictures in files: any folder of them, and how one is read."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from ovbench.errors import BadImages, UnreadableImage
from ovbench.images.array import ArrayPictures
from ovbench.images.pictures import Pictures
from ovbench.images.quiet import SILENCE
from ovbench.images.sets import Image

SUFFIXES = frozenset({
    ".avif", ".bmp", ".dib", ".gif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".ras",
    ".sr", ".tif", ".tiff", ".webp",
})  # fmt: skip
"""What OpenCV reads as pictures of 8 bits a channel, or makes such of; compared in lower case."""

END_BYTES = 4096  # of a file whose end stands for it: one page


def open_images(given: Path) -> Pictures:
    """The pictures in a folder, or in a ``.npy`` file (see ``ArrayPictures``). Raises BadImages.

    All image files count that lie in the folder or in folders below it; names that begin with a dot, and files that
    are no pictures by their suffix, do not. The order is that of their names. A link may lead anywhere; a folder that
    is reached twice is read once, so that no picture of it is in two subsets. Only names are read here.
    """
    if given.suffix == ".npy" and given.is_file():
        return ArrayPictures.open(given)
    if not given.is_dir():
        found = "is a file" if given.exists() else "does not exist"
        raise BadImages(f"images {given}: {found}: give a folder of images or a .npy file")
    names = sorted(_names_below(given, "", set()), key=lambda name: name.split("/"))
    if not names:
        raise BadImages(f"no image in {given}: give a folder with .jpg, .png, .bmp or .webp files")
    return FolderPictures(given, tuple(names))


def _names_below(folder: Path, prefix: str, seen: set[tuple[int, int]]) -> list[str]:
    """Picture files in ``folder`` and below, each with ``prefix``; ``seen`` are the folders read before."""
    names, inside = [], []
    try:
        found = folder.stat()
        if (found.st_dev, found.st_ino) in seen:
            return []
        seen.add((found.st_dev, found.st_ino))
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    inside.append(entry.name)
                elif entry.name[entry.name.rfind(".") :].lower() in SUFFIXES and (
                    entry.is_file() or entry.is_symlink()
                ):
                    names.append(prefix + entry.name)
    except OSError as error:
        raise BadImages(f"images {folder} cannot be listed: {error.strerror}: check its permissions") from error
    for name in sorted(inside):
        names += _names_below(folder / name, f"{prefix}{name}/", seen)
    return names


@dataclass(frozen=True)
class FolderPictures(Pictures):
    """Image files below ``root``; the folder that a file lies in names its class, a file in the root has none."""

    root: Path
    names: tuple[str, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.names)

    def image(self, i: int) -> Image:
        """See ``read_image``."""
        return read_image(self.root / self.names[i])

    def image_name(self, i: int) -> str:
        """Path below the root, with forward slashes."""
        return self.names[i]

    def class_name(self, i: int) -> str | None:
        """Name of the folder that the file lies in."""
        return self.names[i].rpartition("/")[0].rpartition("/")[2] or None

    def check(self, i: int, whole: bool) -> None:
        """By the file's first bytes, or by decoding it."""
        path = self.root / self.names[i]
        if whole:
            read_image(path)
            return
        _check_name(path)  # OpenCV 5.0 crashes over it
        try:
            with path.open("rb") as file:
                empty = not file.read(1)
        except OSError as error:
            raise _unreadable(path, error.strerror or "it cannot be opened") from error
        if empty:
            raise _unreadable(path, "it is empty")
        if not cv2.haveImageReader(str(path)):
            raise _unreadable(path, "it is no image that OpenCV reads")

    def size_bytes(self, i: int) -> int:
        """Size of the file."""
        try:
            return (self.root / self.names[i]).stat().st_size
        except OSError:
            return 0

    def content(self, i: int, whole: bool) -> bytes:
        """All of the file, or its last END_BYTES."""
        try:
            with (self.root / self.names[i]).open("rb") as file:
                if not whole:
                    file.seek(max(0, file.seek(0, os.SEEK_END) - END_BYTES))
                return file.read()
        except OSError:  # that it cannot be read is part of what the pictures are; `image` says so, one by one
            return b""


def read_image(path: Path) -> Image:
    """The picture in a file, uint8 HWC BGR: gray becomes three channels, alpha is dropped, 16 bits become 8.

    It is turned upright as its EXIF orientation says, as cv2.imread does and people see it; torchvision's loader does
    not. OpenCV (4.12 and 5.0 were tried) refuses a file that is cut off anywhere, and decodes what it can of a JPEG
    with wrong bytes inside. Raises UnreadableImage.
    """
    _check_name(path)
    try:
        data = path.read_bytes()  # not by OpenCV, which cannot say why
    except OSError as error:
        raise _unreadable(path, error.strerror or "it cannot be opened") from error
    if not data:
        raise _unreadable(path, "it is empty")
    try:
        with SILENCE:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # larger than OpenCV decodes, for one
        image = None
    if image is None:
        raise _unreadable(path, "it is damaged or no image")
    return np.asarray(image, np.uint8)


def _check_name(path: Path) -> None:
    """Refuse a name that no report or record could hold: bytes from another encoding."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise _unreadable(path, "its name is no UTF-8") from None


def _unreadable(path: Path, reason: str) -> UnreadableImage:
    name = os.fsencode(path).decode(errors="backslashreplace")
    return UnreadableImage(f"image {name} cannot be read, {reason}: copy it again or remove it")
