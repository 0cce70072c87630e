"""The ``ovbench`` command: A/B comparisons, the host's self-check, and the suite wherever it is installed."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ovbench.errors import BadInput, BadOption, OvbenchError
from ovbench.gate import ExitCode
from ovbench.options import BY_NAME

app = typer.Typer(
    name="ovbench",
    help="OpenVINO benchmarks on CPUs whose answers hold.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
INTERRUPTED = 130
USAGE_ERROR: Any = typer.BadParameter.__mro__[1]  # click's UsageError, wherever this typer keeps it

SideParts = Annotated[list[str], typer.Option(help="KEY=VALUE, repeatable: python=PATH, model=PATH, "
                      "precision=INT8, affinity=0,1, env:NAME=VALUE, or a property such as NUM_STREAMS=2.")]  # fmt: skip
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


def read_option(name: str, text: str) -> Any:
    """A value given on this command line, parsed as the suite's option of that name. Raises BadOption."""
    try:
        return BY_NAME[name].parse(text.strip())
    except ValueError as error:
        raise BadOption(f"--{name.replace('_', '-')} {text}: {error}") from None


@app.command()
def ab(
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
    results: Results = Path("results"),
) -> int:
    """Is B slower or faster than A? Starts slower, takes more memory, gives other outputs?"""
    from ovbench.ab import METRICS, Question
    from ovbench.sides import parse_side

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
        min_agreement=read_option("min_top1_agreement", min_agreement) if min_agreement else None,
        seed=read_option("seed", seed),
    )
    return answer_all([question], results)


def answer_all(questions: Sequence[Any], results: Path) -> int:
    """Answer the questions one after another, print each, keep pairs and answers in the journal; the exit code."""
    from ovbench import hosts, machine, records
    from ovbench.ab import ask
    from ovbench.artifacts import ArtifactCache, default_root
    from ovbench.comparison import Comparison
    from ovbench.report.comparison import answer_text

    host = machine.fingerprint()
    band = hosts.band_of(hosts.read_profile(host.fingerprint_id))
    records.check_writable(results)
    journal = records.Journal(results / (records.new_session_id() + records.SUFFIX))
    cache = ArtifactCache(default_root())
    failed = False
    for question in questions:
        comparison = Comparison(question.name)
        try:
            answer = ask(question, cache, band, progress, _pair_writer(journal, host), comparison)
        except KeyboardInterrupt:
            sys.stderr.write(f"ovbench: interrupted; {len(comparison.pairs)} finished pairs are in {journal.path}\n")
            raise
        journal.write("comparison", **comparison_fields(answer))
        sys.stdout.write(answer_text(answer, sys.stdout.isatty()))
        failed = failed or bool(comparison.failed) or answer.agreement_failed
    sys.stdout.write(f"Every sample: {journal.path}\n")
    return int(ExitCode.FAILED if failed else ExitCode.HELD)


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
        "ended": answer.comparison.ended,
        "failed": answer.comparison.failed,
        "notes": answer.comparison.notes,
        "wall_s": answer.comparison.wall_s,
        "measured_s": answer.comparison.measured_s,
    }


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[float, str], None]]:
    """A progress bar on stderr."""
    from ovbench.report.progress import progress_bar

    with progress_bar(title) as advance:
        yield advance


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def bench(context: typer.Context) -> int:
    """Run the suite: every argument goes to pytest; results lie in ./results."""
    import pytest

    suite = suite_folder()
    arguments = ["-c", str(suite / "pytest.ini"), "--rootdir", str(Path.cwd())]
    return int(
        pytest.main([*arguments, "-o", f"ov_results={Path.cwd() / 'results'}", str(suite / "benches"), *context.args])
    )


def suite_folder() -> Path:
    """Where conftest, benches and fixtures lie: inside the installed package, or the checkout's root."""
    package = Path(__file__).parent
    installed = package / "_suite"
    return installed if installed.is_dir() else package.parent
