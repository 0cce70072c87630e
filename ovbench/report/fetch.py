"""What can be fetched, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ovbench.fetch.catalogue import Item
from ovbench.report.page import open_page, open_table


def items_text(items: Sequence[Item], coloured: bool) -> str:
    """One line per item, its download in MB, and its addresses below it."""
    console, stream = open_page(coloured)
    table = open_table()
    table.add_column("name", no_wrap=True)
    table.add_column("download", justify="right", no_wrap=True)
    table.add_column("what it is", overflow="fold")
    for item in items:
        table.add_row(item.name, f"{item.download.size_bytes / 1e6:.1f} MB", item.about)
    console.print(table)
    for item in items:
        for address in item.download.addresses:
            console.print(f"{item.name}: {address}", soft_wrap=True)
    return stream.getvalue()


def items_fields(items: Sequence[Item]) -> dict[str, Any]:
    """The same as values, for ``--json``."""
    return {"items": [{"name": item.name, "about": item.about, **vars(item.download)} for item in items]}
