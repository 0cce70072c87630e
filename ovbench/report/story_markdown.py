"""A report for a pull request: the page's sections as GitHub's Markdown, within what one comment may hold."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ovbench.report.html import UNPRINTABLE, page_sections, page_title
from ovbench.report.html.parts import Part, Section, Table
from ovbench.report.markdown import table as markdown_table
from ovbench.story.facts import Comparison, Story

LIMIT = 65_000  # characters; GitHub refuses bodies of more than 65,536
CLOSING = 400  # kept free for the line that says what was left out
MOST_OF_REST = 0.5  # of the room that is left, for one table or list: so that no long one drives all others out
NAME_WIDTH = 160  # longer texts lose their middle: a model may name its layers with a novel

OPEN = frozenset({"compared", "verdicts"})  # sections that are read at once; a reader opens the others
CHARTS_ONLY = frozenset({"front", "latency", "rounds", "words"})  # sections whose numbers are in others, or too many
CHARTED = frozenset({"startup", "layers"})  # sections whose numbers stand under their charts alone

# What Markdown, GitHub or HTML would take for more than itself: not the "_" within a word, nor the "[" of an interval,
# 1.52 [1.48, 1.56]; the last two alternatives are what makes a list, a rule or a heading of a line.
MARKUP = re.compile(
    r"[&<>*`~|\\$#@]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|\[(?![-–?\d])|\](?=[(\[:])|(?<=www)\.|:(?=//)"
    r"|^[-+=](?=\s|$|[-=\s]+$)|(?<=^\d)[.)](?=\s|$)"
)
MENTIONS = "@#"  # of a person, of an issue: taken for one even as an entity, unless a word does not follow at once


def story_markdown(stories: Sequence[Story], comparison: Comparison | None, limit: int = LIMIT) -> str:
    """The report in at most ``limit`` characters: verdicts first, what weighs least is cut first, and said."""
    page = _Page(limit - CLOSING)
    page.add(f"## {escaped(page_title(stories))}\n\n")
    sections = page_sections(stories, comparison)
    others = [each for each in sections if each.identity not in OPEN]
    for section in sections:
        if section.identity in OPEN:
            page.add(f"### {escaped(section.title)}\n\n")
            _add_parts(page, section)
    told = [(section.title, line) for section in others for part in section.parts for line in part.lines]
    page.add_list([f"{escaped(title)}: {escaped(line)}" for title, line in told])
    for section in others:
        if section.identity not in CHARTS_ONLY:
            with page.folded(section.title) as inside:
                _add_parts(inside, section)
    return page.text()


def escaped(text: str) -> str:
    """Text that is shown as it is, wherever it stands: on one line, no markup, nobody mentioned, no link."""
    text = UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split()))
    if len(text) > NAME_WIDTH * 4:
        text = f"{text[: NAME_WIDTH * 2]} … {text[-NAME_WIDTH:]}"
    return MARKUP.sub(_entity, text)


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};" + ("&#8203;" if found[0] in MENTIONS else "")


def _name(text: str) -> str:
    """A text of a table: the middle of a long one gives way."""
    if len(text) > NAME_WIDTH:
        text = f"{text[: NAME_WIDTH // 3]}…{text[-NAME_WIDTH * 2 // 3 :]}"
    return escaped(text)


def _add_parts(page: _Page, section: Section) -> None:
    for part in section.parts:
        if part.heading:
            page.add(f"#### {escaped(part.heading)}\n\n")
        if section.identity in OPEN:  # of the others, they stand before what is folded
            for line in part.lines:
                page.add(f"{escaped(line)}\n\n")
        _add_part(page, section, part)


def _add_part(page: _Page, section: Section, part: Part) -> None:
    page.add_list([f"**{escaped(line)}**" for line in part.alerts])
    page.add_list([f"{escaped(name)}: {escaped(value)}" for name, value in part.facts])
    if part.code:
        page.add(f"To run it again:\n\n{_code_block(part.code)}\n")
    tables = [*part.tables]
    if section.identity in CHARTED:
        tables += [figure.table for figure in part.figures]
    for each in tables:
        page.add_table(each)
    page.add_list([escaped(line) for line in (*part.reading, *part.notes)])


def _code_block(text: str) -> str:
    """A fence that is longer than any run of backticks in the text."""
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}sh\n{UNPRINTABLE.sub(' ', text)}\n{fence}\n"


@dataclass
class _Page:
    """Text that gathers while there is ``room``, in characters, and how many lines found none."""

    room: int
    written: str = ""
    left_out: int = 0

    def add(self, text: str) -> None:
        """A short text, whole or not at all."""
        if len(text) <= self.room:
            self.written += text
            self.room -= len(text)
        else:
            self.left_out += 1

    def add_list(self, lines: Sequence[str]) -> None:
        """Bullets, as many as fit."""
        self._add_lines("", [f"- {line}\n" for line in lines], "\n")

    def add_table(self, table: Table) -> None:
        """A table under its caption, as many rows as fit."""
        names = [escaped(each) for each in table.headings]
        numbers = [place for place in range(1, len(names)) if place not in table.texts]
        headings = [f">{name}" if place in numbers else name for place, name in enumerate(names)]
        lines = markdown_table(headings, [[_name(each) for each in row] for row in table.rows]).splitlines(True)
        self._add_lines(f"**{escaped(table.caption)}**\n\n{lines[0]}{lines[1]}", lines[2:], "\n")

    @contextlib.contextmanager
    def folded(self, title: str) -> Iterator[_Page]:
        """A page within this one, which a reader opens."""
        before, after = f"<details><summary>{escaped(title)}</summary>\n\n", "</details>\n\n"
        inside = _Page(self.room - len(before) - len(after))
        yield inside
        self.left_out += inside.left_out
        if inside.written:
            self.add(f"{before}{inside.written}{after}")

    def _add_lines(self, before: str, lines: Sequence[str], after: str) -> None:
        if not lines:
            return
        room = int(self.room * MOST_OF_REST) - len(before) - len(after) - len(_and_more(len(lines)))
        kept = list(_while_they_fit(lines, room))
        if not kept:
            self.left_out += len(lines)
            return
        rest = len(lines) - len(kept)
        self.left_out += rest
        self.add(f"{before}{''.join(kept)}{after}{_and_more(rest) if rest else ''}")

    def text(self) -> str:
        """All that was written, and how much was not."""
        if not self.left_out:
            return self.written.rstrip() + "\n"
        told = f"{self.left_out} lines and rows are left out, since a comment holds {LIMIT:,} characters."
        return f"{self.written.rstrip()}\n\n*{told} The HTML report has all of them.*\n"


def _and_more(count: int) -> str:
    return f"… and {count} more\n\n"


def _while_they_fit(lines: Sequence[str], room: int) -> Iterator[str]:
    for line in lines:
        room -= len(line)
        if room < 0:
            return
        yield line
