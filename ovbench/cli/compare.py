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

from ovbench.cli.app import AsJson, Device, Results, app, progress, read_option, tell
from ovbench.errors import BadInput, BadOption, NotWritable

OVERRIDES = ("tolerance", "budget")  # what a flag may say for all comparisons of a file

SideParts = Annotated[list[str], typer.Option(metavar="KEY=VALUE", help="Repeatable: python=PATH, model=PATH, "
                      "precision=INT8, affinity=0,1, env:NAME=VALUE, or a property (NUM_STREAMS=2).")]  # fmt: skip
Metrics = Annotated[list[str], typer.Option(metavar="METRIC", help="latency or throughput, repeatable.")]


@app.command(epilog="Example: ovbench ab --model model.xml --b precision=INT8 --budget 20s")
def ab(
    context: typer.Context,
    a: SideParts = [],  # noqa: B006  (typer copies it)
    b: SideParts = [],  # noqa: B006
    model: Annotated[str, typer.Option(help="Model of both sides: 'embedded' or a file.")] = "embedded",
    precision: Annotated[str, typer.Option(help="Precision of both sides, such as FP32 or INT8.")] = "FP32",
    device: Device = "CPU",
    metric: Metrics = ["latency", "throughput"],  # noqa: B006
    tolerance: Annotated[str, typer.Option(help="What counts as the same, as a share of time.")] = "0.03",
    budget: Annotated[str, typer.Option(help="Time per metric [s, ms, m or h].")] = "60s",
    min_agreement: Annotated[str, typer.Option(help="Least top-1 agreement of the outputs [share].")] = "",
    seed: Annotated[str, typer.Option(help="Seed of the order of blocks and of inputs.")] = "0",
    file: Annotated[Path | None, typer.Option(help="ab.toml with many comparisons; see docs/gates.md.")] = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> int:
    """Tell whether B is slower or faster than A.

    And whether it starts slower, takes more memory or gives other outputs.
    """
    from ovbench.ab import METRICS, Question
    from ovbench.sides import parse_side

    if file is not None:
        check_goes_with_file(context)
        return answer_all(read_file(file, given(context, tolerance=tolerance, budget=budget)), results, as_json)
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
    return answer_all([question], results, as_json)


def given(context: typer.Context, **flags: str) -> dict[str, str]:
    """Those of the flags that stand on the command line, and not their defaults."""
    return {name: text for name, text in flags.items() if _is_given(context, name)}


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def check_goes_with_file(context: typer.Context) -> None:
    """Raise BadOption for a flag of ``ab`` that the file says for each comparison."""
    for name in context.params:
        if name not in (*OVERRIDES, "file", "results", "as_json") and _is_given(context, name):
            flag = "--" + name.replace("_", "-")
            raise BadOption(f"{flag} with --file: say it in the file, for all comparisons or for one")


def read_file(file: Path, overrides: Mapping[str, str]) -> list[Any]:
    """The questions of a file, with what the command line says for all of them. Raises BadOption."""
    from ovbench.questions import read_questions

    questions = read_questions(file)
    fields = {"tolerance": "tolerance", "budget": "budget_s"}
    changes: dict[str, Any] = {fields[name]: read_option(name, text) for name, text in overrides.items()}
    return [dataclasses.replace(question, **changes) for question in questions]


def answer_all(questions: Sequence[Any], results: Path, as_json: bool) -> int:
    """Answer the questions and print each; the exit code."""
    from ovbench.gate import ExitCode
    from ovbench.report.comparison import asked_fields
    from ovbench.report.objects import object_text

    if not questions:
        return nothing_to_compare()
    asked, journal = ask_all(questions, results, as_json)
    if as_json:
        sys.stdout.write(object_text(asked_fields(asked, journal.path)))
    answers = [each.answer for each in asked if each.answer is not None]
    if any(answer.comparison.failed or answer.agreement_failed for answer in answers):
        return int(ExitCode.FAILED)
    return int(ExitCode.USAGE if any(each.refused for each in asked) else ExitCode.HELD)


def ask_all(questions: Sequence[Any], results: Path, as_json: bool, family: int | None = None) -> tuple[list[Any], Any]:
    """Ask one question after another; pairs and answers go to the journal as they end, answers as text to stdout.

    What is wrong with one question (BadInput) is said on stderr and kept, and the others are asked all the same.
    """
    from ovbench import hosts, machine, records
    from ovbench.artifacts import ArtifactCache, default_root
    from ovbench.family import Asked
    from ovbench.report.comparison import answer_text

    host = machine.fingerprint()
    band = hosts.band_of(hosts.read_profile(host.fingerprint_id))
    records.check_writable(results)
    journal = records.Journal(results / (records.new_session_id() + records.SUFFIX))
    cache = ArtifactCache(default_root())
    asked: list[Asked] = []
    for question in questions:
        if asked and not as_json:
            sys.stdout.write("\n")
        try:
            answer = _ask_one(question, cache, band, family, journal, host)
            if not as_json:
                sys.stdout.write(answer_text(answer, sys.stdout.isatty()))
            asked.append(Asked(question, answer))
        except NotWritable:
            raise  # the journal: what cannot be kept need not be measured
        except BadInput as error:
            where = f"{question.name}: " if len(questions) > 1 else ""
            sys.stderr.write(f"ovbench: {where}{' '.join(str(error).split())}\n")
            asked.append(Asked(question, refused=str(error)))
    if journal.path.exists() and not as_json:
        sys.stdout.write(f"Every sample: {journal.path}\n")
    return asked, journal


def _ask_one(question: Any, cache: Any, band: float, family: int | None, journal: Any, host: Any) -> Any:
    from ovbench.ab import ask
    from ovbench.comparison import Comparison
    from ovbench.report.comparison import answer_fields
    from ovbench.report.numbers import counted

    comparison = Comparison(question.name)
    keep = _pair_writer(journal, host)

    def on_pair(asked: Any, pair: Any) -> None:
        if asked.a == asked.b and len(comparison.pairs) == 1:  # said once it measures: what cannot be is one line
            tell(f"{asked.name}: both sides are the same, and what differs is noise: say with --b what B has instead")
        keep(asked, pair)

    try:
        answer = ask(question, cache, band, progress, on_pair, comparison, family)
    except KeyboardInterrupt:
        finished = f"{counted(len(comparison.pairs), 'finished pair')} of {question.name} in {journal.path}"
        tell(f"interrupted; {finished if journal.path.exists() else 'no pair was finished, nothing is kept'}")
        raise
    journal.write("comparison", **answer_fields(answer))
    return answer


@app.command(epilog="Example: ovbench gate ab.toml --summary summary.md --junit junit.xml")
def gate(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="ab.toml with the comparisons; see docs/gates.md.")],
    tolerance: Annotated[str, typer.Option(help="For all comparisons, in place of file and policy.")] = "",
    budget: Annotated[str, typer.Option(help="Time per metric of every comparison [s, ms, m or h].")] = "",
    unsure: Annotated[str, typer.Option(help="What UNSURE does: report, or fail (exit code 6).")] = "report",
    policy: Annotated[Path | None, typer.Option(help="Policy file, in place of the nearest ovbench.toml.")] = None,
    summary: Annotated[Path | None, typer.Option(help="Write a summary in Markdown.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.")] = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> int:
    """Compare all that a file names; fail where B is slower.

    Slower is by more than the comparison's tolerance, on evidence: see docs/gates.md.
    """
    from ovbench import gating
    from ovbench.options import Unsure
    from ovbench.policy import find_policy, read_policy
    from ovbench.report.comparison import asked_fields
    from ovbench.report.objects import object_text
    from ovbench.report.summary import summary_fields

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
    judged = gating.run(wanted, lambda questions, family: ask_all(questions, results, as_json, family), progress)
    if as_json:
        found = summary_fields(judged.rows, judged.expired, wanted.policy.path)
        exit_code = {"exit_code": int(judged.code)}
        sys.stdout.write(object_text({**found, **asked_fields(judged.asked, judged.journal), **exit_code}))
    else:
        sys.stdout.write(gating.told(wanted, judged, sys.stdout.isatty()))
    gating.write_reports(wanted, judged, os.environ.get(gating.SUMMARY_VARIABLE, ""))
    return int(judged.code)


def nothing_to_compare() -> int:
    """Say so; the exit code."""
    from ovbench.gate import ExitCode

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


@app.command(epilog="Example: ovbench selfcheck --budget 5m")
def selfcheck(
    pairs: Annotated[int, typer.Option(help="Pairs of unchanged lanes to measure.")] = 24,
    budget: Annotated[str, typer.Option(help="Time for all pairs [s, ms, m or h].")] = "10m",
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Find what this host can tell apart, and keep it.

    Compares the embedded INT8 model with itself: the host's noise band, and how small a slow-down it finds.
    """
    from ovbench import hosts, machine, records
    from ovbench import selfcheck as check
    from ovbench.artifacts import ArtifactCache, default_root
    from ovbench.report.objects import object_text
    from ovbench.report.selfcheck import selfcheck_fields, selfcheck_text

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
    profile = check.think(measured, host, machine.governor())
    path = hosts.write_profile(profile)
    journal.write("selfcheck", **dataclasses.asdict(profile))
    if as_json:
        sys.stdout.write(object_text({**selfcheck_fields(profile, measured, path), "journal": journal.path}))
    else:
        sys.stdout.write(selfcheck_text(profile, measured, host, path, sys.stdout.isatty()))
