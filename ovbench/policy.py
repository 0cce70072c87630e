"""The policy: tolerances, floors and waivers per model and cell, from a file that is committed with the models."""

from __future__ import annotations

import datetime
import fnmatch
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ovbench.errors import BadOption
from ovbench.toml import NUMBER, check_keys, check_kind, read_toml, shown

FILE_NAME = "ovbench.toml"
PYPROJECT = "pyproject.toml"
TABLE = "tool.ovbench"
MAX_TOLERANCE = 10.0  # as of --tolerance; beyond it a percentage was written for a share
MAX_FLOOR = 1000.0  # as of --ov-min-speedup


@dataclass(frozen=True)
class Target:
    """What a pattern may name: a cell of the suite or a comparison of a gate, its model, and what is judged of it."""

    model: str
    cell: str
    metric: str = ""

    def matches(self, pattern: str) -> bool:
        """Whether a shell pattern names CELL, CELL/METRIC, MODEL/CELL or MODEL/CELL/METRIC; case counts."""
        parts = (self.cell, self.metric) if self.metric else (self.cell,)
        names = {self.cell, "/".join(parts), f"{self.model}/{self.cell}", "/".join((self.model, *parts))}
        return any(fnmatch.fnmatchcase(name, pattern) for name in names)


@dataclass(frozen=True)
class Waiver:
    """A failure that is known and borne, up to and with the day ``until``."""

    pattern: str
    until: datetime.date
    reason: str

    def holds(self, today: datetime.date) -> bool:
        """Whether it has not expired."""
        return today <= self.until


@dataclass(frozen=True)
class Policy:
    """Limits by pattern, in the file's order: the last that matches holds. ``path`` is None where there is no file."""

    path: Path | None = None
    tolerances: tuple[tuple[str, float], ...] = ()
    floors: tuple[tuple[str, float], ...] = ()
    waivers: tuple[Waiver, ...] = ()

    def tolerance(self, target: Target) -> float | None:
        """Tolerated slow-down as a share of time; None where the file says nothing."""
        return _last_match(self.tolerances, target)

    def floor(self, target: Target) -> float | None:
        """Least value of the target's metric, in its own unit; None where the file says nothing."""
        return _last_match(self.floors, target)

    def waiver(self, target: Target, today: datetime.date) -> Waiver | None:
        """The waiver that covers a failure of ``target`` today, the one that lasts longest; None without one."""
        holding = [each for each in self.waivers if each.holds(today) and target.matches(each.pattern)]
        return max(holding, key=lambda each: each.until, default=None)

    def expired(self, today: datetime.date) -> tuple[Waiver, ...]:
        """Waivers that no longer hold."""
        return tuple(each for each in self.waivers if not each.holds(today))


def _last_match(limits: tuple[tuple[str, float], ...], target: Target) -> float | None:
    return next((limit for pattern, limit in reversed(limits) if target.matches(pattern)), None)


def find_policy(start: Path) -> Policy:
    """The nearest policy in ``start`` and its parents, up to the folder that holds ``.git``; without one, an empty one.

    ``ovbench.toml``, or ``[tool.ovbench]`` in ``pyproject.toml``. Raises BadOption for both in one folder.
    """
    for folder in (start.absolute(), *start.absolute().parents):
        own, shared = folder / FILE_NAME, folder / PYPROJECT
        in_shared = shared.is_file() and "ovbench" in read_toml(shared).get("tool", {})
        if own.is_file():
            if in_shared:
                raise BadOption(f"two policies, {own} and [{TABLE}] in {shared}: keep one")
            return read_policy(own)
        if in_shared:
            return read_policy(shared)
        if (folder / ".git").exists():
            break
    return Policy()


def read_policy(path: Path) -> Policy:
    """Read ``ovbench.toml`` or a file like it, or ``[tool.ovbench]`` of a ``pyproject.toml``. Raises BadOption."""
    table = read_toml(path)
    where = str(path)
    if path.name == PYPROJECT:
        where = f"{path}, [{TABLE}]"
        table = table.get("tool", {}).get("ovbench", {})
    check_keys(where, table, ("tolerance", "floor", "waiver"))
    return Policy(
        path=path,
        tolerances=_limits(where, table, "tolerance", MAX_TOLERANCE, "a share of time such as 0.03 for 3 %"),
        floors=_limits(where, table, "floor", MAX_FLOOR, "a floor such as 1.5 for a ratio, 0.95 for a share"),
        waivers=_waivers(where, table),
    )


def _limits(
    where: str, table: Mapping[str, Any], key: str, maximum: float, remedy: str
) -> tuple[tuple[str, float], ...]:
    given = table.get(key, {})
    check_kind(where, key, given, dict)
    limits = []
    for pattern, value in given.items():
        check_kind(f"{where}, [{key}]", repr(pattern), value, NUMBER)
        if not 0 <= value <= maximum or math.isnan(value):
            raise BadOption(f"{where}, [{key}]: {pattern!r} = {value}: give {remedy}")
        limits.append((pattern, float(value)))
    return tuple(limits)


def _waivers(where: str, table: Mapping[str, Any]) -> tuple[Waiver, ...]:
    given = table.get("waiver", [])
    check_kind(where, "waiver", given, list)
    return tuple(_waiver(f"{where}, [[waiver]] {number}", each) for number, each in enumerate(given, 1))


def _waiver(where: str, given: Any) -> Waiver:
    check_kind(where, "waiver", given, dict)
    check_keys(where, given, ("cell", "comparison", "until", "reason"))
    patterns = [given[key] for key in ("cell", "comparison") if key in given]
    if len(patterns) != 1:
        raise BadOption(f"{where}: {len(patterns)} patterns: give one, cell = or comparison =")
    check_kind(where, "its pattern", patterns[0], str)
    until = given.get("until")
    if not isinstance(until, datetime.date) or isinstance(until, datetime.datetime):
        raise BadOption(f"{where}: until = {shown(until)}: give the last day it holds, such as 2026-12-31, unquoted")
    reason = given.get("reason", "")
    check_kind(where, "reason", reason, str)
    if not reason.strip():
        raise BadOption(f'{where}: no reason: say why it is borne, reason = "..."')
    return Waiver(patterns[0], until, " ".join(reason.split()))
