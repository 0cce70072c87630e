"""All that can be fetched, and how each comes to lie where it belongs: whole, or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ovbench.errors import BadImages, BadInput, NotWritable
from ovbench.fetch import archive, mobilenet
from ovbench.fetch.downloads import Download, Patience, download

Advance = Callable[[float, str], None]
"""``advance(share done in [0, 1], what is being done)``."""

IMAGENETTE = "imagenette2-320"
SYNSETS = Path(__file__).with_name("imagenet_2012.txt")
"""The 1000 classes of ILSVRC 2012 in their order, a line each: WordNet 3.0's synset and its first word."""
SUBSETS = ("train", "val")
DOWNLOADED_AT = 0.9  # share of the whole for the bar; the rest takes seconds
BAR_STEP = 0.001  # least share worth drawing: a bar takes 2 ms to draw, and 342 MB come in 18,000 chunks and files


@dataclass(frozen=True)
class Item:
    """One thing that can be fetched.

    It lies in ``place`` below the user's folder and is whole if all of ``parts`` are in there; ``used`` is the
    one to give to ``--ov-model`` or ``--ov-images``, "" for the folder itself. ``check`` raises BadInput before
    anything is downloaded; ``make(file, folder, advance)`` turns the downloaded file into what fills the folder.
    """

    name: str
    about: str
    download: Download
    place: str
    parts: tuple[str, ...]
    used: str
    making: str
    check: Callable[[], None]
    make: Callable[[Path, Path, Callable[[float], None]], None]


@dataclass(frozen=True)
class Fetched:
    """Where it lies now, and whether it lay there before."""

    path: Path
    was_there: bool


def labels() -> list[str]:
    """Names of ImageNet's 1000 classes, in their order."""
    return [line.split(maxsplit=1)[1] for line in SYNSETS.read_text(encoding="utf-8").splitlines()]


def fetch(item: Item, out: Path, cache: Path, on_progress: Advance, patience: Patience | None = None) -> Fetched:
    """Have the item below ``out``; what is there already is left as it is.

    The downloaded file is kept in ``cache``. Raises BadInput when it cannot be had or is not what it should be,
    NotWritable when it cannot be written; under the item's name there is all of it or nothing.
    """
    place = out / item.place
    if place.exists():
        missing = [part for part in item.parts if not (place / part).exists()]
        if missing:
            raise BadInput(f"{place} is there without {missing[0]}: remove it, or give another --out")
        return Fetched(place / item.used, was_there=True)
    item.check()
    on_progress = _in_steps(on_progress)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f"{place.name}.", suffix=".tmp", dir=place.parent))
    except OSError as error:
        raise _not_writable(place, error) from error
    try:
        doing = f"downloading {item.download.file}"
        file = download(item.download, cache, lambda share: on_progress(share * DOWNLOADED_AT, doing), patience)
        try:
            made = draft / place.name  # the draft itself is for its maker alone, as mkdtemp makes it
            made.mkdir()
            item.make(file, made, lambda share: on_progress(DOWNLOADED_AT + share * (1 - DOWNLOADED_AT), item.making))
            made.rename(place)
        except OSError as error:
            raise _not_writable(place, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Fetched(place / item.used, was_there=False)


def _in_steps(on_progress: Advance) -> Advance:
    """The same, told only of steps that can be seen."""
    last, last_doing = 0.0, ""

    def advance(share: float, doing: str) -> None:
        nonlocal last, last_doing
        if doing != last_doing or share >= last + BAR_STEP:
            last, last_doing = share, doing
            on_progress(share, doing)

    return advance


def _not_writable(place: Path, error: OSError) -> NotWritable:
    return NotWritable(f"cannot write {place}: {error.strerror or error}: make room, or give another --out")


def _make_model(file: Path, folder: Path, on_progress: Callable[[float], None]) -> None:
    on_progress(0.0)
    mobilenet.convert(file, folder, labels())


def _make_images(file: Path, folder: Path, on_progress: Callable[[float], None]) -> None:
    archive.unpack(file, folder, on_progress)
    inside = folder / IMAGENETTE
    if not all((inside / subset).is_dir() for subset in SUBSETS):
        raise BadImages(f"{file} holds no {IMAGENETTE}/{SUBSETS[0]}: it is another data set")
    for each in inside.iterdir():
        each.rename(folder / each.name)
    inside.rmdir()
    # Only ten of the classes have a folder: without the list a 1000-class model's answers have no labels to meet.
    shutil.copyfile(SYNSETS, folder / "synsets.txt")


_CHECKPOINT = "mobilenet_v2-b0353104.pth"
_MODEL = Item(
    name=mobilenet.NAME,
    about="MobileNetV2 1.0 trained on ImageNet, as FP32 and FP16 IR; needs ovbench[torch]",
    # Size and SHA-384 from Open Model Zoo's model.yml, and its address before torchvision's own.
    download=Download(
        _CHECKPOINT,
        14_212_972,
        "sha384:ca1be3e2eb8015c2876bfa6da5f35c9db9e2167281f972adfef6de332688d11ebe649f646e88f7410d8694e554a27613",
        (
            f"https://storage.openvinotoolkit.org/repositories/open_model_zoo/public/2022.1/{mobilenet.NAME}/{_CHECKPOINT}",
            f"https://download.pytorch.org/models/{_CHECKPOINT}",
        ),
    ),
    place=f"public/{mobilenet.NAME}",
    parts=tuple(f"{each}/{mobilenet.NAME}{suffix}" for each in mobilenet.PRECISIONS for suffix in (".xml", ".bin")),
    used="",
    making="converting",
    check=mobilenet.check_torch,
    make=_make_model,
)
_IMAGES = Item(
    name=IMAGENETTE,
    about="13,394 labelled pictures of ten ImageNet classes, 3,925 of them for evaluation",
    # MD5 from torchvision's datasets/imagenette.py; size from fastai's checks.txt, whose MD5 is of the first MiB alone.
    download=Download(
        f"{IMAGENETTE}.tgz",
        341_663_724,
        "md5:3df6f0d01a2c9592104656642f5e78a3",
        (f"https://s3.amazonaws.com/fast-ai-imageclas/{IMAGENETTE}.tgz",),
    ),
    place=IMAGENETTE,
    parts=(*SUBSETS, "synsets.txt"),
    used="val",
    making="unpacking",
    check=archive.check_python,
    make=_make_images,
)
ITEMS = {item.name: item for item in (_MODEL, _IMAGES)}
