"""What rows call the models of a run, known from ``--ov-model`` alone, before anything is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ovbench.errors import BadOption

EMBEDDED = "embedded"
FILE_SUFFIXES = (".xml", ".onnx", ".tflite", ".pb", ".pdmodel")


def name_of(given: str) -> str:
    """``embedded``, the file's name without its suffix, or the name of an OMZ model or of a folder; on one line."""
    if given == EMBEDDED:
        return EMBEDDED
    path = Path(given)
    return _printable(path.stem if path.suffix in FILE_SUFFIXES else path.resolve().name)


def _printable(name: str) -> str:
    """A file may be called anything, and a terminal obeys what it is sent: such characters become U+FFFD."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in name)


def names_of(given: Sequence[str]) -> dict[str, str]:
    """Each model as given -> its name; of equal names each gets the folders it lies in, until they differ.

    Raises BadOption for a model that is given twice, and for two that nothing tells apart (``net`` and ``net.xml``).
    """
    names = {each: name_of(each) for each in given}
    places = {each: Path(each).resolve() for each in given if each != EMBEDDED}
    if len(set(places.values())) < len(places) or len(names) < len(given):
        twice = next(each for each in reversed(given) if each != EMBEDDED or given.count(EMBEDDED) > 1)
        raise BadOption(f"--ov-model {twice}: given twice: give each model once")
    for depth in range(max((len(place.parents) for place in places.values()), default=0)):
        taken = list(names.values())
        for each in names:
            if taken.count(names[each]) > 1 and each in places and depth < len(places[each].parents):
                names[each] = _printable(f"{places[each].parents[depth].name}-{names[each]}")
    if len(set(names.values())) < len(names):
        alike = next(each for each in names if list(names.values()).count(names[each]) > 1)
        raise BadOption(f"--ov-model {alike}: another model has its name: give one of them under another path")
    return names
