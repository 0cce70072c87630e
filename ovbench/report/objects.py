"""A result as one JSON object: what every ``--json`` prints (docs/json.md)."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def object_text(fields: Mapping[str, Any]) -> str:
    """The object as text that ends in a line feed; numbers as they were measured, not as text rounds them.

    It is ASCII: whatever a model is called, any terminal and any file can hold it.
    """
    return json.dumps(plain(fields), indent=2, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """The value in JSON's own kinds: a dataclass is an object, a number that is not finite is null."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    return value
