"""What a test asks for with ``@pytest.mark.ovbench``: cells of the matrix, and a floor."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ovbench.config import TUTORIAL_STREAMS, Cache, Config, Hint, Precision
from ovbench.errors import BadOption
from ovbench.models.names import EMBEDDED, FILE_SUFFIXES, names_of
from ovbench.options import BY_NAME, Settings

MARKER = "ovbench"
AXES = ("model", "precision", "hint", "streams", "threads", "requests", "batch", "cache")
FLOOR = "min_speedup"
# What a test that names nothing is about, where the session's options name nothing either: the one cell that has a
# partner to be faster than. Streams are the tutorial's first for the hint.
DEFAULTS: Mapping[str, tuple[Any, ...]] = {
    "precision": (Precision.INT8,),
    "hint": (Hint.LATENCY,),
    "threads": (0,),
    "requests": (0,),
    "batch": (0,),
    "cache": (Cache.OFF,),
}
CAMPAIGN, PAIRED = "ov_campaign", "ov_paired"  # the fixtures that have a figure to hold


@dataclass(frozen=True)
class Wish:
    """What the markers of one test say; an axis that is not in ``axes`` is left open."""

    where: str
    axes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    min_speedup: float | None = None


def read_wish(node: pytest.Item) -> Wish:
    """The markers ``ovbench`` of a test, its class and its module as one, the nearest first. Raises BadOption."""
    where = node.nodeid
    said: dict[str, Any] = {}
    for marker in node.iter_markers(MARKER):
        if marker.args:
            raise BadOption(
                f"{where}: ovbench({marker.args[0]!r}): give it a name, such as precision={marker.args[0]!r}"
            )
        said = {**marker.kwargs, **said}
    for name in said:
        if name not in (*AXES, FLOOR):
            raise BadOption(f"{where}: ovbench({name}=...): unknown name: give {', '.join((*AXES, FLOOR))}")
    axes = {name: _read_axis(where, name, said[name], node.path.parent) for name in AXES if name in said}
    floor = read_value(where, FLOOR, said[FLOOR], str(said[FLOOR])) if FLOOR in said else None
    return Wish(where, axes, floor)


def _read_axis(where: str, name: str, value: Any, folder: Path) -> tuple[Any, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    if not values or "" in values:
        raise BadOption(f"{where}: {name}={value!r}: give one value, or a list of some")
    if name != "model":
        read: tuple[Any, ...] = read_value(where, name, value, ",".join(str(getattr(e, "value", e)) for e in values))
        return read
    if not all(isinstance(each, str | os.PathLike) for each in values):
        raise BadOption(f"{where}: model={value!r}: give 'embedded', a file, a folder or the name of a model")
    return tuple(dict.fromkeys(rooted(os.fspath(each), folder) for each in values))


def read_value(where: str, name: str, value: Any, text: str) -> Any:
    """``value`` as the option ``name`` reads its ``text``. Raises BadOption, naming ``where`` it stands."""
    try:
        return BY_NAME[name].parse(text)
    except ValueError as error:
        raise BadOption(f"{where}: {name}={value!r}: {error}") from None


def rooted(given: str, folder: Path) -> str:
    """A model's file or folder as a whole path, from ``folder``; ``embedded`` and names of models stay as they are."""
    path = folder / given
    if given == EMBEDDED or not (path.exists() or path.suffix in FILE_SUFFIXES):
        return given
    return os.path.abspath(path)  # noqa: PTH100  (Path.absolute keeps "..", resolve follows links and renames the model)


def check_held(node: pytest.Item, wish: Wish, fixtures: Collection[str], cells: Sequence[Config]) -> None:
    """Raise BadOption for a floor that nothing could hold: it would seem to be held."""
    if wish.min_speedup is None:
        return
    own = any(marker.name == MARKER and FLOOR in marker.kwargs for marker in node.own_markers)
    if own and not {CAMPAIGN, PAIRED} & set(fixtures):
        raise BadOption(
            f"{wish.where}: {FLOOR} without a figure to hold it: take {CAMPAIGN} or {PAIRED} as an argument"
        )
    if CAMPAIGN in fixtures and all(cell.precision is Precision.FP32 for cell in cells):
        raise BadOption(f"{wish.where}: {FLOOR} of FP32, over which a speed-up is taken: give another precision")


def cells_of(wish: Wish, settings: Settings, given: Collection[str]) -> tuple[Config, ...]:
    """The cells of a test: the marker's axes, else those of the options in ``given``, else the default's.

    ``model`` of each is the model as it was given, not yet its name (see ``session_of``).
    """

    def axis(name: str) -> tuple[Any, ...]:
        left_open: tuple[Any, ...] = getattr(settings, name) if name in given else DEFAULTS[name]
        return wish.axes.get(name, left_open)

    models = wish.axes.get("model") or tuple(rooted(each, Path.cwd()) for each in settings.model)
    return tuple(
        Config(model, settings.device, precision, hint, *numbers)
        for model, precision, hint in itertools.product(models, axis("precision"), axis("hint"))
        for numbers in itertools.product(
            wish.axes.get("streams") or settings.streams or TUTORIAL_STREAMS[hint][:1],
            *map(axis, ("cache", "threads", "requests", "batch")),
        )
    )


def ids_of(cells: Sequence[Config]) -> list[str]:
    """What pytest shows in brackets: the cell, its model before it where there are several."""
    names = names_of(list(dict.fromkeys(cell.model for cell in cells)))
    return [cell.id if len(names) == 1 else f"{names[cell.model]}-{cell.id}" for cell in cells]


def misplaced(items: Sequence[pytest.Item]) -> str:
    """What to say of a marker on a parameter, where it would be read too late to say which cells there are; or ""."""
    for item in items:
        if any(mark.name == MARKER for mark in getattr(getattr(item, "callspec", None), "marks", ())):
            return f"{item.nodeid}: ovbench(...) on a parameter: give it to the test, its class or its module"
    return ""
