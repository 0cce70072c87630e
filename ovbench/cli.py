"""The ``ovbench`` command: A/B comparisons, the host's self-check, and the suite wherever it is installed."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ovbench.errors import BadInput, BadOption, NotWritable, OvbenchError
from ovbench.gate import ExitCode
from ovbench.options import BY_NAME, Unsure

app = typer.Typer(
    name="ovbench",
    help="OpenVINO benchmarks on CPUs whose answers hold.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
INTERRUPTED = 130
OVERRIDES = ("tolerance", "budget")  # what a flag may say for all comparisons of a file
USAGE_ERROR: Any = typer.BadParameter.__mro__[1]  # click's UsageError, wherever this typer keeps it

SideParts = Annotated[list[str], typer.Option(help="KEY=VALUE, repeatable: python=PATH, model=PATH, "
                      "precision=INT8, affinity=0,1, env:NAME=VALUE, or a property (NUM_STREAMS=2).")]  # fmt: skip
Results = Annotated[Path, typer.Option(help="Folder of results; the journal is written there.")]


def main() -> None:
    """Run the command line; usage errors and bad input end with one line and exit code 4."""
    try:
        code = app(standalone_mode=False)
    except USAGE_ERROR as error:
        _fail(error.format_message())
    except BadInput as error:
        _fail(str(error))
    except OvbenchError as error:
        sys.stderr.write(f"ovbench: {error}\n")
        sys.exit(ExitCode.FAILED)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(line: str) -> None:
    sys.stderr.write(f"ovbench: {' '.join(line.split())}\n")
    sys.exit(ExitCode.USAGE)


def read_option(name: str, text: str, flag: str = "") -> Any:
    """A value given on this command line as ``flag``, parsed as the suite's option ``name``. Raises BadOption."""
    try:
        return BY_NAME[name].parse(text.strip())
    except ValueError as error:
        raise BadOption(f"{flag or '--' + name.replace('_', '-')} {text}: {error}") from None


@app.command()
def ab(
    context: typer.Context,
    a: SideParts = [],  # noqa: B006  (typer copies it)
    b: SideParts = [],  # noqa: B006
    model: Annotated[str, typer.Option(help="Model of both sides: 'embedded' or a file.")] = "embedded",
    precision: Annotated[str, typer.Option(help="Precision of both sides: FP32, BF16 or INT8.")] = "FP32",
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


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[float, str], None]]:
    """A progress bar on stderr."""
    from ovbench.report.progress import progress_bar

    with progress_bar(title) as advance:
        yield advance


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def bench(context: typer.Context) -> int:
    """Run the suite: every argument goes to pytest; results lie in ./results."""
    suite, here = suite_folder(), Path.cwd()
    options = ["-c", str(suite / "pytest.ini"), "--rootdir", str(here), "-o", f"ov_results={here / 'results'}"]
    command = [sys.executable, "-m", "pytest", *options, str(suite / "benches"), *context.args]
    with subprocess.Popen(command) as running:  # of its own: pytest rewrites our plugin's asserts before it is imported
        while True:
            try:
                return running.wait()
            except KeyboardInterrupt:  # pytest gets it too, and ends with the table of what is done
                continue


@app.command()
def sessions(
    results: Results = Path("results"),
    prune: Annotated[str, typer.Option(help="Keep this many of the newest, and the promoted one; remove others.")] = "",
) -> int:
    """List the suite's stored sessions of this kind of Python and system; prune them."""
    from ovbench import sessions as stored
    from ovbench.report.sessions import sessions_text

    folder = sessions_folder(results)
    if prune:
        if not prune.isdigit():
            raise BadOption(f"--prune {prune}: give the number of sessions to keep, 0 or more")
        for path in stored.prune(folder, int(prune)):
            sys.stdout.write(f"removed {path}\n")
    found, faults = stored.list_sessions(folder)
    if found:
        sys.stdout.write(sessions_text(found, stored.read_promoted(folder), sys.stdout.isatty()))
    else:
        sys.stdout.write(f"no session is stored in {folder}\n")
    for fault in faults:
        sys.stderr.write(f"ovbench: {fault}\n")
    return int(ExitCode.HELD)


baseline_app = typer.Typer(help="The stored session that others are held against.")
app.add_typer(baseline_app, name="baseline")


@baseline_app.callback()
def baseline() -> None:
    """The stored session that others are held against."""


@baseline_app.command("set")
def set_baseline(
    number: Annotated[str, typer.Argument(help="A session that passed, such as 0007.")],
    results: Results = Path("results"),
) -> int:
    """Promote a stored session: --ov-baseline=promoted compares with it."""
    from ovbench.sessions import promote

    session = promote(sessions_folder(results), number)
    sys.stdout.write(f"session {session.number} is the baseline now: {session.path}\n")
    return int(ExitCode.HELD)


def sessions_folder(results: Path) -> Path:
    """Where pytest-benchmark stores this kind of Python's and system's sessions. Raises BadOption without one."""
    from pytest_benchmark.utils import get_machine_id

    folder = results / str(get_machine_id())
    if not folder.is_dir():
        raise BadOption(f"--results {results}: there is no folder {folder}: run the suite there first, or name another")
    return folder


def suite_folder() -> Path:
    """Where conftest, benches and fixtures lie: inside the installed package, or the checkout's root."""
    package = Path(__file__).parent
    installed = package / "_suite"
    return installed if installed.is_dir() else package.parent
