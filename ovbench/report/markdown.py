"""Markdown: tables, and the page's tables that are made from code and rewritten in place."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ovbench.errors import BadInput, BadOption
from ovbench.options import OPTIONS, Option

OPTIONS_BEGIN = "<!-- options: made by python -m ovbench.report.markdown README.md -->"
OPTIONS_END = "<!-- end of options -->"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table that ends in a newline. Headings that start with ``>`` are aligned to the right."""
    lines = [
        _row([heading.removeprefix(">") for heading in headings]),
        _row(["--:" if heading.startswith(">") else "---" for heading in headings]),
        *(_row([cell.replace("|", "\\|") for cell in row]) for row in rows),
    ]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def options_table(options: Sequence[Option] = OPTIONS) -> str:
    """Every option with its default, unit and help, as README.md shows it."""
    return table(
        ("option", "default", "unit", "what it does"),
        [(f"`{each.flag}`", _default(each), each.unit, each.help) for each in options],
    )


def _default(option: Option) -> str:
    if option.switch:
        return "off"
    return f"`{option.default}`" if option.default else "unset"


def with_options_table(page: str) -> str:
    """The page with the table between its two marks renewed; BadOption where a mark is missing."""
    before, begin, rest = page.partition(OPTIONS_BEGIN)
    _, end, after = rest.partition(OPTIONS_END)
    if not begin or not end:
        raise BadOption(f"the page has no place for the options: put {OPTIONS_BEGIN} and {OPTIONS_END} into it")
    return f"{before}{begin}\n{options_table()}{end}{after}"


def main(arguments: Sequence[str]) -> int:
    """Rewrite the options table of the pages named; 4 with one line for a page that cannot be."""
    try:
        if not arguments:
            raise BadOption("no page to rewrite: give one, such as README.md")
        for name in arguments:
            path = Path(name)
            path.write_text(with_options_table(path.read_text(encoding="utf-8")), encoding="utf-8")
    except OSError as error:
        sys.stderr.write(f"error: cannot rewrite {error.filename}: {error.strerror}: name a page that exists\n")
        return 4
    except BadInput as error:
        sys.stderr.write(f"error: {error}\n")
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
