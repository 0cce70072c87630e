"""What the own benches of a session add up to: its settings, the names of its models, each test's cell in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ovbench.config import Config, Hint, Precision
from ovbench.errors import BadOption
from ovbench.models.names import names_of
from ovbench.options import Settings
from ovbench.own.wishes import rooted

NAMES = pytest.StashKey[dict[str, str]]()  # model as a test gave it -> what rows call it
REMARKS = pytest.StashKey[list[str]]()  # lines that are printed after the run
SMOKE = "--benchmark-disable: nothing is measured in a smoke run"


def session_of(settings: Settings, cells: Sequence[Config], beside_suite: bool) -> tuple[Settings, dict[str, str]]:
    """The settings that all own cells of a session add up to, and what rows call each of their models.

    ``beside_suite``: the suite's benches run in the same session, so its models and axes stay. Raises BadOption.
    """
    suites = tuple(rooted(each, Path.cwd()) for each in settings.model) if beside_suite else ()
    models = tuple(dict.fromkeys([*suites, *(cell.model for cell in cells)]))
    names = names_of(models)
    if beside_suite:
        for given, name in names_of(settings.model).items():
            if names[rooted(given, Path.cwd())] != name:
                raise BadOption(
                    f"--ov-model {given}: an own bench has another model of the name {name}: run them one by one"
                )

    def union(axis: str, values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(dict.fromkeys([*(getattr(settings, axis) if beside_suite else ()), *values]))

    known = settings.streams or not beside_suite
    return replace(
        settings,
        model=models,
        precision=union("precision", sorted((cell.precision for cell in cells), key=list(Precision).index)),
        hint=union("hint", sorted((cell.hint for cell in cells), key=list(Hint).index)),
        streams=union("streams", [cell.streams for cell in cells]) if known else None,
        threads=union("threads", [cell.threads for cell in cells]),
        requests=union("requests", [cell.requests for cell in cells]),
        batch=union("batch", [cell.batch for cell in cells]),
        cache=union("cache", [cell.cache for cell in cells]),
    ), names


def named(config: pytest.Config, cell: Config) -> Config:
    """A cell whose model has the name that this session gives it."""
    names = config.stash.get(NAMES, {})
    return replace(cell, model=names.get(cell.model, cell.model))


def cell_of(item: pytest.Item) -> Config | None:
    """The cell that a test takes; None for a test that takes none, and for one that a marker skips."""
    cell = getattr(getattr(item, "callspec", None), "params", {}).get("ov_config")
    if not isinstance(cell, Config) or item.get_closest_marker("skip") is not None:
        return None
    return named(item.config, cell)
