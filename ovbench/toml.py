"""TOML files of ours: read, and their tables checked, with one line for whatever is wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ovbench.errors import BadOption

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NUMBER = (int, float)
KINDS = {
    str: "text in quotes",
    list: "a list",
    dict: "a table",
    int: "a whole number",
    NUMBER: "a number",
}


def read_toml(path: Path) -> dict[str, Any]:
    """The file's top-level table. Raises BadOption, one line, for a file that is missing or no TOML."""
    try:
        with path.open("rb") as file:
            table: dict[str, Any] = tomllib.load(file)
    except OSError as error:
        raise BadOption(f"cannot read {path}: {error.strerror}: give a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadOption(f"{path} is no TOML: {' '.join(str(error).split())}: mend it there") from None
    return table


def check_keys(where: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raise BadOption for a key that nothing reads; ``where`` names file and table."""
    known = tuple(known)
    for key in table:
        if key not in known:
            raise BadOption(f"{where}: unknown key {key!r}: give {', '.join(known)}")


def check_kind(where: str, key: str, value: Any, kind: Any) -> None:
    """Raise BadOption unless ``value`` is of ``kind``, one of KINDS; true and false are no numbers."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BadOption(f"{where}: {key} = {shown(value)}: give {KINDS[kind]}")


def shown(value: Any) -> str:
    """A value for a message, on one line and not too long."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
