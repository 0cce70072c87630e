"""Stored sessions as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ovbench.report.numbers import DASH
from ovbench.report.page import open_page, open_table
from ovbench.sessions import StoredSession


def sessions_text(sessions: Sequence[StoredSession], promoted: str | None, coloured: bool) -> str:
    """One line per session, oldest first; ``promoted`` is the file name of the baseline."""
    console, stream = open_page(coloured)
    table = open_table()
    for heading in ("session", "date (UTC)", "machine", "passed", "promoted", "rows", "OpenVINO"):
        table.add_column(heading, no_wrap=True)
    for each in sessions:
        table.add_row(
            each.number,
            each.date[:16].replace("T", " "),
            each.fingerprint or DASH,
            "yes" if each.passed else "no",
            "yes" if each.path.name == promoted else "",
            str(len(each.rows)),
            each.openvino.split("-")[0] or DASH,
        )
    console.print(table)
    return stream.getvalue()


def sessions_fields(
    folder: Path, sessions: Sequence[StoredSession], promoted: str | None, removed: Sequence[Path]
) -> dict[str, Any]:
    """The same as values, for ``--json``, and which files were removed."""
    told = [
        {
            "session": each.number,
            "path": each.path,
            "date": each.date,
            "fingerprint": each.fingerprint or None,
            "passed": each.passed,
            "promoted": each.path.name == promoted,
            "rows": len(each.rows),
            "openvino": each.openvino or None,
        }
        for each in sessions
    ]
    return {"folder": folder, "sessions": told, "removed": removed}
