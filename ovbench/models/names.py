"""What rows call a model, known from ``--ov-model`` alone, before anything is read."""

from __future__ import annotations

from pathlib import Path

EMBEDDED = "embedded"


def name_of(given: str) -> str:
    """``embedded``, or the file's name without its suffix."""
    return EMBEDDED if given == EMBEDDED else Path(given).stem
