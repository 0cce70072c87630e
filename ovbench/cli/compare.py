"""Two sides compared, a gate over many comparisons, and the host compared with itself."""

from __future__ import annotations

import dataclasses
import datetime
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ovbench.cli.app import Results, app, progress, read_option
from ovbench.errors import BadInput, BadOption, NotWritable
from ovbench.gate import ExitCode
from ovbench.options import Unsure

OVERRIDES = ("tolerance", "budget")  # what a flag may say for all comparisons of a file

SideParts = Annotated[list[str], typer.Option(help="KEY=VALUE, repeatable: python=PATH, model=PATH, "
                      "precision=INT8, affinity=0,1, env:NAME=VALUE, or a property (NUM_STREAMS=2).")]  # fmt: skip


@app.command()
def ab(
    context: typer.Context,
    a: SideParts = [],  # noqa: B006  (typer copies it)
    b: SideParts = [],  # noqa: B006
    model: Annotated[str, typer.Option(help="Model of both sides: 'embedded' or a file.")] = "embedded",
    precision: Annotated[str, typer.Option(help="Precision of both sides, such as FP32 or INT8.")] = "FP32",
    device: Annotated[str, typer.Option(help="OpenVINO device.")] = "CPU",
    metric: Annotated[list[str], typer.Option(help="latency or throughput, repeatable.")] = ["latency", "throughput"],  # noqa: B006
    tolerance: Annotated[str, typer.Option(help="What counts as the same, as a share of time.")] = "0.03",
    budget: Annotated[str, typer.Option(help="Time per metric [s, ms, m or h].")] = "60s",
    min_agreement: Annotated[str, typer.Option(help="Least top-1 agreement of the outputs [share].")] = "",
    seed: Annotated[str, typer.Option(help="Seed of the order of blocks and of inputs.")] = "0",
    file: Annotated[Path | None, typer.Option(help="ab.toml with many comparisons; see docs/gates.md.")] = None,
    results: Results = Path("results"),
) -> int:
    """Is B slower or faster than A? Starts slower, takes more memory, gives other outputs?"""
    from ovbench.ab import METRICS, Question
    from ovbench.sides import parse_side

    if file is not None:
        check_goes_with_file(context)
        return answer_all(read_file(file, given(context, tolerance=tolerance, budget=budget)), results)
    unknown = [each for each in metric if each not in METRICS]
    if unknown:
        raise BadOption(f"--metric {unknown[0]}: give {' or '.join(METRICS)}")
    precisions = read_option("precision", precision)
    if len(precisions) != 1:
        raise BadOption(f"--precision {precision}: give one, or precision=... on a side")
    question = Question(
        name="A/B",
        a=parse_side("--a", a),
        b=parse_side("--b", b),
        model=model,
        precision=precisions[0],
        device=device,
        metrics=tuple(dict.fromkeys(metric)),
        tolerance=read_option("tolerance", tolerance),
        budget_s=read_option("budget", budget),
        min_agreement=read_option("min_top1_agreement", min_agreement, "--min-agreement") if min_agreement else None,
        seed=read_option("seed", seed),
    )
    return answer_all([question], results)


def given(context: typer.Context, **flags: str) -> dict[str, str]:
    """Those of the flags that stand on the command line, and not their defaults."""
    return {name: text for name, text in flags.items() if _is_given(context, name)}


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def check_goes_with_file(context: typer.Context) -> None:
    """Raise BadOption for a flag of ``ab`` that the file says for each comparison."""
    for name in context.params:
        if name not in (*OVERRIDES, "file", "results") and _is_given(context, name):
            flag = "--" + name.replace("_", "-")
            raise BadOption(f"{flag} with --file: say it in the file, for all comparisons or for one")


def read_file(file: Path, overrides: Mapping[str, str]) -> list[Any]:
    """The questions of a file, with what the command line says for all of them. Raises BadOption."""
    from ovbench.questions import read_questions

    questions = read_questions(file)
    fields = {"tolerance": "tolerance", "budget": "budget_s"}
    changes: dict[str, Any] = {fields[name]: read_option(name, text) for name, text in overrides.items()}
    return [dataclasses.replace(question, **changes) for question in questions]


def answer_all(questions: Sequence[Any], results: Path) -> int:
    """Answer the questions and print each; the exit code."""
    if not questions:
        return nothing_to_compare()
    asked, _journal = ask_all(questions, results)
    answers = [each.answer for each in asked if each.answer is not None]
    if any(answer.comparison.failed or answer.agreement_failed for answer in answers):
        return int(ExitCode.FAILED)
    return int(ExitCode.USAGE if any(each.refused for each in asked) else ExitCode.HELD)


def ask_all(questions: Sequence[Any], results: Path, family: int = 1) -> tuple[list[Any], Any]:
    """Ask one question after another and print each answer; pairs and answers go to the journal as they end.

    What is wrong with one question (BadInput) is said on stderr and kept, and the others are asked all the same.
    """
    from ovbench import hosts, machine, records
    from ovbench.artifacts import ArtifactCache, default_root
    from ovbench.family import Asked

    host = machine.fingerprint()
    band = hosts.band_of(hosts.read_profile(host.fingerprint_id))
    records.check_writable(results)
    journal = records.Journal(results / (records.new_session_id() + records.SUFFIX))
    cache = ArtifactCache(default_root())
    asked: list[Asked] = []
    for question in questions:
        try:
            asked.append(Asked(question, _ask_one(question, cache, band, family, journal, host)))
        except NotWritable:
            raise  # the journal: what cannot be kept need not be measured
        except BadInput as error:
            where = f"{question.name}: " if len(questions) > 1 else ""
            sys.stderr.write(f"ovbench: {where}{' '.join(str(error).split())}\n")
            asked.append(Asked(question, refused=str(error)))
    if journal.path.exists():
        sys.stdout.write(f"Every sample: {journal.path}\n")
    return asked, journal


def _ask_one(question: Any, cache: Any, band: float, family: int, journal: Any, host: Any) -> Any:
    from ovbench.ab import ask
    from ovbench.comparison import Comparison
    from ovbench.report.comparison import answer_text

    comparison = Comparison(question.name)
    try:
        answer = ask(question, cache, band, progress, _pair_writer(journal, host), comparison, family)
    except KeyboardInterrupt:
        sys.stderr.write(f"ovbench: interrupted; {len(comparison.pairs)} finished pairs are in {journal.path}\n")
        raise
    journal.write("comparison", **comparison_fields(answer))
    sys.stdout.write(answer_text(answer, sys.stdout.isatty()))
    return answer


@app.command()
def gate(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="ab.toml with the comparisons; see docs/gates.md.")],
    tolerance: Annotated[str, typer.Option(help="For all comparisons, in place of file and policy.")] = "",
    budget: Annotated[str, typer.Option(help="Time per metric of every comparison [s, ms, m or h].")] = "",
    unsure: Annotated[str, typer.Option(help="What UNSURE does: report, or fail (exit code 6).")] = "report",
    policy: Annotated[Path | None, typer.Option(help="Policy file, in place of the nearest ovbench.toml.")] = None,
    summary: Annotated[Path | None, typer.Option(help="Write a summary in Markdown.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.")] = None,
    results: Results = Path("results"),
) -> int:
    """Compare all that a file names, and fail where B is slower than A by more than its tolerance."""
    from ovbench import gating
    from ovbench.policy import find_policy, read_policy

    overrides = given(context, tolerance=tolerance, budget=budget)
    wanted = gating.Gate(
        file=file,
        questions=tuple(read_file(file, overrides)),
        policy=find_policy(Path.cwd()) if policy is None else read_policy(policy),
        today=today(),
        fail_on_unsure=read_option("unsure", unsure) is Unsure.FAIL,
        summary=summary,
        junit=junit,
    )
    if "tolerance" in overrides:
        wanted = dataclasses.replace(wanted, policy=dataclasses.replace(wanted.policy, tolerances=()))
    if not wanted.questions:
        return nothing_to_compare()
    gating.clear_reports(wanted)
    judged = gating.run(wanted, lambda questions, family: ask_all(questions, results, family), progress)
    sys.stdout.write(gating.told(wanted, judged, sys.stdout.isatty()))
    gating.write_reports(wanted, judged, os.environ.get(gating.SUMMARY_VARIABLE, ""))
    return int(judged.code)


def nothing_to_compare() -> int:
    """Say so; the exit code."""
    sys.stderr.write("ovbench: nothing to compare: add a [[comparison]] to the file\n")
    return int(ExitCode.NOTHING_SELECTED)


def today() -> datetime.date:
    """The day in UTC, on which waivers hold or have expired, the same for every runner."""
    return datetime.datetime.now(datetime.timezone.utc).date()


def _pair_writer(journal: Any, host: Any) -> Callable[[Any, Any], None]:
    from ovbench import machine
    from ovbench.comparison import pair_fields

    def write(question: Any, pair: Any) -> None:
        if not journal.path.exists():
            journal.write(
                "session",
                machine=dataclasses.asdict(host),
                fingerprint=host.fingerprint_id,
                versions=dict(machine.library_versions()),
                commit=machine.commit(Path.cwd()),
            )
        journal.write("pair", comparison=question.name, **pair_fields(pair))

    return write


def comparison_fields(answer: Any) -> dict[str, Any]:
    """An answer as plain values, for the journal."""
    return {
        "name": answer.question.name,
        "a": list(answer.question.a.written),
        "b": list(answer.question.b.written),
        "model": answer.question.model,
        "precision": answer.question.precision.value,
        "tolerance": answer.question.tolerance,
        "versions": list(answer.versions),
        "effective": [dict(each) for each in answer.effective],
        "metrics": [
            {**dataclasses.asdict(each), "verdict": each.verdict.value}
            for each in (*answer.metrics, answer.start, answer.memory)
            if each is not None
        ],
        "outputs": None if answer.outputs is None else dataclasses.asdict(answer.outputs),
        "ended": answer.comparison.ended,
        "failed": answer.comparison.failed,
        "notes": answer.comparison.notes,
        "wall_s": answer.comparison.wall_s,
        "measured_s": answer.comparison.measured_s,
    }


@app.command()
def selfcheck(
    pairs: Annotated[int, typer.Option(help="Pairs of unchanged lanes to measure.")] = 24,
    budget: Annotated[str, typer.Option(help="Time for all pairs [s, ms, m or h].")] = "10m",
    results: Results = Path("results"),
) -> int:
    """What can this host find? Compares the embedded INT8 model with itself, and keeps the host's profile."""
    from ovbench import hosts, machine, records
    from ovbench import selfcheck as check
    from ovbench.artifacts import ArtifactCache, default_root
    from ovbench.report.selfcheck import selfcheck_text

    budget_s = read_option("budget", budget)
    host = machine.fingerprint()
    hosts.check_writable()
    records.check_writable(results)
    journal = records.Journal(results / (records.new_session_id() + records.SUFFIX))
    keep = _pair_writer(journal, host)
    try:
        measured = check.measure(
            pairs, budget_s, ArtifactCache(default_root()), progress, lambda pair: keep(check.QUESTION, pair)
        )
    except KeyboardInterrupt:
        sys.stderr.write("ovbench: interrupted: no profile was kept, the host's last one, if any, still holds\n")
        raise
    profile = check.think(measured, host, check.governor())
    path = hosts.write_profile(profile)
    journal.write("selfcheck", **dataclasses.asdict(profile))
    sys.stdout.write(selfcheck_text(profile, measured, host, path, sys.stdout.isatty()))
    return int(ExitCode.HELD)
