"""Which class of a model a picture's folder stands for, and who says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ovbench.errors import BadImages
from ovbench.images.array import ArrayPictures, labels_file
from ovbench.images.pictures import Labels, Pictures

SYNSETS = "synsets.txt"
"""One class a line, in the order of the model's outputs; its first word is the name of the folder."""


def resolve_labels(pictures: Pictures, model_labels: Sequence[str], outputs: int) -> Labels:
    """Class of each of the pictures' class names, for a model with ``outputs`` of them.

    Asked in this order: ``synsets.txt`` in the folder or in the one above it; the model's own labels, with
    underscores for blanks; last the sorted order of the names, which says something only where there are as many
    as outputs. Where the model has one output more than there are classes, its first one is taken for TensorFlow's
    background class. An array's class numbers are taken as they are. Raises BadImages where the labels are not known
    or do not fit the outputs.
    """
    names = pictures.class_names
    if isinstance(pictures, ArrayPictures):
        return _numbered(pictures, names, outputs)
    if not names:
        raise BadImages(
            f"labels of {pictures.root} are not known: put the images of each class in a folder named by it"
        )
    synsets = _synsets_file(pictures.root)
    if synsets is not None:
        words = _first_words(synsets)
        places = _places(names, words, str(synsets))
        if places:
            return _fitting(places, len(words), outputs, str(synsets))
    places = _places(names, model_labels, "the model's labels")
    if places:
        return _fitting(places, len(model_labels), outputs, "the model's labels")
    if outputs - len(names) not in (0, 1):
        raise BadImages(
            f"labels of {pictures.root} are not known: {len(names)} folders, {outputs} outputs: add {SYNSETS}, "
            "the folder of each output on its line"
        )
    return _fitting({name: i for i, name in enumerate(names)}, len(names), outputs, "the folders' sorted order")


def _numbered(pictures: ArrayPictures, names: Sequence[str], outputs: int) -> Labels:
    path = labels_file(pictures.root)
    if not names:
        raise BadImages(f"labels of {pictures.root} are not known: put class numbers into {path.name} beside it")
    class_of = {name: int(name) for name in names}
    most = max(class_of.values())
    if most >= outputs:
        raise BadImages(f"labels {path} do not fit: class {most}, the model has {outputs} outputs: number them from 0")
    return Labels(class_of, outputs, path.name)


def _synsets_file(root: Path) -> Path | None:
    folder = root.absolute()
    return next((path for path in (folder / SYNSETS, folder.parent / SYNSETS) if path.is_file()), None)


def _first_words(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise BadImages(f"labels {path} cannot be read: {reason}: give one class a line") from error
    return [line.split(maxsplit=1)[0] if line.strip() else "" for line in lines]


def _places(names: Sequence[str], words: Sequence[str], said_by: str) -> dict[str, int]:
    """Each name's place among the words; empty where none of them is there, and the words are about something else."""
    spelled = {name: name.replace(" ", "_") for name in names}
    known = [word.replace(" ", "_") for word in words]
    place = {word: i for i, word in enumerate(known)}
    missing = [name for name in names if spelled[name] not in place]
    if len(missing) == len(names):
        return {}
    if missing:
        raise BadImages(
            f"labels do not fit: {said_by} has no {missing[0]!r}, as {len(missing)} of {len(names)} folders: "
            f"rename or remove it, or list it in {SYNSETS}"
        )
    times = Counter(known)
    twice = [name for name in names if times[spelled[name]] > 1]
    if twice:
        raise BadImages(
            f"labels do not fit: {said_by} has {twice[0]!r} {times[spelled[twice[0]]]} times: "
            f"give the folders unique names and list them in {SYNSETS}"
        )
    return {name: place[spelled[name]] for name in names}


def _fitting(places: Mapping[str, int], classes: int, outputs: int, said_by: str) -> Labels:
    if outputs == classes:
        return Labels(places, outputs, said_by)
    if outputs == classes + 1:
        shifted = {name: place + 1 for name, place in places.items()}
        return Labels(shifted, outputs, f"{said_by}, after a background class at output 0")
    raise BadImages(
        f"labels do not fit: {said_by} has {classes} classes, the model {outputs} outputs: give a list of all"
    )
