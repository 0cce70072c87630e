"""A gate from end to end: what its file asks is checked, asked, judged as one family, and reported."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ovbench import ab, hosts, machine
from ovbench.ab import Progress, Question
from ovbench.artifacts import ArtifactCache, default_root
from ovbench.errors import BadInput, BadOption, NotWritable
from ovbench.family import Asked, rows_of
from ovbench.gate import ExitCode, Row, check_tolerance, exit_code_of, with_waivers
from ovbench.policy import Policy, Waiver
from ovbench.questions import reason_to_skip, with_policy
from ovbench.records import Journal
from ovbench.report.junit import junit_xml
from ovbench.report.summary import summary_markdown, summary_text

SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"  # GitHub's job summary: the file to append to

AskAll = Callable[[Sequence[Question], int], tuple[list[Asked], Journal]]


@dataclass(frozen=True)
class Gate:
    """What a gate is given; ``today`` is the day on which waivers hold or have expired."""

    file: Path
    questions: tuple[Question, ...]
    policy: Policy
    today: datetime.date
    fail_on_unsure: bool = False
    summary: Path | None = None
    junit: Path | None = None


@dataclass(frozen=True)
class Judged:
    """What a gate found."""

    rows: tuple[Row, ...]
    expired: tuple[Waiver, ...]
    code: ExitCode
    asked: tuple[Asked, ...]
    journal: Path


def run(gate: Gate, ask_all: AskAll, progress: Progress) -> Judged:
    """Check everything that can be known before measuring, ask, judge, and write the rows to the journal.

    Raises BadInput for a tolerance that this host cannot hold, an interpreter or model that is not there. What this
    machine cannot run at all is skipped.
    """
    questions = [with_policy(each, gate.policy) for each in gate.questions]
    check_host_holds(questions)
    skipped = {each.name: reason for each in questions if (reason := reason_to_skip(each))}
    running = [each for each in questions if each.name not in skipped]
    _check_sides(running, progress)
    answers, journal = ask_all(running, sum(len(each.metrics) for each in running))
    by_name = {each.question.name: each for each in answers}
    asked = [by_name.get(each.name) or Asked(each, skipped=skipped[each.name]) for each in questions]
    rows = with_waivers(rows_of(asked), gate.policy, gate.today, fail_on_unsure=gate.fail_on_unsure)
    code = exit_code_of(rows, fail_on_unsure=gate.fail_on_unsure)
    if journal.path.exists():
        journal.write("gate", rows=[row_fields(row) for row in rows], exit_code=int(code))
    return Judged(rows, gate.policy.expired(gate.today), code, tuple(asked), journal.path)


def check_host_holds(questions: Sequence[Question]) -> None:
    """Raise BadOption for a tolerance, of any metric, tighter than this host's own band."""
    profile = hosts.read_profile(machine.fingerprint().fingerprint_id)
    for question in questions:
        try:
            tightest = min(map(question.tolerance_of, question.metrics))
            check_tolerance(tightest, hosts.band_of(profile), profile is not None)
        except BadOption as error:
            raise BadOption(f"{question.name}: {error}") from None


def _check_sides(questions: Sequence[Question], progress: Progress) -> None:
    cache = ArtifactCache(default_root())
    for question in questions:
        try:
            ab.resolve(question, cache, progress)
        except BadInput as error:
            raise BadOption(f"{question.name}: {error}") from None


def row_fields(row: Row) -> Mapping[str, Any]:
    """A row as plain values, for the journal."""
    waiver = None if row.waiver is None else {**vars(row.waiver), "until": row.waiver.until.isoformat()}
    return {**dataclasses.asdict(row), "answer": row.answer.value, "waiver": waiver}


def told(gate: Gate, judged: Judged, coloured: bool) -> str:
    """What is printed."""
    return summary_text(judged.rows, judged.expired, gate.policy.path, coloured)


def clear_reports(gate: Gate) -> None:
    """Empty the reports asked for: those of an earlier run must not outlive a killed one. Raises NotWritable."""
    for path in (gate.summary, gate.junit):
        if path is not None:
            _write(path, "")


def write_reports(gate: Gate, judged: Judged, job_summary: str) -> None:
    """Write the reports asked for, and append to GitHub's job summary where there is one. Raises NotWritable."""
    title = f"ovbench gate {gate.file.name}"
    page = summary_markdown(title, judged.rows, judged.expired, gate.policy.path)
    if gate.summary is not None:
        _write(gate.summary, page)
    if job_summary:
        _write(Path(job_summary), page, "a")
    if gate.junit is not None:
        _write(gate.junit, junit_xml(title, judged.rows, fail_on_unsure=gate.fail_on_unsure))


def _write(path: Path, text: str, mode: str = "w") -> None:
    try:
        with path.open(mode, encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise NotWritable(f"cannot write {path}: {error.strerror}: name a file in a folder that exists") from None
