"""A report as a file: read from journals, told in a form, and put in its place whole or not at all."""

from __future__ import annotations

import contextlib
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ovbench.errors import BadInput, BadOption, NotWritable
from ovbench.story.facts import Comparison, Story

HTML, MARKDOWN, JSON = FORMS = ("html", "md", "json")


def write_report(journals: Sequence[Path], file: Path, form: str = "") -> None:
    """Write the report of one session, or of several beside the first, to ``file``; ``form`` "" goes by its suffix.

    Raises BadInput, one line: a journal that cannot be read or tells nothing, a file that cannot be written.
    """
    write_whole(file, report_text(journals, form or form_of(file)))


def form_of(file: Path) -> str:
    """The form that a file's suffix asks for. Raises BadOption for any other."""
    form = file.suffix.removeprefix(".").lower()
    if form not in FORMS:
        raise BadOption(f"-o {file}: give a file that ends in .html, .md or .json, or say --format")
    return form


def report_text(journals: Sequence[Path], form: str) -> str:
    """The report of these journals in one of FORMS. Raises BadInput as ``write_report`` does."""
    from ovbench.story.reading import read_story

    stories = [read_story(path) for path in journals]
    for story in stories:
        check_tells(story)
    if len(stories) == 1:
        return _told(stories, None, form)
    from ovbench.story.beside import compare

    told = stories if form == JSON else told_apart(stories)  # JSON has the journal of each
    return _told(told, compare(told), form)


def told_apart(stories: Sequence[Story]) -> list[Story]:
    """Stories whose labels differ: a number is one folder's, so where two have the same their journals' names stand."""
    times = Counter(story.label for story in stories)
    return [replace(story, number="") if times[story.label] > 1 else story for story in stories]


def check_tells(story: Story) -> None:
    """Raise BadInput where a session has nothing to show: none of its benches passed, and nothing was measured.

    What failed its gate was measured, and a session that was killed before its first bench may have been: they tell.
    """
    passed = any(each.outcome == "passed" for each in story.benches)
    shown = (
        any(each.measured for each in story.cells),
        any(each.starts for each in story.starts),
        story.accuracy, story.layers, story.references, story.pipelines,
    )  # fmt: skip
    if not passed and not any(shown):
        reasons = (each.reason.strip().partition("\n")[0] for each in story.benches if each.outcome != "passed")
        why = next((f" (the first: {reason})" for reason in reasons if reason), "")
        raise BadInput(
            f"no bench of {story.label} passed and nothing was measured{why}: nothing to report: run the suite again"
        )


def _told(stories: Sequence[Story], comparison: Comparison | None, form: str) -> str:
    if form == HTML:
        from ovbench.report.html import report_page

        return report_page(stories, comparison)
    if form == MARKDOWN:
        from ovbench.report.story_markdown import story_markdown

        return story_markdown(stories, comparison)
    from ovbench.report.story_json import story_json

    return story_json(stories, comparison)


def write_whole(file: Path, text: str) -> None:
    """Write a text beside its place and move it there. Raises NotWritable, and leaves what was there before.

    A link stays one, and a device or a pipe is written into: to move a file there would take it away from everyone.
    """
    place = file.resolve()
    draft = place.with_name(f".{place.name[:100]}.{secrets.token_hex(4)}.tmp")
    data = text.encode("utf-8", "backslashreplace")
    try:
        if file.exists() and not file.is_file():
            file.write_bytes(data)
        else:
            draft.write_bytes(data)
            draft.replace(place)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        missing = not file.parent.is_dir()
        remedy = f"make the folder {file.parent}" if missing else f"make {file.parent} writable"
        raise NotWritable(
            f"cannot write the report {file}: {error.strerror}: {remedy}, or name another file with -o"
        ) from None
