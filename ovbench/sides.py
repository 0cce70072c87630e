"""Sides of a comparison: what the user writes for A and B, and the lane and contestant it stands for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ovbench.config import Precision
from ovbench.errors import BadOption

KEYS = (
    "python=PATH, model=PATH, precision=INT8 and its like, affinity=0,1, env:NAME=VALUE, or NUM_STREAMS=2 and its like"
)


@dataclass(frozen=True)
class Side:
    """One side as it was asked for; what it leaves open is the same on both sides."""

    python: str = ""
    model: str = ""
    precision: Precision | None = None
    affinity: tuple[int, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    properties: tuple[tuple[str, str], ...] = ()
    written: tuple[str, ...] = field(default=(), compare=False)

    @property
    def text(self) -> str:
        """As the user wrote it; ``as is`` for a side that changes nothing."""
        return " ".join(self.written) or "as is"


def parse_side(name: str, parts: Sequence[str]) -> Side:
    """``["python=.venv/bin/python", "env:ONEDNN_MAX_CPU_ISA=AVX2"]`` -> Side. Raises BadOption."""
    python = model = ""
    precision: Precision | None = None
    affinity: tuple[int, ...] = ()
    environment: list[tuple[str, str]] = []
    properties: list[tuple[str, str]] = []
    seen: set[str] = set()
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals or not value:
            raise BadOption(f"{name} {part}: no value: give {KEYS}")
        if key in seen:
            raise BadOption(f"{name} {part}: {key} is given twice: give it once")
        seen.add(key)
        if key == "python":
            python = value
        elif key == "model":
            model = value
        elif key == "precision":
            precision = _precision(name, part, value)
        elif key == "affinity":
            affinity = _affinity(name, part, value)
        elif key.startswith("env:") and key != "env:":
            environment.append((key.removeprefix("env:"), value))
        elif re.fullmatch(r"[A-Z][A-Z0-9_]+", key):
            properties.append((key, value))
        else:
            raise BadOption(f"{name} {part}: unknown key {key!r}: give {KEYS}")
    return Side(python, model, precision, affinity, tuple(environment), tuple(properties), tuple(parts))


def _precision(name: str, part: str, value: str) -> Precision:
    try:
        return Precision(value.upper())
    except ValueError:
        known = ", ".join(each.value for each in Precision)
        raise BadOption(f"{name} {part}: unknown precision: give one of {known}") from None


def _affinity(name: str, part: str, value: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\d+(,\d+)*", value):
        raise BadOption(f"{name} {part}: give core numbers with commas between, such as affinity=0,1")
    return tuple(int(core) for core in value.split(","))
