"""Versions on one line; apart from all that tells numbers, so that ``ovbench --version`` imports none of it."""

from __future__ import annotations

from collections.abc import Mapping


def version_text(versions: Mapping[str, str | None], python: str) -> str:
    """``ovbench 0.1.0, OpenVINO 2026.4.1, Python 3.11.2``."""
    return (
        f"ovbench {versions['ovbench'] or 'not installed'}, OpenVINO {versions['openvino'] or 'not installed'}, "
        f"Python {python}\n"
    )
