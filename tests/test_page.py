"""The page of all texts: as wide as the terminal, no blanks at the end of a line, no figure cut."""

from __future__ import annotations

import os
import re
import shutil

import pytest
from rich.table import Table

from ovbench.report.page import NARROWEST, WIDTH, open_page, open_table, page_width

FIGURES = ("1.47 [1.43, 1.51]", "FASTER")


def table_of(name: str) -> Table:
    table = open_table("a title of the table")
    table.add_column("cell", overflow="fold")
    for heading in ("over FP32 [95 %]", "verdict"):
        table.add_column(heading, no_wrap=True)
    table.add_row(name, *FIGURES)
    return table


def printed(coloured: bool, width: int, *objects: object) -> list[str]:
    """Lines as they are seen, escape codes taken out."""
    console, stream = open_page(coloured, width)
    for each in objects:
        console.print(each)
    return re.sub(r"\x1b\[[\d;]*m", "", stream.getvalue()).splitlines()


@pytest.mark.parametrize("coloured", [True, False])
def test_no_line_ends_with_blanks(coloured: bool) -> None:
    lines = printed(coloured, WIDTH, table_of("INT8 lat 1 off"), "text ", "words " * 40)
    assert [line for line in lines if line != line.rstrip()] == []
    assert "" in lines


@pytest.mark.parametrize("coloured", [True, False])
def test_names_are_shown_as_they_are_and_no_terminal_obeys_them(coloured: bool) -> None:
    hostile = "[/red] [bold]x :smile: \x1b[31mred\r"
    lines = printed(coloured, WIDTH, table_of("[/red] :smile:"), hostile)
    assert any(line.startswith(" [/red] :smile:") for line in lines)
    assert lines[-1] == "[/red] [bold]x :smile: �[31mred�"


@pytest.mark.parametrize("width", [WIDTH, 60, NARROWEST, 20])
def test_a_narrow_table_folds_names_and_keeps_figures(width: int) -> None:
    lines = printed(True, width, table_of("INT8 throughput AUTO warm copied"))
    (row,) = [line for line in lines if FIGURES[0] in line]
    assert row.endswith("  ".join(FIGURES))
    assert "…" not in "".join(lines)
    assert any("copied" in line for line in lines)
    if width >= 60:
        assert max(map(len, lines)) <= width


def test_a_page_is_as_wide_as_its_terminal_and_100_columns_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for columns in (300, 80, 3):
        monkeypatch.setattr(shutil, "get_terminal_size", lambda *_, size=columns: os.terminal_size((size, 24)))
        found[columns] = page_width(on_terminal=True)
        assert page_width(on_terminal=False) == WIDTH
    assert found == {300: WIDTH, 80: 80, 3: NARROWEST}
