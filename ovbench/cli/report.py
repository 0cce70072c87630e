"""Sessions of the suite as a report: a page, Markdown or JSON, alone or beside each other."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ovbench.cli.app import AsJson, Results, app
from ovbench.errors import BadOption

DEFAULT_FILE = "report.html"


@app.command(epilog="Example: ovbench report 0006 0007 -o report.html")
def report(
    sessions: Annotated[
        list[str],
        typer.Argument(
            metavar="SESSION",
            help="A stored session's number (7 or 0007) or name, 'promoted', or a "
            "journal's path; none: the newest. The first is what others are held against.",
        ),
    ] = [],  # noqa: B006  (typer copies it)
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; unset: report.html, or stdout for md and json.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="html, md or json; unset: by FILE's suffix, else html.")] = "",
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> int:
    """Make a report of stored sessions, alone or side by side.

    A page, Markdown or JSON; the sessions after the first are held against it, with verdicts.
    """
    from ovbench.gate import ExitCode
    from ovbench.report.written import FORMS, HTML, JSON, form_of, report_text, write_whole

    if form and form not in FORMS:
        raise BadOption(f"--format {form}: give {', '.join(FORMS[:-1])} or {FORMS[-1]}")
    if as_json and form not in ("", JSON):
        raise BadOption(f"--json with --format {form}: say one of them")
    wanted = JSON if as_json else form or (HTML if out is None else form_of(out))
    if out is None and wanted == HTML:
        out = Path(DEFAULT_FILE)
    text = report_text(find_journals(sessions, results), wanted)
    if out is None:
        sys.stdout.write(text)
    else:
        write_whole(out, text)
        sys.stdout.write(f"{out}\n")
    return int(ExitCode.HELD)


def find_journals(sessions: list[str], results: Path) -> list[Path]:
    """The journals that are named, or the newest. Raises BadInput where there is none."""
    from ovbench.cli.suite import sessions_folder
    from ovbench.story.finding import journal_at, journal_named, newest_journal

    if not sessions:
        return [newest_journal(sessions_folder(results))]
    journals = [journal_at(each) or journal_named(each, sessions_folder(results)) for each in sessions]
    places = [journal.resolve() for journal in journals]
    for number, each in enumerate(sessions):
        first = places.index(places[number])
        if first < number:
            raise BadOption(f"SESSION {each}: the same session as {sessions[first]}: name each once")
    return journals
